//! The drain: requests in flight finish, idle connections end at once, hanging ones are cut in time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::support::{LONG, SHORT, Server, patient, read_to_end, read_until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use transport::server::Drained;

#[tokio::test]
async fn a_request_in_flight_is_answered_and_nothing_new_is_accepted() {
    let server = Server::start(patient()).await;
    let addr = server.addr;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.wait_until_working(1).await;

    let drain = server.begin_stop();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("late"), "{answer}");
    assert!(TcpStream::connect(addr).await.is_err(), "the listener is gone");
    assert_eq!(drain.await.unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn a_hanging_request_is_cut_at_the_end_of_the_grace_time() {
    let server = Server::start_with(patient(), None, SHORT).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    server.wait_until_working(1).await;

    let begun = Instant::now();
    assert_eq!(server.stop().await, Drained { cut: 1 });
    let drained = begun.elapsed();
    assert!(drained >= SHORT && drained < 4 * SHORT, "drained in {drained:?}");
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn connections_without_a_request_end_at_once() {
    let server = Server::start(patient()).await;
    let silent = server.connect().await;
    let mut half_preface = server.connect().await;
    half_preface.write_all(b"PRI * HTTP").await.unwrap();
    let mut kept_alive = server.connect().await;
    kept_alive.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    read_until(&mut kept_alive, "true").await;

    let begun = Instant::now();
    assert_eq!(server.stop().await, Drained { cut: 0 });
    assert!(begun.elapsed() < SHORT, "drained in {:?}", begun.elapsed());
    drop(silent);
}

#[tokio::test]
async fn an_http2_request_in_flight_is_answered() {
    let server = Server::start(patient()).await;
    let mut sender = http2(&server).await;
    let answer = tokio::spawn(sender.send_request(get("/slow")));
    server.wait_until_working(1).await;
    let drain = server.begin_stop();
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    assert_eq!(timeout(LONG, drain).await.expect("in time").unwrap(), Drained { cut: 0 });
}

#[tokio::test]
async fn an_http2_request_that_hangs_is_dropped_with_its_connection() {
    let server = Server::start_with(patient(), None, SHORT).await;
    let working = std::sync::Arc::clone(&server.working);
    let mut sender = http2(&server).await;
    let answer = tokio::spawn(sender.send_request(get("/hang")));
    server.wait_until_working(1).await;
    assert_eq!(server.stop().await, Drained { cut: 1 });
    assert!(timeout(LONG, answer).await.expect("in time").unwrap().is_err());
    assert_eq!(working.load(std::sync::atomic::Ordering::SeqCst), 0);
}

type Sender = hyper::client::conn::http2::SendRequest<transport::body::Body>;

async fn http2(server: &Server) -> Sender {
    let io = hyper_util::rt::TokioIo::new(server.connect().await);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.expect("a handshake");
    tokio::spawn(connection);
    sender
}

fn get(path: &str) -> http::Request<transport::body::Body> {
    let uri = format!("http://a{path}");
    http::Request::get(uri).body(transport::body::empty()).expect("a request")
}
