//! The result of a calibration, and its configuration as TOML.

use std::fmt::Write;

use report::draw::text::visible;
use report::secrets::Secrets;
use serde_json::{Map, Value};

use super::{Overlay, UPSTREAM};

/// A setting, and how many answers agree with each of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The endpoint, or [`UPSTREAM`].
    pub table: String,
    pub setting: String,
    /// Each value, and how many of the deciding answers agree with it.
    pub agree: Vec<(String, u64)>,
    /// How many answers differ between the values.
    pub deciding: u64,
    /// The value to set, with which most answers agree; `None` where no value stands out.
    pub chosen: Option<String>,
    pub is_in_force: bool,
}

impl Choice {
    pub(super) fn of<'a>(
        table: &str,
        setting: &str,
        agree: impl Iterator<Item = (&'a str, u64)>,
        deciding: u64,
    ) -> Choice {
        let agree = agree.map(|(value, count)| (value.to_owned(), count)).collect();
        let (table, setting) = (table.to_owned(), setting.to_owned());
        Choice { table, setting, agree, deciding, ..Choice::default() }
    }

    /// Chooses the value with which most answers agree, if it stands out: at least nine times as many answers
    /// agree with it as can agree with another value and not with it.
    pub(super) fn decide(mut self, in_force: &str) -> Choice {
        let mut counts: Vec<u64> = self.agree.iter().map(|(_, count)| *count).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let (most, next) = (counts.first().copied(), counts.get(1).copied());
        let (most, next) = (most.unwrap_or(0), next.unwrap_or(0));
        let against = next.min(self.deciding.saturating_sub(most));
        let best = self.agree.iter().find(|(_, count)| *count == most);
        self.chosen = match best {
            Some((value, _)) if most > next && against * 9 <= most => Some(value.clone()),
            _ => None,
        };
        self.is_in_force = self.chosen.as_deref() == Some(in_force);
        self
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    pub endpoint: &'static str,
    pub field: String,
    pub compared: u64,
    pub differing: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub endpoint: &'static str,
    pub dictionary: &'static str,
    /// The value of the new API.
    pub key: String,
    /// The value that control shows for it.
    pub value: String,
    /// How often the two stand side by side.
    pub evidence: u64,
    /// How often control shows another value. If it ever does, the entry is not set.
    pub against: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Calibrated {
    /// Settings with a few values.
    pub choices: Vec<Choice>,
    pub entries: Vec<Entry>,
    /// A sentence for each setting that the data does not decide.
    pub undecided: Vec<String>,
    /// A sentence for each setting under which something differs that agreed.
    pub spoiling: Vec<String>,
    /// Upstream id and legacy id of each user, where the sides give the same people different ids.
    pub id_map: Vec<(String, String)>,
    /// The differences under the settings in force.
    pub before: Vec<Remaining>,
    /// The differences under the new settings, which were tried.
    pub after: Vec<Remaining>,
    /// The new settings, as they were tried.
    pub overlay: Overlay,
    pub control_requests: u64,
}

impl Calibrated {
    pub fn differing_after(&self) -> u64 {
        self.after.iter().map(|one| one.differing).sum()
    }

    /// The same without the keys that a side may have repeated.
    pub fn without(mut self, secrets: &Secrets) -> Calibrated {
        let hide = |text: &mut String| *text = secrets.hide(text);
        self.undecided.iter_mut().chain(&mut self.spoiling).for_each(hide);
        for entry in &mut self.entries {
            [&mut entry.key, &mut entry.value].into_iter().for_each(hide);
        }
        let remaining = self.before.iter_mut().chain(&mut self.after);
        remaining.for_each(|one| hide(&mut one.field));
        for settings in self.overlay.values_mut() {
            *settings = hidden(settings, secrets);
        }
        self
    }

    /// TOML to paste, with the evidence as comments. `upstream` is the name of the upstream. A text of a side
    /// never leaves its string or its comment.
    pub fn toml(&self, upstream: &str) -> String {
        let mut text = self.introduction(upstream);
        for (table, settings) in &self.overlay {
            let table = match table == UPSTREAM {
                true => format!("upstream.{}", key(upstream)),
                false => format!("legacy.{table}"),
            };
            if table.starts_with("upstream.") {
                let _ = writeln!(text, "\n# These lines go into the table that is there already:");
            }
            let is_plain = |name: &str, value: &Value| name == "invalid_key" || !value.is_object();
            if settings.iter().any(|(name, value)| is_plain(name, value)) {
                let _ = writeln!(text, "\n[{table}]");
            }
            for (name, value) in settings.iter().filter(|(name, value)| is_plain(name, value)) {
                let _ = writeln!(text, "{name} = {}{}", toml(value), self.why(&table, name));
            }
            for (name, value) in settings {
                let Value::Object(members) = value else { continue };
                if name == "invalid_key" {
                    continue;
                }
                let _ = writeln!(text, "\n[{table}.{name}]");
                for (entry, value) in members {
                    let why = self.why_entry(&table, name, entry);
                    let _ = writeln!(text, "{} = {}{why}", key(entry), toml(value));
                }
            }
        }
        text
    }

    /// Comments with the counts, and with everything that the settings leave open.
    fn introduction(&self, upstream: &str) -> String {
        let sum = |all: &[Remaining]| -> (u64, u64) {
            (all.iter().map(|one| one.differing).sum(), all.iter().map(|one| one.compared).sum())
        };
        let ((before, compared), (after, _)) = (sum(&self.before), sum(&self.after));
        let mut lines = vec![
            format!(
                "Of {compared} values of the whole lists and answers to filters and wrong keys"
            ),
            format!("{before} differ as things are,"),
            format!("and {after} under the settings below, which were tried."),
            "A table that the configuration has already is replaced by the one below.".to_owned(),
        ];
        for Remaining { endpoint, field, compared, differing } in &self.after {
            if *differing > 0 {
                let value = format!("{endpoint}.{}: {differing} of {compared}", visible(field));
                lines.push(format!("  still: {value} (tieline validate says why)"));
            }
        }
        if !self.id_map.is_empty() {
            let (users, upstream) = (self.id_map.len(), key(upstream));
            lines.push(format!(
                "The two sides number {users} users in different ways: they need an id map. \
                 --id-map FILE writes it;"
            ));
            let set = "then set id_policy = \"map\" and id_map = \"FILE\" in";
            lines.push(format!("{set} [upstream.{upstream}]."));
        }
        let in_force = self.choices.iter().filter(|choice| choice.is_in_force);
        lines.extend(in_force.map(|choice| {
            format!("as it is: {}: {}", visible(&name(choice)), visible(&counts(choice)))
        }));
        lines.extend(self.spoiling.iter().map(|one| format!("not set: {}", visible(one))));
        lines.extend(self.undecided.iter().map(|one| format!("undecided: {}", visible(one))));
        for Entry { endpoint, dictionary, evidence, against, .. } in &self.entries {
            if *against > 0 {
                let times = format!("({evidence} and {against} times)");
                let why = format!("one key stands beside several values {times}");
                lines.push(format!("undecided: {endpoint}.{dictionary}: {why}"));
            }
        }
        lines.iter().map(|line| format!("# {line}\n")).collect()
    }

    fn why(&self, table: &str, setting: &str) -> String {
        let of = |choice: &&Choice| {
            let known = match choice.table.as_str() {
                UPSTREAM => table.starts_with("upstream."),
                endpoint => table == format!("legacy.{endpoint}"),
            };
            known && choice.setting == setting
        };
        let choice = self.choices.iter().find(of);
        choice.map_or_else(String::new, |choice| format!("  # {}", visible(&counts(choice))))
    }

    fn why_entry(&self, table: &str, dictionary: &str, entry: &str) -> String {
        let filter = format!("{dictionary}.{entry}");
        let choice = self
            .choices
            .iter()
            .find(|choice| table == format!("legacy.{}", choice.table) && choice.setting == filter);
        if let Some(choice) = choice {
            return format!("  # {}", visible(&counts(choice)));
        }
        let entry = self.entries.iter().find(|one| {
            table == format!("legacy.{}", one.endpoint)
                && one.dictionary == dictionary
                && one.key == entry
        });
        entry.map_or_else(String::new, |entry| format!("  # {} times", entry.evidence))
    }
}

pub(super) fn name(choice: &Choice) -> String {
    format!("{}.{}", choice.table, choice.setting)
}

/// `names 812 of 812, ids 0`.
pub(super) fn counts(choice: &Choice) -> String {
    let mut agree = choice.agree.clone();
    agree.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown = agree.iter().enumerate().map(|(place, (value, count))| match place {
        0 => format!("{value} {count} of {}", choice.deciding),
        _ => format!("{value} {count}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn hidden(members: &Map<String, Value>, secrets: &Secrets) -> Map<String, Value> {
    let hide = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => secrets.hide(text).into(),
            Value::Object(members) => hidden(members, secrets).into(),
            other => other.clone(),
        };
        (secrets.hide(name), value)
    };
    members.iter().map(hide).collect()
}

fn toml(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Object(members) => {
            let members =
                members.iter().map(|(name, value)| format!("{} = {}", key(name), toml(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A string in TOML, without characters that a terminal would obey.
fn quoted(text: &str) -> String {
    visible(&serde_json::to_string(text).unwrap_or_default())
}

/// A key of a TOML table, without quotes where they are not needed.
fn key(text: &str) -> String {
    let is_bare =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { text.to_owned() } else { quoted(text) }
}
