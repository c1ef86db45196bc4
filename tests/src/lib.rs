//! A whole world per test: a pretend vendor, a gateway in front of it, and a client, over real
//! loopback sockets.
//!
//! Every world listens on ports of its own and ends with its test. It must never talk to anything
//! but loopback.

pub mod alone;
pub mod config;
pub mod expect;
pub mod folder;
pub mod frames;
pub mod mutate;
pub mod names;
pub mod plain;
pub mod raw;
pub mod shadow;
pub mod vonage;
pub mod wire;

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use gateway::{Running, Surroundings};
use http::{HeaderMap, Method, Request, StatusCode};
use settings::Config;
use simulator::{Fail, Faults, Settings, Simulator};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use transport::body;
use transport::client::{Client, ClientSettings};
use transport::tls::ClientTls;

/// The legacy key of the only caller, unless a test adds others.
pub const LEGACY_KEY: &str = "legacy-demo-key";
/// The header of that key.
pub const BEARER: (&str, &str) = ("authorization", "Bearer legacy-demo-key");
/// The v4 key that caller is answered with.
pub const V4_KEY: &str = "v4-demo-key";
/// The main path of v1 users.
pub const V1_USERS: &str = "/api/user_management/v1/users";
/// The path of v3 users.
pub const V3_USERS: &str = "/api/v3/cdr/users";
/// The path of teams.
pub const TEAMS: &str = "/api/v2/cdr/teams";
/// The path of deleted agents.
pub const DELETED: &str = "/api/v2/cdr/deleted_agents";

/// Waits for half a minute until something holds.
#[expect(clippy::panic, reason = "a test's world either stands or fails the test")]
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..1500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within half a minute: {what}");
}

/// An address that refuses connections.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub async fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address")
}

/// Every field of a v1 user, in the order of the vendor's page.
pub const V1_FIELDS: [&str; 15] = [
    "id",
    "name",
    "email",
    "sip_account",
    "sag",
    "extension",
    "caller_id",
    "timezone",
    "webrtc_ringtone",
    "assigned_teams",
    "supervisor_in_teams",
    "assigned_skills",
    "assigned_queues",
    "employee_id",
    "assigned_channels",
];
/// Id and secret of the only client of a Vonage.
pub const CLIENT: &str = "demo-client:demo-secret";

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// One whole answer as it came over the wire. Other bytes have neither headers nor body.
    pub fn heard(bytes: impl AsRef<[u8]>) -> Answer {
        let bytes = bytes.as_ref();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(bytes.len());
        let (head, body) = (String::from_utf8_lossy(&bytes[..end]), bytes.get(end + 4..));
        let mut headers = HeaderMap::new();
        for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(':')) {
            let name = http::HeaderName::from_bytes(name.as_bytes());
            let value = http::HeaderValue::from_str(value.trim());
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = Bytes::copy_from_slice(body.unwrap_or_default());
        Answer { status: status.unwrap_or_default(), headers, body }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The ids of a bare array of records, in order; none where it is something else. Nothing else of the
    /// records is kept: all values of a long list at once need much of the memory that tests have together.
    pub fn ids(&self) -> Vec<u64> {
        #[derive(serde::Deserialize)]
        struct Record {
            id: Option<u64>,
        }
        let records: Vec<Record> = serde_json::from_slice(&self.body).unwrap_or_default();
        records.into_iter().filter_map(|record| record.id).collect()
    }

    /// A header as text, empty where it is missing.
    pub fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    /// Status and slug at once, as `502 upstream_5xx`.
    pub fn verdict(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.header("x-tieline-error"))
    }
}

/// A configuration for one caller `crm` over one upstream. `more` is TOML put into the upstream's
/// table, `rest` TOML behind everything.
pub fn config_text(upstream: impl Display, more: &str, rest: &str) -> String {
    let rest = format!("explain = true\n{rest}");
    let upstream = config::voiso("ams", format!("http://{upstream}"), more);
    let caller =
        config::caller("crm", "ams", &config::digest(LEGACY_KEY), &config::env("V4"), &rest);
    config::ports("") + &upstream + &caller
}

/// The same that passes everything else through, with more TOML in `[server]`; `rest` stands in
/// `[passthrough]`, and behind it.
pub fn edge_text(upstream: SocketAddr, server: &str, rest: &str) -> String {
    let text = config_text(upstream, "", &format!("[passthrough]\nenabled = true\n{rest}"));
    text.replacen("[admin]", &format!("{server}\n[admin]"), 1)
}

/// A gateway over an upstream that is already there.
#[derive(Debug)]
pub struct Front {
    /// The running gateway.
    pub running: Running,
    client: Client,
    shutdown: CancellationToken,
    _guard: DropGuard,
}

impl Front {
    /// Starts a gateway from TOML text.
    pub async fn start(config: &str) -> Front {
        Front::start_with(config, &[("V4", V4_KEY)]).await
    }

    /// Starts a gateway over an upstream; see [`config_text`].
    pub async fn over(upstream: impl Display, more: &str, rest: &str) -> Front {
        Front::start(&config_text(upstream, more, rest)).await
    }

    /// Starts a gateway from TOML text and environment variables.
    pub async fn start_with(config: &str, env: &[(&str, &str)]) -> Front {
        Front::start_in(config, env, Surroundings::default()).await
    }

