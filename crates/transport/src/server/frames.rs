//! Counts HTTP/2 frames that ask for nothing, because h2 takes them as fast as they arrive, and requests that
//! are taken back; finds trailers. h2 has limits of its own for empty DATA and for CONTINUATION, which cannot be
//! set; those here may be lower. Must never look into a frame or cut one in the middle.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::ServerLimits;
use crate::http2::{
    self, CONTINUATION, DATA, END_HEADERS, END_STREAM, FrameHead, HEAD_BYTES, HEADERS, RST_STREAM,
    WINDOW_UPDATE,
};

const WINDOW: Duration = Duration::from_secs(10);
/// More requests whose bodies go on are not followed: then every later header block of a known stream counts as
/// trailers.
const OPEN_MAX: usize = 256;
/// Written bytes for each WINDOW_UPDATE that counts for nothing: a reader gives room back, twice for the
/// smallest frame there is.
const BYTES_PER_UPDATE: usize = 4;

/// Follows the frames of one connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    limits: Arc<ServerLimits>,
    /// The unread bytes of the current frame's content.
    left: usize,
    newest: u32,
    /// The streams whose requests have not ended. One more header block of such a stream is its trailers; any other
    /// one is h2's to refuse.
    open: Vec<u32>,
    /// Whether there were more than [`OPEN_MAX`].
    has_others: bool,
    are_shielded: bool,
    count: usize,
    requests: usize,
    resets: usize,
    /// DATA without content.
    empty: usize,
    /// CONTINUATION frames of the newest header block, and its stream while it goes on.
    continuations: usize,
    block: Option<u32>,
    /// Bytes that were written, and for which no room was given back yet.
    written: usize,
    since: Option<Instant>,
}

/// The result of a look at some bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    /// How many of them may be passed on. The rest must be shown again, together with more bytes.
    pub(super) passed: usize,
    /// Why the rest may not.
    pub(super) end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    /// It is a flood, and nothing of it may ever be passed on.
    Flood,
    /// It begins with trailers, which need a shield.
    Trailers,
}

impl Frames {
    pub(super) fn new(limits: Arc<ServerLimits>) -> Self {
        Frames { limits, ..Frames::default() }
    }

