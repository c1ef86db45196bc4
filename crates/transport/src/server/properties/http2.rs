//! HTTP/2: h2 gets the bytes that a walk over the frames finds, in any cut; a flood ends it at the same frame;
//! no more is held back than one frame; and no body is whole that has another length than was said. Must never count as
//! the admission does: the walk knows frames that are whole.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::super::ServerLimits;
use super::super::activity::{Activity, Protocol};
use super::super::io::Watched;
use super::client::{Client, serve};
use super::cut;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// No input becomes longer than this.
const BYTES_MAX: usize = 40 << 10;
/// A frame of the largest size, its head, and the bytes of one read.
const HELD_MAX: usize = (16 << 10) + 9 + READ_BYTES;
const READ_BYTES: usize = 8 << 10;
const CONTROL_FRAMES_MAX: usize = 1_000;
const RESETS_MAX: usize = 100;
const EMPTY_FRAMES_MAX: usize = 100;
const CONTINUATIONS_MAX: usize = 20;
/// The largest content of a frame.
const FRAME_MAX: usize = 16 << 10;
/// How many CONTINUATION frames stand in place of a flood.
const CALM_FRAMES: usize = 256;

/// Checks a connection of HTTP/2 behind its preface. The first byte says how the bytes are cut; an odd second one says
/// that the rest are these bytes, an even one that frames are made of it: kind, flags, stream, times, length, content.
pub fn http2_admission(data: &[u8]) {
    let Some(([how, form], rest)) = data.split_first_chunk::<2>() else { return };
    let bytes = if form % 2 == 1 { rest.to_vec() } else { frames(rest) };
    let pieces = cut(&bytes, *how);
    let walk = walk(&bytes);
    assert_eq!(admitted(&[&bytes]), walk.passed, "in one piece");
    assert_eq!(admitted(&pieces), walk.passed, "in pieces");

    let all: Vec<&[u8]> = [PREFACE].into_iter().chain(pieces).collect();
    let seen = serve(&all);
    assert!(seen.len() <= walk.requests, "{} requests of {}", seen.len(), walk.requests);
    let whole = seen.iter().filter_map(|request| request.body).sum::<u64>();
    assert!(whole <= walk.data, "{whole} bytes in bodies, {} in DATA", walk.data);
    for request in &seen {
        assert!(request.refusal.is_none(), "{request:?}");
        if let (Some(length), Some(body)) = (request.length, request.body) {
            assert_eq!(length, body, "{request:?}");
        }
    }
}

/// Frames by a short description, so that a fuzzer need not find lengths and repeat itself.
fn frames(mut rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(([kind, flags, stream, times, length], behind)) = rest.split_first_chunk::<5>() {
        let (content, behind) = behind.split_at(behind.len().min(usize::from(*length)));
        rest = behind;
        let times = 1 + usize::from(*times) * usize::from(*times) / 32;
        for number in 0..times {
            if bytes.len() + 9 + content.len() > BYTES_MAX {
                return bytes;
            }
            // A request that is repeated has another stream each time.
            let next = if kind % 16 == 1 { 2 * number } else { 0 };
            let stream = (usize::from(*stream) + next) as u32;
            bytes.extend_from_slice(&[0, 0, content.len() as u8, *kind, *flags]);
            bytes.extend_from_slice(&stream.to_be_bytes());
            bytes.extend_from_slice(content);
        }
    }
    bytes
}

/// The bytes that h2 gets of these behind the preface.
fn admitted(pieces: &[&[u8]]) -> Vec<u8> {
    let limits = Arc::new(ServerLimits::default());
    let activity = Arc::new(Activity::new(Protocol::Http2, &limits, None, Instant::now()));
    let client = Client::saying(pieces);
    let taken = Arc::clone(&client.taken);
    let mut watched = Watched::new(client, PREFACE, activity, &limits);
    let (mut passed, mut room) = (Vec::new(), vec![0; READ_BYTES]);
    loop {
        let mut buffer = ReadBuf::new(&mut room);
        let read =
            Pin::new(&mut watched).poll_read(&mut Context::from_waker(Waker::noop()), &mut buffer);
        if !matches!(read, Poll::Ready(Ok(()))) || buffer.filled().is_empty() {
            break;
        }
        passed.extend_from_slice(buffer.filled());
        let held = (taken.load(Ordering::Relaxed) + PREFACE.len()).saturating_sub(passed.len());
        assert!(held <= HELD_MAX, "{held} bytes are held back");
    }
    let held = (taken.load(Ordering::Relaxed) + PREFACE.len()).saturating_sub(passed.len());
    assert!(held <= HELD_MAX || is_ended(&passed), "{held} bytes are held back");
    passed.split_off(PREFACE.len())
}

