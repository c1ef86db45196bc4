//! `GET /api/v2/cdr/deleted_agents`: id and name of every deleted user, in a bare array.
//!
//! Source: the vendor's "Deleted users API" page. v4 documents no such list. It is made of the users
//! that the upstream itself still lists as deleted, and, where the roster is on, of those it once
//! listed and no longer does and of those imported from the legacy API. No user is in this list and
//! in a list of live ones.

use crate::json;
use crate::legacy::field::FieldId;
use crate::legacy::shape::{Field, Kind, Shape};
use crate::legacy::{Endpoint, Lists, Planned};
use crate::params::Params;
use crate::plan::{Plan, UserFilter};
use crate::quirks::Quirks;

/// The endpoint; see the module.
#[derive(Debug)]
pub(super) struct V2CdrDeletedAgents;

impl Endpoint for V2CdrDeletedAgents {
    fn name(&self) -> &'static str {
        "v2_cdr_deleted_agents"
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/api/v2/cdr/deleted_agents"]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["id", "name"]
    }

    fn field_ids(&self) -> &'static [FieldId] {
        &[FieldId::DeletedUserId, FieldId::DeletedUserName]
    }

    fn shape(&self, _: &Quirks) -> Shape {
        Shape::array(vec![
            Field::new("id", Kind::Number, "The id that the user had."),
            Field::new("name", Kind::TextOrNull, "The name that was last known."),
        ])
    }

    fn plan(&self, params: Params, _: &Quirks) -> Planned {
        let plan = Plan { filter: UserFilter::everyone(), ignored: params.finish() };
        Planned::Ask(Box::new(plan))
    }

    fn lists(&self) -> Lists {
        Lists::DeletedUsers(|id, name, out| {
            out.extend_from_slice(b"{\"id\":");
            json::number(out, id);
            out.extend_from_slice(b",\"name\":");
            json::text(out, name);
            out.push(b'}');
        })
    }

    fn envelope(&self, _: &Quirks, _: u64) -> (String, String) {
        ("[".to_owned(), "]".to_owned())
    }
}
