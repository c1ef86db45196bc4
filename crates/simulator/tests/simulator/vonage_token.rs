//! The token endpoint against the vendor's pages and RFC 6749, and what a token opens.

use std::time::Duration;

use crate::common::vonage::{ACCEPT, FORM, TOKEN, ask_token, bare, of, settings, token, with};
use crate::common::{LEGACY, V4, call, legacy, send};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use simulator::{Settings, Simulator, VonageSettings};
use transport::body::full;

/// Grant and scope without the client.
const REST: &str = "grant_type=client_credentials&scope=users%3Aread";

fn basic(client: &str) -> String {
    format!("Basic {}", STANDARD.encode(client))
}

#[tokio::test]
async fn a_token_comes_for_the_documented_form_and_for_basic() {
    let simulator = of(1);
    for (credential, form) in [(None, FORM), (Some(basic("demo-client:demo-secret")), REST)] {
        let reply = ask_token(&simulator, credential.as_deref(), form).await;
        assert_eq!(reply.status, 200);
        let token = reply.json()["access_token"].as_str().unwrap().to_owned();
        let expected =
            format!(r#"{{"token_type":"bearer","access_token":"{token}","expires_in":7200}}"#);
        assert_eq!(reply.text(), expected);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(with(&simulator, &token, "/users").await.status, 200);
    }
}

#[tokio::test]
async fn errors_of_a_token_request_are_as_documented() {
    let simulator = of(1);
    let client = "client_id=demo-client&client_secret=demo-secret";
    let right = "demo-client:demo-secret";
    let grant = r#"{"error":"unsupported_grant_type","error_description":"Invalid grant_type"}"#;
    let scope = r#"{"error":"invalid_scope","error_description":"You must specify a scope"}"#;
    let stranger = r#"{"error":"invalid_client"}"#;
    let invalid = r#"{"error":"invalid_request"}"#;
    for (credential, form, status, body) in [
        (None, format!("{client}&scope=users:read"), 400, grant),
        (None, format!("{client}&scope=users:read&grant_type=password"), 400, grant),
        (None, format!("{client}&grant_type=client_credentials"), 400, scope),
        (None, format!("{client}&grant_type=client_credentials&scope="), 400, scope),
        (None, format!("{client}&grant_type=client_credentials&scope=stats"), 400, scope),
        (None, REST.to_owned(), 401, stranger),
        (None, FORM.replace("demo-secret", "x"), 401, stranger),
        (None, FORM.replace("demo-client", "x"), 401, stranger),
        (None, String::new(), 401, stranger),
        (Some(basic("demo-client:x")), REST.to_owned(), 401, stranger),
        (Some(basic("demo-client")), REST.to_owned(), 401, stranger),
        (Some("Basic %%%".to_owned()), REST.to_owned(), 401, stranger),
        (Some(V4.to_owned()), REST.to_owned(), 401, stranger),
        (Some(basic(right)), FORM.to_owned(), 400, invalid),
        (Some(basic(right)), format!("{REST}&client_id=demo-client"), 400, invalid),
        (None, format!("{FORM}&scope=users:read"), 400, invalid),
    ] {
        let reply = ask_token(&simulator, credential.as_deref(), &form).await;
        assert_eq!((reply.status, reply.text()), (status, body), "{credential:?} {form}");
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
    }
    let both = format!("{client}&grant_type=client_credentials&scope=users:read+users:write");
    assert_eq!(ask_token(&simulator, None, &both).await.status, 200);
    assert_eq!(simulator.stats().token_requests, 17);
}

#[tokio::test]
async fn only_a_posted_form_is_accepted() {
    let simulator = of(1);
    assert_eq!(call(&simulator, &format!("{TOKEN}?{FORM}"), None).await.status, 405);
    for kind in ["application/json", "text/plain"] {
        let request = Request::post(TOKEN).header("content-type", kind);
        let reply = send(&simulator, request.body(full(FORM)).unwrap()).await;
        assert_eq!((reply.status, reply.text()), (400, r#"{"error":"invalid_request"}"#));
    }
    let request = Request::post(TOKEN).body(full(FORM)).unwrap();
    assert_eq!(send(&simulator, request).await.status, 400);
    let request = Request::post(TOKEN)
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    assert_eq!(send(&simulator, request.body(full(FORM)).unwrap()).await.status, 200);
    let long = format!("{FORM}&x={}", "y".repeat(100_000));
    assert_eq!(ask_token(&simulator, None, &long).await.status, 400);
}

#[tokio::test]
async fn several_clients_and_special_characters_in_secrets_work() {
    let secret = "a:b%+ &=é";
    let clients = vec![("one".to_owned(), "1".to_owned()), ("two".to_owned(), secret.to_owned())];
    let vonage = VonageSettings { clients, ..VonageSettings::default() };
    let simulator = Simulator::new(Settings { vonage, ..settings() });
    let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let form = |id: &str, secret: &str| format!("{REST}&client_id={id}&client_secret={secret}");
    assert_eq!(ask_token(&simulator, None, &form("one", "1")).await.status, 200);
    assert_eq!(ask_token(&simulator, None, &form("two", &encoded)).await.status, 200);
    assert_eq!(ask_token(&simulator, None, &form("one", &encoded)).await.status, 401);
    assert_eq!(ask_token(&simulator, None, FORM).await.status, 401, "no default beside a setting");
    // As the RFC requires it, and as most clients send it.
    for secret in [secret, &encoded] {
        let credential = basic(&format!("two:{secret}"));
        assert_eq!(ask_token(&simulator, Some(&credential), REST).await.status, 200, "{secret}");
    }
    assert!(simulator.vonage_token("two").is_some());
    assert_eq!(simulator.vonage_token("demo-client"), None);
}

#[tokio::test(start_paused = true)]
async fn a_token_expires_at_its_announced_time() {
    let token_lifetime = Duration::from_secs(60);
    let vonage = VonageSettings { token_lifetime, ..VonageSettings::default() };
    let simulator = Simulator::new(Settings { vonage, ..settings() });
    let reply = ask_token(&simulator, None, FORM).await.json();
    assert_eq!(reply["expires_in"], 60);
    let first = reply["access_token"].as_str().unwrap();
    tokio::time::advance(Duration::from_secs(30)).await;
    let second = token(&simulator).await;
    assert_ne!(first, second);
    tokio::time::advance(Duration::from_millis(29_999)).await;
    assert_eq!(with(&simulator, first, "/users").await.status, 200);
    tokio::time::advance(Duration::from_millis(1)).await;
    let reply = with(&simulator, first, "/users").await;
    let denied = r#"{"message":"Authorization has been denied for this request."}"#;
    assert_eq!((reply.status, reply.text()), (401, denied));
    assert_eq!(with(&simulator, &second, "/users").await.status, 200);
    simulator.expire_vonage_tokens();
    assert_eq!(with(&simulator, &second, "/users").await.status, 401);
}

#[tokio::test]
async fn only_a_token_of_this_vendor_is_accepted() {
    let (simulator, other) = (of(1), of(1));
    let stranger = format!("Bearer {}", token(&other).await);
    let own = token(&simulator).await;
    let denied = r#"{"message":"Authorization has been denied for this request."}"#;
    for path in ["/useradmin/users", "/useradmin/groups", "/useradmin/users/x"] {
        for credential in [
            None,
            Some(stranger.as_str()),
            Some(own.as_str()),
            Some(V4),
            Some(LEGACY),
            Some("Bearer "),
            Some("Basic ZGVtby1jbGllbnQ6ZGVtby1zZWNyZXQ="),
        ] {
            let mut headers = vec![("accept", ACCEPT)];
            headers.extend(credential.map(|credential| ("authorization", credential)));
            let reply = bare(&simulator, path, &headers).await;
            assert_eq!((reply.status, reply.text()), (401, denied), "{path} {credential:?}");
        }
        let good = format!("bearer {own}");
        let twice = [("accept", ACCEPT), ("authorization", &*good), ("authorization", &*good)];
        assert_eq!(bare(&simulator, path, &twice).await.status, 401);
        assert_ne!(bare(&simulator, path, &twice[..2]).await.status, 401);
    }
}

#[tokio::test]
async fn each_dialect_has_its_own_paths_and_the_legacy_face_is_the_same() {
    let vonage = of(40);
    let voiso = Simulator::new(Settings { users: 40, ..Settings::default() });
    for path in ["/api/v4/users", "/api/v4/teams"] {
        assert_eq!(call(&vonage, path, Some(V4)).await.status, 404);
    }
    assert_eq!(ask_token(&voiso, None, FORM).await.status, 404);
    let bearer = format!("Bearer {}", token(&vonage).await);
    assert_eq!(call(&voiso, "/useradmin/users", Some(&bearer)).await.status, 404);
    let body = legacy(&vonage, "").await;
    assert_eq!(body.bytes(), legacy(&voiso, "").await.bytes());
    assert_eq!(body.status, 200);
    for path in ["/api/v2/cdr/teams", "/api/v2/cdr/deleted_agents", "/api/v3/cdr/users"] {
        let (a, b) =
            (call(&vonage, path, Some(LEGACY)).await, call(&voiso, path, Some(LEGACY)).await);
        assert_eq!((a.status, a.bytes()), (200, b.bytes()));
    }
    let path = "/useradmin/users";
    let request = Request::post(path).header("authorization", &bearer).body(full("{}")).unwrap();
    assert_eq!(send(&vonage, request).await.status, 404, "nothing is written");
}
