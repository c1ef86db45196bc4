//! The legacy face of `click2call`: its parameters come in the query, a form or JSON, and none of them goes before
//! another.
#![expect(clippy::unwrap_used, reason = "a test may")]

use http::Request;
use simulator::{Settings, Simulator, User};
use transport::body::full;

use crate::common::send;

const PATH: &str = "/api/v1/legacy-demo-key/click2call";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

fn vendor() -> Simulator {
    let simulator = Simulator::new(Settings { users: 0, ..Settings::default() });
    simulator.insert_with(|user| {
        *user = User::documented_sample();
        user.status = Some("available".into());
    });
    simulator
}

async fn said(vendor: &Simulator, query: &str, kind: &str, body: &str) -> (u16, String) {
    let request = Request::post(format!("{PATH}?{query}")).header("content-type", kind);
    let request = request.body(full(body.to_owned())).unwrap();
    let reply = send(vendor, request).await;
    (reply.status, reply.text().to_owned())
}

#[tokio::test]
async fn a_call_is_said_in_the_query_a_form_or_json() {
    let vendor = vendor();
    for (placed, (query, kind, body)) in [
        ("agent=102&number=31201234567", FORM, ""),
        ("", FORM, "agent=102&number=%2B31201234567"),
        ("", JSON, r#"{"agent":"102","number":31201234567}"#),
        ("agent=102", JSON, r#"{"number":"31201234567"}"#),
        ("agent=102&number=31201234567", JSON, r#"{"agent":102,"number":"+31201234567"}"#),
        ("agent=102&number=31201234567", FORM, "agent=&number="),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = said(&vendor, query, kind, body).await;
        assert_eq!(answer, (204, String::new()), "{query} {body}");
        assert_eq!(vendor.stats().calls, placed as u64 + 1, "{query} {body}");
    }
    let (status, body) = said(
        &vendor,
        "get_call_id=1",
        JSON,
        r#"{"agent":"102","number":"31201234567","get_call_id":true}"#,
    )
    .await;
    assert_eq!((status, body.starts_with("{\"call_id\":\"")), (200, true), "{body}");
}

#[tokio::test]
async fn what_contradicts_places_no_call() {
    let vendor = vendor();
    for (query, kind, body) in [
        ("agent=102&number=31201234567", FORM, "number=31201234568"),
        ("agent=102&number=31201234567", JSON, r#"{"agent":"103"}"#),
        ("agent=102&agent=103&number=31201234567", FORM, ""),
        ("agent=102&number=31201234567&get_call_id=1", JSON, r#"{"get_call_id":false}"#),
    ] {
        let (status, _) = said(&vendor, query, kind, body).await;
        assert_eq!((status, vendor.stats().calls), (400, 0), "{query} {body}");
    }
}
