//! THE RECIPE: the whole stack, top to bottom. A request walks down, its answer climbs back up.
//!
//! Layers never import each other; what passes between them stands in `call.rs`. The three builders
//! are boxed where they meet, so that types stay short.

use std::convert::Infallible;
use std::sync::Arc;

use domain::plan::GroupName;
use futures_util::FutureExt;
use http::{Request, Response};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use transport::body::Body;

use crate::cache::whole::Whole;
use crate::call::{Call, LegacyRequest, ListCall, Listed, Passing, Routed};
use crate::edge::{
    admit, authenticate, cors, describe, openapi, part, rescue, route, settle, shed, sunset,
    tenant, trace, translate,
};
use crate::error::Error;
use crate::line::{assemble, authorize, fail_fast, lookup, retry, send, share};
use crate::list::{exchange, fan_out, relate, remember, teams};
use crate::passthrough;
use crate::request::coding::Codings;
use crate::shadow::beside;
use crate::state::State;
use crate::svc::{Stage, from_fn};

/// Everything that legacy clients reach.
pub(crate) fn edge(
    state: &State,
) -> BoxCloneSyncService<Request<Body>, Response<Body>, Infallible> {
    let limits = &state.config.limits;
    let quirks = Arc::new(state.config.quirks.clone());
    let tracing = trace::Settings {
        metrics: state.metrics.clone(),
        callers: Arc::clone(&state.callers),
        accept_request_id: state.config.server.accept_request_id,
        // Without an exporter nobody is told that something is recorded.
        sampled: state.surroundings.exporter.as_ref().map_or(0.0, |_| state.config.traces.sampled),
        exporter: state.surroundings.exporter.clone(),
        epoch: state.epoch,
        lifecycle: state.lifecycle.clone(),
    };
    let route = route::Settings {
        quirks: Arc::clone(&quirks),
        deadline: limits.request_deadline,
        passes: state.config.passthrough.is_some(),
    };
    let cors =
        cors::Settings { cors: state.config.cors.clone().map(Arc::new), passes: route.passes };
    let shed = shed::Settings {
        admission: Arc::clone(&state.admission),
        lifecycle: state.lifecycle.clone(),
        metrics: state.metrics.clone(),
    };
    let tenant =
        tenant::Settings { callers: Arc::clone(&state.callers), metrics: state.metrics.clone() };
    let (translation, passthrough) = (translation(state), passthrough(state));
    let edge = ServiceBuilder::new()
        // Outermost, so that every answer has its id, its line and its count.
        .layer(from_fn(tracing, trace::trace))
        // Above what turns errors into answers: a page must be able to read those as well.
        .layer(from_fn(cors, cors::cors))
        // Above `rescue`, since errors of an endpoint that will end say so, too.
        .layer(from_fn(sunset::Ends::of(&quirks), sunset::sunset))
        // Every answer may be the last one of its connection, errors included.
        .layer(from_fn(state.lifecycle.clone(), part::part))
        // Above everything that fails; turns errors into answers, panics into errors.
        .layer(from_fn(Arc::clone(&quirks), rescue::rescue))
        // Methods and hosts that are none of ours, and what the server refused.
        .layer(from_fn(Arc::new(state.config.server.hosts.clone()), admit::admit))
        // A place, or a short wait for one, or no.
        .layer(from_fn(shed, shed::shed))
        // The API's own description; needs no endpoint and no key.
        .layer(from_fn(openapi::document(&quirks), describe::describe))
        // A legacy endpoint, or what is not translated.
        .layer(from_fn(route, route::route))
        // No more of the places than a caller's share.
        .layer(from_fn(tenant, tenant::tenant))
        .service(service_fn(move |routed| match routed {
            Routed::Legacy(request) => translation.clone().oneshot(request).left_future(),
            Routed::Passing(request) => passthrough.clone().oneshot(request).right_future(),
        }));
    let edge: Stage<Request<Body>, Response<Body>> = Stage::new(edge);
    // `rescue` has answered every error; from here on the type says so.
    BoxCloneSyncService::new(service_fn(move |request| {
        let answer = edge.clone().oneshot(request);
        async move { Ok(answer.await.unwrap_or_else(rescue::last_resort)) }
    }))
}

