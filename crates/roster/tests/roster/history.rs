//! Random histories of sweeps, recorded in the roster and in a model that states the rules in words.
//! The model must use nothing of the roster except the shapes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use roster::{Changes, Counts, FileRoster as Roster, Scope, Sighting, Sweep};

use crate::{Folder, scope, user};

const USERS: usize = 24;
const HOUR: i64 = 60 * 60 * 1000;
const YEAR: i64 = 365 * 24 * HOUR;

/// One sweep: its time scale, its connection, and the users it sees.
#[derive(Debug, Clone)]
struct Step {
    caller: usize,
    through: usize,
    /// From the latest end so far to this start, then from start to end. After a step back of most of an
    /// hour or more, the next step starts at this end.
    gap: i64,
    length: i64,
    /// The version of each user; `None` is missing.
    seen: Vec<Option<u8>>,
}

fn step() -> impl Strategy<Value = Step> {
    let someone = prop_oneof![6 => (0..3_u8).prop_map(Some), 1 => Just(None)];
    let hardly = prop_oneof![1 => (0..3_u8).prop_map(Some), 4 => Just(None)];
    let seen = prop_oneof![
        8 => prop::collection::vec(prop_oneof![9 => Just(Some(0)), 1 => someone], USERS),
        2 => prop::collection::vec(hardly, USERS),
        1 => Just(vec![None; USERS]),
    ];
    // About an hour, just below or above the limit, or years.
    let jump = prop_oneof![-HOUR - 25..-HOUR + 5, HOUR - 5..HOUR + 5, Just(-YEAR), Just(YEAR)];
    let gap = prop_oneof![9 => 1..5_i64, 6 => -25..2_i64, 2 => jump];
    let length = prop_oneof![9 => 0..20_i64, 1 => -5..0_i64];
    (0..2_usize, 0..5_usize, gap, length, seen).prop_map(|(caller, through, gap, length, seen)| {
        Step { caller, through, gap, length, seen }
    })
}

fn sightings(seen: &[Option<u8>]) -> Vec<Sighting> {
    let versions = seen.iter().enumerate().filter_map(|(id, version)| Some((id, (*version)?)));
    let sightings = versions.map(|(id, version)| {
        let mut user = user(id as u64);
        match version {
            0 => {}
            1 => user.name = None,
            _ => user.is_deleted = true,
        }
        user
    });
    // The order of a listing has no meaning.
    sightings.rev().collect()
}

struct Person {
    last_seen: Sighting,
    seen_until: u64,
    absences: u32,
}

/// The model of one scope.
#[derive(Default)]
struct Model {
    people: BTreeMap<u64, Person>,
    observed_until: Option<u64>,
    last_ended: Option<u64>,
    doubts: u32,
}

impl Model {
    fn record(&mut self, sweep: Sweep, sightings: &[Sighting]) -> Changes {
        let mut changes = Changes::default();
        // Times more than an hour ahead of this clock come from another clock.
        let times = self.people.values_mut().map(|person| &mut person.seen_until);
        for time in times.chain(&mut self.observed_until).chain(&mut self.last_ended) {
            if *time > sweep.ended + HOUR as u64 {
                *time = sweep.started.min(sweep.ended) - 1;
                changes.clock_was_ahead = true;
            }
        }
        let sees = |id: u64| sightings.iter().any(|sighting| sighting.id == id);
        let expected: Vec<u64> =
            self.people.iter().filter(|(_, p)| p.absences < 2).map(|(id, _)| *id).collect();
        let missing: Vec<u64> = expected.iter().copied().filter(|id| !sees(*id)).collect();

        let forward = sweep.started <= sweep.ended;
        let observes = forward && self.observed_until.is_none_or(|until| until < sweep.started);
        let most_are_missing = expected.len() > 10 && missing.len() > expected.len() / 2;
        if !most_are_missing {
            self.doubts = 0;
        } else if observes {
            self.doubts += 1;
        }
        changes.suspicious = most_are_missing && self.doubts < 3;
        changes.counted = observes && !changes.suspicious;
        if observes {
            self.observed_until = Some(sweep.ended);
        }
        self.last_ended = self.last_ended.max(Some(sweep.ended));

        for id in missing {
            let Some(person) = self.people.get_mut(&id) else { continue };
            if changes.counted && person.seen_until < sweep.started {
                person.absences += 1;
                changes.absent += usize::from(person.absences == 1);
                changes.vanished += usize::from(person.absences == 2);
            }
        }
        for sighting in sightings {
            let last_seen = sighting.clone();
            let person = Person { last_seen, seen_until: sweep.ended, absences: 0 };
            match self.people.get(&sighting.id) {
                None => changes.added += 1,
                Some(known) if known.seen_until > sweep.ended => continue,
                Some(known) => {
                    changes.updated += usize::from(known.last_seen != *sighting);
                    changes.returned += usize::from(known.absences == 2);
                }
            }
            self.people.insert(sighting.id, person);
        }
        changes
    }

