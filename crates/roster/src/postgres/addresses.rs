//! The addresses of a host's name, tried until one answers. Must never let a silent address hold up the others for longer
//! than its head start.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::lookup_host;
use tokio::time::timeout;

/// How long an address may be silent before the next one is tried as well. All addresses of a host share the time that
/// connecting to it may take.
const HEAD_START: Duration = Duration::from_millis(200);

/// The addresses of a name, in the system's order, each once.
pub(crate) async fn of(name: &str, port: u16) -> io::Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    for address in lookup_host((name, port)).await?.map(|it| it.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The first success. The next address is tried when one has failed, or has been silent for its head start; those that
/// were tried go on meanwhile. After the last failure, that one; nothing, if there is no address.
pub(crate) async fn first<A, T, E, F: Future<Output = Result<T, E>>>(
    addresses: impl IntoIterator<Item = A>,
    connect: impl Fn(A) -> F,
) -> Result<T, Option<E>> {
    let mut addresses = addresses.into_iter().peekable();
    let mut tries = FuturesUnordered::new();
    let mut failed = None;
    loop {
        tries.extend(addresses.next().map(&connect));
        let ended = match addresses.peek() {
            None => tries.next().await,
            Some(_) => match timeout(HEAD_START, tries.next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(error)) => failed = Some(error),
            None => return Err(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Mutex;

    use tokio::time::{Instant, sleep};

    use super::*;

    /// What each address does, what came of it, after how many milliseconds, and which were tried.
    async fn tried(
        addresses: &[Option<(u64, bool)>],
    ) -> (Result<usize, Option<usize>>, u128, Vec<usize>) {
        let (began, tried) = (Instant::now(), Mutex::new(Vec::new()));
        let connect = |at: usize| {
            tried.lock().unwrap().push(at);
            async move {
                let Some((after, is_good)) = addresses[at] else { return pending().await };
                sleep(Duration::from_millis(after)).await;
                if is_good { Ok(at) } else { Err(at) }
            }
        };
        let all = timeout(Duration::from_secs(5), first(0..addresses.len(), connect));
        let ended = all.await.unwrap_or(Err(Some(usize::MAX)));
        (ended, began.elapsed().as_millis(), tried.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_has_a_head_start_before_the_next_one() {
        let (silent, good, bad) = (None, Some((10, true)), Some((10, false)));
        let slow = Some((300, true));
        assert_eq!(tried(&[good, good]).await, (Ok(0), 10, vec![0]));
        assert_eq!(tried(&[bad, good]).await, (Ok(1), 20, vec![0, 1]));
        assert_eq!(tried(&[silent, silent, good]).await, (Ok(2), 410, vec![0, 1, 2]));
        // One that is only slow is not given up.
        assert_eq!(tried(&[slow, silent, silent]).await, (Ok(0), 300, vec![0, 1]));
        assert_eq!(tried(&[silent, bad, good]).await, (Ok(2), 220, vec![0, 1, 2]));
        assert_eq!(tried(&[bad, bad]).await, (Err(Some(1)), 20, vec![0, 1]));
        assert_eq!(tried(&[]).await, (Err(None), 0, vec![]));
        assert_eq!(tried(&[silent, bad]).await, (Err(Some(usize::MAX)), 5000, vec![0, 1]));
    }

    #[tokio::test]
    async fn a_name_has_each_of_its_addresses_once() {
        assert_eq!(of("127.0.0.1", 5432).await.unwrap(), [IpAddr::from([127, 0, 0, 1])]);
        assert!(of("no-such-name.invalid", 5432).await.is_err());
    }
}
