//! The law of places: how one number gives requests places in time, as pure arithmetic.
//!
//! The number is the next free place of a pace. `scripts/take.lua` is the same law written a second time, for the
//! server; `examples/commons_check.rs` holds both together. Must never read a clock, and must never let a number
//! that is absent, too large or from before a time alone stand for saved-up places.

use std::time::Duration;

/// A number further ahead than this is taken as absent: a clock was wrong, or somebody else wrote it.
pub(crate) const AHEAD_MAX: u64 = 3_600_000_000;
/// No request looks further ahead, and no interval is longer, so that a good number stays below [`AHEAD_MAX`].
pub(crate) const HORIZON_MAX: u64 = AHEAD_MAX / 4;
/// So many places are given at once.
pub(crate) const WANT_MAX: u32 = 1_000;

/// What a pace promises, in microseconds: in any time W, all replicas together send at most
/// (W + burst) / interval + 1 requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Law {
    pub interval: u64,
    pub burst: u64,
}

/// One request for places. All times are durations in microseconds, so no replica's clock enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// How many places, at least one.
    pub want: u32,
    /// The last place must lie before now plus this.
    pub horizon: u64,
    /// Nothing is sent until then.
    pub pause: u64,
    /// How far ahead the end of the asker's own last place lies. A server that lost the number learns it again.
    pub known: u64,
    /// The asker gave places out by itself since its last answer: it has saved nothing up.
    pub was_alone: bool,
    /// Only asks whether there are places.
    pub only_look: bool,
}

/// The answer, again in durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub is_taken: bool,
    /// From now to the first place; negative where the burst gives a place that lies behind.
    pub first: i64,
    /// How far ahead the number lies now.
    pub ahead: u64,
    /// The number was more than an hour ahead.
    pub was_reset: bool,
}

impl Law {
    /// The law of an interval and a burst, brought within what the arithmetic can hold.
    pub fn new(interval: Duration, burst: Duration) -> Self {
        // Rounded up: a shorter interval would let one more request into a long window.
        let interval = micros(interval + Duration::from_nanos(999)).clamp(1, HORIZON_MAX);
        Law { interval, burst: micros(burst).min(HORIZON_MAX) }
    }

    /// Gives places out. `next` is the number, if there is one; the second part of the answer is the number to
    /// store, if it changes.
    pub fn take(self, next: Option<u64>, now: u64, ask: Ask) -> (Answer, Option<u64>) {
        let ask = ask.bounded();
        let was_reset = next.is_some_and(|next| next > now + AHEAD_MAX);
        let mut place = next.filter(|_| !was_reset).unwrap_or(now);
        if ask.was_alone {
            place = place.max(now);
        }
        place = if ask.known > 0 { place.max(now + ask.known) } else { place };
        let start = now + ask.pause;
        place = place.max(start.saturating_sub(self.burst));
        let want = u64::from(ask.want);
        let last = (place + self.interval * (want - 1)).max(start);
        let is_taken = last < now + ask.horizon;
        let after = place + self.interval * want;
        let store = (is_taken && !ask.only_look).then_some(after);
        let first = place.cast_signed() - now.cast_signed();
        let ahead = store.unwrap_or(place).saturating_sub(now);
        (Answer { is_taken, first, ahead, was_reset }, store)
    }

    /// Whether so many places after a first one lie within a horizon, if nothing is sent before `pause`. If not, after
    /// how long they could if there were no others; nothing if they never could.
    pub(crate) fn fits(
        self,
        first: i64,
        pause: u64,
        requests: u64,
        horizon: u64,
    ) -> Result<(), Option<u64>> {
        let length = self.interval.saturating_mul(requests.saturating_sub(1));
        let last = (i128::from(first) + i128::from(length)).max(i128::from(pause));
        if last < i128::from(horizon) {
            return Ok(());
        }
        // With all places free, it would still not fit.
        if length >= self.burst.saturating_add(horizon) {
            return Err(None);
        }
        let wait = last - i128::from(horizon) + i128::from(self.interval);
        Err(u64::try_from(wait).ok())
    }

    /// From now to each place of an answer, in order.
    pub fn waits(self, answer: Answer, ask: Ask) -> impl Iterator<Item = u64> {
        let ask = ask.bounded();
        (0..u64::from(ask.want)).map(move |index| {
            let place = answer.first + (self.interval * index).cast_signed();
            place.max(ask.pause.cast_signed()).max(0).unsigned_abs()
        })
    }
}

impl Ask {
    /// The same, within what the arithmetic can hold.
    pub fn bounded(self) -> Self {
        Ask {
            want: self.want.clamp(1, WANT_MAX),
            horizon: self.horizon.min(HORIZON_MAX),
            pause: self.pause.min(HORIZON_MAX),
            known: self.known.min(HORIZON_MAX),
            ..self
        }
    }
}

/// The number as the server keeps it: digits and nothing else.
pub fn read(stored: &[u8]) -> Option<u64> {
    let is_number =
        !stored.is_empty() && stored.len() <= 16 && stored.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(stored).ok().filter(|_| is_number)?.parse().ok()
}

