//! What `tieline check` finds at the real upstreams.
//!
//! For every caller: does its v4 key work, what does it see, what does a full list cost, and what in
//! the data needs a decision. Reads only; prints no secret and no user's data but names of groups.

mod json;
mod text;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::hub::{State as UserState, User};
use domain::id::{ID_MAX, IdPolicy};
use domain::quirks::Quirks;
use domain::upstream::{Dialect, Rules};
use domain::visibility::Visibility;
use domain::{channel, time_zone};
use gateway::survey::{KeyState, Look, Surveyed, Unread, UsersRead, surveyed};
use settings::{Config, RosterPlace, TeamsFrom};
use tokio::time::Instant;

use super::database::Databases;
use super::engine::Engine;
use super::usage::Usage;
use crate::brownouts::Windows;
use crate::progress::Lines;
use crate::utc;

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
            let name = group.name.as_deref().unwrap_or_default().to_owned();
            self.groups.entry(name).or_default().insert(group.id.to_string());
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
    /// The windows in which endpoints answer with an error on purpose.
    brownouts: Option<Windows>,
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
    pub(super) async fn of(
        config: &Config,
        usage: Option<Usage>,
        lines: Lines,
    ) -> io::Result<Report> {
        let engine = match &config.commons {
            None => None,
            Some(setup) => {
                lines.say("commons: looking at its servers");
                Some(Engine::of(setup).await?)
            }
        };
        let databases = match &config.roster {
            Some(RosterPlace::Postgres(database)) => Some(Databases::of(&database.setup).await?),
            Some(RosterPlace::File(_)) | None => None,
        };
        let mut callers = Vec::new();
        let surveyed = surveyed(config)?;
        for (index, caller) in surveyed.iter().enumerate() {
            let (number, all) = (index + 1, surveyed.len());
            let (name, upstream) = (caller.caller(), caller.upstream());
            lines.say(format_args!(
                "caller {name} ({number} of {all}): reading upstream {upstream}"
            ));
            let outcome = Findings::of(caller, config, lines).await;
            callers.push(CallerReport {
                key: caller.key(),
                name: caller.caller().to_owned(),
                upstream: caller.upstream().to_owned(),
                dialect: caller.settings().dialect,
                outcome,
            });
        }
        let brownouts = Windows::of(config, utc::now());
        Ok(Report { callers, engine, usage, brownouts, databases })
    }
}

impl Findings {
    async fn of(caller: &Surveyed, config: &Config, lines: Lines) -> Result<Self, Unread> {
        // The dictionaries of the one endpoint stand for all.
        let quirks = config.quirks.get("v1_users").cloned().unwrap_or_default();
        let settings = caller.settings();
        let policy = settings.rules.ids.clone();
        let fails_on_odd_ids = matches!(policy, IdPolicy::Fail);
        let survey = Survey::new(caller.sees().clone(), quirks, policy);
        let noting = Arc::new(Noting(Mutex::new(survey)));
        let started = Instant::now();
        let deadline = started + config.limits.request_deadline * SURVEY_TIMES_DEADLINE;
        let reading = caller.users(Arc::clone(&noting) as Arc<dyn Look>, deadline);
        let stands =
            || format!("caller {}: {} users read", caller.caller(), noting.survey().seen.len());
        let read = lines.during(reading, stands).await?;
        let took = started.elapsed();
        let stands = || format!("caller {}: reading the teams", caller.caller());
        let teams = lines.during(Teams::of(caller, deadline), stands).await;
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
        shares && remembers && self.callers.iter().all(CallerReport::is_good)
    }
}

impl CallerReport {
    fn is_good(&self) -> bool {
        match &self.outcome {
            Ok(findings) => {
                let sees_nobody = findings.survey.users == 0 && findings.survey.hidden > 0;
                let fails = findings.fails_on_odd_ids && findings.survey.odd_ids > 0;
                !sees_nobody && !fails && !matches!(findings.teams, Teams::Failed(_))
            }
            Err(_) => false,
        }
    }
}
