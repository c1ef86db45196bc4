//! Wrong keys of one address are answered later and later; right ones, and other addresses, never are.

use std::sync::Arc;

use tests::{Answer, Front, V1_USERS, edge_text, eventually, expect, parsed, users};
use tests::{LEGACY_KEY, V4_KEY, config_text, vendor};

const WRONG: (&str, &str) = ("authorization", "Bearer nobodys-key");

async fn counted(front: &Front, answer: &str) -> u64 {
    front.count(&format!("tieline_wrong_keys_total{{answer=\"{answer}\"}}")).await
}

async fn wrong(front: &Front, more: &[(&str, &str)]) -> Answer {
    let headers: Vec<_> = [WRONG].iter().chain(more).copied().collect();
    let answer = front.get_with(V1_USERS, &headers).await;
    assert_eq!(answer.verdict(), "401 unknown_credential");
    answer
}

/// A millisecond shows which answers are held back, and holds no test up.
const SHORT: &str = "[limits]\nwrong_key_delay_max = \"1ms\"";

#[tokio::test]
async fn d26_a_right_key_is_answered_while_wrong_keys_of_its_address_wait() {
    let (_vendor, address, _guard) = vendor(users(5)).await;
    let text = config_text(address, "", "[limits]\nwrong_key_delay_max = \"10s\"");
    let front = Arc::new(Front::start(&text).await);
    for _ in 0..10 {
        wrong(&front, &[]).await;
    }
    assert_eq!(counted(&front, "at_once").await, 10);
    // The first of these waits a tenth of a second, the last many seconds.
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let front = Arc::clone(&front);
            tokio::spawn(async move { wrong(&front, &[]).await })
        })
        .collect();
    eventually("a wrong key was answered late", async || counted(&front, "delayed").await > 0)
        .await;
    for _ in 0..20 {
        assert_eq!(front.get(V1_USERS).await.verdict(), "200 ");
    }
    // A missing key is no wrong one, and what passes nowhere is not looked at.
    assert_eq!(front.get_with(V1_USERS, &[]).await.verdict(), "401 no_credential");
    let still = waiting.iter().filter(|one| !one.is_finished()).count();
    assert!(still > 0, "a right key waited for wrong ones");
    // All are counted before they have waited, and at least so many as may wait do.
    eventually("all were counted", async || {
        let delayed = counted(&front, "delayed").await;
        delayed >= 16 && delayed + counted(&front, "no_room").await == 20
    })
    .await;
    waiting.iter().for_each(|one| one.abort());
}

#[tokio::test]
async fn d26_behind_a_trusted_proxy_each_client_has_its_own_count() {
    let (_vendor, address, _guard) = vendor(users(5)).await;
    let text = edge_text(address, "trusted_proxies = [\"127.0.0.0/8\"]", SHORT);
    let front = Front::start(&text).await;
    let from = |address: &'static str| [("x-forwarded-for", address)];
    for _ in 0..12 {
        wrong(&front, &from("203.0.113.9, 198.51.100.7")).await;
    }
    assert_eq!((counted(&front, "at_once").await, counted(&front, "delayed").await), (10, 2));
    // Another client of the same proxy; what a client says of itself makes it no other one.
    wrong(&front, &from("198.51.100.8")).await;
    wrong(&front, &from("203.0.113.10, 198.51.100.7")).await;
    assert_eq!((counted(&front, "at_once").await, counted(&front, "delayed").await), (11, 3));
}

#[tokio::test]
async fn d26_a_peer_that_is_no_proxy_cannot_say_that_it_is_somebody_else() {
    let (_vendor, address, _guard) = vendor(users(5)).await;
    let front = Front::start(&edge_text(address, "", SHORT)).await;
    for number in 0..12 {
        wrong(&front, &[("x-forwarded-for", &format!("198.51.100.{number}"))]).await;
    }
    assert_eq!((counted(&front, "at_once").await, counted(&front, "delayed").await), (10, 2));
}

