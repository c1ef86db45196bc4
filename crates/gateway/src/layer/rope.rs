//! The bytes of an answer: in one buffer, or in those its pages were rendered in, one behind the other. A long
//! list exists once in memory so. Must never copy a page worth keeping, nor keep a large buffer for a small part.

use std::sync::Arc;

use bytes::Bytes;
use domain::sweep::Part;
use transport::body::{self, Body};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// See the module. A clone is a pointer or two.
#[derive(Debug, Clone)]
pub(crate) struct Rope(Pieces);

#[derive(Debug, Clone)]
enum Pieces {
    One(Bytes),
    Many { pieces: Arc<Vec<Bytes>>, bytes: usize },
}

/// A shorter answer costs less as one buffer.
const ROPE_BYTES_MIN: usize = 128 << 10;

/// Fewer bytes are copied: a piece of its own costs more when it is sent.
const PIECE_BYTES_MIN: usize = 16 << 10;

impl Rope {
    /// A list with what stands around its records.
    pub(crate) fn of_list(open: &str, parts: Vec<Part>, close: &str) -> Self {
        let bytes = open.len() + parts.iter().map(|part| part.len()).sum::<usize>() + close.len();
        let is_long = bytes >= ROPE_BYTES_MIN;
        let mut weaver = Weaver { pieces: Vec::new(), last: Vec::new() };
        if is_long {
            weaver.pieces.reserve_exact(parts.len() + 2);
        } else {
            weaver.last.reserve_exact(bytes);
        }
        weaver.last.extend_from_slice(open.as_bytes());
        let mut is_first = true;
        for part in parts {
            // Each shown row begins with a comma; the first one of all needs none.
            let comma = usize::from(is_first && !part.is_empty());
            is_first &= part.is_empty();
            let is_worth = part.len() >= PIECE_BYTES_MIN && part.len() >= part.buffer_bytes() / 2;
            if is_long && is_worth {
                weaver.put(shared(part).slice(comma..));
            } else {
                weaver.last.extend_from_slice(&part[comma..]);
            }
        }
        weaver.last.extend_from_slice(close.as_bytes());
        weaver.end()
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Pieces::One(bytes) => bytes.len(),
            Pieces::Many { bytes, .. } => *bytes,
        }
    }

    /// The pieces, in order.
    pub(crate) fn pieces(&self) -> &[Bytes] {
        match &self.0 {
            Pieces::One(bytes) => std::slice::from_ref(bytes),
            Pieces::Many { pieces, .. } => pieces,
        }
    }

    /// The same bytes in one buffer, which are copied if there are several. Only a comparison needs it.
    pub(crate) fn joined(&self) -> Bytes {
        match &self.0 {
            Pieces::One(bytes) => bytes.clone(),
            Pieces::Many { pieces, .. } => Bytes::from(pieces.concat()),
        }
    }

    /// Names just these bytes, whatever their pieces are.
    pub(crate) fn digest(&self) -> u128 {
        match &self.0 {
            Pieces::One(bytes) => xxh3_128(bytes),
            Pieces::Many { pieces, .. } => {
                let mut digest = Xxh3::new();
                pieces.iter().for_each(|piece| digest.update(piece));
                digest.digest128()
            }
        }
    }

    /// Each piece as `change` makes it, with the same bytes in it.
    pub(crate) fn map(self, mut change: impl FnMut(Bytes) -> Bytes) -> Self {
        match self.0 {
            Pieces::One(bytes) => Rope(Pieces::One(change(bytes))),
            Pieces::Many { pieces, bytes } => {
                let pieces = Arc::unwrap_or_clone(pieces).into_iter().map(change).collect();
                Rope(Pieces::Many { pieces: Arc::new(pieces), bytes })
            }
        }
    }

    /// An answer's body. Each piece is given back as soon as it is sent, if nobody else holds it.
    pub(crate) fn into_body(self) -> Body {
        match self.0 {
            Pieces::One(bytes) => body::full(bytes),
            Pieces::Many { pieces, .. } => body::pieces(Arc::unwrap_or_clone(pieces)),
        }
    }
}

impl From<Bytes> for Rope {
    fn from(bytes: Bytes) -> Self {
        Rope(Pieces::One(bytes))
    }
}

