//! Passthrough over TLS: HTTP/2 on our side, HTTP/1.1 on the upstream's.
#![expect(clippy::expect_used, reason = "a test may")]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use tests::folder::{Certificate, Folder};
use tests::raw::{Raw, Reply};
use tests::wire::Far;
use tests::{Front, LEGACY_KEY, V4_KEY, config};
use tower::ServiceExt;
use transport::body;
use transport::client::ClientError;

const SECOND_KEY: &str = "the-key-behind-the-second-gateway";
const MIB: usize = 1 << 20;

/// A gateway that speaks TLS and passes through to an upstream.
async fn encrypted(certificate: &Certificate, base_url: &str, legacy_key: &str) -> Front {
    let passthrough = "[passthrough]\nenabled = true";
    let text = config::ports(&certificate.server_line())
        + &config::voiso("ams", base_url, &certificate.ca_line())
        + &config::caller(
            "crm",
            "ams",
            &config::digest(legacy_key),
            &config::env("KEY"),
            passthrough,
        );
    let upstream_key = if legacy_key == V4_KEY { SECOND_KEY } else { V4_KEY };
    Front::start_with(&text, &[("KEY", upstream_key)]).await
}

fn request(front: &Front, key: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    let url = format!("https://localhost:{}/x?a=1", front.running.address.port());
    let request = Request::post(url).header("authorization", format!("Bearer {key}"));
    request.body(body.into()).expect("a request")
}

#[tokio::test]
async fn http2_becomes_http1_with_all_that_it_said() {
    let folder = Folder::new();
    let certificate = folder.certificate("http2");
    let upstream = Far::start(|mut wire| async move {
        let head = wire.head().await?;
        let length = tests::wire::values(&head, "content-length").first()?.parse().ok()?;
        assert_eq!(wire.skip(length).await, length);
        // An answer that repeats the key would not come back.
        let head = head.replace("\r\n", "|").replace(V4_KEY, "(theirs)");
        wire.say(format!("HTTP/1.1 200 OK\r\nx-saw: {head}\r\ncontent-length: {length}\r\n\r\n"))
            .await?;
        for _ in 0..length / MIB {
            wire.say(vec![b'x'; MIB]).await?;
        }
        wire.head().await.map(drop)
    })
    .await;
    let front = encrypted(&certificate, &format!("http://{}", upstream.address), LEGACY_KEY).await;
    let client = certificate.client();
    let asked = request(&front, LEGACY_KEY, vec![b'y'; 16 * MIB]);
    let answer = client.oneshot(asked).await.expect("an answer");
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(answer.status(), 200);
    let saw = answer.headers()["x-saw"].to_str().expect("text").to_owned();
    let port = front.running.address.port();
    for said in [
        "POST /x?a=1 HTTP/1.1|",
        "|authorization: Bearer (theirs)|",
        &format!("|host: {}|", upstream.address),
        &format!("|x-forwarded-host: localhost:{port}|"),
        "|x-forwarded-proto: https|",
    ] {
        assert!(saw.contains(said), "{said} in {saw}");
    }
    let body = body::collect(answer.into_body(), 64 * MIB, Duration::from_secs(20)).await;
    assert_eq!(body.expect("a body").len(), 16 * MIB);
}

#[tokio::test]
async fn an_upstream_over_tls_is_believed_by_its_certificate_alone() {
    let folder = Folder::new();
    let (known, unknown) = (folder.certificate("known"), folder.certificate("unknown"));
    let upstream = Raw::start(|_| Reply::json(200, "{}")).await;
    let base_url = format!("http://{}", upstream.address);
    let good = encrypted(&known, &base_url, V4_KEY).await;
    let bad = encrypted(&unknown, &base_url, V4_KEY).await;
    for (far, status) in [(&good, 200), (&bad, 502)] {
        let base_url = format!("https://localhost:{}", far.running.address.port());
        let near = encrypted(&known, &base_url, LEGACY_KEY).await;
        let answer: Result<_, ClientError> =
            known.client().oneshot(request(&near, LEGACY_KEY, "")).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), status);
        let slug = answer.headers().get("x-tieline-error").map(|slug| slug.as_bytes());
        assert_eq!(slug, (status == 502).then_some(&b"upstream_tls"[..]));
    }
    let [head] = &upstream.heads()[..] else { panic!("one request") };
    assert_eq!(head.headers("authorization"), [format!("Bearer {SECOND_KEY}")]);
    assert_eq!(head.headers("x-forwarded-for"), ["127.0.0.1"]);
}
