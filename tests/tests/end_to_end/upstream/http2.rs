//! An upstream that breaks HTTP/2, frame by frame. The ids in front of the test
//! names are those of `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::folder::{Certificate, Folder};
use tests::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, block, frame};
use tests::raw::{page, user};
use tests::{Answer, Front, V1_USERS, config_text, expect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Frames of a stream, again and again up to a number of times.
type Says = Arc<dyn Fn(u32) -> (Vec<u8>, usize) + Send + Sync>;

/// An upstream that answers every request with these frames; its port, and how many requests there were.
async fn upstream(certificate: &Certificate, says: Says) -> (u16, Arc<AtomicUsize>) {
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_file(&certificate.cert).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, says, count) = (acceptor.clone(), Arc::clone(&says), Arc::clone(&count));
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.ok()?;
                stream.read_exact(&mut [0; PREFACE.len()]).await.ok()?;
                loop {
                    let mut head = [0; 9];
                    stream.read_exact(&mut head).await.ok()?;
                    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                    let mut payload = vec![0; length as usize];
                    stream.read_exact(&mut payload).await.ok()?;
                    if head[3] != HEADERS {
                        continue;
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    let (bytes, times) = says(id);
                    for _ in 0..times {
                        stream.write_all(&bytes).await.ok()?;
                    }
                    stream.flush().await.ok()?;
                }
                #[expect(unreachable_code, reason = "it says of what type the end is")]
                Some(())
            });
        }
    });
    (port, asked)
}

/// One list over such an upstream, and how many requests it took.
async fn over(says: impl Fn(u32) -> (Vec<u8>, usize) + Send + Sync + 'static) -> (Answer, usize) {
    let folder = Folder::new();
    let certificate = folder.certificate("upstream");
    let (port, asked) = upstream(&certificate, Arc::new(says)).await;
    let nowhere = format!("127.0.0.1:{port}");
    let more = format!("{}\nconnect_timeout = \"5s\"", certificate.ca_line());
    let text = config_text(&nowhere, &more, "");
    let text = text.replace(&format!("http://{nowhere}"), &format!("https://localhost:{port}"));
    let answer = Front::start(&text).await.get(V1_USERS).await;
    (answer, asked.load(Ordering::SeqCst))
}

fn status(stream: u32, status: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&[(":status", status)]))
}

/// The head of a list of one user and the list itself, without an end.
fn list(stream: u32) -> Vec<u8> {
    let body = page(&[user(1)], 1);
    [status(stream, "200"), frame(DATA, 0, stream, body.as_bytes())].concat()
}

fn trailers(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, block)
}

#[tokio::test]
async fn e28_endless_hints_and_a_switch_over_http2_are_502() {
    let (hints, asked) = over(|id| (status(id, "103"), 20_000)).await;
    expect::error(&hints, "502 upstream_bad_framing", "hints");
    assert_eq!(asked, 1, "once");
    // By a number of the table, behind the first.
    let (indexed, _) = over(|id| {
        let first = [0x48, 3, b'1', b'0', b'3'];
        let hint = |block: &[u8]| frame(HEADERS, END_HEADERS, id, block);
        ([hint(&first), hint(&[0xbe]).repeat(100)].concat(), 1)
    })
    .await;
    expect::error(&indexed, "502 upstream_bad_framing", "indexed hints");
    for switch in
        [&block(&[(":status", "101")])[..], &[0x08, 3, b'1', b'0', b'1'], b"\x48\x82\x08\x03"]
    {
        let switch = switch.to_vec();
        let says = move |id| (frame(HEADERS, END_HEADERS, id, &switch), 1);
        let (switched, asked) = over(says).await;
        expect::error(&switched, "502 upstream_bad_framing", "a switch");
        assert_eq!(asked, 1, "once");
    }
    let good = |id| {
        let end = frame(DATA, END_STREAM, id, b"");
        ([status(id, "103").repeat(5), list(id), end].concat(), 1)
    };
    expect::rows(&over(good).await.0, &[1], "five hints");
}

#[tokio::test]
async fn e28_trailers_with_a_status_are_502_over_http2() {
    for (first, what) in [
        (vec![0x88], "by its number"),
        (block(&[(":status", "200")]), "by its name"),
        (block(&[(":path", "/")]), "another pseudo field"),
    ] {
        let says = move |id| ([list(id), trailers(id, &first)].concat(), 1);
        let (answer, asked) = over(says).await;
        expect::error(&answer, "502 upstream_bad_framing", what);
        assert_eq!(asked, 1, "{what}: once");
    }
    let plain = |id| ([list(id), trailers(id, &block(&[("x-sum", "1")]))].concat(), 1);
    expect::rows(&over(plain).await.0, &[1], "plain trailers");
}
