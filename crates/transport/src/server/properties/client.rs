//! A client in memory: it says its pieces, one for each read, and then nothing. Must never wait for anything real:
//! time is paused, so that every limit of a connection is over at once.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::super::{Refusal, Rejection, ServerLimits, Shared, Watcher, connection};
use crate::body::{Body, empty};

/// No client can make a connection last longer.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The client's end of a connection.
pub(super) struct Client {
    pieces: VecDeque<Bytes>,
    /// How many bytes were taken from it.
    pub(super) taken: Arc<AtomicUsize>,
}

impl Client {
    pub(super) fn saying(pieces: &[&[u8]]) -> Client {
        let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
        Client { pieces, taken: Arc::default() }
    }
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(piece) = self.pieces.front_mut() else { return Poll::Pending };
        let length = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece.split_to(length));
        if !piece.has_remaining() {
            self.pieces.pop_front();
        }
        self.taken.fetch_add(length, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request that reached the service.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) length: Option<u64>,
    pub(super) refusal: Option<Refusal>,
    /// How many bytes the body had, once it had come whole.
    pub(super) body: Option<u64>,
}

struct Anyone;

impl Watcher for Anyone {
    fn is_exempt(&self, _: IpAddr) -> bool {
        true
    }
    fn rejected(&self, _: Rejection) {}
    fn accept_failed(&self, _: &'static str) {}
    fn connection(&self, _: bool) {}
}

/// Serves a client to the end of its connection: the requests that came, in order.
pub(super) fn serve(pieces: &[&[u8]]) -> Vec<Seen> {
    let all = Arc::<Mutex<Vec<Seen>>>::default();
    let service = {
        let all = Arc::clone(&all);
        tower::service_fn(move |request: Request<Body>| answer(request, Arc::clone(&all)))
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let Ok(runtime) = runtime else { return Vec::new() };
    let client = Client::saying(pieces);
    let is_over = runtime.block_on(async move {
        let shared = Shared {
            limits: Arc::new(ServerLimits::default()),
            tls: None,
            watch: Some(Arc::new(Anyone)),
            finish: CancellationToken::new(),
        };
        tokio::time::timeout(DAY, connection::run_plain(client, shared, service)).await
    });
    assert!(is_over.is_ok(), "a connection without an end");
    std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Reads the whole body, and answers.
async fn answer(
    request: Request<Body>,
    all: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let (parts, mut body) = request.into_parts();
    let length = parts.headers.get(http::header::CONTENT_LENGTH);
    let number = {
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Seen {
            method: parts.method.to_string(),
            target: parts.uri.to_string(),
            length: length.and_then(|length| length.to_str().ok()?.parse().ok()),
            refusal: parts.extensions.get().copied(),
            body: None,
        });
        all.len() - 1
    };
    let mut bytes = 0;
    let mut answer = Response::new(empty());
    loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => {
                *answer.status_mut() = http::StatusCode::BAD_REQUEST;
                return Ok(answer);
            }
            None => break,
        }
    }
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(seen) = all.get_mut(number) {
        seen.body = Some(bytes);
    }
    Ok(answer)
}