/// One legacy call.
fn translation(state: &State) -> Stage<LegacyRequest, Response<Body>> {
    let shadow =
        beside::Settings { shadow: state.shadow.clone(), callers: Arc::clone(&state.callers) };
    let translate = translate::Settings {
        metrics: state.metrics.clone(),
        callers: Arc::clone(&state.callers),
        codings: Codings::new(&state.config.server.compression),
    };
    let share = share::Settings {
        metrics: state.metrics.clone(),
        deadline: state.config.limits.request_deadline,
    };
    let translation = ServiceBuilder::new()
        // The whole request, retries and all.
        .timeout(state.config.limits.request_deadline)
        // The last place where the key is at hand, which the other side is asked with, and within the
        // time that candidate must have left where control fails. What passes through is not here.
        .layer(from_fn(shadow, beside::beside))
        // The legacy key stops here.
        .layer(from_fn(Arc::clone(&state.callers), authenticate::authenticate))
        // A body has come whole before anything is asked.
        .layer(from_fn((), settle::settle))
        // Legacy parameters to a plan, rows to a legacy answer.
        .layer(from_fn(translate, translate::translate))
        // Equal requests of a caller share one reading; answers may be kept for a while.
        .layer(from_fn(share, share::share))
        .service(readings(state));
    Stage::new(translation)
}

/// One answer's bytes, read anew.
pub(crate) fn readings(state: &State) -> Stage<Call<GroupName>, Whole> {
    let lookup = lookup::Settings {
        metrics: state.metrics.clone(),
        doubt_after: state.config.lookups.negative_for,
        groups_max: state.config.lookups.entries_max,
        deadline: state.config.limits.request_deadline,
    };
    let readings = ServiceBuilder::new()
        // Rows to the bytes of an answer.
        .layer(from_fn((), assemble::assemble))
        // Names to ids; below it a plan has no name left to look up.
        .layer(from_fn(lookup, lookup::lookup))
        .service(lists(state));
    Stage::new(readings)
}

/// What is not translated, to an upstream and back. Nothing here is repeated or kept.
fn passthrough(state: &State) -> Stage<Passing, Response<Body>> {
    let Some(settings) = passthrough::Settings::new(state) else {
        return Stage::new(service_fn(|_| async { Err(Error::NotFound.into()) }));
    };
    let passthrough = ServiceBuilder::new()
        // Sends the request itself, and asks below for the caller's credential only.
        .layer(from_fn(settings, passthrough::passthrough))
        .layer(from_fn(state.metrics.clone(), authorize::authorize))
        .service(service_fn(passthrough::shown));
    Stage::new(passthrough)
}

/// One list, from its pages.
pub(crate) fn lists(state: &State) -> Stage<ListCall, Listed> {
    let send = send::Settings {
        metrics: state.metrics.clone(),
        exporter: state.surroundings.exporter.clone(),
    };
    let remember =
        remember::Settings { metrics: state.metrics.clone(), roster: state.roster.clone() };
    let lists = ServiceBuilder::new()
        // Teams from their own list, from users, or both.
        .layer(from_fn((), teams::teams))
        // Who is seen is remembered; lists of who is gone are completed.
        .layer(from_fn(remember, remember::remember))
        // What users' own rows do not say is read beforehand; cheaper ways than the list are taken.
        .layer(from_fn(state.metrics.clone(), relate::relate))
        // Many pages at a time, in order, whole or not at all.
        .layer(from_fn(state.metrics.clone(), fan_out::fan_out))
        // Hub words to HTTP and back; must be above `retry`, which repeats HTTP.
        .layer(from_fn(state.metrics.clone(), exchange::exchange))
        .layer(from_fn(state.metrics.clone(), retry::retry))
        // The caller's key, or a token had with it.
        .layer(from_fn(state.metrics.clone(), authorize::authorize))
        // An upstream that fails nearly every time is not asked; below `retry`, which it cuts short.
        .layer(from_fn((), fail_fast::fail_fast))
        // One attempt, body and all, so that a body that breaks off is an attempt that failed.
        .service(service_fn(move |attempt| send::send(send.clone(), attempt)));
    Stage::new(lists)
}

#[cfg(test)]
mod transcripts;
