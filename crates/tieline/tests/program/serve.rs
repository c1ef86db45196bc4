//! `tieline serve` and `tieline check` as processes.
#![allow(clippy::unwrap_used, reason = "test helpers")]

use std::net::TcpListener;

use crate::common::process::{Gateway, Process};
use crate::common::{configuration, configured, gateway, run, stderr, stdout, tieline, vendor};
use tests::folder::Folder;
use tests::plain::{ask, bearer, get, request, say};
use tests::{Answer, LEGACY_KEY, V1_USERS, V4_KEY};

const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn k07_a_bad_start_is_one_line_and_code_78_and_no_port_is_opened() {
    let folder = Folder::new();
    // Were a port bound first, this one would be the complaint.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.file("v4.key", V4_KEY);
    let good = configured("", NOWHERE, "", "").replace("127.0.0.1:0", &address);
    let callers = good.find("[[caller]]").unwrap();
    let a_folder = folder.name("");
    let tls = "tls = { cert = \"v4.key\", key = \"v4.key\" }\n[admin]";
    let digest = settings::key_digest(LEGACY_KEY);
    for (name, bad, told) in [
        ("no TOML", good.replacen("[admin]", "[admin", 1), "syntax"),
        ("an unknown field", good.replacen("[admin]", "odd = 1\n[admin]", 1), "odd"),
        ("no caller", good[..callers].to_owned(), "caller"),
        ("no key map", good.replace(&digest, "sha256:00"), "legacy_key"),
        ("one key twice", format!("{good}{}", good[callers..].replace("crm", "b")), "legacy_key"),
        ("a key file that is missing", good.replace("v4.key", "no-such-file"), "upstream_key"),
        ("a key file that cannot be read", good.replace("v4.key", &a_folder), "upstream_key"),
        ("a certificate that is none", good.replacen("[admin]", tls, 1), "server.tls"),
    ] {
        let file = folder.file("bad.toml", &bad);
        for command in ["serve", "check"] {
            let output = run(&[command, "--config", &file], b"");
            assert_eq!(output.status.code(), Some(78), "{name}: {}", stderr(&output));
            assert_eq!(stdout(&output), "", "{name}");
            let text = stderr(&output);
            // A start is read in a log, a check by a person.
            let is_start = command == "serve";
            assert!(text.lines().count() == 1 || !is_start, "{name}: {text}");
            let rest = text.strip_prefix(&format!("{file}:"));
            let rest = rest.unwrap_or_else(|| panic!("{name}: {text}"));
            let (line, what) = rest.lines().next().unwrap().split_once(": ").unwrap();
            let line = line.split_once(':').filter(|_| !is_start).map_or(line, |(line, _)| line);
            assert!(line.parse::<u32>().is_ok(), "{name}: {text}");
            let field = what.split_once(": ").unwrap_or_default().0;
            assert!(field.contains(told), "{name}: a field and what is wrong: {text}");
            assert!(!text.contains(&address), "{name}: no value: {text}");
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
    let folder = Folder::new();
    folder.file("v4.key", V4_KEY);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (field, table) in [("server.listen", "[server]"), ("admin.listen", "[admin]")] {
        let free = format!("{table}\nlisten = \"127.0.0.1:0\"");
        let text = configured("", NOWHERE, "", "");
        let text = text.replace(&free, &free.replace("127.0.0.1:0", &address));
        let file = folder.file("tieline.toml", text);
        let output = run(&["serve", "--config", &file], b"");
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let text = stderr(&output);
        let line = text.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(line.contains(&address), "{text}");
        assert!(line.contains(field) && line.contains(&file), "{text}");
    }
}

#[test]
fn the_gateway_serves_survives_a_hangup_and_drains() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--users 120");
    let gateway = Gateway::start(&configuration(&folder, "", &vendor, ""));
    let answer = ask(gateway.address, V1_USERS);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.body, ask(&vendor, V1_USERS).body);

    let running = gateway.process;
    running.signal("HUP");
    running.stderr_until(|line| line.contains("configuration is in force"));
    assert!(running.goes_on());

    assert_eq!(running.stop().code(), Some(0));
    let log = running.rest_of_stderr();
    assert!(!log.contains("demo-key"), "no key in the log: {log}");
    assert_eq!(running.rest_of_stdout(), "");
}

