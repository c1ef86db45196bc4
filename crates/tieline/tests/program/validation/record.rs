//! `tieline record` and its replay: what was compared live is compared again offline, nobody is in the
//! file, and of all that the commands say and write no key and no person can be told.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use super::sides::{FEW, KEY, Sides, assert_code, only_line, read, report};
use crate::common::canary::{Heard, Search, canary};
use crate::common::process::{Folder, configuration};
use crate::common::{Running, eventually, run, stderr, stdout, tieline};
use report::{Cause, Report, Verdict};
use simulator::{Dialect, Settings, User, VonageSettings};

/// A vendor, a configuration and where its recording goes.
struct World {
    folder: Folder,
    config: String,
    corpus: String,
}

impl World {
    fn new(test: &str, base: &str) -> World {
        let folder = Folder::new(&format!("record_{test}"));
        let config = configuration(&folder, "", base, "");
        let corpus = folder.path("legacy.corpus").to_str().unwrap().to_owned();
        World { folder, config, corpus }
    }

    fn record(&self, base: &str, more: &[&str]) -> Output {
        run(&[&self.recording(base)[..], more].concat(), b"")
    }

    fn recording<'a>(&'a self, base: &'a str) -> Vec<&'a str> {
        let sides = ["record", "--config", &self.config, "--control", base, "--out", &self.corpus];
        [&sides, &KEY[..], &FEW[..]].concat()
    }

    fn replay(&self, config: &str, corpus: &str) -> Output {
        let out = self.folder.path("report");
        let out = out.to_str().unwrap();
        run(&["validate", "--config", config, "--control", corpus, "--report", out], b"")
    }

    fn report(&self) -> Report {
        report(&self.folder)
    }

