//! Integration tests are modules of few programs: each program links what it tests anew, which took
//! longer than running most of them.

use std::collections::BTreeSet;
use std::path::Path;

/// The test programs of each member, and why those that are not the only one stand apart.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("crates/corpus", &["corpus"]),
    ("crates/domain", &["domain"]),
    ("crates/gateway", &["gateway"]),
    ("crates/parity", &["parity"]),
    ("crates/report", &["report"]),
    ("crates/roster", &["roster"]),
    ("crates/settings", &["settings"]),
    ("crates/simulator", &["simulator"]),
    // `secrets` starts three dozen vendors at once, and every program has 256 MiB (`.ci/run`).
    ("crates/tieline", &["program", "secrets"]),
    ("crates/transport", &["transport"]),
    // `house` reads the tree and links no gateway. `validator` takes minutes and is run by itself to
    // write `docs/VALIDATION_MEASURED.md` anew.
    ("tests", &["end_to_end", "house", "validator"]),
];

#[test]
fn integration_tests_are_modules_of_few_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(""));
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let members = names(&root.join("crates")).into_iter().map(|name| format!("crates/{name}"));
    let mut found = Vec::new();
    for member in members.chain(["tests".to_owned()]) {
        let folder = root.join(&member).join("tests");
        let is_program =
            |name: &String| name.ends_with(".rs") || folder.join(name).join("main.rs").exists();
        let programs: Vec<String> = names(&folder).into_iter().filter(is_program).collect();
        let known =
            PROGRAMS.iter().find(|(name, _)| *name == member).map_or(&[][..], |(_, all)| all);
        if programs != known {
            found.push(format!(
                "{member}/tests has {programs:?}: make a new file a module of {known:?}, or say in \
                 PROGRAMS why it stands apart"
            ));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
