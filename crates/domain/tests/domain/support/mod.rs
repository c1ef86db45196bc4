//! A call without a network: an endpoint's request, the pages an upstream would send, the answer.
//!
//! It asks in the gateway's order: the groups, the listings to join (round by round), the rows. It
//! knows no wire; the test provides the pages of each listing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "only tests read this")]

pub(crate) mod sweeps;

use domain::id::Number;
use domain::legacy::{Counts, Endpoint, EntryRecord, Lists, Planned, TemplateRecord};
use domain::listing::{Item, Listing, Which};
use domain::page::{Page, View};
use domain::params::Params;
use domain::plan::{GroupName, Groups, Resolved};
use domain::quirks::Quirks;
use domain::related::{Needs, Related};
use domain::slice::Slice;
use domain::sweep::Window;
use domain::teams::{self, TeamsOfUsers};
use domain::upstream::{Context, Dialect, PageError, Rules, Shortcut};
use domain::visibility::Visibility;

/// The pages of a listing; `None` where the upstream answers 404.
pub(crate) type Upstream<'a> = &'a dyn Fn(&Listing) -> Option<Vec<Vec<u8>>>;

/// The target of a list that the vendor does not have.
pub(crate) const NOT_OFFERED: &str = "not offered";

/// Follow-ups may depend on follow-ups, but not for long.
pub(crate) const ROUNDS_MAX: usize = 4;

/// A legacy request and everything that decides its answer, apart from the upstream.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) dialect: &'static dyn Dialect,
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) query: &'a str,
    pub(crate) quirks: &'a Quirks,
    pub(crate) rules: &'a Rules,
    pub(crate) visibility: &'a Visibility,
}

/// The result of a call.
pub(crate) struct Answer {
    /// The target of every request, in order; ends in `nobody` where no row can fit.
    pub(crate) targets: Vec<String>,
    /// The legacy body.
    pub(crate) body: Result<String, PageError>,
}

impl Call<'_> {
    pub(crate) fn answer(self, upstream: Upstream<'_>) -> Answer {
        let mut run = Run { call: self, upstream, targets: Vec::new(), counts: None };
        let records = run.records();
        let body = records.map(|(bytes, rows)| {
            let counts = run.counts.unwrap_or(rows.into());
            let (open, close) = self.endpoint.envelope(self.quirks, counts);
            let bytes = String::from_utf8(bytes).unwrap();
            // Every record begins with a comma.
            format!("{open}{}{close}", bytes.get(1..).unwrap_or_default())
        });
        Answer { targets: run.targets, body }
    }
}

struct Run<'a> {
    call: Call<'a>,
    upstream: Upstream<'a>,
    targets: Vec<String>,
    /// Of an endpoint that has pages.
    counts: Option<Counts>,
}

type Records = Result<(Vec<u8>, u64), PageError>;

