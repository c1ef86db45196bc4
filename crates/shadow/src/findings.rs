//! The result of one comparison: totals of all differences, and a limited number of differences without
//! their values. The judge adds differences one by one on a blocking thread. Time and memory must never
//! grow with the size of the values.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::fields::Fields;
use crate::judge::{Cause, Difference};
use crate::mask::Mask;

/// The most differences of one comparison that are kept. Further ones are only counted.
pub(crate) const KEPT_MAX: usize = 10_000;

/// The number of differences of each cause, in the order of [`Cause::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Causes([u64; Cause::ALL.len()]);

impl Causes {
    fn add(&mut self, cause: Cause, count: u64) {
        if let Some(of_cause) = self.0.get_mut(cause as usize) {
            *of_cause += count;
        }
    }

    /// The causes that occurred, and how often.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Cause, u64)> {
        Cause::ALL.into_iter().zip(self.0).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn of(&self, cause: Cause) -> u64 {
        self.0.get(cause as usize).copied().unwrap_or_default()
    }
}

/// Receives differences one by one.
pub(crate) trait Takes: Send + 'static {
    fn take(&mut self, one: Difference);
}

/// A difference without a value.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The name as reports may show it.
    pub(crate) field: String,
    pub(crate) kind: &'static str,
    pub(crate) cause: Cause,
    /// An HMAC, as are the two values.
    pub(crate) record: Option<String>,
    pub(crate) control: String,
    pub(crate) candidate: String,
    /// Equal for the same difference in two comparisons.
    same: u64,
}

#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) causes: Causes,
    bugs: Vec<Kept>,
    explained: Vec<Kept>,
    /// `same` of every unexplained difference, also of those that are not kept.
    all_bugs: Vec<u64>,
    hasher: RandomState,
    fields: Fields,
    mask: Arc<Mask>,
}

impl Takes for Findings {
    fn take(&mut self, one: Difference) {
        self.causes.add(one.cause, 1);
        let same = same(&self.hasher, &one);
        let is_bug = one.cause == Cause::Bug;
        if is_bug {
            self.all_bugs.push(same);
        }
        let kept = if is_bug { &mut self.bugs } else { &mut self.explained };
        if kept.len() >= KEPT_MAX {
            return;
        }
        let hmac = |value: &[u8]| self.mask.hmac(value);
        kept.push(Kept {
            field: self.fields.shown(&one.field).to_owned(),
            kind: one.kind,
            cause: one.cause,
            record: one.record.as_ref().map(|record| hmac(record.as_bytes())),
            control: hmac(&one.control),
            candidate: hmac(&one.candidate),
            same,
        });
    }
}

impl Findings {
    pub(crate) fn of(endpoint: &str, mask: &Arc<Mask>) -> Self {
        Findings {
            causes: Causes::default(),
            bugs: Vec::new(),
            explained: Vec::new(),
            all_bugs: Vec::new(),
            hasher: RandomState::new(),
            fields: Fields::of(endpoint),
            mask: Arc::clone(mask),
        }
    }

    pub(crate) fn are_explained(&self) -> bool {
        self.all_bugs.is_empty()
    }

    /// The kept differences, the unexplained ones first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.bugs.iter().chain(&self.explained).take(KEPT_MAX)
    }

    /// Receives the differences when both sides are asked again.
    pub(crate) fn again(&self) -> Again {
        Again { hasher: self.hasher.clone(), bugs: HashSet::new() }
    }

    /// Compares with a second reading of both sides: an unexplained difference that came back stays
    /// unexplained, every other one becomes a race.
    pub(crate) fn looked_at_again(mut self, second: &Again) -> Self {
        for one in self.bugs.iter_mut().filter(|one| !second.bugs.contains(&one.same)) {
            one.cause = Cause::Race;
        }
        let before = self.all_bugs.len() as u64;
        self.all_bugs.retain(|bug| second.bugs.contains(bug));
        let left = self.all_bugs.len() as u64;
        self.causes.0[Cause::Bug as usize] = left;
        self.causes.add(Cause::Race, before - left);
        self
    }
}

/// The unexplained differences of a second reading.
#[derive(Debug)]
pub(crate) struct Again {
    hasher: RandomState,
    bugs: HashSet<u64>,
}

impl Takes for Again {
    fn take(&mut self, one: Difference) {
        if one.cause == Cause::Bug {
            self.bugs.insert(same(&self.hasher, &one));
        }
    }
}

/// Equal for the same difference in two comparisons.
fn same(hasher: &RandomState, one: &Difference) -> u64 {
    hasher.hash_one((&one.field, one.kind, &one.record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::tests::difference;

    fn findings(found: impl IntoIterator<Item = Difference>) -> Findings {
        let mut findings = Findings::of("v1_users", &Arc::default());
        found.into_iter().for_each(|one| findings.take(one));
        findings
    }

    fn looked_at_again(first: Findings, second: impl IntoIterator<Item = Difference>) -> Findings {
        let mut again = first.again();
        second.into_iter().for_each(|one| again.take(one));
        first.looked_at_again(&again)
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
        let found = findings(first);
        assert!(!found.are_explained());
        let found = looked_at_again(found, second);
        let causes: Vec<Cause> = found.kept().map(|found| found.cause).collect();
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
        let found = findings(first);
        let kept: Vec<&str> = found.kept().map(|one| one.field.as_str()).collect();
        assert_eq!((kept.len(), kept[0]), (KEPT_MAX, "name"));
        assert_eq!((found.causes.of(Cause::Bug), found.causes.of(Cause::Quirk)), (MANY as u64, 1));
        let mut second = all("email");
        second.push(difference("name", "7", Cause::Bug));
        second.push(difference("name", &(MANY - 1).to_string(), Cause::Bug));
        let found = looked_at_again(found, second);
        let expected = [(Cause::Quirk, 1), (Cause::Race, MANY as u64 - 2), (Cause::Bug, 2)];
        assert_eq!(found.causes.counts().collect::<Vec<_>>(), expected);
        assert_eq!(found.kept().filter(|one| one.cause == Cause::Bug).count(), 1);
    }

    #[test]
    fn every_cause_has_its_place() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
        }
    }
}
