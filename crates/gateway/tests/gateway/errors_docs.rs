//! `docs/ERRORS.md` names every slug there is and no other, each with its status and its text.

use std::collections::BTreeSet;

use gateway::ERRORS;

const PAGE: &str = include_str!("../../../../docs/ERRORS.md");

/// What stands below each heading.
fn sections() -> impl Iterator<Item = &'static str> {
    PAGE.split("\n## ")
}

/// The cells of every row of a section's table.
fn rows_of(section: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    let rows = section.lines().filter(|line| line.starts_with("| "));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
}

#[test]
fn every_slug_stands_in_the_page_and_no_other() {
    let known: BTreeSet<String> = ERRORS.iter().map(|row| format!("`{}`", row.slug)).collect();
    assert!(known.len() >= 30, "only {} slugs", known.len());
    let named: BTreeSet<String> = sections()
        .flat_map(rows_of)
        .filter_map(|cells| cells.first().map(|cell| (*cell).to_owned()))
        .filter(|cell| cell.starts_with('`'))
        .collect();
    let (missing, extra): (Vec<_>, Vec<_>) =
        (known.difference(&named).collect(), named.difference(&known).collect());
    assert!(missing.is_empty(), "docs/ERRORS.md lacks a row for {missing:?}");
    assert!(extra.is_empty(), "docs/ERRORS.md has rows for what is no slug: {extra:?}");
}

#[test]
fn every_slug_has_the_status_and_the_text_that_the_page_says() {
    let (mut looked_at, mut has_texts) = (0, false);
    let rows = sections().flat_map(|section| rows_of(section).map(move |cells| (section, cells)));
    for (section, cells) in rows {
        let [slug, status, says, ..] = cells.as_slice() else { continue };
        if *slug == "slug" {
            has_texts = *says == "the caller sees";
        }
        let Some(row) = ERRORS.iter().find(|row| format!("`{}`", row.slug) == *slug) else {
            continue;
        };
        looked_at += 1;
        let documented: String = status.chars().take_while(char::is_ascii_digit).collect();
        // A connection that is cut has no status.
        let is_right = documented.parse() == Ok(row.status) || status.starts_with("none");
        assert!(is_right, "docs/ERRORS.md: the status of {slug} should be {}", row.status);
        // A table without texts stands under a sentence that says them.
        let place = if has_texts { says } else { section.split("\n|").next().unwrap_or_default() };
        let has_text = place.contains(&format!("`{}`", row.text)) || place.starts_with("as above");
        let is_right = row.text.is_empty() || has_text;
        assert!(is_right, "docs/ERRORS.md: {slug} reads {:?}", row.text);
    }
    assert_eq!(looked_at, ERRORS.len());
}
