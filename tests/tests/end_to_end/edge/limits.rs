//! Slow clients, and more of them than there are places: each wait has an end, everybody else is served.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::expect::refusal;
use tests::raw::{Raw, Reply};
use tests::wire::{Far, Wire, request};
use tests::{Answer, Front, V1_USERS, V4_KEY, edge_text, eventually, parsed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

const LONG: usize = 64 << 20;

async fn rows() -> Raw {
    Raw::start(|head| match head.target().starts_with("/x") {
        true => Reply::json(200, "{}"),
        false => Reply::page_of(&[1, 2, 3], head),
    })
    .await
}

async fn is_served(front: &Front) -> bool {
    front.get(V1_USERS).await.ids() == [1, 2, 3]
}

#[tokio::test]
async fn c01_three_hundred_slow_heads_are_408_while_others_are_served() {
    const SLOW: usize = 300;
    let upstream = rows().await;
    let front = Front::start(&edge_text(upstream.address, "header_timeout = \"3s\"", "")).await;
    let begun = Instant::now();
    let mut slow = Vec::new();
    for number in 0..SLOW {
        let mut wire = Wire::to(front.running.address).await;
        // Some have nearly all of it, some a byte.
        let text = request("GET /x", &[]);
        wire.say(&text[..1 + number % (text.len() - 1)]).await.unwrap();
        slow.push(wire);
    }
    while begun.elapsed() < Duration::from_secs(2) {
        assert!(is_served(&front).await);
        sleep(Duration::from_millis(100)).await;
    }
    for mut wire in slow {
        // One more byte now and then does not help.
        wire.say("\r").await;
        let heard = wire.rest().await;
        if !heard.starts_with("HTTP/1.1 400 ") {
            refusal(&heard, "408 slow_headers", "a slow head");
        }
    }
    let told = front.rejected("slow_headers").await;
    assert!(told > SLOW as u64 / 2, "{told}");
    assert!(is_served(&front).await);
}

#[tokio::test]
async fn c01_a_connection_without_a_byte_is_closed_and_counted() {
    let upstream = rows().await;
    let front = Front::start(&edge_text(upstream.address, "header_timeout = \"500ms\"", "")).await;
    let mut wire = Wire::to(front.running.address).await;
    assert_eq!(wire.rest().await, "");
    assert_eq!(front.rejected("slow_headers").await, 1);
}

#[tokio::test]
async fn c02_a_translated_request_whose_body_stops_is_408_and_asks_nothing() {
    let upstream = rows().await;
    let front =
        Front::start(&edge_text(upstream.address, "body_idle_timeout = \"500ms\"", "")).await;
    let line = format!("GET {V1_USERS}");
    for (header, body) in [
        ("content-length: 10", ""),
        ("content-length: 10", "123456789"),
        ("transfer-encoding: chunked", "3\r\nab"),
        ("transfer-encoding: chunked", "3\r\nabc\r\n"),
    ] {
        let mut wire = Wire::to(front.running.address).await;
        wire.say(request(&line, &[header]) + body).await.unwrap();
        let heard = wire.rest().await;
        assert_eq!(Answer::heard(&heard).verdict(), "408 slow_body", "{header} {body:?}: {heard}");
        assert_eq!(upstream.asked(), 0);
    }
}

#[tokio::test]
async fn c02_a_body_that_trickles_in_has_an_end() {
    let upstream = rows().await;
    let text = edge_text(upstream.address, "", "[limits]\nrequest_deadline = \"3s\"");
    let front = Front::start(&text).await;
    let mut wire = Wire::to(front.running.address).await;
    let head = request(&format!("GET {V1_USERS}"), &["content-length: 1000"]);
    wire.say(head).await.unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20)
        && wire.is_silent_for(Duration::from_millis(50)).await
    {
        wire.say("x").await;
    }
    assert_eq!(Answer::heard(&wire.rest().await).verdict(), "408 slow_body");
    assert_eq!(upstream.asked(), 0);
}

#[tokio::test]
async fn c03_a_client_that_takes_nothing_is_cut() {
    let upstream = Far::start(|mut wire| async move {
        wire.head().await?;
        wire.say_long(LONG).await
    })
    .await;
    let front = Front::start(&edge_text(upstream.address, "write_timeout = \"500ms\"", "")).await;
    let mut wire = front.wire("GET /x", &[]).await;
    eventually("it is cut", async || front.rejected("slow_read").await == 1).await;
    let got = wire.skip(LONG).await;
    assert!(got < LONG, "all of it came");
}

