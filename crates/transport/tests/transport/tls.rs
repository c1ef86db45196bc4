//! TLS on both sides, with certificates made for each test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{BIG_BYTES, LONG, SHORT, Server, patient, read_to_end};
use bytes::Bytes;
use http::{Request, Response, Version};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;
use tower::ServiceExt;
use transport::body::{self, Body};
use transport::client::{Client, ClientError, ClientSettings};
use transport::server::{Drained, ServerLimits};
use transport::tls::{ClientTls, ServerTls};

/// A folder with a self-signed certificate and its key, removed at the end.
struct Pem(PathBuf);

impl Pem {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::SeqCst);
        let folder = format!("transport-tls-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        std::fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self(folder)
    }

    fn certificate(&self) -> PathBuf {
        self.0.join("certificate.pem")
    }

    fn server(&self) -> ServerTls {
        ServerTls::from_pem_files(&self.certificate(), &self.0.join("key.pem")).unwrap()
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn get(server: &Server, path: &str, tls: ClientTls) -> Result<Response<Body>, ClientError> {
    let client = Client::new(&ClientSettings {
        connect_timeout: LONG,
        pool_idle_timeout: LONG,
        pool_idle_max: 8,
        tls,
    });
    let url = format!("https://localhost:{}{path}", server.addr.port());
    client.oneshot(Request::get(url).body(Bytes::new()).unwrap()).await
}

/// A raw TLS connection that offers only one protocol.
async fn connect(
    server: &Server,
    pem: &Pem,
    protocol: &[u8],
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem.certificate()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), server.connect().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn http2_is_chosen_by_alpn() {
    let pem = Pem::new();
    let server = Server::start_with(patient(), Some(pem.server()), LONG).await;
    let tls = ClientTls::new(Some(&pem.certificate())).unwrap();
    let answer = get(&server, "/", tls.clone()).await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(body::collect(answer.into_body(), 100, LONG).await.unwrap(), "HTTP/2.0 true");

    let answer = get(&server, "/big", tls).await.unwrap();
    let bytes = body::collect(answer.into_body(), BIG_BYTES, LONG).await.unwrap();
    assert_eq!(bytes.len(), BIG_BYTES);
    assert_eq!(server.stop().await, Drained { cut: 0 });
}

#[tokio::test]
async fn http1_is_chosen_by_alpn() {
    let pem = Pem::new();
    let server = Server::start_with(patient(), Some(pem.server()), LONG).await;
    let mut stream = connect(&server, &pem, b"http/1.1").await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(read_to_end(&mut stream).await.ends_with("HTTP/1.1 true"));
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_refused() {
    let pem = Pem::new();
    let server = Server::start_with(patient(), Some(pem.server()), LONG).await;
    let error = get(&server, "/", ClientTls::new(None).unwrap()).await.unwrap_err();
    assert_eq!(error, ClientError::Tls);
    assert!(!error.started());
}

#[tokio::test]
async fn a_connection_without_a_handshake_is_closed() {
    let pem = Pem::new();
    let limits = ServerLimits { handshake_timeout: SHORT, ..patient() };
    let server = Server::start_with(limits, Some(pem.server()), LONG).await;
    for start in [&b""[..], b"\x16\x03\x01\x00"] {
        let mut stream = server.connect().await;
        let begun = Instant::now();
        stream.write_all(start).await.unwrap();
        read_to_end(&mut stream).await;
        assert!(begun.elapsed() < 4 * SHORT, "kept for {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn silence_after_the_handshake_is_closed_at_the_header_timeout() {
    let pem = Pem::new();
    let limits = ServerLimits { header_timeout: SHORT, ..patient() };
    let server = Server::start_with(limits, Some(pem.server()), LONG).await;
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let mut stream = connect(&server, &pem, protocol).await;
        let begun = Instant::now();
        read_to_end(&mut stream).await;
        assert!(begun.elapsed() < 4 * SHORT, "{protocol:?}: kept for {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_drain_ends_a_waiting_handshake() {
    let pem = Pem::new();
    let server = Server::start_with(patient(), Some(pem.server()), LONG).await;
    let _silent = server.connect().await;
    let begun = Instant::now();
    assert_eq!(server.stop().await, Drained { cut: 0 });
    assert!(begun.elapsed() < SHORT, "drained in {:?}", begun.elapsed());
}

#[test]
fn the_error_names_an_unusable_pem_file() {
    let pem = Pem::new();
    let missing = Path::new("/nowhere/certificate.pem");
    let error = ServerTls::from_pem_files(missing, missing).unwrap_err();
    assert_eq!(error.to_string(), "cannot read certificates from /nowhere/certificate.pem");

    let key = pem.0.join("key.pem");
    let error = ClientTls::new(Some(&key)).unwrap_err();
    assert_eq!(error.to_string(), format!("no certificate in {}", key.display()));

    let other = Pem::new();
    ServerTls::from_pem_files(&pem.certificate(), &other.0.join("key.pem")).unwrap_err();
}
