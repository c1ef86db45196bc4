//! Keys, and the users that each caller may see: which key is taken, the answer to a wrong one, the places
//! where no key may turn up, and narrowed callers. The ids in front of the test names are those of the fault
//! list in `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use serde_json::Value;
use simulator::{Fail, Faults, Settings};
use tests::raw::{Raw, Reply, say};
use tests::{
    Answer, Front, LEGACY_KEY, V1_USERS, V4_KEY, World, config, config_text, expect, query, users,
};

async fn world() -> World {
    World::new(users(12)).await
}

/// Nothing of a key stands anywhere in an answer.
#[track_caller]
fn holds_no_key(answer: &Answer, what: &str) {
    let all = format!("{:?} {}", answer.headers, answer.text());
    for key in [LEGACY_KEY, V4_KEY, "v4-demo", "legacy-demo"] {
        assert!(!all.contains(key), "{what}: a key");
    }
}

#[tokio::test]
async fn d01_no_key_is_the_legacy_bad_key_answer() {
    let world = world().await;
    for target in [V1_USERS, "/user_management/v1/users", "/api/user_management/v1/users?key="] {
        let answer = world.front.get_with(target, &[]).await;
        expect::error(&answer, "401 no_credential", target);
        assert_eq!(answer.text(), "{\"error\":\"Invalid User API Key\"}");
    }
    assert_eq!(world.vendor.stats().requests, 0);
}

#[tokio::test]
async fn d02_an_unknown_key_is_the_legacy_bad_key_answer() {
    let world = world().await;
    // A v4 key is no legacy key; a prefix, a longer one and another case are other keys.
    for key in [V4_KEY, "legacy-demo-ke", "legacy-demo-keyy", "LEGACY-DEMO-KEY", "x", "*", "%"] {
        let answer = world.front.get_as(key, V1_USERS).await;
        expect::error(&answer, "401 unknown_credential", key);
        assert_eq!(answer.text(), "{\"error\":\"Invalid User API Key\"}");
        let target = format!("{V1_USERS}?{}", query(&[("key", key)]));
        expect::error(&world.front.get_with(&target, &[]).await, "401 unknown_credential", key);
    }
    assert_eq!(world.vendor.stats().requests, 0);
}

#[tokio::test]
async fn d02_text_and_status_of_a_wrong_key_are_a_setting() {
    let rest = "[legacy.v1_users]\ninvalid_key = { status = 403, text = \"Invalid api_key\" }";
    let world = World::with(users(3), "", rest).await;
    for (headers, slug) in [
        (&[][..], "403 no_credential"),
        (&[("authorization", "Bearer wrong")][..], "403 unknown_credential"),
    ] {
        let answer = world.front.get_with(V1_USERS, headers).await;
        expect::shape(&answer, slug, slug);
        assert_eq!(answer.text(), "{\"error\":\"Invalid api_key\"}");
    }
    // Another path is another matter.
    expect::error(&world.front.get_with("/api/v9/things", &[]).await, "404 not_found", "no path");
}

#[tokio::test]
async fn d03_d04_d05_a_refused_v4_key_is_502_believed_for_five_seconds_and_no_longer() {
    let refusals = [
        (
            "502 mapped_key_refused",
            Faults { keys_unauthorized: vec![V4_KEY.to_owned()], ..Faults::default() },
        ),
        (
            "502 upstream_forbidden",
            Faults { keys_forbidden: vec![V4_KEY.to_owned()], ..Faults::default() },
        ),
    ];
    let mut worlds = Vec::new();
    for (verdict, faults) in refusals {
        let world = world().await;
        world.vendor.set_faults(faults);
        for round in 1..=20 {
            let answer = world.get(V1_USERS).await;
            expect::error(&answer, verdict, &format!("round {round}"));
            assert_eq!(answer.json()["error"], "Upstream refused this caller's access");
        }
        expect::error(&world.get(&format!("{V1_USERS}?sag=Agent")).await, verdict, "a look-up");
        assert_eq!(world.vendor.stats().requests, 1, "{verdict}: asked once, then believed");
        let callers = world.front.admin("/callers").await;
        holds_no_key(&callers, "/callers");
        let state = if verdict.ends_with("refused") { "refused" } else { "forbidden" };
        assert_eq!(callers.json()[0]["upstream_key"], state);
        worlds.push((world, verdict));
    }
    tokio::time::sleep(Duration::from_millis(5_050)).await;
    for (world, verdict) in worlds {
        expect::error(&world.get(V1_USERS).await, verdict, "still refused after five seconds");
        assert_eq!(world.vendor.stats().requests, 2, "{verdict}: asked again");
        world.vendor.set_faults(Faults::default());
        tokio::time::sleep(Duration::from_millis(5_050)).await;
        assert_eq!(world.get(V1_USERS).await.verdict(), "200 ", "the key was repaired");
        assert_eq!(world.front.admin("/callers").await.json()[0]["upstream_key"], "accepted");
    }
}

