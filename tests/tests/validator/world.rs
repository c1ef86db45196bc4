//! A case is run: a pretend vendor, a gateway with a relay behind it, and a real validation of both,
//! with one proxy where the case wants it.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use corpus::ask::{Ask, Reply};
use corpus::endpoint::{ENDPOINTS, endpoint};
use corpus::relay::{self, Relay, RelaySettings, Upstream};
use corpus::source::{Answering, Live, Manners, Silence, Source};
use parity::calibrate::Overlay;
use parity::knowledge::Knowledge;
use parity::run::state::State;
use parity::run::{self, Plan, Sides, validate};
use parity::scenario::Extent;
use report::{Report, ScenarioReport};
use serde_json::{Map, Value, json};
use settings::Config;
use simulator::{Dialect, Settings, Simulator};
use tests::mutate::{Change, Proxy};
use tests::{LEGACY_KEY, V1_FIELDS, V4_KEY, client, config_text, parsed, vonage};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::case::{Case, Side, TEAMS, V1, Vendor};

/// Enough for every hard name, a deleted user of each kind, and numbers that several share.
pub(crate) const USERS: usize = 60;
/// Data that has a user for everything that is planted.
const SEED: u64 = 1;

/// What became of a case.
pub(crate) struct Outcome {
    pub(crate) report: Report,
    /// Question, control's first answer and candidate's.
    pub(crate) pairs: Vec<(Ask, Reply, Reply)>,
    /// Answers that were changed on the way; `None` where there is no proxy.
    pub(crate) changed: Option<u64>,
}

/// Both sides of a case, up and running.
pub(crate) struct Both {
    control: Heard,
    candidate: Heard,
    behind: Seen,
    is_seen: bool,
    knowledge: Knowledge,
    proxies: Vec<Proxy>,
    _gateway: gateway::Running,
    _stops: [DropGuard; 3],
}

/// What is planted before each side.
#[derive(Default)]
pub(crate) struct Planted {
    pub(crate) control: Option<Change>,
    pub(crate) candidate: Option<Change>,
    /// Whether the new API has data of its own, which were changed already.
    pub(crate) is_apart: bool,
}

/// A source that remembers what it heard.
struct Heard {
    source: Live,
    heard: Mutex<Vec<(Ask, Reply)>>,
}

impl Source for Heard {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(async move {
            let reply = self.source.ask(ask).await?;
            self.heard.lock().unwrap().push((ask.clone(), reply.clone()));
            Ok(reply)
        })
    }
}

impl Heard {
    fn at(address: SocketAddr) -> Heard {
        let manners = Manners { repeats_max: 0, ..Manners::default() };
        let url = format!("http://{address}");
        let source = Live::new(client(), &url, LEGACY_KEY.to_owned(), None, manners);
        Heard { source, heard: Mutex::default() }
    }

    /// The first answer to each question, in order.
    fn firsts(&self) -> Vec<(Ask, Reply)> {
        let mut seen = HashSet::new();
        let mut all = std::mem::take(&mut *self.heard.lock().unwrap());
        all.retain(|(ask, _)| seen.insert(ask.clone()));
        all
    }
}

/// Interrupts a validation that has seen enough.
struct Patience {
    left: AtomicUsize,
    cancel: CancellationToken,
}

impl run::Progress for Patience {
    fn planned(&self, _: usize, _: usize) {}

    fn asked(&self, _: &ScenarioReport) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.cancel.cancel();
        }
    }
}

/// The relay, as a validation wants it.
struct Seen {
    relay: Relay,
    config: Config,
    upstream: &'static str,
}

/// A gateway under other settings.
struct Tried {
    source: Live,
    _gateway: gateway::Running,
    _stop: DropGuard,
}

impl Source for Tried {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        self.source.ask(ask)
    }
}

impl run::Behind for Seen {
    fn take_calls(&self) -> Vec<String> {
        self.relay.take_calls().iter().map(relay::Call::shape).collect()
    }

    fn ask<'a>(&'a self, path_and_query: &'a str) -> Answering<'a, Option<Reply>> {
        Box::pin(async move { self.relay.ask(path_and_query).await.ok() })
    }

    fn under<'a>(&'a self, overlay: &'a Overlay) -> Answering<'a, Option<run::Under>> {
        Box::pin(async move {
            let mut config = self.config.clone();
            if let Err(why) = config.under(self.upstream, overlay) {
                return Some(Err(why));
            }
            self.relay.answer_from_memory(true);
            let stop = CancellationToken::new();
            let gateway = gateway::start(config, stop.clone()).await.ok()?;
            let source = Heard::at(gateway.address).source;
            let tried = Tried { source, _gateway: gateway, _stop: stop.drop_guard() };
            Some(Ok(Box::new(tried) as Box<dyn Source>))
        })
    }
}

