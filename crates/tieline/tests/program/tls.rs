//! TLS on both sides of the real gateway, with certificates made for each test.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::time::Duration;

use crate::common::process::Gateway;
use crate::common::{configuration, run, stderr, stdout, vendor};
use bytes::Bytes;
use http::{Request, Response, Version};
use tests::folder::{Certificate, Folder};
use tests::plain::{ask, say};
use tests::{Answer, LEGACY_KEY, V1_USERS, client, config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use transport::body::{self, Body};
use transport::client::{Client, ClientError};
use transport::server::{ServerLimits, serve};

const LONG: Duration = Duration::from_secs(30);
const BYTES_MAX: usize = 16 << 20;

async fn get(client: Client, port: u16) -> Result<Response<Body>, ClientError> {
    let request = Request::get(format!("https://localhost:{port}{V1_USERS}"))
        .header("authorization", format!("Bearer {LEGACY_KEY}"));
    client.oneshot(request.body(Bytes::new()).unwrap()).await
}

/// Everything a server says over TLS to a client that speaks HTTP/1 only.
async fn say_http1(port: u16, ca: &Path) -> Answer {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap();
    let request = tests::wire::request(&format!("GET {V1_USERS}"), &["connection: close"]);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut heard)).await.unwrap().unwrap();
    Answer::heard(heard)
}

/// A vendor behind TLS in this process.
async fn tls_vendor(certificate: &Certificate) -> (u16, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = certificate.server();
    let settings = simulator::Settings { users: 250, ..simulator::Settings::default() };
    let service = simulator::Simulator::new(settings).service();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(serve(listener, Some(tls), ServerLimits::default(), service, stopped, LONG));
    (port, stop.drop_guard())
}

#[tokio::test]
async fn the_gateway_answers_over_tls_on_http1_and_http2() {
    let folder = Folder::new();
    let (_vendor, base) = vendor("--users 250");
    let expected = ask(&base, V1_USERS).body;
    let certificate = folder.certificate("gateway");
    let gateway = Gateway::start(&configuration(&folder, &certificate.server_line(), &base, ""));
    let port = gateway.address.port();

    let answer = get(certificate.client(), port).await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 200));
    let got = body::collect(answer.into_body(), BYTES_MAX, LONG).await.unwrap();
    assert!(got == expected, "over HTTP/2: {} bytes, expected {}", got.len(), expected.len());

    let answer = say_http1(port, &certificate.cert).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == expected, "over HTTP/1: {} bytes", answer.body.len());

    // A client that does not trust the certificate gets nothing, nor does one without TLS.
    assert_eq!(get(client(), port).await.unwrap_err(), ClientError::Tls);
    let plain = say(gateway.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!plain.starts_with(b"HTTP/"), "{} bytes in the clear", plain.len());
}

#[tokio::test]
async fn an_upstream_over_tls_is_believed_by_its_certificate_only() {
    let folder = Folder::new();
    let certificate = folder.certificate("vendor");
    let (port, _vendor) = tls_vendor(&certificate).await;
    let base = format!("https://localhost:{port}");
    let ca = certificate.ca_line();
    // The processes are waited for; meanwhile the vendor must go on.
    let answers = tokio::task::spawn_blocking(move || {
        let known = Folder::new();
        let file = configuration(&known, "", &base, &ca);
        let gateway = Gateway::start(&file);
        let good = ask(gateway.address, V1_USERS);
        let checked = run(&["check", "--config", &file], b"");
        let unknown = Folder::new();
        let gateway = Gateway::start(&configuration(&unknown, "", &base, ""));
        let bad = ask(gateway.address, V1_USERS);
        // Another name than the certificate's is as bad as another certificate.
        let other = Folder::new();
        let gateway = Gateway::start(&configuration(
            &other,
            "",
            &base.replace("localhost", "127.0.0.1"),
            &ca,
        ));
        (good, checked, bad, ask(gateway.address, V1_USERS))
    });
    let (good, checked, bad, other) = answers.await.unwrap();
    assert_eq!(good.status, 200);
    assert!(good.ids().len() > 200);
    assert_eq!(checked.status.code(), Some(0), "{}{}", stdout(&checked), stderr(&checked));
    for refused in [bad, other] {
        assert_eq!(refused.verdict(), "502 upstream_tls");
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_one_line_and_code_78() {
    let folder = Folder::new();
    let Certificate { cert, key } = folder.certificate("gateway");
    let (missing, junk) = (folder.path("missing.pem"), folder.path("junk.pem"));
    std::fs::write(&junk, "this is no certificate\n").unwrap();
    let other = folder.certificate("other");
    let vendor = "http://127.0.0.1:9";
    let ca = |file: &Path| format!("ca_file = \"{}\"", file.display());
    // The settings, the field the line names, and the file.
    let cases = [
        (config::tls(&missing, &key), String::new(), "server.tls", Some(&missing)),
        (config::tls(&cert, &missing), String::new(), "server.tls", Some(&missing)),
        (config::tls(&junk, &key), String::new(), "server.tls", Some(&junk)),
        (config::tls(&cert, &junk), String::new(), "server.tls", Some(&junk)),
        (config::tls(&cert, &other.key), String::new(), "server.tls", None),
        (String::new(), ca(&missing), "upstream.ams.ca_file", Some(&missing)),
        (String::new(), ca(&junk), "upstream.ams.ca_file", Some(&junk)),
    ];
    for (tls, upstream, field, named) in cases {
        let file = configuration(&folder, &tls, vendor, &upstream);
        let output = run(&["serve", "--config", &file], b"");
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(78), "{tls}{upstream}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with(&format!("{file}:")), "{text}");
        assert!(text.contains(&format!(": {field}")), "{text}");
        let told = match named {
            Some(named) => named.to_str().unwrap(),
            None => "server.tls: the key does not belong to the certificate",
        };
        assert!(text.contains(told), "{text}");
    }
}
