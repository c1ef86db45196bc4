//! How far the first reading of joined listings is, for the log and the console: it may take minutes, and nobody is
//! answered before its end. Must never hold such a reading up.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two lines.
const LINES_EVERY: Duration = Duration::from_secs(10);

/// See the module. One of a caller, for all its readings together.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    done: AtomicUsize,
    known: AtomicUsize,
    told: Mutex<Option<Instant>>,
}

/// One reading; its part is taken out when this is dropped, however it ends.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    all: &'a Progress,
    done: usize,
    known: usize,
}

impl Progress {
    /// A reading begins.
    pub(crate) fn begin(&self) -> Part<'_> {
        if self.now().is_none() {
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        Part { all: self, done: 0, known: 0 }
    }

    /// How many lists are read, and of how many that are known by now; `None` where nothing is read.
    pub(crate) fn now(&self) -> Option<(usize, usize)> {
        let known = self.known.load(Ordering::Relaxed);
        (known > 0).then(|| (self.done.load(Ordering::Relaxed), known))
    }

    /// The same, if the last line, or the beginning, was long enough ago.
    fn due(&self) -> Option<(usize, usize)> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if told.is_some_and(|told| now - told < LINES_EVERY) {
            return None;
        }
        *told = Some(now);
        drop(told);
        self.now()
    }
}

impl Part<'_> {
    /// A round of so many lists begins. A later round is known only at the end of the one before.
    pub(crate) fn round(&mut self, lists: usize) {
        self.known += lists;
        self.all.known.fetch_add(lists, Ordering::Relaxed);
    }

    /// A list was read. How far all is, where it is time to say so.
    pub(crate) fn step(&mut self) -> Option<(usize, usize)> {
        self.done += 1;
        self.all.done.fetch_add(1, Ordering::Relaxed);
        self.all.due()
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        self.all.done.fetch_sub(self.done, Ordering::Relaxed);
        self.all.known.fetch_sub(self.known, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_due_every_ten_seconds_at_most_and_tells_how_far_it_is() {
        let progress = Progress::default();
        assert_eq!(progress.now(), None);
        let mut part = progress.begin();
        part.round(2);
        assert_eq!((part.step(), progress.now()), (None, Some((1, 2))));
        tokio::time::advance(LINES_EVERY).await;
        assert_eq!(part.step(), Some((2, 2)));
        part.round(50);
        for second in 0..40 {
            tokio::time::advance(Duration::from_secs(1)).await;
            let due = (second % 10 == 9).then_some((3 + second, 52));
            assert_eq!(part.step(), due, "second {second}");
        }
        // Another reading counts beside it, and each takes its own part out.
        let mut other = progress.begin();
        other.round(10);
        assert_eq!((other.step(), progress.now()), (None, Some((43, 62))));
        drop(part);
        assert_eq!(progress.now(), Some((1, 10)));
        drop(other);
        assert_eq!(progress.now(), None);
    }
}
