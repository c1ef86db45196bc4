//! The roster: every complete reading of a caller's users is remembered, and a list of deleted users
//! is completed with those who were seen once and are gone, and with those imported.
//!
//! Only whole, unfiltered readings count. A list of live users never waits for the roster to be
//! right, but for it to be told, and for a database no longer than [`Roster::tell`] does; where that
//! fails the list is answered and the failure logged. A list of deleted users without its roster
//! would be a part, so it waits and fails with it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use domain::legacy::{EntryRecord, Lists};
use domain::listing::{Listing, Which};
use domain::plan::UserFilter;
use domain::sweep::{List, Part};
use domain::visibility::Visibility;
use roster::{Changes, Former, Roster, RosterError, Scope};
use settings::DeletedFrom;

use crate::error::Error;
use crate::layer::call::{Ask, ListCall, Listed};
use crate::layer::{Answering, Around, Below};
use crate::line::upstream::Upstream;
use crate::observe::metrics::Metrics;

/// See the module.
pub(crate) struct Remember {
    /// Without one nothing is remembered.
    pub(crate) roster: Option<Roster>,
    /// What the roster knows this caller's users by.
    pub(crate) scope: Scope,
    /// What the caller sees.
    pub(crate) visibility: Visibility,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) metrics: Metrics,
}

impl<S: Below<ListCall, Listed>> Around<S, ListCall> for Remember {
    type Response = Listed;

    fn call<'a>(&'a self, inner: &'a S, call: ListCall) -> Answering<'a, Listed> {
        let deleted = match &call.ask {
            Ask::Rows(rows) => match rows.lists {
                Lists::DeletedUsers(record) => Some(record),
                Lists::Users(_) | Lists::Teams(_) | Lists::Templates(_) | Lists::Call(_) => None,
            },
            _ => None,
        };
        // Any filter at all, pushed down or not: a way around the list sees only some of the users.
        let is_whole = matches!(call.listing, Listing::Users(_))
            && call.ask.filter().is_none_or(UserFilter::is_everyone)
            && !matches!(call.ask, Ask::Look(_));
        match (self.roster.as_ref().filter(|_| is_whole), deleted) {
            (None, None) => inner.ask(call),
            (roster, deleted) => Box::pin(self.remembered(inner, call, roster, deleted)),
        }
    }
}

impl Remember {
    async fn remembered<S: Below<ListCall, Listed>>(
        &self,
        inner: &S,
        mut call: ListCall,
        roster: Option<&Roster>,
        deleted: Option<EntryRecord>,
    ) -> Result<Listed, Error> {
        let Some(roster) = roster else {
            let mut listed = inner.ask(call).await?;
            if deleted.is_some() && !self.lists(DeletedFrom::DeletedAt) {
                listed.list = nothing(listed.list);
            }
            return Ok(listed);
        };
        // Users who are archived have not vanished.
        call.listing = Listing::Users(Which::All);
        call.for_roster = true;
        let started = roster.begin(now()).await;
        let mut listed = inner.ask(call).await?;
        let sightings = std::mem::take(&mut listed.found.sightings);
        // Who is live or listed already, by this very reading.
        let seen: Option<HashMap<u64, bool>> =
            deleted.map(|_| sightings.iter().map(|user| (user.id, user.is_deleted)).collect());
        let told = match deleted {
            Some(_) => roster.record(&self.scope, started, now(), sightings).await,
            None => roster.tell(&self.scope, started, now(), sightings).await,
        };
        let told = told.map(warn).map_err(failed);
        // Where the answer fails with it, `rescue` counts and logs.
        if let (Err(error), None) = (&told, deleted) {
            self.metrics.roster_failed();
            let caller = self.scope.caller.as_str();
            tracing::error!(%error, caller, "users could not be remembered");
        }
        let (Some(record), Some(seen)) = (deleted, seen) else { return Ok(listed) };
        told?;
        if !self.lists(DeletedFrom::DeletedAt) {
            listed.list = nothing(listed.list);
        }
        let former = roster.former(&self.scope).await.map_err(failed)?;
        let mut bytes = Vec::new();
        for user in former.iter().filter(|user| self.is_shown(user, &seen)) {
            bytes.push(b',');
            record.write(user.id, user.name.as_deref(), &mut bytes);
            listed.list.rows += 1;
        }
        listed.list.parts.push(Part::of(bytes));
        Ok(listed)
    }
}

impl Remember {
    /// Whether deleted users are listed from there.
    fn lists(&self, source: DeletedFrom) -> bool {
        self.upstream.settings.deleted_from.contains(&source)
    }

    /// Whether a user who was seen once, or imported, stands in the list of deleted users. `seen` are
    /// those that this very reading has shown, and whether they are deleted.
    fn is_shown(&self, user: &Former, seen: &HashMap<u64, bool>) -> bool {
        let is_asked = (user.is_vanished && self.lists(DeletedFrom::Vanished))
            || (user.is_imported && self.lists(DeletedFrom::Imported));
        let is_new = match seen.get(&user.id) {
            None => true,
            Some(is_deleted) => *is_deleted && !self.lists(DeletedFrom::DeletedAt),
        };
        is_asked && is_new && self.saw(user)
    }

    /// Whether the user existed for the caller, by what was last known.
    fn saw(&self, user: &Former) -> bool {
        let group = user.group.as_ref().map(|(id, name)| (id.as_str(), name.as_deref()));
        self.visibility.saw(user.id, group, user.teams.iter().chain(&user.supervised_teams))
    }
}

/// The list without its rows.
fn nothing(list: List) -> List {
    List { story: list.story, ..List::default() }
}

/// Logs what a person should know of a sweep.
fn warn(changes: Changes) {
    if changes.clock_was_ahead {
        tracing::warn!("the roster held times ahead of the clock; they were set right");
    }
    if changes.suspicious {
        tracing::warn!("a reading lacks more than half of the users; nobody is taken for gone yet");
    }
}

/// Work that panicked is a fault of this program and not of the roster.
fn failed(error: RosterError) -> Error {
    match error {
        RosterError::Interrupted => Error::Internal,
        error => Error::Roster(error),
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
