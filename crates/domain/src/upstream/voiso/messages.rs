//! The rows of `GET /api/v4/messaging/canned_messages`.
//!
//! Source: the vendor's "Get list of canned messages" page.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::list::RowReader;
use super::super::scan::{Fault, Scan};
use super::super::strict::{Read, Str, object};
use super::users::{WireId, text};
use crate::hub::{Id, Named};
use crate::id;
use crate::listing::{Item, Message, Row};

object! {
    /// A canned message.
    WireMessage<'a> {
        id: WireId<'a> = "id",
        name: Option<Str<'a>> = "name",
        body: Option<Str<'a>> = "body",
        channels: Vec<Str<'a>> = "channels",
        teams: Vec<Named<'a>> = "teams",
    }
}

pub(super) struct Messages<'r> {
    pub(super) row: &'r mut dyn FnMut(Row<'_, '_>),
}

impl RowReader<'_> for Messages<'_> {
    fn row(&mut self, scan: &mut Scan<'_>) -> Result<(), Fault> {
        let wire = WireMessage::read(scan)?;
        let id: Cow<'_, str> = match &wire.id.0 {
            Id::Number(number) => Cow::Owned(number.to_string()),
            Id::Text(text) => text.clone(),
        };
        let message = Message {
            body: text(wire.body).map(|body| Cow::Owned(body.into_owned())),
            channels: wire.channels.into_iter().map(|channel| channel.0.into_owned()).collect(),
            teams: wire.teams.into_iter().map(Named::into_owned).collect(),
        };
        let shown = Named { id: wire.id.0, name: text(wire.name) };
        let message = Some(Arc::new(message));
        (self.row)(Row::Item(&Item { key: id::key(&id), id, shown, level: None, message }));
        Ok(())
    }
}
