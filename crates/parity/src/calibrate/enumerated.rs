//! Settings with two or three values. Every setting has fields of its own, so one candidate with all first
//! values and one with all second values decide every setting.

use std::collections::BTreeSet;

use corpus::endpoint::Endpoint;
use corpus::node::Node;
use serde_json::Map;

use super::calibrated::{counts, name};
use super::{
    Calibration, Choice, Lists, Overlay, UPSTREAM, Unable, empty_dictionaries, insert_below,
};
use crate::cause::{DELETED_AT, ENVELOPES};
use crate::knowledge::{TWO, Two};
use crate::list::{List, Record};

impl Calibration<'_> {
    pub(super) async fn enumerated(&mut self) -> Result<Overlay, Unable> {
        let mut overlay = Overlay::new();
        let first = self.trial(&self.all_set(0, "array", "unless_live")).await?;
        let second = self.trial(&self.all_set(1, "users", "always")).await?;
        let third = self.trial(&self.all_set(0, "sample", "never")).await?;
        for endpoint in self.users() {
            let mut settings = self.knowledge.settings(endpoint.name);
            for two in &TWO {
                let choice = self.two(endpoint, two, &first, &second);
                let choice = choice.decide(settings.of_two(two.setting));
                self.choose(choice, &mut overlay);
            }
            let choice = self.envelope(endpoint, [&first, &second, &third]);
            self.choose(choice.decide(&settings.envelope), &mut overlay);
        }
        if self.knowledge.dialect == "voiso-v4" {
            let choice =
                self.deleted([("unless_live", &first), ("always", &second), ("never", &third)]);
            self.choose(choice.decide(&self.knowledge.deleted_at), &mut overlay);
        }
        Ok(overlay)
    }

    /// An overlay with all first or all second values. Dictionaries are empty, so that the values of the new
    /// API are visible.
    fn all_set(&self, place: usize, envelope: &str, deleted_at: &str) -> Overlay {
        let mut overlay = Overlay::new();
        for endpoint in self.users() {
            let mut settings = Map::new();
            for two in &TWO {
                settings.insert(two.setting.to_owned(), two.values[place].into());
            }
            settings.insert("envelope".to_owned(), envelope.into());
            empty_dictionaries(&mut settings);
            overlay.insert(endpoint.name.to_owned(), settings);
        }
        let upstream = overlay.entry(UPSTREAM.to_owned()).or_default();
        upstream.insert(DELETED_AT.to_owned(), deleted_at.into());
        overlay
    }

    /// Notes a choice, and sets it if it differs from the value in force.
    pub(super) fn choose(&mut self, choice: Choice, overlay: &mut Overlay) {
        match &choice.chosen {
            None => {
                let why = match choice.deciding {
                    0 => "no answer tells its values apart".to_owned(),
                    _ => format!("no value stands out: {}", counts(&choice)),
                };
                self.found.undecided.push(format!("{}: {why}", name(&choice)));
            }
            Some(value) if !choice.is_in_force => {
                let table = overlay.entry(choice.table.clone()).or_default();
                match choice.setting.split_once('.') {
                    Some((table_name, key)) => {
                        let in_force = &self.knowledge.settings(&choice.table).filters;
                        insert_below(table, table_name, in_force, key, value);
                    }
                    None => {
                        table.insert(choice.setting.clone(), value.clone().into());
                    }
                }
            }
            Some(_) => {}
        }
        self.found.choices.push(choice);
    }

    fn two(&self, endpoint: &Endpoint, two: &Two, first: &Lists, second: &Lists) -> Choice {
        let mut agree = [0, 0];
        let mut deciding = 0;
        self.each(endpoint, [first, second], |control, [one, other]| {
            for field in two.fields {
                let (Some(a), Some(b)) = (one.get(field), other.get(field)) else { continue };
                if a == b {
                    continue;
                }
                deciding += 1;
                agree[0] += u64::from(control.get(field) == Some(a));
                agree[1] += u64::from(control.get(field) == Some(b));
            }
        });
        Choice::of(endpoint.name, two.setting, two.values.into_iter().zip(agree), deciding)
    }

    /// Calls `f` for each record that control and both trials have.
    pub(super) fn each(
        &self,
        endpoint: &Endpoint,
        trials: [&Lists; 2],
        mut f: impl FnMut(&Node, [&Node; 2]),
    ) {
        let by = self.keyed_by(endpoint);
        let lists = [&self.lists, trials[0], trials[1]].map(|lists| {
            let reply = lists.get(endpoint.name)?;
            List::read(&reply.body, by).ok()
        });
        let [Some(control), Some(one), Some(other)] = lists else { return };
        let node = |record: Record<'_>| record.node();
        for (key, record) in control.keys.iter().zip(&control.records) {
            if let (Some(a), Some(b)) = (one.record(key).map(node), other.record(key).map(node)) {
                f(&record.node(), [&a, &b]);
            }
        }
    }

    fn envelope(&self, endpoint: &Endpoint, trials: [&Lists; 3]) -> Choice {
        let envelope = |lists: &Lists| {
            let reply = lists.get(endpoint.name)?;
            let list = List::read(&reply.body, self.keyed_by(endpoint)).ok()?;
            Some(list.envelope.name())
        };
        let control = envelope(&self.lists);
        let count = |lists: &Lists| u64::from(control.is_some() && envelope(lists) == control);
        let agree = ENVELOPES.into_iter().zip(trials.map(count));
        Choice::of(endpoint.name, "envelope", agree, 1)
    }

    /// The choice of `deleted_at`, by the users whom some of its values call deleted and others do not.
    fn deleted(&self, trials: [(&str, &Lists); 3]) -> Choice {
        // Every list of people counts, those of the deleted ones as well.
        let of_people = |one: &&Endpoint| one.name != "v2_cdr_teams";
        let keys = |lists: &Lists| -> BTreeSet<(&'static str, String)> {
            let all = self.endpoints.iter().copied().filter(|one| of_people(one));
            let of = |endpoint: &'static Endpoint| {
                let by = self.keyed_by(endpoint);
                let list = lists.get(endpoint.name).and_then(|one| List::read(&one.body, by).ok());
                let keys = list.map(|list| list.keys).unwrap_or_default();
                keys.into_iter().map(|key| (endpoint.name, key))
            };
            all.flat_map(of).collect()
        };
        let (listed, control) = (trials.map(|(_, lists)| keys(lists)), keys(&self.lists));
        let all: BTreeSet<_> = listed.iter().flatten().collect();
        let is_in_all = |key: &&(&str, String)| listed.iter().all(|one| one.contains(*key));
        let deciding: Vec<_> = all.into_iter().filter(|key| !is_in_all(key)).collect();
        let agree = trials.iter().zip(&listed).map(|((value, _), listed)| {
            let agreeing =
                deciding.iter().filter(|key| listed.contains(**key) == control.contains(**key));
            (*value, agreeing.count() as u64)
        });
        Choice::of(UPSTREAM, DELETED_AT, agree, deciding.len() as u64)
    }
}
