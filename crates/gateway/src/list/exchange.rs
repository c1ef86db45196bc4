//! A page in hub words becomes an HTTP exchange, and its answer rows. Refusals are read here, and
//! pages strictly; a page that cannot be used never becomes an empty one. A page that was read before, and has a
//! tag, is asked for on the condition that it has changed; if it has not, its rows are given again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use domain::hub::{Id, Named, State, User};
use domain::legacy::Lists;
use domain::listing::Listing;
use domain::names::unmapped::Unmapped;
use domain::page::{Page, View};
use domain::quirks::Quirks;
use domain::sweep::{Rows, Window};
use domain::upstream::{Context, PageError, Refusal};
use domain::visibility::Visibility;
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderValue, Response, StatusCode};
use limits::{LARGE_BYTES, blocking};

use crate::cache::pages::{KeptPage, PageQuestion, Pages, tag};
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
    /// The caller's pages that may be unchanged; `None` where none are kept.
    pages: Option<Arc<Pages>>,
    /// How many bytes of records to expect of a page.
    ratio: RecordRatio,
    metrics: Metrics,
}

/// How many bytes of user records the last page gave for each 1,024 bytes of its own; 0 before there was one. A buffer
/// that is too small for its page is copied into a larger one, and one that is too large takes memory until the client
/// has the answer.
#[derive(Debug, Default)]
struct RecordRatio(AtomicU32);

impl RecordRatio {
    const SCALE: usize = 1024;

    /// The records of fewer rows may not be typical.
    const ROWS_MIN: usize = 16;

    /// How many bytes to expect of a page of so many: a thirty-second more than the last page gave.
    fn record_bytes(&self, page: usize) -> Option<usize> {
        match self.0.load(Ordering::Relaxed) as usize {
            0 => None,
            ratio => Some(page.saturating_mul(ratio) / Self::SCALE * 33 / 32),
        }
    }

    /// Learns from a page of so many bytes, if its rows are all in the answer.
    fn note(&self, page: usize, rows: &Rows) {
        let count = rows.keys.len();
        if count >= Self::ROWS_MIN && rows.shown.len() == count && page >= rows.bytes.len() {
            let ratio = rows.bytes.len().saturating_mul(Self::SCALE) / page;
            self.0.store(ratio as u32, Ordering::Relaxed);
        }
    }
}

impl Exchange {
    pub(crate) fn new(
        upstream: Arc<Upstream>,
        visibility: Visibility,
        key: Arc<Key>,
        pages: Option<Arc<Pages>>,
        metrics: Metrics,
    ) -> Self {
        let ratio = RecordRatio::default();
        Exchange(Arc::new(Reader { upstream, visibility, key, pages, ratio, metrics }))
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
        let (dialect, list) = (reader.upstream.dialect, &page.list);
        let (listing, place) = (&list.listing, list.place.as_deref());
        let request = dialect.page_request(listing, place, list.ask.filter(), page.window);
        let is_filtered = request.is_filtered;
        let target = target(request.target)?;
        // Before anything kept is looked for: what is forgotten from here on is not shown.
        let generation = reader.pages.as_ref().map(|pages| pages.generation());
        let (question, known) = reader.known(&page, &target, generation);
        let attempt = Attempt {
            target,
            accept: request.accept,
            if_none_match: known.as_ref().map(|page| page.tag.clone()),
            deadline: list.deadline,
            behalf: list.behalf.clone(),
        };
        let again = known.is_some().then(|| Attempt { if_none_match: None, ..attempt.clone() });
        let mut answer = inner.ask(attempt).await?;
        if let (Some(known), Some(again)) = (&known, again)
            && answer.status() == StatusCode::NOT_MODIFIED
        {
            if let Some(read) = reader.unchanged(known, generation) {
                return Ok(read);
            }
            // What was kept was forgotten meanwhile.
            answer = inner.ask(again).await?;
        }
        let may_be_id = place.is_some_and(|place| place.may_be_id);
        if let Some(error) = reader.refusal(listing, answer.status(), is_filtered, may_be_id) {
            return Err(error);
        }
        if !is_json(&answer) {
            return Err(Error::BadType);
        }
        let tag = reader.tag(&answer, question.as_ref().filter(|_| known.is_some()));
        let keep = tag.map(|tag| Keep { tag, question, generation, window: page.window });
        let body = answer.into_body();
        // Each question that shares the page looks at every row.
        let questions = page.list.audience.as_ref().map_or(1, |audience| audience.waiting());
        if body.len().saturating_mul(questions) < LARGE_BYTES {
            return reader.page(&page.list, &body, is_filtered, keep);
        }
        let reader = Arc::clone(reader);
        blocking(move || reader.page(&page.list, &body, is_filtered, keep)).await?
    }
}

