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
mod path;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use domain::visibility::Visibility;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Service, ServiceExt};
use transport::body::{self, Body, BodyError};
use transport::client::ClientError;
use transport::server::Peer;
use transport::upgrade::Tunnel;

use crate::call::{Attempt, Authorized, Credential, Passing, RequestId};
use crate::caller::Caller;
use crate::config::{self, Allow, PassthroughCredential, Route, UnknownCallers};
use crate::error::Error;
use crate::keys::secret::Secret;
use crate::observe::account::SharedAccount;
use crate::state::State;
use clients::{Clients, Target};
use credential::Watchword;
use flow::{Download, Gate, Place, Progress, Upload};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// An upstream that says "wait" more often than this says nothing at all.
const INFORMATIONAL_MAX: usize = 16;

/// What passing through needs to know.
#[derive(Debug)]
pub(crate) struct Settings {
    state: State,
    rules: config::Passthrough,
    clients: Clients,
    places: Arc<Semaphore>,
}

impl Settings {
    /// `None` where nothing goes through.
    pub(crate) fn new(state: &State) -> Option<Arc<Settings>> {
        let rules = state.config.passthrough.clone()?;
        Some(Arc::new(Settings {
            clients: Clients::new(state, &rules),
            places: Arc::new(Semaphore::new(rules.requests_in_flight_max)),
            state: state.clone(),
            rules,
        }))
    }
}

