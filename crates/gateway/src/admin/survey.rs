//! What each caller's upstream lists, read through the caller's own line for a report that no request
//! waits for. Must never remember anybody or share with a replica, and changes nothing.

use std::fmt;
use std::io;
use std::sync::Arc;

use domain::listing::{Listing, Which};
use domain::sweep::Window;
use domain::visibility::Visibility;
use settings::Config;
use tokio::time::{Instant, timeout_at};

use crate::caller::Caller;
use crate::error::Error;
pub use crate::layer::call::Look;
use crate::layer::call::{Ask, Behalf, ListCall, Listed};
pub use crate::line::key::KeyState;
use crate::observe::account::SharedAccount;
use crate::state::{State, Surroundings};

/// One caller's upstream.
#[derive(Debug)]
pub struct Surveyed {
    caller: Arc<Caller>,
    state: State,
}

/// What it took to read all users.
#[derive(Debug, Clone)]
pub struct UsersRead {
    /// Pages of the list.
    pub pages: u64,
    /// Pages of what is joined to the rows, in all and not for every list.
    pub joined_pages: u64,
    /// Whether the upstream's total did not fit its own pages, twice.
    pub is_count_wrong: bool,
    /// Rows that the upstream counts and that no page shows, whatever window is asked for.
    pub hidden_rows: u64,
    /// Fields of the vendor's documentation that no user has, not even as `null`.
    pub absent_fields: Vec<&'static str>,
}

/// Why a list was not read.
#[derive(Debug)]
pub struct Unread {
    error: Error,
    page: Option<Window>,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.error, self.error.slug())
    }
}

impl Unread {
    /// What the upstream said to the key with it, if it was that.
    pub fn key(&self) -> Option<KeyState> {
        match self.error {
            Error::MappedKeyRefused => Some(KeyState::Refused),
            Error::Forbidden { .. } => Some(KeyState::Forbidden),
            _ => None,
        }
    }

    /// The rows that cannot be read, where it was because of them: how many the list has before them,
    /// and how many they are. They are as few as eight requests could tell.
    pub fn rows(&self) -> Option<(u64, u32)> {
        self.page.map(|page| (page.offset, page.limit))
    }

    /// Whether the upstream has no such list.
    pub fn is_lacking(&self) -> bool {
        matches!(self.error, Error::NoSuchListing)
    }
}

/// The upstream of every caller of a configuration.
///
/// # Errors
/// As those of [`crate::start`].
pub fn surveyed(config: &Config) -> io::Result<Vec<Surveyed>> {
    let mut config = config.clone();
    config.roster = None;
    // What others have read would hide what this upstream lists, and a survey is no replica.
    config.commons = None;
    let state = State::new(config, Surroundings::default())?;
    let callers = state.callers.all().iter().map(Arc::clone);
    Ok(callers.map(|caller| Surveyed { caller, state: state.clone() }).collect())
}

impl Surveyed {
    /// The caller's name.
    pub fn caller(&self) -> &str {
        &self.caller.name
    }

    /// The scope that calls need, where the caller may place some.
    pub fn call_scope(&self) -> Option<&'static str> {
        let scope = self.caller.line.upstream.dialect.call_scope();
        scope.filter(|_| self.caller.may_call)
    }

    /// What the caller sees.
    pub fn sees(&self) -> &Visibility {
        &self.caller.visibility
    }

    /// The upstream's name.
    pub fn upstream(&self) -> &str {
        &self.caller.line.upstream.name
    }

    /// The upstream's settings.
    pub fn settings(&self) -> &settings::Upstream {
        &self.caller.line.upstream.settings
    }

    /// What the upstream last said to the caller's key.
    pub fn key(&self) -> KeyState {
        self.caller.line.key_state()
    }

    /// Reads all users, and shows each of them to `look`.
    ///
    /// # Errors
    /// Where the list cannot be read whole before the deadline.
    pub async fn users(&self, look: Arc<dyn Look>, deadline: Instant) -> Result<UsersRead, Unread> {
        let listed = self.list(Listing::Users(Which::All), Ask::Look(look), deadline).await?;
        Ok(UsersRead {
            pages: listed.list.story.pages,
            joined_pages: listed.joined_pages,
            is_count_wrong: listed.list.story.total_mismatch,
            hidden_rows: listed.list.story.hidden_rows,
            absent_fields: listed.absent_keys(self.caller.line.upstream.dialect),
        })
    }

    /// Reads the list of teams; how many it has.
    ///
    /// # Errors
    /// Where the list cannot be read whole before the deadline.
    pub async fn teams(&self, deadline: Instant) -> Result<usize, Unread> {
        let listed = self.list(Listing::Teams, Ask::Items, deadline).await?;
        Ok(listed.list.items.len())
    }

    async fn list(&self, listing: Listing, ask: Ask, until: Instant) -> Result<Listed, Unread> {
        let account = SharedAccount::new(self.state.epoch);
        let behalf =
            Behalf { account: account.clone(), wants_failed_rows: true, ..Behalf::default() };
        let call = ListCall::new(listing, ask, until, behalf);
        let listed = timeout_at(until, self.caller.line.list(call)).await;
        let listed = listed.unwrap_or(Err(Error::Deadline));
        listed.map_err(|error| Unread { error, page: account.close().failed_page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_survey_is_no_replica() {
        let text = r#"
[upstream.ams]
dialect = "voiso-v4"
base_url = "http://127.0.0.1:9"
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY" }
upstream = "ams"
upstream_key = { env = "V4" }
sees = "everything"
[commons]
valkey = ["valkey://127.0.0.1:9"]
seal_key = { env = "SEAL" }
replicas_max = 4
"#;
        let seal = format!("{}=", "A".repeat(43));
        let env = [("LEGACY", "legacy-key"), ("V4", "v4-key"), ("SEAL", &*seal)];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::parse(text, "t.toml", &env).unwrap();
        assert!(config.commons.is_some());
        let surveyed = surveyed(&config).unwrap();
        assert!(surveyed.iter().all(|one| one.state.commons.is_none()), "{surveyed:?}");
        assert_eq!(surveyed.len(), 1);
    }
}
