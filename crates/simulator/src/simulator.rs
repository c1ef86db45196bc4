//! The simulator itself: the data, the state and the service.
//!
//! Locks are held only while a page is cut, never across an await.

use std::convert::Infallible;
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request, Response};
use http_body::Body as _;
use tokio::net::TcpListener;
use tower::Service;

use crate::Body;
use crate::answer::Answer;
use crate::fault::{Fates, Plan};
use crate::legacy::{Endpoint, Found};
use crate::locked::lock;
use crate::people::record::{Named, User};
use crate::request::credential;
use crate::settings::{Dialect, Settings, Tags};
use crate::stats::Counters;
use crate::store::Store;
use crate::store::churn::Churning;
use crate::tag::tagged;
use crate::vonage::index::Index;
use crate::vonage::route::Route;
use crate::vonage::token::Tokens;
use crate::{calls, legacy, voiso, vonage};

/// How long open connections may continue after `shutdown`.
const GRACE: Duration = Duration::from_secs(1);

/// What is read of a request.
const BODY_BYTES_MAX: usize = 64 << 10;

/// A pretend vendor. Clones share one data set.
#[derive(Clone, Debug)]
pub struct Simulator(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    settings: Settings,
    pub(crate) store: Mutex<Store>,
    pub(crate) churning: Mutex<Option<Churning>>,
    pub(crate) fates: Mutex<Fates>,
    pub(crate) tokens: Mutex<Tokens>,
    pub(crate) index: Mutex<Index>,
    pub(crate) counters: Counters,
    pub(crate) tags: Mutex<Tags>,
}

impl Simulator {
    /// Makes the data set; nothing listens yet.
    pub fn new(settings: Settings) -> Simulator {
        let store = Store::new(settings.seed, settings.users, settings.order);
        let fates = Fates::new(settings.faults.clone(), settings.seed);
        Simulator(Arc::new(Inner {
            store: Mutex::new(store),
            churning: Mutex::new(settings.churn.clone().map(Churning::new)),
            fates: Mutex::new(fates),
            tokens: Mutex::default(),
            index: Mutex::default(),
            counters: Counters::default(),
            tags: Mutex::new(settings.tags),
            settings,
        }))
    }

