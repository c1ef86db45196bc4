//! `tieline config`: a configuration is judged offline. And the ways to name a configuration.
#![expect(clippy::unwrap_used, reason = "a test may")]

use crate::common::{configured, run, stderr, stdout, tieline};
use tests::V4_KEY;
use tests::folder::Folder;

const NOWHERE: &str = "http://127.0.0.1:9";

#[test]
fn a_good_configuration_is_code_0_without_asking_its_upstream() {
    let folder = Folder::new();
    let key = folder.file("v4.key", V4_KEY);
    let text = configured("", NOWHERE, "", "").replace("v4.key", &key);
    let file = folder.file("t.toml", &text);
    for (name, input) in [(file.as_str(), ""), ("-", &text), ("-", &format!("\u{feff}{text}"))] {
        let output = run(&["config", "check", "--config", name], input.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert!(stdout(&output).ends_with(": good; callers: 1, upstreams: 1\n"), "{name}");
        assert_eq!(stderr(&output), "");
    }
    // Which windows come next is said, too.
    let window = "[[brownout]]\nendpoint = \"v1_users\"\nstart = 9998-01-01T00:00:00Z\nend = 9998-01-01T01:00:00Z\n";
    let file = folder.file("windows.toml", format!("{text}\n{window}"));
    let output = run(&["config", "check", "--config", &file], b"");
    let told = "upstreams: 1\nbrownouts: 1, on now: 0; next at 9998-01-01T00:00:00Z: v1_users for every caller \
                until 9998-01-01T01:00:00Z\n";
    assert!(stdout(&output).ends_with(told), "{} {}", stdout(&output), stderr(&output));
}

#[test]
fn every_mistake_of_a_bad_configuration_is_a_line_and_the_code_is_78() {
    let folder = Folder::new();
    let text = configured("odd = \"canary\"\nheader_timeout = 5", NOWHERE, "rows_max = -1", "");
    let file = folder.file("t.toml", &text);
    for (name, input) in [(file.as_str(), ""), ("-", text.as_str())] {
        for command in [&["config", "check"][..], &["check"]] {
            let output = run(&[command, &["--config", name]].concat(), input.as_bytes());
            assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
            let told = stderr(&output);
            let lines: Vec<&str> = told.lines().collect();
            assert_eq!(lines.len(), 9, "{told}");
            for (lines, field) in lines.chunks(3).zip(["odd", "header_timeout", "rows_max"]) {
                let place = lines[0].starts_with(&format!("{name}:")) && lines[0].contains(field);
                let shown = lines[1].contains(&format!(" | {field} = "));
                let caret = lines[2].ends_with(&format!("| {}", "^".repeat(field.len())));
                assert!(place && shown && caret, "{told}");
            }
            assert!(!told.contains("canary") && stdout(&output).is_empty(), "{told}");
        }
    }
    // A start is read in a log.
    let output = run(&["serve", "--config", &file], b"");
    assert_eq!(output.status.code(), Some(78));
    let told = stderr(&output);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    for (line, field) in lines.iter().zip(["odd", "header_timeout", "rows_max"]) {
        assert!(line.starts_with(&format!("{file}:")) && line.contains(field), "{told}");
    }
    assert!(!told.contains("canary") && stdout(&output).is_empty(), "{told}");
    for (input, why) in [(&b"\xff\xfea\0"[..], "is UTF-16"), (b"[", "syntax"), (b"", "caller")] {
        let output = run(&["config", "check", "--config", "-"], input);
        assert_eq!(output.status.code(), Some(78));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
}

#[test]
fn a_configuration_is_named_by_either_flag_or_by_a_variable_that_gives_way_to_them() {
    let folder = Folder::new();
    let key = folder.file("v4.key", V4_KEY);
    let good = configured("", NOWHERE, "", "").replace("v4.key", &key);
    let good = folder.file("good.toml", good);
    let bad = folder.file("bad.toml", "odd = 1");
    let ended = |arguments: &[&str], variable: &str| {
        let output = tieline(arguments).env("TIELINE_CONFIG", variable).output().unwrap();
        (output.status.code(), stdout(&output) + &stderr(&output))
    };
    for arguments in [&["config", "check"][..], &["config", "check", "-c", &good]] {
        let variable = if arguments.len() > 2 { &bad } else { &good };
        let (code, told) = ended(arguments, variable);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.starts_with(&format!("{good}: good")), "{told}");
    }
    let control = ["--control", NOWHERE, "--control-key", "env:NONE"];
    for command in [
        &["serve"][..],
        &["check"],
        &["config", "check"],
        &["roster", "export"],
        &[&["validate"][..], &control].concat(),
        &[&["calibrate"][..], &control].concat(),
        &[&["record"][..], &control, &["--out", &folder.name("recorded")]].concat(),
    ] {
        let (code, told) = ended(command, &bad);
        assert_eq!(code, Some(78), "{command:?}: {told}");
        let place = if command == ["serve"] { "1" } else { "1:1" };
        assert!(told.starts_with(&format!("{bad}:{place}: odd: ")), "{command:?}: {told}");
        let (code, told) = ended(&[command, &["-c", &bad]].concat(), &good);
        assert_eq!(code, Some(78), "{command:?}: {told}");
    }
    // The help names the variable, never its content.
    let (_, help) = ended(&["serve", "--help"], "canary");
    assert!(help.contains("[env: TIELINE_CONFIG]") && !help.contains("canary"), "{help}");
}

#[test]
fn every_setting_is_shown_with_its_origin_and_no_secret() {
    let folder = Folder::new();
    let key = folder.file("v4.key", V4_KEY);
    let text = configured("", NOWHERE, "", "").replace("v4.key", &key);
    let file = folder.file("t.toml", format!("\u{feff}{text}"));
    for (name, input) in [(file.as_str(), ""), ("-", &text)] {
        let mut command = tieline(&["config", "show", "-c", name]);
        command.env("TIELINE_LOG__LEVEL", "warn");
        command.stdin(std::fs::File::open(folder.file("input", input)).unwrap());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let told = stdout(&output);
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines.contains(&"log.level = \"warn\"  # TIELINE_LOG__LEVEL"), "{told}");
        assert!(lines.contains(&"cache.bytes_max = \"64MiB\"  # default"), "{told}");
        let of_key = format!("caller[0].upstream_key = {{file {key}}}  # {name}:");
        assert!(lines.iter().any(|line| line.starts_with(&of_key)), "{told}");
        assert!(!told.contains(V4_KEY) && !told.contains("sha256"), "{told}");
        let json = run(&["config", "show", "-c", name, "--format", "json"], input.as_bytes());
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json.as_array().unwrap().len(), lines.len());
    }
    let bad = folder.file("bad.toml", "odd = \"canary\"");
    for arguments in [&["config", "show", "-c", &bad][..], &["config", "show", "-c", "nowhere"]] {
        let output = run(arguments, b"");
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(78), ""));
        let told = stderr(&output);
        assert!(told.starts_with(arguments[3]) && !told.contains("canary"), "{told}");
    }
}

