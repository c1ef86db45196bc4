//! A gateway over a relay over a pretend vendor, recorded into a corpus; then the same questions over
//! the corpus alone, with the vendor gone. The same must come out, of other people.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use corpus::ask::{Ask, KeyPlace, Reply};
use corpus::node::Node;
use corpus::pseudonym::Pseudonyms;
use corpus::relay::{Behind, Relay, RelaySettings, Upstream};
use corpus::{Corpus, Header, Replay, Summary, Writer};
use simulator::{Dialect, Settings, Simulator, User};
use tests::folder::Folder;
use tests::{
    Answer, DELETED, Front, LEGACY_KEY, TEAMS, V1_USERS, V3_USERS, V4_KEY, client, config_text,
    vendor, vonage,
};
use tokio_util::sync::CancellationToken;

/// A relay and a gateway over it.
struct Seat {
    relay: Relay,
    front: Front,
}

impl Seat {
    async fn new(behind: Behind, settings: RelaySettings, dialect: Dialect, key: &str) -> Seat {
        let relay = Relay::start(behind, settings, &CancellationToken::new()).await.unwrap();
        let base_url = relay.base_url();
        let address = base_url.trim_start_matches("http://");
        let config = match dialect {
            Dialect::VoisoV4 => config_text(address, "", ""),
            Dialect::VonageV4 => {
                let direct = format!("http://{address}/Auth/connect/token");
                vonage::config_text(address, "", "").replace(&direct, &relay.token_url().unwrap())
            }
        };
        let front = Front::start_with(&config, &[("V4", key)]).await;
        Seat { relay, front }
    }

    async fn answer(&self, ask: &Ask) -> Answer {
        let authorization = ask.authorization(LEGACY_KEY);
        let headers: Vec<_> =
            authorization.iter().map(|value| ("authorization", &**value)).collect();
        self.front.get_with(&ask.target(LEGACY_KEY), &headers).await
    }
}

fn reply(answer: &Answer) -> Reply {
    let headers = vec![("content-type".to_owned(), answer.header("content-type"))];
    Reply { status: answer.status.as_u16(), headers, body: answer.body.clone() }
}

fn ask(path: &str, query: &[(&str, &str)]) -> Ask {
    let key = if path == V1_USERS { KeyPlace::Bearer } else { KeyPlace::Query };
    let query = query.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Ask { path: path.to_owned(), query, key, written: Default::default() }
}

/// Every endpoint whole, and filters with the values of some users.
fn questions(users: &[Arc<User>]) -> Vec<Ask> {
    let mut asks = vec![
        ask(V1_USERS, &[]),
        ask(V3_USERS, &[]),
        ask(TEAMS, &[]),
        ask(DELETED, &[]),
        ask(V1_USERS, &[("sag", "Agent")]),
        ask(V3_USERS, &[("filter[timezone]", "Istanbul")]),
        ask(V1_USERS, &[("name", "Nobody At All")]),
        ask(V1_USERS, &[("sag", "No such group")]),
        Ask { key: KeyPlace::WrongBearer, ..ask(V1_USERS, &[]) },
        Ask { key: KeyPlace::Missing, ..ask(V3_USERS, &[]) },
    ];
    for (k, user) in users.iter().enumerate().filter(|(k, _)| k % 9 == 1 || *k < 4) {
        let name = user.name.as_ref();
        let values = [
            ("name", Some(name)),
            ("email", Some(user.email.as_ref())),
            ("extension", user.extension.as_deref()),
            ("caller_id", user.caller_id.as_deref()),
            ("sip_account", user.sip_account.as_deref()),
        ];
        for (field, value) in values.into_iter().filter_map(|(f, v)| Some((f, v?))) {
            if k % 2 == 0 {
                asks.push(ask(V1_USERS, &[(field, value)]));
            } else {
                asks.push(ask(V3_USERS, &[(&format!("filter[{field}]"), value)]));
            }
        }
        asks.push(ask(V1_USERS, &[("name", &name.to_uppercase())]));
        asks.push(ask(V1_USERS, &[("name", name), ("email", &user.email)]));
        asks.push(ask(V1_USERS, &[("id", &user.id.to_string())]));
    }
    let mut known = HashSet::new();
    asks.retain(|ask| known.insert(ask.clone()));
    asks
}

/// Records the questions. The vendor's legacy API answers them for the record, or where it has
/// another shape the gateway itself.
async fn record(path: &Path, dialect: Dialect, users: usize) -> (Simulator, Summary) {
    let settings = Settings { users, dialect, teams_list: true, ..Settings::default() };
    let (simulator, address, _stop) = vendor(settings).await;
    let header = Header { what: "a test".to_owned(), ..Header::default() };
    let writer = Writer::new(path, &header, Pseudonyms::random()).unwrap();
    let upstream = Upstream {
        base_url: format!("http://{address}"),
        token_url: (dialect == Dialect::VonageV4)
            .then(|| format!("http://{address}/Auth/connect/token")),
        client: client(),
    };
    let recorder = Some(writer.recorder("up"));
    let settings = RelaySettings { recorder, ..RelaySettings::default() };
    let key = if dialect == Dialect::VoisoV4 { V4_KEY } else { tests::CLIENT };
    let seat = Seat::new(Behind::Live(Box::new(upstream)), settings, dialect, key).await;
    let control = client();
    for (question, ask) in questions(&simulator.records()).iter().enumerate() {
        writer.at(question as u64);
        let candidate = seat.answer(ask).await;
        let mut answer = candidate.clone();
        if dialect == Dialect::VoisoV4 {
            let authorization = ask.authorization(LEGACY_KEY);
            let headers: Vec<_> = authorization.iter().map(|v| ("authorization", &**v)).collect();
            let target = ask.target(LEGACY_KEY);
            answer = tests::send(&control, address, http::Method::GET, &target, &headers).await;
            assert_eq!(node(&reply(&candidate)), node(&reply(&answer)), "{}", ask.shape());
        }
        writer.legacy(ask, &reply(&answer)).unwrap();
    }
    assert_eq!(seat.relay.counts().cut, 0);
    (simulator, writer.finish().unwrap())
}

