//! `tieline record` and its replay: what was compared live is compared again offline, nobody is in the
//! file, and of all that the commands say and write no key and no person can be told.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use super::sides::{FEW, KEY, Reply, Sides, assert_code, only_line};
use crate::common::canary::{Heard, Search, canary};
use crate::common::process::Process;
use crate::common::{eventually, run, stderr, stdout, tieline};
use report::{Cause, Verdict};
use serde_json::Value;
use simulator::{Dialect, Settings, User, VonageSettings};
use tests::config;

impl Sides {
    fn record(&self, more: &[&str]) -> Output {
        run(&[&self.recording()[..], more].concat(), b"")
    }

    fn recording(&self) -> Vec<&str> {
        let sides = ["record", "--config", &self.config, "--control", &self.base];
        [&sides, &["--out", &self.corpus][..], &KEY, &FEW].concat()
    }

    fn replay(&self, config: &str, corpus: &str) -> Output {
        let sides = ["validate", "--config", config, "--control", corpus, "--report", &self.out];
        run(&sides, b"")
    }

    /// The recording with a change, as another file.
    fn spoilt(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = std::fs::read(&self.corpus).unwrap();
        change(&mut bytes);
        self.folder.file(name, bytes)
    }
}

#[test]
fn a_recording_proves_offline_what_was_compared_live() {
    let mut sides = Sides::new(80);
    let live = sides.validate(&[]);
    assert_code(&live, 0);
    let live = sides.report();
    let output = sides.record(&[]);
    assert_code(&output, 0);
    let all = live.totals.scenarios;
    let out = stdout(&output);
    assert!(out.contains(&format!("{}: {all} legacy answers", sides.corpus)), "{out}");
    assert!(out.contains("\nagree: "), "{out}");
    let mode = std::fs::metadata(&sides.corpus).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    sides.stop();
    let output = sides.replay(&sides.config, &sides.corpus);
    assert_code(&output, 0);
    let replayed = sides.report();
    assert_eq!(replayed.verdict, Verdict::Agree);
    assert_eq!(replayed.control.unwrap().kind, "recording");
    for (live, replayed) in [
        (live.totals.scenarios, replayed.totals.scenarios),
        (live.totals.records, replayed.totals.records),
        (live.totals.compared, replayed.totals.compared),
        (live.totals.matched, replayed.totals.matched),
    ] {
        assert_eq!(live, replayed);
    }

    // Another configuration is found out: here by a setting that would make it equal.
    let text = std::fs::read_to_string(&sides.config).unwrap();
    let other = text + "[legacy.v1_users]\nassigned_teams = \"names\"\nemployee_id = \"number\"\n";
    let other = sides.folder.file("other.toml", &other);
    let output = sides.replay(&other, &sides.corpus);
    assert_code(&output, 0);
    let found = sides.report();
    assert!(found.totals.causes[&Cause::Quirk] > 80, "{:?}", found.totals.causes);
    let lines: Vec<&str> = found.settings.iter().map(|one| one.line.as_str()).collect();
    for line in ["assigned_teams = \"ids\"", "employee_id = \"string\""] {
        assert!(lines.contains(&line), "{lines:?}");
    }
}

/// What control says of the balance; the name is about a person, and no page names its field.
const BALANCE: &str = r#"{"balance":3562.67,"paid_by":"Jane Doe"}"#;

