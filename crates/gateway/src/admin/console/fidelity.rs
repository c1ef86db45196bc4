//! What cannot be shown as the legacy API did, and the setting that decides about it, to complete and paste. Must never
//! show a value of an answer but names of time zones and kinds of channels.

use std::fmt::Write;

use domain::quirks::Quirks;
use domain::{channel, time_zone};
use serde_json::{Value, json};

use super::endpoints::rows;
use super::panel::{Cell, Kind, Panel};
use crate::observe::metrics::read::Counted;
use crate::state::State;

/// What a setting maps names with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Zones,
    Kinds,
}

/// The text to paste for a note.
#[derive(Debug, Clone, Copy)]
enum Paste {
    /// Nothing decides about it.
    Nothing,
    /// A setting of the endpoint, as it stands.
    Setting(&'static str),
    /// A table of the endpoint: its name, a line that stands for the names where none is known, and which names it has.
    Table(&'static str, &'static str, Option<Names>),
}

/// What each note means, and the setting that decides about it.
const NOTES: [(&str, &str, Paste); 7] = [
    (
        "time_zone_unmapped",
        "time zones without a legacy name, shown as they are",
        Paste::Table("timezone_names", "\"Area/City\"", Some(Names::Zones)),
    ),
    (
        "channel_unmapped",
        "channel kinds without a legacy type, shown as they are",
        Paste::Table("channel_types", "kind", Some(Names::Kinds)),
    ),
    (
        "status_unmapped",
        // Nobody can tell the vendor's words from those that an account's people have made up.
        "words for a status that no dictionary has; they are not named here, since people may have written them",
        Paste::Table("statuses", "word", None),
    ),
    (
        "separator_in_name",
        "names with \", \" inside a joined list; they are people's, so they are not named here",
        Paste::Setting("separator_in_name = \"replace\""),
    ),
    ("live_with_deletion_date", "live users with a deletion date", Paste::Nothing),
    ("deleted_left_out", "deleted users, left out", Paste::Nothing),
    (
        "unnumbered_left_out",
        "users without a legacy number, left out by `id_unlisted`",
        Paste::Nothing,
    ),
];

/// `/api/v1/fidelity`: values that could only be shown imperfectly, and the setting that decides about each kind.
pub(super) fn json(state: &State, counted: &Counted) -> Value {
    let rows = counted.series("tieline_fidelity_notes_total").map(|series| {
        let (endpoint, note) = (series.label("endpoint"), series.label("note"));
        let known = NOTES.iter().find(|(known, ..)| *known == note);
        let (meaning, paste) =
            known.map_or(("", Paste::Nothing), |(_, meaning, paste)| (*meaning, *paste));
        let names = names(state, endpoint, paste);
        json!({
            "endpoint": endpoint,
            "note": note,
            "values": series.count(),
            "meaning": meaning,
            "names": names,
            "toml": toml(endpoint, paste, &names),
        })
    });
    json!({"losses": rows.collect::<Vec<_>>()})
}

/// The names that occurred and that the endpoint has no entry for. They are kept for all endpoints together, since
/// these show the same users.
fn names<'a>(state: &'a State, endpoint: &str, paste: Paste) -> Vec<&'a str> {
    let Some(quirks) = state.config.quirks.get(endpoint) else { return Vec::new() };
    let unmapped = state.metrics.unmapped();
    let (mut names, has_entry): (_, fn(&str, &Quirks) -> bool) = match paste {
        Paste::Table(_, _, Some(Names::Zones)) => (unmapped.zones(), |zone, quirks| {
            time_zone::legacy_name(zone, &quirks.timezone_names).is_some()
        }),
        Paste::Table(_, _, Some(Names::Kinds)) => (unmapped.kinds(), |kind, quirks| {
            channel::display_name(kind, &quirks.channel_types).is_some()
        }),
        Paste::Table(_, _, None) | Paste::Setting(_) | Paste::Nothing => return Vec::new(),
    };
    names.retain(|name| !has_entry(name, quirks));
    names
}

/// A table of its own for each setting, so that it can stand at the end of a file.
fn toml(endpoint: &str, paste: Paste, names: &[&str]) -> String {
    match paste {
        Paste::Nothing => String::new(),
        Paste::Setting(line) => format!("[legacy.{endpoint}]\n{line}"),
        Paste::Table(table, placeholder, _) => {
            let mut text = format!("[legacy.{endpoint}.{table}]");
            // No name has a character that a quoted key would have to escape.
            let mut line = |name: &str| {
                let _ = write!(text, "\n{name} = \"Legacy name\"");
            };
            match names.is_empty() {
                true => line(placeholder),
                false => names.iter().for_each(|name| line(&format!("\"{name}\""))),
            }
            text
        }
    }
}

pub(super) fn panel(fidelity: &Value) -> Panel {
    let cells = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        vec![
            Cell::text(text("endpoint")),
            Cell::text(text("meaning")),
            Cell::number(row["values"].as_u64().unwrap_or(0)),
            Cell::code(text("toml")),
        ]
    };
    Panel {
        id: "fidelity",
        title: "Losses that occur",
        note: "Values that could only be shown imperfectly, since the start; a user on two pages counts twice. \
               Complete the text and add it to the configuration; where the table is there already, add its lines \
               to it. At most 50 zones and 50 kinds are kept until the next start."
            .to_owned(),
        columns: &[
            ("Endpoint", Kind::Text),
            ("What", Kind::Text),
            ("Values", Kind::Number),
            ("To paste", Kind::Code),
        ],
        rows: rows(fidelity, "losses").iter().map(cells).collect(),
        empty: "None until now.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_has_a_meaning() {
        let notes = domain::legacy::Notes::default();
        let known: Vec<_> = NOTES.iter().map(|(note, ..)| *note).collect();
        for (note, _) in notes.iter() {
            assert!(known.contains(&note), "{note}");
        }
        assert_eq!(notes.iter().count(), NOTES.len());
    }

    #[test]
    fn a_setting_can_be_pasted_whether_names_are_known_or_not() {
        let config = "[upstream.a]\ndialect = \"voiso-v4\"\nbase_url = \"http://127.0.0.1:9\"\n\
                      [[caller]]\nname = \"crm\"\nlegacy_key = { env = \"LEGACY\" }\nupstream = \"a\"\n\
                      upstream_key = { env = \"V4\" }\nsees = \"everything\"\n";
        let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-a-key")));
        let usual = settings::Config::parse(config, "t.toml", &env).unwrap();
        // As many as are kept, each as long as one may be: nothing is cut off.
        let zones: Vec<String> = (100..150)
            .map(|number| format!("America/North_Dakota/{}{number}", "A".repeat(17)))
            .collect();
        let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
        for (note, _, paste) in NOTES {
            for names in [&[][..], &["rcs"], &zones] {
                let text = toml("v1_users", paste, names);
                assert_eq!(Cell::code(&text).text, text, "{note}");
                let parsed = settings::Config::parse(&format!("{config}{text}"), "t.toml", &env);
                let has_setting = !matches!(paste, Paste::Nothing);
                assert!(parsed.is_ok(), "{note}: {text}: {parsed:?}");
                let changes = parsed.unwrap().quirks["v1_users"] != usual.quirks["v1_users"];
                assert_eq!(changes, has_setting, "{note}: {text}");
            }
        }
    }
}
