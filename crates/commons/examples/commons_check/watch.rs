//! One replica that asks for a place every 20 ms, and what it sees while servers come and go.

use std::time::Duration;

use commons::{Ask, Rate};
use tokio::time::{Instant, sleep};

use crate::{Seen, replica};

pub(crate) async fn watch(seconds: u32) -> Seen {
    let commons = replica();
    let pace = commons.pace(b"watched", Rate::sustained(60_000, Duration::from_secs(1)));
    let start = Instant::now();
    let (mut was_alone, mut slowest) = (true, Duration::ZERO);
    println!("0 ms: alone");
    while start.elapsed() < Duration::from_secs(seconds.into()) {
        let before = Instant::now();
        commons.take(&pace, Ask::places(1, before + Duration::from_secs(5))).await;
        slowest = slowest.max(before.elapsed());
        let is_alone = commons.standing().is_alone;
        if is_alone != was_alone {
            let word = if is_alone { "alone" } else { "shared" };
            println!("{} ms: {word}", start.elapsed().as_millis());
            was_alone = is_alone;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let errors: Vec<_> =
        commons.standing().errors.into_iter().filter(|(_, count)| *count > 0).collect();
    let seen = format!(
        "watch: at the end {}, slowest call {slowest:?}, {errors:?}",
        if was_alone { "alone" } else { "shared" }
    );
    // Busy machines run tasks late; far more than the budget would be another fault.
    if slowest > Duration::from_millis(200) { Err(seen) } else { Ok(seen) }
}
