//! Which rows of a page fail for good: found by halving, with few requests that no client waits for.
//!
//! The list is an error in any case. The log tells the operator where the rows are that the vendor must mend.

use std::sync::Arc;
use std::time::Duration;

use domain::sweep::{Paging, Window};
use tokio::time::Instant;

use crate::error::Error;
use crate::layer::Below;
use crate::layer::call::{Behalf, ListCall, PageCall, PageRead};

/// Requests that one search may cost.
const CALLS_MAX: u32 = 8;
/// How long one search may take, as a number of attempts.
const ATTEMPTS_LONG: u32 = 8;

/// Whether an error is about the page that was asked for, and not about the key, the rate, the way to the
/// upstream, or the list as a whole.
pub(crate) fn is_of_page(error: &Error) -> bool {
    matches!(
        error,
        Error::UpstreamFailed { .. }
            | Error::RefusedCall { .. }
            | Error::UpstreamTimeout
            | Error::BadType
            | Error::BadEncoding
            | Error::Body(_)
            | Error::Schema { .. }
    )
}

/// The rows within a failed page that fail by themselves; `None` where that cannot be told, such as when
/// smaller pages all fail or all work.
pub(crate) async fn narrow<S: Below<PageCall, PageRead>>(
    inner: &S,
    list: &ListCall,
    failed: Window,
    paging: Paging,
    attempt_timeout: Duration,
) -> Option<Window> {
    let deadline = Instant::now() + attempt_timeout * ATTEMPTS_LONG;
    // Background requests have a place at once or none, and are not repeated.
    let list = ListCall { deadline, behalf: Behalf::background(), ..list.clone() };
    let list = Arc::new(list);
    let fails = |window| fails(inner, &list, window);
    let (mut at, mut calls, mut has_read, mut is_shown) = (failed, 0, false, true);
    // The last call is for the proof.
    while calls < CALLS_MAX - 1
        && let Some(first) = first_half(at, paging)
    {
        calls += 1;
        is_shown = fails(first).await?;
        has_read |= !is_shown;
        at = if is_shown { first } else { behind(first, at.limit - first.limit) };
    }
    let is_proven = match (has_read, is_shown) {
        (true, true) => true,
        // Its first half was read, which says nothing yet about the other one.
        (true, false) => fails(at).await?,
        // Everything that was asked has failed: perhaps everything fails.
        (false, _) => !fails(behind(at, at.limit)).await?,
    };
    is_proven.then_some(at)
}

/// Whether a window cannot be read; `None` where the answer is about something else.
async fn fails<S: Below<PageCall, PageRead>>(
    inner: &S,
    list: &Arc<ListCall>,
    window: Window,
) -> Option<bool> {
    match inner.ask(PageCall { list: Arc::clone(list), window, is_read_anew: true }).await {
        Ok(_) => Some(false),
        Err(error) => is_of_page(&error).then_some(true),
    }
}

/// The first half of a window; `None` where there is none that can be asked for.
fn first_half(window: Window, paging: Paging) -> Option<Window> {
    let limit = window.limit / 2;
    let can_be_asked = match paging {
        Paging::Offset => limit > 0,
        // Its offset has to be a multiple of its limit, and so has that of the other half.
        Paging::Numbered => window.limit.is_multiple_of(2) && limit >= paging.page_rows_min(),
    };
    can_be_asked.then_some(Window { limit, ..window })
}

/// The window of this length that begins where another ends.
fn behind(window: Window, limit: u32) -> Window {
    Window { offset: window.offset + u64::from(window.limit), limit }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use domain::listing::{Listing, Which};

    use super::*;
    use crate::layer::Tower;
    use crate::layer::call::{Ask, Found};

    /// What a search says of a page of 100 rows at offset 200 and how many requests it took, where these
    /// rows cannot be read; `odd` answers in place of the upstream.
    async fn searched(
        broken: &'static [u64],
        failed: Window,
        paging: Paging,
        odd: Option<Error>,
    ) -> (Option<Window>, usize) {
        let asked: Arc<Mutex<Vec<Window>>> = Arc::default();
        let noted = Arc::clone(&asked);
        let inner = Tower(tower::service_fn(move |page: PageCall| {
            let window = page.window;
            noted.lock().unwrap().push(window);
            assert!(page.list.behalf.is_background);
            let rows = window.offset..window.offset + u64::from(window.limit);
            let answer = match (&odd, broken.iter().any(|row| rows.contains(row))) {
                (Some(error), _) => Err(error.clone()),
                (None, true) => Err(Error::UpstreamFailed { status: 500 }),
                (None, false) => {
                    let (rows, found) = (Arc::default(), Found::default());
                    Ok(PageRead { rows, found, is_unchanged: false })
                }
            };
            std::future::ready(answer)
        }));
        let deadline = Instant::now();
        let list =
            ListCall::new(Listing::Users(Which::Live), Ask::Items, deadline, Behalf::default());
        let found = narrow(&inner, &list, failed, paging, Duration::from_secs(1)).await;
        let asked = asked.lock().unwrap();
        assert!(asked.len() <= 8, "{asked:?}");
        if paging == Paging::Numbered {
            assert!(
                asked.iter().all(|window| window.offset.is_multiple_of(u64::from(window.limit)))
            );
        }
        (found, asked.len())
    }

    #[tokio::test]
    async fn one_row_of_a_page_is_found_wherever_it_stands() {
        let page = Window { offset: 200, limit: 100 };
        const ROWS: [u64; 100] = {
            let mut rows = [0; 100];
            let mut at = 0;
            while at < 100 {
                rows[at] = 200 + at as u64;
                at += 1;
            }
            rows
        };
        for row in ROWS.chunks(1) {
            let (found, _) = searched(row, page, Paging::Offset, None).await;
            assert_eq!(found, Some(Window { offset: row[0], limit: 1 }));
        }
        // Of several rows the first.
        let (found, _) = searched(&[231, 277], page, Paging::Offset, None).await;
        assert_eq!(found, Some(Window { offset: 231, limit: 1 }));
    }

    #[tokio::test]
    async fn numbered_pages_are_halved_as_far_as_they_can_be_asked_for() {
        let page = Window { offset: 5000, limit: 5000 };
        let (found, calls) = searched(&[7600], page, Paging::Numbered, None).await;
        let found = found.unwrap();
        assert!(found.offset <= 7600 && 7600 < found.offset + u64::from(found.limit), "{found:?}");
        assert_eq!((found.limit, calls), (625, 3));
    }

    #[tokio::test]
    async fn a_search_says_nothing_where_the_rows_are_not_what_fails() {
        let page = Window { offset: 0, limit: 100 };
        const ALL: &[u64] = &{
            let mut rows = [0; 300];
            let mut at = 0;
            while at < 300 {
                rows[at] = at as u64;
                at += 1;
            }
            rows
        };
        assert_eq!(searched(ALL, page, Paging::Offset, None).await.0, None, "all of them fail");
        assert_eq!(searched(&[], page, Paging::Offset, None).await.0, None, "none fails alone");
        let limited = Error::limited(Duration::from_secs(1));
        assert_eq!(searched(&[], page, Paging::Offset, Some(limited)).await, (None, 1));
    }
}
