//! Why two answers differ. A cause other than `bug` needs evidence: a setting was tried on the data and
//! makes the values equal, the ledger declares the loss *and* candidate shows what the ledger says, or the
//! new API itself holds the other value. A difference without evidence is a bug.

mod entries;
mod filtered;
pub(crate) mod forms;
mod pairs;
mod values;
mod votes;
mod whole;

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use corpus::endpoint::Endpoint;
use corpus::node::Node;
use report::Cause;
use serde::{Deserialize, Serialize};

use crate::compare::{Difference, Kind, MEMBERS, ORDER, RECORDS};
use crate::filter::Index;
use crate::knowledge::{Knowledge, Settings};
use crate::list::{KeyedBy, List, Record};
use crate::witness;
pub use pairs::Pairs;
pub(crate) use values::{NOTHING_KNOWN, stands_twice};
pub use votes::Vote;
pub(crate) use votes::votes;
pub(crate) use whole::ENVELOPES;

/// The codes of the ledger for records that may be missing.
const EMPTY_TEAMS_MISSING: &str = "empty_teams_missing";
const VANISHED_USERS_MISSING: &str = "vanished_users_missing";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub cause: Cause,
    /// The reason for the cause, a sentence without a value.
    pub why: String,
    pub setting: Option<Setting>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setting {
    pub key: SettingKey,
    /// The value, as TOML.
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettingKey {
    pub table: String,
    /// Its name in the table, as TOML.
    pub name: String,
}

impl Setting {
    pub fn line(&self) -> String {
        format!("{} = {}", self.key.name, self.value)
    }
}

impl Judgement {
    pub(crate) fn new(cause: Cause, why: &str) -> Judgement {
        Judgement { cause, why: why.to_owned(), setting: None }
    }

    pub(crate) fn bug(why: &str) -> Judgement {
        Judgement::new(Cause::Bug, why)
    }

    fn loss(why: &str) -> Judgement {
        Judgement::new(Cause::DeclaredLoss, why)
    }

    pub(crate) fn quirk(table: String, name: &str, value: String, why: &str) -> Judgement {
        let key = SettingKey { table, name: name.to_owned() };
        let setting = Some(Setting { key, value });
        Judgement { cause: Cause::Quirk, why: why.to_owned(), setting }
    }
}

/// The setting in `[legacy]` that decides whether the body of a request has filters.
pub(crate) const BODY_PARAMETERS: &str = "body_parameters";

/// A string in TOML.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default().replace('\u{7f}', "\\u007F")
}

#[derive(Debug)]
pub struct Evidence<'a> {
    pub endpoint: &'static Endpoint,
    pub knowledge: &'a Knowledge,
    pub settings: &'a Settings,
    pub keyed_by: KeyedBy,
    /// The rows of the new API for the records that differ, if it could be asked. A record without a row
    /// does not exist there.
    pub witness: Option<&'a witness::Rows>,
    /// The values of control and candidate that stood side by side.
    pub pairs: &'a Pairs,
    pub known: &'a Known,
    /// A cache: the judgement that control compares the filters of this question in another way.
    pub mode: OnceCell<Option<Judgement>>,
}

/// Facts from the whole lists, for the questions after them.
#[derive(Debug, Default)]
pub struct Known {
    /// Names of teams by id, as control lists them.
    pub teams: HashMap<String, String>,
    /// The ids or names of teams that control's users name; `None` where no list of users was read.
    pub teams_of_users: Option<HashSet<String>>,
    pub new_teams: Teams,
    /// The id of a user whom control lists as deleted and nowhere else.
    pub deleted: Option<String>,
    pub endpoints: HashMap<&'static str, KnownEndpoint>,
}

/// The new API's list of teams, which no page of the vendor describes.
#[derive(Debug, Default)]
pub enum Teams {
    /// The list was not asked for, or not answered.
    #[default]
    Unknown,
    /// The key may not read it.
    Refused,
    /// The ids in it.
    Listed(HashSet<String>),
}

impl Known {
    /// Notes the teams that control's users name.
    pub(crate) fn note_teams(&mut self, users: &List<'_>) {
        let teams = self.teams_of_users.get_or_insert_default();
        for user in users.records.iter().map(Record::node) {
            for field in ["assigned_teams", "agent_in_teams", "supervisor_in_teams"] {
                let text = user.get(field).and_then(Node::text).unwrap_or_default();
                teams.extend(text.split(", ").map(str::to_owned));
            }
        }
    }
}

#[derive(Debug, Default)]
pub struct KnownEndpoint {
    pub control: Index,
    pub candidate: Index,
    pub pairs: Pairs,
    /// By filter, the modes that fit every answer so far, as TOML.
    ways: HashMap<String, BTreeSet<String>>,
    judged: HashMap<String, Vec<(DifferenceId, Judgement)>>,
    /// Fields of records that control says something else in each time it is asked.
    noisy: HashSet<(String, String)>,
    /// Fields that are noise in most records of the whole list.
    noisy_fields: HashSet<String>,
}

