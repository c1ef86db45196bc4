//! The rendered bytes of a page's rows: written once, and shared from then on if the page is kept, so that a page that
//! has not changed costs no copy. Must never change what is shared: whoever writes has bytes of its own.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// See the module.
#[derive(Debug, Clone)]
pub struct Rendered(Bytes);

#[derive(Debug, Clone)]
enum Bytes {
    Own(Vec<u8>),
    Shared(Arc<Vec<u8>>),
}

impl Rendered {
    /// The same bytes, for somebody else, too.
    pub fn share(&mut self) -> Rendered {
        let shared = match std::mem::take(self).0 {
            Bytes::Shared(shared) => shared,
            Bytes::Own(bytes) => Arc::new(bytes),
        };
        self.0 = Bytes::Shared(Arc::clone(&shared));
        Rendered(Bytes::Shared(shared))
    }

    /// Gives back what was set aside and not needed, if that is much, unless others have the bytes as well.
    pub(super) fn fit(&mut self) {
        if let Bytes::Own(bytes) = &mut self.0
            && bytes.len() < bytes.capacity() / 2
        {
            bytes.shrink_to_fit();
        }
    }

    /// Drops what comes behind so many bytes.
    pub(super) fn cut(&mut self, len: usize) {
        if len < self.len() {
            self.truncate(len);
        }
    }
}

impl Default for Rendered {
    fn default() -> Self {
        Rendered(Bytes::Own(Vec::new()))
    }
}

impl From<Vec<u8>> for Rendered {
    fn from(bytes: Vec<u8>) -> Self {
        Rendered(Bytes::Own(bytes))
    }
}

impl Deref for Rendered {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        match &self.0 {
            Bytes::Own(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
        }
    }
}

impl DerefMut for Rendered {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        match &mut self.0 {
            Bytes::Own(bytes) => bytes,
            Bytes::Shared(bytes) => Arc::make_mut(bytes),
        }
    }
}

impl PartialEq for Rendered {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Rendered {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_bytes_are_not_copied_until_somebody_writes_and_never_change() {
        let mut page = Rendered::from(b",1,2".to_vec());
        let kept = page.share();
        let mut again = kept.clone();
        assert!(std::ptr::eq(again.as_ptr(), page.as_ptr()), "one block");
        again.cut(4);
        again.fit();
        assert!(std::ptr::eq(again.as_ptr(), kept.as_ptr()), "nothing was cut");
        again.cut(2);
        page.push(b'x');
        assert_eq!((&again[..], &kept[..], &page[..]), (&b",1"[..], &b",1,2"[..], &b",1,2x"[..]));
    }
}
