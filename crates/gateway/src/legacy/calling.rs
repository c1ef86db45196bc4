//! A legacy request that places a call. It is placed at most once: from its agent on it goes on in a task of its
//! own, which a client that leaves does not take back and which the end of the process waits for. Must never be
//! compared, kept, shared or repeated.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::call::{Unfit, WantedCall};
use domain::json;
use domain::legacy::Endpoint;
use domain::listing::{Listing, Which};
use domain::params::Params;
use domain::plan::{TextOf, UserFilter};
use domain::quirks::Match;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use limits::{Shed, whose};
use settings::Secret;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use transport::body::{self, Body};

use super::answer::JSON;
use super::body as legacy_body;
use crate::caller::{Caller, Callers};
use crate::error::Error;
use crate::layer::call::{Ask, Behalf, ListCall};
use crate::line::placing::Placed;
use crate::observe::metrics::Metrics;
use crate::request::credential::Credential;

/// See the module.
pub(crate) struct Calling {
    pub(crate) callers: Arc<Callers>,
    /// The longest that a request may take.
    pub(crate) deadline: Duration,
    /// Calls that are being placed.
    pub(crate) under_way: TaskTracker,
    pub(crate) metrics: Metrics,
}

impl Calling {
    /// Places the call that a request wants, and answers with what became of it.
    pub(crate) async fn answer(
        &self,
        endpoint: &'static Endpoint,
        request: Request<Body>,
        behalf: Behalf,
    ) -> Result<Response<Body>, Error> {
        if !matches!(*request.method(), Method::GET | Method::POST) {
            return Err(Error::MethodNotAllowed);
        }
        behalf.account.note(|account| account.endpoint = Some(endpoint.name()));
        if is_prefetch(request.headers()) {
            return Err(Error::PrefetchRefused);
        }
        // An attacker who recorded early data can send it again.
        if request.headers().contains_key("early-data") {
            return Err(Error::TooEarly);
        }
        let deadline = Instant::now() + self.deadline;
        let (headers, uri) = (request.headers(), request.uri());
        let key = Secret::new(endpoint.key_in(uri.path()).unwrap_or_default());
        let caller = self.callers.of(&Credential::in_path(key, headers, uri.query()))?;
        behalf.account.note(|account| {
            account.caller = Some(Arc::clone(&caller.tally));
            account.dialect = Some(caller.line.upstream.dialect.name());
        });
        if !caller.may_call {
            return Err(Error::EffectRefused);
        }
        caller.brownouts.check(endpoint.name())?;
        let place = caller.place().inspect_err(|_| self.metrics.shed(Shed::Tenant))?;
        let place = caller.keep(place);
        let mut params = Params::parse(uri.query().unwrap_or_default()).without_keys();
        // A call's parameters are in the body by the vendor's own page, so it is read in any case.
        let body = legacy_body::Coming::of_call(request);
        if let Some(more) = body.settled(deadline).await? {
            params.put_beside(more);
        }
        let wanted = WantedCall::of(params).map_err(|unfit| match unfit {
            Unfit::Contradiction => Error::Contradiction,
            Unfit::NoAgent => Error::AgentNotFound,
            Unfit::BadNumber => Error::BadNumber,
            Unfit::Stop => Error::StopRefused,
            Unfit::TooLong => Error::LongParameter,
        })?;
        let wants_id = wanted.wants_id;
        let (tell, told) = oneshot::channel();
        let told_of =
            Told { metrics: self.metrics.clone(), caller: Arc::clone(&caller), outcome: None };
        let work = Box::pin(async move {
            let _place = place;
            let mut told_of = told_of;
            let placed = placed(&caller, wanted, &behalf, deadline).await;
            told_of.outcome = Some(outcome(&placed));
            if tell.send(placed).is_err() {
                let (caller, outcome) = (&*caller.name, told_of.outcome.unwrap_or_default());
                tracing::info!(caller, outcome, "a call was worked off whose client had left");
            }
        });
        self.under_way.spawn(whose::of_the_same(work));
        // It ends by its deadline. One that panicked may have been placed.
        let placed = told.await.unwrap_or(Err(Error::CallUnknown))?;
        Ok(answer(placed, wants_id))
    }
}

/// Whether a browser asks for what nobody may ever want to see.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"].iter().any(|name| {
        headers.get_all(*name).iter().any(|value| {
            let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            value.contains("prefetch") || value.contains("prerender") || value.contains("preview")
        })
    })
}

/// The one user who is the agent is looked up; then the call is sent.
async fn placed(
    caller: &Caller,
    wanted: WantedCall,
    behalf: &Behalf,
    deadline: Instant,
) -> Result<Placed, Error> {
    let found = timeout_at(deadline, agent(caller, &wanted, behalf, deadline)).await;
    let own_id = found.unwrap_or(Err(Error::Deadline))?;
    let request = caller.line.upstream.dialect.call_request(&own_id, &wanted);
    caller.line.placing.place(request.ok_or(Error::NotOffered)?, behalf, deadline).await
}

/// The upstream's id of the one live user whom the caller sees and who has this extension, or else this e-mail, or
/// else this e-mail in letters of another case.
async fn agent(
    caller: &Caller,
    wanted: &WantedCall,
    behalf: &Behalf,
    deadline: Instant,
) -> Result<String, Error> {
    let ways: &[(TextOf, Match)] = match wanted.is_by_email() {
        true => &[(TextOf::Email, Match::Exact), (TextOf::Email, Match::CaseInsensitive)],
        false => &[(TextOf::Extension, Match::Exact), (TextOf::Email, Match::Exact)],
    };
    for (by, mode) in ways {
        let ask = Ask::Find(Arc::new(UserFilter::with_text(*by, &wanted.agent, *mode)));
        let list = ListCall::new(Listing::Users(Which::Live), ask, deadline, behalf.clone());
        let mut people = caller.line.list(list).await?.found.people;
        people.sort_unstable();
        people.dedup();
        match (people.pop(), people.len()) {
            (Some(only), 0) => return Ok(only),
            (Some(_), _) => return Err(Error::AgentNotFound),
            (None, _) => {}
        }
    }
    Err(Error::AgentNotFound)
}

fn answer(placed: Placed, wants_id: bool) -> Response<Body> {
    let id = placed.id.filter(|_| wants_id);
    let mut answer = match &id {
        None => Response::new(body::empty()),
        Some(id) => {
            let mut bytes = b"{\"call_id\":".to_vec();
            json::string(&mut bytes, id);
            bytes.push(b'}');
            Response::new(body::full(Bytes::from(bytes)))
        }
    };
    let headers = answer.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match id {
        None => *answer.status_mut() = StatusCode::NO_CONTENT,
        Some(_) => _ = headers.insert(CONTENT_TYPE, JSON),
    }
    answer
}

/// The word for what became of a call.
fn outcome(placed: &Result<Placed, Error>) -> &'static str {
    match placed {
        Ok(Placed { id: Some(_) }) => "placed",
        Ok(Placed { id: None }) => "placed_without_id",
        Err(Error::CallUnknown) => "unknown",
        Err(_) => "not_placed",
    }
}

/// Counts what became of a call, also of one that was cut.
struct Told {
    metrics: Metrics,
    caller: Arc<Caller>,
    outcome: Option<&'static str>,
}

impl Drop for Told {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or("unknown");
        self.metrics.call(outcome);
        if outcome == "unknown" {
            let caller = &*self.caller.name;
            tracing::warn!(caller, "a call may have been placed: what became of it is not known");
        }
    }
}
