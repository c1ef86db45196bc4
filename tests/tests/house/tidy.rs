//! The house rules, as tests over the source tree: crate edges, pins, layers, files, words, links.
//!
//! A rule that finds something says where and what to do. A rule that looked at too few files fails
//! too: it would pass for the wrong reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Which crates of this workspace each crate may import, in any section of its `Cargo.toml`.
///
/// `simulator` and `tests` never see `domain`: if both sides of a test shared our structs, a wrong
/// field name would pass every test.
const EDGES: &[(&str, &[&str])] = &[
    ("allocator", &[]),
    ("domain", &[]),
    ("transport", &[]),
    ("limits", &[]),
    ("commons", &[]),
    ("roster", &[]),
    ("settings", &["commons", "domain", "roster", "transport"]),
    ("shadow", &["domain", "limits", "report", "settings", "transport"]),
    ("gateway", &["commons", "domain", "limits", "roster", "settings", "shadow", "transport"]),
    ("simulator", &["transport"]),
    ("corpus", &["limits", "transport"]),
    ("report", &[]),
    ("parity", &["corpus", "report"]),
    (
        "tieline",
        &[
            "allocator",
            "commons",
            "domain",
            "roster",
            "settings",
            "shadow",
            "transport",
            "gateway",
            "simulator",
            "corpus",
            "report",
            "parity",
            "tests",
        ],
    ),
    (
        "tests",
        &[
            "allocator",
            "roster",
            "settings",
            "shadow",
            "transport",
            "gateway",
            "simulator",
            "corpus",
            "report",
            "parity",
            "tieline",
        ],
    ),
];

/// Crates that wait, listen, read a clock or roll dice: `domain` has none of them.
const NEVER_IN_DOMAIN: &[&str] = &["hyper", "tokio", "http", "tower", "rustls", "moka", "tracing"];

/// Ways to a clock, the environment, a file, a socket or a wait.
const NEVER_SAID_IN_DOMAIN: &[&str] =
    &["std::env", "std::fs", "std::net", "std::thread", "SystemTime", "Instant", "async fn"];

/// What the top level holds, besides names that begin with a dot or `LICENSE`, and `target`.
const TOP_LEVEL: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "deploy",
    "docs",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
];

const LINES_MAX: usize = 500;

#[test]
fn crates_import_only_what_the_house_plan_allows() {
    let members = members();
    let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut found = Vec::new();
    for member in &members {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == member.name) else {
            found.push(format!("{}: a new crate; say in EDGES what it may import", member.name));
            continue;
        };
        for import in member.imports.iter().filter(|import| names.contains(import.as_str())) {
            if !allowed.contains(&import.as_str()) {
                found.push(format!(
                    "{} imports {import}, it may import {allowed:?}: move what it needs to a \
                     crate that both may see (docs/ARCHITECTURE.md)",
                    member.name
                ));
            }
        }
    }
    none(&found, members.len(), 6);
}

#[test]
fn domain_never_waits_and_reads_nothing_but_its_input() {
    let members = members();
    let imports = members.iter().find(|member| member.name == "domain").map(|m| &m.imports);
    let mut found: Vec<String> = imports
        .into_iter()
        .flatten()
        .filter(|import| {
            NEVER_IN_DOMAIN.iter().any(|never| import.split('-').next() == Some(*never))
        })
        .map(|import| format!("crates/domain/Cargo.toml: {import} does not belong to domain"))
        .collect();
    let files = with_extension("crates/domain/src", "rs");
    for file in &files {
        for (number, line) in code_lines(&file.text) {
            for never in NEVER_SAID_IN_DOMAIN.iter().filter(|never| line.contains(**never)) {
                found.push(format!(
                    "{}:{number}: {never} in domain; take the value as an argument instead",
                    file.name
                ));
            }
        }
    }
    none(&found, files.len(), 15);
}

#[test]
fn every_version_stands_pinned_in_the_root_manifest() {
    let mut found: Vec<String> = workspace_dependencies()
        .into_iter()
        .filter(|(_, version)| !version.starts_with('='))
        .map(|(name, version)| {
            format!("Cargo.toml: {name} = \"{version}\"; pin it: \"={version}\"")
        })
        .collect();
    let members = members();
    for member in &members {
        for import in &member.own_versions {
            found.push(format!(
                "{}: {import} has a version of its own; write `{import}.workspace = true` and put \
                 the version into the root Cargo.toml",
                member.name
            ));
        }
    }
    none(&found, workspace_dependencies().len(), 25);
}

