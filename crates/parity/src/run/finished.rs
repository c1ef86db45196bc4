//! The result of one question: counts, findings, and the votes of control's answer for settings.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use corpus::endpoint::endpoint;
use corpus::node::Node;
use report::{Cause, Example, FieldReport, Finding, ScenarioReport};
use serde::{Deserialize, Serialize};

use crate::cause::{Judgement, Setting, SettingKey, Vote};
use crate::compare::{Compared, Difference, parts};
use crate::mask::Mask;
use crate::scenario::Scenario;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Finished {
    pub(super) scenario: ScenarioReport,
    /// By field, in the order in which the fields were met.
    pub(super) fields: Vec<FieldReport>,
    pub(super) findings: Vec<RestingFinding>,
    /// Settings that would make values equal, and how many values.
    pub(super) settings: Vec<(Setting, u64)>,
    /// Differences that settings explain, as long as these settings hold.
    pub(super) resting: Vec<RestingCount>,
    pub(super) votes: Vec<Vote>,
    pub(super) records: u64,
    /// Whether candidate's answer shows that it is a gateway; `None` where it tells neither.
    #[serde(default)]
    pub(super) looks_like_tieline: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RestingFinding {
    pub(super) finding: Finding,
    pub(super) rests_on: Option<SettingKey>,
    /// Hashes of the keys of the records that differ so. The keys may be e-mail addresses, so no file has
    /// them.
    #[serde(skip)]
    pub(super) keys: HashSet<u64>,
}

/// How many records differ in a field for one cause, and the settings that this cause rests on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RestingCount {
    pub(super) field: String,
    pub(super) cause: Cause,
    pub(super) on: BTreeSet<SettingKey>,
    pub(super) count: u64,
}

/// How differences become examples of a finding.
pub(super) struct Showing<'a> {
    pub(super) examples_max: usize,
    pub(super) mask: &'a Mask,
    /// The records of a key, of both sides.
    pub(super) records: &'a dyn Fn(&str) -> Vec<Node>,
}

impl Finished {
    pub(super) fn of(scenario: &Scenario) -> Finished {
        Finished {
            scenario: ScenarioReport {
                id: scenario.id.clone(),
                endpoint: scenario.endpoint.name.to_owned(),
                shape: scenario.ask.shape(),
                group: scenario.group.as_str().to_owned(),
                ..ScenarioReport::default()
            },
            ..Finished::default()
        }
    }

    /// Leaves out the fields that are not to be compared. They count as ignored, never as matched.
    pub(super) fn ignore(
        &mut self,
        compared: &mut Compared,
        ignored: &[(String, String)],
        mask: &Mask,
    ) {
        let mut counter = Counter::of(self);
        for (endpoint, field) in ignored {
            if *endpoint != counter.finished.scenario.endpoint {
                continue;
            }
            if let Some(tally) = compared.tallies.remove(field) {
                counter.field(&mask.name(field)).ignored += tally.compared;
            }
            compared.differences.retain(|difference| difference.field != *field);
        }
    }

    /// Counts the answers of a question that were compared and judged; the outcome follows from the causes.
    pub(super) fn count(
        &mut self,
        compared: &Compared,
        judged: Vec<Judgement>,
        showing: &Showing<'_>,
    ) {
        let mut counter = Counter::of(self);
        counter.tallies(compared, showing.mask);
        counter.causes(compared, &judged, showing.mask);
        for (difference, judgement) in compared.differences.iter().zip(judged) {
            counter.finding(difference, judgement, showing);
        }
        self.scenario.outcome = match self.scenario.causes.keys().next() {
            None => report::Outcome::Equal,
            Some(Cause::Bug) => report::Outcome::Different,
            Some(_) => report::Outcome::Explained,
        };
        self.hide(showing.mask);
    }

