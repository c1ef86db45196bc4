//! Another configuration under a running gateway: at SIGHUP or when a file changes, all of it or
//! nothing, and without a request that fails.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::process::Gateway;
use crate::common::{eventually, metric, vendor};
use tests::folder::Folder;
use tests::plain::get;
use tests::{V1_USERS, V4_KEY, config};

const WAIT: Duration = Duration::from_secs(30);

/// A configuration with these callers; all have the demo's v4 key.
fn text(vendor: &str, callers: &[&str], server: &str) -> String {
    let mut text = config::ports(server) + &config::voiso("ams", vendor, "");
    for caller in callers {
        let key = config::digest(&format!("{caller}-key"));
        text += &config::caller(caller, "ams", &key, &config::file("v4.key"), "");
    }
    text
}

fn started(folder: &Folder, vendor: &str) -> Gateway {
    folder.file("v4.key", V4_KEY);
    Gateway::start(&folder.file("t.toml", text(vendor, &["old"], "")))
}

/// The metric of reloads: how many were applied and refused.
fn reloads(gateway: &Gateway) -> (f64, f64) {
    let of = |result| metric(gateway.admin, "tieline_config_reload_total", result);
    (of("\"applied\""), of("\"refused\""))
}

fn status(gateway: &Gateway, caller: &str) -> u16 {
    get(gateway.address, V1_USERS, &format!("{caller}-key")).status.as_u16()
}

/// Waits until a caller gets this status.
fn becomes(gateway: &Gateway, caller: &str, wanted: u16) {
    for _ in 0..600 {
        if status(gateway, caller) == wanted {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(status(gateway, caller), wanted, "{caller} for 30 s");
}

#[test]
fn k05_a_hangup_puts_the_new_file_in_force_for_the_next_request() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let gateway = started(&folder, &vendor);
    assert_eq!((status(&gateway, "old"), status(&gateway, "new")), (200, 401));
    folder.file("t.toml", text(&vendor, &["new"], ""));
    gateway.process.signal("HUP");
    let line =
        gateway.process.stderr_until(|line| line.contains("new configuration is in force")).pop();
    assert!(line.unwrap().contains("\"epoch\":2"));
    assert_eq!((status(&gateway, "old"), status(&gateway, "new")), (401, 200));
    assert_eq!(reloads(&gateway), (1.0, 0.0));
    assert_eq!(gateway.process.stop().code(), Some(0));
}

#[test]
fn k05_a_changed_file_is_noticed_and_so_is_a_key_it_names() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let gateway = started(&folder, &vendor);
    folder.file("t.toml", text(&vendor, &["old", "new"], ""));
    becomes(&gateway, "new", 200);
    assert_eq!(status(&gateway, "old"), 200);
    folder.file("v4.key", "a-key-that-was-revoked");
    becomes(&gateway, "old", 502);
    folder.file("v4.key", V4_KEY);
    becomes(&gateway, "old", 200);
}

#[test]
fn k06_an_unusable_configuration_changes_nothing_and_is_reported_in_one_line() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let gateway = started(&folder, &vendor);
    let good = text(&vendor, &["old", "new"], "");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    for (count, (bad, told)) in [
        ("not = [toml".to_owned(), "t.toml:1: syntax"),
        (good.replace("\"everything\"", "\"nothing-at-all\""), "sees"),
        (good.replace("v4.key", "no-such.key"), "no-such.key cannot be read: no such file"),
        (good.replacen("[admin]", "odd = \"nothing-at-all\"\n[admin]", 1), "odd"),
        (text(&vendor, &["old", "old"], ""), "name"),
        (good.replacen("127.0.0.1:0", &port, 1), "t.toml:2: server.listen"),
        (format!("{good}[log]\nlevel = \"debug\"\n"), "log.level"),
    ]
    .into_iter()
    .enumerate()
    {
        folder.file("t.toml", &bad);
        // The change itself is noticed as well, if it is slower to be told than to be seen.
        gateway.process.signal("HUP");
        let lines = gateway.process.stderr_until(|line| line.contains("was not reloaded"));
        let line = lines.last().unwrap();
        assert!(line.contains(told) && line.contains("t.toml:"), "{told}: {line}");
        for value in ["nothing-at-all", &port, "debug"] {
            assert!(!line.contains(value), "{told}: a value in {line}");
        }
        assert_eq!((status(&gateway, "old"), status(&gateway, "new")), (200, 401), "{told}");
        let (applied, refused) = reloads(&gateway);
        assert!(applied == 0.0 && refused > count as f64, "{told}: {applied} {refused}");
    }
    folder.file("t.toml", &good);
    gateway.process.signal("HUP");
    becomes(&gateway, "new", 200);
}

