//! The result of one comparison: totals of all differences, and a limited number of differences without
//! their values. The judge adds differences one by one on a blocking thread. Time and memory must never
//! grow with the size of the values.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
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

/// Receives one reading of both sides: control's body first, then the differences one by one.
pub(crate) trait Takes: Send + 'static {
    fn read(&mut self, control: &[u8]);
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

/// An unexplained difference, for a further look.
#[derive(Debug)]
struct Open {
    place: Place,
    cause: Option<Cause>,
    /// Whether a further reading may still change its cause.
    is_unsettled: bool,
}

/// Where a difference is, as hashes: equal for equal places in two readings.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The field of the record.
    field: u64,
    /// Control's value there, if that may be noise.
    value: Option<Value>,
}

#[derive(Debug, Clone, Copy)]
struct Value {
    /// The place below the field.
    path: u64,
    /// The same with the value in it.
    here: u64,
}

impl Place {
    fn of(hasher: &RandomState, one: &Difference) -> Place {
        let field = one.field.split('[').next();
        let value = one.may_be_noise().then(|| Value {
            path: hasher.hash_one((&one.field, &one.record)),
            here: hasher.hash_one((&one.field, &one.record, words(&one.control))),
        });
        Place { field: hasher.hash_one((field, &one.record)), value }
    }
}

/// The words of a JSON text in a fixed order. The same words in another order are no other value: a side may
/// turn the parts of a list round at each reading.
fn words(json: &[u8]) -> Vec<&[u8]> {
    let between = |byte: &u8| b"[]{},:\" ".contains(byte);
    let mut words: Vec<&[u8]> = json.split(between).filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words
}

#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) causes: Causes,
    /// The first unexplained differences, in the order of `open`.
    unexplained: Vec<Kept>,
    explained: Vec<Kept>,
    /// Every unexplained difference, also those that are not kept.
    open: Vec<Open>,
    /// Control's values where a further reading found other ones than the first.
    values_since: HashSet<u64>,
    /// Control's bodies, as hashes.
    bodies: Vec<u64>,
    hasher: RandomState,
    fields: Fields,
    mask: Arc<Mask>,
}

impl Takes for Findings {
    fn read(&mut self, control: &[u8]) {
        self.bodies.push(self.hasher.hash_one(control));
    }

    fn take(&mut self, one: Difference) {
        let cause = one.cause;
        self.causes.add(cause);
        let kept = if is_unexplained(cause) {
            let place = Place::of(&self.hasher, &one);
            self.open.push(Open { place, cause, is_unsettled: true });
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
            values_since: HashSet::new(),
            bodies: Vec::new(),
            hasher: RandomState::new(),
            fields: Fields::of(endpoint),
            mask: Arc::clone(mask),
        }
    }

    /// Whether a further reading would change nothing.
    pub(crate) fn are_settled(&self) -> bool {
        !self.open.iter().any(|one| one.is_unsettled)
    }

