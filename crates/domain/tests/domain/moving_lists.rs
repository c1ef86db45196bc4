//! A model upstream whose list changes while a sweep reads it: no row that lived throughout may be
//! missing from a list that is answered, and none may stand in it twice. Then upstreams that page
//! by number and misbehave: what they give is never a list with a hole.
//!
//! Every history is made from its number alone, so a failure names the number to replay.
#![expect(clippy::print_stdout, reason = "a test may")]

use std::ops::Range;

use domain::sweep::{Failure, Limits, List, Next, Paging, Rows, Story, Sweep, Window};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::support::sweeps::{ids_of, limits, page_with, perhaps_expecting};

/// How the model keeps its rows in order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Order {
    /// By id, newest last.
    Id,
    /// By id, newest first.
    IdDescending,
    /// By something that never changes but is not the id.
    Stable,
    /// By something that may change: a renamed row moves.
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

    /// What the upstream answers. By page number it knows no window that is not a page.
    fn read(&self, paging: Paging, window: Window) -> Rows {
        let (offset, limit) = match paging {
            Paging::Offset => (window.offset as usize, window.limit as usize),
            Paging::Numbered => {
                let (page, limit) = page_of(window);
                ((page - 1) * limit, limit)
            }
        };
        let ids = self.rows.iter().skip(offset).take(limit).map(|(_, id)| *id);
        page_with(ids, self.rows.len() as u64)
    }
}

/// Number and size of the page that a window is.
pub(crate) fn page_of(window: Window) -> (usize, usize) {
    assert_eq!(window.offset % u64::from(window.limit), 0, "{window:?} is no page");
    ((window.offset / u64::from(window.limit)) as usize + 1, window.limit as usize)
}

/// The length of lists, and how often they change.
struct Scale {
    page_rows: Range<u32>,
    rows: Range<u64>,
    changes_max: [u32; 5],
    change_percent: Range<u32>,
}

const SMALL: Scale =
    Scale { page_rows: 4..14, rows: 0..90, changes_max: [0, 1, 2, 4, 10], change_percent: 1..40 };

/// Pages of 4, 5 and 6 rows cannot be joined at rows 12 and 60: `windows.rs`.
const SMALL_NUMBERED: Scale = Scale { page_rows: 7..14, ..SMALL };

/// Bursts of changes that shift rows farther than the bridge between two pages reaches.
const LARGE: Scale = Scale {
    page_rows: 40..1200,
    rows: 0..4000,
    changes_max: [0, 1, 60, 200, 500],
    change_percent: 90..100,
};

/// One history: the result, and the model with its changes.
fn history(
    number: u64,
    order: Order,
    paging: Paging,
    scale: &Scale,
    is_handed_out: bool,
) -> (Result<Vec<u64>, Failure>, Model) {
    let mut rng = SmallRng::seed_from_u64(number);
    let page_rows_max = rng.random_range(scale.page_rows.clone());
    let size = rng.random_range(scale.rows.clone());
    let mut model = Model::new(order, size, &mut rng);
    let changes_max = scale.changes_max[rng.random_range(0..5)];
    let change_percent = rng.random_range(scale.change_percent.clone());
    let room = rng.random_range(1..9);
    let sweep = Sweep::new(limits(paging, page_rows_max, rng.random_bool(0.5)));
    let mut sweep = match is_handed_out {
        true => sweep.handing_out(),
        false => perhaps_expecting(sweep, size, &mut rng),
    };
    let (mut in_flight, mut handed_out) = (Vec::<Window>::new(), Vec::new());
    loop {
        match sweep.next(room - in_flight.len()) {
            Next::Read(windows) => in_flight.extend(windows),
            Next::Failed(failure) => return (Err(failure), model),
            Next::Done(mut list) => {
                list.parts.splice(0..0, handed_out);
                return (Ok(ids_of(&list)), model);
            }
        }
        while model.changes < changes_max && rng.random_range(0..100) < change_percent {
            model.change(&mut rng);
        }
        in_flight.shuffle(&mut rng);
        if let Some(window) = in_flight.pop() {
            assert!(window.limit <= page_rows_max);
            let rows = model.read(paging, window);
            sweep.put(window, rows);
            handed_out.extend(sweep.hand_out());
        }
    }
}

