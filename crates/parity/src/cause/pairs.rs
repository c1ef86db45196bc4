//! Which values of control and candidate stand side by side, for the fields that a dictionary may
//! translate. A dictionary explains nothing where one value would need two translations.

use std::collections::{BTreeMap, HashMap};

use corpus::node::Node;

use crate::{witness, zone};

/// The fields that dictionaries translate.
const FIELDS: [&str; 4] = ["caller_id", "timezone", "sag", "status"];
/// The member of `assigned_channels` that a dictionary translates.
pub(super) const CHANNEL_TYPE: &str = "assigned_channels[].type";

/// The fields whose form one setting decides for all records.
const DECIDED: [&str; 5] =
    ["assigned_teams", "agent_in_teams", "supervisor_in_teams", "employee_id", "status"];

/// How often two values stood side by side.
#[derive(Debug, Default)]
pub struct Pairs {
    /// By path, candidate's value and control's value.
    beside: HashMap<String, HashMap<String, BTreeMap<String, u64>>>,
    /// By field, how often a value was equal whose form a setting decides.
    held: HashMap<&'static str, u64>,
    /// How often one side had the id of a zone and the other side its name.
    zones_otherwise: u64,
}

impl Pairs {
    pub fn note(&mut self, control: &Node, candidate: &Node) {
        for field in DECIDED {
            let (control, candidate) = (control.get(field), candidate.get(field));
            if control == candidate && candidate.is_some_and(|value| is_deciding(field, value)) {
                *self.held.entry(field).or_default() += 1;
            }
        }
        let zones = (control.get("timezone"), candidate.get("timezone"));
        if let (Some(Node::Text(control)), Some(Node::Text(candidate))) = zones
            && zone::rails_name(control).is_some_and(|name| name != zone::id(control))
            && zone::id(control) == zone::id(candidate)
        {
            let is_id = |text: &str| zone::id(text) == text;
            match (control == candidate, is_id(control) == is_id(candidate)) {
                (true, _) => *self.held.entry("timezone").or_default() += 1,
                (false, false) => self.zones_otherwise += 1,
                (false, true) => {}
            }
        }
        for field in FIELDS {
            if let (Some(control), Some(candidate)) = (control.get(field), candidate.get(field)) {
                self.pair(field, control, candidate);
            }
        }
        let channels =
            |node: &Node| node.get("assigned_channels").and_then(Node::list).map(<[_]>::to_vec);
        let both = (channels(control), channels(candidate));
        let (Some(control), Some(candidate)) = both else { return };
        if control.len() != candidate.len() {
            return;
        }
        for (control, candidate) in control.iter().zip(&candidate) {
            if control.get("value") != candidate.get("value") {
                continue;
            }
            if let (Some(control), Some(candidate)) = (control.get("type"), candidate.get("type")) {
                self.pair(CHANNEL_TYPE, control, candidate);
            }
        }
    }

    fn pair(&mut self, path: &str, control: &Node, candidate: &Node) {
        if !self.beside.contains_key(path) {
            self.beside.insert(path.to_owned(), HashMap::new());
        }
        let Some(of_path) = self.beside.get_mut(path) else { return };
        let beside = of_path.entry(candidate.to_json()).or_default();
        *beside.entry(control.to_json()).or_default() += 1;
    }

    /// Whether control always had this value beside candidate's value.
    pub fn is_function(&self, path: &str, candidate: &Node, control: &Node) -> bool {
        let beside = self.beside.get(path).and_then(|values| values.get(&candidate.to_json()));
        beside.is_some_and(|beside| beside.len() == 1 && beside.contains_key(&control.to_json()))
    }

    /// Whether candidate always had one value beside control's value.
    pub fn is_inverse(&self, path: &str, control: &Node) -> bool {
        let control = control.to_json();
        let beside = self.beside.get(path).into_iter().flatten();
        beside.filter(|(_, values)| values.contains_key(&control)).count() <= 1
    }

    /// Whether candidate has this value in any record.
    pub fn is_shown(&self, path: &str, value: &Node) -> bool {
        self.beside.get(path).is_some_and(|values| values.contains_key(&value.to_json()))
    }

    /// Whether control has this value in any record.
    pub fn is_beside(&self, path: &str, value: &Node) -> bool {
        let value = value.to_json();
        self.beside.get(path).into_iter().flatten().any(|(_, beside)| beside.contains_key(&value))
    }

    /// How often control had this value.
    pub fn times(&self, path: &str, control: &Node) -> u64 {
        let control = control.to_json();
        let beside = self.beside.get(path).into_iter().flatten();
        beside.filter_map(|(_, values)| values.get(&control)).sum()
    }

    /// How often the two stood side by side, and how often candidate's value stood beside another one.
    pub fn evidence(&self, path: &str, candidate: &Node, control: &Node) -> (u64, u64) {
        let beside = self.beside.get(path).and_then(|values| values.get(&candidate.to_json()));
        let Some(beside) = beside else { return (0, 0) };
        let of = beside.get(&control.to_json()).copied().unwrap_or(0);
        (of, beside.values().sum::<u64>() - of)
    }

    /// How often a value of the field is equal that would differ under another value of its setting.
    pub fn held(&self, field: &str) -> u64 {
        let held = self.held.get(field).copied().unwrap_or(0);
        // Some zones of the new API are names already, which are equal under either value.
        let is_mixed = field == "timezone" && self.zones_otherwise > held;
        if is_mixed { 0 } else { held }
    }

    /// Whether candidate has the same value in all records.
    pub fn is_constant(&self, path: &str) -> bool {
        self.beside.get(path).is_some_and(|values| values.len() == 1)
    }
}

/// Whether a value would look otherwise under another setting.
fn is_deciding(field: &str, value: &Node) -> bool {
    match (field, value) {
        ("employee_id", Node::Number(_)) => true,
        ("status", Node::Text(text)) => {
            let lower = text.to_lowercase();
            witness::title(&lower) != lower
        }
        ("employee_id", Node::Text(text)) => {
            text.parse::<u64>().is_ok_and(|number| number.to_string() == *text)
        }
        (_, Node::Text(text)) => !text.is_empty(),
        _ => false,
    }
}
