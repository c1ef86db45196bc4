//! The client against peers that speak bytes: what each failure is called, and what the texts hide.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{LONG, SHORT, Server, patient};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tower::ServiceExt;
use transport::body::{self, Body, BodyError};
use transport::client::{
    Client, ClientError, ClientSettings, Reach, Resolver, StreamClient, StreamSettings,
};
use transport::tls::ClientTls;

fn client() -> Client {
    Client::new(&settings())
}

fn settings() -> ClientSettings {
    ClientSettings {
        connect_timeout: 2 * SHORT,
        pool_idle_timeout: LONG,
        pool_idle_max: 8,
        tls: ClientTls::new(None).unwrap(),
    }
}

async fn get(client: &Client, url: String) -> Result<Response<Body>, ClientError> {
    let request = Request::get(url).header("authorization", "SECRET").body(Bytes::new()).unwrap();
    let result = client.clone().oneshot(request).await;
    if let Err(error) = &result {
        let text = format!("{error} {error:?}");
        for hidden in ["SECRET", "127.0.0.1", "localhost", "key="] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
    result
}

fn url(addr: SocketAddr) -> String {
    format!("http://{addr}/path?key=SECRET")
}

/// A peer that reads one request head on each connection, writes `answer` and closes. Counts its
/// connections.
async fn peer(answer: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    peer_that(answer, Duration::ZERO).await
}

async fn peer_that(answer: &'static str, linger: Duration) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                read_head(&mut stream).await;
                stream.write_all(answer.as_bytes()).await.unwrap();
                tokio::time::sleep(linger).await;
            });
        }
    });
    (addr, connections)
}

async fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
}

#[tokio::test]
async fn a_connection_is_reused_only_by_the_same_client() {
    let server = Server::start(patient()).await;
    let (one, other) = (client(), client());
    let mut ports = Vec::new();
    for client in [&one, &one, &other] {
        ports.push(port(client, &server).await);
    }
    assert_eq!(ports[0], ports[1], "one client reuses its connection");
    assert_ne!(ports[0], ports[2], "two clients share none");
}

/// The port of the connection that a request came over.
async fn port(client: &Client, server: &Server) -> Bytes {
    let answer = get(client, format!("http://{}/peer", server.addr)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    body::collect(answer.into_body(), 100, LONG).await.unwrap()
}

#[tokio::test]
async fn a_connection_whose_answer_was_not_read_to_its_end_is_not_used_again() {
    let server = Server::start(patient()).await;
    let client = client();
    let first = port(&client, &server).await;
    let answer = get(&client, format!("http://{}/big", server.addr)).await.unwrap();
    drop(answer);
    assert_ne!(port(&client, &server).await, first);
}

/// A peer that answers a body of six bytes when it has three of them, with the number of the connection, and reads on.
/// It notifies when it has the whole body.
async fn early_peer() -> (SocketAddr, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let whole = Arc::new(Notify::new());
    let tell = Arc::clone(&whole);
    tokio::spawn(async move {
        for number in 0..10 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let tell = Arc::clone(&tell);
            tokio::spawn(async move {
                let mut half = [0; 3];
                loop {
                    read_head(&mut stream).await;
                    if stream.read_exact(&mut half).await.is_err() {
                        return;
                    }
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    if stream.read_exact(&mut half).await.is_err() {
                        return;
                    }
                    tell.notify_one();
                }
            });
        }
    });
    (addr, whole)
}

#[tokio::test]
async fn a_connection_whose_request_was_answered_before_its_end_is_not_used_again() {
    let (addr, whole) = early_peer().await;
    let settings = settings();
    let client = StreamClient::new(&StreamSettings {
        connect_timeout: settings.connect_timeout,
        write_progress: LONG,
        pool_idle_timeout: settings.pool_idle_timeout,
        pool_idle_max: settings.pool_idle_max,
        tls: settings.tls,
        reach: Reach { resolver: Resolver::system(LONG), connection_age_max: 100 * LONG },
    });
    let post = async |body: Body| {
        let request = Request::post(url(addr)).header("host", "peer").header("content-length", 6);
        let answer = client.send(Box::new(request.body(body).unwrap()), None).await.unwrap();
        body::collect(answer.into_body(), 100, LONG).await.unwrap()
    };

    let (send, receive) = mpsc::channel::<Bytes>(2);
    let pieces = stream::unfold(receive, async |mut receive| {
        receive.recv().await.map(|piece| (Ok(Frame::data(piece)), receive))
    });
    send.send("abc".into()).await.unwrap();
    assert_eq!(post(body::boxed(StreamBody::new(pieces))).await, "0");
    // What is left of the body goes on.
    send.send("def".into()).await.unwrap();
    drop(send);
    timeout(LONG, whole.notified()).await.expect("the upload was cut short");
    for _ in 0..2 {
        assert_eq!(post(body::full("abcdef")).await, "1");
        timeout(LONG, whole.notified()).await.expect("the body is not whole");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_have_a_connection_each_and_all_are_kept() {
    let server = Server::start(patient()).await;
    let client = client();
    let slow = || get(&client, format!("http://{}/slow", server.addr));
    let (one, two, three) = tokio::join!(slow(), slow(), slow());
    for answer in [one, two, three] {
        let bytes = body::collect(answer.unwrap().into_body(), 100, LONG).await.unwrap();
        assert_eq!(bytes, "late");
    }
    // The one that was used last is used first, and the others are there for more.
    let last = port(&client, &server).await;
    let (_slow, other) = tokio::join!(slow(), port(&client, &server));
    assert_ne!(last, other);
}

#[tokio::test]
async fn an_unused_connection_is_closed_when_its_time_is_over() {
    let (addr, connections) = peer_until_closed().await;
    let settings = ClientSettings { pool_idle_timeout: SHORT, ..settings() };
    let client = Client::new(&settings);
    let answer = get(&client, format!("http://{addr}/")).await.unwrap();
    body::collect(answer.into_body(), 100, LONG).await.unwrap();
    tokio::time::timeout(LONG, connections).await.expect("the connection ends").unwrap();
}

/// A server that answers one request with an empty body and tells when its connection has ended.
async fn peer_until_closed() -> (std::net::SocketAddr, tokio::sync::oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (tell, told) = tokio::sync::oneshot::channel();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
        let _ = tell.send(());
    });
    (addr, told)
}

