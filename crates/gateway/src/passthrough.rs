//! Requests that are not translated: to the upstream and back as they are, but for the credential, for
//! what concerns one connection only, and for what says who asked.
//!
//! Must never send a request twice, never follow a redirect, never hold a body, and never show one
//! host the credential of another.

mod clients;
mod credential;
mod flow;
mod forwarded;
mod headers;
mod location;
mod path;
mod who;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use domain::visibility::Visibility;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, REFERER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use limits::{Admission, Queue, Shed};
use settings::{Allow, Brownout, Network, PassthroughCredential, Route, Secret, UnknownCallers};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transport::alarm::Alarm;
use transport::body::{self, Body, BodyError, TimedBody};
use transport::client::ClientError;
use transport::headers::has;
use transport::server::{Peer, Refusal};
use transport::upgrade::Tunnel;

use crate::caller::Caller;
use crate::error::Error;
use crate::key_in_path::{self, KeyInPath};
use crate::layer::call::Behalf;
use crate::request::base::Base;
use crate::request::credential::Credential;
use crate::state::State;
use clients::{Clients, Party, Target};
use credential::Watchword;
use flow::{Download, Gate, Place, Progress, Upload};
use headers::Among;
use who::Who;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// See the module.
pub(crate) struct Passthrough {
    state: State,
    rules: settings::Passthrough,
    clients: Clients,
    places: Admission,
}

impl Passthrough {
    /// `None` where nothing goes through.
    pub(crate) fn new(state: &State) -> Option<Self> {
        let rules = state.config.passthrough.clone()?;
        Some(Passthrough {
            clients: Clients::new(state, &rules),
            places: Admission::new(Queue {
                in_flight_max: rules.requests_in_flight_max,
                queued_max: rules.requests_queued_max,
                wait_max: state.config.limits.queue_wait_max,
            }),
            state: state.clone(),
            rules,
        })
    }

    /// Sends a request on, and its answer back.
    pub(crate) async fn answer(
        &self,
        request: Box<Request<Body>>,
        peer: Option<Peer>,
        behalf: Behalf,
        key_in_path: Option<Box<KeyInPath>>,
    ) -> Result<Response<Body>, Error> {
        let credential = Credential::of(request.headers(), request.uri().query());
        let who = match key_in_path {
            None => Who::of(credential, &self.state.callers),
            Some(found) => Who::in_path(*found, &credential),
        };
        // No more of the places than the caller's share, whatever it asks for.
        let caller = who.caller.clone();
        if let Some(caller) = &caller {
            behalf.account.note(|account| account.caller = Some(Arc::clone(&caller.tally)));
        }
        let _place = match &caller {
            Some(caller) => {
                Some(caller.place().inspect_err(|_| self.state.metrics.shed(Shed::Tenant))?)
            }
            None => None,
        };
        self.passed(request, peer, &behalf, who).await
    }