fn check(order: Order, paging: Paging, scale: &Scale, histories: u64) {
    check_as(order, paging, scale, histories, false);
}

/// With `is_handed_out` rows are handed out while the list is read, so it cannot be read again.
fn check_as(order: Order, paging: Paging, scale: &Scale, histories: u64, is_handed_out: bool) {
    let name = format!("{order:?}, {paging:?}");
    let mut answered = 0;
    let mut calm_refused = Vec::new();
    for number in 0..histories {
        let (answer, model) = history(number, order, paging, scale, is_handed_out);
        let Ok(ids) = answer else {
            // What was handed out cannot be read once more, be it for a change or because so few rows show no order.
            let is_calm = match is_handed_out {
                true => model.changes == 0 && model.rows.len() >= 8,
                false => model.changes <= 1,
            };
            if is_calm {
                calm_refused.push(number);
            }
            continue;
        };
        answered += 1;
        let unique: std::collections::BTreeSet<u64> = ids.iter().copied().collect();
        assert_eq!(unique.len(), ids.len(), "{name} {number}: a row stands twice");
        let lost: Vec<_> = model.throughout.difference(&unique).collect();
        assert!(lost.is_empty(), "{name} {number}: lost {lost:?}");
        assert!(unique.is_subset(&model.ever), "{name} {number}: a row that never was");
        if model.changes == 0 {
            let now: Vec<u64> = model.rows.iter().map(|(_, id)| *id).collect();
            assert_eq!(ids, now, "{name} {number}: order");
        }
    }
    println!("{name}: {answered} of {histories} histories answered");
    assert!(calm_refused.is_empty(), "{name}: refused, yet all but still: {calm_refused:?}");
    let percent = answered * 100 / histories;
    assert!(percent >= 80, "{name}: only {percent} % answered");
}

#[test]
fn lists_sorted_by_id_lose_and_double_nothing() {
    check(Order::Id, Paging::Offset, &SMALL, 12_000);
    check(Order::IdDescending, Paging::Offset, &SMALL, 12_000);
}

#[test]
fn lists_that_are_handed_out_while_they_are_read_lose_and_double_nothing() {
    for paging in [Paging::Offset, Paging::Numbered] {
        let scale = if paging == Paging::Offset { &SMALL } else { &SMALL_NUMBERED };
        check_as(Order::Id, paging, scale, 12_000, true);
        check_as(Order::IdDescending, paging, scale, 12_000, true);
    }
}

#[test]
fn lists_in_another_stable_order_lose_and_double_nothing() {
    check(Order::Stable, Paging::Offset, &SMALL, 12_000);
}

#[test]
fn lists_whose_rows_move_lose_and_double_nothing() {
    check(Order::Renamed, Paging::Offset, &SMALL, 12_000);
}

#[test]
fn numbered_lists_sorted_by_id_lose_and_double_nothing() {
    check(Order::Id, Paging::Numbered, &SMALL_NUMBERED, 12_000);
    check(Order::IdDescending, Paging::Numbered, &SMALL_NUMBERED, 12_000);
}

#[test]
fn numbered_lists_in_another_stable_order_lose_and_double_nothing() {
    check(Order::Stable, Paging::Numbered, &SMALL_NUMBERED, 12_000);
}

#[test]
fn numbered_lists_whose_rows_move_lose_and_double_nothing() {
    check(Order::Renamed, Paging::Numbered, &SMALL_NUMBERED, 12_000);
}

#[test]
fn numbered_lists_that_shift_by_hundreds_of_rows_lose_and_double_nothing() {
    check(Order::Id, Paging::Numbered, &LARGE, 100);
    check(Order::Stable, Paging::Numbered, &LARGE, 100);
}

