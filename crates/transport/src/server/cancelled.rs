//! Waits for a token beside other work. Asking whether the token is cancelled costs less than polling the token's own
//! future again, which need not be: the token keeps the waker of the first poll. Must never wait without a waker there.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The wait for one token, polled by one task.
pub(super) struct Cancelled<'a> {
    token: &'a CancellationToken,
    wait: Pin<Box<WaitForCancellationFuture<'a>>>,
    /// Whom the token wakes.
    noted: Option<Waker>,
}

impl<'a> Cancelled<'a> {
    pub(super) fn new(token: &'a CancellationToken) -> Self {
        Cancelled { token, wait: Box::pin(token.cancelled()), noted: None }
    }

    /// Ready when the token is cancelled; must not be polled after that.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_noted = self.noted.as_ref().is_some_and(|noted| noted.will_wake(cx.waker()));
        if is_noted && !self.token.is_cancelled() {
            return Poll::Pending;
        }
        self.noted = Some(cx.waker().clone());
        self.wait.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn cancelling_wakes_the_task_that_polled_last() {
        let token = CancellationToken::new();
        let mut cancelled = Cancelled::new(&token);
        let mut nobody = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(cancelled.poll(&mut nobody).is_pending());
        }
        let told = tokio::spawn({
            let token = token.clone();
            async move {
                yield_now().await;
                token.cancel();
            }
        });
        let mut polls = 0;
        let waiting = poll_fn(|cx| {
            polls += 1;
            cancelled.poll(cx)
        });
        tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await.unwrap();
        told.await.unwrap();
        assert_eq!(polls, 2, "once before and once after");
    }
}
