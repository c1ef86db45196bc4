//! What `tieline check` found, for programs: the one object that docs/OPERATING.md describes.
//!
//! Must never hold more than the text of the same report: no secret, and no user's data but names of groups.

use domain::listing::Listing;
use gateway::survey::{KeyState, Unread};
use serde_json::{Value, json};

use super::text::words;
use super::{CallerReport, Findings, Report, Teams};

impl Report {
    /// The whole report.
    pub(in crate::commands::check) fn json(&self) -> Value {
        let caller = |caller: &CallerReport| {
            let mut report = caller.json();
            if let Some(usage) = &self.usage {
                report["untranslated"] = usage.json(&caller.name);
            }
            report
        };
        let callers: Vec<Value> = self.callers.iter().map(caller).collect();
        let mut report = json!({"ok": self.is_good(), "callers": callers});
        if let Some(engine) = &self.engine {
            report["commons"] = engine.json();
        }
        if let Some(brownouts) = &self.brownouts {
            report["brownouts"] = brownouts.json();
        }
        if let Some(databases) = &self.databases {
            report["roster"] = databases.json();
        }
        report
    }
}

impl CallerReport {
    fn json(&self) -> Value {
        let mut report = json!({
            "name": self.name,
            "upstream": self.upstream,
            "dialect": self.dialect.name(),
            "ok": self.is_good(),
        });
        let (key, scopes, found) = match &self.outcome {
            Ok(findings) => ("accepted", findings.scopes(), findings.json()),
            Err(error) => {
                let key = match error.key().unwrap_or(self.key) {
                    KeyState::Refused => "refused",
                    KeyState::Forbidden => "forbidden",
                    KeyState::Accepted => "accepted",
                    KeyState::Untested => "untested",
                };
                let failure = failure("list", error);
                (key, vec![words(self.dialect).1], json!({"failures": [failure]}))
            }
        };
        report["key"] = json!(key);
        report["scopes"] = json!(scopes);
        if let (Some(report), Value::Object(found)) = (report.as_object_mut(), found) {
            report.extend(found);
        }
        report
    }
}

/// What failed, and the rows of the list that cannot be read, where they are known.
fn failure(what: &str, error: &Unread) -> Value {
    let mut failure = json!({"of": what, "why": error.to_string()});
    if let Some((offset, rows)) = error.rows() {
        failure["offset"] = json!(offset);
        failure["rows"] = json!(rows);
    }
    failure
}

impl Findings {
    /// The scopes that the key needs and has.
    fn scopes(&self) -> Vec<&'static str> {
        let (scope, of_teams) = (words(self.dialect).1, self.dialect.scope(&Listing::Teams));
        match self.teams {
            Teams::Listed(_) if of_teams != scope => vec![scope, of_teams],
            _ => vec![scope],
        }
    }

    fn json(&self) -> Value {
        let (survey, read) = (&self.survey, &self.read);
        let mut failures = Vec::new();
        if survey.users == 0 && survey.hidden > 0 {
            let why = "sees fits no user; teams and users are listed by id";
            failures.push(json!({"of": "sees", "why": why}));
        }
        if self.fails_on_odd_ids && survey.odd_ids > 0 {
            let why = "ids are no decimal numbers; lists will fail until id_policy is map or hash";
            failures.push(json!({"of": "ids", "why": why}));
        }
        let teams = match &self.teams {
            Teams::Listed(teams) => json!({"from": "list", "count": teams}),
            Teams::OfUsers => json!({"from": "users"}),
            Teams::OfUsersBySetting => json!({"from": "users", "by_setting": true}),
            Teams::Failed(error) => {
                failures.push(failure("teams", error));
                json!({"from": null})
            }
        };
        let shared_groups = survey.groups.iter().filter(|(_, ids)| ids.len() > 1);
        let shared_groups: Vec<Value> =
            shared_groups.map(|(name, ids)| json!({"name": name, "ids": ids})).collect();
        json!({
            "call_scope": self.call_scope,
            "users": {
                "visible": survey.users,
                "hidden": survey.hidden,
                "deleted": survey.deleted,
                "left_out": survey.unlisted,
                "with_deletion_date": survey.live_with_deletion_date,
                "with_odd_id": survey.odd_ids,
                "with_inexact_id": survey.inexact_ids,
            },
            "list": {
                "calls": read.pages + read.joined_pages,
                "joined_calls": read.joined_pages,
                "seconds": (self.took.as_secs_f64() * 10.0).round() / 10.0,
                "per_minute_max": self.per_minute,
                "is_count_wrong": read.is_count_wrong,
                "hidden_rows": read.hidden_rows,
                "absent_fields": read.absent_fields,
            },
            "teams": teams,
            "shared_groups": shared_groups,
            "unknown_zones": survey.zones,
            "unknown_channels": survey.channels,
            "failures": failures,
        })
    }
}
