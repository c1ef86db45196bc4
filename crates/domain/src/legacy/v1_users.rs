//! `GET /api/user_management/v1/users`: every user, flat, in one list.
//!
//! Source: the vendor's "Users API" page (v1, October 2024). The page prints the path with and
//! without `/api`; both answer. Field order is the documented one.

use crate::legacy::field::FieldId;
use crate::legacy::shape::Shape;
use crate::legacy::{Endpoint, Lists, Planned, user_record};
use crate::params::Params;
use crate::quirks::Quirks;

/// The endpoint; see the module.
#[derive(Debug)]
pub(super) struct V1Users;

impl Endpoint for V1Users {
    fn name(&self) -> &'static str {
        "v1_users"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/api/user_management/v1/users", "/user_management/v1/users"]
    }

    fn fields(&self) -> &'static [&'static str] {
        &FIELDS
    }

    fn field_ids(&self) -> &'static [FieldId] {
        &user_record::FIELD_IDS
    }

    fn filters(&self) -> &'static [&'static str] {
        &user_record::FILTERS
    }

    fn shape(&self, quirks: &Quirks) -> Shape {
        user_record::shape(TEAMS, quirks)
    }

    fn plan(&self, params: Params, quirks: &Quirks) -> Planned {
        user_record::plan(params, quirks, true)
    }

    fn lists(&self) -> Lists {
        Lists::Users(|user, quirks, out, notes| {
            user_record::render(TEAMS, user, quirks, out, notes)
        })
    }

    fn envelope(&self, quirks: &Quirks, rows: u64) -> (String, String) {
        quirks.envelope.around(rows)
    }
}

const TEAMS: &str = "assigned_teams";

static FIELDS: [&str; user_record::FIELDS] = user_record::fields(TEAMS);
