//! `GET /api/v2/cdr/teams`: name and id of every team, in a bare array.
//!
//! Source: the vendor's "Teams API" page: the keys stand in that order and the id is a number. v4
//! documents no list of teams; where the upstream has none, the teams are those that users have, and
//! a team without members is missing.

use crate::json;
use crate::legacy::field::FieldId;
use crate::legacy::shape::{Field, Kind, Shape};
use crate::legacy::{Endpoint, Lists, Planned};
use crate::params::Params;
use crate::plan::{Plan, UserFilter};
use crate::quirks::Quirks;

/// The endpoint; see the module.
#[derive(Debug)]
pub(super) struct V2CdrTeams;

impl Endpoint for V2CdrTeams {
    fn name(&self) -> &'static str {
        "v2_cdr_teams"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/api/v2/cdr/teams"]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["name", "id"]
    }

    fn field_ids(&self) -> &'static [FieldId] {
        &[FieldId::TeamName, FieldId::TeamId]
    }

    fn shape(&self, _: &Quirks) -> Shape {
        Shape::array(vec![
            Field::new("name", Kind::TextOrNull, "The name of the team."),
            Field::new("id", Kind::Number, "The id of the team."),
        ])
    }

    fn plan(&self, params: Params, _: &Quirks) -> Planned {
        let plan = Plan { filter: UserFilter::everyone(), ignored: params.finish() };
        Planned::Ask(Box::new(plan))
    }

    fn lists(&self) -> Lists {
        Lists::Teams(|id, name, out| {
            out.extend_from_slice(b"{\"name\":");
            json::text(out, name);
            out.extend_from_slice(b",\"id\":");
            json::number(out, id);
            out.push(b'}');
        })
    }

    fn envelope(&self, _: &Quirks, _: u64) -> (String, String) {
        ("[".to_owned(), "]".to_owned())
    }
}