#[test]
fn k04_a_second_signal_ends_a_drain_that_waits() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--stall");
    let Gateway { process: running, address, .. } =
        Gateway::start(&configuration(&folder, "", &vendor, ""));
    // A request that is never answered keeps the drain waiting.
    let asking =
        std::thread::spawn(move || std::panic::catch_unwind(|| ask(address, V1_USERS).status));
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
fn a_page_that_fails_for_good_is_named_in_the_log_and_searched_once_an_hour() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--fail 500@99");
    folder.file("v4.key", V4_KEY);
    let text = configured("", &vendor, "attempts_max = 1", "explain = true");
    let gateway = Gateway::start(&folder.file("t.toml", text));
    let headers = format!("{}x-tieline-explain: 1\r\n", bearer(LEGACY_KEY));
    let request = request(&format!("GET {V1_USERS}"), &headers);
    for _ in 0..3 {
        let answer = String::from_utf8(say(gateway.address, &request)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        assert!(answer.ends_with("{\"error\":\"Upstream gave no usable answer\"}"), "{answer}");
        assert!(answer.contains("\"failed_page\":{\"offset\":99,\"rows\":100}"), "{answer}");
    }
    let is_named = |line: &str| line.contains("a page of the list could not be read");
    let named = gateway.process.stderr_until(is_named);
    let named: serde_json::Value = serde_json::from_str(named.last().unwrap()).unwrap();
    assert_eq!((&named["offset"], &named["rows"]), (&99.into(), &1.into()), "{named}");
    assert_eq!((&named["upstream"], &named["err"]), (&"ams".into(), &"upstream_5xx".into()));
    assert_eq!(gateway.process.stop().code(), Some(0));
    let log = String::from_utf8(gateway.process.stderr()).unwrap();
    assert_eq!(log.lines().filter(|line| is_named(line)).count(), 1, "{log}");
    let told = log.lines().filter(|line| line.contains("\"answered\""));
    let told: Vec<_> = told.filter(|line| line.contains("\"failed_offset\":99")).collect();
    assert_eq!(told.len(), 3, "{log}");
}

#[test]
fn lines_about_a_request_bear_its_id_and_go_by_the_filter() {
    let folder = Folder::new();
    let (_vendor, vendor) = vendor("--fail 500@0");
    folder.file("v4.key", V4_KEY);
    let file = folder.file("t.toml", configured("", &vendor, "attempts_max = 1", ""));
    for (filter, has_access_line) in [
        ("info", true),
        ("info,gateway::layers::trace=off", false),
        // Of requests, warnings alone.
        ("warn,gateway=info,gateway::edge=warn,gateway::layers=warn", false),
    ] {
        let gateway = Gateway::start_with(&file, "json", &[("TIELINE_LOG", filter)]);
        let answer = ask(gateway.address, V1_USERS);
        assert_eq!(answer.verdict(), "502 upstream_5xx", "{filter}");
        assert_eq!(gateway.process.stop().code(), Some(0));
        let log = String::from_utf8(gateway.process.stderr()).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<serde_json::Value> = lines.collect();
        let ids = |message: &str| -> Vec<&str> {
            let told = lines.iter().filter(|line| line["message"] == message);
            told.map(|line| line["request_id"].as_str().unwrap_or("none")).collect()
        };
        let id = answer.header("x-request-id");
        assert_eq!(ids("request failed"), [&id], "{filter}: {log}");
        assert_eq!(ids("listening"), ["none"], "{filter}: {log}");
        let answered: &[&String] = if has_access_line { &[&id] } else { &[] };
        assert_eq!(ids("answered"), answered, "{filter}: {log}");
    }
}

#[test]
fn the_log_format_of_the_command_line_wins() {
    let folder = Folder::new();
    let file = configuration(&folder, "", NOWHERE, "");
    let running = Process::start(&["serve", "--config", &file, "--log-format", "human"]);
    let lines = running.stderr_until(|line| line.contains("listening"));
    let line = lines.last().unwrap();
    assert!(!line.starts_with('{') && !line.contains('\u{1b}'), "{line}");
}

