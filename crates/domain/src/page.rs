//! One page, from upstream bytes to rendered rows: read, narrowed, filtered, rendered, dropped.
//!
//! Every row counts for paging (`Rows::push`), shown or not: seams, order and totals are about what
//! the upstream lists, not about what one caller gets of it.

use crate::hub::{State, User};
use crate::legacy::{Endpoint, Notes};
use crate::plan::{GroupIds, Groups, UserFilter};
use crate::quirks::Quirks;
use crate::sweep::Rows;
use crate::upstream::{Dialect, PageError, Rules};
use crate::visibility::Visibility;

/// What the rows of an answer must fit, and how they are shown.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    /// The endpoint that renders.
    pub endpoint: &'a dyn Endpoint,
    /// Its quirks.
    pub quirks: &'a Quirks,
    /// Which rows were asked for.
    pub filter: &'a UserFilter<GroupIds>,
    /// Which rows exist for the caller.
    pub visibility: &'a Visibility,
}

/// Reads a page into rendered legacy rows.
pub fn read_rows(
    dialect: &dyn Dialect,
    body: &[u8],
    rules: &Rules,
    shape: Shape<'_>,
) -> Result<Rows, PageError> {
    // A legacy record is a little over half of what v4 sends for it.
    let mut rows = Rows { bytes: Vec::with_capacity(body.len() * 5 / 8), ..Rows::default() };
    let tail = dialect.read_page(body, rules, &mut |user| {
        let mut notes = Notes::default();
        if shape.visibility.sees(user) && shape.filter.retain(user, shape.quirks) {
            if shape.endpoint.lists(user.state) {
                rows.bytes.push(b',');
                shape.endpoint.render(user, shape.quirks, &mut rows.bytes, &mut notes);
            } else if user.state == State::Deleted {
                notes.deleted_left_out += 1;
            }
        }
        rows.push_noted(user.key, user.id, notes);
    })?;
    rows.total = tail.total;
    Ok(rows)
}

/// Reads a page for the groups of the rows the caller sees.
pub fn read_groups(
    dialect: &dyn Dialect,
    body: &[u8],
    rules: &Rules,
    visibility: &Visibility,
) -> Result<(Rows, Groups), PageError> {
    let mut rows = Rows::default();
    let mut groups = Groups::default();
    let tail = dialect.read_page(body, rules, &mut |user: &User<'_>| {
        rows.push(user.key, user.id);
        let Some(group) = user.group.as_ref().filter(|_| visibility.sees(user)) else { return };
        if let Some(name) = &group.name {
            groups.add(&group.id, name);
        }
    })?;
    rows.total = tail.total;
    Ok((rows, groups))
}

/// Reads a page for its rows alone, handing each to `look`.
pub fn read_users(
    dialect: &dyn Dialect,
    body: &[u8],
    rules: &Rules,
    look: &mut dyn FnMut(&User<'_>),
) -> Result<Rows, PageError> {
    let mut rows = Rows::default();
    let tail = dialect.read_page(body, rules, &mut |user| {
        rows.push(user.key, user.id);
        look(user);
    })?;
    rows.total = tail.total;
    Ok(rows)
}
