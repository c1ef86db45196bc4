//! How far a verdict goes: without a legacy side, and where less was asked than there is to ask.

use super::sides::{FEW, KEY, Sides, assert_code};
use crate::common::{configured, run, stdout};
use report::{Cause, Report, Verdict};
use serde_json::Value;

/// Candidate alone: a configuration, or a server that is seen as one.
fn alone(sides: &Sides, candidate: &[&str]) -> (std::process::Output, Report) {
    let start = [&["validate"][..], candidate, &["--report", &sides.out], &FEW].concat();
    (run(&start, b""), sides.report())
}

#[test]
fn without_control_the_verdict_says_that_nothing_was_compared() {
    let sides = Sides::new(40);
    let (output, report) = alone(&sides, &["--config", &sides.config]);
    assert_code(&output, 0);
    let out = stdout(&output);
    assert!(out.starts_with("NOTHING CONTRADICTS ITSELF, NOTHING WAS COMPARED"), "{out}");
    assert!(report.because.contains("nothing was compared with the legacy API"));
    for name in ["report.html", "report.junit.xml", "report.json"] {
        let text = sides.written(name);
        assert!(!text.contains("You may switch"), "{name}");
        assert!(text.contains("nothing was compared with the legacy API"), "{name}");
    }
}

/// An endpoint's path, what is planted in its records, and what must be said of it.
type Planted = (&'static str, fn(&mut Value), &'static str);

#[test]
fn records_that_are_not_as_documented_are_found() {
    let planted: [Planted; 4] = [
        (
            "/v3/",
            |user| drop(user.as_object_mut().unwrap().remove("employee_id")),
            "lacks employee_id",
        ),
        ("/teams", |team| team["id"] = team["id"].to_string().into(), "record.id: string"),
        (
            "/v1/",
            |user| {
                for skill in user["assigned_skills"].as_array_mut().into_iter().flatten() {
                    if skill["value"] == 5 {
                        skill["value"] = Value::Null;
                    }
                }
            },
            "record.assigned_skills.value: null, not number",
        ),
        (
            "/v1/",
            |user| {
                let number = user["extension"].as_str().and_then(|text| text.parse::<u64>().ok());
                if let Some(number) = number {
                    user["extension"] = number.into();
                }
            },
            "record.extension: number, not string or null",
        ),
    ];
    for (path, change, says) in planted {
        let sides = Sides::changed(60, move |_, asked, reply| match asked.path.contains(path) {
            true => reply.each(change),
            false => reply,
        });
        let candidate = ["--candidate", &sides.base, "--candidate-key", "legacy-demo-key"];
        let (output, report) = alone(&sides, &candidate);
        assert_code(&output, 1);
        assert_eq!(report.verdict, Verdict::Differ);
        let failed = report.properties.iter().filter(|one| one.name == "records_are_as_documented");
        let seen: Vec<&String> = failed.flat_map(|one| &one.seen).collect();
        assert!(seen.iter().any(|seen| seen.contains(says)), "{says}: {seen:?}");
    }
}

#[test]
fn no_value_of_a_setting_makes_a_record_undocumented() {
    let sides = Sides::new(60);
    let plain = "separator_in_name = \"replace\"";
    for (v1, upstream) in [
        ("", ""),
        ("envelope = \"users\"", ""),
        ("envelope = \"sample\"", ""),
        ("assigned_teams = \"names\"\nsupervisor_in_teams = \"names\"", ""),
        ("employee_id = \"number\"", ""),
        ("timezone = \"upstream\"", ""),
        (plain, "deleted_at = \"always\""),
        ("channel_types = { chat = \"Web chat\" }", "deleted_at = \"never\""),
        ("invalid_key = { status = 403, text = \"Invalid api_key\" }", ""),
    ] {
        let legacy = ["v1_users", "v3_cdr_users"].map(|name| format!("[legacy.{name}]\n{v1}\n"));
        let text = configured("", &sides.base, upstream, &legacy.concat());
        let config = sides.folder.file("tieline.toml", text);
        let (_, report) = alone(&sides, &["--config", &config]);
        let forms = report.properties.iter().filter(|one| one.name == "records_are_as_documented");
        let forms: Vec<_> = forms.collect();
        assert_eq!(forms.len(), 6, "{v1}: {}", report.because);
        for property in forms {
            assert_eq!(property.failed, 0, "{v1} {upstream}: {:?}", property.seen);
            assert!(property.tried > 0, "{v1} {upstream}: {}", property.endpoint);
        }
        // The same answers raise no alarm where the settings are not known.
        assert_eq!(report.verdict, Verdict::Agree, "{v1} {upstream}: {}", report.because);
    }
}