    /// The kept differences, the unexplained ones of the first reading first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.unexplained.iter().chain(&self.explained).take(KEPT_MAX)
    }

    /// Receives the differences when both sides are asked again.
    pub(crate) fn again(&self) -> Again {
        let hasher = self.hasher.clone();
        let (fields, paths) = (HashSet::new(), HashSet::new());
        Again { hasher, body: 0, fields, paths, values: HashMap::new() }
    }

    /// Compares with a further reading of both sides.
    ///
    /// An unexplained difference that has gone is a race. Where control says the same as before and
    /// candidate differs somewhere else now, candidate changes by itself, so it is undecided.
    ///
    /// A difference that is still there is noise if control showed three values in three readings. One
    /// change between two readings may be an edit, and excuses nothing.
    pub(crate) fn looked_at_again(mut self, again: &Again) -> Self {
        let is_second = self.bodies.len() == 1;
        let is_same = self.bodies.contains(&again.body);
        let before: HashSet<u64> = self.open.iter().map(|one| one.place.field).collect();
        let gone = match is_same && !again.fields.is_subset(&before) {
            true => None,
            false => Some(Cause::Race),
        };
        let held = again.values.iter().filter(|(here, _)| self.values_since.contains(here));
        let held: HashSet<u64> = held.map(|(_, path)| *path).collect();
        for (number, one) in self.open.iter_mut().enumerate() {
            if !one.is_unsettled {
                continue;
            }
            let is_other = one.place.value.is_some_and(|Value { path, here }| {
                let is_shown = again.paths.contains(&path) && !again.values.contains_key(&here);
                is_shown && !is_same && !held.contains(&path)
            });
            let now = match (again.fields.contains(&one.place.field), is_other) {
                (false, _) => gone,
                (true, true) if !is_second => Some(Cause::Noise),
                _ => one.cause,
            };
            one.is_unsettled = is_second && is_other;
            self.causes.change(one.cause, now);
            one.cause = now;
            if let Some(kept) = self.unexplained.get_mut(number) {
                kept.cause = now;
            }
        }
        if !self.are_settled() {
            let here = self.open.iter().filter_map(|one| Some(one.place.value?.here));
            let first: HashSet<u64> = here.collect();
            let since = again.values.keys().filter(|here| !first.contains(here));
            self.values_since.extend(since);
        }
        self.bodies.push(again.body);
        self
    }
}

/// The unexplained differences of a further reading.
#[derive(Debug)]
pub(crate) struct Again {
    hasher: RandomState,
    body: u64,
    fields: HashSet<u64>,
    paths: HashSet<u64>,
    /// The path of each of control's values.
    values: HashMap<u64, u64>,
}

impl Takes for Again {
    fn read(&mut self, control: &[u8]) {
        self.body = self.hasher.hash_one(control);
    }

