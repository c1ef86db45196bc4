//! A layer is a value with what it alone owns, and what it does around the service below it.
//!
//! A layer asks the service below by a straight call that borrows it: a request clones no service, and a
//! layer that has nothing to do for it hands on the answer of the service below as it is. A service of ours
//! is always ready, so there is no clone to poll and another one to call (a deadlock over a concurrency
//! limit). Must never do more before its answer is polled than choose who
//! answers: that is outside the caller's span, deadline and catch of panics.

pub(crate) mod call;
pub(crate) mod outlet;
pub(crate) mod rope;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::util::Either;
use tower::{Layer, Service};

use crate::error::Error;

/// An answer that is not there yet.
pub(crate) type Answering<'a, Res> = Pin<Box<dyn Future<Output = Result<Res, Error>> + Send + 'a>>;

/// What a layer does with a request, around the service `S` below it.
pub(crate) trait Around<S, Req>: Send + Sync + 'static {
    /// What it gives back.
    type Response;

    /// Acts before the service below, after it, or in its place.
    fn call<'a>(&'a self, inner: &'a S, request: Req) -> Answering<'a, Self::Response>;
}

/// What a layer may have below it. A clone is one pointer.
pub(crate) trait Below<Req, Res>: Clone + Send + Sync + 'static {
    /// Begins to answer.
    fn ask(&self, request: Req) -> Answering<'_, Res>;
}

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
        Layered(Arc::new(Pair { around: Arc::clone(&self.0), inner }))
    }
}

/// A layer over what is below it.
pub(crate) struct Layered<A, S>(Arc<Pair<A, S>>);

struct Pair<A, S> {
    around: Arc<A>,
    inner: S,
}

impl<A, S> Clone for Layered<A, S> {
    fn clone(&self) -> Self {
        Layered(Arc::clone(&self.0))
    }
}

impl<A, S, Req> Below<Req, A::Response> for Layered<A, S>
where
    A: Around<S, Req>,
    S: Send + Sync + 'static,
{
    fn ask(&self, request: Req) -> Answering<'_, A::Response> {
        self.0.answer(request)
    }
}

/// With a layer that may be left out, or without it.
impl<A: Below<Req, Res>, B: Below<Req, Res>, Req, Res> Below<Req, Res> for Either<A, B> {
    fn ask(&self, request: Req) -> Answering<'_, Res> {
        match self {
            Either::Left(with) => with.ask(request),
            Either::Right(without) => without.ask(request),
        }
    }
}

/// A stack as it is seen through a pointer.
trait Top<Req, Res>: Send + Sync {
    fn answer(&self, request: Req) -> Answering<'_, Res>;
}

impl<A, S, Req> Top<Req, A::Response> for Pair<A, S>
where
    A: Around<S, Req>,
    S: Send + Sync + 'static,
{
    fn answer(&self, request: Req) -> Answering<'_, A::Response> {
        self.around.call(&self.inner, request)
    }
}

/// A whole stack behind one pointer, so that types stay short.
pub(crate) struct Stage<Req, Res>(Arc<dyn Top<Req, Res>>);

impl<Req: 'static, Res: 'static> Stage<Req, Res> {
    pub(crate) fn new<A, S>(top: Layered<A, S>) -> Self
    where
        A: Around<S, Req, Response = Res>,
        S: Send + Sync + 'static,
    {
        Stage(top.0)
    }
}

impl<Req, Res> Clone for Stage<Req, Res> {
    fn clone(&self) -> Self {
        Stage(Arc::clone(&self.0))
    }
}

impl<Req: 'static, Res: 'static> Below<Req, Res> for Stage<Req, Res> {
    fn ask(&self, request: Req) -> Answering<'_, Res> {
        self.0.answer(request)
    }
}

/// As a service of tower's.
impl<Req: Send + 'static, Res: 'static> Service<Req> for Stage<Req, Res> {
    type Response = Res;
    type Error = Error;
    type Future = Answering<'static, Res>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let stage = self.clone();
        Box::pin(async move { stage.ask(request).await })
    }
}

/// A service of tower's as what a layer has below it.
#[cfg(test)]
#[derive(Clone)]
pub(crate) struct Tower<S>(pub(crate) S);

#[cfg(test)]
impl<S, Req, Res> Below<Req, Res> for Tower<S>
where
    S: Service<Req, Response = Res, Error = Error, Future: Send> + Clone + Send + Sync + 'static,
    Req: Send + 'static,
{
    fn ask(&self, request: Req) -> Answering<'_, Res> {
        // The very clone that is ready is the one that is called.
        Box::pin(tower::ServiceExt::oneshot(self.0.clone(), request))
    }
}