    /// The recording with a change, as another file.
    fn changed(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = std::fs::read(&self.corpus).unwrap();
        change(&mut bytes);
        let file = self.folder.path(name);
        std::fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

#[test]
fn a_recording_proves_offline_what_was_compared_live() {
    let sides = Sides::new(80);
    let world = World::new("replay", &sides.base);
    let live = super::sides::validate(&world.folder, &world.config, &sides.base, &[]);
    assert_code(&live, 0);
    let live = world.report();
    let output = world.record(&sides.base, &[]);
    assert_code(&output, 0);
    let all = live.totals.scenarios;
    let out = stdout(&output);
    assert!(out.contains(&format!("{}: {all} legacy answers", world.corpus)), "{out}");
    assert!(out.contains("\nagree: "), "{out}");
    let mode = std::fs::metadata(&world.corpus).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    drop(sides);
    let output = world.replay(&world.config, &world.corpus);
    assert_code(&output, 0);
    let replayed = world.report();
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
    let text = std::fs::read_to_string(&world.config).unwrap();
    let other = text + "[legacy.v1_users]\nassigned_teams = \"names\"\nemployee_id = \"number\"\n";
    let other = world.folder.file("other.toml", &other);
    let output = world.replay(&other, &world.corpus);
    assert_code(&output, 0);
    let found = world.report();
    assert!(found.totals.causes[&Cause::Quirk] > 80, "{:?}", found.totals.causes);
    let lines: Vec<&str> = found.settings.iter().map(|one| one.line.as_str()).collect();
    for line in ["assigned_teams = \"ids\"", "employee_id = \"string\""] {
        assert!(lines.contains(&line), "{lines:?}");
    }
}

#[test]
fn a_file_that_is_no_whole_recording_is_refused_in_one_line() {
    let sides = Sides::new(60);
    let world = World::new("damaged", &sides.base);
    assert_code(&world.record(&sides.base, &[]), 0);
    let edited = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        move |bytes: &mut Vec<u8>| {
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            assert!(text.contains(&from), "{from}");
            *bytes = text.replacen(&from, &to, 1).into_bytes();
        }
    };
    let folder = world.folder.path("");
    let cases = [
        (world.changed("status", edited("\"status\":200", "\"status\":201")), "edited or damaged"),
        (world.changed("name", edited("\"timezone\":\"", "\"timezone\":\"X")), "edited or damaged"),
        (world.changed("cut", |bytes| bytes.truncate(bytes.len() / 2)), "ends early"),
        (world.changed("end", |bytes| bytes.truncate(bytes.len() - 1)), "ends early"),
        (world.changed("more", |bytes| bytes.extend(b"{}\n")), "edited or damaged"),
        (world.changed("empty", Vec::clear), "no corpus"),
        (world.changed("foreign", |bytes| *bytes = b"id,name\n1,Jane\n".to_vec()), "no corpus"),
        (
            world.changed("later", edited("{\"tieline_corpus\":1", "{\"tieline_corpus\":2")),
            "format 2",
        ),
        (world.folder.path("missing").to_str().unwrap().to_owned(), "not found"),
        (folder.to_str().unwrap().to_owned(), "directory"),
    ];
    for (file, said) in cases {
        let line = only_line(&world.replay(&world.config, &file), 1);
        assert!(line.contains("--control") && line.contains(said), "{file}: {line}");
    }
    let url = sides.base.as_str();
    let elsewhere = ["validate", "--candidate", url, "--control", &world.corpus];
    let line = only_line(&run(&elsewhere, b""), 2);
    assert!(line.contains("--config"), "{line}");
}

#[test]
fn what_cannot_be_recorded_leaves_no_finished_file() {
    let sides = Sides::new(60);
    let world = World::new("unfinished", &sides.base);
    let start = world.recording(&sides.base);
    sides.hold_at(30);
    let mut running = Running::spawn(tieline(&start));
    eventually("thirty requests", || sides.asked().len() > 30);
    // What there is of it is nobody's to read, and no recording.
    let part = format!("{}.part", world.corpus);
    let mode = std::fs::metadata(&part).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let cut = world.folder.path("cut").to_str().unwrap().to_owned();
    std::fs::copy(&part, &cut).unwrap();
    assert!(only_line(&world.replay(&world.config, &cut), 1).contains("ends early"));
    running.signal("INT");
    assert_eq!(running.code().code(), Some(130));
    assert_eq!(running.rest_of_stdout(), "");
    let err = running.rest_of_stderr();
    assert!(err.ends_with("error: interrupted: nothing was recorded\n"), "{err}");
    let has_file = || std::fs::exists(&world.corpus).unwrap();
    assert!(!has_file());
    assert!(!std::fs::exists(&part).unwrap());

    sides.hold_at(usize::MAX);
    let before = sides.asked().len();
    let folder = world.folder.path("a-folder");
    std::fs::create_dir(&folder).unwrap();
    let short = world.folder.file("short", "too-short\n");
    let (folder, short) = (folder.to_str().unwrap(), format!("file:{short}"));
    let base = &sides.base;
    let with = |more: &[&str]| {
        let pairs = start[1..].iter().filter(|one| !FEW.contains(one)).copied().collect::<Vec<_>>();
        let pairs = pairs.chunks(2).filter(|pair| !more.contains(&pair[0]));
        let kept: Vec<&str> = pairs.flatten().copied().collect();
        run(&[&["record"][..], &kept, more].concat(), b"")
    };
    let cases: [(&[&str], &str); 7] = [
        (&["--out", folder], "is a folder"),
        (&["--out", "/nowhere/at/all"], "--out: /nowhere/at/all"),
        (&["--control", "/nowhere/at/all"], "--control: the URL of the legacy API is needed"),
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
    assert!(line.contains("control refuses its key") && !line.contains("wrong"), "{line}");
    assert!(!has_file() && !std::fs::exists(&part).unwrap());
    assert_code(&world.record(base, &[]), 0);
    assert!(has_file() && !std::fs::exists(&part).unwrap());
}

#[test]
fn the_same_key_makes_the_same_pseudonyms() {
    let sides = Sides::new(30);
    let world = World::new("pseudonyms", &sides.base);
    let key = |name: &str, text: &str| format!("file:{}", world.folder.file(name, text));
    let (one, two) = (key("one", "a-key-of-20-letters!\n"), key("two", "b-key-of-20-letters!\n"));
    let mut bodies = Vec::new();
    for key in [Some(&one), Some(&one), Some(&two), None] {
        let more: Vec<&str> =
            key.iter().flat_map(|key| ["--pseudonym-key", key.as_str()]).collect();
        assert_code(&world.record(&sides.base, &more), 0);
        let text = std::fs::read_to_string(&world.corpus).unwrap();
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
fn no_key_and_nobody_is_in_what_is_logged_printed_or_written() {
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
    let folder = Folder::new("record_secrets");
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream.ams]\ndialect = \"voiso-v4\"\nbase_url = \"{}\"\n\
         [[caller]]\nname = \"crm\"\nlegacy_key = {{ env = \"LEGACY\" }}\nupstream = \"ams\"\n\
         upstream_key = {{ env = \"V4\" }}\nsees = \"everything\"\n",
        sides.base
    );
    let config = folder.file("tieline.toml", &config);
    let corpus = folder.path("legacy.corpus");
    let (corpus, out) = (corpus.to_str().unwrap(), folder.path("report"));
    let control = ["--control", &sides.base, "--control-key", "env:LEGACY", "--rate", "100000"];
    let control = [&control[..], &["--control-user-key", "env:LEGACY_USER"]].concat();
    let report = ["--report", out.to_str().unwrap()];
    let mut all = Heard::default();
    let of = |command: &'static str, format: &'static str| {
        vec![command, "--config", &config, "--log-format", format]
    };
    let validate = [&of("validate", "json")[..], &control, &report, &FEW].concat();
    // The memory of a run that did not come to its end.
    heard(&mut all, "the beginning", &[&validate[..], &["--requests-max", "30"]].concat(), &keys);
    let memory = std::fs::read(out.join("progress.jsonl")).unwrap();
    assert!(memory.len() > 1_000, "{}", memory.len());
    all.add("the memory", memory);
    let output = heard(&mut all, "validate", &validate, &keys);
    let text = stderr(&output);
    assert!(text.contains("TRACE") && text.lines().count() > 1_000, "is the log complete?");
    assert!(read(&out).findings.iter().any(|one| !one.examples.is_empty()));
    let record = [&of("record", "human")[..], &control, &["--out", corpus], &FEW].concat();
    heard(&mut all, "record", &record, &keys);
    let files = ["report/report.html", "report/report.json", "report/report.junit.xml"];
    for name in files.iter().chain(&["legacy.corpus"]) {
        all.add(*name, std::fs::read(folder.path(name)).unwrap());
    }
    let replay = [&of("validate", "human")[..], &["--control", corpus], &report].concat();
    heard(&mut all, "the replay", &replay, &keys);
    all.add("the report of the replay", std::fs::read(out.join("report.json")).unwrap());
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
fn over_vonage_declared_losses_are_causes_and_no_secret_is_told() {
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
    let folder = Folder::new("record_vonage");
    let client = folder.file("client", &format!("{id}:{secret}\n"));
    let base = &sides.base;
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream.vcc]\ndialect = \"vonage-v4\"\nbase_url = \"{base}\"\n\
         token_url = \"{base}/Auth/connect/token\"\nrequests_per_minute_max = 0\n\
         [[caller]]\nname = \"crm\"\nlegacy_key = {{ file = \"{}\" }}\nupstream = \"vcc\"\n\
         upstream_key = {{ file = \"{client}\" }}\nsees = \"everything\"\n",
        folder.file("legacy", &legacy)
    );
    let config = folder.file("tieline.toml", &config);
    let out = folder.path("report");
    let key = format!("file:{}", folder.path("legacy").to_str().unwrap());
    let mut command = tieline(&["validate", "--config", &config, "--control", base]);
    command.args(["--control-key", &key, "--rate", "100000", "--report", out.to_str().unwrap()]);
    let output = command.args(FEW).env("TIELINE_LOG", "trace").output().unwrap();
    let report = read(&out);
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
        all.add(name, std::fs::read(out.join(name)).unwrap());
    }
    let token = sides.simulator().vonage_token(&id).unwrap();
    let secrets = [("client", id), ("secret", secret), ("legacy key", legacy), ("token", token)];
    all.assert_clean(&Search::new(&secrets.map(|(name, text)| (name.to_owned(), text))));
}
