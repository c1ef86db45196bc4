//! The documented legacy paths without an endpoint here that callers of a running gateway ask for, by its page
//! `/callers`. Must never show a text of that page which is none of the known paths.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use domain::legacy::UNTRANSLATED;
use serde::Deserialize;
use serde_json::Value;

use crate::admin_port;
use crate::curl::called;
use crate::failure::Failure;

/// A page of more callers than any gateway has.
const PAGE_BYTES_MAX: u64 = 16 << 20;

/// How often each caller asked for each path since the gateway's configuration is in force.
#[derive(Debug)]
pub(super) struct Usage(BTreeMap<String, BTreeMap<String, u64>>);

#[derive(Deserialize)]
struct Row {
    name: String,
    untranslated: BTreeMap<String, u64>,
}

impl Usage {
    /// Reads it, with `admin.key` if one is given.
    pub(super) async fn of(admin: SocketAddr, key: Option<&str>) -> Result<Self, Failure> {
        let admin = called(admin);
        let told =
            |why: &str| Failure::new(format_args!("--running: http://{admin}/callers: {why}"));
        let page = admin_port::page(admin, "/callers", key, PAGE_BYTES_MAX).await;
        let (status, body) = page.map_err(|why| told(&why))?;
        match (status, key) {
            (200, _) => {}
            (401, None) => {
                return Err(told("it wants its admin.key: --admin-key env:NAME, or file:PATH"));
            }
            (401, Some(_)) => return Err(told("the key of --admin-key is not its admin.key")),
            (403, _) => {
                return Err(told("it answers this machine alone, since it has no admin.key"));
            }
            _ => return Err(told(&format!("it answers {status}"))),
        }
        let rows: Vec<Row> = serde_json::from_slice(&body)
            .map_err(|_| told("this is no page of a gateway of this version"))?;
        Ok(Usage(rows.into_iter().map(|row| (row.name, row.untranslated)).collect()))
    }

    /// What is known of a caller.
    pub(super) fn of_caller(&self, name: &str) -> Asked<'_> {
        Asked(self.0.get(name))
    }

    /// The same for programs: how often each known path was asked for, or null.
    pub(super) fn json(&self, name: &str) -> Value {
        let Asked(asked) = self.of_caller(name);
        asked.map_or(Value::Null, |asked| {
            let known = asked.iter().filter(|(path, _)| UNTRANSLATED.contains(&path.as_str()));
            known.map(|(path, requests)| (path.clone(), Value::from(*requests))).collect()
        })
    }
}

/// What one caller asked for; `None` where the gateway does not have this caller.
#[derive(Debug)]
pub(super) struct Asked<'a>(Option<&'a BTreeMap<String, u64>>);

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(asked) = self.0 else {
            return writeln!(
                f,
                "  untranslated  not known: the running gateway has no such caller"
            );
        };
        let known = || asked.iter().filter(|(path, _)| UNTRANSLATED.contains(&path.as_str()));
        for (path, requests) in known() {
            let times = if *requests == 1 { "once" } else { &format!("{requests} times") };
            writeln!(
                f,
                "  untranslated  {path} was asked for {times}; it goes when the legacy API goes, unless it passes \
                 through"
            )?;
        }
        match known().next() {
            None => writeln!(f, "  untranslated  no such legacy path was asked for"),
            Some(_) => Ok(()),
        }
    }
}
