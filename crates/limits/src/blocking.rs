//! Work that keeps a thread busy for long, done away from the threads that serve sockets, so that
//! small requests need not wait behind it.

use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::flight::Panicked;
use crate::whose;

/// A page of so many bytes is a matter of milliseconds.
pub const LARGE_BYTES: usize = 512 << 10;

/// As many at once as there are cores: more would only take turns with the threads that serve sockets.
static PLACES: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// Does it, and waits for it without keeping a thread.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    // The semaphore is never closed.
    let place = PLACES.acquire().await.map_err(|_| Panicked)?;
    let id = whose::current();
    let done = spawn_blocking(move || {
        let _place = place;
        whose::on_behalf(id, work)
    });
    // The panic was logged where it happened.
    done.await.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn c09_work_done_aside_keeps_no_thread_that_serves() {
        let (say, said) = channel();
        // The only thread that serves has to speak, or the work would never end.
        let (done, ()) = tokio::join!(blocking(move || said.recv()), async move {
            tokio::task::yield_now().await;
            say.send(7).unwrap();
        });
        assert_eq!(done, Ok(Ok(7)));
    }

    #[tokio::test]
    async fn c12_a_panic_aside_is_an_error_of_one_and_gives_its_place_back() {
        for _ in 0..2 * available_parallelism().map_or(1, usize::from) {
            let done = blocking::<()>(|| panic!("a text that must not be shown")).await;
            assert_eq!(done, Err(Panicked));
        }
        assert_eq!(blocking(|| 7).await, Ok(7));
    }
}
