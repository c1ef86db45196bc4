//! Templates of text messages: the record, and which of the upstream's messages are one.
//!
//! Source: the vendor's page of `GET /api/v3/messages/sms/templates`; `page_size` is the number on this page.

use super::field::{Field, FieldId, Name, named, row};
use super::schema::{Kind, Property};
use super::write::property;
use crate::asked::slice::Slice;
use crate::asked::visibility::Visibility;
use crate::hub::{Id, Named};
use crate::id::Number;
use crate::listing::{Item, Message};
use crate::text::json;

/// The channel whose messages are templates.
const CHANNEL: &str = "sms";

/// How a field of a template is written.
pub(super) type OfTemplate = fn(u64, &Named<'_>, &Message, &mut Vec<u8>);

static FIELDS: [Field<OfTemplate>; 4] = [
    row(
        FieldId::TemplateId,
        named!("id"),
        |_| (Kind::Number, "The id of the template."),
        None,
        |id, _, _, out| json::number(out, id),
    ),
    row(
        FieldId::TemplateName,
        named!("name"),
        |_| (Kind::TextOrNull, "The name of the template."),
        None,
        |_, shown, _, out| json::text(out, shown.name.as_deref()),
    ),
    row(
        FieldId::TemplateBody,
        named!("body"),
        |_| (Kind::TextOrNull, "The text of the template."),
        None,
        |_, _, message, out| json::text(out, message.body.as_deref()),
    ),
    row(
        FieldId::TemplateTeams,
        named!("assigned_teams"),
        |_| {
            (
                Kind::List(TEAM),
                "The teams that may use the template; every team where there is none.",
            )
        },
        None,
        |_, _, message, out| teams_of(&message.teams, out),
    ),
];

static TEAM: &[Property] = &[
    property("id", Kind::NumberOrTextOrNull, "The id of the team."),
    property("name", Kind::TextOrNull, "The name of the team."),
];

/// Writes what [`TEAM`] describes.
fn teams_of(teams: &[Named<'_>], out: &mut Vec<u8>) {
    json::array(out, teams, |out, team| {
        out.extend_from_slice(b"{\"id\":");
        match &team.id {
            Id::Number(number) => json::number(out, *number),
            Id::Text(text) => json::string(out, text),
        }
        out.extend_from_slice(b",\"name\":");
        json::text(out, team.name.as_deref());
        out.push(b'}');
    });
}

/// The record of a template.
pub(super) const TEMPLATE: TemplateRecord = TemplateRecord(&FIELDS);

/// A record of a template.
#[derive(Debug, Clone, Copy)]
pub struct TemplateRecord(pub(super) &'static [Field<OfTemplate>]);

impl PartialEq for TemplateRecord {
    /// Whether they are the record of one table of fields.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

/// One page of templates.
#[derive(Debug, PartialEq, Eq)]
pub struct TemplatePage {
    /// The records, each behind a comma.
    pub bytes: Vec<u8>,
    /// How many.
    pub rows: u64,
    /// How many there are on all pages.
    pub total: u64,
}

impl TemplateRecord {
    /// The page of templates that a caller asks for, from all messages in the order of the upstream. A message
    /// of teams is a narrowed caller's if one of them is; one that all teams may use is everybody's.
    ///
    /// # Errors
    /// The place of a message without a legacy number.
    pub fn page(
        self,
        messages: &[Item<'_>],
        slice: Slice,
        visibility: &Visibility,
        number: &dyn Fn(&Id<'_>) -> Number,
    ) -> Result<TemplatePage, usize> {
        let mut all = Vec::new();
        for (place, item) in messages.iter().enumerate() {
            let Some(message) = item.message.as_deref() else { continue };
            let is_for_texts = message.channels.iter().any(|channel| channel == CHANNEL);
            if !is_for_texts || !is_seen(message, visibility) {
                continue;
            }
            match number(&item.shown.id) {
                Number::Is(id) => all.push((id, &item.shown, message)),
                Number::LeftOut => {}
                Number::Missing => return Err(place),
            }
        }
        let shown = slice.of(&all);
        let mut bytes = Vec::new();
        for (id, named, message) in shown {
            bytes.push(b',');
            let start = bytes.len();
            for field in self.0 {
                bytes.extend_from_slice(field.head.lead());
                (field.write)(*id, named, message, &mut bytes);
            }
            super::field::close(&mut bytes, start);
        }
        Ok(TemplatePage { bytes, rows: shown.len() as u64, total: all.len() as u64 })
    }
}

fn is_seen(message: &Message, visibility: &Visibility) -> bool {
    let Visibility::Only(only) = visibility else { return true };
    message.teams.is_empty() || message.teams.iter().any(|team| only.lists_team(&team.id))
}