/// How a page is to be kept that has a tag.
struct Keep {
    tag: HeaderValue,
    /// `None` where nothing was kept yet, and so nothing was looked for.
    question: Option<PageQuestion>,
    /// Of what was kept when the page was asked for.
    generation: Option<u64>,
    window: Window,
}

impl Reader {
    fn page(
        &self,
        call: &ListCall,
        body: &[u8],
        is_filtered: bool,
        keep: Option<Keep>,
    ) -> Result<PageRead, Error> {
        let read = self.read(call, body, is_filtered)?;
        self.key.note_acceptance();
        self.scan_fields(&call.listing, body);
        if let Some(keep) = keep {
            self.keep(call, keep, &read, body.len());
        }
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
}

/// Pages that may be unchanged.
impl Reader {
    /// What is kept of a page. As long as nothing is, nothing is looked for.
    fn known(
        &self,
        page: &PageCall,
        target: &PathAndQuery,
        generation: Option<u64>,
    ) -> (Option<PageQuestion>, Option<Arc<KeptPage>>) {
        let pages = self.pages.as_ref().filter(|pages| pages.has_any());
        let (Some(pages), Some(generation)) = (pages, generation) else { return (None, None) };
        let question = pages.question(&page.list, target, generation);
        let known = question.as_ref().filter(|_| !page.is_read_anew);
        let known = known.and_then(|question| pages.get(question));
        (question, known)
    }

    /// The kept rows of a page that has not changed; `None` if they were forgotten since it was asked for.
    fn unchanged(&self, known: &KeptPage, generation: Option<u64>) -> Option<PageRead> {
        let pages = self.pages.as_ref()?;
        (Some(pages.generation()) == generation).then(|| {
            self.key.note_acceptance();
            known.again()
        })
    }

    /// The tag of a page that was read. `changed` is a page that was kept under another one.
    fn tag(&self, answer: &Response<Bytes>, changed: Option<&PageQuestion>) -> Option<HeaderValue> {
        let pages = self.pages.as_ref()?;
        let tag = tag(answer.headers());
        if let Some(question) = changed {
            self.metrics.page_changed();
            if tag.is_none() {
                pages.remove(question);
            }
        }
        tag
    }

