//! One replica that asks for a place every 20 ms, and what it sees while servers come and go.

use std::time::Duration;

use commons::{Ask, Rate};
use tokio::time::{Instant, sleep};

use crate::{Seen, replica};

pub(crate) async fn watch(seconds: u32) -> Seen {
    let commons = replica();
    let pace = commons.pace(b"watched", Rate::sustained(60_000, Duration::from_secs(1)));
    let start = Instant::now();
    let (mut was_alone, mut calls) = (true, Vec::new());
    println!("0 ms: alone");
    while start.elapsed() < Duration::from_secs(seconds.into()) {
        let before = Instant::now();
        commons.take(&pace, Ask::places(1, before + Duration::from_secs(5))).await;
        calls.push(before.elapsed());
        let is_alone = commons.standing().is_alone;
        if is_alone != was_alone {
            let word = if is_alone { "alone" } else { "shared" };
            println!("{} ms: {word}", start.elapsed().as_millis());
            was_alone = is_alone;
        }
        sleep(Duration::from_millis(20)).await;
    }
    calls.sort_unstable();
    let part = |of: usize| calls[(calls.len() * of / 100).min(calls.len() - 1)];
    let (half, most, slowest) = (part(50), part(99), part(100));
    let errors: Vec<_> =
        commons.standing().errors.into_iter().filter(|(_, count)| *count > 0).collect();
    let seen = format!(
        "watch: at the end {}, calls: 50 % {half:?}, 99 % {most:?}, slowest {slowest:?}, {errors:?}",
        if was_alone { "alone" } else { "shared" }
    );
    // Busy machines run tasks late; far more than the budget would be another fault.
    if slowest > Duration::from_millis(200) { Err(seen) } else { Ok(seen) }
}

/// Configurations that come and go leave no connection behind.
pub(crate) async fn reloads(times: u32) -> Seen {
    let kept = replica();
    let pace = kept.pace(b"reloads", Rate::sustained(60_000, Duration::from_secs(1)));
    crate::met(std::slice::from_ref(&kept)).await?;
    for index in 0..times {
        let commons = replica();
        // Some are dropped while they connect, some while they share.
        sleep(Duration::from_millis(u64::from(index % 8))).await;
        commons.take(&pace, Ask::at_once()).await;
    }
    let address = crate::setup().addresses.first().cloned().unwrap_or_default();
    let client = redis::Client::open(address).map_err(|error| error.to_string())?;
    let mut connection =
        client.get_multiplexed_async_connection().await.map_err(|error| error.to_string())?;
    let mut left = usize::MAX;
    for _ in 0..50 {
        let list: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query_async(&mut connection)
            .await
            .map_err(|error| error.to_string())?;
        left = list.lines().count();
        // Two of the one that is kept, and the one that asks.
        if left <= 3 {
            return Ok(format!("reloads: {times} came and went, {left} connections are open"));
        }
        sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{left} connections are open after {times} reloads"))
}

/// Bytes in place of a stored value: none is believed.
pub(crate) fn values(count: u32) -> Seen {
    use rand::{RngExt, SeedableRng};
    let mut dice = rand::rngs::StdRng::seed_from_u64(18);
    for _ in 0..count {
        let mut bytes = vec![0_u8; dice.random_range(1..80)];
        dice.fill(&mut bytes[..]);
        // Often so near to a real one that only a few bytes differ.
        bytes.truncate(if dice.random_bool(0.7) { dice.random_range(1..4) } else { 80 });
        commons::properties::never_believed(&bytes);
    }
    Ok(format!("values: {count} generated, none believed"))
}
