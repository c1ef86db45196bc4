//! What happens to the process as a whole, whichever gateway in it is concerned: panics, and log
//! lines that were lost. Counts only; must never keep or print the text of a panic.

use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};

static PANICS: AtomicU64 = AtomicU64::new(0);
static LOG_LINES_LOST: AtomicU64 = AtomicU64::new(0);

/// From here on a panic is counted and told in the log by its place alone. Its text is withheld: the
/// standard library's own panics quote the text they were given, and that may be a request's.
pub fn watch_panics() {
    panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let (file, line) = panic.location().map_or(("", 0), |place| (place.file(), place.line()));
        tracing::error!(file, line, "a bug: this place panicked");
    }));
}

/// Counts log lines that nobody will read.
pub fn log_lines_lost(lines: u64) {
    LOG_LINES_LOST.fetch_add(lines, Ordering::Relaxed);
}

/// Panics so far.
pub(crate) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Log lines lost so far.
pub(crate) fn lost_log_lines() -> u64 {
    LOG_LINES_LOST.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use tower::{Layer, service_fn};
    use transport::body;

    use super::*;
    use crate::edge::rescue::Rescue;
    use crate::error::Error;
    use crate::layer::call::{Behalf, Incoming};
    use crate::layer::{Below, Tower, layer};

    #[tokio::test]
    async fn c12_a_panic_is_one_requests_problem_and_counted() {
        watch_panics();
        let before = panics();
        let inner = service_fn(async |incoming: Incoming| {
            let path = incoming.request.uri().path();
            assert!(path != "/bug", "a text that must not be shown");
            Ok::<_, Error>(Response::new(body::empty()))
        });
        let rescued = layer(Rescue::default()).layer(Tower(inner));
        let mut answers = std::collections::BTreeMap::new();
        for number in 0..1000 {
            let path = if number == 500 { "/bug" } else { "/" };
            let request = Box::new(Request::get(path).body(body::empty()).unwrap());
            let incoming =
                Incoming { request, endpoint: None, peer: None, behalf: Behalf::default() };
            let answer = rescued.ask(incoming).await.unwrap();
            let slug = answer.headers().get("x-tieline-error").cloned();
            let slug = slug.map(|slug| slug.to_str().unwrap().to_owned());
            *answers.entry((answer.status().as_u16(), slug)).or_insert(0) += 1;
        }
        let internal = (500, Some("internal".to_owned()));
        assert_eq!(answers, [((200, None), 999), (internal, 1)].into());
        assert!(panics() > before);
    }
}
