//! What a validation found, as plain values. The JSON report is this file, serialised; the other
//! reports are drawn from it.
//!
//! Must never hold a key, nor a value of a person that was not masked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The shape of the JSON report; it changes when a member is renamed or taken away.
pub const FORMAT: u32 = 1;

/// Everything one validation found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of Tieline that wrote it.
    pub version: String,
    /// May one switch?
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub because: String,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Who was control; absent where only properties were checked.
    pub control: Option<Side>,
    /// Who was candidate.
    pub candidate: Side,
    /// The upstream's dialect, such as `voiso-v4`; empty where it is not known.
    pub dialect: String,
    /// Counts over everything.
    pub totals: Totals,
    /// One for each field of each endpoint, and for `$status`, `$header.<name>`, `$envelope`,
    /// `$error`, `$records` (who is listed) and `$order` (in which order).
    pub fields: Vec<FieldReport>,
    /// One for each question that was asked.
    pub scenarios: Vec<ScenarioReport>,
    /// Differences with one cause and one reason each, the worst first.
    pub findings: Vec<Finding>,
    /// Settings under which differences would go away.
    pub settings: Vec<Suggestion>,
    /// Checks of candidate alone.
    pub properties: Vec<PropertyReport>,
    /// The ledger of losses, for the endpoints and the dialect at hand.
    pub ledger: Vec<Loss>,
    /// What was asked of the new API for each shape of legacy request.
    pub calls: Vec<V4Call>,
    /// What could have been asked and was not.
    #[serde(default)]
    pub left_out: LeftOut,
}

impl Report {
    /// Whether candidate was not compared with anybody.
    pub fn is_of_candidate_alone(&self) -> bool {
        self.control.is_none()
    }

    /// Whether anything was not asked or not looked at.
    pub fn is_partial(&self) -> bool {
        self.totals.ignored > 0 || !self.left_out.is_nothing()
    }
}

/// What was not asked, or not looked at, because somebody wanted it so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeftOut {
    /// Endpoints that were not asked.
    pub endpoints: Vec<String>,
    /// Fields that were not compared, such as `v1_users.sag`.
    pub fields: Vec<String>,
    /// Those of them that no answer had: perhaps another one is meant.
    pub fields_unseen: Vec<String>,
    /// Questions that filter by such a field.
    pub filtered: u64,
    /// Questions with more values of one filter, of those that are asked by default.
    pub values: u64,
    /// Questions with two filters, of those that are asked by default.
    pub pairs: u64,
}

impl LeftOut {
    /// Whether all was asked that is asked by default.
    pub fn is_nothing(&self) -> bool {
        *self == LeftOut::default()
    }
}

/// May one switch?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every difference has a cause that is known.
    Agree,
    /// Some difference is unexplained.
    Differ,
    /// Not everything could be asked or compared.
    #[default]
    Undecided,
}

impl Verdict {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Agree => "agree",
            Verdict::Differ => "differ",
            Verdict::Undecided => "undecided",
        }
    }
}

/// One side of the comparison.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Side {
    /// `live`, `recording`, `in process` or `gateway`.
    pub kind: String,
    /// Scheme and host, or a file's name.
    pub name: String,
}

/// Counts over everything.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Questions put to both sides.
    pub scenarios: u64,
    /// Requests to control, the extra ones included.
    pub control_requests: u64,
    /// Requests to control for what differed.
    pub control_requests_extra: u64,
    /// Requests to candidate.
    pub candidate_requests: u64,
    /// How often candidate answered 429 or 503 and was asked once more: its clients see these.
    #[serde(default)]
    pub candidate_busy: u64,
    /// Calls that candidate made to the new API, where they can be seen.
    pub upstream_calls: Option<u64>,
    /// Records that both sides listed.
    pub records: u64,
    /// Values compared.
    pub compared: u64,
    /// Of these equal.
    pub matched: u64,
    /// Values that were left out on request; neither compared nor matched.
    pub ignored: u64,
    /// Values that differ, by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// Scenarios that could not be compared.
    pub undecided: u64,
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
    /// The ledger says that the new API cannot tell.
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

    /// As in JSON.
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

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Cause::Bug => "bug",
            Cause::UpstreamData => "upstream data",
            Cause::Quirk => "quirk",
            Cause::DeclaredLoss => "declared loss",
            Cause::Order => "order",
            Cause::Race => "race",
            Cause::Noise => "noise",
        }
    }

    /// What it means and what to do, in one sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Cause::Bug => "Nothing known explains it: do not switch before somebody has looked.",
            Cause::UpstreamData => {
                "The new API holds another value, and it was translated faithfully: mend the data."
            }
            Cause::Quirk => "A setting would make it equal: see the settings.",
            Cause::DeclaredLoss => "The ledger says that the new API cannot tell.",
            Cause::Order => "The same things in another order.",
            Cause::Race => "The data changed between the two readings; asked again, it was equal.",
            Cause::Noise => "The legacy API does not answer the same twice.",
        }
    }

    /// Whether a validation fails over it.
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
    /// Values compared.
    pub compared: u64,
    /// Values compared that are sure to tell something new. Of a record's field, the most that one
    /// question had: the same record under another question says nothing more. Of the answer as a
    /// whole, one for each question.
    #[serde(default)]
    pub distinct: u64,
    /// Of those compared equal.
    pub matched: u64,
    /// Left out on request.
    pub ignored: u64,
    /// Of those compared, the ones that differ, by cause.
    pub causes: BTreeMap<Cause, u64>,
}

