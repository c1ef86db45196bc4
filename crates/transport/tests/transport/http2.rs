//! The server over HTTP/2 without TLS (prior knowledge), down to raw frames.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use crate::support::{BIG_BYTES, LONG, SHORT, Server, patient};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use transport::body::{self, Body};
use transport::server::ServerLimits;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// SETTINGS_INITIAL_WINDOW_SIZE (4) = 0: no stream may send.
const SHUT_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];

#[tokio::test]
async fn requests_are_answered_by_prior_knowledge() {
    let server = Server::start(patient()).await;
    let io = TokioIo::new(server.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    for (path, length) in [("/", "HTTP/2.0 true".len()), ("/rope", 13), ("/big", BIG_BYTES)] {
        let request = http::Request::get(format!("http://a{path}")).body(body::empty()).unwrap();
        let answer: http::Response<_> = sender.send_request(request).await.unwrap();
        assert_eq!(answer.headers()["content-length"], length.to_string().as_str());
        let bytes = body::collect(answer.into_body(), BIG_BYTES, LONG).await.unwrap();
        assert_eq!(bytes.len(), length);
    }
    let request: http::Request<Body> =
        http::Request::post("http://a/echo").body(body::full("hello")).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(body::collect(answer.into_body(), 5, LONG).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_connection_without_requests_is_told_to_go_away_and_then_closed() {
    let server = Server::start(ServerLimits { idle_timeout: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, b"")).await.unwrap();
    let mut kinds = Vec::new();
    while let Some((kind, _)) = next_frame(&mut stream).await {
        kinds.push(kind);
    }
    assert!(kinds.contains(&GOAWAY), "{kinds:?}");
}

#[tokio::test]
async fn a_stream_whose_window_stays_closed_is_reset_and_the_connection_lives() {
    let server = Server::start(ServerLimits { write_progress: SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, SHUT_WINDOW)).await.unwrap();
    stream.write_all(&get(1, "/big")).await.unwrap();
    assert_eq!(until(&mut stream, RST_STREAM).await, 1);

    stream.write_all(&get(3, "/")).await.unwrap();
    assert_eq!(until(&mut stream, HEADERS).await, 3);
}

#[tokio::test]
async fn a_stream_whose_window_opens_in_time_continues() {
    let server = Server::start(ServerLimits { write_progress: 3 * SHORT, ..patient() }).await;
    let mut stream = server.connect().await;
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, SHUT_WINDOW)).await.unwrap();
    stream.write_all(&get(1, "/rope")).await.unwrap();
    assert_eq!(until(&mut stream, HEADERS).await, 1);
    tokio::time::sleep(SHORT).await;
    const WINDOW_UPDATE: u8 = 8;
    stream.write_all(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 1, 0])).await.unwrap();
    assert_eq!(until(&mut stream, DATA).await, 1);
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// HEADERS with END_STREAM and END_HEADERS; names by their index in HPACK's static table.
fn get(stream: u32, path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x01, 1, b'a', 0x04, u8::try_from(path.len()).unwrap()];
    block.extend_from_slice(path.as_bytes());
    frame(HEADERS, 0x5, stream, &block)
}

/// Kind and stream of the next frame; `None` at the end of the connection.
async fn next_frame(stream: &mut TcpStream) -> Option<(u8, u32)> {
    let mut head = [0; 9];
    let read = timeout(LONG, stream.read_exact(&mut head)).await.expect("in time");
    read.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload).await.unwrap();
    Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
}

/// Reads up to the first frame of a kind and returns its stream.
async fn until(stream: &mut TcpStream, kind: u8) -> u32 {
    for _ in 0..100 {
        let (found, id) = next_frame(stream).await.expect("the connection lives");
        if found == kind {
            return id;
        }
    }
    panic!("no frame of kind {kind} within {:?}", Duration::from_secs(5));
}