#[test]
fn what_passes_to_the_legacy_api_with_its_own_credential_is_recorded_too() {
    let mut sides = Sides::changed(3, |_, asked, reply| match asked.path.as_str() {
        "/api/v1/{key}/balance" => Reply::new(200, "application/json", BALANCE),
        _ => reply,
    });
    let asked = |sides: &Sides, end: &str| {
        sides.asked().iter().filter(|one| one.path.ends_with(end)).count()
    };
    assert_code(&sides.record(&[]), 0);
    let text = std::fs::read_to_string(&sides.corpus).unwrap();
    assert!(!text.contains("balance"), "without such a route nothing is asked");
    assert_eq!((asked(&sides, "/balance"), asked(&sides, "/wrapup_codes")), (0, 0));

    let config = std::fs::read_to_string(&sides.config).unwrap();
    let route = "[passthrough]\nenabled = true\n[[passthrough.route]]\nlegacy = \"keep\"\n\
                 [[passthrough.route]]\nprefix = \"/api/numbers\"\nallow = false\n";
    sides.config = sides.folder.file("keep.toml", config + route);
    let output = sides.record(&[]);
    assert_code(&output, 0);
    let out = stdout(&output);
    assert!(out.contains("7 of the legacy answers are of paths that Tieline does not"), "{out}");
    let text = std::fs::read_to_string(&sides.corpus).unwrap();
    assert!(text.contains("/api/v1/{key}/balance") && text.contains("\"paid_by\""), "{text}");
    assert!(!text.contains("Jane") && !text.contains(tests::LEGACY_KEY), "{text}");
    assert_eq!((asked(&sides, "/balance"), asked(&sides, "/wrapup_codes")), (1, 1));
    let effects = ["sendsms", "click2call", "contacts", "/whatsapp", "/numbers"];
    assert!(effects.into_iter().all(|effect| asked(&sides, effect) == 0));
    // A replay compares what it did without them.
    sides.stop();
    assert_code(&sides.replay(&sides.config, &sides.corpus), 0);
    assert_eq!(sides.report().verdict, Verdict::Agree);
}

/// Both sides find names by a part, and one user's name is a part of another's.
#[test]
fn a_recording_of_filters_by_a_part_agrees_as_the_live_sides_do() {
    let mut sides = Sides::changed(80, |simulator, asked, reply| {
        let wanted = asked.filter("name").filter(|wanted| !wanted.is_empty());
        let Some(wanted) = wanted.filter(|_| asked.is_users() && asked.query.len() == 1) else {
            return reply;
        };
        let wanted = wanted.to_lowercase();
        let query = [("name".to_owned(), String::new())];
        let users = simulator.legacy_users(&query).into_iter();
        let is_found = |user: &Value| {
            user["name"].as_str().is_some_and(|name| name.to_lowercase().contains(&wanted))
        };
        Reply::json(reply.status, &users.filter(is_found).collect())
    });
    let records = sides.simulator().records();
    let live = records.iter().filter(|user| user.deleted_at.is_none());
    for (user, name) in live.zip(["Ann Lee", "Ann Lee", "Ann Lee", "Ann Leeds", "Mary Ann Lee"]) {
        assert!(sides.simulator().edit_user(user.id, |user| user.name = name.into()));
    }
    let text = std::fs::read_to_string(&sides.config).unwrap();
    let filters = "[legacy.v1_users.filters]\nname = \"contains\"\n";
    let by_part = sides.folder.file("by_part.toml", text + filters);
    let only = ["--endpoint", "v1_users"];
    let output = sides.validate_with(&by_part, &only);
    assert_code(&output, 0);
    let live = sides.report();
    assert!(live.totals.causes.is_empty(), "{:?}", live.totals.causes);

    let config = std::mem::replace(&mut sides.config, by_part.clone());
    let recorded = stdout(&sides.record(&[]));
    assert!(recorded.contains("questions are not in it"), "{recorded}");
    sides.config = config;
    sides.stop();
    let replay = ["validate", "--config", &by_part, "--control", &sides.corpus];
    let output = run(&[&replay[..], &["--report", &sides.out], &only].concat(), b"");
    assert_code(&output, 0);
    let replayed = sides.report();
    assert!(replayed.totals.causes.is_empty(), "{:#?}", replayed.findings);
    assert!(replayed.totals.scenarios < live.totals.scenarios);
    assert!(replayed.totals.scenarios * 10 > live.totals.scenarios * 7, "most are in it");
}

