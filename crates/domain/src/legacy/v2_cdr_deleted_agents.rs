//! `GET /api/v2/cdr/deleted_agents`: id and name of every deleted user, in a bare array.
//!
//! Source: the vendor's "Deleted users API" page. v4 documents no such list. It is made of the users
//! that the upstream itself still lists as deleted, and, where the roster is on, of those it once
//! listed and no longer does and of those imported from the legacy API. No user is in this list and
//! in a list of live ones.

use crate::json;
use crate::legacy::shape::{Field, Kind, Shape};
use crate::legacy::{Endpoint, Lists, Planned};
use crate::loss::{Loss, Status};
use crate::params::Params;
use crate::plan::{Plan, UserFilter};
use crate::quirks::Quirks;

/// The endpoint; see the module.
#[derive(Debug)]
pub(super) struct V2CdrDeletedAgents;

impl Endpoint for V2CdrDeletedAgents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn paths(&self) -> &'static [&'static str] {
        &["/api/v2/cdr/deleted_agents"]
    }

    fn fields(&self) -> &'static [&'static str] {
        &["id", "name"]
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

    fn losses(&self) -> &'static [Loss] {
        &LOSSES
    }
}

const NAME: &str = "v2_cdr_deleted_agents";

const fn row(
    field: &'static str,
    dialect: &'static str,
    status: Status,
    reason: &'static str,
) -> Loss {
    Loss { endpoint: NAME, field, dialect, status, reason }
}

static LOSSES: [Loss; 4] = [
    row(
        "id",
        "voiso-v4",
        Status::Derived,
        "v4 sends a decimal string; without the roster only users that v4 still lists with a \
         deletion date are found, others are missing.",
    ),
    row("name", "voiso-v4", Status::Exact, "The same text."),
    row(
        "id",
        "vonage-v4",
        Status::Derived,
        "Made of archived users by the id policy; users deleted for good are missing unless the \
         roster is on.",
    ),
    row("name", "vonage-v4", Status::Exact, "The same text."),
];