#[test]
fn k05_d18_a_request_in_flight_ends_with_the_configuration_it_began_with() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120 --latency 1500ms");
    let gateway = started(&folder, &vendor);
    let asked = gateway.address;
    let asking = std::thread::spawn(move || get(asked, V1_USERS, "old-key"));
    let stats = || get(&vendor, "/_simulator/stats", "").body;
    let before = stats();
    eventually("asked", || stats() != before || asking.is_finished());
    folder.file("t.toml", text(&vendor, &["new"], "[cache]\nfresh_for = \"1h\""));
    gateway.process.signal("HUP");
    gateway.process.stderr_until(|line| line.contains("new configuration is in force"));
    // The key no longer works for new requests; a request that came with it is finished.
    assert_eq!(status(&gateway, "old"), 401);
    let answer = asking.join().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body.ends_with(b"}]"));
    assert_eq!((status(&gateway, "new"), status(&gateway, "old")), (200, 401));
    assert_eq!(gateway.process.stop().code(), Some(0));
    let log = gateway.process.rest_of_stderr();
    let lines = log.lines().filter(|line| line.contains("\"message\":\"answered\""));
    let lines: Vec<serde_json::Value> =
        lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let number = |field: &str| line[field].as_u64().unwrap();
            (line["caller"].as_str().unwrap(), number("status"), number("epoch"))
        })
        .collect();
    let wanted = [("none", 401, 2), ("old", 200, 1), ("new", 200, 2), ("none", 401, 2)];
    assert_eq!(told, wanted, "all of them after the reload");
}

#[test]
fn k05_no_request_fails_while_configurations_change() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let gateway = started(&folder, &vendor);
    let stop = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let (address, stop) = (gateway.address, Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let answer = get(address, V1_USERS, "old-key");
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    assert!(answer.body.ends_with(b"}]"), "a whole list");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for round in 0..20 {
        let other = format!("other{round}");
        folder.file("t.toml", text(&vendor, &["old", &other], ""));
        gateway.process.signal("HUP");
        gateway.process.stderr_until(|line| line.contains("new configuration is in force"));
        // So that requests begin and end under each of them.
        assert_eq!(status(&gateway, "old"), 200);
    }
    stop.store(true, Ordering::Relaxed);
    let answered: u32 = asking.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(answered > 0, "{answered}");
}

#[test]
fn k08_a_certificate_that_was_replaced_is_shown_if_it_can_be_used() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    folder.file("v4.key", V4_KEY);
    let (first, second, third) = (made(2040), made(2041), made(2042));
    write(&folder, &first);
    let tls = "tls = { cert = \"server.pem\", key = \"server.key\" }";
    let gateway = Gateway::start(&folder.file("t.toml", text(&vendor, &["old"], tls)));
    let address = gateway.address;
    let ends = || metric(gateway.admin, "tieline_cert_not_after_seconds", "");
    assert!(shakes_hands(address, &first) && !shakes_hands(address, &second));
    assert_eq!(ends(), 2_208_988_800.0);
    write(&folder, &second);
    gateway.process.signal("HUP");
    gateway.process.stderr_until(|line| line.contains("new configuration is in force"));
    assert!(shakes_hands(address, &second) && !shakes_hands(address, &first));
    assert_eq!(ends(), 2_240_611_200.0);

    // Of another key, half of one, one that has ended: the one before is shown on.
    let whole = first.cert.pem();
    for bad in [&whole, &whole[..whole.len() / 2], ""] {
        folder.file("server.pem", bad);
        gateway.process.signal("HUP");
        let lines = gateway.process.stderr_until(|line| line.contains("was not reloaded"));
        assert!(lines.last().unwrap().contains("t.toml:3: server.tls"), "{lines:?}");
        assert!(shakes_hands(address, &second));
        assert_eq!(ends(), 2_240_611_200.0);
    }
    write(&folder, &made(2020));
    gateway.process.signal("HUP");
    let lines = gateway.process.stderr_until(|line| line.contains("has ended already"));
    assert!(lines.last().unwrap().contains("t.toml:3: server.tls"), "{lines:?}");
    assert!(shakes_hands(address, &second));
    assert!(reloads(&gateway).1 >= 4.0);

    // Without a signal.
    write(&folder, &third);
    eventually("shown", || shakes_hands(address, &third));
    assert_eq!(ends(), 2_272_147_200.0);
}

type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

/// One that ends with the last year before this one.
fn made(year: i32) -> Made {
    let mut wanted = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    wanted.not_before = rcgen::date_time_ymd(2010, 1, 1);
    wanted.not_after = rcgen::date_time_ymd(year, 1, 1);
    let signing_key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertifiedKey { cert: wanted.self_signed(&signing_key).unwrap(), signing_key }
}

fn write(folder: &Folder, made: &Made) {
    folder.file("server.pem", made.cert.pem());
    folder.file("server.key", made.signing_key.serialize_pem());
}

/// Whether the server shows a certificate that who trusts `made` believes.
fn shakes_hands(address: std::net::SocketAddr, made: &Made) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut session = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").is_ok()
}