#[test]
fn a_file_that_is_no_whole_recording_is_refused_in_one_line() {
    let sides = Sides::new(60);
    assert_code(&sides.record(&[]), 0);
    let edited = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            assert!(text.contains(&from), "{from}");
            *bytes = text.replacen(&from, &to, 1).into_bytes();
        }
    };
    let cases = [
        (sides.spoilt("status", edited("\"status\":200", "\"status\":201")), "edited or damaged"),
        (sides.spoilt("name", edited("\"timezone\":\"", "\"timezone\":\"X")), "edited or damaged"),
        (sides.spoilt("cut", |bytes| bytes.truncate(bytes.len() / 2)), "ends early"),
        (sides.spoilt("end", |bytes| bytes.truncate(bytes.len() - 1)), "ends early"),
        (sides.spoilt("more", |bytes| bytes.extend(b"{}\n")), "edited or damaged"),
        (sides.spoilt("empty", Vec::clear), "no corpus"),
        (sides.spoilt("foreign", |bytes| *bytes = b"id,name\n1,Jane\n".to_vec()), "no corpus"),
        (
            sides.spoilt("later", edited("{\"tieline_corpus\":1", "{\"tieline_corpus\":2")),
            "format 2",
        ),
        (sides.folder.name("missing"), "not found"),
        (sides.folder.name(""), "directory"),
    ];
    for (file, said) in cases {
        let line = only_line(&sides.replay(&sides.config, &file), 1);
        assert!(line.contains("--control") && line.contains(said), "{file}: {line}");
    }
    let url = sides.base.as_str();
    let elsewhere = ["validate", "--candidate", url, "--control", &sides.corpus];
    let line = only_line(&run(&elsewhere, b""), 2);
    assert!(line.contains("--config"), "{line}");
}

#[test]
fn a_failed_recording_leaves_no_finished_file() {
    let sides = Sides::new(60);
    let start = sides.recording();
    sides.hold_at(30);
    let running = Process::spawn(tieline(&start));
    eventually("thirty requests", || sides.asked().len() > 30);
    // Only its owner may read the unfinished file, and it is no recording.
    let part = format!("{}.part", sides.corpus);
    let mode = std::fs::metadata(&part).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let cut = sides.folder.name("cut");
    std::fs::copy(&part, &cut).unwrap();
    assert!(only_line(&sides.replay(&sides.config, &cut), 1).contains("ends early"));
    running.signal("INT");
    assert_eq!(running.code().code(), Some(130));
    assert_eq!(running.rest_of_stdout(), "");
    let err = running.rest_of_stderr();
    assert!(err.ends_with("error: interrupted: nothing was recorded\n"), "{err}");
    let has_file = || std::fs::exists(&sides.corpus).unwrap();
    assert!(!has_file());
    assert!(!std::fs::exists(&part).unwrap());

    sides.hold_at(usize::MAX);
    let before = sides.asked().len();
    let folder = sides.folder.name("a-folder");
    std::fs::create_dir(&folder).unwrap();
    let short = format!("file:{}", sides.folder.file("short", "too-short\n"));
    let with = |more: &[&str]| {
        let pairs = start[1..].iter().filter(|one| !FEW.contains(one)).copied().collect::<Vec<_>>();
        let pairs = pairs.chunks(2).filter(|pair| !more.contains(&pair[0]));
        let kept: Vec<&str> = pairs.flatten().copied().collect();
        run(&[&["record"][..], &kept, more].concat(), b"")
    };
    let cases: [(&[&str], &str); 7] = [
        (&["--out", &folder], "is a folder"),
        (&["--out", "/nowhere/at/all"], "--out: /nowhere/at/all"),
        (&["--control", "/nowhere/at/all"], "--control: must be the URL of the legacy API"),
        (&["--control-key", "env:TIELINE_TEST_IS_NOT_SET"], "is not set"),
        (&["--pseudonym-key", &short], "--pseudonym-key: "),
        (&["--caller", "nobody"], "no caller"),
        (&["--rate", "0"], "--rate"),
    ];
    for (more, said) in cases {
        // A folder that is not there is no mistake in what was typed.
        let line = only_line(
            &with(more),
            if said.contains("/nowhere/at") && more[0] == "--out" { 1 } else { 2 },
        );
        assert!(line.contains(said) && !line.contains("too-short"), "{more:?}: {line}");
    }
    assert_eq!(sides.asked().len(), before);
    let line = only_line(&with(&["--control-key", "wrong-key-of-nobody"]), 1);
    assert!(line.contains("the legacy API refuses its key") && !line.contains("wrong"), "{line}");
    assert!(!has_file() && !std::fs::exists(&part).unwrap());
    assert_code(&sides.record(&[]), 0);
    assert!(has_file() && !std::fs::exists(&part).unwrap());
}

