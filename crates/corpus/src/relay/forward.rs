//! One request through the relay: to the upstream, into memory, or into a recording.
//!
//! It passes on method, path, query, headers and body, but no header that is about one connection. It
//! must never follow a redirect, send anything twice, or give a credential to a recorder.

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
use super::memory::{Answer, Key};
use super::{
    Accepted, AskFailure, Behind, CALLS_MAX, Door, Exchange, Replies, SHAPES_MAX, Shared, Upstream,
    lock,
};
use crate::ask::Reply;

/// The status of a request without an answer in the recording. Neither vendor uses it. A gateway repeats
/// no status of the 400s, and only 404 means "not there" to it, so the legacy request fails at once.
const NOT_RECORDED: StatusCode = StatusCode::MISDIRECTED_REQUEST;
/// The headers of an answer that a recording needs.
const RECORDED: [HeaderName; 2] = [CONTENT_TYPE, RETRY_AFTER];
/// The lifetime of a made-up token, the same as that of a real one.
const TOKEN_SECONDS: u32 = 7200;

struct WholeRequest {
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
        let incoming = WholeRequest { method: head.method, target, headers: head.headers, body };
        let mut noted = CallOnDrop::new(&self, door, &incoming);
        let (source, answer) = match (&self.behind, door) {
            (Behind::Live(upstream), Door::Token) => {
                (Source::Token, self.token(upstream, &incoming).await)
            }
            (Behind::Live(upstream), Door::Api) => self.api(upstream, &incoming).await,
            (Behind::Replay { .. }, Door::Token) => (Source::Token, Some(made_up_token())),
            (Behind::Replay { replies, .. }, Door::Api) => {
                match recorded(replies, incoming.method.clone(), incoming.target.clone()).await {
                    Some(Some(reply)) => (Source::Recording, Some(Answer::from(reply))),
                    Some(None) => (Source::Missing, Some(not_recorded())),
                    None => (Source::Recording, None),
                }
            }
        };
        noted.call.source = source;
        noted.call.status = answer.as_ref().map(|answer| answer.status.as_u16());
        match answer {
            Some(answer) => answer.into_response(),
            None => self.no_answer(),
        }
    }

    pub(super) async fn ask(&self, target: &str) -> Result<Reply, AskFailure> {
        let upstream = match &self.behind {
            Behind::Live(upstream) => upstream,
            Behind::Replay { replies, .. } => {
                let read = recorded(replies, Method::GET, target.to_owned()).await;
                return read.ok_or(AskFailure::Unreadable)?.ok_or(AskFailure::NotRecorded);
            }
        };
        let accepted = lock(&self.accepted).clone().ok_or(AskFailure::NoCredential)?;
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, accepted.authorization);
        headers.extend(accepted.accept.map(|accept| (ACCEPT, accept)));
        let target = target.to_owned();
        let incoming = WholeRequest { method: Method::GET, target, headers, body: Bytes::new() };
        let answer = self.send(upstream, &upstream.url(&incoming.target), &incoming).await?;
        self.record(&incoming, &answer).await;
        Ok(answer.as_reply())
    }

    /// A request for data: from memory if it may be, else from the upstream.
    async fn api(&self, upstream: &Upstream, incoming: &WholeRequest) -> (Source, Option<Answer>) {
        let key = self.key(incoming);
        if self.answers_from_memory.load(Ordering::Relaxed)
            && let Some(answer) = key.and_then(|key| lock(&self.memory).get(&key))
        {
            // A key without an accepted answer has none in memory.
            self.note_credential(incoming);
            return (Source::Memory, Some(answer));
        }
        if !self.asks_upstream.load(Ordering::Relaxed) {
            return (Source::Missing, Some(not_recorded()));
        }
        let sent = self.send(upstream, &upstream.url(&incoming.target), incoming).await;
        let Ok(answer) = sent else { return (Source::Upstream, None) };
        if !matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            self.note_credential(incoming);
        }
        self.record(incoming, &answer).await;
        if let Some(key) = key
            && matches!(answer.status, StatusCode::OK | StatusCode::NOT_FOUND)
        {
            lock(&self.memory).put(key, answer.clone());
        }
        (Source::Upstream, Some(answer))
    }

    async fn token(&self, upstream: &Upstream, incoming: &WholeRequest) -> Option<Answer> {
        let url = upstream.token_url.as_deref()?;
        let answer = self.send(upstream, url, incoming).await.ok()?;
        if answer.status == StatusCode::OK {
            let authorization = incoming.headers.get(AUTHORIZATION);
            lock(&self.identities).note(authorization, &incoming.body, &answer.body);
        }
        Some(answer)
    }

    async fn send(
        &self,
        upstream: &Upstream,
        url: &str,
        incoming: &WholeRequest,
    ) -> Result<Answer, AskFailure> {
        lock(&self.counts).sent += 1;
        let mut request = Request::builder().method(incoming.method.clone()).uri(url);
        if let Some(headers) = request.headers_mut() {
            *headers = end_to_end(&incoming.headers);
        }
        let request = request.body(incoming.body.clone()).map_err(|_| AskFailure::BadTarget)?;
        let answer = upstream.client.clone().oneshot(request).await?;
        let (head, body) = answer.into_parts();
        let settings = &self.settings;
        let body = body::collect(body, settings.body_bytes_max, settings.idle).await?;
        Ok(Answer { status: head.status, headers: end_to_end(&head.headers), body })
    }

    /// Gives an exchange to the recorder, on a thread that may block. The answer waits for it, so that
    /// exchanges never pile up.
    async fn record(&self, incoming: &WholeRequest, answer: &Answer) {
        let Some(recorder) = self.settings.recorder.clone() else { return };
        let exchange = Exchange {
            method: incoming.method.to_string(),
            target: incoming.target.clone(),
            reply: answer.as_reply(),
        };
        // It fails only while the runtime ends.
        let _ = tokio::task::spawn_blocking(move || recorder.record(&exchange)).await;
    }

    /// The key of an answer in memory; `None` where answers are not kept.
    fn key(&self, incoming: &WholeRequest) -> Option<Key> {
        let is_kept = self.settings.memory_bytes_max > 0 && incoming.method == Method::GET;
        is_kept.then(|| lock(&self.identities).key(&incoming.headers, &incoming.target))
    }

    fn note_credential(&self, incoming: &WholeRequest) {
        if let Some(authorization) = incoming.headers.get(AUTHORIZATION) {
            let mut authorization = authorization.clone();
            authorization.set_sensitive(true);
            let accept = incoming.headers.get(ACCEPT).cloned();
            *lock(&self.accepted) = Some(Accepted { authorization, accept });
        }
    }

    fn no_answer(&self) -> Response<Body> {
        lock(&self.counts).cut += 1;
        cut()
    }
}

