//! The part of a list that a request asks for, of endpoints that have pages: counted from 1, 50 records each and at
//! most 500.
//!
//! Source: the vendor's page of `GET /api/v3/messages/sms/templates`.

use crate::asked::params::Params;

const LIMIT_DEFAULT: u64 = 50;
const LIMIT_MAX: u64 = 500;

/// The part of a list that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slice {
    /// From 1.
    pub page: u64,
    /// Records of a page.
    pub limit: u64,
}

impl Slice {
    /// The parameters of a slice, and what is said of them.
    pub const PARAMETERS: [(&'static str, &'static str); 2] = [
        ("page", "The page, from 1; one past the end is empty."),
        ("limit", "Records of a page: 50, at most 500."),
    ];

    /// Takes the parameters; `None` where one of them has two values. What is no number from 1 on is ignored, and a
    /// limit that is too large is the largest.
    pub(crate) fn take(params: &mut Params) -> Option<Self> {
        let mut is_clear = true;
        let mut number = |name: &str| {
            let values = params.take_filter(name);
            is_clear &= values.len() < 2;
            let number = values.first().and_then(|value| value.parse::<u64>().ok());
            let number = number.filter(|number| *number > 0);
            if number.is_none() && !values.is_empty() {
                params.ignore(name);
            }
            number
        };
        let page = number("page").unwrap_or(1);
        let limit = number("limit").unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX);
        is_clear.then_some(Slice { page, limit })
    }

    /// The records of this page.
    pub(crate) fn of<T>(self, all: &[T]) -> &[T] {
        let place =
            |page: u64| page.checked_mul(self.limit).and_then(|at| usize::try_from(at).ok());
        let end = place(self.page).unwrap_or(usize::MAX).min(all.len());
        let start = place(self.page - 1).unwrap_or(usize::MAX).min(end);
        all.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_at_1_and_past_the_end_there_is_nothing() {
        let all: Vec<u32> = (0..120).collect();
        for (query, first, count, ignored) in [
            ("", Some(0), 50, &[][..]),
            ("page=3", Some(100), 20, &[]),
            ("page=4", None, 0, &[]),
            ("page=18446744073709551615&limit=500", None, 0, &[]),
            ("limit=7&page=2", Some(7), 7, &[]),
            ("limit=9999", Some(0), 120, &[]),
            ("page=0&limit=-1", Some(0), 50, &["limit", "page"]),
            ("page=x&limit=", Some(0), 50, &["limit", "page"]),
        ] {
            let mut params = Params::parse(query);
            let part = Slice::take(&mut params).unwrap().of(&all);
            assert_eq!((part.first().copied(), part.len()), (first, count), "{query}");
            assert_eq!(params.finish(), ignored, "{query}");
        }
        assert_eq!(Slice::take(&mut Params::parse("limit=501")).unwrap().limit, 500);
        for (query, is_clear) in [
            ("page=2&page=3", false),
            ("page=2&page[]=3", false),
            ("limit=10&limit=x", false),
            ("page=2&page=2", true),
            ("page=&page=3", true),
        ] {
            assert_eq!(Slice::take(&mut Params::parse(query)).is_some(), is_clear, "{query}");
        }
    }
}