#[test]
fn the_same_key_makes_the_same_pseudonyms() {
    let sides = Sides::new(30);
    let key = |name: &str, text: &str| format!("file:{}", sides.folder.file(name, text));
    let (one, two) = (key("one", "a-key-of-20-letters!\n"), key("two", "b-key-of-20-letters!\n"));
    let mut bodies = Vec::new();
    for key in [Some(&one), Some(&one), Some(&two), None] {
        let more: Vec<&str> =
            key.iter().flat_map(|key| ["--pseudonym-key", key.as_str()]).collect();
        assert_code(&sides.record(&more), 0);
        let text = std::fs::read_to_string(&sides.corpus).unwrap();
        let people = text.lines().filter(|line| line.starts_with("{\"body\"")).map(str::to_owned);
        bodies.push(people.collect::<Vec<_>>());
    }
    assert!(bodies[0].len() > 10);
    assert!(bodies[0] == bodies[1], "the same key, other pseudonyms");
    for (a, b) in [(0, 2), (0, 3)] {
        assert!(bodies[a] != bodies[b], "{a} and {b} have the same pseudonyms");
    }
}

/// One user whose every value is a canary.
fn person(user: &mut User) {
    user.name = format!("{} {}", canary(700, 16), canary(701, 16)).into();
    user.email = format!("{}@{}.example", canary(702, 20), canary(703, 20)).into();
    user.sip_account = Some(format!("{}@sip.example.com", canary(704, 24)).into());
    user.employee_id = Some(canary(705, 24).into());
    user.caller_id = Some("918273645546372".into());
    user.extension = Some("564738291065748".into());
}

/// What nobody may hear of that user.
fn of_person() -> Vec<(String, String)> {
    let mut all: Vec<_> = (700..706)
        .map(|n| (format!("value {n}"), canary(n, if n < 702 { 16 } else { 20 })))
        .collect();
    all.push(("extension".to_owned(), "564738291065748".to_owned()));
    all.push(("caller id".to_owned(), "918273645546372".to_owned()));
    all
}

/// Keys and the finest log there is.
fn environment(keys: &[String; 3]) -> [(&str, &str); 4] {
    [("LEGACY", &keys[0]), ("LEGACY_USER", &keys[1]), ("V4", &keys[2]), ("TIELINE_LOG", "trace")]
}

fn heard(heard: &mut Heard, command: &str, arguments: &[&str], keys: &[String; 3]) -> Output {
    let output = tieline(arguments).envs(environment(keys)).output().unwrap();
    heard.add(format!("the output of {command}"), output.stdout.clone());
    heard.add(format!("the log of {command}"), output.stderr.clone());
    output
}

