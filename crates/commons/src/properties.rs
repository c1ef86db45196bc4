//! What programs beside this crate need to hold it to account: the law and the script that says it again, and the
//! rule for any bytes that a server may hold. No part of what callers use.

use std::time::{Duration, UNIX_EPOCH};

pub use crate::law::{Answer, Ask, Law, read};
use crate::scripts::TAKE;
use crate::seal::{Belief, Seal, SealKey, Stamp};

/// The script of the law with a clock that is told: seconds and microseconds as its last two arguments.
pub fn take_with_told_clock() -> String {
    let clock = "redis.call('TIME')";
    assert_eq!(TAKE.text.matches(clock).count(), 1, "the script asks for the time once");
    TAKE.text.replace(clock, "{ARGV[9], ARGV[10]}")
}

/// Whatever bytes a server holds in place of a value, none is believed but the value itself.
pub fn never_believed(bytes: &[u8]) {
    let seal = Seal::new(&SealKey::new([7; 32]), &[SealKey::new([8; 32])], 1 << 16);
    let read_at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let stamp = Stamp { read_at, generation: 1, token: 2 };
    let age_max = Duration::from_secs(60);
    let belief = Belief { now: read_at, age_max, generation: 1, token: 2 };
    let open = |envelope: Vec<u8>| seal.open("scope", "name", belief, envelope);
    assert!(open(bytes.to_vec()).is_err());
    // The same bytes over parts of a real value: where, then what.
    let value =
        seal.seal("scope", "name", stamp, b"a body that is worth changing").unwrap_or_default();
    if let [place, rest @ ..] = bytes {
        let mut changed = value.clone();
        let place = usize::from(*place) % value.len();
        for (byte, new) in changed[place..].iter_mut().zip(rest) {
            *byte = *new;
        }
        assert!(changed == value || open(changed).is_err());
        changed = [&value[..place], rest].concat();
        assert!(changed == value || open(changed).is_err());
    }
    // The real value in another place, and at another time.
    let moved = |tag: &str, name: &str, belief| seal.open(tag, name, belief, value.clone());
    assert!(
        moved("scope", "another", belief).is_err() && moved("another", "name", belief).is_err()
    );
    let later = read_at + Duration::from_secs(66);
    for outdated in [
        Belief { generation: 2, ..belief },
        Belief { generation: 0, ..belief },
        Belief { token: 3, ..belief },
        Belief { now: later, ..belief },
    ] {
        assert!(moved("scope", "name", outdated).is_err());
    }
    let opened = open(value).map(|opened| opened.body);
    assert_eq!(opened.as_deref(), Ok(&b"a body that is worth changing"[..]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_of_the_corpus_is_believed() {
        let path = format!("{}/../../tests/fuzz/corpus/values.txt", env!("CARGO_MANIFEST_DIR"));
        let corpus = std::fs::read_to_string(path).unwrap();
        let mut entries = 0;
        for line in corpus.lines() {
            let mut bytes = Vec::new();
            let mut pieces = line.split("\\x");
            bytes.extend_from_slice(pieces.next().unwrap_or_default().as_bytes());
            for piece in pieces {
                bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
                bytes.extend_from_slice(&piece.as_bytes()[2..]);
            }
            never_believed(&bytes);
            entries += 1;
        }
        assert!(entries >= 7, "{entries} entries: did the corpus move?");
    }
}