/// Whether these bytes end as a flood does.
fn is_ended(passed: &[u8]) -> bool {
    let frames = passed.len().checked_sub(9 * CALM_FRAMES).map(|at| passed[at..].chunks(9));
    frames.is_some_and(|mut frames| frames.all(|frame| frame[..4] == [0, 0, 0, 9]))
}

/// The end of a flood: a header block without end, which goes on with the one that is there.
fn ended(block: Option<u32>) -> Vec<u8> {
    let [a, b, c, d] = block.unwrap_or(0x7fff_ffff).to_be_bytes();
    let begin = if block.is_none() { &[[0, 0, 0, 1, 0, a, b, c, d]][..] } else { &[] };
    [begin, &[[0, 0, 0, 9, 0, a, b, c, d]; CALM_FRAMES]].concat().concat()
}

#[derive(Debug, Default)]
struct Walk {
    passed: Vec<u8>,
    requests: usize,
    data: u64,
}

/// The frames, one by one, as if all came in one moment.
fn walk(bytes: &[u8]) -> Walk {
    let (mut walk, mut rest) = (Walk::default(), bytes);
    let (mut control, mut resets, mut since_control) = (0, 0, 0);
    let (mut newest, mut open, mut was_crowded) = (0, BTreeSet::new(), false);
    let (mut empty, mut continuations, mut block) = (0, 0, None);
    while !rest.is_empty() {
        if control > CONTROL_FRAMES_MAX
            || resets > RESETS_MAX && resets > since_control / 2
            || empty > EMPTY_FRAMES_MAX
            || continuations > CONTINUATIONS_MAX
        {
            walk.passed.extend_from_slice(&ended(block));
            return walk;
        }
        let Some((head, _)) = rest.split_first_chunk::<9>() else { return walk };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, ends) = (head[3], head[4] & 1 != 0);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        let (frame, behind) = rest.split_at(rest.len().min(9 + length));
        if matches!(kind, 1 | 9) {
            block = (head[4] & 4 == 0).then_some(stream);
            continuations =
                if kind == 1 { 0 } else { continuations + usize::from(block.is_some()) };
        }
        if kind == 1
            && stream <= newest
            && (was_crowded || open.contains(&stream))
            && length <= FRAME_MAX
        {
            // Trailers wait until their first field is there.
            let Some(at) = first_field(frame, length) else { return walk };
            let is_split = length == FRAME_MAX && head[4] & 8 == 0;
            let size = |length: usize| (length as u32).to_be_bytes();
            let first = if is_split { at - 8 } else { length + 1 };
            walk.passed.extend_from_slice(&size(first)[1..]);
            walk.passed.extend_from_slice(&frame[3..at]);
            walk.passed.push(0xa6);
            if is_split {
                let begin = walk.passed.len() - 1 - (at - 9);
                walk.passed[begin - 5] &= !4;
                walk.passed.extend_from_slice(&size(9 + length - at)[1..]);
                walk.passed.extend_from_slice(&[9, head[4] & 4]);
                walk.passed.extend_from_slice(&stream.to_be_bytes());
                continuations = usize::from(block.is_some());
            }
            walk.passed.extend_from_slice(&frame[at..]);
        } else {
            walk.passed.extend_from_slice(frame);
        }
        rest = behind;
        match kind {
            0 => {
                walk.data += frame.len() as u64 - 9;
                empty += usize::from(length == 0 && !ends);
            }
            1 => since_control += 1,
            // Nothing was written, so that a window is given back for nothing.
            9 => {}
            _ => {
                since_control = if control == 0 { 0 } else { since_control };
                control += 1;
                resets += usize::from(kind == 3);
            }
        }
        if kind == 1 && stream > newest {
            newest = stream;
            walk.requests += 1;
            if !ends && open.len() < 256 {
                open.insert(stream);
            } else if !ends {
                was_crowded = true;
            }
        } else if matches!(kind, 1 | 3) || kind == 0 && ends {
            open.remove(&stream);
        }
    }
    walk
}

/// Where the first field of HEADERS stands: behind padding, priority, and changes of the table's size.
fn first_field(frame: &[u8], length: usize) -> Option<usize> {
    let flags = frame[4];
    let mut at = 9 + usize::from(flags & 8 != 0) + 5 * usize::from(flags & 0x20 != 0);
    let end = 9 + length;
    while at < end {
        let first = *frame.get(at)?;
        if first >> 5 != 1 {
            break;
        }
        at += 1;
        let mut more = first == 0x3f;
        while more && at < end {
            more = *frame.get(at)? >= 0x80;
            at += 1;
        }
    }
    let at = at.min(end);
    (frame.len() >= at).then_some(at)
}
