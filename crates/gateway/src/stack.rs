//! THE RECIPE: the whole path of a request, top to bottom. What acts before and after is a layer around
//! all that is below it; what merely comes next is a straight call.
//!
//! 1. `edge`: the layers around every answer.
//! 2. `Front`: the steps of every request, then those of a legacy request.
//! 3. `line`: the layers of one caller, from a plan to the upstream and back. Each caller has its own.
//!
//! Layers never import each other; what passes between them stands in `layer/call.rs`.

mod parts;
mod start;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use domain::legacy::Endpoint;
use http::{Method, Request, Response};
use http_body::Body as _;
use limits::{Admission, Budget, CALLER_REPEATS_MIN, Lines, Queue, Shed};
use roster::Scope;
use settings::{BodyParameters, Config, Secret};
use shadow::Shadow;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use tower::{Layer, ServiceBuilder};
use transport::alarm::within;
use transport::body::{self, Body};

use crate::caller::{Caller, Callers};
use crate::edge::wrong_keys::WrongKeys;
use crate::edge::{admit, cors, describe, openapi, rescue, shed, sunset, trace, untranslated};
use crate::error::Error;
use crate::layer::call::{Arrived, Behalf, Call, Incoming};
use crate::layer::{Answering, Around, Stage, bottom, layer};
use crate::legacy::answer::{self, Answer};
use crate::legacy::asked::Asked;
use crate::legacy::beside::Beside;
use crate::legacy::calling::Calling;
use crate::legacy::stream::{Answered, Asks, Streaming};
use crate::legacy::{body as legacy_body, plan};
use crate::line::common::Common;
use crate::line::credential;
use crate::line::key::Key;
use crate::line::lookup::GroupCache;
use crate::line::pause::Pause;
use crate::line::values::Values;
use crate::line::values::answers::SharedAnswers;
use crate::line::{Line, authorize, fail_fast, lookup, placing, retry, send, share};
use crate::list::{
    exchange, expected, fan_out, gather, plausible, relate, remember, teams, templates,
};
use crate::observe::metrics::Metrics;
use crate::passthrough::Passthrough;
use crate::request::coding::Codings;
use crate::request::credential::Credential;
use crate::state::State;
use parts::Parts;

/// Everything that legacy clients reach.
pub(crate) fn edge(state: &State) -> Stage<Arrived, Response<Body>> {
    let config = &state.config;
    let trace = trace::Trace {
        callers: Arc::clone(&state.callers),
        accept_request_id: config.server.accept_request_id,
        // Without an exporter nobody is told that something is recorded.
        sampled: state.surroundings.exporter.as_ref().map_or(0.0, |_| config.traces.sampled),
        epoch: state.epoch,
        teller: Arc::new(trace::Teller {
            metrics: state.metrics.clone(),
            exporter: state.surroundings.exporter.clone(),
            lifecycle: state.lifecycle.clone(),
            refused: Lines::new(config.log.refused_per_minute_max),
            past: config.admin.console.then(|| Arc::clone(&state.past)),
        }),
    };
    let passes = config.passthrough.is_some();
    let cors = config.cors.clone().map(|cors| cors::CrossOrigin { cors, passes });
    let rescue = rescue::Rescue {
        quirks: config.quirks.clone(),
        ends: sunset::Ends::of(&config.quirks),
        wrong_keys: Some(WrongKeys::new(config, &state.delays, &state.metrics)),
        lifecycle: state.lifecycle.clone(),
    };
    let edge = ServiceBuilder::new()
        // Outermost, so that every answer has its id, its line and its count.
        .layer(layer(trace))
        // Above what turns errors into answers: a page must be able to read those as well.
        .option_layer(cors.map(layer))
        // Above everything that fails; turns errors into answers, panics into errors.
        .layer(layer(rescue))
        .service(bottom(Front::new(state)));
    Stage::new(edge)
}

/// What happens next to every request.
struct Front {
    hosts: Vec<String>,
    entrance: shed::Entrance,
    openapi: describe::Document,
    callers: Arc<Callers>,
    quirks: rescue::QuirksByEndpoint,
    /// The longest that a legacy request may take, retries and all.
    deadline: Duration,
    /// Whether a body has parameters.
    reads_bodies: bool,
    codings: Codings,
    /// Where lists may be sent while they are read.
    streaming: Option<Streaming>,
    metrics: Metrics,
    /// The other side, where one is configured.
    shadow: Option<Arc<Shadow>>,
    /// Calls that are placed.
    calling: Box<Calling>,
    /// What is not translated, where it goes through.
    passthrough: Option<Passthrough>,
}

