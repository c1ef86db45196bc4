//! `collect` and the ways to make a body, without sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use transport::body::{BodyError, collect, empty, full};

use crate::support::rope::rope;

const IDLE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn one_piece_is_returned_without_a_copy() {
    let piece = Bytes::from(vec![7; 1000]);
    let collected = collect(full(piece.clone()), 1000, IDLE).await.unwrap();
    assert_eq!(collected.as_ptr(), piece.as_ptr());
}

#[tokio::test]
async fn many_pieces_are_joined_in_order() {
    let body = rope(vec!["a".into(), "".into(), "bc".into(), "d".into()]);
    assert_eq!(body.size_hint().exact(), Some(4));
    assert_eq!(collect(body, 4, IDLE).await.unwrap(), "abcd");
}

#[tokio::test]
async fn no_pieces_are_an_empty_body() {
    for body in [empty(), rope(vec![]), rope(vec![Bytes::new()]), full("")] {
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
