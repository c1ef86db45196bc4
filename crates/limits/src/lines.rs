//! At most so many lines a minute about each address. Must never hold more than a fixed number of addresses: when
//! the table is full, addresses whose minute is over make room. Must never tell one.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long lines are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses are told apart. All others count as one.
const ADDRESSES_MAX: usize = 1024;
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// See the module.
#[derive(Debug)]
pub struct Lines {
    per_minute_max: usize,
    counts: Mutex<HashMap<IpAddr, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    lines: usize,
    left_out: u64,
}

impl Lines {
    /// So many lines a minute for each address.
    pub fn new(per_minute_max: usize) -> Self {
        Lines { per_minute_max, counts: Mutex::default() }
    }

    /// Counts a line about an address. `None` if it is one too many; otherwise how many were left out since
    /// the last one that was not.
    pub fn take(&self, address: IpAddr) -> Option<u64> {
        let now = Instant::now();
        // Plain numbers, valid after any panic.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let address = match counts.contains_key(&address) || counts.len() < ADDRESSES_MAX {
            true => address,
            false => {
                // At most once a minute for all the others together.
                if counts.get(&OTHERS).is_none_or(|others| now - others.since >= WINDOW) {
                    // Addresses whose minute is over go. The next line counts the lines left out about them.
                    let mut left_out = 0;
                    counts.retain(|_, count| {
                        let stays = now - count.since < WINDOW;
                        left_out += if stays { 0 } else { count.left_out };
                        stays
                    });
                    counts.insert(OTHERS, Count { since: now, lines: 0, left_out });
                }
                OTHERS
            }
        };
        let new = Count { since: now, lines: 0, left_out: 0 };
        let count = counts.entry(address).or_insert(new);
        if now - count.since >= WINDOW {
            *count = Count { left_out: count.left_out, ..new };
        }
        if count.lines >= self.per_minute_max {
            count.left_out += 1;
            return None;
        }
        count.lines += 1;
        Some(std::mem::take(&mut count.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn d22_lines_of_each_address_are_limited_and_the_next_one_tells_how_many_were_not_written()
     {
        let lines = Lines::new(2);
        let [one, other] = [1, 2].map(|last| IpAddr::from([192, 0, 2, last]));
        assert_eq!([(); 5].map(|()| lines.take(one)), [Some(0), Some(0), None, None, None]);
        assert_eq!(lines.take(other), Some(0), "others are not concerned");
        tokio::time::advance(WINDOW).await;
        assert_eq!([(); 3].map(|()| lines.take(one)), [Some(3), Some(0), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn d22_old_addresses_make_room_and_the_log_counts_the_lines_it_left_out() {
        let lines = Lines::new(1);
        let most = u32::try_from(ADDRESSES_MAX).unwrap();
        let address = |number: u32| IpAddr::from(Ipv4Addr::from_bits(number + 1));
        for number in (0..most).chain(0..most) {
            lines.take(address(number));
        }
        tokio::time::advance(WINDOW).await;
        let [one, two] = [most, most + 1].map(address);
        assert_eq!([one, two, two].map(|new| lines.take(new)), [Some(most.into()), Some(0), None]);
        assert_eq!(lines.counts.lock().unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn d22_addresses_beyond_a_number_count_as_one() {
        let lines = Lines::new(1);
        let address = |number: u32| IpAddr::from(Ipv4Addr::from_bits(number + 1));
        let most = u32::try_from(ADDRESSES_MAX).unwrap();
        for minute in 0..3 {
            let taken = (0..10 * most).filter(|number| lines.take(address(*number)).is_some());
            let taken = taken.count();
            assert!((1..=ADDRESSES_MAX + 1).contains(&taken), "minute {minute}: {taken} lines");
            assert!(lines.counts.lock().unwrap().len() <= ADDRESSES_MAX + 1);
            tokio::time::advance(WINDOW).await;
        }
    }
}
