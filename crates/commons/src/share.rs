//! What one replica knows of a pace: its own share while it is alone, its belt while it is not.
//!
//! Alone, it gives out the rate divided by the replicas last known, evenly spaced, without a burst, and nothing
//! before the last place that it knows. Shared, its own pacer at the whole rate stays behind the server's answer, so
//! that a server that lies costs at most what replicas that share nothing cost. For a while after the server was
//! away the belt holds the replica to its own share, since others may still be alone. Must never wait for anything.

use std::time::Duration;

use tokio::time::Instant;

use crate::law::{self, Answer, Law};
use crate::outlook::Outlook;
use crate::shapes::{Ask, Taken};

/// Where the clock of this process begins, so that a burst never reaches below zero.
const ORIGIN: u64 = 1 << 50;
/// The belt forgives as much as answers of the server are late.
const LATE_MAX: u64 = 100_000;
/// Replicas find the server again one after the other, within this time.
const SETTLING: Duration = Duration::from_secs(2);
/// What the server is told of the own last place is less by this: otherwise a call that takes longer than the one
/// before it would move the number by the difference.
const JITTER: u64 = 5_000;
/// A look takes no older word of the server: what others took meanwhile is seen when places are taken.
const KNOWN_FOR_MAX: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Share {
    law: Law,
    base: Instant,
    /// The next place of this process by itself, while it is alone; or its only pace, where there are no replicas.
    own: Option<u64>,
    /// The next place of the belt.
    belt: Option<u64>,
    /// The furthest that the shared number was known to be.
    number: u64,
    /// What the server last said.
    told: Option<Told>,
    /// The end of the own last place.
    known: u64,
    was_alone: bool,
    /// When it last gave a place out by itself.
    alone_at: Option<Instant>,
}

/// Where the next place is, by the clock of this process.
#[derive(Clone, Copy, Debug)]
struct Told {
    at: Instant,
    /// When the server was asked: of two answers the later one counts, in whichever order they come.
    sent: u64,
    next: u64,
}

impl Share {
    pub(crate) fn new(law: Law) -> Self {
        let base = Instant::now();
        Share {
            law,
            base,
            own: None,
            belt: None,
            number: 0,
            told: None,
            known: 0,
            was_alone: false,
            alone_at: None,
        }
    }

    /// What the server is asked.
    pub(crate) fn asked(&self, ask: Ask) -> law::Ask {
        let now = self.now();
        let until =
            |then: Option<Instant>| then.map_or(0, |then| self.at(then).saturating_sub(now));
        law::Ask {
            want: ask.want,
            horizon: until(Some(ask.deadline)),
            pause: until(ask.not_before),
            known: self.known.saturating_sub(now),
            was_alone: self.was_alone,
            only_look: ask.only_look,
        }
        .bounded()
    }

    /// The places that the server gave to what was asked at a time, none of them before the belt allows it.
    /// `returned` is when the connection came back after a loss; there are so many replicas.
    pub(crate) fn shared(
        &mut self,
        sent: u64,
        asked: law::Ask,
        answer: Answer,
        returned: Option<Instant>,
        replicas: u32,
    ) -> Taken {
        let now = self.now();
        self.number = now + answer.ahead.min(law::HORIZON_MAX);
        // Where nothing was taken the server has not stored that nothing was saved up.
        if !asked.only_look && answer.is_taken {
            self.was_alone = false;
            self.own = None;
        }
        self.tell(sent, now.saturating_add_signed(answer.first));
        if !answer.is_taken {
            return full(answer);
        }
        let waits: Vec<u64> = self.law.waits(answer, asked).collect();
        if asked.only_look {
            return self.places(now, &waits);
        }
        let after = answer.first + (self.law.interval * u64::from(asked.want)).cast_signed();
        self.tell(sent, now.saturating_add_signed(after));
        self.known = sent + after.max(0).unsigned_abs().saturating_sub(JITTER);
        let is_settling = self.is_settling(returned);
        // Others that are still alone give out their shares and no burst: so does this one.
        let (interval, burst) = match is_settling {
            true => (self.law.interval.saturating_mul(u64::from(replicas.max(1))), 0),
            false => (self.law.interval, self.law.burst + LATE_MAX),
        };
        let mut belt = self.belt;
        let held: Vec<u64> = waits
            .iter()
            .map(|&wait| {
                let place = (now + wait).saturating_sub(burst).max(belt.unwrap_or(0));
                belt = Some(place.saturating_add(interval));
                place.saturating_sub(now).max(wait)
            })
            .collect();
        let horizon = asked.horizon;
        if let Some(late) =
            held.iter().zip(&waits).find(|(held, wait)| held > wait && **held >= horizon)
        {
            // What the server gave is lost: order, never quota.
            return Taken::Full(Duration::from_micros(*late.0));
        }
        self.belt = belt;
        if is_settling {
            self.told = None;
            // What the belt moved back is told to the server, so that nobody else gets the same time.
            let end = belt.unwrap_or(0).min(now + law::HORIZON_MAX);
            self.known = self.known.max(end.saturating_sub(JITTER));
        }
        self.places(now, &held)
    }

