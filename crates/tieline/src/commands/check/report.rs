//! What `tieline check` finds at the real upstreams, and how it is printed.
//!
//! For every caller: does its v4 key work, what does it see, what does a full list cost, and what in
//! the data needs a decision. Reads only; prints no secret and no user's data but names of groups.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::hub::{State as UserState, User};
use domain::id::{ID_MAX, IdPolicy};
use domain::listing::Listing;
use domain::quirks::Quirks;
use domain::upstream::{Credential, Dialect, Rules};
use domain::visibility::Visibility;
use domain::{channel, time_zone};
use gateway::survey::{KeyState, Look, Surveyed, Unread, UsersRead, surveyed};
use settings::{Config, RosterPlace, TeamsFrom};
use tokio::time::Instant;

use super::database::Databases;
use super::engine::Engine;
use super::usage::Usage;

/// What a survey of one caller's users has seen.
#[derive(Debug, Clone)]
struct Survey {
    visibility: Visibility,
    quirks: Arc<Quirks>,
    seen: HashSet<u64>,
    users: u64,
    hidden: u64,
    deleted: u64,
    live_with_deletion_date: u64,
    odd_ids: u64,
    inexact_ids: u64,
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
            inexact_ids: 0,
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
        self.inexact_ids += u64::from(user.id > EXACT_MAX);
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

/// Notes users as they are read.
#[derive(Debug)]
struct Noting(Mutex<Survey>);

impl Noting {
    fn survey(&self) -> MutexGuard<'_, Survey> {
        // Plain data, valid after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Look for Noting {
    fn rules(&self, rules: &Rules) -> Rules {
        self.survey().rules(rules)
    }

