//! `[upstream.<name>]`: the place of an upstream, its dialect and its limits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::id::{IdMap, PolicyName, Unnumbered};
use domain::listing::{Listing, Which};
use domain::sweep::{DoubleRead, Window};
use domain::upstream::{
    Credential, DIALECTS, DeletionDate, Dialect, Mapping, Rules, dialect_named,
};
use serde::{Deserialize, Deserializer, de::Error};
use transport::tls::ClientTls;

use crate::error::ConfigError;
use crate::near::question;
use crate::reader::{Field, Reader, field};
use crate::section::pace::{self, Pace, PaceBy, PaceCounts};
use crate::value::base_url::{self, base_url};
use crate::value::check::{count, positive, size, time};
use crate::value::id_map;

/// `[upstream.<name>]`.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// How it speaks.
    pub dialect: &'static dyn Dialect,
    /// Scheme and authority, and a path prefix without a slash at its end.
    pub base_url: String,
    /// Where tokens are had, for dialects that need one.
    pub token: Option<Token>,
    /// The certificates to trust on `https`.
    pub tls: ClientTls,
    /// Rows asked for per page.
    pub page_rows_max: u32,
    /// Pages in flight per list.
    pub pages_in_flight_max: usize,
    /// Requests in flight, all callers together.
    pub requests_in_flight_max: usize,
    /// Requests per minute, all callers together.
    pub requests_per_minute_max: Option<u32>,
    /// How requests are kept to that number.
    pub pace: Pace,
    /// Name look-up, TCP and TLS.
    pub connect_timeout: Duration,
    /// One attempt, from sending to the last byte.
    pub attempt_timeout: Duration,
    /// How old connections get.
    pub connection_age_max: Duration,
    /// Whether its name may lead to private addresses.
    pub allow_private_addresses: bool,
    /// Failed attempts within ten seconds after which it is left alone; `None`: it never is.
    pub breaker_failures_min: Option<u32>,
    /// For how long it is left alone then.
    pub breaker_open_for: Duration,
    /// Attempts per page.
    pub attempts_max: u32,
    /// The longest wait an upstream may ask for.
    pub retry_after_max: Duration,
    /// Rows per list.
    pub rows_max: u64,
    /// Bytes per page.
    pub page_bytes_max: usize,
    /// When a list is read twice.
    pub double_read: DoubleRead,
    /// The fate of a list that lost more than half of its users.
    pub shrunk_list: ShrunkList,
    /// The vendor's fields that no user has to have, of those without which a list is refused.
    pub absent_fields: Vec<String>,
    /// How rows are read.
    pub rules: Rules,
    /// Where teams are found.
    pub teams_from: TeamsFrom,
    /// The one path of the upstream's list of teams; `None`: the dialect knows where it may be.
    pub teams_path: Option<String>,
    /// Where deleted users are found.
    pub deleted_from: Vec<DeletedFrom>,
    /// How joined listings are kept.
    pub related: Related,
}

/// Listings that are joined to user rows: how long they are used, and the limits of reading them.
#[derive(Debug, Clone, Copy)]
pub struct Related {
    /// Younger, it is used as it is.
    pub fresh_for: Duration,
    /// Older than fresh but younger than this, it is used while it is read anew.
    pub stale_max: Duration,
    /// The longest a reading may take.
    pub deadline: Duration,
    /// Lists read for it at most.
    pub lists_max: usize,
}

/// Where and how an access token is had.
#[derive(Debug, Clone)]
pub struct Token {
    /// The whole URL.
    pub url: String,
    /// Where the client's id and secret stand.
    pub auth: TokenAuth,
}

/// The fate of a list that lost more than half of its users, and was read once more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShrunkList {
    /// It is answered.
    #[default]
    Believe,
    /// It is a 503.
    Refuse,
}

/// Where teams are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamsFrom {
    /// In the upstream's list of teams; where it has none, in its users.
    #[default]
    Auto,
    /// In the upstream's list of teams.
    List,
    /// In the users; a team without members is missing.
    Users,
}

/// Where deleted users are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletedFrom {
    /// In the upstream's own list of users, marked as deleted.
    DeletedAt,
    /// In the roster: listed once, and missing since two complete readings.
    Vanished,
    /// In the roster: imported from the legacy API.
    Imported,
}

/// Where a client's id and secret stand in the request for a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenAuth {
    /// In the form.
    #[default]
    Form,
    /// In the `authorization` header.
    Basic,
}

