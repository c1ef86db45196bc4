//! `[commons]`: who does not share.
#![expect(clippy::unwrap_used, reason = "a test may")]

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

#[test]
fn a_gateway_that_only_its_own_process_asks_is_no_replica() {
    let config = load(COMMONS).unwrap();
    assert!(config.commons.is_some());
    assert!(config.in_process("crm", "legacy-key").unwrap().commons.is_none());
}
