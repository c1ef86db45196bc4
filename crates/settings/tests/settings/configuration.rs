//! Configurations that load, and those that are refused in one line that names file, line and field
//! and never shows a value.
#![expect(clippy::unwrap_used, reason = "a test may")]

use settings::{Config, TeamsFrom};

const GOOD: &str = r#"[upstream.ams]
dialect = "voiso-v4"
base_url = "https://cc-ams03.voiso.com"

[[caller]]
name = "crm"
legacy_key = { digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111" }
upstream = "ams"
upstream_key = { env = "VOISO_V4_KEY" }
sees = "everything"
"#;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let key = [("VOISO_V4_KEY", "v4-secret-canary")];
    key.iter().chain(pairs).map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn refused(text: &str) -> String {
    refused_with(text, &[])
}

fn refused_with(text: &str, pairs: &[(&str, &str)]) -> String {
    let error = Config::parse(text, "t.toml", &env(pairs)).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!error.contains("canary"), "{error}");
    error
}

#[test]
fn a_small_configuration_loads_with_the_documented_defaults() {
    let config = Config::parse(GOOD, "t.toml", &env(&[])).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.limits.request_deadline.as_secs(), 25);
    assert_eq!(config.limits.requests_in_flight_max, 1024);
    assert_eq!(config.lookups.fresh_for.as_secs(), 60);
    assert_eq!(config.lookups.negative_for.as_secs(), 5);
    assert_eq!(config.lookups.entries_max, 10_000);
    let upstream = &config.upstreams["ams"];
    assert_eq!(upstream.pages_in_flight_max, 8);
    assert_eq!(upstream.requests_in_flight_max, 64);
    assert_eq!(upstream.connect_timeout.as_secs(), 1);
    assert_eq!(upstream.attempt_timeout.as_secs(), 10);
    assert_eq!(upstream.attempts_max, 3);
    assert_eq!(upstream.retry_after_max.as_secs(), 30);
    assert_eq!(upstream.rows_max, 100_000);
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn passthrough_and_cors_are_off_unless_they_are_switched_on() {
    let text = format!(
        "{GOOD}[passthrough]\nenabled = false\ncredential = \"exchange\"\n\
         unknown_callers = \"refuse\"\n[cors]\nallow_origins = []\n"
    );
    let off = Config::parse(&text, "t.toml", &env(&[])).unwrap();
    assert!(off.passthrough.is_none() && off.cors.is_none());
    let on = text.replace("enabled = false", "enabled = true").replace("[]", "[\"https://a\"]");
    let on = Config::parse(&on, "t.toml", &env(&[])).unwrap();
    assert!(on.passthrough.is_some() && on.cors.is_some());
}

#[test]
fn a_path_of_the_list_of_teams_is_taken_as_it_is_and_means_that_there_is_one() {
    let read = |more: &str| {
        let text = GOOD.replacen("voiso.com\"", &format!("voiso.com\"\n{more}"), 1);
        let read = Config::parse(&text, "t.toml", &env(&[]));
        read.map(|config| {
            let ams = &config.upstreams["ams"];
            (ams.teams_from, ams.teams_path.clone())
        })
    };
    assert_eq!(read("").unwrap(), (TeamsFrom::Auto, None));
    for path in ["/api/v4/users/teams", "/api/v4/teams", "/a-b_c.d~e"] {
        let pinned = format!("teams_path = \"{path}\"");
        assert_eq!(read(&pinned).unwrap(), (TeamsFrom::List, Some(path.to_owned())));
        let users = read(&format!("{pinned}\nteams_from = \"users\"")).unwrap();
        assert_eq!(users, (TeamsFrom::Users, Some(path.to_owned())));
    }
    for bad in
        ["", "/", "teams", "//teams", "/teams/", "/a/../b", "/a?b", "/a#b", "/a b", "/%61", "/é"]
    {
        assert!(read(&format!("teams_path = \"{bad}\"")).is_err(), "{bad}");
    }
}

