//! The list of teams: from the upstream's own list, from its users, or from both.
//!
//! Not every upstream has a list of teams; where there is none, the teams are those that users
//! have. The dialect knows the places where the list may be, and the one that has it is remembered. A
//! narrowed caller sees the teams it is given and those of users it sees, so for it the users are read
//! as well.
//!
//! A list that the key may not read is an error and never replaced: teams without members would be lost.

use std::sync::Arc;

use domain::id::Number;
use domain::legacy::{EntryRecord, Lists};
use domain::listing::{Listing, Which};
use domain::sweep::{List, Part, Story};
use domain::teams::{TeamsOfUsers, number};
use domain::upstream::{SchemaError, SchemaKind};
use domain::visibility::Visibility;
use settings::TeamsFrom;

use crate::error::Error;
use crate::layer::call::{Ask, ListCall, Listed};
use crate::layer::{Answering, Around, Below};
use crate::line::upstream::Upstream;

/// See the module.
pub(crate) struct Teams {
    pub(crate) upstream: Arc<Upstream>,
    /// What the caller sees.
    pub(crate) visibility: Visibility,
}

impl<S: Below<ListCall, Listed>> Around<S, ListCall> for Teams {
    type Response = Listed;

    fn call<'a>(&'a self, inner: &'a S, call: ListCall) -> Answering<'a, Listed> {
        match (record(&call.ask), &call.listing) {
            (Some(record), _) => Box::pin(self.listed(inner, call, record)),
            (None, Listing::Teams) => Box::pin(async move { self.list(inner, &call).await }),
            (None, _) => inner.ask(call),
        }
    }
}

impl Teams {
    async fn listed<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: ListCall,
        record: EntryRecord,
    ) -> Result<Listed, Error> {
        let (mut story, mut joined_pages) = (Story::default(), 0);
        let from_list = match self.upstream.settings.teams_from {
            TeamsFrom::Users => None,
            from => match self.list(inner, &call).await {
                Ok(listed) => {
                    story.add(&listed.list.story);
                    Some(listed.list.items)
                }
                Err(Error::NoSuchListing) if from == TeamsFrom::Auto => None,
                Err(error) => return Err(error),
            },
        };
        let is_narrowed = self.visibility != Visibility::Everything;
        let mut of_users = TeamsOfUsers::default();
        if from_list.is_none() || is_narrowed {
            let listing = Listing::Users(Which::Live);
            let users = ListCall { listing, ask: Ask::Teams, ..call.clone() };
            let listed = inner.ask(users).await?;
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
        let list = List { parts: vec![Part::of(bytes)], rows, story, ..List::default() };
        Ok(Listed { list, joined_pages, ..Listed::default() })
    }
}

/// The record of a team, where teams are asked for in legacy shape.
fn record(ask: &Ask) -> Option<EntryRecord> {
    match ask {
        Ask::Rows(rows) => match rows.lists {
            Lists::Teams(record) => Some(record),
            _ => None,
        },
        _ => None,
    }
}

impl Teams {
    /// The upstream's own list, from the first place that has it. The place that had it last comes first.
    async fn list<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        call: &ListCall,
    ) -> Result<Listed, Error> {
        let upstream = &self.upstream;
        let read = |place| {
            let (listing, ask) = (Listing::Teams, Ask::Items);
            inner.ask(ListCall { listing, place, ask, ..call.clone() })
        };
        if upstream.team_places.is_empty() {
            return read(None).await;
        }
        let known = upstream.teams_at();
        let others = (0..upstream.team_places.len()).filter(|at| Some(*at) != known);
        for at in known.into_iter().chain(others) {
            match read(Some(Arc::clone(&upstream.team_places[at]))).await {
                Err(Error::NoSuchListing) => {}
                listed => {
                    if listed.is_ok() {
                        upstream.set_teams_at(Some(at));
                    }
                    return listed;
                }
            }
        }
        if known.is_some() {
            upstream.set_teams_at(None);
            let upstream = upstream.name.as_str();
            tracing::warn!(upstream, "the upstream had a list of teams and has none any more");
        }
        Err(Error::NoSuchListing)
    }
}

fn bad_id(dialect: &'static str, row: usize) -> Error {
    let error = SchemaError { path: format!("teams[{row}].id"), kind: SchemaKind::BadId };
    Error::Schema { dialect, listing: "teams", error }
}