    /// Both faces as a service, for example for a test without sockets.
    pub fn service(
        &self,
    ) -> impl Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
    > + Clone
    + Send
    + 'static {
        let simulator = self.clone();
        tower::service_fn(move |request: Request<Body>| {
            let simulator = simulator.clone();
            async move { Ok(simulator.respond(request).await) }
        })
    }

    /// Serves both faces until `shutdown` resolves; then open connections have a second.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) {
        // All clients have the same address.
        let limits = transport::server::ServerLimits {
            connections_per_address_max: 0,
            ..transport::server::ServerLimits::default()
        };
        let service = self.service();
        transport::server::serve(listener, None, limits, service, shutdown, GRACE).await;
    }

    async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        if let Some(answer) = self.control(request.method(), path) {
            return answer.into_response();
        }
        let dialect = self.0.settings.dialect;
        let kind = (dialect == Dialect::VonageV4).then(|| Route::kind(path)).flatten();
        let keyed = legacy::endpoint(path).is_some_and(|found| found.key.is_some());
        let kind = kind.or(keyed.then_some("/api/v1/{key}/.."));
        let guard = self.0.counters.enter(kind.unwrap_or(path));
        if !self.0.settings.latency.is_zero() {
            tokio::time::sleep(self.0.settings.latency).await;
        }
        let answer = if dialect == Dialect::VonageV4 && path == vonage::TOKEN_PATH {
            vonage::token::answer(self, request).await
        } else if dialect == Dialect::VoisoV4
            && path == calls::PATH
            && request.method() == Method::POST
        {
            Some(self.call(request).await)
        } else if let Some(found) =
            legacy::endpoint(path).filter(|found| found.endpoint.takes(request.method()))
        {
            Some(self.legacy(found, request).await)
        } else {
            let answer = self.answer(&request);
            // The vendor's application server has the whole request before it answers, and so has this one. If it had
            // not, it would close the connection behind the answer, and no header would say so.
            if !request.body().is_end_stream() {
                let body = request.into_body();
                let _read = transport::body::collect(body, BODY_BYTES_MAX, GRACE).await;
            }
            answer
        };
        let Some(answer) = answer else {
            return std::future::pending().await;
        };
        guard.leave(answer.status, answer.body.len());
        answer.into_response()
    }

    /// Endpoints for tests in another process; they need no key and are not counted.
    fn control(&self, method: &Method, path: &str) -> Option<Answer> {
        match (method, path) {
            (&Method::GET, "/_simulator/stats") => {
                let body = serde_json::to_string(&self.stats());
                Some(body.map_or_else(|_| Answer::not_found(), |body| Answer::json(200, body)))
            }
            (&Method::POST, "/_simulator/reset") => {
                self.reset_stats();
                Some(Answer::json(200, "{}"))
            }
            _ => None,
        }
    }

    /// `None` means that no answer ever comes.
    fn answer(&self, request: &Request<Body>) -> Option<Answer> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        if !is_read(request.method()) {
            return Some(Answer::not_found());
        }
        let credential = credential(request.headers());
        let answer = match self.0.settings.dialect {
            Dialect::VoisoV4 if path.starts_with("/api/v4/") => {
                voiso::answer(self, path, query, credential)
            }
            Dialect::VonageV4 if path.starts_with("/useradmin/") => {
                vonage::answer(self, path, query, request.headers())
            }
            _ => Some(Answer::not_found()),
        };
        Some(tagged(answer?, *lock(&self.0.tags), request.uri(), request.headers()))
    }

    async fn legacy(&self, found: Found, request: Request<Body>) -> Answer {
        let (head, body) = request.into_parts();
        let has_effect = found.endpoint == Endpoint::Click2Call;
        let Ok(query) = legacy::parameters(&head, body, has_effect).await else {
            return Answer::error(400, "Bad Request");
        };
        // What is no Bearer, and an empty key, is no key.
        let bearer = credential(&head.headers).and_then(voiso::bearer);
        let in_query = voiso::last(&query, "key").filter(|key| !key.is_empty());
        let Found { endpoint, key: in_path } = found;
        let key = match (in_path.as_deref(), bearer, in_query) {
            (key, None, None) | (None, key, None) | (None, None, key) => key,
            _ => None,
        };
        let known = key.is_some_and(|key| self.0.settings.legacy_keys.iter().any(|k| k == key));
        if !known {
            return endpoint.wrong_key();
        }
        match endpoint {
            Endpoint::Click2Call => calls::legacy(self, &query),
            _ => Answer::json(200, self.legacy_answer(endpoint, &query)),
        }
    }

    async fn call(&self, request: Request<Body>) -> Answer {
        let (head, body) = request.into_parts();
        let body = transport::body::collect(body, BODY_BYTES_MAX, GRACE).await;
        calls::v4(self, credential(&head.headers), &body.unwrap_or_default())
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn plan(&self, path: &str, offset: Option<u64>) -> Plan {
        lock(&self.0.fates).plan(path, offset)
    }

    /// Makes the due changes and cuts a page; see `Store::page`.
    pub(crate) fn page(
        &self,
        wanted: Option<&dyn Fn(&User) -> bool>,
        window: impl FnOnce(usize) -> Range<usize>,
    ) -> (usize, Vec<Arc<User>>) {
        let mut store = lock(&self.0.store);
        if let Some(churning) = lock(&self.0.churning).as_mut() {
            let changes = churning.before_page(&mut store);
            self.0.counters.with(|stats| stats.changes += changes);
        }
        store.page(wanted, window)
    }

    pub(crate) fn with_users<T>(&self, f: impl FnOnce(&[Arc<User>]) -> T) -> T {
        f(&lock(&self.0.store).users)
    }

    pub(crate) fn with_teams<T>(&self, f: impl FnOnce(&[Named]) -> T) -> T {
        f(&lock(&self.0.store).teams)
    }

    pub(crate) fn with_groups<T>(&self, f: impl FnOnce(&[Named]) -> T) -> T {
        f(&lock(&self.0.store).groups)
    }
}

pub(crate) fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}