    /// Looks at the next bytes.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Seen {
        let mut passed = 0;
        loop {
            let rest = http2::behind(bytes, &mut passed, &mut self.left);
            if !rest.is_empty() && self.is_flood() {
                return Seen { passed, end: Some(End::Flood) };
            }
            let Some(head) = FrameHead::of(rest) else { return Seen { passed, end: None } };
            if head.kind == HEADERS
                && !std::mem::take(&mut self.are_shielded)
                && self.are_trailers(&head)
            {
                return Seen { passed, end: Some(End::Trailers) };
            }
            self.follow(&head);
            self.left = head.length;
            passed += HEAD_BYTES;
            self.count(head);
        }
    }

    fn are_trailers(&self, head: &FrameHead) -> bool {
        head.stream <= self.newest && (self.has_others || self.open.contains(&head.stream))
    }

    /// Notes which requests begin, and which end.
    fn follow(&mut self, head: &FrameHead) {
        let is_last = head.flags & END_STREAM != 0;
        match head.kind {
            HEADERS if head.stream > self.newest => {
                self.newest = head.stream;
                match self.open.len() {
                    _ if is_last => {}
                    OPEN_MAX => self.has_others = true,
                    _ => self.open.push(head.stream),
                }
            }
            DATA if !is_last => {}
            // Trailers end a request, or break it.
            HEADERS | DATA | RST_STREAM => self.open.retain(|open| *open != head.stream),
            _ => {}
        }
    }

    /// Puts a shield before the trailers that [`Frames::look`] found. `false` if more bytes are needed.
    pub(super) fn shield(&mut self, bytes: &mut BytesMut, at: usize) -> bool {
        self.are_shielded = http2::shield(bytes, at);
        self.are_shielded
    }

    /// Notes bytes that were written to the peer.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
    }

    /// The bytes that h2 reads in place of a flood: a header block without end, which h2 answers with GOAWAY
    /// and ENHANCE_YOUR_CALM.
    pub(super) fn calm_down(&self) -> Vec<u8> {
        const FRAMES: usize = 256;
        let [a, b, c, d] = self.block.unwrap_or(0x7fff_ffff).to_be_bytes();
        let frame = |kind| [0, 0, 0, kind, 0, a, b, c, d];
        let mut bytes = Vec::new();
        if self.block.is_none() {
            bytes.extend_from_slice(&frame(HEADERS));
        }
        bytes.extend_from_slice(&frame(CONTINUATION).repeat(FRAMES));
        bytes
    }

    fn is_flood(&self) -> bool {
        let limits = &self.limits;
        self.count > limits.control_frames_max
            || (self.resets > limits.resets_max && self.resets > self.requests / 2)
            || self.empty > limits.empty_frames_max
            || self.continuations > limits.continuations_max
    }

    fn count(&mut self, head: FrameHead) {
        match head.kind {
            DATA => {
                self.empty += usize::from(head.length == 0 && head.flags & END_STREAM == 0);
                return;
            }
            HEADERS | CONTINUATION => {
                self.block = (head.flags & END_HEADERS == 0).then_some(head.stream);
                if head.kind == CONTINUATION {
                    // As h2 counts them: the last one ends the block.
                    self.continuations += usize::from(head.flags & END_HEADERS == 0);
                } else {
                    self.requests += 1;
                    self.continuations = 0;
                }
                return;
            }
            WINDOW_UPDATE if self.written >= BYTES_PER_UPDATE => {
                self.written -= BYTES_PER_UPDATE;
                return;
            }
            _ => {}
        }
        let now = Instant::now();
        if self.since.is_none_or(|since| now - since > WINDOW) {
            (self.since, self.count, self.requests, self.resets) = (Some(now), 0, 0, 0);
        }
        self.count += 1;
        self.resets += usize::from(head.kind == RST_STREAM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 0x6;
    const CONTROL_FRAMES_MAX: usize = 1_000;
    const RESETS_MAX: usize = 100;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 0];
        frame.resize(HEAD_BYTES + usize::from(length), 7);
        frame
    }

    /// HEADERS of request after request, with the bytes behind each.
    fn requests(count: usize, behind: &[u8]) -> Vec<u8> {
        let one = |number: usize| {
            let mut request = frame(HEADERS, 5);
            request[5..HEAD_BYTES].copy_from_slice(&(2 * number as u32 + 1).to_be_bytes());
            request.extend_from_slice(behind);
            request
        };
        (0..count).flat_map(one).collect()
    }

    #[test]
    fn b15_a_header_block_of_a_stream_that_has_ended_is_left_to_h2() {
        let with = |mut frame: Vec<u8>, flags: u8, stream: u8| {
            (frame[4], frame[8]) = (flags, stream);
            frame
        };
        let head = |flags, stream| with(frame(HEADERS, 5), flags, stream);
        let data = |flags, stream| with(frame(DATA, 5), flags, stream);
        let reset = with(frame(RST_STREAM, 4), 0, 1);
        for ended in [
            head(END_STREAM, 1),
            [head(0, 1), data(END_STREAM, 1)].concat(),
            [head(0, 1), reset].concat(),
            [head(0, 3), data(0, 3)].concat(),
        ] {
            let all = [ended, head(END_STREAM, 1)].concat();
            let seen = Seen { passed: all.len(), end: None };
            assert_eq!(Frames::default().look(&all), seen);
        }
        // Where too many go on to be followed, each may be one of them.
        let many: Vec<u8> = requests(OPEN_MAX + 1, &[]);
        let all = [&many[..], &head(END_STREAM, 2)].concat();
        let seen = Seen { passed: many.len(), end: Some(End::Trailers) };
        assert_eq!(Frames::default().look(&all), seen);
    }

    fn is_flood(frames: &mut Frames, bytes: &[u8]) -> bool {
        let seen = frames.look(bytes);
        assert!(seen.end.is_some() || seen.passed == bytes.len());
        seen.end == Some(End::Flood)
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_cut_between_two_frames_however_its_bytes_arrive() {
        let ping = frame(PING, 8);
        let flood = ping.repeat(CONTROL_FRAMES_MAX + 5);
        let allowed = ping.len() * (CONTROL_FRAMES_MAX + 1);
        let cut = Seen { passed: allowed, end: Some(End::Flood) };
        assert_eq!(Frames::default().look(&flood), cut);
        let (mut frames, mut held, mut passed) = (Frames::default(), Vec::new(), 0);
        for byte in &flood {
            held.push(*byte);
            let seen = frames.look(&held);
            held.drain(..seen.passed);
            passed += seen.passed;
            if seen.end.is_some() {
                break;
            }
        }
        assert_eq!(passed, allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_requests_and_slow_control_frames_are_no_flood() {
        let mut frames = Frames::default();
        let many = frame(DATA, 5).repeat(2 * CONTROL_FRAMES_MAX);
        assert!(!is_flood(&mut frames, &many));
        let blocks = requests(CONTROL_FRAMES_MAX, &frame(CONTINUATION, 5).repeat(5));
        assert!(!is_flood(&mut Frames::default(), &blocks));
        assert!(!is_flood(&mut frames, &requests(2 * CONTROL_FRAMES_MAX, &[])));
        let updates = frame(WINDOW_UPDATE, 4).repeat(2 * CONTROL_FRAMES_MAX);
        frames.wrote(2 * CONTROL_FRAMES_MAX * BYTES_PER_UPDATE);
        assert!(!is_flood(&mut frames, &updates), "of a reader");
        assert!(is_flood(&mut Frames::default(), &updates), "for nothing that was written");
        for _ in 0..5 {
            assert!(!is_flood(&mut frames, &frame(PING, 8).repeat(CONTROL_FRAMES_MAX)));
            tokio::time::advance(2 * WINDOW).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_taken_back_are_a_flood_if_they_are_most_of_all() {
        let reset = frame(RST_STREAM, 4);
        let all = requests(RESETS_MAX + 2, &reset);
        let half = requests(RESETS_MAX, &reset).len();
        let mut frames = Frames::default();
        assert!(!is_flood(&mut frames, &all[..half]));
        // However slowly they come, within ten seconds.
        tokio::time::advance(WINDOW / 2).await;
        assert!(is_flood(&mut frames, &all[half..]));
        let few = requests(CONTROL_FRAMES_MAX, &[]);
        let mut proxy = Frames::default();
        assert!(!is_flood(
            &mut proxy,
            &[&reset[..], &few, &reset.repeat(RESETS_MAX + 50)].concat()
        ));
    }

    #[test]
    fn trailers_are_found_and_pass_behind_their_shield() {
        let (head, body) = (requests(1, &[]), frame(DATA, 5));
        let mut frames = Frames::default();
        let before = [&head[..], &body].concat();
        let mut bytes = BytesMut::from(&[&before[..], &head].concat()[..]);
        let seen = Seen { passed: before.len(), end: Some(End::Trailers) };
        assert_eq!(frames.look(&bytes), seen);
        assert!(frames.shield(&mut bytes, before.len()));
        let rest = bytes.split_off(before.len());
        assert_eq!(frames.look(&rest), Seen { passed: head.len() + 1, end: None });
    }
}