fn node(reply: &Reply) -> (u16, Node) {
    (reply.status, Node::parse(&reply.body).unwrap())
}

/// Asks everything again of the corpus alone.
async fn replay(path: &Path, dialect: Dialect) -> Seat {
    let corpus = Arc::new(Corpus::open(path).unwrap());
    let replay = Arc::new(Replay::new(Arc::clone(&corpus), "up"));
    let grants_tokens = dialect == Dialect::VonageV4;
    let behind = Behind::Replay { replies: replay.clone(), grants_tokens };
    let key = if grants_tokens { "any:thing" } else { "any-key" };
    let seat = Seat::new(behind, RelaySettings::default(), dialect, key).await;
    let mut with_rows = HashMap::new();
    for (question, ask) in corpus.asks().iter().enumerate() {
        replay.at(question as u64);
        let legacy = corpus.legacy(ask).unwrap().unwrap();
        let answer = reply(&seat.answer(ask).await);
        assert_eq!(node(&answer), node(&legacy), "question {question}: {}", ask.shape());
        let rows = node(&answer).1.list().map_or(0, <[Node]>::len);
        *with_rows.entry(ask.shape()).or_insert(0) += rows;
    }
    assert_eq!(seat.relay.missing(), Default::default());
    assert!(seat.relay.counts().from_recording > 0);
    for field in ["name=..", "email=..", "extension=..", "filter[caller_id]=..&key=.."] {
        let mut shapes = with_rows.iter().filter(|(shape, _)| shape.ends_with(field));
        assert!(shapes.any(|(_, rows)| *rows > 0), "{field} found nobody");
    }
    seat
}

/// Texts of a user that no corpus may hold; not those so short that they stand anywhere by chance.
fn canaries(user: &User) -> Vec<String> {
    let optional = [&user.sip_account, &user.caller_id, &user.employee_id];
    let texts = [&user.name, &user.email].into_iter().chain(optional.into_iter().flatten());
    let channels = user.channel_profiles.iter().filter_map(|profile| profile.identifier.as_ref());
    let texts = texts
        .chain(channels)
        .filter(|text| text.chars().filter(|c| c.is_alphanumeric()).count() >= 7);
    texts.map(|text| text.trim_start_matches('+').to_owned()).collect()
}

fn holds_nobody(path: &Path, users: &[Arc<User>]) {
    let content = std::fs::read_to_string(path).unwrap();
    let mut spellings = HashSet::new();
    for canary in users.iter().flat_map(|user| canaries(user)) {
        let json = serde_json::to_string(&canary).unwrap();
        let escaped = tests::query(&[("", &canary)]).replace('+', "%20");
        spellings.insert(json.trim_matches('"').to_owned());
        spellings.insert(escaped.trim_start_matches('=').to_owned());
        spellings.insert(canary);
    }
    assert!(spellings.len() > users.len() * 3, "{}", spellings.len());
    for spelling in spellings {
        assert!(!content.contains(&spelling), "{spelling:?} is in the corpus");
    }
    let secrets =
        [LEGACY_KEY, V4_KEY, "demo-secret", "demo-client", "example.com", "Bearer", "bot_", "_vbc"];
    for secret in secrets {
        assert!(!content.contains(secret), "{secret}");
    }
}

/// How many users are on a page that was never asked for.
async fn rows_of(seat: &Seat, target: &str) -> usize {
    let page = seat.relay.ask(target).await.unwrap();
    let page = Node::parse(&page.body).unwrap();
    page.get("users").unwrap().list().unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corpus_over_voiso_answers_as_the_legacy_api_did_and_contains_no_person() {
    let folder = Folder::new();
    let file = folder.path("voiso.corpus");
    let (simulator, summary) = record(&file, Dialect::VoisoV4, 150).await;
    assert_eq!(summary.bodies_left_out + summary.left_out, 0);
    assert!(summary.legacy > 120 && summary.upstream > 60, "{summary:?}");
    holds_nobody(&file, &simulator.records());
    let seat = replay(&file, Dialect::VoisoV4).await;

    assert_eq!(rows_of(&seat, "/api/v4/users?limit=7&offset=70").await, 7);
    let answer = seat.answer(&ask(V1_USERS, &[("name", "Was never asked")])).await;
    assert_eq!(answer.verdict(), "502 upstream_refused_call");
    let missing: Vec<_> = seat.relay.missing().into_iter().collect();
    assert_eq!(missing, [("GET /api/v4/users?limit=100&offset=0&name=..".to_owned(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corpus_over_vonage_answers_as_the_gateway_did_and_contains_no_person() {
    let folder = Folder::new();
    let file = folder.path("vonage.corpus");
    let (simulator, summary) = record(&file, Dialect::VonageV4, 100).await;
    assert_eq!(summary.bodies_left_out + summary.left_out, 0);
    assert!(summary.legacy > 80 && summary.upstream > 40, "{summary:?}");
    holds_nobody(&file, &simulator.records());
    let seat = replay(&file, Dialect::VonageV4).await;
    let page = "/useradmin/users?include=Active&limit=7&page=3";
    assert_eq!(rows_of(&seat, page).await, 7);
}
