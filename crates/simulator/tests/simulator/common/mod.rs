//! Calls the simulator without sockets.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "test helpers")]
#![allow(unreachable_pub, reason = "shared by the modules of this program")]

pub mod vonage;

use std::time::Duration;

use http::{HeaderMap, Request};
use serde_json::Value;
use simulator::{Body, Simulator};
use tower::ServiceExt;
use transport::body::{BodyError, collect, empty};

pub const V4: &str = "Bearer v4-demo-key";
pub const LEGACY: &str = "Bearer legacy-demo-key";

/// An answer with its body, read to its end or to an error.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Result<Vec<u8>, BodyError>,
}

impl Reply {
    pub fn bytes(&self) -> &[u8] {
        self.body.as_ref().unwrap()
    }
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap()
    }
    pub fn json(&self) -> Value {
        serde_json::from_slice(self.bytes()).unwrap()
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub async fn call(simulator: &Simulator, uri: &str, credential: Option<&str>) -> Reply {
    let mut request = Request::get(uri);
    if let Some(credential) = credential {
        request = request.header("authorization", credential);
    }
    send(simulator, request.body(empty()).unwrap()).await
}

pub async fn send(simulator: &Simulator, request: Request<Body>) -> Reply {
    let (parts, body) = simulator.service().oneshot(request).await.unwrap().into_parts();
    let body = collect(body, 64 << 20, Duration::from_secs(5)).await.map(|b| b.to_vec());
    Reply { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// A page of v4 users.
pub async fn page(simulator: &Simulator, query: &str) -> Reply {
    call(simulator, &format!("/api/v4/users?{query}"), Some(V4)).await
}

/// The legacy answer.
pub async fn legacy(simulator: &Simulator, query: &str) -> Reply {
    call(simulator, &format!("/api/user_management/v1/users?{query}"), Some(LEGACY)).await
}

pub fn ids(rows: &Value) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row["id"].to_string().replace('"', "")).collect()
}
