//! Finds a cause of a known type inside an error. Must never turn an error into text, because the texts of
//! other crates may contain addresses.

use std::error::Error;
use std::io;

/// The first error of type `T` in `error` and its causes.
///
/// `io::Error::source` skips the error that the `io::Error` wraps, so this function checks that one too.
pub(crate) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}
