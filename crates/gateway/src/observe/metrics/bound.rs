//! How many series may carry names from the configuration. Names beyond the limit are counted together
//! under `other`; nothing is ever left uncounted.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

/// The most series a gateway has, all metrics together.
pub const SERIES_MAX: usize = 2000;

/// The name of those who have none.
pub(super) const OTHER: &str = "other";

/// Of callers, in all metrics that have their names.
pub(super) fn callers() -> Bound {
    Bound::new(640, 940)
}

/// Of upstreams.
pub(super) fn upstreams() -> Bound {
    Bound::new(120, 160)
}

/// See the module.
///
/// A name is admitted while there are fewer than `open_max` series. One that was admitted gets further
/// series up to `series_max`, so that hardly anybody is counted partly under its own name.
#[derive(Debug)]
pub(super) struct Bound {
    open_max: usize,
    series_max: usize,
    hasher: RandomState,
    admitted: Mutex<Admitted>,
}

#[derive(Debug, Default)]
struct Admitted {
    names: HashSet<String>,
    /// Hashes of a name and its labels.
    series: HashSet<u64>,
}

impl Bound {
    fn new(open_max: usize, series_max: usize) -> Self {
        let (hasher, admitted) = (RandomState::new(), Mutex::default());
        Bound { open_max, series_max, hasher, admitted }
    }

    /// The name itself, where there is or may be a series with it and these labels; else `other`.
    pub(super) fn admit<'a>(&self, name: &'a str, labels: impl Hash) -> &'a str {
        let series = self.hasher.hash_one((name, labels));
        // Plain data, valid after any panic.
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        if admitted.series.contains(&series) {
            return name;
        }
        let is_known = admitted.names.contains(name);
        let max = if is_known { self.series_max } else { self.open_max };
        if admitted.series.len() >= max {
            return OTHER;
        }
        if !is_known {
            admitted.names.insert(name.to_owned());
        }
        admitted.series.insert(series);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_get_more_series_when_new_names_get_none() {
        let bound = Bound::new(2, 3);
        assert_eq!(bound.admit("a", 1), "a");
        assert_eq!(bound.admit("b", 1), "b");
        assert_eq!(bound.admit("c", 1), OTHER);
        assert_eq!(bound.admit("a", 2), "a");
        assert_eq!(bound.admit("b", 2), OTHER);
        assert_eq!((bound.admit("a", 1), bound.admit("b", 1)), ("a", "b"));
    }
}
