//! `tieline config`: a configuration is judged offline. And the ways to name a configuration.

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
}

#[test]
fn every_mistake_of_a_bad_configuration_is_a_line_and_the_code_is_78() {
    let folder = Folder::new();
    let text = configured("odd = \"canary\"\nheader_timeout = 5", NOWHERE, "rows_max = -1", "");
    let file = folder.file("t.toml", &text);
    for (name, input) in [(file.as_str(), ""), ("-", text.as_str())] {
        for command in [&["config", "check"][..], &["serve"]] {
            if name == "-" && command == ["serve"] {
                continue;
            }
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
        assert!(told.starts_with(&format!("{bad}:1:1: odd: ")), "{command:?}: {told}");
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
