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

use crate::common::process::{Folder, LIST, address_of, certificate, tls_line};
use crate::common::{Running, addresses, base_after, eventually, get, metric, tieline};
use bytes::Bytes;
use http::{Request, Version};
use tokio::time::Instant;
use tower::ServiceExt;
use transport::client::{Client, ClientSettings};
use transport::tls::ClientTls;

const WAIT: Duration = Duration::from_secs(60);
const KEY: &str = "legacy-demo-key";

fn vendor(arguments: &[&str]) -> (Running, String) {
    let all = [&["simulate", "--listen", "127.0.0.1:0", "--users", "120"], arguments].concat();
    let running = Running::start(&all);
    let text = running.stdout_until(|line| line.contains("_simulator/stats")).join("\n");
    (running, base_after(&text, "is at "))
}

/// The file of a configuration for one caller; `server` and `rest` are TOML.
fn configured(folder: &Folder, vendor: &str, listen: &str, server: &str, rest: &str) -> String {
    folder.file("v4.key", "v4-demo-key");
    let digest = settings::key_digest(KEY);
    let text = format!(
        "[server]\nlisten = \"{listen}\"\n{server}\n[admin]\nlisten = \"127.0.0.1:0\"\n{rest}\n\
         [upstream.ams]\ndialect = \"voiso-v4\"\nbase_url = \"{vendor}\"\n\
         [[caller]]\nname = \"crm\"\nlegacy_key = {{ digest = \"{digest}\" }}\n\
         upstream = \"ams\"\nupstream_key = {{ file = \"v4.key\" }}\nsees = \"everything\"\n"
    );
    folder.file("t.toml", &text)
}

fn serving(folder: &Folder, vendor: &str, server: &str, rest: &str) -> (Running, String, String) {
    let file = configured(folder, vendor, "127.0.0.1:0", server, rest);
    let running = Running::start(&["serve", "--config", &file, "--log-format", "json"]);
    let (gateway, admin) = addresses(&running);
    (running, gateway, admin)
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n\r\n")
}

fn connected(base: &str) -> TcpStream {
    let stream = TcpStream::connect(address_of(base)).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream
}

