//! Finds how filters compare and how a wrong key is answered. Both need questions of their own.

use std::collections::BTreeSet;

use corpus::ask::Reply;
use corpus::endpoint::Endpoint;
use corpus::node::Node;
use serde_json::{Map, Value, json};

use super::checked::{Probe, filter_setting};
use super::{Calibration, Choice, Overlay, Unable};
use crate::filter::{Index, MODES};
use crate::list::{KeyedBy, List};
use crate::scenario::{Extent, Group, Scenario, questions};

impl Calibration<'_> {
    /// Asks the probes, and sets what they decide.
    pub(super) async fn probes(&mut self, overlay: &mut Overlay) -> Result<Vec<Probe>, Unable> {
        let endpoints = self.endpoints;
        let mut probes = Vec::new();
        for endpoint in endpoints {
            let extent = Extent { values_per_filter: 1, pairs: false };
            for scenario in probing(endpoint, &self.index(endpoint), extent, self.seed) {
                let control = self.ask_control(&scenario.ask).await?;
                probes.push(Probe { scenario, control });
            }
        }
        self.filters(&probes, overlay).await?;
        for endpoint in endpoints {
            let of_endpoint = probes.iter().filter(|probe| {
                let scenario = &probe.scenario;
                scenario.endpoint.name == endpoint.name && scenario.group == Group::BadKey
            });
            let refusals: Vec<&Reply> = of_endpoint.map(|probe| &probe.control).collect();
            self.invalid_key(endpoint, &refusals, overlay);
        }
        Ok(probes)
    }

    fn index(&self, endpoint: &Endpoint) -> Index {
        let mut index = Index::default();
        let Some(reply) = self.lists.get(endpoint.name) else { return index };
        let Ok(list) = List::read(&reply.body, KeyedBy::Id) else { return index };
        for (key, record) in list.keys.iter().zip(&list.records) {
            index.note(endpoint, key, &record.node());
        }
        index
    }

    /// Tries every filter under every mode. A probe decides where the modes find different users.
    async fn filters(&mut self, probes: &[Probe], overlay: &mut Overlay) -> Result<(), Unable> {
        let mut under: Vec<Vec<Option<BTreeSet<String>>>> = Vec::new();
        for mode in MODES {
            let mut all = overlay.clone();
            for endpoint in self.users() {
                let filters = endpoint.filters.iter().filter(|filter| **filter != "id");
                let modes: Map<String, Value> =
                    filters.map(|filter| ((*filter).to_owned(), mode.into())).collect();
                let settings = all.entry(endpoint.name.to_owned()).or_default();
                settings.insert("filters".to_owned(), Value::Object(modes));
            }
            let replies = self.tried(&all, probes).await?;
            let listed = probes.iter().zip(&replies).map(|(probe, reply)| {
                let is_of_a_filter = probe.scenario.group == Group::Spelling;
                is_of_a_filter.then(|| self.keys(probe.scenario.endpoint, reply)).flatten()
            });
            let listed = listed.collect();
            under.push(listed);
        }
        for endpoint in self.users() {
            let settings = self.knowledge.settings(endpoint.name);
            for filter in endpoint.filters.iter().filter(|filter| **filter != "id") {
                let mut agree = [0_u64; 3];
                let mut deciding = 0;
                for (place, Probe { scenario, control }) in probes.iter().enumerate() {
                    let is_it = scenario.group == Group::Spelling
                        && scenario.endpoint.name == endpoint.name
                        && scenario.filters.first().is_some_and(|(name, _)| name == filter);
                    let found: Vec<_> = under.iter().map(|mode| mode[place].as_ref()).collect();
                    if !is_it || found.iter().all(|one| *one == found[0]) {
                        continue;
                    }
                    deciding += 1;
                    let control = self.keys(endpoint, control);
                    for (count, one) in agree.iter_mut().zip(&found) {
                        *count += u64::from(control.is_some() && *one == control.as_ref());
                    }
                }
                let (setting, agree) = (filter_setting(filter), MODES.into_iter().zip(agree));
                let choice = Choice::of(endpoint.name, &setting, agree, deciding);
                self.choose(choice.decide(settings.mode(filter)), overlay);
            }
        }
        Ok(())
    }

    fn keys(&self, endpoint: &Endpoint, reply: &Reply) -> Option<BTreeSet<String>> {
        let by = self.keyed_by(endpoint);
        let list = (reply.status == 200).then(|| List::read(&reply.body, by).ok())??;
        Some(list.keys.into_iter().collect())
    }

    /// Control's answers to a wrong key and to none. One setting covers both.
    fn invalid_key(&mut self, endpoint: &Endpoint, refusals: &[&Reply], overlay: &mut Overlay) {
        let answers: BTreeSet<Option<(u16, String)>> =
            refusals.iter().map(|reply| refusal(reply)).collect();
        let only = if answers.len() == 1 { answers.into_iter().next().flatten() } else { None };
        let Some((status, text)) = only else {
            self.found.undecided.push(format!(
                "{}.invalid_key: a wrong key and no key are answered in two ways, or not by an error",
                endpoint.name
            ));
            return;
        };
        let current = self.knowledge.settings(endpoint.name).invalid_key;
        if (status, text.as_str()) != (current.status, current.text.as_str()) {
            let value = json!({ "status": status, "text": text });
            let table = overlay.entry(endpoint.name.to_owned()).or_default();
            table.insert("invalid_key".to_owned(), value);
        }
    }
}

/// The questions that show how filters compare, and those with a wrong key.
fn probing(endpoint: &'static Endpoint, index: &Index, extent: Extent, seed: u64) -> Vec<Scenario> {
    let all = questions(endpoint, index, extent, seed).into_iter();
    all.filter(|scenario| matches!(scenario.group, Group::Spelling | Group::BadKey)).collect()
}

fn refusal(reply: &Reply) -> Option<(u16, String)> {
    let body = Node::parse(&reply.body).ok()?;
    let text = body.get("error")?.text()?.to_owned();
    (400..500).contains(&reply.status).then_some((reply.status, text))
}
