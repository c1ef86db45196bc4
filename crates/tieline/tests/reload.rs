//! Another configuration under a running gateway: at SIGHUP or when a file changes, all of it or
//! nothing, and without a request that fails.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::process::Folder;
use common::{Running, base_after, get};

const LIST: &str = "/api/user_management/v1/users";
const WAIT: Duration = Duration::from_secs(30);

fn vendor() -> (Running, String) {
    let running = Running::start(&["simulate", "--users", "120", "--listen", "127.0.0.1:0"]);
    let text = running.stdout_until(|line| line.contains("_simulator/stats")).join("\n");
    (running, base_after(&text, "is at "))
}

/// A configuration with these callers; all have the demo's v4 key.
fn text(vendor: &str, callers: &[&str], server: &str) -> String {
    let mut text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream.ams]\ndialect = \"voiso-v4\"\nbase_url = \"{vendor}\"\n"
    );
    for caller in callers {
        let digest = gateway::key_digest(&format!("{caller}-key"));
        text.push_str(&format!(
            "[[caller]]\nname = \"{caller}\"\nlegacy_key = {{ digest = \"{digest}\" }}\n\
             upstream = \"ams\"\nupstream_key = {{ file = \"v4.key\" }}\nsees = \"everything\"\n"
        ));
    }
    text
}

fn started(folder: &Folder, vendor: &str) -> (Running, String, String) {
    folder.file("v4.key", "v4-demo-key");
    let file = folder.file("t.toml", &text(vendor, &["old"], ""));
    let running = Running::start(&["serve", "--config", &file, "--log-format", "json"]);
    let line = running.stderr_until(|line| line.contains("\"listening\"")).pop().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = line["fields"]["address"].as_str().or(line["address"].as_str()).unwrap();
    (running, file, format!("http://{address}"))
}

fn status(gateway: &str, caller: &str) -> u16 {
    get(gateway, LIST, &format!("{caller}-key")).status
}

/// Waits until a caller gets this status.
fn becomes(gateway: &str, caller: &str, wanted: u16) {
    for _ in 0..600 {
        if status(gateway, caller) == wanted {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(status(gateway, caller), wanted, "{caller} for 30 s");
}

#[test]
fn a_hangup_puts_the_new_file_in_force_for_the_next_request() {
    let folder = Folder::new("reload_hangup");
    let (_vendor, vendor) = vendor();
    let (mut running, _, gateway) = started(&folder, &vendor);
    assert_eq!((status(&gateway, "old"), status(&gateway, "new")), (200, 401));
    folder.file("t.toml", &text(&vendor, &["new"], ""));
    running.signal("HUP");
    let line = running.stderr_until(|line| line.contains("new configuration is in force")).pop();
    assert!(line.unwrap().contains("\"epoch\":2"));
    assert_eq!((status(&gateway, "old"), status(&gateway, "new")), (401, 200));
    running.signal("TERM");
    assert_eq!(running.code().code(), Some(0));
}

#[test]
fn a_changed_file_is_noticed_and_so_is_a_key_it_names() {
    let folder = Folder::new("reload_change");
    let (_vendor, vendor) = vendor();
    let (_running, _, gateway) = started(&folder, &vendor);
    folder.file("t.toml", &text(&vendor, &["old", "new"], ""));
    becomes(&gateway, "new", 200);
    assert_eq!(status(&gateway, "old"), 200);
    folder.file("v4.key", "a-key-that-was-revoked");
    becomes(&gateway, "old", 502);
    folder.file("v4.key", "v4-demo-key");
    becomes(&gateway, "old", 200);
}

#[test]
fn what_cannot_be_used_changes_nothing_and_is_told() {
    let folder = Folder::new("reload_bad");
    let (_vendor, vendor) = vendor();
    let (running, _, gateway) = started(&folder, &vendor);
    let good = text(&vendor, &["old", "new"], "");
    for (bad, told) in [
        ("not = [toml".to_owned(), "t.toml:1"),
        (good.replace("\"everything\"", "\"nothing\""), "sees"),
        (good.replace("v4.key", "no-such.key"), "cannot be read"),
        (good.replacen("127.0.0.1:0", "127.0.0.1:1", 1), "server.listen"),
        (format!("{good}[log]\nlevel = \"debug\"\n"), "log.level"),
    ] {
        folder.file("t.toml", &bad);
        running.signal("HUP");
        let lines = running.stderr_until(|line| line.contains("was not reloaded"));
        assert!(lines.last().unwrap().contains(told), "{told}: {lines:?}");
        assert_eq!((status(&gateway, "old"), status(&gateway, "new")), (200, 401), "{told}");
    }
    folder.file("t.toml", &good);
    running.signal("HUP");
    becomes(&gateway, "new", 200);
}

#[test]
fn no_request_fails_while_configurations_change() {
    let folder = Folder::new("reload_load");
    let (_vendor, vendor) = vendor();
    let (running, _, gateway) = started(&folder, &vendor);
    let stop = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..3)
        .map(|_| {
            let (gateway, stop) = (gateway.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    let answer = get(&gateway, LIST, "old-key");
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    assert!(answer.body.ends_with("}]"), "a whole list");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for round in 0..20 {
        let other = format!("other{round}");
        folder.file("t.toml", &text(&vendor, &["old", &other], ""));
        running.signal("HUP");
        running.stderr_until(|line| line.contains("new configuration is in force"));
        // So that requests begin and end under each of them.
        assert_eq!(status(&gateway, "old"), 200);
    }
    stop.store(true, Ordering::Relaxed);
    let answered: u32 = asking.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert!(answered > 0, "{answered}");
}

#[test]
fn a_certificate_that_was_replaced_is_shown_to_the_next_connection() {
    let folder = Folder::new("reload_certificate");
    let (_vendor, vendor) = vendor();
    folder.file("v4.key", "v4-demo-key");
    let (first, second) = (made(), made());
    write(&folder, &first);
    let tls = "tls = { cert = \"server.pem\", key = \"server.key\" }";
    let file = folder.file("t.toml", &text(&vendor, &["old"], tls));
    let running = Running::start(&["serve", "--config", &file, "--log-format", "json"]);
    let line = running.stderr_until(|line| line.contains("\"listening\"")).pop().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = line["fields"]["address"].as_str().or(line["address"].as_str()).unwrap();
    assert!(shakes_hands(address, &first) && !shakes_hands(address, &second));
    write(&folder, &second);
    running.signal("HUP");
    running.stderr_until(|line| line.contains("new configuration is in force"));
    assert!(shakes_hands(address, &second) && !shakes_hands(address, &first));
    // Half of a pair is no certificate: the one before is shown on.
    folder.file("server.pem", &first.cert.pem());
    running.signal("HUP");
    running.stderr_until(|line| line.contains("was not reloaded"));
    assert!(shakes_hands(address, &second));
}

type Made = rcgen::CertifiedKey<rcgen::KeyPair>;

fn made() -> Made {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

fn write(folder: &Folder, made: &Made) {
    folder.file("server.pem", &made.cert.pem());
    folder.file("server.key", &made.signing_key.serialize_pem());
}

/// Whether the server shows a certificate that who trusts `made` believes.
fn shakes_hands(address: &str, made: &Made) -> bool {
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
