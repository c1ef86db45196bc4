//! The head of an HTTP/2 frame, and the start of its header block. h2 ignores pseudo fields that come
//! first in trailers; behind a plain field it refuses them. Must never decode more of a block than its start.

use bytes::{BufMut, BytesMut};

/// The size of a frame's head.
pub(crate) const HEAD_BYTES: usize = 9;
/// The largest content of a frame, unless a setting of ours allows more. h2 ends the connection for a larger one
/// before it looks into it.
pub(crate) const FRAME_BYTES_MAX: usize = 1 << 14;
pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// `host`, without a value: an indexed field of the static table (RFC 7541, appendix A). It is no trailer.
const PLAIN_FIELD: u8 = 0x80 | 38;

/// The bytes behind those that have `passed` and behind the rest of a frame. That rest passes here.
pub(crate) fn behind<'a>(bytes: &'a [u8], passed: &mut usize, left: &mut usize) -> &'a [u8] {
    let rest = bytes.get(*passed..).unwrap_or_default();
    let here = (*left).min(rest.len());
    *left -= here;
    *passed += here;
    rest.get(here..).unwrap_or_default()
}

/// The head of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHead {
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl FrameHead {
    /// The head at the start of these bytes, if it is all there.
    pub(crate) fn of(bytes: &[u8]) -> Option<FrameHead> {
        let [high, middle, low, kind, flags, stream @ ..] = *bytes.first_chunk::<HEAD_BYTES>()?;
        Some(FrameHead {
            length: u32::from_be_bytes([0, high, middle, low]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        })
    }

    fn bytes(&self) -> [u8; HEAD_BYTES] {
        let length = u32::try_from(self.length).unwrap_or(u32::MAX).to_be_bytes();
        let [_, high, middle, low] = length;
        let [a, b, c, d] = self.stream.to_be_bytes();
        [high, middle, low, self.kind, self.flags, a, b, c, d]
    }

    /// Where the fields of a HEADERS frame begin, behind changes of the table's size. `None` if more bytes
    /// of the frame are needed, which are never more than a frame may have.
    pub(crate) fn fields_at(&self, frame: &[u8]) -> Option<usize> {
        if self.length > FRAME_BYTES_MAX {
            return Some(HEAD_BYTES);
        }
        let end = HEAD_BYTES + self.length;
        let has = |flag, bytes| if self.flags & flag == 0 { 0 } else { bytes };
        let mut at = HEAD_BYTES + has(PADDED, 1) + has(PRIORITY, 5);
        while at < end && frame.get(at)? & 0xe0 == 0x20 {
            let mut goes_on = frame.get(at)? & 0x1f == 0x1f;
            at += 1;
            while goes_on && at < end {
                goes_on = frame.get(at)? & 0x80 != 0;
                at += 1;
            }
        }
        let at = at.min(end);
        (frame.len() >= at).then_some(at)
    }
}

/// Puts a plain field in front of the trailers whose frame begins at `at`, so that h2 refuses pseudo fields in
/// them. `false` if more bytes of the frame are needed. A frame that is as large as frames may be becomes two; one
/// that is padded as well gets too large, and h2 refuses it, as it does a larger one, which stays as it is.
pub(crate) fn shield(bytes: &mut BytesMut, at: usize) -> bool {
    let frame = bytes.get(at..).unwrap_or_default();
    let Some(head) = FrameHead::of(frame) else { return false };
    let Some(fields) = head.fields_at(frame) else { return false };
    if head.length > FRAME_BYTES_MAX {
        return true;
    }
    let rest = bytes.split_off(at + fields);
    bytes.put_u8(PLAIN_FIELD);
    let mut first = FrameHead { length: head.length + 1, ..head };
    if head.length == FRAME_BYTES_MAX && head.flags & PADDED == 0 {
        let (length, flags) = (HEAD_BYTES + head.length - fields, head.flags & END_HEADERS);
        let more = FrameHead { length, kind: CONTINUATION, flags, ..head };
        bytes.put_slice(&more.bytes());
        (first.length, first.flags) = (fields + 1 - HEAD_BYTES, head.flags & !END_HEADERS);
    }
    bytes.unsplit(rest);
    if let Some(place) = bytes.get_mut(at..at + HEAD_BYTES) {
        place.copy_from_slice(&first.bytes());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b14_of_a_frame_that_is_too_large_nothing_is_waited_for() {
        let length = (FRAME_BYTES_MAX as u32 + 1).to_be_bytes();
        let head = [length[1], length[2], length[3], HEADERS, 0x5, 0, 0, 0, 1];
        // Changes of the table's size, which go on and on.
        let whole = [&head[..], &[0x20; 100]].concat();
        let mut bytes = BytesMut::from(&whole[..]);
        assert!(shield(&mut bytes, 0));
        assert_eq!(bytes, whole);
        assert_eq!(FrameHead::of(&head).unwrap().fields_at(&head), Some(HEAD_BYTES));
    }

    #[test]
    fn a_plain_field_stands_in_front_of_trailers() {
        for (flags, payload, shielded) in [
            (0x5, &[0x82][..], &[PLAIN_FIELD, 0x82][..]),
            (0x5, &[], &[PLAIN_FIELD]),
            (0x5 | PADDED, &[2, 0x82, 0, 0], &[2, PLAIN_FIELD, 0x82, 0, 0]),
            (0x5 | PRIORITY, &[0, 0, 0, 0, 9, 0x82], &[0, 0, 0, 0, 9, PLAIN_FIELD, 0x82]),
            (0x5, &[0x20, 0x3f, 0xe1, 0x1f, 0x82], &[0x20, 0x3f, 0xe1, 0x1f, PLAIN_FIELD, 0x82]),
            (0x5 | PADDED, &[0], &[0, PLAIN_FIELD]),
            (0x5 | PRIORITY, &[0, 0, 0, 0, 9], &[0, 0, 0, 0, 9, PLAIN_FIELD]),
            (0x5 | PADDED | PRIORITY, &[0; 6], &[0, 0, 0, 0, 0, 0, PLAIN_FIELD]),
        ] {
            let frame = |payload: &[u8]| {
                let mut frame = vec![7, 7, 0, 0, payload.len() as u8, HEADERS, flags, 0, 0, 0, 1];
                frame.extend_from_slice(payload);
                frame
            };
            let (whole, wanted) = (frame(payload), [frame(shielded), vec![9]].concat());
            let mut bytes = BytesMut::from(&[&whole[..], &[9]].concat()[..]);
            assert!(shield(&mut bytes, 2));
            assert_eq!(bytes, wanted, "{payload:?}");
            // However much of the frame is there, nothing is read or written behind it.
            let fields = shielded.iter().rposition(|byte| *byte == PLAIN_FIELD).unwrap();
            for cut in 2..2 + HEAD_BYTES + fields {
                let mut bytes = BytesMut::from(&whole[..cut]);
                assert!(!shield(&mut bytes, 2), "{cut} bytes of {payload:?}");
                assert_eq!(bytes, whole[..cut]);
            }
        }
    }

    #[test]
    fn trailers_of_the_largest_frame_become_two_frames() {
        const END: u8 = END_STREAM | END_HEADERS;
        let head = |length, kind, flags| FrameHead { length, kind, flags, stream: 7 }.bytes();
        for (flags, before) in [(END, &[][..]), (END | PRIORITY, &[0, 0, 0, 0, 9]), (END, &[0x20])]
        {
            let fields = vec![0x82; FRAME_BYTES_MAX - before.len()];
            let whole =
                [&head(FRAME_BYTES_MAX, HEADERS, flags)[..], before, &fields, b"next"].concat();
            let first = head(before.len() + 1, HEADERS, flags & !END_HEADERS);
            let second = head(fields.len(), CONTINUATION, END_HEADERS);
            let wanted = [&first[..], before, &[PLAIN_FIELD], &second, &fields, b"next"].concat();
            let mut bytes = BytesMut::from(&whole[..]);
            assert!(shield(&mut bytes, 0));
            assert_eq!(bytes, wanted);
        }
    }
}
