//! What a side says that it should not: keys it was asked with, people in places where nobody is
//! looked for. None of it is in anything that a validation writes. And reports that are no longer true
//! are gone.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::sync::{Arc, OnceLock};

use super::sides::{Asked, Reply, Sides, assert_code, only_line};
use crate::common::{run, stderr, stdout};
use serde_json::{Value, json};
use tests::{LEGACY_KEY, V4_KEY};

const ADDRESS: &str = "jane.roe@people.example";

/// A legacy side that repeats keys and shows people wherever it can.
fn talkative(_: &simulator::Simulator, asked: &Asked, mut reply: Reply) -> Reply {
    if reply.status != 200 {
        let text = format!("no such key: {LEGACY_KEY}, {V4_KEY}, {ADDRESS}");
        reply = Reply::json(401, &json!({ "error": text, LEGACY_KEY: ADDRESS }));
        reply.headers.push(("www-authenticate", format!("Bearer realm=\"{LEGACY_KEY}\"")));
        return reply;
    }
    if asked.filter("name").is_some() {
        reply.headers.push(("location", format!("/{ADDRESS}/legacy%2Ddemo%2dkey?key={V4_KEY}")));
        reply.headers.push(("www-authenticate", LEGACY_KEY.to_uppercase()));
        return reply;
    }
    if !asked.path.contains("/user_management/v1/") {
        return reply;
    }
    let reply = reply.each(|user| {
        let id = user["id"].as_u64().unwrap();
        user["sag"] = match id % 3 {
            0 => user["email"].clone(),
            1 => user["name"].clone(),
            _ => LEGACY_KEY.into(),
        };
        user["timezone"] = user["caller_id"].clone();
        user["assigned_skills"] = json!([{ "name": user["email"], "value": id }]);
        user[ADDRESS] = 1.into();
        user["legacy%2ddemo-key"] = V4_KEY.into();
    });
    let users: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let owner = json!({ "total": 1, "page": ADDRESS, "id": ADDRESS, "key": LEGACY_KEY });
    let whole = json!({ "users": users, "metadata": owner, "sag": ADDRESS, ADDRESS: LEGACY_KEY });
    Reply::json(200, &whole)
}

#[test]
fn keys_and_persons_that_a_side_repeats_are_written_nowhere() {
    let sides = Sides::changed(60, talkative);
    // The memory of a run that did not come to its end.
    assert_code(&sides.validate(&["--requests-max", "60"]), 1);
    let memory = sides.written("progress.jsonl");
    assert!(memory.lines().count() > 20, "{}", memory.lines().count());
    let output = sides.validate(&[]);
    assert_code(&output, 1);
    assert!(sides.report().findings.len() > 10);
    let mut texts = vec![
        ("stdout".to_owned(), stdout(&output)),
        ("stderr".to_owned(), stderr(&output)),
        ("progress.jsonl".to_owned(), memory),
    ];
    for name in ["report.html", "report.json", "report.junit.xml"] {
        let text = sides.written(name);
        assert!(text.len() > 1_000, "{name}");
        texts.push((name.to_owned(), text));
    }
    let people: Vec<Value> = sides.simulator().legacy_users(&[]);
    let addresses = people.iter().filter_map(|user| user["email"].as_str());
    let numbers = people.iter().filter_map(|user| user["caller_id"].as_str());
    let is_number = |text: &&str| text.len() > 6 && text.bytes().all(|b| b.is_ascii_digit());
    // Settings that are suggested name numbers and groups: that is what somebody pastes.
    let told = serde_json::to_string(&sides.report().findings).unwrap();
    assert_eq!(numbers.filter(is_number).find(|number| told.contains(number)), None);
    let persons: Vec<&str> = addresses.collect();
    assert!(persons.len() > 30);
    for (name, text) in &texts {
        let text = text.to_lowercase();
        for hidden in ["demo-key", "demo%2dkey", "&#45;key", ADDRESS, "jane.roe"] {
            assert!(!text.contains(hidden), "{name}: {hidden}");
        }
        for person in &persons {
            assert!(!text.contains(&person.to_lowercase()), "{name}: {person}");
        }
    }
    let html = &texts[2].1;
    assert!(html.contains("Bearer #") && html.contains("(key)"), "what is left says enough");
}

#[test]
fn the_error_of_a_run_that_cannot_begin_holds_no_key() {
    let sides = Sides::changed(30, |_, _, _| {
        Reply::json(403, &json!({ "error": format!("refused: {LEGACY_KEY}") }))
    });
    let line = only_line(&sides.validate(&[]), 1);
    assert!(line.contains("refuses its key") && !line.contains("demo"), "{line}");
}

#[test]
fn a_run_that_cannot_begin_leaves_no_report_of_another() {
    let good = Sides::new(30);
    let page = "<!doctype html><title>Sign in</title>";
    let bad = Sides::changed(30, move |_, _, _| Reply::new(200, "text/html", page));
    assert_code(&good.validate(&[]), 0);
    let file = |name: &str| good.folder.path("report").join(name);
    let names = ["report.html", "report.json", "report.junit.xml"];
    assert!(names.iter().all(|name| file(name).exists()));
    only_line(&run(&good.validation(&good.config, &bad.base), b""), 1);
    assert!(!names.iter().any(|name| file(name).exists()));
    assert!(file("progress.jsonl").exists(), "a run may be taken up again all the same");
    // Neither does one whose configuration is wrong.
    assert_code(&good.validate(&[]), 0);
    let wrong = good.folder.file("wrong.toml", "[server]\nlisten = 1\n");
    assert_code(&good.validate_with(&wrong, &[]), 78);
    assert!(!names.iter().any(|name| file(name).exists()));
}

#[test]
fn an_unwritable_report_does_not_hide_the_verdict() {
    let place = Arc::new(OnceLock::new());
    let of_sides = Arc::clone(&place);
    let sides = Sides::changed(30, move |_, _, reply| {
        // A file cannot take the place of a folder with something in it.
        std::fs::create_dir_all(of_sides.wait()).unwrap();
        reply
    });
    place.set(sides.folder.path("report/report.json/x")).unwrap();
    let output = sides.validate(&[]);
    assert_code(&output, 1);
    let out = stdout(&output);
    assert!(out.starts_with("YOU MAY SWITCH"), "{out}");
    assert!(out.contains("report.html") && out.contains("report.junit.xml"), "{out}");
    assert!(!out.contains("report.json"), "{out}");
    assert!(stderr(&output).contains("cannot write"), "{}", stderr(&output));
    for entry in std::fs::read_dir(&sides.out).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".part"), "{name}");
    }
}

#[test]
fn a_memory_with_bytes_that_are_no_text_is_taken_up_all_the_same() {
    let sides = Sides::new(30);
    assert_code(&sides.validate(&[]), 0);
    let whole = sides.asked().len();
    assert_code(&sides.validate(&["--requests-max", "60"]), 1);
    let memory = sides.folder.path("report").join("progress.jsonl");
    let mut bytes = std::fs::read(&memory).unwrap();
    let end = bytes.len();
    bytes.splice(end..end, *b"{\"of\":\"\xff\xfe\"}\n\xc3");
    std::fs::write(&memory, bytes).unwrap();
    let before = sides.asked().len();
    assert_code(&sides.validate(&["--resume"]), 0);
    // But for the whole lists, of which all else is made.
    let again = sides.asked().len() - before + 60 - whole;
    assert!(again <= 6, "{again} questions were asked again");
}
