//! `Config::shown`: every setting with its value and its origin; and the table of defaults, which is that of
//! docs/CONFIGURATION.md.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;

use settings::Config;

const PAGE: &str = include_str!("../../../../docs/CONFIGURATION.md");
const DEFAULTS: &str = include_str!("../../data/defaults.txt");

const TEXT: &str = r#"[server]
listen = "0.0.0.0:8080"

[roster]
file = "roster.db"

[upstream.ams]
dialect = "voiso-v4"
base_url = "https://cc-ams03.voiso.com"
attempts_max = 2

[upstream.vcc]
dialect = "vonage-v4"
base_url = "https://vcc.example"
token_url = "https://vcc.example/token"
mapping = { sag = { Agent = "Agents" } }

[[caller]]
name = "crm"
legacy_key = { digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111" }
upstream = "ams"
upstream_key = { env = "V4_KEY" }
sees = "everything"

[[caller]]
name = "second"
legacy_key = { env = "LEGACY_KEY" }
upstream = "ams"
upstream_key = { env = "V4_KEY" }
sees = { teams = [1, 2] }
explain = true

[legacy.v1_users.filters]
name = "contains"

[passthrough]
enabled = true

[[passthrough.route]]
prefix = "/api/v4/users"
"#;

fn shown(text: &str, more: &[(&str, &str)]) -> Vec<settings::Setting> {
    let keys = [("V4_KEY", "canary-v4"), ("LEGACY_KEY", "canary-legacy")];
    let env: Vec<(String, String)> =
        keys.iter().chain(more).map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Config::shown(text, "t.toml", Path::new(""), &env).unwrap()
}

fn lines(text: &str, more: &[(&str, &str)]) -> Vec<String> {
    shown(text, more).iter().map(ToString::to_string).collect()
}

#[test]
fn every_setting_has_its_value_and_its_origin() {
    let more = [
        ("TIELINE_UPSTREAM__AMS__RETRY_AFTER_MAX", "9s"),
        ("TIELINE_UPSTREAM__AMS__ATTEMPTS_MAX", "7"),
        ("TIELINE_COMMONS__SEAL_KEY__ENV", "SEAL"),
        ("TIELINE_COMMONS__REPLICAS_MAX", "2"),
        ("SEAL", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ];
    let text = format!("{TEXT}\n[commons]\nvalkey = [\"valkey://127.0.0.1:6379\"]\n");
    let lines = lines(&text, &more);
    for line in [
        "admin.listen = \"127.0.0.1:9090\"  # default",
        "caller[0].explain = false  # default",
        "caller[0].legacy_key = {digest}  # t.toml:20",
        "caller[0].upstream_key = {env V4_KEY}  # t.toml:22",
        "caller[1].explain = true  # t.toml:31",
        "caller[1].legacy_key = {env LEGACY_KEY}  # t.toml:27",
        "caller[1].sees.teams = [1, 2]  # t.toml:30",
        "commons.call_timeout = \"20ms\"  # default",
        "commons.replicas_max = 2  # TIELINE_COMMONS__REPLICAS_MAX",
        "commons.seal_key = {env SEAL}  # TIELINE_COMMONS__SEAL_KEY__ENV",
        "legacy.v1_users.filters.email = \"exact\"  # default",
        "legacy.v1_users.filters.name = \"contains\"  # t.toml:34",
        "legacy.v3_cdr_users.filters.name = \"exact\"  # default",
        "limits.lists_bytes_max = (a quarter of the memory)  # default",
        "passthrough.route[0].allow = true  # default",
        "passthrough.route[0].prefix = \"/api/v4/users\"  # t.toml:40",
        "roster.file = \"roster.db\"  # t.toml:5",
        "server.listen = \"0.0.0.0:8080\"  # t.toml:2",
        "server.tls = (none)  # default",
        "upstream.ams.attempts_max = 7  # TIELINE_UPSTREAM__AMS__ATTEMPTS_MAX",
        "upstream.ams.page_rows_max = 100  # default",
        "upstream.ams.retry_after_max = \"9s\"  # TIELINE_UPSTREAM__AMS__RETRY_AFTER_MAX",
        "upstream.vcc.mapping.extension = \"agent_display_id\"  # default",
        "upstream.vcc.mapping.sag.Agent = \"Agents\"  # t.toml:16",
        "upstream.vcc.page_rows_max = 5000  # default",
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line}\nin\n{}", lines.join("\n"));
    }
    let names: Vec<&str> = lines.iter().filter_map(|line| line.split(" = ").next()).collect();
    let mut once = names.clone();
    once.dedup();
    assert_eq!(names, once, "each setting once");
    for absent in
        ["shadow.", "upstream.ams.mapping", "upstream.vcc.mapping.sag ", "passthrough.route "]
    {
        assert!(!lines.iter().any(|line| line.starts_with(absent)), "{absent}");
    }
}

#[test]
fn no_key_and_no_digest_is_shown() {
    for setting in shown(TEXT, &[]) {
        for text in [setting.to_string(), setting.json().to_string(), format!("{setting:?}")] {
            assert!(!text.contains("canary") && !text.contains("1111"), "{text}");
        }
    }
}

#[test]
fn a_bad_configuration_is_refused_as_by_the_gateway() {
    let text = TEXT.replace("attempts_max = 2", "attempts_max = 0");
    let env = [("V4_KEY", "canary"), ("LEGACY_KEY", "canary")].map(|(k, v)| (k.into(), v.into()));
    let error = Config::shown(&text, "t.toml", Path::new(""), &env).unwrap_err();
    assert_eq!(error, Config::parse(&text, "t.toml", &env).unwrap_err());
}

#[test]
fn programs_get_the_same_with_the_kind_of_the_origin() {
    let all = shown(TEXT, &[("TIELINE_LOG__LEVEL", "warn")]);
    let of = |name: &str| {
        let mut all = all.iter().map(settings::Setting::json);
        all.find(|json| json["setting"] == name).unwrap_or_default().to_string()
    };
    for json in [
        r#"{"origin":"file","place":"t.toml:2","setting":"server.listen","value":"0.0.0.0:8080"}"#,
        r#"{"origin":"variable","place":"TIELINE_LOG__LEVEL","setting":"log.level","value":"warn"}"#,
        r#"{"origin":"default","setting":"limits.memory_max","value":null,"words":"none"}"#,
        r#"{"origin":"file","place":"t.toml:20","secret":"digest","setting":"caller[0].legacy_key","value":null}"#,
    ] {
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(of(json["setting"].as_str().unwrap()), json.to_string());
    }
}

/// Every default of the page, in the form of the table: `configuration_docs` holds that the page is right.
#[test]
fn the_table_of_defaults_is_that_of_the_page() {
    let mut table = String::new();
    let mut heading = "";
    let mut written = "";
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix('#') {
            let title = title.trim_start_matches('#').trim();
            let name = title.strip_prefix("`[").and_then(|title| title.strip_suffix("]`"));
            heading = name.map_or("", |name| name.trim_start_matches('[').trim_end_matches(']'));
        }
        let is_row = line.starts_with("| `") && !line.starts_with("| `OTEL_");
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if heading.is_empty() || !is_row {
            continue;
        }
        for name in cells[1].split(", ").map(|name| name.trim_matches('`')) {
            let default = match (name, default_of(cells[3])) {
                // The page has a section about it, and a table of its own.
                ("id_unlisted", _) => Some("\"fail\" | \"hash\"".to_owned()),
                (_, default) => default,
            };
            let Some(default) = default else { continue };
            if written != heading {
                table.push_str(&format!("[{heading}]\n"));
                written = heading;
            }
            table.push_str(&format!("{name} = {default}\n"));
        }
    }
    assert!(table.lines().count() > 180, "did the tables move?\n{table}");
    assert_eq!(DEFAULTS, table, "crates/settings/data/defaults.txt has to be\n{table}");
}

