//! `[upstream.<name>]`: where an upstream is, how it speaks, and what it may cost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::id::{IdMap, PolicyName, Unnumbered};
use domain::sweep::DoubleRead;
use domain::upstream::{Credential, DIALECTS, Dialect, Facts, Rules, dialect_named};
use transport::tls::ClientTls;

use super::raw::{self, DeletedFrom, TeamsFrom, TokenAuth};
use super::{ConfigError, Reader, base_url, field, id_map};

/// `[upstream.<name>]`.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// How it speaks.
    pub dialect: &'static dyn Dialect,
    /// Scheme and authority, and a path prefix without a slash at its end.
    pub base_url: String,
    /// Where tokens are had, for dialects that need one.
    pub token: Option<Token>,
    /// Whom to believe on `https`.
    pub tls: ClientTls,
    /// Rows asked for per page.
    pub page_rows_max: u32,
    /// Pages in flight per list.
    pub pages_in_flight_max: usize,
    /// Requests in flight, all callers together.
    pub requests_in_flight_max: usize,
    /// Requests per minute, all callers together.
    pub requests_per_minute_max: Option<u32>,
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
    /// How rows are read.
    pub rules: Rules,
    /// Where teams are found.
    pub teams_from: TeamsFrom,
    /// Where deleted users are found.
    pub deleted_from: Vec<DeletedFrom>,
    /// How what is joined to user rows is kept.
    pub related: Related,
}

/// What is joined to user rows: how long it is used, and what reading it may cost.
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

/// A page of a hundred users is about this long; less can hold none of them.
const PAGE_BYTES_MIN: usize = 64 << 10;
/// What one answer in memory can hold, with room to spare.
const ROWS_MAX_MAX: u64 = 10_000_000;

/// The dialects that a setting goes with.
fn only_with(fits: impl Fn(&Facts) -> bool) -> String {
    let names = DIALECTS.iter().filter(|dialect| fits(dialect.facts()));
    let names: Vec<String> = names.map(|dialect| format!("{:?}", dialect.name())).collect();
    format!("only goes with dialect = {}", names.join(" or "))
}

fn needs_token(facts: &Facts) -> bool {
    facts.credential == Credential::Client
}

