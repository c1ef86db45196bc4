//! The result of one comparison: totals of all differences, and a limited number of differences without
//! their values. The judge adds differences one by one on a blocking thread. Time and memory must never
//! grow with the size of the values.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use report::Cause;

use crate::fields::Fields;
use crate::judge::{Difference, is_unexplained};
use crate::mask::Mask;

/// The most differences of one comparison that are kept. Further ones are only counted.
pub(crate) const KEPT_MAX: usize = 10_000;

/// The number of differences of each cause, in the order of [`Cause::ALL`], and of undecided ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Causes([u64; Cause::ALL.len()], u64);

impl Causes {
    fn count(&mut self, cause: Option<Cause>) -> Option<&mut u64> {
        match cause {
            Some(cause) => self.0.get_mut(cause as usize),
            None => Some(&mut self.1),
        }
    }

    fn add(&mut self, cause: Option<Cause>) {
        if let Some(of_cause) = self.count(cause) {
            *of_cause += 1;
        }
    }

    fn change(&mut self, from: Option<Cause>, to: Option<Cause>) {
        if let Some(before) = self.count(from) {
            *before -= 1;
        }
        self.add(to);
    }

    /// The causes that occurred, and how often.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Option<Cause>, u64)> {
        let decided = Cause::ALL.into_iter().map(Some).zip(self.0);
        decided.chain([(None, self.1)]).filter(|(_, count)| *count > 0)
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
    pub(crate) cause: Option<Cause>,
    /// An HMAC, as are the two values.
    pub(crate) record: Option<String>,
    pub(crate) control: String,
    pub(crate) candidate: String,
}

/// An unexplained difference, for a second look.
#[derive(Debug)]
struct Open {
    place: Place,
    cause: Option<Cause>,
}

/// Where a difference is.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Equal for the same field of the same record in two comparisons.
    field: u64,
    /// The same with control's value there, if that may be noise.
    value: u64,
}

impl Place {
    fn of(hasher: &RandomState, one: &Difference) -> Place {
        let field = hasher.hash_one((&one.field, one.kind, &one.record));
        let value = if one.may_be_noise() { hasher.hash_one((field, &one.control)) } else { field };
        Place { field, value }
    }
}

#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) causes: Causes,
    /// The first unexplained differences, in the order of `open`.
    unexplained: Vec<Kept>,
    explained: Vec<Kept>,
    /// Every unexplained difference, also those that are not kept.
    open: Vec<Open>,
    hasher: RandomState,
    fields: Fields,
    mask: Arc<Mask>,
}

impl Takes for Findings {
    fn take(&mut self, one: Difference) {
        let cause = one.cause;
        self.causes.add(cause);
        let kept = if is_unexplained(cause) {
            self.open.push(Open { place: Place::of(&self.hasher, &one), cause });
            &mut self.unexplained
        } else {
            &mut self.explained
        };
        if kept.len() >= KEPT_MAX {
            return;
        }
        let hmac = |value: &[u8]| self.mask.hmac(value);
        kept.push(Kept {
            field: self.fields.shown(&one.field).to_owned(),
            kind: one.kind,
            cause,
            record: one.record.as_ref().map(|record| hmac(record.as_bytes())),
            control: hmac(&one.control),
            candidate: hmac(&one.candidate),
        });
    }
}

impl Findings {
    pub(crate) fn of(endpoint: &str, mask: &Arc<Mask>) -> Self {
        Findings {
            causes: Causes::default(),
            unexplained: Vec::new(),
            explained: Vec::new(),
            open: Vec::new(),
            hasher: RandomState::new(),
            fields: Fields::of(endpoint),
            mask: Arc::clone(mask),
        }
    }

    pub(crate) fn are_explained(&self) -> bool {
        self.open.is_empty()
    }

    /// The kept differences, the unexplained ones of the first reading first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.unexplained.iter().chain(&self.explained).take(KEPT_MAX)
    }

    /// Receives the differences when both sides are asked again.
    pub(crate) fn again(&self) -> Again {
        Again { hasher: self.hasher.clone(), fields: HashSet::new(), values: HashSet::new() }
    }

    /// Compares with a second reading of both sides. An unexplained difference that has gone is a race. One
    /// that is still there is noise if control shows another value than before, and stays as it was if
    /// control shows the same.
    pub(crate) fn looked_at_again(mut self, second: &Again) -> Self {
        for (number, Open { place, cause }) in self.open.iter_mut().enumerate() {
            let now = match (
                second.fields.contains(&place.field),
                second.values.contains(&place.value),
            ) {
                (false, _) => Some(Cause::Race),
                (true, false) => Some(Cause::Noise),
                (true, true) => continue,
            };
            self.causes.change(*cause, now);
            *cause = now;
            if let Some(kept) = self.unexplained.get_mut(number) {
                kept.cause = now;
            }
        }
        self
    }
}

