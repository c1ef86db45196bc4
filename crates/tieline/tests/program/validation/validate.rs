//! `tieline validate` as somebody runs it and as a script reads it: verdict, exit code, reports, and
//! what it says when a side or the command line is not as it should be.

use std::net::TcpListener;

use super::sides::{FEW, KEY, Reply, Sides, assert_code, only_line};
use crate::common::process::{Gateway, Process};
use crate::common::{eventually, run, stderr, stdout, tieline};
use report::{Cause, Outcome, Verdict};
use serde_json::{Value, json};
use tests::config;

#[test]
fn the_verdict_comes_first_and_every_report_is_written() {
    let world = Sides::new(80);
    let output = world.validate(&[]);
    assert_code(&output, 0);
    let out = stdout(&output);
    // It goes as far as what was asked, which is little here.
    assert!(out.starts_with("YOU MAY SWITCH, AS FAR AS ASKED\n"), "{out}");
    for name in ["report.html", "report.json", "report.junit.xml"] {
        let file = world.folder.path("report").join(name);
        assert!(out.contains(file.to_str().unwrap()), "{name}: {out}");
        assert!(std::fs::metadata(&file).unwrap().len() > 1_000, "{name}");
    }
    let report = world.report();
    assert_eq!(report.verdict, Verdict::Agree, "{}", report.because);
    assert_eq!(report.totals.matched, report.totals.compared);
    assert_eq!(report.totals.control_requests, world.asked().len() as u64);
    assert_eq!(report.totals.control_requests_extra, 0);
    assert_eq!(report.control.unwrap().name, world.base);
    let repeated: Vec<_> = world.counts(0).into_iter().filter(|(_, n)| *n > 3).collect();
    assert!(repeated.is_empty(), "{repeated:?}");

    // Plain lines where standard error is no terminal, the last with everything in it.
    let err = stderr(&output);
    assert!(!err.contains(['\u{1b}', '\r']), "{err}");
    let all = report.totals.scenarios;
    let last = format!("{all} of {all} questions, 0 with unexplained differences, 0 undecided");
    assert_eq!(err.lines().last(), Some(last.as_str()));

    let html = world.written("report.html");
    assert!(html.starts_with("<!doctype html>") || html.starts_with("<!DOCTYPE html>"));
    assert!(html.trim_end().ends_with("</html>"));
    let junit = world.written("report.junit.xml");
    assert!(junit.starts_with("<?xml") && junit.trim_end().ends_with("</testsuites>"), "{junit}");
    assert!(junit.contains("failures=\"0\""), "{junit}");
}