/// `inner` tells what a caller shows its upstream, and sends nothing; see [`shown`].
pub(crate) async fn passthrough<S>(
    settings: Arc<Settings>,
    inner: S,
    passing: Passing,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Attempt, Response = Response<Bytes>, Error = BoxError>,
{
    let Passing { mut request, credential, account } = passing;
    account.note(|account| account.endpoint = Some("passthrough"));
    let path = path::plain(request.uri())?;
    let route = settings.rules.route(&path).ok_or(Error::NotFound)?;
    // A server that reads the path in another way must come to the same rules.
    let is_same = |other: String| {
        settings.rules.route_in_any_case(&other).is_some_and(|other| Arc::ptr_eq(other, route))
    };
    if !path::readings(&path).into_iter().all(is_same) {
        return Err(Error::OddPath.into());
    }
    let route = Arc::clone(Some(route).filter(|route| route.is_allowed).ok_or(Error::NotFound)?);
    may_be_sent(&request, &route)?;
    let switch = match headers::wants_websocket(request.headers()) {
        true => Some(settings.rules.websocket.ok_or(Error::UpgradeRefused)?),
        false => None,
    };
    let who = settings.who(credential, &route)?;
    if let Some(caller) = &who.caller {
        account.note(|account| account.caller = Some(caller.name.clone()));
        let is_narrowed = !matches!(caller.visibility, Visibility::Everything);
        if is_narrowed && route.narrowed == Allow::Deny {
            return Err(Error::PassthroughNarrowed.into());
        }
    }
    let target = settings.clients.target(who.caller.as_deref(), &route).ok_or(Error::NotFound)?;
    let place = Arc::clone(&settings.places).try_acquire_owned().map_err(|_| Error::Overloaded)?;
    let place: Place = Arc::new(place);

    // The legacy key ends here, where another one takes its place.
    let exchanged = match (&who.caller, &who.key) {
        (Some(caller), Some(key)) if route.credential == PassthroughCredential::Exchange => {
            Some((shown_by(&settings, inner, caller, &account).await?, key))
        }
        _ => None,
    };
    let expects = expects(request.headers())?;
    let uri = outgoing_uri(target, request.uri(), exchanged.is_some())?;
    outgoing_headers(&settings, &mut request, &uri, exchanged.as_ref(), switch.is_some())?;
    let authorization = exchanged.map(|(authorization, _)| authorization);

    let mut on_client = Request::new(body::empty());
    std::mem::swap(on_client.extensions_mut(), request.extensions_mut());
    *request.uri_mut() = uri;
    let (answered, progress) = (CancellationToken::new(), Progress::new());
    let waiting = Waiting {
        settings: &settings,
        target,
        progress: Arc::clone(&progress),
        expects,
        answered: answered.clone(),
        place: Arc::clone(&place),
        has_effects: !request.method().is_safe(),
    };
    let answer = waiting.answer(request).await;
    match &answer {
        Ok(answer) => settings.state.metrics.attempt(&target.name, answer.status().as_str()),
        Err(error) => settings.state.metrics.attempt(&target.name, error.slug()),
    }
    let mut answer = answer?;
    if answer.status() == StatusCode::UNAUTHORIZED
        && let (Some(caller), Some(authorization)) = (&who.caller, &authorization)
    {
        caller.forget_token(authorization).await;
    }

    let watch = authorization.as_ref().and_then(Watchword::of);
    let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let protocol = answer.headers().get(UPGRADE).cloned();
    let mut outgoing = Response::new(body::empty());
    match switch.filter(|_| switched) {
        // Switched without being asked to.
        None if switched => return Err(Error::Exchange(ClientError::BadFraming).into()),
        None => {
            let inner = std::mem::replace(answer.body_mut(), body::empty());
            let inner = body::timed(inner, settings.rules.idle_timeout);
            let account = account.clone();
            let watch = authorization.as_ref().and_then(Watchword::of);
            let download = Download::new(inner, watch, account, answered, place);
            *outgoing.body_mut() = body::boxed(download);
        }
        Some(idle) => {
            let tunnel = Tunnel::new(&mut on_client, &mut answer, idle, place);
            outgoing.extensions_mut().insert(tunnel);
        }
    }
    *outgoing.status_mut() = answer.status();
    *outgoing.headers_mut() = std::mem::take(answer.headers_mut());
    answer_headers(&settings, outgoing.headers_mut(), watch.as_ref());
    if let Some(protocol) = protocol.filter(|_| switched) {
        outgoing.headers_mut().insert(UPGRADE, protocol);
        outgoing.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    account.note(|account| account.is_streamed = true);
    Ok(outgoing)
}

/// What a caller shows its upstream, as an answer's header: the service below `authorize`, which would
/// send something elsewhere.
pub(crate) async fn shown(authorized: Authorized) -> Result<Response<Bytes>, BoxError> {
    let mut answer = Response::new(Bytes::new());
    answer.headers_mut().insert(AUTHORIZATION, authorized.authorization);
    Ok(answer)
}

async fn shown_by<S>(
    settings: &Settings,
    inner: S,
    caller: &Arc<Caller>,
    account: &SharedAccount,
) -> Result<HeaderValue, BoxError>
where
    S: Service<Attempt, Response = Response<Bytes>, Error = BoxError>,
{
    let deadline = Instant::now() + settings.rules.head_timeout;
    let caller = Arc::clone(caller);
    let account = account.clone();
    let attempt = Attempt { caller, target: "".into(), accept: "*/*", deadline, account };
    let mut shown = inner.oneshot(attempt).await?;
    Ok(shown.headers_mut().remove(AUTHORIZATION).ok_or(Error::Internal)?)
}

/// Who asks.
struct Who {
    /// A known caller.
    caller: Option<Arc<Caller>>,
    /// The key it came with.
    key: Option<Secret>,
}

impl Settings {
    fn who(&self, credential: Credential, route: &Route) -> Result<Who, Error> {
        let (refusal, key) = match credential {
            Credential::Ambiguous => return Err(Error::AmbiguousCredential),
            Credential::None => (Error::NoCredential, None),
            Credential::One(key) => (Error::UnknownCredential, Some(key)),
        };
        let caller = key.as_ref().and_then(|key| self.state.callers.find(key));
        let is_forwarded = self.rules.unknown_callers == UnknownCallers::Forward
            && route.upstream_of_unknown.is_some();
        if caller.is_none() && !is_forwarded {
            return Err(refusal);
        }
        Ok(Who { caller, key })
    }
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
        (None, _) => Ok(false),
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(true),
        _ => Err(Error::BadExpect),
    }
}

/// The upstream's scheme, host and prefix, and the client's path and query.
fn outgoing_uri(target: &Target, asked: &Uri, is_exchanged: bool) -> Result<Uri, Error> {
    let query = match asked.query() {
        Some(query) if is_exchanged => Some(credential::without_key(query)),
        query => query.map(str::to_owned),
    };
    // Where the key was all there was, nothing stays of the query.
    let query = query.filter(|query| !is_exchanged || !query.is_empty());
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    let uri = format!("{}{}{query}", target.base_url, asked.path());
    uri.parse().map_err(|_| Error::OddPath)
}

fn outgoing_headers(
    settings: &Settings,
    request: &mut Request<Body>,
    uri: &Uri,
    exchanged: Option<&(HeaderValue, &Secret)>,
    is_switch: bool,
) -> Result<(), Error> {
    let asked_host = headers::asked_host(request.uri(), request.headers());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let id = request.extensions().get::<RequestId>().cloned();
    let is_open_ended =
        !request.headers().contains_key(CONTENT_LENGTH) && !request.body().is_end_stream();
    let headers = request.headers_mut();
    headers::strip_hop_by_hop(headers);
    headers::strip_misleading(headers);
    headers::join_cookies(headers);
    if let Some((authorization, key)) = exchanged {
        credential::take_out(headers, key.expose());
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    forwarded::set(
        headers,
        &forwarded::Asked {
            peer,
            host: asked_host,
            is_tls: settings.state.config.server.tls.is_some(),
            trusted: &settings.state.config.server.trusted_proxies,
        },
    );
    if settings.rules.via {
        forwarded::via(headers);
    }
    if let Some(RequestId(id)) = id {
        headers.entry(REQUEST_ID).or_insert(id);
    }
    if is_switch {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    } else if headers.contains_key(http::header::TE) {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if is_open_ended {
        // Said aloud, since a body of a GET would be left out otherwise.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    headers.insert(http::header::HOST, headers::host(uri).ok_or(Error::Internal)?);
    Ok(())
}

fn answer_headers(settings: &Settings, headers: &mut HeaderMap, watch: Option<&Watchword>) {
    headers::strip_hop_by_hop(headers);
    // Our own words: a client tells by them whose answer it is.
    let ours = |name: &&HeaderName| name.as_str().starts_with("x-tieline-");
    let ours: Vec<HeaderName> = headers.keys().filter(ours).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    if let Some(watch) = watch {
        watch.strip(headers);
    }
    if settings.rules.via {
        forwarded::via(headers);
    }
}

/// A request on its way, until the head of its answer.
struct Waiting<'a> {
    settings: &'a Settings,
    target: &'a Target,
    progress: Arc<Progress>,
    expects: bool,
    answered: CancellationToken,
    place: Place,
    /// Whether it matters if the upstream has seen the request.
    has_effects: bool,
}

impl Waiting<'_> {
    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, Error> {
        let (head_timeout, idle_timeout) =
            (self.settings.rules.head_timeout, self.settings.rules.idle_timeout);
        let (progress, place) = (Arc::clone(&self.progress), Arc::clone(&self.place));
        let (say, said) = oneshot::channel();
        let gate = self.expects.then(|| Gate::new(said));
        let answered = Box::pin(self.answered.clone().cancelled_owned());
        let upload = |inner: Body| match inner.is_end_stream() {
            true => body::empty(),
            false => {
                let inner = body::timed(inner, idle_timeout);
                body::boxed(Upload { inner, gate, progress, answered, _place: place })
            }
        };
        let (say, count) = (std::sync::Mutex::new(Some(say)), AtomicUsize::new(0));
        let babble = CancellationToken::new();
        let is_babble = babble.clone();
        let on_informational = move |status| {
            if status == StatusCode::CONTINUE {
                let say = say.lock().ok().and_then(|mut say| say.take());
                // Nobody listens where the client has gone.
                say.map(|say| say.send(()));
            }
            if count.fetch_add(1, Ordering::Relaxed) >= INFORMATIONAL_MAX {
                is_babble.cancel();
            }
        };
        let exchange = self.target.client.send(request.map(upload), on_informational);
        let mut exchange = std::pin::pin!(exchange);
        let answer = loop {
            // Counted from the last piece of the request's body: a long upload is no long wait.
            let until = self.progress.last() + head_timeout;
            tokio::select! {
                answer = &mut exchange => break answer,
                () = babble.cancelled() => return Err(Error::Exchange(ClientError::BadFraming)),
                () = sleep_until(until) => {
                    if self.progress.last() + head_timeout <= Instant::now() {
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
            Some(BodyError::Idle { .. }) => Error::SlowBody,
            Some(_) => Error::BadBody,
            None if self.has_effects && error == (ClientError::Reset { started: true }) => {
                Error::OutcomeUnknown
            }
            None => Error::Exchange(error),
        }
    }
}