    fn vanished(&self) -> Vec<Sighting> {
        let vanished = self.people.values().filter(|person| person.absences == 2);
        vanished.map(|person| person.last_seen.clone()).collect()
    }

    fn counts(&self) -> Counts {
        Counts {
            remembered: self.people.len(),
            deleted: self.people.values().filter(|person| person.last_seen.is_deleted).count(),
            vanished: self.vanished().len(),
            imported: 0,
            last_sweep_ended: self.last_ended,
        }
    }
}

fn same_state(roster: &Roster, scope: &Scope, model: &Model) -> Result<(), TestCaseError> {
    let former = roster.former(scope).unwrap();
    let vanished = model.vanished();
    prop_assert_eq!(former.len(), vanished.len());
    for (former, sighting) in former.into_iter().zip(vanished) {
        prop_assert!(former.is_vanished && !former.is_imported);
        prop_assert_eq!(former.id, sighting.id);
        prop_assert_eq!(former.name, sighting.name);
        prop_assert_eq!(former.group, sighting.group);
        prop_assert_eq!(former.teams, sighting.teams);
        prop_assert_eq!(former.supervised_teams, sighting.supervised_teams);
    }
    prop_assert_eq!(roster.counts(scope).unwrap(), model.counts());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn any_history_ends_as_the_rules_say(
        steps in prop::collection::vec(step(), 1..30),
        ends_in_the_past: bool,
    ) {
        let folder = Folder::new();
        let mut rosters = [folder.roster(), folder.roster()];
        let scopes = [scope("acme"), scope("globex")];
        let mut models = [Model::default(), Model::default()];
        let mut latest: i64 = 100 * YEAR;
        let (mut first, mut last) = (latest, latest);
        for step in steps {
            // Two connections take turns; sometimes one of them is opened again.
            if step.through == 4 {
                rosters[0] = folder.roster();
            }
            let roster = &rosters[step.through % 2];
            let (scope, model) = (&scopes[step.caller], &mut models[step.caller]);
            let started = latest + step.gap;
            let ended = started + step.length;
            latest = if step.gap < -HOUR / 2 { ended } else { latest.max(ended) };
            (first, last) = (first.min(ended), last.max(ended));
            let sweep = Sweep { started: started as u64, ended: ended as u64 };
            let seen = sightings(&step.seen);
            let changes = roster.record(scope, &sweep, &seen).unwrap();
            prop_assert_eq!(changes, model.record(sweep, &seen));
            same_state(roster, scope, model)?;
        }
        // At the end all users vanish, which shows the remembered details of each. That takes four
        // sweeps, even if all recorded times lie ahead. One more sweep changes nothing.
        let base = if ends_in_the_past { first - YEAR } else { last };
        let starts = [base, first - 2 * YEAR].map(|base| (1..=4).map(move |turn| base + turn * 10));
        for time in starts.into_iter().flatten() {
            let time = time as u64;
            let sweep = Sweep { started: time, ended: time + 1 };
            for (scope, model) in scopes.iter().zip(&mut models) {
                let changes = rosters[1].record(scope, &sweep, &[]).unwrap();
                prop_assert_eq!(changes, model.record(sweep, &[]));
                same_state(&rosters[0], scope, model)?;
            }
        }
        for model in &models {
            prop_assert_eq!(model.vanished().len(), model.people.len());
        }
    }
}