    async fn passed(
        &self,
        mut request: Box<Request<Body>>,
        peer: Option<Peer>,
        behalf: &Behalf,
        who: Who,
    ) -> Result<Response<Body>, Error> {
        let account = &behalf.account;
        account.note(|account| account.endpoint = Some(Brownout::PASSTHROUGH));
        let route = self.route(request.uri()).map_err(|error| who.told(error, request.uri()))?;
        may_be_sent(&request, &route)?;
        let among = Among::of(request.headers());
        let switch = self.switch(&request, among)?;
        self.may_pass(&who, &route)?;

        let target = self.clients.target(who.caller.as_deref(), &route);
        let (party, target) = target.ok_or(Error::NotFound)?;
        let place = self.place(party).await?;

        // The legacy key ends here, where another one takes its place.
        let is_exchanged =
            route.credential == PassthroughCredential::Exchange && !who.has_key_in_path;
        let exchanged = match (&who.caller, &who.key) {
            (Some(caller), Some(key)) if is_exchanged => {
                Some((shown_by(caller, behalf, &route).await?, key))
            }
            _ => None,
        };
        let expects = among.expect && expects(request.headers())?;
        let uri = outgoing_uri(target, request.uri(), exchanged.is_some())?;
        let exchange = exchanged.as_ref();
        self.outgoing_headers(&mut request, among, peer, behalf, &target.base, exchange);
        if switch.is_some() {
            headers::say_websocket(request.headers_mut());
        }
        if let (true, Some(key)) = (who.has_key_in_path, &who.key) {
            credential::leave_out(request.headers_mut(), key.expose());
        }
        if among.referer {
            self.leave_out_others(request.headers_mut());
        }
        let (authorization, key) = exchanged.unzip();

        let extensions = std::mem::take(request.extensions_mut());
        let switch = switch.map(|idle| (idle, extensions));
        *request.uri_mut() = uri;
        let progress = Progress::new();
        // A body may still be on its way when the answer has ended.
        let answered = (!request.body().is_end_stream()).then(CancellationToken::new);
        // However this ends: a body that waits at its gate ends with it.
        let ended = answered.clone().map(CancellationToken::drop_guard);
        let waiting = Waiting {
            route: &route,
            target,
            progress: Arc::clone(&progress),
            expects,
            answered,
            place: Arc::clone(&place),
            has_effects: !request.method().is_safe(),
            key,
        };
        let answer = waiting.answer(request).await;
        match &answer {
            Ok(answer) => self.state.metrics.attempt(&target.attempts, answer.status().as_str()),
            Err(error) => self.state.metrics.attempt(&target.attempts, error.slug()),
        }
        let mut answer = answer?;
        if answer.status() == StatusCode::UNAUTHORIZED
            && let (Some(caller), Some(authorization)) = (&who.caller, &authorization)
        {
            caller.line.credential.forget(authorization).await;
        }

        let watch = authorization.as_ref().and_then(Watchword::of);
        let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let switch = switch.filter(|_| switched && headers::is_websocket(answer.headers()));
        if switched && switch.is_none() {
            // To a protocol that nobody asked for.
            return Err(Error::Exchange(ClientError::BadFraming));
        }
        let mut outgoing = Response::new(body::empty());
        *outgoing.status_mut() = answer.status();
        *outgoing.headers_mut() = std::mem::take(answer.headers_mut());
        self.answer_headers(outgoing.headers_mut(), watch.as_ref());
        if let (true, Some(key)) = (who.has_key_in_path, &who.key) {
            credential::leave_out(outgoing.headers_mut(), key.expose());
        }
        if self.rules.rewrite_location {
            location::become_ours(outgoing.headers_mut(), &target.base);
        }
        match switch {
            None => {
                let inner = std::mem::replace(answer.body_mut(), body::empty());
                let pace = flow::pace(&route);
                let account = account.clone();
                let download = Download::new(inner, pace, watch, account, ended, place);
                *outgoing.body_mut() = body::boxed(download.begin(route.idle_timeout).await?);
            }
            Some((idle, extensions)) => {
                headers::say_websocket(outgoing.headers_mut());
                let mut on_client = Request::new(body::empty());
                *on_client.extensions_mut() = extensions;
                let tunnel = Tunnel::new(&mut on_client, &mut answer, idle, place);
                outgoing.extensions_mut().insert(tunnel);
            }
        }
        account.note(|account| account.is_streamed = true);
        Ok(outgoing)
    }

    /// A place within the party's share, or a short wait for one, or no.
    async fn place(&self, party: &Party) -> Result<Place, Error> {
        let of_share = match &party.share {
            None => None,
            Some(share) => Some(share.enter().await.map_err(|_| {
                self.state.metrics.shed(Shed::Tenant);
                Error::TenantLimit
            })?),
        };
        let of_all = self.places.enter().await.map_err(|shed| {
            self.state.metrics.shed(shed);
            Error::Overloaded
        })?;
        Ok(Arc::new((of_share, of_all)))
    }

