//! What systemd hears of a gateway, over sockets as systemd has them.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::common::process::Gateway;
use tests::folder::Folder;
use tests::{V4_KEY, config};

/// Where nothing listens: a start asks no upstream.
const NOWHERE: &str = "http://127.0.0.1:9";
const SERVING: &str = "READY=1\nSTATUS=serving; callers: 1\n";

fn configuration(folder: &Folder) -> String {
    folder.file("v4.key", V4_KEY);
    let key = config::digest("a-legacy-key");
    let text = config::ports("") + &config::voiso("ams", NOWHERE, "");
    folder.file("t.toml", text + &config::caller("old", "ams", &key, &config::file("v4.key"), ""))
}

fn started(folder: &Folder, socket: &str) -> Gateway {
    Gateway::start_with(&configuration(folder), "json", &[("NOTIFY_SOCKET", socket)])
}

/// The next message.
fn heard(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// The time of a message that a reload begins, in microseconds.
fn time_of_reload(message: &str) -> u64 {
    let start = "RELOADING=1\nMONOTONIC_USEC=";
    assert!(message.starts_with(start) && message.contains("\nSTATUS="), "{message}");
    let (time, _) = message[start.len()..].split_once('\n').unwrap();
    time.parse().unwrap()
}

#[test]
fn systemd_hears_of_ready_of_each_reload_of_a_refused_one_and_of_the_stop() {
    let folder = Folder::new();
    let path = folder.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let gateway = started(&folder, path.to_str().unwrap());
    assert_eq!(heard(&socket), SERVING);

    gateway.process.signal("HUP");
    let first = time_of_reload(&heard(&socket));
    assert_eq!(heard(&socket), SERVING);

    folder.file("t.toml", "not = [toml");
    gateway.process.signal("HUP");
    assert!(time_of_reload(&heard(&socket)) > first);
    let refused = heard(&socket);
    assert!(refused.starts_with("READY=1\nSTATUS=reload refused, the old "), "{refused}");
    assert!(refused.contains("t.toml:1: syntax"), "{refused}");

    gateway.process.signal("TERM");
    // The changed file may have been noticed, too.
    let stopping = (0..10).map(|_| heard(&socket)).find(|message| message.contains("STOPPING"));
    assert_eq!(stopping.as_deref(), Some("STOPPING=1\nSTATUS=draining\n"));
    assert_eq!(gateway.process.code().code(), Some(0));
    assert!(!gateway.process.rest_of_stderr().contains("service manager"));
}

#[test]
fn a_name_that_is_no_path_is_an_abstract_one() {
    let folder = Folder::new();
    let name = format!("tieline-of-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let _gateway = started(&folder, &format!("@{name}"));
    assert_eq!(heard(&socket), SERVING);
}

#[test]
fn a_supervisor_that_does_not_listen_is_a_warning_and_the_gateway_serves() {
    let folder = Folder::new();
    let gateway = started(&folder, folder.path("nobody").to_str().unwrap());
    let told = gateway.process.stderr_until(|line| line.contains("cannot be told"));
    assert!(told.last().unwrap().contains("\"level\":\"WARN\""), "{told:?}");
    assert!(gateway.process.goes_on());
}
