//! `docs/ERRORS.md` names every slug there is and no other, and every test it points to exists.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeSet;

fn page() -> String {
    std::fs::read_to_string("../docs/ERRORS.md").unwrap()
}

/// The first and the last cell of every row of a table, without the row of dashes.
fn rows(page: &str) -> Vec<(String, String)> {
    let rows = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
    let cells = rows
        .map(cells)
        .filter_map(|cells: Vec<String>| Some((cells.first()?.clone(), cells.last()?.clone())));
    cells.collect()
}

#[test]
fn every_slug_stands_in_the_page_and_no_other() {
    let source = std::fs::read_to_string("../crates/gateway/src/error.rs").unwrap();
    let slugs = source.split("fn slug(").nth(1).unwrap().split("fn status(").next().unwrap();
    let code = slugs.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<&str> = code.collect();
    let known: BTreeSet<String> =
        code.join("\n").split('"').skip(1).step_by(2).map(|slug| format!("`{slug}`")).collect();
    assert!(known.len() >= 30, "only {} slugs found: did what this test reads move?", known.len());
    let named: BTreeSet<String> =
        rows(&page()).into_iter().map(|(first, _)| first).filter(|c| c.starts_with('`')).collect();
    let (missing, extra): (Vec<_>, Vec<_>) =
        (known.difference(&named).collect(), named.difference(&known).collect());
    assert!(missing.is_empty(), "docs/ERRORS.md lacks a row for {missing:?}");
    assert!(extra.is_empty(), "docs/ERRORS.md has rows for what is no slug: {extra:?}");
}

#[test]
fn every_fault_in_the_page_has_the_tests_it_names() {
    let tests = sources(&["tests", "../crates"]);
    let is_fault = |id: &str| {
        id.len() == 3
            && id.starts_with(|c: char| c.is_ascii_uppercase())
            && id[1..].bytes().all(|byte| byte.is_ascii_digit())
    };
    let page = page();
    let faults: Vec<(String, String)> =
        rows(&page).into_iter().filter(|(id, _)| is_fault(id)).collect();
    assert!(faults.len() >= 40, "only {} faults found", faults.len());
    for (id, names) in &faults {
        let names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{id}: names no test");
        for name in names {
            assert!(tests.contains(&format!("fn {name}()")), "{id}: no test {name}");
            assert!(name.contains(&id.to_lowercase()), "{id}: {name} does not carry the id");
        }
    }
    // And the other way round: a test that carries a fault's id stands in the page.
    let whole_files = sources(&["tests", "../crates/tieline/tests"]);
    for name in whole_files.split("fn ").skip(1).filter_map(|rest| rest.split('(').next()) {
        let mut letters = name.chars();
        let has_id = letters.next().is_some_and(|c| c.is_ascii_lowercase())
            && letters.by_ref().take(2).all(|c| c.is_ascii_digit())
            && letters.next() == Some('_');
        assert!(!has_id || page.contains(&format!("`{name}`")), "docs/ERRORS.md lacks {name}");
    }
}

/// The text of every source file below these folders.
fn sources(folders: &[&str]) -> String {
    let mut folders: Vec<std::path::PathBuf> = folders.iter().map(Into::into).collect();
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}