    /// What holds for a path.
    fn route(&self, uri: &Uri) -> Result<Arc<Route>, Error> {
        let (path, has_one_reading) = path::plain(uri, self.rules.escaped_slashes)?;
        let route = self.rules.route(&path).ok_or(Error::NotFound)?;
        // A server that reads the path in another way must come to the same rules.
        let is_same = |other: Cow<'_, str>| {
            self.rules.route_in_any_case(&other).is_some_and(|other| Arc::ptr_eq(other, route))
        };
        let is_whole = |inside: String| {
            self.rules.route(&inside).is_some_and(|other| Arc::ptr_eq(other, route))
        };
        let is_one = match has_one_reading {
            true => is_same(Cow::Borrowed(&path)),
            false => {
                path::readings(&path).into_iter().all(is_same)
                    && path::with_slashes_inside(uri).is_none_or(is_whole)
            }
        };
        if !is_one {
            return Err(Error::OddPath);
        }
        Ok(Arc::clone(Some(route).filter(|route| route.is_allowed).ok_or(Error::NotFound)?))
    }

    /// For how long both sides of the WebSocket may be silent that a request asks for. HTTP/1.0 has none.
    fn switch(&self, request: &Request<Body>, among: Among) -> Result<Option<Duration>, Error> {
        let headers = request.headers();
        let may_switch = request.version() == Version::HTTP_11 && among.upgrade;
        if !may_switch || !headers::wants_websocket(headers) {
            return Ok(None);
        }
        let idle = self.rules.websocket.ok_or(Error::UpgradeRefused)?;
        // The bytes behind the head would be a body to some and the other protocol to others.
        if among.expect || !request.body().is_end_stream() {
            return Err(Error::Refused(Refusal::BadFraming));
        }
        Ok(Some(idle))
    }

    /// Whether the caller may use a route.
    fn may_pass(&self, who: &Who, route: &Route) -> Result<(), Error> {
        let is_forwarded = self.rules.unknown_callers == UnknownCallers::Forward
            && route.upstream_of_unknown.is_some();
        let Some(caller) = &who.caller else {
            return match &who.refusal {
                Error::AmbiguousCredential => Err(Error::AmbiguousCredential),
                refusal if !is_forwarded => Err(refusal.clone()),
                _ => Ok(()),
            };
        };
        let is_narrowed = !matches!(caller.visibility, Visibility::Everything);
        if is_narrowed && route.narrowed == Allow::Deny {
            return Err(Error::PassthroughNarrowed);
        }
        caller.brownouts.check(Brownout::PASSTHROUGH)?;
        match who.has_key_in_path && route.key_in_path == settings::KeyInPath::Refuse {
            true => Err(Error::KeyInPath),
            false => Ok(()),
        }
    }

    /// A page whose path has a caller's key in it may ask for another path; its address ends here.
    fn leave_out_others(&self, headers: &mut HeaderMap) {
        let has_key = |url: &HeaderValue| {
            let url = url.to_str().ok().and_then(|url| url.parse::<Uri>().ok());
            url.is_some_and(|url| key_in_path::find(url.path(), &self.state.callers).is_some())
        };
        if headers.get(REFERER).is_some_and(has_key) {
            headers.remove(REFERER);
        }
    }

    fn outgoing_headers(
        &self,
        request: &mut Request<Body>,
        among: Among,
        peer: Option<Peer>,
        behalf: &Behalf,
        base: &Base,
        exchanged: Option<&(HeaderValue, &Secret)>,
    ) {
        let asked_host = headers::asked_host(request.uri(), request.headers());
        let peer = peer.map(|peer| peer.0.ip());
        // Over HTTP/2 a length of nothing may be a lie, and an upstream would not wait for what comes.
        let is_nothing =
            |length: &HeaderValue| length.as_bytes().iter().all(|digit| *digit == b'0');
        let is_open_ended = !request.body().is_end_stream()
            && request.headers().get(CONTENT_LENGTH).is_none_or(is_nothing);
        let headers = request.headers_mut();
        let config = &self.state.config.server;
        let is_trusted = peer.is_some_and(|peer| Network::is_among(peer, &config.trusted_proxies));
        headers::clean(headers, among, is_trusted);
        if let Some((authorization, key)) = exchanged {
            credential::exchange(headers, key.expose(), authorization.clone());
        }
        let asked = forwarded::Asked { peer, host: asked_host, is_tls: config.tls.is_some() };
        forwarded::set(headers, asked, is_trusted);
        if self.rules.via {
            forwarded::via(headers);
        }
        if let Some(origin) = behalf.origin.as_ref().filter(|_| !has(headers, &REQUEST_ID))
            && let Some(id) = origin.header()
        {
            headers.insert(REQUEST_ID, id);
        }
        if among.of_connection && headers.contains_key(http::header::TE) {
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
        if is_open_ended {
            // Said aloud, since a body of a GET would be left out otherwise.
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        headers.insert(http::header::HOST, base.host().clone());
    }

    fn answer_headers(&self, headers: &mut HeaderMap, watch: Option<&Watchword>) {
        headers::strip_hop_by_hop(headers);
        // Our own words: a client tells by them whose answer it is.
        headers::remove_where(headers, |name| name.as_str().starts_with("x-tieline-"));
        if let Some(watch) = watch {
            watch.strip(headers);
        }
        if self.rules.via {
            forwarded::via(headers);
        }
    }
}

/// What a caller shows its upstream.
async fn shown_by(caller: &Caller, behalf: &Behalf, route: &Route) -> Result<HeaderValue, Error> {
    let credential = &caller.line.credential;
    if let Some(authorization) = credential.at_hand() {
        return Ok(authorization);
    }
    let deadline = Instant::now() + route.head_timeout;
    // Boxed, so that other requests stay small.
    Box::pin(credential.get(behalf, deadline, None)).await
}

fn may_be_sent(request: &Request<Body>, route: &Route) -> Result<(), Error> {
    match &route.methods {
        Some(methods) if !methods.has(request.method()) => {
            Err(Error::MethodNotListed { allow: methods.allow.clone() })
        }
        _ => Ok(()),
    }
}

/// Whether the client waits for `100 Continue`; the only expectation there is.
fn expects(headers: &HeaderMap) -> Result<bool, Error> {
    let mut expectations = headers.get_all(EXPECT).iter();
    match (expectations.next(), expectations.next()) {
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(true),
        _ => Err(Error::BadExpect),
    }
}

/// The upstream's scheme, host and prefix, and the client's path and query.
fn outgoing_uri(target: &Target, asked: &Uri, is_exchanged: bool) -> Result<Uri, Error> {
    let asked_for = asked.path_and_query().ok_or(Error::OddPath)?;
    let query = asked_for.query().filter(|_| is_exchanged);
    let outgoing = match query.map(credential::without_key) {
        None => target.base.uri(asked_for),
        // Where the key was all there was, nothing stays of the query.
        Some(query) if query.is_empty() => {
            asked.path().parse().ok().and_then(|it| target.base.uri(&it))
        }
        Some(query) => {
            let without_key = format!("{}?{query}", asked.path());
            without_key.parse().ok().and_then(|it| target.base.uri(&it))
        }
    };
    outgoing.ok_or(Error::OddPath)
}

/// A request on its way, until the head of its answer.
struct Waiting<'a> {
    route: &'a Route,
    target: &'a Target,
    progress: Arc<Progress>,
    expects: bool,
    /// Cancelled when the answer has ended; there for a request with a body.
    answered: Option<CancellationToken>,
    place: Place,
    /// Whether it matters if the upstream has seen the request.
    has_effects: bool,
    /// The legacy key, where another one takes its place.
    key: Option<&'a Secret>,
}

