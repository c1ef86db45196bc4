//! The report as plain values. The JSON report is these values, serialised; the other forms are drawn
//! from them.
//!
//! They must never contain a key, or an unmasked value of a person.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The format of the JSON report. It changes when a member is renamed or removed.
pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub format: u32,
    /// The version of Tieline that wrote it.
    pub version: String,
    pub verdict: Verdict,
    /// The reason, in one sentence.
    pub because: String,
    /// What a reader must know beside the verdict, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The beginning, RFC 3339 in UTC.
    pub started_at: String,
    /// The duration in seconds.
    pub seconds: f64,
    /// Control; absent where only properties were checked.
    pub control: Option<Side>,
    pub candidate: Side,
    /// The dialect of the upstream, such as `voiso-v4`; empty where it is not known.
    pub dialect: String,
    pub totals: Totals,
    /// Differences with one cause and one reason each, the worst first.
    pub findings: Vec<Finding>,
    /// One for each field of each endpoint, the worst first, and for the parts `$status`, `$header.<name>`, `$envelope`,
    /// `$error`, `$key` (whether a wrong key is refused), `$records` (which records are listed) and `$order`
    /// (in which order).
    pub fields: Vec<FieldReport>,
    /// The questions, those that differ first.
    pub scenarios: Vec<ScenarioReport>,
    pub settings: Vec<Suggestion>,
    pub properties: Vec<PropertyReport>,
    /// The ledger of losses, for the endpoints and the dialect at hand.
    pub ledger: Vec<Loss>,
    /// The calls to the new API, for each shape of legacy request.
    pub calls: Vec<V4Call>,
    #[serde(default)]
    pub left_out: LeftOut,
    /// The run under the suggested settings; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Replayed>,
}

/// The answers under the suggested settings, compared with those of control that were recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    pub questions: u64,
    /// How many fields of records and parts of answers differed.
    pub before: u64,
    /// How many would differ under the settings.
    pub after: u64,
    /// How many settings were to be tried.
    #[serde(default)]
    pub settings: u64,
    /// How many of them were tried: some answer that they explain was asked for again.
    #[serde(default)]
    pub settings_tried: u64,
    /// Fields that differ only in records which the settings bring in, so that no cause was found.
    #[serde(default)]
    pub unjudged: u64,
    /// How many answers were not compared again: an earlier run had them, or they were too large.
    #[serde(default)]
    pub missing: u64,
}

impl Replayed {
    /// Why the run does not prove that the settings explain what they are suggested for.
    pub fn doubt(&self) -> Option<String> {
        let (settings, tried) = (self.settings, self.settings_tried);
        if tried < settings {
            return Some(format!(
                "{} of {settings} suggested settings could not be tried; set them, and validate again",
                settings.saturating_sub(tried)
            ));
        }
        let told = match (self.unjudged, self.missing) {
            (0, 0) => return None,
            (0, missing) => {
                format!("{missing} answers were not tried under the suggested settings")
            }
            (fields, _) => {
                format!("{fields} fields differ in records that only the suggested settings list")
            }
        };
        Some(format!("{told}; set them, and validate again"))
    }
}

impl Report {
    /// Puts the worst first, for every form.
    pub fn sort(&mut self) {
        self.findings.sort_by_key(|finding| (finding.cause, std::cmp::Reverse(finding.count)));
        // A map of causes begins with the worst.
        let worst = |causes: &BTreeMap<Cause, u64>| causes.keys().next().copied();
        self.fields.sort_by_key(|field| (field.causes.is_empty(), worst(&field.causes)));
        self.scenarios.sort_by_key(|scenario| scenario.outcome.urgency());
        self.properties.sort_by_key(|property| (property.failed == 0, property.tried > 0));
    }

    /// Whether there was no control to compare with.
    pub fn is_of_candidate_alone(&self) -> bool {
        self.control.is_none()
    }

    /// Whether anything was not asked or not compared.
    pub fn is_partial(&self) -> bool {
        !self.asks_all() || !self.left_out.noisy.is_empty()
    }

    /// Whether nothing was left out, apart from fields that the legacy API answers differently each time.
    pub(crate) fn asks_all(&self) -> bool {
        let asked = LeftOut { noisy: Vec::new(), ..self.left_out.clone() };
        self.totals.ignored == 0 && asked.is_nothing()
    }
}

