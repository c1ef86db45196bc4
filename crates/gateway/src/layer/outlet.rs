//! Where the rows of a streamed list go while it is read: to a client that takes them as they come. Must never
//! hold more than a few pieces, nor end an answer that nobody said is whole.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use transport::body::{self, Body, BodyError};

use crate::error::Error;

/// Pieces that wait for the client. Beyond them the list waits.
const PIECES_MAX: usize = 4;

/// How long a caller's lists are buffered after one that cannot be sent while it is read.
const BUFFERED_FOR: Duration = Duration::from_secs(600);

/// What a caller's last large lists tell of the next one.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    has_streamed: AtomicBool,
    buffered_until: Mutex<Option<Instant>>,
}

impl Streams {
    /// Whether the last one was sent while it was read.
    pub(crate) fn has_streamed(&self) -> bool {
        self.has_streamed.load(Ordering::Relaxed)
    }

    /// One is being sent.
    pub(crate) fn note_begun(&self) {
        self.has_streamed.store(true, Ordering::Relaxed);
    }

    /// One was not begun: as a rule because it has become short.
    pub(crate) fn note_short(&self) {
        self.has_streamed.store(false, Ordering::Relaxed);
    }

    /// One cannot be sent, or was no list in the end: it would be cut each time.
    pub(crate) fn buffer(&self) {
        self.has_streamed.store(false, Ordering::Relaxed);
        *self.until() = Some(Instant::now() + BUFFERED_FOR);
    }

    /// Whether lists are buffered for now.
    pub(crate) fn are_buffered(&self) -> bool {
        self.until().is_some_and(|until| Instant::now() < until)
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        // Plain data, valid after any panic.
        self.buffered_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a list whose answer would be larger than may be buffered.
#[derive(Debug, Clone)]
pub(crate) enum Oversize {
    /// It is not read on: [`Error::Oversize`].
    Refused { bytes_max: u64 },
    /// Its rows go there while it is read.
    Streamed(Arc<Outlet>),
}

enum Piece {
    Rows(Bytes),
    End,
}

/// See the module. An outlet that is dropped before [`Outlet::end`] breaks the answer off.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// A list whose answer is no larger is not streamed.
    pub(crate) bytes_max: u64,
    /// What stands before the records, and who waits for it; `None` behind the beginning.
    begun: Mutex<Option<(Bytes, oneshot::Sender<()>)>>,
    has_rows: AtomicBool,
    /// Whether the list is one that cannot be sent while it is read.
    is_unfit: AtomicBool,
    pieces: mpsc::Sender<Piece>,
}

/// The other end of an outlet.
pub(crate) struct Taken {
    /// Ends when the head of the answer may be sent, or with an error if there will be none.
    pub(crate) begun: oneshot::Receiver<()>,
    pub(crate) body: Body,
}

/// The client takes no more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left;

impl From<Left> for Error {
    fn from(_: Left) -> Self {
        // Nobody reads it.
        Error::Deadline
    }
}

impl Outlet {
    pub(crate) fn new(open: Bytes, bytes_max: u64) -> (Arc<Self>, Taken) {
        let (begun, has_begun) = oneshot::channel();
        let (pieces, taken) = mpsc::channel(PIECES_MAX);
        let outlet = Outlet {
            bytes_max,
            begun: Mutex::new(Some((open, begun))),
            has_rows: AtomicBool::new(false),
            is_unfit: AtomicBool::new(false),
            pieces,
        };
        let body = body::boxed(Streamed { pieces: Some(taken), is_whole: false });
        (Arc::new(outlet), Taken { begun: has_begun, body })
    }

    /// The first rows are there: the answer's head can go.
    pub(crate) fn begin(&self) {
        if let Some((open, begun)) = self.beginning().take() {
            // Nothing was put before it, so there is room; and the client may have left.
            let _ = (self.pieces.try_send(Piece::Rows(open)), begun.send(()));
        }
    }