#[test]
fn each_mistake_is_one_line_with_file_line_and_field() {
    let replaced = |from: &str, to: &str| GOOD.replacen(from, to, 1);
    let cases = [
        (String::new(), "t.toml:1: caller: at least one"),
        (replaced("sees = \"everything\"\n", ""), "t.toml:5: caller[0].sees: is required"),
        (replaced("sees = \"everything\"", "sees = \"canary\""), "t.toml:10: caller[0].sees: "),
        (replaced("sees = \"everything\"", "sees = { team = [1] }"), "t.toml:10: caller[0].sees"),
        (replaced("upstream = \"ams\"", "upstream = \"canary\""), "t.toml:8: caller[0].upstream: "),
        (replaced("voiso-v4", "canary"), "t.toml:2: upstream.ams.dialect: unknown dialect"),
        (replaced("https://cc", "ftp://canary"), "t.toml:3: upstream.ams.base_url: must be"),
        (replaced("https://", "https://canary@"), "t.toml:3: upstream.ams.base_url: must be"),
        (
            replaced("voiso.com", "voiso.com/api/v4/"),
            "t.toml:3: upstream.ams.base_url: must end before \"/api/v4\"",
        ),
        (
            format!(
                "{GOOD}[upstream.vcc]\ndialect = \"vonage-v4\"\ntoken_url = \"https://canary/t\"\n\
                 base_url = \"https://canary/useradmin\"\n"
            ),
            "t.toml:14: upstream.vcc.base_url: must end before \"/useradmin\"",
        ),
        (
            format!("{GOOD}[shadow]\ncontrol = \"https://canary/api/v3/cdr\"\n"),
            "t.toml:12: shadow.control: must end before \"/api/v3/cdr\"",
        ),
        (
            replaced("voiso.com\"", "voiso.com\"\npace_burst = \"61s\""),
            "t.toml:4: upstream.ams.pace_burst: must be at most 60s",
        ),
        (
            replaced("voiso.com\"", "voiso.com\"\npace_by = \"canary\""),
            "t.toml:4: upstream.ams.pace_by: ",
        ),
        (replaced("base_url", "base_uri"), "t.toml:3: upstream.ams.base_uri: unknown field"),
        (
            replaced("voiso.com\"", "voiso.com\"\nteams_path = \"canary/teams\""),
            "t.toml:4: upstream.ams.teams_path: must be a path that begins with a slash",
        ),
        (
            format!(
                "{GOOD}[upstream.vcc]\ndialect = \"vonage-v4\"\nteams_path = \"/canary\"\n\
                 base_url = \"https://canary\"\ntoken_url = \"https://canary/t\"\n"
            ),
            "t.toml:13: upstream.vcc.teams_path: only goes with dialect = \"voiso-v4\"",
        ),
        (replaced("VOISO_V4_KEY", "NOT_SET"), "t.toml:9: caller[0].upstream_key: the variable"),
        (replaced("sha256:11", "sha256:1"), "t.toml:7: caller[0].legacy_key: digest must be"),
        (
            replaced(
                "{ digest = \"sha256:1111111111111111111111111111111111111111111111111111111111111111\" }",
                "\"legacy-canary\"",
            ),
            "t.toml:7: caller[0].legacy_key: expected",
        ),
        (replaced("{ env =", "{ digest ="), "t.toml:9: caller[0].upstream_key: a digest"),
        (format!("{GOOD}surprise = 1\n"), "t.toml:11: caller[0].surprise: unknown field"),
        (format!("[server]\nlisten = 8080\n{GOOD}"), "t.toml:2: server.listen: "),
        (
            format!("[server]\nlisten = \"canary\"\n{GOOD}"),
            "t.toml:2: server.listen: must be an IP address and a port, such as",
        ),
        (
            format!("[server]\nlisten = \"localhost:8080\"\n{GOOD}"),
            "t.toml:2: server.listen: must be an IP address and a port, such as \"127.0.0.1:8080\"; \
             for localhost write 127.0.0.1",
        ),
        (
            format!("[admin]\nlisten = \":9090\"\n{GOOD}"),
            "t.toml:2: admin.listen: must be an IP address and a port, such as \"127.0.0.1:8080\"; \
             for all addresses write 0.0.0.0",
        ),
        (
            format!("[cors]\nallow_origins = [\"https://canary:443\"]\n{GOOD}"),
            "t.toml:2: cors.allow_origins: must be origins such as \"https://app.example\", without \
             \":443\"",
        ),
        (format!("[server]\nhosts = [\"canary:80\"]\n{GOOD}"), "t.toml:2: server.hosts: must be"),
        (
            format!("[server]\nheader_timeout = \"0s\"\n{GOOD}"),
            "t.toml:2: server.header_timeout: must be more",
        ),
        (
            format!("[server]\nconnections_max = 0\n{GOOD}"),
            "t.toml:2: server.connections_max: must be at least",
        ),
        (
            format!("[server]\nheader_bytes_max = \"1GiB\"\n{GOOD}"),
            "t.toml:2: server.header_bytes_max: must be 256B to 256KiB",
        ),
        (
            format!("[server]\nhttp2_connection_window = \"1KiB\"\n{GOOD}"),
            "t.toml:2: server.http2_connection_window: must be 64KiB to 1GiB",
        ),
        (
            format!("[server]\nhttp2_control_frames_max = 0\n{GOOD}"),
            "t.toml:2: server.http2_control_frames_max: must be at least 1",
        ),
        (
            format!("[server]\nhttp2_empty_frames_max = 101\n{GOOD}"),
            "t.toml:2: server.http2_empty_frames_max: must be 1 to 100",
        ),
        (
            format!("[server]\nhttp2_continuations_max = 21\n{GOOD}"),
            "t.toml:2: server.http2_continuations_max: must be 1 to 20",
        ),
        (format!("[limits]\nrequest_deadline = 25\n{GOOD}"), "t.toml:2: limits.request_deadline: "),
        (
            format!("[limits]\nrequest_deadline = \"0s\"\n{GOOD}"),
            "t.toml:2: limits.request_deadline: must be more",
        ),
        // No list could ever be read.
        (
            format!("[limits]\nlists_bytes_max = \"0B\"\n{GOOD}"),
            "t.toml:2: limits.lists_bytes_max: must be 1MiB to 1024GiB",
        ),
        (
            format!("[limits]\nlists_bytes_per_caller_max = \"1023KiB\"\n{GOOD}"),
            "t.toml:2: limits.lists_bytes_per_caller_max: must be 1MiB to 1024GiB",
        ),
        (format!("[log]\nlevel = \"inof\"\n{GOOD}"), "t.toml:2: log.level: must be off"),
        (format!("[log]\nlevel = \"gateway=loud\"\n{GOOD}"), "t.toml:2: log.level: must be off"),
        (format!("[log]\nlevel = \"WARNING\"\n{GOOD}"), "t.toml:2: log.level: must be off"),
        (format!("[log]\nlevel = \"sqlx=warn\"\n{GOOD}"), "t.toml:2: log.level: names no module"),
        (
            format!("[passthrough]\ncredential = \"canary\"\n{GOOD}"),
            "t.toml:2: passthrough.credential: unknown value",
        ),
        (
            format!("[passthrough]\nunknown_callers = \"forward\"\n{GOOD}"),
            "t.toml:1: passthrough.upstream: unknown_callers",
        ),
        (
            format!("[passthrough]\nupstream = \"canary\"\n{GOOD}"),
            "t.toml:2: passthrough.upstream: there is no",
        ),
        (
            format!("[passthrough]\nidle_timeout = \"0s\"\n{GOOD}"),
            "t.toml:2: passthrough.idle_timeout: must be more",
        ),
        (
            format!("{GOOD}[[passthrough.route]]\nprefix = \"canary\"\n"),
            "t.toml:12: passthrough.route[0].prefix: must be",
        ),
        (
            format!("{GOOD}[[passthrough.route]]\nprefix = \"/a\"\nmethods = [\"get\"]\n"),
            "t.toml:13: passthrough.route[0].methods: must be",
        ),
        (
            format!(
                "{GOOD}[[passthrough.route]]\nprefix = \"/a\"\n[[passthrough.route]]\n\
                 prefix = \"/a\"\n"
            ),
            "t.toml:14: passthrough.route[1].prefix: another",
        ),
        (
            format!(
                "{GOOD}[[passthrough.route]]\nprefix = \"/a\"\nupstream = \"b\"\n[upstream.b]\n\
                 dialect = \"voiso-v4\"\nbase_url = \"https://b.example\"\n"
            ),
            "t.toml:13: passthrough.route[0].upstream: credential",
        ),
        (
            format!("[server]\ntrusted_proxies = [\"10.0.0.1/8\"]\n{GOOD}"),
            "t.toml:2: server.trusted_proxies: must be",
        ),
        (
            format!("[cors]\nallow_origins = [\"https://canary/\"]\n{GOOD}"),
            "t.toml:2: cors.allow_origins: must be",
        ),
        (
            format!("[cors]\nallow_origins = [\"*\"]\nallow_credentials = true\n{GOOD}"),
            "t.toml:2: cors.allow_origins: \"*\" and",
        ),
        (replaced("sees = \"everything\"", "sees = {}"), "t.toml:10: caller[0].sees: lists nobody"),
        (
            replaced("dialect =", "page_bytes_max = \"0B\"\ndialect ="),
            "t.toml:2: upstream.ams.page_bytes_max: must be",
        ),
        (
            format!("[server]\ntls = {{ cert = \"no.pem\", key = \"no.pem\" }}\n{GOOD}"),
            "t.toml:2: server.tls: cannot read",
        ),
        (
            replaced("dialect = ", "id_policy = \"map\"\ndialect = "),
            "t.toml:1: upstream.ams.id_map: id_policy",
        ),
        (format!("{GOOD}[legacy.v9_users]\n"), "t.toml:11: legacy.v9_users: no legacy endpoint"),
        (
            format!("{GOOD}[legacy.v1_users]\nenvelope = \"canary\"\n"),
            "t.toml:12: legacy.v1_users.envelope: unknown value",
        ),
        (format!("{GOOD}name = \"twice\"\n"), "t.toml:11: syntax: "),
        (format!("{GOOD}["), "t.toml:11: syntax: "),
    ];
    for (text, expected) in cases {
        let got = refused(&text);
        assert!(got.starts_with(expected), "wanted {expected}\n   got {got}");
    }
}