    /// Turns every difference that rests on one of these settings into a bug.
    pub(super) fn without(&mut self, contradicted: &BTreeSet<SettingKey>) {
        for one in &mut self.findings {
            let Some(key) = one.rests_on.take_if(|key| contradicted.contains(key)) else {
                continue;
            };
            one.finding.cause = Cause::Bug;
            // The key of an entry is data, and one finding tells all entries of a dictionary.
            let none = match key.name.starts_with('"') {
                true => "no entry fits them all".to_owned(),
                false => format!("no value of {} fits them all", key.name),
            };
            one.finding.why = format!(
                "{}, but other answers of control speak against it: {none}",
                one.finding.why
            );
        }
        let is_left =
            |one: &RestingCount| one.cause == Cause::Bug || one.on.is_disjoint(contradicted);
        let (left, resting) = std::mem::take(&mut self.resting).into_iter().partition(is_left);
        self.resting = left;
        let resting: Vec<RestingCount> = resting;
        let mut counter = Counter::of(self);
        for one in resting {
            move_to_bugs(&mut counter.finished.scenario.causes, one.cause, one.count);
            move_to_bugs(&mut counter.field(&one.field).causes, one.cause, one.count);
            counter.finished.scenario.outcome = report::Outcome::Different;
        }
    }

    /// Removes the keys that a side may have repeated.
    pub(super) fn hide(&mut self, mask: &Mask) {
        mask.secrets.hide_in_scenario(&mut self.scenario);
        for one in &mut self.findings {
            mask.secrets.hide_in_findings(std::slice::from_mut(&mut one.finding), &mut []);
        }
        for (setting, _) in &mut self.settings {
            setting.value = mask.secrets.hide(&setting.value);
        }
        for vote in &mut self.votes {
            vote.values = vote.values.iter().map(|value| mask.secrets.hide(value)).collect();
        }
    }
}

/// The most parts of a list that are named.
const PARTS_MAX: usize = 5;

/// The part of a field that differs: the element of a list, such as `name "Sales"`, or the parts that only one
/// side has.
fn part(
    endpoint_name: &str,
    difference: &Difference,
    mask: &Mask,
    records: &[Node],
) -> Option<String> {
    if let Some((path, value)) = difference.part.as_deref() {
        let member = path.rsplit('.').next().unwrap_or_default();
        return Some(format!("{member} {}", mask.show(path, Some(value), records)));
    }
    let (path, both) = parts(endpoint(endpoint_name)?, difference)?;
    let said = ["only the legacy API has", "only Tieline has"].into_iter().zip(&both);
    let said = said.filter(|(_, values)| !values.is_empty()).map(|(says, values)| {
        let shown = values.iter().take(PARTS_MAX);
        let shown: Vec<String> = shown.map(|one| mask.show(&path, Some(one), records)).collect();
        let more = if values.len() > PARTS_MAX { " and others" } else { "" };
        format!("{says} {}{more}", shown.join(", "))
    });
    Some(said.collect::<Vec<_>>().join("; ")).filter(|said| !said.is_empty())
}

/// Equal for equal keys in this process only.
fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Moves a number of differences from one cause to the bugs.
fn move_to_bugs(causes: &mut BTreeMap<Cause, u64>, from: Cause, count: u64) {
    if let Some(left) = causes.get_mut(&from) {
        *left = left.saturating_sub(count);
        if *left == 0 {
            causes.remove(&from);
        }
    }
    *causes.entry(Cause::Bug).or_default() += count;
}

/// The worst cause of a field, and the settings that its causes rest on.
type Explained = (Cause, BTreeSet<SettingKey>);

/// Differences make one finding if path, kind, cause, reason and setting are equal.
type Alike = (String, &'static str, Cause, String, Option<SettingKey>);

/// Counts into a [`Finished`]. An answer may have any number of fields, so places are looked up by key
/// and never searched for.
struct Counter<'a> {
    finished: &'a mut Finished,
    fields: HashMap<String, usize>,
    findings: HashMap<Alike, usize>,
    settings: HashMap<Setting, usize>,
}

