//! Legacy endpoints: the table that lists them, and the code that all share.
//!
//! An endpoint is [`Endpoint::plan`] and [`Endpoint::lists`]. It never knows which upstream
//! answers, and no legacy field name stands outside [`field`].

pub mod envelope;
pub mod field;
mod path;
pub mod schema;
mod template;
mod untranslated;
mod write;

use std::fmt;
use std::time::Duration;

use crate::asked::params::{NearMiss, Params};
use crate::asked::plan::{GroupName, Plan, UserFilter};
use crate::asked::slice::Slice;
use crate::call::STOP;
use crate::quirks::{InvalidKey, Quirks};
use crate::text::span::Span;
pub use envelope::Counts;
use envelope::Wrap;
pub use field::{CallRecord, EntryRecord, UserRecord};
use field::{Field, FieldId, Filter, Head, OfEntry, OfUser};
pub use path::key_place;
use schema::Schema;
use template::OfTemplate;
pub use template::{TemplatePage, TemplateRecord};
pub use untranslated::{FAMILIES, UNTRANSLATED, Untranslated, is_foreign, untranslated_at};

/// Every legacy endpoint. Adding one is an entry here (`docs/ADDING_AN_ENDPOINT.md`).
pub static ENDPOINTS: &[&Endpoint] = &[
    // Every user, flat, in one list. The vendor's "Users API" page (v1, October 2024) prints the path
    // with and without `/api`; both answer.
    &Endpoint {
        name: "v1_users",
        paths: &["/api/user_management/v1/users", "/user_management/v1/users"],
        manners: USUAL,
        lists: Lists::Users(field::V1_USER),
    },
    // The generation before v1 users. The vendor's "Users API" page of the v3 generation has the
    // filters of v1 but `id`, in two spellings (`filter[name]=` and `name=`). Its table of fields is
    // cut off: it is not known which of v1's other fields v3 had, so the record shows them all.
    &Endpoint {
        name: "v3_cdr_users",
        paths: &["/api/v3/cdr/users"],
        manners: USUAL,
        lists: Lists::Users(field::V3_USER),
    },
    // Every team. The vendor's "Teams API" page: the name comes first and the id is a number. v4
    // documents no list of teams; where the upstream has none, the teams are those that users have,
    // and a team without members is missing.
    &Endpoint {
        name: "v2_cdr_teams",
        paths: &["/api/v2/cdr/teams"],
        manners: USUAL,
        lists: Lists::Teams(field::TEAM),
    },
    // Every deleted user, by the vendor's "Deleted users API" page. v4 documents no such list. It is
    // made of the users that the upstream itself still lists as deleted, and, where the roster is on,
    // of those it once listed and no longer does and of those imported from the legacy API. No user is
    // in this list and in a list of live ones.
    &Endpoint {
        name: "v2_cdr_deleted_agents",
        paths: &["/api/v2/cdr/deleted_agents"],
        manners: USUAL,
        lists: Lists::DeletedUsers(field::DELETED_USER),
    },
    // Every live user with what can be asked of it just now, by the vendor's "Agents status" page, which
    // wallboards poll. The shape is documented; v4's words for a status are not, so there is a dictionary.
    &Endpoint {
        name: "v1_agents_status",
        paths: &["/api/v1/{key}/agents_status"],
        manners: Manners { fresh_for: Some(Duration::from_secs(1)), ..OF_CONTACT_CENTER },
        lists: Lists::Users(field::AGENT_STATUS),
    },
    // Templates of text messages, page by page, by the vendor's page of this path. They are v4's canned
    // messages whose channels hold `sms`.
    &Endpoint {
        name: "v3_sms_templates",
        paths: &["/api/v3/messages/sms/templates"],
        manners: OF_CONTACT_CENTER,
        lists: Lists::Templates(template::TEMPLATE),
    },
    // Places a call, by the vendor's "Click to call" pages: a POST, and in their sample for browsers a GET. The
    // first endpoint that does something to the world: see `crate::call`.
    &Endpoint {
        name: "v1_click2call",
        paths: &["/api/v1/{key}/click2call"],
        manners: OF_CONTACT_CENTER,
        lists: Lists::Call(field::CALL),
    },
];

/// What an endpoint does unless its quirks say otherwise.
#[derive(Debug, Clone, Copy)]
struct Manners {
    /// Status and text for a missing or wrong key.
    invalid_key: (u16, &'static str),
    /// How long an answer is used for equal questions; `None` is the setting of all.
    fresh_for: Option<Duration>,
}

/// The overview pages' sentence; the endpoint reference has "Invalid api_key".
const USUAL: Manners = Manners { invalid_key: (401, "Invalid User API Key"), fresh_for: None };

/// Of endpoints that take the key of the contact center.
const OF_CONTACT_CENTER: Manners = Manners { invalid_key: WRONG_KEY_IN_PATH, fresh_for: None };

/// Status and text for a wrong key that stands in a path, as the pages of all such paths have them.
pub const WRONG_KEY_IN_PATH: (u16, &str) = (403, "Invalid api_key");

/// One legacy endpoint.
#[derive(Debug)]
pub struct Endpoint {
    name: &'static str,
    paths: &'static [&'static str],
    manners: Manners,
    lists: Lists,
}