#[test]
fn shadow_is_off_unless_it_is_there_and_its_mistakes_are_named() {
    let with = |caller: &str, shadow: &str| format!("{GOOD}{caller}\n{shadow}\n");
    let plain = Config::parse(GOOD, "t.toml", &env(&[])).unwrap();
    assert!(plain.shadow.is_none());
    let text = with("control_percent = 100", "[shadow]\ncontrol = \"https://old.example/x/\"");
    let config = Config::parse(&text, "t.toml", &env(&[])).unwrap();
    let shadow = config.shadow.unwrap();
    assert_eq!((shadow.control.as_str(), shadow.sample), ("https://old.example/x", 0.01));
    assert_eq!((shadow.requests_per_second_max, shadow.requests_in_flight_max), (1.0, 1));
    assert_eq!((shadow.queue_max, shadow.answer_bytes_max), (64, 32 << 20));
    assert_eq!(shadow.answer_timeout.as_secs(), 5);
    assert_eq!((shadow.attempt_timeout.as_secs(), config.callers[0].control_percent), (30, 100));
    let all = "[shadow]\ncontrol = \"http://127.0.0.1:9\"\n";
    for (caller, shadow, line, what) in [
        ("control_percent = 1", String::new(), 11, "caller[0].control_percent: needs a [shadow]"),
        ("control_percent = 101", all.into(), 11, "caller[0].control_percent: must be 0 to 100"),
        ("control_percent = -1", all.into(), 11, "caller[0].control_percent: expected a whole"),
        ("", "[shadow]\nsample = 1".into(), 12, "shadow.control: is required"),
        ("", "[shadow]\ncontrol = \"canary\"".into(), 13, "shadow.control: must be http"),
        ("", "[shadow]\ncontrol = \"http://u:canary@x\"".into(), 13, "shadow.control: must be"),
        ("", format!("{all}sample = 1.5"), 14, "shadow.sample: must be a number from 0 to 1"),
        ("", format!("{all}sample = \"canary\""), 14, "shadow.sample: expected a number"),
        ("", format!("{all}sample = nan"), 14, "shadow.sample: must be a number from 0 to 1"),
        ("", format!("{all}requests_per_second_max = 0"), 14, "shadow.requests_per_second_max"),
        (
            "",
            format!("{all}requests_in_flight_max = 65"),
            14,
            "shadow.requests_in_flight_max: must be 1 to 64",
        ),
        ("", format!("{all}queue_max = 0"), 14, "shadow.queue_max: must be 1 to 10000"),
        (
            "",
            format!("{all}answer_bytes_max = \"1KiB\""),
            14,
            "shadow.answer_bytes_max: must be 64KiB",
        ),
        ("", format!("{all}attempt_timeout = \"0s\""), 14, "shadow.attempt_timeout: must be more"),
        ("", format!("{all}answer_timeout = \"0s\""), 14, "shadow.answer_timeout: must be more"),
        ("", format!("{all}report_file = \"..\""), 14, "shadow.report_file: must be a file"),
        ("", format!("{all}report_file = \"/proc\""), 14, "shadow.report_file: must be a file"),
        ("", format!("{all}report_file = \"no/such/x\""), 14, "shadow.report_file: is in a folder"),
        ("", format!("{all}ca_file = \"no/such\""), 14, "shadow.ca_file: "),
        ("", format!("{all}post = true"), 14, "shadow.post: unknown field"),
    ] {
        let error = refused(&with(caller, &shadow));
        assert!(error.starts_with(&format!("t.toml:{line}: {what}")), "{what}: {error}");
    }
    let narrowed = GOOD.replace("\"everything\"", "{ users = [1] }");
    let error = refused(&format!("{narrowed}control_percent = 5\n{all}"));
    assert!(error.contains("control_percent: goes with sees = \"everything\" alone"), "{error}");
    assert!(Config::parse(&format!("{narrowed}{all}"), "t.toml", &env(&[])).is_ok());
}

