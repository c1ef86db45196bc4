//! Time limits within a request. Nearly every request ends long before its limits, and a timer for each costs a
//! hundredth of a small request's CPU time. So the timer of the request's connection goes off for all of them.
//!
//! A connection polls its request each time that it is woken, so an [`Alarm`] only has to say when that must be at the
//! latest. What is polled in another way (in a task of its own, or in a set of futures that wakes each by itself) has
//! another waker: there an alarm has a timer of its own. Must never go off before its time, and must never rely on a
//! connection that would not poll it: so it is not for bodies of answers, which wait while nobody takes them.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

thread_local! {
    /// The connection that is being polled.
    static CONNECTION: Cell<Option<Listener>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Listener {
    /// Whose waker it has.
    waker: WakerId,
    /// The first of the times that were asked for.
    first: Option<Instant>,
}

type WakerId = (*const (), *const ());

fn id(waker: &Waker) -> WakerId {
    (waker.data(), std::ptr::from_ref(waker.vtable()).cast())
}

/// Polls a connection. Also returns by when it has to be polled again.
pub(crate) fn listen<T>(
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> T,
) -> (T, Option<Instant>) {
    /// However the poll ends, nobody listens after it.
    struct Deaf(Option<Listener>);

    impl Drop for Deaf {
        fn drop(&mut self) {
            CONNECTION.set(self.0);
        }
    }

    let listener = Listener { waker: id(cx.waker()), first: None };
    let _deaf = Deaf(CONNECTION.replace(Some(listener)));
    let polled = poll(cx);
    (polled, CONNECTION.get().and_then(|listener| listener.first))
}

/// Goes off at a time; see the module. The timer has a resolution of a millisecond, as all timers here.
#[derive(Debug)]
pub struct Alarm {
    at: Instant,
    /// Where no connection listens.
    own: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// An alarm that goes off at a time.
    pub fn at(at: Instant) -> Self {
        Alarm { at, own: None }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        // By the clock: a timer does not go off where its task has used up its turn.
        if Instant::now() >= at {
            return Poll::Ready(());
        }
        if let Some(own) = &mut self.own {
            return own.as_mut().poll(cx);
        }
        match CONNECTION.get() {
            Some(Listener { waker, first }) if waker == id(cx.waker()) => {
                let first = first.map_or(at, |first| first.min(at));
                CONNECTION.set(Some(Listener { waker, first: Some(first) }));
                Poll::Pending
            }
            _ => self.own.insert(Box::pin(sleep_until(at))).as_mut().poll(cx),
        }
    }
}

/// What a future gives, unless a time comes first; then `None`. The future is asked before the time.
pub fn within<F: Future + Unpin>(until: Instant, future: F) -> Within<F> {
    Within { future, alarm: Alarm::at(until) }
}

/// See [`within`].
#[derive(Debug)]
pub struct Within<F> {
    future: F,
    alarm: Alarm,
}

impl<F: Future + Unpin> Future for Within<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Some(output));
        }
        Pin::new(&mut self.alarm).poll(cx).map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::StreamExt;
    use futures_util::stream::FuturesUnordered;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A connection that polls `inner` when it is woken, and when it was told to.
    async fn connection<T>(inner: impl Future<Output = T>) -> (T, usize) {
        let (mut inner, mut timer) = (pin!(inner), pin!(sleep_until(Instant::now() + 60 * SECOND)));
        let mut polls = 0;
        poll_fn(|cx| {
            loop {
                polls += 1;
                let (polled, first) = listen(cx, |cx| inner.as_mut().poll(cx));
                if let Poll::Ready(output) = polled {
                    return Poll::Ready((output, polls));
                }
                if let Some(first) = first {
                    timer.as_mut().reset(first);
                }
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn the_timer_of_the_connection_goes_off_for_the_first_alarm() {
        let began = Instant::now();
        let mut kept = Alarm::at(began + 3 * SECOND);
        let both = async {
            let inner = within(began + SECOND, Box::pin(pending::<()>()));
            let outer = within(began + 2 * SECOND, Box::pin(inner)).await;
            assert_eq!((outer, began.elapsed()), (Some(None), SECOND));
            (&mut kept).await;
            began.elapsed()
        };
        assert_eq!(connection(both).await, (3 * SECOND, 3));
        assert!(kept.own.is_none());
        assert_eq!(within(began, Box::pin(async { 1 })).await, Some(1), "it is asked first");
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_connection_would_poll_it_an_alarm_has_its_own_timer() {
        let began = Instant::now();
        let mut alone = Alarm::at(began + SECOND);
        (&mut alone).await;
        assert!(alone.own.is_some());
        let in_a_set = async {
            let mut set: FuturesUnordered<_> =
                [2, 3].map(|seconds| Alarm::at(began + seconds * SECOND)).into_iter().collect();
            let mut ends = Vec::new();
            while set.next().await.is_some() {
                ends.push(began.elapsed());
            }
            ends
        };
        assert_eq!(connection(in_a_set).await.0, [2 * SECOND, 3 * SECOND]);
        let in_a_task = async {
            // Begun under the connection, and taken further elsewhere.
            let mut alarm = Alarm::at(began + 4 * SECOND);
            assert!(futures_util::poll!(&mut alarm).is_pending());
            assert!(alarm.own.is_none());
            tokio::spawn(alarm).await.unwrap();
            began.elapsed()
        };
        assert_eq!(connection(in_a_task).await.0, 4 * SECOND);
    }

    #[tokio::test]
    async fn after_a_poll_that_panicked_nobody_listens() {
        poll_fn(|cx| {
            let fallen = AssertUnwindSafe(|| listen(cx, |_| panic!("as it was told")));
            assert!(catch_unwind(fallen).is_err());
            assert!(CONNECTION.get().is_none());
            Poll::Ready(())
        })
        .await;
    }
}
