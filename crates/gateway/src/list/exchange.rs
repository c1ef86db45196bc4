//! A page in hub words becomes an HTTP exchange, and its answer rows. Refusals are read here, and
//! pages strictly; a page that cannot be used never becomes an empty one.

use std::sync::Arc;

use bytes::Bytes;
use domain::hub::{Id, Named, State, User};
use domain::listing::Listing;
use domain::page::{Page, View};
use domain::upstream::{Context, PageError, Refusal};
use domain::visibility::Visibility;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{Response, StatusCode};
use limits::{LARGE_BYTES, blocking};

use crate::error::Error;
use crate::layer::call::{Ask, Attempt, Found, ListCall, PageCall, PageRead, RowsAsk};
use crate::layer::{Answering, Around, Below};
use crate::line::key::{Key, KeyState};
use crate::line::upstream::Upstream;
use crate::observe::metrics::Metrics;

/// See the module.
pub(crate) struct Exchange(Arc<Reader>);

/// What it takes to read a page, on whatever thread.
struct Reader {
    upstream: Arc<Upstream>,
    /// What the caller sees.
    visibility: Visibility,
    /// What is known of the caller's key.
    key: Arc<Key>,
    metrics: Metrics,
}

impl Exchange {
    pub(crate) fn new(
        upstream: Arc<Upstream>,
        visibility: Visibility,
        key: Arc<Key>,
        metrics: Metrics,
    ) -> Self {
        Exchange(Arc::new(Reader { upstream, visibility, key, metrics }))
    }
}

impl<S: Below<Attempt, Response<Bytes>>> Around<S, PageCall> for Exchange {
    type Response = PageRead;

    fn call<'a>(&'a self, inner: &'a S, page: PageCall) -> Answering<'a, PageRead> {
        Box::pin(self.exchanged(inner, page))
    }
}

impl Exchange {
    async fn exchanged<S: Below<Attempt, Response<Bytes>>>(
        &self,
        inner: &S,
        page: PageCall,
    ) -> Result<PageRead, Error> {
        let reader = &self.0;
        if let Some(state) = reader.key.fresh_refusal() {
            return Err(refused(state, reader.upstream.dialect.facts().scope));
        }
        let (listing, filter) = (&page.list.listing, page.list.ask.filter());
        let (dialect, place) = (reader.upstream.dialect, page.list.place.as_deref());
        let request = dialect.page_request(listing, place, filter, page.window);
        let is_filtered = request.is_filtered;
        // Only a filter's value that is long enough to break a URI gives none.
        let target = PathAndQuery::from_maybe_shared(Bytes::from(request.target));
        let attempt = Attempt {
            target: target.map_err(|_| Error::BadFilter)?,
            accept: request.accept,
            deadline: page.list.deadline,
            behalf: page.list.behalf.clone(),
        };
        let answer = inner.ask(attempt).await?;
        let may_be_id = place.is_some_and(|place| place.may_be_id);
        if let Some(error) = reader.refusal(listing, answer.status(), is_filtered, may_be_id) {
            return Err(error);
        }
        if !is_json(&answer) {
            return Err(Error::BadType);
        }
        let body = answer.into_body();
        // Each question that shares the page looks at every row.
        let questions = page.list.audience.as_ref().map_or(1, |audience| audience.waiting());
        if body.len().saturating_mul(questions) < LARGE_BYTES {
            return reader.page(&page.list, &body, is_filtered);
        }
        let reader = Arc::clone(reader);
        blocking(move || reader.page(&page.list, &body, is_filtered)).await?
    }
}

impl Reader {
    fn page(&self, call: &ListCall, body: &[u8], is_filtered: bool) -> Result<PageRead, Error> {
        let read = self.read(call, body, is_filtered)?;
        self.key.note_acceptance();
        self.scan_fields(&call.listing, body);
        Ok(read)
    }

    /// Fields that no documentation has are passed over; once an hour they are counted.
    fn scan_fields(&self, listing: &Listing, body: &[u8]) {
        if !matches!(listing, Listing::Users(_)) || !self.upstream.due_for_field_scan() {
            return;
        }
        let fields = self.upstream.dialect.new_fields(listing, body);
        if fields > 0 {
            let (upstream, listing) = (self.upstream.name.as_str(), listing.name());
            self.metrics.new_fields(listing, fields);
            tracing::warn!(
                upstream,
                listing,
                fields,
                "the upstream has fields that are not documented"
            );
        }
    }

