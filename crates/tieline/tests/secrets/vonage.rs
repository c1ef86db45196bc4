//! No secret of a client leaves: canary ids, secrets and tokens go through the real processes at the
//! finest log level, past vendors that repeat them everywhere, and then everything that was logged,
//! printed, answered, shown or kept is searched for them. No name of a user may stand in a log.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::echo::{ANSWERS, echo};
use super::vonage_world::{Keys, NAME, TRACE, WELL, World};
use crate::common::canary::{Heard, Search};
use crate::common::process::Gateway;
use crate::common::{run, stdout, tieline, vendor_with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Version};
use simulator::{Body, Dialect, Faults, Settings, Simulator, VonageSettings};
use tests::config::{self, TOKEN};
use tests::folder::Folder;
use tests::plain::{bearer, request, say};
use tests::{DELETED, TEAMS, V1_USERS, V3_USERS};
use tower::ServiceExt;
use transport::body;
use transport::server::ServerLimits;
use transport::tls::ServerTls;

const PATIENCE: Duration = Duration::from_secs(30);
const BYTES_MAX: usize = 16 << 20;
const PATHS: [&str; 4] = [V1_USERS, V3_USERS, TEAMS, DELETED];

/// A text as a query may hold it.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn ask(to: SocketAddr, line: &str, headers: &str) -> Vec<u8> {
    say(to, request(line, headers))
}

/// Asks a gateway everything.
fn talk(gateway: &Gateway, keys: &Keys, tokens: &[String], heard: &mut Heard) {
    let to = gateway.address;
    let explain = "x-tieline-explain: 1\r\n";
    let all = |n: usize, key: &str| {
        let mut answers: Vec<_> = PATHS
            .iter()
            .map(|path| ask(to, &format!("GET {path}"), &(bearer(key) + explain)))
            .collect();
        answers.push(ask(to, &format!("GET {V1_USERS}?key={}", escaped(key)), explain));
        answers.into_iter().map(move |answer| (format!("a list of caller {n}"), answer))
    };
    let callers: Vec<_> = keys.legacy.iter().enumerate().collect();
    // The lists that must be whole come first: nothing beside them makes them late.
    let (well, ill) = callers.split_at(WELL);
    heard.0.extend(well.iter().flat_map(|(n, key)| all(*n, key)));
    // Much of the rest is waiting for vendors that say nothing, so all of it is waited for at once.
    std::thread::scope(|scope| {
        let asking: Vec<_> = ill
            .iter()
            .map(|(n, key)| scope.spawn(move || all(*n, key).collect::<Vec<_>>()))
            .collect();
        heard.0.extend(asking.into_iter().flat_map(|asking| asking.join().unwrap()));
    });
    let (good, odd) = (&keys.legacy[0], [keys.client(0), keys.client(1)]);
    let secrets = keys.clients.iter().map(|(_, secret)| secret);
    for key in secrets.chain(&odd).chain(&keys.tokens[..1]).chain(&keys.wrong).chain(tokens.first())
    {
        let (q, basic) = (escaped(key), STANDARD.encode(key));
        for (line, headers) in [
            (format!("GET {V1_USERS}"), bearer(key)),
            (format!("POST {V1_USERS}"), bearer(key)),
            (format!("GET {V1_USERS}?key={q}"), String::new()),
            (format!("GET {V1_USERS}?key={q}"), bearer(good)),
            (format!("GET {V1_USERS}"), format!("authorization: Basic {basic}\r\n")),
            (format!("GET {V1_USERS}?name={q}"), bearer(good) + explain),
            (format!("GET {V1_USERS}?{q}=1&client_secret={q}"), bearer(good) + explain),
            (format!("GET {V1_USERS}/{q}"), bearer(good)),
            (format!("GET {TOKEN}?client_secret={q}"), bearer(good)),
            (format!("GET {V1_USERS}"), bearer(good) + &format!("cookie: token={basic}\r\n")),
            (format!("GET {V1_USERS}"), bearer(good) + &format!("x-request-id: {basic}\r\n")),
        ] {
            heard.add("an odd request", ask(to, &line, &headers));
        }
    }
    // The value of a filter may go upstream, so this key belongs to no caller.
    let odd = format!("GET {V1_USERS}?extension={}", escaped(&keys.wrong[1]));
    heard.add("a list by extension", ask(to, &odd, &(bearer(good) + explain)));
    // By a user's name, which is no secret but nothing for a log either.
    let name = format!("GET {V1_USERS}?name={}", escaped(NAME));
    heard.add("a list by name", ask(to, &name, &bearer(good)));
    for path in ["/metrics", "/callers", "/losses", "/healthz", "/readyz"] {
        heard
            .add(format!("page {path}"), ask(gateway.admin, &format!("GET {path}"), &bearer(good)));
    }
}

