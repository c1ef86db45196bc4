//! The report for programs says what the report for people says, and lines on the way are plain.
#![expect(clippy::unwrap_used, reason = "a test may")]

use serde_json::{Value, json};
use tests::{CLIENT, LEGACY_KEY, V4_KEY, config};

use super::World;
use crate::common::{stderr, stdout, tieline};

/// Exit code, report and standard error.
fn checked(world: &World, key: &str, caller: &str, more: &[&str]) -> (i32, String, String) {
    let upstream = match world.is_vonage {
        true => config::vonage("up", &world.base, ""),
        false => config::voiso("up", &world.base, ""),
    };
    let text = format!(
        "[[caller]]\nname = \"crm\"\nlegacy_key = {{ env = \"CHECK_LEGACY\" }}\nupstream = \"up\"\n\
         upstream_key = {{ env = \"CHECK_KEY\" }}\n{caller}\n{upstream}"
    );
    let file = world.folder.file("tieline.toml", text);
    let mut command = tieline(&[&["check", "--config", &file][..], more].concat());
    let output = command.envs([("CHECK_KEY", key), ("CHECK_LEGACY", LEGACY_KEY)]).output().unwrap();
    (output.status.code().unwrap(), stdout(&output), stderr(&output))
}

fn report(world: &World, key: &str, caller: &str) -> (i32, Value) {
    let (code, out, _) = checked(world, key, caller, &["--format", "json"]);
    assert!(!out.contains(key), "{out}");
    (code, serde_json::from_str(&out).unwrap())
}

#[test]
fn one_object_has_the_counts_of_the_text_and_the_exit_code_is_the_same() {
    for (world, key) in
        [(World::voiso("--users 300"), V4_KEY), (World::vonage("--users 300"), CLIENT)]
    {
        let (code, text, _) = checked(&world, key, "sees = \"everything\"", &[]);
        let (same_code, found) = report(&world, key, "sees = \"everything\"");
        assert_eq!((code, same_code), (0, 0), "{text}");
        assert_eq!(found["ok"], true);
        let caller = &found["callers"][0];
        let facts = [&caller["name"], &caller["upstream"], &caller["key"], &caller["failures"]];
        assert_eq!(json!(facts), json!(["crm", "up", "accepted", []]), "{found:#}");
        let users = &caller["users"];
        let line = format!(
            "users         {} visible, {} hidden by sees, {} deleted",
            users["visible"], users["hidden"], users["deleted"]
        );
        assert!(text.contains(&line), "{line}: {text}");
        assert!(
            text.contains(&format!("a full list   {} calls", caller["list"]["calls"])),
            "{text}"
        );
        assert!(users["visible"].as_u64().unwrap() > 200, "{found:#}");
    }
}

#[test]
fn what_fails_is_in_a_list_with_its_reason() {
    let world = World::voiso("--users 30");
    let (code, found) = report(&world, "wrong-canary-key", "sees = \"everything\"");
    assert_eq!((code, &found["ok"]), (1, &json!(false)), "{found:#}");
    let caller = &found["callers"][0];
    assert_eq!((&caller["ok"], &caller["key"]), (&json!(false), &json!("refused")), "{found:#}");
    assert_eq!(caller["failures"][0]["of"], "list", "{found:#}");
    assert!(caller["failures"][0]["why"].as_str().unwrap().len() > 5, "{found:#}");
    let (code, found) = report(&world, V4_KEY, "sees = { teams = [424242] }");
    assert_eq!((code, &found["callers"][0]["failures"][0]["of"]), (1, &json!("sees")), "{found:#}");
}

#[test]
fn windows_in_which_endpoints_answer_with_an_error_are_announced() {
    let world = World::voiso("--users 30");
    let windows = "sees = \"everything\"\n[[brownout]]\nstart = 2001-01-01T00:00:00Z\nend = 2001-01-01T01:00:00Z\n\
                   [[brownout]]\ncaller = \"crm\"\nstart = 9998-01-01T00:00:00Z\nend = 9998-01-01T01:00:00Z";
    let (code, text, _) = checked(&world, V4_KEY, windows, &[]);
    let told = "brownouts: 2, on now: 0; next at 9998-01-01T00:00:00Z: every translated endpoint for crm until \
                9998-01-01T01:00:00Z\nok\n";
    assert!(code == 0 && text.ends_with(told), "{code} {text}");
    let (_, found) = report(&world, V4_KEY, windows);
    let next = json!({"endpoint": null, "caller": "crm", "start": "9998-01-01T00:00:00Z", "end": "9998-01-01T01:00:00Z"});
    assert_eq!(found["brownouts"], json!({"windows": 2, "on": 0, "next": [next]}), "{found:#}");
    let (_, found) = report(&world, V4_KEY, "sees = \"everything\"");
    assert_eq!(found["brownouts"], Value::Null, "{found:#}");
}

#[test]
fn progress_is_plain_lines_on_standard_error_where_it_is_wanted() {
    let world = World::voiso("--users 30");
    let (_, out, err) = checked(&world, V4_KEY, "sees = \"everything\"", &["--progress"]);
    assert!(err.contains("caller crm (1 of 1): reading upstream up\n"), "{err}");
    assert!(err.chars().all(|c| c == '\n' || !c.is_control()), "{err:?}");
    assert!(out.ends_with("\nok\n") && !out.contains("reading upstream"), "{out}");
    let (_, _, err) = checked(&world, V4_KEY, "sees = \"everything\"", &[]);
    assert!(!err.contains("reading upstream"), "not on a terminal, and not wanted: {err}");
}
