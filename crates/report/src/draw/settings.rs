//! The settings that a report suggests, as TOML to copy. It must never write a line that a text of the
//! report could turn into two lines.

use std::collections::{BTreeMap, BTreeSet};

use super::{numbers, text};
use crate::Suggestion;

/// Lines of TOML, with a header for each table. Within a table the setting with the most evidence comes
/// first. A second line for the same key, and one with evidence against it, becomes a comment.
pub(super) fn toml(settings: &[Suggestion]) -> Vec<String> {
    let mut tables: BTreeMap<&str, Vec<&Suggestion>> = BTreeMap::new();
    for setting in settings {
        tables.entry(&setting.table).or_default().push(setting);
    }
    let mut lines = Vec::new();
    for (table, mut settings) in tables {
        settings.sort_by_key(|setting| std::cmp::Reverse(setting.evidence));
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("[{}]", text::visible(table)));
        let mut keys = BTreeSet::new();
        for setting in settings {
            let key = setting.line.split('=').next().unwrap_or_default().trim();
            let advised = setting.against == 0 && keys.insert(key);
            lines.push(format!("# {}", evidence(setting)));
            let before = if advised { "" } else { "# " };
            lines.push(format!("{before}{}", text::visible(&setting.line)));
        }
    }
    lines
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

/// How many settings are suggested, without those that are only comments.
pub(super) fn advised(lines: &[String]) -> u64 {
    let is_setting = |line: &&String| !line.is_empty() && !line.starts_with(['#', '[']);
    lines.iter().filter(is_setting).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(table: &str, line: &str, evidence: u64, against: u64) -> Suggestion {
        Suggestion { table: table.to_owned(), line: line.to_owned(), evidence, against }
    }

    #[test]
    fn settings_are_grouped_by_table_and_ready_to_copy() {
        let lines = toml(&[
            setting("legacy.v3_cdr_users", "envelope = \"users\"", 12, 0),
            setting("legacy.v1_users", "supervisor_in_teams = \"names\"", 1, 1),
            setting("legacy.v1_users", "employee_id = \"string\"", 2, 1),
            setting("legacy.v1_users", "employee_id = \"number\"", 4_100, 0),
        ]);
        let expect = [
            "[legacy.v1_users]",
            "# 4,100 values become equal, none speaks against it",
            "employee_id = \"number\"",
            "# 2 values become equal, 1 speaks against it",
            "# employee_id = \"string\"",
            "# 1 value becomes equal, 1 speaks against it",
            "# supervisor_in_teams = \"names\"",
            "",
            "[legacy.v3_cdr_users]",
            "# 12 values become equal, none speaks against it",
            "envelope = \"users\"",
        ];
        assert_eq!(lines, expect);
        assert_eq!(advised(&lines), 2);
    }

    #[test]
    fn a_line_stays_one_line() {
        let lines = toml(&[setting("a]\n[admin", "k = \"x\ny\"", 1, 0)]);
        assert_eq!(lines[0], "[a]\\u000a[admin]");
        assert_eq!(lines[2], "k = \"x\\u000ay\"");
    }
}