impl Front {
    fn new(state: &State) -> Self {
        let config = &state.config;
        Front {
            hosts: config.server.hosts.clone(),
            entrance: shed::Entrance {
                admission: Arc::clone(&state.admission),
                lifecycle: state.lifecycle.clone(),
                metrics: state.metrics.clone(),
            },
            openapi: describe::Document::new(config.quirks.clone()),
            callers: Arc::clone(&state.callers),
            quirks: config.quirks.clone(),
            deadline: config.limits.request_deadline,
            reads_bodies: config.body_parameters == BodyParameters::Read,
            codings: Codings::new(&config.server.compression),
            streaming: config.answer.stream.then(|| Streaming {
                bytes_max: config.answer.buffer_max,
                metrics: state.metrics.clone(),
            }),
            metrics: state.metrics.clone(),
            shadow: state.shadow.clone(),
            calling: Box::new(Calling {
                callers: Arc::clone(&state.callers),
                deadline: config.limits.request_deadline,
                under_way: state.under_way.clone(),
                metrics: state.metrics.clone(),
            }),
            passthrough: Passthrough::new(state),
        }
    }
}

impl Around<(), Incoming> for Front {
    type Response = Response<Body>;

    fn call<'a>(&'a self, (): &'a (), incoming: Incoming) -> Answering<'a, Response<Body>> {
        Box::pin(self.answered(incoming))
    }
}

impl Front {
    async fn answered(&self, incoming: Incoming) -> Result<Response<Body>, Error> {
        let Incoming { request, endpoint, peer, behalf } = incoming;
        // Methods and hosts that are not ours, and what the server refused.
        admit::admit(&self.hosts, &request)?;
        // A place, or a short wait for one, or no.
        let place = self.entrance.place().await?;
        // The API's own description; needs no endpoint and no key.
        if request.uri().path() == openapi::PATH {
            let (openapi, codings) = (&self.openapi, &self.codings);
            return Box::pin(describe::described(openapi, codings, *request, &behalf.account))
                .await;
        }
        let key_in_path = match endpoint {
            Some(_) => None,
            None => untranslated::note_path(&request, &self.callers, &behalf.account),
        };
        match (endpoint, &self.passthrough) {
            (Some(endpoint), _) => {
                let answer = self.legacy(endpoint, request, behalf).await?;
                Ok(while_sent(answer, || place))
            }
            // It would show a request with all its headers.
            (None, _) if *request.method() == Method::TRACE => Err(Error::unknown_method()),
            // What is not translated goes to an upstream and back. Nothing of it is repeated or kept.
            (None, Some(passthrough)) => {
                passthrough.answer(request, peer, behalf, key_in_path).await
            }
            (None, None) => {
                let in_path = key_in_path.as_deref();
                Err(untranslated::nowhere(&request, in_path, &self.callers, &behalf.account))
            }
        }
    }
}

impl Front {
    /// A legacy request, from its key to its answer.
    async fn legacy(
        &self,
        endpoint: &'static Endpoint,
        request: Box<Request<Body>>,
        behalf: Behalf,
    ) -> Result<Response<Body>, Error> {
        // What does something to the world goes another way, on which nothing is repeated.
        if endpoint.places_calls() {
            return Box::pin(self.calling.answer(endpoint, *request, behalf)).await;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Error::MethodNotAllowed);
        }
        behalf.account.note(|account| account.endpoint = Some(endpoint.name()));
        let quirks = self.quirks.get(endpoint.name()).cloned().unwrap_or_default();
        let deadline = Instant::now() + self.deadline;
        // The one look-up of the key, before anything else is read: anybody can ask without one. Below it
        // only the other side ever sees the key itself.
        let (headers, uri) = (request.headers(), request.uri());
        let credential = match endpoint.key_in(uri.path()) {
            None => Credential::of(headers, uri.query()),
            Some(key) => Credential::in_path(Secret::new(key), headers, uri.query()),
        };
        let caller = self.callers.of(&credential)?;
        let asked = Asked::of(endpoint, quirks, &request, credential, deadline, behalf);
        asked.behalf.account.note(|account| account.caller = Some(Arc::clone(&caller.tally)));
        caller.brownouts.check(endpoint.name())?;
        // No more of the places than the caller's share.
        let place = caller.place().inspect_err(|_| self.metrics.shed(Shed::Tenant))?;
        asked.behalf.account.note(|account| {
            account.dialect = Some(caller.line.upstream.dialect.name());
            account.may_explain = caller.may_explain;
        });
        let body = legacy_body::Coming::of(*request, self.reads_bodies);
        let answer = async {
            let Some(shadow) = self.shadow.as_ref() else {
                return Ok(self.translated(asked, &caller, body).await?.response);
            };
            // The other side answers, if it is its turn and it can; answers may be compared.
            let beside = Beside::new(shadow, &asked, &caller, body.has_ended());
            // Boxed, so that other requests stay small.
            Box::pin(beside.answer(self.translated(asked, &caller, body))).await
        };
        // In place: a timeout would be as large as all that it waits for, and moved with it.
        let answer = within(deadline, pin!(answer)).await.unwrap_or(Err(Error::Deadline))?;
        Ok(while_sent(answer, || caller.keep(place)))
    }

    /// The answer of this side.
    async fn translated(
        &self,
        mut asked: Asked,
        caller: &Arc<Caller>,
        body: legacy_body::Coming,
    ) -> Result<Answer, Error> {
        // A body has come whole before anything is asked; what it says goes over the query.
        if let Some(params) = body.settled(asked.deadline).await? {
            asked.params.put_over(params);
        }
        // Legacy parameters to a plan; nothing is asked for a plan that no row can fit.
        let Some(plan) = plan::plan(&mut asked, &self.callers)? else {
            return Ok(answer::of_nobody(asked.endpoint, &asked.quirks));
        };
        let Asked {
            endpoint, quirks, conditional, is_head, takes_chunks, deadline, behalf, ..
        } = asked;
        let account = behalf.account.clone();
        let (wants_fresh, oversize) = (conditional.wants_fresh, None);
        let call = Call { endpoint, quirks, plan, wants_fresh, oversize, deadline, behalf };
        let streaming = self.streaming.as_ref().filter(|streaming| streaming.fits(&call));
        let asks = Asks { is_head, takes_chunks };
        let given = match streaming {
            None => caller.line.call(call).await?,
            // Boxed, so that other requests stay small.
            Some(streaming) => match Box::pin(streaming.answer(caller, call, asks)).await? {
                Answered::Whole(given) => given,
                Answered::Begun(answer) => return Ok(answer),
            },
        };
        if given.whole.rows > 0 {
            let dialect = caller.line.upstream.dialect;
            self.metrics.answered(endpoint, dialect, &caller.tally);
        }
        account.note(|account| account.rows = given.whole.rows);
        Ok(answer::answer(&self.codings, &given, &conditional, &caller.line.share).await)
    }
}

