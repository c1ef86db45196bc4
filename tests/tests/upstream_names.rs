//! Upstreams' names: look-ups that fail or say nothing, names that move, and names that lead to where
//! they have no business. The ids in front of the test names are those of `docs/ERRORS.md`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tests::names::{Names, Says};
use tests::raw::{Raw, Reply};
use tests::{Front, V1_USERS, V4_KEY, config_text, expect};
use tokio::time::{Instant, sleep};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// A gateway over an upstream that has a name.
async fn front(name: &str, port: u16, more: &str, names: &Names) -> Front {
    let nowhere = SocketAddr::from((HERE, port));
    let text = config_text(nowhere, more, "[passthrough]\nenabled = true\n");
    let text = text.replace(&nowhere.to_string(), &format!("{name}:{port}"));
    let env = [("V4".to_owned(), V4_KEY.to_owned())];
    Front::start_asking(&text, &env, Arc::new(names.clone())).await
}

/// Every connection is used once, so every request needs an address.
async fn upstream() -> Raw {
    Raw::start(|head| Reply::page_of(&[1, 2], head).last()).await
}

async fn failures(front: &Front, kind: &str) -> u64 {
    let text = front.admin("/metrics").await.text();
    let series = format!("tieline_dns_failures_total{{kind=\"{kind}\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&series));
    value.and_then(|value| value.parse().ok()).unwrap_or(u64::MAX)
}

#[tokio::test]
async fn e03_a_name_without_an_address_is_502_and_the_last_good_one_stands_in() {
    let upstream = upstream().await;
    let more = "allow_private_addresses = true";
    for (bad, kind) in
        [(Says::No, "failed"), (Says::Addresses(Vec::new()), "failed"), (Says::Nothing, "silent")]
    {
        let names = Names::new(bad.clone());
        let front = front("cc.example", upstream.address.port(), more, &names).await;
        let asked = upstream.asked();
        let started = Instant::now();
        expect::error(&front.get(V1_USERS).await, "502 upstream_dns", kind);
        assert!(started.elapsed() < Duration::from_secs(15), "{kind}: {:?}", started.elapsed());
        assert_eq!(upstream.asked(), asked, "{kind}: U=0");
        assert_eq!(failures(&front, kind).await, 3, "{kind}: three attempts");
        // A look-up that says nothing is one for all who wait, and goes on until it ends.
        let silent = matches!(bad, Says::Nothing);
        assert_eq!(names.asked(), if silent { 1 } else { 3 }, "{kind}");
        if silent {
            continue;
        }
        names.say(Says::one(HERE));
        expect::rows(&front.get(V1_USERS).await, &[1, 2], "known now");
        for worse in [Says::No, Says::Nothing] {
            names.say(worse);
            expect::rows(&front.get(V1_USERS).await, &[1, 2], "the last good answer stands in");
        }
        let seen = failures(&front, "failed").await + failures(&front, "silent").await;
        assert_eq!(seen, 3 + 2, "{kind}: failures that were made up for count as well");
    }
}

#[tokio::test]
async fn e04_a_name_that_moves_under_steady_load_is_followed_without_an_error() {
    let first = Raw::start(|head| Reply::page_of(&[1, 2], head)).await;
    let there = SocketAddr::from(([127, 0, 0, 2], first.address.port()));
    let second = Raw::start_at(there, |head| Reply::page_of(&[7], head)).await;
    let names = Names::new(Says::one(HERE));
    let more = "connection_age_max = \"1s\"\nallow_private_addresses = true";
    let front = front("cc.example", first.address.port(), more, &names).await;
    expect::rows(&front.get(V1_USERS).await, &[1, 2], "before");
    names.say(Says::one(there.ip()));
    let started = Instant::now();
    // Never idle, so nothing but its age ends the connection.
    while second.asked() == 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "the old address is still used");
        assert_eq!(front.get(V1_USERS).await.verdict(), "200 ", "while it moves");
        sleep(Duration::from_millis(2)).await;
    }
    let before = first.asked();
    assert!(before > 1 && first.connections() == 1, "one busy connection, {before} requests");
    for _ in 0..50 {
        expect::rows(&front.get(V1_USERS).await, &[7], "after");
    }
    assert_eq!(first.asked(), before, "nobody asks there any more");
}

#[tokio::test]
async fn e05_a_public_name_with_a_private_address_is_refused() {
    let upstream = upstream().await;
    let port = upstream.address.port();
    let names = Names::new(Says::one(HERE));
    let guarded = front("cc.example", port, "", &names).await;
    let private =
        ["127.0.0.1", "127.9.9.9", "169.254.169.254", "10.0.0.1", "::1", "fd00::1", "0.0.0.0"];
    for (count, address) in private.into_iter().enumerate() {
        names.say(Says::one(address.parse::<IpAddr>().expect("an address")));
        let answer = guarded.get(V1_USERS).await;
        expect::error(&answer, "502 upstream_addr_refused", address);
        // What goes through is held to the same.
        let answer = guarded.get("/api/v4/other").await;
        expect::error(&answer, "502 upstream_addr_refused", address);
        assert_eq!(failures(&guarded, "refused").await, 2 * (count as u64 + 1), "asked once each");
    }
    assert_eq!(upstream.connections(), 0, "U=0");

    names.say(Says::one(HERE));
    let allowed = front("cc.example", port, "allow_private_addresses = true", &names).await;
    expect::rows(&allowed.get(V1_USERS).await, &[1, 2], "by the setting");
    let local = front("localhost", port, "", &names).await;
    expect::rows(&local.get(V1_USERS).await, &[1, 2], "by its own word");
    let asked = names.asked();
    let literal = front("127.0.0.1", port, "", &names).await;
    expect::rows(&literal.get(V1_USERS).await, &[1, 2], "an address is the operator's choice");
    assert_eq!(names.asked(), asked, "and is looked up nowhere");

    // A name that was good is not good any more.
    let moved = front("cc.example", port, "", &names).await;
    names.say(Says::Addresses(vec![HERE.into(), IpAddr::from([10, 0, 0, 1])]));
    expect::error(&moved.get(V1_USERS).await, "502 upstream_addr_refused", "two private ones");
}
