//! Parameters that are no filters, but look as if their client meant one. They are ignored, as the legacy API
//! ignored them; an operator may want to know.

use super::{filter_of, without_index};

/// In which way a parameter's name misses a filter's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NearMiss {
    /// In another case: `Name`, `filter[Name]`, `Filter[name]`.
    Case,
    /// In brackets that are none of ours: `filters[name]`, `name[eq]`.
    Brackets,
    /// With other marks between words: `callerId`, `caller-id`.
    Spelling,
}

impl NearMiss {
    /// Each of them once.
    pub const ALL: [NearMiss; 3] = [NearMiss::Case, NearMiss::Brackets, NearMiss::Spelling];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            NearMiss::Case => "case",
            NearMiss::Brackets => "brackets",
            NearMiss::Spelling => "spelling",
        }
    }

    /// How a parameter's name misses one of these filters; `None` where it is one, or like none.
    pub(crate) fn of<'a>(
        name: &str,
        filters: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<Self> {
        let is_filter = |name: &str| filters.clone().any(|filter| filter == name);
        if is_filter(filter_of(name)) {
            return None;
        }
        let lower = name.to_ascii_lowercase();
        if is_filter(filter_of(&lower)) {
            return Some(NearMiss::Case);
        }
        let bare = without_index(&lower);
        if let Some((first, rest)) = bare.split_once('[') {
            let last = rest.strip_suffix(']').unwrap_or(rest).rsplit('[').next().unwrap_or(rest);
            return (is_filter(first) || is_filter(last)).then_some(NearMiss::Brackets);
        }
        let is_mark = |c: char| "_- .".contains(c);
        let letters: String = bare.chars().filter(|c| !is_mark(*c)).collect();
        let same = |filter: &str| filter.chars().filter(|c| !is_mark(*c)).eq(letters.chars());
        filters.clone().any(same).then_some(NearMiss::Spelling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_misses_a_filter_in_one_way_or_is_like_none() {
        let filters = ["id", "name", "caller_id"];
        for (name, miss) in [
            ("name", None),
            ("filter[name][0]", None),
            ("Name", Some(NearMiss::Case)),
            ("filter[NAME]", Some(NearMiss::Case)),
            ("Filter[name][]", Some(NearMiss::Case)),
            ("filters[name]", Some(NearMiss::Brackets)),
            ("q[user][name]", Some(NearMiss::Brackets)),
            ("name[eq]", Some(NearMiss::Brackets)),
            ("Filters[Name]", Some(NearMiss::Brackets)),
            ("callerId", Some(NearMiss::Spelling)),
            ("caller-id", Some(NearMiss::Spelling)),
            ("names", None),
            ("page", None),
            ("x[y]", None),
            ("[", None),
            ("", None),
        ] {
            assert_eq!(NearMiss::of(name, filters.into_iter()), miss, "{name}");
        }
        let words = NearMiss::ALL.map(NearMiss::as_str);
        assert_eq!(words, ["case", "brackets", "spelling"]);
    }
}
