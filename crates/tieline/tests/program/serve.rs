//! `tieline serve` and `tieline check` as processes.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use crate::common::{Running, base_after, get, run, stderr, stdout};

const LIST: &str = "/api/user_management/v1/users";

/// A folder of its own for each test, gone when the test is over.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let file = self.0.join(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A good configuration in front of a vendor, with the digest of `legacy-demo-key`.
fn configuration(folder: &Folder, listen: SocketAddr, admin: SocketAddr, vendor: &str) -> String {
    let key = folder.file("key", "v4-demo-key\n");
    let digest = stdout(&run(&["key", "digest"], b"legacy-demo-key"));
    let text = format!(
        r#"[server]
listen = "{listen}"
[admin]
listen = "{admin}"
[upstream.ams]
dialect = "voiso-v4"
base_url = "{vendor}"
[[caller]]
name = "crm"
legacy_key = {{ digest = "{}" }}
upstream = "ams"
upstream_key = {{ file = "{key}" }}
sees = "everything"
"#,
        digest.trim_end()
    );
    folder.file("tieline.toml", &text)
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A pretend vendor and where it is.
fn vendor() -> (Running, String) {
    let running = Running::start(&["simulate", "--listen", "127.0.0.1:0", "--users", "120"]);
    let text = running.stdout_until(|line| line.contains("_simulator/stats")).join("\n");
    let base = base_after(&text, "is at ");
    (running, base)
}

/// Where a started gateway listens, from its log.
fn listening(running: &Running) -> String {
    let lines = running.stderr_until(|line| line.contains("\"message\":\"listening\""));
    let event: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    format!("http://{}", event["address"].as_str().unwrap())
}

#[test]
fn k07_a_bad_start_is_one_line_and_code_78_and_no_port_is_opened() {
    let folder = Folder::new("bad_configuration");
    // Were a port bound first, this one would be the complaint.
    let taken = TcpListener::bind(any()).unwrap();
    let address = taken.local_addr().unwrap();
    let good_file = configuration(&folder, address, address, "http://127.0.0.1:9");
    let good = std::fs::read_to_string(&good_file).unwrap();
    let callers = good.find("[[caller]]").unwrap();
    let key = folder.0.join("key").display().to_string();
    let a_folder = folder.0.display().to_string();
    let tls = "tls = { cert = \"key\", key = \"key\" }\n[admin]";
    let digest = stdout(&run(&["key", "digest"], b"legacy-demo-key"));
    for (name, bad, told) in [
        ("no TOML", good.replacen("[admin]", "[admin", 1), "syntax"),
        ("an unknown field", good.replacen("[admin]", "odd = 1\n[admin]", 1), "odd"),
        ("no caller", good[..callers].to_owned(), "caller"),
        ("no key map", good.replace(digest.trim_end(), "sha256:00"), "legacy_key"),
        ("one key twice", format!("{good}{}", good[callers..].replace("crm", "b")), "legacy_key"),
        ("a key file that is missing", good.replace(&key, "no-such-file"), "upstream_key"),
        ("a key file that cannot be read", good.replace(&key, &a_folder), "upstream_key"),
        ("a certificate that is none", good.replacen("[admin]", tls, 1), "server.tls"),
    ] {
        let file = folder.file("bad.toml", &bad);
        for command in ["serve", "check"] {
            let output = run(&[command, "--config", &file], b"");
            assert_eq!(output.status.code(), Some(78), "{name}: {}", stderr(&output));
            assert_eq!(stdout(&output), "", "{name}");
            let text = stderr(&output);
            assert_eq!(text.lines().count(), 1, "{name}: {text}");
            let rest = text.strip_prefix(&format!("{file}:"));
            let rest = rest.unwrap_or_else(|| panic!("{name}: {text}"));
            let (line, what) = rest.split_once(": ").unwrap();
            assert!(line.parse::<u32>().is_ok(), "{name}: {text}");
            let field = what.split_once(": ").unwrap_or_default().0;
            assert!(field.contains(told), "{name}: a field and what is wrong: {text}");
            assert!(!text.contains(&address.to_string()), "{name}: no value: {text}");
        }
    }
}

#[test]
fn k07_a_missing_file_is_a_bad_configuration() {
    let output = run(&["serve", "--config", "there/is/none.toml"], b"");
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).starts_with("there/is/none.toml:"), "{}", stderr(&output));
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let folder = Folder::new("taken_port");
    let taken = TcpListener::bind(any()).unwrap();
    let address = taken.local_addr().unwrap();
    for (field, listen, admin) in
        [("server.listen", address, any()), ("admin.listen", any(), address)]
    {
        let file = configuration(&folder, listen, admin, "http://127.0.0.1:9");
        let output = run(&["serve", "--config", &file], b"");
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let text = stderr(&output);
        let line = text.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(line.contains(&address.to_string()), "{text}");
        assert!(line.contains(field) && line.contains(&file), "{text}");
    }
}

