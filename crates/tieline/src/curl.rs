//! Makes `curl` lines that work as printed in a POSIX shell.
//!
//! Every word goes through `quoted`, whatever it is made of; a line must never need a second look.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A list of lines with a comment above each.
#[derive(Debug, Default)]
pub(crate) struct Lines(String);

impl Lines {
    /// Adds one line: what it shows, and the words after `curl -sS`.
    pub(crate) fn add(&mut self, shows: &str, words: &[&str]) {
        // Writing to a String can't fail.
        let _ = write!(self.0, "\n# {shows}\ncurl -sS");
        for word in words {
            let _ = write!(self.0, " {}", quoted(word));
        }
        self.0.push('\n');
    }

    /// The text so far, which begins with an empty line.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The header that carries a key.
pub(crate) fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}")
}

/// Where a client on this machine reaches a listener, without a slash at the end.
pub(crate) fn base_url(address: SocketAddr) -> String {
    format!("http://{}", called(address))
}

/// The address by which a client on this machine reaches a listener.
pub(crate) fn called(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        // One listens on "any address" but cannot call it.
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// One word of a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        for (word, expected) in [
            ("http://127.0.0.1:1/a", "http://127.0.0.1:1/a"),
            ("http://127.0.0.1:1/a?b=c&d=e", "'http://127.0.0.1:1/a?b=c&d=e'"),
            ("http://[::1]:1/", "'http://[::1]:1/'"),
            ("sag=QA, Training & Audit", "'sag=QA, Training & Audit'"),
            ("O'Brien $HOME `id` \\ \"", "'O'\\''Brien $HOME `id` \\ \"'"),
            ("技术", "'技术'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }

    #[test]
    fn any_address_is_called_by_its_loopback_name() {
        for (address, expected) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:8080", "http://[::1]:8080"),
            ("192.0.2.7:80", "http://192.0.2.7:80"),
        ] {
            assert_eq!(base_url(address.parse().unwrap()), expected);
        }
    }
}