/// Questions and fields that options of the run have left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// Endpoints that were not asked.
    pub endpoints: Vec<String>,
    /// Fields that were not compared, such as `v1_users.sag`.
    pub fields: Vec<String>,
    /// Fields to be left out that no answer had; perhaps another one is meant.
    pub fields_unseen: Vec<String>,
    /// Questions that filter by a field that was left out.
    pub filtered: u64,
    /// Default questions with further values of a filter that were left out.
    pub values: u64,
    /// Default questions with two filters that were left out.
    pub pairs: u64,
    /// Fields of which control says something else each time, so that no value could be compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub noisy: Vec<String>,
}

impl LeftOut {
    /// Whether every default question was asked.
    pub fn is_nothing(&self) -> bool {
        *self == LeftOut::default()
    }
}

/// Whether one may switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every difference has a known cause.
    Agree,
    /// Some difference is unexplained.
    Differ,
    /// Not everything could be asked or compared.
    #[default]
    Undecided,
}

impl Verdict {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Agree => "agree",
            Verdict::Differ => "differ",
            Verdict::Undecided => "undecided",
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Side {
    /// `live`, `recording`, `in process` or `gateway`.
    pub kind: String,
    /// Scheme and host, or a file's name.
    pub name: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    pub scenarios: u64,
    /// Requests to control, the extra ones included.
    pub control_requests: u64,
    /// Requests to control that were made because something differed.
    pub control_requests_extra: u64,
    pub candidate_requests: u64,
    /// How often candidate answered 429 or 503 and was asked again. Its clients see these answers.
    #[serde(default)]
    pub candidate_busy: u64,
    /// Calls of candidate to the new API, where they are visible.
    pub upstream_calls: Option<u64>,
    pub records: u64,
    pub compared: u64,
    pub matched: u64,
    /// Values that were left out on request. They count neither as compared nor as matched.
    pub ignored: u64,
    /// Values that differ, by cause.
    pub causes: BTreeMap<Cause, u64>,
    pub undecided: u64,
    /// How many users of one whole list the new API holds differently; the most where lists differ.
    #[serde(default)]
    pub users_with_other_data: u64,
}

/// The word for the records of an endpoint, for one and for several.
pub fn records_of(endpoint: &str) -> (&'static str, &'static str) {
    match endpoint.rsplit('_').next() {
        Some("teams") => ("team", "teams"),
        Some("templates") => ("template", "templates"),
        _ => ("user", "users"),
    }
}

/// Why two answers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing known explains it.
    Bug,
    /// The new API holds another value than the legacy one, and it was translated faithfully.
    UpstreamData,
    /// A setting would make it equal.
    Quirk,
    /// The ledger says that the new API does not have it.
    DeclaredLoss,
    /// The same things in another order.
    Order,
    /// The data changed between the two readings.
    Race,
    /// Control does not answer the same twice.
    Noise,
}

impl Cause {
    /// All of them, the worst first.
    pub const ALL: [Cause; 7] = [
        Cause::Bug,
        Cause::UpstreamData,
        Cause::Quirk,
        Cause::DeclaredLoss,
        Cause::Order,
        Cause::Race,
        Cause::Noise,
    ];

    /// The word for a difference whose cause is not decided. A validation decides every cause; one pair of
    /// answers, as in shadow mode, cannot.
    pub const UNDECIDED: &str = "undecided";

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Bug => "bug",
            Cause::UpstreamData => "upstream_data",
            Cause::Quirk => "quirk",
            Cause::DeclaredLoss => "declared_loss",
            Cause::Order => "order",
            Cause::Race => "race",
            Cause::Noise => "noise",
        }
    }

    /// The words for people.
    pub fn title(self) -> &'static str {
        match self {
            Cause::UpstreamData => "upstream data",
            Cause::DeclaredLoss => "declared loss",
            one_word => one_word.as_str(),
        }
    }

    /// The meaning and the next step, in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Cause::Bug => "Nothing known explains it. Find out why before you switch.",
            Cause::UpstreamData => {
                "The new API holds another value than the legacy API. Tieline translated it correctly: \
                 correct the data."
            }
            Cause::Quirk => "A setting of Tieline makes it equal: see the settings.",
            Cause::DeclaredLoss => "The new API does not have this; the ledger says so.",
            Cause::Order => "The same things in another order.",
            Cause::Race => {
                "The data changed between the two answers. Asked again, both sides were equal."
            }
            Cause::Noise => "The legacy API answers differently each time it is asked.",
        }
    }

    /// Whether a validation fails because of it.
    pub fn is_unexplained(self) -> bool {
        self == Cause::Bug
    }
}

