//! `tieline demo` as a process.

use std::process::Command;

use crate::common::process::Process;
use crate::common::{base_after, run, shell, stderr, stdout};
use tests::V1_USERS;
use tests::plain::{ask, get};

fn started(users: &str) -> (Process, String) {
    let arguments = ["demo", "--users", users, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let running = Process::start(&arguments);
    let text = running.stdout_until(|line| line.ends_with("/callers")).join("\n");
    (running, text)
}

#[test]
fn a_demo_answers_as_the_legacy_api_does_and_ends_with_code_0() {
    let (running, text) = started("250");
    let gateway = base_after(&text, "The gateway is at ");
    let vendor = base_after(&text, "a pretend vendor");
    let answer = ask(&gateway, V1_USERS);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.body, ask(&vendor, V1_USERS).body);
    assert_eq!(get(&gateway, V1_USERS, "wrong-key").status, 401);
    let admin = base_after(&text, "its admin page at ");
    assert_eq!(get(&admin, "/healthz", "").status, 200);
    assert_eq!(running.stop().code(), Some(0), "{}", running.rest_of_stderr());
    assert_eq!(running.rest_of_stdout().trim(), "");
}

#[test]
fn every_printed_line_works_in_a_shell() {
    if Command::new("curl").arg("--version").output().is_err() {
        // The lines can't be tried without the program they are for.
        return;
    }
    let (running, text) = started("250");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
    assert!(lines.len() >= 15, "{text}");
    let has = |word: &str| lines.iter().any(|line| line.contains(word));
    assert!(["/agents_status", "/sms/templates", "/click2call"].into_iter().all(has), "{text}");
    for line in &lines {
        let output = shell(line);
        let answer = stdout(&output);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{line}");
        if line.contains("wrong-key") {
            assert!(answer.starts_with("HTTP/1.1 401 "), "{line}: {answer}");
        } else if line.contains("No such group") {
            assert_eq!(answer.trim_end(), "[]", "{line}");
        } else if line.contains("click2call") {
            assert!(answer.starts_with("{\"call_id\":\""), "{line}: {answer}");
        } else {
            assert!(!answer.contains("\"error\""), "{line}: {answer}");
            assert!(answer.len() > 2, "{line}: {answer}");
        }
    }
    running.signal("INT");
    assert_eq!(running.code().code(), Some(0));
}

#[test]
fn a_demo_without_users_prints_its_lines_too() {
    let (_running, text) = started("0");
    assert!(text.lines().any(|line| line.starts_with("curl ")), "{text}");
    assert!(!text.contains("name="), "{text}");
    let gateway = base_after(&text, "The gateway is at ");
    assert_eq!(ask(&gateway, V1_USERS).body, "[]");
}

#[test]
fn a_taken_port_names_the_flag_to_change() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, other) in [("--listen", "--admin"), ("--admin", "--listen")] {
        let output = run(&["demo", flag, &address, other, "127.0.0.1:0"], b"");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stdout(&output), "");
        let text = stderr(&output);
        let line = text.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(line.contains(&address) && line.contains(flag), "{text}");
        assert!(!line.contains(other), "{text}");
    }
}