#[tokio::test]
async fn d03_one_callers_refused_key_is_not_another_callers() {
    let v4_keys = vec![V4_KEY.to_owned(), "other-v4".to_owned()];
    let settings = Settings { users: 12, v4_keys, ..Settings::default() };
    let (vendor, address, _guard) = tests::vendor(settings).await;
    let other =
        config::another("other", "other-key", "\"everything\"").replace("\"V4\"", "\"OTHER\"");
    let env = [("V4", V4_KEY), ("OTHER", "other-v4")];
    let front = Front::start_with(&config_text(address, "", &other), &env).await;
    vendor.set_faults(Faults { keys_unauthorized: vec![V4_KEY.to_owned()], ..Faults::default() });
    expect::error(&front.get(V1_USERS).await, "502 mapped_key_refused", "refused");
    let answer = front.get_as("other-key", V1_USERS).await;
    assert_eq!(answer.verdict(), "200 ");
}

#[tokio::test]
async fn d06_a_credential_has_one_form_or_is_none() {
    let world = world().await;
    for good in ["Bearer legacy-demo-key", "bearer legacy-demo-key", "BEARER   legacy-demo-key "] {
        let answer = world.front.get_with(V1_USERS, &[("authorization", good)]).await;
        assert_eq!(answer.verdict(), "200 ", "{good:?}");
    }
    world.vendor.reset_stats();
    let long = format!("Bearer {}", "k".repeat(5 * 1024));
    for (bad, slug) in [
        ("Basic bGVnYWN5LWRlbW8ta2V5", "no_credential"),
        ("legacy-demo-key", "no_credential"),
        ("Bearer", "no_credential"),
        ("Bearer ", "no_credential"),
        ("", "no_credential"),
        ("Bearer legacy-demo-key x", "no_credential"),
        ("Bearer\tlegacy-demo-key", "no_credential"),
        ("Bearer \"legacy-demo-key\"", "unknown_credential"),
        ("Bearer legacy-demo-key,", "unknown_credential"),
        (&long, "unknown_credential"),
    ] {
        let answer = world.front.get_with(V1_USERS, &[("authorization", bad)]).await;
        expect::error(&answer, &format!("401 {slug}"), &bad[..bad.len().min(40)]);
    }
    // No client library would send these.
    for bytes in [
        &b"Bearer legacy-demo-\xC3\xA9"[..],
        b"Bearer legacy-demo-key\rx-evil: 1",
        b"Bearer legacy-demo-key\0",
        b"Bearer \x7Flegacy-demo-key",
        b"Bearer \xFF",
    ] {
        let start = format!("GET {V1_USERS} HTTP/1.1\r\nhost: x\r\nauthorization: ");
        let request = [start.as_bytes(), bytes, b"\r\nconnection: close\r\n\r\n"].concat();
        let answer = say(world.front.running.address, &request).await;
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        assert!(["400", "401"].contains(&status.as_str()), "{bytes:?}: {status:?}");
    }
    // Two values in two lines are two credentials.
    let twice = "authorization: Bearer legacy-demo-key\r\n".repeat(2);
    let request = format!("GET {V1_USERS} HTTP/1.1\r\nhost: x\r\n{twice}connection: close\r\n\r\n");
    let answer = say(world.front.running.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("ambiguous_credential"));
    assert_eq!(world.vendor.stats().requests, 0, "nothing refused goes upstream");
}

