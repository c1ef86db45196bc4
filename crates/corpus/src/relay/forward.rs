//! One request through the relay: to the upstream, into memory, or into a recording.
//!
//! Passes on method, path, query, headers and body, but no header that is about one connection. Must
//! never follow a redirect, never send anything twice, and never tell a recorder of a credential.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use rand::RngExt;
use tower::ServiceExt;
use transport::body::{self, Body};

use super::call::{Call, Source};
use super::cut::cut;
use super::memory::{Kept, Key};
use super::{
    AskFailure, Behind, CALLS_MAX, Door, Exchange, Replies, SHAPES_MAX, Seen, Shared, Upstream,
    count, lock,
};
use crate::ask::Reply;

/// What is answered to a request that a recording has no answer for. No API in reach answers it, a
/// gateway repeats none of the 400s and takes none but 404 for "there is none", so it fails at once.
const NOT_RECORDED: StatusCode = StatusCode::MISDIRECTED_REQUEST;
/// Headers of an answer that mean something to whoever reads a recording.
const RECORDED: [HeaderName; 2] = [CONTENT_TYPE, RETRY_AFTER];
/// The life of a made-up token, as real ones have it.
const TOKEN_SECONDS: u32 = 7200;

/// A request that has come whole.
struct Come {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Shared {
    /// The answer to one request; a cut connection where there is none.
    pub(super) async fn respond(
        self: Arc<Self>,
        door: Door,
        request: Request<Body>,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let Some(target) = self.prefix.taken_off(target) else { return self.no_answer() };
        let settings = &self.settings;
        let body = body::collect(body, settings.body_bytes_max, settings.idle).await;
        let Ok(body) = body else { return self.no_answer() };
        let come = Come { method: head.method, target, headers: head.headers, body };
        let mut noted = Noted::new(&self, door, &come);
        let (source, kept) = match (&self.behind, door) {
            (Behind::Live(upstream), Door::Token) => {
                (Source::Token, self.token(upstream, &come).await)
            }
            (Behind::Live(upstream), Door::Api) => self.api(upstream, &come).await,
            (Behind::Replay { .. }, Door::Token) => (Source::Token, Some(made_up_token())),
            (Behind::Replay { replies, .. }, Door::Api) => self.replay(replies, &come).await,
        };
        noted.call.source = source;
        noted.call.status = kept.as_ref().map(|kept| kept.status.as_u16());
        match kept {
            Some(kept) => kept.into_response(),
            None => self.no_answer(),
        }
    }

    /// A question of our own.
    pub(super) async fn ask(&self, target: &str) -> Result<Reply, AskFailure> {
        let upstream = match &self.behind {
            Behind::Live(upstream) => upstream,
            Behind::Replay { replies, .. } => {
                let (replies, target) = (Arc::clone(replies), target.to_owned());
                let read = tokio::task::spawn_blocking(move || replies.reply("GET", &target)).await;
                let read = read.map_err(|_| AskFailure::Unreadable)?;
                return read.map_err(|_| AskFailure::Unreadable)?.ok_or(AskFailure::NotRecorded);
            }
        };
        let seen = lock(&self.seen).clone().ok_or(AskFailure::NoCredential)?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, seen.authorization);
        headers.extend(seen.accept.map(|accept| (ACCEPT, accept)));
        let target = target.to_owned();
        let come = Come { method: Method::GET, target, headers, body: Bytes::new() };
        let kept =
            self.send(upstream, &format!("{}{}", upstream.base_url, come.target), &come).await?;
        self.record(&come, &kept).await;
        Ok(kept.as_reply())
    }

    /// A request for data: from memory if it may be, else from the upstream.
    async fn api(&self, upstream: &Upstream, come: &Come) -> (Source, Option<Kept>) {
        let key = self.key(come);
        if self.answers_from_memory.load(Ordering::Relaxed)
            && let Some(kept) = key.and_then(|key| lock(&self.memory).get(&key))
        {
            // Only whom the upstream answered is answered from memory.
            self.note_credential(come);
            return (Source::Memory, Some(kept));
        }
        let sent =
            self.send(upstream, &format!("{}{}", upstream.base_url, come.target), come).await;
        let Ok(kept) = sent else { return (Source::Upstream, None) };
        if !matches!(kept.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.note_credential(come);
        }
        self.record(come, &kept).await;
        if let Some(key) = key
            && matches!(kept.status, StatusCode::OK | StatusCode::NOT_FOUND)
        {
            lock(&self.memory).put(key, kept.clone());
        }
        (Source::Upstream, Some(kept))
    }

    async fn replay(&self, replies: &Arc<dyn Replies>, come: &Come) -> (Source, Option<Kept>) {
        let replies = Arc::clone(replies);
        let (method, target) = (come.method.to_string(), come.target.clone());
        let read = tokio::task::spawn_blocking(move || replies.reply(&method, &target)).await;
        match read {
            Ok(Ok(Some(reply))) => (Source::Recording, Some(Kept::from(reply))),
            Ok(Ok(None)) => (Source::Missing, Some(not_recorded())),
            Ok(Err(_)) | Err(_) => (Source::Recording, None),
        }
    }

