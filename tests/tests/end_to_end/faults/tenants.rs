//! Two callers: each says what it sees; what they never share, what never passes, and what
//! no header or spelling can change. The ids in front of the test names are those of the fault list in
//! `docs/ERRORS.md`.

use std::collections::BTreeSet;

use http::Method;
use simulator::Faults;
use tests::raw::{Raw, Reply, page, user};
use tests::wire::passing;
use tests::{
    BEARER, Front, LEGACY_KEY, V1_USERS, V4_KEY, World, config, config_text, expect, parsed, users,
};

#[test]
fn d08_a_caller_without_a_statement_of_sight_is_refused_at_the_start() {
    let env = [("V4", V4_KEY)];
    let good = config_text("127.0.0.1:9", "", "");
    assert!(parsed(&good, &env).is_ok());
    let line = good.lines().position(|line| line == "[[caller]]").unwrap() + 1;
    for (sees, what) in [
        ("", "is required"),
        ("sees = {}\n", "lists nobody"),
        ("sees = \"all\"\n", ""),
        ("sees = true\n", ""),
        ("sees = { team = [1] }\n", ""),
    ] {
        let text = good.replace("sees = \"everything\"\n", sees);
        let error = parsed(&text, &env).unwrap_err();
        let place = if sees.is_empty() { line } else { line + 5 };
        assert!(
            error.starts_with(&format!("test.toml:{place}: caller[0].sees")),
            "{sees:?}: {error}"
        );
        assert!(error.contains(what) && error.lines().count() == 1, "{sees:?}: {error}");
    }
}

/// What an upstream may say beside a page.
const SAID: &str = "set-cookie: session=1; Path=/\r\nset-cookie: other=2\r\n\
    www-authenticate: Bearer realm=\"v4\"\r\nserver: theirs/1.0\r\nx-powered-by: theirs\r\n\
    x-runtime: 0.1\r\nx-request-id: theirs\r\nx-tieline-error: made_up\r\netag: \"theirs\"\r\n\
    last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nlink: </x>; rel=next\r\nvia: 1.1 theirs\r\n\
    alt-svc: h3=\":443\"\r\nstrict-transport-security: max-age=1\r\ncontent-language: de\r\n\
    access-control-allow-origin: *\r\n";

/// The upstream's own headers, which pass where nothing is translated.
const PASSES: [&str; 8] = [
    "set-cookie",
    "www-authenticate",
    "server",
    "x-powered-by",
    "x-runtime",
    "etag",
    "last-modified",
    "link",
];

#[tokio::test]
async fn d10_headers_of_an_upstream_end_here_where_its_answer_is_translated_and_pass_elsewhere() {
    let upstream = Raw::start(|_| {
        let body = page(&[user(1), user(2)], 2);
        Reply::bytes(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{SAID}\r\n{body}",
            body.len()
        ))
    })
    .await;
    let front = passing(upstream.address, "").await;
    let answer = front.get(V1_USERS).await;
    expect::rows(&answer, &[1, 2], "translated");
    let names: BTreeSet<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
    let ours = BTreeSet::from([
        "cache-control",
        "content-length",
        "content-type",
        "date",
        "etag",
        "vary",
        "x-request-id",
    ]);
    assert_eq!(names, ours);
    let said = format!("{:?} {}", answer.headers, answer.text());
    for word in ["theirs", "session", "made_up", "v4"] {
        assert!(!said.contains(word), "{word}");
    }
    let through = front.get("/api/v4/users").await;
    assert_eq!(through.status, 200);
    for name in PASSES {
        assert!(through.headers.contains_key(name), "{name}");
    }
    assert_eq!(through.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(through.header("etag"), "\"theirs\"");
    // An upstream may not set a header that belongs to Tieline.
    assert_eq!(through.header("x-tieline-error"), "");
}

