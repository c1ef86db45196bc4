//! Whole lists while users come and go, through the real processes: no list that is answered misses
//! a user who lived throughout, has one twice, or brings one back.

use std::collections::{BTreeMap, HashSet};

use crate::common::process::{Gateway, Process};
use crate::common::{gateway, vendor};
use tests::V1_USERS;
use tests::folder::Folder;
use tests::plain::ask;

/// A vendor that changes, and the gateway in front of it.
struct World {
    vendor: String,
    gateway: Gateway,
    _vendor: Process,
    _folder: Folder,
}

impl World {
    fn new(arguments: &str) -> World {
        let folder = Folder::new();
        let (process, base) = vendor(&format!("--users 900 {arguments}"));
        let gateway = gateway(&folder, "", &base, "[limits]\nrequest_deadline = \"60s\"");
        World { vendor: base, gateway, _vendor: process, _folder: folder }
    }

    /// The users as they are now; the vendor's legacy face never changes any.
    fn users(&self) -> HashSet<u64> {
        let answer = ask(&self.vendor, V1_USERS);
        assert_eq!(answer.status, 200);
        answer.ids().into_iter().collect()
    }

    fn stats(&self) -> serde_json::Value {
        ask(&self.vendor, "/_simulator/stats").json()
    }
}

/// What came of many lists.
#[derive(Debug, Default)]
struct Tally {
    answered: u32,
    refused: u32,
    /// Users deleted or added while an answered list was read.
    moved: usize,
}

/// Reads so many whole lists and holds each one that is answered against the users who were there
/// both before and after it.
fn read_lists(world: &World, lists: u32, is_in_order: impl Fn(&[u64]) -> bool) -> Tally {
    let mut tally = Tally::default();
    let mut seen = HashSet::new();
    for list in 0..lists {
        let before = world.users();
        let answer = ask(world.gateway.address, V1_USERS);
        let after = world.users();
        let gone: HashSet<u64> = seen.difference(&before).copied().collect();
        seen.extend(before.iter().chain(&after));
        if answer.status == 503 {
            assert_eq!(answer.header("x-tieline-error"), "upstream_list_unstable");
            assert!(!answer.header("retry-after").is_empty());
            tally.refused += 1;
            continue;
        }
        assert_eq!(answer.status, 200, "list {list}");
        let ids = answer.ids();
        let different: HashSet<u64> = ids.iter().copied().collect();
        assert_eq!(different.len(), ids.len(), "list {list} has a user twice");
        assert!(is_in_order(&ids), "list {list} is out of order");
        let missed: Vec<_> =
            before.intersection(&after).filter(|id| !different.contains(id)).collect();
        assert!(missed.is_empty(), "list {list} misses {} who lived throughout", missed.len());
        let back: Vec<_> = different.intersection(&gone).collect();
        assert!(back.is_empty(), "list {list} brings back {}", back.len());
        tally.answered += 1;
        tally.moved += before.symmetric_difference(&after).count();
    }
    tally
}

#[test]
fn a_list_by_id_that_changes_is_answered_whole_nearly_always() {
    let mut answered = 0;
    for (every, lists) in [("5", 30), ("2", 30), ("1", 30)] {
        let world = World::new(&format!("--churn-every {every}"));
        let tally = read_lists(&world, lists, |ids| ids.is_sorted());
        let stats = world.stats();
        println!("a change every {every} pages: {tally:?}, {} changes", stats["changes"]);
        assert!(stats["changes"].as_u64().unwrap() > u64::from(lists), "{tally:?}");
        assert!(tally.moved > 0, "nothing changed while a list was read: {tally:?}");
        assert!(tally.answered * 10 >= lists * 8, "every {every}: {tally:?}");
        answered += tally.answered;
    }
    assert!(answered >= 75, "{answered} of 90");
}

#[test]
fn a_list_by_name_that_changes_is_answered_whole_or_not_at_all() {
    let mut all = BTreeMap::new();
    for (every, lists) in [("60", 20), ("25", 20), ("5", 10)] {
        let world = World::new(&format!("--order name --churn-every {every}"));
        let tally = read_lists(&world, lists, |ids| !ids.is_sorted());
        println!("a change every {every} pages: {tally:?}, {} changes", world.stats()["changes"]);
        assert!(world.stats()["changes"].as_u64().unwrap() > 0);
        all.insert(every, tally);
    }
    assert!(all["60"].answered >= 14, "{all:?}");
    assert!(all.values().any(|tally| tally.moved > 0), "{all:?}");
}

#[test]
fn a_list_without_an_order_is_never_answered() {
    let world = World::new("--order random");
    for _ in 0..6 {
        let answer = ask(world.gateway.address, V1_USERS);
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("x-tieline-error"), "upstream_list_unstable");
        let wait: u32 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert!(answer.body.starts_with(b"{\"error\":\""));
    }
    // A group is looked up by reading the whole list.
    let answer = ask(world.gateway.address, &format!("{V1_USERS}?sag=Agent"));
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("x-tieline-error"), "upstream_list_unstable");
    // What fits on one page has no seams.
    let user = &ask(&world.vendor, V1_USERS).json()[0];
    let extension = user["extension"].as_str().unwrap();
    let answer = ask(world.gateway.address, &format!("{V1_USERS}?extension={extension}"));
    assert_eq!(answer.status, 200);
    assert!(answer.ids().contains(&user["id"].as_u64().unwrap()));
}
