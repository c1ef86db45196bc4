//! Accepts connections while there are places, in total and for each address. Must never fail and never
//! spin: after any error of the system it tries again later.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::refusal::{Rejection, errno};
use super::{ServerLimits, Watch};

/// Pause after a failed accept; doubled at each further failure up to the maximum.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Masks the last 64 bits of an IPv6 address, which its owner can choose.
const OWNER: u128 = !0 << 64;

pub(super) struct Door {
    listener: TcpListener,
    watch: Watch,
    places: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    /// Cancelled to cut every connection.
    cut: CancellationToken,
    /// The switches that cut connections, the oldest first, if they are cut for new ones.
    open: Option<Mutex<VecDeque<CancellationToken>>>,
}

/// The places that a connection holds while it lasts.
pub(super) struct Place {
    /// Cancelled to cut the connection.
    pub(super) cut: CancellationToken,
    /// Tells by `cut` that the connection has ended.
    _ended: Option<DropGuard>,
    watch: Watch,
    _place: OwnedSemaphorePermit,
    _address: Option<OfAddress>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watch {
            watcher.connection(false);
        }
    }
}

impl Door {
    pub(super) fn new(
        listener: TcpListener,
        limits: &ServerLimits,
        watch: Watch,
        cut: CancellationToken,
    ) -> Self {
        let places = limits.connections_max.min(Semaphore::MAX_PERMITS);
        let most = limits.connections_per_address_max;
        let addresses = Arc::new(Addresses { most, open: Mutex::default() });
        let open = limits.closes_oldest.then(Mutex::default);
        Door { listener, watch, places: Arc::new(Semaphore::new(places)), addresses, cut, open }
    }

    /// The next connection that has a place.
    pub(super) async fn next(&self) -> (TcpStream, SocketAddr, Place) {
        // No connection is cut before the new one has come.
        let free = match &self.open {
            None => Some(self.free_place().await),
            Some(_) => None,
        };
        let mut pause = PAUSE_MIN;
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    let Some(address) = self.place_of(peer.ip()) else { continue };
                    let free = match free {
                        Some(free) => free,
                        None => self.place_of_oldest().await,
                    };
                    let (cut, ended) = self.cut_of_new();
                    let place = Place {
                        cut,
                        _ended: ended,
                        watch: self.watch.clone(),
                        _place: free,
                        _address: address,
                    };
                    if let Some(watcher) = &self.watch {
                        watcher.connection(true);
                    }
                    return (stream, peer, place);
                }
                Err(error) => {
                    let errno = errno(&error);
                    tracing::debug!(errno, ?pause, "accept failed");
                    if let Some(watcher) = &self.watch {
                        watcher.accept_failed(errno);
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn free_place(&self) -> OwnedSemaphorePermit {
        if self.places.available_permits() == 0
            && let Some(watcher) = &self.watch
        {
            watcher.rejected(Rejection::NoPlace);
        }
        self.any_place().await
    }

    async fn any_place(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.places).acquire_owned().await {
            Ok(place) => place,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// A place, if need be that of the oldest connection.
    async fn place_of_oldest(&self) -> OwnedSemaphorePermit {
        if self.places.available_permits() == 0
            && let Some(oldest) = self.open().and_then(|mut open| open.pop_front())
        {
            tracing::debug!("every place is taken, the oldest connection is cut");
            oldest.cancel();
        }
        self.any_place().await
    }

    /// The switch that cuts a new connection, and the sign that it has ended.
    fn cut_of_new(&self) -> (CancellationToken, Option<DropGuard>) {
        let Some(mut open) = self.open() else { return (self.cut.clone(), None) };
        let cut = self.cut.child_token();
        open.retain(|cut| !cut.is_cancelled());
        open.push_back(cut.clone());
        (cut.clone(), Some(cut.drop_guard()))
    }

    fn open(&self) -> Option<MutexGuard<'_, VecDeque<CancellationToken>>> {
        // Tokens, valid after any panic.
        self.open.as_ref().map(|open| open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A place for one more connection of an address, if its connections are counted; `None` if it has
    /// reached its limit.
    fn place_of(&self, address: IpAddr) -> Option<Option<OfAddress>> {
        let is_exempt = |address| self.watch.as_ref().is_some_and(|who| who.is_exempt(address));
        if self.addresses.most == 0 || is_exempt(address) {
            return Some(None);
        }
        let place = Addresses::place(&self.addresses, owner(address));
        if place.is_none()
            && let Some(watcher) = &self.watch
        {
            watcher.rejected(Rejection::PerAddress);
        }
        place.map(Some)
    }
}

/// The owner of an address: for IPv4 the address itself, for IPv6 its network.
pub fn owner(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & OWNER).into(),
        address => address,
    }
}

/// The number of connections of each address. It never has more entries than there are connections.
struct Addresses {
    most: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

struct OfAddress {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    fn place(addresses: &Arc<Addresses>, address: IpAddr) -> Option<OfAddress> {
        // Plain numbers, valid after any panic.
        let mut open = addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= addresses.most {
            return None;
        }
        *count += 1;
        Some(OfAddress { addresses: Arc::clone(addresses), address })
    }
}

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_an_address_are_returned_and_leave_no_entry_behind() {
        let addresses = Arc::new(Addresses { most: 2, open: Mutex::default() });
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let other: IpAddr = "192.0.2.2".parse().unwrap();
        let first = Addresses::place(&addresses, one).unwrap();
        let _second = Addresses::place(&addresses, one).unwrap();
        assert!(Addresses::place(&addresses, one).is_none());
        assert!(Addresses::place(&addresses, other).is_some(), "others are not concerned");
        drop(first);
        assert!(Addresses::place(&addresses, one).is_some());
        drop(_second);
        assert!(addresses.open.lock().unwrap().is_empty());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_owner() {
        let of = |text: &str| owner(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