#[test]
fn spans_go_to_a_collector_over_http_or_https_and_its_mistakes_are_named() {
    let with = |lines: &str| format!("{GOOD}[traces]\n{lines}\n");
    let collector =
        |lines: &str| Config::parse(&with(lines), "t.toml", &env(&[])).unwrap().traces.collector;
    assert!(collector("sampled = 0.5").is_none());
    let found = collector("otlp_endpoint = \"https://otel.example:4318/collect/\"").unwrap();
    assert_eq!(found.url, "https://otel.example:4318/collect/v1/traces");
    let endpoint = "otlp_endpoint = \"http://127.0.0.1:4318\"\n";
    for (lines, line, what) in [
        ("otlp_endpoint = \"127.0.0.1:4318\"", 12, "otlp_endpoint: must be http:// or https://"),
        ("otlp_endpoint = \"http://u:canary@x:4318\"", 12, "otlp_endpoint: must be http"),
        ("otlp_endpoint = \"http://x:4318/?key=canary\"", 12, "otlp_endpoint: must be http"),
        ("otlp_endpoint = \"http://x:4318/#canary\"", 12, "otlp_endpoint: must be http"),
        (&format!("{endpoint}ca_file = \"no/such\""), 13, "ca_file: cannot read certificates"),
        (&format!("{endpoint}sampled = 1.5"), 13, "sampled: must be a number from 0 to 1"),
    ] {
        let error = refused(&with(lines));
        assert!(error.starts_with(&format!("t.toml:{line}: traces.{what}")), "{what}: {error}");
    }
}