/// A field and how it is changed.
type Planted = (&'static str, fn(&mut Value));

/// Every fifth id.
fn is_picked(user: &Value) -> bool {
    user["id"].as_u64().is_some_and(|id| id % 5 == 0)
}

/// A legacy side whose v1 list is changed for some users.
fn planted(change: fn(&mut Value)) -> Sides {
    Sides::changed(60, move |_, asked, reply| match asked.path.contains("/v1/") {
        true => reply.each(|user| {
            if is_picked(user) {
                change(user);
            }
        }),
        false => reply,
    })
}

#[test]
fn a_planted_difference_fails_with_the_endpoint_and_the_field() {
    let changes: [Planted; 4] = [
        ("extension", |user| user["extension"] = "1".into()),
        ("sag", |user| user["sag"] = "Nobody's group".into()),
        ("assigned_queues", |user| {
            let queues = user["assigned_queues"].as_str().unwrap();
            user["assigned_queues"] = format!("{queues}, Planted").into();
        }),
        ("email", |user| drop(user.as_object_mut().unwrap().remove("email"))),
    ];
    for (field, change) in changes {
        // Seen from here candidate is any server.
        let candidate = planted(change);
        let world = Sides::new(60);
        let output = world.validate(&["--candidate", &candidate.base]);
        assert_code(&output, 1);
        let out = stdout(&output);
        assert!(out.starts_with("DO NOT SWITCH"), "{field}: {out}");
        assert!(out.contains("v1_users") && out.contains(field), "{field}: {out}");
        let report = world.report();
        assert_eq!(report.verdict, Verdict::Differ);
        let bugs = report.fields.iter().filter(|one| one.causes.contains_key(&Cause::Bug));
        let bugs: Vec<_> = bugs.map(|one| (one.endpoint.as_str(), one.field.as_str())).collect();
        assert!(bugs.contains(&("v1_users", field)), "{bugs:?}");
        assert!(bugs.iter().all(|(endpoint, _)| *endpoint == "v1_users"), "{bugs:?}");
        let junit = world.written("report.junit.xml");
        assert!(junit.contains("<failure"), "{field}");
    }
}

#[test]
fn a_value_that_only_control_has_is_the_upstreams_data_and_named() {
    let world = planted(|user| user["extension"] = "1".into());
    let output = world.validate(&[]);
    // It concerns more than one percent of the users.
    assert_code(&output, 1);
    let report = world.report();
    let field = report.fields.iter().find(|one| !one.causes.is_empty()).unwrap();
    assert_eq!((field.endpoint.as_str(), field.field.as_str()), ("v1_users", "extension"));
    assert_eq!(field.causes.keys().collect::<Vec<_>>(), [&Cause::UpstreamData]);
    assert!(stdout(&output).contains("upstream data"));
}

#[test]
fn a_control_that_cannot_be_asked_is_one_clear_line() {
    let world = Sides::new(60);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = format!("http://{closed}");
    let wrong = ["--control-key", "wrong-key-of-nobody"];
    let base = &world.base;
    let config = &world.config;
    let start = ["validate", "--config", config, "--rate", "100000", "--report"];
    let none = world.folder.name("none");
    let start = [&start[..], &[&none]].concat();
    let refused = run(&[&start[..], &["--control", base], &wrong].concat(), b"");
    let line = only_line(&refused, 1);
    assert!(line.contains("the legacy API refuses its key") && line.contains("401"), "{line}");
    assert!(!line.contains("wrong-key"), "{line}");
    let silent = run(&[&start[..], &["--control", &nowhere], &wrong].concat(), b"");
    let line = only_line(&silent, 1);
    assert!(line.contains("the legacy API does not answer GET /api/user_management/"), "{line}");
    assert!(line.contains("no connection: nothing listens at its address"), "{line}");
    assert!(!world.folder.path("none/report.json").exists());
}

#[test]
fn a_control_that_is_a_web_page_is_no_agreement() {
    let page = "<!doctype html><html><title>Sign in</title><p>Welcome back</p></html>";
    let world = Sides::changed(60, move |_, _, _| Reply::new(200, "text/html", page));
    let line = only_line(&world.validate(&[]), 1);
    assert!(line.contains("the legacy API answers 200") && line.contains("web page"), "{line}");
    assert_eq!(world.asked().len(), 1);
    let other = Sides::new(60);
    let line = only_line(&other.validate(&["--candidate", &world.base]), 1);
    assert!(line.contains("Tieline answers 200") && line.contains("web page"), "{line}");
}

#[test]
fn a_control_that_is_busy_is_asked_again_and_one_that_is_broken_is_undecided() {
    let world = Sides::changed(60, |_, asked, mut reply| {
        // The first two in every ten.
        match asked.number % 10 {
            0 => reply.status = 429,
            1 => reply.status = 503,
            _ => return reply,
        }
        reply.headers.push(("retry-after", "0".to_owned()));
        reply
    });
    let output = world.validate(&["--endpoint", "v2_cdr_teams", "--endpoint", "v3_cdr_users"]);
    assert_code(&output, 0);
    assert_eq!(world.report().totals.matched, world.report().totals.compared);

    let world = Sides::changed(60, |_, asked, reply| match asked.filter("sag") {
        Some(value) if !value.is_empty() => Reply::json(500, &json!({ "error": "oops" })),
        _ => reply,
    });
    let output = world.validate(&[]);
    assert_code(&output, 1);
    let report = world.report();
    assert_eq!(report.verdict, Verdict::Undecided);
    assert!(report.totals.undecided > 0);
    let of_sag = |one: &&report::ScenarioReport| one.outcome == Outcome::Undecided;
    for scenario in report.scenarios.iter().filter(of_sag) {
        assert!(scenario.shape.contains("sag"), "{}", scenario.shape);
        assert!(scenario.undecided_because.as_ref().unwrap().contains("500"));
    }
    assert_eq!(report.totals.matched, report.totals.compared);
}

#[test]
fn a_wrong_command_line_is_one_line_that_says_which_flag_and_tells_no_secret() {
    let world = Sides::new(60);
    let (config, base) = (&world.config, &world.base);
    let host = base.strip_prefix("http://").unwrap();
    let spaced = world.folder.file("spaced", "sec ret-key-spaced\n");
    let lines = world.folder.file("lines", "secret-key\nof-two-lines\n");
    let empty = world.folder.file("empty", "\n");
    let file = |path: &str| format!("file:{path}");
    let controls = [
        format!("http://user:sesame-open@{host}"),
        format!("{base}?key=sesame-open"),
        format!("{base}#sesame-open"),
        "http://".to_owned(),
        "ftp://sesame-open/".to_owned(),
        "http://sesame open/".to_owned(),
        "user:sesame-open@legacy.example".to_owned(),
        "https:/user:sesame-open@legacy.example".to_owned(),
        "legacy.example/users?key=sesame-open".to_owned(),
    ];
    let start = ["validate", "--config", config];
    for control in &controls {
        let output = run(&[&start[..], &["--control", control], &KEY].concat(), b"");
        let line = only_line(&output, 2);
        assert!(line.contains("--control"), "{control}: {line}");
        assert!(!line.contains("sesame"), "{control}: {line}");
    }
    let (good, elsewhere) = (["--control", base], "http://127.0.0.1:1");
    let (spaced, lines, empty) = (file(&spaced), file(&lines), file(&empty));
    let (missing, env) = (file("/nowhere/at-all"), "env:TIELINE_TEST_IS_NOT_SET".to_owned());
    let cases: [(&[&str], &str); 21] = [
        (&["--endpoint", "v9_users"], "--endpoint: one of v1_users, v3_cdr_users"),
        (&["--ignore", "caller_id"], "--ignore"),
        (&["--ignore", "v9_users.caller_id"], "--ignore"),
        (&["--rate", "0"], "--rate: must be"),
        (&["--rate=-1"], "--rate: must be"),
        (&["--rate", "nan"], "--rate: must be"),
        (&["--rate", "inf"], "--rate: must be"),
        (&["--rate", "1e-300"], "--rate: must be"),
        (&["--control-key", &missing], "/nowhere/at-all cannot be read"),
        (&["--control-key", &env], "environment variable TIELINE_TEST_IS_NOT_SET is not set"),
        (&["--control-key", &spaced], "--control-key: the key "),
        (&["--control-key", &lines], "--control-key: the key "),
        (&["--control-key", &empty], "--control-key: the key "),
        (&["--control-key", "sec ret-key-typed"], "--control-key: the key "),
        (&["--control-key", ""], "--control-key: the key "),
        (&["--control-user-key", &spaced], "--control-user-key: the key "),
        (&["--control-ca", "/nowhere/ca.pem"], "--control-ca"),
        (&["--caller", "nobody"], "no caller \"nobody\""),
        (&["--candidate", "http://a:sesame@b"], "--candidate"),
        (&["--candidate", elsewhere, "--candidate-key", &spaced], "--candidate-key: the key "),
        (&["--report", "/dev/null/x"], "/dev/null/x"),
    ];
    for (more, said) in cases {
        let names: Vec<&str> = more.iter().filter(|one| one.starts_with("--")).copied().collect();
        let pairs = KEY.chunks(2).filter(|pair| !names.contains(&pair[0]));
        let keys: Vec<&str> = pairs.flatten().copied().filter(|one| !one.is_empty()).collect();
        let keys = if names.contains(&"--rate=-1") { &keys[..2] } else { &keys[..] };
        let output = run(&[&start[..], &good, keys, more].concat(), b"");
        // A folder that cannot be written is no mistake in what was typed.
        let line = only_line(&output, if more[0] == "--report" { 1 } else { 2 });
        assert!(line.contains(said), "{more:?}: {line}");
        assert!(!line.contains("ret-key") && !line.contains("sesame"), "{more:?}: {line}");
    }
    let line = only_line(&run(&[&start[..], &good].concat(), b""), 2);
    assert!(line.contains("--control-key env:NAME"), "{line}");
    assert!(world.asked().is_empty(), "control was asked: {:?}", world.asked());
}

#[test]
fn a_bad_configuration_is_78_and_several_callers_need_a_name() {
    let world = Sides::new(60);
    let bad = world.folder.file("bad.toml", "[server]\nlisten = \"nowhere\"\n");
    let line = only_line(&world.validate_with(&bad, &[]), 78);
    assert!(line.contains("bad.toml:2: server.listen"), "{line}");
    let missing = world.folder.name("missing.toml");
    let line = only_line(&world.validate_with(&missing, &[]), 78);
    assert!(line.contains("missing.toml"), "{line}");

    let callers = ["one", "two"].map(|name| {
        let legacy_key = config::digest(&format!("{name}-legacy-key"));
        config::caller(name, "ams", &legacy_key, &config::file("v4.key"), "")
    });
    let upstream = config::voiso("ams", &world.base, "");
    let two = world.folder.file("two.toml", config::ports("") + &upstream + &callers.concat());
    let line = only_line(&world.validate_with(&two, &[]), 2);
    assert!(line.contains("--caller NAME"), "{line}");
    let output = world.validate_with(&two, &["--caller", "two", "--endpoint", "v2_cdr_teams"]);
    assert_code(&output, 0);
    assert_eq!(world.report().candidate.name, "two");
}

#[test]
fn a_field_that_is_left_out_counts_as_ignored_and_never_as_matched() {
    let world = Sides::changed(60, |_, asked, reply| match asked.is_users() {
        true => reply.each(|user| user["caller_id"] = "A planted group".into()),
        false => reply,
    });
    let v1 = ["--endpoint", "v1_users"];
    // Filters by caller id are not what is tested here: control finds by what it does not show.
    let output = world.validate(&[&v1[..], &["--ignore", "v1_users.caller_id"]].concat());
    let report = world.report();
    let field = report.fields.iter().find(|one| one.field == "caller_id").unwrap();
    assert_eq!((field.compared, field.matched), (0, 0));
    assert!(field.ignored > 60, "{field:?}");
    assert_eq!(report.totals.ignored, field.ignored);
    assert!(field.causes.is_empty(), "{field:?}");
    let told = format!("{} were left out on request", report.totals.ignored);
    let out = stdout(&output).replace(['\n', ','], " ");
    assert!(out.contains(&told), "{told}: {out}");
}

#[test]
fn a_budget_of_requests_is_kept_and_the_other_questions_are_undecided() {
    let world = Sides::new(60);
    let output = world.validate(&["--requests-max", "20"]);
    assert_code(&output, 1);
    assert_eq!(world.asked().len(), 20);
    let stats = world.simulator().stats();
    let legacy = stats.by_path.iter().filter(|(path, _)| !path.starts_with("/api/v4/"));
    assert_eq!(legacy.map(|(_, count)| count).sum::<u64>(), 20, "{stats:?}");
    let report = world.report();
    assert_eq!(report.verdict, Verdict::Undecided);
    assert_eq!(report.totals.control_requests, 20);
    assert_eq!(report.totals.undecided, report.totals.scenarios - 20);
    assert!(!stdout(&output).contains("YOU MAY SWITCH"));
    let because = report.scenarios.iter().filter_map(|one| one.undecided_because.as_deref());
    assert!(because.into_iter().all(|why| why.contains("budget")));

    let line = only_line(&world.validate(&["--requests-max", "0"]), 1);
    assert!(line.contains("budget"), "{line}");
    assert_eq!(world.asked().len(), 20);
}

#[test]
fn a_gateway_that_runs_elsewhere_is_compared_by_its_address() {
    let world = Sides::new(60);
    let gateway = Gateway::start(&world.config);
    let url = format!("http://{}", gateway.address);
    let out = ["--report", &world.out];
    let start = ["validate", "--candidate", &url, "--control", &world.base];
    let start = [&start[..], &out, &KEY, &FEW].concat();
    let output = run(&start, b"");
    assert_code(&output, 0);
    let report = world.report();
    assert_eq!((report.candidate.kind.as_str(), &report.candidate.name), ("gateway", &url));
    assert_eq!(report.totals.matched, report.totals.compared);
    // A key of its own, which it does not know.
    let key = ["--candidate-key", "nobodys-key"];
    let line = only_line(&run(&[&start[..], &key].concat(), b""), 1);
    assert!(line.contains("Tieline refuses its key") && !line.contains("nobodys"), "{line}");
    // Compared with itself it would always be right, however its address is spelled.
    let spelled = format!("HTTP://{}//", gateway.address);
    for candidate in [&url, &spelled] {
        let itself = ["validate", "--candidate", candidate, "--control", &url];
        let line = only_line(&run(&[&itself[..], &out, &KEY].concat(), b""), 2);
        assert!(line.contains("--control and --candidate are one address"), "{line}");
    }
    let output = run(&world.validation(&world.config, &url), b"");
    assert_code(&output, 1);
    let said = stderr(&output);
    assert!(said.contains("the server at --control is a Tieline gateway itself"), "{said}");
}

#[test]
fn a_control_without_the_endpoint_and_a_candidate_that_cannot_answer_are_reported_at_once() {
    let world = Sides::changed(60, |_, asked, reply| match asked.path.contains("/cdr/users") {
        true => Reply::new(404, "application/json", "{\"error\":\"Not found\"}"),
        false => reply,
    });
    let line = only_line(&world.validate(&[]), 1);
    assert!(line.contains("the legacy API answers 404 to GET /api/v3/cdr/users"), "{line}");
    assert!(line.contains("--endpoint"), "{line}");
    assert_code(&world.validate(&["--endpoint", "v1_users"]), 0);

    let wrong = world.folder.file("wrong", "no-key-of-the-new-api\n");
    let config = std::fs::read_to_string(&world.config).unwrap();
    let config = world.folder.file("wrong.toml", config.replace("v4.key", &wrong));
    let before = world.asked().len();
    let output = world.validate_with(&config, &[]);
    assert_code(&output, 1);
    let said = stderr(&output);
    let why = "Tieline answers 502 (mapped_key_refused) to GET /api/user_management/v1/users";
    assert!(said.contains(why), "{said}");
    assert!(world.asked().len() <= before + 2, "{:?}", world.asked().len() - before);
}

#[test]
fn without_control_candidate_has_to_agree_with_itself() {
    let world = Sides::new(60);
    let end = ["--report", &world.out];
    let output = run(&[&["validate", "--config", &world.config][..], &end, &FEW].concat(), b"");
    assert_code(&output, 0);
    let report = world.report();
    assert!(report.control.is_none() && !report.properties.is_empty());
    assert!(world.asked().is_empty());

    // A candidate that loses the last record under a filter; seen from here it is any server.
    let sides = Sides::changed(60, |_, asked, mut reply| {
        if asked.filter("sag").is_some_and(|value| !value.is_empty())
            && let Ok(Value::Array(mut rows)) = serde_json::from_slice(&reply.body)
        {
            rows.pop();
            reply.body = Value::Array(rows).to_string().into_bytes();
        }
        reply
    });
    let start = ["validate", "--candidate", &sides.base, "--candidate-key", "legacy-demo-key"];
    let output = run(&[&start[..], &end, &FEW].concat(), b"");
    assert_code(&output, 1);
    let report = world.report();
    assert_eq!(report.verdict, Verdict::Differ);
    let broken: Vec<&str> = report
        .properties
        .iter()
        .filter(|one| one.failed > 0)
        .map(|one| one.name.as_str())
        .collect();
    assert!(!broken.is_empty(), "{:?}", report.because);
    // A key that cannot be had is not passed over in silence.
    let env = ["--control-key", "env:TIELINE_TEST_IS_NOT_SET"];
    let start = ["validate", "--candidate", &sides.base];
    let line = only_line(&run(&[&start[..], &env].concat(), b""), 2);
    assert!(line.contains("TIELINE_TEST_IS_NOT_SET"), "{line}");
}

#[test]
fn an_interrupted_run_is_taken_up_again_and_comes_to_the_same_end() {
    let candidate = planted(|user| user["extension"] = "1".into());
    let other = ["--candidate", &candidate.base];
    let world = Sides::new(60);
    let whole = world.validate(&other);
    assert_code(&whole, 1);
    let expected = world.report();
    let asked = world.asked().len();

    let start = [&world.validation(&world.config, &world.base)[..], &other].concat();
    let hold = asked + 40;
    world.hold_at(hold);
    let running = Process::spawn(tieline(&start));
    eventually("forty requests", || world.asked().len() > hold);
    running.signal("INT");
    assert_eq!(running.code().code(), Some(130), "{}", running.rest_of_stderr());
    let out = running.rest_of_stdout();
    assert!(out.contains("--resume"), "{out}");
    let partial = world.report();
    assert!(partial.totals.undecided > 0);
    assert_eq!(partial.totals.scenarios + partial.totals.undecided, expected.totals.scenarios);

    world.hold_at(usize::MAX);
    let before: Vec<_> = world.counts(asked).into_keys().collect();
    let from = world.asked().len();
    let again = run(&[&start[..], &["--resume"]].concat(), b"");
    assert_code(&again, 1);
    let resumed = world.report();
    assert_eq!(resumed.verdict, expected.verdict);
    assert_eq!(resumed.because, expected.because);
    assert_eq!(resumed.totals.causes, expected.totals.causes);
    assert_eq!(resumed.totals.compared, expected.totals.compared);
    assert_eq!(resumed.totals.scenarios, expected.totals.scenarios);
    // The whole lists are read again, since all else is made of them.
    let after = world.counts(from);
    let twice = before.iter().filter(|known| after.contains_key(*known));
    let is_whole = |query: &[(String, String)]| {
        query.is_empty() || matches!(query, [(name, most)] if name == "limit" && most == "500")
    };
    let twice: Vec<_> = twice.filter(|(_, query)| !is_whole(query)).collect();
    assert!(twice.len() <= 1, "asked again: {twice:?}");

    // A completed run cannot be resumed, and its report stays.
    let from = world.asked().len();
    let line = only_line(&run(&[&start[..], &["--resume"]].concat(), b""), 2);
    assert!(line.contains("--resume") && line.contains("there is no run to resume"), "{line}");
    assert_eq!(world.asked().len(), from);
    assert_eq!(world.report().because, resumed.because);
}