#[tokio::test]
async fn d07_two_legacy_keys_of_one_v4_key_share_nothing() {
    let rest = config::another("narrow", "narrow-key", "{ groups = [\"Analyst\"] }");
    let settings = users(150);
    let world = World::with(settings, "", &rest).await;
    let target = format!("{V1_USERS}?sag=Supervisor");
    let wide = world.get(&target).await.ids();
    assert!(!wide.is_empty());
    // The wide caller's look-up is fresh, and the narrow one must not be answered from it.
    world.vendor.reset_stats();
    let narrow = world.front.get_as("narrow-key", &target).await;
    expect::rows(&narrow, &[], "a group the narrow caller never saw");
    assert_eq!(world.vendor.stats().users_pages, 2, "a look-up of its own");
    // And the other way round: the narrow caller's "there is none" is not the wide one's.
    expect::rows(&world.get(&target).await, &wide, "the wide caller");
    let own = world.front.get_as("narrow-key", &format!("{V1_USERS}?sag=Analyst")).await.ids();
    assert_eq!(own, world.get(&format!("{V1_USERS}?sag=Analyst")).await.ids());
    assert_eq!(own, world.front.get_as("narrow-key", V1_USERS).await.ids(), "and nothing else");
}

#[tokio::test]
async fn a21_a_key_in_two_places_or_in_an_odd_one_is_400() {
    let world = world().await;
    let bearer = format!("Bearer {LEGACY_KEY}");
    let in_header = [("authorization", bearer.as_str())];
    for (what, with_header, in_query) in [
        ("twice in the query", false, "key=legacy-demo-key&key=legacy-demo-key"),
        ("two keys in the query", false, "key=legacy-demo-key&key=other"),
        ("both places", true, "key=legacy-demo-key"),
        ("both places, another case", true, "KEY=legacy-demo-key"),
        ("both places, as a list", true, "key[]=legacy-demo-key"),
        ("both places, as an escaped list", true, "key%5B%5D=legacy-demo-key"),
        ("another case", false, "KEY=legacy-demo-key"),
        ("a list", false, "key[]=legacy-demo-key"),
        ("two spellings", false, "Key=legacy-demo-key&key=legacy-demo-key"),
    ] {
        let headers = if with_header { &in_header[..] } else { &[] };
        let answer = world.front.get_with(&format!("{V1_USERS}?{in_query}"), headers).await;
        expect::error(&answer, "400 ambiguous_credential", what);
        holds_no_key(&answer, what);
    }
    assert_eq!(world.vendor.stats().requests, 0);
}

#[tokio::test]
async fn a21_a_key_in_the_query_works_alone() {
    let world = world().await;
    let all = world.get(V1_USERS).await.ids();
    for target in
        ["?key=legacy-demo-key", "?key=legacy%2Ddemo-%6bey&name=", "?x=1&key=legacy-demo-key"]
    {
        let answer = world.front.get_with(&format!("{V1_USERS}{target}"), &[]).await;
        expect::rows(&answer, &all, target);
    }
}

#[tokio::test]
async fn a21_an_empty_key_and_a_header_that_is_no_bearer_are_no_credential() {
    let world = world().await;
    let all = world.get(V1_USERS).await.ids();
    let bearer = format!("Bearer {LEGACY_KEY}");
    for (header, query) in [
        ("Basic bm9ib2R5Om5v", "key=legacy-demo-key"),
        ("", "key=legacy-demo-key"),
        ("Bearer", "key=legacy-demo-key&key="),
        ("Token token=x", "KEY=&key=legacy-demo-key"),
        (&bearer, "key="),
        (&bearer, "key&name=&KEY="),
    ] {
        let target = format!("{V1_USERS}?{query}");
        let answer = world.front.get_with(&target, &[("authorization", header)]).await;
        expect::rows(&answer, &all, &format!("{header:?} {query}"));
    }
    let two = [("authorization", "Basic bm9ib2R5Om5v"), ("authorization", bearer.as_str())];
    expect::rows(&world.front.get_with(V1_USERS, &two).await, &all, "two headers, one key");
}

