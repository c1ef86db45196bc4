//! How upstreams are reached: names that cannot be looked up, that move, or that lead to where they have
//! no business, and connections in HTTP/2 that end in the middle of a list. The ids in front of the test
//! names are those of `docs/ERRORS.md`.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::Surroundings;
use http::{Request, Response, Version};
use tests::folder::Folder;
use tests::names::{Names, Says};
use tests::raw::{Head, Raw, Reply, page, user};
use tests::{Front, V1_USERS, V4_KEY, config_text, expect};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tower::service_fn;
use transport::body::{self, Body};
use transport::server::{ServerLimits, serve};
use transport::tls::ServerTls;

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// A gateway over an upstream that has a name.
async fn front(name: &str, port: u16, more: &str, names: &Names) -> Front {
    let nowhere = SocketAddr::from((HERE, port));
    let text = config_text(nowhere, more, "[passthrough]\nenabled = true\n");
    let text = text.replace(&nowhere.to_string(), &format!("{name}:{port}"));
    let lookup = Arc::new(names.clone());
    let surroundings = Surroundings { lookup, ..Surroundings::default() };
    Front::start_in(&text, &[("V4", V4_KEY)], surroundings).await
}

/// Every connection is used once, so every request needs an address.
async fn upstream() -> Raw {
    Raw::start(|head| Reply::page_of(&[1, 2], head).last()).await
}

async fn failures(front: &Front, kind: &str) -> u64 {
    front.count(&format!("tieline_dns_failures_total{{kind=\"{kind}\"}}")).await
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
        // All requests that wait share one look-up, which goes on until it ends.
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
        names.say(Says::one(address.parse::<IpAddr>().unwrap()));
        let answer = guarded.get(V1_USERS).await;
        expect::error(&answer, "502 upstream_addr_refused", address);
        // The same rule holds for passthrough.
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

/// An upstream in HTTP/2 over TLS; it counts its requests and goes away when `stop` says so.
async fn http2(
    tls: ServerTls,
    stop: CancellationToken,
    on_request: impl Fn(Version) + Clone + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = service_fn(move |request: Request<Body>| {
        on_request(request.version());
        async move {
            sleep(Duration::from_millis(20)).await;
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            let head = Head { number: 0, text: format!("GET {target} HTTP/2.0") };
            let (from, count) = (head.number_of("offset"), head.number_of("limit"));
            let rows = (1..=3000).skip(from).take(count).map(user);
            let page = page(&rows.collect::<Vec<_>>(), 3000);
            let answer = Response::builder().header("content-type", "application/json");
            Ok::<_, Infallible>(answer.body(body::full(page)).unwrap())
        }
    });
    let grace = Duration::from_secs(10);
    let stopped = stop.cancelled_owned();
    tokio::spawn(serve(listener, Some(tls), ServerLimits::default(), service, stopped, grace));
    address
}

#[tokio::test]
async fn e25_an_upstream_that_goes_away_in_the_middle_of_a_list_costs_no_row() {
    let folder = Folder::new();
    let certificate = folder.certificate("upstream");
    let tls = certificate.server();
    let versions = Arc::<Mutex<Vec<Version>>>::default();
    let (stop, on_first) = (CancellationToken::new(), Arc::<AtomicUsize>::default());
    let (going, seen, count) = (stop.clone(), Arc::clone(&versions), Arc::clone(&on_first));
    let first = http2(tls.clone(), stop.clone(), move |version| {
        seen.lock().unwrap().push(version);
        // Some are answered, some are under way, and most are still to come.
        if count.fetch_add(1, Ordering::SeqCst) == 5 {
            going.cancel();
        }
    })
    .await;
    let (seen, on_second) = (Arc::clone(&versions), Arc::<AtomicUsize>::default());
    let count = Arc::clone(&on_second);
    let second = http2(tls, CancellationToken::new(), move |version| {
        seen.lock().unwrap().push(version);
        count.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    // One address for both: new connections get the second once the first goes away.
    let relay = TcpListener::bind((HERE, 0)).await.unwrap();
    let port = relay.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = relay.accept().await {
            let to = if stop.is_cancelled() { second } else { first };
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await?;
                tokio::io::copy_bidirectional(&mut near, &mut far).await
            });
        }
    });

    let nowhere = SocketAddr::from((HERE, port));
    let more = format!("{}\nconnect_timeout = \"5s\"", certificate.ca_line());
    let text = config_text(nowhere, &more, "");
    let text = text.replace(&format!("http://{nowhere}"), &format!("https://localhost:{port}"));
    let ids: Vec<u64> = (1..=3000).collect();
    expect::rows(&Front::start(&text).await.get(V1_USERS).await, &ids, "over both");
    let (on_first, on_second) = (on_first.load(Ordering::SeqCst), on_second.load(Ordering::SeqCst));
    assert!(on_first >= 6 && on_second > 0, "{on_first} and {on_second} requests");
    assert!(versions.lock().unwrap().iter().all(|version| *version == Version::HTTP_2));
}
