//! `tieline roster` as a process, beside a gateway that uses the same file.

use crate::common::process::Gateway;
use crate::common::{configured, run, stderr, stdout, vendor};
use tests::folder::Folder;
use tests::plain::ask;
use tests::{DELETED, LEGACY_KEY, V4_KEY};

fn config(folder: &Folder, vendor: &str, rest: &str) -> String {
    folder.file("v4.key", V4_KEY);
    folder.file("t.toml", configured("", vendor, "", rest))
}

#[test]
fn a_baseline_is_imported_from_the_legacy_api_and_exported_again() {
    let folder = Folder::new();
    let (_vendor, base) = vendor("--users 120");
    let key = format!("file:{}", folder.file("legacy.key", format!("{LEGACY_KEY}\n")));
    let file = config(&folder, &base, "[roster]\nfile = \"roster.sqlite\"");
    let url = format!("{base}{DELETED}");
    let import =
        |source: &str| run(&["roster", "import", "--config", &file, "--key", &key, source], b"");
    let output = import(&url);
    assert!(output.status.success(), "{}", stderr(&output));
    let truth = ask(&base, DELETED).text();
    let legacy: serde_json::Value = serde_json::from_str(&truth).unwrap();
    let legacy = legacy.as_array().unwrap();
    assert_eq!(
        stdout(&output),
        format!("crm: {} added, 0 renamed, 0 known already\n", legacy.len())
    );
    assert_eq!(
        stdout(&import(&url)),
        format!("crm: 0 added, 0 renamed, {} known already\n", legacy.len())
    );
    let output = run(&["roster", "export", "--config", &file, "--caller", "crm"], b"");
    let exported: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let exported = exported.as_array().unwrap();
    assert_eq!(exported.len(), legacy.len());
    for user in legacy {
        let is_there = |other: &serde_json::Value| {
            other["id"] == user["id"] && other["name"] == user["name"] && other["imported"] == true
        };
        assert!(exported.iter().any(is_there), "{user}");
    }
    // What was printed can be read again, by a gateway that runs meanwhile as well.
    let more = folder.file("more.json", "\u{feff}[{\"id\":7,\"name\":\"Roberta Ride\"}]");
    let gateway = Gateway::start(&file);
    assert_eq!(ask(gateway.address, DELETED).text(), truth);
    let again = folder.file("again.json", stdout(&output));
    for source in [&again, &more] {
        let output = run(&["roster", "import", "--config", &file, source], b"");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let answer = ask(gateway.address, DELETED).text();
    assert!(answer.contains("{\"id\":7,\"name\":\"Roberta Ride\"}"), "{answer}");
}

#[test]
fn a_list_that_is_none_imports_nothing_and_no_key_is_shown() {
    let folder = Folder::new();
    let (_vendor, base) = vendor("--users 120");
    let file = config(&folder, &base, "[roster]\nfile = \"roster.sqlite\"");
    let key = folder.file("wrong.key", "wrong-canary-key");
    let bad = folder.file("bad.json", "[{\"id\":1,\"name\":\"a\"},{\"name\":\"b\"}]");
    let url = format!("{base}{DELETED}");
    for arguments in [
        &["--key-file", &key, &url][..],
        &["--key", &format!("file:{key}"), &url],
        &["--key", "wrong-canary-key", &url],
        &[&format!("{url}?key=wrong-canary-key")],
        &["--key-file", &key, &bad],
        &[&bad],
        &["no-such-file.json"],
        &["http://127.0.0.1:9/x"],
        &["--caller", "nobody", &bad],
        &["--key-env", "TIELINE_TEST_NO_SUCH", &url],
    ] {
        let output = run(&[&["roster", "import", "--config", &file], arguments].concat(), b"");
        // A variable that is not set is wrong usage, as in every command that takes a key.
        let code = if arguments.contains(&"--key-env") { 2 } else { 1 };
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let text = stderr(&output);
        assert!(text.starts_with("error: "), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
    let output = run(&["roster", "export", "--config", &file], b"");
    assert_eq!(stdout(&output), "[\n]\n");
    let without = config(&folder, &base, "");
    let output = run(&["roster", "export", "--config", &without], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("roster.file"), "{}", stderr(&output));
}