    fn read(&self, call: &ListCall, body: &[u8], is_filtered: bool) -> Result<PageRead, Error> {
        let ListCall { listing, ask, related, for_roster, .. } = call;
        let (dialect, rules) = (self.upstream.dialect, &self.upstream.rules);
        let asks = call.audience.as_ref().map(|audience| audience.questions());
        let is_of_all = match &asks {
            Some(asks) => asks.iter().flatten().any(|ask| ask.plan.filter.is_everyone()),
            None => ask.is_of_all(),
        };
        let tells_keys = matches!(listing, Listing::Users(_)) && is_of_all;
        let context = Context { rules, related, tells_keys };
        let page = Page { dialect, listing, body, context };
        let visibility = &self.visibility;
        let mut found = Found::default();
        let Found { groups, teams, sightings } = &mut found;
        let mut look = |user: &User<'_>| {
            if *for_roster {
                sightings.extend(sighting(user));
            }
        };
        let rows = match ask {
            Ask::Rows(ask) => match &asks {
                Some(asks) => {
                    let views = asks.iter().map(|ask| Some(view(ask.as_ref()?, visibility)));
                    page.read_rows(&Vec::from_iter(views), &mut look)
                }
                None => page.read_rows(&[Some(view(ask, visibility))], &mut look),
            },
            Ask::Groups => page.read_groups(visibility, &mut look).map(|(rows, read)| {
                *groups = read;
                rows
            }),
            Ask::Teams => page.read_users(&mut |user| {
                look(user);
                teams.note(user, visibility);
            }),
            Ask::Items => page.read_items(),
            Ask::Look(looks) => {
                let context = Context { rules: &looks.rules(rules), ..context };
                Page { context, ..page }.read_users(&mut |user| looks.user(user))
            }
        };
        let rows = rows.map_err(|error| match error {
            PageError::Schema(error) => {
                Error::Schema { dialect: dialect.name(), listing: listing.name(), error }
            }
            PageError::Refused(refusal) => self.named(listing, refusal, is_filtered),
        })?;
        Ok(PageRead { rows, found })
    }

    /// A refusal by status. What a client filtered by may be refused with it; anything else in the 400s
    /// is our own mistake.
    fn refusal(
        &self,
        listing: &Listing,
        status: StatusCode,
        is_filtered: bool,
        may_be_id: bool,
    ) -> Option<Error> {
        match status {
            StatusCode::OK => None,
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if may_be_id => {
                Some(Error::NoSuchListing)
            }
            StatusCode::NOT_FOUND if self.may_lack(listing) => Some(Error::NoSuchListing),
            StatusCode::UNAUTHORIZED => {
                Some(self.named(listing, Refusal::Unauthorized, is_filtered))
            }
            StatusCode::FORBIDDEN => Some(self.named(listing, Refusal::Forbidden, is_filtered)),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if is_filtered => {
                Some(Error::BadFilter)
            }
            status if status.is_redirection() => Some(Error::Redirect),
            status => Some(Error::RefusedCall { status: status.as_u16() }),
        }
    }

    fn named(&self, listing: &Listing, refusal: Refusal, is_filtered: bool) -> Error {
        let scope = self.upstream.dialect.scope(listing);
        let note = |state| {
            self.key.note_refusal(state);
            refused(state, scope)
        };
        match refusal {
            Refusal::Unauthorized => note(KeyState::Refused),
            // A firewall may forbid what a client filtered by, and a listing that not every upstream has may
            // need a scope of its own: neither says that the key may read nothing.
            Refusal::Forbidden if is_filtered || self.may_lack(listing) => {
                Error::Forbidden { scope }
            }
            Refusal::Forbidden => note(KeyState::Forbidden),
            Refusal::NotFound if self.may_lack(listing) => Error::NoSuchListing,
            Refusal::NotFound => Error::RefusedCall { status: 404 },
            Refusal::RateLimited => Error::RateLimited { retry_after: std::time::Duration::ZERO },
        }
    }

    /// Whether the upstream may do without what was asked for.
    fn may_lack(&self, listing: &Listing) -> bool {
        self.upstream.dialect.may_lack(listing)
    }
}

fn view<'a>(ask: &'a RowsAsk, visibility: &'a Visibility) -> View<'a> {
    let RowsAsk { lists, quirks, plan } = ask;
    View { lists: *lists, quirks, filter: &plan.filter, visibility }
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

fn refused(state: KeyState, scope: &'static str) -> Error {
    if state == KeyState::Forbidden { Error::Forbidden { scope } } else { Error::MappedKeyRefused }
}

/// JSON by its own word; an answer that says nothing is taken at its bytes.
fn is_json(answer: &Response<Bytes>) -> bool {
    let Some(kind) = answer.headers().get(CONTENT_TYPE) else { return true };
    const SUFFIX: &[u8] = b"+json";
    let kind = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let suffix = kind.len().checked_sub(SUFFIX.len()).and_then(|at| kind.get(at..));
    kind.eq_ignore_ascii_case(b"application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(SUFFIX))
}