    fn keep(&self, call: &ListCall, keep: Keep, read: &PageRead, body: usize) {
        let Keep { tag, question, generation, window } = keep;
        let (Some(pages), Some(generation)) = (&self.pages, generation) else { return };
        let question = question.or_else(|| {
            let (place, filter) = (call.place.as_deref(), call.ask.filter());
            let request = self.upstream.dialect.page_request(&call.listing, place, filter, window);
            pages.question(call, &target(request.target).ok()?, generation)
        });
        if let Some(question) = question.filter(|question| pages.is_current(question)) {
            pages.put(question, tag, read, body);
        }
    }
}

impl Reader {
    fn read(&self, call: &ListCall, body: &[u8], is_filtered: bool) -> Result<PageRead, Error> {
        let ListCall { listing, ask, related, for_roster, .. } = call;
        let (dialect, rules) = (self.upstream.dialect, &self.upstream.rules);
        // The page of a single question may be kept, so it is rendered also if nobody waits for it any more.
        let shared = call.audience.as_ref().filter(|audience| audience.len() > 1);
        let asks = shared.map(|audience| audience.questions());
        let is_of_all = match &asks {
            Some(asks) => asks.iter().flatten().any(|ask| ask.plan.filter.is_everyone()),
            None => ask.is_of_all(),
        };
        let tells_keys = matches!(listing, Listing::Users(_)) && is_of_all;
        let context = Context { rules, related, tells_keys };
        // Records of other kinds are much shorter.
        let is_of_users = matches!(ask, Ask::Rows(ask) if matches!(ask.lists, Lists::Users(_)));
        let ratio = is_of_users.then_some(&self.ratio);
        let record_bytes = ratio.and_then(|ratio| ratio.record_bytes(body.len()));
        let page = Page { dialect, listing, body, record_bytes, context };
        let (visibility, unmapped) = (&self.visibility, self.metrics.unmapped());
        let mut found = Found::default();
        let Found { groups, teams, sightings, people } = &mut found;
        let mut look = |user: &User<'_>| {
            if *for_roster {
                sightings.extend(sighting(user));
            }
        };
        let rows = match ask {
            Ask::Rows(ask) => match &asks {
                Some(asks) => {
                    let views =
                        asks.iter().map(|ask| Some(view(ask.as_ref()?, visibility, unmapped)));
                    page.read_rows(&Vec::from_iter(views), &mut look)
                }
                None => {
                    let rows = page.read_rows(&[Some(view(ask, visibility, unmapped))], &mut look);
                    rows.inspect(|rows| {
                        if let Some(ratio) = ratio {
                            ratio.note(body.len(), rows);
                        }
                    })
                }
            },
            Ask::Groups => page.read_groups(visibility, &mut look).map(|(rows, read)| {
                *groups = read;
                rows
            }),
            Ask::Teams => page.read_users(&mut |user| {
                look(user);
                teams.note(user, visibility);
            }),
            Ask::Find(filter) => page.read_users(&mut |user| {
                let is_live = matches!(user.state, State::Live | State::LiveWithDeletionDate);
                if is_live && filter.retain(user, &Quirks::default()) && visibility.sees(user) {
                    people.push(user.own_id.to_string());
                }
            }),
            Ask::Items => page.read_items(),
            Ask::Look(looks) => {
                let context = Context { rules: &looks.rules(rules), ..context };
                Page { context, ..page }.read_users(&mut |user| looks.user(user))
            }
        };
        let mut rows = rows.map_err(|error| match error {
            PageError::Schema(error) => {
                Error::Schema { dialect: dialect.name(), listing: listing.name(), error }
            }
            PageError::Refused(refusal) => self.named(listing, refusal, is_filtered),
        })?;
        rows.fit();
        Ok(PageRead { rows: Arc::new(rows), found, is_unchanged: false })
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
            // Nobody asked whether it has changed, so it is no answer.
            StatusCode::NOT_MODIFIED => Some(Error::RefusedCall { status: 304 }),
            status if status.is_redirection() => Some(Error::Redirect),
            status => Some(Error::RefusedCall { status: status.as_u16() }),
        }
    }

    fn named(&self, listing: &Listing, refusal: Refusal, is_filtered: bool) -> Error {
        let scope = self.upstream.dialect.scope(listing);
        if let (Some(pages), Refusal::Unauthorized | Refusal::Forbidden) = (&self.pages, refusal) {
            pages.forget();
        }
        let note = |state| {
            self.key.note_refusal(state);
            refused(state, scope)
        };
        match refusal {
            Refusal::Unauthorized => note(KeyState::Refused),
            // A firewall may forbid what a client filtered by, and a listing may need a scope of its own:
            // neither says that the key may read nothing.
            Refusal::Forbidden
                if is_filtered
                    || self.may_lack(listing)
                    || scope != self.upstream.dialect.facts().scope =>
            {
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

fn view<'a>(ask: &'a RowsAsk, visibility: &'a Visibility, unmapped: &'a Unmapped) -> View<'a> {
    let RowsAsk { lists, quirks, plan } = ask;
    let unmapped = Some(unmapped);
    View { lists: *lists, quirks, filter: &plan.filter, visibility, unmapped }
}

/// Only a filter's value that is long enough to break a URI gives none.
fn target(target: String) -> Result<PathAndQuery, Error> {
    PathAndQuery::from_maybe_shared(Bytes::from(target)).map_err(|_| Error::BadFilter)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_made_for_as_many_bytes_as_the_page_before_gave_and_a_few_more() {
        let rows = |count: u64, bytes: usize| {
            let mut rows = Rows::default();
            for id in 0..count {
                rows.bytes.resize(bytes * (id as usize + 1) / count as usize, b' ');
                rows.push(id, id);
            }
            rows
        };
        let ratio = RecordRatio::default();
        assert_eq!(ratio.record_bytes(100_000), None);
        ratio.note(100_000, &rows(100, 50_000));
        assert_eq!(ratio.record_bytes(100_000), Some(51_562));
        assert_eq!(ratio.record_bytes(10_000), Some(5_156));
        // Few rows say little, and so do rows that are not all shown.
        ratio.note(1_000, &rows(2, 900));
        let mut narrowed = rows(50, 40_000);
        narrowed.push(50, 50);
        ratio.note(50_000, &narrowed);
        assert_eq!(ratio.record_bytes(100_000), Some(51_562));
        ratio.note(100_000, &rows(100, 60_000));
        assert_eq!(ratio.record_bytes(100_000), Some(61_833));
    }
}
