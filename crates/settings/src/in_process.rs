//! A configuration for a gateway that only its own process asks: for validation, which must answer as
//! the configured gateway would, but do not listen, remember no user, share with no replica and report to no
//! collector.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Config;
use crate::section::callers::UpstreamKey;
use crate::value::digest::digest;

impl Config {
    /// The name of the caller that a legacy key belongs to.
    pub fn caller_of(&self, key: &str) -> Option<&str> {
        let digest = digest(key);
        self.callers.iter().find(|caller| caller.digest == digest).map(|caller| &*caller.name)
    }

    /// The keys that callers show their upstreams, so that they can be kept out of texts.
    pub fn upstream_keys(&self) -> Vec<String> {
        let keys = self.callers.iter().flat_map(|caller| match &caller.key {
            UpstreamKey::Bearer(value) => {
                let key = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
                vec![key.unwrap_or_default().to_owned()]
            }
            UpstreamKey::Client { id, secret } => {
                vec![id.expose().to_owned(), secret.expose().to_owned()]
            }
        });
        keys.collect()
    }

    /// The same configuration for one caller, known by `key`, on free ports of loopback: without TLS,
    /// roster, commons, traces, kept answers, a control of its own, brownouts and passthrough. `None` where there is no such
    /// caller.
    pub fn in_process(mut self, caller: &str, key: &str) -> Option<Config> {
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut one = self.callers.into_iter().find(|one| one.name == caller)?;
        one.digest = digest(key);
        one.control_percent = 0;
        self.callers = vec![one];
        self.server.listen = anywhere;
        self.admin.listen = anywhere;
        self.server.tls = None;
        self.server.hosts.clear();
        self.server.compression.clear();
        self.traces.collector = None;
        self.limits.drain_delay = Duration::ZERO;
        self.roster = None;
        // It would count as a replica, and answer with what others have read.
        self.commons = None;
        self.cache.fresh_for = Duration::ZERO;
        self.cache.stale_if_error = Duration::ZERO;
        // Recordings hold whole pages.
        self.cache.revalidate = Some(false);
        self.passthrough = None;
        self.shadow = None;
        self.cors = None;
        self.brownouts.clear();
        Some(self)
    }

    /// Sends requests for the upstream elsewhere: to `base_url`, and for tokens to `token_url`.
    pub fn through(&mut self, upstream: &str, base_url: &str, token_url: Option<&str>) {
        let Some(upstream) = self.upstreams.get_mut(upstream) else { return };
        base_url.clone_into(&mut upstream.base_url);
        if let (Some(token), Some(url)) = (&mut upstream.token, token_url) {
            url.clone_into(&mut token.url);
        }
    }

    /// Puts other settings in the place of those in force: by endpoint, and under `upstream` and `legacy`
    /// those of the upstream and of all endpoints. Other tables and settings are left out.
    ///
    /// # Errors
    /// Where a setting cannot have such a value.
    pub fn under(
        &mut self,
        upstream: &str,
        overlay: &BTreeMap<String, Map<String, Value>>,
    ) -> Result<(), String> {
        for (table, settings) in overlay {
            if let (Some(rule), Some(upstream), "upstream") =
                (settings.get("deleted_at"), self.upstreams.get_mut(upstream), table.as_str())
            {
                upstream.rules.deleted_at = read(rule)?;
            }
            if let (Some(value), "legacy") = (settings.get("body_parameters"), table.as_str()) {
                self.body_parameters = read(value)?;
            }
            let Some(quirks) = self.quirks.get_mut(table.as_str()) else { continue };
            let mut value = serde_json::to_value(&**quirks).map_err(|error| error.to_string())?;
            for (name, set) in settings {
                value[name] = set.clone();
            }
            *quirks = Arc::new(read(&value)?);
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}