/// The records that an endpoint lists, and how one is written.
#[derive(Clone, Copy, PartialEq)]
pub enum Lists {
    /// Users who exist.
    Users(UserRecord),
    /// Deleted users, by id and name.
    DeletedUsers(EntryRecord),
    /// Teams, by id and name.
    Teams(EntryRecord),
    /// Templates of text messages, page by page.
    Templates(TemplateRecord),
    /// No list: a call is placed.
    Call(CallRecord),
}

impl Endpoint {
    /// Name in configuration, ledger, logs and metrics, such as `v1_users`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The paths it answers under, in their plain spelling; see [`endpoint_at`].
    pub fn paths(&self) -> &'static [&'static str] {
        self.paths
    }

    /// Whether a path in its plain spelling is one of them.
    pub fn has_path(&self, path: &str) -> bool {
        self.paths.iter().any(|documented| path::is_path(documented, path))
    }

    /// The key in a path of this endpoint; `None` where its paths have none.
    pub fn key_in(&self, path: &str) -> Option<String> {
        let documented = self.paths.first()?;
        path::may_have_key(documented).then(|| key_place(path)).flatten()
    }

    /// The records it lists, and how one is written.
    pub fn lists(&self) -> Lists {
        self.lists
    }

    /// The quirks with the endpoint's own manners where they say nothing.
    pub fn settled(&self, quirks: Quirks) -> Quirks {
        let Manners { invalid_key: (status, text), fresh_for } = self.manners;
        let own = || InvalidKey { status, text: text.to_owned() };
        Quirks {
            invalid_key: Some(quirks.invalid_key.unwrap_or_else(own)),
            fresh_for: quirks.fresh_for.or(fresh_for.map(Span)),
            ..quirks
        }
    }

    /// Whether answers can be compared with those of the legacy API: whole lists that do not change from one
    /// moment to the next.
    pub fn is_compared(&self) -> bool {
        self.manners.fresh_for.is_none() && !self.has_pages() && !self.places_calls()
    }

    /// The fields of one record, in answer order.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.heads().map(Head::name)
    }

    /// The filters it has, in the plain spelling.
    pub fn filters(&self) -> impl Iterator<Item = &'static str> {
        self.heads().filter(|field| field.filter.is_some()).map(Head::name)
    }

    /// How the name of an ignored parameter misses one of the filters; `None` where it is like none.
    pub fn near_miss(&self, name: &str) -> Option<NearMiss> {
        let filters: Vec<&str> = self.filters().collect();
        NearMiss::of(name, filters.iter().copied())
    }

    /// The schema of an answer.
    pub fn schema(&self, quirks: &Quirks) -> Schema {
        let fields = self.heads().map(|field| field.property(quirks)).collect();
        Schema { fields, members: self.wrapped_in(quirks).members() }
    }

    /// Reads the parameters of a request. The answer is empty where no user can have the wanted `id`.
    pub fn plan(&self, mut params: Params, quirks: &Quirks) -> Planned {
        let modes = &quirks.filters;
        let mut filter = UserFilter::everyone();
        let mut is_possible = true;
        for field in self.heads() {
            let Some(by) = field.filter else { continue };
            let values = params.take_filter(field.name());
            match by {
                Filter::Id => is_possible = filter.by_ids(&values),
                Filter::Group(mode) => filter.by_group(values, mode(modes)),
                Filter::Text(text, mode) => filter.by_text(text, values, mode(modes)),
            }
        }
        let slice = match self.has_pages().then(|| Slice::take(&mut params)) {
            Some(None) => return Planned::Unclear,
            slice => slice.flatten(),
        };
        // No stored text has bytes that are none.
        is_possible &= !params.has_unreadable();
        let ignored = params.finish();
        match is_possible {
            true => Planned::Ask(Box::new(Plan { filter, slice, ignored })),
            false => Planned::Nobody { ignored },
        }
    }

    /// Whether it places a call, and lists nothing.
    pub fn places_calls(&self) -> bool {
        matches!(self.lists, Lists::Call(_))
    }

    /// The documented part of its requests that it refuses.
    pub(crate) fn refused(&self) -> Option<(FieldId, &'static str)> {
        self.places_calls().then_some((FieldId::StopCall, STOP))
    }

    /// The methods that it answers.
    pub fn methods(&self) -> &'static str {
        if self.places_calls() { "GET, POST" } else { "GET, HEAD" }
    }

    /// Whether a request asks for one page of its list.
    pub fn has_pages(&self) -> bool {
        matches!(self.lists, Lists::Templates(_))
    }

    /// The text before and after the records of an answer.
    pub fn envelope(&self, quirks: &Quirks, counts: impl Into<Counts>) -> (String, String) {
        self.wrapped_in(quirks).around(counts.into())
    }

    fn wrapped_in(&self, quirks: &Quirks) -> Wrap {
        match self.lists {
            // The documented shape of a status leaves nothing open.
            Lists::Users(record) if record == field::AGENT_STATUS => Wrap::Bare,
            Lists::Users(_) => Wrap::of(quirks.envelope),
            Lists::DeletedUsers(_) | Lists::Teams(_) => Wrap::Bare,
            Lists::Templates(_) => Wrap::Templates,
            Lists::Call(_) => Wrap::Call,
        }
    }

    /// The fields without their values, in answer order.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &'static Head> {
        let none = (&[][..], &[][..], &[][..], &[][..]);
        let (users, entries, templates, calls): Fields = match self.lists {
            Lists::Users(UserRecord(fields)) => (fields, none.1, none.2, none.3),
            Lists::DeletedUsers(EntryRecord(fields)) | Lists::Teams(EntryRecord(fields)) => {
                (none.0, fields, none.2, none.3)
            }
            Lists::Templates(TemplateRecord(fields)) => (none.0, none.1, fields, none.3),
            Lists::Call(CallRecord(fields)) => (none.0, none.1, none.2, fields),
        };
        let entries = entries.iter().map(|field| &field.head);
        let templates = templates.iter().map(|field| &field.head);
        let calls = calls.iter().map(|field| &field.head);
        users.iter().map(|field| &field.head).chain(entries).chain(templates).chain(calls)
    }
}

