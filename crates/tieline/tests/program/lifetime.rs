//! The process from outside: how it ends, what it shows of itself, and a log that nobody takes.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use crate::common::process::{Gateway, Process};
use crate::common::{WAIT, configured, eventually, metric, tieline, vendor};
use bytes::Bytes;
use http::{Request, Version};
use tests::folder::Folder;
use tests::plain::{ask, connect, head, length};
use tests::wire::request;
use tests::{DELETED, LEGACY_KEY, V1_USERS, V4_KEY};
use tokio::time::Instant;
use tower::ServiceExt;

/// The file of a configuration for one caller; `server` and `rest` are TOML.
fn configuration(folder: &Folder, vendor: &str, server: &str, rest: &str) -> String {
    folder.file("v4.key", V4_KEY);
    folder.file("t.toml", configured(server, vendor, "", rest))
}

fn serving(folder: &Folder, vendor: &str, server: &str, rest: &str) -> Gateway {
    Gateway::start(&configuration(folder, vendor, server, rest))
}

/// Asks for a path over a connection that goes on.
fn send(stream: &mut TcpStream, path: &str) {
    stream.write_all(request(&format!("GET {path}"), &[]).as_bytes()).unwrap();
}

/// One whole answer, of a connection that goes on: its head and the length of its body.
fn answer(stream: &mut TcpStream) -> (String, usize) {
    let head = head(stream).to_ascii_lowercase();
    let mut body = vec![0; length(&head)];
    stream.read_exact(&mut body).unwrap();
    assert!(body.ends_with(b"}]") || body.ends_with(b"}"), "a whole answer");
    (head, body.len())
}