    /// The same in any surroundings.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub async fn start_in(config: &str, env: &[(&str, &str)], surroundings: Surroundings) -> Front {
        let config = parsed(config, env).expect("a good configuration");
        let shutdown = CancellationToken::new();
        let running =
            gateway::start_with(config, surroundings, shutdown.clone()).await.expect("free ports");
        let guard = shutdown.clone().drop_guard();
        Front { running, client: client(), shutdown, _guard: guard }
    }

    /// `GET` with the caller's key as Bearer.
    pub async fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[BEARER]).await
    }

    /// `GET` with another key as Bearer.
    pub async fn get_as(&self, key: &str, target: &str) -> Answer {
        self.get_with(target, &[("authorization", &format!("Bearer {key}"))]).await
    }

    /// `GET` with exactly these headers.
    pub async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, target, headers).await
    }

    /// Any method with exactly these headers.
    pub async fn send(&self, method: Method, target: &str, headers: &[(&str, &str)]) -> Answer {
        send(&self.client, self.running.address, method, target, headers).await
    }

    /// A connection over which a request was sent: a line and headers beside the key.
    pub async fn wire(&self, line: &str, headers: &[&str]) -> wire::Wire {
        let mut wire = wire::Wire::to(self.running.address).await;
        // Some tests expect a server that closes at once.
        let _ = wire.say(wire::request(line, headers)).await;
        wire
    }

    /// `GET` on the admin port.
    pub async fn admin(&self, target: &str) -> Answer {
        self.admin_with(target, &[]).await
    }

    /// `GET` on the admin port with these headers.
    pub async fn admin_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        send(&self.client, self.running.admin, Method::GET, target, headers).await
    }

    /// The value of one series on the admin port, 0 where there is none.
    pub async fn count(&self, series: &str) -> u64 {
        let text = self.admin("/metrics").await.text();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let value = lines.find(|(name, _)| *name == series).map(|(_, value)| value);
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// How often the server rejected something for this reason.
    pub async fn rejected(&self, why: &str) -> u64 {
        self.count(&format!("tieline_conn_rejected_total{{why=\"{why}\"}}")).await
    }

    /// Begins to stop.
    pub fn stop(&self) {
        self.shutdown.cancel();
    }
}

/// Reads a configuration, or says in one line why it cannot be used.
pub fn parsed(config: &str, env: &[(&str, &str)]) -> Result<Config, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let env: Vec<(String, String)> = env.iter().map(owned).collect();
    Config::parse(config, "test.toml", &env).map_err(|error| error.to_string())
}

/// The settings of a vendor with this many users.
pub fn users(users: usize) -> Settings {
    Settings { users, ..Settings::default() }
}

/// The faults of a vendor that answers every request with this status.
pub fn failing(status: u16) -> Faults {
    let fail = Fail { at_offset: None, status, times: None, retry_after: None };
    Faults { fail: Some(fail), ..Faults::default() }
}

/// A client with a pool of its own.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub fn client() -> Client {
    client_with(ClientTls::new(None).expect("built-in roots"))
}

fn client_with(tls: ClientTls) -> Client {
    Client::new(&ClientSettings {
        connect_timeout: Duration::from_secs(5),
        pool_idle_timeout: Duration::from_secs(20),
        pool_idle_max: 64,
        tls,
    })
}

/// One request, one whole answer.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub async fn send(
    client: &Client,
    to: SocketAddr,
    method: Method,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(format!("http://{to}{target}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Bytes::new()).expect("a request");
    let answer = client.clone().oneshot(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    let body = body::collect(body, 512 << 20, Duration::from_secs(60)).await.expect("a body");
    Answer { status: head.status, headers: head.headers, body }
}

/// A pretend vendor and a gateway in front of it.
#[derive(Debug)]
pub struct World {
    /// The vendor; its data and faults can be changed while it runs.
    pub vendor: Simulator,
    /// Where the vendor listens.
    pub vendor_address: SocketAddr,
    /// The gateway.
    pub front: Front,
    _guard: DropGuard,
}

impl World {
    /// A world with default settings on both sides.
    pub async fn new(settings: Settings) -> World {
        World::with(settings, "", "").await
    }

    /// A world with more TOML; see [`config_text`].
    pub async fn with(settings: Settings, more: &str, rest: &str) -> World {
        let (vendor, vendor_address, guard) = vendor(settings).await;
        let front = Front::start(&config_text(vendor_address, more, rest)).await;
        World { vendor, vendor_address, front, _guard: guard }
    }

    /// `GET` with the caller's key as Bearer.
    pub async fn get(&self, target: &str) -> Answer {
        self.front.get(target).await
    }

    /// What the vendor's own legacy API answers to the same request: the oracle.
    pub async fn legacy(&self, target: &str) -> Answer {
        send(&self.front.client, self.vendor_address, Method::GET, target, &[BEARER]).await
    }

    /// The ids of the users that the vendor's own legacy API lists now.
    pub fn live(&self) -> Vec<u64> {
        let all = self.vendor.legacy_users(&[]);
        all.iter().filter_map(|record| record["id"].as_u64()).collect()
    }
}

/// A pretend vendor on a port of its own; it stops when the guard is dropped.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub async fn vendor(settings: Settings) -> (Simulator, SocketAddr, DropGuard) {
    let vendor = Simulator::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(vendor.clone().serve(listener, stopped));
    (vendor, address, stop.drop_guard())
}

/// The pairs of a query, decoded.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// A query with its values escaped.
pub fn query(pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    query.finish()
}
