//! The words about mistakes that people make most: each says what to write instead.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::PathBuf;

use settings::Config;

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

#[track_caller]
fn refused(text: &str) -> String {
    refused_with(text, &[])
}

#[track_caller]
fn refused_with(text: &str, pairs: &[(&str, &str)]) -> String {
    let key = [("VOISO_V4_KEY", "v4-secret-canary")];
    let env: Vec<(String, String)> =
        key.iter().chain(pairs).map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let error = Config::parse(text, "t.toml", &env).unwrap_err().to_string();
    assert!(!error.contains("canary"), "{error}");
    error
}

#[test]
fn a_number_without_a_unit_is_told_the_form_of_a_duration_or_a_size() {
    let duration = "expected a duration such as \"25s\" or \"250ms\"";
    let size = "expected a size such as \"8MiB\"";
    for (line, told) in [
        ("[limits]\nrequest_deadline = 25", duration),
        ("[limits]\nrequest_deadline = 2.5", duration),
        ("[limits]\ndrain_delay = true", duration),
        ("[passthrough]\nidle_timeout = 60", duration),
        ("[cache]\nbytes_max = 1000000", size),
        ("[limits]\nlists_bytes_max = 1000000", size),
        ("[server]\nfield_bytes_max = 1000", size),
    ] {
        let error = refused(&format!("{line}\n{GOOD}"));
        assert!(error.ends_with(told), "{line}: {error}");
    }
    let error = refused_with(GOOD, &[("TIELINE_LIMITS__REQUEST_DEADLINE", "25")]);
    let told =
        "TIELINE_LIMITS__REQUEST_DEADLINE: limits.request_deadline: must be a duration such as";
    assert!(error.starts_with(told), "{error}");
}

#[test]
fn one_table_where_there_may_be_several_is_told_the_double_brackets() {
    let error = refused(&GOOD.replace("[[caller]]", "[caller]"));
    assert!(error.ends_with("caller: write [[caller]]: there may be several"), "{error}");
    let error = refused(&format!("{GOOD}[passthrough.route]\nprefix = \"/a\"\n"));
    assert!(error.ends_with("write [[passthrough.route]]: there may be several"), "{error}");
    let error = refused(&format!("[server]\nhosts = \"canary\"\n{GOOD}"));
    assert!(error.ends_with("server.hosts: expected a list"), "{error}");
}

#[test]
fn an_unknown_field_is_told_the_nearest_name_first() {
    for (text, name) in [
        (format!("[server]\nlissten = 1\n{GOOD}"), "listen"),
        (format!("[limits]\nrequest_dedline = 1\n{GOOD}"), "request_deadline"),
        (GOOD.replace("base_url", "baseurl"), "base_url"),
        (GOOD.replace("upstream_key", "upstreamkey"), "upstream_key"),
        (format!("[sever]\n{GOOD}"), "server"),
        (GOOD.replace("\"everything\"", "{ team = [1] }"), "teams"),
    ] {
        let error = refused(&text);
        let told = format!("unknown field, did you mean {name}? expected one of `");
        assert!(error.contains(&told), "{told}: {error}");
    }
    let error = refused(&format!("[server]\nxyz = 1\n{GOOD}"));
    assert!(error.contains("server.xyz: unknown field, expected one of `listen`"), "{error}");
}

