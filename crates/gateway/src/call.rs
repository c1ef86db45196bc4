//! What passes between layers. Layers never import each other; they share these.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use domain::legacy::{Endpoint, Lists};
use domain::listing::Listing;
use domain::params::Params;
use domain::plan::{GroupIds, Groups, Plan, UserFilter};
use domain::quirks::Quirks;
use domain::related::Related;
use domain::sweep::{List, Rows, Story, Window};
use domain::teams::TeamsOfUsers;
use http::{HeaderValue, Request};
use tokio::time::Instant;
use transport::body::Body;

use crate::answers::Source;
use crate::caller::Caller;
use crate::coding::Coded;
use crate::origin::Origin;
use crate::shadow::Trail;
use crate::target::Target;
use crate::wishes::Wishes;

/// Below `route`: a request for a legacy endpoint.
#[derive(Debug)]
pub(crate) struct LegacyRequest {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) quirks: Arc<Quirks>,
    pub(crate) credential: Credential,
    /// Path and query as they came.
    pub(crate) target: Target,
    /// The query without the credential.
    pub(crate) params: Params,
    /// By which gateways it has come.
    pub(crate) trail: Trail,
    pub(crate) wishes: Wishes,
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
    One(crate::secret::Secret),
    Ambiguous,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Below `authenticate`: a request of a known caller. The legacy key is gone.
#[derive(Debug)]
pub(crate) struct LegacyCall {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) quirks: Arc<Quirks>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) params: Params,
    pub(crate) wishes: Wishes,
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
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) quirks: Arc<Quirks>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) plan: Plan<G>,
    /// Whether a kept answer will not do.
    pub(crate) is_anew: bool,
    pub(crate) deadline: Instant,
}

/// What `assemble` gives back: a whole answer.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    pub(crate) rows: u64,
    /// Names just these bytes.
    pub(crate) etag: HeaderValue,
    /// The same bytes in other codings.
    pub(crate) coded: Coded,
    pub(crate) story: Story,
    pub(crate) joined_pages: u64,
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
    /// Users, for what `tieline check` reports.
    Survey(Arc<Mutex<crate::check::Survey>>),
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
            Ask::Groups | Ask::Teams | Ask::Items | Ask::Survey(_) => None,
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

/// How an answer comes about: layers note what they learn, the access line tells it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) endpoint: Option<&'static str>,
    pub(crate) caller: Option<String>,
    /// What the caller's upstream speaks.
    pub(crate) dialect: Option<&'static str>,
    pub(crate) may_explain: bool,
    /// Filters that had a value.
    pub(crate) filters: Vec<&'static str>,
    /// Names fit for a log.
    pub(crate) ignored: Vec<String>,
    pub(crate) rows: u64,
    pub(crate) story: Story,
    /// Pages it once took to read what was joined to the rows.
    pub(crate) joined_pages: u64,
    pub(crate) error: Option<&'static str>,
    /// Which side answered, where either may.
    pub(crate) answered_by: Option<&'static str>,
    /// Whether the answer's body comes from elsewhere piece by piece; its line is written at its end.
    pub(crate) is_streamed: bool,
    /// Where a list came from.
    pub(crate) source: Option<Source>,
    /// Under which names the request is followed, here and upstream.
    pub(crate) origin: Option<Arc<Origin>>,
    /// Whether nobody waits for it: then it is in no client's way.
    pub(crate) is_background: bool,
    /// Which configuration it is answered with.
    pub(crate) epoch: u64,
    /// Requests sent upstream on behalf of this one, those for what is kept included.
    pub(crate) upstream_calls: Arc<AtomicU64>,
}

impl Account {
    pub(crate) fn upstream_calls(&self) -> u64 {
        self.upstream_calls.load(Ordering::Relaxed)
    }
}

/// An account that every layer of one request shares; it stands in the request's extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedAccount(Arc<Mutex<Account>>);

impl SharedAccount {
    pub(crate) fn note(&self, change: impl FnOnce(&mut Account)) {
        // Plain data, valid after any panic.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// An account of its own for what belongs to all who use it: only the names under which the
    /// request is followed, and the count of what is sent upstream, are those of this one.
    pub(crate) fn apart(&self) -> Self {
        let Account { origin, upstream_calls, .. } = self.read();
        SharedAccount(Arc::new(Mutex::new(Account {
            origin,
            upstream_calls,
            ..Account::default()
        })))
    }

    /// One that no client waits for. What is read for all who use it is not: see [`Self::apart`].
    pub(crate) fn background() -> Self {
        let account = SharedAccount::default();
        account.note(|account| account.is_background = true);
        account
    }

    /// Whether nobody waits for it.
    pub(crate) fn is_background(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_background
    }

    /// Counts a request that is sent upstream.
    pub(crate) fn note_upstream_call(&self) {
        self.note(|account| _ = account.upstream_calls.fetch_add(1, Ordering::Relaxed));
    }

    /// Under which names the request is followed.
    pub(crate) fn origin(&self) -> Option<Arc<Origin>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).origin.clone()
    }

    pub(crate) fn read(&self) -> Account {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
