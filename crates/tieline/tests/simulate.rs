//! `tieline simulate` as a process.

mod common;

use common::{Running, base_after, get, run, stderr};

fn base(running: &Running) -> String {
    base_after(&running.stdout_until(|line| line.contains("_simulator/stats")).join("\n"), "is at ")
}

#[test]
fn the_pretend_vendor_answers_on_both_faces_and_ends_with_code_0() {
    let mut running = Running::start(&[
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--users",
        "7",
        "--v4-key",
        "a",
        "--v4-key",
        "b",
        "--legacy-key",
        "c",
    ]);
    let base = base(&running);
    for key in ["a", "b"] {
        let answer = get(&base, "/api/v4/users", key);
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("\"total\":7"), "{}", answer.body);
    }
    assert_eq!(get(&base, "/api/v4/users", "v4-demo-key").status, 401, "no default beside a flag");
    assert_eq!(get(&base, "/api/user_management/v1/users", "c").status, 200);
    assert_eq!(get(&base, "/api/v4/teams", "a").status, 404);
    running.signal("TERM");
    assert_eq!(running.code().code(), Some(0));
}

#[test]
fn flags_reach_the_pretend_vendor() {
    let running = Running::start(&[
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--fail",
        "429@0x1,2",
        "--total-delta",
        "-50",
        "--teams-list",
        "--churn-every",
        "5",
        "--order",
        "name",
        "--latency",
        "1ms",
    ]);
    let base = base(&running);
    assert_eq!(get(&base, "/api/v4/users", "v4-demo-key").status, 429);
    let answer = get(&base, "/api/v4/users", "v4-demo-key");
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("\"total\":200"), "{}", answer.body);
    assert_eq!(get(&base, "/api/v4/teams", "v4-demo-key").status, 200);
}

#[test]
fn a_taken_port_names_the_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["simulate", "--listen", &address], b"");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(&address) && text.contains("--listen"), "{text}");
}

#[test]
fn the_other_vendor_is_not_there_yet() {
    let output = run(&["simulate", "--dialect", "vonage-v4"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not available in this version"));
}
