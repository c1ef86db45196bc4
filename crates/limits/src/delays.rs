//! Answers to one address wait longer the more of them there were of late. Must never hold more than a fixed number of
//! addresses, nor more than a fixed number of answers, and must never refuse one: an answer for which there is no room
//! goes out at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep};

/// So many answers go out at once: a person may mistype a key.
const FREE: u32 = 10;
/// How long it takes until one of an address's answers is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(6);
/// The first answer beyond those waits so long, and each further one twice as long.
const FIRST: Duration = Duration::from_millis(100);
/// More are not counted, so that all are forgotten within three minutes.
const COUNT_MAX: u32 = 30;
/// How many addresses are told apart.
const ADDRESSES_MAX: usize = 4096;
/// How many answers wait at a time, and how many of them to one address.
const HELD_MAX: usize = 256;
const HELD_OF_ONE_MAX: u32 = 16;

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
    /// How many wait.
    held: u32,
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
    /// Counts an answer to an address. It waits at most for `wait_max`; without that nothing is noted.
    pub fn begin(&self, address: IpAddr, wait_max: Duration) -> Turn<'_> {
        let due = if wait_max.is_zero() { wait_max } else { self.due(address).min(wait_max) };
        let (delay, place) = match self.held.try_acquire() {
            _ if due.is_zero() => (Delay::None, None),
            Ok(place) if self.hold(address) => (Delay::Waited, Some(place)),
            _ => (Delay::NoRoom, None),
        };
        Turn { delays: self, address, delay, due, place }
    }

    /// One more answer to an address waits, if it has room for one.
    fn hold(&self, address: IpAddr) -> bool {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let count = table.counts.get_mut(&address).filter(|count| count.held < HELD_OF_ONE_MAX);
        let Some(count) = count else { return false };
        count.held += 1;
        true
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
        let count = counts.entry(address).or_insert(Count { answers: 0, since: now, held: 0 });
        *count = count.at(now);
        count.answers = COUNT_MAX.min(count.answers + 1);
        match count.answers.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(beyond) => FIRST * (1 << beyond),
        }
    }
}

/// An answer that is counted, and waits if it has to. Dropped, it gives its place back.
#[derive(Debug)]
pub struct Turn<'a> {
    delays: &'a Delays,
    address: IpAddr,
    delay: Delay,
    due: Duration,
    place: Option<SemaphorePermit<'a>>,
}

impl Turn<'_> {
    /// What becomes of it.
    pub fn delay(&self) -> Delay {
        self.delay
    }

    /// Waits.
    pub async fn wait(self) {
        if self.place.is_some() {
            sleep(self.due).await;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.place.is_none() {
            return;
        }
        let mut table = self.delays.table.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have been taken out for others meanwhile.
        if let Some(count) = table.counts.get_mut(&self.address) {
            count.held = count.held.saturating_sub(1);
        }
    }
}

impl Table {
    /// Room for one more.
    fn make_room(&mut self, now: Instant) {
        if self.tidied.is_none_or(|tidied| now - tidied >= FORGOTTEN_AFTER) {
            self.tidied = Some(now);
            self.counts.retain(|_, count| count.held > 0 || count.at(now).answers > 0);
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
            0 => Count { answers: 0, since: now, ..self },
            answers => Count { answers, since: self.since + FORGOTTEN_AFTER * forgotten, ..self },
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

    impl Delays {
        async fn wait(&self, address: IpAddr, wait_max: Duration) -> Delay {
            let turn = self.begin(address, wait_max);
            let delay = turn.delay();
            turn.wait().await;
            delay
        }
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
        // Without a bound nothing waits, and nothing is noted.
        assert_eq!(delays.wait(address(3), Duration::ZERO).await, Delay::None);
        assert!(!delays.table.lock().unwrap().counts.contains_key(&address(3)));
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
        let addresses = (HELD_MAX / HELD_OF_ONE_MAX as usize) as u32;
        for number in 0..=addresses {
            for _ in 0..COUNT_MAX {
                delays.due(address(number));
            }
        }
        let wait = |address| {
            let delays = Arc::clone(&delays);
            tokio::spawn(async move { delays.wait(address, MOST).await })
        };
        // One address more than there are places, and each asks for two places more than it may have.
        let waiting: Vec<_> = (0..HELD_OF_ONE_MAX + 2)
            .flat_map(|_| (0..=addresses).map(|number| wait(address(number))).collect::<Vec<_>>())
            .collect();
        let (all, mut waited) = (waiting.len(), 0);
        for one in waiting {
            match one.await.unwrap() {
                Delay::Waited => waited += 1,
                Delay::NoRoom => {}
                Delay::None => panic!("one did not have to wait"),
            }
        }
        assert!(waited == HELD_MAX && all > HELD_MAX, "{waited} of {all}");
        // One address alone has no more than its share.
        let one: Vec<_> = (0..HELD_OF_ONE_MAX + 5).map(|_| wait(address(1))).collect();
        let mut waited = 0;
        for one in one {
            waited += u32::from(one.await.unwrap() == Delay::Waited);
        }
        assert_eq!(waited, HELD_OF_ONE_MAX);
        // A client that leaves gives its place back.
        let leaves = delays.wait(address(1), MOST);
        assert!(tokio::time::timeout(Duration::from_millis(1), leaves).await.is_err());
        assert_eq!(delays.held.available_permits(), HELD_MAX);
        assert_eq!(delays.table.lock().unwrap().counts[&address(1)].held, 0);
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
