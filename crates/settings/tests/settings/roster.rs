//! `[roster]`: a file or a database, what is refused, and that no password is shown.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::time::Duration;

use roster::Password;
use settings::{Config, RosterDatabase, RosterPlace};

const GOOD: &str = r#"[upstream.ams]
dialect = "voiso-v4"
base_url = "https://cc-ams03.voiso.com"

[[caller]]
name = "crm"
legacy_key = { digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"

[roster]
"#;
const ADDRESS: &str = "postgres = \"postgresql://tieline@db1,db2:5433/tieline\"";

/// The configuration with this behind it.
fn load(roster: &str) -> Result<Config, String> {
    let env = [
        ("V4", "v4-canary"),
        ("PASSWORD", "password-canary"),
        ("QUOTED", " it's \"password-canary\" \n"),
        ("LINES", "password-canary\npassword-canary\n"),
        ("EMPTY", "\n"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::parse(&format!("{GOOD}{roster}\n"), "t.toml", &env);
    let shown = config.as_ref().map(|config| format!("{config:?}")).map_err(ToString::to_string);
    let shown = shown.unwrap_or_else(|error| error);
    assert!(!shown.contains("canary"), "{shown}");
    config.map_err(|error| error.to_string())
}

fn database(more: &str) -> RosterDatabase {
    let config = load(&format!("{ADDRESS}\n{more}")).unwrap();
    let Some(RosterPlace::Postgres(database)) = config.roster else { panic!("no database") };
    database
}

#[test]
fn a_roster_is_in_a_file_or_in_a_database() {
    assert!(load("").unwrap().roster.is_none());
    let file = load("file = \"r.db\"").unwrap().roster;
    assert!(matches!(file, Some(RosterPlace::File(_))));
    assert_eq!(database("").setup.record_every, Duration::from_secs(60));
    let full = database("password = { env = \"PASSWORD\" }\nrecord_every = \"0s\"").setup;
    assert!(full.password.is_some());
    assert_eq!(full.record_every, Duration::ZERO);
    let one = RosterPlace::Postgres(database(""));
    assert!(one.is_same(&RosterPlace::Postgres(database(""))));
    assert!(!one.is_same(&RosterPlace::Postgres(database("record_every = \"1s\""))));
}

#[test]
fn a_password_is_taken_as_it_stands_but_for_the_end_of_its_line() {
    for (name, expected) in
        [("PASSWORD", "password-canary"), ("QUOTED", " it's \"password-canary\" ")]
    {
        let setup = database(&format!("password = {{ env = \"{name}\" }}")).setup;
        let Some(Password::Text(text)) = setup.password else { panic!("no password") };
        assert_eq!(*text, expected);
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_field_and_without_its_value() {
    for (roster, expected) in [
        (
            format!("file = \"r.db\"\n{ADDRESS}"),
            "roster.postgres: stands beside roster.file; a roster is in one of the two",
        ),
        (
            "password = { env = \"PASSWORD\" }".to_owned(),
            "roster.password: goes with roster.postgres",
        ),
        ("ca_file = \"ca.pem\"".to_owned(), "roster.ca_file: goes with roster.postgres"),
        (
            "postgres = \"postgresql://tieline:password-canary@db/d\"".to_owned(),
            "roster.postgres: must not hold a password; use roster.password",
        ),
        (
            "postgres = \"postgresql://tieline@db/d?sslmode=prefer\"".to_owned(),
            "roster.postgres: must not have sslmode allow or prefer, which fall back to plain \
             text; use disable, or verify-full",
        ),
        (
            "postgres = \"password-canary\"".to_owned(),
            "roster.postgres: must be postgresql://USER@HOST/DATABASE; several hosts stand \
             between commas",
        ),
        (format!("{ADDRESS}\nrecord_every = \"2h\""), "roster.record_every: must be at most 1h"),
        (
            format!("{ADDRESS}\npassword = {{ digest = \"sha256:00\" }}"),
            "roster.password: a digest cannot be sent; use env or file",
        ),
        (
            format!("{ADDRESS}\npassword = {{ env = \"LINES\" }}"),
            "roster.password: has a second line; give the password alone, on one line",
        ),
        (format!("{ADDRESS}\npassword = {{ env = \"EMPTY\" }}"), "roster.password: is empty"),
    ] {
        let error = load(&roster).unwrap_err();
        assert!(error.ends_with(expected), "{roster}: {error}");
        assert!(error.starts_with("t.toml:"), "{error}");
    }
}
