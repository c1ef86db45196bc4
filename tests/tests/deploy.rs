//! What `deploy` promises: the example configuration loads, and its values are the defaults.

use std::path::Path;

use gateway::config::Config;

const EXAMPLE: &str = "deploy/tieline.example.toml";

/// What the example marks as the reader's own; all the rest must be a default.
const OWN: &str = r#"
[upstream.ams]
dialect = "voiso-v4"
base_url = "https://cc-ams03.voiso.com"

[[caller]]
name = "crm"
legacy_key = { digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000" }
upstream = "ams"
upstream_key = { env = "VOISO_V4_KEY" }
sees = "everything"
"#;

fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(EXAMPLE);
    std::fs::read_to_string(path).unwrap_or_default()
}

fn read(text: &str) -> Result<Config, String> {
    let env = [
        ("VOISO_V4_KEY".to_owned(), "a-v4-key".to_owned()),
        ("WALLBOARD_LEGACY_KEY".to_owned(), "a-legacy-key".to_owned()),
    ];
    Config::parse(text, EXAMPLE, &env).map_err(|error| error.to_string())
}

#[test]
fn the_example_says_what_holds_without_it() {
    let example = read(&example()).expect("the example loads");
    let defaults = read(OWN).expect("the few required lines load");
    assert_eq!(format!("{example:#?}"), format!("{defaults:#?}"));
}

#[test]
fn the_second_caller_works_when_its_lines_are_uncommented() {
    let example = example();
    let lines = example.lines().skip_while(|line| *line != "# [[caller]]");
    let caller: Vec<&str> = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("# "))
        .collect();
    assert_eq!(caller.len(), 6, "{caller:?}");
    let both = format!("{OWN}\n{}\n", caller.join("\n"));
    let names: Vec<String> =
        read(&both).expect("it loads").callers.into_iter().map(|caller| caller.name).collect();
    assert_eq!(names, ["crm", "wallboard"]);
}

#[test]
fn every_setting_of_the_example_is_explained() {
    let example = example();
    let mut settings = 0;
    let mut explained = false;
    for line in example.lines() {
        let setting = line.contains(" = ") && !line.starts_with('#');
        if setting {
            settings += 1;
        }
        // A comment explains what follows it up to the next empty line.
        explained = line.starts_with('#') || explained && !line.is_empty();
        assert!(!setting || explained, "no comment above: {line}");
    }
    assert!(settings >= 40, "{settings} settings: is the example complete?");
}