/// The unexplained differences of a second reading.
#[derive(Debug)]
pub(crate) struct Again {
    hasher: RandomState,
    fields: HashSet<u64>,
    values: HashSet<u64>,
}

impl Takes for Again {
    fn take(&mut self, one: Difference) {
        if is_unexplained(one.cause) {
            let Place { field, value } = Place::of(&self.hasher, &one);
            self.fields.insert(field);
            self.values.insert(value);
        }
    }
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
    fn a_difference_that_does_not_come_back_is_a_race_and_one_that_does_is_none() {
        let (bug, order) = (Some(Cause::Bug), Some(Cause::Order));
        let first = vec![
            difference("name", "1", bug),
            difference("email", "1", order),
            difference("name", "2", bug),
            difference("name", "4", None),
            difference("name", "5", None),
        ];
        let second = [
            difference("name", "2", bug),
            difference("name", "3", bug),
            difference("name", "1", order),
            difference("name", "5", bug),
        ];
        let found = findings(first);
        assert!(!found.are_explained());
        let found = looked_at_again(found, second);
        let causes: Vec<Option<Cause>> = found.kept().map(|found| found.cause).collect();
        let race = Some(Cause::Race);
        assert_eq!(causes, [race, bug, race, None, order]);
        let counts: Vec<(Option<Cause>, u64)> = found.causes.counts().collect();
        assert_eq!(counts, [(bug, 1), (order, 1), (race, 2), (None, 1)]);
    }

    #[test]
    fn a_value_that_control_changes_at_each_reading_is_noise_and_no_other_difference_is() {
        let of = |field: &str, kind: &'static str, control: &str| Difference {
            kind,
            control: control.into(),
            ..difference(field, "1", Some(Cause::Bug))
        };
        let cause = |first: Difference, second: &[Difference]| {
            let found = looked_at_again(findings([first]), second.to_vec());
            let cause = found.kept().next().map(|one| one.cause);
            assert_eq!(found.causes.counts().next(), cause.map(|cause| (cause, 1)));
            cause.flatten()
        };
        for (field, kind, first, second, expected) in [
            ("name", "value", "7", "8", Cause::Noise),
            ("name", "value", "7", "7", Cause::Bug),
            ("name", "type", "null", "8", Cause::Noise),
            ("name", "type", "7", "8", Cause::Bug),
            ("name", "absent", "7", "8", Cause::Bug),
            ("$records", "record missing", "{}", "{\"id\":1}", Cause::Bug),
            ("$status", "value", "404", "400", Cause::Bug),
        ] {
            let (first, second) = (of(field, kind, first), of(field, kind, second));
            assert_eq!(cause(first, &[second]), Some(expected), "{field} {kind}");
        }
        // Of two values in one field only the one that changes is noise.
        let [wrong, noisy] = ["7", "8"].map(|value| of("assigned_skills[].level", "value", value));
        let second = [wrong.clone(), of("assigned_skills[].level", "value", "9")];
        assert_eq!(cause(wrong, &second), Some(Cause::Bug));
        assert_eq!(cause(noisy, &second), Some(Cause::Noise));
    }

    #[test]
    fn lists_that_have_nothing_in_common_are_looked_at_in_one_go_and_only_counted() {
        // Each of one with each of the other would be forty thousand million looks.
        const MANY: usize = 200_000;
        let all = |name: &str| -> Vec<Difference> {
            (0..MANY).map(|n| difference(name, &n.to_string(), Some(Cause::Bug))).collect()
        };
        let mut first = vec![difference("zone", "1", Some(Cause::Quirk))];
        first.extend(all("name"));
        let found = findings(first);
        let kept: Vec<&str> = found.kept().map(|one| one.field.as_str()).collect();
        assert_eq!((kept.len(), kept[0]), (KEPT_MAX, "name"));
        let (bug, quirk) = (Some(Cause::Bug), Some(Cause::Quirk));
        assert_eq!(found.causes.counts().collect::<Vec<_>>(), [(bug, MANY as u64), (quirk, 1)]);
        let mut second = all("email");
        second.push(difference("name", "7", bug));
        second.push(difference("name", &(MANY - 1).to_string(), bug));
        let found = looked_at_again(found, second);
        let expected = [(bug, 2), (quirk, 1), (Some(Cause::Race), MANY as u64 - 2)];
        assert_eq!(found.causes.counts().collect::<Vec<_>>(), expected);
        assert_eq!(found.kept().filter(|one| one.cause == bug).count(), 1);
    }

    #[test]
    fn every_cause_has_its_place() {
        for (place, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place);
        }
    }
}
