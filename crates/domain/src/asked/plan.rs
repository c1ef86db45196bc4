//! A legacy request in hub words, and the rows that fit it.
//!
//! A request gives a `Plan<GroupName>`; the upstream is asked by a `Plan<GroupIds>`. The only way from
//! one to the other is [`Plan::resolve`], which needs the ids or ends in [`Resolved::Nobody`]. Code
//! that drops a filter because the look-up found nothing does not compile.
//!
//! The upstream's own filters only save pages: [`UserFilter::retain`] decides on every row.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::asked::slice::Slice;
use crate::hub::{Id, User};
use crate::id;
use crate::names::time_zone;
use crate::quirks::{Match, Quirks};

/// The users that a legacy request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<G> {
    /// Which users.
    pub filter: UserFilter<G>,
    /// The part of the list, of endpoints that have pages; `None` is the whole.
    pub slice: Option<Slice>,
    /// Names of parameters that were empty or are not known, sorted.
    pub ignored: Vec<String>,
}

/// A plan once the lookups are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// Ask the upstream.
    Ask(Box<Plan<GroupIds>>),
    /// No row can fit: the answer is the legacy empty list.
    Nobody,
}

/// A group as a legacy client names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupName(TextFilter);

impl GroupName {
    /// Whether this is the name of a group that the client means.
    pub fn means(&self, name: &str) -> bool {
        self.0.fits(name)
    }
}

/// The groups of a listing: every id with its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups(Vec<(Id<'static>, String)>);

impl Groups {
    /// Adds a group, once.
    pub fn add(&mut self, id: &Id<'_>, name: &str) {
        if !self.0.iter().any(|(known, called)| known == id && called == name) {
            self.0.push((id.clone().into_owned(), name.to_owned()));
        }
    }

    /// Adds the groups of another page.
    pub fn extend(&mut self, others: Groups) {
        for (id, name) in others.0 {
            self.add(&id, &name);
        }
    }

    /// The ids of the groups with this name, in the order of the listing.
    pub fn ids(&self, name: &GroupName) -> Vec<Id<'static>> {
        let meant = self.0.iter().filter(|(_, called)| name.means(called));
        meant.map(|(id, _)| id.clone()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The upstream ids a group name stands for: never empty, more than one where groups share a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupIds {
    ids: Vec<Id<'static>>,
    name: GroupName,
}

impl GroupIds {
    /// The ids, at least one.
    pub fn ids(&self) -> &[Id<'static>] {
        &self.ids
    }

    /// The name that was looked up.
    pub fn name(&self) -> &GroupName {
        &self.name
    }
}

/// Longer values are not pushed down: escaped, they could exceed a server's request line.
const PUSHDOWN_BYTES_MAX: usize = 512;

/// Values a row's text must fit, all of them (a repeated parameter only narrows).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextFilter {
    values: Vec<String>,
    mode: Match,
}

impl TextFilter {
    /// A filter, or `None` where no value was given.
    pub fn new(values: Vec<String>, mode: Match) -> Option<Self> {
        (!values.is_empty()).then_some(TextFilter { values, mode })
    }

    fn fits(&self, text: &str) -> bool {
        self.values.iter().all(|wanted| self.mode.fits(text, wanted))
    }

    fn fits_text(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| self.fits(text))
    }

    fn bytes(&self) -> usize {
        self.values.iter().map(|value| value.len() + size_of::<String>()).sum()
    }

    /// The value that an upstream may filter by without losing a row: an exact one that every server
    /// accepts. By other values only the hub filters.
    pub fn pushdown(&self) -> Option<&str> {
        let value = match self.mode {
            Match::Exact => self.values.first()?,
            Match::CaseInsensitive | Match::Contains => return None,
        };
        // ASCII is looked through many bytes at a time.
        let has_control = match value.is_ascii() {
            true => value.bytes().fold(false, |has, byte| has | byte.is_ascii_control()),
            false => value.chars().any(char::is_control),
        };
        (value.len() <= PUSHDOWN_BYTES_MAX && !has_control).then_some(value.as_str())
    }
}

/// A text of a user that a list can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextOf {
    Name,
    Email,
    SipAccount,
    Extension,
    CallerId,
    TimeZone,
}

impl TextOf {
    const ALL: [TextOf; TEXTS] = [
        TextOf::Name,
        TextOf::Email,
        TextOf::SipAccount,
        TextOf::Extension,
        TextOf::CallerId,
        TextOf::TimeZone,
    ];
}

const TEXTS: usize = 6;

/// The filters of a user list; every one that is set must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFilter<G> {
    id: Option<u64>,
    group: Option<G>,
    /// One for each of [`TextOf::ALL`].
    texts: [Option<TextFilter>; TEXTS],
}

/// Of what is set, each with its place. Every request hashes its filter, and hardly any sets more than one.
impl<G: Hash> Hash for UserFilter<G> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.iter().for_each(|id| (TEXTS, id).hash(state));
        self.group.iter().for_each(|group| (TEXTS + 1, group).hash(state));
        for (place, text) in self.texts.iter().enumerate() {
            text.iter().for_each(|text| (place, text).hash(state));
        }
    }
}

/// The number an `id` filter asks for; leading zeros are a client's habit, not another number.
fn wanted_id(given: &str) -> Option<u64> {
    let is_number = !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| given.parse().ok()).flatten().filter(|number| *number <= id::ID_MAX)
}

impl Plan<GroupName> {
    /// The group that must be looked up, if any.
    pub fn group(&self) -> Option<&GroupName> {
        self.filter.group.as_ref()
    }