    /// Whether the belt holds this replica to its own share, since others may still be alone.
    pub(crate) fn is_settling(&self, returned: Option<Instant>) -> bool {
        self.alone_at.max(returned).is_some_and(|then| then.elapsed() < SETTLING)
    }

    fn tell(&mut self, sent: u64, next: u64) {
        if self.told.is_none_or(|told| told.sent <= sent) {
            self.told = Some(Told { at: Instant::now(), sent, next });
        }
    }

    /// The own share among so many replicas.
    pub(crate) fn alone(&mut self, replicas: u32, ask: Ask) -> Taken {
        let now = self.now();
        let law = self.law_alone(replicas);
        let asked = law::Ask { known: 0, ..self.asked(ask) };
        // All replicas begin to be alone at once, but not in step.
        // Places that were held back lie behind the number.
        let first = || self.number.max(self.known).max(now) + rand::random_range(0..law.interval);
        let next = self.own.unwrap_or_else(first);
        let (answer, store) = law.take(Some(next), now, asked);
        self.own = store.or(Some(next));
        if store.is_some() {
            self.was_alone = true;
            self.alone_at = Some(Instant::now());
            self.known = self.known.max(next);
            // When the server is back, the belt has counted these too.
            self.belt = self.belt.max(store);
        }
        if answer.is_taken {
            self.places(now, &law.waits(answer, asked).collect::<Vec<_>>())
        } else {
            full(answer)
        }
    }

    fn law_alone(&self, replicas: u32) -> Law {
        let interval = self.law.interval.saturating_mul(u64::from(replicas.max(1)));
        Law { interval: interval.min(law::HORIZON_MAX), burst: 0 }
    }

    /// What the server's answer to a look says.
    pub(crate) fn look_shared(&mut self, asked: law::Ask, answer: Answer) -> Outlook {
        self.number = self.now() + answer.ahead.min(law::HORIZON_MAX);
        Outlook { at: Instant::now(), law: self.law, first: answer.first, pause: asked.pause }
    }

    /// What the server said last, if that was less than so long ago.
    pub(crate) fn look_known(&self, ask: Ask, known_for: Duration) -> Option<Outlook> {
        let known_for = known_for.min(KNOWN_FOR_MAX);
        let told = self.told.filter(|told| told.at.elapsed() < known_for && !self.was_alone)?;
        let next = told.next;
        let (asked, now) = (self.asked(ask), self.now());
        // A burst never reaches further back than from the end of a pause.
        let saved_up = asked.pause.cast_signed() - self.law.burst.cast_signed();
        let first = (next.cast_signed() - now.cast_signed()).max(saved_up);
        Some(Outlook { at: Instant::now(), law: self.law, first, pause: asked.pause })
    }

    /// What the own share among so many replicas says.
    pub(crate) fn look_alone(&self, replicas: u32, ask: Ask) -> Outlook {
        let next = self.own.unwrap_or(self.number.max(self.now()));
        self.looked(self.law_alone(replicas), next, ask)
    }

