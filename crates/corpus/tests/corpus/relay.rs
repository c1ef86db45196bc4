//! A relay over real sockets, between a client and a scripted upstream. Only loopback is used.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use corpus::ask::Reply;
use corpus::relay::{
    AskFailure, Behind, Exchange, Recorder, Relay, RelaySettings, Replies, Source, Upstream,
};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use transport::body::{self, Body};
use transport::client::{Client, ClientError, ClientSettings};
use transport::server::{ServerLimits, serve};
use transport::tls::ClientTls;

const KEY: &str = "Bearer v4-canary-key";

/// One request as the upstream received it.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: HeaderMap,
    body: Bytes,
}

/// An upstream that answers by path and notes its requests.
struct Vendor {
    base_url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: DropGuard,
}

impl Vendor {
    async fn start() -> Vendor {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/prefix", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let log = Arc::clone(&seen);
        let service = tower::service_fn(move |request: Request<Body>| {
            let log = Arc::clone(&log);
            async move {
                let (head, body) = request.into_parts();
                let body = body::collect(body, 1 << 20, Duration::from_secs(5)).await.unwrap();
                let line = format!("{} {}", head.method, head.uri);
                let count = {
                    let mut log = log.lock().unwrap();
                    log.push(Seen { line, headers: head.headers, body });
                    log.len()
                };
                if head.uri.path() == "/prefix/silent" {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(answer(head.uri.path(), count))
            }
        });
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let limits = ServerLimits::default();
        tokio::spawn(serve(listener, None, limits, service, stopped, Duration::ZERO));
        Vendor { base_url, seen, stop: stop.drop_guard() }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn upstream(&self) -> Upstream {
        let token_url = Some(self.base_url.replace("/prefix", "/auth/token"));
        Upstream { base_url: self.base_url.clone(), token_url, client: client() }
    }
}

fn answer(path: &str, count: usize) -> Response<Body> {
    let (status, body) = match path {
        "/auth/token" => (200, r#"{"access_token":"granted"}"#.to_owned()),
        "/prefix/missing" => (404, "{}".to_owned()),
        "/prefix/unauthorized" => (401, "{}".to_owned()),
        "/prefix/forbidden" => (403, "{}".to_owned()),
        "/prefix/busy" => (429, "{}".to_owned()),
        "/prefix/moved" => (302, String::new()),
        "/prefix/large" => (200, "x".repeat(5000)),
        _ => (200, format!("{{\"answer\":{count}}}")),
    };
    let mut response = Response::new(body::full(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let headers = response.headers_mut();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("retry-after", "7".parse().unwrap());
    headers.insert("x-kept", "as it came".parse().unwrap());
    headers.insert("keep-alive", "timeout=5".parse().unwrap());
    headers.insert("location", "/elsewhere".parse().unwrap());
    response
}

fn client() -> Client {
    Client::new(&ClientSettings {
        connect_timeout: Duration::from_secs(5),
        pool_idle_timeout: Duration::from_secs(5),
        pool_idle_max: 8,
        tls: ClientTls::new(None).unwrap(),
    })
}

async fn live(vendor: &Vendor, settings: RelaySettings) -> Relay {
    let shutdown = CancellationToken::new();
    Relay::start(Behind::Live(Box::new(vendor.upstream())), settings, &shutdown).await.unwrap()
}

/// One request and its whole answer.
async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
    let answer = client().oneshot(request).await?;
    let (head, body) = answer.into_parts();
    let body = body::collect(body, 1 << 20, Duration::from_secs(5)).await.unwrap();
    Ok(Response::from_parts(head, body))
}

async fn get_as(relay: &Relay, target: &str, key: &str) -> Result<Response<Bytes>, ClientError> {
    let url = format!("{}{target}", relay.base_url());
    let request = Request::get(url).header("authorization", key).header("x-request-id", "r1");
    send(request.body(Bytes::new()).unwrap()).await
}

async fn get(relay: &Relay, target: &str) -> Result<Response<Bytes>, ClientError> {
    get_as(relay, target, KEY).await
}

#[tokio::test]
async fn requests_and_answers_pass_unchanged() {
    let vendor = Vendor::start().await;
    let relay = live(&vendor, RelaySettings::default()).await;
    let url = format!("{}/users?name=Jane%20Doe&q=a+b", relay.base_url());
    let request = Request::post(url)
        .header("authorization", KEY)
        .header("x-own", "1")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("proxy-authorization", "Basic x")
        .body(Bytes::from("a body"))
        .unwrap();
    let answer = send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-kept"], "as it came");
    assert!(!answer.headers().contains_key("keep-alive"));
    assert_eq!(answer.body(), &r#"{"answer":1}"#);
    let seen = vendor.seen();
    assert_eq!(seen[0].line, "POST /prefix/users?name=Jane%20Doe&q=a+b");
    assert_eq!(seen[0].body, "a body");
    assert_eq!(seen[0].headers["authorization"], KEY);
    assert_eq!(seen[0].headers["x-own"], "1");
    let vendors_own = vendor.base_url.replace("http://", "").replace("/prefix", "");
    assert_eq!(seen[0].headers["host"], vendors_own.as_str());
    for gone in ["x-hop", "proxy-authorization", "connection"] {
        assert!(!seen[0].headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn calls_are_returned_once_with_their_status_and_request_id() {
    let vendor = Vendor::start().await;
    let relay = live(&vendor, RelaySettings::default()).await;
    for target in ["/users?limit=100&offset=0&email=jane%40example.com", "/missing", "/moved"] {
        get(&relay, target).await.unwrap();
    }
    let calls = relay.take_calls();
    let told: Vec<_> = calls.iter().map(|call| (call.shape(), call.status.unwrap())).collect();
    let users = "GET /users?limit=100&offset=0&email=..".to_owned();
    assert_eq!(told[..], [(users, 200), ("GET /{..}".into(), 404), ("GET /{..}".into(), 302)]);
    assert!(calls.iter().all(|call| call.request_id.as_deref() == Some("r1")));
    assert!(calls.iter().all(|call| call.source == Source::Upstream));
    assert_eq!(relay.take_calls().len(), 0);
    assert_eq!(relay.counts().sent, 3);
}

#[tokio::test]
async fn a_failing_upstream_becomes_a_cut_connection() {
    let vendor = Vendor::start().await;
    let settings = RelaySettings { body_bytes_max: 4000, ..RelaySettings::default() };
    let relay = live(&vendor, settings).await;
    let cut = ClientError::Reset { started: true };
    assert_eq!(get(&relay, "/large").await.unwrap_err(), cut);
    drop(vendor.stop);
    // The upstream has stopped when its port refuses connections.
    for _ in 0..1000 {
        let Ok(_) = get(&relay, "/users").await else { break };
        tokio::task::yield_now().await;
    }
    assert_eq!(get(&relay, "/users").await.unwrap_err(), cut);
    let calls = relay.take_calls();
    assert!(calls.first().is_some_and(|call| call.status.is_none()));
    assert!(calls.last().is_some_and(|call| call.status.is_none()));
    assert!(relay.counts().cut >= 2);
}

#[tokio::test]
async fn a_call_whose_client_has_left_is_noted_too() {
    let vendor = Vendor::start().await;
    let relay = live(&vendor, RelaySettings::default()).await;
    let heard = async {
        while vendor.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        answer = get(&relay, "/silent") => unreachable!("{answer:?}"),
        () = heard => {}
    }
    for _ in 0..10_000 {
        let calls = relay.take_calls();
        if let Some(call) = calls.first() {
            assert_eq!((call.shape(), call.status), ("GET /{..}".to_owned(), None));
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    unreachable!("the call was never told of");
}

#[tokio::test]
async fn the_relay_asks_with_the_last_accepted_key() {
    let vendor = Vendor::start().await;
    let relay = live(&vendor, RelaySettings::default()).await;
    assert_eq!(relay.ask("/users?name=x").await.unwrap_err(), AskFailure::NoCredential);
    get_as(&relay, "/users", "Bearer before").await.unwrap();
    get(&relay, "/users").await.unwrap();
    relay.take_calls();
    let reply = relay.ask("/users?name=x").await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (200, &br#"{"answer":3}"#[..]));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(vendor.seen()[2].headers["authorization"], KEY);
    assert_eq!(relay.take_calls().len(), 0, "no call of the gateway's");
    assert_eq!(relay.ask("no path\n").await.unwrap_err(), AskFailure::BadTarget);
}

#[tokio::test]
async fn the_relay_never_asks_with_a_refused_key() {
    let vendor = Vendor::start().await;
    let relay = live(&vendor, RelaySettings::default()).await;
    for refused in ["/unauthorized", "/forbidden"] {
        get_as(&relay, refused, "Bearer refused").await.unwrap();
        assert_eq!(relay.ask("/users").await.unwrap_err(), AskFailure::NoCredential, "{refused}");
    }
    get(&relay, "/busy").await.unwrap();
    for refused in ["/unauthorized", "/forbidden"] {
        get_as(&relay, refused, "Bearer refused").await.unwrap();
        relay.ask("/users").await.unwrap();
        assert_eq!(vendor.seen().last().unwrap().headers["authorization"], KEY, "{refused}");
    }
}

/// The URL of the relay without its prefix, and with wrong prefixes.
fn strangers_urls(url: &str) -> Vec<String> {
    let (origin, path) = url.split_at("http://".len() + url["http://".len()..].find('/').unwrap());
    let (secret, rest) = path.split_at(33);
    let other = if secret.ends_with('0') { "1" } else { "0" };
    vec![
        format!("{origin}{rest}/users"),
        format!("{origin}/{}{rest}/users", "0".repeat(32)),
        format!("{origin}{}{other}{rest}/users", &secret[..32]),
        format!("{origin}{secret}x{rest}/users"),
        format!("{origin}/users{secret}{rest}"),
    ]
}

#[tokio::test]
async fn requests_without_the_prefix_are_cut_off() {
    let vendor = Vendor::start().await;
    let tape = Arc::new(Tape::default());
    let recorder: Arc<dyn Recorder> = tape.clone();
    let settings = RelaySettings { recorder: Some(recorder), ..RelaySettings::default() };
    let live = live(&vendor, settings).await;
    let shutdown = CancellationToken::new();
    let recorded = Arc::new(Tape::default());
    let body = Bytes::from("[]");
    let reply = Reply { status: 200, headers: Vec::new(), body };
    let (method, target) = ("GET".to_owned(), "/users".to_owned());
    recorded.record(&Exchange { method, target, reply });
    let behind = Behind::Replay { replies: recorded, grants_tokens: true };
    let replay = Relay::start(behind, RelaySettings::default(), &shutdown).await.unwrap();
    let ways = [&live, &replay].map(|relay| [relay.base_url(), relay.token_url().unwrap()]);
    for url in ways.as_flattened().iter().flat_map(|url| strangers_urls(url)) {
        let request = Request::get(&url).header("authorization", "Bearer strangers");
        let answer = send(request.body(Bytes::new()).unwrap()).await;
        assert!(matches!(answer, Err(ClientError::Reset { .. })), "{url}: {answer:?}");
    }
    assert_eq!(vendor.seen().len(), 0);
    assert_eq!(tape.0.lock().unwrap().len(), 0);
    assert_eq!(live.ask("/users").await.unwrap_err(), AskFailure::NoCredential);
    for relay in [&live, &replay] {
        assert_eq!(relay.take_calls().len(), 0);
        assert_eq!((relay.counts().cut, relay.missing().len()), (10, 0));
    }
    assert_eq!(get(&replay, "/users").await.unwrap().body(), &"[]");
}

#[tokio::test]
async fn memory_answers_only_while_switched_on_and_only_known_keys() {
    let vendor = Vendor::start().await;
    let settings = RelaySettings { memory_bytes_max: 1 << 20, ..RelaySettings::default() };
    let relay = live(&vendor, settings).await;
    let text = async |target: &str, key: &str| {
        let answer = get_as(&relay, target, key).await.unwrap();
        String::from_utf8(answer.body().to_vec()).unwrap()
    };
    assert_eq!(text("/a", KEY).await, r#"{"answer":1}"#);
    assert_eq!(text("/a", KEY).await, r#"{"answer":2}"#, "not yet");
    get(&relay, "/busy").await.unwrap();
    get(&relay, "/missing").await.unwrap();
    relay.answer_from_memory(true);
    assert_eq!(text("/a", KEY).await, r#"{"answer":2}"#, "the latest");
    assert_eq!(text("/a", "Bearer another").await, r#"{"answer":5}"#);
    assert_eq!(text("/b", KEY).await, r#"{"answer":6}"#);
    assert_eq!(text("/b", KEY).await, r#"{"answer":6}"#);
    assert_eq!(get(&relay, "/missing").await.unwrap().status(), 404);
    assert_eq!(vendor.seen().len(), 6);
    assert_eq!(get(&relay, "/busy").await.unwrap().status(), 429);
    assert_eq!(vendor.seen().len(), 7, "what may pass is asked again");
    relay.ask("/a").await.unwrap();
    assert_eq!(vendor.seen().len(), 8, "a witness is asked anew");
    relay.forget();
    assert_eq!(text("/a", KEY).await, r#"{"answer":9}"#);
    assert_eq!((relay.counts().from_memory, relay.not_kept()), (3, 0));
    relay.answer_only_from_memory();
    assert_eq!(text("/a", KEY).await, r#"{"answer":9}"#);
    assert_eq!(get(&relay, "/b").await.unwrap().status(), 421);
    assert_eq!(vendor.seen().len(), 9, "the upstream is not asked");
}

#[tokio::test]
async fn tokens_come_through_the_relay_and_belong_to_one_client() {
    let vendor = Vendor::start().await;
    let settings = RelaySettings { memory_bytes_max: 1 << 20, ..RelaySettings::default() };
    let relay = live(&vendor, settings).await;
    let request = Request::post(relay.token_url().unwrap()).body(Bytes::from("client_id=a"));
    let granted = send(request.unwrap()).await.unwrap();
    assert_eq!(granted.body(), &r#"{"access_token":"granted"}"#);
    assert_eq!(vendor.seen()[0].line, "POST /auth/token");
    assert_eq!(vendor.seen()[0].body, "client_id=a");
    let calls = relay.take_calls();
    assert_eq!((calls[0].source, calls[0].target.as_str()), (Source::Token, ""));
    assert_eq!(calls[0].shape(), "POST (token)");
}

/// Notes every exchange.
#[derive(Default)]
struct Tape(Mutex<Vec<Exchange>>);

impl Recorder for Tape {
    fn record(&self, exchange: &Exchange) {
        self.0.lock().unwrap().push(exchange.clone());
    }
}

impl Replies for Tape {
    fn reply(&self, method: &str, target: &str) -> io::Result<Option<Reply>> {
        let tape = self.0.lock().unwrap();
        let found = tape.iter().rev().find(|one| one.method == method && one.target == target);
        Ok(found.map(|exchange| exchange.reply.clone()))
    }
}

#[tokio::test]
async fn recorded_answers_need_no_upstream_and_contain_no_key() {
    let vendor = Vendor::start().await;
    let tape = Arc::new(Tape::default());
    let recorder: Arc<dyn Recorder> = tape.clone();
    let settings = RelaySettings { recorder: Some(recorder), ..RelaySettings::default() };
    let relay = live(&vendor, settings).await;
    let request = Request::post(relay.token_url().unwrap()).body(Bytes::from("secret=canary"));
    send(request.unwrap()).await.unwrap();
    get(&relay, "/users?limit=1").await.unwrap();
    get(&relay, "/busy").await.unwrap();
    relay.ask("/users?limit=2").await.unwrap();
    drop(vendor);
    let told: Vec<String> = tape.0.lock().unwrap().iter().map(|e| e.target.clone()).collect();
    assert_eq!(told, ["/users?limit=1", "/busy", "/users?limit=2"], "no token");
    for exchange in tape.0.lock().unwrap().iter() {
        let names: Vec<&str> =
            exchange.reply.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "retry-after"]);
        assert!(!String::from_utf8_lossy(&exchange.reply.body).contains("canary"));
    }

    let shutdown = CancellationToken::new();
    let behind = Behind::Replay { replies: tape, grants_tokens: true };
    let relay = Relay::start(behind, RelaySettings::default(), &shutdown).await.unwrap();
    let answer = get(&relay, "/users?limit=1").await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &br#"{"answer":2}"#[..]));
    assert_eq!(get(&relay, "/busy").await.unwrap().headers()["retry-after"], "7");
    assert_eq!(relay.ask("/users?limit=2").await.unwrap().status, 200);
    assert_eq!(relay.ask("/users?limit=3").await.unwrap_err(), AskFailure::NotRecorded);
    let request = Request::post(relay.token_url().unwrap()).body(Bytes::new()).unwrap();
    let token: serde_json::Value =
        serde_json::from_slice(send(request).await.unwrap().body()).unwrap();
    assert!(token["access_token"].as_str().unwrap().starts_with("replayed-"));
    assert_eq!(relay.counts().missing, 0);
    for _ in 0..2 {
        assert_eq!(get(&relay, "/users?limit=3&name=x").await.unwrap().status(), 421);
    }
    let missing: Vec<_> = relay.missing().into_iter().collect();
    assert_eq!(missing, [("GET /users?limit=3&name=..".to_owned(), 2)]);
}

#[tokio::test]
async fn a_relay_stops_with_its_cancellation_token() {
    let vendor = Vendor::start().await;
    let shutdown = CancellationToken::new();
    let behind = Behind::Live(Box::new(vendor.upstream()));
    let relay = Relay::start(behind, RelaySettings::default(), &shutdown).await.unwrap();
    get(&relay, "/users").await.unwrap();
    shutdown.cancel();
    let mut last = Ok(());
    for _ in 0..10_000 {
        last = get(&relay, "/users").await.map(|_| ());
        if last.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(last.is_err());
}
