//! `tieline check`: a dry run against the real upstream, before anybody depends on it.
//!
//! For every caller: does its v4 key work, what does it see, what does a full list cost, and what in
//! the data needs a decision. Reads only; prints no secret and no user's data but names of groups.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::hub::{State as UserState, User};
use domain::id::{ID_MAX, IdPolicy};
use domain::listing::{Listing, Which};
use domain::quirks::Quirks;
use domain::upstream::Rules;
use domain::visibility::Visibility;
use domain::{channel, time_zone};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::call::{Ask, ListCall, SharedAccount};
use crate::caller::{Caller, KeyState};
use crate::config::Config;
use crate::error::Error;
use crate::stack;
use crate::state::State;

/// What a survey of one caller's users has seen.
#[derive(Debug)]
pub(crate) struct Survey {
    visibility: Visibility,
    quirks: Arc<Quirks>,
    seen: HashSet<u64>,
    users: u64,
    hidden: u64,
    deleted: u64,
    live_with_deletion_date: u64,
    odd_ids: u64,
    unlisted: u64,
    policy: IdPolicy,
    groups: BTreeMap<String, BTreeSet<String>>,
    zones: BTreeMap<String, u64>,
    channels: BTreeMap<String, u64>,
}

impl Survey {
    fn new(visibility: Visibility, quirks: Arc<Quirks>, policy: IdPolicy) -> Self {
        Survey {
            visibility,
            quirks,
            policy,
            seen: HashSet::new(),
            users: 0,
            hidden: 0,
            deleted: 0,
            live_with_deletion_date: 0,
            odd_ids: 0,
            unlisted: 0,
            groups: BTreeMap::new(),
            zones: BTreeMap::new(),
            channels: BTreeMap::new(),
        }
    }

    /// Rules under which every id can be read, so that odd ones are counted instead of fatal.
    pub(crate) fn rules(&self, rules: &Rules) -> Rules {
        let ids = match &self.policy {
            IdPolicy::Fail => IdPolicy::Hash,
            policy => policy.clone(),
        };
        Rules { ids, ..rules.clone() }
    }

    /// Counts a user once, however often its page is read.
    pub(crate) fn note(&mut self, user: &User<'_>) {
        if !self.seen.insert(user.key) {
            return;
        }
        if user.key > ID_MAX {
            self.odd_ids += 1;
        }
        if !self.visibility.sees(user) {
            self.hidden += 1;
            return;
        }
        match user.state {
            UserState::Deleted => {
                self.deleted += 1;
                return;
            }
            UserState::LiveWithDeletionDate => self.live_with_deletion_date += 1,
            UserState::Unlisted => {
                self.unlisted += 1;
                return;
            }
            UserState::Live => {}
        }
        self.users += 1;
        if let Some(group) = &user.group {
            let mut id = Vec::new();
            group.id.write(&mut id);
            let name = group.name.as_deref().unwrap_or_default().to_owned();
            self.groups.entry(name).or_default().insert(String::from_utf8_lossy(&id).into_owned());
        }
        if let Some(zone) = user.time_zone.as_deref()
            && time_zone::legacy_name(zone, &self.quirks.timezone_names).is_none()
        {
            *self.zones.entry(zone.to_owned()).or_default() += 1;
        }
        for assigned in &user.channels {
            if channel::display_name(&assigned.kind, &self.quirks.channel_types).is_none() {
                *self.channels.entry(assigned.kind.clone().into_owned()).or_default() += 1;
            }
        }
    }
}

/// What the check found, caller by caller.
#[derive(Debug)]
pub struct Report {
    callers: Vec<CallerReport>,
}

#[derive(Debug)]
struct CallerReport {
    name: String,
    upstream: String,
    dialect: &'static str,
    key: KeyState,
    outcome: Result<Findings, Error>,
}

#[derive(Debug)]
struct Findings {
    survey: Survey,
    fails_on_odd_ids: bool,
    calls: u64,
    is_count_wrong: bool,
    took: Duration,
}

/// Checks every caller of a configuration, one after the other.
pub async fn check(config: &Config) -> Result<Report, std::io::Error> {
    // A check remembers nobody.
    let state = State::new(Config { roster: None, ..config.clone() })?;
    let mut callers = Vec::new();
    for caller in state.callers.all() {
        let outcome = survey(&state, caller).await;
        callers.push(CallerReport {
            key: caller.key_state(),
            name: caller.name.clone(),
            upstream: caller.upstream.name.clone(),
            dialect: caller.upstream.dialect.name(),
            outcome,
        });
    }
    Ok(Report { callers })
}

/// A check may take longer than a request: nobody waits on the other end of a socket.
const SURVEY_TIMES_DEADLINE: u32 = 10;