/// An answer that is sent while its list is read keeps its places until its end.
fn while_sent<G: Send + 'static>(
    answer: Response<Body>,
    place: impl FnOnce() -> G,
) -> Response<Body> {
    if answer.body().size_hint().exact().is_some() {
        return answer;
    }
    answer.map(|body| body::holding(body, place()))
}

/// One caller's line, from a plan to the upstream and back.
pub(crate) fn line(parts: Parts<'_>) -> Line {
    let Parts { config, caller, upstream, client, placing, answers, pages, .. } = parts;
    let Parts { share, roster, pace, commons, metrics, exporter, .. } = parts;
    let common = commons.map(|commons| Common::of(commons, caller, &upstream.settings));
    let values = |common| Arc::new(Values::of(common, config, caller, &upstream.settings));
    let values = common.as_ref().map(values);
    let upstream = || Arc::clone(upstream);
    let metrics = || metrics.clone();
    let lookups = &config.lookups;
    let groups = GroupCache::default();
    let joined = Arc::<relate::JoinedLists>::default();
    let pause = Arc::new(Pause::of(common.clone()));
    // A refused key sees nothing any more of what was kept for it.
    let (kept, known, related) = (Arc::clone(&answers), groups.clone(), Arc::clone(&joined));
    let kept_pages = pages.clone();
    let key = Arc::new(Key::new(common.clone(), move || {
        kept.forget();
        kept_pages.iter().for_each(|pages| pages.forget());
        known.forget();
        related.forget();
    }));
    let credential = Arc::new(credential::Credential {
        shows: caller.key.clone(),
        upstream: upstream(),
        client: client.clone(),
        key: Arc::clone(&key),
        metrics: metrics(),
        values: values.clone(),
        tokens: Mutex::default(),
        failed: Default::default(),
    });
    let deadline = config.limits.request_deadline;
    let places = upstream_places(config, caller);
    // A list that has waited for half of its time is hardly read in the other half.
    let wait_max = deadline / 2;
    let turns = Arc::new(Admission::new(Queue {
        // As many long lists as the places can feed.
        in_flight_max: (places / upstream().settings.pages_in_flight_max).max(1),
        queued_max: config.limits.lists_queued_max(),
        wait_max,
    }));

    let places = Arc::new(Semaphore::new(places));
    let send = send::Sending {
        upstream: upstream(),
        client,
        places: Arc::clone(&places),
        pause: Arc::clone(&pause),
        metrics: metrics(),
        exporter: exporter.clone(),
    };
    let calls_pace = pace.clone();
    let retry = retry::Retry {
        upstream: upstream(),
        pause: Arc::clone(&pause),
        pace: pace.clone(),
        repeats: Budget::new(CALLER_REPEATS_MIN),
        commons: commons.cloned(),
        refused: Default::default(),
        metrics: metrics(),
    };
    let (visibility, name) = (|| caller.sees.clone(), Arc::<str>::from(caller.name.as_str()));
    let lists = ServiceBuilder::new()
        // Teams from their own list, from users, or both.
        .layer(layer(teams::Teams { upstream: upstream(), visibility: visibility() }))
        // Templates of text messages, page by page, from the list of messages.
        .layer(layer(templates::Templates { upstream: upstream(), visibility: visibility() }))
        // Who is seen is remembered; lists of who is gone are completed.
        .layer(layer(remember::Remember {
            roster,
            scope: Scope { caller: caller.name.clone(), upstream: caller.upstream.clone() },
            visibility: visibility(),
            upstream: upstream(),
            metrics: metrics(),
        }))
        // What users' own rows do not say is read beforehand; cheaper ways than the list are taken.
        .layer(layer(relate::Relate {
            caller: Arc::clone(&name),
            visibility: visibility(),
            upstream: upstream(),
            joined: Arc::clone(&joined),
            values: values.clone(),
            request_deadline: deadline,
            metrics: metrics(),
        }))
        // A list that lost more than half of its users is read once more; fields that nobody has are told.
        .layer(layer(plausible::Plausible {
            caller: name,
            upstream: upstream(),
            last: Default::default(),
            metrics: metrics(),
        }))
        // Questions that cost the same whole list share one reading of it.
        .layer(layer(gather::Gather {
            upstream: upstream(),
            turns: Arc::clone(&turns),
            open: Default::default(),
            wait_max,
            metrics: metrics(),
        }))
        // Many pages at a time, in order, whole or not at all.
        .layer(layer(fan_out::FanOut {
            upstream: upstream(),
            pause: Arc::clone(&pause),
            pace: pace.clone(),
            turns,
            share: share.clone(),
            wait_max,
            lengths: Default::default(),
            tags: expected::Tags::new(config.cache.revalidate_max),
            metrics: metrics(),
        }))
        // Hub words to HTTP and back; must be above `retry`, which repeats HTTP.
        .layer(layer(exchange::Exchange::new(
            upstream(),
            visibility(),
            Arc::clone(&key),
            pages.clone(),
            metrics(),
        )))
        .layer(layer(retry))
        // The caller's key, or a token had with it.
        .layer(layer(authorize::Authorize { credential: Arc::clone(&credential) }))
        // An upstream that fails nearly every time is not asked; below `retry`, which it cuts short.
        .layer(layer(fail_fast::FailFast { upstream: upstream() }))
        // One attempt, body and all, so that a body that breaks off is an attempt that failed.
        .service(bottom(send));
    let lists = Stage::new(lists);

    // Names to ids; below it a plan has no name left to look up.
    let readings = layer(lookup::Lookup {
        groups,
        values: values.clone(),
        fresh_for: lookups.fresh_for,
        doubt_after: lookups.negative_for,
        groups_max: lookups.entries_max,
        deadline,
        metrics: metrics(),
    });
    let readings = Stage::new(readings.layer(lists.clone()));

    // Equal requests share one reading; answers may be kept for a while.
    let sharing = share::Share {
        answers: Arc::clone(&answers),
        deadline,
        key: common.is_some().then(|| Arc::clone(&key)),
        values: values.map(|values| SharedAnswers {
            values,
            upstream: upstream(),
            fresh_for: config.cache.fresh_for,
            has_roster: config.roster.is_some(),
        }),
        metrics: metrics(),
    };
    let calls = Stage::new(layer(sharing).layer(readings.clone()));
    let (streams, upstream) = (Default::default(), upstream());
    // One POST and never a second, past all that repeats, shares or keeps.
    let placing = Box::new(placing::Placing {
        upstream: Arc::clone(&upstream),
        credential: Arc::clone(&credential),
        key: Arc::clone(&key),
        places,
        pause: Arc::clone(&pause),
        pace: calls_pace,
        client: placing,
        exporter: exporter.clone(),
    });
    Line {
        upstream,
        credential,
        key,
        pause,
        pace,
        joined,
        common,
        answers,
        pages,
        share,
        streams,
        placing,
        calls,
        readings,
        lists,
    }
}

/// How many of its upstream's places a caller may have. Where an upstream has several callers, none has
/// more than half of them, so that no crowd of one caller's pages stands before the others'.
fn upstream_places(config: &Config, caller: &settings::Caller) -> usize {
    let of_all = config.upstreams.get(&caller.upstream).map_or(1, |up| up.requests_in_flight_max);
    let callers = config.callers.iter().filter(|other| other.upstream == caller.upstream).count();
    if callers > 1 { of_all.div_ceil(2) } else { of_all }
}

#[cfg(test)]
mod neighbours;
#[cfg(test)]
mod transcripts;
#[cfg(test)]
mod unchanged;
#[cfg(test)]
mod whole_lists;
