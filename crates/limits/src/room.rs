//! How many bytes lists may hold: those that are being read, and answers that their readers have not taken
//! yet. One account for the process, with a share for each caller.
//!
//! A list goes on while there is room. Where there is none, the oldest list that is being read goes on all
//! the same, so that some list always ends and gives its bytes back. Must never let it do so on top of answers
//! that fill the room by themselves: those end when their readers please.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The room of the process; see the module.
#[derive(Debug)]
pub struct Room(Arc<Pot>);

/// One caller's share of it.
#[derive(Debug, Clone)]
pub struct Share {
    own: Arc<Pot>,
    all: Arc<Pot>,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The caller holds its share.
    Own,
    /// All callers together hold everything.
    All,
}

#[derive(Debug)]
struct Pot {
    bytes_max: u64,
    held: AtomicU64,
    /// The part of it that answers hold.
    lent: AtomicU64,
    /// The numbers of the lists that are being read; the least is the oldest.
    readings: Mutex<BTreeSet<u64>>,
    freed: Notify,
}

impl Room {
    /// Nothing held yet.
    pub fn new(bytes_max: u64) -> Self {
        Room(Arc::new(Pot::new(bytes_max)))
    }

    /// Whether it was made with this limit, so that another configuration can go on with it.
    pub fn fits(&self, bytes_max: u64) -> bool {
        self.0.bytes_max == bytes_max
    }

    /// A share of so many bytes.
    pub fn share(&self, bytes_max: u64) -> Share {
        Share { own: Arc::new(Pot::new(bytes_max)), all: Arc::clone(&self.0) }
    }
}

impl Pot {
    fn new(bytes_max: u64) -> Self {
        let (held, lent) = (AtomicU64::new(0), AtomicU64::new(0));
        Pot { bytes_max, held, lent, readings: Mutex::default(), freed: Notify::new() }
    }

    fn is_lent_out(&self) -> bool {
        self.lent.load(Ordering::Relaxed) >= self.bytes_max
    }

    fn has_room_for(&self, reading: Option<u64>) -> bool {
        let is_oldest = || reading.is_some() && self.readings().first() == reading.as_ref();
        self.held.load(Ordering::Relaxed) < self.bytes_max || (!self.is_lent_out() && is_oldest())
    }

    fn give_back(&self, held: u64, lent: u64, reading: Option<u64>) {
        self.held.fetch_sub(held, Ordering::Relaxed);
        self.lent.fetch_sub(lent, Ordering::Relaxed);
        if let Some(reading) = reading {
            self.readings().remove(&reading);
        }
        self.freed.notify_waiters();
    }

    fn readings(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        // Plain data, valid after any panic.
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    fn pots(&self) -> [(&Pot, Full); 2] {
        [(&self.own, Full::Own), (&self.all, Full::All)]
    }

    /// Whether a list may begin: answers leave room for it.
    pub fn admits(&self) -> Result<(), Full> {
        match self.pots().into_iter().find(|(pot, _)| pot.is_lent_out()) {
            Some((_, full)) => Err(full),
            None => Ok(()),
        }
    }

    /// A list that holds so many bytes and waits until it is read on.
    pub fn holding(&self, bytes: usize) -> Holding {
        let mut holding = Holding { share: self.clone(), number: None, bytes: 0 };
        holding.grow(bytes);
        holding
    }

    /// An answer of so many bytes that waits for its reader.
    pub fn lend(&self, bytes: usize) -> Lent {
        let bytes = bytes as u64;
        for (pot, _) in self.pots() {
            pot.held.fetch_add(bytes, Ordering::Relaxed);
            pot.lent.fetch_add(bytes, Ordering::Relaxed);
        }
        Lent { share: self.clone(), bytes }
    }

    /// How many bytes the caller's lists hold.
    pub fn held(&self) -> u64 {
        self.own.held.load(Ordering::Relaxed)
    }
}

/// The bytes of a list that is being read, given back at its end.
#[derive(Debug)]
pub struct Holding {
    share: Share,
    /// `None` while it is not read on.
    number: Option<u64>,
    bytes: u64,
}

impl Holding {
    /// The list is read on. It is younger than those that are.
    pub fn begun(mut self) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        for (pot, _) in self.share.pots() {
            pot.readings().insert(number);
        }
        self.number = Some(number);
        self
    }

    /// So many bytes more.
    pub fn grow(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.bytes += bytes;
        for (pot, _) in self.share.pots() {
            pot.held.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// The list is complete. It stops growing and no longer counts as the oldest list, so the next one can go on.
    /// Its bytes count until this is dropped.
    pub fn ended(mut self) -> Self {
        let number = self.number.take();
        for (pot, _) in self.share.pots() {
            pot.give_back(0, 0, number);
        }
        self
    }

    /// The list holds only so many bytes now.
    pub fn shrink(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes as u64);
        for (pot, _) in self.share.pots() {
            pot.give_back(less, 0, None);
        }
        self.bytes -= less;
    }

    /// The list holds so many bytes now.
    pub fn set(&mut self, bytes: usize) {
        match usize::try_from(self.bytes).unwrap_or(usize::MAX) {
            before if before < bytes => self.grow(bytes - before),
            _ => self.shrink(bytes),
        }
    }

    /// Whether the list may grow.
    pub fn has_room(&self) -> Result<(), Full> {
        match self.share.pots().into_iter().find(|(pot, _)| !pot.has_room_for(self.number)) {
            Some((_, full)) => Err(full),
            None => Ok(()),
        }
    }

    /// Waits until the list may grow.
    pub async fn room(&self) {
        loop {
            let (mut own, mut all) =
                (pin!(self.share.own.freed.notified()), pin!(self.share.all.freed.notified()));
            own.as_mut().enable();
            all.as_mut().enable();
            if self.has_room().is_ok() {
                return;
            }
            futures_util::future::select(own, all).await;
        }
    }

    /// The limit for all questions together that share the list, if they exceed it.
    pub fn excess(&self) -> Option<u64> {
        let bytes_max = self.shared_max();
        (self.bytes > bytes_max).then_some(bytes_max)
    }

    /// How many pages of so many bytes the questions that share the list may hold together.
    pub fn fits(&self, page_bytes: usize) -> usize {
        let page_bytes = u64::try_from(page_bytes).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.shared_max() / page_bytes).unwrap_or(usize::MAX)
    }

