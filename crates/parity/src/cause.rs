//! Why two answers differ. A cause other than `bug` needs evidence: the setting that would make it
//! equal was tried on the data, the ledger declares the loss *and* candidate shows what the ledger
//! says, or the new API itself holds the other value. Whatever has none is a bug.

mod filtered;
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
use crate::list::KeyedBy;
use crate::witness;
pub use pairs::Pairs;
pub use votes::Vote;
pub(crate) use votes::votes;

/// Why something differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The cause.
    pub cause: Cause,
    /// Why that is the cause: a sentence without a value.
    pub why: String,
    /// The setting that would make it equal.
    pub setting: Option<Setting>,
}

/// A line of configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setting {
    /// The table it belongs to, and its name there.
    pub key: SettingKey,
    /// The value, as TOML.
    pub value: String,
}

/// Which setting.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettingKey {
    /// The table it belongs to.
    pub table: String,
    /// Its name there, as TOML.
    pub name: String,
}

impl Setting {
    /// As it stands in its table.
    pub fn line(&self) -> String {
        format!("{} = {}", self.key.name, self.value)
    }
}

impl Judgement {
    fn new(cause: Cause, why: &str) -> Judgement {
        Judgement { cause, why: why.to_owned(), setting: None }
    }

    fn bug(why: &str) -> Judgement {
        Judgement::new(Cause::Bug, why)
    }

    fn quirk(table: String, name: &str, value: String, why: &str) -> Judgement {
        let key = SettingKey { table, name: name.to_owned() };
        let setting = Some(Setting { key, value });
        Judgement { cause: Cause::Quirk, why: why.to_owned(), setting }
    }
}

/// A string as TOML writes it.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default().replace('\u{7f}', "\\u007F")
}

/// Everything a judgement rests on.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The endpoint that was asked.
    pub endpoint: &'static Endpoint,
    /// What is known of candidate.
    pub knowledge: &'a Knowledge,
    /// Its settings for the endpoint.
    pub settings: &'a Settings,
    /// By what records were aligned.
    pub keyed_by: KeyedBy,
    /// What the new API holds of the records that differ, if it could be asked: one that is not in
    /// here is not there.
    pub witness: Option<&'a witness::Rows>,
    /// Which values of control stood beside which of candidate.
    pub pairs: &'a Pairs,
    /// What the full lists told before.
    pub known: &'a Known,
    /// The way in which control compares the filter of this question, once it was looked for.
    pub mode: OnceCell<Option<Judgement>>,
}

/// What the full lists told, to be used for the questions after them.
#[derive(Debug, Default)]
pub struct Known {
    /// Names of teams by id, as control lists them.
    pub teams: HashMap<String, String>,
    /// Teams that users of control name, by id or name; `None` where no list of users was read.
    pub teams_of_users: Option<HashSet<String>>,
    /// The new API's own list of teams.
    pub new_teams: Teams,
    /// By endpoint.
    pub endpoints: HashMap<&'static str, KnownEndpoint>,
}

/// The new API's list of teams, which no page of the vendor names.
#[derive(Debug, Default)]
pub enum Teams {
    /// It was not asked, or did not answer.
    #[default]
    Unknown,
    /// There is none for this key.
    Refused,
    /// The ids in it.
    Listed(HashSet<String>),
}

impl Known {
    /// Notes which teams a user of control names.
    pub(crate) fn note_teams(&mut self, user: &Node) {
        let teams = self.teams_of_users.get_or_insert_default();
        for field in ["assigned_teams", "agent_in_teams", "supervisor_in_teams"] {
            let text = user.get(field).and_then(Node::text).unwrap_or_default();
            teams.extend(text.split(", ").map(str::to_owned));
        }
    }
}

/// What the full list of an endpoint told.
#[derive(Debug, Default)]
pub struct KnownEndpoint {
    /// What filters look at, of control.
    pub control: Index,
    /// The same of candidate.
    pub candidate: Index,
    /// Which values stood side by side.
    pub pairs: Pairs,
    /// By filter, the ways of comparing it that fit every answer so far, as TOML.
    ways: HashMap<String, BTreeSet<String>>,
    /// Differences that were judged, by record.
    judged: HashMap<String, Vec<(Seen, Judgement)>>,
}

impl KnownEndpoint {
    /// Notes a judgement, to be used again where the same difference is seen under another question.
    pub fn note(&mut self, seen: Seen, judgement: Judgement) {
        let record = seen.record.clone().unwrap_or_default();
        self.judged.entry(record).or_default().push((seen, judgement));
    }