/// Whether the other side has closed, and said nothing more before.
fn has_ended(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

/// The access lines of what a program has written to the end.
fn access_lines(log: &str) -> Vec<serde_json::Value> {
    let lines = log.lines().filter(|line| line.contains("\"message\":\"answered\""));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn k01_on_a_stop_signal_it_reports_so_at_once_and_listens_on_for_the_drain_delay() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let gateway = serving(&folder, &vendor, "", "[limits]\ndrain_delay = \"4s\"");
    let mut kept = connect(gateway.address);
    send(&mut kept, V1_USERS);
    assert!(!answer(&mut kept).0.contains("connection: close"));
    assert_eq!(ask(gateway.admin, "/readyz").status, 200);

    let told = Instant::now();
    gateway.process.signal("TERM");
    eventually("not ready", || ask(gateway.admin, "/readyz").status == 503);
    assert!(told.elapsed() < Duration::from_secs(2), "long before the listener closes");
    assert_eq!(ask(gateway.admin, "/healthz").status, 200);
    // A connection from before, and one that is new.
    let mut new = connect(gateway.address);
    for stream in [&mut kept, &mut new] {
        send(stream, V1_USERS);
        let (head, _) = answer(stream);
        assert!(head.contains(" 200 ") && head.contains("connection: close"), "{head}");
        assert!(has_ended(stream));
    }
    assert_eq!(gateway.process.code().code(), Some(0));
    assert!(told.elapsed() >= Duration::from_secs(4), "listening for the whole delay");
    assert!(TcpStream::connect(gateway.address).is_err(), "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn k02_requests_in_flight_over_http1_and_http2_are_answered_whole() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120 --latency 1s");
    let certificate = folder.certificate("server");
    let limits = "[limits]\ndrain_delay = \"700ms\"";
    let tls = serving(&folder, &vendor, &certificate.server_line(), limits);
    let plain = serving(&folder, &vendor, "", limits);

    let asking: Vec<JoinHandle<(String, usize)>> = (0..120)
        .map(|_| {
            let mut stream = connect(plain.address);
            send(&mut stream, V1_USERS);
            spawn(move || {
                let answer = answer(&mut stream);
                assert!(has_ended(&mut stream), "closed behind it");
                answer
            })
        })
        .collect();
    let port = tls.address.port();
    let client = certificate.client();
    let streams: Vec<_> = (0..80)
        .map(|_| {
            let request = Request::get(format!("https://localhost:{port}{V1_USERS}"))
                .header("authorization", format!("Bearer {LEGACY_KEY}"))
                .body(Bytes::new())
                .unwrap();
            let client = client.clone();
            tokio::spawn(async move {
                let answer = client.oneshot(request).await.unwrap();
                assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
                transport::body::collect(answer.into_body(), 16 << 20, WAIT).await.unwrap().len()
            })
        })
        .collect();
    // Those that have not begun by now are new ones within the delay.
    tokio::time::sleep(Duration::from_millis(400)).await;
    plain.process.signal("TERM");
    tls.process.signal("TERM");

    let answers: Vec<_> = asking.into_iter().map(|thread| thread.join().unwrap()).collect();
    let length = answers[0].1;
    for (head, body) in &answers {
        assert!(head.contains(" 200 ") && head.contains("connection: close"), "{head}");
        assert_eq!(*body, length);
    }
    for stream in streams {
        assert_eq!(stream.await.unwrap(), length);
    }
    for Gateway { process, .. } in [&plain, &tls] {
        assert_eq!(process.code().code(), Some(0));
        let lines = access_lines(&process.rest_of_stderr());
        assert!(lines.len() >= 80 && lines.iter().all(|line| line["status"] == 200), "{lines:?}");
    }
}

/// An upstream that says this to every request and then nothing more, for as long as it is held.
fn silent(said: &'static str) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let held = spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(said.as_bytes());
        // Until the gateway gives up.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (base, held)
}

#[test]
fn k03_requests_that_outlast_the_grace_period_are_cut_and_reported() {
    let rest = "[limits]\ndrain_delay = \"0s\"\nrequest_deadline = \"2s\"\n\
                [passthrough]\nenabled = true\nidle_timeout = \"60s\"";
    for (said, status) in
        [("", 503), ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it", 200)]
    {
        let folder = Folder::new();
        let (vendor, held) = silent(said);
        let gateway = serving(&folder, &vendor, "", rest);
        let mut stream = connect(gateway.address);
        send(&mut stream, "/other");
        match said.is_empty() {
            true => sleep(Duration::from_millis(1000)),
            false => stream.read_exact(&mut [0; 20]).unwrap(),
        }
        let told = Instant::now();
        gateway.process.signal("TERM");
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        let heard = String::from_utf8_lossy(&heard).into_owned();
        assert!(!heard.starts_with("HTTP/1.1") && heard.len() < 400, "{heard}");
        assert_eq!(gateway.process.code().code(), Some(0));
        let took = told.elapsed();
        assert!(took >= Duration::from_secs(2), "it had its time: {took:?}");
        assert!(took < Duration::from_secs(20), "and no more: {took:?}");
        let lines = access_lines(&gateway.process.rest_of_stderr());
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((&line["err"], line["status"].as_u64()), (&"drain_cut".into(), Some(status)));
        held.join().unwrap();
    }
}

#[test]
fn k04_a_second_signal_ends_it_at_once() {
    for (first, second) in [("TERM", "TERM"), ("TERM", "INT"), ("INT", "INT")] {
        let folder = Folder::new();
        let limits = "[limits]\ndrain_delay = \"1h\"";
        let running = serving(&folder, "http://127.0.0.1:9", "", limits).process;
        running.signal(first);
        running.stderr_until(|line| line.contains("draining"));
        assert!(running.goes_on());
        running.signal(second);
        assert_eq!(running.code().code(), Some(0), "{first} {second}");
        assert!(running.rest_of_stderr().contains("second signal"));
    }
}

#[test]
fn k04_killed_it_leaves_no_half_answer_and_no_broken_file() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120 --latency 500ms");
    let rest = "[roster]\nfile = \"roster.sqlite\"";
    for round in 0..3 {
        let gateway = serving(&folder, &vendor, "", rest);
        let mut stream = connect(gateway.address);
        send(&mut stream, DELETED);
        sleep(Duration::from_millis(300 * round));
        gateway.process.signal("KILL");
        assert_eq!(gateway.process.code().signal(), Some(9));
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        let text = String::from_utf8_lossy(&heard);
        assert!(text.is_empty() || text.ends_with(']'), "{text}");
    }
    let gateway = serving(&folder, &vendor, "", rest);
    assert_eq!(ask(gateway.address, DELETED).status, 200, "the file is whole");
}

#[test]
fn d15_no_core_is_dumped_and_no_other_process_reads_this_one() {
    let folder = Folder::new();
    let file = configuration(&folder, "http://127.0.0.1:9", "", "");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -S -c unlimited; exec \"$0\" serve --config \"$1\""]);
    shell.args([env!("CARGO_BIN_EXE_tieline"), &file]).stdin(Stdio::null());
    // What a process of this group has would be the group's, were it not kept private.
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        shell.gid(65_534);
    }
    let running = Gateway::of(Process::spawn(shell)).process;
    let of = |name: &str| format!("/proc/{}/{name}", running.id());
    let limits = std::fs::read_to_string(of("limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{line}");
    for name in ["environ", "mem", "maps"] {
        let owner = std::fs::metadata(of(name)).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (0, 0), "{name} belongs to root");
    }
    running.signal("ABRT");
    let status = running.code();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

