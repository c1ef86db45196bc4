//! A proxy that changes what passes through it, over real loopback sockets: it stands before a side
//! of a validation and answers as a wrong translation, another vendor or a busy database would.
//!
//! It changes only what it was told to, and counts each answer that it did change, so that a test
//! can tell a change that was found from one that never happened. It must never talk to anything
//! but loopback.

pub mod edit;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use corpus::node::Node;
use corpus::spelling::plain_path;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use transport::body::{self, Body};
use transport::client::Client;
use transport::server::{ServerLimits, serve};

/// The largest body that is changed.
const BODY_BYTES_MAX: usize = 32 << 20;
/// The longest wait for a piece of a body.
const IDLE: Duration = Duration::from_secs(20);
/// How long open connections may go on after the end.
const GRACE: Duration = Duration::from_secs(1);

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// Parameters in order, decoded.
    pub query: Vec<(String, String)>,
    /// The query as it came.
    pub raw_query: String,
    /// The body and its type, where there is one.
    pub body: Option<(HeaderValue, Bytes)>,
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The number of this request, from 1.
    pub nth: u64,
}

impl Asked {
    /// The value of a filter, also where its name stands in `filter[..]`.
    pub fn filter(&self, name: &str) -> Option<&str> {
        let plain = |key: &str| {
            let inner = key.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
            inner.unwrap_or(key) == name
        };
        self.query.iter().find(|(key, _)| plain(key)).map(|(_, value)| value.as_str())
    }

    /// Whether nothing is asked for but the whole list.
    pub fn is_whole(&self) -> bool {
        self.query.iter().all(|(key, _)| key == "key")
    }

    /// Takes out every parameter but the key.
    pub fn take_filters(&mut self) {
        self.query.retain(|(key, _)| key == "key");
    }

    fn target(&self) -> String {
        let mut query = self.raw_query.clone();
        if parsed(&query) != self.query {
            let mut anew = form_urlencoded::Serializer::new(String::new());
            query = anew.extend_pairs(&self.query).finish();
        }
        if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) }
    }
}

fn parsed(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// One answer that may be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers, without those of the connection.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    /// The rows of a bare array; `None` for every other answer.
    pub fn rows(&self) -> Option<Vec<Node>> {
        match Node::parse(&self.body) {
            Ok(Node::List(rows)) if self.status == 200 => Some(rows),
            _ => None,
        }
    }

    /// Puts rows in place of those that were there.
    pub fn set_rows(&mut self, rows: Vec<Node>) {
        self.body = Node::List(rows).to_json().into();
    }

    /// Puts another text in place of the body.
    pub fn set_body(&mut self, body: impl Into<Bytes>) {
        self.body = body.into();
    }

    /// Sets a header.
    pub fn set_header(&mut self, name: &'static str, value: &'static str) {
        self.headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Changes a request before it is passed on.
type Before = Box<dyn Fn(&mut Asked) + Send + Sync>;
/// Changes an answer, beside the request as it came.
type After = Box<dyn Fn(&Asked, &mut Reply) + Send + Sync>;

/// What a proxy does to what passes.
#[derive(Default)]
pub struct Change {
    before: Option<Before>,
    after: Option<After>,
    /// Only paths with this end are changed.
    only: &'static str,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Change")
    }
}

impl Change {
    /// Nothing.
    pub fn nothing() -> Change {
        Change::default()
    }

    /// Whether it changes nothing.
    pub fn is_nothing(&self) -> bool {
        self.before.is_none() && self.after.is_none()
    }

    /// Another request is passed on.
    pub fn asked(before: impl Fn(&mut Asked) + Send + Sync + 'static) -> Change {
        Change { before: Some(Box::new(before)), ..Change::default() }
    }

    /// Another answer is passed on.
    pub fn answer(after: impl Fn(&Asked, &mut Reply) + Send + Sync + 'static) -> Change {
        Change { after: Some(Box::new(after)), ..Change::default() }
    }

    /// The same for paths with this end alone.
    pub fn only(self, path: &'static str) -> Change {
        Change { only: path, ..self }
    }

    /// The same with another answer as well.
    pub fn and(mut self, after: impl Fn(&Asked, &mut Reply) + Send + Sync + 'static) -> Change {
        self.after = Some(Box::new(after));
        self
    }
}

/// A running proxy; it ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Shared {
    behind: SocketAddr,
    client: Client,
    change: Change,
    asked: AtomicU64,
    changed: AtomicU64,
}

