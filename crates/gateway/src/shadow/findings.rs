//! What one comparison found, as much of it as is kept: totals of everything, and so many differences in
//! full. Made where the answers are judged, on a thread that serves nobody, in time that grows with what
//! was found and no faster.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::judge::{Cause, Difference};

/// Differences of one comparison that are kept in full; all others are counted.
pub(super) const KEPT_MAX: usize = 10_000;

/// How many differences there are of each cause, in the order of [`Cause::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Causes([u64; Cause::ALL.len()]);

impl Causes {
    fn add(&mut self, cause: Cause, count: u64) {
        if let Some(of_cause) = self.0.get_mut(cause as usize) {
            *of_cause += count;
        }
    }

    /// Every cause that there is, and how often.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    pub(super) fn of(&self, cause: Cause) -> u64 {
        self.0.get(cause as usize).copied().unwrap_or_default()
    }
}

impl FromIterator<Cause> for Causes {
    fn from_iter<I: IntoIterator<Item = Cause>>(all: I) -> Self {
        let mut causes = Causes::default();
        all.into_iter().for_each(|cause| causes.add(cause, 1));
        causes
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) causes: Causes,
    /// What nothing explains comes first.
    pub(super) kept: Vec<Difference>,
    /// What tells one that nothing explains from another, those that are not kept included.
    bugs: Vec<u64>,
    hasher: RandomState,
}

impl Findings {
    pub(super) fn of(mut found: Vec<Difference>) -> Self {
        let (hasher, causes) = (RandomState::new(), found.iter().map(|one| one.cause).collect());
        let bugs = bugs(&hasher, &found).collect();
        found.sort_by_key(|one| one.cause != Cause::Bug);
        found.truncate(KEPT_MAX);
        found.shrink_to_fit();
        Findings { causes, kept: found, bugs, hasher }
    }

    pub(super) fn are_explained(&self) -> bool {
        self.bugs.is_empty()
    }

    /// What is left of the differences that nothing explained, once both sides were asked again: what
    /// came back is still unexplained, everything else changed in between.
    pub(super) fn looked_at_again(mut self, second: &[Difference]) -> Self {
        let second: HashSet<u64> = bugs(&self.hasher, second).collect();
        for one in self.kept.iter_mut().filter(|one| one.cause == Cause::Bug) {
            if !second.contains(&same(&self.hasher, one)) {
                one.cause = Cause::Race;
            }
        }
        let before = self.bugs.len() as u64;
        self.bugs.retain(|bug| second.contains(bug));
        let left = self.bugs.len() as u64;
        self.causes.0[Cause::Bug as usize] = left;
        self.causes.add(Cause::Race, before - left);
        self
    }
}

fn bugs<'a>(hasher: &RandomState, found: &'a [Difference]) -> impl Iterator<Item = u64> + use<'a> {
    let hasher = hasher.clone();
    found.iter().filter(|one| one.cause == Cause::Bug).map(move |one| same(&hasher, one))
}

/// Alike for the same thing in two comparisons.
fn same(hasher: &RandomState, one: &Difference) -> u64 {
    hasher.hash_one((&one.field, one.kind, &one.record))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(field: &str, record: &str, cause: Cause) -> Difference {
        let (field, record) = (field.to_owned(), Some(record.to_owned()));
        let (control, candidate) = (b"a".to_vec(), b"b".to_vec());
        Difference { field, kind: "value", cause, control, candidate, record }
    }

    #[test]
    fn what_does_not_come_back_is_a_race_and_what_does_is_not() {
        let first = vec![
            difference("name", "1", Cause::Bug),
            difference("email", "1", Cause::Order),
            difference("name", "2", Cause::Bug),
        ];
        let second = [
            difference("name", "2", Cause::Bug),
            difference("name", "3", Cause::Bug),
            difference("name", "1", Cause::Order),
        ];
        let found = Findings::of(first);
        assert!(!found.are_explained());
        let found = found.looked_at_again(&second);
        let causes: Vec<Cause> = found.kept.iter().map(|found| found.cause).collect();
        assert_eq!(causes, [Cause::Race, Cause::Bug, Cause::Order]);
        let counts: Vec<(Cause, u64)> = found.causes.counts().collect();
        assert_eq!(counts, [(Cause::Order, 1), (Cause::Race, 1), (Cause::Bug, 1)]);
    }

    #[test]
    fn lists_that_have_nothing_in_common_are_looked_at_in_one_go_and_only_counted() {
        // Each of one with each of the other would be forty thousand million looks.
        const MANY: usize = 200_000;
        let all = |name: &str| -> Vec<Difference> {
            (0..MANY).map(|n| difference(name, &n.to_string(), Cause::Bug)).collect()
        };
        let mut first = vec![difference("zone", "1", Cause::Quirk)];
        first.extend(all("name"));
        let found = Findings::of(first);
        assert_eq!((found.kept.len(), found.kept[0].field.as_str()), (KEPT_MAX, "name"));
        assert_eq!((found.causes.of(Cause::Bug), found.causes.of(Cause::Quirk)), (MANY as u64, 1));
        let mut second = all("email");
        second.push(difference("name", "7", Cause::Bug));
        second.push(difference("name", &(MANY - 1).to_string(), Cause::Bug));
        let found = found.looked_at_again(&second);
        let expected = [(Cause::Quirk, 1), (Cause::Race, MANY as u64 - 2), (Cause::Bug, 2)];
        assert_eq!(found.causes.counts().collect::<Vec<_>>(), expected);
        assert_eq!(found.kept.iter().filter(|one| one.cause == Cause::Bug).count(), 1);
    }

    #[test]
    fn every_cause_has_its_place() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
        }
    }
}
