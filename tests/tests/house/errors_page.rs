//! Every test that `docs/ERRORS.md` points to exists, and every
//! fault of the list has a test that carries its id, or stands under "Not shown yet" with a reason.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The faults that must be shown, or owned up to: family, first, last.
const FAULTS: &[(char, u8, u8)] = &[
    ('C', 1, 5),
    ('C', 7, 12),
    ('D', 1, 18),
    ('E', 1, 25),
    ('F', 1, 20),
    ('G', 1, 13),
    ('H', 1, 12),
    ('I', 1, 12),
    ('J', 1, 40),
    ('K', 1, 9),
    ('L', 1, 5),
    ('R', 1, 9),
];

/// Where in the page faults stand that no test shows, or that tests show in part.
const NOT_SHOWN: &str = "## Not shown yet";

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
fn every_fault_in_the_page_has_the_tests_it_names() {
    let tests = tests();
    let page = page();
    let faults: Vec<(String, String)> =
        rows(&page).into_iter().filter(|(id, _)| is_fault(id)).collect();
    assert!(faults.len() >= 40, "only {} faults found", faults.len());
    for (id, names) in &faults {
        let names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{id}: names no test");
        for name in names {
            // A check of tests/outside prints the ids of what it shows.
            if name.ends_with(".sh") {
                let check = std::fs::read_to_string(Path::new("..").join(name)).unwrap_or_default();
                assert!(check.contains(id), "{id}: {name} does not carry the id");
                continue;
            }
            assert!(tests.contains(name), "{id}: no test {name}");
            assert!(name.contains(&id.to_lowercase()), "{id}: {name} does not carry the id");
        }
    }
    // And the other way round: a test that carries a fault's id stands in the page.
    for name in tests.iter().filter(|name| !ids_of(name).is_empty()) {
        assert!(page.contains(&format!("`{name}`")), "docs/ERRORS.md lacks {name}");
    }
}

#[test]
fn every_fault_has_a_test_or_a_reason_why_not() {
    let mut shown: BTreeSet<String> = tests().iter().flat_map(|name| ids_of(name)).collect();
    let of_checks = rows(&page()).into_iter().filter(|(_, names)| names.contains(".sh`"));
    shown.extend(of_checks.map(|(id, _)| id));
    let unmet = unmet(&page());
    let faults = FAULTS.iter().flat_map(|(family, first, last)| {
        (*first..=*last).map(move |number| format!("{family}{number:02}"))
    });
    let faults: BTreeSet<String> = faults.collect();
    assert_eq!(faults.len(), 174);
    let mut found = Vec::new();
    for fault in &faults {
        match (shown.contains(fault), unmet.get(fault)) {
            (false, None) => found.push(format!("{fault}: no test carries it, and {NOT_SHOWN:?}")),
            (true, Some(Unmet::Wholly)) => {
                found.push(format!("{fault}: a test shows it; take it out, or say `, in part:`"));
            }
            (false, Some(Unmet::InPart)) => {
                found.push(format!("{fault}: no test shows even a part of it; say `:`"));
            }
            _ => {}
        }
    }
    assert!(found.is_empty(), "docs/ERRORS.md, {NOT_SHOWN:?}:\n{}", found.join("\n"));
}

#[test]
fn a_line_about_a_fault_that_is_not_shown_is_read_as_it_is_meant() {
    let page = format!(
        "- **C01**: before\n{NOT_SHOWN}\n\nText **C02**.\n- **C03**, **C04**: a reason that goes\n  \
         on **C05** here\n- **D08**, in part: a reason that is long enough\n## Next\n- **E01**: no\n"
    );
    let read: Vec<(String, Unmet)> = unmet(&page).into_iter().collect();
    let expected = [("C03", Unmet::Wholly), ("C04", Unmet::Wholly), ("D08", Unmet::InPart)];
    assert_eq!(read, expected.map(|(id, how)| (id.to_owned(), how)));
    assert_eq!(ids_of("e08_e09_a_reset"), ["E08", "E09"]);
    assert_eq!(ids_of("a01_to_a03_odd"), ["A01", "A02", "A03"]);
    assert!(ids_of("an_answer_e08").is_empty() && ids_of("e8_x").is_empty());
}

fn is_fault(id: &str) -> bool {
    id.len() == 3
        && id.starts_with(|c: char| c.is_ascii_uppercase())
        && id[1..].bytes().all(|byte| byte.is_ascii_digit())
}

/// The faults whose ids a test's name begins with: `e08_e09_..`, `a01_to_a08_..`.
fn ids_of(name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut goes_on = false;
    for word in name.split('_') {
        let id = word.to_uppercase();
        if word == "to" && !found.is_empty() {
            goes_on = true;
        } else if is_fault(&id) && word != id {
            let last: u8 = id[1..].parse().unwrap();
            let before = found.last().filter(|before| goes_on && before[..1] == id[..1]);
            let first = before.map_or(last, |before| before[1..].parse::<u8>().unwrap() + 1);
            found.extend((first..=last).map(|number| format!("{}{number:02}", &id[..1])));
            goes_on = false;
        } else {
            break;
        }
    }
    found
}

/// The names of all test functions of the workspace.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    let mut folders = vec![Path::new("..").join("crates"), "tests".into(), "src".into()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    assert!(files.len() >= 150, "only {} files", files.len());
    let mut names = BTreeSet::new();
    for file in &files {
        let mut is_test = false;
        for line in file.lines().map(str::trim) {
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            match name.and_then(|rest| rest.split('(').next()) {
                Some(name) if is_test => {
                    names.insert(name.to_owned());
                    is_test = false;
                }
                Some(_) => is_test = false,
                None if line.starts_with("#[test]") || line.starts_with("#[tokio::test") => {
                    is_test = true;
                }
                None => {}
            }
        }
    }
    names
}

/// What the page says of a fault that is not shown, or not all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unmet {
    Wholly,
    InPart,
}

/// The faults of the lines `- **C01**, **C02**: reason` and `- **C01**, in part: reason`.
fn unmet(page: &str) -> BTreeMap<String, Unmet> {
    let section = page.split(NOT_SHOWN).nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut found = BTreeMap::new();
    for line in section.split("\n- ").skip(1) {
        let (head, reason) = line.split_once(':').unwrap_or((line, ""));
        let (ids, how) = match head.strip_suffix(", in part") {
            Some(ids) => (ids, Unmet::InPart),
            None => (head, Unmet::Wholly),
        };
        assert!(reason.trim().len() >= 20, "{NOT_SHOWN:?}: {head}: say why");
        for id in ids.split(", ") {
            let id = id.strip_prefix("**").and_then(|id| id.strip_suffix("**")).unwrap_or("");
            assert!(is_fault(id), "{NOT_SHOWN:?}: {head}: begin a line with ids, then `: reason`");
            assert!(found.insert(id.to_owned(), how).is_none(), "{NOT_SHOWN:?}: {id} stands twice");
        }
    }
    found
}
