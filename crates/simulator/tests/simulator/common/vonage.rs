//! Calls the Vonage face without sockets.

use http::Request;
use serde_json::Value;
use simulator::{Dialect, Faults, Settings, Simulator};
use transport::body::{empty, full};

use super::{Reply, send};

pub const ACCEPT: &str = "application/vnd.newvoicemedia.v4+json";
pub const TOKEN: &str = "/Auth/connect/token";
/// The form of the vendor's page.
pub const FORM: &str = "grant_type=client_credentials&client_id=demo-client\
    &client_secret=demo-secret&scope=users%3Aread";

/// A Vonage simulator with this many users.
pub fn of(users: usize) -> Simulator {
    Simulator::new(Settings { users, ..settings() })
}

pub fn settings() -> Settings {
    Settings { dialect: Dialect::VonageV4, ..Settings::default() }
}

/// 250 users and these faults.
pub fn faulty(faults: Faults) -> Simulator {
    Simulator::new(Settings { faults, ..settings() })
}

/// A request for a token.
pub async fn ask_token(simulator: &Simulator, credential: Option<&str>, form: &str) -> Reply {
    let mut request =
        Request::post(TOKEN).header("content-type", "application/x-www-form-urlencoded");
    if let Some(credential) = credential {
        request = request.header("authorization", credential);
    }
    send(simulator, request.body(full(form.to_owned())).unwrap()).await
}

/// A token, fetched in the documented way.
pub async fn token(simulator: &Simulator) -> String {
    let reply = ask_token(simulator, None, FORM).await;
    reply.json()["access_token"].as_str().unwrap().to_owned()
}

/// `GET` with these headers.
pub async fn bare(simulator: &Simulator, uri: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(simulator, request.body(empty()).unwrap()).await
}

/// `GET /useradmin{path}` with this token, as a correct client sends it.
pub async fn with(simulator: &Simulator, token: &str, path: &str) -> Reply {
    let credential = format!("Bearer {token}");
    let headers = [("authorization", credential.as_str()), ("accept", ACCEPT)];
    bare(simulator, &format!("/useradmin{path}"), &headers).await
}

/// The same with a new token.
pub async fn get(simulator: &Simulator, path: &str) -> Reply {
    let token = simulator.vonage_token("demo-client").unwrap();
    with(simulator, &token, path).await
}

/// `(page, count, pageCount, totalCount)`
pub fn meta(body: &Value) -> [u64; 4] {
    let meta = body["meta"].as_object().unwrap();
    assert_eq!(meta.len(), 4, "{meta:?}");
    ["page", "count", "pageCount", "totalCount"].map(|name| meta[name].as_u64().unwrap())
}

/// The texts of one field of every row.
pub fn texts(rows: &Value, field: &str) -> Vec<String> {
    let text = |row: &Value| row[field].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(text).collect()
}
