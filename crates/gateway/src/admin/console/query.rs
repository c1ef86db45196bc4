//! What a question to the console's JSON may say. Must never refuse one: an odd value is the default.

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) offset: usize,
    pub(super) limit: usize,
    /// A part of a caller's name.
    name: String,
    /// The number of the last request that is known already.
    pub(super) after: u64,
    /// A caller's whole name.
    pub(super) caller: Option<String>,
    /// The slug of an error.
    pub(super) slug: Option<String>,
}

/// Rows of an answer, unless the question says how many, and the most.
const LIMIT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

impl Query {
    pub(super) fn of(query: Option<&str>) -> Query {
        let mut found = Query {
            offset: 0,
            limit: LIMIT,
            name: String::new(),
            after: 0,
            caller: None,
            slug: None,
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "offset" => found.offset = value.parse().unwrap_or(0),
                "limit" => found.limit = value.parse().unwrap_or(LIMIT).min(LIMIT_MAX),
                "name" => found.name = value.to_lowercase(),
                "after" => found.after = value.parse().unwrap_or(0),
                "caller" => found.caller = Some(value.into_owned()),
                "slug" => found.slug = Some(value.into_owned()),
                _ => {}
            }
        }
        found
    }

    /// Whether a caller of that name is asked for.
    pub(super) fn names(&self, name: &str) -> bool {
        self.name.is_empty() || name.to_lowercase().contains(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_value_is_the_default() {
        let odd = Query::of(Some("offset=x&limit=-1&after=&other=1&%ff"));
        assert_eq!(odd, Query::of(None));
        let good = Query::of(Some("offset=5&limit=99999&name=CR&after=7&caller=crm&slug=a"));
        assert_eq!((good.offset, good.limit, good.after), (5, LIMIT_MAX, 7));
        assert!(good.names("my-crm") && !good.names("bi"));
        assert_eq!((good.caller.as_deref(), good.slug.as_deref()), (Some("crm"), Some("a")));
    }
}
