//! Why the values of a field differ.

use corpus::node::Node;
use report::Cause;

use super::forms::another_form;
use super::pairs::CHANNEL_TYPE;
use super::{Evidence, Judgement, quoted};
use crate::compare::Difference;
use crate::knowledge::{LOWER, Settings, TITLE, TWO};
use crate::list::KeyedBy;
use crate::{witness, zone};

/// The reason of a bug without one. A rule that the values follow may still be found.
pub(crate) const NOTHING_KNOWN: &str = "nothing known explains it";

/// The roles of Vonage, which replace groups.
const ROLES: [&str; 4] = ["Admin", "Supervisor", "Agent", "Wallboard"];

/// Whether a record has a field more than once.
pub(crate) fn stands_twice(record: Option<&Node>, field: &str) -> bool {
    match record {
        Some(Node::Object(all)) => all.iter().filter(|(name, _)| name == field).count() > 1,
        _ => false,
    }
}

impl Evidence<'_> {
    /// Judges a field of a record that both sides have.
    pub(super) fn value(
        &self,
        difference: &Difference,
        key: &str,
        control: Option<&Node>,
        candidate: Option<&Node>,
    ) -> Judgement {
        let field = difference.field.as_str();
        if stands_twice(control, field) || stands_twice(candidate, field) {
            return Judgement::bug("a field stands more than once in a record");
        }
        let (Some(of_control), Some(of_candidate)) = (
            control.and_then(|record| record.get(field)),
            candidate.and_then(|record| record.get(field)),
        ) else {
            return match difference.control.is_some() {
                true => Judgement::bug("candidate lacks a field that control has"),
                false => Judgement::bug("control lacks a field that candidate has"),
            };
        };
        if field == "id" && self.keyed_by == KeyedBy::Email {
            return self.other_id(key, of_control, of_candidate);
        }
        match self.witness {
            Some(rows) => match rows.get(key) {
                Some(row) => self.by_witness(difference, row, of_control, of_candidate),
                None if self.endpoint.has_pages() => {
                    Judgement::bug("the new API does not list this template")
                }
                None => Judgement::bug("the new API does not list this user"),
            },
            None => self.by_model(difference, of_control, of_candidate),
        }
    }

    fn other_id(&self, key: &str, control: &Node, candidate: &Node) -> Judgement {
        if !matches!(control, Node::Number(_)) {
            return Judgement::bug(
                "control's ids are no numbers, and a map of ids gives nothing else",
            );
        }
        let faithful = match self.witness {
            Some(rows) => rows.get(key).is_some_and(|row| {
                witness::expected("id", row, self.settings).as_ref() == Some(candidate)
            }),
            // Voiso's new API keeps the legacy ids; the ids of other vendors are not numbers.
            None => self.knowledge.dialect != "voiso-v4" && matches!(candidate, Node::Number(_)),
        };
        if !faithful {
            return Judgement::bug(
                "candidate numbers users as neither control nor the new API does",
            );
        }
        Judgement::quirk(
            format!("upstream.{}", self.knowledge.upstream),
            "id_policy",
            quoted("map"),
            "the two sides number users in different ways; a map of ids joins them",
        )
    }

    fn by_witness(
        &self,
        difference: &Difference,
        row: &Node,
        control: &Node,
        candidate: &Node,
    ) -> Judgement {
        let field = difference.field.as_str();
        let expected = |settings: &Settings| witness::expected(field, row, settings);
        match expected(self.settings) {
            Some(faithful) if faithful == *candidate => {}
            Some(_) => {
                return Judgement::bug("the new API holds another value than candidate shows");
            }
            None => return Judgement::bug("a field that the legacy API is not known to have"),
        }
        for (setting, value, settings) in alternatives(self.settings) {
            // The setting is no explanation where equal values would differ under its other value.
            if expected(&settings).as_ref() == Some(control) && self.pairs.held(field) == 0 {
                return self.other_value(setting, value);
            }
        }
        self.dictionary(difference, row.get(field), control, candidate).unwrap_or_else(|| {
            let faithful =
                "the new API holds another value than the legacy one, translated faithfully";
            in_another_form(difference)
                .unwrap_or_else(|| Judgement::new(Cause::UpstreamData, faithful))
        })
    }

    /// Judges without a row of the new API. Only the ledger, or the data as a whole, explains a difference
    /// then.
    fn by_model(&self, difference: &Difference, control: &Node, candidate: &Node) -> Judgement {
        let field = difference.field.as_str();
        match self.knowledge.status(self.endpoint.name, field) {
            // Where control shows nothing either, only the form differs, and that is not a loss.
            "unavailable" if *candidate == nothing(field) && !is_nothing(control) => {
                return Judgement::loss("the new API has no such field");
            }
            "defaulted" if self.is_default(field, control, candidate) => {
                return Judgement::loss(
                    "the new API has no such field; everybody has the configured value",
                );
            }
            _ => {}
        }
        let settings = self.settings;
        let other = |setting: &str, value: &str| match self.pairs.held(field) {
            0 => self.other_value(setting, value),
            _ => Judgement::bug("other records are equal under the setting as it is"),
        };
        match (field, control, candidate) {
            ("employee_id", Node::Number(number), Node::Text(text))
                if settings.employee_id == "string" && number.to_string() == *text =>
            {
                return other(field, "number");
            }
            ("employee_id", Node::Text(text), Node::Number(number))
                if settings.employee_id == "number" && number.to_string() == *text =>
            {
                return other(field, "string");
            }
            ("status", Node::Text(of_control), Node::Text(of_candidate))
                if of_control != of_candidate
                    && of_control.to_lowercase() == of_candidate.to_lowercase() =>
            {
                let lower = of_control.to_lowercase();
                let style = match () {
                    () if *of_control == lower => LOWER,
                    () if *of_control == witness::title(&lower) => TITLE,
                    () => return Judgement::bug(NOTHING_KNOWN),
                };
                return other("style", style);
            }
            ("timezone", Node::Text(of_control), Node::Text(of_candidate))
                if zone::id(of_control) == zone::id(of_candidate) =>
            {
                if witness::time_zone(candidate, settings) != *candidate {
                    return Judgement::bug("candidate does not show zones as it is set to");
                }
                // Where other zones are equal under the setting in force, only an own name of this zone
                // can explain it.
                let is_id = |zone: &String| zone::id(zone) == zone;
                let is_open = self.pairs.held(field) == 0;
                if is_open && is_id(of_control) && settings.timezone == "rails" {
                    return other(field, "upstream");
                }
                if is_open && is_id(of_candidate) && settings.timezone == "upstream" {
                    return other(field, "rails");
                }
                return self
                    .dictionary(difference, None, control, candidate)
                    .unwrap_or_else(|| Judgement::bug(NOTHING_KNOWN));
            }
            ("assigned_teams" | "agent_in_teams" | "supervisor_in_teams", _, _) => {
                let (setting, current) = match field {
                    "supervisor_in_teams" => (field, &settings.supervisor_in_teams),
                    _ => ("assigned_teams", &settings.assigned_teams),
                };
                // Where the setting has this value already, candidate is wrong.
                if let Some(value) =
                    self.other_team_list(control, candidate).filter(|v| v != current)
                {
                    return other(setting, value);
                }
            }
            _ => {}
        }
        self.dictionary(difference, None, control, candidate)
            .or_else(|| in_another_form(difference))
            .unwrap_or_else(|| Judgement::bug(NOTHING_KNOWN))
    }

    /// Whether candidate shows the configured default. Where the configuration is not known: whether
    /// candidate shows the same value for all users, and control shows a value here.
    fn is_default(&self, field: &str, control: &Node, candidate: &Node) -> bool {
        match (self.knowledge.defaults.get(field), candidate) {
            (Some(None), shown) => *shown == Node::Null,
            (Some(Some(zone)), Node::Text(shown)) => zone::id(zone) == zone::id(shown),
            (Some(Some(_)), _) => false,
            (None, Node::Null) => true,
            (None, _) => self.pairs.is_constant(field) && !is_nothing(control),
        }
    }

    /// The form of control, ids or names, where the two sides show the same teams in different forms.
    fn other_team_list(&self, control: &Node, candidate: &Node) -> Option<&'static str> {
        let (control, candidate) = (control.text()?, candidate.text()?);
        let names = |ids: &str| -> Option<String> {
            let names: Option<Vec<&str>> =
                ids.split(", ").map(|id| self.known.teams.get(id).map(String::as_str)).collect();
            names.map(|names| names.join(", "))
        };
        if names(candidate).as_deref() == Some(control) {
            return Some("names");
        }
        (names(control).as_deref() == Some(candidate)).then_some("ids")
    }

    /// The judgement that an entry of a dictionary makes the values equal, or that no entry can. An entry
    /// that changes nothing explains nothing.
    fn dictionary(
        &self,
        difference: &Difference,
        raw: Option<&Node>,
        control: &Node,
        candidate: &Node,
    ) -> Option<Judgement> {
        let judgement = self.entry(difference, raw, control, candidate)?;
        let is_in_force = judgement.setting.as_ref().is_some_and(|setting| {
            let (_, dictionary) = setting.key.table.rsplit_once('.').unwrap_or_default();
            let key: String = serde_json::from_str(&setting.key.name).unwrap_or_default();
            let value: String = serde_json::from_str(&setting.value).unwrap_or_default();
            let settings = self.settings;
            let shown = match dictionary {
                "timezone_names" => settings.timezone_names.get(&key).map_or_else(
                    || (settings.timezone == "rails").then(|| zone::rails_name(&key)).flatten(),
                    |name| Some(name.as_str()),
                ),
                "caller_id_groups" => settings.caller_id_groups.get(&key).map(String::as_str),
                "channel_types" => Some(witness::channel(&key, settings)),
                "statuses" => settings.statuses.get(&key).map(String::as_str),
                _ => None,
            };
            shown == Some(value.as_str())
        });
        match is_in_force {
            true => Some(Judgement::bug(
                "the settings say so already, and candidate shows another value",
            )),
            false => Some(judgement),
        }
    }

    /// The same, whether the entry is in force or not. `raw` is the value of the new API, where that is known.
    fn entry(
        &self,
        difference: &Difference,
        raw: Option<&Node>,
        control: &Node,
        candidate: &Node,
    ) -> Option<Judgement> {
        match (difference.path.as_str(), control, candidate) {
            ("caller_id", Node::Text(group), Node::Text(number)) => self.caller_id(
                group,
                raw.and_then(Node::text).unwrap_or(number),
                control,
                candidate,
            ),
            ("timezone", Node::Text(name), Node::Text(shown)) => {
                let zone = raw.and_then(Node::text).unwrap_or(zone::id(shown));
                let is_entry = self.pairs.is_function("timezone", candidate, control);
                if zone::id(name) == zone::id(zone) {
                    return Some(self.zone_name(zone, name, is_entry));
                }
                let is_other_zone = zone::is_known(name) || name.is_empty();
                // Without the new API's own value, only a known zone is one that it may send.
                let may_be_sent = raw.is_some() || zone::is_known(shown);
                (!is_other_zone && is_entry && may_be_sent)
                    .then(|| self.zone_name(zone, name, true))
            }
            ("sag", Node::Text(group), Node::Text(role)) if self.is_role(role) => {
                // A group beside several roles needs more than a dictionary: some user has a wrong role.
                if !self.pairs.is_inverse("sag", control) {
                    return None;
                }
                let is_entry = self.pairs.is_function("sag", candidate, control);
                Some(if is_entry {
                    Judgement::quirk(
                        format!("upstream.{}.mapping.sag", self.knowledge.upstream),
                        &quoted(role),
                        quoted(group),
                        "an entry of the dictionary of roles makes it equal",
                    )
                } else {
                    Judgement::loss(
                        "the new API has four roles in place of groups, and one of them stands for \
                 several groups",
                    )
                })
            }
            ("sag", Node::Null, Node::Text(role)) if self.is_role(role) => Some(Judgement::loss(
                "the new API has a role for everybody, also for those without a group",
            )),
            ("status", Node::Text(word), Node::Text(_)) => {
                self.status(raw?.text()?, word, control, candidate)
            }
            (path, _, _) if path.starts_with("assigned_channels") => self.channel(difference),
            _ => None,
        }
    }

    fn is_role(&self, text: &str) -> bool {
        self.knowledge.dialect == "vonage-v4" && ROLES.contains(&text)
    }

    /// The judgement of another name of a zone. `is_entry` tells whether control always uses this name.
    fn zone_name(&self, zone: &str, name: &str, is_entry: bool) -> Judgement {
        if !is_entry {
            return self.zone_of_several_names();
        }
        let table = format!("{}.timezone_names", self.table());
        let why = "another name of the same time zone makes it equal";
        Judgement::quirk(table, &quoted(zone), quoted(name), why)
    }

    pub(super) fn zone_of_several_names(&self) -> Judgement {
        Judgement::loss(
            "the new API has one id for the zone, and control calls it by several names",
        )
    }

    fn channel(&self, difference: &Difference) -> Option<Judgement> {
        let (control, candidate) = (difference.control.as_ref()?, difference.candidate.as_ref()?);
        match (difference.path.as_str(), control, candidate) {
            (CHANNEL_TYPE, Node::Text(kind), Node::Text(shown)) => {
                let is_other =
                    witness::slugs(kind).next().is_some() && witness::slugs(shown).next().is_some();
                if is_other || !self.pairs.is_function(CHANNEL_TYPE, candidate, control) {
                    return None;
                }
                let slug = self.slug(difference, kind, shown)?;
                Some(Judgement::quirk(
                    format!("{}.channel_types", self.table()),
                    &quoted(&slug),
                    quoted(kind),
                    "an entry of the dictionary of channels makes it equal",
                ))
            }
            ("assigned_channels[].name", Node::Text(name), Node::Text(shown))
                if without_number(shown) == Some(name.as_str()) =>
            {
                Some(Judgement::loss("the new API puts the number into the name of a channel"))
            }
            ("assigned_channels[].value", Node::Number(_), Node::Null)
                if self.witness.is_some() =>
            {
                Some(Judgement::loss("the new API has no number for this channel"))
            }
            _ => None,
        }
    }

    /// The slug that the new API sends for a channel with this display name; `None` where it sends none that
    /// candidate shows so.
    fn slug(&self, difference: &Difference, kind: &str, shown: &str) -> Option<String> {
        if let Some(rows) = self.witness {
            let row = rows.get(difference.record.as_deref()?)?;
            let profiles = row.get("channel_profiles").and_then(Node::list)?;
            let mut slugs = profiles.iter().filter_map(|one| one.get("channel")?.text());
            return slugs
                .find(|slug| witness::channel(slug, self.settings) == shown)
                .map(str::to_owned);
        }
        if let Some(known) = witness::slugs(shown).next() {
            return Some(known.to_owned());
        }
        // An unknown name is the slug itself, and slugs have small letters. The display name of a known
        // channel has a slug of its own.
        let is_slug = |text: &str| {
            text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        // A slug beside another slug is no display name either.
        let is_named = witness::slugs(kind).next().is_none() && !is_slug(kind);
        (is_slug(shown) && is_named).then(|| shown.to_owned())
    }

    /// The table of the endpoint in the configuration.
    fn other_value(&self, setting: &str, value: &str) -> Judgement {
        let why = "another value of a setting makes it equal";
        Judgement::quirk(self.table(), setting, quoted(value), why)
    }

    pub(super) fn table(&self) -> String {
        format!("legacy.{}", self.endpoint.name)
    }
}