#[test]
fn a_filter_that_cannot_be_read_ends_the_start_instead_of_muting_the_log() {
    let folder = Folder::new();
    let file = configuration(&folder, "", NOWHERE, "");
    for (name, filter, what) in [
        ("TIELINE_LOG", "verbose", "part 1 is not a level"),
        ("TIELINE_LOG", "WARNING", "part 1 is not a level"),
        ("TIELINE_LOG", "\"debug \"", "part 1 is not a level"),
        ("TIELINE_LOG", "sqlx=warn", "names no module of this program"),
        ("RUST_LOG", "info,inof", "part 2 is not a level"),
        ("RUST_LOG", "gateway[request]=debug", "part 1 is a filter by span or field"),
    ] {
        let mut command = tieline(&["serve", "--config", &file]);
        command.env(name, filter);
        let running = Process::spawn(command);
        assert_eq!(running.code().code(), Some(1), "{name}={filter}");
        let said = running.rest_of_stderr();
        assert!(said.starts_with(&format!("error: {name}: {what}")), "{said}");
        assert!(said.trim_end().ends_with("or a list such as info,gateway=debug"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_log_filter_for_another_program_changes_nothing_and_causes_a_warning() {
    let folder = Folder::new();
    let file = configuration(&folder, "", NOWHERE, "");
    let gateway = Gateway::start_with(&file, "json", &[("RUST_LOG", "sqlx=warn")]);
    assert!(
        gateway.start.contains("RUST_LOG names no module of this program"),
        "{}",
        gateway.start
    );
    assert_eq!(gateway.process.stop().code(), Some(0));
}

#[test]
fn a_check_reports_on_standard_output() {
    let folder = Folder::new();
    let (vendor_process, vendor) = vendor("--users 120");
    let file = configuration(&folder, "", &vendor, "");
    let output = run(&["check", "--config", &file], b"");
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("crm"), "{}", stdout(&output));
    vendor_process.stop();
    let output = run(&["check", "--config", &file], b"");
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stdout(&output).contains("crm"), "{}", stdout(&output));
}

#[test]
fn d22_strangers_do_not_fill_the_log() {
    let folder = Folder::new();
    let log = "[log]\nrefused_per_minute_max = 3";
    let gateway = gateway(&folder, "", NOWHERE, log);
    let strangers = [String::new(), bearer("nobody"), bearer("a") + &bearer("b")];
    for number in 0..30 {
        let asked = request(&format!("GET {V1_USERS}"), &strangers[number % 3]);
        let status = Answer::heard(say(gateway.address, asked)).status;
        assert!(status == 401 || status == 400, "{status}");
    }
    assert_eq!(ask(gateway.address, "/nowhere").status, 404);
    assert!(gateway.process.stop().success());
    let lines = gateway.process.rest_of_stderr();
    let lines: Vec<&str> = lines.lines().filter(|line| line.contains("answered")).collect();
    let refused = lines.iter().filter(|line| line.contains("_credential")).count();
    assert_eq!((refused, lines.len()), (3, 4), "{lines:?}");
}

#[test]
fn d26_the_log_names_the_client_of_a_wrong_key_as_it_is_told_to() {
    let folder = Folder::new();
    let named = |mode: &str| {
        let gateway =
            gateway(&folder, "", NOWHERE, &format!("[log]\nrefused_address = \"{mode}\""));
        for key in ["wrong", "another"] {
            assert_eq!(get(gateway.address, V1_USERS, key).status, 401);
        }
        assert_eq!(ask(gateway.address, "/nowhere").status, 404);
        assert!(gateway.process.stop().success());
        let lines = gateway.process.rest_of_stderr();
        let lines = lines.lines().filter(|line| line.contains("\"answered\""));
        let client = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["client"].as_str().map(str::to_owned)
        };
        let [one, two, known] = lines.map(client).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((&one, known), (&two, None), "one client, and only without a good key");
        one
    };
    assert_eq!(named("off"), None);
    assert_eq!(named("full").as_deref(), Some("127.0.0.1"));
    let [one, other] = ["hash", "hash"].map(|mode| named(mode).unwrap());
    let is_hash = |name: &str| name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(is_hash(&one) && is_hash(&other), "{one} {other}");
    assert_ne!(one, other, "each process has a key of its own");
}
