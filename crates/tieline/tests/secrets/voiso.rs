//! No secret leaves: canary keys go through the real processes at the finest log level, and then
//! everything that was logged, printed, answered or shown is searched for them.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::net::{SocketAddr, TcpListener};
use std::sync::MutexGuard;
use std::time::Duration;

use crate::common::canary::{Heard, Search, canary};
use crate::common::process::{Gateway, Process};
use crate::common::{much_memory, tieline, vendor_with};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use http::{Request, Version};
use tests::folder::Folder;
use tests::frames::{
    self, END_HEADERS, END_STREAM, GOAWAY, HEADERS, SETTINGS, WINDOW_UPDATE, frame,
};
use tests::plain::{bearer, request, say};
use tests::{V1_USERS, config};
use tower::ServiceExt;
use transport::body;

const PATIENCE: Duration = Duration::from_secs(30);
const BYTES_MAX: usize = 16 << 20;

const TRACE: (&str, &str) = ("TIELINE_LOG", "trace");
const FILTERS: [&str; 8] =
    ["id", "name", "email", "sip_account", "sag", "extension", "caller_id", "timezone"];

/// The secrets of one world.
struct Keys {
    /// One for each vendor, then one whose upstream cannot be reached.
    legacy: Vec<String>,
    /// From the environment and from a file.
    v4: [String; 2],
    /// Keys of no caller; the last is short enough to pass for a name.
    wrong: [String; 3],
    /// A value that a client filters by.
    value: String,
}

impl Keys {
    fn new(vendors: usize) -> Keys {
        let mut legacy: Vec<String> = (0..=vendors as u64).map(|n| canary(100 + n, 40)).collect();
        // One in the alphabet of base64, one in hex, one that is short.
        legacy[1] = format!("{}+/{}+/{}==", canary(1, 11), canary(2, 13), canary(3, 12));
        legacy[2] = canary(4, 20).bytes().map(|byte| format!("{byte:02x}")).collect();
        legacy[3] = canary(5, 20);
        Keys {
            legacy,
            v4: [canary(6, 24), format!("{}.{}-{}", canary(7, 30), canary(8, 30), canary(9, 12))],
            wrong: [
                canary(10, 40),
                format!("{}/+{}=", canary(11, 20), canary(12, 20)),
                canary(13, 20),
            ],
            value: canary(14, 32),
        }
    }

    fn search(&self) -> Search {
        let mut all: Vec<(String, String)> = Vec::new();
        let groups: [(&str, &[String]); 4] = [
            ("legacy key", &self.legacy),
            ("v4 key", &self.v4),
            ("wrong key", &self.wrong),
            ("filter value", std::slice::from_ref(&self.value)),
        ];
        for (name, texts) in groups {
            all.extend(
                texts.iter().enumerate().map(|(n, text)| (format!("{name} {n}"), text.clone())),
            );
        }
        Search::new(&all)
    }
}

/// What is wrong with each vendor; the first one is well.
fn faults(v4: &[String; 2]) -> Vec<Vec<String>> {
    let quoted = format!("\"{}\"", v4[0]);
    let plain = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    vec![
        vec![],
        plain(&["--keys-unauthorized", "*"]),
        plain(&["--keys-forbidden", "*"]),
        vec!["--fail".to_owned(), format!("429,{}", v4[0])],
        plain(&["--fail", "429,1"]),
        vec!["--fail".to_owned(), format!("503,{}", v4[1])],
        plain(&["--fail", "500"]),
        plain(&["--fail", "400"]),
        plain(&["--fail", "404"]),
        plain(&["--error-in-200"]),
        plain(&["--not-json"]),
        plain(&["--redirect"]),
        plain(&["--stall"]),
        plain(&["--truncate-body-at", "0"]),
        plain(&["--gzip-unasked", "--fail", "422"]),
        vec!["--users-raw".to_owned(), quoted.clone()],
        vec!["--total-raw".to_owned(), quoted.clone()],
        vec!["--bad-id".to_owned(), v4[0].clone()],
        vec!["--bad-field".to_owned(), format!("teams={quoted}")],
        vec!["--bad-field".to_owned(), format!("webrtc_ringtone={{{quoted}:1}}")],
        vec!["--bad-field".to_owned(), format!("name={}", v4[0])],
    ]
}

