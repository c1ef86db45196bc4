//! A layer is a value with what it alone owns, and what it does around the service below it.
//!
//! A service is one pointer to a layer and to what is below, so a call clones that pointer and nothing
//! else. A layer calls its own clone of the service below through `oneshot`, which waits for that very
//! clone to be ready. Polling one clone and calling another (a deadlock over a concurrency limit) cannot
//! be written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use crate::error::Error;

/// What a layer does with a request, around the service `S` below it.
pub(crate) trait Around<S, Req>: Send + Sync + 'static {
    /// What it gives back.
    type Response;

    /// Acts before the service below, after it, or in its place.
    fn call(
        &self,
        inner: &S,
        request: Req,
    ) -> impl Future<Output = Result<Self::Response, Error>> + Send;
}

/// What a layer may have below it.
pub(crate) trait Below<Req, Res>:
    Service<Req, Response = Res, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S, Req, Res> Below<Req, Res> for S where
    S: Service<Req, Response = Res, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

/// An answer that is not there yet.
pub(crate) type Answering<Res> = Pin<Box<dyn Future<Output = Result<Res, Error>> + Send>>;

/// A layer for tower's builder.
pub(crate) fn layer<A>(around: A) -> Wrap<A> {
    Wrap(Arc::new(around))
}

/// The service at the bottom of a stack: it has nothing below it.
pub(crate) fn bottom<A>(around: A) -> Layered<A, ()> {
    layer(around).layer(())
}

/// See [`layer`].
pub(crate) struct Wrap<A>(Arc<A>);

impl<A, S> Layer<S> for Wrap<A> {
    type Service = Layered<A, S>;

    fn layer(&self, inner: S) -> Layered<A, S> {
        Layered(Arc::new((Arc::clone(&self.0), inner)))
    }
}

/// A layer over what is below it.
pub(crate) struct Layered<A, S>(Arc<(Arc<A>, S)>);

impl<A, S> Clone for Layered<A, S> {
    fn clone(&self) -> Self {
        Layered(Arc::clone(&self.0))
    }
}

impl<A, S, Req> Service<Req> for Layered<A, S>
where
    A: Around<S, Req>,
    S: Send + Sync + 'static,
    Req: Send + 'static,
{
    type Response = A::Response;
    type Error = Error;
    type Future = Answering<A::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let layered = Arc::clone(&self.0);
        Box::pin(async move {
            let (around, inner) = &*layered;
            around.call(inner, request).await
        })
    }
}

/// A whole stack behind one pointer, so that types stay short.
pub(crate) struct Stage<Req, Res>(Arc<dyn Fn(Req) -> Answering<Res> + Send + Sync>);

impl<Req: Send + 'static, Res> Stage<Req, Res> {
    pub(crate) fn new<A, S>(top: Layered<A, S>) -> Self
    where
        A: Around<S, Req, Response = Res>,
        S: Send + Sync + 'static,
    {
        Stage(Arc::new(move |request| top.clone().call(request)))
    }

    /// Begins to answer. A stage is always ready.
    pub(crate) fn ask(&self, request: Req) -> Answering<Res> {
        (self.0)(request)
    }
}

impl<Req, Res> Clone for Stage<Req, Res> {
    fn clone(&self) -> Self {
        Stage(Arc::clone(&self.0))
    }
}

impl<Req: Send + 'static, Res> Service<Req> for Stage<Req, Res> {
    type Response = Res;
    type Error = Error;
    type Future = Answering<Res>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        self.ask(request)
    }
}
