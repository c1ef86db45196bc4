//! With one replica, and with a server that nobody can reach, everything is read here. What replicas say to each other
//! is shown with real servers: `tests/outside/commons_values.sh`.

use std::sync::atomic::{AtomicU32, Ordering};

use commons::{Commons, SealKey, Setup};

use super::*;
use crate::line::credential::Token;

const CONFIG: &str = r#"
[upstream.ams]
dialect = "voiso-v4"
base_url = "http://127.0.0.1:9"
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"
"#;

#[derive(Debug, PartialEq)]
struct Text(String);

impl Stored for Text {
    type Writer = Option<Vec<u8>>;

    fn writer(&self, bytes_max: usize) -> Self::Writer {
        Some(self.0.clone().into_bytes()).filter(|body| body.len() <= bytes_max)
    }

    fn read(body: Vec<u8>, _: Duration) -> Option<Self> {
        String::from_utf8(body).ok().map(Text)
    }
}

/// What the caller shares in these commons.
fn values(commons: &Commons) -> Values {
    let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-key")));
    let config = Config::parse(CONFIG, "t.toml", &env).unwrap();
    let (caller, upstream) = (&config.callers[0], &config.upstreams["ams"]);
    Values::of(&Common::of(commons, caller, upstream), &config, caller, upstream)
}

#[tokio::test(start_paused = true)]
async fn what_was_too_large_once_is_asked_of_nobody_for_a_while() {
    let values = values(&Commons::one());
    let joined = Wanted { kind: "joined", ..wanted(b"all") };
    assert!(!values.bounds.too_large.has(wanted(b"all").named()));
    values.bounds.too_large.note(wanted(b"all").named());
    assert!(values.bounds.too_large.has(wanted(b"all").named()));
    assert!(!values.bounds.too_large.has(wanted(b"some").named()));
    assert!(!values.bounds.too_large.has(joined.named()));
    tokio::time::advance(TOO_LARGE_FOR).await;
    assert!(!values.bounds.too_large.has(wanted(b"all").named()));
    for number in 0..3 * TOO_LARGE_MAX {
        values.bounds.too_large.note(wanted(&number.to_be_bytes()).named());
    }
    assert!(values.bounds.too_large.0.lock().unwrap().len() <= TOO_LARGE_MAX);
}

fn wanted(words: &[u8]) -> Wanted<'_> {
    let deadline = Instant::now() + Duration::from_secs(25);
    let (fresh_for, keep_for) = (Duration::from_secs(60), Duration::from_secs(60));
    Wanted { kind: "answer", words, fresh_for, keep_for, deadline }
}

#[tokio::test]
async fn without_others_everything_is_read_here() {
    let unreachable = Setup::one("redis://127.0.0.1:9", SealKey::new([7; 32]), 4);
    for commons in [Commons::one(), Commons::shared(&unreachable).unwrap()] {
        let values = values(&commons);
        let readings = AtomicU32::new(0);
        let read = || async {
            readings.fetch_add(1, Ordering::Relaxed);
            Ok(Text("read".to_owned()))
        };
        for _ in 0..3 {
            let had = values.read(wanted(b"all"), read()).await.unwrap();
            assert_eq!((had.value, had.elsewhere), (Text("read".to_owned()), None));
        }
        assert_eq!(readings.load(Ordering::Relaxed), 3);
        let failed = values.read::<Text>(wanted(b"all"), async { Err(Error::Redirect) }).await;
        assert_eq!(failed.map(|had| had.value), Err(Error::Redirect));
    }
}

#[tokio::test]
async fn callers_keys_and_upstreams_have_scopes_of_their_own() {
    let commons = Commons::one();
    let scope = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        let text = text.replacen(from, to, 1);
        let env = ["LEGACY", "V4", "V5"].map(|name| (name.to_owned(), format!("{name}:key")));
        let config = Config::parse(&text, "t.toml", &env).unwrap();
        let common = Common::of(&commons, &config.callers[0], &config.upstreams["ams"]);
        format!("{:?}", common.scope)
    };
    let own = scope(CONFIG, "", "");
    assert_eq!(own, scope(CONFIG, "", ""));
    for (from, to) in [("\"crm\"", "\"bi\""), ("\"V4\"", "\"V5\""), ("0.1:9", "0.1:10")] {
        assert_ne!(own, scope(CONFIG, from, to), "{to}");
    }
    // A refusal of the wrong token service is no refusal at the right one.
    let vonage = CONFIG.replace("voiso-v4", "vonage-v4");
    let vonage = vonage.replace("0.1:9\"", "0.1:9\"\ntoken_url = \"http://127.0.0.1:9/token\"");
    let with_tokens = scope(&vonage, "", "");
    assert_ne!(own, with_tokens);
    for (from, to) in
        [("9/token\"", "9/tokem\""), ("[[caller]]", "token_auth = \"basic\"\n[[caller]]")]
    {
        assert_ne!(with_tokens, scope(&vonage, from, to), "{to}");
    }
}

#[tokio::test]
async fn of_a_token_that_was_not_had_others_are_told_only_what_holds_for_them_too() {
    let retry_after = Duration::from_secs(1);
    for (error, of_a_token) in [
        (Error::MappedKeyRefused, true),
        (Error::BadToken, true),
        (Error::UpstreamFailed { status: 500 }, false),
        (Error::RateLimited { retry_after }, false),
        (Error::Unavailable { retry_after }, false),
        (Error::Redirect, false),
        (Error::RefusedCall { status: 404 }, false),
    ] {
        let is_shared = |finish| matches!(finish, Finish::Failed(_));
        assert!(is_shared(failed::<Text>(&error)), "{error:?}");
        assert_eq!(is_shared(failed::<Token>(&error)), of_a_token, "{error:?}");
    }
    assert_eq!(failed::<Text>(&Error::Deadline), Finish::Nothing);
}

#[tokio::test]
async fn a_value_is_shared_that_is_small_enough_when_it_is_compressed() {
    let (too_large, measuring) = (TooLarge::default(), Semaphore::new(MEASURED_MAX));
    let bounds = Bounds { value_bytes_max: 10_000, too_large, measuring };
    let is_whole = |text: Text| {
        let body = text.writer(bounds.body_max());
        let outcome = bounds.whole(body, Duration::ZERO, wanted(b"all").named());
        matches!(outcome, Finish::Whole { .. })
    };
    assert!(is_whole(Text("a".repeat(160_000))));
    assert!(!is_whole(Text("a".repeat(160_001))));
    assert!(bounds.too_large.has(wanted(b"all").named()));
    let noise: Vec<u8> = (0..50_000).map(|_| rand::random()).collect();
    assert_eq!(measured(noise, 10_000), None);
    let list = "{\"name\":\"A\"},".repeat(4_000).into_bytes();
    assert_eq!(measured(list.clone(), 10_000), Some(list));
}
