//! Which users the last changes of a scope have changed, so that a replica whose mirror is a little behind reads those rows
//! and not all. Must never name too few of them: what is not known is read whole.

use std::collections::BTreeSet;

use crate::mirror::Entry;

/// The most users of one step. A larger one is not kept, nor are those before it.
const IDS_MAX: usize = 200;

/// A change of users, from one version of their scope to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The ids of the users whose rows are new or changed.
    Of(Vec<u64>),
    /// Too many to name them.
    Large,
}

impl Step {
    pub(crate) fn of(ids: impl Iterator<Item = u64>) -> Self {
        let ids: Vec<u64> = ids.take(IDS_MAX + 1).collect();
        if ids.len() > IDS_MAX { Step::Large } else { Step::Of(ids) }
    }

    /// What stands behind the version from which the step was taken; nothing if it is not kept.
    pub(crate) fn stored(&self) -> Option<String> {
        match self {
            Step::Of(ids) => Some(ids.iter().map(|id| format!(" {id}")).collect()),
            Step::Large => None,
        }
    }
}

/// The users changed since this version, by the steps that are kept; nothing if it is not among them.
pub(crate) fn since(steps: &[String], version: &str) -> Option<BTreeSet<u64>> {
    let from = |step: &String| step.split(' ').next() == Some(version);
    let first = steps.iter().position(from)?;
    let ids = steps.get(first..)?.iter().flat_map(|step| step.split(' ').skip(1));
    ids.map(|id| id.parse().ok()).collect()
}

/// The entries with those in place that were read anew. Both ascend by id.
pub(crate) fn applied(entries: &[Entry], changed: &[Entry]) -> Vec<Entry> {
    let mut all = Vec::with_capacity(entries.len() + changed.len());
    let mut changed = changed.iter().peekable();
    for entry in entries {
        while let Some(new) = changed.next_if(|new| new.id < entry.id) {
            all.push(*new);
        }
        all.push(*changed.next_if(|new| new.id == entry.id).unwrap_or(entry));
    }
    all.extend(changed);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u64, fingerprint: u64) -> Entry {
        Entry { id, fingerprint, absences: 0, seen_until: None }
    }

    #[test]
    fn the_users_of_all_steps_since_a_version_are_named_or_none_is() {
        let steps = ["a 1 2", "b 18446744073709551615", "c 2 3", "d"].map(str::to_owned);
        let since = |version| since(&steps, version).map(Vec::from_iter);
        assert_eq!(since("a"), Some(vec![1, 2, 3, u64::MAX]));
        assert_eq!(since("b"), Some(vec![2, 3, u64::MAX]));
        assert_eq!(since("c"), Some(vec![2, 3]));
        assert_eq!(since("d"), Some(vec![]));
        assert_eq!(since("e"), None);
        assert_eq!(since("1"), None);
        assert_eq!(super::since(&["a 1".to_owned(), "b x".to_owned()], "a"), None, "unreadable");
        assert_eq!(super::since(&[], "a"), None);
    }

    #[test]
    fn a_step_with_too_many_users_is_not_kept() {
        assert_eq!(Step::of([3, 1].into_iter()).stored().unwrap(), " 3 1");
        let step = Step::of(0..IDS_MAX as u64);
        assert_eq!(since(&[format!("a{}", step.stored().unwrap())], "a").unwrap().len(), IDS_MAX);
        assert_eq!(Step::of(0..=IDS_MAX as u64).stored(), None);
    }

    #[test]
    fn entries_read_anew_are_put_in_their_places() {
        let entries = [entry(2, 0), entry(4, 0), entry(6, 0)];
        let changed = [entry(1, 1), entry(4, 1), entry(5, 1), entry(7, 1), entry(9, 1)];
        let ids =
            |all: Vec<Entry>| -> Vec<_> { all.iter().map(|it| (it.id, it.fingerprint)).collect() };
        let expected = [(1, 1), (2, 0), (4, 1), (5, 1), (6, 0), (7, 1), (9, 1)];
        assert_eq!(ids(applied(&entries, &changed)), expected);
        assert_eq!(applied(&entries, &[]), entries);
        assert_eq!(applied(&[], &changed), changed);
    }
}