impl Waiting<'_> {
    async fn answer(self, mut request: Box<Request<Body>>) -> Result<Response<Body>, Error> {
        let (say, said) = match self.expects {
            true => Some(oneshot::channel()).unzip(),
            false => (None, None),
        };
        if let Some(answered) = self.answered.clone() {
            let inner = std::mem::replace(request.body_mut(), body::empty());
            let inner = TimedBody::new(inner, self.route.idle_timeout);
            let inner = inner.paced(flow::pace(self.route));
            let (key, left) = (self.key.cloned(), inner.size_hint().exact());
            *request.body_mut() = body::boxed(Upload {
                inner,
                gate: said.map(Gate::new),
                progress: Arc::clone(&self.progress),
                answered: Box::pin(answered.cancelled_owned()),
                key,
                left,
                last: None,
                _place: Arc::clone(&self.place),
            });
        }
        let exchange = self.target.client.send(request, say);
        let mut exchange = std::pin::pin!(exchange);
        let answer = loop {
            // Counted from the last piece of the request's body: a long upload is no long wait.
            let until = self.progress.last() + self.route.head_timeout;
            tokio::select! {
                biased;
                answer = &mut exchange => break answer,
                () = Alarm::at(until) => {
                    if self.progress.last() + self.route.head_timeout <= Instant::now() {
                        return Err(Error::UpstreamTimeout);
                    }
                }
            }
        };
        answer.map_err(|error| self.cause(error))
    }

    /// Whose fault a broken exchange is.
    fn cause(&self, error: ClientError) -> Error {
        match self.progress.failed() {
            Some(BodyError::Idle { .. } | BodyError::Slow { .. }) => Error::SlowBody,
            Some(BodyError::BadFraming) => Error::Refused(Refusal::BadFraming),
            Some(_) => Error::BadBody,
            None if self.has_effects && error == (ClientError::Reset { started: true }) => {
                Error::OutcomeUnknown
            }
            None => Error::Exchange(error),
        }
    }
}
