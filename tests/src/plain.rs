//! A client over HTTP/1 that waits in its own thread: it writes the bytes a test wants and reads all that
//! comes. Every wait is bounded.
//!
//! A test whose server runs in the same runtime needs [`crate::wire`] instead.

use std::fmt::Display;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::{Answer, LEGACY_KEY};

/// The longest wait for the next byte.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A connection to `HOST:PORT` or `http://HOST:PORT`.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub fn connect(to: impl Display) -> TcpStream {
    let to = to.to_string();
    let stream = TcpStream::connect(to.trim_start_matches("http://")).expect("a connection");
    stream.set_read_timeout(Some(SILENCE_MAX)).expect("a timeout");
    stream
}

/// Writes these bytes to a server and reads all it has to say, until it closes the connection.
pub fn say(to: impl Display, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut stream = connect(to);
    // The server may close before it has read all of it. Its answer is there all the same.
    let _ = stream.write_all(bytes.as_ref());
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    heard
}

/// The bytes of a request that is the last of its connection. `headers` are whole lines.
pub fn request(line: &str, headers: &str) -> String {
    format!("{line} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n")
}

/// The header line of a key.
pub fn bearer(key: &str) -> String {
    format!("authorization: Bearer {key}\r\n")
}

/// Asks `GET target` with a key.
pub fn get(to: impl Display, target: &str, key: &str) -> Answer {
    Answer::heard(say(to, request(&format!("GET {target}"), &bearer(key))))
}

/// The same with the key of the one known caller.
pub fn ask(to: impl Display, target: &str) -> Answer {
    get(to, target, LEGACY_KEY)
}

/// Reads one head, with the empty line behind it, and no byte more.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a whole head");
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// The length that a head tells.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub fn length(head: &str) -> usize {
    let values = crate::wire::values(head, "content-length");
    values.first().and_then(|length| length.parse().ok()).expect("a length")
}
