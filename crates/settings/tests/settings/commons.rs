//! `[commons]`: what is refused, and who does not share; and the fingerprint by which replicas are told apart.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::time::Duration;

use settings::Config;

const GOOD: &str = r#"[upstream.ams]
dialect = "voiso-v4"
base_url = "https://cc-ams03.voiso.com"

[[caller]]
name = "crm"
legacy_key = { digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"

"#;
const COMMONS: &str = "[commons]\nvalkey = [\"valkey://127.0.0.1:6379\"]\n\
                       seal_key = { env = \"SEAL\" }\nreplicas_max = 4\n";

/// The configuration with so much behind it.
fn load(more: &str) -> Result<Config, String> {
    let seal = format!("{}=", "A".repeat(43));
    let env = [("V4", "v4-canary"), ("SEAL", &*seal), ("PASSWORD", "password-canary")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::parse(&format!("{GOOD}{more}"), "t.toml", &env);
    config.map_err(|error| error.to_string()).inspect_err(|error| {
        assert!(!error.contains("canary"), "{error}");
    })
}

fn commons(more: &str) -> Result<commons::Setup, String> {
    load(&format!("{COMMONS}{more}\n")).map(|config| config.commons.unwrap())
}

#[test]
fn a_call_to_the_engine_may_take_a_second_and_no_longer() {
    let timeout = |text: &str| commons(&format!("call_timeout = \"{text}\""));
    assert_eq!(commons("").unwrap().call_timeout, Duration::from_millis(20));
    assert_eq!(timeout("1s").unwrap().call_timeout, Duration::from_secs(1));
    for text in ["1001ms", "20s"] {
        let error = timeout(text).unwrap_err();
        assert!(error.ends_with("call_timeout: must be at most 1s"), "{error}");
    }
    let error = timeout("0s").unwrap_err();
    assert!(error.ends_with("call_timeout: must be more than 0s"), "{error}");
}

#[test]
fn a_user_of_the_engine_needs_a_password() {
    let (user, password) = ("username = \"tieline\"", "password = { env = \"PASSWORD\" }");
    let error = commons(user).unwrap_err();
    assert!(error.ends_with("commons.username: needs a password"), "{error}");
    assert!(commons(&format!("{user}\n{password}")).unwrap().password.is_some());
    assert!(commons(password).unwrap().username.is_none());
    // As the connection sends it: without line ends, and with everything else.
    let folder = std::env::temp_dir().join(format!("tieline-engine-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (said, is_good) in [("two \"words\" \n", true), ("one\ntwo", false), ("\n", false)] {
        let file = folder.join("password");
        std::fs::write(&file, said).unwrap();
        let password = format!("password = {{ file = {:?} }}", file.display().to_string());
        assert_eq!(commons(&password).is_ok(), is_good, "{said:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_gateway_that_only_its_own_process_asks_is_no_replica() {
    let config = load(COMMONS).unwrap();
    assert!(config.commons.is_some());
    assert!(config.in_process("crm", "legacy-key").unwrap().commons.is_none());
}

#[test]
fn files_of_one_machine_tell_no_replicas_apart_but_a_roster_does() {
    let print = |more: &str| load(more).unwrap().fingerprint();
    let shadow =
        |more: &str| print(&format!("[shadow]\ncontrol = \"https://cc-old.voiso.com\"\n{more}\n"));
    assert_eq!(shadow(""), shadow("report_file = \"shadow.json\""));
    assert_ne!(shadow(""), shadow("sample = 0.5"));
    assert_ne!(print(""), shadow(""));
    assert_ne!(print(""), print("[roster]\nfile = \"r.db\"\n"));
    assert_eq!(print("[roster]\nfile = \"r.db\"\n"), print("[roster]\nfile = \"other.db\"\n"));
}
