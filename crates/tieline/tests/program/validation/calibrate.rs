//! `tieline calibrate` against a legacy side that answers otherwise than the defaults: what it prints
//! is pasted behind the configuration, and then both sides agree.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use super::sides::{Asked, KEY, Reply, Sides, assert_code, only_line};
use crate::common::process::Process;
use crate::common::{configured, eventually, run, stdout, tieline};
use parity::calibrate::{Calibrated, Choice, Entry, Remaining};
use report::Verdict;
use serde_json::{Value, json};
use simulator::Simulator;

const DICTIONARIES: [&str; 3] = ["timezone_names", "caller_id_groups", "channel_types"];

fn calibrate(sides: &Sides, more: &[&str]) -> Output {
    calibrate_with(&sides.config, &sides.base, more)
}

fn calibrate_with(config: &str, control: &str, more: &[&str]) -> Output {
    run(&[&["calibrate", "--config", config, "--control", control][..], &KEY, more].concat(), b"")
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A user as a legacy side with other habits shows it.
fn otherwise(user: &mut Value, teams: &BTreeMap<String, String>) {
    for field in ["assigned_teams", "agent_in_teams", "supervisor_in_teams"] {
        if let Some(ids) = user[field].as_str().filter(|ids| !ids.is_empty()) {
            let names: Vec<&str> = ids.split(", ").map(|id| teams[id].as_str()).collect();
            user[field] = names.join(", ").into();
        } else if user.get(field).is_some_and(Value::is_null) {
            user.as_object_mut().unwrap().remove(field);
        }
    }
    if let Some(number) = user["employee_id"].as_str().filter(|text| *text == "123") {
        user["employee_id"] = number.parse::<u64>().unwrap().into();
    }
    if user["timezone"] == "London" {
        user["timezone"] = "Edinburgh".into();
    }
    if let Some(number) = user["caller_id"].as_str().filter(|text| is_digits(text)) {
        user["caller_id"] =
            format!("Line {}", &number[number.len() - 2..].replace('0', "o")).into();
    }
    for channel in user["assigned_channels"].as_array_mut().into_iter().flatten() {
        if channel["type"] == "Webchat" {
            channel["type"] = "Web chat".into();
        }
    }
}

/// A legacy side with other habits: it wraps the list of users, compares without regard to case, and
/// refuses keys in other words.
fn habits(simulator: &Simulator, asked: &Asked, reply: Reply) -> Reply {
    if reply.status == 401 {
        return Reply::json(403, &json!({ "error": "Invalid api_key" }));
    }
    if !asked.is_users() {
        return reply;
    }
    let is_v3 = asked.path.contains("/v3/");
    let teams = simulator.legacy_teams().into_iter();
    let teams = teams.map(|team| (team["id"].to_string(), team["name"].as_str().unwrap().into()));
    let teams = teams.collect();
    let mut users = simulator.legacy_users(&[]);
    for user in &mut users {
        if is_v3 {
            let members = user.as_object_mut().unwrap();
            let of_agent = members.remove("assigned_teams").unwrap();
            members.insert("agent_in_teams".to_owned(), of_agent);
        }
        otherwise(user, &teams);
    }
    for name in ["name", "email", "sip_account", "sag", "extension", "caller_id", "timezone"] {
        if let Some(wanted) = asked.filter(name).filter(|wanted| !wanted.is_empty()) {
            let is = |value: &Value| value.as_str().map(str::to_lowercase);
            let zone = parity::zone::id(wanted);
            users.retain(|user| match user[name].as_str() {
                // All names of a zone are one.
                Some(shown) if name == "timezone" => parity::zone::id(shown) == zone,
                _ => is(&user[name]) == Some(wanted.to_lowercase()),
            });
        }
    }
    if let Some(id) = asked.filter("id").filter(|id| !id.is_empty() && !is_v3) {
        users.retain(|user| user["id"].as_u64() == id.parse().ok());
    }
    let total = users.len();
    let metadata = json!({ "total": total, "page": 1, "page_size": total });
    Reply::json(200, &json!({ "users": users, "metadata": metadata }))
}

#[test]
fn the_printed_settings_make_both_sides_agree() {
    let sides = Sides::changed(120, habits);
    let before = std::fs::read(&sides.config).unwrap();
    let files = || -> BTreeSet<_> {
        std::fs::read_dir(sides.folder.path("")).unwrap().map(|file| file.unwrap().path()).collect()
    };
    let were_there = files();
    let output = calibrate(&sides, &[]);
    let text = stdout(&output);
    assert_code(&output, 0);
    assert_eq!(
        (files(), std::fs::read(&sides.config).unwrap()),
        (were_there, before),
        "files changed"
    );

    let settings: toml::Table = text.parse().unwrap();
    for endpoint in ["v1_users", "v3_cdr_users"] {
        let table = settings["legacy"][endpoint].as_table().unwrap();
        for (name, value) in [
            ("envelope", "users"),
            ("assigned_teams", "names"),
            ("supervisor_in_teams", "names"),
            ("employee_id", "number"),
        ] {
            assert_eq!(table[name].as_str(), Some(value), "{endpoint}.{name}:\n{text}");
        }
        assert_eq!(table["invalid_key"]["status"].as_integer(), Some(403));
        assert_eq!(table["invalid_key"]["text"].as_str(), Some("Invalid api_key"));
        let entries = DICTIONARIES.map(|name| table[name].as_table().unwrap());
        assert_eq!(entries[0]["Europe/London"].as_str(), Some("Edinburgh"));
        assert!(
            entries[1].len() > 10
                && entries[1].values().all(|name| { name.as_str().unwrap().starts_with("Line ") })
        );
        assert_eq!(entries[2]["chat"].as_str(), Some("Web chat"));
        assert_eq!(table["filters"]["name"].as_str(), Some("case_insensitive"));
        assert_eq!(table["filters"]["email"].as_str(), Some("case_insensitive"));
        assert!(!table.contains_key("timezone"), "{text}");
    }
    // What no user of this data set shows is said, and evidence stands beside what is set.
    assert!(text.contains("# undecided: v1_users.filters.extension"), "{text}");
    assert!(text.contains("assigned_teams = \"names\"  # names "), "{text}");

    let pasted = String::from_utf8(std::fs::read(&sides.config).unwrap()).unwrap() + &text;
    let pasted = sides.folder.file("pasted.toml", &pasted);
    let output = sides.validate_with(&pasted, &[]);
    assert_code(&output, 0);
    let report = sides.report();
    assert_eq!(report.verdict, Verdict::Agree, "{}", report.because);
    assert_eq!(report.totals.matched, report.totals.compared, "{:?}", report.totals.causes);
    assert!(report.settings.is_empty(), "{:?}", report.settings);
}

/// The legacy API calls everybody deleted who has a deletion date, whatever their status.
#[test]
fn a_deletion_date_that_the_legacy_api_reads_otherwise_is_printed_as_a_setting() {
    let sides = Sides::changed(120, |simulator, asked, reply| {
        if reply.status != 200 {
            return reply;
        }
        let records = simulator.records();
        let dated = records.iter().filter(|user| user.deleted_at.is_some());
        let dated: BTreeMap<u64, &str> = dated.map(|user| (user.id, &*user.name)).collect();
        assert!(!dated.is_empty());
        if asked.path.ends_with("/deleted_agents") {
            let row = |(id, name): (&u64, &&str)| json!({ "id": id, "name": name });
            return Reply::json(reply.status, &dated.iter().map(row).collect());
        }
        let Ok(Value::Array(mut users)) = serde_json::from_slice(&reply.body) else { return reply };
        if !asked.is_users() {
            return reply;
        }
        users.retain(|user| !dated.contains_key(&user["id"].as_u64().unwrap()));
        Reply::json(reply.status, &users.into())
    });
    let output = calibrate(&sides, &[]);
    let text = stdout(&output);
    assert_code(&output, 0);
    let settings: toml::Table = text.parse().unwrap();
    assert_eq!(settings["upstream"]["ams"]["deleted_at"].as_str(), Some("always"), "{text}");

    let pasted = configured("", &sides.base, "deleted_at = \"always\"", "");
    let pasted = sides.folder.file("pasted.toml", pasted);
    assert_code(&sides.validate_with(&pasted, &["--endpoint", "v1_users"]), 0);
}

#[test]
fn filters_and_wrong_keys_that_no_setting_makes_equal_do_not_end_well() {
    let sides = Sides::changed(80, |simulator, asked, reply| {
        if reply.status == 401 {
            let by_key = format!("Invalid key {}", asked.number % 2);
            return Reply::json(401, &json!({ "error": by_key }));
        }
        match asked.filter("sag").filter(|wanted| asked.is_users() && !wanted.is_empty()) {
            Some(wanted) if !asked.path.contains("/v3/") => {
                let mut users = simulator.legacy_users(&[]);
                users
                    .retain(|user| user["sag"].as_str().is_some_and(|sag| sag.starts_with(wanted)));
                Reply::json(200, &users.into())
            }
            _ => reply,
        }
    });
    let output = calibrate(&sides, &[]);
    let text = stdout(&output);
    assert_code(&output, 1);
    for still in ["v1_users.filters.sag: ", "v1_users.invalid_key: ", "v3_cdr_users.invalid_key: "]
    {
        assert!(text.contains(&format!("#   still: {still}")), "{still}\n{text}");
    }
    assert!(!text.contains("still: v3_cdr_users.filters"), "{text}");
}

#[test]
fn data_that_contradict_themselves_set_nothing_and_that_is_said() {
    // Half of the users one way, half of them the other.
    let sides = Sides::changed(80, |simulator, asked, reply| match asked.is_users() {
        true => {
            let teams = simulator.legacy_teams().into_iter();
            let teams = teams
                .map(|team| (team["id"].to_string(), team["name"].as_str().unwrap().to_owned()))
                .collect();
            let mut place = 0;
            reply.each(|user| {
                place += 1;
                if place % 2 == 0 {
                    otherwise(user, &teams);
                }
            })
        }
        false => reply,
    });
    let output = calibrate(&sides, &["--seed", "2"]);
    assert_code(&output, 1);
    let text = stdout(&output);
    let settings: toml::Table = text.parse().unwrap();
    let set = settings.get("legacy").map(ToString::to_string).unwrap_or_default();
    for name in ["assigned_teams", "supervisor_in_teams", "Europe/London", "envelope"] {
        assert!(!set.contains(name), "{name} is set:\n{text}");
    }
    assert!(text.contains("# undecided: v1_users.assigned_teams: no value stands out"), "{text}");
    let several = "# undecided: v1_users.caller_id_groups: one key stands beside several values";
    assert!(text.contains(several), "{text}");
    assert!(text.contains("#   still: v1_users.assigned_teams: "), "{text}");
    // A number is set only where all its users were shown with one name.
    let users = sides.simulator().legacy_users(&[]);
    let groups = settings.get("legacy").unwrap()["v1_users"]["caller_id_groups"].as_table();
    for (number, _) in groups.unwrap() {
        let of_number = users.iter().enumerate().filter(|(_, user)| user["caller_id"] == **number);
        assert!(of_number.into_iter().all(|(place, _)| place % 2 == 1), "{number}:\n{text}");
    }
}

/// Control numbers everybody otherwise.
fn renumbered(_: &Simulator, asked: &Asked, reply: Reply) -> Reply {
    match asked.path.contains("/teams") {
        true => reply,
        false => reply.each(|user| user["id"] = (user["id"].as_u64().unwrap() + 1_000).into()),
    }
}

#[test]
fn ids_that_differ_become_a_map_that_makes_both_sides_agree() {
    let sides = Sides::changed(80, |simulator, asked, reply| match asked.filter("id") {
        None | Some("") => renumbered(simulator, asked, reply),
        Some(id) => {
            let own = id.parse::<u64>().unwrap_or(0).saturating_sub(1_000);
            let users = simulator.legacy_users(&[("id".to_owned(), own.to_string())]);
            renumbered(simulator, asked, Reply::json(200, &users.into()))
        }
    });
    let map = sides.folder.name("ids.csv");
    let map = map.as_str();
    let output = calibrate(&sides, &["--id-map", map]);
    let text = stdout(&output);
    assert!(text.contains("id_policy = \"map\""), "{text}");
    let mode = std::fs::metadata(map).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let lines = std::fs::read_to_string(map).unwrap();
    let users = sides.simulator().legacy_users(&[]).len();
    assert_eq!(lines.lines().count(), users + 1, "{lines}");

    let mapped = format!("id_policy = \"map\"\nid_map = \"{map}\"");
    let text = configured("", &sides.base, &mapped, "[limits]\nrequest_deadline = \"60s\"");
    let config = sides.folder.file("mapped.toml", text);
    let lists = ["--endpoint", "v1_users", "--endpoint", "v3_cdr_users"];
    let output = sides.validate_with(&config, &lists);
    assert_code(&output, 0);
    let report = sides.report();
    assert_eq!(report.totals.matched, report.totals.compared, "{:?}", report.totals.causes);

    // No file is changed, and that is said before anybody is asked.
    let before = (std::fs::read(map).unwrap(), sides.asked().len());
    let line = only_line(&calibrate(&sides, &["--id-map", map]), 2);
    assert!(line.contains("--id-map") && line.contains("exists"), "{line}");
    assert_eq!((std::fs::read(map).unwrap(), sides.asked().len()), before);
}

#[test]
fn the_same_ids_need_no_map_and_get_no_file() {
    let sides = Sides::new(60);
    let map = sides.folder.name("ids.csv");
    let output = calibrate(&sides, &["--id-map", &map]);
    assert_code(&output, 0);
    assert!(!std::fs::exists(map).unwrap());
    let seen = "# undecided: v1_users.timezone_names: nobody is in";
    assert!(stdout(&output).contains(seen), "{}", stdout(&output));
    let settings: toml::Table = stdout(&output).parse().unwrap();
    assert!(settings.is_empty(), "{}", stdout(&output));
}

#[test]
fn a_control_that_cannot_be_asked_is_one_clear_line_and_an_interruption_is_130() {
    let sides = Sides::new(60);
    let start = ["calibrate", "--config", &sides.config, "--control", &sides.base];
    let wrong = run(&[&start[..], &["--control-key", "wrong-key-of-nobody"]].concat(), b"");
    let line = only_line(&wrong, 1);
    assert!(line.contains("the legacy API answers 401"), "{line}");
    let line = only_line(&run(&start, b""), 2);
    assert!(line.contains("--control-key env:NAME"), "{line}");
    let file = sides.folder.file("corpus", "{}\n");
    let line = only_line(&calibrate_with(&sides.config, &file, &[]), 2);
    assert!(line.contains("--control"), "{line}");
    let none = run(&[&["calibrate", "--config", &sides.config][..], &KEY].concat(), b"");
    let line = only_line(&none, 2);
    assert!(line.contains("--control"), "{line}");

    sides.hold_at(sides.asked().len() + 2);
    let held = sides.asked().len() + 2;
    let running = Process::spawn(tieline(&[&start[..], &KEY].concat()));
    eventually("the third request", || sides.asked().len() > held);
    running.signal("INT");
    assert_eq!(running.code().code(), Some(130));
    assert_eq!(running.rest_of_stdout(), "");
    assert_eq!(running.rest_of_stderr(), "error: interrupted\n");
}

/// Texts that would be more than a text, where they were printed as they are.
const HOSTILE: [&str; 16] = [
    "x: 1 of 1\n[passthrough]\nenabled = true\n#",
    "\"\n[legacy.v1_users]\nenvelope = \"users",
    "\"\"\"\n[a]",
    "'''\r\n[x]\ny = 1",
    "]\n[admin]",
    "\u{85}[x]\u{2028}[y]",
    "esc \u{1b}[2J\u{1b}]0;title\u{7}",
    "nul \0 del \u{7f} csi \u{9b}2J",
    "back\\slash \\u0041 \\",
    "quote\"",
    "a.b.c = 1",
    "",
    "# comment",
    "turned \u{202e}txt \u{feff}\u{e0041}\u{10ffff}",
    "é 🦀 Ж",
    " = ",
];

/// Everything that a calibration may have found, of two texts.
fn found(one: &str, other: &str) -> Calibrated {
    let choice = |table: &str, is_in_force| Choice {
        table: table.to_owned(),
        setting: format!("filters.{one}"),
        agree: vec![(other.to_owned(), 3), (one.to_owned(), 1)],
        deciding: 4,
        chosen: Some(other.to_owned()),
        is_in_force,
    };
    let entry = |against| Entry {
        endpoint: "v1_users",
        dictionary: "caller_id_groups",
        key: one.to_owned(),
        value: other.to_owned(),
        evidence: 3,
        against,
    };
    let remaining =
        Remaining { endpoint: "v1_users", field: one.to_owned(), compared: 2, differing: 1 };
    let settings = json!({
        "employee_id": "number",
        "invalid_key": { "status": 401, "text": other },
        "caller_id_groups": { one: other, "x": one },
        "channel_types": { other: one },
    });
    let Value::Object(settings) = settings else { return Calibrated::default() };
    Calibrated {
        choices: vec![choice("v1_users", true), choice(one, false)],
        entries: vec![entry(0), entry(1)],
        undecided: vec![format!("v1_users.{one}: {other}")],
        before: vec![remaining.clone()],
        after: vec![remaining],
        overlay: [("v1_users".to_owned(), settings)].into(),
        ..Calibrated::default()
    }
}

#[test]
fn the_toml_has_exactly_the_findings_whatever_the_names_are() {
    // Pieces of hostile texts, joined at random, but the same every time.
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut made = || {
        let pieces = (0..next(4)).map(|_| HOSTILE[next(HOSTILE.len())]).collect::<Vec<_>>();
        let text: Vec<char> = pieces.concat().chars().collect();
        let cut = if text.is_empty() { 0 } else { next(text.len()) };
        text[cut..].iter().collect::<String>()
    };
    let mut pairs: Vec<(String, String)> = (0..2_000).map(|_| (made(), made())).collect();
    for one in HOSTILE {
        pairs.extend(HOSTILE.iter().map(|other| (one.to_owned(), (*other).to_owned())));
    }
    for (one, other) in &pairs {
        let found = found(one, other);
        let text = found.toml("ams");
        let shown =
            |c: char| c == '\n' || !c.is_control() && !"\u{202e}\u{2028}\u{feff}".contains(c);
        assert!(text.chars().all(shown), "{text:?}");
        let told: toml::Table = toml::from_str(&text).unwrap();
        let expected: toml::Table =
            serde_json::from_value(json!({ "legacy": found.overlay })).unwrap();
        assert_eq!(told, expected, "{one:?} and {other:?}: {text}");
    }
}

#[test]
fn a_member_with_a_hostile_name_is_a_comment_and_no_key_is_printed() {
    let sides = Sides::changed(60, |_, asked, reply| {
        if reply.status == 401 {
            return Reply::json(401, &json!({ "error": "no such key: legacy-demo-key" }));
        }
        match asked.is_users() {
            true => reply.each(|user| {
                user[HOSTILE[0]] = 1.into();
                user["jane.roe@people.example"] = 1.into();
                user["timezone"] = "esc \u{1b}[2J\nlegacy-demo-key = 1".into();
            }),
            false => reply,
        }
    });
    let output = calibrate(&sides, &[]);
    assert_code(&output, 1);
    let text = stdout(&output);
    let told: toml::Table = toml::from_str(&text).unwrap();
    assert!(told.keys().all(|key| key == "legacy"), "{text}");
    assert!(text.contains("#   still: v1_users.x: 9 xx 9\\u000a[xxxxxxxxxxx]"), "{text}");
    assert!(!text.contains("demo-key") && !text.contains("jane"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}