/// The vendors, the configuration of a gateway in front of them all, and its secrets.
struct World {
    folder: Folder,
    vendors: Vec<Process>,
    keys: Keys,
    environment: Vec<(String, String)>,
    _much_memory: MutexGuard<'static, ()>,
}

impl World {
    fn new() -> World {
        let turn = much_memory();
        let (folder, keys) = (Folder::new(), Keys::new(faults(&Default::default()).len()));
        let (mut vendors, mut bases) = (Vec::new(), Vec::new());
        for fault in &faults(&keys.v4) {
            // The first keys of a vendor are printed, for pasting; no secret is one of them.
            let mut arguments = vec![
                "--users=250",
                "--echo-key-in-error",
                "--v4-key=printed",
                "--v4-key",
                &keys.v4[0],
                "--v4-key",
                &keys.v4[1],
                "--legacy-key=printed",
            ];
            arguments.extend(fault.iter().map(String::as_str));
            let (process, base) = vendor_with(&arguments, &[TRACE]);
            vendors.push(process);
            bases.push(base);
        }
        // A port that nobody listens on.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        bases.push(format!("http://{closed}"));
        let mut world =
            World { folder, vendors, keys, environment: Vec::new(), _much_memory: turn };
        world.configure(&bases);
        world
    }

    /// Every way to hold a key is some caller's.
    fn configure(&mut self, bases: &[String]) {
        let file = self.folder.file("v4.key", format!("{}\n", self.keys.v4[1]));
        self.environment.push(("CANARY_V4".to_owned(), self.keys.v4[0].clone()));
        self.environment.push((TRACE.0.to_owned(), TRACE.1.to_owned()));
        let mut text = String::new();
        for (n, (base, key)) in bases.iter().zip(&self.keys.legacy).enumerate() {
            let legacy = match n % 3 {
                0 => config::digest(key),
                1 => {
                    self.environment.push((format!("CANARY_{n}"), key.clone()));
                    config::env(format!("CANARY_{n}"))
                }
                _ => config::file(self.folder.file(&format!("{n}.key"), key)),
            };
            let v4 = if n % 2 == 0 { config::env("CANARY_V4") } else { config::file(&file) };
            let (caller, upstream) = (format!("caller{n}"), format!("up{n}"));
            let patience =
                "attempts_max = 2\nattempt_timeout = \"500ms\"\nretry_after_max = \"1s\"";
            text += &config::voiso(&upstream, base, patience);
            text += &config::caller(&caller, &upstream, &legacy, &v4, "explain = true");
        }
        self.folder.file("callers.toml", text);
    }