/// Puts a proxy before a server, where there is something to plant.
async fn plant(change: Option<Change>, at: SocketAddr, proxies: &mut Vec<Proxy>) -> SocketAddr {
    let Some(change) = change else { return at };
    let proxy = Proxy::start(at, change).await;
    let address = proxy.address;
    proxies.push(proxy);
    address
}

fn is_vonage(of: Vendor) -> bool {
    matches!(of, Vendor::Vonage | Vendor::VonageMapped)
}

impl Both {
    /// Starts everything.
    pub(crate) async fn start(
        of: Vendor,
        users: usize,
        make: impl FnOnce(&Simulator) -> Planted,
    ) -> Both {
        Both::start_of(of, users, SEED, make).await
    }

    /// Starts everything over the data of a seed.
    pub(crate) async fn start_of(
        of: Vendor,
        users: usize,
        seed: u64,
        make: impl FnOnce(&Simulator) -> Planted,
    ) -> Both {
        let dialect = if is_vonage(of) { Dialect::VonageV4 } else { Dialect::VoisoV4 };
        let teams_list = of != Vendor::VoisoWithoutTeams;
        let settings = Settings { users, seed, dialect, teams_list, ..Settings::default() };
        let (vendor, upstream, vendor_stop) = tests::vendor(settings.clone()).await;
        let planted = make(&vendor);
        let (_, legacy, legacy_stop) = match planted.is_apart {
            // The same data, but for what was planted.
            true => tests::vendor(settings).await,
            false => (vendor.clone(), upstream, CancellationToken::new().drop_guard()),
        };
        let mut proxies = Vec::new();
        let stop = CancellationToken::new();
        let (config, relay) = configured(of, upstream, &vendor, &stop).await;
        let mut knowledge = knowledge(&config);
        let upstream = if is_vonage(of) { "vcc" } else { "ams" };
        let behind = Seen { relay, config: config.clone(), upstream };
        let gateway = gateway::start(config, stop.clone()).await.unwrap();
        let losses = tests::send(&client(), gateway.admin, http::Method::GET, "/losses", &[]).await;
        knowledge["ledger"] = losses.json();
        let control = plant(planted.control, legacy, &mut proxies).await;
        let candidate = plant(planted.candidate, gateway.address, &mut proxies).await;
        Both {
            control: Heard::at(control),
            candidate: Heard::at(candidate),
            behind,
            is_seen: of != Vendor::VoisoUnseen,
            knowledge: serde_json::from_value(knowledge).unwrap(),
            proxies,
            _gateway: gateway,
            _stops: [vendor_stop, legacy_stop, stop.drop_guard()],
        }
    }

    pub(crate) fn control(&self) -> &dyn Source {
        &self.control.source
    }

    pub(crate) fn candidate(&self) -> &dyn Source {
        &self.candidate.source
    }

    pub(crate) fn behind(&self) -> &dyn run::Behind {
        &self.behind
    }

    pub(crate) fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// Validates; after `questions_max` questions it is interrupted.
    pub(crate) async fn validate(&self, plan: &Plan, questions_max: usize) -> Outcome {
        let sides = Sides {
            control: &self.control,
            candidate: &self.candidate,
            behind: self.is_seen.then_some(&self.behind as &dyn run::Behind),
            knowledge: &self.knowledge,
        };
        let cancel = CancellationToken::new();
        let patience = Patience { left: AtomicUsize::new(questions_max), cancel: cancel.clone() };
        let report = validate(&sides, plan, &mut State::none(), &patience, &cancel).await.unwrap();
        let control = self.control.firsts();
        let mut candidate: HashMap<Ask, Reply> = self.candidate.firsts().into_iter().collect();
        let pairs = control.into_iter().filter_map(|(ask, reply)| {
            let other = candidate.remove(&ask)?;
            Some((ask, reply, other))
        });
        let pairs = pairs.collect();
        let changed = self.proxies.iter().map(Proxy::changed).reduce(|a, b| a.min(b));
        Outcome { report, pairs, changed }
    }
}

