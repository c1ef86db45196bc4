//! `GET /api/v2/cdr/deleted_agents`: id and name of every deleted user, in a bare array.
//!
//! Source: the vendor's "Deleted users API" page. v4 documents no such list; what is answered is the
//! users that v4 still lists with a deletion date and no live status. A user whom v4 no longer lists
//! at all is missing, and the ledger says so. No user is in this list and in a list of live ones.

use crate::hub::{State, User};
use crate::json;
use crate::legacy::{Endpoint, Notes, Planned};
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

    fn plan(&self, params: Params, _: &Quirks) -> Planned {
        let plan = Plan { filter: UserFilter::everyone(), ignored: params.finish() };
        Planned::Ask(Box::new(plan))
    }

    fn lists(&self, state: State) -> bool {
        state == State::Deleted
    }

    fn render(&self, user: &User<'_>, _: &Quirks, out: &mut Vec<u8>, _: &mut Notes) {
        out.extend_from_slice(b"{\"id\":");
        json::number(out, user.id);
        out.extend_from_slice(b",\"name\":");
        json::text(out, user.name.as_deref());
        out.push(b'}');
    }

    fn envelope(&self, _: &Quirks, _: u64) -> (String, String) {
        ("[".to_owned(), "]".to_owned())
    }

    fn losses(&self) -> &'static [Loss] {
        &LOSSES
    }
}

const NAME: &str = "v2_cdr_deleted_agents";

static LOSSES: [Loss; 2] = [
    Loss {
        endpoint: NAME,
        field: "id",
        dialect: "voiso-v4",
        status: Status::Derived,
        reason: "v4 sends a decimal string; only users that v4 still lists with a deletion date \
                 are found, others are missing.",
    },
    Loss {
        endpoint: NAME,
        field: "name",
        dialect: "voiso-v4",
        status: Status::Exact,
        reason: "The same text.",
    },
];
