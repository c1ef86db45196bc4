//! TLS on both sides of the real gateway, with certificates made for each test.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::time::Duration;

use crate::common::process::{
    Folder, Gateway, LIST, ask, certificate, configuration, tls_line, vendor,
};
use crate::common::{run, stderr, stdout};
use bytes::Bytes;
use http::{Request, Response, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use transport::body::{self, Body};
use transport::client::{Client, ClientError, ClientSettings};
use transport::server::{ServerLimits, serve};
use transport::tls::{ClientTls, ServerTls};

const LONG: Duration = Duration::from_secs(30);
const BYTES_MAX: usize = 16 << 20;

fn client(ca: Option<&Path>) -> Client {
    Client::new(&ClientSettings {
        connect_timeout: LONG,
        pool_idle_timeout: LONG,
        pool_idle_max: 4,
        tls: ClientTls::new(ca).unwrap(),
    })
}

async fn get(client: Client, port: u16) -> Result<Response<Body>, ClientError> {
    let request = Request::get(format!("https://localhost:{port}{LIST}"))
        .header("authorization", "Bearer legacy-demo-key");
    client.oneshot(request.body(Bytes::new()).unwrap()).await
}

/// Everything a server says over TLS to a client that speaks HTTP/1 only.
async fn say_http1(port: u16, ca: &Path) -> String {
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
    let request = format!(
        "GET {LIST} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer legacy-demo-key\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut heard)).await.unwrap().unwrap();
    String::from_utf8(heard).unwrap()
}

/// A vendor behind TLS in this process.
async fn tls_vendor(files: &(std::path::PathBuf, std::path::PathBuf)) -> (u16, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = ServerTls::from_pem_files(&files.0, &files.1).unwrap();
    let settings = simulator::Settings { users: 250, ..simulator::Settings::default() };
    let service = simulator::Simulator::new(settings).service();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(serve(listener, Some(tls), ServerLimits::default(), service, stopped, LONG));
    (port, stop.drop_guard())
}

#[tokio::test]
async fn the_gateway_answers_over_tls_on_http1_and_http2() {
    let folder = Folder::new("tls_gateway");
    let (_vendor, base) = vendor(&folder, "vendor", &["--users", "250"], &[]);
    let expected = ask(crate::common::process::address_of(&base), LIST).body;
    let files = certificate(&folder, "gateway");
    let file = configuration(&folder, &tls_line(&files), &base, "");
    let gateway = Gateway::start(&folder, "gateway", &["--config", &file], &[]);
    let port = gateway.address.port();

    let answer = get(client(Some(&files.0)), port).await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 200));
    let got = body::collect(answer.into_body(), BYTES_MAX, LONG).await.unwrap();
    assert!(got == expected, "over HTTP/2: {} bytes, expected {}", got.len(), expected.len());

    let answer = say_http1(port, &files.0).await;
    let (head, got) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(got.as_bytes() == expected, "over HTTP/1: {} bytes", got.len());

    // Whoever does not know the certificate gets nothing, and so does who speaks no TLS.
    assert_eq!(get(client(None), port).await.unwrap_err(), ClientError::Tls);
    let plain = crate::common::process::say(gateway.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!plain.starts_with(b"HTTP/"), "{} bytes in the clear", plain.len());
}

#[tokio::test]
async fn an_upstream_over_tls_is_believed_by_its_certificate_only() {
    let folder = Folder::new("tls_upstream");
    let files = certificate(&folder, "vendor");
    let (port, _vendor) = tls_vendor(&files).await;
    let base = format!("https://localhost:{port}");
    let ca = format!("ca_file = \"{}\"", files.0.display());
    // The processes are waited for; meanwhile the vendor must go on.
    let answers = tokio::task::spawn_blocking(move || {
        let known = Folder::new("tls_upstream_known");
        let file = configuration(&known, "", &base, &ca);
        let gateway = Gateway::start(&known, "gateway", &["--config", &file], &[]);
        let good = ask(gateway.address, LIST);
        let checked = run(&["check", "--config", &file], b"");
        let unknown = Folder::new("tls_upstream_unknown");
        let file = configuration(&unknown, "", &base, "");
        let gateway = Gateway::start(&unknown, "gateway", &["--config", &file], &[]);
        let bad = ask(gateway.address, LIST);
        // Another name than the certificate's is as bad as another certificate.
        let other = Folder::new("tls_upstream_other");
        let file = configuration(&other, "", &base.replace("localhost", "127.0.0.1"), &ca);
        let gateway = Gateway::start(&other, "gateway", &["--config", &file], &[]);
        (good, checked, bad, ask(gateway.address, LIST))
    });
    let (good, checked, bad, other) = answers.await.unwrap();
    assert_eq!(good.status, 200, "{}", good.head);
    assert!(good.ids().len() > 200);
    assert_eq!(checked.status.code(), Some(0), "{}{}", stdout(&checked), stderr(&checked));
    for refused in [bad, other] {
        assert_eq!(refused.status, 502, "{}", refused.head);
        assert_eq!(refused.header("x-tieline-error"), Some("upstream_tls"));
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_one_line_and_code_78() {
    let folder = Folder::new("tls_bad");
    let files = certificate(&folder, "gateway");
    let (missing, junk) = (folder.path("missing.pem"), folder.path("junk.pem"));
    std::fs::write(&junk, "this is no certificate\n").unwrap();
    let other = certificate(&folder, "other");
    let vendor = "http://127.0.0.1:9";
    let server = |cert: &Path, key: &Path| tls_line(&(cert.to_owned(), key.to_owned()));
    let ca = |file: &Path| format!("ca_file = \"{}\"", file.display());
    // The settings, the field the line names, and the file.
    let cases = [
        (server(&missing, &files.1), String::new(), "server.tls", Some(&missing)),
        (server(&files.0, &missing), String::new(), "server.tls", Some(&missing)),
        (server(&junk, &files.1), String::new(), "server.tls", Some(&junk)),
        (server(&files.0, &junk), String::new(), "server.tls", Some(&junk)),
        (server(&files.0, &other.1), String::new(), "server.tls", None),
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
        if let Some(named) = named {
            assert!(text.contains(named.to_str().unwrap()), "{text}");
        }
    }
}
