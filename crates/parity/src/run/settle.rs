//! Settles the settings at the end of a run. A setting explains a difference only if one of its values fits
//! every answer of control, also those where both sides agree. Without such a value the difference is a
//! bug.

use std::collections::{BTreeMap, BTreeSet};

use report::Suggestion;

use super::finished::Finished;
use crate::cause::{Setting, SettingKey, Vote};

/// Settles all differences that rest on settings, and returns the settings to suggest. A setting without a
/// fitting value is among them, with the evidence against it.
///
/// `failed` are settings that were tried and explain nothing, with the number of values that speak against each.
pub(super) fn settle(all: &mut [Finished], failed: &BTreeMap<SettingKey, u64>) -> Vec<Suggestion> {
    let mut suggested: BTreeMap<SettingKey, BTreeMap<String, u64>> = BTreeMap::new();
    for (setting, evidence) in all.iter().flat_map(|one| &one.settings) {
        let values = suggested.entry(setting.key.clone()).or_default();
        *values.entry(setting.value.clone()).or_default() += evidence;
    }
    let mut suggestions = Vec::new();
    let mut contradicted = BTreeSet::new();
    for (key, values) in suggested {
        let votes: Vec<&Vote> =
            all.iter().flat_map(|one| &one.votes).filter(|vote| vote.key == key).collect();
        let against = |value: &String| -> u64 {
            let others = votes.iter().filter(|vote| !vote.values.contains(value));
            others.map(|vote| vote.count).sum::<u64>() + failed.get(&key).copied().unwrap_or(0)
        };
        let suggestion = |value: &String, evidence: u64| Suggestion {
            table: key.table.clone(),
            line: Setting { key: key.clone(), value: value.clone() }.line(),
            evidence,
            against: against(value),
        };
        let fit = values.iter().filter(|(value, _)| against(value) == 0);
        match fit.max_by_key(|(_, evidence)| **evidence) {
            // An answer that several values fit may have suggested another one.
            Some((best, _)) => suggestions.push(suggestion(best, values.values().sum())),
            None => {
                suggestions.extend(values.iter().map(|(value, count)| suggestion(value, *count)));
                contradicted.insert(key);
            }
        }
    }
    for finished in all {
        finished.without(&contradicted);
    }
    suggestions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::finished::{RestingCount, RestingFinding};
    use crate::scenario::Scenario;
    use corpus::endpoint::ENDPOINTS;
    use report::{Cause, FieldReport, Finding, Outcome};

    fn key() -> SettingKey {
        SettingKey { table: "legacy.v1_users.filters".to_owned(), name: "sag".to_owned() }
    }

    /// A question that these values of a setting fit. `suggested` explains two of its records.
    fn question(fit: &[&str], suggested: Option<&str>) -> Finished {
        let mut finished = Finished::of(&Scenario::all(&ENDPOINTS[0]));
        let values = fit.iter().map(|value| (*value).to_owned()).collect();
        finished.votes.push(Vote { key: key(), values, count: 1 });
        let Some(value) = suggested else { return finished };
        let causes = BTreeMap::from([(Cause::Quirk, 2)]);
        let field = "$records".to_owned();
        finished.scenario.causes = causes.clone();
        finished.scenario.outcome = Outcome::Explained;
        finished.settings.push((Setting { key: key(), value: value.to_owned() }, 2));
        finished.fields.push(FieldReport { field: field.clone(), causes, ..Default::default() });
        let on = BTreeSet::from([key()]);
        finished.resting.push(RestingCount {
            field: field.clone(),
            cause: Cause::Quirk,
            on,
            count: 2,
        });
        let finding = Finding {
            endpoint: "v1_users".to_owned(),
            field,
            kind: "record missing".to_owned(),
            cause: Cause::Quirk,
            why: "another way".to_owned(),
            count: 2,
            records: 0,
            answers: 1,
            examples: Vec::new(),
        };
        let keys = std::collections::HashSet::new();
        finished.findings.push(RestingFinding { finding, rests_on: Some(key()), keys });
        finished
    }

    #[test]
    fn a_value_that_fits_every_answer_is_suggested_once() {
        let mut all = [
            question(&["ci", "contains"], Some("ci")),
            question(&["contains"], Some("contains")),
            question(&["exact", "ci", "contains"], None),
        ];
        let suggested = settle(&mut all, &BTreeMap::new());
        assert_eq!(suggested.len(), 1);
        assert_eq!(suggested[0].line, "sag = contains");
        assert_eq!((suggested[0].evidence, suggested[0].against), (4, 0));
        assert!(all[0].findings.iter().all(|found| found.finding.cause == Cause::Quirk));
    }

    #[test]
    fn an_entry_that_is_contradicted_does_not_show_its_key() {
        let mut all = [question(&["contains"], Some("contains")), question(&["exact"], None)];
        let (table, name) = ("legacy.v1_users.caller_id_groups", "\"12025550006\"");
        let entry = SettingKey { table: table.to_owned(), name: name.to_owned() };
        for finished in &mut all {
            finished.votes.iter_mut().for_each(|vote| vote.key = entry.clone());
            finished.settings.iter_mut().for_each(|(setting, _)| setting.key = entry.clone());
            finished.findings.iter_mut().for_each(|one| one.rests_on = Some(entry.clone()));
        }
        settle(&mut all, &BTreeMap::new());
        let why = &all[0].findings[0].finding.why;
        assert!(why.ends_with("no entry fits them all") && !why.contains("1202"), "{why}");
    }

    #[test]
    fn a_setting_that_another_answer_contradicts_explains_nothing() {
        // The second question is equal under the setting in force.
        let mut all = [question(&["contains"], Some("contains")), question(&["exact"], None)];
        let suggested = settle(&mut all, &BTreeMap::new());
        assert_eq!((suggested[0].evidence, suggested[0].against), (2, 1));
        let bugs = BTreeMap::from([(Cause::Bug, 2)]);
        assert_eq!(all[0].scenario.causes, bugs);
        assert_eq!(all[0].fields[0].causes, bugs);
        assert_eq!(all[0].scenario.outcome, Outcome::Different);
        let finding = &all[0].findings[0].finding;
        assert_eq!(finding.cause, Cause::Bug);
        assert!(finding.why.contains("speak against it"), "{}", finding.why);
    }
}
