//! Which request a thread works for, so that every line of the log can say so. A text of the thread that is set while
//! a future is polled costs far less than a span. Must never outlive the poll or the call that it is set for.

use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

thread_local! {
    static ID: Cell<Option<Arc<str>>> = const { Cell::new(None) };
}

/// The id of the request that this thread works for; `None` where it works for none.
pub fn current() -> Option<Arc<str>> {
    let id = ID.take();
    ID.set(id.clone());
    id
}

/// Does it on behalf of the request with this id.
pub fn on_behalf<T>(mut id: Option<Arc<str>>, work: impl FnOnce() -> T) -> T {
    let _entered = Entered::new(&mut id);
    work()
}

/// The work, on behalf of the request with this id wherever it is polled, and where it is dropped.
pub fn working<F: Future + Unpin>(id: Option<Arc<str>>, work: F) -> Working<F> {
    Working { id, work: Some(work) }
}

/// The work, on behalf of the request that this thread works for now: for a task of its own.
pub fn of_the_same<F: Future + Unpin>(work: F) -> Working<F> {
    working(current(), work)
}

/// A future that works for a request.
#[derive(Debug)]
pub struct Working<F> {
    id: Option<Arc<str>>,
    /// There until it is dropped.
    work: Option<F>,
}

impl<F: Future + Unpin> Future for Working<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Working { id, work } = &mut *self;
        let _entered = Entered::new(id);
        match work {
            Some(work) => Pin::new(work).poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<F> Drop for Working<F> {
    fn drop(&mut self) {
        let _entered = Entered::new(&mut self.id);
        self.work = None;
    }
}

/// The thread's id is another one until this is dropped.
struct Entered<'a>(&'a mut Option<Arc<str>>);

impl<'a> Entered<'a> {
    fn new(id: &'a mut Option<Arc<str>>) -> Self {
        *id = ID.replace(id.take());
        Entered(id)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        *self.0 = ID.replace(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use futures_util::FutureExt;

    use super::*;

    fn id(text: &str) -> Option<Arc<str>> {
        Some(Arc::from(text))
    }

    #[tokio::test]
    async fn a_request_is_known_while_its_work_is_polled_and_dropped_and_no_longer() {
        let inner = poll_fn(|_| Poll::Ready(current()));
        let both = async {
            let before = current();
            tokio::task::yield_now().await;
            (before, working(id("b"), inner).await, current())
        };
        let found = working(id("a"), both.boxed()).await;
        assert_eq!((found, current()), ((id("a"), id("b"), id("a")), None));

        let spawned =
            async { tokio::spawn(of_the_same(async { current() }.boxed())).await.unwrap() };
        assert_eq!(working(id("c"), spawned.boxed()).await, id("c"));

        struct AtDrop<'a>(&'a mut Option<Arc<str>>);
        impl Drop for AtDrop<'_> {
            fn drop(&mut self) {
                *self.0 = current();
            }
        }
        let mut seen = None;
        let at_drop = AtDrop(&mut seen);
        let work = async move {
            let _at_drop = at_drop;
            pending::<()>().await;
        };
        drop(working(id("d"), work.boxed()));
        assert_eq!((seen, current()), (id("d"), None));
    }

    #[test]
    fn a_panic_leaves_no_id_behind() {
        let fallen = AssertUnwindSafe(|| on_behalf(id("a"), || panic!("as it was told")));
        assert!(catch_unwind(fallen).is_err());
        assert_eq!(current(), None);
    }
}