/// Collects pieces; what is too short to be one is copied to its neighbours.
struct Weaver {
    pieces: Vec<Bytes>,
    last: Vec<u8>,
}

impl Weaver {
    fn put(&mut self, piece: Bytes) {
        self.end_last();
        self.pieces.push(piece);
    }

    fn end_last(&mut self) {
        if !self.last.is_empty() {
            self.last.shrink_to_fit();
            self.pieces.push(std::mem::take(&mut self.last).into());
        }
    }

    fn end(mut self) -> Rope {
        if self.pieces.is_empty() {
            self.last.shrink_to_fit();
            return Rope(Pieces::One(self.last.into()));
        }
        self.end_last();
        let bytes = self.pieces.iter().map(Bytes::len).sum();
        Rope(Pieces::Many { pieces: Arc::new(self.pieces), bytes })
    }
}

/// A part as bytes that can be shared, without copying them.
pub(crate) fn shared(part: Part) -> Bytes {
    match part.into_buffer() {
        Ok((buffer, range)) => Bytes::from(buffer).slice(range),
        Err(part) => Bytes::from_owner(part),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body::Body as _;

    use super::*;

    /// Parts of so many bytes, each in a buffer of so many.
    fn parts(sizes: &[(usize, usize)]) -> Vec<Part> {
        let part = |(number, (bytes, room)): (usize, &(usize, usize))| {
            let mut buffer = Vec::with_capacity(*room);
            buffer.push(b',');
            buffer.resize(*bytes, b'a' + number as u8);
            Part::of(buffer)
        };
        sizes.iter().enumerate().map(part).collect()
    }

    fn text(parts: &[Part]) -> Vec<u8> {
        let rows: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        [b"[", rows.get(1..).unwrap_or_default(), b"]"].concat()
    }

    const KIB: usize = 1 << 10;

    #[tokio::test]
    async fn an_answer_is_the_same_bytes_whatever_its_pieces_are() {
        for (sizes, pieces) in [
            (&[][..], 1),
            (&[(20, 20)], 1),
            // Short, although each is worth a piece.
            (&[(50 * KIB, 50 * KIB), (50 * KIB, 50 * KIB)], 1),
            (&[(100 * KIB, 100 * KIB), (50 * KIB, 50 * KIB)], 4),
            // What lies between is copied together.
            (&[(100 * KIB, 100 * KIB), (KIB, KIB), (2 * KIB, 2 * KIB), (50 * KIB, 50 * KIB)], 5),
            // A buffer is not kept for a small part of it.
            (&[(100 * KIB, 300 * KIB), (50 * KIB, 50 * KIB)], 3),
            (&[(100 * KIB, 300 * KIB), (50 * KIB, 150 * KIB)], 1),
        ] {
            let expected = text(&parts(sizes));
            let rope = Rope::of_list("[", parts(sizes), "]");
            assert_eq!(rope.pieces().len(), pieces, "{sizes:?}");
            assert_eq!((rope.len(), &rope.joined()[..]), (expected.len(), &expected[..]));
            assert_eq!(rope.digest(), xxh3_128(&expected), "{sizes:?}");
            let body = rope.into_body();
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
            let sent = body::collect(body, expected.len(), Duration::from_secs(60)).await.unwrap();
            assert_eq!(sent, expected, "{sizes:?}");
        }
    }

    #[test]
    fn an_empty_part_takes_no_comma_from_the_next_one() {
        let mut list = parts(&[(100 * KIB, 100 * KIB), (100 * KIB, 100 * KIB)]);
        let expected = text(&list);
        list.insert(0, Part::of(Vec::new()));
        assert_eq!(Rope::of_list("[", list, "]").joined(), expected);
    }

    #[test]
    fn the_buffers_of_long_lists_are_not_copied() {
        let parts = parts(&[(100 * KIB, 100 * KIB), (100 * KIB, 100 * KIB)]);
        let before = parts.iter().map(|part| part.as_ptr_range().end).collect::<Vec<_>>();
        let rope = Rope::of_list("[", parts, "]");
        let after = rope.pieces()[1..3].iter().map(|piece| piece.as_ptr_range().end);
        assert!(after.eq(before));
    }
}
