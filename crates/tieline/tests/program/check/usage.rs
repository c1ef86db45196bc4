//! What the check names of the legacy paths that callers of a running gateway ask for.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::common::process::Gateway;
use crate::common::{configured, gateway};
use tests::plain::{bearer, request, say};

/// The report of the gateway's own configuration, with the page `/callers` of this address.
fn checked(folder: &Folder, running: &str) -> std::process::Output {
    checked_with(folder, running, &[])
}

fn checked_with(folder: &Folder, running: &str, more: &[&str]) -> std::process::Output {
    let file = folder.path("tieline.toml");
    let file = file.to_str().unwrap();
    let check = ["check", "--config", file, "--running", running];
    tieline(&[&check[..], more].concat()).env("ADMIN_KEY", ADMIN_KEY).output().unwrap()
}

const ADMIN_KEY: &str = "a-key-of-the-admin-port";

/// Stands before the admin port as a proxy that says so, for four requests: they come from another machine then.
fn proxy(admin: std::net::SocketAddr) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for _ in 0..4 {
            let (mut client, _) = listener.accept().unwrap();
            let mut head = String::new();
            let mut lines = BufReader::new(client.try_clone().unwrap()).lines();
            while let Some(line) = lines.next().map(Result::unwrap).filter(|line| !line.is_empty())
            {
                head += &format!("{line}\r\n");
            }
            let mut gateway = TcpStream::connect(admin).unwrap();
            write!(gateway, "{head}x-forwarded-for: 192.0.2.7\r\n\r\n").unwrap();
            std::io::copy(&mut gateway, &mut client).unwrap();
        }
    });
    address
}

#[test]
fn the_admin_port_is_asked_with_its_key_where_it_wants_one() {
    let (_vendor, base) = vendor("");
    let folder = Folder::new();
    let key = folder.file("admin.key", ADMIN_KEY);
    let wrong = folder.file("wrong.key", "another-key");
    folder.file("v4.key", V4_KEY);
    let text = configured("", &base, "", "");
    assert!(text.contains("[admin]\n"));
    let text = text.replace("[admin]\n", &format!("[admin]\nkey = {{ file = \"{key}\" }}\n"));
    let gateway = Gateway::start(&folder.file("tieline.toml", text));
    let running = proxy(gateway.admin).to_string();
    let told = |more: &[&str]| {
        let output = checked_with(&folder, &running, more);
        let all = stdout(&output) + &stderr(&output);
        assert!(!all.contains(ADMIN_KEY) && !all.contains("another-key"), "{all}");
        (output.status.code().unwrap(), all)
    };
    for source in ["env:ADMIN_KEY".to_owned(), format!("file:{key}")] {
        let (code, all) = told(&["--admin-key", &source]);
        assert!(code == 0 && all.contains("no such legacy path was asked for"), "{code} {all}");
    }
    let (code, all) = told(&[]);
    assert!(code == 1 && all.contains("it wants its admin.key"), "{code} {all}");
    let (code, all) = told(&["--admin-key", &format!("file:{wrong}")]);
    assert!(code == 1 && all.contains("is not its admin.key"), "{code} {all}");
    // Nothing is asked for these.
    let (code, all) = told(&["--admin-key", "env:NO_SUCH_VARIABLE"]);
    assert!(code == 2 && all.contains("NO_SUCH_VARIABLE is not set"), "{code} {all}");
    let file = folder.path("tieline.toml");
    let check = ["check", "--config", file.to_str().unwrap(), "--admin-key", "env:ADMIN_KEY"];
    assert_eq!(tieline(&check).output().unwrap().status.code(), Some(2));
}

fn untranslated(folder: &Folder, gateway: &Gateway) -> Vec<String> {
    let output = checked(folder, &gateway.admin.to_string());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = stdout(&output);
    assert!(!report.contains(LEGACY_KEY), "{report}");
    let lines = report.lines().filter_map(|line| line.strip_prefix("  untranslated  "));
    lines.map(str::to_owned).collect()
}

#[test]
fn legacy_paths_that_callers_ask_for_and_nothing_translates_are_named() {
    let (_vendor, base) = vendor("");
    let folder = Folder::new();
    let gateway = gateway(&folder, "", &base, "");
    assert_eq!(untranslated(&folder, &gateway), ["no such legacy path was asked for"]);
    let balance = format!("GET /api/v1/{LEGACY_KEY}/balance");
    let cdr = "GET /api/v2/cdr?disposition=answered";
    for (target, headers) in
        [(balance.as_str(), String::new()), (cdr, bearer(LEGACY_KEY)), (cdr, bearer(LEGACY_KEY))]
    {
        say(gateway.address, request(target, &headers));
    }
    let end = "it goes when the legacy API goes, unless it passes through";
    assert_eq!(
        untranslated(&folder, &gateway),
        [
            format!("/api/v1/{{key}}/balance was asked for once; {end}"),
            format!("/api/v2/cdr was asked for 2 times; {end}"),
        ]
    );
    // Without the flag nothing runs that could be asked.
    let file = folder.path("tieline.toml");
    let output = tieline(&["check", "--config", file.to_str().unwrap()]).output().unwrap();
    assert!(!stdout(&output).contains("untranslated"), "{}", stdout(&output));
}

#[test]
fn a_page_that_is_no_gateways_shows_nothing_of_itself() {
    let (_vendor, base) = vendor("");
    let folder = Folder::new();
    let gateway = gateway(&folder, "", &base, "");
    let vendor = base.trim_start_matches("http://");
    for (running, why) in [
        (vendor.to_owned(), "/callers: it answers 404"),
        (gateway.address.to_string(), "/callers: it answers 404"),
        ("127.0.0.1:9".to_owned(), "/callers: "),
    ] {
        let output = checked(&folder, &running);
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        let told = stderr(&output);
        assert!(told.contains("--running: http://") && told.contains(why), "{told}");
    }
}
