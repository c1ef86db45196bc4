//! What was answered before, by who asked for what. Holds no credential, only digests under a key
//! of this process's own, and never more bytes than it may.

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue, StatusCode};
use rand::RngExt;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use bytes::Bytes;

/// A digest of who asks for what.
pub(super) type Key = [u8; 32];

/// How many tokens are remembered to belong to a client.
const TOKENS_MAX: usize = 1_000;
/// What an entry costs besides its body.
const ENTRY_BYTES: usize = 512;

/// An answer as it came.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Answers, up to a number of bytes. What came first stays: a list that is read again from its first
/// page would otherwise push out what it needs next.
pub(super) struct Memory {
    bytes_max: usize,
    bytes: usize,
    entries: HashMap<Key, Kept>,
    not_kept: u64,
}

impl Memory {
    pub(super) fn new(bytes_max: usize) -> Memory {
        Memory { bytes_max, bytes: 0, entries: HashMap::new(), not_kept: 0 }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Kept> {
        self.entries.get(key).cloned()
    }

    pub(super) fn put(&mut self, key: Key, kept: Kept) {
        let size = |kept: &Kept| kept.body.len() + ENTRY_BYTES;
        if let Some(before) = self.entries.remove(&key) {
            self.bytes -= size(&before);
        }
        if self.bytes + size(&kept) > self.bytes_max {
            self.not_kept += u64::from(self.bytes_max > 0);
            return;
        }
        self.bytes += size(&kept);
        self.entries.insert(key, kept);
    }

    pub(super) fn clear(&mut self) {
        (self.bytes, self.not_kept) = (0, 0);
        self.entries = HashMap::new();
    }

    pub(super) fn not_kept(&self) -> u64 {
        self.not_kept
    }
}

/// Who is behind a credential. Tokens come and go; the client they were granted to stays.
pub(super) struct Identities {
    salt: [u8; 32],
    clients: HashMap<Key, Key>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

impl Identities {
    pub(super) fn new() -> Identities {
        Identities { salt: rand::rng().random(), clients: HashMap::new() }
    }

    fn digest(&self, parts: &[&[u8]]) -> Key {
        let mut digest = Sha256::new_with_prefix(self.salt);
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// Notes whose token an answer of the token endpoint grants.
    pub(super) fn note(&mut self, authorization: Option<&HeaderValue>, form: &[u8], answer: &[u8]) {
        let Ok(granted) = serde_json::from_slice::<Granted>(answer) else { return };
        let client = self.digest(&[authorization.map_or(b"", HeaderValue::as_bytes), form]);
        let bearer = self.digest(&[b"Bearer ", granted.access_token.as_bytes()]);
        if self.clients.len() >= TOKENS_MAX {
            self.clients.clear();
        }
        self.clients.insert(bearer, client);
    }

    /// Who asks for what.
    pub(super) fn key(&self, headers: &HeaderMap, target: &str) -> Key {
        let header = |name| headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
        let authorization = header(http::header::AUTHORIZATION);
        let (scheme, token) = authorization.split_at(authorization.len().min(b"Bearer ".len()));
        let bearer = self.digest(&[scheme, token]);
        let who = self.clients.get(&bearer).unwrap_or(&bearer);
        self.digest(&[who, header(http::header::ACCEPT), target.as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(authorization: &str) -> HeaderMap {
        let value = HeaderValue::from_str(authorization).unwrap();
        HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
    }

    #[test]
    fn one_key_never_gets_what_another_was_answered() {
        let who = Identities::new();
        let key = |authorization, target| who.key(&headers(authorization), target);
        assert_eq!(key("Bearer a", "/x"), key("Bearer a", "/x"));
        assert_ne!(key("Bearer a", "/x"), key("Bearer b", "/x"));
        assert_ne!(key("Bearer a", "/x"), key("Bearer a", "/y"));
        assert_ne!(key("Bearer a/", "x"), key("Bearer a", "/x"));
    }

    #[test]
    fn two_tokens_of_one_client_are_one_and_those_of_two_are_not() {
        let mut who = Identities::new();
        who.note(None, b"client_id=a", br#"{"access_token":"t1"}"#);
        who.note(None, b"client_id=a", br#"{"access_token":"t2"}"#);
        who.note(None, b"client_id=b", br#"{"access_token":"t3"}"#);
        let key = |token: &str| who.key(&headers(&format!("Bearer {token}")), "/x");
        assert_eq!(key("t1"), key("t2"));
        assert_ne!(key("t1"), key("t3"));
        assert_ne!(key("t1"), key("t4"));
    }

    #[test]
    fn what_has_no_room_is_counted_and_what_is_replaced_makes_room() {
        let kept = |bytes: usize| Kept {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from(vec![0; bytes]),
        };
        let mut memory = Memory::new(2 * ENTRY_BYTES + 10);
        memory.put([1; 32], kept(5));
        memory.put([2; 32], kept(6));
        assert!(memory.get(&[2; 32]).is_none());
        memory.put([1; 32], kept(4));
        memory.put([2; 32], kept(6));
        assert_eq!(memory.get(&[2; 32]).map(|kept| kept.body.len()), Some(6));
        assert_eq!(memory.not_kept(), 1);
        memory.clear();
        assert!(memory.get(&[1; 32]).is_none());
        assert_eq!(memory.not_kept(), 0);
    }
}
