//! Writing the values of a legacy record.

use super::Notes;
use super::schema::{Kind, Property};
use crate::asked::plan;
use crate::hub::{Channel, Named, Skill, Text};
use crate::names::channel;
use crate::names::status::{self, Shown};
use crate::names::time_zone;
use crate::names::unmapped::Unmapped;
use crate::quirks::{EmployeeId, Quirks, SeparatorInName, TeamList, TimeZoneName};
use crate::text::draft::{Draft, Piece};
use crate::text::json;

/// Appends the values of one record by the quirks, and counts those that it shows imperfectly.
#[derive(Debug)]
pub(super) struct Writer<'w> {
    pub(super) out: Draft<'w>,
    pub(super) quirks: &'w Quirks,
    pub(super) notes: &'w mut Notes,
    /// Where names without an entry are kept; `None` where nobody asks for them.
    pub(super) unmapped: Option<&'w Unmapped>,
}

impl Writer<'_> {
    pub(super) fn number(&mut self, number: u64) {
        self.out.number(number);
    }

    pub(super) fn text(&mut self, text: &Text<'_>) {
        self.out.text(text.as_deref());
    }

    pub(super) fn caller_id(&mut self, number: &Text<'_>) {
        let shown = number.as_deref().map(|number| plan::caller_id(number, self.quirks));
        self.out.text(shown);
    }

    pub(super) fn time_zone(&mut self, zone: &Text<'_>) {
        let Some(zone) = zone.as_deref() else {
            return self.out.text(None);
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
            if let Some(names) = self.unmapped {
                names.note_zone(zone);
            }
        }
        self.out.string(shown.unwrap_or(zone));
    }

    pub(super) fn status(&mut self, word: &Text<'_>) {
        let Some(word) = word.as_deref() else {
            return self.out.text(None);
        };
        match status::shown(word, self.quirks) {
            Shown::Known(shown) => self.out.string(&shown),
            Shown::Unknown(shown) => {
                self.notes.status_unmapped += 1;
                self.out.text(shown.as_deref());
            }
        }
    }

    pub(super) fn teams(&mut self, teams: &[Named<'_>], shows: TeamList) {
        match shows {
            TeamList::Ids => self.out.joined(teams, |out, team| team.id.write(out)),
            TeamList::Names => self.names(teams),
        }
    }

    pub(super) fn names(&mut self, items: &[Named<'_>]) {
        let Writer { out, quirks, notes, .. } = self;
        out.joined(items, |out, item| {
            let name = item.name.as_deref().unwrap_or_default();
            // Most names have no comma, and a byte is found sooner than a text.
            if !json::has(name.as_bytes(), b',') || !name.contains(json::SEPARATOR) {
                return out.inner(name);
            }
            notes.separator_in_name += 1;
            match quirks.separator_in_name {
                SeparatorInName::Keep => out.inner(name),
                SeparatorInName::Replace => out.inner(&name.replace(json::SEPARATOR, " ")),
            }
        });
    }

    pub(super) fn employee_id(&mut self, id: &Text<'_>) {
        let number = match self.quirks.employee_id {
            EmployeeId::Number => id.as_deref().and_then(crate::id::decimal),
            EmployeeId::String => None,
        };
        match number {
            Some(number) => self.number(number),
            None => self.text(id),
        }
    }

    /// Writes what [`SKILL`] describes.
    pub(super) fn skills(&mut self, skills: &[Skill<'_>]) {
        self.out.array(skills, |out, skill| {
            out.piece(const { &Piece::of("{\"name\":") });
            out.text(skill.name.as_deref());
            out.piece(const { &Piece::of(",\"value\":") });
            match skill.level {
                Some(level) => out.number(u64::from(level)),
                None => out.text(None),
            }
            out.byte(b'}');
        });
    }

    /// Writes what [`CHANNEL`] describes.
    pub(super) fn channels(&mut self, channels: &[Channel<'_>]) {
        let Writer { out, quirks, notes, unmapped } = self;
        out.array(channels, |out, assigned| {
            let kind = channel::display_name(&assigned.kind, &quirks.channel_types);
            if kind.is_none() {
                notes.channel_unmapped += 1;
                if let Some(names) = unmapped {
                    names.note_kind(&assigned.kind);
                }
            }
            out.piece(const { &Piece::of("{\"type\":") });
            out.string(kind.unwrap_or(&assigned.kind));
            out.piece(const { &Piece::of(",\"name\":") });
            out.text(assigned.name.as_deref());
            out.piece(const { &Piece::of(",\"value\":") });
            match assigned.identifier.as_deref().and_then(channel::number) {
                Some(digits) => out.inner(digits),
                None => out.text(None),
            }
            out.byte(b'}');
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