impl<'a> Counter<'a> {
    fn of(finished: &'a mut Finished) -> Counter<'a> {
        let fields = finished.fields.iter().enumerate();
        let fields = fields.map(|(place, one)| (one.field.clone(), place)).collect();
        Counter { finished, fields, findings: HashMap::new(), settings: HashMap::new() }
    }

    fn field(&mut self, name: &str) -> &mut FieldReport {
        let all = &mut self.finished.fields;
        let endpoint = &self.finished.scenario.endpoint;
        let place = *self.fields.entry(name.to_owned()).or_insert_with_key(|field| {
            let (endpoint, field) = (endpoint.clone(), field.clone());
            all.push(FieldReport { endpoint, field, ..FieldReport::default() });
            all.len() - 1
        });
        &mut all[place]
    }

    fn tallies(&mut self, compared: &Compared, mask: &Mask) {
        self.finished.records = compared.common_records;
        for (name, tally) in &compared.tallies {
            // Several names may look alike once they are masked.
            let field = self.field(&mask.name(name));
            field.compared += tally.compared;
            field.distinct += tally.compared;
            field.matched += tally.matched;
        }
    }

    /// Counts each field of a record once, under the worst of its causes.
    fn causes(&mut self, compared: &Compared, judged: &[Judgement], mask: &Mask) {
        let mut worst: HashMap<(Option<&str>, &str), Explained> = HashMap::new();
        for (difference, judgement) in compared.differences.iter().zip(judged) {
            let of = (difference.record.as_deref(), difference.field.as_str());
            let (cause, on) = worst.entry(of).or_insert((judgement.cause, BTreeSet::new()));
            *cause = judgement.cause.min(*cause);
            on.extend(judgement.setting.as_ref().map(|setting| setting.key.clone()));
        }
        let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
        let mut resting: BTreeMap<(&str, Cause, BTreeSet<SettingKey>), u64> = BTreeMap::new();
        for ((_, name), (cause, on)) in worst {
            *self.field(&mask.name(name)).causes.entry(cause).or_default() += 1;
            *causes.entry(cause).or_default() += 1;
            if !on.is_empty() {
                *resting.entry((name, cause, on)).or_default() += 1;
            }
        }
        let resting = resting.into_iter();
        let resting = resting.map(|((field, cause, on), count)| RestingCount {
            field: mask.name(field),
            cause,
            on,
            count,
        });
        self.finished.resting = resting.collect();
        self.finished.scenario.causes = causes;
    }

    fn finding(&mut self, difference: &Difference, judgement: Judgement, showing: &Showing<'_>) {
        let mask = showing.mask;
        let path = mask.name(&difference.path);
        let kind = difference.kind.as_str();
        let Judgement { cause, why, setting } = judgement;
        let rests_on = setting.as_ref().map(|setting| setting.key.clone());
        let all = &mut self.finished.findings;
        let alike = self.findings.entry((path, kind, cause, why, rests_on));
        let place = *alike.or_insert_with_key(|(path, _, _, why, rests_on)| {
            let finding = Finding {
                endpoint: self.finished.scenario.endpoint.clone(),
                field: path.clone(),
                kind: kind.to_owned(),
                cause,
                why: why.clone(),
                count: 0,
                records: 0,
                answers: 1,
                examples: Vec::new(),
            };
            let (rests_on, keys) = (rests_on.clone(), HashSet::new());
            all.push(RestingFinding { finding, rests_on, keys });
            all.len() - 1
        });
        all[place].keys.extend(difference.record.as_deref().map(hash));
        let finding = &mut all[place].finding;
        finding.count += 1;
        if finding.examples.len() < showing.examples_max {
            let key = difference.record.as_deref();
            let records = key.map(|key| (showing.records)(key)).unwrap_or_default();
            let [control, candidate] = mask.both(difference, &records);
            finding.examples.push(Example {
                scenario: self.finished.scenario.id.clone(),
                record: key.map(|key| mask.record(key, &records)),
                part: part(&finding.endpoint, difference, mask, &records),
                control,
                candidate,
            });
        }
        let Some(setting) = setting else { return };
        let all = &mut self.finished.settings;
        let place = *self.settings.entry(setting).or_insert_with_key(|setting| {
            all.push((setting.clone(), 0));
            all.len() - 1
        });
        all[place].1 += 1;
    }
}