#[test]
fn d12_no_secret_or_token_is_logged_printed_answered_shown_or_kept() {
    let world = World::new();
    let file = world.file();
    let mut heard = Heard::default();
    // Before the gateways, for the memory. A check waits for vendors that say nothing, ten times this long.
    let patience = ("TIELINE_LIMITS__REQUEST_DEADLINE", "1s");
    let checks = ["json", "human"].map(|format| {
        let mut check = tieline(&["check", "--config", &file, "--log-format", format]);
        check.envs(world.environment()).envs([patience]);
        (format, std::thread::spawn(move || check.output().unwrap()))
    });
    for (format, check) in checks {
        let output = check.join().unwrap();
        assert_eq!(output.status.code(), Some(1));
        heard.add("page: the check's report", output.stdout);
        heard.add(format!("log of the check, {format}"), output.stderr);
    }
    for format in ["json", "human"] {
        let gateway = Gateway::start_with(&file, format, &world.environment());
        talk(&gateway, &world.keys, &world.tokens(), &mut heard);
        let arguments = std::fs::read(format!("/proc/{}/cmdline", gateway.process.id())).unwrap();
        heard.add("the arguments", arguments);
        gateway.process.stop();
        let log = gateway.process.stderr();
        let text = String::from_utf8_lossy(&log);
        let access = if format == "json" { "\"answered\"" } else { " v1_users " };
        for word in ["TRACE", "hyper", "gateway", access, "request failed"] {
            assert!(text.contains(word), "the {format} log has no {word}: is it complete?");
        }
        println!("{format}: {} lines, {} bytes of log", text.lines().count(), log.len());
        heard.add(format!("log {format}"), log);
        heard.add("log, standard output", gateway.process.stdout());
    }
    let tokens = world.tokens();
    let search = world.keys.search(&tokens);
    self_check(&world, &tokens, &search, &heard);
    for (n, vendor) in world.vendors.iter().enumerate() {
        vendor.process.stop();
        heard.add(format!("log of vendor {n}: output"), vendor.process.stdout());
        heard.add(format!("log of vendor {n}"), vendor.process.stderr());
    }
    let roster = world.folder.path(&format!("{}.sqlite", world.keys.place));
    let kept = std::fs::read(roster).unwrap();
    assert!(contains(&kept, NAME), "the roster knows nobody");
    heard.add("the roster", kept);
    let outcomes = heard.outcomes();
    println!("{} things heard, {} tokens; {outcomes:?}", heard.0.len(), tokens.len());
    for expected in [
        "200",
        "401",
        "429",
        "503",
        "504",
        "mapped_key_refused",
        "upstream_forbidden",
        "upstream_bad_token",
        "upstream_redirect",
        "upstream_bad_framing",
        "upstream_bad_schema",
        "upstream_connect",
    ] {
        assert!(outcomes.contains(expected), "nothing came to {expected}: {outcomes:?}");
    }
    heard.assert_clean(&search);
    // No name of a user is in the logs and pages for operators.
    let name = Search::new(&[("a user's name".to_owned(), NAME.to_owned())]);
    heard.0.retain(|(what, _)| what.starts_with("log") || what.starts_with("page"));
    assert!(heard.0.len() > 60);
    heard.assert_clean(&name);
}