    fn shared_max(&self) -> u64 {
        self.share.pots().into_iter().map(|(pot, _)| pot.bytes_max / 2).min().unwrap_or_default()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        for (pot, _) in self.share.pots() {
            pot.give_back(self.bytes, 0, self.number);
        }
    }
}

/// The bytes of an answer until its readers have it.
#[derive(Debug)]
pub struct Lent {
    share: Share,
    bytes: u64,
}

impl Drop for Lent {
    fn drop(&mut self) {
        for (pot, _) in self.share.pots() {
            pot.give_back(self.bytes, self.bytes, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn n01_lists_wait_where_there_is_no_room_and_the_oldest_goes_on() {
        let room = Room::new(100);
        let share = room.share(60);
        let (mut first, mut second) = (share.holding(0).begun(), share.holding(0).begun());
        first.grow(30);
        second.grow(29);
        assert_eq!((first.has_room(), second.has_room()), (Ok(()), Ok(())));
        second.grow(1);
        assert_eq!((first.has_room(), second.has_room()), (Ok(()), Err(Full::Own)));
        // Another caller's lists have room as long as there is any.
        let other = room.share(60);
        let mut third = other.holding(0).begun();
        third.grow(39);
        assert_eq!(third.has_room(), Ok(()));
        third.grow(1);
        assert_eq!((first.has_room(), third.has_room()), (Ok(()), Err(Full::All)));
        assert!(third.room().now_or_never().is_none());
        drop(first);
        assert_eq!((second.has_room(), third.has_room()), (Ok(()), Ok(())));
        assert_eq!((share.held(), other.held()), (30, 40));
    }

    #[tokio::test]
    async fn n01_a_list_that_waits_for_room_goes_on_when_another_one_ends() {
        let room = Room::new(10);
        let share = room.share(10);
        let (mut first, second) = (share.holding(0).begun(), share.holding(0).begun());
        first.grow(10);
        let ((), ()) = tokio::join!(second.room(), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert_eq!(second.has_room(), Ok(()));
    }

    #[test]
    fn n01_a_list_that_is_read_holds_its_bytes_and_lets_the_next_oldest_go_on() {
        let share = Room::new(10).share(10);
        let (mut first, second) = (share.holding(0).begun(), share.holding(0).begun());
        first.grow(10);
        assert_eq!((first.has_room(), second.has_room()), (Ok(()), Err(Full::Own)));
        let first = first.ended();
        assert_eq!((second.has_room(), share.held()), (Ok(()), 10));
        drop(first);
        assert_eq!(share.held(), 0);
    }

    #[test]
    fn n01_a_list_that_waits_with_its_first_page_counts_and_is_never_the_oldest() {
        let share = Room::new(10).share(10);
        let (waits, first) = (share.holding(10), share.holding(0).begun());
        assert_eq!((waits.has_room(), first.has_room()), (Err(Full::Own), Ok(())));
        let waits = waits.begun();
        assert_eq!((waits.has_room(), first.has_room()), (Err(Full::Own), Ok(())));
        drop(first);
        assert_eq!((waits.has_room(), share.held()), (Ok(()), 10));
    }

    #[test]
    fn n05_answers_that_fill_the_room_let_no_list_begin_or_go_on() {
        let room = Room::new(100);
        let (share, other) = (room.share(60), room.share(60));
        let list = share.holding(0).begun();
        let answers: Vec<_> = (0..6).map(|_| share.lend(10)).collect();
        assert_eq!((share.admits(), list.has_room()), (Err(Full::Own), Err(Full::Own)));
        assert_eq!(other.admits(), Ok(()));
        let more = other.lend(40);
        assert_eq!(other.admits(), Err(Full::All));
        drop((answers, more));
        assert_eq!((share.admits(), other.admits(), list.has_room()), (Ok(()), Ok(()), Ok(())));
        assert_eq!((share.held(), other.held()), (0, 0));
    }

    #[test]
    fn n01_a_list_too_large_to_be_shared_says_so() {
        let mut list = Room::new(100).share(60).holding(0).begun();
        list.grow(30);
        assert_eq!(list.excess(), None);
        list.grow(1);
        assert_eq!(list.excess(), Some(30));
        list.shrink(10);
        assert_eq!((list.excess(), list.share.held()), (None, 10));
        list.shrink(20);
        assert_eq!(list.share.held(), 10, "it holds no more than that");
        for bytes in [25, 25, 10] {
            list.set(bytes);
            assert_eq!(list.share.held(), bytes as u64);
        }
        list.grow(160);
        assert_eq!(list.has_room(), Ok(()), "it is the oldest");
    }
}