/// `[upstream.<name>]` as typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TypedUpstream {
    #[serde(deserialize_with = "dialect")]
    dialect: &'static dyn Dialect,
    #[serde(deserialize_with = "base_url")]
    base_url: String,
    token_url: Option<String>,
    token_auth: Option<TokenAuth>,
    ca_file: Option<PathBuf>,
    page_rows_max: Option<u32>,
    #[serde(default = "TypedUpstream::pages_in_flight_max", deserialize_with = "count")]
    pages_in_flight_max: usize,
    #[serde(default = "TypedUpstream::requests_in_flight_max", deserialize_with = "count")]
    requests_in_flight_max: usize,
    requests_per_minute_max: Option<u32>,
    #[serde(default = "pace::burst", deserialize_with = "pace::some_burst")]
    pace_burst: Duration,
    #[serde(default)]
    pace_counts: PaceCounts,
    #[serde(default)]
    pace_by: PaceBy,
    #[serde(default = "TypedUpstream::connect_timeout", deserialize_with = "positive")]
    connect_timeout: Duration,
    #[serde(default = "TypedUpstream::attempt_timeout", deserialize_with = "positive")]
    attempt_timeout: Duration,
    #[serde(default = "TypedUpstream::connection_age_max", deserialize_with = "positive")]
    connection_age_max: Duration,
    #[serde(default)]
    allow_private_addresses: bool,
    #[serde(default = "TypedUpstream::breaker_failures_min")]
    breaker_failures_min: u32,
    #[serde(default = "TypedUpstream::breaker_open_for", deserialize_with = "positive")]
    breaker_open_for: Duration,
    #[serde(default = "TypedUpstream::attempts_max", deserialize_with = "count")]
    attempts_max: u32,
    #[serde(default = "TypedUpstream::retry_after_max", deserialize_with = "time")]
    retry_after_max: Duration,
    #[serde(default = "TypedUpstream::rows_max", deserialize_with = "rows_max")]
    rows_max: u64,
    #[serde(default, deserialize_with = "page_bytes_max")]
    page_bytes_max: Option<usize>,
    #[serde(default)]
    double_read: DoubleRead,
    #[serde(default)]
    shrunk_list: ShrunkList,
    #[serde(default)]
    absent_fields: Vec<String>,
    #[serde(default)]
    deleted_at: DeletionDate,
    id_policy: Option<PolicyName>,
    id_map: Option<PathBuf>,
    id_unlisted: Option<Unnumbered>,
    #[serde(default)]
    teams_from: TeamsFrom,
    #[serde(default, deserialize_with = "base_url::path")]
    teams_path: Option<String>,
    #[serde(default = "TypedUpstream::deleted_from")]
    deleted_from: Vec<DeletedFrom>,
    mapping: Option<Mapping>,
    #[serde(default = "TypedUpstream::related_fresh_for", deserialize_with = "time")]
    related_fresh_for: Duration,
    #[serde(default = "TypedUpstream::related_stale_max", deserialize_with = "time")]
    related_stale_max: Duration,
    #[serde(default = "TypedUpstream::related_deadline", deserialize_with = "positive")]
    related_deadline: Duration,
    #[serde(default = "TypedUpstream::related_lists_max", deserialize_with = "count")]
    related_lists_max: usize,
}

impl TypedUpstream {
    fn pages_in_flight_max() -> usize {
        8
    }
    fn requests_in_flight_max() -> usize {
        64
    }
    fn connect_timeout() -> Duration {
        Duration::from_secs(1)
    }
    fn attempt_timeout() -> Duration {
        Duration::from_secs(10)
    }
    fn connection_age_max() -> Duration {
        Duration::from_secs(60)
    }
    fn breaker_failures_min() -> u32 {
        50
    }
    fn breaker_open_for() -> Duration {
        Duration::from_secs(5)
    }
    fn attempts_max() -> u32 {
        3
    }
    fn retry_after_max() -> Duration {
        Duration::from_secs(30)
    }
    fn rows_max() -> u64 {
        100_000
    }
    fn deleted_from() -> Vec<DeletedFrom> {
        vec![DeletedFrom::DeletedAt, DeletedFrom::Vanished, DeletedFrom::Imported]
    }
    fn related_fresh_for() -> Duration {
        Duration::from_secs(5 * 60)
    }
    fn related_stale_max() -> Duration {
        Duration::from_secs(2 * 3600)
    }
    fn related_deadline() -> Duration {
        Duration::from_secs(3600)
    }
    fn related_lists_max() -> usize {
        5000
    }
}

/// A page of a hundred users is about this long; less can hold none of them.
const PAGE_BYTES_MIN: usize = 64 << 10;
/// The most rows that memory can hold for one answer, with room to spare.
const ROWS_MAX_MAX: u64 = 10_000_000;

/// The dialects that a setting goes with.
fn only_with(fits: impl Fn(&dyn Dialect) -> bool) -> String {
    let names = DIALECTS.iter().filter(|dialect| fits(**dialect));
    let names: Vec<String> = names.map(|dialect| format!("{:?}", dialect.name())).collect();
    format!("only goes with dialect = {}", names.join(" or "))
}

