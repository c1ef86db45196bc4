//! `GET /api/v3/cdr/users`: every user, flat, in a bare array; the generation before v1 users.
//!
//! Source: the vendor's "Users API" page of the v3 generation. It has the filters of v1 but `id`, in
//! two spellings (`filter[name]=` and `name=`), and calls the list of a user's teams
//! `agent_in_teams`. The page's table of fields is cut off: which of v1's other fields v3 had is not
//! known, so the record shows them all.

use crate::legacy::field::FieldId;
use crate::legacy::shape::Shape;
use crate::legacy::{Endpoint, Lists, Planned, user_record};
use crate::params::Params;
use crate::quirks::Quirks;

/// The endpoint; see the module.
#[derive(Debug)]
pub(super) struct V3CdrUsers;

impl Endpoint for V3CdrUsers {
    fn name(&self) -> &'static str {
        "v3_cdr_users"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/api/v3/cdr/users"]
    }

    fn fields(&self) -> &'static [&'static str] {
        &FIELDS
    }

    fn field_ids(&self) -> &'static [FieldId] {
        &user_record::FIELD_IDS
    }

    fn filters(&self) -> &'static [&'static str] {
        &user_record::FILTERS[1..]
    }

    fn shape(&self, quirks: &Quirks) -> Shape {
        user_record::shape(TEAMS, quirks)
    }

    fn plan(&self, params: Params, quirks: &Quirks) -> Planned {
        user_record::plan(params, quirks, false)
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

const TEAMS: &str = "agent_in_teams";

static FIELDS: [&str; user_record::FIELDS] = user_record::fields(TEAMS);