/// That the secrets were really used, where they belong and nowhere else, and would be found.
fn self_check(world: &World, tokens: &[String], search: &Search, heard: &Heard) {
    // Two gateways and two checks had a token of each vendor that gives any.
    assert!(tokens.len() > 60, "{} tokens", tokens.len());
    let mut sent = Heard::default();
    let (mut with_secret, mut with_token) = (0, 0);
    for (n, vendor) in world.vendors.iter().enumerate() {
        let lists = vendor.lists.sent();
        with_token += usize::from(tokens.iter().any(|token| contains(&lists, token)));
        with_secret += usize::from(!search.find(&vendor.tokens.sent()).is_empty());
        sent.add(format!("requests for the lists of vendor {n}"), lists);
    }
    assert_eq!(with_secret, world.vendors.len());
    assert!(with_token > 15, "{with_token}");
    // Neither an id nor a secret nor a legacy key goes where the lists are.
    let clients = world.keys.clients.iter().flat_map(|(id, secret)| [id, secret]);
    let apart: Vec<_> = clients
        .chain(&world.keys.legacy)
        .enumerate()
        .map(|(n, text)| (format!("secret {n}"), text.clone()))
        .collect();
    sent.assert_clean(&Search::new(&apart));
    // And no legacy key where the tokens are.
    let mut sent = Heard::default();
    for (n, vendor) in world.vendors.iter().enumerate() {
        sent.add(format!("requests for tokens of vendor {n}"), vendor.tokens.sent());
    }
    sent.assert_clean(&Search::new(&apart[2 * world.keys.clients.len()..]));
    for caller in (0..WELL).map(|n| format!("a list of caller {n}")) {
        let answers: Vec<_> = heard.0.iter().filter(|(what, _)| *what == caller).collect();
        // Of each of two gateways.
        assert_eq!(answers.len(), 2 * (PATHS.len() + 1), "{caller}");
        for (_, bytes) in answers {
            let head = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
            assert!(head.starts_with(b"HTTP/1.1 200 "), "{caller}: {}", head.escape_ascii());
        }
    }
    // The lists that were answered hold the name, so a log might have.
    assert!(heard.0.iter().any(|(_, bytes)| contains(bytes, NAME)));
    let (_, log) = heard.0.iter().find(|(what, _)| what == "log json").unwrap();
    let secret = &world.keys.clients[1].1;
    for text in [secret, &tokens[0], &STANDARD.encode(secret), &escaped(secret)] {
        let mut spoilt = log.clone();
        spoilt.splice(log.len() / 2..log.len() / 2, text.bytes());
        assert!(!search.find(&spoilt).is_empty());
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|piece| piece == text.as_bytes())
}

