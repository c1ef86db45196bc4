//! A second check of HTTP/1. hyper accepts requests that another server on the way may read differently.
//! So the guard passes on a head only when all of it is valid, and a body only as far as its framing is
//! valid.
//!
//! Must never change a byte of a valid request, and must never accept a request that hyper frames
//! differently: each rule here is hyper's or stricter.

use std::sync::Arc;

use super::ServerLimits;
use super::head::{Framing, Head, field, is_control};
use super::refusal::Refusal;

/// How many bytes of a trailer line are kept, enough to check its name. The rest belongs to its value.
const TRAILER_BYTES_KEPT: usize = 256;
const CHUNK_DIGITS_MAX: usize = 15;

/// Follows the requests of one connection.
#[derive(Debug)]
pub(super) struct Guard {
    limits: Arc<ServerLimits>,
    step: Step,
    head: Head,
    /// Where the current line of an unfinished head begins...
    line_at: usize,
    /// ...and how far the search for its end has come.
    searched: usize,
    trailer: Trailer,
}

/// The next byte...
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    /// ...belongs to a request's head.
    Head,
    /// ...to a body with this much left.
    Fixed(u64),
    /// ...to the size of a chunk: its value and digits so far.
    Size(u64, usize),
    /// ...to an extension after the size.
    Extension(u64),
    /// ...ends its line.
    SizeEnd(u64),
    /// ...belongs to a chunk with this much left.
    Chunk(u64),
    /// ...ends it.
    ChunkCr,
    ChunkLf,
    /// ...belongs to the trailers.
    Trailers,
    /// ...begins a head or another protocol, which only the answer tells.
    Switch,
}

/// The guard's result for some bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    /// How many of them may be passed on. The rest must be shown again together with more bytes.
    pub(super) passed: usize,
    /// The refusal, if nothing after those bytes may ever be passed on.
    pub(super) refusal: Option<Refusal>,
}

impl Guard {
    pub(super) fn new(limits: Arc<ServerLimits>) -> Self {
        Guard {
            limits,
            step: Step::Head,
            head: Head::default(),
            line_at: 0,
            searched: 0,
            trailer: Trailer::default(),
        }
    }

    /// Whether the next byte belongs to a head, not to a body.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.step, Step::Head | Step::Switch)
    }

    /// Whether nothing may pass before the answer tells if the connection switches protocols.
    pub(super) fn awaits_answer(&self) -> bool {
        self.step == Step::Switch
    }

    /// The connection did not switch protocols: the next byte belongs to a head.
    pub(super) fn stays(&mut self) {
        self.step = Step::Head;
    }

    /// Checks the next bytes. They begin with the bytes of the last call that were not passed on.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Seen {
        let mut passed = 0;
        while let Some(rest) = bytes.get(passed..).filter(|rest| !rest.is_empty()) {
            match self.step {
                Step::Head => match self.look_at_head(rest) {
                    Ok(Some(length)) => passed += length,
                    Ok(None) => return Seen { passed, refusal: None },
                    Err(refusal) => return Seen { passed, refusal: Some(refusal) },
                },
                Step::Switch => return Seen { passed, refusal: None },
                // Content is skipped in one step.
                Step::Fixed(left) | Step::Chunk(left) => {
                    let here = left.min(rest.len() as u64);
                    passed += usize::try_from(here).unwrap_or(rest.len());
                    self.step = match (self.step, left - here) {
                        (Step::Fixed(_), 0) => Step::Head,
                        (Step::Fixed(_), left) => Step::Fixed(left),
                        (_, 0) => Step::ChunkCr,
                        (_, left) => Step::Chunk(left),
                    };
                }
                _ => match rest.first().and_then(|byte| self.next(*byte)) {
                    Some(step) => {
                        self.step = step;
                        passed += 1;
                    }
                    None => return Seen { passed, refusal: Some(Refusal::BadFraming) },
                },
            }
        }
        Seen { passed, refusal: None }
    }

    /// The length of the head at the start of `bytes`, if it is complete and valid.
    fn look_at_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Refusal> {
        loop {
            let unread = bytes.get(self.searched..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', unread) else {
                self.searched = bytes.len();
                self.head.fits((bytes.len() - self.line_at).saturating_sub(1), &self.limits)?;
                return Ok(None);
            };
            let end = self.searched + found;
            let line = bytes.get(self.line_at..end).unwrap_or_default();
            // Only CR and LF together end a line.
            let Some(line) = line.strip_suffix(b"\r") else {
                // The same as if its last byte had come later: if it is too long as well, that counts.
                self.head.fits(line.len().saturating_sub(1), &self.limits)?;
                return Err(Refusal::BadHeader);
            };
            (self.line_at, self.searched) = (end + 1, end + 1);
            if let Some(framing) = self.head.line(line, &self.limits)? {
                self.head.next();
                (self.line_at, self.searched) = (0, 0);
                self.step = match framing {
                    Framing::Nothing => Step::Head,
                    Framing::Switch => Step::Switch,
                    Framing::Length(length) => Step::Fixed(length),
                    Framing::Chunks => Step::Size(0, 0),
                };
                return Ok(Some(end + 1));
            }
        }
    }

    /// The step after a byte of a body's framing; `None` if the byte is invalid or ambiguous.
    fn next(&mut self, byte: u8) -> Option<Step> {
        Some(match (self.step, byte) {
            (Step::Trailers, _) => match self.trailer.push(byte, &self.limits)? {
                true => Step::Head,
                false => Step::Trailers,
            },
            (Step::Size(size, digits), b'\r') if digits > 0 => Step::SizeEnd(size),
            (Step::Size(size, digits), b';') if digits > 0 => Step::Extension(size),
            (Step::Size(size, digits), _) if digits < CHUNK_DIGITS_MAX => {
                let digit = (byte as char).to_digit(16)?;
                Step::Size(size * 16 + u64::from(digit), digits + 1)
            }
            (Step::Extension(size), b'\r') => Step::SizeEnd(size),
            (Step::Extension(size), _) if is_text(byte) => Step::Extension(size),
            (Step::SizeEnd(0), b'\n') => {
                self.trailer = Trailer::default();
                Step::Trailers
            }
            (Step::SizeEnd(size), b'\n') => Step::Chunk(size),
            (Step::ChunkCr, b'\r') => Step::ChunkLf,
            (Step::ChunkLf, b'\n') => Step::Size(0, 0),
            _ => return None,
        })
    }
}

/// The fields after the last chunk: the current line, without its end.
#[derive(Debug, Default)]
struct Trailer {
    kept: Vec<u8>,
    has_cr: bool,
    bytes: usize,
    lines: usize,
}

impl Trailer {
    /// Takes a byte; `true` when the trailers have ended.
    fn push(&mut self, byte: u8, limits: &ServerLimits) -> Option<bool> {
        self.bytes += 1;
        if self.bytes > limits.header_bytes_max as usize {
            return None;
        }
        match (self.has_cr, byte) {
            (true, b'\n') => {
                let line = std::mem::take(&mut self.kept);
                self.has_cr = false;
                if line.is_empty() {
                    return Some(true);
                }
                field(&line)?;
                self.lines += 1;
                if self.lines > limits.headers_max {
                    return None;
                }
            }
            (true, _) | (false, b'\n') => return None,
            (false, b'\r') => self.has_cr = true,
            (false, _) if self.kept.len() < TRAILER_BYTES_KEPT => self.kept.push(byte),
            (false, _) if is_control(byte) => return None,
            (false, _) => {}
        }
        Some(false)
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (b' '..=b'~').contains(&byte)
}

#[cfg(test)]
mod tests;