impl Proxy {
    /// Listens on a free port of loopback, before a server that is there.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub async fn start(behind: SocketAddr, change: Change) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (asked, changed) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { behind, client: crate::client(), change, asked, changed });
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let limits = ServerLimits { connections_per_address_max: 0, ..ServerLimits::default() };
        let of_service = Arc::clone(&shared);
        let service = tower::service_fn(move |request: Request<Body>| {
            let shared = Arc::clone(&of_service);
            let (head, body) = request.into_parts();
            async move { Ok::<_, Infallible>(shared.respond(&head, body).await) }
        });
        tokio::spawn(async move { serve(listener, None, limits, service, stopped, GRACE).await });
        Proxy { address, shared, _stop: stop.drop_guard() }
    }

    /// How many requests or answers were changed.
    pub fn changed(&self) -> u64 {
        self.shared.changed.load(Ordering::Relaxed)
    }
}

impl Shared {
    async fn respond(&self, request: &request::Parts, body: Body) -> Response<Body> {
        let query = request.uri.query().unwrap_or_default();
        let text = |name| request.headers.get(name)?.to_str().ok().map(str::to_owned);
        let body = body::collect(body, BODY_BYTES_MAX, IDLE).await.unwrap_or_default();
        let kind = request.headers.get(header::CONTENT_TYPE).cloned();
        let asked = Asked {
            path: request.uri.path().to_owned(),
            query: parsed(query),
            raw_query: query.to_owned(),
            body: kind.filter(|_| !body.is_empty()).map(|kind| (kind, body)),
            authorization: text(header::AUTHORIZATION),
            nth: self.asked.fetch_add(1, Ordering::Relaxed) + 1,
        };
        let mut passed = asked.clone();
        let is_meant = plain_path(&asked.path).ends_with(self.change.only);
        if let Some(before) = self.change.before.as_ref().filter(|_| is_meant) {
            before(&mut passed);
        }
        let mut is_changed = passed.target() != asked.target();
        is_changed |= (&passed.authorization, &passed.body) != (&asked.authorization, &asked.body);
        let Some(mut reply) = self.pass_on(&request.method, &passed).await else {
            let mut broken = Response::new(body::empty());
            *broken.status_mut() = StatusCode::BAD_GATEWAY;
            return broken;
        };
        if let Some(after) = self.change.after.as_ref().filter(|_| is_meant) {
            let before = reply.clone();
            after(&asked, &mut reply);
            is_changed |= reply != before;
        }
        self.changed.fetch_add(u64::from(is_changed), Ordering::Relaxed);
        let mut response = Response::new(body::full(reply.body));
        *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or_default();
        *response.headers_mut() = reply.headers;
        response
    }

    async fn pass_on(&self, method: &Method, asked: &Asked) -> Option<Reply> {
        let uri = format!("http://{}{}", self.behind, asked.target());
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(authorization) = &asked.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let (kind, body) = asked.body.clone().unzip();
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        let request = request.body(body.unwrap_or_default()).ok()?;
        let (head, body) = self.client.clone().oneshot(request).await.ok()?.into_parts();
        let body = body::collect(body, BODY_BYTES_MAX, IDLE).await.ok()?;
        let mut headers = head.headers;
        for name in [header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
            headers.remove(name);
        }
        Some(Reply { status: head.status.as_u16(), headers, body })
    }
}
