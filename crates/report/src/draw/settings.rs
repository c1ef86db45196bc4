//! The settings that a report suggests, as TOML to copy. It must never write a line that a text of the
//! report could turn into two lines.

use std::collections::{BTreeMap, BTreeSet};

use super::{numbers, text};
use crate::Suggestion;

/// A dictionary with more entries is long: it is folded, or cut in a terminal.
const ENTRIES_MAX: usize = 5;

/// One table of settings.
pub(super) struct Table {
    /// Its header and its lines, as TOML. The header comes first.
    pub(super) lines: Vec<String>,
    /// How many settings, or entries of a dictionary, it advises.
    pub(super) advised: u64,
    pub(super) is_dictionary: bool,
    /// The lines of a long dictionary that a reader needs at once: the header, the evidence, and the
    /// first entries. `None` for a table that is short.
    pub(super) first: Option<usize>,
}

impl Table {
    /// How many lines [`Table::first`] leaves out.
    pub(super) fn more(&self) -> u64 {
        self.first.map_or(0, |first| self.lines.len().saturating_sub(first) as u64)
    }

    /// The name of a long dictionary, and its evidence.
    pub(super) fn title(&self) -> String {
        let line = |place: usize| self.lines.get(place).map(String::as_str).unwrap_or_default();
        format!("{} {}", line(0), line(1).trim_start_matches("# ").trim_end_matches(':'))
    }
}

/// The tables. A second line for the same key, and one with evidence against it, becomes a comment.
pub(super) fn tables(settings: &[Suggestion]) -> Vec<Table> {
    let mut tables: BTreeMap<&str, Vec<&Suggestion>> = BTreeMap::new();
    for setting in settings {
        tables.entry(&setting.table).or_default().push(setting);
    }
    let table = |(name, mut settings): (&str, Vec<&Suggestion>)| {
        settings.sort_by_key(|setting| std::cmp::Reverse(setting.evidence));
        // Entries of a dictionary have data as their keys, so they stand in quotes.
        let is_dictionary = settings.iter().all(|setting| setting.line.starts_with('"'));
        let mut keys = BTreeSet::new();
        let (advised, doubted): (Vec<&Suggestion>, Vec<&Suggestion>) =
            settings.into_iter().partition(|one| one.against == 0 && keys.insert(key(one)));
        let is_long = is_dictionary && advised.len().max(doubted.len()) > ENTRIES_MAX;
        let mut lines = vec![format!("[{}]", text::visible(name))];
        match is_long {
            true => dictionary(&advised, &doubted, &mut lines),
            false => {
                for (before, settings) in [("", &advised), ("# ", &doubted)] {
                    for setting in settings {
                        lines.push(format!("# {}", evidence(setting)));
                        lines.push(format!("{before}{}", text::visible(&setting.line)));
                    }
                }
            }
        }
        // The header, the evidence, and some entries.
        let first = is_long.then_some(2 + ENTRIES_MAX);
        Table { lines, advised: advised.len() as u64, is_dictionary, first }
    };
    tables.into_iter().map(table).collect()
}

fn key(setting: &Suggestion) -> &str {
    setting.line.split('=').next().unwrap_or_default().trim()
}

/// The entries of a long dictionary under one line of evidence.
fn dictionary(advised: &[&Suggestion], doubted: &[&Suggestion], lines: &mut Vec<String>) {
    let sum =
        |of: &[&Suggestion]| of.iter().fold(0_u64, |sum, one| sum.saturating_add(one.evidence));
    let entries = |of: &[&Suggestion]| numbers::of(of.len() as u64, "entry", "entries");
    if !advised.is_empty() {
        let gained = numbers::of(sum(advised), "value becomes equal", "values become equal");
        lines.push(format!("# {}: {gained}, none speaks against it", entries(advised)));
        lines.extend(advised.iter().map(|one| text::visible(&one.line)));
    }
    if !doubted.is_empty() {
        lines.push(format!("# {} that other answers speak against:", entries(doubted)));
        lines.extend(doubted.iter().map(|one| format!("# {}", text::visible(&one.line))));
    }
}