impl Run<'_> {
    fn records(&mut self) -> Records {
        let Call { dialect, endpoint, query, quirks, rules, visibility } = self.call;
        let lists = endpoint.lists();
        let Planned::Ask(plan) = endpoint.plan(Params::parse(query), quirks) else {
            return self.nobody();
        };
        let which = match lists {
            Lists::Users(_) | Lists::Teams(_) | Lists::Templates(_) | Lists::Call(_) => Which::Live,
            Lists::DeletedUsers(_) => Which::Deleted,
        };
        let all = Listing::Users(which);
        let ids = match plan.group() {
            None => Vec::new(),
            Some(group) => self.group_ids(&all, group)?,
        };
        let Resolved::Ask(plan) = plan.resolve(ids) else { return self.nobody() };
        let listing = match dialect.shortcut(&plan.filter, rules) {
            Shortcut::None => all,
            Shortcut::Listing(listing) => listing,
            Shortcut::Nobody => return self.nobody(),
        };
        match lists {
            Lists::Teams(record) => return self.teams(record),
            Lists::Templates(record) => return self.templates(record, plan.slice.unwrap()),
            Lists::Call(_) => panic!("a call is no list"),
            Lists::Users(_) | Lists::DeletedUsers(_) => {}
        }
        let records = matches!(lists, Lists::Users(record) if record.needs_other_lists());
        let related = self.related(Needs { records, teams: visibility.needs_teams() })?;
        let view = View { lists, quirks, filter: &plan.filter, visibility, unmapped: None };
        let (mut bytes, mut shown) = (Vec::new(), 0);
        let Some(pages) = self.pages(&listing, Some(&plan.filter)) else { return Ok((bytes, 0)) };
        for body in pages {
            let rows =
                self.page(&listing, &body, &related).read_rows(&[Some(view)], &mut |_| {})?;
            shown += rows.shown.len() as u64;
            bytes.extend_from_slice(&rows.bytes);
        }
        Ok((bytes, shown))
    }

    fn nobody(&mut self) -> Records {
        self.targets.push("nobody".to_owned());
        Ok((Vec::new(), 0))
    }

    fn group_ids(
        &mut self,
        all: &Listing,
        group: &GroupName,
    ) -> Result<Vec<domain::hub::Id<'static>>, PageError> {
        let visibility = self.call.visibility;
        let related = self.related(Needs { records: false, teams: visibility.needs_teams() })?;
        let mut groups = Groups::default();
        for body in self.pages(all, None).unwrap_or_default() {
            groups.extend(self.page(all, &body, &related).read_groups(visibility, &mut |_| {})?.1);
        }
        Ok(groups.ids(group))
    }

    fn templates(&mut self, record: TemplateRecord, slice: Slice) -> Records {
        if !self.call.dialect.has(&Listing::Messages) {
            self.targets.push(NOT_OFFERED.to_owned());
            return Ok((Vec::new(), 0));
        }
        let messages = self.items(&Listing::Messages)?.unwrap();
        let Call { visibility, rules, .. } = self.call;
        let page =
            record.page(&messages, slice, visibility, &|id| teams::number(id, rules)).unwrap();
        self.counts = Some(Counts { rows: page.rows, total: page.total, page: slice.page });
        Ok((page.bytes, page.rows))
    }

    fn teams(&mut self, record: EntryRecord) -> Records {
        let visibility = self.call.visibility;
        let list = self.items(&Listing::Teams)?;
        let mut of_users = TeamsOfUsers::default();
        if list.is_none() || *visibility != Visibility::Everything {
            let related = self.related(Needs { records: false, teams: true })?;
            let users = Listing::Users(Which::Live);
            for body in self.pages(&users, None).unwrap_or_default() {
                let mut on_page = TeamsOfUsers::default();
                self.page(&users, &body, &related)
                    .read_users(&mut |user| on_page.note(user, visibility))?;
                of_users.extend(on_page);
            }
        }
        let shown = match list {
            Some(list) => of_users.pick(list, visibility),
            None => of_users.sorted(),
        };
        let (mut bytes, mut rows) = (Vec::new(), 0);
        for team in shown {
            match teams::number(&team.id, self.call.rules) {
                Number::Is(id) => {
                    bytes.push(b',');
                    record.write(id, team.name.as_deref(), &mut bytes);
                    rows += 1;
                }
                Number::LeftOut => {}
                Number::Missing => panic!("{team:?} has no number"),
            }
        }
        Ok((bytes, rows))
    }

    /// Reads the listings to join, until the dialect wants no more.
    fn related(&mut self, needs: Needs) -> Result<Related, PageError> {
        let mut related = Related::default();
        for round in 0.. {
            let wanted = self.call.dialect.follow_up(needs, self.call.rules, &related);
            if wanted.is_empty() {
                break;
            }
            assert!(round < ROUNDS_MAX, "still wanted: {wanted:?}");
            for listing in wanted {
                assert!(!related.knows(&listing), "{listing:?} is wanted again");
                match self.items(&listing)? {
                    Some(items) => related.add(listing, items),
                    None => related.add_lacking(listing),
                }
            }
        }
        Ok(related.joined())
    }

    /// The rows of a listing of anything but users; `None` where there is no such listing.
    fn items(&mut self, listing: &Listing) -> Result<Option<Vec<Item<'static>>>, PageError> {
        let Some(pages) = self.pages(listing, None) else { return Ok(None) };
        let related = Related::default();
        let mut items = Vec::new();
        for body in pages {
            let rows = self.page(listing, &body, &related).read_items()?;
            items.extend(rows.items.into_iter().map(|(_, item)| item));
        }
        // A sweep takes a repeated row once.
        let mut seen = std::collections::HashSet::new();
        items.retain(|item: &Item<'_>| seen.insert(item.key));
        Ok(Some(items))
    }

    fn pages(
        &mut self,
        listing: &Listing,
        filter: Option<&domain::plan::UserFilter<domain::plan::GroupIds>>,
    ) -> Option<Vec<Vec<u8>>> {
        let dialect = self.call.dialect;
        let pages = (self.upstream)(listing);
        let limit = dialect.page_rows_max();
        let mut ask = |place, number: usize| {
            let window = Window { offset: number as u64 * u64::from(limit), limit };
            self.targets.push(dialect.page_request(listing, place, filter, window).target);
        };
        match &pages {
            Some(pages) => (0..pages.len()).for_each(|number| ask(None, number)),
            // Nothing at the first place: the others are asked as well.
            None => {
                ask(None, 0);
                dialect.places(listing).iter().skip(1).for_each(|place| ask(Some(place), 0));
            }
        }
        assert!(pages.is_some() || dialect.may_lack(listing), "{listing:?} must be there");
        pages
    }

    fn page<'b>(&self, listing: &'b Listing, body: &'b [u8], related: &'b Related) -> Page<'b>
    where
        Self: 'b,
    {
        let Call { dialect, rules, .. } = self.call;
        let context = Context { rules, related, tells_keys: false };
        Page { dialect, listing, body, record_bytes: None, context }
    }
}