#[test]
fn two_callers_never_share_a_key_or_a_name() {
    let second = GOOD.split_once("\n\n").unwrap().1;
    let twice = format!("{GOOD}{}", second.replace("\"crm\"", "\"wallboard\""));
    assert!(
        refused(&twice).starts_with("t.toml:13: caller[1].legacy_key: caller \"crm\" has the same"),
        "{}",
        refused(&twice)
    );
    let named = format!("{GOOD}{}", second.replace("sha256:1", "sha256:2"));
    assert!(refused(&named).starts_with("t.toml:12: caller[1].name: "), "{}", refused(&named));
}

#[test]
fn the_environment_overrides_and_is_named_when_wrong() {
    let pairs = [
        ("TIELINE_SERVER__LISTEN", "127.0.0.1:1234"),
        ("TIELINE_UPSTREAM__AMS__ATTEMPTS_MAX", "5"),
        ("TIELINE_PASSTHROUGH__ENABLED", "false"),
        ("TIELINE_LOG", "debug"),
    ];
    let config = Config::parse(GOOD, "t.toml", &env(&pairs)).unwrap();
    assert_eq!(config.server.listen.port(), 1234);
    assert_eq!(config.upstreams["ams"].attempts_max, 5);
    let wrong = refused_with(GOOD, &[("TIELINE_SERVER__LISTEN", "canary")]);
    assert!(wrong.starts_with("TIELINE_SERVER__LISTEN: server.listen: "), "{wrong}");
    let table = refused_with(GOOD, &[("TIELINE_FOO__BAR", "canary")]);
    assert!(table.starts_with("TIELINE_FOO__BAR: foo: unknown"), "{table}");
    let upstream = refused_with(GOOD, &[("TIELINE_UPSTREAM__RTM__DIALECT", "voiso-v4")]);
    assert!(
        upstream.starts_with("TIELINE_UPSTREAM__RTM__DIALECT: upstream.rtm.base_url: is required"),
        "{upstream}"
    );
    let unknown = refused_with(GOOD, &[("TIELINE_SERVER__LISTNE", "canary")]);
    assert!(unknown.starts_with("TIELINE_SERVER__LISTNE: server.listne: unknown"), "{unknown}");
}

