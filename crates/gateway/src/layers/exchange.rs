//! A page in hub words becomes an HTTP exchange, and its answer rows. Refusals are read here, and
//! pages strictly; a page that cannot be used never becomes an empty one.

use std::sync::PoisonError;

use bytes::Bytes;
use domain::hub::{Id, Named, State, User};
use domain::listing::Listing;
use domain::page::{Page, View};
use domain::upstream::{Context, PageError, Refusal};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use tower::{BoxError, Service, ServiceExt};

use crate::aside::{LARGE_BYTES, aside};
use crate::call::{Ask, Attempt, Found, ListCall, PageCall, PageRead};
use crate::caller::KeyState;
use crate::error::Error;
use crate::metrics::Metrics;

pub(crate) async fn exchange<S>(
    metrics: Metrics,
    inner: S,
    page: PageCall,
) -> Result<PageRead, BoxError>
where
    S: Service<Attempt, Response = Response<Bytes>, Error = BoxError> + Clone,
{
    let caller = std::sync::Arc::clone(&page.list.caller);
    if let Some(state) = caller.fresh_refusal() {
        return Err(refused(state).into());
    }
    let (listing, filter) = (&page.list.listing, page.list.ask.filter());
    let request = caller.upstream.dialect.page_request(listing, filter, page.window);
    let attempt = Attempt {
        caller: caller.clone(),
        target: request.target.into(),
        accept: request.accept,
        deadline: page.list.deadline,
        account: page.list.account.clone(),
    };
    let is_filtered = request.is_filtered;
    let answer = inner.oneshot(attempt).await?;
    if let Some(error) = refusal(&page, answer.status(), is_filtered) {
        return Err(error.into());
    }
    if !is_json(&answer) {
        return Err(Error::BadType.into());
    }
    let body = answer.into_body();
    let is_large = body.len() >= LARGE_BYTES;
    let work = move || {
        let read = read(&page, &body, is_filtered)?;
        caller.note_acceptance();
        look_for_news(&metrics, &page, &body);
        Ok::<_, Error>(read)
    };
    Ok(if is_large { aside(work).await?? } else { work()? })
}

/// Fields that no documentation has are passed over; once an hour they are counted.
fn look_for_news(metrics: &Metrics, page: &PageCall, body: &[u8]) {
    let (upstream, listing) = (&page.list.caller.upstream, &page.list.listing);
    if !matches!(listing, Listing::Users(_)) || !upstream.is_to_be_looked_through() {
        return;
    }
    let fields = upstream.dialect.new_fields(listing, body);
    if fields > 0 {
        metrics.new_fields(listing.name(), fields);
        let (upstream, listing) = (upstream.name.as_str(), listing.name());
        tracing::warn!(
            upstream,
            listing,
            fields,
            "the upstream has fields that are not documented"
        );
    }
}

fn read(call: &PageCall, body: &[u8], is_filtered: bool) -> Result<PageRead, Error> {
    let ListCall { caller, listing, ask, related, is_sighted, .. } = &call.list;
    let (dialect, rules) = (caller.upstream.dialect, &caller.upstream.rules);
    let page = Page { dialect, listing, body, context: Context { rules, related } };
    let visibility = &caller.visibility;
    let mut found = Found::default();
    let Found { groups, teams, sightings } = &mut found;
    let mut look = |user: &User<'_>| {
        if *is_sighted {
            sightings.extend(sighting(user));
        }
    };
    let rows = match ask {
        Ask::Rows(ask) => {
            let (filter, quirks) = (&ask.plan.filter, &ask.quirks);
            page.read_rows(View { lists: ask.lists, quirks, filter, visibility }, &mut look)
        }
        Ask::Groups => page.read_groups(visibility, &mut look).map(|(rows, read)| {
            *groups = read;
            rows
        }),
        Ask::Teams => page.read_users(&mut |user| {
            look(user);
            teams.note(user, visibility);
        }),
        Ask::Items => page.read_items(),
        Ask::Survey(survey) => {
            let mut survey = survey.lock().unwrap_or_else(PoisonError::into_inner);
            let context = Context { rules: &survey.rules(rules), related };
            Page { context, ..page }.read_users(&mut |user| survey.note(user))
        }
    };
    let rows = rows.map_err(|error| match error {
        PageError::Schema(error) => {
            Error::Schema { dialect: dialect.name(), listing: listing.name(), error }
        }
        PageError::Refused(refusal) => named(call, refusal, is_filtered),
    })?;
    Ok(PageRead { rows, found })
}

/// A user as the roster remembers one.
fn sighting(user: &User<'_>) -> Option<roster::Sighting> {
    if user.state == State::Unlisted {
        return None;
    }
    let text = |id: &Id<'_>| id.to_string();
    let texts = |teams: &[Named<'_>]| teams.iter().map(|team| text(&team.id)).collect();
    Some(roster::Sighting {
        id: user.id,
        name: user.name.as_deref().map(str::to_owned),
        group: user
            .group
            .as_ref()
            .map(|group| (text(&group.id), group.name.as_deref().map(str::to_owned))),
        teams: texts(&user.teams),
        supervised_teams: texts(&user.supervised_teams),
        is_deleted: user.state == State::Deleted,
    })
}

/// A refusal by status. What a client filtered by may be refused with it; anything else in the 400s
/// is our own mistake.
fn refusal(page: &PageCall, status: StatusCode, is_filtered: bool) -> Option<Error> {
    match status {
        StatusCode::OK => None,
        StatusCode::NOT_FOUND if may_lack(page) => Some(Error::NoSuchListing),
        StatusCode::UNAUTHORIZED => Some(named(page, Refusal::Unauthorized, is_filtered)),
        StatusCode::FORBIDDEN => Some(named(page, Refusal::Forbidden, is_filtered)),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if is_filtered => {
            Some(Error::BadFilter)
        }
        status if status.is_redirection() => Some(Error::Redirect),
        status => Some(Error::RefusedCall { status: status.as_u16() }),
    }
}

fn named(page: &PageCall, refusal: Refusal, is_filtered: bool) -> Error {
    let note = |state| {
        page.list.caller.note_refusal(state);
        refused(state)
    };
    match refusal {
        Refusal::Unauthorized => note(KeyState::Refused),
        // A firewall may forbid what a client filtered by, and a scope what can be done without;
        // that says nothing about the key.
        Refusal::Forbidden if is_filtered || may_lack(page) => Error::Forbidden,
        Refusal::Forbidden => note(KeyState::Forbidden),
        Refusal::NotFound if may_lack(page) => Error::NoSuchListing,
        Refusal::NotFound => Error::RefusedCall { status: 404 },
        Refusal::RateLimited => Error::RateLimited { retry_after: std::time::Duration::ZERO },
    }
}

fn refused(state: KeyState) -> Error {
    if state == KeyState::Forbidden { Error::Forbidden } else { Error::MappedKeyRefused }
}

/// Whether the upstream may do without what was asked for.
fn may_lack(page: &PageCall) -> bool {
    page.list.caller.upstream.dialect.may_lack(&page.list.listing)
}

/// JSON by its own word; an answer that says nothing is taken at its bytes.
fn is_json(answer: &Response<Bytes>) -> bool {
    let Some(kind) = answer.headers().get(CONTENT_TYPE) else { return true };
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}