#[test]
fn the_schema_is_one_json_document() {
    let output = run(&["config", "schema"], b"");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema, settings::schema());
}

const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// Runs `config init` with a legacy key in a variable.
fn init(arguments: &[&str]) -> std::process::Output {
    let mut command = tieline(&[&["config", "init"], arguments].concat());
    // What a variable sets is of the file that is read, not of the one that is written.
    command.env("TIELINE_UPSTREAM__AMS__BASE_URL", "http://127.0.0.1:9");
    command.env("INIT_LEGACY", "abc").output().unwrap()
}

#[test]
fn a_new_configuration_passes_the_check_and_has_no_key() {
    let folder = Folder::new();
    let key = folder.file("v4.key", V4_KEY);
    let file_key = format!("file:{key}");
    for (number, more) in [
        &["--base-url", NOWHERE, "--upstream-key", "env:INIT_UPSTREAM"][..],
        &["--base-url", NOWHERE, "--upstream-key", &file_key, "--teams", "1,2"],
        &[
            "--dialect",
            "vonage-v4",
            "--base-url",
            NOWHERE,
            "--token-url",
            "http://127.0.0.1:9/token",
            "--upstream-key",
            "env:INIT_UPSTREAM",
            "--caller",
            "wall.board-2",
        ],
    ]
    .iter()
    .enumerate()
    {
        for legacy_key in ["env:INIT_LEGACY", DIGEST] {
            let out = folder.name(&format!("{number}-{}.toml", legacy_key.len()));
            let output = init(&[more, &["--legacy-key", legacy_key, "--out", &out][..]].concat());
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            let text = std::fs::read_to_string(&out).unwrap();
            assert!(text.contains(DIGEST) && !text.contains(V4_KEY), "{text}");
            let mut check = tieline(&["config", "check", "-c", &out]);
            let check = check.env("INIT_UPSTREAM", "id:secret").output().unwrap();
            assert_eq!(check.status.code(), Some(0), "{}", stderr(&check));
            // It is the same on standard output, and a file that is there stays as it is.
            let printed = init(&[more, &["--legacy-key", legacy_key, "--out", "-"][..]].concat());
            assert_eq!(stdout(&printed), text);
            std::fs::write(&out, "mine").unwrap();
            let again = init(&[more, &["--legacy-key", legacy_key, "--out", &out][..]].concat());
            assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
            assert!(stderr(&again).contains("is not overwritten"), "{}", stderr(&again));
            assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
        }
    }
}

#[test]
fn what_cannot_be_a_new_configuration_is_code_2_writes_nothing_and_repeats_no_key() {
    let folder = Folder::new();
    let out = folder.name("new.toml");
    let keys = ["--legacy-key", "env:INIT_LEGACY", "--upstream-key", "env:INIT_UPSTREAM"];
    for (arguments, told) in [
        (vec!["--base-url", NOWHERE], "--legacy-key is needed"),
        ([&keys[..2], &["--base-url", NOWHERE]].concat(), "--upstream-key is needed"),
        ([&keys[..], &["--base-url", "ftp://canary"]].concat(), "upstream.main.base_url: must be"),
        ([&keys[..], &["--dialect", "canary"]].concat(), "--dialect: this version speaks"),
        (
            [&keys[2..], &["--base-url", NOWHERE, "--legacy-key", "sha256:canary"]].concat(),
            "64 hex",
        ),
        ([&keys[2..], &["--base-url", NOWHERE, "--legacy-key", "canary"]].concat(), "must be env:"),
        (
            [&keys[..2], &["--base-url", NOWHERE, "--upstream-key", "canary"]].concat(),
            "env:NAME or",
        ),
        ([&keys[..], &["--base-url", NOWHERE, "--caller", "a b"]].concat(), "caller[0].name"),
        ([&keys[..], &["--base-url", NOWHERE, "--dialect", "vonage-v4"]].concat(), "--token-url"),
    ] {
        let output = init(&[&arguments[..], &["--out", &out]].concat());
        let text = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{text}");
        assert!(text.contains(told) && !text.contains("canary"), "{told}: {text}");
        assert!(!std::path::Path::new(&out).exists());
    }
}
