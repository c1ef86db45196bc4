//! The list of teams: from the upstream's own list, from its users, or from both.
//!
//! v4 documents no list of teams, so an upstream may lack it, or its key's scope may not cover it;
//! then the teams are those that users have. A narrowed caller sees the teams it is given and those
//! of users it sees, so for it the users are read as well.

use std::sync::Arc;

use domain::id::Number;
use domain::legacy::Lists;
use domain::listing::{Listing, Which};
use domain::sweep::{List, Story};
use domain::teams::{TeamsOfUsers, number};
use domain::upstream::{SchemaError, SchemaKind};
use domain::visibility::Visibility;
use tower::ServiceExt;

use crate::call::{Ask, ListCall, Listed};
use crate::error::Error;
use crate::line::upstream::Upstream;
use crate::svc::{Around, Below};
use settings::TeamsFrom;

/// See the module.
pub(crate) struct Teams {
    pub(crate) upstream: Arc<Upstream>,
    /// What the caller sees.
    pub(crate) visibility: Visibility,
}

impl<S: Below<ListCall, Listed>> Around<S, ListCall> for Teams {
    type Response = Listed;

    async fn call(&self, inner: &S, call: ListCall) -> Result<Listed, Error> {
        let Ask::Rows(ask) = &call.ask else { return inner.clone().oneshot(call).await };
        let Lists::Teams(record) = ask.lists else { return inner.clone().oneshot(call).await };
        let (mut story, mut joined_pages) = (Story::default(), 0);
        let from_list = match self.upstream.settings.teams_from {
            TeamsFrom::Users => None,
            from => {
                let list = ListCall { listing: Listing::Teams, ask: Ask::Items, ..call.clone() };
                match inner.clone().oneshot(list).await {
                    Ok(listed) => {
                        story.add(&listed.list.story);
                        Some(listed.list.items)
                    }
                    Err(error) if from == TeamsFrom::Auto && can_do_without(&error) => None,
                    Err(error) => return Err(error),
                }
            }
        };
        let is_narrowed = self.visibility != Visibility::Everything;
        let mut of_users = TeamsOfUsers::default();
        if from_list.is_none() || is_narrowed {
            let listing = Listing::Users(Which::Live);
            let users = ListCall { listing, ask: Ask::Teams, ..call.clone() };
            let listed = inner.clone().oneshot(users).await?;
            story.add(&listed.list.story);
            joined_pages = listed.joined_pages;
            of_users = listed.found.teams;
        }
        let teams = match from_list {
            Some(list) => of_users.pick(list, &self.visibility),
            None => of_users.sorted(),
        };
        call.behalf.account.note(|account| account.story = story);
        let (mut bytes, mut rows) = (Vec::new(), 0);
        for (row, team) in teams.iter().enumerate() {
            let id = match number(&team.id, &self.upstream.rules) {
                Number::Is(id) => id,
                Number::LeftOut => continue,
                Number::Missing => return Err(bad_id(self.upstream.dialect.name(), row)),
            };
            bytes.push(b',');
            record.write(id, team.name.as_deref(), &mut bytes);
            rows += 1;
        }
        let whole = 0..bytes.len();
        let list = List { parts: vec![(bytes, whole)], rows, story, ..List::default() };
        Ok(Listed { list, joined_pages, ..Listed::default() })
    }
}

/// No such list, or not with this key.
fn can_do_without(error: &Error) -> bool {
    matches!(error, Error::NoSuchListing | Error::Forbidden)
}

fn bad_id(dialect: &'static str, row: usize) -> Error {
    let error = SchemaError { path: format!("teams[{row}].id"), kind: SchemaKind::BadId };
    Error::Schema { dialect, listing: "teams", error }
}