#[test]
fn a_variable_is_read_by_the_type_of_its_setting() {
    let text = format!(
        "{GOOD}[shadow]\ncontrol = \"http://127.0.0.1:9\"\n[upstream.vcc]\ndialect = \"vonage-v4\"\n\
         base_url = \"https://v.example\"\ntoken_url = \"https://v.example/token\"\n"
    );
    let read = |name: &str, value: &str| {
        Config::parse(&text, "t.toml", &env(&[(name, value)])).map_err(|error| error.to_string())
    };
    let sample = |value| read("TIELINE_SHADOW__SAMPLE", value).map(|it| it.shadow.unwrap().sample);
    assert_eq!(sample("0.05"), Ok(0.05));
    assert_eq!((sample("1"), sample("5e-1"), sample(".5")), (Ok(1.0), Ok(0.5), Ok(0.5)));
    for (value, told) in [
        ("2", "must be a number from 0 to 1"),
        ("nan", "must be a number from 0 to 1"),
        ("canary", "expected a number"),
        ("true", "expected a number"),
    ] {
        let expected = format!("TIELINE_SHADOW__SAMPLE: shadow.sample: {told}");
        assert_eq!(sample(value).unwrap_err(), expected, "{value}");
    }
    let zone = |value: &str| {
        let read = read("TIELINE_UPSTREAM__VCC__MAPPING__TIMEZONE", value).unwrap();
        read.upstreams["vcc"].rules.mapping.timezone.clone().unwrap()
    };
    for text in ["30", "007", "1.50", "true", "-0", "inf", "1e3", "12345678901234567890"] {
        assert_eq!(zone(text), text);
    }
    let group = read("TIELINE_LEGACY__V1_USERS__CALLER_ID_GROUPS__12025550123", "030").unwrap();
    assert_eq!(group.quirks["v1_users"].caller_id_groups["12025550123"], "030");
    let rows = |value| {
        let read = read("TIELINE_UPSTREAM__AMS__ROWS_MAX", value);
        read.map(|config| config.upstreams["ams"].rows_max)
    };
    assert_eq!(rows("500"), Ok(500));
    for (value, told) in [("0", "must be at least 1"), ("0.5", "expected a whole number")] {
        let expected = format!("TIELINE_UPSTREAM__AMS__ROWS_MAX: upstream.ams.rows_max: {told}");
        assert_eq!(rows(value).unwrap_err(), expected);
    }
    let error = read("TIELINE_LIMITS__REQUEST_DEADLINE", "25").unwrap_err();
    assert!(error.contains("limits.request_deadline: must be a duration such as"), "{error}");
    let error = read("TIELINE_SHADOW__ALLOW_PRIVATE_ADDRESSES", "1").unwrap_err();
    assert!(error.contains("allow_private_addresses: expected true or false"), "{error}");
}

