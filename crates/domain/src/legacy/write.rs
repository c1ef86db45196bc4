//! Writing the values of a legacy record.

use super::Notes;
use super::schema::{Kind, Property};
use crate::asked::plan;
use crate::hub::{Channel, Named, Skill, Text};
use crate::names::channel;
use crate::names::status::{self, Shown};
use crate::names::time_zone;
use crate::quirks::{EmployeeId, Quirks, SeparatorInName, TeamList, TimeZoneName};
use crate::text::json;

/// Appends the values of one record by the quirks, and counts those that it shows imperfectly.
#[derive(Debug)]
pub(super) struct Writer<'w> {
    pub(super) out: &'w mut Vec<u8>,
    pub(super) quirks: &'w Quirks,
    pub(super) notes: &'w mut Notes,
}

impl Writer<'_> {
    pub(super) fn number(&mut self, number: u64) {
        json::number(self.out, number);
    }

    pub(super) fn text(&mut self, text: &Text<'_>) {
        json::text(self.out, text.as_deref());
    }

    pub(super) fn caller_id(&mut self, number: &Text<'_>) {
        let shown = number.as_deref().map(|number| plan::caller_id(number, self.quirks));
        json::text(self.out, shown);
    }

    pub(super) fn time_zone(&mut self, zone: &Text<'_>) {
        let Some(zone) = zone.as_deref() else {
            return json::text(self.out, None);
        };
        let shown = match self.quirks.timezone {
            TimeZoneName::Upstream => {
                let name = self.quirks.timezone_names.get(zone);
                Some(name.map_or(zone, String::as_str))
            }
            TimeZoneName::Rails => time_zone::legacy_name(zone, &self.quirks.timezone_names),
        };
        if shown.is_none() {
            self.notes.time_zone_unmapped += 1;
        }
        json::string(self.out, shown.unwrap_or(zone));
    }

    pub(super) fn status(&mut self, word: &Text<'_>) {
        let Some(word) = word.as_deref() else {
            return json::text(self.out, None);
        };
        match status::shown(word, self.quirks) {
            Shown::Known(shown) => json::string(self.out, &shown),
            Shown::Unknown(shown) => {
                self.notes.status_unmapped += 1;
                json::text(self.out, shown.as_deref());
            }
        }
    }

    pub(super) fn teams(&mut self, teams: &[Named<'_>], shows: TeamList) {
        match shows {
            TeamList::Ids => json::joined(self.out, teams, |out, team| team.id.write(out)),
            TeamList::Names => self.names(teams),
        }
    }

    pub(super) fn names(&mut self, items: &[Named<'_>]) {
        let Writer { out, quirks, notes } = self;
        json::joined(out, items, |out, item| {
            let name = item.name.as_deref().unwrap_or_default();
            // Most names have no comma, and a byte is found sooner than a text.
            if !name.as_bytes().contains(&b',') || !name.contains(json::SEPARATOR) {
                return json::inner(out, name);
            }
            notes.separator_in_name += 1;
            match quirks.separator_in_name {
                SeparatorInName::Keep => json::inner(out, name),
                SeparatorInName::Replace => json::inner(out, &name.replace(json::SEPARATOR, " ")),
            }
        });
    }

    pub(super) fn employee_id(&mut self, id: &Text<'_>) {
        match (self.quirks.employee_id, id.as_deref().and_then(crate::id::decimal)) {
            (EmployeeId::Number, Some(number)) => self.number(number),
            (EmployeeId::Number | EmployeeId::String, _) => self.text(id),
        }
    }

    /// Writes what [`SKILL`] describes.
    pub(super) fn skills(&mut self, skills: &[Skill<'_>]) {
        json::array(self.out, skills, |out, skill| {
            out.extend_from_slice(b"{\"name\":");
            json::text(out, skill.name.as_deref());
            out.extend_from_slice(b",\"value\":");
            match skill.level {
                Some(level) => json::number(out, u64::from(level)),
                None => json::text(out, None),
            }
            out.push(b'}');
        });
    }

    /// Writes what [`CHANNEL`] describes.
    pub(super) fn channels(&mut self, channels: &[Channel<'_>]) {
        let Writer { out, quirks, notes } = self;
        json::array(out, channels, |out, assigned| {
            let kind = channel::display_name(&assigned.kind, &quirks.channel_types);
            if kind.is_none() {
                notes.channel_unmapped += 1;
            }
            out.extend_from_slice(b"{\"type\":");
            json::string(out, kind.as_deref().unwrap_or(&assigned.kind));
            out.extend_from_slice(b",\"name\":");
            json::text(out, assigned.name.as_deref());
            out.extend_from_slice(b",\"value\":");
            match assigned.identifier.as_deref().and_then(channel::number) {
                Some(digits) => out.extend_from_slice(digits.as_bytes()),
                None => out.extend_from_slice(b"null"),
            }
            out.push(b'}');
        });
    }
}

pub(super) const fn property(name: &'static str, kind: Kind, meaning: &'static str) -> Property {
    Property { name, kind, meaning }
}

/// The fields of a skill.
pub(super) static SKILL: &[Property] = &[
    property("name", Kind::TextOrNull, "The name of the skill."),
    property("value", Kind::NumberOrNull, "The level."),
];

/// The fields of a channel.
pub(super) static CHANNEL: &[Property] = &[
    property("type", Kind::Text, "The kind of the channel, such as WhatsApp."),
    property("name", Kind::TextOrNull, "The name of the channel."),
    property("value", Kind::NumberOrNull, "The identifier, where it is a number."),
];
