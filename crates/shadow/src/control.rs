//! Asks control: the legacy API, with the client's own key in the place where the client put it, which may be the
//! path. It sends only `GET` requests for legacy lists. It must never follow a redirect, repeat a question, or share the
//! connections of one caller with another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use limits::LARGE_BYTES;
use settings::bearer;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt;
use transport::body::{self, BodyError};
use transport::client::{
    Client, ClientError, ClientSettings, Lookup, Reach, Resolver, ResolverSettings,
};
use transport::retry_after;

use crate::asked::CallerQuestion;
use crate::counts::Counts;
use crate::judge::Reply;
use crate::shape;
use crate::standing::{Purpose, Standing, Ticket};
use crate::trail::{ASKED_BY, Name};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("tieline/", env!("CARGO_PKG_VERSION")));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const POOL_IDLE_MAX: usize = 4;
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(60);

/// The target of the log lines. Filters of operators name it, so it stays when this file moves.
const TARGET: &str = "gateway::shadow::control";

/// Why control has no answer. It holds no text of control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Control was not asked.
    LeftAlone,
    Unreachable,
    Timeout,
    /// 401 or 403.
    Refused,
    /// 429, or 503 with a wait.
    Limited,
    /// Any other 5xx.
    Server,
    /// A status that the legacy API never gives a list.
    Status,
    TooLarge,
    Broken,
    NotJson,
    /// JSON that is neither a list nor an error with a text.
    NoList,
    /// Control is this gateway itself.
    Loop,
    /// The client left before the answer.
    GivenUp,
}