#[tokio::test]
async fn d26_counts_go_on_through_a_reload_and_zero_holds_nothing_back() {
    let text = config_text("127.0.0.1:9", "", SHORT);
    let front = Front::start(&text).await;
    for _ in 0..10 {
        wrong(&front, &[]).await;
    }
    let put = |text: &str| {
        front.running.reloader().reload(parsed(text, &[("V4", V4_KEY)]).unwrap()).unwrap();
    };
    put(&text.replace("1ms", "2ms"));
    wrong(&front, &[]).await;
    assert_eq!(counted(&front, "delayed").await, 1);
    put(&text.replace("1ms", "0s"));
    wrong(&front, &[]).await;
    assert_eq!((counted(&front, "at_once").await, counted(&front, "delayed").await), (11, 1));
    let long = parsed(&text.replace("1ms", "11s"), &[("V4", V4_KEY)]).unwrap_err();
    assert!(long.ends_with("limits.wrong_key_delay_max: must be at most 10s"), "{long}");
    assert_ne!(WRONG.1, format!("Bearer {LEGACY_KEY}"));
}

#[tokio::test]
async fn d26_a_key_that_is_guessed_in_a_path_without_an_endpoint_is_a_wrong_key() {
    let front = Front::start(&config_text("127.0.0.1:9", "", SHORT)).await;
    for number in 0..12 {
        let path = match number % 3 {
            0 => format!("/api/v1/guess-{number}/nothing"),
            1 => format!("//api/v1/guess-{number}/nothing/below.json"),
            _ => format!("/api/v1/guess-{number}/balance"),
        };
        // Another wrong key beside it makes the guess no better.
        let headers = if number == 0 { &[WRONG][..] } else { &[] };
        let answer = front.get_with(&path, headers).await;
        expect::error(&answer, "404 not_found", &path);
    }
    assert_eq!((counted(&front, "at_once").await, counted(&front, "delayed").await), (10, 2));
    // None of these guesses a key: it is a caller's, or is shown beside the path, or the path has no place for one.
    for own in [format!("/api/v1/{LEGACY_KEY}/nothing"), format!("/api/v1/{LEGACY_KEY}/balance")] {
        assert_eq!(front.get_with(&own, &[]).await.verdict(), "404 not_found");
    }
    assert_eq!(front.get("/api/v1/users/5").await.verdict(), "404 not_found");
    for path in ["/nothing", "/api/v1/nothing", "/api/v2/guess/nothing"] {
        assert_eq!(front.get_with(path, &[]).await.verdict(), "404 not_found", "{path}");
    }
    assert_eq!((counted(&front, "at_once").await, counted(&front, "delayed").await), (10, 2));
}

#[tokio::test]
async fn d26_where_paths_pass_through_only_those_without_a_route_are_guessed_at() {
    let rules = "[passthrough]\nenabled = true\ndefault = \"deny\"\n\
                 [[passthrough.route]]\nprefix = \"/api/v1/open\"";
    let front = Front::start(&config_text("127.0.0.1:9", "", &format!("{SHORT}\n{rules}"))).await;
    // The upstream's own path, whose second part is no key.
    let passing = "/api/v1/open/things";
    assert_eq!(front.get_with(passing, &[]).await.verdict(), "401 no_credential");
    assert_eq!(counted(&front, "at_once").await, 0);
    for (path, headers) in [("/api/v1/guess/nothing", &[WRONG][..]), ("/api/v1/guess/balance", &[])]
    {
        assert_eq!(front.get_with(path, headers).await.verdict(), "404 not_found", "{path}");
    }
    assert_eq!(counted(&front, "at_once").await, 2);
    for path in [format!("/api/v1/{LEGACY_KEY}/nothing"), "/nothing".to_owned()] {
        assert_eq!(front.get_with(&path, &[]).await.verdict(), "404 not_found", "{path}");
    }
    assert_eq!(front.get("/api/v1/users/5").await.verdict(), "404 not_found");
    assert_eq!(counted(&front, "at_once").await, 2);
}
