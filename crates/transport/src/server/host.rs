//! Hosts: a name or an address, perhaps with a port. Must never guess: a text that some servers read
//! as another host is none.

use std::net::{Ipv4Addr, Ipv6Addr};

const HOST_BYTES_MAX: usize = 255;

/// The name and the port of a `Host` or an authority; `None` if it is none. A name has letters, digits, `-` and
/// `_` between its dots; an IPv6 address stands in brackets.
pub fn read_host(text: &[u8]) -> Option<(&str, Option<u16>)> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= HOST_BYTES_MAX)?;
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => memchr::memchr(b':', text.as_bytes()).unwrap_or(text.len()),
    };
    let (name, port) = text.split_at_checked(end)?;
    let is_host = match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_name(name),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port > 0)?)
        }
        _ => return None,
    };
    is_host.then_some((name, port))
}

/// A name, or an IPv4 address: a host that ends in a number is an address.
fn is_name(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    // Of the label so far.
    let (mut length, mut is_number) = (0, true);
    for byte in labels.bytes() {
        (length, is_number) = match byte {
            b'.' if length > 0 => (0, true),
            b'-' | b'_' => (length + 1, false),
            _ if byte.is_ascii_alphanumeric() => (length + 1, is_number && byte.is_ascii_digit()),
            _ => return false,
        };
    }
    length > 0 && (!is_number || name.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for (text, name, port) in [
            ("h", "h", None),
            ("api.example.com:8080", "api.example.com", Some(8080)),
            ("API_1.example.", "API_1.example.", None),
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("[::1]:443", "[::1]", Some(443)),
            ("[2001:db8::1]", "[2001:db8::1]", None),
            ("1.example", "1.example", None),
        ] {
            assert_eq!(read_host(text.as_bytes()), Some((name, port)), "{text}");
        }
    }

    #[test]
    fn a_host_with_two_readings_is_none() {
        let long = "x".repeat(256);
        for text in [
            "",
            ".",
            "..",
            ".h",
            "h..",
            "a..b",
            ":",
            ":80",
            "h:",
            "h:0",
            "h:+80",
            "h:-1",
            "h:x",
            "h:8x",
            "h:99999",
            "h:80:80",
            "h:80 ",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[h]",
            "[::1]x",
            "[::1]80",
            "[::1%25eth0]",
            "[v1.x]",
            "[[::1]]",
            "h\"x",
            "h'x",
            "h,i",
            "h;i",
            "h i",
            "h/x",
            "h?x",
            "h#x",
            "h@x",
            "u:p@h",
            "h\\x",
            "h%00",
            "h%2e",
            "h<x",
            "h|x",
            "h(x)",
            "h*",
            "h\t",
            "h\0",
            "\u{e9}",
            "256.1.1.1",
            "1.2.3",
            "1",
            "01.2.3.4",
            "1.2.3.4.",
            "h.1",
            &long,
        ] {
            assert_eq!(read_host(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(read_host(b"h\xff"), None);
    }
}