#[tokio::test]
async fn d11_no_legacy_key_goes_upstream_and_no_header_of_the_client() {
    let raw = Raw::start(|head| Reply::page_of(&[1, 2, 3], head)).await;
    let front = Front::over(raw.address, "", "").await;
    let bearer = format!("Bearer {LEGACY_KEY}");
    let more = [
        ("cookie", "session=legacy-demo-key"),
        ("x-api-key", LEGACY_KEY),
        ("proxy-authorization", bearer.as_str()),
        ("x-forwarded-for", "203.0.113.7"),
        ("referer", "http://client.example/?key=legacy-demo-key"),
        ("user-agent", "legacy-demo-key/1.0"),
        ("x-tieline-explain", "1"),
    ];
    let with_header = [&[("authorization", bearer.as_str())][..], &more[..]].concat();
    for target in ["", "?name=Jane", "?sag=Sales", "?utm=legacy-demo-key&page=2"] {
        let answer = front.get_with(&format!("{V1_USERS}{target}"), &with_header).await;
        assert_eq!(answer.status, 200, "{target}");
        holds_no_key(&answer, target);
    }
    let answer = front.get_with(&format!("{V1_USERS}?key=legacy-demo-key&name=Jane"), &more).await;
    assert_eq!(answer.status, 200);
    let heads = raw.heads();
    assert!(heads.len() >= 4);
    for head in heads {
        assert!(!head.text.contains("legacy-demo"), "request {}: a legacy key", head.number);
        assert!(!head.target().contains("key="), "request {}: a key parameter", head.number);
        assert_eq!(head.headers("authorization"), [format!("Bearer {V4_KEY}")]);
        for name in more.iter().map(|(name, _)| name).filter(|name| **name != "user-agent") {
            assert!(head.headers(name).is_empty(), "request {}: {name}", head.number);
        }
    }
}

#[tokio::test]
async fn d11_d13_a_v4_key_never_comes_back() {
    let statuses = [400, 401, 403, 404, 422, 429, 500, 503];
    for status in statuses {
        let world = world().await;
        let retry_after = Some("100".to_owned());
        let fail = Some(Fail { at_offset: None, status, times: None, retry_after });
        world.vendor.set_faults(Faults { fail, echo_key_in_error: true, ..Faults::default() });
        for target in [V1_USERS.to_owned(), format!("{V1_USERS}?name=Jane")] {
            let answer = world.get(&target).await;
            expect::error(&answer, &answer.verdict(), &format!("{status}"));
            holds_no_key(&answer, &format!("{status}"));
        }
        for page in ["/callers", "/metrics", "/losses", "/healthz"] {
            let answer = world.front.admin(page).await;
            let text = answer.text();
            assert!(!text.contains(V4_KEY) && !text.contains(LEGACY_KEY), "{page} after {status}");
        }
    }
    let world = world().await;
    let faults = Faults { error_in_200: true, echo_key_in_error: true, ..Faults::default() };
    world.vendor.set_faults(faults);
    let answer = world.get(V1_USERS).await;
    expect::error(&answer, "502 upstream_bad_schema", "in a success");
    holds_no_key(&answer, "in a success");
}

#[tokio::test]
async fn head_is_get_without_a_body_and_other_methods_are_405() {
    let world = world().await;
    let bearer = format!("Bearer {LEGACY_KEY}");
    let headers = [("authorization", bearer.as_str())];
    for target in [V1_USERS.to_owned(), format!("{V1_USERS}?id=none")] {
        let get = world.get(&target).await;
        let head = world.front.send(Method::HEAD, &target, &headers).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
        for name in ["content-type", "cache-control", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
        assert_eq!(head.header("content-length"), get.body.len().to_string());
    }
    let head = world.front.send(Method::HEAD, V1_USERS, &[]).await;
    assert_eq!((head.verdict().as_str(), head.body.len()), ("401 no_credential", 0));
    world.vendor.reset_stats();
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "get"] {
        let sent = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = world.front.send(sent, V1_USERS, &headers).await;
        expect::error(&answer, "405 method_not_allowed", method);
        assert_eq!(answer.header("allow"), "GET, HEAD", "{method}");
    }
    assert_eq!(world.vendor.stats().requests, 0);
}

#[tokio::test]
async fn a_path_that_is_no_legacy_endpoint_is_404_and_stays_here() {
    let world = world().await;
    for target in [
        "/",
        "/api/user_management/v1/users/10001",
        "/api/user_management/v1/USERS",
        "/api/user_management/v1/user%53",
        "/api/user_management/../user_management/v1/users",
        "/api/v4/users",
        "/metrics",
        "/callers",
    ] {
        let answer = world.get(target).await;
        expect::error(&answer, "404 not_found", target);
        assert_eq!(answer.text(), "{\"error\":\"Not found\"}", "{target}");
    }
    assert_eq!(world.vendor.stats().requests, 0);
}

fn id_of(user: &Value) -> u64 {
    user["id"].as_str().unwrap().parse().unwrap()
}

fn has(user: &Value, list: &str, id: u64) -> bool {
    user[list].as_array().unwrap().iter().any(|item| item["id"] == id)
}

