//! What `tieline check` found, for people. Must never print a secret, and no user's data but names of groups.

use std::fmt;

use domain::listing::Listing;
use domain::upstream::{Credential, Dialect};
use gateway::survey::{KeyState, Unread};

use super::{Findings, Report, Teams};

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
        if let Some(brownouts) = &self.brownouts {
            writeln!(f, "{brownouts}")?;
        }
        writeln!(f, "{}", if self.is_good() { "ok" } else { "NOT OK" })
    }
}

/// What a credential is called, and the scope it needs.
pub(super) fn words(dialect: &dyn Dialect) -> (&'static str, &'static str) {
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