    /// The file of a configuration whose `[server]` has this line.
    fn file(&self, tls: &str) -> String {
        let callers = std::fs::read_to_string(self.folder.path("callers.toml")).unwrap();
        let text = config::ports(tls) + "[limits]\nrequest_deadline = \"8s\"\n" + &callers;
        self.folder.file("tieline.toml", text)
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// A text as a query may hold it.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b if b.is_ascii_alphanumeric() => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}

/// Every request worth sending over HTTP/1: a name, the request line, further header lines.
fn requests(keys: &Keys) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let mut add =
        |name: &str, line: String, headers: String| all.push((name.to_owned(), line, headers));
    let explain = "x-tieline-explain: 1\r\n";
    for (n, key) in keys.legacy.iter().enumerate() {
        let q = escaped(key);
        add(&format!("a list of caller {n}"), format!("GET {V1_USERS}"), bearer(key) + explain);
        add(
            &format!("a list by query of caller {n}"),
            format!("GET {V1_USERS}?key={q}"),
            explain.into(),
        );
    }
    let good = &keys.legacy[0];
    for filter in FILTERS {
        let target = format!("GET {V1_USERS}?{filter}={}", keys.value);
        add("a filter", target, bearer(good) + explain);
        add("a bracket", format!("GET {V1_USERS}?filter[{filter}]={}", keys.value), bearer(good));
        add(
            "a key in a filter",
            format!("GET {V1_USERS}?{filter}={}", escaped(good)),
            bearer(good),
        );
    }
    let every = keys.legacy[..4].iter().chain(&keys.v4).chain(&keys.wrong);
    for (n, key) in every.enumerate() {
        let (q, basic) = (escaped(key), STANDARD.encode(format!("{key}:")));
        for method in ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "BREW"] {
            add(&format!("{method} of {n}"), format!("{method} {V1_USERS}"), bearer(key));
            add(
                &format!("{method} by query of {n}"),
                format!("{method} {V1_USERS}?key={q}"),
                String::new(),
            );
        }
        add("both", format!("GET {V1_USERS}?key={q}"), bearer(key));
        add("both, the right one in the head", format!("GET {V1_USERS}?key={q}"), bearer(good));
        add("twice", format!("GET {V1_USERS}"), bearer(key) + &bearer(key));
        add("twice by query", format!("GET {V1_USERS}?key={q}&key={q}"), String::new());
        add("basic", format!("GET {V1_USERS}"), format!("authorization: Basic {basic}\r\n"));
        add("no scheme", format!("GET {V1_USERS}"), format!("authorization: {key}\r\n"));
        for query in [
            q.clone(),
            format!("{q}=1"),
            format!("x={q}"),
            format!("api_key={q}"),
            format!("filter[{q}]=1"),
            format!("x.{q}=1"),
            format!("x=1&token={key}"),
        ] {
            let with = bearer(good) + explain;
            add("an odd parameter", format!("GET {V1_USERS}?{query}"), with);
            add("an odd parameter alone", format!("GET {V1_USERS}?{query}"), String::new());
        }
        for path in [
            format!("{V1_USERS}/{q}"),
            format!("/{q}"),
            format!("{V1_USERS};{q}"),
            format!("{V1_USERS}#{q}"),
        ] {
            add("an odd path", format!("GET {path}"), bearer(good));
        }
        add("a whole address", format!("GET http://{q}@gateway{V1_USERS}"), bearer(good));
        add("an odd target", format!("GET {V1_USERS}?key={key} and more"), bearer(good));
        add("no target", key.clone(), bearer(good));
        add("an odd header line", format!("GET {V1_USERS}"), format!("Bearer {key}\r\n"));
        for header in [
            "cookie: session",
            "x-api-key: k",
            "api-key: k",
            "user-agent: k",
            "referer: k",
            "x-request-id: k",
            "x-tieline-explain: k",
            "traceparent: k",
            "host: k",
            "te: k",
            "proxy-authorization: Bearer k",
            "content-length: k",
            "expect: k",
        ] {
            let header =
                header.replace(": k", &format!(": {key}")).replace("session", &format!("k={key}"));
            add("an odd header", format!("GET {V1_USERS}"), bearer(good) + &header + "\r\n");
        }
    }
    let long = format!("GET {V1_USERS}?key={}&{}", keys.wrong[0], keys.wrong[0].repeat(1_000));
    add("a head that is too long", long, bearer(good));
    all
}

/// Sends one request over HTTP/2 without TLS, as bytes: a polite client could not say all of this.
fn say_http2(to: SocketAddr, path: &str, key: Option<&str>) -> Vec<u8> {
    let bearer = key.map(|key| format!("Bearer {key}"));
    let mut fields =
        vec![(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", path)];
    fields.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    // Settings (a window large enough for the list), the request, and no more of us to come.
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 127, 255, 255]);
    let window = frame(WINDOW_UPDATE, 0, 0, &0x007F_0000_u32.to_be_bytes());
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &frames::block(&fields));
    let bye = frame(GOAWAY, 0, 0, &[0; 8]);
    say(to, [frames::PREFACE, &settings, &window, &request, &bye].concat())
}