/// The settings with one of them changed, for each value of each setting with two values.
fn alternatives(settings: &Settings) -> Vec<(&'static str, &'static str, Settings)> {
    let mut all = Vec::new();
    for two in &TWO {
        for value in two.values {
            let mut changed = settings.clone();
            let current = changed.of_two(two.setting);
            if current != value {
                value.clone_into(current);
                all.push((two.setting, value, changed));
            }
        }
    }
    let style = if settings.style == TITLE { LOWER } else { TITLE };
    all.push(("style", style, Settings { style: style.to_owned(), ..settings.clone() }));
    all
}

/// The value of a field that is empty.
fn nothing(field: &str) -> Node {
    match field {
        "assigned_channels" | "assigned_skills" => Node::List(Vec::new()),
        "assigned_queues" | "assigned_teams" | "agent_in_teams" | "supervisor_in_teams" => {
            Node::from("")
        }
        _ => Node::Null,
    }
}

fn is_nothing(node: &Node) -> bool {
    match node {
        Node::Null => true,
        Node::Text(text) => text.is_empty(),
        Node::List(list) => list.is_empty(),
        _ => false,
    }
}

/// The judgement that two values are one in two forms. A part of a list counts by itself.
fn in_another_form(difference: &Difference) -> Option<Judgement> {
    let (control, candidate) = (difference.control.as_ref()?, difference.candidate.as_ref()?);
    another_form(control, candidate).map(Judgement::bug)
}

/// Whether a text is a phone number, or a short number.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name of a channel without the number in brackets at its end.
fn without_number(name: &str) -> Option<&str> {
    let (name, number) = name.strip_suffix(')')?.rsplit_once(" (")?;
    is_number(number).then_some(name)
}
