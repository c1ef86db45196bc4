//! The replicas of this gateway, as each of them says and as the admin page shows them. Must never show a key, an
//! address or a setting: a configuration is a fingerprint.

use std::collections::{BTreeMap, BTreeSet};

use commons::Member;
use serde_json::{Value, json};

use crate::state::{State, VERSION};

/// The page `/replicas`.
pub(crate) fn page(state: &State) -> Vec<u8> {
    serde_json::to_vec(&json(state)).unwrap_or_default()
}

/// The same as a value.
pub(crate) fn json(state: &State) -> Value {
    let (commons, setup) = (state.commons.as_ref(), state.config.commons.as_ref());
    let shared = commons.map(|commons| {
        let standing = commons.standing();
        let errors = standing.errors.iter().copied().collect::<BTreeMap<_, _>>();
        json!({
            "name": setup.map(|setup| setup.name.as_str()),
            "replicas": standing.replicas,
            "alone": standing.is_alone,
            "configurations": configurations(&standing.members),
            "members": standing.members.iter().map(member).collect::<Vec<_>>(),
            "scopes": { "callers": state.callers.all().len(), "paces": state.paces.len() },
            "errors": errors,
        })
    });
    json!({
        "version": VERSION,
        "configuration": &*state.fingerprint,
        "commons": shared,
    })
}

fn member(member: &Member) -> Value {
    let word = String::from_utf8_lossy(&member.word);
    let (version, configuration) = word.split_once(' ').unwrap_or((&word, ""));
    json!({
        "who": member.who,
        "version": version,
        "configuration": configuration,
        "this": member.is_own,
    })
}

/// How many different words there are.
fn configurations(members: &[Member]) -> usize {
    members.iter().map(|member| &member.word).collect::<BTreeSet<_>>().len()
}