#[test]
fn a_verdict_over_less_than_there_is_to_ask_says_so() {
    let sides = Sides::new(60);
    let compared = |more: &[&str]| {
        let start = ["validate", "--config", &sides.config, "--control", &sides.base];
        let start = [&start[..], &["--report", &sides.out], &KEY, more].concat();
        let output = run(&start, b"");
        assert_code(&output, 0);
        (stdout(&output), sides.report())
    };
    let (out, whole) = compared(&[]);
    assert!(out.starts_with("YOU MAY SWITCH\n"), "{out}");
    assert!(whole.left_out.is_nothing(), "{:?}", whole.left_out);
    assert!(whole.because.starts_with("all of") && !whole.because.contains("asked for"));

    let cases: [(&[&str], &str); 4] = [
        (&["--endpoint", "v1_users"], "Not asked at all: v3_cdr_users, v2_cdr_teams"),
        (&["--no-pairs"], "filters by two fields."),
        (&["--values", "1"], "filters by other values."),
        (&["--ignore", "v1_users.sag"], "Not compared: v1_users.sag."),
    ];
    for (more, says) in cases {
        let (out, report) = compared(more);
        assert!(out.starts_with("YOU MAY SWITCH, AS FAR AS ASKED\n"), "{more:?}: {out}");
        assert!(out.contains(says), "{more:?}: {out}");
        assert!(report.because.contains("that were asked for"), "{}", report.because);
        for name in ["report.html", "report.junit.xml"] {
            let text = sides.written(name);
            assert!(text.contains("You may switch, as far as asked"), "{more:?}: {name}");
            assert!(text.contains(says), "{more:?}: {name}");
        }
        let fewer = whole.totals.scenarios - report.totals.scenarios;
        let left_out = &report.left_out;
        if left_out.endpoints.is_empty() {
            let counted = left_out.filtered + left_out.values + left_out.pairs;
            assert!(counted > 0 && counted <= fewer, "{more:?}: {left_out:?} of {fewer}");
        }
        assert!(!out.contains("Warning"), "{out}");
    }
    // A filter by a field that is left out is not asked either, and a field that is not there is told.
    let (out, report) = compared(&["--ignore", "v1_users.sag", "--ignore", "v1_users.sga"]);
    let fewer = whole.totals.scenarios - report.totals.scenarios;
    assert_eq!(report.left_out.filtered, fewer);
    assert_eq!(report.left_out.fields_unseen, ["v1_users.sga"]);
    let warning = "Warning: no answer has the fields to leave out: v1_users.sga.";
    assert!(out.contains(warning), "{out}");
}

#[test]
fn data_that_the_new_api_holds_otherwise_are_in_the_headline() {
    let one: fn(u64) -> bool = |id| id == 10_001;
    let some: fn(u64) -> bool = |id| id.is_multiple_of(9);
    // Of more than one percent it is not silent.
    for (is_meant, code, title) in [
        (one, 0, "YOU MAY SWITCH, WITH OTHER DATA, AS FAR AS ASKED\n"),
        (some, 1, "DO NOT SWITCH YET\nno bug was found, but the new API holds other data for "),
    ] {
        let sides = Sides::changed(60, move |_, asked, reply| match asked.path.contains("/v1/") {
            true => reply.each(move |user| {
                if user["id"].as_u64().is_some_and(is_meant) {
                    user["extension"] = "1".into();
                }
            }),
            false => reply,
        });
        let output = sides.validate(&[]);
        assert_code(&output, code);
        assert!(sides.report().totals.causes.contains_key(&Cause::UpstreamData));
        let out = stdout(&output);
        assert!(out.starts_with(title), "{out}");
    }
}