#[test]
fn the_gateway_serves_survives_a_hangup_and_drains() {
    let folder = Folder::new("serves");
    let (_vendor, vendor) = vendor();
    let file = configuration(&folder, any(), any(), &vendor);
    let mut running = Running::start(&["serve", "--config", &file]);
    let gateway = listening(&running);
    let answer = get(&gateway, LIST, "legacy-demo-key");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body, get(&vendor, LIST, "legacy-demo-key").body);

    running.signal("HUP");
    running.stderr_until(|line| line.contains("configuration is in force"));
    assert!(running.goes_on());

    running.signal("TERM");
    assert_eq!(running.code().code(), Some(0));
    let log = running.rest_of_stderr();
    assert!(!log.contains("demo-key"), "no key in the log: {log}");
    assert_eq!(running.rest_of_stdout(), "");
}

#[test]
fn k04_a_second_signal_ends_a_drain_that_waits() {
    let folder = Folder::new("second_signal");
    let vendor = Running::start(&["simulate", "--listen", "127.0.0.1:0", "--stall"]);
    let text = vendor.stdout_until(|line| line.contains("_simulator/stats")).join("\n");
    let file = configuration(&folder, any(), any(), &base_after(&text, "is at "));
    let mut running = Running::start(&["serve", "--config", &file]);
    let gateway = listening(&running);
    // A request that is never answered keeps the drain waiting.
    let asking = std::thread::spawn(move || {
        std::panic::catch_unwind(|| get(&gateway, LIST, "legacy-demo-key").status)
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    running.signal("TERM");
    running.stderr_until(|line| line.contains("draining"));
    assert!(running.goes_on());
    running.signal("INT");
    assert_eq!(running.code().code(), Some(0));
    assert!(running.rest_of_stderr().contains("second signal"));
    let _ = asking.join();
}

#[test]
fn the_log_format_of_the_command_line_wins() {
    let folder = Folder::new("log_format");
    let file = configuration(&folder, any(), any(), "http://127.0.0.1:9");
    let running = Running::start(&["serve", "--config", &file, "--log-format", "human"]);
    let lines = running.stderr_until(|line| line.contains("listening"));
    let line = lines.last().unwrap();
    assert!(!line.starts_with('{') && !line.contains('\u{1b}'), "{line}");
}

#[test]
fn a_filter_that_cannot_be_read_ends_the_start_instead_of_muting_the_log() {
    let folder = Folder::new("log_filter");
    let file = configuration(&folder, any(), any(), "http://127.0.0.1:9");
    for (name, filter, what) in [
        ("TIELINE_LOG", "verbose", "part 1 is not a level"),
        ("RUST_LOG", "info,inof", "part 2 is not a level"),
        ("RUST_LOG", "gateway[request]=debug", "part 1 is a filter by span or field"),
    ] {
        let mut command = crate::common::tieline(&["serve", "--config", &file]);
        command.env(name, filter);
        let mut running = Running::spawn(command);
        assert_eq!(running.code().code(), Some(1), "{name}={filter}");
        let said = running.rest_of_stderr();
        assert!(said.starts_with(&format!("error: {name}: {what}")), "{said}");
        assert!(said.trim_end().ends_with("or a list such as info,gateway=debug"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_check_reports_on_standard_output() {
    let folder = Folder::new("check");
    let (mut vendor_process, vendor) = vendor();
    let file = configuration(&folder, any(), any(), &vendor);
    let output = run(&["check", "--config", &file], b"");
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("crm"), "{}", stdout(&output));
    vendor_process.signal("TERM");
    vendor_process.code();
    let output = run(&["check", "--config", &file], b"");
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stdout(&output).contains("crm"), "{}", stdout(&output));
}
