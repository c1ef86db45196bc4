//! What passes between layers. Layers never import each other; they share these.

use std::fmt;
use std::sync::Arc;

use domain::hub::User;
use domain::legacy::{Counts, Endpoint, Lists};
use domain::listing::Listing;
use domain::plan::{GroupIds, GroupName, Groups, Plan, UserFilter};
use domain::quirks::Quirks;
use domain::related::Related;
use domain::sweep::{List, Rows, Window};
use domain::teams::TeamsOfUsers;
use domain::upstream::{Dialect, Place, Rules};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request};
use limits::{Audience, Full, Holding};
use tokio::time::Instant;
use transport::body::Body;
use transport::server::Peer;

use crate::error::Error;
use crate::layer::outlet::Oversize;
use crate::observe::account::SharedAccount;
use crate::observe::origin::Origin;

/// At the top: a request, and the other end of its connection.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) request: Request<Body>,
    pub(crate) peer: Option<Peer>,
}

/// Below `trace`: a request as it came.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Boxed, since every step of its way hands it on.
    pub(crate) request: Box<Request<Body>>,
    /// The legacy endpoint of its path, if there is one.
    pub(crate) endpoint: Option<&'static Endpoint>,
    /// The other end of its connection.
    pub(crate) peer: Option<Peer>,
    pub(crate) behalf: Behalf,
}

/// On whose behalf an upstream is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behalf {
    /// Under which names the request is followed, here and upstream.
    pub(crate) origin: Option<Arc<Origin>>,
    /// Where it is noted what the request costs.
    pub(crate) account: SharedAccount,
    /// Whether no client waits. Background requests never queue, never repeat and pause nobody.
    pub(crate) is_background: bool,
    /// Whether it waits to be told which rows of a failed page fail.
    pub(crate) wants_failed_rows: bool,
}

impl Behalf {
    /// For what belongs to all who use it: only the names under which the request is followed, and the
    /// count of what is sent upstream, are those of this one.
    pub(crate) fn apart(&self) -> Self {
        let (origin, account) = (self.origin.clone(), self.account.apart());
        Behalf { origin, account, ..Behalf::default() }
    }

    /// For what no client waits for. What is read for all who use it is not: see [`Self::apart`].
    pub(crate) fn background() -> Self {
        Behalf { is_background: true, ..Behalf::default() }
    }
}

/// At the top of a caller's line: what a legacy request asks for, in hub words.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) quirks: Arc<Quirks>,
    /// Boxed, since a call moves from layer to layer.
    pub(crate) plan: Box<Plan<GroupName>>,
    /// Whether a kept answer will not do.
    pub(crate) wants_fresh: bool,
    /// What becomes of an answer that may not be buffered; without it all may.
    pub(crate) oversize: Option<Oversize>,
    pub(crate) deadline: Instant,
    pub(crate) behalf: Behalf,
}

/// Below `lookup`: one paged list to be read whole.
#[derive(Debug, Clone)]
pub(crate) struct ListCall {
    pub(crate) listing: Listing,
    /// Where it is read; `None` where the dialect knows.
    pub(crate) place: Option<Arc<Place>>,
    pub(crate) ask: Ask,
    /// What is joined to the rows; below `relate` everything they need.
    pub(crate) related: Arc<Related>,
    /// The questions that share the pages with `ask`, itself among them; `None` where it has them alone.
    pub(crate) audience: Option<Arc<Askers>>,
    /// Whether every user seen is to be told, for the roster.
    pub(crate) for_roster: bool,
    /// Whether every page has to be read, also one that has not changed.
    pub(crate) is_read_anew: bool,
    /// As [`Call::oversize`]. Only rows in legacy shape are streamed.
    pub(crate) oversize: Option<Oversize>,
    pub(crate) deadline: Instant,
    pub(crate) behalf: Behalf,
}

impl ListCall {
    /// A list with nothing joined to it yet.
    pub(crate) fn new(listing: Listing, ask: Ask, deadline: Instant, behalf: Behalf) -> Self {
        let (place, related, audience, oversize) = (None, Arc::default(), None, None);
        let (for_roster, is_read_anew) = (false, false);
        ListCall {
            listing,
            place,
            ask,
            related,
            audience,
            for_roster,
            is_read_anew,
            oversize,
            deadline,
            behalf,
        }
    }

    /// Whether one row is all that is wanted.
    pub(crate) fn wants_one(&self) -> bool {
        match &self.audience {
            Some(audience) => audience.all(RowsAsk::wants_one),
            None => self.ask.filter().is_some_and(|filter| filter.id().is_some()),
        }
    }
}

/// Those who share one reading of a list.
pub(crate) type Askers = Audience<RowsAsk, Result<Listed, Error>>;

