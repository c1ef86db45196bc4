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
use domain::upstream::{Credential, Dialect, Rules};
use domain::visibility::Visibility;
use domain::{channel, time_zone};
use tokio::time::{Instant, timeout_at};

use crate::Surroundings;
use crate::call::{Ask, Behalf, ListCall, Look};
use crate::caller::Caller;
use crate::error::Error;
use crate::line::key::KeyState;
use crate::state::State;
use settings::{Config, TeamsFrom};

/// What a survey of one caller's users has seen.
#[derive(Debug)]
struct Survey {
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
    fn rules(&self, rules: &Rules) -> Rules {
        let ids = match &self.policy {
            IdPolicy::Fail => IdPolicy::Hash,
            policy => policy.clone(),
        };
        Rules { ids, ..rules.clone() }
    }

    /// Counts a user once, however often its page is read.
    fn note(&mut self, user: &User<'_>) {
        if !self.seen.insert(user.key) {
            return;
        }
        // A user who is left out is shown by no number.
        if user.key > ID_MAX && user.state != UserState::Unlisted {
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

impl Look for Mutex<Survey> {
    fn rules(&self, rules: &Rules) -> Rules {
        // Plain data, valid after any panic.
        self.lock().unwrap_or_else(PoisonError::into_inner).rules(rules)
    }

    fn user(&self, user: &User<'_>) {
        self.lock().unwrap_or_else(PoisonError::into_inner).note(user);
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
    dialect: &'static dyn Dialect,
    key: KeyState,
    outcome: Result<Findings, Error>,
}

#[derive(Debug)]
struct Findings {
    survey: Survey,
    dialect: &'static dyn Dialect,
    fails_on_odd_ids: bool,
    calls: u64,
    /// Calls for what is joined to the rows, in all and not for every list.
    joined_calls: u64,
    per_minute: Option<u32>,
    is_count_wrong: bool,
    took: Duration,
    teams: Teams,
}

/// Where this caller's teams come from.
#[derive(Debug)]
enum Teams {
    /// The upstream's list, with this many teams.
    Listed(usize),
    /// Their users, because the upstream has no list or the key may not read it.
    OfUsers,
    /// Their users, by the setting.
    OfUsersBySetting,
    /// Neither: the list is wanted and cannot be had.
    Failed(Error),
}

/// Checks every caller of a configuration, one after the other.
pub async fn check(config: &Config) -> Result<Report, std::io::Error> {
    // A check remembers nobody.
    let mut config = config.clone();
    config.roster = None;
    let state = State::new(config, Surroundings::default())?;
    let mut callers = Vec::new();
    for caller in state.callers.all() {
        let outcome = survey(&state, caller).await;
        callers.push(CallerReport {
            key: caller.line.key_state(),
            name: caller.name.to_string(),
            upstream: caller.line.upstream.name.clone(),
            dialect: caller.line.upstream.dialect,
            outcome,
        });
    }
    Ok(Report { callers })
}

/// A check may take longer than a request: nobody waits on the other end of a socket.
const SURVEY_TIMES_DEADLINE: u32 = 10;

async fn survey(state: &State, caller: &Caller) -> Result<Findings, Error> {
    // The first endpoint's dictionaries stand for all.
    let quirks = state.config.quirks.values().next().cloned().unwrap_or_default();
    let policy = caller.line.upstream.rules.ids.clone();
    let fails_on_odd_ids = matches!(policy, IdPolicy::Fail);
    let survey = Survey::new(caller.visibility.clone(), quirks, policy);
    let survey = Arc::new(Mutex::new(survey));
    let started = Instant::now();
    let deadline = started + state.config.limits.request_deadline * SURVEY_TIMES_DEADLINE;
    let ask = Ask::Look(Arc::clone(&survey) as Arc<dyn Look>);
    let listing = Listing::Users(Which::All);
    let call = ListCall::new(listing, ask, deadline, Behalf::default());
    let listed = timeout_at(deadline, caller.line.list(call)).await;
    let listed = listed.unwrap_or(Err(Error::Deadline))?;
    let took = started.elapsed();
    let survey = Arc::try_unwrap(survey).map_err(|_| Error::Internal)?;
    let teams = teams(caller, deadline).await;
    Ok(Findings {
        dialect: caller.line.upstream.dialect,
        joined_calls: listed.joined_pages,
        per_minute: caller.line.upstream.settings.requests_per_minute_max,
        teams,
        survey: survey.into_inner().unwrap_or_else(PoisonError::into_inner),
        fails_on_odd_ids,
        calls: listed.list.story.pages,
        is_count_wrong: listed.list.story.total_mismatch,
        took,
    })
}

/// Whether the list of teams can be had.
async fn teams(caller: &Caller, deadline: Instant) -> Teams {
    let from = caller.line.upstream.settings.teams_from;
    if from == TeamsFrom::Users {
        return Teams::OfUsersBySetting;
    }
    let call = ListCall::new(Listing::Teams, Ask::Items, deadline, Behalf::default());
    let listed = timeout_at(deadline, caller.line.list(call)).await;
    let error = match listed {
        Ok(Ok(listed)) => return Teams::Listed(listed.list.items.len()),
        Ok(Err(error)) => error,
        Err(_) => Error::Deadline,
    };
    match error {
        Error::NoSuchListing | Error::Forbidden if from == TeamsFrom::Auto => Teams::OfUsers,
        error => Teams::Failed(error),
    }
}

impl Report {
    /// Whether every caller's lists will be answered.
    pub fn is_good(&self) -> bool {
        self.callers.iter().all(|caller| match &caller.outcome {
            Ok(findings) => {
                let sees_nobody = findings.survey.users == 0 && findings.survey.hidden > 0;
                let fails = findings.fails_on_odd_ids && findings.survey.odd_ids > 0;
                !sees_nobody && !fails && !matches!(findings.teams, Teams::Failed(_))
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
                caller.name,
                caller.upstream,
                caller.dialect.name()
            )?;
            match &caller.outcome {
                Ok(findings) => write!(f, "{findings}")?,
                Err(error) => failure(f, caller.dialect, caller.key, error)?,
            }
        }
        writeln!(f, "{}", if self.is_good() { "ok" } else { "NOT OK" })
    }
}

/// What a credential is called, and the scope it needs.
fn words(dialect: &dyn Dialect) -> (&'static str, &'static str) {
    let name = match dialect.credential() {
        Credential::Key => "v4 key  ",
        Credential::Client => "client  ",
    };
    (name, dialect.facts().scope)
}

fn failure(
    f: &mut fmt::Formatter<'_>,
    dialect: &dyn Dialect,
    key: KeyState,
    error: &Error,
) -> fmt::Result {
    let (name, scope) = words(dialect);
    // The refusal of one listing among many says nothing about the key, but is what is told here.
    let key = match error {
        Error::MappedKeyRefused => KeyState::Refused,
        Error::Forbidden => KeyState::Forbidden,
        _ => key,
    };
    match key {
        KeyState::Refused => {
            writeln!(f, "  {name}      REFUSED: it is not accepted; make a new one")?;
        }
        KeyState::Forbidden => {
            writeln!(f, "  {name}      accepted, but lacks the scope {scope} (403)")?
        }
        KeyState::Accepted => writeln!(f, "  {name}      accepted, scope {scope}")?,
        KeyState::Untested => writeln!(f, "  {name}      not tested")?,
    }
    writeln!(f, "  FAILED        {error} ({})", error.slug())
}

impl fmt::Display for Teams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Teams::Listed(teams) => {
                writeln!(f, "  teams         {teams}, from the upstream's list")
            }
            Teams::OfUsers => writeln!(
                f,
                "  teams         from the users, since the upstream has no list of them for this \
                 key; a team without members will be missing"
            ),
            Teams::OfUsersBySetting => {
                writeln!(f, "  teams         from the users (setting teams_from)")
            }
            Teams::Failed(error) => {
                writeln!(f, "  FAILED        the list of teams: {error} ({})", error.slug())
            }
        }
    }
}

impl Findings {
    fn cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let calls = self.calls + self.joined_calls;
        write!(f, "  a full list   {calls} calls, {seconds:.1} s now")?;
        if self.joined_calls > 0 {
            let joined = self.joined_calls;
            write!(f, "; {joined} of them for what is joined, kept for a while")?;
        }
        match self.per_minute {
            Some(rate) => writeln!(f, " (at most {rate} a minute)"),
            None => writeln!(f),
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let survey = &self.survey;
        let (name, scope) = words(self.dialect);
        writeln!(f, "  {name}      accepted, scope {scope}")?;
        writeln!(
            f,
            "  users         {} visible, {} hidden by sees, {} deleted",
            survey.users, survey.hidden, survey.deleted
        )?;
        self.cost(f)?;
        write!(f, "{}", self.teams)?;
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
                "  ids           {ids} are no decimal numbers; by id_policy each is shown as one"
            ),
        }
    }
}
