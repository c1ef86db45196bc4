//! One page, from upstream bytes to rendered rows: read, narrowed, filtered, rendered, dropped.
//!
//! Every row counts for paging (`Rows::push`), shown or not: seams, order and totals are about what
//! the upstream lists, not about what one caller gets of it.

use crate::hub::{State, User};
use crate::legacy::{Lists, Notes};
use crate::listing::{Listing, Row};
use crate::plan::{GroupIds, Groups, UserFilter};
use crate::quirks::Quirks;
use crate::sweep::Rows;
use crate::upstream::{Context, Dialect, PageError};
use crate::visibility::Visibility;

/// A page as it came.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// How it is read.
    pub dialect: &'static dyn Dialect,
    /// The listing it belongs to.
    pub listing: &'a Listing,
    /// Its bytes.
    pub body: &'a [u8],
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
}

impl Page<'_> {
    /// Reads a page of users into rendered legacy rows, and hands every user to `look`.
    pub fn read_rows(
        self,
        view: View<'_>,
        look: &mut dyn FnMut(&User<'_>),
    ) -> Result<Rows, PageError> {
        // A legacy record has a little over half the bytes of the upstream's.
        let rows = Rows { bytes: Vec::with_capacity(self.body.len() * 5 / 8), ..Rows::default() };
        self.read(rows, &mut |rows, row| {
            let Row::User(user) = row else { return Notes::default() };
            look(user);
            let mut notes = Notes::default();
            if view.visibility.sees(user) && view.filter.retain(user, view.quirks) {
                render(user, view, rows, &mut notes);
            }
            notes
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
        self.read(Rows::default(), &mut |_, row| {
            if let Row::User(user) = row {
                look(user);
            }
            Notes::default()
        })
    }

    /// Reads a page of anything but users.
    pub fn read_items(self) -> Result<Rows, PageError> {
        self.read(Rows::default(), &mut |_, _| Notes::default())
    }

    fn read(
        self,
        mut rows: Rows,
        each: &mut dyn FnMut(&mut Rows, Row<'_, '_>) -> Notes,
    ) -> Result<Rows, PageError> {
        let Page { dialect, listing, body, context } = self;
        let tail = dialect.read_page(listing, body, context, &mut |row| {
            let notes = each(&mut rows, row);
            match row {
                Row::User(user) => rows.push_noted(user.key, user.id, notes),
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
            rows.bytes.push(b',');
            record.write(user, view.quirks, &mut rows.bytes, notes);
        }
        (Lists::DeletedUsers(record), State::Deleted) => {
            rows.bytes.push(b',');
            record.write(user.id, user.name.as_deref(), &mut rows.bytes);
        }
        (Lists::DeletedUsers(_), State::Live | State::LiveWithDeletionDate)
        | (Lists::Teams(_), _) => {}
    }
}