#[tokio::test]
async fn a_request_body_is_sent_with_its_length() {
    let server = Server::start(patient()).await;
    let url = format!("http://{}/echo", server.addr);
    let request = Request::post(url).body(Bytes::from_static(b"hello")).unwrap();
    let answer = client().oneshot(request).await.unwrap();
    assert_eq!(body::collect(answer.into_body(), 100, LONG).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (addr, connections) =
        peer("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
            .await;
    let answer = get(&client(), url(addr)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refused_connection_is_not_started() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = get(&client(), url(addr)).await.unwrap_err();
    assert_eq!(error, ClientError::Connect);
    assert!(!error.started());
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_is_a_dns_error() {
    // A query cannot contain a label above 63 bytes, so nothing is sent.
    let name = "n".repeat(64);
    let error = get(&client(), format!("http://{name}/?key=SECRET")).await.unwrap_err();
    assert_eq!(error, ClientError::Dns);
    assert!(!error.started());
}

#[tokio::test]
async fn a_stalled_tls_handshake_differs_from_a_missing_connection() {
    let (addr, _) = peer_that("", LONG).await;
    let error = get(&client(), format!("https://{addr}/?key=SECRET")).await.unwrap_err();
    assert_eq!(error, ClientError::TlsTimeout);
    assert!(!error.started());
}

#[tokio::test]
async fn a_peer_without_tls_is_a_tls_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let error = get(&client(), format!("https://{plain}/?key=SECRET")).await.unwrap_err();
    assert_eq!(error, ClientError::Tls);
}

#[tokio::test]
async fn a_connection_closed_before_the_whole_head_is_reset() {
    for head in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
        let (addr, connections) = peer(head).await;
        let error = get(&client(), url(addr)).await.unwrap_err();
        assert_eq!(error, ClientError::Reset { started: true });
        assert!(error.started());
        assert_eq!(connections.load(Ordering::SeqCst), 1, "no hidden second try");
    }
}

/// The peer announces keep-alive but closes the connection at once, so that some requests meet a pooled
/// connection that is just ending.
#[tokio::test]
async fn a_pooled_connection_that_ends_gives_an_answer_or_a_reset() {
    let (addr, connections) = peer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let client = client();
    for _ in 0..50 {
        match get(&client, url(addr)).await {
            Ok(answer) => assert_eq!(answer.status(), StatusCode::OK),
            Err(error) => assert!(matches!(error, ClientError::Reset { .. }), "{error:?}"),
        }
    }
    assert!(connections.load(Ordering::SeqCst) <= 50);
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_bad_framing() {
    let answers = [
        "nonsense\r\n\r\n",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ];
    for answer in answers {
        let (addr, _) = peer(answer).await;
        assert_eq!(
            get(&client(), url(addr)).await.unwrap_err(),
            ClientError::BadFraming,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_request_without_an_absolute_uri_is_refused() {
    assert_eq!(get(&client(), "/path?key=SECRET".into()).await.unwrap_err(), ClientError::Other);
}

#[tokio::test]
async fn a_body_that_ends_early_is_an_error() {
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ];
    for answer in answers {
        let (addr, _) = peer(answer).await;
        let answer = get(&client(), url(addr)).await.unwrap();
        let result = body::collect(answer.into_body(), 100, LONG).await;
        assert_eq!(result, Err(BodyError::Truncated));
    }
}

#[tokio::test]
async fn a_body_that_stalls_is_idle() {
    let (addr, _) = peer_that("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", LONG).await;
    let answer = get(&client(), url(addr)).await.unwrap();
    let result = body::collect(answer.into_body(), 100, SHORT).await;
    assert_eq!(result, Err(BodyError::Idle { after: SHORT }));
}