#[tokio::test]
async fn d14_a_key_in_a_redirect_is_its_owners_and_one_in_a_referer_goes_nowhere() {
    let location = format!("https://elsewhere.example/x?key={LEGACY_KEY}&a=1");
    let said = location.clone();
    let upstream = Raw::start(move |_| {
        Reply::bytes(format!("HTTP/1.1 302 Found\r\nlocation: {said}\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    let front = passing(upstream.address, "").await;
    let referer = format!("https://app.example/?key={LEGACY_KEY}");
    let answer = front.get_with("/x", &[BEARER, ("referer", &referer)]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (302, location));
    let heads = upstream.heads();
    assert_eq!(heads.len(), 1, "not followed");
    assert!(!heads[0].text.contains(LEGACY_KEY), "{}", heads[0].text);
    // Where it is translated a redirect is an error, and its place is told to nobody.
    let answer = front.get_with(V1_USERS, &[BEARER, ("referer", &referer)]).await;
    expect::error(&answer, "502 upstream_redirect", "translated");
    assert_eq!(answer.header("location"), "");
    for page in ["/metrics", "/callers"] {
        let text = front.admin(page).await.text();
        assert!(!text.contains(LEGACY_KEY) && !text.contains("elsewhere"), "{page}");
    }
}

#[tokio::test]
async fn d16_no_header_of_a_request_changes_which_answer_is_kept_or_given() {
    let rest = "[cache]\nfresh_for = \"1h\"";
    let world = World::with(users(120), "", rest).await;
    let names = [
        "x-forwarded-host",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-host",
        "x-original-url",
        "x-rewrite-url",
        "x-original-host",
        "x-real-ip",
        "x-client-ip",
        "x-http-method-override",
        "x-method-override",
        "x-api-version",
        "x-tenant",
        "x-tieline-tenant",
        "x-tieline-caller",
        "x-tieline-cache",
        "x-user",
        "x-api-key",
        "forwarded",
        "cookie",
        "cookie2",
        "origin",
        "referer",
        "user-agent",
        "accept",
        "accept-language",
        "accept-charset",
        "accept-datetime",
        "cache-control",
        "pragma",
        "range",
        "if-range",
        "if-modified-since",
        "if-unmodified-since",
        "if-match",
        "via",
        "from",
        "content-language",
        "content-type",
        "content-encoding",
        "save-data",
        "dnt",
        "prefer",
        "sec-fetch-site",
        "sec-fetch-mode",
        "x-requested-with",
    ];
    let values = ["evil.example", "max-age=1", "bytes=0-9", "\"><script>1</script>"];
    assert!(names.len() * values.len() >= 200);
    // The very first one, which is kept, is asked with every one of them.
    let all: Vec<(&str, &str)> = names.iter().map(|name| (*name, values[0])).collect();
    let first = world.front.get_with(V1_USERS, &[&[BEARER], &all[..]].concat()).await;
    assert_eq!(first.verdict(), "200 ");
    assert!(!format!("{:?}", first.headers).contains("evil") && !first.text().contains("evil"));
    let asked = world.vendor.stats().requests;
    for name in names {
        for value in values {
            let answer = world.front.get_with(V1_USERS, &[BEARER, (name, value)]).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("x-tieline-cache")),
                (200, "hit".into())
            );
            assert!(answer.body == first.body, "{name}: {value}: other bytes");
            assert_eq!(answer.header("etag"), first.header("etag"), "{name}: {value}");
            assert!(!format!("{:?}", answer.headers).contains("evil"), "{name}: {value}");
        }
    }
    // Each client gets the coding that it asked for itself.
    for coding in ["gzip", "br", "zstd"] {
        let coded = world.front.get_with(V1_USERS, &[BEARER, ("accept-encoding", coding)]).await;
        assert_eq!(coded.header("content-encoding"), coding);
        let plain = world.get(V1_USERS).await;
        assert!(plain.body == first.body && plain.header("content-encoding").is_empty());
    }
    let headers: Vec<(&str, &str)> = all.into_iter().chain([BEARER]).collect();
    let head = world.front.send(Method::HEAD, V1_USERS, &headers).await;
    assert_eq!(head.header("etag"), first.header("etag"));
    assert_eq!(world.vendor.stats().requests, asked, "all of them were answered from what is kept");
}

#[tokio::test]
async fn d17_a_key_in_a_query_is_unescaped_once_and_compared_as_bytes() {
    let odd = "K +key%2F\u{e9}";
    let rest = config::another("odd", odd, config::EVERYTHING);
    let world = World::with(users(3), "", &rest).await;
    for good in
        ["legacy-demo-key", "%6cegacy-demo-key", "%6Cegacy%2ddemo%2Dkey", "K+%2Bkey%252F%C3%A9"]
    {
        let answer = world.front.get_with(&format!("{V1_USERS}?key={good}"), &[]).await;
        assert_eq!(answer.verdict(), "200 ", "{good}");
    }
    world.vendor.reset_stats();
    for bad in [
        "legacy-demo-key%00",
        "%00legacy-demo-key",
        "legacy-demo-key%20",
        "+legacy-demo-key",
        "legacy-demo-key%0a",
        "Legacy-demo-key",
        "LEGACY-DEMO-KEY",
        "%256cegacy-demo-key",
        "legacy%E2%80%90demo-key",
        "K++key%252F%C3%A9",
        "K+%2Bkey%2F%C3%A9",
        "K+%2Bkey%252F%E9",
        "K+%2Bkey%252Fe%CC%81",
    ] {
        let answer = world.front.get_with(&format!("{V1_USERS}?key={bad}"), &[]).await;
        expect::error(&answer, "401 unknown_credential", bad);
    }
    assert_eq!(world.vendor.stats().requests, 0);
}

#[tokio::test]
async fn f18_no_user_is_listed_as_live_and_as_deleted() {
    for rule in ["unless_live", "always", "never"] {
        let more = format!("deleted_at = \"{rule}\"");
        let world = World::with(users(400), &more, "").await;
        let ids = async |target: &str| -> BTreeSet<u64> {
            let answer = world.get(target).await;
            assert_eq!(answer.verdict(), "200 ", "{rule} {target}");
            let ids = answer.ids();
            let set: BTreeSet<u64> = ids.iter().copied().collect();
            assert_eq!(set.len(), ids.len(), "{rule} {target}: an id twice");
            set
        };
        let live = ids(V1_USERS).await;
        let gone = ids("/api/v2/cdr/deleted_agents").await;
        assert!(live.is_disjoint(&gone), "{rule}");
        assert_eq!(live.len() + gone.len(), world.vendor.users().len(), "{rule}: each in one");
        assert_eq!(gone.is_empty(), rule == "never", "{rule}: too few to prove anything");
        // The documentation's other list of live users agrees.
        assert!(ids("/api/v3/cdr/users").await.is_disjoint(&gone), "{rule}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn d09_equal_requests_of_two_callers_are_two_readings() {
    let narrow = config::another("narrow", "narrow-key", "{ users = [2] }");
    // The upstream answers once both have asked.
    let both = std::sync::Arc::new(std::sync::Barrier::new(2));
    let upstream = Raw::start(move |head| {
        both.wait();
        Reply::page_of(&[1, 2, 3], head)
    })
    .await;
    let front = Front::over(upstream.address, "", &narrow).await;
    let theirs = [("authorization", "Bearer narrow-key")];
    let (wide, narrow) = tokio::join!(front.get(V1_USERS), front.get_with(V1_USERS, &theirs));
    expect::rows(&wide, &[1, 2, 3], "the wide caller");
    expect::rows(&narrow, &[2], "the narrow caller");
    for answer in [wide, narrow] {
        assert_eq!(answer.header("x-tieline-cache"), "", "read for itself");
    }
    assert_eq!(upstream.asked(), 2);
}

#[tokio::test]
async fn d04_a_configuration_put_in_force_clears_a_refusal_at_once() {
    let world = World::new(users(12)).await;
    let faults = Faults { keys_unauthorized: vec![V4_KEY.to_owned()], ..Faults::default() };
    world.vendor.set_faults(faults);
    expect::error(&world.get(V1_USERS).await, "502 mapped_key_refused", "refused");
    world.vendor.set_faults(Faults::default());
    expect::error(&world.get(V1_USERS).await, "502 mapped_key_refused", "believed for a while");
    let text = config_text(world.vendor_address, "", "");
    let config = parsed(&text, &[("V4", V4_KEY)]).unwrap();
    assert_eq!(world.front.running.reloader().reload(config).unwrap(), 2);
    assert_eq!(world.get(V1_USERS).await.verdict(), "200 ");
}
