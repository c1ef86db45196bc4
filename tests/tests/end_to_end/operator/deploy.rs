//! What `deploy` promises: the example configuration loads, and its values are the defaults.

use std::path::Path;
use std::time::Duration;

use saphyr::{LoadableYamlNode, Yaml};
use settings::Config;

const EXAMPLE: &str = "deploy/tieline.example.toml";

/// The lines that the example marks as the reader's own. All others must be defaults.
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
fn the_example_says_the_defaults() {
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

/// Room for the drain: the longest stop of the defaults, in seconds, with some to spare.
const STOP_SECONDS_MIN: u64 = 35;

#[test]
fn the_unit_keeps_the_process_in_and_gives_the_drain_its_time() {
    let unit = include_str!("../../../../deploy/tieline.service");
    let settings: Vec<(&str, &str)> = unit
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|l| l.split_once('='))
        .collect();
    for (name, value) in [
        ("Type", "notify"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
        ("RestartPreventExitStatus", "78"),
        ("LimitCORE", "0"),
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallArchitectures", "native"),
    ] {
        assert!(settings.contains(&(name, value)), "{name}={value}");
    }
    let stop =
        settings.iter().find(|(name, _)| *name == "TimeoutStopSec").expect("a stop timeout").1;
    let stop: u64 = stop.trim_end_matches('s').parse().expect("seconds");
    let limits = read(OWN).expect("the few required lines load").limits;
    assert!(limits.drain_delay + limits.request_deadline < Duration::from_secs(STOP_SECONDS_MIN));
    assert!(stop >= STOP_SECONDS_MIN);
}

#[test]
fn the_container_has_nothing_that_it_does_not_need() {
    let documents =
        Yaml::load_from_str(include_str!("../../../../deploy/compose.yaml")).expect("YAML");
    let service = &documents[0]["services"]["tieline"];
    let list = |name: &str| -> Vec<&str> {
        service[name].as_sequence().into_iter().flatten().filter_map(|item| item.as_str()).collect()
    };
    assert_eq!(service["read_only"].as_bool(), Some(true));
    assert_eq!(list("cap_drop"), ["ALL"]);
    assert_eq!(list("security_opt"), ["no-new-privileges:true"]);
    assert_eq!(service["ulimits"]["core"].as_integer(), Some(0));
    for name in ["tmpfs", "privileged", "cap_add", "network_mode"] {
        assert!(service.as_mapping_get(name).is_none(), "{name}");
    }
    let stop = service["stop_grace_period"].as_str().and_then(|text| text.strip_suffix('s'));
    assert!(stop.and_then(|text| text.parse().ok()).is_some_and(|s: u64| s >= STOP_SECONDS_MIN));
    let admin = list("ports").into_iter().find(|port| port.ends_with(":9090"));
    assert_eq!(admin, Some("127.0.0.1:9090:9090"), "for monitoring");
    let image = include_str!("../../../../deploy/Dockerfile");
    // Without a shell, which the image has not.
    let check: Vec<&str> = service["healthcheck"]["test"]
        .as_sequence()
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str())
        .collect();
    assert_eq!(check, ["CMD", "/tieline", "healthcheck"]);
    assert!(image.contains(" CMD [\"/tieline\", \"healthcheck\"]\n"));
    assert!(image.contains("\nENV TIELINE_ADMIN__LISTEN=0.0.0.0:9090\n"), "what it asks");
    // The user is that of the image, and no name, since the image has none.
    let user = service["user"].as_str().expect("a user");
    assert!(image.contains(&format!("\nUSER {user}\n")), "{user}");
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
