//! The head of one HTTP/1 request, line by line: its allowed content and size, and the framing of its
//! body. Must never accept a head that hyper refuses or reads differently: each rule here is hyper's or
//! stricter.

use http::Uri;

use super::ServerLimits;
use super::host::read_host;
use super::refusal::Refusal;

/// No known method is longer. The substitute of a refused request has a longer one.
pub(super) const METHOD_BYTES_MAX: usize = 16;
/// No real length has more digits.
const LENGTH_DIGITS_MAX: usize = 19;

/// With `_` in place of `-`, other servers may take a name for one of these.
const NEVER_WITH_UNDERSCORES: [&[u8]; 12] = [
    b"content-length",
    b"content-encoding",
    b"content-type",
    b"proxy-authorization",
    b"transfer-encoding",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-original-url",
    b"x-real-ip",
    b"x-request-id",
];

/// The head so far.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Lines, including the first one.
    lines: usize,
    /// Bytes of complete lines after the first one.
    bytes: usize,
    is_http10: bool,
    hosts: usize,
    lengths: usize,
    length: u64,
    codings: usize,
    has_upgrade: bool,
    /// The last host of the connection that was found good: most requests name the one before.
    good_host: Vec<u8>,
}

/// The framing of the body after a head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Framing {
    Nothing,
    /// No body, and what follows may be another protocol.
    Switch,
    Length(u64),
    Chunks,
}

impl Head {
    /// The head of the next request.
    pub(super) fn next(&mut self) {
        *self = Head { good_host: std::mem::take(&mut self.good_host), ..Head::default() };
    }

    /// The next line, without its end. `Some` is the end of the head.
    pub(super) fn line(
        &mut self,
        line: &[u8],
        limits: &ServerLimits,
    ) -> Result<Option<Framing>, Refusal> {
        if line.is_empty() {
            // Some clients send empty lines before a request, which is harmless.
            self.bytes += 2;
            self.fits(0, limits)?;
            return if self.lines == 0 { Ok(None) } else { self.framing().map(Some) };
        }
        self.fits(line.len(), limits)?;
        self.lines += 1;
        if self.lines == 1 {
            self.request_line(line)?;
            return Ok(None);
        }
        self.bytes += line.len() + 2;
        if self.lines - 1 > limits.headers_max {
            return Err(Refusal::HeadersTooLarge);
        }
        self.field(line)?;
        Ok(None)
    }

    /// Whether a line of at least this many bytes is still within the limits.
    pub(super) fn fits(&self, bytes: usize, limits: &ServerLimits) -> Result<(), Refusal> {
        if self.bytes + bytes > limits.header_bytes_max as usize {
            return Err(Refusal::HeadersTooLarge);
        }
        match self.lines {
            0 if bytes > limits.request_line_bytes_max => Err(Refusal::UriTooLong),
            0 => Ok(()),
            _ if bytes > limits.field_bytes_max => Err(Refusal::HeadersTooLarge),
            _ => Ok(()),
        }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        // Spaces only between the method, the target and the version.
        let method_end = memchr::memchr(b' ', line).ok_or(Refusal::BadRequest)?;
        let version_at = memchr::memrchr(b' ', line).ok_or(Refusal::BadRequest)?;
        let (method, version) = (line.get(..method_end), line.get(version_at + 1..));
        let asked = line.get(method_end + 1..version_at).unwrap_or_default();
        let (method, version) = (method.unwrap_or_default(), version.unwrap_or_default());
        let is_name = !method.is_empty() && are(method, NAME);
        if !is_name || asked.is_empty() || memchr::memchr(b' ', asked).is_some() {
            return Err(Refusal::BadRequest);
        }
        match version {
            b"HTTP/1.1" => {}
            b"HTTP/1.0" => self.is_http10 = true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Refusal::BadVersion);
            }
            _ => return Err(Refusal::BadRequest),
        }
        // This server has no tunnels, and the bytes behind a CONNECT may belong to one.
        if method.len() > METHOD_BYTES_MAX || method == b"CONNECT" {
            return Err(Refusal::BadMethod);
        }
        target(asked)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let (name, value) = field(line).ok_or(Refusal::BadHeader)?;
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            if self.hosts > 1 || !self.is_good_host(value.trim_ascii()) {
                return Err(Refusal::BadHost);
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            // Trailing spaces, which other servers remove, make the number invalid here.
            let digits = value.trim_ascii_start();
            let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
            self.lengths += 1;
            if !is_number || digits.len() > LENGTH_DIGITS_MAX || self.lengths + self.codings > 1 {
                return Err(Refusal::BadFraming);
            }
            self.length = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.codings += 1;
            let is_chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
            if !is_chunked || self.is_http10 || self.lengths + self.codings > 1 {
                return Err(Refusal::BadFraming);
            }
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            self.has_upgrade = true;
        } else if name.contains(&b'_') && has_a_double(name) {
            return Err(Refusal::BadHeader);
        }
        Ok(())
    }

    fn is_good_host(&mut self, host: &[u8]) -> bool {
        if host == self.good_host && !host.is_empty() {
            return true;
        }
        let is_good = read_host(host).is_some();
        if is_good {
            self.good_host.clear();
            self.good_host.extend_from_slice(host);
        }
        is_good
    }

    fn framing(&self) -> Result<Framing, Refusal> {
        if self.hosts == 0 && !self.is_http10 {
            return Err(Refusal::BadHost);
        }
        Ok(match (self.codings, self.length) {
            (0, 0) if self.has_upgrade && !self.is_http10 => Framing::Switch,
            (0, 0) => Framing::Nothing,
            (0, length) => Framing::Length(length),
            _ => Framing::Chunks,
        })
    }
}