#[test]
fn every_dependency_has_its_row_and_its_reason() {
    let members = members();
    let rows = dependency_rows();
    let dependencies = workspace_dependencies();
    let mut found = Vec::new();
    for (name, version) in &dependencies {
        let mut used_by: Vec<&str> = members
            .iter()
            .filter(|member| member.imports.contains(name))
            .map(|member| member.name.as_str())
            .collect();
        // End-to-end tests need a bit of everything, so they count only where no other crate does.
        if used_by.len() > 1 {
            used_by.retain(|user| *user != "tests");
        }
        let used_by = if used_by.is_empty() { "none yet".to_owned() } else { used_by.join(", ") };
        let version = version.trim_start_matches('=');
        let start = format!("| `{name}` | {version} | {used_by} |");
        let Some(row) = rows.get(name) else {
            found.push(format!("docs/DEPENDENCIES.md: add a row `{start} reason |`"));
            continue;
        };
        let reason = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        if !row.starts_with(&start) || !reason.ends_with('.') {
            found.push(format!(
                "docs/DEPENDENCIES.md: the row of {name} must begin `{start}` and end with a \
                 reason, a sentence"
            ));
        }
    }
    for name in rows.keys().filter(|name| !dependencies.contains_key(*name)) {
        found.push(format!("docs/DEPENDENCIES.md: {name} is no dependency any more; drop its row"));
    }
    none(&found, rows.len(), 25);
}

#[test]
fn every_legacy_endpoint_has_golden_cases() {
    let table = "crates/domain/src/legacy.rs";
    let text = read(&root().join(table)).unwrap_or_default();
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("name: \""));
    let names: Vec<&str> = names.filter_map(|rest| rest.strip_suffix("\",")).collect();
    let mut found = Vec::new();
    for name in &names {
        let golden = root().join("crates/domain/golden").join(name);
        let cases = golden.read_dir().map_or(0, |entries| entries.flatten().count());
        if cases == 0 {
            found.push(format!(
                "{table}: no case in crates/domain/golden/{name}/; see docs/ADDING_AN_ENDPOINT.md"
            ));
        }
    }
    none(&found, names.len(), 4);
}

#[test]
fn every_source_file_opens_by_saying_what_it_is() {
    let files = with_extension("", "rs");
    let found: Vec<String> = files
        .iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| format!("{}: open with `//!`: what it does, what it must never do", file.name))
        .collect();
    none(&found, files.len(), 40);
}

#[test]
fn no_room_is_larger_than_it_should_be() {
    let mut files = with_extension("", "rs");
    files.extend(with_extension("", "sh"));
    let found: Vec<String> = files
        .iter()
        .map(|file| (file, file.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(file, lines)| {
            format!("{}: {lines} lines, {LINES_MAX} at most; do two things live here?", file.name)
        })
        .collect();
    none(&found, files.len(), 40);
}

#[test]
fn the_tree_speaks_of_the_product_alone() {
    // Put together here, so that this file does not hold what it looks for.
    let rules = [
        (concat!("TO", "DO"), "do it, or drop it"),
        (concat!("FIX", "ME"), "do it, or drop it"),
        (concat!("#[", "ignore"), "a test that never runs proves nothing: mend it, or drop it"),
        (concat!("../", "shared"), "a reader has only this repository: write what is needed here"),
        (concat!("/wo", "rk/"), "a path of one machine: name it relative to the root"),
        (concat!("/ho", "me/"), "a path of one machine: name it relative to the root"),
        (concat!("/ro", "ot/"), "a path of one machine: name it relative to the root"),
        (concat!("arti", "factory"), "crates come from crates.io: name no other host"),
    ];
    let files = files_below("");
    let mut found = Vec::new();
    for file in &files {
        for (index, line) in file.text.lines().enumerate() {
            for (word, advice) in rules.iter().filter(|(word, _)| line.contains(word)) {
                found.push(format!("{}:{}: `{word}`: {advice}", file.name, index + 1));
            }
        }
    }
    none(&found, files.len(), 100);
}

#[test]
fn the_top_level_holds_what_a_newcomer_expects() {
    let names: Vec<String> = entries(&root()).iter().map(|path| name_of(path)).collect();
    let ignored = ignored();
    let found: Vec<String> = names
        .iter()
        .filter(|name| {
            !(name.starts_with('.')
                || name.starts_with("LICENSE")
                || ignored.contains(*name)
                || TOP_LEVEL.contains(&name.as_str()))
        })
        .map(|name| format!("{name}: move it into crates, tests, docs or deploy"))
        .collect();
    none(&found, names.len(), 8);
}

#[test]
fn every_relative_link_in_a_page_leads_somewhere() {
    let files = with_extension("", "md");
    let mut found = Vec::new();
    let mut links_seen = 0;
    for file in &files {
        let folder = file.path.parent().unwrap_or(Path::new(""));
        for (number, link) in links(&file.text) {
            links_seen += 1;
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !folder.join(target).exists() {
                found.push(format!("{}:{number}: no such file: {link}", file.name));
            }
        }
    }
    none(&found, files.len(), 4);
    assert!(links_seen >= 5, "{links_seen} relative links in {} pages: too few", files.len());
}

#[test]
fn links_are_found_where_they_stand() {
    let page = "see [a](docs/A.md) and [b](B.md#part)\n```\n[no](code.md)\n```\n\
                [c](https://example.com) [d](#here) `[no](inline.md)`\n[e]: C.md\n";
    let found = links(page);
    assert_eq!(found, [(1, "docs/A.md"), (1, "B.md#part"), (6, "C.md")]);
}

/// Fails with every finding, or when the rule looked at fewer things than is plausible.
#[track_caller]
fn none(found: &[String], looked_at: usize, at_least: usize) {
    assert!(found.is_empty(), "{} findings:\n{}", found.len(), found.join("\n"));
    assert!(
        looked_at >= at_least,
        "looked at {looked_at}, expected at least {at_least}: did what this rule reads move?"
    );
}

/// A crate of the workspace, as its `Cargo.toml` has it.
struct Member {
    name: String,
    /// Every dependency, of any section.
    imports: BTreeSet<String>,
    /// Dependencies that do not take their version from the workspace.
    own_versions: Vec<String>,
}

fn members() -> Vec<Member> {
    let mut folders = entries(&root().join("crates"));
    folders.push(root().join("tests"));
    folders.iter().filter(|folder| folder.join("Cargo.toml").exists()).map(|f| member(f)).collect()
}

fn member(folder: &Path) -> Member {
    let manifest = manifest(&folder.join("Cargo.toml"));
    let mut tables = vec![&manifest];
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        tables.extend(targets.values().filter_map(Value::as_table));
    }
    let mut member =
        Member { name: name_of(folder), imports: BTreeSet::new(), own_versions: Vec::new() };
    for table in tables {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = table.get(section).and_then(Value::as_table) else { continue };
            for (name, value) in dependencies {
                member.imports.insert(name.clone());
                if value.get("workspace").and_then(Value::as_bool) != Some(true) {
                    member.own_versions.push(name.clone());
                }
            }
        }
    }
    member
}