fn needs_token(dialect: &dyn Dialect) -> bool {
    dialect.credential() == Credential::Client
}

fn dialect<'de, D: Deserializer<'de>>(de: D) -> Result<&'static dyn Dialect, D::Error> {
    let typed = String::deserialize(de)?;
    dialect_named(&typed).ok_or_else(|| {
        let names: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
        let question = question(&typed, names.iter().copied());
        let names = names.join(" and ");
        D::Error::custom(format_args!("unknown dialect{question}; this version speaks {names}"))
    })
}

fn rows_max<'de, D: Deserializer<'de>>(de: D) -> Result<u64, D::Error> {
    match u64::deserialize(de)? {
        0 => Err(D::Error::custom("must be at least 1")),
        rows @ 1..=ROWS_MAX_MAX => Ok(rows),
        _ => Err(D::Error::custom(format_args!("must be at most {ROWS_MAX_MAX}"))),
    }
}

fn page_bytes_max<'de, D: Deserializer<'de>>(de: D) -> Result<Option<usize>, D::Error> {
    match size(de)? {
        bytes if bytes < PAGE_BYTES_MIN => Err(D::Error::custom("must be at least 64KiB")),
        bytes => Ok(Some(bytes)),
    }
}

impl TypedUpstream {
    /// What it means for the upstream of this name.
    pub(crate) fn read(self, name: &str, reader: &Reader<'_>) -> Result<Upstream, ConfigError> {
        let at = At { name, reader };
        let (dialect, facts) = (self.dialect, self.dialect.facts());
        let per_minute = self.requests_per_minute_max.or(facts.requests_per_minute_max);
        let page_rows_max = self.page_rows_max(&at)?;
        self.check_mapping(&at)?;
        self.check_base_url(&at)?;
        self.check_absent_fields(&at)?;
        let (teams_from, teams_path) = self.teams(&at)?;
        let tls = reader.client_tls(&at.field("ca_file"), self.ca_file.as_deref())?;
        Ok(Upstream {
            dialect,
            token: self.token(&at)?,
            tls,
            page_rows_max,
            rules: self.rules(&at)?,
            base_url: self.base_url,
            pages_in_flight_max: self.pages_in_flight_max,
            requests_in_flight_max: self.requests_in_flight_max,
            requests_per_minute_max: per_minute.filter(|number| *number > 0),
            pace: Pace { burst: self.pace_burst, counts: self.pace_counts, by: self.pace_by },
            connect_timeout: self.connect_timeout,
            attempt_timeout: self.attempt_timeout,
            connection_age_max: self.connection_age_max,
            allow_private_addresses: self.allow_private_addresses,
            breaker_failures_min: Some(self.breaker_failures_min).filter(|number| *number > 0),
            breaker_open_for: self.breaker_open_for,
            attempts_max: self.attempts_max,
            retry_after_max: self.retry_after_max,
            rows_max: self.rows_max,
            page_bytes_max: self.page_bytes_max.unwrap_or(facts.page_bytes_max),
            double_read: self.double_read,
            shrunk_list: self.shrunk_list,
            absent_fields: self.absent_fields,
            teams_from,
            teams_path,
            deleted_from: self.deleted_from,
            related: Related {
                fresh_for: self.related_fresh_for,
                stale_max: self.related_stale_max.max(self.related_fresh_for),
                deadline: self.related_deadline,
                lists_max: self.related_lists_max,
            },
        })
    }

    fn page_rows_max(&self, at: &At<'_>) -> Result<u32, ConfigError> {
        let most = self.dialect.page_rows_max();
        let least = self.dialect.paging().page_rows_min();
        match self.page_rows_max.unwrap_or(most) {
            rows if self.page_rows_max.is_none() || (least..=most).contains(&rows) => Ok(rows),
            _ => at.refuse("page_rows_max", format!("must be {least} to {most}")),
        }
    }

    /// The dialect adds the path of its API to the URL; nothing else tells where that begins.
    fn check_base_url(&self, at: &At<'_>) -> Result<(), ConfigError> {
        let window = Window { offset: 0, limit: self.dialect.page_rows_max() };
        let request = self.dialect.page_request(&Listing::Users(Which::Live), None, None, window);
        let path = request.target.split('?').next().unwrap_or_default();
        // All of the path but the name of the listing.
        let parts = path.matches('/').count().saturating_sub(1);
        match base_url::repeated(&self.base_url, path, parts) {
            Some(what) => at.refuse("base_url", what),
            None => Ok(()),
        }
    }

