//! Learns dictionaries from records that both sides have. An entry is set only where its key always stands
//! beside the same value.

use std::collections::BTreeMap;

use corpus::endpoint::Endpoint;
use corpus::node::Node;
use serde_json::Value;

use super::calibrated::Entry;
use super::{Calibration, Overlay, Unable, empty_dictionaries, insert_below};
use crate::knowledge::Settings;
use crate::{witness, zone};

/// By dictionary and key, how often each value of control stood beside the key.
type Beside = BTreeMap<(&'static str, String), BTreeMap<String, u64>>;

/// How many zones of the Rails table have several names.
const AMBIGUOUS_ZONES: usize = 14;

impl Calibration<'_> {
    /// Learns the dictionaries under the settings found so far.
    pub(super) async fn dictionaries(&mut self, overlay: &mut Overlay) -> Result<(), Unable> {
        let bare = |timezone: &str| {
            let mut bare = overlay.clone();
            for endpoint in self.users() {
                let settings = bare.entry(endpoint.name.to_owned()).or_default();
                empty_dictionaries(settings);
                settings.insert("timezone".to_owned(), timezone.into());
            }
            bare
        };
        let shown = self.trial(&bare("rails")).await?;
        let raw = self.trial(&bare("upstream")).await?;
        for endpoint in self.users() {
            let mut beside = Beside::new();
            self.each(endpoint, [&shown, &raw], |control, [shown, raw]| {
                note(&mut beside, control, shown, raw);
            });
            let shows_ids = overlay
                .get(endpoint.name)
                .and_then(|settings| settings.get("timezone"))
                .and_then(Value::as_str)
                .unwrap_or(&self.knowledge.settings(endpoint.name).timezone)
                == "upstream";
            self.learn(endpoint, &beside, shows_ids, overlay);
        }
        Ok(())
    }

    fn learn(
        &mut self,
        endpoint: &'static Endpoint,
        beside: &Beside,
        shows_ids: bool,
        overlay: &mut Overlay,
    ) {
        let mut zones = 0;
        let settings = self.knowledge.settings(endpoint.name);
        let in_force = |dictionary: &str| match dictionary {
            "timezone_names" => &settings.timezone_names,
            "caller_id_groups" => &settings.caller_id_groups,
            _ => &settings.channel_types,
        };
        for ((dictionary, key), values) in beside {
            let Some((value, evidence)) = values.iter().max_by_key(|(_, count)| **count) else {
                continue;
            };
            let against = values.values().sum::<u64>() - evidence;
            if *dictionary == "timezone_names" {
                zones += usize::from(zone::names(key) > 1);
                if shows_ids {
                    continue;
                }
            }
            // A value that is shown without an entry needs none.
            let set = in_force(dictionary).get(key);
            let is_right =
                set.map_or_else(|| is_default(dictionary, key, value), |set| set == value);
            if against == 0 && is_right {
                continue;
            }
            self.found.entries.push(Entry {
                endpoint: endpoint.name,
                dictionary,
                key: key.clone(),
                value: value.clone(),
                evidence: *evidence,
                against,
            });
            let is_undone = set.is_some() && is_default(dictionary, key, value);
            let is_possible = is_possible(dictionary, key, value)
                || *dictionary == "caller_id_groups"
                    && *evidence > 1
                    && is_renamed(beside, key, value);
            if against == 0 && (is_undone || is_possible) {
                let table = overlay.entry(endpoint.name.to_owned()).or_default();
                insert_below(table, dictionary, in_force(dictionary), key, value);
            }
        }
        let unseen = AMBIGUOUS_ZONES.saturating_sub(zones);
        if unseen > 0 && !shows_ids {
            self.found.undecided.push(format!(
                "{}.timezone_names: nobody is in {unseen} of the {AMBIGUOUS_ZONES} time zones that \
                 have several names",
                endpoint.name
            ));
        }
    }
}

fn note(beside: &mut Beside, control: &Node, shown: &Node, raw: &Node) {
    let mut pair = |dictionary, key: Option<&Node>, value: Option<&Node>| {
        if let (Some(Node::Text(key)), Some(Node::Text(value))) = (key, value) {
            let values = beside.entry((dictionary, key.clone())).or_default();
            *values.entry(value.clone()).or_default() += 1;
        }
    };
    pair("caller_id_groups", shown.get("caller_id"), control.get("caller_id"));
    pair("timezone_names", raw.get("timezone"), control.get("timezone"));
    let channels =
        |node: &Node| node.get("assigned_channels").and_then(Node::list).map(<[_]>::to_vec);
    let (Some(control), Some(shown)) = (channels(control), channels(shown)) else { return };
    if control.len() != shown.len() {
        return;
    }
    let both = control.iter().zip(&shown);
    for (control, shown) in both.filter(|(one, other)| one.get("value") == other.get("value")) {
        let Some(kind) = shown.get("type").and_then(Node::text) else { continue };
        // A display name of several slugs counts for each of them.
        let slugs: Vec<&str> = witness::slugs(kind).collect();
        let slugs = if slugs.is_empty() { vec![kind] } else { slugs };
        for slug in slugs {
            pair("channel_types", Some(&Node::from(slug)), control.get("type"));
        }
    }
}

/// Whether candidate shows this value without an entry.
fn is_default(dictionary: &str, key: &str, value: &str) -> bool {
    match dictionary {
        "timezone_names" => zone::rails_name(key).unwrap_or(key) == value,
        "channel_types" => witness::channel(key, &Settings::default()) == value,
        _ => key == value,
    }
}

/// Whether an entry is a translation, and does not hide that the data differ.
fn is_possible(dictionary: &str, key: &str, value: &str) -> bool {
    match dictionary {
        "timezone_names" => zone::id(key) == zone::id(value) || !zone::is_known(value),
        "caller_id_groups" => is_number(key) && !is_number(value),
        _ => witness::slugs(value).next().is_none_or(|slug| slug == key),
    }
}

/// Whether the legacy API has another name for a caller id that is a text: neither text stands beside any
/// other on either side.
fn is_renamed(beside: &Beside, key: &str, value: &str) -> bool {
    let mut all = beside.iter().filter(|((dictionary, _), _)| *dictionary == "caller_id_groups");
    !is_number(value)
        && all.all(|((_, other), values)| {
            other == key
                || other != value && !values.contains_key(value) && !values.contains_key(key)
        })
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'+')
}