#[test]
fn a_file_that_is_not_utf_8_is_named_by_its_coding_and_a_mark_in_front_is_dropped() {
    let folder = std::env::temp_dir().join(format!("tieline-utf-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("t.toml");
    let load = |bytes: Vec<u8>| {
        std::fs::write(&file, bytes).unwrap();
        Config::load(&file, &env(&[])).map(drop).map_err(|error| error.to_string())
    };
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let place = format!("{}: ", file.display());
    for bytes in [utf_16(GOOD), utf_16(&format!("\u{feff}{GOOD}"))] {
        assert_eq!(load(bytes), Err(format!("{place}is UTF-16; save it as UTF-8")));
    }
    let latin = [b"# caf\xe9\n", GOOD.as_bytes()].concat();
    assert_eq!(load(latin), Err(format!("{place}is not UTF-8; save it as UTF-8")));
    assert_eq!(load(format!("\u{feff}{GOOD}").into_bytes()), Ok(()));
    let wrong = load(format!("\u{feff}{}", GOOD.replace("sees", "seas")).into_bytes());
    assert!(wrong.clone().unwrap_err().contains("t.toml:10: caller[0].seas: "), "{wrong:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn an_id_map_is_read_beside_the_configuration_and_checked_line_by_line() {
    let folder = std::env::temp_dir().join(format!("tieline-id-map-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("t.toml");
    let text = GOOD.replace("dialect =", "id_policy = \"map\"\nid_map = \"ids.csv\"\ndialect =");
    std::fs::write(&file, text).unwrap();
    let load = |map: &str| {
        std::fs::write(folder.join("ids.csv"), map).unwrap();
        Config::load(&file, &env(&[])).map_err(|error| error.to_string())
    };
    load("upstream_id,legacy_id\n# moved\n0b97ce11-aa, 7\n").unwrap();
    for (map, expected) in [
        ("a,1\nb,1\n", "line 2: legacy id of line 1 again"),
        ("a,1\na,2\n", "line 2: this upstream id stands twice"),
        ("a,1\nb\n", "line 2: two columns are needed"),
        ("a,1\nb,x\n", "line 2: the legacy id is no number"),
    ] {
        let error = load(map).unwrap_err();
        assert!(error.contains("upstream.ams.id_map: ") && error.ends_with(expected), "{error}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