#[tokio::test]
async fn d08_a_narrowed_caller_sees_its_rows_and_no_others() {
    let settings = || users(230);
    let users = World::new(settings()).await.vendor.users();
    let team = users.iter().find_map(|user| user["teams"][0]["id"].as_u64()).unwrap();
    let one = id_of(&users[40]);
    let in_team = |user: &Value| has(user, "teams", team) || has(user, "supervised_teams", team);
    let in_group = |user: &Value, name: &str| user["security_access_group"]["name"] == name;
    type Sees<'a> = (&'a str, String, Box<dyn Fn(&Value) -> bool + 'a>);
    let narrowings: [Sees<'_>; 6] = [
        ("team", format!("{{ teams = [{team}] }}"), Box::new(in_team)),
        ("group", "{ groups = [\"Analyst\"] }".into(), Box::new(|user| in_group(user, "Analyst"))),
        ("group-id", "{ groups = [3] }".into(), Box::new(|user| in_group(user, "Boarding"))),
        ("user", format!("{{ users = [{one}] }}"), Box::new(|user| id_of(user) == one)),
        (
            "any",
            format!("{{ teams = [{team}], groups = [\"Analyst\"], users = [{one}] }}"),
            Box::new(|user| in_team(user) || in_group(user, "Analyst") || id_of(user) == one),
        ),
        ("nobody", "{ groups = [\"No such group\"] }".into(), Box::new(|_| false)),
    ];
    let rest: String =
        narrowings.iter().map(|(name, sees, _)| config::another(name, name, sees)).collect();
    let world = World::with(settings(), "", &rest).await;
    let all = world.get(V1_USERS).await;
    let groups: BTreeSet<&str> =
        users.iter().filter_map(|user| user["security_access_group"]["name"].as_str()).collect();
    for (name, _, sees) in &narrowings {
        let seen: BTreeSet<u64> = users.iter().filter(|user| sees(user)).map(id_of).collect();
        let expected: Vec<u64> = all.ids().into_iter().filter(|id| seen.contains(id)).collect();
        let mine = world.front.get_as(name, V1_USERS).await;
        expect::rows(&mine, &expected, name);
        assert!(
            expected.is_empty() == (*name == "nobody"),
            "{name}: too few rows to prove anything"
        );
        // A record is shown whole or not at all.
        let whole = |record: &Value| all.json().as_array().unwrap().contains(record);
        assert!(mine.json().as_array().unwrap().iter().all(whole), "{name}: other records");
        // A hidden row cannot be found by its id, its name or its address.
        let hidden = users.iter().find(|user| {
            let id = id_of(user);
            !seen.contains(&id) && all.ids().contains(&id) && user["name"] != ""
        });
        let hidden = hidden.unwrap();
        for filter in ["id", "email", "name"] {
            let found = query(&[(filter, hidden[filter].as_str().unwrap())]);
            let found = world.front.get_as(name, &format!("{V1_USERS}?{found}")).await.ids();
            assert!(found.iter().all(|id| seen.contains(id)), "{name}: found by {filter}");
        }
        // A group is found by the rows that are seen alone.
        for group in &groups {
            let target = format!("{V1_USERS}?{}", query(&[("sag", group)]));
            let wide: Vec<u64> = world.get(&target).await.ids();
            let expected: Vec<u64> = wide.into_iter().filter(|id| seen.contains(id)).collect();
            expect::rows(&world.front.get_as(name, &target).await, &expected, name);
        }
    }
}

#[tokio::test]
async fn a_group_seen_on_hidden_rows_alone_is_no_group() {
    let rest = config::another("narrow", "narrow-key", "{ groups = [\"Analyst\"] }");
    let world = World::with(users(150), "", &rest).await;
    let pages = |world: &World| world.vendor.stats().users_pages;
    let target = format!("{V1_USERS}?sag=Supervisor");
    expect::rows(&world.front.get_as("narrow-key", &target).await, &[], "hidden");
    // As with a name that no group has: the look-up alone, and no list of the group is asked for.
    assert_eq!(pages(&world), 2);
    let queries = world.vendor.stats().users_queries;
    assert!(queries.iter().all(|query| !query.contains("security_access_group_id")));
    world.vendor.reset_stats();
    let target = format!("{V1_USERS}?sag=Nobody");
    expect::rows(&world.front.get_as("narrow-key", &target).await, &[], "unknown");
    assert_eq!(pages(&world), 0, "one look-up tells of every group, seen or not");
}