impl Failed {
    fn as_str(self) -> &'static str {
        match self {
            Failed::LeftAlone => "left_alone",
            Failed::Unreachable => "unreachable",
            Failed::Timeout => "timeout",
            Failed::Refused => "refused",
            Failed::Limited => "limited",
            Failed::Server => "5xx",
            Failed::Status => "status",
            Failed::TooLarge => "too_large",
            Failed::Broken => "broken",
            Failed::NotJson => "not_json",
            Failed::NoList => "no_list",
            Failed::Loop => "loop",
            Failed::GivenUp => "given_up",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Control {
    base_url: String,
    attempt_timeout: Duration,
    answer_bytes_max: usize,
    /// The name of this process in trails.
    pub(crate) name: Name,
    /// Whether the log has the error that control is this gateway itself.
    is_loop_told: AtomicBool,
    counts: Arc<dyn Counts>,
    lines: BTreeMap<String, Line>,
}

/// One caller's access to control.
#[derive(Debug)]
struct Line {
    /// It has its own connection pool.
    client: Client,
    standing: Arc<Standing>,
    percent: u64,
    requests: Arc<AtomicU64>,
}

impl Control {
    /// `before` is the control of the previous configuration. If its URL is the same, each caller's
    /// standing and count of requests continue.
    pub(crate) fn new(
        config: &settings::Config,
        settings: &settings::Shadow,
        lookup: &Arc<dyn Lookup>,
        counts: &Arc<dyn Counts>,
        before: Option<&Control>,
    ) -> Self {
        let name = before.map_or_else(Name::new, |before| before.name.clone());
        let before = before.filter(|before| before.base_url == settings.control);
        let connect_timeout = CONNECT_TIMEOUT.min(settings.attempt_timeout);
        let told = Arc::clone(counts);
        let resolver = Resolver::new(ResolverSettings {
            lookup: Arc::clone(lookup),
            wait_max: connect_timeout * 3 / 4,
            allow_private: settings.allow_private_addresses,
            on_failure: Arc::new(move |failure| told.dns_failed(failure)),
        });
        let reach = Reach { resolver, connection_age_max: CONNECTION_AGE_MAX };
        let client = ClientSettings {
            connect_timeout,
            pool_idle_timeout: POOL_IDLE_TIMEOUT,
            pool_idle_max: POOL_IDLE_MAX,
            tls: settings.tls.clone(),
        };
        let line = |caller: &settings::Caller| {
            let percent = u64::from(caller.control_percent);
            let client = Client::reaching(&client, &reach);
            let before = before.and_then(|before| before.lines.get(&caller.name));
            let of_before = |line: &Line| (Arc::clone(&line.standing), Arc::clone(&line.requests));
            let (standing, requests) = before.map(of_before).unwrap_or_default();
            (caller.name.clone(), Line { client, standing, percent, requests })
        };
        Control {
            base_url: settings.control.clone(),
            attempt_timeout: settings.attempt_timeout,
            answer_bytes_max: settings.answer_bytes_max,
            name,
            is_loop_told: AtomicBool::new(false),
            counts: Arc::clone(counts),
            lines: config.callers.iter().map(line).collect(),
        }
    }

    /// Percentage of this caller's requests that control answers.
    pub(crate) fn percent(&self, caller: &str) -> u64 {
        self.lines.get(caller).map_or(0, |line| line.percent)
    }

    /// Whether control answers the next request of this caller. The configured percentage is spread over
    /// every hundred requests, so that a client with a fixed sequence of questions meets both sides for
    /// each question.
    pub(crate) fn is_next(&self, caller: &str) -> bool {
        let Some(line) = self.lines.get(caller).filter(|line| line.percent > 0) else {
            return false;
        };
        let number = line.requests.fetch_add(1, Ordering::Relaxed);
        let (place, hundred) = (number % 100, number / 100 % 100);
        (place * 37 + hundred * 61) % 100 < line.percent
    }

    /// Whether control would be asked this caller's questions now, for a comparison.
    pub(crate) fn is_compared(&self, caller: &str) -> bool {
        let line = self.lines.get(caller);
        line.is_some_and(|line| line.standing.is_asked(Purpose::Comparison))
    }

    /// Asks, and waits no longer than `until`. A client that leaves early counts as a failure of control,
    /// because it waited in vain; a cancelled comparison counts as nothing.
    pub(crate) async fn ask(
        &self,
        asked: &CallerQuestion,
        purpose: Purpose,
        until: Instant,
    ) -> Result<Reply, Failed> {
        let line = self.lines.get(asked.caller.name()).ok_or(Failed::LeftAlone)?;
        let request = self.request(asked).ok_or(Failed::LeftAlone)?;
        let ticket = line.standing.enter(purpose).ok_or(Failed::LeftAlone)?;
        let until = until.min(Instant::now() + self.attempt_timeout);
        let (caller, counts) = (asked.caller.name(), &*self.counts);
        let standing = &line.standing;
        let under_way = UnderWay { standing, ticket, caller, counts, purpose, has_ended: false };
        let exchange = self.exchange(line.client.clone(), request, purpose);
        let done = timeout_at(until, exchange).await.unwrap_or(Err((Failed::Timeout, None)));
        under_way.end(done.as_ref().err().copied());
        done.map_err(|(failed, _)| failed)
    }

    fn request(&self, asked: &CallerQuestion) -> Option<Request<Bytes>> {
        let (query, has_key) = asked.target.query_without_key();
        let mut url = format!("{}{}", self.base_url, asked.target.path());
        let mut pairs = Vec::new();
        if !query.is_empty() {
            pairs.push(query);
        }
        if has_key {
            let key = form_urlencoded::byte_serialize(asked.key.expose().as_bytes());
            pairs.push(format!("key={}", key.collect::<String>()));
        }
        if !pairs.is_empty() {
            url = format!("{url}?{}", pairs.join("&"));
        }
        let mut request = Request::get(url).body(Bytes::new()).ok()?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, AGENT);
        headers.insert(ASKED_BY, asked.trail.with(&self.name)?);
        // Of a path with a key, the key stays where it is: a second one beside it would be ambiguous.
        let is_in_path = asked.endpoint.key_in(asked.target.path()).is_some();
        if !has_key && !is_in_path {
            headers.insert(AUTHORIZATION, bearer(asked.key.expose())?);
        }
        Some(request)
    }

    async fn exchange(
        &self,
        client: Client,
        request: Request<Bytes>,
        purpose: Purpose,
    ) -> Result<Reply, (Failed, Option<Duration>)> {
        let answer = client.oneshot(request).await.map_err(|error| (unsent(error), None))?;
        let (head, body) = answer.into_parts();
        if head.headers.contains_key(ASKED_BY) {
            if !self.is_loop_told.swap(true, Ordering::Relaxed) {
                tracing::error!(target: TARGET, "shadow.control is this gateway itself, or leads to it");
            }
            return Err((Failed::Loop, None));
        }
        if let Some(failed) = refusal(head.status, &head.headers, purpose) {
            return Err((failed, retry_after(&head.headers)));
        }
        let coding = head.headers.get(CONTENT_ENCODING);
        if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err((Failed::Broken, None));
        }
        let body = body::collect(body, self.answer_bytes_max, self.attempt_timeout).await;
        let body = body.map_err(|error| match error {
            BodyError::TooLarge { .. } => (Failed::TooLarge, None),
            BodyError::Idle { .. } | BodyError::Slow { .. } => (Failed::Timeout, None),
            BodyError::BadFraming | BodyError::Truncated | BodyError::Transport(_) => {
                (Failed::Broken, None)
            }
        })?;
        unfit(head.status.as_u16(), &body, purpose).await.map_or(Ok(()), |it| Err((it, None)))?;
        let kind = head.headers.get(CONTENT_TYPE).cloned();
        let headers = kind.map(|kind| (CONTENT_TYPE, kind)).into_iter().collect();
        Ok(Reply { status: head.status.as_u16(), headers, body })
    }
}