impl KnownEndpoint {
    /// Notes a judgement, for the same difference in the answer to another question.
    pub fn note(&mut self, id: DifferenceId, judgement: Judgement) {
        let record = id.record.clone().unwrap_or_default();
        self.judged.entry(record).or_default().push((id, judgement));
    }

    /// Notes the noise in a whole list of `records`. A record counts once, even if several parts of its field
    /// differ.
    pub(crate) fn note_noise(&mut self, noisy: &[(&str, &str)], records: u64) {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for (record, field) in noisy.iter().copied().collect::<HashSet<_>>() {
            *counts.entry(field).or_default() += 1;
            self.noisy.insert((record.to_owned(), field.to_owned()));
        }
        let most = counts.into_iter().filter(|(_, count)| count * 10 >= records * 8);
        self.noisy_fields.extend(most.map(|(field, _)| field.to_owned()));
    }

    /// Whether control is known to say something else in a field each time it is asked.
    pub(crate) fn is_noisy(&self, record: &str, field: &str) -> bool {
        self.noisy_fields.contains(field)
            || self.noisy.contains(&(record.to_owned(), field.to_owned()))
    }

    /// The judgement of a difference that occurred before.
    pub fn judged(&self, id: &DifferenceId) -> Option<&Judgement> {
        let record = id.record.as_deref().unwrap_or_default();
        self.of_record(record, |known| known == id)
    }

    pub fn field(&self, record: &str, field: &str) -> Option<&Judgement> {
        self.of_record(record, |known| known.path.split('[').next() == Some(field))
    }

    fn of_record(&self, record: &str, is_it: impl Fn(&DifferenceId) -> bool) -> Option<&Judgement> {
        let found = self.judged.get(record)?.iter().find(|(known, _)| is_it(known));
        found.map(|(_, judgement)| judgement)
    }
}

/// The identity of a difference: record, path and both values as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DifferenceId {
    record: Option<String>,
    path: String,
    values: (String, String),
}

impl DifferenceId {
    /// The identity of a difference. For a record that only one side has, its content does not count.
    pub fn of(difference: &Difference) -> DifferenceId {
        let text = |node: &Option<Node>| node.as_ref().map(Node::to_json).unwrap_or_default();
        let values = match difference.kind {
            Kind::Missing | Kind::Extra => (difference.kind.as_str().to_owned(), String::new()),
            _ => (text(&difference.control), text(&difference.candidate)),
        };
        DifferenceId { record: difference.record.clone(), path: difference.path.clone(), values }
    }
}