/// A duration in whole microseconds.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;
    const NOW: u64 = 1_800_000_000 * SECOND;

    fn ask(want: u32, horizon: u64) -> Ask {
        Ask { want, horizon, ..Ask::default() }
    }

    #[test]
    fn an_absent_number_is_an_empty_bucket() {
        let law = Law { interval: SECOND, burst: 15 * SECOND };
        let (answer, store) = law.take(None, NOW, ask(2, 30 * SECOND));
        assert_eq!((answer.is_taken, answer.first, answer.ahead), (true, 0, 2 * SECOND));
        assert_eq!(store, Some(NOW + 2 * SECOND));
    }

    #[test]
    fn a_quiet_time_saves_up_the_burst_and_no_more() {
        let law = Law { interval: SECOND, burst: 15 * SECOND };
        let (answer, store) = law.take(Some(NOW - 100 * SECOND), NOW, ask(1, SECOND));
        assert_eq!((answer.first, store), (-15_000_000, Some(NOW - 14 * SECOND)));
        // The asker spent places by itself meanwhile, so nothing was saved up.
        let alone = Ask { was_alone: true, ..ask(1, SECOND) };
        assert_eq!(law.take(Some(NOW - 100 * SECOND), NOW, alone).0.first, 0);
    }

    #[test]
    fn nothing_is_taken_where_the_last_place_comes_too_late() {
        let law = Law { interval: SECOND, burst: 0 };
        let (answer, store) = law.take(Some(NOW + 3 * SECOND), NOW, ask(3, 5 * SECOND));
        assert_eq!((answer.is_taken, store, answer.first), (false, None, 3_000_000));
        let (answer, store) = law.take(Some(NOW + 3 * SECOND), NOW, ask(3, 5 * SECOND + 1));
        assert_eq!((answer.is_taken, store), (true, Some(NOW + 6 * SECOND)));
        let look = Ask { only_look: true, ..ask(3, 6 * SECOND) };
        let (answer, store) = law.take(Some(NOW + 3 * SECOND), NOW, look);
        assert_eq!((answer.is_taken, store, answer.ahead), (true, None, 3 * SECOND));
    }

    #[test]
    fn a_pause_holds_places_back_and_costs_none() {
        let law = Law { interval: SECOND, burst: 2 * SECOND };
        let asked = Ask { pause: 10 * SECOND, ..ask(4, 60 * SECOND) };
        let (answer, store) = law.take(None, NOW, asked);
        let waits: Vec<u64> = law.waits(answer, asked).map(|wait| wait / SECOND).collect();
        assert_eq!((waits, store), (vec![10, 10, 10, 11], Some(NOW + 12 * SECOND)));
    }

    #[test]
    fn a_number_more_than_an_hour_ahead_is_taken_as_absent() {
        let law = Law { interval: SECOND, burst: 0 };
        let (answer, _) = law.take(Some(NOW + AHEAD_MAX + 1), NOW, ask(1, SECOND));
        assert!(answer.was_reset && answer.is_taken && answer.first == 0);
        let (answer, _) = law.take(Some(NOW + AHEAD_MAX), NOW, ask(1, SECOND));
        assert!(!answer.was_reset && !answer.is_taken);
    }

    #[test]
    fn a_replica_that_knows_the_number_restores_a_lost_one() {
        let law = Law { interval: SECOND, burst: 5 * SECOND };
        let knows = Ask { known: 8 * SECOND, ..ask(1, 60 * SECOND) };
        assert_eq!(law.take(None, NOW, knows).1, Some(NOW + 9 * SECOND));
    }

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(read(b"1800000000000000"), Some(NOW));
        for other in [&b""[..], b"nan", b"-1", b"0x10", b"1e9", b" 1", b"18000000000000000", b"1\n"]
        {
            assert_eq!(read(other), None, "{other:?}");
        }
    }

    /// One thing that happens: time passes, then a replica asks.
    #[derive(Clone, Debug)]
    struct Event {
        passes: u64,
        ask: Ask,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = (
            prop_oneof![0..2_000_u64, 0..3 * SECOND, 0..40 * SECOND],
            1..12_u32,
            prop_oneof![Just(1_000_u64), 0..30 * SECOND],
            prop_oneof![Just(0_u64), 0..20 * SECOND],
            any::<(bool, bool)>(),
        );
        let event = event.prop_map(|(passes, want, horizon, pause, (was_alone, only_look))| {
            Event { passes, ask: Ask { want, horizon, pause, known: 0, was_alone, only_look } }
        });
        prop::collection::vec(event, 1..80)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn any_window_keeps_the_law(
            events in events(),
            interval in 1_000..5 * SECOND,
            burst in prop_oneof![Just(0_u64), 0..20 * SECOND],
        ) {
            let law = Law { interval, burst };
            let (mut now, mut next, mut sent) = (NOW, None, Vec::new());
            for event in events {
                now += event.passes;
                let (answer, store) = law.take(next, now, event.ask);
                if let Some(store) = store {
                    prop_assert!(answer.is_taken && store > next.unwrap_or(0));
                    next = Some(store);
                    for wait in law.waits(answer, event.ask) {
                        prop_assert!(wait < event.ask.horizon.max(1));
                        prop_assert!(wait >= event.ask.pause);
                        sent.push(now + wait);
                    }
                }
            }
            sent.sort_unstable();
            for (index, first) in sent.iter().enumerate() {
                for (count, last) in (1..).zip(&sent[index..]) {
                    let allowed = (last - first + burst) / interval + 1;
                    prop_assert!(count <= allowed, "{count} in {} us, {allowed} allowed", last - first);
                }
            }
        }

        #[test]
        fn a_number_stays_within_what_is_believed(
            next in prop::option::of(0..2 * NOW), interval in 0..u64::MAX, burst in 0..u64::MAX,
            want in any::<u32>(), times in any::<(u64, u64, u64)>(), flags in any::<(bool, bool)>(),
        ) {
            let law = Law::new(Duration::from_micros(interval), Duration::from_micros(burst));
            let (horizon, pause, known) = times;
            let ask = Ask { want, horizon, pause, known, was_alone: flags.0, only_look: flags.1 };
            let (_, store) = law.take(next, NOW, ask);
            prop_assert!(store.is_none_or(|store| store <= NOW + AHEAD_MAX));
        }
    }
}
