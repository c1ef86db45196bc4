//! The questions of a recording.

use corpus::Corpus;
use corpus::ask::KeyPlace;
use corpus::endpoint::Endpoint;
use corpus::pseudonym::plain;

use super::{Group, Scenario};

/// The questions of a recording, except the whole lists, which every run asks.
pub fn recorded(corpus: &Corpus) -> Vec<Scenario> {
    let mut all = Vec::new();
    for (number, ask) in corpus.asks().iter().enumerate() {
        let Some(endpoint) = Endpoint::at(&ask.path) else { continue };
        let mut scenario = Scenario::all(endpoint);
        if scenario.ask == *ask {
            continue;
        }
        let filters = ask.query.iter();
        let filters = filters.map(|(name, value)| (plain(name).to_owned(), value.clone()));
        let known = filters
            .filter(|(name, value)| endpoint.filters.contains(&name.as_str()) && !value.is_empty());
        scenario.filters = known.collect();
        scenario.group = match (ask.key, scenario.filters.len(), ask.query.len()) {
            (KeyPlace::Missing | KeyPlace::WrongBearer | KeyPlace::WrongQuery, _, _) => {
                Group::BadKey
            }
            (_, 0, 0) => Group::All,
            (_, 0, _) => Group::Ignored,
            (_, 1, _) => Group::Filter,
            _ => Group::Pair,
        };
        scenario.id = format!("{}/recorded/{number}", endpoint.name);
        scenario.ask = ask.clone();
        all.push(scenario);
    }
    all
}
