//! What passes between layers. Layers never import each other; they share these.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use domain::hub::User;
use domain::legacy::{Endpoint, Lists};
use domain::listing::Listing;
use domain::params::Params;
use domain::plan::{GroupIds, Groups, Plan, UserFilter};
use domain::quirks::Quirks;
use domain::related::Related;
use domain::sweep::{List, Rows, Window};
use domain::teams::TeamsOfUsers;
use domain::upstream::Rules;
use http::{HeaderValue, Request};
use tokio::time::Instant;
use transport::body::Body;

use crate::caller::Caller;
use crate::observe::account::SharedAccount;
use crate::request::conditional::Conditional;
use crate::request::target::Target;
use crate::request::trail::Trail;

/// Below `route`: a request for a legacy endpoint.
#[derive(Debug)]
pub(crate) struct LegacyRequest {
    pub(crate) endpoint: &'static dyn Endpoint,
    pub(crate) quirks: Arc<Quirks>,
    pub(crate) credential: Credential,
    /// Path and query as they came.
    pub(crate) target: Target,
    /// The query without the credential.
    pub(crate) params: Params,
    /// By which gateways it has come.
    pub(crate) trail: Trail,
    pub(crate) conditional: Conditional,
    pub(crate) deadline: Instant,
    pub(crate) account: SharedAccount,
    /// Asks for nothing, but has to be out of the way.
    pub(crate) body: Body,
}

/// Below `route`: which way a request goes.
#[derive(Debug)]
pub(crate) enum Routed {
    /// It is translated.
    Legacy(LegacyRequest),
    /// It is not.
    Passing(Passing),
}

/// Below `route`: a request that is not translated, as it came.
#[derive(Debug)]
pub(crate) struct Passing {
    pub(crate) request: Request<Body>,
    pub(crate) credential: Credential,
    pub(crate) account: SharedAccount,
}

/// The id of a request, in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

/// The key as it came, not yet looked at; never printed.
pub(crate) enum Credential {
    None,
    One(crate::keys::secret::Secret),
    Ambiguous,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Below `authenticate`: a request of a known caller. The legacy key is gone.
#[derive(Debug)]
pub(crate) struct LegacyCall {
    pub(crate) endpoint: &'static dyn Endpoint,
    pub(crate) quirks: Arc<Quirks>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) params: Params,
    pub(crate) conditional: Conditional,
    pub(crate) deadline: Instant,
    pub(crate) account: SharedAccount,
}

/// Below `authenticate`: the same while its body has not come.
#[derive(Debug)]
pub(crate) struct WithBody {
    pub(crate) call: LegacyCall,
    pub(crate) body: Body,
}

/// Below `translate`: a list in hub words. `G` is what a group is known by.
#[derive(Debug)]
pub(crate) struct Call<G> {
    pub(crate) account: SharedAccount,
    pub(crate) endpoint: &'static dyn Endpoint,
    pub(crate) quirks: Arc<Quirks>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) plan: Plan<G>,
    /// Whether a kept answer will not do.
    pub(crate) wants_fresh: bool,
    pub(crate) deadline: Instant,
}

/// Beside the answer that `translate` gives: its bytes in no coding, also where the client has them
/// already.
#[derive(Debug, Clone)]
pub(crate) struct Plain(pub(crate) Bytes);

/// Above `fan_out`: one paged list to be read whole.
#[derive(Debug, Clone)]
pub(crate) struct ListCall {
    pub(crate) caller: Arc<Caller>,
    pub(crate) listing: Listing,
    pub(crate) ask: Ask,
    /// What is joined to the rows; below `relate` everything they need.
    pub(crate) related: Arc<Related>,
    /// Whether every user seen is to be told, for the roster.
    pub(crate) is_sighted: bool,
    pub(crate) deadline: Instant,
    /// Where what the list cost is noted, whatever becomes of it.
    pub(crate) account: SharedAccount,
}

impl ListCall {
    /// A list with nothing joined to it yet.
    pub(crate) fn new(
        caller: &Arc<Caller>,
        listing: Listing,
        ask: Ask,
        deadline: Instant,
        account: SharedAccount,
    ) -> Self {
        let (caller, related) = (Arc::clone(caller), Arc::default());
        ListCall { caller, listing, ask, related, is_sighted: false, deadline, account }
    }
}

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
    /// Users, for whoever looks at them beside any request.
    Look(Arc<dyn Look>),
}

/// Looks at users as they are read.
pub(crate) trait Look: fmt::Debug + Send + Sync {
    /// The rules that users are read by, from those of their upstream.
    fn rules(&self, rules: &Rules) -> Rules;
    /// One user; again where its page is read again.
    fn user(&self, user: &User<'_>);
}

/// See [`Ask::Rows`].
#[derive(Debug)]
pub(crate) struct RowsAsk {
    pub(crate) lists: Lists,
    pub(crate) quirks: Arc<Quirks>,
    pub(crate) plan: Plan<GroupIds>,
}

impl Ask {
    /// The filter an upstream may apply to save pages.
    pub(crate) fn filter(&self) -> Option<&UserFilter<GroupIds>> {
        match self {
            Ask::Rows(rows) => Some(&rows.plan.filter),
            Ask::Groups | Ask::Teams | Ask::Items | Ask::Look(_) => None,
        }
    }

    /// Whether one row is all that is wanted.
    pub(crate) fn wants_one(&self) -> bool {
        self.filter().is_some_and(|filter| filter.id().is_some())
    }
}

/// What a list was read for beside its rows.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Groups, where [`Ask::Groups`] asked.
    pub(crate) groups: Groups,
    /// Teams, where [`Ask::Teams`] asked.
    pub(crate) teams: TeamsOfUsers,
    /// Every user, where they are sighted.
    pub(crate) sightings: Vec<roster::Sighting>,
}

impl Found {
    /// Adds what another page told.
    pub(crate) fn extend(&mut self, other: Found) {
        self.groups.extend(other.groups);
        self.teams.extend(other.teams);
        self.sightings.extend(other.sightings);
    }
}

/// What `fan_out` gives back.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) list: List,
    pub(crate) found: Found,
}

/// Below `fan_out`: one page.
#[derive(Debug, Clone)]
pub(crate) struct PageCall {
    pub(crate) list: ListCall,
    pub(crate) window: Window,
}

/// What `exchange` gives back.
#[derive(Debug)]
pub(crate) struct PageRead {
    pub(crate) rows: Rows,
    pub(crate) found: Found,
}

/// Below `exchange`: one HTTP exchange with a caller's upstream.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) caller: Arc<Caller>,
    /// Path and query below the base URL.
    pub(crate) target: Arc<str>,
    pub(crate) accept: &'static str,
    pub(crate) deadline: Instant,
    /// On whose behalf it is sent.
    pub(crate) account: SharedAccount,
}

/// Below `authorize`: the same, with what the caller shows its upstream.
#[derive(Debug)]
pub(crate) struct Authorized {
    pub(crate) attempt: Attempt,
    /// Marked sensitive.
    pub(crate) authorization: HeaderValue,
}