/// The gateway's configuration, with a relay in the place of its upstream.
async fn configured(
    of: Vendor,
    upstream: SocketAddr,
    vendor: &Simulator,
    stop: &CancellationToken,
) -> (Config, Relay) {
    let base_url = format!("http://{upstream}");
    let token_url = is_vonage(of).then(|| format!("{base_url}/Auth/connect/token"));
    let behind = relay::Behind::Live(Box::new(Upstream { base_url, token_url, client: client() }));
    let settings = RelaySettings { memory_bytes_max: 32 << 20, ..RelaySettings::default() };
    let relay = Relay::start(behind, settings, stop).await.unwrap();
    // The table's file is there until the configuration is read.
    let (map, _file) = match of {
        Vendor::VonageMapped => {
            let (map, file) = vonage::map_of(vendor);
            (map, Some(file))
        }
        _ => Default::default(),
    };
    let (text, key, name) = match of {
        Vendor::Vonage => (vonage::config_text(upstream, "", ""), tests::CLIENT, "vcc"),
        Vendor::VonageMapped => (vonage::config_text(upstream, &map, ""), tests::CLIENT, "vcc"),
        _ => (config_text(upstream, "", ""), V4_KEY, "ams"),
    };
    let mut config = parsed(&text, &[("V4", key)]).unwrap();
    config.through(name, &relay.base_url(), relay.token_url().as_deref());
    (config, relay)
}

/// What is known of the gateway but for its ledger, as its own program tells it.
fn knowledge(config: &Config) -> Value {
    let (name, upstream) = config.upstreams.iter().next().unwrap();
    let settings: Map<String, Value> = config
        .quirks
        .iter()
        .map(|(endpoint, quirks)| ((*endpoint).to_owned(), json!(**quirks)))
        .collect();
    json!({
        "dialect": upstream.dialect.name(), "upstream": name,
        "deleted_at": json!(upstream.rules.deleted_at), "settings": settings,
        "defaults": { "timezone": upstream.rules.mapping.timezone },
    })
}

/// What is counted by record beside the fields of a list of users.
const BESIDE_FIELDS: [&str; 6] =
    ["agent_in_teams", "$records", "$order", "$members", "$envelope", "$error"];

/// One value of each filter, and no pairs but where everything is asked: what is planted is met by
/// these.
pub(crate) fn plan(case: &Case) -> Plan {
    let left_out = |name: &&str| !case.planted.contains(name);
    let ignored = if is_vonage(case.vendor) {
        let fields = V1_FIELDS.into_iter().chain(BESIDE_FIELDS).filter(left_out);
        fields.map(|field| (case.endpoint.to_owned(), field.to_owned())).collect()
    } else {
        Vec::new()
    };
    // Only the users say whether a team may be missing.
    let is_of_teams = case.endpoint == TEAMS && case.planted.contains(&"$records");
    let names = if is_of_teams { vec![V1, TEAMS] } else { vec![case.endpoint] };
    Plan {
        endpoints: names.into_iter().filter_map(endpoint).collect(),
        extent: Extent { values_per_filter: 1, pairs: case.asks_everything },
        ignored,
        ..Plan::default()
    }
}

/// The first questions meet a change in a field of every list, and further ones would tell nothing new. A
/// change of the records that are listed, or of refusals, is asked every question.
fn questions_max(case: &Case) -> usize {
    let is_everywhere = |planted: &str| !["$records", "$status", "$error"].contains(&planted);
    let is_short = !case.asks_everything && case.planted.iter().all(|one| is_everywhere(one));
    if is_short { FIRST_QUESTIONS } else { usize::MAX }
}

/// The whole list by each path, and the first two filters.
const FIRST_QUESTIONS: usize = 8;

/// Everything there is, for quiet data.
pub(crate) fn whole_plan() -> Plan {
    Plan { endpoints: ENDPOINTS.iter().collect(), ..Plan::default() }
}

/// Runs a case.
pub(crate) async fn run(case: &Case) -> Outcome {
    let planting = case.plant;
    let side = case.side;
    let path = endpoint(case.endpoint)
        .unwrap()
        .other_path
        .unwrap_or(ENDPOINTS.iter().find(|one| one.name == case.endpoint).unwrap().path);
    let make = move |vendor: &Simulator| {
        let change = planting(vendor).only(path);
        match side {
            _ if change.is_nothing() => {
                Planted { is_apart: side == Side::Upstream, ..Planted::default() }
            }
            Side::Candidate => Planted { candidate: Some(change), ..Planted::default() },
            Side::Control | Side::Upstream => {
                Planted { control: Some(change), ..Planted::default() }
            }
        }
    };
    let both = Both::start(case.vendor, USERS, make).await;
    let done = tokio::time::timeout(
        Duration::from_secs(120),
        both.validate(&plan(case), questions_max(case)),
    )
    .await;
    done.unwrap_or_else(|_| panic!("{}: no end", case.name))
}
