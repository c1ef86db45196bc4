//! Questions for single pages of a list that has pages.

use super::{Group, Making};

impl Making<'_> {
    /// Pages in the middle, of one record, and past the end of most lists; and the page that a client gets who asks
    /// for none.
    pub(super) fn pages(&mut self) {
        for (name, query) in [
            ("no parameter", &[][..]),
            ("first", &[("page", "1")]),
            ("of one", &[("limit", "1")]),
            ("third of seven", &[("page", "3"), ("limit", "7")]),
            ("past the end", &[("page", "90000"), ("limit", "500")]),
        ] {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let page = self.add(Group::Page, &format!("page/{name}"), &[]);
            page.ask.query = query.iter().map(owned).collect();
        }
    }
}
