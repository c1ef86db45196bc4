//! The activity of a connection, for its time limits. Must never be locked across an await.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::refusal::{Refusal, Rejection};
use super::{ServerLimits, Watch};
use crate::upgrade::Tunnel;

/// The protocol, whose rules apply to a connection's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Shared by a connection's stream, which sees bytes, its service, which sees requests, and its task,
/// which needs the deadline.
pub(super) struct Activity {
    protocol: Protocol,
    header_timeout: Duration,
    idle_timeout: Duration,
    watch: Watch,
    /// Why nothing more is read from this connection.
    refusal: OnceLock<Refusal>,
    is_switched: AtomicBool,
    state: Mutex<State>,
}

struct State {
    requests_open: usize,
    /// When the connection last became idle, or last wrote while idle.
    idle_since: Instant,
    /// When the current request head began.
    head_since: Option<Instant>,
    /// The tunnel to run after a switch of protocols.
    tunnel: Option<Tunnel>,
    /// The reader that waits until no request is open.
    reader: Option<Waker>,
}

impl Activity {
    /// `opened` is when the connection could first speak HTTP.
    pub(super) fn new(
        protocol: Protocol,
        limits: &ServerLimits,
        watch: Watch,
        opened: Instant,
    ) -> Self {
        let head_since = (protocol == Protocol::Http1).then_some(opened);
        Self {
            protocol,
            header_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            watch,
            refusal: OnceLock::new(),
            is_switched: AtomicBool::new(false),
            state: Mutex::new(State {
                requests_open: 0,
                idle_since: opened,
                head_since,
                tunnel: None,
                reader: None,
            }),
        }
    }

    /// When the wait of the connection becomes too long; `None` while a request is open.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        match (state.requests_open, state.head_since) {
            (0, Some(since)) => Some(since + self.header_timeout),
            (0, None) => Some(state.idle_since + self.idle_timeout),
            _ => None,
        }
    }

    /// Whether the connection is waiting for a request's head.
    pub(super) fn is_head_due(&self) -> bool {
        let state = self.state();
        state.requests_open == 0 && state.head_since.is_some()
    }

    /// Stops reading and answers with a refusal. Only the first refusal counts.
    pub(super) fn refuse(&self, refusal: Refusal) {
        if self.refusal.set(refusal).is_ok() {
            self.rejected(Rejection::Refused(refusal));
        }
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    pub(super) fn rejected(&self, rejection: Rejection) {
        if let Some(watcher) = &self.watch {
            watcher.rejected(rejection);
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// On HTTP/1, bytes between two requests begin a head. On HTTP/2 they may be a ping.
    pub(super) fn bytes_read(&self) {
        let mut state = self.state();
        if self.protocol == Protocol::Http1 && state.requests_open == 0 {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// On HTTP/1, bytes written after the end of a request are the rest of its answer. On HTTP/2
    /// they may be a ping, which must not keep a connection alive.
    pub(super) fn bytes_written(&self) {
        let mut state = self.state();
        if self.protocol == Protocol::Http1 && state.requests_open == 0 {
            state.idle_since = Instant::now();
        }
    }

    /// Marks a request as open until the returned guard is dropped.
    pub(super) fn open_request(self: &Arc<Self>) -> OpenRequest {
        let mut state = self.state();
        state.requests_open += 1;
        state.head_since = None;
        drop(state);
        OpenRequest(Arc::clone(self))
    }

    /// Ready when no request is open any more.
    pub(super) fn poll_answered(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.requests_open == 0 {
            return Poll::Ready(());
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Stores the tunnel to run after the connection has switched protocols.
    pub(super) fn put_tunnel(&self, tunnel: Tunnel) {
        self.state().tunnel = Some(tunnel);
        self.is_switched.store(true, Ordering::Relaxed);
    }

    /// Whether the connection has switched protocols, or is about to.
    pub(super) fn is_switched(&self) -> bool {
        self.is_switched.load(Ordering::Relaxed)
    }

    pub(super) fn take_tunnel(&self) -> Option<Tunnel> {
        self.state().tunnel.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request whose body or answer is not finished.
pub(super) struct OpenRequest(Arc<Activity>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.requests_open -= 1;
        state.idle_since = Instant::now();
        if state.requests_open == 0
            && let Some(reader) = state.reader.take()
        {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn activity(protocol: Protocol) -> (Arc<Activity>, Instant) {
        let opened = Instant::now();
        (Arc::new(Activity::new(protocol, &ServerLimits::default(), None, opened)), opened)
    }

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);
    const STEP: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn http1_has_the_header_time_for_a_head_and_the_idle_time_between_requests() {
        let (activity, opened) = activity(Protocol::Http1);
        assert_eq!(activity.deadline(), Some(opened + HEADER), "a first head is due");

        let request = activity.open_request();
        assert_eq!(activity.deadline(), None, "a request is open");

        tokio::time::advance(STEP).await;
        drop(request);
        assert_eq!(activity.deadline(), Some(opened + STEP + IDLE), "idle");

        tokio::time::advance(STEP).await;
        activity.bytes_written();
        assert_eq!(activity.deadline(), Some(opened + 2 * STEP + IDLE), "the answer still flows");

        tokio::time::advance(STEP).await;
        activity.bytes_read();
        tokio::time::advance(STEP).await;
        activity.bytes_read();
        assert_eq!(activity.deadline(), Some(opened + 3 * STEP + HEADER), "a second head began");
    }

    #[tokio::test(start_paused = true)]
    async fn pings_do_not_keep_http2_alive() {
        let (activity, opened) = activity(Protocol::Http2);
        tokio::time::advance(STEP).await;
        activity.bytes_read();
        activity.bytes_written();
        assert_eq!(activity.deadline(), Some(opened + IDLE));
    }
}
