//! `[upstream.<name>]`: where an upstream is, how it speaks, and what it may cost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::id::{IdPolicy, Unnumbered};
use domain::sweep::{DoubleRead, Paging};
use domain::upstream::{Credential, Dialect, Rules, dialect_named};
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
/// What a page may be by default; page-numbered lists have long pages.
const PAGE_BYTES: usize = 8 << 20;
const NUMBERED_PAGE_BYTES: usize = 32 << 20;
/// The vendor of `vonage-v4` names about 160 requests a minute for a sibling API.
const VONAGE_REQUESTS_PER_MINUTE: u32 = 120;
/// The roles that the vendor of `vonage-v4` documents.
const ROLES: [&str; 5] = ["Admin", "Supervisor", "Wallboard", "Agent", "NvmAdmin"];
/// What one answer in memory can hold, with room to spare.
const ROWS_MAX_MAX: u64 = 10_000_000;

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
            let what = "unknown dialect; this version speaks voiso-v4 and vonage-v4";
            return self.refuse(&at("dialect"), what);
        };
        let needs_token = dialect.credential() == Credential::Client;
        self.upstream_limits(name, raw, dialect)?;
        let page_bytes = if needs_token { NUMBERED_PAGE_BYTES } else { PAGE_BYTES };
        let per_minute = raw.requests_per_minute_max;
        let per_minute = per_minute.or(needs_token.then_some(VONAGE_REQUESTS_PER_MINUTE));
        if raw.mapping.is_some() && !needs_token {
            return self.refuse(&at("mapping"), "only goes with dialect = \"vonage-v4\"");
        }
        self.mapping(name, raw)?;
        Ok(Upstream {
            dialect,
            base_url: match base_url::read(&raw.base_url) {
                Some(url) => url,
                None => return self.refuse(&at("base_url"), base_url::WANTED),
            },
            token: self.token(name, raw, needs_token)?,
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
            page_bytes_max: raw.page_bytes_max.map_or(page_bytes, |size| size.0),
            double_read: raw.double_read,
            rules: self.rules(name, raw, needs_token)?,
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

    fn mapping(&self, name: &str, raw: &raw::Upstream) -> Result<(), ConfigError> {
        let Some(mapping) = &raw.mapping else { return Ok(()) };
        for role in mapping.sag.keys() {
            if !ROLES.contains(&role.as_str()) {
                let at = field(&["upstream", name, "mapping", "sag", role]);
                return self.refuse(&at, format!("no role; they are {}", ROLES.join(", ")));
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
        // Page-numbered lists are joined by small pages over the edges of large ones.
        let least = if dialect.paging() == Paging::Numbered { 20 } else { 2 };
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
        is_needed: bool,
    ) -> Result<Option<Token>, ConfigError> {
        let at = |key: &str| field(&["upstream", name, key]);
        match (&raw.token_url, is_needed) {
            (Some(url), true) => match base_url::read(url) {
                Some(url) => Ok(Some(Token { url, auth: raw.token_auth.unwrap_or_default() })),
                None => self.refuse(&at("token_url"), base_url::WANTED),
            },
            (None, true) => {
                self.refuse(&at("token_url"), "dialect = \"vonage-v4\" needs the token's URL here")
            }
            (Some(_), false) => {
                self.refuse(&at("token_url"), "only goes with dialect = \"vonage-v4\"")
            }
            (None, false) if raw.token_auth.is_some() => {
                self.refuse(&at("token_auth"), "only goes with dialect = \"vonage-v4\"")
            }
            (None, false) => Ok(None),
        }
    }

    fn rules(
        &self,
        name: &str,
        raw: &raw::Upstream,
        has_uuids: bool,
    ) -> Result<Rules, ConfigError> {
        let at = |key: &str| field(&["upstream", name, key]);
        let default = if has_uuids { raw::IdPolicy::Hash } else { raw::IdPolicy::Fail };
        let policy = raw.id_policy.unwrap_or(default);
        let ids = match (policy, &raw.id_map) {
            (raw::IdPolicy::Map, Some(file)) => match id_map::read(&self.file(file)) {
                Ok(map) => IdPolicy::Map(Arc::new(map)),
                Err(what) => return self.refuse(&at("id_map"), what),
            },
            (raw::IdPolicy::Map, None) => {
                return self.refuse(&at("id_map"), "id_policy = \"map\" needs a file here");
            }
            (_, Some(_)) => {
                return self.refuse(&at("id_map"), "only goes with id_policy = \"map\"");
            }
            (raw::IdPolicy::Fail, None) => IdPolicy::Fail,
            (raw::IdPolicy::Hash, None) => IdPolicy::Hash,
            (raw::IdPolicy::AgentDisplayId, None) if has_uuids => IdPolicy::DisplayId,
            (raw::IdPolicy::AgentDisplayId, None) => {
                return self.refuse(&at("id_policy"), "only goes with dialect = \"vonage-v4\"");
            }
        };
        let has_gaps = matches!(ids, IdPolicy::Map(_) | IdPolicy::DisplayId);
        if raw.id_unlisted.is_some() && !has_gaps {
            let what = "only goes with id_policy = \"map\" or \"agent_display_id\"";
            return self.refuse(&at("id_unlisted"), what);
        }
        let default = if has_uuids && has_gaps { Unnumbered::Hash } else { Unnumbered::Fail };
        Ok(Rules {
            ids,
            unnumbered: raw.id_unlisted.unwrap_or(default),
            deleted_at: raw.deleted_at,
            mapping: Arc::new(raw.mapping.clone().unwrap_or_default()),
        })
    }
}
