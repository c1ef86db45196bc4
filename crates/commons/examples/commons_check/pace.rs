//! Greedy replicas in one pace: no window of one or of six seconds may see more places than the law allows, whatever
//! happens to the server meanwhile, and a part of the quota must be used.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use commons::{Ask, Commons, Pace, Rate, Taken};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{Seen, replica, replica_at};

const SECOND: Duration = Duration::from_secs(1);
const BURST: Duration = Duration::from_millis(500);
/// Replicas that are fewer than they may be believe that after five seconds of answers.
const MEET_MAX: Duration = Duration::from_secs(8);
/// Greedy askers of each replica.
const ASKERS: usize = 2;

/// So many replicas from the start to the end. What the law allows counts by this percentage, where something is
/// allowed beyond it.
pub(crate) async fn keep(
    replicas: u32,
    seconds: u32,
    used_min: u32,
    rate: u32,
    percent_max: u32,
) -> Seen {
    let lives = vec![(Duration::ZERO, SECOND * seconds); replicas as usize];
    kept(&lives, true, seconds, used_min, rate, percent_max).await
}

/// Four replicas, then eight, then two, for so many seconds each.
pub(crate) async fn scaled(seconds: u32, used_min: u32) -> Seen {
    let lives = [(0, 3), (0, 3), (0, 2), (0, 2), (1, 2), (1, 2), (1, 2), (1, 2)];
    let lives = lives.map(|(from, until)| (SECOND * from * seconds, SECOND * until * seconds));
    kept(&lives, true, 3 * seconds, used_min, 100, 100).await
}

/// Four replicas that come one after the other, all before the first one asks for the second time how many there are.
/// Each asks for places at once.
pub(crate) async fn apart(seconds: u32, used_min: u32) -> Seen {
    let lives = [0, 200, 400, 600].map(|from| (Duration::from_millis(from), SECOND * seconds));
    kept(&lives, false, seconds, used_min, 100, 100).await
}

/// Every replica asks from one time to another one, counted from the start. Those that are there from the start may
/// meet before it.
async fn kept(
    lives: &[(Duration, Duration)],
    may_meet: bool,
    seconds: u32,
    used_min: u32,
    rate: u32,
    percent_max: u32,
) -> Seen {
    let replicas = lives.len();
    let all: Vec<Commons> = (0..replicas)
        .filter(|index| lives[*index].0.is_zero())
        .map(|index| replica_at(index % 2 == 1))
        .collect();
    if may_meet {
        // Servers that are away from the start are part of what is checked.
        let _ = tokio::time::timeout(MEET_MAX, crate::met(&all)).await;
    }
    let sent = Arc::new(Mutex::new(Vec::new()));
    let start = Instant::now();
    let end = start + SECOND * seconds;
    let scope = format!("pace of {rate} {}", std::process::id());
    let mut tasks = Vec::new();
    let mut first = all.iter();
    for (from, until) in lives.iter().map(|(from, until)| (start + *from, start + *until)) {
        let early = (from == start).then(|| first.next().cloned()).flatten();
        let (scope, sent) = (scope.clone(), Arc::clone(&sent));
        tasks.push(tokio::spawn(async move {
            sleep_until(from).await;
            let commons = early.unwrap_or_else(replica);
            let pace = commons.pace(scope.as_bytes(), Rate::sustained(60 * rate, BURST));
            let askers = (0..ASKERS).map(|_| greedy(&commons, &pace, &sent, until));
            futures_util::future::join_all(askers).await;
        }));
    }
    let mut slowest = Duration::ZERO;
    let own =
        all.first().map(|commons| commons.pace(b"another pace", Rate::sustained(60_000, BURST)));
    while let (Some(commons), Some(own), true) = (all.first(), &own, Instant::now() < end) {
        let before = Instant::now();
        commons.take(own, Ask::at_once()).await;
        slowest = slowest.max(before.elapsed());
        sleep(Duration::from_millis(50)).await;
    }
    for task in tasks {
        task.await.map_err(|error| error.to_string())?;
    }
    let mut sent: Vec<u64> = sent
        .lock()
        .expect("no panic")
        .iter()
        .filter(|then| **then < end)
        .map(|then| u64::try_from(then.duration_since(start).as_micros()).unwrap_or(u64::MAX))
        .collect();
    sent.sort_unstable();
    let by_second: Vec<usize> = (0..u64::from(seconds))
        .map(|second| sent.iter().filter(|then| **then / 1_000_000 == second).count())
        .collect();
    println!("in each second: {by_second:?}");
    let allowed = |window: u32| {
        let law = window * rate + u32::try_from(BURST.as_millis()).unwrap_or(0) * rate / 1000 + 1;
        law * percent_max / 100
    };
    let (one, six) = (most(&sent, 1), most(&sent, 6));
    let used = u32::try_from(sent.len()).unwrap_or(u32::MAX) * 1000 / (seconds * rate);
    let standing = all.first().map(Commons::standing).ok_or("no replica")?;
    let errors: Vec<_> = standing.errors.into_iter().filter(|(_, count)| *count > 0).collect();
    let seen = format!(
        "pace: {replicas} replicas: {one} in 1 s ({} allowed), {six} in 6 s ({} allowed), {used} per mille used, slowest call {slowest:?}, {errors:?}",
        allowed(1),
        allowed(6)
    );
    let keeps = one <= allowed(1) && six <= allowed(6) && used >= used_min * 10;
    if keeps { Ok(seen) } else { Err(seen) }
}

/// Takes whatever places there are until then.
async fn greedy(commons: &Commons, pace: &Pace, sent: &Mutex<Vec<Instant>>, until: Instant) {
    while Instant::now() < until {
        let ask = Ask::places(1, Instant::now() + Duration::from_secs(1));
        match commons.take(pace, ask).await {
            Taken::Places(places) => {
                for place in places {
                    let then = place.max(Instant::now());
                    sent.lock().expect("no panic").push(then);
                    sleep_until(then).await;
                }
            }
            Taken::Full(wait) => {
                sleep(wait.clamp(Duration::from_millis(1), Duration::from_secs(1))).await;
            }
        }
    }
}

/// The most places in any window of so many seconds.
fn most(sent: &[u64], seconds: u64) -> u32 {
    let window = seconds * 1_000_000;
    let (mut from, mut most) = (0, 0);
    for (until, then) in sent.iter().enumerate() {
        while sent[from] + window <= *then {
            from += 1;
        }
        most = most.max(until - from + 1);
    }
    u32::try_from(most).unwrap_or(u32::MAX)
}