/// Reads 5000 rows in pages of 1000, of which the first `shift` vanish, or before which as many
/// appear, after `reads` reads. The story of the list, which has lost nothing.
fn shifted(shift: i64, reads: usize, rng: &mut SmallRng) -> Result<Story, Failure> {
    let mut ids: Vec<u64> = (10_000..15_000).collect();
    let added = 10_000 - u64::try_from(shift).unwrap_or(0)..10_000;
    let removed = usize::try_from(-shift).unwrap_or(0);
    let room = rng.random_range(1..9);
    let mut sweep = Sweep::new(numbered(1000, true));
    let mut in_flight: Vec<Window> = Vec::new();
    for read in 0.. {
        match sweep.next(room - in_flight.len()) {
            Next::Read(windows) => in_flight.extend(windows),
            Next::Failed(failure) => return Err(failure),
            Next::Done(list) => {
                let found = ids_of(&list);
                assert!(found.is_sorted_by(|a, b| a < b), "a row twice");
                assert!(found.ends_with(&ids[added.clone().count()..]), "a row lost");
                return Ok(list.story);
            }
        }
        if read == reads {
            ids.drain(..removed);
            ids.splice(0..0, added.clone());
        }
        in_flight.shuffle(rng);
        if let Some(window) = in_flight.pop() {
            let (page, limit) = page_of(window);
            sweep.put(window, rows_of(&ids, page, limit));
        }
    }
    unreachable!("a sweep ends")
}

#[test]
fn rows_that_shift_farther_than_a_bridge_reaches_are_bridged_without_starting_again() {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut repaired = 0;
    for far in [1, 60, 95, 105, 130, 200, 300, 400] {
        for shift in [far, -far] {
            for reads in 1..=11 {
                let story = shifted(shift, reads, &mut rng).unwrap();
                assert_eq!(story.restarts, 0, "by {shift} rows after {reads} reads: {story:?}");
                repaired += story.seams_repaired;
            }
        }
    }
    assert!(repaired > 100, "{repaired}");
}

/// Reads a list that holds still; `serve` answers a page number and a page size.
fn read_still(
    limits: Limits,
    serve: impl Fn(usize, usize) -> Rows,
) -> (Result<List, Failure>, u64) {
    let mut sweep = Sweep::new(limits);
    for _ in 0..1000 {
        let windows = match sweep.next(4) {
            Next::Read(windows) => windows,
            Next::Failed(failure) => return (Err(failure), sweep.story().pages),
            Next::Done(list) => {
                let pages = list.story.pages;
                return (Ok(list), pages);
            }
        };
        for window in windows {
            let (page, limit) = page_of(window);
            assert!(page > 0);
            sweep.put(window, serve(page, limit));
        }
    }
    (Err(Failure::Unstable), u64::MAX)
}

fn rows_of(ids: &[u64], page: usize, limit: usize) -> Rows {
    page_with(ids.iter().skip((page - 1) * limit).take(limit).copied(), ids.len() as u64)
}

fn numbered(page_rows_max: u32, paging_proven: bool) -> Limits {
    limits(Paging::Numbered, page_rows_max, paging_proven)
}

#[test]
fn a_numbered_list_costs_a_request_per_page_and_one_per_bridge() {
    for (rows, requests) in [(0, 1), (1, 1), (499, 1), (500, 2), (501, 2), (700, 3), (5000, 20)] {
        let ids: Vec<u64> = (1..=rows).collect();
        for proven in [false, true] {
            let (list, pages) = read_still(numbered(500, proven), |p, l| rows_of(&ids, p, l));
            assert_eq!(ids_of(&list.unwrap()), ids);
            assert_eq!(pages, requests, "{rows} rows");
        }
    }
}

#[test]
fn an_upstream_that_ignores_page_is_found_out() {
    for page_rows in 13..60 {
        for rows in [u64::from(page_rows) + 1, 100, 1000] {
            let ids: Vec<u64> = (1..=rows).map(|id| id * 7919 % 1009).collect();
            for proven in [false, true] {
                let serve = |_, limit| rows_of(&ids, 1, limit);
                let (list, pages) = read_still(numbered(page_rows, proven), serve);
                assert_eq!(list.unwrap_err(), Failure::PagingBroken);
                // One more that is asked alone, or as many as go out together.
                assert!(pages <= if proven { 5 } else { 2 }, "{pages} pages");
            }
        }
    }
}

#[test]
fn an_upstream_that_ignores_page_and_limit_is_found_out() {
    let ids: Vec<u64> = (1..=300).collect();
    for served in [70, 200, 300] {
        let (list, _) = read_still(numbered(50, true), |_, _| rows_of(&ids, 1, served));
        assert!(matches!(list, Err(Failure::PagingBroken | Failure::PageOverflow)));
    }
}

