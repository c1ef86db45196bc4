//! A short name for everything in a configuration that shapes answers, so that replicas can be told apart by it. Must
//! never say anything of a key: only digests go in, and a digest comes out.

use std::fmt::Write;

use domain::hex;
use domain::id::IdPolicy;

use crate::section::callers::UpstreamKey;
use crate::value::digest::digest;
use crate::{Config, Shadow, Upstream};

/// Half of a digest is plenty to tell a few replicas apart.
const BYTES: usize = 8;

impl Config {
    /// Sixteen hexadecimal digits. Addresses to listen on, logs, traces and files of this machine do not count.
    pub fn fingerprint(&self) -> String {
        // The file of its report is one of this machine.
        let shadow = self.shadow.clone().map(|shadow| Shadow { report_file: None, ..shadow });
        let mut text = format!(
            "{:?}{:?}{:?}{:?}{:?}{:?}{:?}{:?}{:?}{:?}",
            self.limits,
            self.lookups,
            self.cache,
            self.answer,
            self.quirks,
            self.body_parameters,
            self.passthrough,
            self.cors,
            shadow,
            // Deleted users come from it, wherever its file is.
            self.roster.is_some(),
        );
        for (name, upstream) in &self.upstreams {
            // Writing to a text cannot fail.
            let _ = write!(text, "{name:?}{}", of(upstream));
        }
        for caller in &self.callers {
            let key = match &caller.key {
                UpstreamKey::Bearer(value) => digest(value.to_str().unwrap_or_default()),
                UpstreamKey::Client { id, secret } => {
                    digest(&format!("{}:{}", id.expose(), secret.expose()))
                }
            };
            let _ = write!(text, "{caller:?}{key:?}");
        }
        let _ = write!(text, "{:?}", self.commons.as_ref().map(|commons| commons.replicas_max));
        for brownout in &self.brownouts {
            let _ = write!(text, "{brownout:?}");
        }
        let mut name = String::new();
        hex::push(&mut name, &digest(&text)[..BYTES]);
        name
    }
}

/// An upstream, with the pairs of its id map in order.
fn of(upstream: &Upstream) -> String {
    let mut upstream = upstream.clone();
    let IdPolicy::Map(map) = &upstream.rules.ids else { return format!("{upstream:?}") };
    let pairs = format!("{:?}", map.pairs());
    upstream.rules.ids = IdPolicy::Fail;
    format!("{upstream:?}{pairs}")
}