/// A vendor behind TLS and HTTP/2 that writes down every credential it is shown.
async fn front(simulator: &Simulator, tls: ServerTls) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let shown = Arc::new(Mutex::new(Vec::new()));
    let (service, heard) = (simulator.service(), Arc::clone(&shown));
    let service = tower::service_fn(move |request: Request<Body>| {
        assert_eq!(request.version(), Version::HTTP_2);
        let shows = request.headers().get("authorization").map(|text| text.to_str().unwrap());
        heard.lock().unwrap().extend(shows.map(str::to_owned));
        service.clone().oneshot(request)
    });
    let limits = ServerLimits::default();
    let never = std::future::pending();
    tokio::spawn(transport::server::serve(listener, Some(tls), limits, service, never, PATIENCE));
    (port, shown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_or_token_leaves_by_way_of_tls_and_http2() {
    let (folder, keys) = (Folder::new(), Keys::new(2));
    let certificate = folder.certificate("both");
    let (id, secret) = keys.clients[1].clone();
    let simulator = Simulator::new(Settings {
        dialect: Dialect::VonageV4,
        users: 120,
        faults: Faults {
            echo_key_in_error: true,
            expire_tokens_after: Some(30),
            ..Faults::default()
        },
        vonage: VonageSettings { clients: vec![(id, secret)], ..VonageSettings::default() },
        ..Settings::default()
    });
    let (port, shown) = front(&simulator, certificate.server()).await;
    let mut text = config::ports(&certificate.server_line());
    // The second caller's client is none that the vendor knows.
    for n in 0..2 {
        let client = config::file(folder.file(&format!("{n}.client"), keys.client(n + 1)));
        let legacy = config::file(folder.file(&format!("{n}.key"), &keys.legacy[n]));
        let auth = if n == 0 { "basic" } else { "form" };
        let more = format!("token_auth = \"{auth}\"\n{}", certificate.ca_line());
        let (caller, upstream) = (format!("caller{n}"), format!("up{n}"));
        text += &config::vonage(&upstream, format!("https://localhost:{port}"), &more);
        text += &config::caller(&caller, &upstream, &legacy, &client, "explain = true");
    }
    let file = folder.file("tieline.toml", text);
    let gateway = Gateway::start_with(&file, "json", &[TRACE]);
    let client = certificate.client();
    let mut heard = Heard::default();
    let mut statuses = Vec::new();
    for key in &keys.legacy {
        for path in PATHS {
            let url = format!("https://localhost:{}{path}", gateway.address.port());
            let request = Request::get(url).header("authorization", format!("Bearer {key}"));
            let request = request.header("x-tieline-explain", "1").body(Bytes::new()).unwrap();
            let (head, answer) = client.clone().oneshot(request).await.unwrap().into_parts();
            statuses.push(head.status.as_u16());
            heard.add("a head over TLS", format!("{head:?}").into_bytes());
            let bytes = body::collect(answer, BYTES_MAX, PATIENCE).await.unwrap();
            heard.add("a body over TLS", bytes.to_vec());
        }
    }
    assert_eq!(statuses, [200, 200, 200, 200, 502, 502, 502, 502]);
    for path in ["/metrics", "/callers", "/losses"] {
        heard.add(path, ask(gateway.admin, &format!("GET {path}"), ""));
    }
    gateway.process.stop();
    let log = gateway.process.stderr();
    assert!(contains(&log, "h2::client") && contains(&log, "h2::codec"), "no HTTP/2 in the log");
    heard.add("the log", log);
    heard.add("standard output", gateway.process.stdout());
    let check = tieline(&["check", "--config", &file]).envs([TRACE]).output().unwrap();
    heard.add("the check", [check.stdout, check.stderr].concat());
    let shown = shown.lock().unwrap().clone();
    let tokens = shown.iter().filter_map(|text| text.strip_prefix("Bearer ").map(str::to_owned));
    let tokens: std::collections::BTreeSet<String> = tokens.collect();
    assert!(shown.iter().any(|text| text.starts_with("Basic ")) && tokens.len() >= 3);
    heard.assert_clean(&keys.search(&Vec::from_iter(tokens)));
}

#[test]
fn an_import_tells_no_key_whatever_the_vendor_repeats() {
    let (folder, keys) = (Folder::new(), Keys::new(1));
    let client = config::file(folder.file("client", keys.client(0)));
    let legacy = config::file(folder.file("legacy", &keys.legacy[0]));
    let nowhere = "http://127.0.0.1:9";
    let text = "[roster]\nfile = \"roster.sqlite\"\n".to_owned()
        + &config::vonage_with("up", nowhere, nowhere, "")
        + &config::caller("crm", "up", &legacy, &client, "");
    let file = folder.file("tieline.toml", text);
    let echoing = ["--echo-key-in-error"];
    let vonage = ["--dialect", "vonage-v4", "--echo-key-in-error"];
    let (_first, voiso) = vendor_with(&echoing, &[]);
    let (_second, vonage) = vendor_with(&vonage, &[]);
    let mut urls = vec![
        format!("{voiso}/api/v4/users"),
        format!("{voiso}{DELETED}"),
        format!("{vonage}/useradmin/users"),
        format!("{vonage}{TOKEN}"),
        "http://127.0.0.1:9/nobody".to_owned(),
        format!("https://{}/tls", voiso.strip_prefix("http://").unwrap()),
    ];
    let echo = echo();
    urls.extend((0..ANSWERS.len()).map(|n| format!("{echo}/{n}")));
    let mut heard = Heard::default();
    for wrong in keys.wrong.iter().chain(&keys.legacy) {
        let key = folder.file("wrong", format!("{wrong}\n"));
        for url in &urls {
            let by_query = format!("{url}?key={}", escaped(wrong));
            let with_user = url.replace("://", &format!("://{}@", &keys.tokens[0]));
            for arguments in [
                &["--key-file", &key, url.as_str()][..],
                &["--key-env", "IMPORT_KEY", url],
                &["--key-file", &key, &by_query],
                &[&by_query],
                &["--key-file", &key, &with_user],
            ] {
                let all = [&["roster", "import", "--config", &file], arguments].concat();
                let envs = [("IMPORT_KEY", wrong.as_str()), TRACE];
                let output = tieline(&all).envs(envs).output().unwrap();
                let text = String::from_utf8_lossy(&output.stderr).into_owned();
                assert_eq!(output.status.code(), Some(1), "{} bytes", text.len());
                assert!(text.starts_with("error: ") && output.stdout.is_empty());
                heard.add(format!("import {}", heard.0.len()), output.stderr);
            }
        }
    }
    println!("{} imports", heard.0.len());
    heard.assert_clean(&keys.search(&[]));
    let output = run(&["roster", "export", "--config", &file], b"");
    assert_eq!(stdout(&output), "[\n]\n");
}
