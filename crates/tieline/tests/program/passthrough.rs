//! What goes through the real program: at constant memory, and without a word of it in the log.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::common::canary::{Search, canary};
use crate::common::process::Gateway;
use crate::common::{configured, much_memory};
use tests::folder::Folder;
use tests::plain::{ask, connect, head, length};
use tests::wire::request;
use tests::{LEGACY_KEY, V4_KEY};

const BYTES: usize = 192 << 20;
const PIECE: usize = 256 << 10;
/// More than the buffers of a few connections, and a small part of what goes through.
const GROWTH_KIB_MAX: u64 = 24 << 10;

fn skip(stream: &mut TcpStream, mut left: usize) {
    let mut buffer = vec![0; PIECE];
    while left > 0 {
        let room = left.min(PIECE);
        left -= stream.read(&mut buffer[..room]).map(|read| read.max(1)).unwrap();
    }
}

/// An upstream that takes a long body and answers with one, once.
fn upstream(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let upstream = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let head = head(&mut stream);
        let length = length(&head);
        skip(&mut stream, length);
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
    folder.file("v4.key", V4_KEY);
    let text = configured("", base, "", "[passthrough]\nenabled = true");
    Gateway::start_with(&folder.file("tieline.toml", text), "json", environment)
}

#[test]
fn a_long_body_costs_no_memory_in_either_direction() {
    let _turn = much_memory();
    let folder = Folder::new();
    let (base, upstream) = upstream("");
    let gateway = gateway(&folder, &base, &[]);
    assert_eq!(ask(gateway.admin, "/healthz").status, 200);
    let before = gateway.process.status_kib("VmRSS:");
    let mut stream = connect(gateway.address);
    let text = request("POST /upload", &[&format!("content-length: {BYTES}")]);
    stream.write_all(text.as_bytes()).unwrap();
    let piece = vec![b'y'; PIECE];
    for _ in 0..BYTES / PIECE {
        stream.write_all(&piece).unwrap();
    }
    assert!(head(&mut stream).starts_with("HTTP/1.1 200 "));
    skip(&mut stream, BYTES);
    upstream.join().unwrap();
    let peak = gateway.process.status_kib("VmHWM:");
    println!("KiB: {before} before, {peak} at the peak of {} each way", BYTES >> 10);
    assert!(peak < before + GROWTH_KIB_MAX, "{before} KiB before, {peak} KiB at the peak");
}

#[test]
fn d14_nothing_of_what_goes_through_is_in_the_log() {
    let folder = Folder::new();
    let secrets: [String; 6] = std::array::from_fn(|at| canary(300 + at as u64, 32));
    let [path, query, name, header, body, answer] = &secrets;
    let told = Box::leak(format!("x-told: {answer}\r\n").into_boxed_str());
    let (base, upstream) = upstream(told);
    let gateway = gateway(&folder, &base, &[("TIELINE_LOG", "trace")]);
    let mut stream = connect(gateway.address);
    let text = format!(
        "POST /{path}?key={LEGACY_KEY}&{name}={query} HTTP/1.1\r\nhost: x\r\n\
         cookie: {header}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).unwrap();
    let heard = head(&mut stream);
    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.contains(answer.as_str()), "{heard}");
    skip(&mut stream, body.len());
    let seen = upstream.join().unwrap();
    for said in [path, query, name, header] {
        assert!(seen.contains(said.as_str()), "{seen}");
    }
    drop(stream);
    let metrics = ask(gateway.admin, "/metrics").body;
    gateway.process.stop();
    let log = [gateway.process.stdout(), gateway.process.stderr(), metrics.to_vec()].concat();
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("passthrough") && text.contains("TRACE"), "the log says something");
    let names = ["path", "query", "name", "header", "body", "answer"];
    let mut all: Vec<(String, String)> =
        names.iter().zip(&secrets).map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
    all.push(("legacy key".to_owned(), LEGACY_KEY.to_owned()));
    let found = Search::new(&all).find(&log);
    assert!(found.is_empty(), "{found:?}");
}
