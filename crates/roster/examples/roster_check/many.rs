//! Many users and several replicas at once, and how long a list waits for the roster; and a disk that fills up.

use std::time::Duration;

use roster::{Roster, RosterError};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{Seen, failed, holds, replica, scope, users};

const REPLICAS: usize = 4;
/// So many polls of each replica are timed.
const POLLS: usize = 30;
/// So often a user is renamed.
const RENAMED: usize = 12;
/// So many users leave.
const LEAVING: u64 = 100;

pub(crate) async fn check(count: u64) -> Seen {
    let mut replicas: Vec<Roster> = (0..REPLICAS).map(|_| replica(60)).collect();
    let scope = scope("many");
    let began = Instant::now();
    let begun = replicas[0].begin(0).await;
    let first = replicas[0].record(&scope, begun, 0, users(0..count)).await.map_err(failed)?;
    let first_took = began.elapsed();
    holds(first.added as u64 == count, || format!("{first:?}"))?;
    // All at once, four replicas that know nothing yet: each reads the users anew.
    at_once(&replicas, &scope, 0..count).await?;
    let counts = replicas[1].counts(&scope).await.map_err(failed)?;
    holds(counts.remembered as u64 == count && counts.vanished == 0, || format!("{counts:?}"))?;

    // Unchanged, one after the other and all four at once.
    let mut alone = Vec::new();
    for _ in 0..POLLS {
        alone.extend(polls(&replicas[..1], &scope, |_| users(0..count)).await?);
    }
    let mut together = Vec::new();
    for _ in 0..POLLS {
        together.extend(polls(&replicas, &scope, |_| users(0..count)).await?);
    }
    // One replica finds a new name; then the others come, at once. Each of them must take it over.
    let (mut finding, mut following) = (Vec::new(), Vec::new());
    for round in 0..RENAMED {
        let list = |_| {
            let mut list = users(0..count);
            list.last_mut().into_iter().for_each(|user| user.name = Some(format!("Name {round}")));
            list
        };
        let (first, others) = replicas.split_at(1);
        finding.extend(polls(first, &scope, list).await?);
        following.extend(polls(others, &scope, list).await?);
        replicas.rotate_left(1);
    }

    // Users leave. Replicas that read at the same moment count as one sweep.
    for (round, vanished) in [(1, 0), (2, LEAVING)] {
        at_once(&replicas, &scope, LEAVING..count).await?;
        let counts = replicas[3].counts(&scope).await.map_err(failed)?;
        let told = (counts.remembered as u64, counts.vanished as u64);
        holds(told == (count, vanished), || format!("round {round}: {counts:?}"))?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let former = replicas[2].former(&scope).await.map_err(failed)?;
    let ids: Vec<u64> = former.iter().map(|user| user.id).collect();
    holds(ids == (0..LEAVING).collect::<Vec<_>>(), || format!("{ids:?} are gone"))?;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let told = |mut times: Vec<Duration>| {
        times.sort_unstable();
        let at = |percent: usize| ms(times[(times.len() - 1) * percent / 100]);
        format!(
            "{:.1} ms half of the time, {:.1} for 99 of 100, {:.1} at most",
            at(50),
            at(99),
            at(100)
        )
    };
    Ok(format!(
        "{count} users, {REPLICAS} replicas: first sweep {:.0} ms; unchanged {}; all replicas at once {}; \
         a new name {}; the other replicas after it {}",
        ms(first_took),
        told(alone),
        told(together),
        told(finding),
        told(following),
    ))
}

/// How long a list of each replica waits for the roster, all at once. The lists are made before, as they are in a gateway
/// by the time that the roster is told.
async fn polls(
    replicas: &[Roster],
    scope: &roster::Scope,
    list: impl Fn(usize) -> Vec<roster::Sighting>,
) -> Result<Vec<Duration>, String> {
    let lists: Vec<_> = (0..replicas.len()).map(list).collect();
    let mut polls = JoinSet::new();
    for (roster, seen) in replicas.iter().cloned().zip(lists) {
        let scope = scope.clone();
        polls.spawn(async move { poll(&roster, &scope, seen).await });
    }
    let mut times = Vec::new();
    while let Some(ended) = polls.join_next().await {
        times.push(ended.map_err(|error| error.to_string())??);
    }
    Ok(times)
}

/// All replicas begin before any of them records, so that their sweeps overlap.
async fn at_once(
    replicas: &[Roster],
    scope: &roster::Scope,
    ids: std::ops::Range<u64>,
) -> Result<(), String> {
    let mut begun = Vec::new();
    for roster in replicas {
        begun.push(roster.begin(0).await);
    }
    let mut recording = JoinSet::new();
    for (roster, begun) in replicas.iter().cloned().zip(begun) {
        let (scope, seen) = (scope.clone(), users(ids.clone()));
        recording.spawn(async move { roster.record(&scope, begun, 0, seen).await });
    }
    while let Some(ended) = recording.join_next().await {
        ended.map_err(|error| error.to_string())?.map_err(failed)?;
    }
    Ok(())
}

/// How long a list waits for the roster.
async fn poll(
    roster: &Roster,
    scope: &roster::Scope,
    seen: Vec<roster::Sighting>,
) -> Result<Duration, String> {
    let began = Instant::now();
    let begun = roster.begin(0).await;
    roster.record(scope, begun, 0, seen).await.map_err(failed)?;
    Ok(began.elapsed())
}

/// The disk of the tables is small: what does not fit is refused whole, and what is there stays.
pub(crate) async fn full() -> Seen {
    let (roster, scope) = (replica(0), scope("full"));
    let mut recorded = 0;
    for size in (1..=100).map(|step| step * 2000) {
        let begun = roster.begin(0).await;
        match roster.record(&scope, begun, 0, users(0..size)).await {
            Ok(_) => recorded = size,
            Err(error) => {
                holds(error == RosterError::Full, || format!("full: {error}"))?;
                let counts = roster.counts(&scope).await.map_err(failed)?;
                holds(counts.remembered as u64 == recorded, || format!("{counts:?}"))?;
                let begun = roster.begin(0).await;
                roster.former(&scope).await.map_err(failed)?;
                // What changes no row still fits.
                roster.record(&scope, begun, 0, users(0..recorded)).await.map_err(failed)?;
                holds(recorded > 0, || "nothing fitted".to_owned())?;
                return Ok(format!("{recorded} users fitted, {size} were refused whole"));
            }
        }
    }
    Err("the disk is not full".to_owned())
}
