//! Why two answers differ. A cause other than `bug` needs evidence: a setting was tried on the data and
//! makes the values equal, the ledger declares the loss *and* candidate shows what the ledger says, or the
//! new API itself holds the other value. A difference without evidence is a bug.

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

/// The codes of the ledger that a rule tests.
const EMPTY_TEAMS_MISSING: &str = "empty_teams_missing";
const VANISHED_USERS_MISSING: &str = "vanished_users_missing";

/// The cause of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The cause.
    pub cause: Cause,
    /// The reason for the cause, a sentence without a value.
    pub why: String,
    /// The setting that would make the values equal.
    pub setting: Option<Setting>,
}

/// A line of configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setting {
    /// Its table, and its name there.
    pub key: SettingKey,
    /// The value, as TOML.
    pub value: String,
}

/// The name of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SettingKey {
    /// Its table.
    pub table: String,
    /// Its name in the table, as TOML.
    pub name: String,
}

impl Setting {
    /// The line in its table.
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

/// A string in TOML.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default().replace('\u{7f}', "\\u007F")
}

/// Everything that a judgement uses.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The endpoint that was asked.
    pub endpoint: &'static Endpoint,
    /// The facts about candidate.
    pub knowledge: &'a Knowledge,
    /// Its settings for the endpoint.
    pub settings: &'a Settings,
    /// The member by which records are aligned.
    pub keyed_by: KeyedBy,
    /// The rows of the new API for the records that differ, if it could be asked. A record without a row
    /// does not exist there.
    pub witness: Option<&'a witness::Rows>,
    /// The values of control and candidate that stood side by side.
    pub pairs: &'a Pairs,
    /// The facts from the whole lists.
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
    /// The new API's own list of teams.
    pub new_teams: Teams,
    /// The facts of each endpoint.
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
    /// Notes the teams that a user of control names.
    pub(crate) fn note_teams(&mut self, user: &Node) {
        let teams = self.teams_of_users.get_or_insert_default();
        for field in ["assigned_teams", "agent_in_teams", "supervisor_in_teams"] {
            let text = user.get(field).and_then(Node::text).unwrap_or_default();
            teams.extend(text.split(", ").map(str::to_owned));
        }
    }
}

/// Facts from the whole list of an endpoint.
#[derive(Debug, Default)]
pub struct KnownEndpoint {
    /// The values that filters look at, of control's records.
    pub control: Index,
    /// The same of candidate's records.
    pub candidate: Index,
    /// The values that stood side by side.
    pub pairs: Pairs,
    /// By filter, the modes that fit every answer so far, as TOML.
    ways: HashMap<String, BTreeSet<String>>,
    /// Judged differences, by record.
    judged: HashMap<String, Vec<(DifferenceId, Judgement)>>,
}

impl KnownEndpoint {
    /// Notes a judgement, for the same difference in the answer to another question.
    pub fn note(&mut self, id: DifferenceId, judgement: Judgement) {
        let record = id.record.clone().unwrap_or_default();
        self.judged.entry(record).or_default().push((id, judgement));
    }

    /// The judgement of a difference that occurred before.
    pub fn judged(&self, id: &DifferenceId) -> Option<&Judgement> {
        let record = id.record.as_deref().unwrap_or_default();
        let of_record = self.judged.get(record)?;
        of_record.iter().find(|(known, _)| known == id).map(|(_, judgement)| judgement)
    }

    /// The judgement of a difference in a field of a record.
    pub fn field(&self, record: &str, field: &str) -> Option<&Judgement> {
        let of_record = self.judged.get(record)?;
        let is_it = |id: &DifferenceId| id.path.split('[').next() == Some(field);
        of_record.iter().find(|(id, _)| is_it(id)).map(|(_, judgement)| judgement)
    }
}

/// The identity of a difference: record, path and both values as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DifferenceId {
    record: Option<String>,
    path: String,
    values: Option<(String, String)>,
}

impl DifferenceId {
    /// The identity of a difference. For a record that only one side has, its content does not count.
    pub fn of(difference: &Difference) -> DifferenceId {
        let text = |node: &Option<Node>| node.as_ref().map(Node::to_json).unwrap_or_default();
        let values = match difference.kind {
            Kind::Missing | Kind::Extra => {
                Some((difference.kind.as_str().to_owned(), String::new()))
            }
            _ => Some((text(&difference.control), text(&difference.candidate))),
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

    /// Judges a record that only one side lists.
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

    /// Whether the ledger has a row with this code for the records of the endpoint.
    fn declares(&self, code: &str) -> bool {
        self.knowledge.ledger.iter().any(|loss| {
            loss.endpoint == self.endpoint.name
                && loss.dialect == self.knowledge.dialect
                && loss.field == "id"
                && loss.code == code
        })
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
            Teams::Refused => Judgement::new(
                Cause::DeclaredLoss,
                "no user names this team, and the new API has no list of teams for this key",
            ),
        }
    }

    /// Judges a team or a former user that only control lists, with nothing but the ledger as evidence.
    pub(crate) fn declared_missing(&self) -> Judgement {
        match self.declares(EMPTY_TEAMS_MISSING) || self.declares(VANISHED_USERS_MISSING) {
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

/// The values of `deleted_at` under which a user is listed, or is not.
pub(crate) fn deletion_rules<'a>(
    endpoint: &'a Endpoint,
    row: &'a Node,
    is_listed: bool,
) -> impl Iterator<Item = &'static str> + 'a {
    let rules = ["unless_live", "always", "never"].into_iter();
    rules.filter(move |rule| witness::is_listed(endpoint, row, rule) == is_listed)
}