impl FieldReport {
    /// How many values were compared independently of each other.
    pub fn independent(&self) -> u64 {
        if self.distinct > 0 { self.distinct } else { self.compared }
    }

    /// Where no value differs, the largest share that may differ all the same, at 95 % confidence:
    /// 1 - 0.05^(1/n) of n independent values. `None` where something differs or nothing was compared.
    pub fn share_differing_at_most(&self) -> Option<f64> {
        let differing: u64 = self.causes.values().sum();
        (self.compared > 0 && differing == 0)
            .then(|| 1.0 - 0.05_f64.powf(1.0 / self.independent() as f64))
    }
}

/// One question.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ScenarioReport {
    /// A name that is the same in every run over the same data, such as `v1_users/sag/2`.
    pub id: String,
    /// The endpoint.
    pub endpoint: String,
    /// The request without its values.
    pub shape: String,
    /// What it is for, such as `filter`, `pair`, `unknown value`, `odd characters`, `bad key`.
    pub group: String,
    /// How it went.
    pub outcome: Outcome,
    /// Records of control.
    pub control_records: u64,
    /// Records of candidate.
    pub candidate_records: u64,
    /// Differences by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// Why it could not be compared.
    pub undecided_because: Option<String>,
    /// Time to control's whole answer, in milliseconds.
    pub control_ms: f64,
    /// Time to candidate's whole answer, in milliseconds.
    pub candidate_ms: f64,
}

/// How a question went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The same answer.
    Equal,
    /// Differences, all of them with a known cause.
    Explained,
    /// Some difference is unexplained.
    Different,
    /// One side did not answer.
    #[default]
    Undecided,
}

/// Differences that have endpoint, field, kind, cause and reason in common.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// The endpoint.
    pub endpoint: String,
    /// The field; below a field, its path, such as `assigned_channels[].type`.
    pub field: String,
    /// What differs: `value`, `type`, `absent`, `record missing`, `record extra`, `order`, ...
    pub kind: String,
    /// The cause.
    pub cause: Cause,
    /// Why that is the cause, in one sentence without a value.
    pub why: String,
    /// How many.
    pub count: u64,
    /// A few of them.
    pub examples: Vec<Example>,
}

/// Two values side by side, masked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Example {
    /// The scenario it was seen in.
    pub scenario: String,
    /// The record's id, where there is one.
    pub record: Option<String>,
    /// What control said, as JSON, masked; `(absent)` where it said nothing.
    pub control: String,
    /// What candidate said.
    pub candidate: String,
}

/// A setting under which differences would go away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The table, such as `legacy.v1_users`.
    pub table: String,
    /// The line to put there, as TOML.
    pub line: String,
    /// How many values would become equal by it.
    pub evidence: u64,
    /// How many values speak against it.
    pub against: u64,
}

/// One check of candidate alone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PropertyReport {
    /// Its name, such as `filtered_is_part_of_all`.
    pub name: String,
    /// The endpoint.
    pub endpoint: String,
    /// What must hold, in one sentence.
    pub says: String,
    /// How often it was tried.
    pub tried: u64,
    /// How often it did not hold.
    pub failed: u64,
    /// What was seen where it did not hold, without values.
    pub seen: Vec<String>,
}

/// A row of the ledger of losses, as `tieline losses --format json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The endpoint.
    pub endpoint: String,
    /// The field.
    pub field: String,
    /// The dialect.
    pub dialect: String,
    /// `exact`, `renamed`, `derived`, `dictionary`, `defaulted` or `unavailable`.
    pub status: String,
    /// Why, in one sentence.
    pub reason: String,
}

/// What one shape of legacy request costs and becomes in the new API.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct V4Call {
    /// The legacy request, without values.
    pub legacy: String,
    /// The first call made for it, values of parameters left out but for paging.
    pub v4: String,
    /// Calls made for it in all.
    pub calls: u64,
}