    /// What the pace of a process without replicas says.
    pub(crate) fn look_only(&self, ask: Ask) -> Outlook {
        self.looked(self.law, self.own.unwrap_or(0), ask)
    }

    fn looked(&self, law: Law, next: u64, ask: Ask) -> Outlook {
        let asked = law::Ask { known: 0, was_alone: false, ..self.asked(ask) };
        let (answer, _) = law.take(Some(next), self.now(), asked);
        Outlook { at: Instant::now(), law, first: answer.first, pause: asked.pause }
    }

    /// The pace of a process without replicas, which begins with its burst saved up.
    pub(crate) fn only(&mut self, ask: Ask) -> Taken {
        let now = self.now();
        let asked = law::Ask { known: 0, was_alone: false, ..self.asked(ask) };
        let next = self.own.unwrap_or(now - self.law.burst);
        let (answer, store) = self.law.take(Some(next), now, asked);
        self.own = store.or(self.own);
        if answer.is_taken {
            self.places(now, &self.law.waits(answer, asked).collect::<Vec<_>>())
        } else {
            full(answer)
        }
    }

    pub(crate) fn law(&self) -> Law {
        self.law
    }

    fn places(&self, now: u64, waits: &[u64]) -> Taken {
        let base = self.base + Duration::from_micros(now - ORIGIN);
        Taken::Places(waits.iter().map(|wait| base + Duration::from_micros(*wait)).collect())
    }

    /// Now, by the clock of this process.
    pub(crate) fn now(&self) -> u64 {
        self.at(Instant::now())
    }

    fn at(&self, then: Instant) -> u64 {
        ORIGIN + law::micros(then.saturating_duration_since(self.base))
    }
}