/// The rows of each kind of record; of one of them there are some.
type Fields = (
    &'static [Field<OfUser>],
    &'static [Field<OfEntry>],
    &'static [Field<OfTemplate>],
    &'static [Field<()>],
);

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lists::Users(_) => "Users",
            Lists::DeletedUsers(_) => "DeletedUsers",
            Lists::Teams(_) => "Teams",
            Lists::Templates(_) => "Templates",
            Lists::Call(_) => "Call",
        })
    }
}

/// A request as its endpoint understood it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    /// Rows may fit.
    Ask(Box<Plan<GroupName>>),
    /// No row can fit: the answer is the legacy empty list.
    Nobody {
        /// Names of parameters that were empty or are not known, sorted.
        ignored: Vec<String>,
    },
    /// It says in two ways which part of the list it wants.
    Unclear,
}

/// The endpoint that answers a path, also where it is written with more slashes than needed, with `.json`
/// at its end, or with escapes of characters that need none. Capitals are another path.
pub fn endpoint_at(path: &str) -> Option<&'static Endpoint> {
    exact(path).or_else(|| exact(&path::forgiven(path)?))
}

/// Hardly any path has a key in it, so such endpoints are looked for only where one may be.
fn exact(path: &str) -> Option<&'static Endpoint> {
    let mut all = ENDPOINTS.iter().copied();
    match path::may_have_key(path) {
        false => all.find(|endpoint| endpoint.paths.contains(&path)),
        true => all.find(|endpoint| endpoint.has_path(path)),
    }
}

/// Counts of values that rendering could only show imperfectly. `u32`, because a page keeps one for each row that
/// needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Notes {
    /// Names with `", "` inside, in a joined list.
    pub separator_in_name: u32,
    /// Time zones without a legacy name, shown as they came.
    pub time_zone_unmapped: u32,
    /// Channel kinds without a dictionary entry, shown as they came.
    pub channel_unmapped: u32,
    /// Words for an agent's status that no dictionary has.
    pub status_unmapped: u32,
    /// Live users that carry a deletion date.
    pub live_with_deletion_date: u32,
    /// Users left out because they are deleted.
    pub deleted_left_out: u32,
    /// Users left out because they have no legacy number, by the operator's choice.
    pub unnumbered_left_out: u32,
}

impl Notes {
    /// Adds another page's counts.
    pub fn add(&mut self, other: &Notes) {
        let add = |sum: &mut u32, more: u32| *sum = sum.saturating_add(more);
        add(&mut self.separator_in_name, other.separator_in_name);
        add(&mut self.time_zone_unmapped, other.time_zone_unmapped);
        add(&mut self.channel_unmapped, other.channel_unmapped);
        add(&mut self.status_unmapped, other.status_unmapped);
        add(&mut self.live_with_deletion_date, other.live_with_deletion_date);
        add(&mut self.deleted_left_out, other.deleted_left_out);
        add(&mut self.unnumbered_left_out, other.unnumbered_left_out);
    }

    /// Names and counts, for metrics and logs.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("separator_in_name", self.separator_in_name),
            ("time_zone_unmapped", self.time_zone_unmapped),
            ("channel_unmapped", self.channel_unmapped),
            ("status_unmapped", self.status_unmapped),
            ("live_with_deletion_date", self.live_with_deletion_date),
            ("deleted_left_out", self.deleted_left_out),
            ("unnumbered_left_out", self.unnumbered_left_out),
        ]
        .into_iter()
        .map(|(name, count)| (name, u64::from(count)))
    }
}