/// One question that control has not answered yet.
struct UnderWay<'a> {
    standing: &'a Standing,
    ticket: Ticket,
    caller: &'a str,
    counts: &'a dyn Counts,
    purpose: Purpose,
    has_ended: bool,
}

impl UnderWay<'_> {
    fn end(mut self, failed: Option<(Failed, Option<Duration>)>) {
        self.has_ended = true;
        self.note(failed);
    }

    fn note(&self, failed: Option<(Failed, Option<Duration>)>) {
        match failed {
            None => self.standing.worked(self.ticket),
            Some((Failed::Limited, told)) => self.standing.wait(self.ticket, told),
            Some((failed, _)) if self.standing.failed(self.ticket) => {
                let (caller, err) = (self.caller, failed.as_str());
                tracing::warn!(target: TARGET, caller, err, "control fails and is left alone for a while");
            }
            Some(_) => {}
        }
        let outcome = failed.map_or("answered", |(failed, _)| failed.as_str());
        self.counts.control_request(outcome);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.has_ended && self.purpose == Purpose::Client {
            self.note(Some((Failed::GivenUp, None)));
        }
    }
}

fn unsent(error: ClientError) -> Failed {
    match error {
        ClientError::Dns
        | ClientError::AddressRefused
        | ClientError::Connect
        | ClientError::Tls => Failed::Unreachable,
        ClientError::ConnectTimeout | ClientError::TlsTimeout | ClientError::Stalled => {
            Failed::Timeout
        }
        ClientError::Reset { .. } | ClientError::BadFraming | ClientError::Other => Failed::Broken,
    }
}

/// The failure that a status means; `None` where the status may come with an answer. For a comparison a 404
/// is an answer: it differs from an empty list. A client never gets it.
fn refusal(status: StatusCode, headers: &HeaderMap, purpose: Purpose) -> Option<Failed> {
    match status.as_u16() {
        200 | 400 | 422 => None,
        404 if purpose == Purpose::Comparison => None,
        401 | 403 => Some(Failed::Refused),
        429 => Some(Failed::Limited),
        503 if retry_after(headers).is_some() => Some(Failed::Limited),
        500..=599 => Some(Failed::Server),
        _ => Some(Failed::Status),
    }
}

/// Why a body is not fit for its purpose. A long body is read on a blocking thread.
async fn unfit(status: u16, body: &Bytes, purpose: Purpose) -> Option<Failed> {
    let look = move |body: &[u8]| match shape::is_json(body) {
        // A 404 may have nothing to say. A web page is another server's.
        false if status == 404 && body.is_empty() => None,
        false => Some(Failed::NotJson),
        true if purpose == Purpose::Client && !shape::is_answer(status, body) => {
            Some(Failed::NoList)
        }
        true => None,
    };
    if body.len() < LARGE_BYTES {
        return look(body);
    }
    let body = body.clone();
    // The panic was logged where it happened.
    spawn_blocking(move || look(&body)).await.unwrap_or(Some(Failed::NotJson))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_never_comes_with_a_list_is_a_failure() {
        let (none, mut told) = (HeaderMap::new(), HeaderMap::new());
        told.insert(http::header::RETRY_AFTER, HeaderValue::from_static("5"));
        for (status, headers, failed) in [
            (200, &none, None),
            (400, &none, None),
            (422, &none, None),
            (204, &none, Some(Failed::Status)),
            (302, &none, Some(Failed::Status)),
            (401, &none, Some(Failed::Refused)),
            (403, &none, Some(Failed::Refused)),
            (404, &none, Some(Failed::Status)),
            (410, &none, Some(Failed::Status)),
            (429, &none, Some(Failed::Limited)),
            (500, &told, Some(Failed::Server)),
            (503, &none, Some(Failed::Server)),
            (503, &told, Some(Failed::Limited)),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(status, headers, Purpose::Client), failed, "{status}");
        }
        let status = StatusCode::NOT_FOUND;
        assert_eq!(refusal(status, &none, Purpose::Comparison), None, "it is compared");
    }
}
