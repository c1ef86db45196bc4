//! A collector of the tests' own: takes OTLP over HTTP with bodies of JSON, and reads them with readers
//! written from the specification, which refuse everything that it does not have.
//!
//! Must never share a struct with the exporter: a wrong name would pass every test.
#![allow(clippy::panic, clippy::unwrap_used, reason = "test helpers")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use transport::body::{self, Body};
use transport::server::{ServerLimits, serve};
use transport::tls::ServerTls;

/// What the collector does with one request.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Takes the spans and answers 200 with this body.
    Take(&'static str),
    /// Takes nothing and answers with this status and header.
    Refuse(u16, &'static str, String),
    /// Takes nothing and never answers.
    Hang,
}

/// Everything that a collector was sent, and what it does with what comes next.
#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    acts: VecDeque<Act>,
    /// For each request that there is no act for; taking it, where there is none.
    always: Option<Act>,
    requests: usize,
    headers: Vec<HeaderMap>,
    bodies: Vec<String>,
    exports: Vec<Export>,
}

impl Collector {
    /// A collector that does these things first, and then takes what comes.
    pub(crate) fn acting(acts: impl IntoIterator<Item = Act>) -> Collector {
        let collector = Collector::default();
        collector.0.lock().unwrap().acts.extend(acts);
        collector
    }

    /// From now on it does this with every request.
    pub(crate) fn always(&self, act: Act) {
        let mut inner = self.0.lock().unwrap();
        inner.acts.clear();
        inner.always = Some(act);
    }

    /// Listens on a thread of its own, until the test ends.
    pub(crate) fn start(&self) -> SocketAddr {
        self.start_at("127.0.0.1:0".parse().unwrap(), None)
    }

    /// The same at an address, and behind TLS where there is a certificate.
    pub(crate) fn start_at(&self, at: SocketAddr, tls: Option<ServerTls>) -> SocketAddr {
        let (say, said) = std::sync::mpsc::channel();
        let collector = self.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::bind(at).await.unwrap();
                say.send(listener.local_addr().unwrap()).unwrap();
                let service = tower::service_fn(move |request| collector.clone().answer(request));
                let (never, limits) = (std::future::pending(), ServerLimits::default());
                serve(listener, tls, limits, service, never, Duration::ZERO).await;
            });
        });
        said.recv().unwrap()
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let act = {
            let mut inner = self.0.lock().unwrap();
            inner.requests += 1;
            let next = inner.acts.pop_front().or_else(|| inner.always.clone());
            next.unwrap_or(Act::Take("{}"))
        };
        match act {
            Act::Hang => std::future::pending().await,
            Act::Refuse(status, name, value) => {
                let answer = Response::builder().status(status).header(name, value);
                Ok(answer.body(body::full("canary of a collector")).unwrap())
            }
            Act::Take(answer) => {
                assert_eq!((&head.method, head.uri.query()), (&Method::POST, None));
                assert!(head.uri.path().ends_with("/v1/traces"), "{}", head.uri);
                assert_eq!(head.headers["content-type"], "application/json");
                assert!(!head.headers.contains_key("content-encoding"));
                let text = String::from_utf8(body.to_vec()).unwrap();
                let export = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
                let mut inner = self.0.lock().unwrap();
                inner.headers.push(head.headers);
                inner.bodies.push(text);
                inner.exports.push(export);
                let builder = Response::builder().header("content-type", "application/json");
                Ok(builder.body(body::full(answer)).unwrap())
            }
        }
    }

    /// How many requests came, taken or not.
    pub(crate) fn requests(&self) -> usize {
        self.0.lock().unwrap().requests
    }

    /// The headers of each request that was taken.
    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.0.lock().unwrap().headers.clone()
    }

    /// Everything that was taken, as it came.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().bodies.join("\n")
    }

    /// Who sent each request that was taken.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        let inner = self.0.lock().unwrap();
        let resources = inner.exports.iter().flat_map(|export| &export.resource_spans);
        resources.map(|one| one.resource.clone()).collect()
    }

    /// What wrote the spans of each request that was taken.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        let inner = self.0.lock().unwrap();
        let resources = inner.exports.iter().flat_map(|export| &export.resource_spans);
        resources.flat_map(|one| &one.scope_spans).map(|one| one.scope.clone()).collect()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let inner = self.0.lock().unwrap();
        let resources = inner.exports.iter().flat_map(|export| &export.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Waits until there are this many.
    pub(crate) fn wait_for(&self, spans: usize) -> Vec<Span> {
        for _ in 0..600 {
            if self.spans().len() >= spans {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.spans()
    }
}

/// `ExportTraceServiceRequest`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Export {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resource {
    pub(crate) attributes: Attributes,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<Span>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    pub(crate) name: String,
    pub(crate) version: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Span {
    #[serde(deserialize_with = "hex::<_, 32>")]
    pub(crate) trace_id: String,
    #[serde(deserialize_with = "hex::<_, 16>")]
    pub(crate) span_id: String,
    #[serde(default, deserialize_with = "some_hex")]
    pub(crate) parent_span_id: Option<String>,
    pub(crate) flags: u32,
    pub(crate) name: String,
    pub(crate) kind: u8,
    #[serde(deserialize_with = "decimal")]
    pub(crate) start_time_unix_nano: i64,
    #[serde(deserialize_with = "decimal")]
    pub(crate) end_time_unix_nano: i64,
    pub(crate) attributes: Attributes,
    pub(crate) status: Option<Status>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Status {
    pub(crate) code: u8,
}

/// Keys, of which none comes twice, and values.
#[derive(Clone, Debug)]
pub(crate) struct Attributes(Vec<KeyValue>);

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyValue {
    key: String,
    value: AnyValue,
}

/// The kinds of values that are sent, of those that there are.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue {
    StringValue(String),
    IntValue(#[serde(deserialize_with = "decimal")] i64),
}

impl Attributes {
    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        let found = self.0.iter().find(|attribute| attribute.key == key)?;
        Some(match &found.value {
            AnyValue::StringValue(text) => text.clone(),
            AnyValue::IntValue(number) => number.to_string(),
        })
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let all = Vec::<KeyValue>::deserialize(from)?;
        let mut keys: Vec<&str> = all.iter().map(|attribute| attribute.key.as_str()).collect();
        keys.sort_unstable();
        let is_twice = keys.windows(2).any(|two| two[0] == two[1]);
        match is_twice || keys.contains(&"") {
            true => Err(D::Error::custom("a key is empty or comes twice")),
            false => Ok(Attributes(all)),
        }
    }
}

/// An id: this many digits in lower case, and not 0.
fn hex<'de, D: Deserializer<'de>, const DIGITS: usize>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let is_id = text.len() == DIGITS && text.chars().all(is_digit) && text.contains(|c| c != '0');
    if is_id { Ok(text) } else { Err(D::Error::custom("not an id")) }
}

fn some_hex<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    hex::<D, 16>(from).map(Some)
}

/// A 64-bit integer, as text without a sign or a 0 in front.
fn decimal<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let text = String::deserialize(from)?;
    let number: i64 = text.parse().map_err(|_| D::Error::custom("not a number"))?;
    if number.to_string() == text { Ok(number) } else { Err(D::Error::custom("not as usual")) }
}
