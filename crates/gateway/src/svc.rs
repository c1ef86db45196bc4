//! A layer from an async function: `async fn layer(state, inner, request) -> Result<_, BoxError>`.
//!
//! Such a layer is always ready and calls its own clone of the inner service through `oneshot`,
//! which waits for that very clone to be ready. Polling one clone and calling another (a deadlock
//! over a concurrency limit) cannot be written.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::{BoxError, Layer, Service, ServiceExt};

/// Makes a layer; `state` is cloned for every call.
pub(crate) fn from_fn<T, F>(state: T, f: F) -> FromFn<T, F> {
    FromFn { state, f }
}

/// See [`from_fn`].
#[derive(Clone)]
pub(crate) struct FromFn<T, F> {
    state: T,
    f: F,
}

impl<T: Clone, F: Clone, S> Layer<S> for FromFn<T, F> {
    type Service = FromFnService<T, F, S>;
    fn layer(&self, inner: S) -> Self::Service {
        FromFnService { state: self.state.clone(), f: self.f.clone(), inner }
    }
}

/// The service [`FromFn`] makes.
#[derive(Clone)]
pub(crate) struct FromFnService<T, F, S> {
    state: T,
    f: F,
    inner: S,
}

impl<T, F, S, Req, Res, Fut> Service<Req> for FromFnService<T, F, S>
where
    T: Clone,
    S: Clone,
    F: Fn(T, S, Req) -> Fut,
    Fut: Future<Output = Result<Res, BoxError>> + Send + 'static,
{
    type Response = Res;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Res, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        Box::pin((self.f)(self.state.clone(), self.inner.clone(), request))
    }
}

/// A part of the stack behind one pointer, so that types stay short and a clone is cheap: every
/// layer clones all that is below it for every call, and tower's own box copies what it holds.
pub(crate) struct Stage<Req, Res>(Arc<dyn Fn(Req) -> Answering<Res> + Send + Sync>);

type Answering<Res> = Pin<Box<dyn Future<Output = Result<Res, BoxError>> + Send>>;

impl<Req, Res> Stage<Req, Res> {
    pub(crate) fn new<S>(service: S) -> Self
    where
        S: Service<Req, Response = Res, Error = BoxError> + Clone + Send + Sync + 'static,
        S::Future: Send,
        Req: Send + 'static,
    {
        Stage(Arc::new(move |request| Box::pin(service.clone().oneshot(request))))
    }
}

impl<Req, Res> Clone for Stage<Req, Res> {
    fn clone(&self) -> Self {
        Stage(Arc::clone(&self.0))
    }
}

impl<Req, Res> Service<Req> for Stage<Req, Res> {
    type Response = Res;
    type Error = BoxError;
    type Future = Answering<Res>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        (self.0)(request)
    }
}
