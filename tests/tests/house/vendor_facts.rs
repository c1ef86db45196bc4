//! A third dialect touches `domain`, `simulator` and the pages: no crate above `domain` has a word of
//! a vendor in its code. Comments and tests may name an example.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Dialects, and what is on the vendors' wires: paths, media types, scopes, roles, fields.
const WORDS: &[&str] = &[
    "voiso",
    "vonage",
    "newvoicemedia",
    "/api/v4",
    "useradmin",
    "users.read",
    "users.teams.read",
    "users:read",
    "nvmadmin",
    "wallboard",
    "\"supervisor\"",
    "agentdisplayid",
    "callbacknumber",
    "securityaccessgroup",
    "security_access_group",
    "ssoexternalid",
    "telephonyextension",
];

/// Crates that may: the one that translates, the one that pretends to be the vendors, and the second
/// reading, which never imports `domain` and so has to know by itself.
const KNOWING: &[&str] = &["domain", "simulator", "parity", "corpus", "report"];

/// The command line of the simulator.
const KNOWING_FILES: &[&str] =
    &["crates/tieline/src/commands/demo.rs", "crates/tieline/src/commands/simulate"];

#[test]
fn no_crate_above_domain_names_a_vendor() {
    let files = files();
    let test_modules = test_modules(&files);
    let mut found = Vec::new();
    let mut looked_at = 0;
    for (name, text) in &files {
        let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
        if test_modules.contains(&*stem) || KNOWING_FILES.iter().any(|file| name.starts_with(file))
        {
            continue;
        }
        looked_at += 1;
        for (number, line) in code(text) {
            // The address of a contact center in the text of an example.
            let line = line.to_lowercase().replace("voiso.com", "");
            for word in WORDS.iter().filter(|word| line.contains(**word)) {
                found.push(format!(
                    "{name}:{number}: {word} is a vendor's: make it a fact of the dialect \
                     (crates/domain/src/upstream/facts.rs)"
                ));
            }
        }
    }
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
    assert!(looked_at >= 60, "looked at {looked_at} files: did they move?");
}

/// The sources of the crates above `domain`: their names below the root, and their text.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("")).to_owned();
    let crates = entries(&root.join("crates"));
    let is_above = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        !KNOWING.contains(&&*name)
    };
    let mut folders: Vec<PathBuf> =
        crates.into_iter().filter(is_above).map(|path| path.join("src")).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let name = path.strip_prefix(&root).unwrap_or(&path);
                files.push((name.to_string_lossy().into_owned(), text));
            }
        }
    }
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Modules that only tests have: `#[cfg(test)] mod name;`.
fn test_modules(files: &[(String, String)]) -> BTreeSet<String> {
    let declared = |text: &String| {
        let after = text.split("#[cfg(test)]\n").skip(1);
        let names = after.filter_map(|rest| {
            let line = rest.lines().next()?.trim_start_matches("pub(crate) ");
            Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
        });
        names.collect::<Vec<_>>()
    };
    files.iter().flat_map(|(_, text)| declared(text)).collect()
}

/// Number and text of the lines before the tests that are no comment.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| *line != "mod tests {");
    let lines = lines.enumerate().map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}