/// A cell in the form of the table; `None` where a setting is required or has defaults of its own below.
fn default_of(cell: &str) -> Option<String> {
    let one = |cell: &str| {
        let is_left_out =
            cell.starts_with("required") || ["all defaults", "see below", "empty"].contains(&cell);
        match cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) {
            Some(code) if !code.contains('`') => code.to_owned(),
            _ if is_left_out => String::new(),
            _ => format!("({})", cell.replace('`', "")),
        }
    };
    let default = match cell.split_once(" (`vonage-v4`: ") {
        Some((others, vonage)) => {
            format!("{} | {}", one(others), one(vonage.trim_end_matches(')')))
        }
        None => one(cell),
    };
    (!default.is_empty()).then_some(default)
}

#[test]
fn a_running_configuration_knows_what_is_in_force_and_what_its_file_says_by_now() {
    let folder = std::env::temp_dir().join(format!("tieline-in-force-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("tieline.toml");
    std::fs::write(&file, TEXT).unwrap();
    let env = [
        ("V4_KEY", "canary-v4"),
        ("LEGACY_KEY", "canary-legacy"),
        ("TIELINE_LIMITS__DRAIN_DELAY", "2s"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let env: Vec<_> = env.into_iter().collect();
    let config = Config::load(&file, &env).unwrap();
    let said = |settings: Vec<settings::Setting>, name: &str| {
        let one = settings.into_iter().find(|one| one.name() == name).unwrap();
        (one.value(), one.origin().to_owned())
    };
    let drain = said(config.settings(), "limits.drain_delay");
    assert_eq!(drain, ("\"2s\"".to_owned(), "TIELINE_LIMITS__DRAIN_DELAY".to_owned()));
    std::fs::write(&file, TEXT.replace("attempts_max = 2", "attempts_max = 3")).unwrap();
    let differs = config.differences().unwrap();
    assert_eq!(differs.len(), 1);
    assert_eq!(differs[0].setting, "upstream.ams.attempts_max");
    assert_eq!(differs[0].in_force.as_deref(), Some("2"));
    assert_eq!(differs[0].in_file.as_deref(), Some("3"));
    std::fs::write(&file, TEXT.replace("attempts_max = 2\n", "")).unwrap();
    let differs = config.differences().unwrap();
    assert_eq!((differs.len(), differs[0].in_file.as_deref()), (1, Some("3")), "the default");
    std::fs::write(&file, TEXT).unwrap();
    assert_eq!(config.differences(), Ok(Vec::new()));
    // What nobody has checked may hold a secret in any place.
    let base = "base_url = \"";
    assert!(TEXT.contains(base) && TEXT.contains("upstream_key = { env = \"V4_KEY\" }"));
    for (from, to) in [
        (base, "base_url = \"https://u:canary@h/\" #"),
        ("{ env = \"V4_KEY\" }", "{ env = \"canary-key\" }"),
        ("{ env = \"V4_KEY\" }", "{ digest = \"sha256:canary\", env = \"X\" }"),
        ("file = \"roster.db\"", "postgres = \"postgresql://u:canary@h/d\""),
        ("[upstream.ams]", "[commons]\nvalkey = [\"valkey://u:canary@h:1\"]\n[upstream.ams]"),
    ] {
        std::fs::write(&file, TEXT.replace(from, to)).unwrap();
        let said = format!("{:?}", config.differences());
        assert!(!said.contains("canary"), "{said}");
        assert!(said.contains("another value") || said.contains("Err("), "{said}");
    }
    std::fs::write(&file, "nonsense").unwrap();
    assert!(config.differences().is_err());
    let shown = format!("{config:?}{:?}", config.settings());
    assert!(!shown.contains("canary"), "a key is held");
    std::fs::remove_dir_all(&folder).unwrap();
}