#[test]
fn an_unknown_name_that_may_be_a_key_is_told_by_its_place_alone() {
    for (text, place) in [
        (format!("{GOOD}[CANARYkey01]\nx = 1\n"), "…: unknown field"),
        (format!("[server]\ncanary4711 = 1\n{GOOD}"), "server.…: unknown field"),
        (format!("[server]\n\"canary.key\" = 1\n{GOOD}"), "server.…: unknown field"),
        (format!("{GOOD}[log]\n{} = 1\n", "canary".repeat(6)), "log.…: unknown field"),
    ] {
        let error = refused(&text);
        assert!(error.contains(place), "{error}");
        assert!(!error.to_lowercase().contains("canary"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named_in_plain_words() {
    let load = |file: &str| Config::load(file.as_ref(), &[]).unwrap_err().to_string();
    assert_eq!(load("there/is/none.toml"), "there/is/none.toml: cannot be read: no such file");
    assert_eq!(load("/"), "/: cannot be read: it is a folder");
}

#[test]
fn a_key_file_that_cannot_be_read_is_named_unless_its_name_may_be_a_key() {
    let with = |file: &str| GOOD.replace("env = \"VOISO_V4_KEY\"", &format!("file = \"{file}\""));
    for path in ["no-such.key", "./no-such", "/etc/no-such/key"] {
        let error = refused(&with(path));
        let told = format!("upstream_key: the file {path} cannot be read: no such file");
        assert!(error.ends_with(&told), "{error}");
    }
    for key in [
        "canary",
        "/canary/x",
        "canary0123456789abcdefghijklmnop.wxyz",
        "canary/x+y=",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9canary.e30.c2ln",
    ] {
        let error = refused(&with(key));
        assert!(error.contains("the file that file names cannot be read"), "{error}");
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("key-file-is-missing");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("t.toml"), with("v4.key")).unwrap();
    let error = Config::load(&folder.join("t.toml"), &[]).unwrap_err().to_string();
    assert!(error.contains(folder.join("v4.key").to_str().unwrap()), "{error}");
}

#[test]
fn two_callers_of_one_name_or_key_are_told_both_places() {
    let second = GOOD.split_once("\n\n").unwrap().1;
    let named = refused(&format!("{GOOD}{}", second.replace("sha256:1", "sha256:2")));
    assert!(named.starts_with("t.toml:12"), "{named}");
    assert!(named.contains("caller[1].name: the caller of t.toml:6"), "{named}");
    let keyed = refused(&format!("{GOOD}{}", second.replace("\"crm\"", "\"wallboard\"")));
    assert!(keyed.contains("caller \"crm\" has the same key, t.toml:7"), "{keyed}");
}

/// The places and fields of a refusal, without what is wrong.
#[track_caller]
fn fields(text: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let error = refused_with(text, pairs);
    let field = |line: &str| line.splitn(3, ": ").take(2).collect::<Vec<_>>().join(": ");
    error.lines().map(field).collect()
}

#[test]
fn all_mistakes_of_types_and_names_are_told_at_once_in_the_order_of_the_file() {
    let text = "[server]\nlissten = \"canary\"\nhosts = [1, 2]\nheader_timeout = 5\n\
                [admin]\nlisten = \"canary\"\nodd = 1\n\
                [upstream.ams]\nbase_url = \"canary\"\nrows_max = \"canary\"\n\
                [upstream.b]\ndialect = \"canary\"\n\
                [[caller]]\nname = 5\nlegacy_key = \"canary\"\nupstream_key = { evn = \"canary\" }\n\
                [[caller]]\nsees = \"canary\"\ncontrol_percent = 101\n\
                [[passthrough.route]]\nprefix = 1\nmethods = \"canary\"\n\
                [legacy.v1_users]\nenvelope = \"canary\"\n\
                [shadow]\nsample = 2\n[surprise]\n";
    let wanted = "t.toml:2: server.lissten
t.toml:3: server.hosts[0]
t.toml:4: server.header_timeout
t.toml:6: admin.listen
t.toml:7: admin.odd
t.toml:8: upstream.ams.dialect
t.toml:9: upstream.ams.base_url
t.toml:10: upstream.ams.rows_max
t.toml:11: upstream.b.base_url
t.toml:12: upstream.b.dialect
t.toml:13: caller[0].upstream
t.toml:13: caller[0].sees
t.toml:14: caller[0].name
t.toml:15: caller[0].legacy_key
t.toml:16: caller[0].upstream_key.evn
t.toml:17: caller[1].name
t.toml:17: caller[1].legacy_key
t.toml:17: caller[1].upstream
t.toml:17: caller[1].upstream_key
t.toml:18: caller[1].sees
t.toml:19: caller[1].control_percent
t.toml:21: passthrough.route[0].prefix
t.toml:22: passthrough.route[0].methods
t.toml:24: legacy.v1_users.envelope
t.toml:25: shadow.control
t.toml:26: shadow.sample
t.toml:27: surprise
TIELINE_LIMITS__REQUEST_DEADLINE: limits.request_deadline";
    let got = fields(text, &[("TIELINE_LIMITS__REQUEST_DEADLINE", "canary")]);
    // Mistakes of one line have no order.
    let (mut got, mut wanted) = (got, wanted.lines().collect::<Vec<_>>());
    let places: Vec<&str> = got.iter().filter_map(|line| line.split(": ").next()).collect();
    let in_order: Vec<&str> = wanted.iter().filter_map(|line| line.split(": ").next()).collect();
    assert_eq!(places, in_order);
    got.sort();
    wanted.sort_unstable();
    assert_eq!(got, wanted);
}

#[test]
fn contradictions_of_tables_that_are_independent_are_told_at_once() {
    let text = format!(
        "[server]\ntls = {{ cert = \"no.pem\", key = \"no.pem\" }}\n[cors]\n\
         allow_origins = [\"canary\"]\n{}[legacy.v9_users]\n",
        GOOD.replace("voiso.com", "voiso.com/api/v4")
    );
    let wanted = ["2: server.tls", "4: cors.allow_origins", "7: upstream.ams.base_url"];
    let mut wanted: Vec<String> = wanted.iter().map(|line| format!("t.toml:{line}")).collect();
    wanted.push("t.toml:15: legacy.v9_users".to_owned());
    assert_eq!(fields(&text, &[]), wanted);
    // A caller of an upstream that is refused itself is no second mistake.
    assert_eq!(fields(&GOOD.replace("https://", "canary://"), &[]).len(), 1);
}

#[test]
fn a_misspelt_field_that_is_required_is_one_mistake_and_an_endless_list_of_them_ends() {
    assert_eq!(
        fields(&GOOD.replace("base_url", "baseurl"), &[]),
        ["t.toml:3: upstream.ams.baseurl"]
    );
    let many: String = (0..200).map(|number| format!("odd_{number} = 1\n")).collect();
    assert_eq!(fields(&format!("[server]\n{many}{GOOD}"), &[]).len(), 50);
}

#[test]
fn a_route_for_the_legacy_api_is_said_once_and_keeps_every_credential() {
    const ROUTE: &str = "[[passthrough.route]]";
    for (rules, told) in [
        (format!("{ROUTE}\nallow = false"), "t.toml:11: passthrough.route[0].prefix: must be"),
        (
            format!("{ROUTE}\nlegacy = \"keep\"\ncredential = \"exchange\""),
            "t.toml:13: passthrough.route[0].credential: goes without this",
        ),
        (
            format!("{ROUTE}\nlegacy = \"keep\"\nkey_in_path = \"refuse\""),
            "t.toml:13: passthrough.route[0].key_in_path: goes without this",
        ),
        (
            format!("{ROUTE}\nlegacy = \"keep\"\n{ROUTE}\nlegacy = \"keep\""),
            "t.toml:14: passthrough.route[1].legacy: another",
        ),
        (
            format!("{ROUTE}\nlegacy = \"keep\"\nprefix = \"x\""),
            "t.toml:13: passthrough.route[0].prefix: must be",
        ),
    ] {
        let error = refused(&format!("{GOOD}{rules}\n"));
        assert!(error.starts_with(told), "{error}");
    }
}

/// What the command line shows of a refusal.
#[track_caller]
fn shown(text: &str) -> String {
    let key = [("VOISO_V4_KEY".to_owned(), "v4-secret-canary".to_owned())];
    let shown = Config::parse(text, "t.toml", &key).unwrap_err().with_lines();
    assert!(!shown.contains("canary"), "{shown}");
    shown
}

#[test]
fn each_mistake_is_shown_with_its_column_its_line_and_a_caret() {
    let text = format!(
        "[server]\n  header_timeout = \"0s\"\nhosts = [\"ok\", 5] # canary\n{GOOD}\
         control_percent = 101\n"
    );
    let wanted = "t.toml:2:3: server.header_timeout: must be more than 0s
  2 |   header_timeout = \"0s\"
    |   ^^^^^^^^^^^^^^
t.toml:3:16: server.hosts[1]: expected text in quotes
  3 | hosts = [\"\u{2026}\", 5] # \u{2026}
    |               ^
t.toml:14:1: caller[0].control_percent: must be 0 to 100
  14 | control_percent = 101
     | ^^^^^^^^^^^^^^^";
    assert_eq!(shown(&text), wanted);
    // A variable has no line.
    let env = [("TIELINE_SERVER__LISTEN".to_owned(), "canary".to_owned())];
    let told = Config::parse(GOOD, "t.toml", &env).unwrap_err().with_lines();
    assert!(told.starts_with("TIELINE_SERVER__LISTEN: server.listen: must be"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn no_secret_is_shown_wherever_it_stands_in_a_wrong_line() {
    for line in [
        "legacy_key = \"canary\"",
        "legacy_key = canary",
        "legacy_key = canary=",
        "upstream_key = { env = \"canary\", file = \"canary\" }",
        "upstream_key = { digest = \"canary\"",
        "password = \"canary",
        "canary",
        "canary = \"canary\" x",
        "name = 'canary' # canary",
        "odd = { token = [\"canary\", \"canary\"] }",
        "base_url = \"https://x:canary@y\"\nbase_url = \"https://x:canary@y\"",
        "legacy_key = \"\"\"\ncanary\ncanary = 1 1\n\"\"\" canary",
        "sees = { teams = [1, \"canary\", {}] }",
    ] {
        let told = shown(&format!("{GOOD}{line}\n"));
        assert!(told.contains("\n  ") && told.contains('^'), "{told}");
    }
}

#[test]
fn keys_and_tables_that_stand_twice_are_shown_in_both_places() {
    let second = GOOD.split_once("\n\n").unwrap().1;
    for (text, places) in [
        (format!("{GOOD}name = \"crm\"\n"), ["11:1", "6:1"]),
        (format!("{GOOD}[upstream.ams]\n"), ["11:1", "1:1"]),
        (format!("[server]\nlisten=\"a\"\n{GOOD}[server]\n"), ["13:1", "1:1"]),
        (format!("[limits]\n# x\nqueue = 1\n queue  = 2\n{GOOD}"), ["4:2", "3:1"]),
        (format!("{GOOD}{}", second.replace("sha256:1", "sha256:2")), ["12:1", "6:1"]),
        (format!("{GOOD}{}", second.replace("\"crm\"", "\"b\"")), ["13:1", "7:1"]),
        (
            format!(
                "{GOOD}[[passthrough.route]]\nprefix = \"/a\"\n\
                 [[passthrough.route]]\nprefix = \"/a\"\n"
            ),
            ["14:1", "12:1"],
        ),
    ] {
        let told = shown(&text);
        let got: Vec<&str> = told
            .lines()
            .filter_map(|line| line.strip_prefix("t.toml:")?.split(": ").next())
            .collect();
        assert_eq!(got, places, "{told}");
        assert_eq!(told.matches(" | ").count(), 4, "{told}");
    }
}

#[test]
fn a_word_or_a_name_that_is_near_to_a_known_one_is_told_that_one() {
    for (text, name) in [
        (GOOD.replace("voiso-v4", "voiso-v3"), "voiso-v4"),
        (GOOD.replace("upstream = \"ams\"", "upstream = \"amms\""), "ams"),
        (format!("{GOOD}[legacy.v1_user]\n"), "v1_users"),
        (format!("{GOOD}[legacy.v1_users]\nenvelope = \"arrray\"\n"), "array"),
    ] {
        let told = refused(&text);
        assert!(told.contains(&format!("did you mean {name}?")), "{told}");
    }
    assert!(!refused(&GOOD.replace("voiso-v4", "canary")).contains("did you mean"));
}
