//! Tests over real sockets, for behaviour that only the wire shows.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use simulator::{At, Dialect, Faults, Settings, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// Sends one request and reads until the server closes the connection.
async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
    // Here a reset counts as an end.
    let _ = read.await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_server_answers_cuts_and_stops() {
    let truncate_body_at = Some(At { offset: 200, times: None });
    let faults = Faults { truncate_body_at, ..Faults::default() };
    let simulator = Simulator::new(Settings { faults, ..Settings::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(simulator.clone().serve(listener, async {
        let _ = stopped.await;
    }));

    let get = |path: &str, key: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        )
    };
    let answer = exchange(address, &get("/api/v4/users?limit=1", "v4-demo-key")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\"metadata\":{\"total\":250}}"), "{answer}");

    let answer = exchange(address, &get("/user_management/v1/users", "legacy-demo-key")).await;
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(body, simulator.legacy_body(&[]));

    let answer = exchange(address, &get("/api/v4/users?offset=200", "v4-demo-key")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let promised = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let promised: usize = promised.unwrap();
    assert!(!body.is_empty() && body.len() < promised, "{} of {promised}", body.len());

    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_token_can_be_fetched_and_used_over_the_wire() {
    let settings = Settings { dialect: Dialect::VonageV4, users: 30, ..Settings::default() };
    let simulator = Simulator::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(simulator.clone().serve(listener, async {
        let _ = stopped.await;
    }));

    let form = "grant_type=client_credentials&client_id=demo-client&client_secret=demo-secret\
                &scope=users%3Aread";
    let length = form.len();
    let post = format!(
        "POST /Auth/connect/token HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {length}\r\n\r\n{form}"
    );
    let answer = exchange(address, &post).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let token = answer.split('"').skip_while(|part| *part != "access_token").nth(2).unwrap();

    let get = format!(
        "GET /useradmin/users?include=All&limit=30&page=1 HTTP/1.1\r\nhost: x\r\n\
         accept: application/vnd.newvoicemedia.v4+json\r\nauthorization: Bearer {token}\r\n\
         connection: close\r\n\r\n"
    );
    let answer = exchange(address, &get).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let meta = r#""meta":{"page":1,"count":30,"pageCount":1,"totalCount":30}}"#;
    assert!(answer.ends_with(meta), "{answer}");

    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
}
