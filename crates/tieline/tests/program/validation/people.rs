//! What a validation tells people: which server does not fit, what differs and for how many, and nothing
//! about a person.

use std::process::Output;

use super::sides::{Asked, FEW, KEY, Reply, Sides, assert_code, only_line};
use crate::common::{run, stdout};
use report::{Cause, Finding, Verdict};
use serde_json::{Value, json};
use simulator::Simulator;

/// The text of an output in one line, so that a line break is no difference.
fn flat(output: &Output) -> String {
    stdout(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_server_that_is_no_tieline_is_told_and_never_called_equal() {
    let (world, other) = (Sides::new(60), Sides::new(60));
    let said = "does not look like Tieline";
    let output = world.validate(&["--candidate", &other.base]);
    assert_code(&output, 1);
    assert_eq!(world.report().verdict, Verdict::Undecided);
    assert!(
        flat(&output).starts_with("UNDECIDED the server at --candidate does not"),
        "{output:?}"
    );
    for name in ["report.html", "report.json", "report.junit.xml"] {
        assert!(world.written(name).contains(said), "{name}");
    }
    // Where something differs, that is the verdict, and the remark stands beside it.
    let differs = Sides::changed(60, |_, asked, reply| match asked.path.contains("/v1/") {
        true => reply.each(|user| user["extension"] = "1".into()),
        false => reply,
    });
    let output = world.validate(&["--candidate", &differs.base]);
    assert_code(&output, 1);
    assert_eq!(world.report().verdict, Verdict::Differ);
    assert!(flat(&output).contains(said), "{output:?}");
    // The same of candidate alone.
    let alone = ["validate", "--candidate", &other.base, "--candidate-key", "legacy-demo-key"];
    let alone = [&alone[..], &["--rate", "100000"]].concat();
    let output = run(&[&alone[..], &["--report", &world.out], &FEW].concat(), b"");
    assert_code(&output, 1);
    assert_eq!(world.report().verdict, Verdict::Undecided);
    assert!(flat(&output).contains(said), "{output:?}");
    // A web server without such a path is told before anything is compared.
    let none = Sides::changed(60, |_, _, _| Reply::json(404, &json!({ "error": "Not found" })));
    assert_code(&world.validate(&["--candidate", &none.base]), 1);
    assert!(world.written("report.json").contains(said));
    let page = Sides::changed(60, |_, _, _| Reply::new(404, "text/html", "<h1>Not Found</h1>"));
    let line = only_line(&world.validate(&["--candidate", &page.base]), 1);
    assert!(line.contains(said) && line.contains("404"), "{line}");
}

/// Lists all users for a wrong key, and for none.
fn open_to_all(simulator: &Simulator, asked: &Asked, reply: Reply) -> Reply {
    match reply.status == 401 && asked.path.contains("/v1/") {
        true => Reply::json(200, &simulator.legacy_users(&[]).into()),
        false => reply,
    }
}

#[test]
fn records_for_a_wrong_key_are_told_as_exactly_that() {
    let [open, other] = [(); 2].map(|()| Sides::changed(60, open_to_all));
    let closed = Sides::new(60);
    let of_key = |sides: &Sides| -> Vec<Finding> {
        let all = sides.report().findings.into_iter();
        all.filter(|one| one.endpoint == "v1_users" && one.field.starts_with('$')).collect()
    };
    for (control, candidate, said) in [
        (&open, None, "control answers a request with a wrong key with records, and candidate"),
        (&closed, Some(&open), "candidate answers a request with a wrong key with records"),
        (&open, Some(&other), "both sides answer a request with a wrong key with records"),
    ] {
        let candidate = candidate.into_iter().flat_map(|one: &Sides| ["--candidate", &one.base]);
        let output = control.validate(&candidate.collect::<Vec<_>>());
        assert_code(&output, 1);
        let found = of_key(control);
        assert!(
            found.iter().all(|one| one.field == "$key" && one.cause == Cause::Bug),
            "{found:?}"
        );
        assert!(found.iter().any(|one| one.why.starts_with(said)), "{said}: {found:?}");
        assert!(found.iter().any(|one| one.why.contains("without a key")), "{found:?}");
        let examples = || found.iter().flat_map(|one| &one.examples);
        assert!(examples().count() > 1);
        let words = ["records", "no records"];
        assert!(examples().all(|one| words.contains(&one.control.as_str())), "{found:?}");
    }
    assert!(flat(&closed.validate(&[])).starts_with("YOU MAY SWITCH"));
}

/// A change of the body of every answer of control.
fn with_body(change: fn(Vec<u8>) -> Vec<u8>) -> Sides {
    Sides::changed(60, move |_, _, mut reply| {
        reply.body = change(reply.body);
        reply
    })
}

#[test]
fn an_answer_that_is_compressed_or_marked_is_told_by_its_name() {
    let compressed =
        with_body(|_| b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x8b\x8e\x05\0\x29\xbb\x4c\x0d".to_vec());
    let marked = with_body(|body| [&b"\xef\xbb\xbf"[..], &body].concat());
    for (sides, said) in [
        (&compressed, "is compressed with gzip, although the request did not ask for that"),
        (&marked, "begins with a byte order mark (BOM)"),
    ] {
        let calibrate = ["calibrate", "--config", &sides.config, "--control", &sides.base];
        for output in [sides.validate(&[]), run(&[&calibrate[..], &KEY].concat(), b"")] {
            let line = only_line(&output, 1);
            assert!(
                line.contains("the legacy API answers 200 to GET") && line.contains(said),
                "{line}"
            );
        }
    }
    // Candidate's is a difference like any other, in words of the report.
    let world = Sides::new(60);
    assert_code(&world.validate(&["--candidate", &marked.base]), 1);
    let report = world.report();
    let body = report.findings.iter().find(|one| one.field == "$body").unwrap();
    assert_eq!(body.examples[0].control, "a list");
    assert!(body.examples[0].candidate.contains("byte order mark"), "{body:?}");
}

#[test]
fn a_forgotten_scheme_is_told_with_the_url_that_was_meant() {
    let world = Sides::new(30);
    let config = ["--config", &world.config];
    let out = world.folder.name("corpus");
    let commands: [&[&str]; 3] = [&["validate"], &["calibrate"], &["record", "--out", &out]];
    for command in commands {
        let control = ["--control", "api.example.com/legacy"];
        let line = only_line(&run(&[command, &config, &control, &KEY].concat(), b""), 2);
        let said = "--control: api.example.com/legacy has no scheme";
        assert!(line.contains(said) && line.contains("https://api.example.com/legacy"), "{line}");
    }
    let line = only_line(&world.validate(&["--candidate", "localhost:8081"]), 2);
    assert!(line.contains("--candidate: localhost:8081 has no scheme"), "{line}");
    assert!(line.contains("http://localhost:8081"), "{line}");
    for name in ["corpora/legacy.corpus", "legacy.corpus", "of@jane.corpus"] {
        let missing = ["--control", name];
        let line = only_line(&run(&[&["validate"][..], &config, &missing].concat(), b""), 1);
        assert!(line.contains(&format!("--control: {name}: file not found")), "{line}");
    }
    let slash = ["--control", "https:/api.example.com"];
    let line = only_line(&run(&[&["validate"][..], &config, &slash, &KEY].concat(), b""), 2);
    assert!(line.contains("--control: must be http:// or https://"), "{line}");
    assert!(world.asked().is_empty());
}

#[test]
fn a_run_that_cannot_be_resumed_is_told_and_nothing_is_asked() {
    let world = Sides::new(60);
    let line = only_line(&world.validate(&["--resume"]), 2);
    assert!(line.contains("progress.jsonl: there is no run to resume"), "{line}");
    assert!(world.asked().is_empty());
    assert_code(&world.validate(&["--requests-max", "60"]), 1);
    let before = (world.asked().len(), world.written("progress.jsonl"));
    let line = only_line(&world.validate(&["--resume", "--ignore", "v1_users.name"]), 2);
    assert!(line.contains("it is the memory of another run"), "{line}");
    assert_eq!((world.asked().len(), world.written("progress.jsonl")), before);
    assert_code(&world.validate(&["--resume"]), 0);
}

#[test]
fn a_finding_names_the_part_and_counts_users() {
    let world = Sides::changed(60, |_, asked, reply| match asked.path.contains("/v1/") {
        true => reply.each(|user| {
            let queues = user["assigned_queues"].as_str().unwrap_or_default().to_owned();
            if !queues.is_empty() {
                user["assigned_queues"] = format!("{queues}, Planted").into();
            }
            for skill in user["assigned_skills"].as_array_mut().into_iter().flatten() {
                skill["value"] = (skill["value"].as_u64().unwrap_or_default() + 100).into();
            }
        }),
        false => reply,
    });
    let output = world.validate(&[]);
    assert_code(&output, 1);
    let report = world.report();
    let of = |field: &str| report.findings.iter().find(|one| one.field == field).unwrap();
    let parts = |one: &Finding| -> Vec<String> {
        one.examples.iter().map(|example| example.part.clone().unwrap_or_default()).collect()
    };
    let queues = parts(of("assigned_queues"));
    assert!(queues.iter().all(|part| part == "only the legacy API has \"Planted\""), "{queues:?}");
    let skills = parts(of("assigned_skills[].value"));
    assert!(skills.iter().all(|part| part.starts_with("name \"")), "{skills:?}");
    let of_queues = of("assigned_queues");
    assert!(of_queues.records > 1 && of_queues.answers > 1, "{of_queues:?}");
    let said = format!("{} users, in {} answers", of_queues.records, of_queues.answers);
    assert!(flat(&output).contains(&said), "{said}: {}", stdout(&output));
    for name in ["report.html", "report.junit.xml"] {
        assert!(world.written(name).contains("only the legacy API has"), "{name}");
    }
}

#[test]
fn the_rule_has_its_name_for_a_gateway_by_its_address_too() {
    let candidate = Sides::changed(60, |_, asked, reply| match asked.path.contains("/v1/") {
        true => reply.each(|user| {
            let name = user["name"].as_str().unwrap_or_default().to_uppercase();
            user["name"] = name.into();
        }),
        false => reply,
    });
    let world = Sides::new(60);
    assert_code(&world.validate(&["--candidate", &candidate.base]), 1);
    let report = world.report();
    let name = report.findings.iter().find(|one| one.field == "name").unwrap();
    assert!(name.why.contains("by a rule"), "{name:?}");
}

#[test]
fn a_group_that_is_named_after_a_user_is_masked() {
    let name = |simulator: &Simulator| -> String {
        let users = simulator.legacy_users(&[]);
        let names = users.iter().filter_map(|user| user["name"].as_str());
        names.filter(|name| name.is_ascii() && name.contains(' ')).max().unwrap().to_owned()
    };
    let world =
        Sides::changed(60, move |simulator, asked, reply| match asked.path.contains("/v1/") {
            true => {
                let name = name(simulator);
                reply.each(|user| {
                    if user["name"] != name.as_str() {
                        user["sag"] = format!("Team of {name}").into();
                        user["assigned_queues"] = name.as_str().into();
                    }
                })
            }
            false => reply,
        });
    assert_code(&world.validate(&[]), 1);
    let hidden = name(world.simulator()).to_lowercase();
    let findings = world.report().findings;
    let groups = findings.iter().filter(|one| one.field == "sag").flat_map(|one| &one.examples);
    assert!(groups.into_iter().any(|one| one.control.contains('#')), "{findings:?}");
    let told = serde_json::to_string(&findings).unwrap().to_lowercase();
    assert!(!told.contains(&hidden), "{hidden}");
}

#[test]
fn the_headline_counts_teams_as_teams() {
    let world = Sides::changed(60, |simulator, asked, reply| {
        if !asked.path.contains("/teams") || reply.status != 200 {
            return reply;
        }
        let mut teams = simulator.legacy_teams();
        let more = [(990_001, "Planted one"), (990_002, "Other")];
        teams.extend(more.map(|(id, name)| json!({ "id": id, "name": name })));
        Reply::json(200, &Value::Array(teams))
    });
    let output = world.validate(&[]);
    assert_code(&output, 1);
    let because = world.report().because;
    assert!(because.contains("the new API holds other data for 2 of "), "{because}");
    assert!(because.contains(" teams (") && !because.contains("users"), "{because}");
}
