//! Histories of sweeps that two replicas record in turn, against one file that records them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use roster::{FileRoster, Roster, Scope, Sighting, Sweep};
use tokio::task::JoinSet;

use crate::{Seen, failed, file, holds, postgres, scope, setup, user};

/// So many histories at once.
const AT_ONCE: u64 = 12;
/// In every so many histories the lists that are made from the rows are compared as well.
const LISTS_EVERY: u64 = 8;
const HOUR: u64 = 3_600_000;

/// A source of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

pub(crate) async fn check(count: u64) -> Seen {
    let path = file("histories");
    let one = FileRoster::open(&path).map_err(failed)?;
    let setup = setup(0);
    let replicas = Arc::new([postgres(&setup), postgres(&setup)]);
    let (next, vanished) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks: JoinSet<Result<(), String>> = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (one, replicas) = (one.clone(), Arc::clone(&replicas));
        let (next, vanished) = (Arc::clone(&next), Arc::clone(&vanished));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                let gone = history(number, &one, &replicas).await;
                vanished.fetch_add(gone?, Ordering::Relaxed);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| error.to_string())??;
    }
    drop(one);
    _ = std::fs::remove_file(path);
    let vanished = vanished.load(Ordering::Relaxed);
    // A run in which nobody vanished has compared nothing of worth.
    holds(count < 100 || vanished > count / 10, || format!("only {vanished} users vanished"))?;
    Ok(format!("{count} histories through two replicas are like one; {vanished} users vanished"))
}

/// One history; how many users have vanished at its end.
async fn history(
    number: u64,
    one: &FileRoster,
    replicas: &[roster::PostgresRoster; 2],
) -> Result<u64, String> {
    let mut numbers = Numbers(number);
    let scope = scope(&format!("history {number}"));
    // Above ten users a sweep without most of them is doubted.
    let all = [4, 9, 14, 25][numbers.below(4) as usize];
    let mut now = 10 * HOUR;
    let mut before = Sweep { started: now, ended: now };
    for step in 0..3 + numbers.below(6) {
        let sweep = match numbers.below(8) {
            // Overlapping the one before, ending before it, or by a clock that is wrong.
            0 => Sweep { started: before.started, ended: before.ended + numbers.below(20) },
            1 => Sweep { started: before.started.saturating_sub(5), ended: before.ended - 1 },
            2 => Sweep { started: now + 3 * HOUR, ended: now + 3 * HOUR + 5 },
            3 => Sweep { started: now + 50, ended: now },
            _ => Sweep { started: now + 1, ended: now + 9 },
        };
        now += 10 + numbers.below(3);
        before = Sweep { started: now, ended: now + 1 };
        now += 2;
        let seen = seen(&mut numbers, all);
        let at = format!("history {number}, step {step}");
        let replica = &replicas[numbers.below(2) as usize];
        let expected = one.record(&scope, &sweep, &seen).map_err(failed)?;
        let got = replica.record_as(&scope, sweep, seen).await.map_err(failed)?;
        holds(got == expected, || format!("{at}: {got:?} in place of {expected:?}"))?;
    }
    if numbers.below(4) == 0 {
        let rows =
            vec![(3, Some("Imported".to_owned())), (77, None), (78, Some("N\0L".to_owned()))];
        let expected = one.import(&scope, &rows).map_err(failed)?;
        let roster = Roster::Postgres(replicas[0].clone());
        let got = roster.import(&scope, rows).await.map_err(failed)?;
        holds(got == expected, || format!("history {number}: {got:?} were imported"))?;
    }
    same(number, &scope, one, replicas).await
}

/// Whether the database holds what the file holds, and the replicas tell it; how many users have vanished.
async fn same(
    number: u64,
    scope: &Scope,
    one: &FileRoster,
    replicas: &[roster::PostgresRoster; 2],
) -> Result<u64, String> {
    // Every row of the scope with all its marks. Whichever replica reads it, it is the database's.
    let expected = one.whole_of(scope).map_err(failed)?;
    let got = replicas[(number % 2) as usize].whole_of(scope).await.map_err(failed)?;
    holds(got == expected, || format!("history {number}: {got:?} in place of {expected:?}"))?;
    let counts = one.counts(scope).map_err(failed)?;
    if number.is_multiple_of(LISTS_EVERY) {
        // Both are statements over those rows, without anything that is kept.
        let former = one.former(scope).map_err(failed)?;
        for replica in replicas {
            let replica = Roster::Postgres(replica.clone());
            let got = replica.former(scope).await.map_err(failed)?;
            holds(got == former, || format!("history {number}: {got:?} in place of {former:?}"))?;
            let got = replica.counts(scope).await.map_err(failed)?;
            holds(got == counts, || format!("history {number}: {got:?} in place of {counts:?}"))?;
        }
    }
    Ok(counts.vanished as u64)
}

/// Some of the users, with some of their details changed.
fn seen(numbers: &mut Numbers, all: u64) -> Vec<Sighting> {
    // Often the same ones are missing, so that they vanish.
    let missing = match numbers.below(4) {
        0 => 0,
        1 => 1,
        2 => 3,
        _ => all * 2 / 3,
    };
    let mut seen: Vec<Sighting> = (missing..all).map(user).collect();
    for one in &mut seen {
        match numbers.below(12) {
            0 => one.name = None,
            1 => one.name = Some("O'Neil \\ \u{1}0 \0 名前".to_owned()),
            2 => one.is_deleted = true,
            3 => one.group = Some(("\0".to_owned(), None)),
            4 => one.teams = vec!["\0".to_owned(), "{}".to_owned()],
            _ => {}
        }
    }
    if numbers.below(6) == 0 {
        seen.push(user(u64::MAX - numbers.below(2)));
    }
    seen
}