/// One whole answer, of a connection that goes on: its head and the length of its body.
fn answer(stream: &mut TcpStream) -> (String, usize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
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
fn k01_told_to_stop_it_says_so_at_once_and_listens_on_for_the_drain_delay() {
    let folder = Folder::new("k01");
    let (_vendor, vendor) = vendor(&[]);
    let (mut running, gateway, admin) =
        serving(&folder, &vendor, "", "[limits]\ndrain_delay = \"4s\"");
    let mut kept = connected(&gateway);
    kept.write_all(request(LIST).as_bytes()).unwrap();
    assert!(!answer(&mut kept).0.contains("connection: close"));
    assert_eq!(get(&admin, "/readyz", "").status, 200);

    let told = Instant::now();
    running.signal("TERM");
    eventually("not ready", || get(&admin, "/readyz", "").status == 503);
    assert!(told.elapsed() < Duration::from_secs(2), "long before the listener closes");
    assert_eq!(get(&admin, "/healthz", "").status, 200);
    // A connection from before, and one that is new.
    let mut new = connected(&gateway);
    for stream in [&mut kept, &mut new] {
        stream.write_all(request(LIST).as_bytes()).unwrap();
        let (head, _) = answer(stream);
        assert!(head.contains(" 200 ") && head.contains("connection: close"), "{head}");
        assert!(has_ended(stream));
    }
    assert_eq!(running.code().code(), Some(0));
    assert!(told.elapsed() >= Duration::from_secs(4), "listening for the whole delay");
    assert!(TcpStream::connect(address_of(&gateway)).is_err(), "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn k02_what_is_in_flight_over_http1_and_http2_is_answered_whole() {
    let folder = Folder::new("k02");
    let (_vendor, vendor) = vendor(&["--latency", "1s"]);
    let files = certificate(&folder, "server");
    let limits = "[limits]\ndrain_delay = \"700ms\"";
    let (mut tls, tls_gateway, _) = serving(&folder, &vendor, &tls_line(&files), limits);
    let (mut plain, gateway, _) = serving(&folder, &vendor, "", limits);

    let asking: Vec<JoinHandle<(String, usize)>> = (0..120)
        .map(|_| {
            let mut stream = connected(&gateway);
            stream.write_all(request(LIST).as_bytes()).unwrap();
            spawn(move || {
                let answer = answer(&mut stream);
                assert!(has_ended(&mut stream), "closed behind it");
                answer
            })
        })
        .collect();
    let port = address_of(&tls_gateway).port();
    let client = Client::new(&ClientSettings {
        connect_timeout: WAIT,
        pool_idle_timeout: WAIT,
        pool_idle_max: 4,
        tls: ClientTls::new(Some(&files.0)).unwrap(),
    });
    let streams: Vec<_> = (0..80)
        .map(|_| {
            let request = Request::get(format!("https://localhost:{port}{LIST}"))
                .header("authorization", format!("Bearer {KEY}"))
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
    plain.signal("TERM");
    tls.signal("TERM");

    let answers: Vec<_> = asking.into_iter().map(|thread| thread.join().unwrap()).collect();
    let length = answers[0].1;
    for (head, body) in &answers {
        assert!(head.contains(" 200 ") && head.contains("connection: close"), "{head}");
        assert_eq!(*body, length);
    }
    for stream in streams {
        assert_eq!(stream.await.unwrap(), length);
    }
    for running in [&mut plain, &mut tls] {
        assert_eq!(running.code().code(), Some(0));
        let lines = access_lines(&running.rest_of_stderr());
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
fn k03_what_lasts_longer_than_the_grace_is_cut_and_told() {
    let rest = "[limits]\ndrain_delay = \"0s\"\nrequest_deadline = \"2s\"\n\
                [passthrough]\nenabled = true\nidle_timeout = \"60s\"";
    for (name, said, status) in [
        ("k03_nothing", "", 503),
        ("k03_half", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it", 200),
    ] {
        let folder = Folder::new(name);
        let (vendor, held) = silent(said);
        let (mut running, gateway, _) = serving(&folder, &vendor, "", rest);
        let mut stream = connected(&gateway);
        stream.write_all(request("/other").as_bytes()).unwrap();
        match said.is_empty() {
            true => sleep(Duration::from_millis(1000)),
            false => stream.read_exact(&mut [0; 20]).unwrap(),
        }
        let told = Instant::now();
        running.signal("TERM");
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        let heard = String::from_utf8_lossy(&heard).into_owned();
        assert!(!heard.starts_with("HTTP/1.1") && heard.len() < 400, "{heard}");
        assert_eq!(running.code().code(), Some(0));
        let took = told.elapsed();
        assert!(took >= Duration::from_secs(2), "it had its time: {took:?}");
        assert!(took < Duration::from_secs(20), "and no more: {took:?}");
        let lines = access_lines(&running.rest_of_stderr());
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((&line["err"], line["status"].as_u64()), (&"drain_cut".into(), Some(status)));
        held.join().unwrap();
    }
}

#[test]
fn k04_a_second_signal_ends_it_at_once() {
    for (first, second) in [("TERM", "TERM"), ("TERM", "INT"), ("INT", "INT")] {
        let folder = Folder::new("k04");
        let (mut running, _, _) =
            serving(&folder, "http://127.0.0.1:9", "", "[limits]\ndrain_delay = \"1h\"");
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
    let folder = Folder::new("k04_kill");
    let (_vendor, vendor) = vendor(&["--latency", "500ms"]);
    let rest = "[roster]\nfile = \"roster.sqlite\"";
    for round in 0..3 {
        let (mut running, gateway, _) = serving(&folder, &vendor, "", rest);
        let gone = format!("/api/v2/cdr/deleted_agents?key={KEY}");
        let mut stream = connected(&gateway);
        stream.write_all(format!("GET {gone} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
        sleep(Duration::from_millis(300 * round));
        running.signal("KILL");
        assert_eq!(running.code().signal(), Some(9));
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        let text = String::from_utf8_lossy(&heard);
        assert!(text.is_empty() || text.ends_with(']'), "{text}");
    }
    let (_running, gateway, _) = serving(&folder, &vendor, "", rest);
    assert_eq!(get(&gateway, "/api/v2/cdr/deleted_agents", KEY).status, 200, "the file is whole");
}

#[test]
fn d15_no_core_is_dumped_and_no_other_process_reads_this_one() {
    let folder = Folder::new("d15");
    let file = configured(&folder, "http://127.0.0.1:9", "127.0.0.1:0", "", "");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -S -c unlimited; exec \"$0\" serve --config \"$1\""]);
    shell.args([env!("CARGO_BIN_EXE_tieline"), &file]).stdin(Stdio::null());
    // What a process of this group has would be the group's, were it not kept private.
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root {
        shell.gid(65_534);
    }
    let mut running = Running::spawn(shell);
    addresses(&running);
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
fn mute(folder: &Folder, stderr: impl Into<Stdio>) -> (Running, String, String) {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (listen, admin): (SocketAddr, SocketAddr) = (free(), free());
    let file = configured(
        folder,
        "http://127.0.0.1:9",
        &listen.to_string(),
        "",
        "[limits]\ndrain_delay = \"0s\"",
    );
    let mut command = tieline(&["serve", "--config", &file]);
    command.env("TIELINE_ADMIN__LISTEN", admin.to_string()).stderr(stderr);
    let running = Running::mute(command);
    eventually("listening", || TcpStream::connect(admin).is_ok());
    (running, format!("http://{listen}"), format!("http://{admin}"))
}

/// Sends so many requests over one connection, many at a time, and counts the answers.
fn ask_many(gateway: &str, wanted: usize) -> usize {
    let mut stream = connected(gateway);
    let asked = format!("GET {LIST} HTTP/1.1\r\nhost: gateway\r\n\r\n").repeat(50);
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
fn c07_a_log_that_nobody_takes_keeps_no_answer_waiting() {
    // Nobody reads the pipe, though it is open.
    let folder = Folder::new("c07_full");
    let (unread, full) = std::io::pipe().unwrap();
    let (mut running, gateway, admin) = mute(&folder, full);
    assert_eq!(ask_many(&gateway, 10_000), 10_000);
    assert!(metric(&admin, "tieline_log_dropped_total", "") > 0.0);
    running.signal("TERM");
    assert_eq!(running.code().code(), Some(0));
    drop(unread);

    // Nobody can read it any more; and a disk that is full.
    let (closed, gone) = std::io::pipe().unwrap();
    drop(closed);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (name, stderr) in [("c07_closed", Stdio::from(gone)), ("c07_disk", Stdio::from(full))] {
        let folder = Folder::new(name);
        let (mut running, gateway, admin) = mute(&folder, stderr);
        assert_eq!(ask_many(&gateway, 200), 200, "{name}");
        eventually(name, || metric(&admin, "tieline_log_dropped_total", "") >= 200.0);
        running.signal("TERM");
        assert_eq!(running.code().code(), Some(0), "{name}");
    }
}

#[test]
fn c08_without_memory_nothing_new_is_let_in_and_it_says_so() {
    let folder = Folder::new("c08");
    let (_vendor, vendor) = vendor(&[]);
    let limits = |max: &str| format!("[limits]\ndrain_delay = \"0s\"\nmemory_max = \"{max}\"");
    let (running, gateway, admin) = serving(&folder, &vendor, "", &limits("4GiB"));
    assert_eq!(get(&gateway, LIST, KEY).status, 200);
    assert_eq!(metric(&admin, "tieline_overload_level", ""), 0.0);
    // The process is always larger than this.
    configured(&folder, &vendor, "127.0.0.1:0", "", &limits("1MiB"));
    running.signal("HUP");
    eventually("full", || metric(&admin, "tieline_overload_level", "") == 2.0);
    let mut stream = connected(&gateway);
    stream.write_all(request(LIST).as_bytes()).unwrap();
    let (head, _) = answer(&mut stream);
    for said in [" 503 ", "x-tieline-error: overloaded", "retry-after: 1", "connection: close"] {
        assert!(head.contains(said), "{said}: {head}");
    }
    assert!(has_ended(&mut stream));
    assert_eq!(get(&admin, "/healthz", "").status, 200);
    assert!(metric(&admin, "tieline_shed_total", "why=\"memory\"") >= 1.0);
    configured(&folder, &vendor, "127.0.0.1:0", "", &limits("4GiB"));
    running.signal("HUP");
    eventually("room again", || get(&gateway, LIST, KEY).status == 200);
}
