//! What validation has to know of the candidate, as JSON: the crate that compares shares no type with
//! the crate that translates.

use domain::loss::Coded;
use parity::knowledge::Knowledge;
use serde_json::{Map, Value, json};
use settings::Config;

use crate::failure::Failure;

/// The settings in force for a caller, and the ledger.
pub(crate) fn of(config: &Config, caller: &str) -> Result<Knowledge, Failure> {
    let caller = config.callers.iter().find(|one| one.name == caller);
    let upstream = caller.and_then(|caller| config.upstreams.get_key_value(&caller.upstream));
    let mut knowledge = json!({ "ledger": ledger() });
    if let Some((name, upstream)) = upstream {
        knowledge["dialect"] = upstream.dialect.name().into();
        knowledge["upstream"] = name.as_str().into();
        knowledge["defaults"] = json!({ "timezone": upstream.rules.mapping.timezone });
        knowledge["deleted_at"] = json!(upstream.rules.deleted_at);
    }
    let settings: Map<String, Value> = config
        .quirks
        .iter()
        .map(|(endpoint, quirks)| ((*endpoint).to_owned(), json!(**quirks)))
        .collect();
    knowledge["settings"] = settings.into();
    read(knowledge)
}

/// For a candidate whose configuration is not known: the defaults of the dialect that is assumed.
pub(crate) fn unconfigured() -> Result<Knowledge, Failure> {
    let dialect = domain::upstream::dialect_assumed().name();
    read(json!({ "dialect": dialect, "deleted_at": "unless_live", "ledger": ledger() }))
}

fn ledger() -> Vec<Coded> {
    domain::ledger::coded().collect()
}

fn read(knowledge: Value) -> Result<Knowledge, Failure> {
    serde_json::from_value(knowledge)
        .map_err(|error| Failure::new(format_args!("the settings cannot be passed on: {error}")))
}