#[test]
fn pages_of_a_fixed_size_are_no_list_unless_the_size_is_asked_for() {
    let ids: Vec<u64> = (1..=300).collect();
    for (asked, served) in [(50, 20), (50, 49), (50, 51), (50, 75), (50, 200), (20, 13)] {
        for proven in [false, true] {
            let (list, _) = read_still(numbered(asked, proven), |p, _| rows_of(&ids, p, served));
            let failure = list.unwrap_err();
            assert!(matches!(failure, Failure::PagingBroken | Failure::PageOverflow), "{failure}");
        }
    }
}

#[test]
fn an_upstream_that_repeats_the_last_page_for_ever_adds_no_row() {
    for (rows, told) in [(200, 200), (200, 290), (230, 230), (230, 400), (230, 231), (200, 201)] {
        let ids: Vec<u64> = (1..=rows).collect();
        let serve = |page, limit| {
            let last = ids.len().div_ceil(limit);
            Rows { total: told, ..rows_of(&ids, std::cmp::min(page, last), limit) }
        };
        for proven in [false, true] {
            match read_still(numbered(50, proven), serve) {
                (Ok(list), _) => assert_eq!(ids_of(&list), ids, "{rows} {told}"),
                (Err(failure), pages) => {
                    assert_eq!(failure, Failure::PagingBroken, "{rows} {told}");
                    assert!(told > rows && pages < 30);
                }
            }
        }
    }
}

#[test]
fn an_upstream_that_cuts_the_limit_in_silence_is_read_whole() {
    for cap in [13, 40, 100, 299] {
        for rows in [12, 13, 40, 299, 300, 1000] {
            let ids: Vec<u64> = (1..=rows).collect();
            let serve = |page, limit| rows_of(&ids, page, std::cmp::min(limit, cap));
            let (list, _) = read_still(numbered(300, false), serve);
            assert_eq!(ids_of(&list.unwrap()), ids, "{rows} rows in pages of {cap}");
        }
    }
}

#[test]
fn a_page_that_is_cut_in_silence_hides_no_row() {
    // Pages of more than 300 rows come short, from the second on.
    for rows in [1001, 1400, 1900, 2000, 2600] {
        let ids: Vec<u64> = (1..=rows).collect();
        let serve = |page, limit| {
            let full = rows_of(&ids, page, limit);
            page_with(full.keys.into_iter().take(if page > 1 { 300 } else { 1000 }), rows)
        };
        for proven in [false, true] {
            let (list, _) = read_still(numbered(1000, proven), serve);
            assert!(list.is_err() || ids_of(&list.unwrap()) == ids, "{rows}");
        }
    }
}

#[test]
fn nothing_behind_the_end_is_the_end_whatever_the_total_says() {
    for (rows, told) in [(200, 199), (200, 201), (200, 260), (230, 400), (230, 100), (30, 60)] {
        let ids: Vec<u64> = (1..=rows).collect();
        let serve = |page, limit| Rows { total: told, ..rows_of(&ids, page, limit) };
        let (list, _) = read_still(numbered(50, false), serve);
        assert_eq!(ids_of(&list.unwrap()), ids, "{rows} of {told}");
    }
}

#[test]
fn a_row_of_another_page_makes_no_list() {
    let ids: Vec<u64> = (1..=400).collect();
    for bad_page in 1..=8 {
        let serve = |page, limit| {
            let rows = rows_of(&ids, page, limit);
            if limit != 50 || page != bad_page {
                return rows;
            }
            let stranger = if bad_page == 1 { 333 } else { 3 };
            let keys = rows.keys.iter().enumerate();
            page_with(keys.map(|(row, id)| if row == 25 { stranger } else { *id }), rows.total)
        };
        for proven in [false, true] {
            let (list, _) = read_still(numbered(50, proven), serve);
            assert!(list.is_err(), "page {bad_page}");
        }
    }
}

#[test]
fn pages_too_small_to_be_joined_are_refused_and_not_guessed_at() {
    let ids: Vec<u64> = (1..=20).collect();
    let (list, _) = read_still(numbered(4, false), |page, limit| rows_of(&ids, page, limit));
    assert_eq!(list.unwrap_err(), Failure::TooLarge { rows_max: 12 });
    let (list, _) = read_still(numbered(4, false), |page, limit| rows_of(&ids[..11], page, limit));
    assert_eq!(ids_of(&list.unwrap()), ids[..11]);
}