    fn take(&mut self, one: Difference) {
        if is_unexplained(one.cause) {
            let Place { field, value } = Place::of(&self.hasher, &one);
            self.fields.insert(field);
            if let Some(Value { path, here }) = value {
                self.paths.insert(path);
                self.values.insert(here, path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::tests::difference;

    fn findings(found: impl IntoIterator<Item = Difference>) -> Findings {
        let mut findings = Findings::of("v1_users", &Arc::default());
        findings.read(b"first");
        found.into_iter().for_each(|one| findings.take(one));
        findings
    }

    fn looked_at_again(
        first: Findings,
        body: &str,
        found: impl IntoIterator<Item = Difference>,
    ) -> Findings {
        let mut again = first.again();
        again.read(body.as_bytes());
        found.into_iter().for_each(|one| again.take(one));
        first.looked_at_again(&again)
    }

    fn of(field: &str, kind: &'static str, control: &str) -> Difference {
        let control = control.into();
        Difference { kind, control, ..difference(field, "1", Some(Cause::Bug)) }
    }

    /// The cause of one difference after further readings, each with its differences.
    fn cause(first: &Difference, further: &[&[Difference]]) -> Cause {
        let mut found = findings([first.clone()]);
        for (number, differences) in further.iter().enumerate() {
            assert!(!found.are_settled(), "{first:?} {number}");
            found = looked_at_again(found, &format!("{number}"), differences.to_vec());
        }
        assert!(found.are_settled(), "{first:?}");
        let cause = found.kept().next().unwrap().cause;
        assert_eq!(found.causes.counts().next(), Some((cause, 1)));
        cause.unwrap()
    }

    #[test]
    fn a_difference_that_does_not_come_back_is_a_race_and_one_that_does_is_none() {
        let (bug, order) = (Some(Cause::Bug), Some(Cause::Order));
        let first = vec![
            difference("name", "1", bug),
            difference("email", "1", order),
            difference("name", "2", bug),
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
        assert!(!found.are_settled());
        let found = looked_at_again(found, "second", second);
        assert!(found.are_settled());
        let causes: Vec<Option<Cause>> = found.kept().map(|found| found.cause).collect();
        let race = Some(Cause::Race);
        assert_eq!(causes, [race, bug, bug, race, None, order]);
        let counts: Vec<(Option<Cause>, u64)> = found.causes.counts().collect();
        assert_eq!(counts, [(bug, 2), (order, 1), (race, 2), (None, 1)]);
    }

    #[test]
    fn candidate_that_differs_somewhere_else_beside_an_unchanged_control_is_undecided() {
        let missing = |record: &str| Difference {
            kind: "record missing",
            ..difference("$records", record, None)
        };
        for (body, second, expected) in [
            ("first", vec![missing("2")], None),
            ("second", vec![missing("2")], Some(Cause::Race)),
            ("first", vec![], Some(Cause::Race)),
        ] {
            let found = looked_at_again(findings([missing("1")]), body, second);
            assert!(found.are_settled());
            assert_eq!(found.kept().next().unwrap().cause, expected, "{body}");
        }
        // The same field with a difference of another kind, or at another place in it, is still there.
        for (first, second) in [
            (of("name", "value", "7"), of("name", "absent", "7")),
            (of("assigned_skills", "value", "[]"), of("assigned_skills[].level", "value", "7")),
        ] {
            assert_eq!(cause(&first, &[&[second]]), Cause::Bug, "{first:?}");
        }
    }

    #[test]
    fn three_values_of_control_in_three_readings_are_noise_and_one_edit_is_none() {
        for (field, kind, values, expected) in [
            ("name", "value", ["7", "8", "9"], Cause::Noise),
            ("name", "type", ["null", "8", "9"], Cause::Noise),
            ("name", "value", ["7", "8", "8"], Cause::Bug),
            ("name", "value", ["7", "8", "7"], Cause::Bug),
        ] {
            let first = of(field, kind, values[0]);
            let [second, third] = [1, 2].map(|place| of(field, "value", values[place]));
            assert_eq!(cause(&first, &[&[second], &[third]]), expected, "{field} {values:?}");
        }
        // An edit that candidate shows at the third reading is a race.
        let [first, second] = ["7", "8"].map(|value| of("name", "value", value));
        assert_eq!(cause(&first, &[&[second], &[]]), Cause::Race);
        // Of two values in one field only the one that changes is noise.
        let levels =
            |other: &str| ["7", other].map(|level| of("assigned_skills[].level", "value", level));
        let mut found = findings(levels("8"));
        for (body, other) in [("second", "9"), ("third", "10")] {
            assert!(!found.are_settled(), "{body}");
            found = looked_at_again(found, body, levels(other));
        }
        let causes: Vec<Option<Cause>> = found.kept().map(|one| one.cause).collect();
        assert_eq!(causes, [Some(Cause::Bug), Some(Cause::Noise)]);
    }

    #[test]
    fn a_second_reading_is_enough_where_control_has_not_changed_its_value() {
        for (field, kind, first, second) in [
            ("name", "value", "7", "7"),
            ("name", "type", "7", "8"),
            ("name", "absent", "7", "8"),
            ("$records", "record missing", "{}", "{\"id\":1}"),
            ("assigned_teams", "value", "\"1, 2, 3\"", "\"2, 3, 1\""),
            (
                "assigned_skills",
                "value",
                "[{\"id\":1,\"level\":2}, 3]",
                "[3, {\"level\":2,\"id\":1}]",
            ),
        ] {
            let (first, second) = (of(field, kind, first), of(field, kind, second));
            assert_eq!(cause(&first, &[&[second]]), Cause::Bug, "{field} {kind}");
        }
        // A part of the whole answer belongs to no record.
        for field in ["$status", "$error", "$envelope.metadata", "$header.content-type"] {
            let whole = |value: &str| Difference { record: None, ..of(field, "value", value) };
            assert_eq!(cause(&whole("7"), &[&[whole("8")]]), Cause::Bug, "{field}");
        }
        // Control's body is the same, so another value at this place is candidate's doing.
        let found = findings([of("name", "value", "7")]);
        let found = looked_at_again(found, "first", [of("name", "value", "8")]);
        assert!(found.are_settled());
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
        let found = looked_at_again(found, "second", second);
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