    fn user(&self, user: &User<'_>) {
        self.survey().note(user);
    }
}

/// What the check found, caller by caller.
#[derive(Debug)]
pub(super) struct Report {
    callers: Vec<CallerReport>,
    /// What replicas share, where they do.
    engine: Option<Engine>,
    /// What callers of a running gateway ask for, if one was asked.
    usage: Option<Usage>,
    /// Where the roster is, if that is a database.
    databases: Option<Databases>,
}

#[derive(Debug)]
struct CallerReport {
    name: String,
    upstream: String,
    dialect: &'static dyn Dialect,
    key: KeyState,
    outcome: Result<Findings, Unread>,
}

#[derive(Debug)]
struct Findings {
    survey: Survey,
    /// The scope that calls need, where the caller may place some.
    call_scope: Option<&'static str>,
    dialect: &'static dyn Dialect,
    fails_on_odd_ids: bool,
    read: UsersRead,
    per_minute: Option<u32>,
    took: Duration,
    teams: Teams,
}

/// Where this caller's teams come from.
#[derive(Debug)]
enum Teams {
    /// The upstream's list, with this many teams.
    Listed(usize),
    /// Their users, because the upstream has no list.
    OfUsers,
    /// Their users, by the setting.
    OfUsersBySetting,
    /// Neither: the list is wanted and cannot be had.
    Failed(Unread),
}

/// The largest number to which a program that reads numbers as doubles can still tell its neighbours.
const EXACT_MAX: u64 = (1 << 53) - 1;

/// A check may take longer than a request: nobody waits on the other end of a socket.
const SURVEY_TIMES_DEADLINE: u32 = 10;

impl Report {
    /// Checks every caller of a configuration, one after the other.
    pub(super) async fn of(config: &Config, usage: Option<Usage>) -> io::Result<Report> {
        let engine = match &config.commons {
            None => None,
            Some(setup) => Some(Engine::of(setup).await?),
        };
        let databases = match &config.roster {
            Some(RosterPlace::Postgres(database)) => Some(Databases::of(&database.setup).await?),
            Some(RosterPlace::File(_)) | None => None,
        };
        let mut callers = Vec::new();
        for caller in surveyed(config)? {
            let outcome = Findings::of(&caller, config).await;
            callers.push(CallerReport {
                key: caller.key(),
                name: caller.caller().to_owned(),
                upstream: caller.upstream().to_owned(),
                dialect: caller.settings().dialect,
                outcome,
            });
        }
        Ok(Report { callers, engine, usage, databases })
    }
}

impl Findings {
    async fn of(caller: &Surveyed, config: &Config) -> Result<Self, Unread> {
        // The dictionaries of the one endpoint stand for all.
        let quirks = config.quirks.get("v1_users").cloned().unwrap_or_default();
        let settings = caller.settings();
        let policy = settings.rules.ids.clone();
        let fails_on_odd_ids = matches!(policy, IdPolicy::Fail);
        let survey = Survey::new(caller.sees().clone(), quirks, policy);
        let noting = Arc::new(Noting(Mutex::new(survey)));
        let started = Instant::now();
        let deadline = started + config.limits.request_deadline * SURVEY_TIMES_DEADLINE;
        let read = caller.users(Arc::clone(&noting) as Arc<dyn Look>, deadline).await?;
        let took = started.elapsed();
        let teams = Teams::of(caller, deadline).await;
        Ok(Findings {
            call_scope: caller.call_scope(),
            dialect: settings.dialect,
            per_minute: settings.requests_per_minute_max,
            read,
            teams,
            survey: noting.survey().clone(),
            fails_on_odd_ids,
            took,
        })
    }
}

impl Teams {
    /// Whether the list of teams can be had.
    async fn of(caller: &Surveyed, deadline: Instant) -> Self {
        let from = caller.settings().teams_from;
        if from == TeamsFrom::Users {
            return Teams::OfUsersBySetting;
        }
        match caller.teams(deadline).await {
            Ok(teams) => Teams::Listed(teams),
            Err(error) if from == TeamsFrom::Auto && error.is_lacking() => Teams::OfUsers,
            Err(error) => Teams::Failed(error),
        }
    }
}

impl Report {
    /// Whether every caller's lists will be answered, replicas can share, and users are remembered.
    pub(super) fn is_good(&self) -> bool {
        let shares = self.engine.as_ref().is_none_or(Engine::is_good);
        let remembers = self.databases.as_ref().is_none_or(Databases::is_good);
        shares
            && remembers
            && self.callers.iter().all(|caller| match &caller.outcome {
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
            if let Some(usage) = &self.usage {
                write!(f, "{}", usage.of_caller(&caller.name))?;
            }
        }
        if let Some(engine) = &self.engine {
            write!(f, "{engine}")?;
        }
        if let Some(databases) = &self.databases {
            write!(f, "{databases}")?;
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
    error: &Unread,
) -> fmt::Result {
    let (name, scope) = words(dialect);
    // The refusal of one listing among many says nothing about the key, but is what is told here.
    match error.key().unwrap_or(key) {
        KeyState::Refused => {
            writeln!(f, "  {name}      REFUSED: it is not accepted; make a new one")?;
        }
        KeyState::Forbidden => {
            writeln!(f, "  {name}      accepted, but lacks the scope {scope} (403)")?
        }
        KeyState::Accepted => writeln!(f, "  {name}      accepted, scope {scope}")?,
        KeyState::Untested => writeln!(f, "  {name}      not tested")?,
    }
    writeln!(f, "  FAILED        {error}")?;
    failed_rows(f, error)
}

/// Which rows of the list cannot be read, where it fails because of them.
fn failed_rows(f: &mut fmt::Formatter<'_>, error: &Unread) -> fmt::Result {
    match error.rows() {
        Some((offset, 1)) => writeln!(
            f,
            "  failing page  the row at offset {offset} cannot be read; ask the vendor about it"
        ),
        Some((offset, rows)) => writeln!(
            f,
            "  failing page  offset {offset}, {rows} rows, cannot be read; ask the vendor about it"
        ),
        None => Ok(()),
    }
}

impl fmt::Display for Teams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Teams::Listed(teams) => {
                writeln!(f, "  teams         {teams}, from the upstream's list")
            }
            Teams::OfUsers => writeln!(
                f,
                "  teams         from the users, since the upstream has no list of them; a team \
                 without members will be missing"
            ),
            Teams::OfUsersBySetting => {
                writeln!(f, "  teams         from the users (setting teams_from)")
            }
            Teams::Failed(error) => {
                writeln!(f, "  FAILED        the list of teams: {error}")?;
                failed_rows(f, error)
            }
        }
    }
}

impl Findings {
    fn cost(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let joined = self.read.joined_pages;
        let calls = self.read.pages + joined;
        write!(f, "  a full list   {calls} calls, {seconds:.1} s now")?;
        if joined > 0 {
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
        let of_teams = self.dialect.scope(&Listing::Teams);
        match self.teams {
            Teams::Listed(_) if of_teams != scope => {
                writeln!(f, "  {name}      accepted, scopes {scope} and {of_teams}")?;
            }
            _ => writeln!(f, "  {name}      accepted, scope {scope}")?,
        }
        if let Some(scope) = self.call_scope {
            writeln!(
                f,
                "  calls         need the scope {scope} as well; none is placed to try it"
            )?;
        }
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
        if self.read.is_count_wrong {
            writeln!(f, "  count         the upstream's total does not fit its own pages, twice")?;
            match self.read.hidden_rows {
                0 => {}
                1 => writeln!(f, "                it counts 1 user whom no page shows")?,
                rows => writeln!(f, "                it counts {rows} users whom no page shows")?,
            }
        }
        if !self.read.absent_fields.is_empty() {
            let fields = self.read.absent_fields.join(", ");
            writeln!(f, "  schema        no user has {fields}, not even as null")?;
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
        if survey.inexact_ids > 0 {
            let ids = survey.inexact_ids;
            writeln!(
                f,
                "  ids           {ids} are above 2^53 - 1; clients that read numbers as doubles, such \
                 as JavaScript and spreadsheets, change them (setting id_policy)"
            )?;
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