impl Reader<'_> {
    pub(super) fn upstreams(&self) -> Result<BTreeMap<String, Upstream>, ConfigError> {
        let mut upstreams = BTreeMap::new();
        for (name, raw) in &self.raw.upstream {
            upstreams.insert(name.clone(), self.upstream(name, raw)?);
        }
        Ok(upstreams)
    }

    fn upstream(&self, name: &str, raw: &raw::Upstream) -> Result<Upstream, ConfigError> {
        let at = |key: &str| field(&["upstream", name, key]);
        let Some(dialect) = dialect_named(&raw.dialect) else {
            let names: Vec<&str> = DIALECTS.iter().map(|dialect| dialect.name()).collect();
            let what = format!("unknown dialect; this version speaks {}", names.join(" and "));
            return self.refuse(&at("dialect"), what);
        };
        let facts = dialect.facts();
        self.upstream_limits(name, raw, dialect)?;
        let per_minute = raw.requests_per_minute_max.or(facts.requests_per_minute_max);
        if raw.mapping.is_some() && !facts.has_mapping {
            return self.refuse(&at("mapping"), only_with(|facts| facts.has_mapping));
        }
        self.mapping(name, raw, facts.roles)?;
        Ok(Upstream {
            dialect,
            base_url: match base_url::read(&raw.base_url) {
                Some(url) => url,
                None => return self.refuse(&at("base_url"), base_url::WANTED),
            },
            token: self.token(name, raw, facts)?,
            tls: self.client_tls(&at("ca_file"), raw.ca_file.as_deref())?,
            page_rows_max: raw.page_rows_max.unwrap_or(dialect.page_rows_max()),
            pages_in_flight_max: raw.pages_in_flight_max,
            requests_in_flight_max: raw.requests_in_flight_max,
            requests_per_minute_max: per_minute.filter(|number| *number > 0),
            connect_timeout: raw.connect_timeout.0,
            attempt_timeout: raw.attempt_timeout.0,
            connection_age_max: raw.connection_age_max.0,
            allow_private_addresses: raw.allow_private_addresses,
            breaker_failures_min: Some(raw.breaker_failures_min).filter(|number| *number > 0),
            breaker_open_for: raw.breaker_open_for.0,
            attempts_max: raw.attempts_max,
            retry_after_max: raw.retry_after_max.0,
            rows_max: raw.rows_max,
            page_bytes_max: raw.page_bytes_max.map_or(facts.page_bytes_max, |size| size.0),
            double_read: raw.double_read,
            rules: self.rules(name, raw, facts)?,
            teams_from: raw.teams_from,
            deleted_from: raw.deleted_from.clone(),
            related: Related {
                fresh_for: raw.related_fresh_for.0,
                stale_max: raw.related_stale_max.0.max(raw.related_fresh_for.0),
                deadline: raw.related_deadline.0,
                lists_max: raw.related_lists_max,
            },
        })
    }

    fn mapping(&self, name: &str, raw: &raw::Upstream, roles: &[&str]) -> Result<(), ConfigError> {
        let Some(mapping) = &raw.mapping else { return Ok(()) };
        for role in mapping.sag.keys() {
            if !roles.is_empty() && !roles.contains(&role.as_str()) {
                let at = field(&["upstream", name, "mapping", "sag", role]);
                return self.refuse(&at, format!("no role; they are {}", roles.join(", ")));
            }
        }
        if mapping.timezone.as_deref().is_some_and(|zone| zone.trim().is_empty()) {
            let at = field(&["upstream", name, "mapping", "timezone"]);
            return self.refuse(&at, "is empty; leave it out");
        }
        Ok(())
    }

    fn upstream_limits(
        &self,
        name: &str,
        raw: &raw::Upstream,
        dialect: &dyn Dialect,
    ) -> Result<(), ConfigError> {
        let at = |key: &str| field(&["upstream", name, key]);
        for (key, number) in [
            ("pages_in_flight_max", raw.pages_in_flight_max),
            ("requests_in_flight_max", raw.requests_in_flight_max),
            ("attempts_max", raw.attempts_max as usize),
            ("rows_max", usize::try_from(raw.rows_max).unwrap_or(usize::MAX).min(1_000_000)),
            ("related_lists_max", raw.related_lists_max),
        ] {
            self.at_least_one(&at(key), number)?;
        }
        for (key, time) in [
            ("connect_timeout", raw.connect_timeout),
            ("attempt_timeout", raw.attempt_timeout),
            ("connection_age_max", raw.connection_age_max),
            ("breaker_open_for", raw.breaker_open_for),
            ("related_deadline", raw.related_deadline),
        ] {
            self.positive(&at(key), time.0)?;
        }
        if raw.rows_max > ROWS_MAX_MAX {
            return self.refuse(&at("rows_max"), "must be at most 10000000");
        }
        if raw.page_bytes_max.is_some_and(|size| size.0 < PAGE_BYTES_MIN) {
            return self.refuse(&at("page_bytes_max"), "must be at least 64KiB");
        }
        let most = dialect.page_rows_max();
        let least = dialect.paging().page_rows_min();
        match raw.page_rows_max {
            Some(rows) if !(least..=most).contains(&rows) => {
                self.refuse(&at("page_rows_max"), format!("must be {least} to {most}"))
            }
            _ => Ok(()),
        }
    }

    fn token(
        &self,
        name: &str,
        raw: &raw::Upstream,
        facts: &Facts,
    ) -> Result<Option<Token>, ConfigError> {
        let at = |key: &str| field(&["upstream", name, key]);
        match (&raw.token_url, needs_token(facts)) {
            (Some(url), true) => match base_url::read(url) {
                Some(url) => Ok(Some(Token { url, auth: raw.token_auth.unwrap_or_default() })),
                None => self.refuse(&at("token_url"), base_url::WANTED),
            },
            (None, true) => {
                let what = format!("dialect = {:?} needs the token's URL here", facts.name);
                self.refuse(&at("token_url"), what)
            }
            (Some(_), false) => self.refuse(&at("token_url"), only_with(needs_token)),
            (None, false) if raw.token_auth.is_some() => {
                self.refuse(&at("token_auth"), only_with(needs_token))
            }
            (None, false) => Ok(None),
        }
    }

    fn rules(&self, name: &str, raw: &raw::Upstream, facts: &Facts) -> Result<Rules, ConfigError> {
        let at = |key: &str| field(&["upstream", name, key]);
        let policy = raw.id_policy.unwrap_or(facts.id_policy());
        let table = match (policy, &raw.id_map) {
            (PolicyName::Map, Some(file)) => match id_map::read(&self.file(file)) {
                Ok(table) => table,
                Err(what) => return self.refuse(&at("id_map"), what),
            },
            (PolicyName::Map, None) => {
                return self.refuse(&at("id_map"), "id_policy = \"map\" needs a file here");
            }
            (_, Some(_)) => {
                return self.refuse(&at("id_map"), "only goes with id_policy = \"map\"");
            }
            (_, None) => IdMap::default(),
        };
        if !facts.id_policies.contains(&policy) {
            let what = only_with(|facts| facts.id_policies.contains(&policy));
            return self.refuse(&at("id_policy"), what);
        }
        let has_gaps = policy.has_gaps();
        if raw.id_unlisted.is_some() && !has_gaps {
            let names = PolicyName::ALL.into_iter().filter(|policy| policy.has_gaps());
            let names: Vec<String> = names.map(|policy| format!("{:?}", policy.as_str())).collect();
            let what = format!("only goes with id_policy = {}", names.join(" or "));
            return self.refuse(&at("id_unlisted"), what);
        }
        let default = if has_gaps { facts.unnumbered } else { Unnumbered::Fail };
        Ok(Rules {
            ids: policy.policy(table),
            unnumbered: raw.id_unlisted.unwrap_or(default),
            deleted_at: raw.deleted_at,
            mapping: Arc::new(raw.mapping.clone().unwrap_or_default()),
        })
    }
}