#[tokio::test]
async fn c04_connections_above_the_limit_wait_and_are_served_when_one_ends() {
    const MOST: usize = 20;
    let upstream = rows().await;
    let server = format!("connections_max = {MOST}\nidle_timeout = \"60s\"");
    let front = Front::start(&edge_text(upstream.address, &server, "")).await;
    let mut held = Vec::new();
    for _ in 0..MOST {
        let mut wire = front.wire("GET /x", &[]).await;
        wire.until("{}").await.unwrap();
        held.push(wire);
    }
    assert_eq!(front.count("tieline_connections").await, MOST as u64);
    let mut waiting = Vec::new();
    for _ in 0..MOST {
        let wire = front.wire("GET /x", &["connection: close"]).await;
        waiting.push(wire);
    }
    assert!(waiting[0].is_silent_for(Duration::from_millis(300)).await, "served above the limit");
    assert_eq!(front.count("tieline_connections").await, MOST as u64);
    assert!(front.rejected("max_conns").await >= 1);
    // Connections with a place go on. When one leaves, the others come in turn.
    for wire in &mut held {
        wire.say(request("GET /x", &[])).await.unwrap();
        wire.until("{}").await.unwrap();
    }
    held.pop();
    for mut wire in waiting {
        assert!(wire.rest().await.starts_with("HTTP/1.1 200 "));
    }
}

/// A connection from an address of this machine.
async fn from(address: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// Whether a request on a connection is answered.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let _ = stream.write_all(request("GET /x", &[]).as_bytes()).await;
    let mut heard = [0; 12];
    let read = timeout(Duration::from_secs(20), stream.read_exact(&mut heard)).await.unwrap();
    read.is_ok() && &heard == b"HTTP/1.1 200"
}

#[tokio::test]
async fn c05_the_connections_of_one_address_are_limited_and_other_addresses_are_not_affected() {
    const MOST: usize = 10;
    let upstream = rows().await;
    let server = format!("connections_per_address_max = {MOST}");
    let front = Front::start(&edge_text(upstream.address, &server, "")).await;
    let to = front.running.address;
    let mut held = Vec::new();
    for _ in 0..MOST {
        let mut stream = from("127.0.0.2", to).await;
        assert!(is_answered(&mut stream).await);
        held.push(stream);
    }
    for _ in 0..5 {
        assert!(!is_answered(&mut from("127.0.0.2", to).await).await, "one more than there may be");
    }
    assert_eq!(front.rejected("per_ip").await, 5);
    assert!(is_answered(&mut from("127.0.0.3", to).await).await);
    for stream in &mut held {
        let mut rest = [0; 4096];
        let _ = stream.read(&mut rest).await;
        assert!(is_answered(stream).await, "the first connections go on");
    }

    let trusted = format!("{server}\ntrusted_proxies = [\"127.0.0.2\"]");
    let front = Front::start(&edge_text(upstream.address, &trusted, "")).await;
    let mut many = Vec::new();
    for _ in 0..2 * MOST {
        let mut stream = from("127.0.0.2", front.running.address).await;
        assert!(is_answered(&mut stream).await, "a trusted proxy");
        many.push(stream);
    }
}

/// Set where this test is a process of its own, with few files: where its upstream is.
const UPSTREAM_OF_CHILD: &str = "TIELINE_TEST_C06_UPSTREAM";
const FILES_OF_CHILD: usize = 60;