    fn check_mapping(&self, at: &At<'_>) -> Result<(), ConfigError> {
        let Some(mapping) = &self.mapping else { return Ok(()) };
        let (roles, reader) = (self.dialect.facts().roles, at.reader);
        if !self.dialect.facts().has_mapping {
            return at.refuse("mapping", only_with(|dialect| dialect.facts().has_mapping));
        }
        for role in mapping.sag.keys() {
            if !roles.is_empty() && !roles.contains(&role.as_str()) {
                let at = field(&["upstream", at.name, "mapping", "sag", role]);
                return reader.refuse(&at, format!("no role; they are {}", roles.join(", ")));
            }
        }
        if mapping.timezone.as_deref().is_some_and(|zone| zone.trim().is_empty()) {
            let at = field(&["upstream", at.name, "mapping", "timezone"]);
            return reader.refuse(&at, "is empty; leave it out");
        }
        Ok(())
    }

    fn token(&self, at: &At<'_>) -> Result<Option<Token>, ConfigError> {
        let facts = self.dialect.facts();
        match (&self.token_url, needs_token(self.dialect)) {
            (Some(url), true) => match base_url::read(url) {
                Some(url) => Ok(Some(Token { url, auth: self.token_auth.unwrap_or_default() })),
                None => at.refuse("token_url", base_url::WANTED),
            },
            (None, true) => {
                let what = format!("dialect = {:?} needs the token's URL here", facts.name);
                at.refuse("token_url", what)
            }
            (Some(_), false) => at.refuse("token_url", only_with(needs_token)),
            (None, false) if self.token_auth.is_some() => {
                at.refuse("token_auth", only_with(needs_token))
            }
            (None, false) => Ok(None),
        }
    }

    fn check_absent_fields(&self, at: &At<'_>) -> Result<(), ConfigError> {
        let vital = self.dialect.vital_keys();
        if self.absent_fields.iter().all(|field| vital.contains(&field.as_str())) {
            return Ok(());
        }
        let what = match vital {
            [] => only_with(|dialect| !dialect.vital_keys().is_empty()),
            vital => format!("may only name {}", vital.join(" and ")),
        };
        at.refuse("absent_fields", what)
    }

    /// Where teams are found. A path that the operator names has the list, so nothing stands in for it.
    fn teams(&self, at: &At<'_>) -> Result<(TeamsFrom, Option<String>), ConfigError> {
        let has_places = |dialect: &dyn Dialect| !dialect.places(&Listing::Teams).is_empty();
        let path = self.teams_path.clone();
        match (&path, self.teams_from) {
            (Some(_), _) if !has_places(self.dialect) => {
                at.refuse("teams_path", only_with(has_places))
            }
            (Some(_), TeamsFrom::Auto) => Ok((TeamsFrom::List, path)),
            (_, from) => Ok((from, path)),
        }
    }

    fn rules(&self, at: &At<'_>) -> Result<Rules, ConfigError> {
        let facts = self.dialect.facts();
        let policy = self.id_policy.unwrap_or(facts.id_policy());
        let table = match (policy, &self.id_map) {
            (PolicyName::Map, Some(file)) => match id_map::read(&at.reader.file(file)) {
                Ok(table) => table,
                Err(what) => return at.refuse("id_map", what),
            },
            (PolicyName::Map, None) => {
                return at.refuse("id_map", "id_policy = \"map\" needs a file here");
            }
            (_, Some(_)) => {
                return at.refuse("id_map", "only goes with id_policy = \"map\"");
            }
            (_, None) => IdMap::default(),
        };
        if !facts.id_policies.contains(&policy) {
            let what = only_with(|dialect| dialect.facts().id_policies.contains(&policy));
            return at.refuse("id_policy", what);
        }
        let has_gaps = policy.has_gaps();
        if self.id_unlisted.is_some() && !has_gaps {
            let names = PolicyName::ALL.into_iter().filter(|policy| policy.has_gaps());
            let names: Vec<String> = names.map(|policy| format!("{:?}", policy.as_str())).collect();
            let what = format!("only goes with id_policy = {}", names.join(" or "));
            return at.refuse("id_unlisted", what);
        }
        let default = if has_gaps { facts.unnumbered } else { Unnumbered::Fail };
        Ok(Rules {
            ids: policy.policy(table),
            unnumbered: self.id_unlisted.unwrap_or(default),
            deleted_at: self.deleted_at,
            mapping: Arc::new(self.mapping.clone().unwrap_or_default()),
        })
    }
}

/// The table of one upstream.
struct At<'a> {
    name: &'a str,
    reader: &'a Reader<'a>,
}

impl At<'_> {
    fn field(&self, key: &str) -> Field {
        field(&["upstream", self.name, key])
    }

    fn refuse<T>(&self, key: &str, what: impl Into<String>) -> Result<T, ConfigError> {
        self.reader.refuse(&self.field(key), what)
    }
}