    /// The list cannot be sent while it is read, however large it is.
    pub(crate) fn refuse(&self) {
        self.is_unfit.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::refuse`] was called.
    pub(crate) fn is_unfit(&self) -> bool {
        self.is_unfit.load(Ordering::Relaxed)
    }

    /// Whether the client was told that there is an answer.
    pub(crate) fn has_begun(&self) -> bool {
        self.beginning().is_none()
    }

    fn beginning(&self) -> MutexGuard<'_, Option<(Bytes, oneshot::Sender<()>)>> {
        // Plain data, valid after any panic.
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the client has taken enough for another piece.
    pub(crate) async fn room(&self) -> Result<Room<'_>, Left> {
        let permit = self.pieces.reserve().await.map_err(|_| Left)?;
        Ok(Room { permit, has_rows: &self.has_rows })
    }

    /// Waits until the client takes no more.
    pub(crate) async fn left(&self) {
        self.pieces.closed().await;
    }

    /// Whether the client takes no more.
    pub(crate) fn has_left(&self) -> bool {
        self.pieces.is_closed()
    }

    /// The list is whole: what stands behind its records, and the end of the answer.
    pub(crate) async fn end(&self, close: Bytes) -> Result<(), Left> {
        self.begin();
        self.pieces.send(Piece::Rows(close)).await.map_err(|_| Left)?;
        self.pieces.send(Piece::End).await.map_err(|_| Left)
    }
}

/// Room for one piece.
pub(crate) struct Room<'a> {
    permit: mpsc::Permit<'a, Piece>,
    has_rows: &'a AtomicBool,
}

impl Room<'_> {
    /// Gives rows to the client, behind [`Outlet::begin`]. Each row begins with a comma.
    pub(crate) fn put(self, rows: Bytes) {
        if rows.is_empty() {
            return;
        }
        // The first one of all needs none.
        let is_first = !self.has_rows.swap(true, Ordering::Relaxed);
        self.permit.send(Piece::Rows(rows.slice(usize::from(is_first)..)));
    }
}

/// The body of a streamed answer. Its length is unknown.
struct Streamed {
    /// `None` behind the last piece.
    pieces: Option<mpsc::Receiver<Piece>>,
    /// Whether the list was said to be whole.
    is_whole: bool,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let piece = std::task::ready!(pieces.poll_recv(cx));
        if let Some(Piece::Rows(rows)) = piece {
            return Poll::Ready(Some(Ok(Frame::data(rows))));
        }
        self.pieces = None;
        // Nothing more comes, although nobody said that the list is whole: the connection breaks off.
        self.is_whole = matches!(piece, Some(Piece::End));
        Poll::Ready((!self.is_whole).then_some(Err(BodyError::Truncated)))
    }

    fn is_end_stream(&self) -> bool {
        self.is_whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(body: Body) -> Result<String, BodyError> {
        let bytes = body::collect(body, 1000, Duration::from_secs(60)).await?;
        Ok(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_answer_ends_only_when_the_list_is_said_to_be_whole() {
        for (rows, is_whole, expected) in [
            (&[",1,2", "", ",3"][..], true, Ok("[1,2,3]")),
            (&[], true, Ok("[]")),
            (&["", ",1"], false, Err(BodyError::Truncated)),
            (&[], false, Err(BodyError::Truncated)),
        ] {
            let (outlet, Taken { begun, body }) = Outlet::new(Bytes::from_static(b"["), 0);
            assert!(!outlet.has_begun());
            outlet.begin();
            assert!(outlet.has_begun() && begun.await.is_ok());
            let put = async {
                for rows in rows {
                    outlet.room().await.unwrap().put(Bytes::from(*rows));
                }
                if is_whole {
                    outlet.end(Bytes::from_static(b"]")).await.unwrap();
                }
                drop(outlet);
            };
            let (text, ()) = tokio::join!(text(body), put);
            assert_eq!(text.as_deref(), expected.as_deref(), "{rows:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_waits_for_a_client_that_takes_nothing_and_hears_when_it_leaves() {
        let (outlet, taken) = Outlet::new(Bytes::from_static(b"["), 0);
        outlet.begin();
        let mut put = 0;
        let wait = Duration::from_secs(600);
        while let Ok(room) = tokio::time::timeout(wait, outlet.room()).await {
            room.unwrap().put(Bytes::from_static(b",1"));
            put += 1;
        }
        assert!(put <= PIECES_MAX, "{put} pieces");
        assert!(!outlet.has_left());
        drop(taken);
        outlet.left().await;
        assert!(outlet.has_left() && outlet.room().await.is_err());
    }
}