/// A gateway whose standard error is this; its log cannot be read, so its ports are chosen here.
fn mute(folder: &Folder, stderr: impl Into<Stdio>) -> (Process, SocketAddr, SocketAddr) {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (listen, admin) = (free(), free());
    let rest = "[limits]\ndrain_delay = \"0s\"\n[log]\nrefused_per_minute_max = 1000000";
    let file = configuration(folder, "http://127.0.0.1:9", "", rest);
    let mut command = tieline(&["serve", "--config", &file]);
    command.env("TIELINE_SERVER__LISTEN", listen.to_string());
    command.env("TIELINE_ADMIN__LISTEN", admin.to_string()).stderr(stderr);
    let process = Process::mute(command);
    eventually("listening", || TcpStream::connect(admin).is_ok());
    (process, listen, admin)
}

/// Sends this many requests over one connection, fifty at a time, and counts the answers.
fn ask_many(gateway: SocketAddr, wanted: usize) -> usize {
    let mut stream = connect(gateway);
    let asked = format!("GET {V1_USERS} HTTP/1.1\r\nhost: gateway\r\n\r\n").repeat(50);
    let mut answered = 0;
    for _ in 0..wanted / 50 {
        stream.write_all(asked.as_bytes()).unwrap();
        for _ in 0..50 {
            assert!(answer(&mut stream).0.contains(" 401 "));
            answered += 1;
        }
    }
    answered
}

#[test]
fn c07_an_unread_log_keeps_no_answer_waiting() {
    // Nobody reads the pipe, though it is open.
    let folder = Folder::new();
    let (unread, full) = std::io::pipe().unwrap();
    let (process, gateway, admin) = mute(&folder, full);
    assert_eq!(ask_many(gateway, 10_000), 10_000);
    assert!(metric(admin, "tieline_log_dropped_total", "") > 0.0);
    assert_eq!(process.stop().code(), Some(0));
    drop(unread);

    // Nobody can read it any more; and a disk that is full.
    let (closed, gone) = std::io::pipe().unwrap();
    drop(closed);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (name, stderr) in [("c07_closed", Stdio::from(gone)), ("c07_disk", Stdio::from(full))] {
        let folder = Folder::new();
        let (process, gateway, admin) = mute(&folder, stderr);
        assert_eq!(ask_many(gateway, 200), 200, "{name}");
        eventually(name, || metric(admin, "tieline_log_dropped_total", "") >= 200.0);
        assert_eq!(process.stop().code(), Some(0), "{name}");
    }
}

#[test]
fn c08_without_memory_nothing_new_is_let_in_and_it_says_so() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let limits = |max: &str| format!("[limits]\ndrain_delay = \"0s\"\nmemory_max = \"{max}\"");
    let gateway = serving(&folder, &vendor, "", &limits("4GiB"));
    assert_eq!(ask(gateway.address, V1_USERS).status, 200);
    assert_eq!(metric(gateway.admin, "tieline_overload_level", ""), 0.0);
    // The process is always larger than this.
    configuration(&folder, &vendor, "", &limits("1MiB"));
    gateway.process.signal("HUP");
    eventually("full", || metric(gateway.admin, "tieline_overload_level", "") == 2.0);
    let mut stream = connect(gateway.address);
    send(&mut stream, V1_USERS);
    let (head, _) = answer(&mut stream);
    for said in [" 503 ", "x-tieline-error: overloaded", "retry-after: 1", "connection: close"] {
        assert!(head.contains(said), "{said}: {head}");
    }
    assert!(has_ended(&mut stream));
    assert_eq!(ask(gateway.admin, "/healthz").status, 200);
    assert!(metric(gateway.admin, "tieline_shed_total", "why=\"memory\"") >= 1.0);
    configuration(&folder, &vendor, "", &limits("4GiB"));
    gateway.process.signal("HUP");
    eventually("room again", || ask(gateway.address, V1_USERS).status == 200);
}