    async fn token(&self, upstream: &Upstream, come: &Come) -> Option<Kept> {
        let url = upstream.token_url.as_deref()?;
        let kept = self.send(upstream, url, come).await.ok()?;
        if kept.status == StatusCode::OK {
            let authorization = come.headers.get(AUTHORIZATION);
            lock(&self.identities).note(authorization, &come.body, &kept.body);
        }
        Some(kept)
    }

    async fn send(&self, upstream: &Upstream, url: &str, come: &Come) -> Result<Kept, AskFailure> {
        count(&self.tally.sent);
        let mut request = Request::builder().method(come.method.clone()).uri(url);
        if let Some(headers) = request.headers_mut() {
            *headers = end_to_end(&come.headers);
        }
        let request = request.body(come.body.clone()).map_err(|_| AskFailure::BadTarget)?;
        let answer = upstream.client.clone().oneshot(request).await?;
        let (head, body) = answer.into_parts();
        let settings = &self.settings;
        let body = body::collect(body, settings.body_bytes_max, settings.idle).await?;
        Ok(Kept { status: head.status, headers: end_to_end(&head.headers), body })
    }

    /// Tells the recorder, on a thread that may wait; the answer waits for it, so that no more is held
    /// than is in flight.
    async fn record(&self, come: &Come, kept: &Kept) {
        let Some(recorder) = self.settings.recorder.clone() else { return };
        let exchange = Exchange {
            method: come.method.to_string(),
            target: come.target.clone(),
            reply: kept.as_reply(),
        };
        // Only a runtime that ends drops it.
        let _ = tokio::task::spawn_blocking(move || recorder.record(&exchange)).await;
    }

    /// Under what an answer is kept; `None` where none is.
    fn key(&self, come: &Come) -> Option<Key> {
        let is_kept = self.settings.memory_bytes_max > 0 && come.method == Method::GET;
        is_kept.then(|| lock(&self.identities).key(&come.headers, &come.target))
    }

    /// Remembers a credential that the upstream took.
    fn note_credential(&self, come: &Come) {
        if let Some(authorization) = come.headers.get(AUTHORIZATION) {
            let mut authorization = authorization.clone();
            authorization.set_sensitive(true);
            let accept = come.headers.get(ACCEPT).cloned();
            *lock(&self.seen) = Some(Seen { authorization, accept });
        }
    }

    fn no_answer(&self) -> Response<Body> {
        count(&self.tally.cut);
        cut()
    }
}

/// A call that is told of when it is over, also where the gateway did not wait for its answer.
struct Noted {
    shared: Arc<Shared>,
    call: Call,
}

impl Noted {
    fn new(shared: &Arc<Shared>, door: Door, come: &Come) -> Noted {
        let request_id = come.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let (source, target) = match door {
            Door::Token => (Source::Token, String::new()),
            Door::Api => (Source::Upstream, come.target.clone()),
        };
        let method = come.method.to_string();
        let request_id = request_id.map(str::to_owned);
        let call = Call { method, target, status: None, source, request_id };
        Noted { shared: Arc::clone(shared), call }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let tally = &self.shared.tally;
        match self.call.source {
            Source::Memory => count(&tally.from_memory),
            Source::Recording => count(&tally.from_recording),
            Source::Missing => {
                count(&tally.missing);
                let mut missing = lock(&self.shared.missing);
                let shape = self.call.shape();
                if missing.len() < SHAPES_MAX || missing.contains_key(&shape) {
                    *missing.entry(shape).or_default() += 1;
                }
            }
            Source::Upstream | Source::Token => {}
        }
        let mut calls = lock(&self.shared.calls);
        if calls.len() < CALLS_MAX {
            calls.push(self.call.clone());
        } else {
            count(&tally.forgotten);
        }
    }
}

impl Kept {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(body::full(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    fn as_reply(&self) -> Reply {
        let header = |name: HeaderName| {
            let value = self.headers.get(&name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        };
        let headers = RECORDED.into_iter().filter_map(header).collect();
        Reply { status: self.status.as_u16(), headers, body: self.body.clone() }
    }
}

impl From<Reply> for Kept {
    fn from(reply: Reply) -> Kept {
        let pairs = reply.headers.iter().filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        });
        let headers = pairs.collect();
        let status = StatusCode::from_u16(reply.status).unwrap_or(NOT_RECORDED);
        Kept { status, headers, body: reply.body }
    }
}

/// Headers without those of one connection; the length is told anew by whoever sends.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> = named
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut kept = headers.clone();
    let own = [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in own.iter().chain(&named) {
        kept.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"] {
        kept.remove(name);
    }
    kept
}

fn json(status: StatusCode, body: String) -> Kept {
    let kind = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
    Kept { status, headers, body: Bytes::from(body) }
}

fn not_recorded() -> Kept {
    json(NOT_RECORDED, r#"{"error":"not in the recording"}"#.to_owned())
}

/// A token that nobody granted; the recording asks for none.
fn made_up_token() -> Kept {
    let number: u128 = rand::rng().random();
    let token = format!("replayed-{number:032x}");
    json(
        StatusCode::OK,
        format!(
            r#"{{"token_type":"bearer","access_token":"{token}","expires_in":{TOKEN_SECONDS}}}"#
        ),
    )
}
