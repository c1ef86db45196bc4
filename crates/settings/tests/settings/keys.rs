//! Keys from files and variables: what stands around a key that was copied is refused at the start, by
//! the name of the setting, and never shown.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::PathBuf;

use settings::{Config, UpstreamKey};

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let name = format!("tieline-keys-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const LEGACY: &str = "legacy_key";
const UPSTREAM: &str = "upstream_key";

/// A configuration whose key of one of the two kinds is found in this way.
fn text(kind: &str, found: &str) -> String {
    let key = |name| if name == kind { found } else { "{ env = \"GOOD\" }" };
    format!(
        "[upstream.a]\ndialect = \"voiso-v4\"\nbase_url = \"https://a.example\"\n[[caller]]\n\
         name = \"crm\"\nlegacy_key = {}\nupstream = \"a\"\nupstream_key = {}\n\
         sees = \"everything\"\n",
        key(LEGACY),
        key(UPSTREAM)
    )
}

/// What becomes of these bytes as a key, from a file and, if they are text, from a variable.
fn loaded(folder: &Folder, kind: &str, bytes: &[u8]) -> Vec<Result<Config, String>> {
    let mut env = vec![("GOOD".to_owned(), "good-key".to_owned())];
    let file = folder.0.join("t.toml");
    std::fs::write(folder.0.join("k"), bytes).unwrap();
    let mut sources = vec!["{ file = \"k\" }"];
    if let Ok(value) = str::from_utf8(bytes) {
        env.push(("KEY".to_owned(), value.to_owned()));
        sources.push("{ env = \"KEY\" }");
    }
    let load = |source: &str| {
        std::fs::write(&file, text(kind, source)).unwrap();
        Config::load(&file, &env).map_err(|error| error.to_string())
    };
    sources.into_iter().map(load).collect()
}

#[test]
fn a_key_with_something_around_it_is_refused_by_the_name_of_its_setting() {
    let folder = Folder::new("refused");
    let utf_16: Vec<u8> = "\u{feff}canary\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, told) in [
        ("\u{feff}canary".as_bytes(), "begins with a byte order mark"),
        (&utf_16, "is UTF-16"),
        (b"canary\xff", "is not UTF-8"),
        (b"\"canary\"\n", "without quotes"),
        (b"'canary'", "without quotes"),
        (b"Bearer canary\n", "give the key alone"),
        (b"bearer canary", "give the key alone"),
        (b"Authorization: Bearer canary", "give the key alone"),
        ("can\u{200b}ary".as_bytes(), "invisible"),
        ("canary\u{feff}".as_bytes(), "invisible"),
        (b"canary\ncanary2\n", "has a second line"),
        (b"canary\r\n# of March\r\n", "has a second line"),
        (b"canary canary", "white space"),
        (b" \r\n", "is empty"),
        (b"", "is empty"),
    ] {
        for (kind, line) in [(LEGACY, 6), (UPSTREAM, 8)] {
            for result in loaded(&folder, kind, bytes) {
                let error = result.unwrap_err();
                assert!(error.contains(&format!("t.toml:{line}: caller[0].{kind}: ")), "{error}");
                assert!(error.contains(told), "{told}: {error}");
                assert!(!error.contains("canary") && error.lines().count() == 1, "{error}");
            }
        }
    }
}

#[test]
fn white_space_around_a_key_is_dropped_and_the_key_is_the_one_that_clients_send() {
    let folder = Folder::new("taken");
    for bytes in [&b"canary-7"[..], b"canary-7\n", b" canary-7\r\n", b"\n\tcanary-7\n\n"] {
        for config in loaded(&folder, LEGACY, bytes) {
            assert_eq!(config.unwrap().callers[0].digest, settings::digest("canary-7"));
        }
        for config in loaded(&folder, UPSTREAM, bytes) {
            match &config.unwrap().callers[0].key {
                UpstreamKey::Bearer(value) => assert_eq!(value, "Bearer canary-7"),
                UpstreamKey::Client { .. } => panic!("a client"),
            }
        }
    }
}
