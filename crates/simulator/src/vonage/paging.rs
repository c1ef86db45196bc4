//! `page` and `limit`, and the `meta` that answers them.
//!
//! The first page is 1, as the vendor's page of every endpoint says. Only its general page says 0, so a
//! request for page 0 is refused.

use crate::answer::Answer;
use crate::object::Object;
use crate::voiso;
use crate::vonage::message;

const LIMIT: u64 = 25;
const PAGE_MAX: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    page: u64,
    asked: u64,
    /// The most rows of a page.
    pub(crate) limit: u64,
}

impl Paging {
    /// Reads the parameters. A limit above `limit_max` is refused, or cut if `cut` is set.
    pub(crate) fn read(
        parameters: &[(String, String)],
        limit_max: u64,
        cut: bool,
    ) -> Result<Paging, Answer> {
        let limit_max = limit_max.max(1);
        let read = |name: &str, default: u64, most: u64| match voiso::last(parameters, name) {
            None => Ok(default),
            Some(text) => match text.parse::<u64>() {
                Ok(number) if (1..=most).contains(&number) => Ok(number),
                _ => Err(message(400, &format!("{name} must be a number from 1 to {most}"))),
            },
        };
        let asked = read("limit", LIMIT.min(limit_max), if cut { u64::MAX } else { limit_max })?;
        let page = read("page", 1, PAGE_MAX)?;
        Ok(Paging { page, asked, limit: asked.min(limit_max) })
    }

    /// The place of the first row by the request; faults refer to it.
    pub(crate) fn offset_asked(&self) -> u64 {
        (self.page - 1).saturating_mul(self.asked)
    }

    /// The place of the first row.
    pub(crate) fn offset(&self) -> u64 {
        (self.page - 1).saturating_mul(self.limit)
    }

    pub(crate) fn capped(self, limit_max: u64) -> Paging {
        Paging { limit: self.limit.min(limit_max.max(1)), ..self }
    }

    pub(crate) fn cut<T>(&self, all: Vec<T>) -> Vec<T> {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        all.into_iter().skip(size(self.offset())).take(size(self.limit)).collect()
    }

    pub(crate) fn meta(&self, count: usize, total: u64) -> Object {
        Object::default()
            .with("page", self.page)
            .with("count", count)
            .with("pageCount", total.div_ceil(self.limit))
            .with("totalCount", total)
    }
}
