//! Spans at a collector: a real program, a collector of the test's own that speaks OTLP over gRPC.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::process::Folder;
use crate::common::{Running, base_after, get};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message;
use transport::body::{self, Body};
use transport::server::{ServerLimits, serve};

const LIST: &str = "/api/user_management/v1/users";
const PARENT: &str = "00f067aa0ba902b7";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Everything that a collector was sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    /// Listens on a thread of its own, until the test ends.
    fn start(&self) -> SocketAddr {
        let (say, said) = std::sync::mpsc::channel();
        let collector = self.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                say.send(listener.local_addr().unwrap()).unwrap();
                let service = tower::service_fn(move |request| collector.clone().take(request));
                let (never, limits) = (std::future::pending(), ServerLimits::default());
                serve(listener, None, limits, service, never, Duration::ZERO).await;
            });
        });
        said.recv().unwrap()
    }

    async fn take(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        assert_eq!(
            request.uri().path(),
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        );
        let bytes = request.into_body().collect().await.unwrap().to_bytes();
        // One message: not compressed, its length, itself.
        assert_eq!(bytes[0], 0);
        let message = ExportTraceServiceRequest::decode(&bytes[5..]).unwrap();
        self.0.lock().unwrap().push(message);
        let mut answer = BytesMut::new();
        answer.put_u8(0);
        answer.put_u32(0);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let body = Full::new(answer.freeze()).map_err(|never| match never {});
        let body = body.with_trailers(async move { Some(Ok(trailers)) });
        let answer = Response::builder().header("content-type", "application/grpc");
        Ok(answer.body(body::boxed(body)).unwrap())
    }

    fn spans(&self) -> Vec<Span> {
        let sent = self.0.lock().unwrap();
        let resources = sent.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Waits until there are this many.
    fn wait_for(&self, spans: usize) -> Vec<Span> {
        for _ in 0..600 {
            if self.spans().len() >= spans {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.spans()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(span: &Span, name: &str) -> Option<String> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?;
    match value.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn gateway(test: &str, traces: &str, users: u32) -> (Folder, Running, Running, String) {
    let folder = Folder::new(test);
    let users = users.to_string();
    let vendor = Running::start(&["simulate", "--users", &users, "--listen", "127.0.0.1:0"]);
    let said = vendor.stdout_until(|line| line.contains("_simulator/stats")).join("\n");
    folder.file("v4.key", "v4-demo-key");
    let digest = gateway::key_digest("legacy-canary-key");
    let file = folder.file(
        "t.toml",
        &format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [traces]\n{traces}\n\
             [upstream.ams]\ndialect = \"voiso-v4\"\nbase_url = \"{}\"\n\
             [[caller]]\nname = \"crm\"\nlegacy_key = {{ digest = \"{digest}\" }}\n\
             upstream = \"ams\"\nupstream_key = {{ file = \"v4.key\" }}\nsees = \"everything\"\n",
            base_after(&said, "is at ")
        ),
    );
    let running = Running::start(&["serve", "--config", &file, "--log-format", "json"]);
    let line = running.stderr_until(|line| line.contains("\"listening\"")).pop().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = line["fields"]["address"].as_str().or(line["address"].as_str()).unwrap();
    let base = format!("http://{address}");
    (folder, vendor, running, base)
}

/// A request that says which trace it belongs to.
fn get_traced(base: &str, sampled: &str) -> u16 {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(base.trim_start_matches("http://")).unwrap();
    let head = format!(
        "GET {LIST} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer legacy-canary-key\r\n\
         traceparent: 00-{TRACE}-{PARENT}-{sampled}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[9..12]).parse().unwrap()
}

#[test]
fn a_recorded_request_and_each_of_its_calls_are_spans_of_the_clients_trace() {
    let collector = Collector::default();
    let traces = format!("otlp_endpoint = \"http://{}\"\nsampled = 0.0", collector.start());
    let (_folder, _vendor, _running, base) = gateway("otlp-spans", &traces, 250);
    assert_eq!(get_traced(&base, "00"), 200, "a trace that its client does not record");
    let untraced = get(&base, LIST, "legacy-canary-key");
    assert_eq!(untraced.status, 200, "no trace of its own, and none is begun");
    let rows = serde_json::from_str::<Vec<serde_json::Value>>(&untraced.body).unwrap().len();
    assert_eq!(get_traced(&base, "01"), 200);

    let spans = collector.wait_for(4);
    let (servers, clients): (Vec<Span>, Vec<Span>) =
        spans.into_iter().partition(|span| span.kind == SpanKind::Server as i32);
    assert_eq!((servers.len(), clients.len()), (1, 3), "250 users are 3 pages");
    let server = &servers[0];
    assert_eq!(hex(&server.trace_id), TRACE);
    assert_eq!(hex(&server.parent_span_id), PARENT);
    assert_eq!(server.name, "GET v1_users");
    assert_eq!(text(server, "tieline.caller").as_deref(), Some("crm"));
    assert_eq!(text(server, "tieline.rows"), Some(rows.to_string()));
    assert_eq!(text(server, "tieline.upstream_calls").as_deref(), Some("3"));
    assert_eq!(text(server, "http.response.status_code").as_deref(), Some("200"));
    let mut ids = vec![server.span_id.clone()];
    for client in &clients {
        assert_eq!(hex(&client.trace_id), TRACE);
        assert_eq!(client.parent_span_id, server.span_id);
        assert_eq!(text(client, "tieline.upstream").as_deref(), Some("ams"));
        assert!(client.start_time_unix_nano >= server.start_time_unix_nano);
        assert!(client.end_time_unix_nano <= server.end_time_unix_nano);
        ids.push(client.span_id.clone());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);

    let sent = format!("{:?}", collector.0.lock().unwrap());
    assert!(sent.contains("service.name"), "{sent}");
    for secret in ["legacy-canary-key", "v4-demo-key", LIST, "per_page", "limit="] {
        assert!(!sent.contains(secret), "{secret} in {sent}");
    }
}

#[test]
fn the_last_spans_go_out_before_the_process_ends() {
    let collector = Collector::default();
    let traces = format!("otlp_endpoint = \"http://{}\"", collector.start());
    let (_folder, _vendor, mut running, base) = gateway("otlp-last", &traces, 1);
    assert_eq!(get(&base, LIST, "legacy-canary-key").status, 200);
    assert_eq!(get(&base, LIST, "a-wrong-key").status, 401);
    running.signal("TERM");
    assert_eq!(running.code().code(), Some(0));
    let servers = collector.spans();
    let servers: Vec<&Span> =
        servers.iter().filter(|span| span.kind == SpanKind::Server as i32).collect();
    assert_eq!(servers.len(), 2);
    let refused = servers.iter().find(|span| text(span, "tieline.caller").is_none()).unwrap();
    assert_eq!(text(refused, "error.type").as_deref(), Some("unknown_credential"));
}

#[test]
fn no_collector_is_nobodys_problem() {
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let traces = format!("otlp_endpoint = \"http://{free}\"");
    let (_folder, _vendor, mut running, base) = gateway("otlp-nobody", &traces, 1);
    for _ in 0..3000 {
        assert_eq!(get(&base, "/nothing", "legacy-canary-key").status, 404);
    }
    assert_eq!(get(&base, LIST, "legacy-canary-key").status, 200);
    running.signal("TERM");
    assert_eq!(running.code().code(), Some(0));
}