/// Notes a call when it ends, also where the gateway did not wait for the answer.
struct CallOnDrop {
    shared: Arc<Shared>,
    call: Call,
}

impl CallOnDrop {
    fn new(shared: &Arc<Shared>, door: Door, incoming: &WholeRequest) -> CallOnDrop {
        let request_id = incoming.headers.get("x-request-id").and_then(|id| id.to_str().ok());
        let (source, target) = match door {
            Door::Token => (Source::Token, String::new()),
            Door::Api => (Source::Upstream, incoming.target.clone()),
        };
        let method = incoming.method.to_string();
        let request_id = request_id.map(str::to_owned);
        let call = Call { method, target, status: None, source, request_id };
        CallOnDrop { shared: Arc::clone(shared), call }
    }
}

impl Drop for CallOnDrop {
    fn drop(&mut self) {
        let mut counts = lock(&self.shared.counts);
        match self.call.source {
            Source::Memory => counts.from_memory += 1,
            Source::Recording => counts.from_recording += 1,
            Source::Missing => {
                counts.missing += 1;
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
            counts.forgotten += 1;
        }
    }
}

impl Answer {
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

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        let pairs = reply.headers.iter().filter_map(|(name, value)| {
            Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
        });
        let headers = pairs.collect();
        let status = StatusCode::from_u16(reply.status).unwrap_or(NOT_RECORDED);
        Answer { status, headers, body: reply.body }
    }
}

/// The recorded answer to a request, `Some(None)` where there is none; `None` where the recording cannot be
/// read.
async fn recorded(
    replies: &Arc<dyn Replies>,
    method: Method,
    target: String,
) -> Option<Option<Reply>> {
    let replies = Arc::clone(replies);
    let read = move || replies.reply(method.as_str(), &target);
    tokio::task::spawn_blocking(read).await.ok()?.ok()
}

/// Headers without those of one connection. The sender sets the length again.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> = named
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut passed = headers.clone();
    let own = [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
    for name in own.iter().chain(&named) {
        passed.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"] {
        passed.remove(name);
    }
    passed
}

fn json(status: StatusCode, body: String) -> Answer {
    let kind = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
    Answer { status, headers, body: Bytes::from(body) }
}

fn not_recorded() -> Answer {
    json(NOT_RECORDED, r#"{"error":"not in the recording"}"#.to_owned())
}

/// A made-up token. A recording does not check it.
fn made_up_token() -> Answer {
    let number: u128 = rand::rng().random();
    let token = format!("replayed-{number:032x}");
    json(
        StatusCode::OK,
        format!(
            r#"{{"token_type":"bearer","access_token":"{token}","expires_in":{TOKEN_SECONDS}}}"#
        ),
    )
}