/// Sends every request to a gateway.
fn talk(gateway: &Gateway, keys: &Keys, heard: &mut Heard) {
    let to = gateway.address;
    for (name, line, headers) in requests(keys) {
        heard.add(name, say(to, request(&line, &headers)));
    }
    let mut http2_answered = 0;
    for key in keys.legacy[..4].iter().chain(&keys.v4).chain(&keys.wrong) {
        let target = format!("{V1_USERS}?key={}", escaped(key));
        for (path, bearer) in
            [(V1_USERS, Some(key.as_str())), (&target, None), (&target, Some(key))]
        {
            let answer = say_http2(to, path, bearer);
            http2_answered += u32::from(answer.windows(8).any(|eight| eight == b"{\"error\""));
            heard.add("HTTP/2", answer);
        }
    }
    // A malformed path, which the HTTP/2 library would log whole at `debug`.
    let malformed = format!("{V1_USERS}?key={}&name=<x>", escaped(&keys.legacy[0]));
    heard.add("malformed HTTP/2", say_http2(to, &malformed, None));
    assert!(http2_answered >= 9, "{http2_answered} errors over HTTP/2");
    let console = ["overview", "view", "callers", "upstreams", "usage", "config", "requests"]
        .map(|page| format!("/api/v1/{page}"));
    let plain = ["/metrics", "/callers", "/losses", "/healthz", "/readyz", "/"];
    for path in plain.into_iter().chain(console.iter().map(String::as_str)) {
        for query in
            [String::new(), format!("?key={}", keys.wrong[0]), format!("/{}", keys.wrong[0])]
        {
            let request = request(&format!("GET {path}{query}"), &bearer(&keys.legacy[0]));
            heard.add(format!("the admin page {path}"), say(gateway.admin, request));
        }
    }
}