    /// Puts looked-up ids in the place of the group's name. A plan without a group needs none; a plan
    /// whose group has no ids fits no user.
    pub fn resolve(self, found: Vec<Id<'static>>) -> Resolved {
        let UserFilter { id, group, texts } = self.filter;
        let group = match group {
            None => None,
            Some(_) if found.is_empty() => return Resolved::Nobody,
            Some(name) => Some(GroupIds { ids: found, name }),
        };
        let filter = UserFilter { id, group, texts };
        Resolved::Ask(Box::new(Plan { filter, slice: self.slice, ignored: self.ignored }))
    }
}

impl<G> UserFilter<G> {
    /// No filter: every user.
    pub fn everyone() -> Self {
        UserFilter { id: None, group: None, texts: [const { None }; TEXTS] }
    }

    /// Whether no filter is set.
    pub fn is_everyone(&self) -> bool
    where
        G: PartialEq,
    {
        *self == UserFilter::everyone()
    }

    /// The one user asked for: reading may stop as soon as it is found.
    pub fn id(&self) -> Option<u64> {
        self.id
    }

    /// Whether users are asked for by this text.
    pub fn asks(&self, text: TextOf) -> bool {
        self.texts[text as usize].is_some()
    }

    /// The exact value of this text to push down.
    pub fn pushdown(&self, text: TextOf) -> Option<&str> {
        self.texts[text as usize].as_ref()?.pushdown()
    }
}

impl UserFilter<GroupName> {
    /// Filters by id. False if no user can have it: a value is no decimal number, or two values are
    /// different numbers.
    pub(crate) fn by_ids(&mut self, values: &[String]) -> bool {
        for given in values {
            let Some(number) = wanted_id(given) else { return false };
            if self.id.replace(number).is_some_and(|before| before != number) {
                return false;
            }
        }
        true
    }

    /// Filters by the name of a group, where there are values.
    pub(crate) fn by_group(&mut self, values: Vec<String>, mode: Match) {
        self.group = TextFilter::new(values, mode).map(GroupName);
    }

    /// Filters by a text, where there are values.
    pub(crate) fn by_text(&mut self, text: TextOf, values: Vec<String>, mode: Match) {
        self.texts[text as usize] = TextFilter::new(values, mode);
    }

    /// About how much memory it holds besides itself.
    pub fn bytes(&self) -> usize {
        let group = self.group.as_ref().map(|group| &group.0);
        self.texts.iter().flatten().chain(group).map(TextFilter::bytes).sum()
    }
}

impl UserFilter<GroupIds> {
    /// The users whose text fits this one.
    pub fn with_text(text: TextOf, value: &str, mode: Match) -> Self {
        let mut filter = UserFilter::everyone();
        filter.texts[text as usize] = TextFilter::new(vec![value.to_owned()], mode);
        filter
    }

    /// About how much memory it holds besides itself and its ids.
    pub fn bytes(&self) -> usize {
        let group = self.group.as_ref().map(|group| &group.name.0);
        self.texts.iter().flatten().chain(group).map(TextFilter::bytes).sum()
    }

    /// The group, once looked up.
    pub fn group(&self) -> Option<&GroupIds> {
        self.group.as_ref()
    }

    /// Whether a row fits every filter. Applied to every row, whatever the upstream filtered.
    ///
    /// A group fits by its *name*: cached ids may be old, and the client asked for the name.
    pub fn retain(&self, user: &User<'_>, quirks: &Quirks) -> bool {
        self.id.is_none_or(|id| id == user.id)
            && self.group.as_ref().is_none_or(|group| {
                let name = user.group.as_ref().and_then(|group| group.name.as_deref());
                name.is_some_and(|name| group.name.means(name))
            })
            && (self.texts.iter().all(Option::is_none)
                || TextOf::ALL.into_iter().zip(&self.texts).all(|(text, filter)| match filter {
                    None => true,
                    Some(filter) => fits(filter, text, user, quirks),
                }))
    }
}

/// Whether a text of a user fits a filter.
fn fits(filter: &TextFilter, text: TextOf, user: &User<'_>, quirks: &Quirks) -> bool {
    match text {
        TextOf::Name => filter.fits_text(user.name.as_deref()),
        TextOf::Email => filter.fits_text(user.email.as_deref()),
        TextOf::SipAccount => filter.fits_text(user.sip_account.as_deref()),
        TextOf::Extension => filter.fits_text(user.extension.as_deref()),
        TextOf::CallerId => {
            filter.fits_text(user.caller_id.as_deref().map(|number| caller_id(number, quirks)))
        }
        TextOf::TimeZone => {
            user.time_zone.as_deref().is_some_and(|zone| same_zone(filter, zone, quirks))
        }
    }
}

/// The caller id as legacy shows it: the configured group's name, or the number itself.
pub fn caller_id<'a>(number: &'a str, quirks: &'a Quirks) -> &'a str {
    quirks.caller_id_groups.get(number).map_or(number, String::as_str)
}

/// Compares zones, not spellings: every name or id of the user's zone fits.
fn same_zone(filter: &TextFilter, zone: &str, quirks: &Quirks) -> bool {
    let shown = time_zone::legacy_name(zone, &quirks.timezone_names).unwrap_or(zone);
    filter.values.iter().all(|wanted| {
        time_zone::canonical(wanted) == time_zone::canonical(zone)
            || filter.mode.fits(shown, wanted)
    })
}
