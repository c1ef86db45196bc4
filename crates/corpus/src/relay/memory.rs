//! Earlier answers, by credential and target. It stores digests under a random salt, never a credential,
//! and stays within its limit of bytes.

use std::collections::HashMap;

use http::{HeaderMap, HeaderValue, StatusCode};
use rand::RngExt;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use bytes::Bytes;

/// A digest of a credential and a target.
pub(super) type Key = [u8; 32];

/// How many tokens are remembered with their client.
const TOKENS_MAX: usize = 1_000;
/// The memory that an entry takes besides its body.
const ENTRY_BYTES: usize = 512;

#[derive(Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Answers, up to a number of bytes. The first answers stay: otherwise a list that is read again from its
/// first page would push out the pages that it needs next.
pub(super) struct Memory {
    bytes_max: usize,
    bytes: usize,
    entries: HashMap<Key, Answer>,
    /// How many answers found no room.
    pub(super) not_kept: u64,
}

impl Memory {
    pub(super) fn new(bytes_max: usize) -> Memory {
        Memory { bytes_max, bytes: 0, entries: HashMap::new(), not_kept: 0 }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Answer> {
        self.entries.get(key).cloned()
    }

    pub(super) fn put(&mut self, key: Key, kept: Answer) {
        let size = |kept: &Answer| kept.body.len() + ENTRY_BYTES;
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
}

/// The client behind each token. Tokens change, their client stays.
pub(super) struct Identities {
    salt: [u8; 32],
    clients: HashMap<Key, Key>,
}

#[derive(Deserialize)]
struct TokenAnswer {
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

    /// Notes the token that the token endpoint has granted to a client.
    pub(super) fn note(&mut self, authorization: Option<&HeaderValue>, form: &[u8], answer: &[u8]) {
        let Ok(granted) = serde_json::from_slice::<TokenAnswer>(answer) else { return };
        let client = self.digest(&[authorization.map_or(b"", HeaderValue::as_bytes), form]);
        let bearer = self.digest(&[b"Bearer ", granted.access_token.as_bytes()]);
        if self.clients.len() >= TOKENS_MAX {
            self.clients.clear();
        }
        self.clients.insert(bearer, client);
    }

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
    fn a_key_never_gets_the_answer_of_another_key() {
        let who = Identities::new();
        let key = |authorization, target| who.key(&headers(authorization), target);
        assert_eq!(key("Bearer a", "/x"), key("Bearer a", "/x"));
        assert_ne!(key("Bearer a", "/x"), key("Bearer b", "/x"));
        assert_ne!(key("Bearer a", "/x"), key("Bearer a", "/y"));
        assert_ne!(key("Bearer a/", "x"), key("Bearer a", "/x"));
    }

    #[test]
    fn tokens_of_one_client_share_answers_and_those_of_two_clients_do_not() {
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
    fn an_answer_without_room_is_counted_and_a_replaced_one_makes_room() {
        let kept = |bytes: usize| Answer {
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
        assert_eq!(memory.not_kept, 1);
        memory.clear();
        assert!(memory.get(&[1; 32]).is_none());
        assert_eq!(memory.not_kept, 0);
    }
}
