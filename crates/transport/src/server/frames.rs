//! Counts HTTP/2 frames that ask for nothing, because h2 takes them as fast as they arrive, and requests that
//! are taken back. Must never look into a frame or cut one in the middle.

use std::time::Duration;

use tokio::time::Instant;

/// More control frames than this within [`WINDOW`] are a flood.
const CONTROL_FRAMES_MAX: usize = 1_000;
const WINDOW: Duration = Duration::from_secs(10);
/// More requests than this that are taken back within [`WINDOW`] are a flood, if they are most of all
/// requests. A proxy whose clients leave has more, but has many others as well.
const RESETS_MAX: usize = 100;
/// Written bytes for each WINDOW_UPDATE that counts for nothing: a reader gives room back, twice for the
/// smallest frame there is.
const BYTES_PER_UPDATE: usize = 4;

const HEAD_BYTES: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;

/// Follows the frames of one connection.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The current frame's head.
    head: [u8; HEAD_BYTES],
    has: usize,
    /// The unread bytes of the current frame's content.
    left: usize,
    count: usize,
    requests: usize,
    resets: usize,
    /// Bytes that were written, and for which no room was given back yet.
    written: usize,
    since: Option<Instant>,
}

impl Frames {
    /// Looks at the next bytes. `Some` is the end of the last allowed frame in them; the rest is a flood.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.left > 0 {
                let here = self.left.min(bytes.len() - at);
                self.left -= here;
                at += here;
                continue;
            }
            if self.has == 0 && self.is_flood() {
                return Some(at);
            }
            if let Some(place) = self.head.get_mut(self.has) {
                *place = *byte;
            }
            self.has += 1;
            at += 1;
            if self.has == HEAD_BYTES {
                let [high, middle, low, kind, ..] = self.head;
                self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
                self.has = 0;
                self.count(kind);
            }
        }
        None
    }

    /// Notes bytes that were written to the peer.
    pub(super) fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
    }

    fn is_flood(&self) -> bool {
        self.count > CONTROL_FRAMES_MAX
            || (self.resets > RESETS_MAX && self.resets > self.requests / 2)
    }

    fn count(&mut self, kind: u8) {
        match kind {
            // Other code limits what belongs to a request.
            DATA | CONTINUATION => return,
            HEADERS => {
                self.requests += 1;
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
        self.resets += usize::from(kind == RST_STREAM);
    }
}

/// The bytes that h2 reads in place of a flood: an endless header block, which h2 answers with GOAWAY and
/// ENHANCE_YOUR_CALM.
pub(super) fn calm_down() -> Vec<u8> {
    const FRAMES: usize = 256;
    let frame = |kind| [0, 0, 0, kind, 0, 0x7f, 0xff, 0xff, 0xff];
    let mut bytes = frame(HEADERS).to_vec();
    for _ in 0..FRAMES {
        bytes.extend_from_slice(&frame(CONTINUATION));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 0x6;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 0];
        frame.resize(HEAD_BYTES + usize::from(length), 7);
        frame
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_cut_between_two_frames_however_its_bytes_arrive() {
        let ping = frame(PING, 8);
        let flood = ping.repeat(CONTROL_FRAMES_MAX + 5);
        let allowed = ping.len() * (CONTROL_FRAMES_MAX + 1);
        assert_eq!(Frames::default().look(&flood), Some(allowed));
        let mut single = Frames::default();
        let first = flood.iter().position(|byte| single.look(&[*byte]).is_some());
        assert_eq!(first, Some(allowed));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_of_requests_and_slow_control_frames_are_no_flood() {
        let mut frames = Frames::default();
        for kind in [DATA, HEADERS, CONTINUATION] {
            assert_eq!(frames.look(&frame(kind, 5).repeat(2 * CONTROL_FRAMES_MAX)), None);
        }
        let updates = frame(WINDOW_UPDATE, 4).repeat(2 * CONTROL_FRAMES_MAX);
        frames.wrote(2 * CONTROL_FRAMES_MAX * BYTES_PER_UPDATE);
        assert_eq!(frames.look(&updates), None, "of a reader");
        assert!(Frames::default().look(&updates).is_some(), "of one to whom nothing was written");
        for _ in 0..5 {
            assert_eq!(frames.look(&frame(PING, 8).repeat(CONTROL_FRAMES_MAX)), None);
            tokio::time::advance(2 * WINDOW).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_taken_back_are_a_flood_if_they_are_most_of_all() {
        let (request, reset) = (frame(HEADERS, 5), frame(RST_STREAM, 4));
        let both = [&request[..], &reset].concat();
        let mut frames = Frames::default();
        assert_eq!(frames.look(&both.repeat(RESETS_MAX)), None);
        assert!(frames.look(&both.repeat(2)).is_some());
        // However slowly they come, within ten seconds.
        let mut slow = Frames::default();
        let mut count = 0;
        while slow.look(&both).is_none() && count < 2_000 {
            count += 1;
            tokio::time::advance(Duration::from_millis(5)).await;
        }
        assert_eq!(count, RESETS_MAX + 1);
        let mut proxy = Frames::default();
        let mixed = [request.repeat(3), reset].concat();
        assert_eq!(proxy.look(&mixed.repeat(CONTROL_FRAMES_MAX / 2)), None);
    }
}
