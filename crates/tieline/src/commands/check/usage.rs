//! The documented legacy paths without an endpoint here that callers of a running gateway ask for, by its page
//! `/callers`. Must never show a text of that page which is none of the known paths.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use domain::legacy::UNTRANSLATED;
use serde::Deserialize;

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
    /// Reads it.
    pub(super) async fn of(admin: SocketAddr) -> Result<Self, Failure> {
        let admin = called(admin);
        let told =
            |why: &str| Failure::new(format_args!("--running: http://{admin}/callers: {why}"));
        let (status, body) =
            admin_port::page(admin, "/callers", PAGE_BYTES_MAX).await.map_err(|why| told(&why))?;
        if status != 200 {
            return Err(told(&format!("it answers {status}")));
        }
        let rows: Vec<Row> = serde_json::from_slice(&body)
            .map_err(|_| told("this is no page of a gateway of this version"))?;
        Ok(Usage(rows.into_iter().map(|row| (row.name, row.untranslated)).collect()))
    }

    /// What is known of a caller.
    pub(super) fn of_caller(&self, name: &str) -> Asked<'_> {
        Asked(self.0.get(name))
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
