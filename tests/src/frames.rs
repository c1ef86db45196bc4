//! A client of HTTP/2 that writes frames by hand, for everything a well-behaved one cannot say. Header
//! blocks are literals without indexing and without Huffman codes.
//!
//! Every wait is bounded, and all of it is on loopback.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::LEGACY_KEY;
use crate::wire::WAIT;

/// What every connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Kinds of frames.
pub const DATA: u8 = 0;
/// See [`DATA`].
pub const HEADERS: u8 = 1;
/// See [`DATA`].
pub const PRIORITY: u8 = 2;
/// See [`DATA`].
pub const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub const SETTINGS: u8 = 4;
/// See [`DATA`].
pub const PING: u8 = 6;
/// See [`DATA`].
pub const GOAWAY: u8 = 7;
/// See [`DATA`].
pub const WINDOW_UPDATE: u8 = 8;
/// See [`DATA`].
pub const CONTINUATION: u8 = 9;
/// Flags of HEADERS and DATA.
pub const END_STREAM: u8 = 0x1;
/// Flag of HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 0x4;
/// Errors: the peer broke the protocol.
pub const PROTOCOL_ERROR: u32 = 1;
/// Errors: there were enough streams.
pub const REFUSED_STREAM: u32 = 7;
/// Errors: the peer asks for too much.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame that came.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its kind.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream, 0 for the connection.
    pub stream: u32,
    /// What it holds.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The reason in RST_STREAM and GOAWAY.
    pub fn reason(&self) -> u32 {
        let from = if self.kind == GOAWAY { 4 } else { 0 };
        let bytes = self.payload.get(from..from + 4).and_then(|four| four.try_into().ok());
        bytes.map_or(u32::MAX, u32::from_be_bytes)
    }

    /// The status of HEADERS, if it is one that has a number of its own, or 431.
    pub fn status(&self) -> u16 {
        const HUFFMAN_431: [u8; 3] = [0x69, 0x90, 0xff];
        match self.payload.as_slice() {
            [0x88, ..] => 200,
            [0x8c, ..] => 400,
            [0x8d, ..] => 404,
            [0x8e, ..] => 500,
            payload if payload.windows(3).any(|three| three == HUFFMAN_431) => 431,
            _ => 0,
        }
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header block of these fields, in order.
pub fn block<V: AsRef<[u8]>>(fields: &[(&str, V)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name.as_bytes(), value.as_ref()] {
            length(&mut block, text.len());
            block.extend_from_slice(text);
        }
    }
    block
}

/// A number with a prefix of 7 bits (RFC 7541, 5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    if length < 127 {
        block.push(length as u8);
        return;
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// The block of a request of the one known caller, with more fields behind it.
pub fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let key = format!("Bearer {LEGACY_KEY}");
    let mut fields = vec![
        (":method", method),
        (":scheme", "http"),
        (":authority", "gateway.example"),
        (":path", path),
        ("authorization", key.as_str()),
    ];
    fields.extend_from_slice(more);
    block(&fields)
}

/// HEADERS of a request without a body.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &request("GET", path, &[]))
}

/// A client's end of a connection.
#[derive(Debug)]
pub struct Http2(TcpStream);

impl Http2 {
    /// Connects, and says which settings it has.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub async fn to(address: SocketAddr, settings: &[u8]) -> Http2 {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let mut client = Http2(stream);
        let opening = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
        client.say(&opening).await.expect("a server that listens");
        client
    }

    /// Writes all of it; `None` when the other side does not take it.
    pub async fn say(&mut self, bytes: &[u8]) -> Option<()> {
        timeout(WAIT, self.0.write_all(bytes)).await.ok()?.ok()
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        timeout(WAIT, async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        })
        .await
        .ok()?
    }

    /// The next frame that `is_it`; `None` if the connection ends before.
    pub async fn until(&mut self, is_it: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if is_it(&frame) {
                return Some(frame);
            }
        }
    }

    /// The reason of the GOAWAY that ends the connection.
    pub async fn goaway(&mut self) -> Option<u32> {
        self.until(|frame| frame.kind == GOAWAY).await.map(|frame| frame.reason())
    }

    /// What becomes of a stream: its HEADERS, or its RST_STREAM.
    pub async fn outcome(&mut self, stream: u32) -> Option<Frame> {
        let is_it = |frame: &Frame| frame.stream == stream && frame.kind != WINDOW_UPDATE;
        self.until(|frame| is_it(frame) || frame.kind == GOAWAY).await
    }
}
