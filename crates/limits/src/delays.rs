//! Answers to one address wait longer the more of them there were of late. Must never hold more than a fixed number of
//! addresses, nor more than a fixed number of answers, and must never refuse one: an answer for which there is no room
//! goes out at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// So many answers go out at once, for whoever mistyped.
const FREE: u32 = 10;
/// How long it takes until one of an address's answers is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(6);
/// The first answer beyond those waits so long, and each further one twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// More are not counted: the wait grows no more, and is soon forgotten.
const COUNT_MAX: u32 = 30;
/// How many addresses are told apart.
const ADDRESSES_MAX: usize = 4096;
/// How many answers wait at a time.
const HELD_MAX: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Delays {
    table: Mutex<Table>,
    held: Semaphore,
}

#[derive(Debug, Default)]
struct Table {
    counts: HashMap<IpAddr, Count>,
    /// When those that are forgotten were last taken out.
    tidied: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    answers: u32,
    /// From then on they are forgotten, one after the other.
    since: Instant,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// It did not have to wait.
    None,
    /// It waited.
    Waited,
    /// It did not wait, because too many do.
    NoRoom,
}

impl Delay {
    /// Every one.
    pub const ALL: [Delay; 3] = [Delay::None, Delay::Waited, Delay::NoRoom];

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Delay::None => "at_once",
            Delay::Waited => "delayed",
            Delay::NoRoom => "no_room",
        }
    }
}

impl Default for Delays {
    fn default() -> Self {
        Delays { table: Mutex::default(), held: Semaphore::new(HELD_MAX) }
    }
}

impl Delays {
    /// Counts an answer to an address and lets it wait, at most for `wait_max`.
    pub async fn wait(&self, address: IpAddr, wait_max: Duration) -> Delay {
        let due = self.due(address).min(wait_max);
        if due.is_zero() {
            return Delay::None;
        }
        let Ok(_place) = self.held.try_acquire() else { return Delay::NoRoom };
        sleep(due).await;
        Delay::Waited
    }

    /// Counts an answer, and says how long it should wait.
    fn due(&self, address: IpAddr) -> Duration {
        let now = Instant::now();
        // Plain numbers, valid after any panic.
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.counts.len() >= ADDRESSES_MAX && !table.counts.contains_key(&address) {
            table.make_room(now);
        }
        let counts = &mut table.counts;
        let count = counts.entry(address).or_insert(Count { answers: 0, since: now });
        *count = count.at(now);
        count.answers = COUNT_MAX.min(count.answers + 1);
        match count.answers.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(beyond) => FIRST * (1 << beyond),
        }
    }
}

impl Table {
    /// Room for one more.
    fn make_room(&mut self, now: Instant) {
        if self.tidied.is_none_or(|tidied| now - tidied >= FORGOTTEN_AFTER) {
            self.tidied = Some(now);
            self.counts.retain(|_, count| count.at(now).answers > 0);
        }
        // All are busy: any of them goes, since an order would have to be kept for all.
        if self.counts.len() >= ADDRESSES_MAX
            && let Some(any) = self.counts.keys().next().copied()
        {
            self.counts.remove(&any);
        }
    }
}

impl Count {
    /// What is not forgotten at a time.
    fn at(self, now: Instant) -> Count {
        let turns = (now - self.since).as_secs() / FORGOTTEN_AFTER.as_secs();
        let forgotten = u32::try_from(turns).unwrap_or(u32::MAX);
        match self.answers.saturating_sub(forgotten) {
            0 => Count { answers: 0, since: now },
            answers => Count { answers, since: self.since + FORGOTTEN_AFTER * forgotten },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;

    const MOST: Duration = Duration::from_secs(2);

    fn address(number: u32) -> IpAddr {
        IpAddr::from(Ipv4Addr::from_bits(number + 1))
    }

    /// How long an answer waited, in milliseconds.
    async fn waited(delays: &Delays, address: IpAddr) -> u128 {
        let asked = Instant::now();
        delays.wait(address, MOST).await;
        asked.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn d26_each_further_answer_waits_twice_as_long_up_to_the_bound_and_others_do_not() {
        let delays = Delays::default();
        for _ in 0..FREE {
            assert_eq!(delays.wait(address(1), MOST).await, Delay::None);
        }
        let mut waits = Vec::new();
        for _ in 0..7 {
            waits.push(waited(&delays, address(1)).await);
            assert_eq!(waited(&delays, address(2)).await, 0, "another address");
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(delays.wait(address(1), MOST).await, Delay::Waited);
        // Without a bound nothing waits.
        assert_eq!(delays.wait(address(1), Duration::ZERO).await, Delay::None);
    }

    #[tokio::test(start_paused = true)]
    async fn d26_answers_are_forgotten_one_after_the_other() {
        let delays = Delays::default();
        for _ in 0..FREE + 1 {
            delays.due(address(1));
        }
        assert_eq!(delays.due(address(1)), FIRST * 2);
        tokio::time::advance(FORGOTTEN_AFTER * 2).await;
        assert_eq!([(); 2].map(|()| delays.due(address(1))), [FIRST, FIRST * 2]);
        // So few are never late.
        tokio::time::advance(FORGOTTEN_AFTER * 12).await;
        for _ in 0..100 {
            tokio::time::advance(FORGOTTEN_AFTER).await;
            assert_eq!(delays.due(address(1)), Duration::ZERO);
        }
        // However many there were, the last is forgotten soon.
        for _ in 0..1000 {
            delays.due(address(1));
        }
        tokio::time::advance(FORGOTTEN_AFTER * COUNT_MAX).await;
        assert_eq!(delays.due(address(1)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn d26_only_so_many_answers_wait_at_a_time_and_the_rest_go_out_at_once() {
        let delays = Arc::new(Delays::default());
        for _ in 0..COUNT_MAX {
            delays.due(address(1));
        }
        let waiting: Vec<_> = (0..HELD_MAX + 5)
            .map(|_| {
                let delays = Arc::clone(&delays);
                tokio::spawn(async move { delays.wait(address(1), MOST).await })
            })
            .collect();
        let (mut waited, mut had_no_room) = (0, 0);
        for one in waiting {
            match one.await.unwrap() {
                Delay::Waited => waited += 1,
                Delay::NoRoom => had_no_room += 1,
                Delay::None => {}
            }
        }
        assert_eq!((waited, had_no_room), (HELD_MAX, 5));
        // A client that leaves gives its place back.
        let leaves = delays.wait(address(1), MOST);
        assert!(tokio::time::timeout(Duration::from_millis(1), leaves).await.is_err());
        assert_eq!(delays.held.available_permits(), HELD_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn d26_a_fixed_number_of_addresses_is_told_apart() {
        let delays = Delays::default();
        let most = u32::try_from(ADDRESSES_MAX).unwrap();
        for number in 0..3 * most {
            delays.due(address(number));
        }
        assert_eq!(delays.table.lock().unwrap().counts.len(), ADDRESSES_MAX);
        // Those that are forgotten go first.
        tokio::time::advance(FORGOTTEN_AFTER).await;
        delays.due(address(4 * most));
        assert_eq!(delays.table.lock().unwrap().counts.len(), 1);
    }
}