impl Evidence<'_> {
    /// Judges a difference of an unfiltered list. `control` and `candidate` are the whole records, where
    /// both sides have one.
    pub fn judge(
        &self,
        difference: &Difference,
        control: Option<&Node>,
        candidate: Option<&Node>,
    ) -> Judgement {
        if difference.kind == Kind::Order {
            let why = match difference.field.as_str() {
                ORDER => "the same records in another order",
                MEMBERS => "the same members of a record in another order",
                _ => "the same parts in another order",
            };
            return Judgement::new(Cause::Order, why);
        }
        match (&difference.record, difference.field.as_str()) {
            (None, _) => self.whole(difference),
            (Some(key), RECORDS) => self.listed(difference, key),
            (Some(key), _) => self.value(difference, key, control, candidate),
        }
    }

    fn listed(&self, difference: &Difference, key: &str) -> Judgement {
        match (difference.kind, self.endpoint.name) {
            (Kind::Missing | Kind::Extra, _) if self.endpoint.has_pages() => {
                self.template(difference.kind, key)
            }
            (Kind::Missing, "v2_cdr_teams") => {
                let name = difference.control.as_ref().and_then(|team| team.get("name"));
                self.team_missing(key, name.and_then(Node::text).unwrap_or_default())
            }
            (Kind::Missing, _) => self.user_missing(key),
            (Kind::Extra, "v2_cdr_teams") => Judgement::bug("control has no such team"),
            (Kind::Extra, _) => self.user_extra(key),
            _ => Judgement::bug("a record stands more often on one side"),
        }
    }

    /// Whether the ledger has a row with this code for the records of the endpoint.
    fn declares(&self, code: &str) -> bool {
        self.knowledge.losses().any(|loss| {
            loss.endpoint == self.endpoint.name && loss.field == "id" && loss.code == code
        })
    }

    /// Whether the ledger says that records of the endpoint may be missing.
    pub(crate) fn declares_missing(&self) -> bool {
        [EMPTY_TEAMS_MISSING, VANISHED_USERS_MISSING].into_iter().any(|code| self.declares(code))
    }

    fn team_missing(&self, key: &str, name: &str) -> Judgement {
        let is_declared = self.declares(EMPTY_TEAMS_MISSING);
        let named = self.known.teams_of_users.as_ref();
        if named.is_some_and(|teams| teams.contains(key) || teams.contains(name)) {
            return Judgement::bug("users name this team");
        }
        if !is_declared {
            return Judgement::bug("candidate does not list what control lists");
        }
        match &self.known.new_teams {
            Teams::Listed(ids) if ids.contains(key) => {
                Judgement::bug("the new API lists this team")
            }
            Teams::Listed(_) => {
                Judgement::new(Cause::UpstreamData, "the new API does not list this team")
            }
            Teams::Unknown => Judgement::bug("whether the new API lists this team is not known"),
            Teams::Refused if named.is_none() => {
                Judgement::bug("control's lists of users could not be read, which name the teams")
            }
            Teams::Refused => Judgement::loss(
                "no user names this team, and the new API has no list of teams for this key",
            ),
        }
    }

    /// A template that only one side lists.
    fn template(&self, kind: Kind, key: &str) -> Judgement {
        let is_there = self.witness.map(|rows| rows.contains_key(key));
        match (kind, is_there) {
            (Kind::Missing, Some(false)) => {
                Judgement::new(Cause::UpstreamData, "the new API does not list this template")
            }
            (Kind::Missing, Some(true)) => Judgement::bug("the new API lists this template"),
            (Kind::Missing, None) => Judgement::bug("candidate does not list what control lists"),
            (_, Some(true)) => Judgement::bug(
                "control does not list this template: may its key see less than `sees` of the caller says?",
            ),
            (_, Some(false)) => {
                Judgement::bug("neither control nor the new API lists this template")
            }
            (_, None) => Judgement::bug("candidate lists what control does not list"),
        }
    }

    fn user_missing(&self, key: &str) -> Judgement {
        let Some(rows) = self.witness else {
            return Judgement::bug("candidate does not list what control lists");
        };
        let current = self.knowledge.deleted_at.as_str();
        match rows.get(key) {
            None if self.endpoint.name == "v2_cdr_deleted_agents" => Judgement::loss(
                "the new API does not list this deleted user any more; the roster remembers those \
                 who vanish from now on",
            ),
            None => Judgement::new(Cause::UpstreamData, "the new API does not list this user"),
            Some(row) if witness::is_listed(self.endpoint, row, current) => {
                Judgement::bug("the new API lists this user")
            }
            Some(row) => self.other_deletion_rule(row, true),
        }
    }

    fn user_extra(&self, key: &str) -> Judgement {
        let Some(rows) = self.witness else {
            return Judgement::bug("candidate lists what control does not list");
        };
        let current = self.knowledge.deleted_at.as_str();
        match rows.get(key) {
            None => Judgement::bug("neither control nor the new API lists this user"),
            Some(row) if !witness::is_listed(self.endpoint, row, current) => {
                Judgement::bug("by its deletion date the user does not belong to this list")
            }
            // A caller must never see more than control's key: no cause excuses that.
            Some(row) if !witness::has_deletion_date(row) => Judgement::bug(
                "control does not list this user: may its key see less than `sees` of the caller says?",
            ),
            Some(row) => self.other_deletion_rule(row, false),
        }
    }

    /// The value of `deleted_at` under which a user is listed, or is not, as wanted.
    fn other_deletion_rule(&self, row: &Node, wanted: bool) -> Judgement {
        match deletion_rules(self.endpoint, row, wanted).next() {
            Some(rule) => Judgement::quirk(
                format!("upstream.{}", self.knowledge.upstream),
                DELETED_AT,
                quoted(rule),
                "the user has a deletion date, and the two sides read it in different ways",
            ),
            None => Judgement::new(Cause::UpstreamData, NO_AGREEMENT),
        }
    }
}

/// The reason where no value of `deleted_at` fits.
pub(crate) const NO_AGREEMENT: &str =
    "the new API and the legacy one do not agree on whether the user is deleted";

/// The setting that decides which users are deleted.
pub(crate) const DELETED_AT: &str = "deleted_at";

pub(crate) const DELETION_RULES: [&str; 3] = ["unless_live", "always", "never"];

/// The values of `deleted_at` under which a user is listed, or is not.
pub(crate) fn deletion_rules<'a>(
    endpoint: &'a Endpoint,
    row: &'a Node,
    is_listed: bool,
) -> impl Iterator<Item = &'static str> + 'a {
    let is_it = move |rule: &&str| witness::is_listed(endpoint, row, rule) == is_listed;
    DELETION_RULES.into_iter().filter(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_once_in_the_noise_of_a_field() {
        let of = |noisy: &[(&str, &str)]| {
            let mut known = KnownEndpoint::default();
            known.note_noise(noisy, 4);
            known.is_noisy("9", "assigned_skills")
        };
        let each = ["1", "2", "3", "4"].map(|record| (record, "assigned_skills"));
        assert!(of(&each));
        assert!(!of(&[each[0]; 4]), "one record has four parts that differ");
    }
}
