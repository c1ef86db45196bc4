//! How many attempts may be repeats: so that an upstream that fails is not asked more than it was when
//! all was well. Must never be asked about an attempt that costs the upstream nothing.

use std::sync::{Mutex, PoisonError};

use crate::recent::{Kind, Recent};

/// One repeat for so many requests of the last ten seconds.
const REQUESTS_PER_REPEAT: u64 = 5;
/// Repeats in ten seconds that a quiet caller has in any case: enough for some lists whose pages in
/// flight all fail at once.
pub const CALLER_REPEATS_MIN: u64 = 30;
/// However many processes share that, each has this many: the other pages of a list whose connection broke.
const PART_MIN: u64 = 3;

/// Requests and repeats of one caller, or of one upstream.
#[derive(Debug)]
pub struct Budget {
    recent: Mutex<Recent>,
    /// Repeats in ten seconds that there are in any case.
    repeats_min: u64,
}

impl Budget {
    /// Nothing was asked yet; so many repeats in ten seconds there are in any case.
    pub fn new(repeats_min: u64) -> Self {
        Budget { recent: Mutex::new(Recent::new()), repeats_min }
    }

    /// Something is asked for the first time.
    pub fn note_request(&self) {
        self.recent().note(Kind::Usual);
    }

    /// Whether something may be asked once more by one of so many processes, each of which has its part of what there
    /// is in any case. If so, it counts.
    pub fn take(&self, processes: u32) -> bool {
        let repeats_min = (self.repeats_min / u64::from(processes.max(1))).max(PART_MIN);
        let mut recent = self.recent();
        let (requests, repeats) = recent.sums();
        let has_room = repeats < (requests / REQUESTS_PER_REPEAT).max(repeats_min);
        if has_room {
            recent.note(Kind::Rare);
        }
        has_room
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        // Plain data, valid after any panic.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_processes_share_what_there_is_in_any_case_and_each_has_three() {
        for (processes, expected) in [(0, 30), (1, 30), (4, 7), (10, 3), (1000, 3)] {
            let budget = Budget::new(CALLER_REPEATS_MIN);
            assert_eq!((0..1000).filter(|_| budget.take(processes)).count(), expected);
            // A fifth of the own requests is each one's own.
            (0..200).for_each(|_| budget.note_request());
            assert_eq!((0..1000).filter(|_| budget.take(processes)).count(), 40 - expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fifth_of_the_last_ten_seconds_may_be_repeats_and_thirty_in_any_case() {
        let budget = Budget::new(CALLER_REPEATS_MIN);
        let taken = |budget: &Budget| (0..1000).filter(|_| budget.take(1)).count();
        assert_eq!(taken(&budget), 30, "a quiet one");
        tokio::time::sleep(Duration::from_secs(10)).await;
        (0..200).for_each(|_| budget.note_request());
        tokio::time::sleep(Duration::from_secs(5)).await;
        (0..200).for_each(|_| budget.note_request());
        assert_eq!(taken(&budget), 80);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(taken(&budget), 0, "the repeats are as young as the requests that stay");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(taken(&budget), 30, "all is long ago");
    }
}