/// Name and value. A folded line, which continues the one before, has no name.
pub(super) fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b':', line).filter(|end| *end > 0)?;
    let (name, value) = (line.get(..end)?, line.get(end + 1..)?);
    (are(name, NAME) && are(value, VALUE)).then_some((name, value))
}

/// The bytes that no value may have.
pub(super) const fn is_control(byte: u8) -> bool {
    (byte < b' ') & (byte != b'\t') | (byte == 0x7f)
}

/// What a byte may stand in.
const NAME: u8 = 1;
const VALUE: u8 = 2;
const PATH: u8 = 4;
const QUERY: u8 = 8;

/// What each byte may stand in: one look-up tells all of it.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        // A header's name (RFC 9110, 5.6.2).
        let is_sign_of_name = matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        );
        if byte.is_ascii_alphanumeric() || is_sign_of_name {
            classes[at] |= NAME;
        }
        if !is_control(byte) {
            classes[at] |= VALUE;
        }
        // A fragment is no part of a target; hyper would cut it off.
        if byte.is_ascii_graphic() && byte != b'#' {
            classes[at] |= match byte {
                b'<' | b'>' => 0,
                b'"' => PATH,
                b'`' => QUERY,
                _ => PATH | QUERY,
            };
        }
        at += 1;
    }
    classes
};

/// Whether all of these bytes may stand in something.
fn are(bytes: &[u8], class: u8) -> bool {
    bytes.iter().fold(class, |all, byte| all & CLASSES[usize::from(*byte)]) != 0
}

fn has_a_double(name: &[u8]) -> bool {
    let same = |given: &u8, known: &u8| {
        given.eq_ignore_ascii_case(known) || (*given == b'_' && *known == b'-')
    };
    NEVER_WITH_UNDERSCORES.iter().any(|known| {
        known.len() == name.len()
            && name.iter().zip(*known).all(|(given, known)| same(given, known))
    })
}

/// Checks a path with its query as hyper reads it, `*`, or a target that also names a host. A query may have
/// text in UTF-8 that is not escaped.
fn target(target: &[u8]) -> Result<(), Refusal> {
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(mark) => target.split_at(mark),
        None => (target, &[][..]),
    };
    let is_usual = are(path, PATH);
    if !is_usual && !path.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return Err(Refusal::BadTarget);
    }
    if !are(query, QUERY) {
        let is_text = query.iter().all(|byte| are(&[*byte], QUERY) || !byte.is_ascii());
        if !is_text || std::str::from_utf8(query).is_err() {
            return Err(Refusal::BadQuery);
        }
    }
    match path.first() {
        _ if target == b"*" => Ok(()),
        Some(b'/') if is_usual => Ok(()),
        Some(b'/') => Err(Refusal::BadTarget),
        _ => absolute(target),
    }
}

/// Checks a target that names a host, too.
fn absolute(target: &[u8]) -> Result<(), Refusal> {
    let uri = Uri::try_from(target).map_err(|_| Refusal::BadTarget)?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(host)) if read_host(host.as_str().as_bytes()).is_some() => {
            Ok(())
        }
        (Some("http" | "https"), Some(_)) => Err(Refusal::BadHost),
        _ => Err(Refusal::BadTarget),
    }
}
