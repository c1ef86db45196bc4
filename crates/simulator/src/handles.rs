//! Functions for tests: they change the data and the faults, and look at both faces.
//!
//! Only the counts can be reached over HTTP.

use std::sync::Arc;

use crate::Simulator;
use crate::fault::Faults;
use crate::legacy::{self, Endpoint};
use crate::locked::lock;
use crate::people::record::{Text, User};
use crate::settings::Tags;
use crate::stats::Stats;
use crate::store::churn::{Churn, Churning};
use crate::vonage::user::documented;

impl Simulator {
    /// Replaces the faults and resets their counts.
    pub fn set_faults(&self, faults: Faults) {
        lock(&self.0.fates).set(faults);
    }

    pub fn faults(&self) -> Faults {
        lock(&self.0.fates).faults().clone()
    }

    /// Replaces the churn; `None` stops it.
    pub fn set_churn(&self, churn: Option<Churn>) {
        *lock(&self.0.churning) = churn.map(Churning::new);
    }

    /// Gives answers other tags, or none.
    pub fn set_tags(&self, tags: Tags) {
        *lock(&self.0.tags) = tags;
    }

    /// The counts since the start or the last reset.
    pub fn stats(&self) -> Stats {
        self.0.counters.with(|stats| stats.clone())
    }

    pub fn reset_stats(&self) {
        self.0.counters.reset();
    }

    /// Adds a generated user with this name; returns the new id, the largest so far plus one.
    pub fn insert_user(&self, name: &str) -> u64 {
        self.insert_with(|user| user.name = Text::from(name.to_owned()))
    }

    /// Adds a generated user, changed by `edit`. An id that `edit` sets is kept if it was never used.
    pub fn insert_with(&self, edit: impl FnOnce(&mut User)) -> u64 {
        lock(&self.0.store).insert(edit)
    }

    /// Removes a user for good; false if there is none.
    pub fn delete_user(&self, id: u64) -> bool {
        lock(&self.0.store).delete(id)
    }

    /// Renames a user, who moves if the list is ordered by name.
    pub fn rename_user(&self, id: u64, name: &str) -> bool {
        self.edit_user(id, |user| user.name = Text::from(name.to_owned()))
    }

    /// Changes any part of a user except the id.
    pub fn edit_user(&self, id: u64, edit: impl FnOnce(&mut User)) -> bool {
        lock(&self.0.store).edit(id, edit)
    }

    pub fn rename_group(&self, id: u64, name: &str) -> bool {
        lock(&self.0.store).rename_group(id, name)
    }

    /// Every user in the v4 shape, in list order. A `Value` sorts its members, so this is for
    /// comparing values, not bytes.
    pub fn users(&self) -> Vec<serde_json::Value> {
        let store = lock(&self.0.store);
        store.users.iter().filter_map(|user| serde_json::to_value(&**user).ok()).collect()
    }

    /// Every user as stored, in list order.
    pub fn records(&self) -> Vec<Arc<User>> {
        lock(&self.0.store).users.clone()
    }

    /// The answer of the legacy v1 users endpoint, parsed.
    pub fn legacy_users(&self, query: &[(String, String)]) -> Vec<serde_json::Value> {
        serde_json::from_str(&self.legacy_body(query)).unwrap_or_default()
    }

    /// The answer of the legacy v1 users endpoint, byte by byte.
    pub fn legacy_body(&self, query: &[(String, String)]) -> String {
        self.legacy_answer(Endpoint::Users, query)
    }

    /// The answer of the legacy v2 teams endpoint, parsed: every team, by ascending id.
    pub fn legacy_teams(&self) -> Vec<serde_json::Value> {
        serde_json::from_str(&self.legacy_answer(Endpoint::Teams, &[])).unwrap_or_default()
    }

    /// Every user in the documented Vonage shape, including archived ones, in list order.
    pub fn vonage_users(&self) -> Vec<serde_json::Value> {
        let value = |user: &Arc<User>| serde_json::to_value(documented(user)).ok();
        self.records().iter().filter_map(value).collect()
    }

    /// A new Vonage token for a client; `None` if the client is not known.
    pub fn vonage_token(&self, client_id: &str) -> Option<String> {
        let settings = &self.settings().vonage;
        settings
            .clients
            .iter()
            .any(|(id, _)| id == client_id)
            .then(|| lock(&self.0.tokens).issue(client_id, settings.token_lifetime))
    }

    pub fn expire_vonage_tokens(&self) {
        lock(&self.0.tokens).clear();
    }

    pub(crate) fn legacy_answer(&self, endpoint: Endpoint, query: &[(String, String)]) -> String {
        // The rows are shared, so the lock is not held while they are written.
        let rows = self.records();
        let teams = self.with_teams(<[_]>::to_vec);
        legacy::body(endpoint, rows.iter().map(|user| &**user), &teams, query)
    }
}
