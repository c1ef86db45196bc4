//! Which of several suggested settings spoils an answer: without it, and with all others, the answer is as it was.
//! Where no single one is to blame, those are that may change this part of an answer.

use std::collections::BTreeMap;

use report::Suggestion;

use super::overlay::{key_of, overlay};
use super::{Answered, Place, is_mended};
use crate::cause::{DELETED_AT, SettingKey};
use crate::compare::{BODY, ENVELOPE, RECORDS};
use crate::knowledge::TWO;
use crate::run::Run;

/// The most settings that are left out one by one.
const LEFT_OUT_MAX: usize = 32;

/// What is wrong at a place under the suggested settings.
pub(super) enum Fault {
    /// It agreed before.
    Spoiled,
    /// It still differs, though this setting was to explain it.
    Stays(SettingKey),
}

/// A fault in an answer, by the number of the answer.
pub(super) type Faulty = (usize, Place, Fault);

impl Run<'_> {
    /// How many faults speak against each setting.
    pub(super) async fn blame(
        &self,
        believed: &[&Suggestion],
        mut faults: Vec<Faulty>,
    ) -> BTreeMap<SettingKey, u64> {
        let mut against: BTreeMap<SettingKey, u64> = BTreeMap::new();
        let mut keys: Vec<SettingKey> = believed.iter().map(|one| key_of(one)).collect();
        let is_touched = |key: &SettingKey, (number, place, _): &Faulty| {
            touches(key, &self.remembered.answers[*number], &place.1)
        };
        // Those that may change such a place come first.
        keys.sort_by_cached_key(|key| !faults.iter().any(|fault| is_touched(key, fault)));
        for key in keys.iter().take(if keys.len() > 1 { LEFT_OUT_MAX } else { 0 }) {
            if faults.is_empty() {
                return against;
            }
            let mended = self.mended_without(key, believed, &faults).await;
            let mut is_left = mended.into_iter().map(|is_mended| !is_mended);
            let before = faults.len();
            faults.retain(|_| is_left.next().unwrap_or(true));
            if faults.len() < before {
                *against.entry(key.clone()).or_default() += (before - faults.len()) as u64;
            }
        }
        for fault in &faults {
            let blamed: Vec<&SettingKey> = match &fault.2 {
                Fault::Stays(key) => vec![key],
                Fault::Spoiled => {
                    let touching: Vec<_> =
                        keys.iter().filter(|key| is_touched(key, fault)).collect();
                    // Where no setting is known to change this, any of them may have.
                    if touching.is_empty() { keys.iter().collect() } else { touching }
                }
            };
            blamed.into_iter().for_each(|key| *against.entry(key.clone()).or_default() += 1);
        }
        against
    }

    /// Whether each place is equal under all settings but one.
    async fn mended_without(
        &self,
        key: &SettingKey,
        believed: &[&Suggestion],
        faults: &[Faulty],
    ) -> Vec<bool> {
        let others = believed.iter().copied().filter(|one| key_of(one) != *key);
        let overlay = overlay(others, self.sides.knowledge);
        let under = match self.sides.behind {
            Some(behind) => behind.under(&overlay).await,
            None => None,
        };
        let Some(Ok(candidate)) = under else { return vec![false; faults.len()] };
        let mut answers = BTreeMap::new();
        for (number, ..) in faults {
            if !answers.contains_key(number) {
                let one = &self.remembered.answers[*number];
                answers.insert(*number, self.differing_now(&*candidate, one).await);
            }
        }
        let is_equal = |(number, place, _): &Faulty| {
            let answer = answers.get(number).and_then(Option::as_ref);
            answer.is_some_and(|(reply, now)| {
                let is_same_status =
                    reply.status == self.remembered.answers[*number].control.status;
                is_same_status && is_mended(place, now)
            })
        };
        faults.iter().map(is_equal).collect()
    }
}

/// Whether a setting may change this part of an answer.
fn touches(key: &SettingKey, of: &Answered, field: &str) -> bool {
    if key.name == DELETED_AT {
        return field == RECORDS || field.starts_with(ENVELOPE);
    }
    let endpoint = of.scenario.endpoint.name;
    let Some(table) = key.table.strip_prefix("legacy.") else {
        // The other tables are of all endpoints.
        return true;
    };
    let mut parts = table.splitn(2, '.');
    if parts.next() != Some(endpoint) {
        return false;
    }
    let is_filter = |name: &str| {
        field == RECORDS && of.scenario.filters.iter().any(|(filter, _)| filter == name)
    };
    let two = TWO.iter().find(|two| two.setting == key.name);
    match (parts.next(), key.name.as_str()) {
        (Some("filters"), name) => is_filter(name),
        (Some("timezone_names"), _) => field == "timezone" || is_filter("timezone"),
        (Some("caller_id_groups"), _) => field == "caller_id" || is_filter("caller_id"),
        (Some("channel_types"), _) => field == "assigned_channels",
        (None, "envelope") => field.starts_with(ENVELOPE) || field == BODY,
        (None, "invalid_key") => matches!(field, "$status" | "$error"),
        (None, _) => two.is_some_and(|two| two.fields.contains(&field)),
        _ => true,
    }
}