#[test]
fn no_key_and_no_person_is_logged_printed_or_written() {
    let keys = [canary(710, 40), canary(711, 40), canary(712, 40)];
    let settings = Settings {
        users: 40,
        teams_list: true,
        v4_keys: vec![keys[2].clone()],
        legacy_keys: vec![keys[0].clone(), keys[1].clone()],
        ..Settings::default()
    };
    // All of v1 differs, so that there are examples to show.
    let sides = Sides::with(settings, |_, asked, reply| match asked.path.contains("/v1/") {
        true => reply.each(|row| {
            for field in ["name", "email", "extension", "caller_id", "sip_account"] {
                if let Some(value) = row[field].as_str() {
                    row[field] = format!("{value}{value}").into();
                }
            }
        }),
        false => reply,
    });
    // What most users have is what filters are tried with.
    sides.simulator().insert_with(person);
    sides.simulator().insert_with(person);
    let caller = config::caller("crm", "ams", &config::env("LEGACY"), &config::env("V4"), "");
    let config = config::ports("") + &config::voiso("ams", &sides.base, "") + &caller;
    let config = sides.folder.file("tieline.toml", config);
    let (corpus, out) = (sides.corpus.as_str(), sides.out.as_str());
    let control = ["--control", &sides.base, "--control-key", "env:LEGACY", "--rate", "100000"];
    let control = [&control[..], &["--control-user-key", "env:LEGACY_USER"]].concat();
    let report = ["--report", out];
    let mut all = Heard::default();
    let of = |command: &'static str, format: &'static str| {
        vec![command, "--config", &config, "--log-format", format]
    };
    let validate = [&of("validate", "json")[..], &control, &report, &FEW].concat();
    // The memory of a run that did not come to its end.
    heard(&mut all, "the beginning", &[&validate[..], &["--requests-max", "30"]].concat(), &keys);
    let memory = sides.written("progress.jsonl").into_bytes();
    assert!(memory.len() > 1_000, "{}", memory.len());
    all.add("the memory", memory);
    let output = heard(&mut all, "validate", &validate, &keys);
    let text = stderr(&output);
    assert!(text.contains("TRACE") && text.lines().count() > 1_000, "is the log complete?");
    assert!(sides.report().findings.iter().any(|one| !one.examples.is_empty()));
    let record = [&of("record", "human")[..], &control, &["--out", corpus], &FEW].concat();
    heard(&mut all, "record", &record, &keys);
    let files = ["report/report.html", "report/report.json", "report/report.junit.xml"];
    for name in files.iter().chain(&["legacy.corpus"]) {
        all.add(*name, std::fs::read(sides.folder.path(name)).unwrap());
    }
    let replay = [&of("validate", "human")[..], &["--control", corpus], &report].concat();
    heard(&mut all, "the replay", &replay, &keys);
    all.add("the report of the replay", sides.written("report.json").into_bytes());
    let calibrate = [&of("calibrate", "json")[..], &control].concat();
    let output = heard(&mut all, "calibrate", &calibrate, &keys);
    assert!(stdout(&output).contains("values of the whole lists"), "{}", stdout(&output));
    let named = ["legacy key", "user key", "v4 key"].iter().zip(&keys);
    let mut secrets: Vec<_> = named.map(|(name, key)| ((*name).to_owned(), key.clone())).collect();
    secrets.extend(of_person());
    let search = Search::new(&secrets);
    let (name, log) = all.0.iter().find(|(name, _)| name == "the log of validate").unwrap();
    let spoilt = [&log[..], keys[0].as_bytes()].concat();
    assert!(!search.find(&spoilt).is_empty(), "{name}: the search is blind");
    all.assert_clean(&search);
}

#[test]
fn over_vonage_declared_losses_are_causes_and_no_secret_is_shown() {
    let (id, secret, legacy) = (canary(720, 24), canary(721, 40), canary(722, 40));
    let settings = Settings {
        dialect: Dialect::VonageV4,
        users: 60,
        legacy_keys: vec![legacy.clone()],
        vonage: VonageSettings {
            clients: vec![(id.clone(), secret.clone())],
            ..VonageSettings::default()
        },
        ..Settings::default()
    };
    let sides = Sides::with(settings, |_, _, reply| reply);
    let folder = &sides.folder;
    let client = folder.file("client", format!("{id}:{secret}\n"));
    let key = folder.file("legacy", &legacy);
    let (key, client) = (config::file(key), config::file(client));
    let config = config::ports("")
        + &config::vonage("vcc", &sides.base, "")
        + &config::caller("crm", "vcc", &key, &client, "");
    let config = folder.file("tieline.toml", config);
    let key = format!("file:{}", folder.name("legacy"));
    let mut command = tieline(&["validate", "--config", &config, "--control", &sides.base]);
    command.args(["--control-key", &key, "--rate", "100000", "--report", &sides.out]);
    let output = command.args(FEW).env("TIELINE_LOG", "trace").output().unwrap();
    let report = sides.report();
    assert_eq!(report.dialect, "vonage-v4");
    assert!(report.totals.causes[&Cause::DeclaredLoss] > 100, "{:?}", report.totals.causes);
    let losses = report.fields.iter().filter(|one| one.causes.contains_key(&Cause::DeclaredLoss));
    for field in losses.filter(|one| !one.field.starts_with('$')) {
        let is_declared = report.ledger.iter().any(|row| {
            row.endpoint == field.endpoint && row.field == field.field && row.status != "exact"
        });
        assert!(is_declared, "{}.{} is not in the ledger", field.endpoint, field.field);
    }
    let mut all = Heard::default();
    all.add("standard output", output.stdout.clone());
    all.add("the log", output.stderr.clone());
    for name in ["report.html", "report.json", "report.junit.xml"] {
        all.add(name, sides.written(name).into_bytes());
    }
    let token = sides.simulator().vonage_token(&id).unwrap();
    let secrets = [("client", id), ("secret", secret), ("legacy key", legacy), ("token", token)];
    all.assert_clean(&Search::new(&secrets.map(|(name, text)| (name.to_owned(), text))));
}
