//! Sweeps in the database's time, whatever the clocks of the replicas say.

use std::time::Duration;

use roster::{FileRoster, Roster, Sweep};
use tokio::time::sleep;

use crate::{Seen, failed, file, holds, replica, scope, users};

/// How far the two replicas' clocks are apart.
const APART: u64 = 5_000;

/// Two replicas read at the same moment, and both miss a user: once. One after the other: twice.
pub(crate) async fn check() -> Seen {
    let (left, right, scope) = (replica(0), replica(0), scope("clocks"));
    let begun = left.begin(0).await;
    left.record(&scope, begun, 0, users(0..20)).await.map_err(failed)?;
    pause().await;
    for round in 0..5 {
        // The left one's clock is ahead; by it, the second reading begins long after the first one has ended.
        let (first, second) = (right.begin(100).await, left.begin(100 + APART).await);
        pause().await;
        let one = right.record(&scope, first, 110, users(1..20)).await.map_err(failed)?;
        let other = left.record(&scope, second, 110 + APART, users(1..20)).await.map_err(failed)?;
        holds((one.absent, other.vanished) == (1, 0), || {
            format!("round {round}: overlapping sweeps: {one:?}, {other:?}")
        })?;
        let vanished = left.counts(&scope).await.map_err(failed)?.vanished;
        holds(vanished == 0, || "a user vanished who was missed at one moment".to_owned())?;
        pause().await;
        let begun = left.begin(0).await;
        let back = left.record(&scope, begun, 0, users(0..20)).await.map_err(failed)?;
        holds(back.updated + back.returned == 0, || format!("{back:?}"))?;
        pause().await;
    }
    for (row, roster) in [&left, &right].into_iter().enumerate() {
        let begun = roster.begin(0).await;
        let changes = roster.record(&scope, begun, 0, users(1..20)).await.map_err(failed)?;
        holds(changes.counted && changes.vanished == row, || format!("{row}: {changes:?}"))?;
        pause().await;
    }
    // The same with a file, which goes by the clocks it is told: this is what must not happen.
    let path = file("clocks");
    let file = FileRoster::open(&path).map_err(failed)?;
    let sweep = |started| Sweep { started, ended: started + 10 };
    file.record(&scope, &sweep(0), &users(0..20)).map_err(failed)?;
    file.record(&scope, &sweep(100), &users(1..20)).map_err(failed)?;
    let last = file.record(&scope, &sweep(100 + APART), &users(1..20)).map_err(failed)?;
    _ = std::fs::remove_file(path);
    holds(last.vanished == 1, || "the clocks make no difference to a file".to_owned())?;
    Ok("overlapping sweeps count once, with clocks 5 s apart".to_owned())
}

/// The next millisecond, so that what comes now is after what was before.
async fn pause() {
    sleep(Duration::from_millis(3)).await;
}

/// The time that the roster has for a sweep, in seconds since 1970.
pub(crate) async fn stamp() -> Seen {
    let (roster, scope) = (replica(0), scope("stamp"));
    let begun = roster.begin(0).await;
    roster.record(&scope, begun, 0, users(0..3)).await.map_err(failed)?;
    let ended = roster.counts(&scope).await.map_err(failed)?.last_sweep_ended;
    ended.map(|ended| (ended / 1000).to_string()).ok_or_else(|| "no sweep was recorded".to_owned())
}

/// With `record_every`, an unchanged list is recorded by neither replica; a change is, at once.
pub(crate) async fn quiet() -> Seen {
    let (left, right, scope) = (replica(60), replica(60), scope("quiet"));
    let last = |roster: &Roster| {
        let (roster, scope) = (roster.clone(), scope.clone());
        async move { roster.counts(&scope).await.map(|it| it.last_sweep_ended).map_err(failed) }
    };
    for roster in [&left, &right] {
        let begun = roster.begin(0).await;
        roster.record(&scope, begun, 0, users(0..20)).await.map_err(failed)?;
    }
    let first = last(&left).await?;
    for roster in [&left, &right, &left, &right] {
        pause().await;
        let begun = roster.begin(0).await;
        let changes = roster.record(&scope, begun, 0, users(0..20)).await.map_err(failed)?;
        holds(changes == roster::Changes::default(), || format!("unchanged: {changes:?}"))?;
    }
    holds(last(&right).await? == first, || "an unchanged list was recorded".to_owned())?;
    // Seen between two absences: neither replica may let it vanish.
    let mut vanished = Vec::new();
    for (roster, from) in
        [(&left, 1), (&right, 0), (&left, 1), (&right, 0), (&left, 1), (&right, 1), (&left, 1)]
    {
        pause().await;
        let begun = roster.begin(0).await;
        roster.record(&scope, begun, 0, users(from..20)).await.map_err(failed)?;
        vanished.push(right.counts(&scope).await.map_err(failed)?.vanished);
    }
    holds(vanished == [0, 0, 0, 0, 0, 1, 1], || format!("vanished: {vanished:?}"))?;
    Ok("an unchanged list is recorded once, a changed one at once".to_owned())
}
