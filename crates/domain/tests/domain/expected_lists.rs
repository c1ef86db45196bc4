//! Lists that are expected to be as long as they were: what is asked for at once, and what becomes of a list
//! that is longer or shorter. `moving_lists` and `odd_pages` show that nothing is lost by it.

use domain::sweep::{Next, Paging, Sweep, Window};

use super::support::sweeps::{ids_of, limits, page_with};

/// A page of the list of ids 0, 1, 2 .., from an upstream that gives its last page for every page beyond the end.
fn page(window: Window, total: u64) -> domain::sweep::Rows {
    let last = total.saturating_sub(u64::from(window.limit));
    let start = if window.offset < total { window.offset } else { last };
    page_with(start..total.min(start + u64::from(window.limit)), total)
}

fn expecting(rows: u64) -> (Sweep, Vec<Window>) {
    let mut sweep = Sweep::new(limits(Paging::Offset, 100, true)).expecting(rows);
    let Next::Read(windows) = sweep.next(20) else { unreachable!("nothing is read yet") };
    (sweep, windows)
}

#[test]
fn every_page_of_the_expected_list_is_asked_for_at_once() {
    let (mut sweep, windows) = expecting(950);
    let offsets: Vec<u64> = windows.iter().map(|window| window.offset).collect();
    assert_eq!(offsets, [0, 99, 198, 297, 396, 495, 594, 693, 792, 891]);
    windows.iter().rev().for_each(|window| sweep.put(*window, page(*window, 950)));
    let Next::Done(list) = sweep.next(20) else { panic!("all pages are read") };
    assert_eq!((list.rows, list.story.pages, sweep.was_regular()), (950, 10, true));
}

#[test]
fn no_more_pages_are_asked_for_until_the_first_one_has_come() {
    let mut sweep = Sweep::new(limits(Paging::Offset, 100, true)).expecting(2000);
    let mut ask = |come: &[Window], room| {
        come.iter().for_each(|window| sweep.put(*window, page(*window, 2000)));
        let Next::Read(windows) = sweep.next(room) else { unreachable!("most are not read yet") };
        windows
    };
    let first = ask(&[], 3);
    let more = ask(&[], 5);
    assert_eq!((first.len(), more.len()), (3, 5), "none has come");
    assert_eq!(ask(&more, 5), []);
    assert_eq!(ask(&first[1..], 7), []);
    assert_eq!(ask(&first[..1], 8).len(), 8);
}

#[test]
fn nothing_is_expected_of_offsets_that_are_not_proven() {
    let mut sweep = Sweep::new(limits(Paging::Offset, 100, false)).expecting(950);
    let Next::Read(windows) = sweep.next(20) else { panic!("nothing is read yet") };
    assert_eq!((windows.len(), sweep.is_expecting()), (1, false));
}

#[test]
fn a_list_that_is_shorter_now_ends_without_the_pages_beyond_it() {
    let (mut sweep, windows) = expecting(950);
    // An upstream that gives its last page for every page beyond is not taken for one that ignores offsets.
    windows[5..].iter().for_each(|window| sweep.put(*window, page(*window, 150)));
    assert!(matches!(sweep.next(20), Next::Read(none) if none.is_empty()));
    sweep.put(windows[0], page(windows[0], 150));
    assert!(sweep.awaits(windows[1]) && !sweep.awaits(windows[2]));
    sweep.put(windows[1], page_with(99..150, 150));
    let Next::Done(list) = sweep.next(20) else { panic!("what is left is not needed") };
    assert_eq!(ids_of(&list), (0..150).collect::<Vec<u64>>());
}

#[test]
fn a_list_that_is_longer_now_grows_when_the_first_page_has_come() {
    let (mut sweep, windows) = expecting(250);
    sweep.put(windows[0], page(windows[0], 700));
    let Next::Read(more) = sweep.next(20) else { panic!("there is more") };
    let offsets: Vec<u64> = more.iter().map(|window| window.offset).collect();
    assert_eq!(offsets, [297, 396, 495, 594, 693]);
}

#[test]
fn an_upstream_that_ignores_offsets_is_found_out_all_the_same() {
    let (mut sweep, windows) = expecting(950);
    windows.iter().rev().for_each(|window| sweep.put(*window, page_with(0..100, 950)));
    let Next::Failed(failure) = sweep.next(20) else { panic!("every page is the first") };
    assert_eq!(failure, domain::sweep::Failure::PagingBroken);
}

/// A vendor that gives so few rows per page that a page is full of them is read as if nothing was expected.
#[test]
fn an_upstream_that_gives_fewer_rows_per_page_now_is_found_out_as_soon() {
    let read = |mut sweep: Sweep| {
        let mut in_flight: Vec<Window> = Vec::new();
        loop {
            match sweep.next(8 - in_flight.len()) {
                Next::Read(windows) => in_flight.extend(windows),
                Next::Done(list) => return (ids_of(&list).len(), list.story, sweep.was_regular()),
                Next::Failed(failure) => unreachable!("{failure:?}"),
            }
            in_flight.retain(|window| sweep.awaits(*window));
            if !in_flight.is_empty() {
                let window = in_flight.remove(0);
                let end = 3000.min(window.offset + u64::from(window.limit.min(60)));
                sweep.put(window, page_with(window.offset..end, 3000));
            }
        }
    };
    let new = || Sweep::new(limits(Paging::Offset, 100, true));
    let (rows, as_ever, _) = read(new());
    let (expected_rows, expected, was_regular) = read(new().expecting(3000));
    assert_eq!((rows, expected_rows, was_regular), (3000, 3000, false));
    assert!(expected.pages <= as_ever.pages + 8, "{expected:?} in place of {as_ever:?}");
    assert_eq!(expected.restarts, as_ever.restarts);
}
