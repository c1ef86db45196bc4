//! `collect` and the ways to make a body, without sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Interval, interval};
use transport::body::{BodyError, Pace, TimedBody, collect, empty, full, pieces};

const IDLE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn one_piece_is_returned_without_a_copy() {
    let piece = Bytes::from(vec![7; 1000]);
    let collected = collect(full(piece.clone()), 1000, IDLE).await.unwrap();
    assert_eq!(collected.as_ptr(), piece.as_ptr());
}

#[tokio::test]
async fn many_pieces_are_joined_in_order() {
    let body = pieces(vec!["a".into(), "".into(), "bc".into(), "d".into()]);
    assert_eq!(body.size_hint().exact(), Some(4));
    assert_eq!(collect(body, 4, IDLE).await.unwrap(), "abcd");
}

#[tokio::test]
async fn no_pieces_are_an_empty_body() {
    for body in [empty(), pieces(vec![]), pieces(vec![Bytes::new()]), full("")] {
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
        assert_eq!(collect(body, 0, IDLE).await.unwrap(), "");
    }
}

#[tokio::test]
async fn a_declared_length_above_the_limit_is_refused_unread() {
    let mut body = Unending { polls: 0, declared: 11 };
    let result = collect(Pin::new(&mut body), 10, IDLE).await;
    assert_eq!(result, Err(BodyError::TooLarge { bytes_max: 10 }));
    assert_eq!(body.polls, 0);
}

#[tokio::test]
async fn an_endless_body_is_read_only_to_the_limit() {
    let mut body = Unending { polls: 0, declared: 0 };
    let result = collect(Pin::new(&mut body), 10, IDLE).await;
    assert_eq!(result, Err(BodyError::TooLarge { bytes_max: 10 }));
    assert_eq!(body.polls, 3, "pieces of four bytes");
}

#[tokio::test(start_paused = true)]
async fn silence_between_pieces_is_idle() {
    let result = collect(Silent, 10, IDLE).await;
    assert_eq!(result, Err(BodyError::Idle { after: IDLE }));
}

/// How a body ends that has so many pieces of so many bytes, one for each so many seconds.
async fn paced(pieces: usize, bytes: usize, seconds: u64) -> Result<usize, BodyError> {
    let pace = Pace { bytes_per_second_min: 100, window: Duration::from_secs(20) };
    let body = Drip { pieces, bytes, timer: interval(Duration::from_secs(seconds)) };
    let body = TimedBody::new(body, Duration::from_secs(60)).paced(Some(pace));
    let read = collect(body, usize::MAX, Duration::from_secs(100)).await;
    read.map(|read| read.len())
}

#[tokio::test(start_paused = true)]
async fn n12_a_body_that_comes_too_slowly_ends_and_others_do_not() {
    let slow = Err(BodyError::Slow { bytes_per_second_min: 100 });
    assert_eq!(paced(200, 1, 1).await, slow, "a byte a second");
    assert_eq!(paced(200, 99, 1).await, slow);
    assert_eq!(paced(200, 101, 1).await, Ok(200 * 101));
    assert_eq!(paced(19, 1, 1).await, Ok(19), "it has ended before anything was counted");
    assert_eq!(paced(3, 1, 50).await, Ok(3), "long silences count for little");
    assert_eq!(paced(20, 1, 50).await, slow, "but they count");
    assert_eq!(paced(20, 600, 50).await, Ok(12_000));
}

#[tokio::test(start_paused = true)]
async fn n12_only_time_counts_in_which_the_reader_waits_for_the_body() {
    let pace = Pace { bytes_per_second_min: 100, window: Duration::from_secs(20) };
    let body = Drip { pieces: 100, bytes: 1, timer: interval(Duration::from_millis(1)) };
    let mut body = TimedBody::new(body, IDLE).paced(Some(pace));
    let mut read = 0;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        read += frame.unwrap().into_data().unwrap().len();
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(read, 100);
}

/// Pieces of some bytes, from time to time.
struct Drip {
    pieces: usize,
    bytes: usize,
    timer: Interval,
}

impl http_body::Body for Drip {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.pieces == 0 {
            return Poll::Ready(None);
        }
        std::task::ready!(self.timer.poll_tick(cx));
        self.pieces -= 1;
        Poll::Ready(Some(Ok(Frame::data(vec![7; self.bytes].into()))))
    }
}

/// Endless pieces of four bytes.
struct Unending {
    polls: usize,
    declared: u64,
}

impl http_body::Body for Unending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.polls += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"more")))))
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.declared);
        hint
    }
}

struct Silent;

impl http_body::Body for Silent {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Pending
    }
}
