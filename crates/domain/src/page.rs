//! One page, from upstream bytes to rendered rows: read, narrowed, filtered, rendered, dropped.
//!
//! Every row counts for paging (`Rows::push`), shown or not: seams, order and totals are about what
//! the upstream lists, not about what one caller gets of it.

use crate::asked::plan::{GroupIds, Groups, UserFilter};
use crate::asked::visibility::Visibility;
use crate::hub::{State, User};
use crate::legacy::{Lists, Notes};
use crate::listing::{Listing, Row};
use crate::names::unmapped::Unmapped;
use crate::quirks::Quirks;
use crate::sweep::Rows;
use crate::upstream::{Context, Dialect, PageError};

/// Enough for most records of users.
const RECORD_BYTES: usize = 768;

/// Most users of an upstream have more.
const USER_BYTES: usize = 768;

/// A page as it came.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// How it is read.
    pub dialect: &'static dyn Dialect,
    /// The listing it belongs to.
    pub listing: &'a Listing,
    /// Its bytes.
    pub body: &'a [u8],
    /// How many bytes its records may have, by a page before it; `None` where there was none.
    pub record_bytes: Option<usize>,
    /// The rules and joined listings for reading it.
    pub context: Context<'a>,
}

/// Which rows an answer has, and how it shows them.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The kind of records, and how one is written.
    pub lists: Lists,
    /// Quirks of the endpoint.
    pub quirks: &'a Quirks,
    /// Which rows were asked for.
    pub filter: &'a UserFilter<GroupIds>,
    /// Which rows the caller may see.
    pub visibility: &'a Visibility,
    /// Where names that no dictionary has are kept; `None` where nobody asks for them.
    pub unmapped: Option<&'a Unmapped>,
}

impl Page<'_> {
    /// Reads a page of users into rendered legacy rows, for each of several questions, and hands every user
    /// to `look`. A question that is not asked any more is `None`.
    pub fn read_rows(
        self,
        views: &[Option<View<'_>>],
        look: &mut dyn FnMut(&User<'_>),
    ) -> Result<Rows, PageError> {
        // Whether a question shows every row, which is found out once for all of them.
        let asks_for_all = |view: &Option<View<'_>>| {
            view.is_some_and(|view| {
                view.filter.is_everyone() && *view.visibility == Visibility::Everything
            })
        };
        let views: Vec<_> = views.iter().map(|view| (view, asks_for_all(view))).collect();
        let shows_all = views.iter().any(|(_, asks_for_all)| *asks_for_all);
        // Most legacy records have a little over half the bytes of the upstream's.
        let record_bytes = self.record_bytes.unwrap_or(self.body.len() * 5 / 8);
        let (bytes, users) = match shows_all {
            true => (record_bytes, self.body.len() / USER_BYTES),
            false => (0, 0),
        };
        let rows = Rows {
            bytes: Vec::with_capacity(bytes),
            keys: Vec::with_capacity(users),
            shown: Vec::with_capacity(users),
            views: views.len() as u32,
            ..Rows::default()
        };
        self.read(rows, |rows, row| {
            let Row::User(user) = row else { return };
            look(user);
            for (number, (view, asks_for_all)) in (0..).zip(&views) {
                if let Some(view) = view
                    && (*asks_for_all
                        || view.filter.retain(user, view.quirks) && view.visibility.sees(user))
                {
                    let mut notes = Notes::default();
                    render(user, *view, rows, &mut notes);
                    rows.show(number, notes);
                }
            }
        })
    }

    /// Reads a page of users for the groups of visible users, and hands every user to `look`.
    pub fn read_groups(
        self,
        visibility: &Visibility,
        look: &mut dyn FnMut(&User<'_>),
    ) -> Result<(Rows, Groups), PageError> {
        let mut groups = Groups::default();
        let rows = self.read_users(&mut |user| {
            look(user);
            let Some(group) = user.group.as_ref().filter(|_| visibility.sees(user)) else { return };
            if let Some(name) = &group.name {
                groups.add(&group.id, name);
            }
        })?;
        Ok((rows, groups))
    }

    /// Reads a page of users, handing each to `look`.
    pub fn read_users(self, look: &mut dyn FnMut(&User<'_>)) -> Result<Rows, PageError> {
        self.read(Rows::default(), |_, row| {
            if let Row::User(user) = row {
                look(user);
            }
        })
    }

    /// Reads a page of anything but users.
    pub fn read_items(self) -> Result<Rows, PageError> {
        self.read(Rows::default(), |_, _| {})
    }

    fn read(
        self,
        mut rows: Rows,
        mut each: impl FnMut(&mut Rows, Row<'_, '_>),
    ) -> Result<Rows, PageError> {
        let Page { dialect, listing, body, context, .. } = self;
        let tail = dialect.read_page(listing, body, context, &mut |row| {
            each(&mut rows, row);
            match row {
                Row::User(user) => rows.push(user.key, user.id),
                Row::Item(item) => rows.push_item(item.clone().into_owned()),
                Row::Other { key } => rows.push(key, key),
            }
        })?;
        rows.total = tail.total;
        rows.documented = tail.keys;
        Ok(rows)
    }
}

fn render(user: &User<'_>, view: View<'_>, rows: &mut Rows, notes: &mut Notes) {
    match (view.lists, user.state) {
        (_, State::Unlisted) => notes.unnumbered_left_out += 1,
        (Lists::Users(_), State::Deleted) => notes.deleted_left_out += 1,
        (Lists::Users(record), State::Live | State::LiveWithDeletionDate) => {
            // Grown once for a record of usual size, not bit by bit.
            if rows.bytes.capacity() == 0 {
                rows.bytes.reserve(RECORD_BYTES);
            }
            rows.bytes.push(b',');
            record.write(user, view.quirks, view.unmapped, &mut rows.bytes, notes);
        }
        (Lists::DeletedUsers(record), State::Deleted) => {
            rows.bytes.push(b',');
            record.write(user.id, user.name.as_deref(), &mut rows.bytes);
        }
        (Lists::DeletedUsers(_), State::Live | State::LiveWithDeletionDate)
        | (Lists::Teams(_) | Lists::Templates(_) | Lists::Call(_), _) => {}
    }
}
