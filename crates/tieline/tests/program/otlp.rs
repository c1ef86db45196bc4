//! Spans at a collector: a real program, and a collector of the tests' own that reads OTLP over HTTP
//! strictly.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::net::SocketAddr;
use std::time::Duration;

use crate::collector::{Act, Collector, Span};
use crate::common::process::{Gateway, Process};
use crate::common::{eventually, tieline, vendor};
use tests::folder::Folder;
use tests::plain::{bearer, get, request, say};
use tests::{Answer, V1_USERS, V4_KEY, config};
use tokio::time::Instant;

const KEY: &str = "legacy-canary-key";
const PARENT: &str = "00f067aa0ba902b7";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT`, and what else the specification has as numbers.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const STATUS_ERROR: u8 = 2;
const SAMPLED: u32 = 1;
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// What the log says when spans begin to be dropped, and when that is over.
const DROPPED: &str = "spans are dropped";
const NO_MORE: &str = "no more spans are dropped";

/// A gateway that sends its spans somewhere, and the vendor behind it.
struct World {
    _folder: Folder,
    vendor: Process,
    gateway: Gateway,
}

impl World {
    /// `traces` are lines of `[traces]`.
    fn new(traces: &str, users: u32, environment: &[(&str, &str)]) -> World {
        let folder = Folder::new();
        let (vendor, base) = vendor(&format!("--users {users}"));
        folder.file("v4.key", V4_KEY);
        let rest =
            format!("effects = [\"call\"]\n[limits]\ndrain_delay = \"0s\"\n[traces]\n{traces}");
        let file = config::file("v4.key");
        let text = config::ports("")
            + &config::voiso("ams", base, "")
            + &config::caller("crm", "ams", &config::digest(KEY), &file, &rest);
        let file = folder.file("t.toml", text);
        let mut command = tieline(&["serve", "--config", &file, "--log-format", "json"]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied());
        World { _folder: folder, vendor, gateway: Gateway::of(Process::spawn(command)) }
    }

    fn get(&self, target: &str, key: &str) -> Answer {
        get(self.gateway.address, target, key)
    }

    /// A request that says which trace it belongs to.
    fn get_traced(&self, sampled: &str) -> Answer {
        let headers = format!("{}traceparent: 00-{TRACE}-{PARENT}-{sampled}\r\n", bearer(KEY));
        let asked = request(&format!("GET {V1_USERS}"), &headers);
        Answer::heard(say(self.gateway.address, asked))
    }

    /// One request that makes a span of a server.
    fn ask(&self) {
        assert_eq!(self.get(V1_USERS, KEY).status, 200);
    }

    /// The events of the log up to the first one whose text has these words.
    fn log_until(&self, words: &str) -> String {
        self.gateway.process.stderr_until(|line| line.contains(words)).join("\n")
    }

    /// Tells the program to stop, and waits for its end; returns how long that took and what the log
    /// had not told before.
    fn stop(&self) -> (Duration, String) {
        let began = Instant::now();
        assert_eq!(self.gateway.process.stop().code(), Some(0));
        (began.elapsed(), self.gateway.process.rest_of_stderr())
    }
}

fn endpoint(at: SocketAddr) -> String {
    format!("otlp_endpoint = \"http://{at}\"")
}

/// An address that nobody listens at, nor will: the other tests are all at 127.0.0.1.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap()
}

fn servers(spans: Vec<Span>) -> Vec<Span> {
    spans.into_iter().filter(|span| span.kind == SERVER).collect()
}

#[test]
fn a_recorded_request_and_each_of_its_calls_are_spans_of_the_clients_trace() {
    let collector = Collector::default();
    let traces = format!("{}\nsampled = 0.0", endpoint(collector.start()));
    let world = World::new(&traces, 250, &[]);
    assert_eq!(world.get_traced("00").status, 200, "a trace that its client does not record");
    let untraced = world.get(V1_USERS, KEY);
    assert_eq!(untraced.status, 200, "no trace of its own, and none is begun");
    let rows = untraced.ids().len();
    assert_eq!(world.get_traced("01").status, 200);

    let spans = collector.wait_for(4);
    let (servers, clients): (Vec<Span>, Vec<Span>) =
        spans.into_iter().partition(|span| span.kind == SERVER);
    assert_eq!((servers.len(), clients.len()), (1, 3), "250 users are 3 pages");
    let server = &servers[0];
    assert_eq!(server.trace_id, TRACE);
    assert_eq!(server.parent_span_id.as_deref(), Some(PARENT));
    assert_eq!(server.flags, SAMPLED | HAS_IS_REMOTE | IS_REMOTE);
    assert_eq!(server.name, "GET v1_users");
    assert!(server.status.is_none());
    let text = |span: &Span, name: &str| span.attributes.get(name);
    assert_eq!(text(server, "tieline.caller").as_deref(), Some("crm"));
    assert_eq!(text(server, "tieline.rows"), Some(rows.to_string()));
    assert_eq!(text(server, "tieline.upstream_calls").as_deref(), Some("3"));
    assert_eq!(text(server, "http.response.status_code").as_deref(), Some("200"));
    let mut ids = vec![server.span_id.clone()];
    for client in &clients {
        assert_eq!((client.kind, client.flags), (CLIENT, SAMPLED | HAS_IS_REMOTE));
        assert_eq!(client.trace_id, TRACE);
        assert_eq!(client.parent_span_id.as_ref(), Some(&server.span_id));
        assert_eq!(text(client, "tieline.upstream").as_deref(), Some("ams"));
        assert!(client.start_time_unix_nano >= server.start_time_unix_nano);
        assert!(client.end_time_unix_nano <= server.end_time_unix_nano);
        ids.push(client.span_id.clone());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);

    let sent = collector.text();
    assert!(sent.contains("service.name"), "{sent}");
    for secret in [KEY, "v4-demo-key", V1_USERS, "per_page", "limit="] {
        assert!(!sent.contains(secret), "{secret} in {sent}");
    }
    let scope = &collector.scopes()[0];
    assert_eq!(
        (scope.name.as_str(), scope.version.as_str()),
        ("tieline", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_call_and_the_look_up_of_its_agent_are_spans_without_the_key_in_its_path() {
    let collector = Collector::default();
    let world = World::new(&endpoint(collector.start()), 250, &[]);
    let status = world.get(&format!("/api/v1/{KEY}/agents_status"), "");
    let status: serde_json::Value = serde_json::from_str(&status.text()).unwrap();
    let all = status.as_array().unwrap();
    let agent = all.iter().find(|one| one["status"] == "available").unwrap();
    let target = format!("POST /api/v1/{KEY}/click2call?number=31201234567&agent=");
    let target = target + agent["email"].as_str().unwrap();
    let asked = say(world.gateway.address, request(&target, ""));
    assert_eq!(Answer::heard(asked).status, 204);
    world.stop();
    let spans = collector.spans();
    let server = spans.iter().find(|span| span.name == "POST v1_click2call").unwrap();
    assert_eq!(server.attributes.get("tieline.caller").as_deref(), Some("crm"));
    let of_call = |name: &str| {
        let mut of = spans.iter().filter(|span| span.name == name);
        of.find(|span| span.parent_span_id.as_ref() == Some(&server.span_id)).cloned()
    };
    let placed = of_call("POST upstream").unwrap();
    let text = |name: &str| placed.attributes.get(name);
    assert_eq!(text("http.request.method").as_deref(), Some("POST"));
    assert_eq!(text("http.response.status_code").as_deref(), Some("201"));
    assert_eq!(text("tieline.upstream").as_deref(), Some("ams"));
    assert!(of_call("GET upstream").is_some(), "the agent was looked up");
    let sent = collector.text();
    for secret in [KEY, "v4-demo-key", "click2call?", "31201234567", "/api/v1"] {
        assert!(!sent.contains(secret), "{secret} in {sent}");
    }
}

#[test]
fn the_last_spans_go_out_before_the_process_ends() {
    let collector = Collector::default();
    let world = World::new(&endpoint(collector.start()), 1, &[]);
    world.ask();
    assert_eq!(world.get(V1_USERS, "a-wrong-key").status, 401);
    world.stop();
    let servers = servers(collector.spans());
    assert_eq!(servers.len(), 2);
    assert!(servers.iter().all(|span| span.parent_span_id.is_none()), "nobody sent a parent");
    let refused = servers.iter().find(|span| span.attributes.get("tieline.caller").is_none());
    let refused = refused.unwrap();
    assert_eq!(refused.attributes.get("error.type").as_deref(), Some("unknown_credential"));
    assert!(refused.status.is_none(), "it is the client's error");
}

#[test]
fn a_request_that_failed_and_its_calls_are_spans_with_an_error() {
    let collector = Collector::default();
    let world = World::new(&endpoint(collector.start()), 1, &[]);
    world.vendor.signal("KILL");
    world.vendor.code();
    assert_eq!(world.get(V1_USERS, KEY).status, 502);
    world.stop();
    let spans = collector.spans();
    assert!(spans.len() > 1, "{spans:?}");
    for span in &spans {
        assert_eq!(span.status.map(|status| status.code), Some(STATUS_ERROR), "{span:?}");
        assert!(span.attributes.get("error.type").is_some(), "{span:?}");
    }
}

#[test]
fn a_collector_that_is_away_harms_no_request() {
    let world = World::new(&endpoint(free()), 1, &[]);
    for _ in 0..3000 {
        assert_eq!(world.get("/nothing", KEY).status, 404);
    }
    world.ask();
    world.log_until(DROPPED);
    let (_, rest) = world.stop();
    assert!(!rest.contains(DROPPED), "told once: {rest}");
}

#[test]
fn a_collector_that_comes_back_is_found_and_the_log_says_how_much_was_dropped() {
    let (at, collector) = (free(), Collector::default());
    let world = World::new(&endpoint(at), 1, &[]);
    world.ask();
    let told = world.log_until(DROPPED);
    assert!(told.contains("\"why\":\"no connection\""), "{told}");
    collector.start_at(at, None);
    world.ask();
    let told = world.log_until(NO_MORE);
    let event: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert!(event["dropped"].as_u64().unwrap() >= 2, "{event}");
    assert!(!collector.spans().is_empty());
    let (_, rest) = world.stop();
    assert!(!rest.contains("spans are dropped"), "{rest}");
}

#[test]
fn spans_go_over_tls_to_a_collector_whose_certificate_is_trusted() {
    let folder = Folder::new();
    let certificate = folder.certificate("collector");
    let collector = Collector::default();
    let at = collector.start_at("127.0.0.1:0".parse().unwrap(), Some(certificate.server()));
    let https = format!("otlp_endpoint = \"https://localhost:{}/collect/\"", at.port());
    let trusted = format!("{https}\n{}", certificate.ca_line());
    let world = World::new(&trusted, 1, &[]);
    world.ask();
    assert_eq!(servers(collector.wait_for(2)).len(), 1);

    let taken = collector.requests();
    let world = World::new(&https, 1, &[]);
    world.ask();
    let told = world.log_until(DROPPED);
    assert!(told.contains("\"why\":\"the TLS handshake failed\""), "{told}");
    world.stop();
    assert_eq!(collector.requests(), taken, "nothing goes to a stranger");
}

#[test]
fn a_collector_that_asks_for_patience_gets_the_same_batch_again() {
    let act = |status| Act::Refuse(status, "retry-after", "0".to_owned());
    let collector = Collector::acting([act(503), act(429)]);
    let world = World::new(&endpoint(collector.start()), 1, &[]);
    world.ask();
    assert_eq!(servers(collector.wait_for(2)).len(), 1);
    assert_eq!(collector.requests(), 3);
    let (_, rest) = world.stop();
    assert!(!rest.contains("dropped"), "{rest}");
}

#[test]
fn a_batch_that_is_refused_again_and_again_is_dropped_and_the_next_one_goes_out() {
    let collector = Collector::default();
    collector.always(Act::Refuse(503, "retry-after", "0".to_owned()));
    let world = World::new(&endpoint(collector.start()), 1, &[]);
    world.ask();
    let told = world.log_until(DROPPED);
    assert!(told.contains("\"why\":\"status 503\""), "{told}");
    assert_eq!(collector.requests(), 4, "once, and three times again");
    collector.always(Act::Take("{}"));
    world.ask();
    let told = world.log_until(NO_MORE);
    let event: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert!((1..=2).contains(&event["dropped"].as_u64().unwrap()), "the first batch: {event}");
    let (_, rest) = world.stop();
    assert!(!format!("{told}{rest}").contains("canary of a collector"), "its words stay out");
    assert_eq!(servers(collector.spans()).len(), 1);
}

#[test]
fn a_refusal_that_does_not_pass_is_not_tried_again_and_no_redirect_is_followed() {
    let (elsewhere, collector) = (Collector::default(), Collector::default());
    let location = format!("http://{}/v1/traces", elsewhere.start());
    collector.always(Act::Refuse(307, "location", location));
    let world = World::new(&endpoint(collector.start()), 1, &[]);
    world.ask();
    let told = world.log_until(DROPPED);
    assert!(told.contains("\"why\":\"status 307\""), "{told}");
    world.stop();
    assert_eq!((collector.requests(), elsewhere.requests()), (1, 0));
}

#[test]
fn a_collector_that_never_answers_does_not_hold_the_end_of_the_process() {
    let collector = Collector::default();
    collector.always(Act::Hang);
    let world = World::new(&endpoint(collector.start()), 1, &[]);
    world.ask();
    eventually("a request", || collector.requests() > 0);
    world.ask();
    let (took, rest) = world.stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(rest.contains("the last spans did not go out in time"), "{rest}");
}

#[test]
fn a_collector_has_as_long_as_the_variable_says() {
    let collector = Collector::default();
    collector.always(Act::Hang);
    let variables = [("OTEL_EXPORTER_OTLP_TIMEOUT", "300")];
    let world = World::new(&endpoint(collector.start()), 1, &variables);
    world.ask();
    let told = world.log_until(DROPPED);
    assert!(told.contains("\"why\":\"its answer took too long\""), "{told}");
    assert_eq!(collector.requests(), 1, "it may have taken them");
}

#[test]
fn an_answer_that_is_not_json_is_an_answer_and_an_objection_is_logged_once() {
    let objection = r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"canary words"}}"#;
    let acts = [Act::Take("<html>not JSON"), Act::Take(objection), Act::Take(objection)];
    let collector = Collector::acting(acts);
    let world = World::new(&endpoint(collector.start()), 1, &[]);
    for requests in 1..=3 {
        world.ask();
        eventually("another request", || collector.requests() >= requests);
    }
    let (_, rest) = world.stop();
    assert_eq!(rest.matches("has an objection").count(), 1, "{rest}");
    assert!(rest.contains("\"rejected\":1"), "{rest}");
    assert!(!rest.contains("dropped") && !rest.contains("canary words"), "{rest}");
}

#[test]
fn the_environment_names_the_service_and_gives_headers_that_no_log_shows() {
    let collector = Collector::default();
    let variables = [
        ("OTEL_SERVICE_NAME", "crm-bridge"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=a%2Cb,service.name=other"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20canary-of-a-header,nothing"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("TIELINE_LOG", "trace"),
    ];
    let world = World::new(&endpoint(collector.start()), 1, &variables);
    world.ask();
    collector.wait_for(2);
    let (_, log) = world.stop();
    let resource = &collector.resources()[0].attributes;
    for (key, value) in [
        ("service.name", "crm-bridge"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("deployment.environment.name", "a,b"),
        ("telemetry.sdk.name", "tieline"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(resource.get(key).as_deref(), Some(value), "{key}");
    }
    let headers = &collector.headers()[0];
    assert_eq!(headers["authorization"], "Bearer canary-of-a-header");
    let agent = format!("tieline/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(headers["user-agent"], agent.as_str());
    assert!(log.contains("\"level\":\"TRACE\""), "the finest level");
    assert!(!log.contains("canary-of-a-header"), "a header in the log");
    assert!(!collector.text().contains("canary-of-a-header"));
}

#[test]
fn settings_that_cannot_be_meant_are_reported_at_the_start() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-a=1,canary"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "canary"),
        ("OTEL_RESOURCE_ATTRIBUTES", "canary"),
    ];
    let traces = "otlp_endpoint = \"http://localhost:4317\"";
    let told = World::new(traces, 1, &variables).gateway.start;
    for words in [
        "traces.otlp_endpoint: port 4317 usually takes OTLP over gRPC",
        "collectors usually take on port 4318",
        "OTEL_EXPORTER_OTLP_HEADERS: entry 2 is not a header that can be sent",
        "OTEL_EXPORTER_OTLP_COMPRESSION: spans are sent without compression",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: not a number of milliseconds",
        "OTEL_RESOURCE_ATTRIBUTES: not a list of KEY=VALUE",
    ] {
        assert_eq!(told.matches(words).count(), 1, "{words}: {told}");
    }
    assert_eq!(told.matches("\"WARN\"").count(), 5, "{told}");
    assert!(!told.contains("canary"), "{told}");
    let quiet = format!("otlp_endpoint = \"http://{}\"", free());
    let told = World::new(&quiet, 1, &[]).gateway.start;
    assert!(!told.contains("\"WARN\""), "{told}");
}