#[test]
fn d12_d13_no_key_is_logged_printed_answered_or_shown() {
    let world = World::new();
    let file = world.file("");
    let search = world.keys.search();
    let mut heard = Heard::default();
    for format in ["json", "human"] {
        let gateway = Gateway::start_with(&file, format, &world.environment());
        talk(&gateway, &world.keys, &mut heard);
        let arguments = std::fs::read(format!("/proc/{}/cmdline", gateway.process.id())).unwrap();
        heard.add("the arguments", arguments);
        gateway.process.stop();
        let log = gateway.process.stderr();
        let text = String::from_utf8_lossy(&log);
        let access = if format == "json" { "\"answered\"" } else { " v1_users " };
        for word in ["TRACE", "hyper", "h2::", "gateway", access, "request failed"] {
            assert!(text.contains(word), "the {format} log has no {word}: is it complete?");
        }
        // The search sees what the log holds: it finds a key in the midst of it.
        let mut spoilt = log.clone();
        spoilt.splice(log.len() / 2..log.len() / 2, world.keys.legacy[0].bytes());
        assert!(!search.find(&spoilt).is_empty());
        println!("{format}: {} lines, {} bytes of log", text.lines().count(), log.len());
        heard.add(format!("the {format} log"), log);
        heard.add("standard output", gateway.process.stdout());

        let mut check = tieline(&["check", "--config", &file, "--log-format", format]);
        let output = check.envs(world.environment()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        heard.add("the check's report", output.stdout);
        heard.add(format!("the check's {format} log"), output.stderr);
    }
    for (n, vendor) in world.vendors.iter().enumerate() {
        vendor.stop();
        heard.add(format!("the output of vendor {n}"), vendor.stdout());
        heard.add(format!("the log of vendor {n}"), vendor.stderr());
    }
    let outcomes = heard.outcomes();
    println!("{} things heard; {outcomes:?}", heard.0.len());
    for expected in [
        "200",
        "400",
        "401",
        "404",
        "405",
        "429",
        "502",
        "503",
        "504",
        "ambiguous_credential",
        "mapped_key_refused",
        "upstream_forbidden",
        "upstream_connect",
        "upstream_bad_schema",
    ] {
        assert!(outcomes.contains(expected), "nothing came to {expected}: {outcomes:?}");
    }
    heard.assert_clean(&search);
}

#[tokio::test]
async fn no_key_leaves_by_way_of_tls_and_http2() {
    let world = World::new();
    let certificate = world.folder.certificate("gateway");
    let file = world.file(&certificate.server_line());
    let gateway = Gateway::start_with(&file, "json", &world.environment());
    let client = certificate.client();
    let keys = &world.keys;
    let mut heard = Heard::default();
    let base = format!("https://localhost:{}{V1_USERS}", gateway.address.port());
    for key in keys.legacy.iter().chain(&keys.v4).chain(&keys.wrong) {
        let q = escaped(key);
        for (target, with) in [
            (base.clone(), Some(key)),
            (format!("{base}?key={q}"), None),
            (format!("{base}?key={q}"), Some(key)),
            (format!("{base}?{q}=1&x={q}"), Some(&keys.legacy[0])),
            (format!("{base}/{q}"), Some(&keys.legacy[0])),
        ] {
            let mut request = Request::get(target).header("x-tieline-explain", "1");
            if let Some(key) = with {
                request = request.header("authorization", format!("Bearer {key}"));
            }
            let request = request.header("cookie", format!("session={key}"));
            let answer = client.clone().oneshot(request.body(Bytes::new()).unwrap()).await.unwrap();
            let (head, body) = answer.into_parts();
            assert_eq!(head.version, Version::HTTP_2);
            heard.add("a head over TLS", format!("{head:?}").into_bytes());
            let body = body::collect(body, BYTES_MAX, PATIENCE).await.unwrap();
            heard.add("a body over TLS", body.to_vec());
        }
        // A client that forgets the TLS.
        let request = request(&format!("GET {V1_USERS}?key={q}"), "");
        heard.add("in the clear", say(gateway.address, request));
    }
    gateway.process.stop();
    heard.add("the log", gateway.process.stderr());
    heard.add("standard output", gateway.process.stdout());
    heard.assert_clean(&keys.search());
}

#[test]
fn the_search_finds_a_secret_in_every_encoding() {
    let secret = format!("{}+/{}==", canary(30, 15), canary(31, 18));
    let search = Search::new(&[("it".to_owned(), secret.clone())]);
    let noise: String = (40..80).map(|n| canary(n, 100)).collect();
    assert!(search.find(noise.as_bytes()).is_empty(), "a find where there is nothing");
    let each = |f: fn(u8) -> String| secret.bytes().map(f).collect::<Vec<_>>();
    let numbers = each(|byte| byte.to_string());
    let mut shapes = vec![
        secret.clone(),
        escaped(&secret),
        escaped(&secret).to_lowercase().replace(&secret.to_lowercase()[..15], &secret[..15]),
        each(|byte| format!("%{byte:02X}")).concat(),
        each(|byte| format!("%{byte:02x}")).concat(),
        each(|byte| format!("{byte:02X}")).concat(),
        each(|byte| format!("{byte:02x}")).concat(),
        format!("{:?}", secret.as_bytes()),
        numbers.join(","),
        format!("{:?}", Bytes::from(secret.clone())),
    ];
    // Behind any number of other bytes, as in `user:key` or `Bearer key`.
    for before in ["", "a", "ab", "Bearer ", "user:", "user-1:"] {
        let text = format!("{before}{secret}:b");
        shapes.extend([STANDARD.encode(&text), URL_SAFE.encode(&text)]);
    }
    // Any 12 bytes of it.
    shapes.extend((0..=secret.len() - 12).map(|at| secret[at..at + 12].to_owned()));
    for (n, shape) in shapes.iter().enumerate() {
        let found = search.find(format!("{noise}{shape}{noise}").as_bytes());
        assert!(!found.is_empty(), "shape {n} was not found");
        assert!(found.iter().all(|line| !line.contains(&secret[..12])), "a report that tells");
    }
}
