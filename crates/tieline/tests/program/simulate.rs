//! `tieline simulate` as a process.

use crate::common::process::Process;
use crate::common::{base_after, run, shell, stderr, stdout, vendor, words};
use tests::plain::get;
use tests::{V1_USERS, V4_KEY};

#[test]
fn the_pretend_vendor_answers_on_both_faces_and_ends_with_code_0() {
    let (running, base) = vendor("--users 7 --v4-key a --v4-key b --legacy-key c");
    for key in ["a", "b"] {
        let answer = get(&base, "/api/v4/users", key);
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("\"total\":7"), "{}", answer.text());
    }
    assert_eq!(get(&base, "/api/v4/users", V4_KEY).status, 401, "no default beside a flag");
    assert_eq!(get(&base, V1_USERS, "c").status, 200);
    assert_eq!(get(&base, "/api/v4/teams", "a").status, 404);
    assert_eq!(running.stop().code(), Some(0));
}

#[test]
fn flags_reach_the_pretend_vendor() {
    let (_running, base) = vendor(
        "--fail 429@0x1,2 --total-delta -50 --teams-list --teams-at alone --churn-every 5 --order name \
         --latency 1ms",
    );
    assert_eq!(get(&base, "/api/v4/users", V4_KEY).status, 429);
    let answer = get(&base, "/api/v4/users", V4_KEY);
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("\"total\":200"), "{}", answer.text());
    for (path, status) in [("/api/v4/teams", 200), ("/api/v4/users/teams", 404)] {
        assert_eq!(get(&base, path, V4_KEY).status, status, "{path}");
    }
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
fn the_lines_of_the_other_vendor_work_as_printed() {
    let running = Process::start(&words(
        "simulate --listen 127.0.0.1:0 --dialect vonage-v4 --users 7 --client it's:me --client b:c \
         --page-limit-max 5 --token-lifetime 90s --no-skills-list --expire-tokens-after 2",
    ));
    let lines = running.stdout_until(|line| line.contains("_simulator/stats"));
    let base = base_after(&lines.join("\n"), "is at ");
    let curls: Vec<&String> = lines.iter().filter(|line| line.starts_with("curl ")).collect();
    let answers: Vec<String> = curls.iter().map(|line| stdout(&shell(line))).collect();
    let [token, users, legacy, stats] = &answers[..] else { panic!("{lines:#?}") };
    assert!(token.contains("\"token_type\":\"bearer\""), "{token}");
    assert!(token.contains("\"expires_in\":90}"), "{token}");
    assert!(users.starts_with("{\"users\":[{\"userId\":"), "{users}");
    let meta = "\"meta\":{\"page\":1,\"count\":5,\"pageCount\":2,\"totalCount\":7}}";
    assert!(users.trim_end().ends_with(meta), "{users}");
    assert!(legacy.starts_with("[{\"id\":10001,"), "{legacy}");
    assert!(stats.contains("\"token_requests\":1"), "{stats}");
    assert!(stats.contains("\"users_pages\":1"), "{stats}");

    let token = token.split('"').nth(7).unwrap();
    assert_eq!(get(&base, "/useradmin/skills", token).status, 404);
    assert_eq!(get(&base, "/useradmin/users?limit=6", token).status, 400);
    assert_eq!(get(&base, "/useradmin/users", token).status, 401, "all tokens died after two");
    assert_eq!(get(&base, "/api/v4/users", V4_KEY).status, 404, "the other vendor's");
}
