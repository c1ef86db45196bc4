//! A model upstream whose list changes while a sweep reads it: no row that lived throughout may be
//! missing from a list that is answered, and none may stand in it twice.
//!
//! Every history is made from its number alone, so a failure names the number to replay.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may")]

use domain::sweep::{DoubleRead, Failure, Limits, Next, Rows, Sweep, Window};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// How the model keeps its rows in order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    /// By id, newest last.
    Id,
    /// By id, newest first.
    IdDescending,
    /// By something that never changes but is not the id.
    Stable,
    /// By something a change may move: a renamed row goes elsewhere.
    Renamed,
}

struct Model {
    order: Order,
    /// (sort key, id), sorted.
    rows: Vec<(u64, u64)>,
    next_id: u64,
    /// Ids that were there all the time.
    throughout: std::collections::BTreeSet<u64>,
    /// Ids that were there at any time.
    ever: std::collections::BTreeSet<u64>,
    changes: u32,
}

impl Model {
    fn new(order: Order, rows: u64, rng: &mut SmallRng) -> Self {
        let mut model = Model {
            order,
            rows: Vec::new(),
            next_id: 1000,
            throughout: Default::default(),
            ever: Default::default(),
            changes: 0,
        };
        for _ in 0..rows {
            model.insert(rng);
        }
        model.throughout = model.rows.iter().map(|(_, id)| *id).collect();
        model.changes = 0;
        model
    }

    fn insert(&mut self, rng: &mut SmallRng) {
        // Ids with gaps, and now and then an old one that comes back into the middle.
        let id = match rng.random_ratio(1, 4) {
            true => rng.random_range(1..self.next_id),
            false => self.next_id + rng.random_range(1..5),
        };
        if self.ever.contains(&id) {
            return;
        }
        self.next_id = self.next_id.max(id);
        let key = match self.order {
            Order::Id => id,
            Order::IdDescending => u64::MAX - id,
            Order::Stable | Order::Renamed => rng.random(),
        };
        let at = self.rows.partition_point(|row| *row < (key, id));
        self.rows.insert(at, (key, id));
        self.ever.insert(id);
        self.changes += 1;
    }

    fn delete(&mut self, rng: &mut SmallRng) {
        if self.rows.is_empty() {
            return;
        }
        let (_, id) = self.rows.remove(rng.random_range(0..self.rows.len()));
        self.throughout.remove(&id);
        self.changes += 1;
    }

    fn rename(&mut self, rng: &mut SmallRng) {
        if self.rows.is_empty() {
            return;
        }
        let (_, id) = self.rows.remove(rng.random_range(0..self.rows.len()));
        let row = (rng.random(), id);
        let at = self.rows.partition_point(|other| *other < row);
        self.rows.insert(at, row);
        self.changes += 1;
    }

    fn change(&mut self, rng: &mut SmallRng) {
        match rng.random_range(0..3) {
            0 => self.insert(rng),
            1 => self.delete(rng),
            _ if self.order == Order::Renamed => self.rename(rng),
            _ => self.insert(rng),
        }
    }

    fn read(&self, window: Window) -> Rows {
        let mut rows = Rows { total: self.rows.len() as u64, ..Rows::default() };
        let all = self.rows.iter().skip(window.offset as usize).take(window.limit as usize);
        for (_, id) in all {
            rows.bytes.extend_from_slice(format!(",{id}").as_bytes());
            rows.push(*id, *id);
        }
        rows
    }
}

/// One history: what came out, and how many changes fell into it.
fn history(number: u64, order: Order) -> (Result<Vec<u64>, Failure>, Model) {
    let mut rng = SmallRng::seed_from_u64(number);
    let page_rows_max = rng.random_range(4..14);
    let size = rng.random_range(0..90);
    let mut model = Model::new(order, size, &mut rng);
    let changes_max = [0, 1, 2, 4, 10][rng.random_range(0..5)];
    let change_percent = rng.random_range(1..40);
    let room = rng.random_range(1..9);
    let mut sweep = Sweep::new(Limits {
        page_rows_max,
        rows_max: 100_000,
        double_read: DoubleRead::Auto,
        paging_proven: rng.random_bool(0.5),
        stop_at_first: false,
    });
    let mut in_flight: Vec<Window> = Vec::new();
    loop {
        match sweep.next(room - in_flight.len()) {
            Next::Read(windows) => in_flight.extend(windows),
            Next::Failed(failure) => return (Err(failure), model),
            Next::Done(list) => {
                let bytes: Vec<u8> = list
                    .parts
                    .iter()
                    .flat_map(|(bytes, range)| bytes[range.clone()].to_vec())
                    .collect();
                let text = String::from_utf8(bytes).unwrap();
                let ids: Vec<u64> = text.split(',').skip(1).map(|id| id.parse().unwrap()).collect();
                assert_eq!(ids.len() as u64, list.rows);
                return (Ok(ids), model);
            }
        }
        while model.changes < changes_max && rng.random_range(0..100) < change_percent {
            model.change(&mut rng);
        }
        in_flight.shuffle(&mut rng);
        if let Some(window) = in_flight.pop() {
            let rows = model.read(window);
            sweep.put(window, rows);
        }
    }
}

fn check(order: Order, histories: u64) {
    let mut answered = 0;
    let mut calm_refused = 0;
    for number in 0..histories {
        let (answer, model) = history(number, order);
        let Ok(ids) = answer else {
            calm_refused += u64::from(model.changes <= 1);
            continue;
        };
        answered += 1;
        let unique: std::collections::BTreeSet<u64> = ids.iter().copied().collect();
        assert_eq!(unique.len(), ids.len(), "{order:?} {number}: a row stands twice");
        let lost: Vec<_> = model.throughout.difference(&unique).collect();
        assert!(lost.is_empty(), "{order:?} {number}: lost {lost:?}");
        assert!(unique.is_subset(&model.ever), "{order:?} {number}: a row that never was");
        if model.changes == 0 {
            let now: Vec<u64> = model.rows.iter().map(|(_, id)| *id).collect();
            assert_eq!(ids, now, "{order:?} {number}: order");
        }
    }
    assert_eq!(calm_refused, 0, "{order:?}: a list that changed at most once must be answered");
    let percent = answered * 100 / histories;
    println!("{order:?}: {answered} of {histories} histories answered");
    assert!(percent >= 80, "{order:?}: only {percent} % answered");
}

#[test]
fn lists_sorted_by_id_lose_and_double_nothing() {
    check(Order::Id, 12_000);
    check(Order::IdDescending, 12_000);
}

#[test]
fn lists_in_another_stable_order_lose_and_double_nothing() {
    check(Order::Stable, 12_000);
}

#[test]
fn lists_whose_rows_move_lose_and_double_nothing() {
    check(Order::Renamed, 12_000);
}