/// One field of one endpoint over all scenarios.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FieldReport {
    /// The endpoint, such as `v1_users`.
    pub endpoint: String,
    /// The field, or a part of the answer that begins with `$`.
    pub field: String,
    pub compared: u64,
    /// Values compared that are independent of each other. For a field of records this is the largest
    /// number in one question, because the same record under another question proves nothing new. For a
    /// part of the answer it is one for each question.
    #[serde(default)]
    pub distinct: u64,
    pub matched: u64,
    pub ignored: u64,
    /// Compared values that differ, by cause.
    pub causes: BTreeMap<Cause, u64>,
}

impl FieldReport {
    /// How many values were compared independently of each other.
    pub fn independent(&self) -> u64 {
        if self.distinct > 0 { self.distinct } else { self.compared }
    }

    /// Where no value differs, the largest share that may still differ, at 95 % confidence:
    /// 1 - 0.05^(1/n) for n independent values. `None` where something differs or nothing was compared.
    pub fn share_differing_at_most(&self) -> Option<f64> {
        let differing: u64 = self.causes.values().sum();
        (self.compared > 0 && differing == 0)
            .then(|| 1.0 - 0.05_f64.powf(1.0 / self.independent() as f64))
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ScenarioReport {
    /// A name that is the same in every run over the same data, such as `v1_users/sag/2`.
    pub id: String,
    pub endpoint: String,
    /// The request without its values.
    pub shape: String,
    /// Its purpose, such as `filter`, `pair`, `unknown value`, `odd characters`, `bad key`.
    pub group: String,
    pub outcome: Outcome,
    pub control_records: u64,
    pub candidate_records: u64,
    pub causes: BTreeMap<Cause, u64>,
    pub undecided_because: Option<String>,
    /// The time of control's whole answer, in milliseconds.
    pub control_ms: f64,
    /// The time of candidate's whole answer, in milliseconds.
    pub candidate_ms: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answers are equal.
    Equal,
    /// There are differences, and all have a known cause.
    Explained,
    /// Some difference is unexplained.
    Different,
    /// One side did not answer.
    #[default]
    Undecided,
}

impl Outcome {
    /// The rank for sorting: differences come first, then what could not be compared.
    fn urgency(self) -> u8 {
        match self {
            Outcome::Different => 0,
            Outcome::Undecided => 1,
            Outcome::Explained => 2,
            Outcome::Equal => 3,
        }
    }
}

/// Differences with the same endpoint, field, kind, cause and reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    pub endpoint: String,
    /// The field; below a field, its path, such as `assigned_channels[].type`.
    pub field: String,
    /// The kind of the difference: `value`, `type`, `absent`, `record missing`, `record extra`, `order`, ...
    pub kind: String,
    pub cause: Cause,
    /// The reason for the cause, in one sentence without a value.
    pub why: String,
    pub count: u64,
    /// How many records differ so; 0 where it is not about records, or not known.
    #[serde(default)]
    pub records: u64,
    /// In how many answers; 0 where that is not known.
    #[serde(default)]
    pub answers: u64,
    pub examples: Vec<Example>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Example {
    pub scenario: String,
    /// The record's id, where there is one.
    pub record: Option<String>,
    /// The part of the field that differs, such as `name "Sales"` of a skill, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Control's value, as JSON, masked; `(absent)` where there is none.
    pub control: String,
    pub candidate: String,
}

/// A setting under which values would become equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The table, such as `legacy.v1_users`.
    pub table: String,
    /// The line for that table, as TOML.
    pub line: String,
    /// How many values would become equal.
    pub evidence: u64,
    /// How many values contradict it.
    pub against: u64,
}

/// One check of candidate alone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PropertyReport {
    /// Its name, such as `filtered_is_part_of_all`.
    pub name: String,
    pub endpoint: String,
    /// The property, in one sentence.
    pub says: String,
    pub tried: u64,
    pub failed: u64,
    /// A few failures, without values.
    pub seen: Vec<String>,
}

/// A row of the ledger of losses, as `tieline losses --format json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    pub endpoint: String,
    pub field: String,
    pub dialect: String,
    /// `exact`, `renamed`, `derived`, `dictionary`, `defaulted` or `unavailable`.
    pub status: String,
    /// The reason, as a word that rules test. The report leaves it out.
    #[serde(default, skip_serializing)]
    pub code: String,
    /// The reason, in one sentence for people; no rule reads it.
    pub reason: String,
}

/// The calls to the new API for one shape of legacy request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct V4Call {
    /// The legacy request, without values.
    pub legacy: String,
    /// The first call, without the values of parameters except those of paging.
    pub v4: String,
    pub calls: u64,
}