#[tokio::test]
async fn c06_without_file_descriptors_no_connection_is_accepted_and_the_server_recovers() {
    if let Ok(upstream) = std::env::var(UPSTREAM_OF_CHILD) {
        return be_a_gateway_with_few_files(upstream.parse().unwrap()).await;
    }
    // An upstream that never answers, so that each request holds two files of the gateway.
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        if head.starts_with("GET /quick") {
            return wire.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        }
        wire.rest().await;
        None
    })
    .await;
    let name = "c06_without_file_descriptors_no_connection_is_accepted_and_the_server_recovers";
    let mut child = Child(
        Command::new("sh")
            .args(["-c", &format!("ulimit -n {FILES_OF_CHILD} && exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(tests::alone::arguments(module_path!(), name))
            .env(UPSTREAM_OF_CHILD, upstream.address.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let out = child.0.stdout.take().unwrap();
    let addresses = tokio::task::spawn_blocking(move || {
        let mut lines = std::io::BufReader::new(out).lines().map_while(Result::ok);
        let address = |line: String| line.split_once("listens on ")?.1.parse().ok();
        let told: Vec<SocketAddr> = lines.by_ref().filter_map(address).take(2).collect();
        (told, lines)
    });
    let told = timeout(Duration::from_secs(60), addresses).await.unwrap().unwrap();
    // The child goes on writing as long as the other end is held.
    let (addresses, _lines) = told;
    let (address, admin) = (addresses[0], addresses[1]);

    // Two connections from before: an operator's and a client's.
    let mut operator = Wire::to(admin).await;
    let mut early = Wire::to(address).await;
    assert!(asks(&mut early, "/openapi.json").await);
    assert_eq!(accept_errors(&mut operator).await, 0);
    let mut crowd = Vec::new();
    for _ in 0..FILES_OF_CHILD {
        let mut wire = Wire::to(address).await;
        let _ = timeout(Duration::from_secs(5), wire.say(request("GET /slow", &[]))).await;
        crowd.push(wire);
        // Each takes both of its files before the next one comes, as long as there are any.
        for _ in 0..20 {
            if upstream.connections() >= crowd.len() || accept_errors(&mut operator).await > 0 {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        if accept_errors(&mut operator).await > 0 {
            break;
        }
    }
    for _ in 0..200 {
        if accept_errors(&mut operator).await > 0 {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    let before = accept_errors(&mut operator).await;
    assert!(before > 0, "there were files left");
    let begun = Instant::now();
    sleep(Duration::from_secs(2)).await;
    assert!(asks(&mut early, "/openapi.json").await, "the connection that was there goes on");
    let more = accept_errors(&mut operator).await - before;
    let most = 20.0 * begun.elapsed().as_secs_f64() + 10.0;
    assert!(more > 0 && (more as f64) < most, "{more} tries in {:?}", begun.elapsed());

    drop(crowd);
    let mut late = Wire::to(address).await;
    assert!(asks(&mut late, "/openapi.json").await, "and all of it passes");
    drop(child.0.stdin.take());
    let ended = tokio::task::spawn_blocking(move || child.0.wait().unwrap());
    assert!(timeout(Duration::from_secs(30), ended).await.unwrap().unwrap().success());
}

/// A process that ends with its test.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child: a gateway, until nobody holds its standard input any more.
async fn be_a_gateway_with_few_files(upstream: SocketAddr) {
    let rules = "head_timeout = \"60s\"";
    let front = Front::start(&edge_text(upstream, "", rules)).await;
    let mut out = std::io::stdout().lock();
    for address in [front.running.address, front.running.admin] {
        writeln!(out, "\nlistens on {address}").unwrap();
    }
    out.flush().unwrap();
    drop(out);
    let end = || std::io::stdin().read_to_end(&mut Vec::new());
    let _ = tokio::task::spawn_blocking(end).await;
}

/// Whether a request on a connection that stays is answered with 200.
async fn asks(wire: &mut Wire, target: &str) -> bool {
    if wire.say(request(&format!("GET {target}"), &[])).await.is_none() {
        return false;
    }
    let Some(head) = wire.head().await else { return false };
    let length = tests::wire::values(&head, "content-length")[0].parse().unwrap();
    wire.exactly(length).await.is_some() && head.starts_with("HTTP/1.1 200 ")
}

/// How often the system gave no connection for want of files, over one connection that stays.
async fn accept_errors(operator: &mut Wire) -> u64 {
    operator.say("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let head = operator.head().await.unwrap();
    let length = tests::wire::values(&head, "content-length")[0].parse().unwrap();
    let text = operator.exactly(length).await.unwrap();
    let line = text.lines().find(|line| line.contains("errno=\"EMFILE\"")).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn limits_of_connections_change_at_a_restart_only_and_hosts_at_once() {
    let upstream = rows().await;
    let front = Front::start(&edge_text(upstream.address, "", "")).await;
    let config = |server: &str| {
        let text = edge_text(upstream.address, server, "");
        parsed(&text, &[("V4", V4_KEY)]).unwrap()
    };
    let reloader = front.running.reloader();
    let refused = reloader.reload(config("header_timeout = \"3s\"")).unwrap_err().to_string();
    assert!(refused.contains("restart"), "{refused}");
    assert!(is_served(&front).await);
    reloader.reload(config("hosts = [\"gateway.example\"]")).unwrap();
    assert_eq!(front.get(V1_USERS).await.verdict(), "421 unknown_host");
}