/// The evidence for a setting and against it.
fn evidence(setting: &Suggestion) -> String {
    let gained = numbers::of(setting.evidence, "value becomes equal", "values become equal");
    let against = match setting.against {
        0 => "none speaks against it".to_owned(),
        1 => "1 speaks against it".to_owned(),
        n => format!("{} speak against it", numbers::count(n)),
    };
    format!("{gained}, {against}")
}

/// `3 settings and 32 entries of dictionaries`; `None` where nothing is advised.
pub(super) fn advised(tables: &[Table]) -> Option<String> {
    let sum = |is_dictionary: bool| {
        let of = tables.iter().filter(|table| table.is_dictionary == is_dictionary);
        of.fold(0_u64, |sum, table| sum.saturating_add(table.advised))
    };
    let settings = numbers::of(sum(false), "setting", "settings");
    let entries = numbers::of(sum(true), "entry of a dictionary", "entries of dictionaries");
    match (sum(false), sum(true)) {
        (0, 0) => None,
        (_, 0) => Some(settings),
        (0, _) => Some(entries),
        _ => Some(format!("{settings} and {entries}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(table: &str, line: &str, evidence: u64, against: u64) -> Suggestion {
        Suggestion { table: table.to_owned(), line: line.to_owned(), evidence, against }
    }

    #[test]
    fn settings_are_grouped_by_table_and_ready_to_copy() {
        let tables = tables(&[
            setting("legacy.v3_cdr_users", "envelope = \"users\"", 12, 0),
            setting("legacy.v1_users", "supervisor_in_teams = \"names\"", 1, 1),
            setting("legacy.v1_users", "employee_id = \"string\"", 2, 1),
            setting("legacy.v1_users", "employee_id = \"number\"", 4_100, 0),
        ]);
        let expect: [&[&str]; 2] = [
            &[
                "[legacy.v1_users]",
                "# 4,100 values become equal, none speaks against it",
                "employee_id = \"number\"",
                "# 2 values become equal, 1 speaks against it",
                "# employee_id = \"string\"",
                "# 1 value becomes equal, 1 speaks against it",
                "# supervisor_in_teams = \"names\"",
            ],
            &[
                "[legacy.v3_cdr_users]",
                "# 12 values become equal, none speaks against it",
                "envelope = \"users\"",
            ],
        ];
        let lines: Vec<&[String]> = tables.iter().map(|table| &table.lines[..]).collect();
        assert_eq!(lines, expect);
        assert!(tables.iter().all(|table| table.first.is_none()));
        assert_eq!(advised(&tables).as_deref(), Some("2 settings"));
    }

    #[test]
    fn a_long_dictionary_has_one_line_of_evidence_and_loses_no_entry() {
        let name = "legacy.v1_users.caller_id_groups";
        let line = |n: usize| format!("\"{n}\" = \"Line {n}\"");
        let all: Vec<Suggestion> =
            (0..40).map(|n| setting(name, &line(n), 2, u64::from(n >= 32))).collect();
        let tables = tables(&all);
        let [table] = &tables[..] else { unreachable!("one table") };
        assert_eq!(table.lines[1], "# 32 entries: 64 values become equal, none speaks against it");
        assert_eq!(table.lines[34], "# 8 entries that other answers speak against:");
        for n in 0..40 {
            let line = if n < 32 { line(n) } else { format!("# {}", line(n)) };
            assert!(table.lines.contains(&line), "{line}");
        }
        assert_eq!((table.first, table.more()), (Some(7), 36));
        let evidence = "32 entries: 64 values become equal, none speaks against it";
        assert_eq!(table.title(), format!("[legacy.v1_users.caller_id_groups] {evidence}"));
        let doubted = super::tables(&all[32..]);
        assert!(doubted[0].title().ends_with("] 8 entries that other answers speak against"));
        assert_eq!(advised(&tables).as_deref(), Some("32 entries of dictionaries"));
    }

    #[test]
    fn a_line_stays_one_line() {
        let tables = tables(&[setting("a]\n[admin", "k = \"x\ny\"", 1, 0)]);
        assert_eq!(tables[0].lines[0], "[a]\\u000a[admin]");
        assert_eq!(tables[0].lines[2], "k = \"x\\u000ay\"");
    }
}
