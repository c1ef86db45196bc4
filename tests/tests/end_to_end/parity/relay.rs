//! A relay between a real gateway and a pretend vendor: what it sees, what it asks, what it spares.
#![expect(clippy::unwrap_used, reason = "a test may")]

use corpus::relay::{Behind, Relay, RelaySettings, Source, Upstream};
use simulator::{Dialect, Settings, Simulator};
use tests::{Front, V1_USERS, V4_KEY, client, config_text, vendor, vonage};
use tokio_util::sync::{CancellationToken, DropGuard};

struct Scene {
    vendor: Simulator,
    relay: Relay,
    dialect: Dialect,
    _stop: DropGuard,
}

impl Scene {
    async fn new(dialect: Dialect) -> Scene {
        let settings = Settings { users: 250, dialect, ..Settings::default() };
        let (vendor, address, stop) = vendor(settings).await;
        let token_url = format!("http://{address}/Auth/connect/token");
        let upstream = Upstream {
            base_url: format!("http://{address}"),
            token_url: (dialect == Dialect::VonageV4).then_some(token_url),
            client: client(),
        };
        let settings = RelaySettings { memory_bytes_max: 64 << 20, ..RelaySettings::default() };
        let behind = Behind::Live(Box::new(upstream));
        let relay = Relay::start(behind, settings, &CancellationToken::new()).await.unwrap();
        Scene { vendor, relay, dialect, _stop: stop }
    }

    /// A gateway over the relay, with more TOML.
    async fn front(&self, rest: &str) -> Front {
        let base_url = self.relay.base_url();
        let address = base_url.trim_start_matches("http://");
        let (config, key) = match self.dialect {
            Dialect::VoisoV4 => (config_text(address, "", rest), V4_KEY),
            Dialect::VonageV4 => {
                let direct = format!("{base_url}/Auth/connect/token");
                let config = vonage::config_text(address, "", rest);
                (config.replace(&direct, &self.relay.token_url().unwrap()), tests::CLIENT)
            }
        };
        Front::start_with(&config, &[("V4".to_owned(), key.to_owned())]).await
    }

    fn asked(&self) -> u64 {
        self.relay.counts().sent
    }
}

#[tokio::test]
async fn the_calls_for_a_legacy_request_are_seen_with_the_id_of_its_answer() {
    let scene = Scene::new(Dialect::VoisoV4).await;
    let front = scene.front("").await;
    for query in ["?email=agent.10001@cc1.example.com", ""] {
        let answer = front.get(&format!("{V1_USERS}{query}")).await;
        assert_eq!(answer.status, 200);
        let calls = scene.relay.take_calls();
        let id = answer.header("x-request-id");
        assert!(calls.iter().all(|call| call.status == Some(200)), "{calls:?}");
        assert!(calls.iter().all(|call| call.request_id.as_deref() == Some(&*id)), "{calls:?}");
        let shapes: Vec<String> = calls.iter().map(|call| call.shape()).collect();
        match query {
            "" => assert_eq!(shapes.len(), 3, "{shapes:?}"),
            _ => assert_eq!(shapes, ["GET /api/v4/users?limit=100&offset=0&email=.."]),
        }
    }
}

#[tokio::test]
async fn what_the_new_api_really_holds_is_asked_with_the_gateways_key() {
    for (dialect, target) in [
        (Dialect::VoisoV4, "/api/v4/users?limit=1&offset=0"),
        (Dialect::VonageV4, "/useradmin/users?include=All&limit=1&page=1"),
    ] {
        let scene = Scene::new(dialect).await;
        let front = scene.front("").await;
        assert_eq!(front.get(V1_USERS).await.status, 200);
        let calls = scene.relay.take_calls();
        let tokens = calls.iter().filter(|call| call.source == Source::Token).count();
        assert_eq!(tokens, usize::from(dialect == Dialect::VonageV4));
        let reply = scene.relay.ask(target).await.unwrap();
        let page: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, page["users"].as_array().unwrap().len()), (200, 1));
    }
}

#[tokio::test]
async fn other_settings_are_tried_without_asking_the_vendor_again() {
    for dialect in [Dialect::VoisoV4, Dialect::VonageV4] {
        let scene = Scene::new(dialect).await;
        let first = scene.front("").await.get(V1_USERS).await;
        assert_eq!((first.status.as_u16(), scene.relay.not_kept()), (200, 0));
        scene.relay.answer_from_memory(true);
        let asked = scene.asked();
        let somebody = scene.vendor.records()[0].id;
        assert!(scene.vendor.rename_user(somebody, "Renamed meanwhile"));
        for envelope in ["array", "users", "sample"] {
            let rest = format!("[legacy.v1_users]\nenvelope = {envelope:?}");
            let again = scene.front(&rest).await.get(V1_USERS).await;
            assert_eq!(again.status, 200, "{envelope}");
            assert_eq!(again.body == first.body, envelope == "array", "{envelope}");
            assert!(!again.text().contains("Renamed meanwhile"));
        }
        // A token is had anew each time, since it would have aged.
        let tokens = if dialect == Dialect::VonageV4 { 3 } else { 0 };
        assert_eq!(scene.asked(), asked + tokens, "{dialect:?}");
        scene.relay.forget();
        let anew = scene.front("").await.get(V1_USERS).await;
        assert!(anew.text().contains("Renamed meanwhile"));
    }
}

#[tokio::test]
async fn what_a_vendor_refuses_reaches_the_gateway_as_it_is() {
    let scene = Scene::new(Dialect::VoisoV4).await;
    let front = scene.front("").await;
    let mut faults = scene.vendor.faults();
    faults.keys_forbidden = vec!["*".to_owned()];
    scene.vendor.set_faults(faults);
    assert_eq!(front.get(V1_USERS).await.status, 502);
    let calls = scene.relay.take_calls();
    assert!(calls.iter().all(|call| call.status == Some(403)) && !calls.is_empty());
}