    /// The judgement of a difference that was seen before.
    pub fn judged(&self, seen: &Seen) -> Option<&Judgement> {
        let record = seen.record.as_deref().unwrap_or_default();
        let of_record = self.judged.get(record)?;
        of_record.iter().find(|(known, _)| known == seen).map(|(_, judgement)| judgement)
    }

    /// The judgement of a record's field, whatever its values.
    pub fn field(&self, record: &str, field: &str) -> Option<&Judgement> {
        let of_record = self.judged.get(record)?;
        let is_it = |seen: &Seen| seen.path.split('[').next() == Some(field);
        of_record.iter().find(|(seen, _)| is_it(seen)).map(|(_, judgement)| judgement)
    }
}

/// A difference that was seen: record, path and both values as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    record: Option<String>,
    path: String,
    values: Option<(String, String)>,
}

impl Seen {
    /// Names a difference. Records that only one side has are named without their text.
    pub fn of(difference: &Difference) -> Seen {
        let text = |node: &Option<Node>| node.as_ref().map(Node::to_json).unwrap_or_default();
        let values = match difference.kind {
            Kind::Missing | Kind::Extra => {
                Some((difference.kind.as_str().to_owned(), String::new()))
            }
            _ => Some((text(&difference.control), text(&difference.candidate))),
        };
        Seen { record: difference.record.clone(), path: difference.path.clone(), values }
    }
}

impl Evidence<'_> {
    /// Judges a difference of an unfiltered list. The records are the whole ones, where there are
    /// two.
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

    /// A record that one side lists and the other does not.
    fn listed(&self, difference: &Difference, key: &str) -> Judgement {
        match (difference.kind, self.endpoint.name) {
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

    fn team_missing(&self, key: &str, name: &str) -> Judgement {
        let is_declared = self.knowledge.ledger.iter().any(|loss| {
            loss.endpoint == self.endpoint.name
                && loss.dialect == self.knowledge.dialect
                && loss.field == "id"
                && loss.reason.contains("without members")
        });
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
            Teams::Refused => Judgement::new(
                Cause::DeclaredLoss,
                "no user names this team, and the new API has no list of teams for this key",
            ),
        }
    }

    /// A team or a former user that control lists alone, where nothing but the ledger can be asked.
    pub(crate) fn declared_missing(&self) -> Judgement {
        let is_declared = self.knowledge.ledger.iter().any(|loss| {
            loss.endpoint == self.endpoint.name
                && loss.dialect == self.knowledge.dialect
                && loss.field == "id"
                && loss.reason.contains("missing")
        });
        match is_declared {
            true => Judgement::new(
                Cause::DeclaredLoss,
                "the ledger says that some are missing; whether these are, only a validation can tell",
            ),
            false => Judgement::bug("candidate does not list what control lists"),
        }
    }

    fn user_missing(&self, key: &str) -> Judgement {
        let Some(rows) = self.witness else {
            return Judgement::bug("candidate does not list what control lists");
        };
        let current = self.knowledge.deleted_at.as_str();
        match rows.get(key) {
            None if self.endpoint.name == "v2_cdr_deleted_agents" => Judgement::new(
                Cause::DeclaredLoss,
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
            // Whoever sees more than the key of control is told more than before: nothing excuses that.
            Some(row) if !witness::has_deletion_date(row) => Judgement::bug(
                "control does not list this user: may its key see less than `sees` of the caller says?",
            ),
            Some(row) => self.other_deletion_rule(row, false),
        }
    }

    /// Whether another value of `deleted_at` would list a user, or not list it.
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

/// Why no value of `deleted_at` explains who is listed.
pub(crate) const NO_AGREEMENT: &str =
    "the new API and the legacy one do not agree on whether the user is deleted";

/// The setting that says who is deleted.
pub(crate) const DELETED_AT: &str = "deleted_at";

/// The values of `deleted_at` under which a user is listed, or is not.
pub(crate) fn deletion_rules<'a>(
    endpoint: &'a Endpoint,
    row: &'a Node,
    is_listed: bool,
) -> impl Iterator<Item = &'static str> + 'a {
    let rules = ["unless_live", "always", "never"].into_iter();
    rules.filter(move |rule| witness::is_listed(endpoint, row, rule) == is_listed)
}
