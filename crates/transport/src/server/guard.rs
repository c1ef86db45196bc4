//! A second pair of eyes on HTTP/1: hyper forgives what another server on the way may read in another
//! way, so a request whose end is open to doubt is spoilt before hyper has read all of it. hyper then
//! answers 400 and closes.
//!
//! Must never change a byte of a request that is in order, and must never take for in order what hyper
//! frames differently: each rule here is hyper's or stricter.

/// What is kept of a line: enough for every header that is looked into.
const LINE_BYTES_KEPT: usize = 256;
/// A length above this is nobody's.
const LENGTH_DIGITS_MAX: usize = 19;
const CHUNK_DIGITS_MAX: usize = 15;

/// Follows the requests of one connection, byte by byte.
#[derive(Debug, Default)]
pub(super) struct Guard {
    step: Step,
    line: Line,
    head: Head,
}

/// The next byte that comes...
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Step {
    /// ...belongs to a request's head.
    #[default]
    Head,
    /// ...to a body with this much left.
    Fixed(u64),
    /// ...to the size of a chunk, of which there were so many digits.
    Size(u64, usize),
    /// ...to an extension behind it.
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
    /// ...is not read any more.
    Spoilt,
}

/// The line that is being read, without its end.
#[derive(Debug, Default)]
struct Line {
    kept: Vec<u8>,
    is_longer: bool,
    has_cr: bool,
}

/// What a head has said so far about its body.
#[derive(Debug, Default)]
struct Head {
    lines: usize,
    is_http10: bool,
    hosts: usize,
    lengths: usize,
    length: u64,
    codings: usize,
}

/// Something that may be read in two ways.
struct Doubt;

impl Guard {
    /// Looks at the next bytes. `Some` is where the first doubt is; nothing from there on may be read.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            // Content is passed over in one go.
            if let Step::Fixed(left) | Step::Chunk(left) = self.step {
                let here = (bytes.len() - at) as u64;
                let taken = left.min(here);
                at += usize::try_from(taken).unwrap_or(bytes.len());
                self.step = match (self.step, left - taken) {
                    (Step::Fixed(_), 0) => Step::Head,
                    (Step::Fixed(_), left) => Step::Fixed(left),
                    (_, 0) => Step::ChunkCr,
                    (_, left) => Step::Chunk(left),
                };
                continue;
            }
            match self.byte(bytes[at]) {
                Ok(step) => self.step = step,
                Err(Doubt) => {
                    self.step = Step::Spoilt;
                    return Some(at);
                }
            }
            at += 1;
        }
        None
    }

    pub(super) fn is_spoilt(&self) -> bool {
        self.step == Step::Spoilt
    }

    fn byte(&mut self, byte: u8) -> Result<Step, Doubt> {
        Ok(match (self.step, byte) {
            (Step::Head, _) => match self.line.push(byte)? {
                false => Step::Head,
                true => {
                    let line = std::mem::take(&mut self.line);
                    self.head_line(&line)?
                }
            },
            (Step::Trailers, _) => match self.line.push(byte)? {
                false => Step::Trailers,
                true => {
                    let line = std::mem::take(&mut self.line);
                    if line.kept.is_empty() {
                        Step::Head
                    } else {
                        line.field()?;
                        Step::Trailers
                    }
                }
            },
            (Step::Size(size, digits), b'\r') if digits > 0 => Step::SizeEnd(size),
            (Step::Size(size, digits), b';') if digits > 0 => Step::Extension(size),
            (Step::Size(size, digits), _) if digits < CHUNK_DIGITS_MAX => {
                let digit = (byte as char).to_digit(16).ok_or(Doubt)?;
                Step::Size(size * 16 + u64::from(digit), digits + 1)
            }
            (Step::Extension(size), b'\r') => Step::SizeEnd(size),
            (Step::Extension(size), _) if is_text(byte) => Step::Extension(size),
            (Step::SizeEnd(0), b'\n') => Step::Trailers,
            (Step::SizeEnd(size), b'\n') => Step::Chunk(size),
            (Step::ChunkCr, b'\r') => Step::ChunkLf,
            (Step::ChunkLf, b'\n') => Step::Size(0, 0),
            _ => return Err(Doubt),
        })
    }

    fn head_line(&mut self, line: &Line) -> Result<Step, Doubt> {
        let head = &mut self.head;
        if line.kept.is_empty() {
            // Empty lines before a request are an old habit, and harmless.
            return if head.lines == 0 { Ok(Step::Head) } else { std::mem::take(head).body() };
        }
        head.lines += 1;
        if head.lines == 1 {
            head.is_http10 = line.kept.ends_with(b"HTTP/1.0");
            return Ok(Step::Head);
        }
        let (name, value) = line.field()?;
        let is_cut = line.is_longer;
        match name.to_ascii_lowercase().as_slice() {
            b"host" => head.hosts += 1,
            b"content-length" => {
                let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                if is_cut || !is_number || value.len() > LENGTH_DIGITS_MAX {
                    return Err(Doubt);
                }
                head.lengths += 1;
                head.length = value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
            }
            b"transfer-encoding" => {
                if is_cut || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Doubt);
                }
                head.codings += 1;
            }
            _ => {}
        }
        Ok(Step::Head)
    }
}

