//! The loss ledger: for every legacy field of every endpoint and dialect, how faithful it is.
//!
//! Documentation, metrics, explanations and the validator read it from here. The fields are the
//! endpoints', what is said of them is the dialects'; a field that a dialect forgets does not compile. A part of a
//! request that no endpoint answers has a row, too.

use crate::legacy::{ENDPOINTS, Endpoint};
use crate::loss::{Coded, FieldLoss, Loss};
use crate::upstream::{DIALECTS, Dialect};

/// The whole ledger: endpoints in table order, then dialects, then fields in answer order.
pub fn rows() -> impl Iterator<Item = Loss> {
    ENDPOINTS.iter().flat_map(|endpoint| DIALECTS.iter().flat_map(|dialect| of(endpoint, *dialect)))
}

/// The whole ledger with the codes, for programs.
pub fn coded() -> impl Iterator<Item = Coded> {
    rows().map(|loss| Coded { loss, code: loss.code })
}

/// The rows of one endpoint over one dialect, in answer order.
pub fn of(
    endpoint: &'static Endpoint,
    dialect: &'static dyn Dialect,
) -> impl Iterator<Item = Loss> {
    let fields = endpoint.heads().map(|field| (field.id, field.name()));
    fields.chain(endpoint.refused()).map(|(id, field)| {
        let FieldLoss { status, code, reason } = dialect.loss(id);
        let (endpoint, dialect) = (endpoint.name(), dialect.name());
        Loss { endpoint, field, dialect, status, code, reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{LossCode, Status};

    /// The rules of a comparison know a loss by the word of its code.
    #[test]
    fn records_that_may_be_missing_carry_a_code() {
        let ledger = serde_json::json!(coded().collect::<Vec<_>>());
        let code = |endpoint: &str, dialect: &str| {
            let mut rows = ledger.as_array().unwrap().iter();
            let row = rows.find(|row| {
                row["endpoint"] == endpoint && row["dialect"] == dialect && row["field"] == "id"
            });
            row.unwrap()["code"].clone()
        };
        assert_eq!(code("v2_cdr_teams", "voiso-v4"), "empty_teams_missing");
        assert_eq!(code("v2_cdr_teams", "vonage-v4"), "new_number");
        for dialect in ["voiso-v4", "vonage-v4"] {
            assert_eq!(code("v2_cdr_deleted_agents", dialect), "vanished_users_missing");
        }
    }

    #[test]
    fn every_code_fits_the_status_it_explains() {
        for Loss { status, code, field, dialect, .. } in rows() {
            let fits = match code {
                LossCode::SameValue => status == Status::Exact,
                LossCode::OtherPlace | LossCode::NewNumber => status == Status::Renamed,
                LossCode::NamesDiffer => status == Status::Dictionary,
                LossCode::OneForAll => status == Status::Defaulted,
                LossCode::NoSuchField => status == Status::Unavailable,
                LossCode::IdPolicy
                | LossCode::Joined
                | LossCode::OtherLists
                | LossCode::SeveralSources
                | LossCode::VanishedUsersMissing => status == Status::Derived,
                LossCode::EmptyTeamsMissing => status == Status::Exact,
            };
            assert!(fits, "{field} over {dialect}: {code:?} under {status:?}");
        }
    }
}