/// What a list is read for.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// Users, or what an endpoint makes of them, in legacy shape.
    Rows(Arc<RowsAsk>),
    /// Users, for all their groups.
    Groups,
    /// Users, for all their teams.
    Teams,
    /// Any other listing, for its rows.
    Items,
    /// Users who fit a filter, for their ids upstream.
    Find(Arc<UserFilter<GroupIds>>),
    /// Users, for a report that no request waits for.
    Look(Arc<dyn Look>),
}

/// Looks at users as they are read.
pub trait Look: fmt::Debug + Send + Sync {
    /// The rules that users are read by, from those of their upstream.
    fn rules(&self, rules: &Rules) -> Rules;
    /// One user; again where its page is read again.
    fn user(&self, user: &User<'_>);
}

/// See [`Ask::Rows`].
#[derive(Debug, PartialEq)]
pub(crate) struct RowsAsk {
    pub(crate) lists: Lists,
    pub(crate) quirks: Arc<Quirks>,
    pub(crate) plan: Box<Plan<GroupIds>>,
}

impl RowsAsk {
    /// Whether one row is all that is wanted.
    pub(crate) fn wants_one(&self) -> bool {
        self.plan.filter.id().is_some()
    }
}

impl Ask {
    /// The filter an upstream may apply to save pages.
    pub(crate) fn filter(&self) -> Option<&UserFilter<GroupIds>> {
        match self {
            Ask::Rows(rows) => Some(&rows.plan.filter),
            Ask::Find(filter) => Some(filter),
            Ask::Groups | Ask::Teams | Ask::Items | Ask::Look(_) => None,
        }
    }

    /// Whether no filter leaves a row out.
    pub(crate) fn is_of_all(&self) -> bool {
        self.filter().is_none_or(UserFilter::is_everyone)
    }
}

/// What a list was read for beside its rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Groups, where [`Ask::Groups`] asked.
    pub(crate) groups: Groups,
    /// Teams, where [`Ask::Teams`] asked.
    pub(crate) teams: TeamsOfUsers,
    /// Every user, for the roster.
    pub(crate) sightings: Vec<roster::Sighting>,
    /// The upstream's ids of live users whom the caller sees, where [`Ask::Find`] asked.
    pub(crate) people: Vec<String>,
}

impl Found {
    /// Whether it was read for its rows alone.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
            && self.teams.is_empty()
            && self.sightings.is_empty()
            && self.people.is_empty()
    }

    /// Adds what another page told.
    pub(crate) fn extend(&mut self, other: Found) {
        self.groups.extend(other.groups);
        self.teams.extend(other.teams);
        self.sightings.extend(other.sightings);
        self.people.extend(other.people);
    }
}

/// A whole list.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) list: List,
    pub(crate) found: Found,
    /// Pages it once took to read what is joined to the rows.
    pub(crate) joined_pages: u64,
    /// Which part of a list it is, of an endpoint that has pages.
    pub(crate) counts: Option<Counts>,
    /// What it holds of the bytes that lists may hold.
    pub(crate) holding: Option<Arc<Holding>>,
    /// When its first page was asked for, if that is later than the question.
    pub(crate) since: Option<Instant>,
}

/// The error where lists hold what they may.
pub(crate) fn no_room(full: Full) -> Error {
    match full {
        Full::Own => Error::TenantLimit,
        Full::All => Error::Overloaded,
    }
}

impl Listed {
    /// The documented keys that no user of a whole list has, not even as null. A list of one says too little.
    pub(crate) fn absent_keys(&self, dialect: &dyn Dialect) -> Vec<&'static str> {
        if self.list.read < 2 {
            return Vec::new();
        }
        let keys = dialect.documented_keys().iter().enumerate();
        keys.filter(|(bit, _)| self.list.documented & (1 << bit) == 0)
            .map(|(_, key)| *key)
            .collect()
    }
}

/// Below `fan_out`: one page.
#[derive(Debug, Clone)]
pub(crate) struct PageCall {
    pub(crate) list: Arc<ListCall>,
    pub(crate) window: Window,
    /// Whether it has to be read, also if it has not changed.
    pub(crate) is_read_anew: bool,
}

/// What `exchange` gives back.
#[derive(Debug)]
pub(crate) struct PageRead {
    /// Shared, so that nobody copies a page who keeps it.
    pub(crate) rows: Arc<Rows>,
    pub(crate) found: Found,
    /// Whether they are of an earlier reading, and the upstream says that the page has not changed since.
    pub(crate) is_unchanged: bool,
}

/// Below `exchange`: one HTTP exchange with the caller's upstream.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// Below the base URL.
    pub(crate) target: PathAndQuery,
    pub(crate) accept: &'static str,
    /// The tag of the page that is kept, if one is. With it 304 is an answer.
    pub(crate) if_none_match: Option<HeaderValue>,
    pub(crate) deadline: Instant,
    pub(crate) behalf: Behalf,
}

/// Below `authorize`: the same, with what the caller shows its upstream.
#[derive(Debug)]
pub(crate) struct Authorized {
    pub(crate) attempt: Attempt,
    /// Marked sensitive.
    pub(crate) authorization: HeaderValue,
}
