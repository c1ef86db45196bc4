//! What goes through the real program: at constant memory, and without a word of it in the log.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::common::canary::{Search, canary};
use crate::common::much_memory;
use crate::common::process::{Folder, Gateway, ask, configuration};

const BYTES: usize = 192 << 20;
const PIECE: usize = 256 << 10;
/// More than the buffers of a few connections, and a small part of what goes through.
const GROWTH_KIB_MAX: u64 = 24 << 10;

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn skip(stream: &mut TcpStream, mut left: usize, mut each: impl FnMut()) {
    let mut buffer = vec![0; PIECE];
    while left > 0 {
        let room = left.min(PIECE);
        left -= stream.read(&mut buffer[..room]).map(|read| read.max(1)).unwrap();
        each();
    }
}

/// An upstream that takes a long body and answers with one, once.
fn upstream(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let upstream = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let head = head(&mut stream);
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        skip(&mut stream, length, || {});
        let answer = format!("HTTP/1.1 200 OK\r\n{answer}content-length: {length}\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        let piece = vec![b'x'; PIECE];
        let mut left = length;
        while left > 0 {
            left -= stream.write(&piece[..left.min(PIECE)]).unwrap();
        }
        head
    });
    (base, upstream)
}

fn gateway(folder: &Folder, base: &str, environment: &[(&str, &str)]) -> Gateway {
    let file = configuration(folder, "", base, "");
    let text = std::fs::read_to_string(&file).unwrap() + "[passthrough]\nenabled = true\n";
    std::fs::write(&file, text).unwrap();
    Gateway::start(folder, "gateway", &["--config", &file], environment)
}

fn connect(gateway: &Gateway) -> TcpStream {
    let stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

#[test]
fn a_long_body_costs_no_memory_in_either_direction() {
    let _turn = much_memory();
    let folder = Folder::new("passthrough-memory");
    let (base, upstream) = upstream("");
    let mut gateway = gateway(&folder, &base, &[]);
    assert_eq!(ask(gateway.admin, "/healthz").status, 200);
    let before = gateway.process.status_kib("VmRSS:");
    let mut stream = connect(&gateway);
    let text = format!(
        "POST /upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer legacy-demo-key\r\n\
         content-length: {BYTES}\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).unwrap();
    let piece = vec![b'y'; PIECE];
    for _ in 0..BYTES / PIECE {
        stream.write_all(&piece).unwrap();
    }
    assert!(head(&mut stream).starts_with("HTTP/1.1 200 "));
    skip(&mut stream, BYTES, || {});
    upstream.join().unwrap();
    let peak = gateway.process.status_kib("VmHWM:");
    println!("KiB: {before} before, {peak} at the peak of {} each way", BYTES >> 10);
    assert!(peak < before + GROWTH_KIB_MAX, "{before} KiB before, {peak} KiB at the peak");
}

#[test]
fn d14_nothing_of_what_goes_through_is_in_the_log() {
    let folder = Folder::new("passthrough-log");
    let secrets: [String; 6] = std::array::from_fn(|at| canary(300 + at as u64, 32));
    let [path, query, name, header, body, answer] = &secrets;
    let told = Box::leak(format!("x-told: {answer}\r\n").into_boxed_str());
    let (base, upstream) = upstream(told);
    let mut gateway = gateway(&folder, &base, &[("TIELINE_LOG", "trace")]);
    let mut stream = connect(&gateway);
    let text = format!(
        "POST /{path}?key=legacy-demo-key&{name}={query} HTTP/1.1\r\nhost: x\r\n\
         cookie: {header}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).unwrap();
    let heard = head(&mut stream);
    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.contains(answer.as_str()), "{heard}");
    skip(&mut stream, body.len(), || {});
    let seen = upstream.join().unwrap();
    for said in [path, query, name, header] {
        assert!(seen.contains(said.as_str()), "{seen}");
    }
    drop(stream);
    let metrics = ask(gateway.admin, "/metrics").body;
    gateway.process.stop();
    let log = [gateway.process.stdout(), gateway.process.stderr(), metrics].concat();
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("passthrough") && text.contains("TRACE"), "the log says something");
    let names = ["path", "query", "name", "header", "body", "answer"];
    let mut all: Vec<(String, String)> =
        names.iter().zip(&secrets).map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
    all.push(("legacy key".to_owned(), "legacy-demo-key".to_owned()));
    let found = Search::new(&all).find(&log);
    assert!(found.is_empty(), "{found:?}");
}