fn full(answer: Answer) -> Taken {
    Taken::Full(Duration::from_micros(answer.first.max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outlook::NEVER;

    fn waits(taken: Taken) -> Vec<u64> {
        let Taken::Places(places) = taken else { panic!("{taken:?}") };
        let now = Instant::now();
        places.iter().map(|place| law::micros(place.duration_since(now)) / 1000).collect()
    }

    fn ask(want: u32, seconds: u64) -> Ask {
        Ask::places(want, Instant::now() + Duration::from_secs(seconds))
    }

    fn share(interval_ms: u64, burst_ms: u64) -> Share {
        Share::new(Law::new(Duration::from_millis(interval_ms), Duration::from_millis(burst_ms)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_by_itself_begins_with_its_burst() {
        let mut share = share(500, 15_000);
        assert_eq!(waits(share.only(ask(32, 60))), [vec![0; 31], vec![500]].concat());
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(share.only(Ask::at_once()), Taken::Full(Duration::from_millis(500)));
    }

    #[tokio::test(start_paused = true)]
    async fn alone_a_replica_keeps_to_its_share_without_a_burst() {
        let mut share = share(10, 15_000);
        let places = waits(share.alone(4, ask(50, 60)));
        assert!(places[0] < 40, "{places:?}");
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] == 40), "{places:?}");
        // A quiet time saves nothing up.
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(waits(share.alone(4, ask(3, 60))), [0, 40, 80]);
    }

    #[tokio::test(start_paused = true)]
    async fn alone_nothing_comes_before_the_last_place_that_was_known() {
        let mut share = share(10, 0);
        let asked = share.asked(ask(1, 60));
        let answer = Answer { is_taken: true, first: 0, ahead: 5_000_000, was_reset: false };
        share.shared(share.now(), asked, answer, None, 2);
        let places = waits(share.alone(2, ask(2, 60)));
        assert!(places[0] >= 5_000 && places[1] == places[0] + 20, "{places:?}");
        assert!(
            share.asked(ask(1, 60)).was_alone,
            "the server must learn that nothing was saved up"
        );
    }

    /// Whether so many places come within 25 seconds, of which some may be a pause.
    fn fits(share: &Share, requests: u64, pause: u32) -> Result<(), u64> {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let ask = Ask { not_before: Some(now + second * pause), ..ask(1, 0) };
        let admits = share.look_only(ask).admits(requests, now + 25 * second);
        admits.map_err(|wait| wait.as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_cannot_finish_is_told_when_it_could() {
        let mut share = share(1_000, 15_000);
        // 15 places are saved up, 25 more come in time.
        assert_eq!((fits(&share, 40, 0), fits(&share, 41, 0)), (Ok(()), Err(3600)));
        waits(share.only(ask(15, 25)));
        assert_eq!((fits(&share, 25, 0), fits(&share, 40, 0)), (Ok(()), Err(15)));
        tokio::time::sleep(Duration::from_secs(14)).await;
        assert_eq!(fits(&share, 40, 0), Err(1));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(fits(&share, 40, 0), Ok(()));
        // A pause takes its time, but its places are not lost.
        assert_eq!((fits(&share, 30, 10), fits(&share, 40, 10)), (Ok(()), Err(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn alone_a_list_must_fit_into_the_own_share() {
        let outlook = share(1_000, 15_000).look_alone(4, ask(1, 0));
        let deadline = Instant::now() + Duration::from_secs(25);
        assert_eq!(outlook.admits(7, deadline), Ok(()));
        assert_eq!(outlook.admits(8, deadline), Err(NEVER), "a place every four seconds");
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_look_takes_what_the_server_said_a_moment_ago_and_nothing_older() {
        let mut share = share(1_000, 15_000);
        assert!(share.look_known(ask(1, 0), SECOND).is_none(), "nobody has asked yet");
        let mut number = None;
        for (want, waits) in [(1, 900), (20, 300), (3, 700)] {
            let (sent, asked) = (share.now(), share.asked(ask(want, 60)));
            let (answer, store) = share.law.take(number, sent, asked);
            number = store;
            share.shared(sent, asked, answer, None, 4);
            tokio::time::sleep(Duration::from_millis(waits)).await;
            for pause in [0, 10] {
                let not_before = Some(Instant::now() + Duration::from_secs(pause));
                let look = Ask { not_before, only_look: true, ..ask(1, 0) };
                let known = share.look_known(look, SECOND).unwrap();
                let (now, asked) = (share.now(), share.asked(look));
                let (answer, _) = share.law.take(number, now, law::Ask { known: 0, ..asked });
                assert_eq!((known.first, known.pause), (answer.first, asked.pause), "{want}");
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(share.look_known(ask(1, 0), SECOND).is_none(), "others may have taken any number");
        let full = Answer { is_taken: false, first: 9_000_000, ahead: 9_000_000, was_reset: false };
        share.shared(share.now(), share.asked(ask(1, 1)), full, None, 4);
        assert_eq!(share.look_known(ask(1, 0), SECOND).unwrap().first, 9_000_000);
        assert!(share.look_known(ask(1, 0), Duration::ZERO).is_none());
        // An answer to an earlier call comes after one to a later call.
        let earlier = Answer { is_taken: false, first: 0, ahead: 0, was_reset: false };
        share.shared(share.now() - 10, share.asked(ask(1, 1)), earlier, None, 4);
        assert_eq!(share.look_known(ask(1, 0), SECOND).unwrap().first, 9_000_000);
        share.alone(4, ask(1, 60));
        assert!(share.look_known(ask(1, 0), SECOND).is_none(), "the server may be gone");
    }

    #[tokio::test(start_paused = true)]
    async fn the_belt_holds_a_server_that_gives_too_much() {
        let mut share = share(1_000, 0);
        let mut all = Vec::new();
        for _ in 0..5 {
            let asked = share.asked(ask(4, 60));
            let lie = Answer { is_taken: true, first: -4_000_000, ahead: 0, was_reset: false };
            all.extend(waits(share.shared(share.now(), asked, lie, None, 4)));
        }
        // One a second, and the slack of a tenth of a second.
        assert_eq!(all.len(), 20);
        assert!(all.windows(2).skip(1).all(|pair| pair[1] - pair[0] == 1_000), "{all:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_honest_server_is_never_held_back_by_the_belt() {
        let mut share = share(100, 500);
        let (mut number, start) = (None, Instant::now());
        for index in 0..200_u64 {
            let (sent, asked) = (share.now(), share.asked(ask(2, 60)));
            let now = ORIGIN + law::micros(start.elapsed());
            let (answer, store) = share.law.take(number, now, asked);
            number = store;
            // The answer is late by up to 20 ms.
            tokio::time::sleep(Duration::from_millis(index * 7 % 20)).await;
            let expected: Vec<u64> =
                share.law.waits(answer, asked).map(|wait| wait / 1000).collect();
            assert_eq!(waits(share.shared(sent, asked, answer, None, 4)), expected);
            tokio::time::sleep(Duration::from_millis(index * 31 % 400)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_server_was_away_a_replica_keeps_to_its_share_for_two_seconds() {
        let honest = Answer { is_taken: true, first: 0, ahead: 0, was_reset: false };
        let spaces = |places: Vec<u64>| -> Vec<u64> {
            places.windows(2).map(|pair| pair[1] - pair[0]).collect()
        };
        // It asked while it was alone, or only its connection was lost.
        for asked_alone in [true, false] {
            let mut share = share(10, 1_000);
            let returned = Some(Instant::now()).filter(|_| !asked_alone);
            if asked_alone {
                share.alone(4, ask(1, 60));
            }
            tokio::time::sleep(Duration::from_millis(1_900)).await;
            let asked = share.asked(ask(5, 60));
            let places = waits(share.shared(share.now(), asked, honest, returned, 4));
            assert_eq!(spaces(places), [40; 4], "{asked_alone}");
            // The server learns how far the places reach.
            assert!(share.asked(ask(1, 60)).known >= 190_000);
            tokio::time::sleep(Duration::from_millis(200)).await;
            let asked = share.asked(ask(5, 60));
            let places = waits(share.shared(share.now(), asked, honest, returned, 4));
            assert_eq!(spaces(places), [10; 4], "{asked_alone}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_held_back_beyond_the_deadline_is_none() {
        let honest = Answer { is_taken: true, first: 0, ahead: 0, was_reset: false };
        let mut share = share(500, 0);
        let returned = Some(Instant::now());
        let mut taken = |seconds| {
            let asked = share.asked(ask(1, seconds));
            share.shared(share.now(), asked, honest, returned, 4)
        };
        // Two seconds apart: the third would lie at 4 s.
        assert_eq!(waits(taken(3)), [0]);
        assert_eq!(waits(taken(3)), [2_000]);
        assert_eq!(taken(3), Taken::Full(Duration::from_secs(4)));
        // It did not count.
        assert_eq!(waits(taken(5)), [4_000]);
        let mut background = share.asked(Ask::at_once());
        background.known = 0;
        assert!(matches!(
            share.shared(share.now(), background, honest, returned, 4),
            Taken::Full(_)
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn places_that_were_held_back_are_not_given_out_again_alone() {
        let honest = Answer { is_taken: true, first: 0, ahead: 0, was_reset: false };
        let mut share = share(100, 0);
        let asked = share.asked(ask(5, 60));
        share.shared(share.now(), asked, honest, Some(Instant::now()), 4);
        // The last of them lies at 1.6 s.
        assert!(waits(share.alone(4, ask(1, 60)))[0] >= 1_990);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_alone_says_so_until_places_were_taken() {
        let mut share = share(10, 1_000);
        share.alone(4, ask(1, 60));
        let asked = share.asked(ask(1, 60));
        let full = Answer { is_taken: false, first: 90_000_000, ahead: 0, was_reset: false };
        share.shared(share.now(), asked, full, None, 4);
        assert!(share.asked(ask(1, 60)).was_alone);
        let taken = Answer { is_taken: true, first: 0, ahead: 0, was_reset: false };
        share.shared(share.now(), asked, taken, None, 4);
        assert!(!share.asked(ask(1, 60)).was_alone);
    }
}