/// Name and version of every line in the root's `[workspace.dependencies]` that is no path.
fn workspace_dependencies() -> BTreeMap<String, String> {
    let manifest = manifest(&root().join("Cargo.toml"));
    let lines = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(Value::as_table);
    let version = |value: &Value| match value {
        Value::String(version) => version.clone(),
        other => other.get("version").and_then(Value::as_str).unwrap_or_default().to_owned(),
    };
    lines
        .into_iter()
        .flatten()
        .filter(|(_, value)| value.get("path").is_none())
        .map(|(name, value)| (name.clone(), version(value)))
        .collect()
}

/// The table rows of `docs/DEPENDENCIES.md`, by crate.
fn dependency_rows() -> BTreeMap<String, String> {
    let page = read(&root().join("docs/DEPENDENCIES.md")).unwrap_or_default();
    let rows = page.lines().filter_map(|line| {
        let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
        Some((name.to_owned(), line.to_owned()))
    });
    rows.collect()
}

/// Line number and target of each relative link outside code.
fn links(page: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            found.push((index + 1, target.trim()));
        }
        // Every other piece between backticks is code.
        for prose in line.split('`').step_by(2) {
            for rest in prose.split("](").skip(1) {
                found.push((index + 1, rest.split([')', ' ']).next().unwrap_or_default()));
            }
        }
    }
    found.retain(|(_, link)| {
        !link.contains("://") && !link.starts_with("mailto:") && !link.starts_with('#')
    });
    found
}

/// Number and text of each line that is not a comment.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// A text file of the project.
struct SourceFile {
    path: PathBuf,
    /// The path below the root.
    name: String,
    text: String,
}

fn with_extension(folder: &str, extension: &str) -> Vec<SourceFile> {
    let mut files = files_below(folder);
    files.retain(|file| file.path.extension().is_some_and(|found| found == extension));
    files
}

/// Every text file below a folder of the project; what git and cargo write is left out.
fn files_below(folder: &str) -> Vec<SourceFile> {
    let root = root();
    let ignored = ignored();
    let mut folders = vec![root.join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
            // A folder, or in a linked work tree a file that names one.
            if name == ".git" || ignored.contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Some(text) = read(&path) {
                files.push(SourceFile { path, name, text });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

/// Names that are no part of the tree, by `.gitignore`: the build, and files that a reader of the README saves.
fn ignored() -> BTreeSet<String> {
    let text = read(&root().join(".gitignore")).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix('/')).map(str::to_owned).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = match folder.read_dir() {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(_) => Vec::new(),
    };
    paths.sort();
    paths
}

#[expect(clippy::panic, reason = "only tests call it; nothing can be said without the manifest")]
fn manifest(path: &Path) -> Table {
    let text = read(path).unwrap_or_default();
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file's text, or nothing for a file that is not text.
fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("")).to_owned()
}