impl Head {
    /// What comes behind the head.
    fn body(self) -> Result<Step, Doubt> {
        let hosts_min = usize::from(!self.is_http10);
        if !(hosts_min..=1).contains(&self.hosts) {
            return Err(Doubt);
        }
        match (self.lengths, self.codings) {
            (0, 0) => Ok(Step::Head),
            (1, 0) if self.length == 0 => Ok(Step::Head),
            (1, 0) => Ok(Step::Fixed(self.length)),
            (0, 1) if !self.is_http10 => Ok(Step::Size(0, 0)),
            _ => Err(Doubt),
        }
    }
}

impl Line {
    /// Takes a byte; `true` when the line has ended. Lines end with both characters, or not at all.
    fn push(&mut self, byte: u8) -> Result<bool, Doubt> {
        match (self.has_cr, byte) {
            (true, b'\n') => return Ok(true),
            (true, _) | (false, b'\n') => return Err(Doubt),
            (false, b'\r') => self.has_cr = true,
            (false, _) if self.kept.len() < LINE_BYTES_KEPT => self.kept.push(byte),
            (false, _) => self.is_longer = true,
        }
        Ok(false)
    }

    /// Name and value. A line that goes on from the one before has no name.
    fn field(&self) -> Result<(&[u8], &[u8]), Doubt> {
        let colon = self.kept.iter().position(|byte| *byte == b':').ok_or(Doubt)?;
        let (name, value) = self.kept.split_at(colon);
        if name.is_empty() || !name.iter().all(|byte| is_name(*byte)) {
            return Err(Doubt);
        }
        Ok((name, value[1..].trim_ascii()))
    }
}

/// What a header's name is made of (RFC 9110, 5.6.2).
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (b' '..=b'~').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome of a text is the same however it is cut.
    fn doubt(text: &str) -> Option<usize> {
        let whole = Guard::default().look(text.as_bytes());
        let mut guard = Guard::default();
        let pieces = text.as_bytes().iter().enumerate();
        let single = pieces.map(|(at, byte)| guard.look(&[*byte]).map(|_| at));
        assert_eq!(whole, single.into_iter().flatten().next(), "{text:?}");
        whole
    }

    #[test]
    fn requests_in_order_are_followed_from_one_to_the_next() {
        for good in [
            "GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nHost:x\r\n\r\n",
            "\r\nPOST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\na\n\r\nbGET / HTTP/1.0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=\"b\"\r\n\r\n\r\n:\r\n\
             00\r\nx-sum: 1\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
        ] {
            assert_eq!(doubt(good), None, "{good:?}");
        }
        let mut open = Guard::default();
        open.look(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc");
        assert_eq!(open.step, Step::Fixed(6));
    }

    #[test]
    fn a_head_with_two_readings_is_doubted() {
        let long = format!("transfer-encoding:{}chunked", " ".repeat(300));
        for bad in [
            "content-length: 5\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 5",
            "content-length: 5\r\ncontent-length: 5",
            "content-length: 5, 5",
            "content-length: +5",
            "content-length: -1",
            "content-length: 0x5",
            "content-length:",
            "content-length: 99999999999999999999",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding: ,chunked",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: \u{b}chunked",
            "transfer-encoding : chunked",
            " transfer-encoding: chunked",
            "transfer-encoding:\r\n chunked",
            "x: 1\r\n\ty",
            "x: 1\ny: 2",
            "x: 1\r y: 2",
            "no colon",
            ": no name",
            "na me: 1",
            "host: y",
            long.as_str(),
        ] {
            let text = format!("POST / HTTP/1.1\r\nhost: x\r\n{bad}\r\n\r\n");
            assert!(doubt(&text).is_some(), "{bad:?}");
        }
        assert!(doubt("GET / HTTP/1.1\r\n\r\n").is_some(), "no host");
        assert!(doubt("GET / HTTP/1.1\nhost: x\n\n").is_some(), "bare ends");
        let coded = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(doubt(coded).is_some(), "chunks before they were invented");
    }

    #[test]
    fn a_chunk_with_two_readings_is_doubted() {
        for bad in [
            "\r\n",
            "g\r\n",
            "0x1\r\n",
            "-1\r\n",
            "1 \r\n",
            "1\n",
            "1\r\r",
            "1\r\nab",
            "1\r\na\n",
            "1;a\n",
            "1111111111111111\r\n",
            "0\r\nx\r\n",
            "0\r\n x: 1\r\n",
            "0\r\n\n",
        ] {
            let text =
                format!("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{bad}");
            assert!(doubt(&text).is_some(), "{bad:?}");
        }
    }
}