async fn survey(state: &State, caller: &Arc<Caller>) -> Result<Findings, Error> {
    // The first endpoint's dictionaries stand for all.
    let quirks = state.config.quirks.values().next().cloned().unwrap_or_default();
    let policy = caller.upstream.rules.ids.clone();
    let fails_on_odd_ids = matches!(policy, IdPolicy::Fail);
    let survey = Survey::new(caller.visibility.clone(), quirks, policy);
    let survey = Arc::new(Mutex::new(survey));
    let started = Instant::now();
    let deadline = started + state.config.limits.request_deadline * SURVEY_TIMES_DEADLINE;
    let ask = Ask::Survey(Arc::clone(&survey));
    let listing = Listing::Users(Which::All);
    let call = ListCall::new(caller, listing, ask, deadline, SharedAccount::default());
    let listed = tokio::time::timeout_at(deadline, stack::lists(state).oneshot(call)).await;
    let listed = listed.map_err(|_| Error::Deadline)?;
    let listed = listed.map_err(|error| match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(_) => Error::Internal,
    })?;
    let survey = Arc::try_unwrap(survey).map_err(|_| Error::Internal)?;
    Ok(Findings {
        survey: survey.into_inner().unwrap_or_else(PoisonError::into_inner),
        fails_on_odd_ids,
        calls: listed.list.story.pages,
        is_count_wrong: listed.list.story.total_mismatch,
        took: started.elapsed(),
    })
}

impl Report {
    /// Whether every caller's lists will be answered.
    pub fn is_good(&self) -> bool {
        self.callers.iter().all(|caller| match &caller.outcome {
            Ok(findings) => {
                let sees_nobody = findings.survey.users == 0 && findings.survey.hidden > 0;
                let fails = findings.fails_on_odd_ids && findings.survey.odd_ids > 0;
                !sees_nobody && !fails
            }
            Err(_) => false,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for caller in &self.callers {
            writeln!(
                f,
                "caller {} (upstream {}, {})",
                caller.name, caller.upstream, caller.dialect
            )?;
            match &caller.outcome {
                Ok(findings) => write!(f, "{findings}")?,
                Err(error) => failure(f, caller.key, error)?,
            }
        }
        writeln!(f, "{}", if self.is_good() { "ok" } else { "NOT OK" })
    }
}

fn failure(f: &mut fmt::Formatter<'_>, key: KeyState, error: &Error) -> fmt::Result {
    let what = match key {
        KeyState::Refused => "REFUSED (401): the v4 key is not accepted; make a new one",
        KeyState::Forbidden => "accepted, but lacks the scope users.read (403)",
        KeyState::Accepted => "accepted, scope users.read",
        KeyState::Untested => "not tested",
    };
    writeln!(f, "  v4 key        {what}")?;
    writeln!(f, "  FAILED        {error} ({})", error.slug())
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let survey = &self.survey;
        writeln!(f, "  v4 key        accepted, scope users.read")?;
        writeln!(
            f,
            "  users         {} visible, {} hidden by sees, {} deleted",
            survey.users, survey.hidden, survey.deleted
        )?;
        writeln!(f, "  a full list   {} calls, {:.1} s now", self.calls, self.took.as_secs_f64())?;
        if survey.users == 0 && survey.hidden > 0 {
            writeln!(f, "  FAILED        sees fits no user; teams and users are listed by id")?;
        }
        if self.is_count_wrong {
            writeln!(f, "  count         the upstream's total does not fit its own pages, twice")?;
        }
        if survey.live_with_deletion_date > 0 {
            let users = survey.live_with_deletion_date;
            writeln!(
                f,
                "  deleted_at    {users} live users carry a deletion date (setting deleted_at)"
            )?;
        }
        for (name, ids) in survey.groups.iter().filter(|(_, ids)| ids.len() > 1) {
            let ids: Vec<_> = ids.iter().map(String::as_str).collect();
            writeln!(
                f,
                "  group name    {name:?} is shared by ids {}; a filter gives their union",
                ids.join(", ")
            )?;
        }
        for (zone, users) in &survey.zones {
            writeln!(
                f,
                "  time zone     {zone:?} has no legacy name ({users} users), shown as it is (setting timezone_names)"
            )?;
        }
        for (kind, count) in &survey.channels {
            writeln!(
                f,
                "  channel       {kind:?} has no legacy name ({count} times), shown as it is (setting channel_types)"
            )?;
        }
        if survey.unlisted > 0 {
            let users = survey.unlisted;
            writeln!(f, "  ids           {users} users have no legacy id and are left out")?;
        }
        match (survey.odd_ids, self.fails_on_odd_ids) {
            (0, _) => Ok(()),
            (ids, true) => writeln!(
                f,
                "  FAILED        {ids} ids are no decimal numbers; lists will fail until id_policy is map or hash"
            ),
            (ids, false) => writeln!(
                f,
                "  ids           {ids} are no decimal numbers; id_policy shows them as numbers"
            ),
        }
    }
}
