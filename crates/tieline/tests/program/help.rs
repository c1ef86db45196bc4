//! The help that each command prints.

use crate::common::{run, shell, stderr, stdout};

const COMMANDS: &[&[&str]] = &[
    &[],
    &["demo"],
    &["serve"],
    &["check"],
    &["validate"],
    &["calibrate"],
    &["record"],
    &["simulate"],
    &["losses"],
    &["roster"],
    &["roster", "import"],
    &["roster", "export"],
    &["config"],
    &["config", "check"],
    &["config", "show"],
    &["config", "schema"],
    &["config", "init"],
    &["healthcheck"],
    &["completions"],
    &["man"],
    &["key"],
    &["key", "digest"],
];

#[test]
fn the_help_of_every_command_has_an_example_of_it() {
    for command in COMMANDS {
        let output = run(&[command, &["--help"][..]].concat(), b"");
        let text = stdout(&output);
        assert!(output.status.success(), "{command:?}");
        assert_eq!(stderr(&output), "");
        let (_, example) = text.split_once("Example:\n").unwrap_or_else(|| panic!("{text}"));
        assert!(example.contains(&["tieline", &command.join(" ")].join(" ")), "{text}");
        assert!(text.contains("--log-format"), "{text}");
        assert!(!text.contains('\u{1b}'), "colours only on a terminal: {text}");
    }
}

#[test]
fn the_help_lists_every_command() {
    let text = stdout(&run(&["--help"], b""));
    for command in [
        "demo",
        "serve",
        "check",
        "validate",
        "calibrate",
        "record",
        "simulate",
        "losses",
        "roster",
        "config",
        "healthcheck",
        "completions",
        "man",
        "key",
    ] {
        assert!(text.contains(&format!("\n  {command} ")), "{command}: {text}");
    }
}

#[test]
fn every_fault_of_the_simulator_has_a_flag() {
    let text = stdout(&run(&["simulate", "--help"], b""));
    // `Debug` prints the fields by name, so this list can't be out of date.
    let fields = format!("{:#?}", simulator::Faults::default());
    let names = fields.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(':'));
    let mut count = 0;
    for (name, _) in names {
        let flag = format!("--{}", name.replace('_', "-"));
        assert!(text.contains(&flag), "{flag}: {text}");
        count += 1;
    }
    assert!(count > 30, "{fields}");
}

#[test]
fn the_version_is_printed() {
    for arguments in [&["--version"][..], &["serve", "--version"]] {
        let output = run(arguments, b"");
        assert!(output.status.success());
        let text = stdout(&output);
        let version = format!(" {} (", env!("CARGO_PKG_VERSION"));
        let (_, revision) =
            text.trim_end().split_once(&version).unwrap_or_else(|| panic!("{text}"));
        // That of the checkout, unless somebody gave another one to the build or took the sources without it.
        let head = shell(&format!("cd {} && git rev-parse HEAD", env!("CARGO_MANIFEST_DIR")));
        let head = stdout(&head).get(..12).map(|head| format!("{head})"));
        let is_known = [head.as_deref(), Some("unknown)")].contains(&Some(revision));
        assert!(is_known || option_env!("TIELINE_REVISION").is_some(), "{text}");
    }
}

#[test]
fn wrong_usage_is_code_2_and_says_what_to_do() {
    for arguments in [&["serve"][..], &["demo", "--listen", "here"], &["nothing"], &["key"]] {
        let output = run(arguments, b"");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(stdout(&output), "");
        assert!(stderr(&output).contains("Usage:") || stderr(&output).contains("--help"));
    }
}
