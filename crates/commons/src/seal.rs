//! Values as the server holds them: compressed, then sealed with AES-256-GCM.
//!
//! ```text
//! format | key id | nonce | sealed( read at | generation | token | length | zstd body ) and tag
//! ```
//!
//! Name, format and key id are bound in, so a value that was moved, cut, flipped or made by somebody else does not
//! open. Must never believe a value that does not open, is of another generation, or is older than its reader
//! allows; and must never hold more than the limit, whatever a length says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use zeroize::Zeroizing;

const FORMAT: u8 = 1;
const KEY_ID: usize = 4;
/// What stands before the sealed part.
const HEAD: usize = 1 + KEY_ID + NONCE_LEN;
/// What stands before the body in the sealed part.
const INNER: usize = 8 + 8 + 8 + 4;
/// Clocks of replicas may differ by this.
const SKEW: Duration = Duration::from_secs(5);
/// The least effort: at this level a list of users shrinks to a ninth, at more than a gigabyte every three seconds.
const LEVEL: i32 = 1;

/// A secret of 32 bytes from which all keys are derived. Wiped when it is dropped; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// From the bytes of a file, already decoded.
    pub fn new(bytes: [u8; 32]) -> Self {
        SealKey(Zeroizing::new(bytes))
    }

    /// The secret that names are made with.
    pub(crate) fn names_secret(&self) -> Zeroizing<[u8; 32]> {
        let secret =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0), b"tieline commons names");
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.copy_from_slice(secret.as_ref());
        bytes
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What is sealed in beside the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When the reading began, by the clock of the replica that read.
    pub(crate) read_at: SystemTime,
    /// The generation of the scope at that time.
    pub(crate) generation: u64,
    /// The token of the reading.
    pub(crate) token: u64,
}

/// Under which conditions a value is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Belief {
    pub(crate) now: SystemTime,
    pub(crate) age_max: Duration,
    pub(crate) generation: u64,
    pub(crate) token: u64,
}

/// A value that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) body: Vec<u8>,
    /// Since its reading began.
    pub(crate) age: Duration,
}

/// Why a value is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unbelieved {
    /// Another version wrote it, or another key sealed it: expected while replicas are replaced.
    Foreign,
    /// It does not open: damaged, swapped or forged.
    Unopened,
    /// It opens, but it is of another generation, of another reading, or too old.
    Outdated,
}

struct Key {
    id: [u8; KEY_ID],
    root: hkdf::Prk,
}

/// The keys that values are sealed and opened with. The first seals.
pub(crate) struct Seal {
    keys: Vec<Key>,
    body_max: usize,
}

impl Seal {
    /// The key in force, the keys before it, and the most bytes that a body may have.
    pub(crate) fn new(key: &SealKey, before: &[SealKey], body_max: usize) -> Self {
        let keys = std::iter::once(key).chain(before).map(|key| {
            let root =
                hkdf::Salt::new(hkdf::HKDF_SHA256, b"tieline commons values").extract(&*key.0);
            let code =
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*key.0), b"tieline commons key id");
            let mut id = [0; KEY_ID];
            id.copy_from_slice(&code.as_ref()[..KEY_ID]);
            Key { id, root }
        });
        Seal { keys: keys.collect(), body_max }
    }

    /// A sealed value, or nothing for a body above the limit.
    pub(crate) fn seal(&self, tag: &str, name: &str, stamp: Stamp, body: &[u8]) -> Option<Vec<u8>> {
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= self.body_max)?;
        let key = self.keys.first()?;
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).ok()?;
        let packed = zstd::bulk::compress(body, LEVEL).ok()?;
        let read_at = stamp.read_at.duration_since(UNIX_EPOCH).ok()?.as_millis();
        let mut inner = Vec::with_capacity(INNER + packed.len() + AES_256_GCM.tag_len());
        inner.extend_from_slice(&u64::try_from(read_at).ok()?.to_be_bytes());
        inner.extend_from_slice(&stamp.generation.to_be_bytes());
        inner.extend_from_slice(&stamp.token.to_be_bytes());
        inner.extend_from_slice(&length.to_be_bytes());
        inner.extend_from_slice(&packed);
        let bound = bound(&key.id, name);
        let subkey = key.below(tag)?;
        let nonce_bytes = nonce;
        let nonce = Nonce::assume_unique_for_key(nonce);
        subkey.seal_in_place_append_tag(nonce, Aad::from(bound), &mut inner).ok()?;
        let mut envelope = Vec::with_capacity(HEAD + inner.len());
        envelope.push(FORMAT);
        envelope.extend_from_slice(&key.id);
        envelope.extend_from_slice(&nonce_bytes);
        envelope.extend_from_slice(&inner);
        Some(envelope)
    }

    /// The body of a value that may be believed.
    pub(crate) fn open(
        &self,
        tag: &str,
        name: &str,
        belief: Belief,
        envelope: Vec<u8>,
    ) -> Result<Opened, Unbelieved> {
        if envelope.first() != Some(&FORMAT) {
            return Err(Unbelieved::Foreign);
        }
        let head: &[u8; HEAD] = envelope.first_chunk().ok_or(Unbelieved::Unopened)?;
        let id = &head[1..=KEY_ID];
        let key = self.keys.iter().find(|key| key.id == id).ok_or(Unbelieved::Foreign)?;
        let bound = bound(&key.id, name);
        let nonce = Nonce::try_assume_unique_for_key(&head[1 + KEY_ID..]);
        let nonce = nonce.map_err(|_| Unbelieved::Unopened)?;
        let subkey = key.below(tag).ok_or(Unbelieved::Unopened)?;
        let mut envelope = envelope;
        let inner = envelope.split_at_mut(HEAD).1;
        let inner = subkey.open_in_place(nonce, Aad::from(bound), inner);
        let inner: &[u8] = inner.map_err(|_| Unbelieved::Unopened)?;
        let (numbers, packed) = inner.split_at_checked(INNER).ok_or(Unbelieved::Unopened)?;
        let stamp = Stamp {
            read_at: UNIX_EPOCH + Duration::from_millis(number(&numbers[..8])),
            generation: number(&numbers[8..16]),
            token: number(&numbers[16..24]),
        };
        if !belief.allows(stamp) {
            return Err(Unbelieved::Outdated);
        }
        let length = usize::try_from(number(&numbers[24..])).unwrap_or(usize::MAX);
        if length > self.body_max {
            return Err(Unbelieved::Foreign);
        }
        let body = zstd::bulk::decompress(packed, length).map_err(|_| Unbelieved::Unopened)?;
        if body.len() != length {
            return Err(Unbelieved::Unopened);
        }
        let age = belief.now.duration_since(stamp.read_at).unwrap_or_default();
        Ok(Opened { body, age })
    }
}

impl Belief {
    fn allows(self, stamp: Stamp) -> bool {
        let is_of_its_time = match self.now.duration_since(stamp.read_at) {
            Ok(age) => age <= self.age_max.saturating_add(SKEW),
            Err(ahead) => ahead.duration() <= SKEW,
        };
        is_of_its_time && stamp.generation == self.generation && stamp.token == self.token
    }
}

impl Key {
    /// The key of one scope.
    fn below(&self, tag: &str) -> Option<LessSafeKey> {
        let info = [&b"scope"[..], tag.as_bytes()];
        let okm = self.root.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(okm)))
    }
}

/// What a value is bound to.
fn bound(id: &[u8; KEY_ID], name: &str) -> Vec<u8> {
    [&[FORMAT][..], id, name.as_bytes()].concat()
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seal() -> Seal {
        Seal::new(&SealKey::new([7; 32]), &[], 1 << 20)
    }

    fn stamp() -> Stamp {
        let read_at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Stamp { read_at, generation: 5, token: 9 }
    }

    fn belief(after: i64) -> Belief {
        let since = Duration::from_secs((1_800_000_000 + after).unsigned_abs());
        let age_max = Duration::from_secs(60);
        Belief { now: UNIX_EPOCH + since, age_max, generation: 5, token: 9 }
    }

    #[test]
    fn j04_j10_a_value_opens_under_its_own_name_scope_format_and_key_only() {
        let (seal, body) = (seal(), b"joined listings ".repeat(500));
        let value = seal.seal("scope", "name", stamp(), &body).unwrap();
        assert!(value.len() < 200, "{} bytes", value.len());
        let opened = Opened { body: body.clone(), age: Duration::ZERO };
        assert_eq!(seal.open("scope", "name", belief(0), value.clone()), Ok(opened));
        let unopened = Err(Unbelieved::Unopened);
        assert_eq!(seal.open("scope", "other", belief(0), value.clone()), unopened);
        assert_eq!(seal.open("other", "name", belief(0), value.clone()), unopened);
        let other = Seal::new(&SealKey::new([8; 32]), &[], 1 << 20);
        assert_eq!(other.open("scope", "name", belief(0), value.clone()), Err(Unbelieved::Foreign));
        let mut newer = value.clone();
        newer[0] = FORMAT + 1;
        assert_eq!(seal.open("scope", "name", belief(0), newer), Err(Unbelieved::Foreign));
        let again = seal.seal("scope", "name", stamp(), &body).unwrap();
        assert_ne!(again, value, "a nonce was used twice");
    }

    #[test]
    fn a_value_dies_with_its_freshness_and_its_generation() {
        let seal = seal();
        let value = seal.seal("scope", "name", stamp(), b"body").unwrap();
        let open = |belief| seal.open("scope", "name", belief, value.clone());
        let opened = Opened { body: b"body".to_vec(), age: Duration::from_secs(65) };
        assert_eq!(open(belief(65)), Ok(opened));
        let outdated = Err(Unbelieved::Outdated);
        assert_eq!(open(belief(66)), outdated);
        assert_eq!(open(belief(-5)).map(|opened| opened.age), Ok(Duration::ZERO));
        assert_eq!(open(belief(-6)), outdated, "a clock an hour ahead must not make values last");
        assert_eq!(open(Belief { generation: 6, ..belief(0) }), outdated);
        assert_eq!(open(Belief { generation: 0, ..belief(0) }), outdated);
        assert_eq!(open(Belief { token: 10, ..belief(0) }), outdated);
    }

    #[test]
    fn j27_values_of_the_key_before_still_open_after_a_rotation() {
        let (old, new) = (SealKey::new([7; 32]), SealKey::new([8; 32]));
        let value = seal().seal("scope", "name", stamp(), b"body").unwrap();
        let rotated = Seal::new(&new, std::slice::from_ref(&old), 1 << 20);
        let opened = rotated.open("scope", "name", belief(0), value);
        assert_eq!(opened.map(|opened| opened.body), Ok(b"body".to_vec()));
        let value = rotated.seal("scope", "name", stamp(), b"body").unwrap();
        assert_eq!(seal().open("scope", "name", belief(0), value), Err(Unbelieved::Foreign));
    }

    #[test]
    fn a_body_above_the_limit_is_neither_sealed_nor_unpacked() {
        let large = Seal::new(&SealKey::new([7; 32]), &[], 1 << 24);
        assert_eq!(seal().seal("scope", "name", stamp(), &vec![0; (1 << 20) + 1]), None);
        let bomb = large.seal("scope", "name", stamp(), &vec![0; 1 << 24]).unwrap();
        assert!(bomb.len() < 4096);
        assert_eq!(seal().open("scope", "name", belief(0), bomb), Err(Unbelieved::Foreign));
    }

    #[test]
    fn a_key_is_never_printed() {
        assert_eq!(format!("{:?}", SealKey::new([7; 32])), "[redacted]");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_mutated_value_is_believed(
            body in prop::collection::vec(any::<u8>(), 0..200),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
            cut in any::<prop::sample::Index>(),
            more in prop::collection::vec(any::<u8>(), 0..4),
            how in 0..4_u8,
        ) {
            let seal = seal();
            let value = seal.seal("scope", "name", stamp(), &body).unwrap();
            let mut mutated = value.clone();
            match how {
                0 => mutated.truncate(cut.index(value.len())),
                1 => mutated.extend_from_slice(&more),
                2 => mutated = more,
                _ => for (place, flip) in edits {
                    let place = place.index(mutated.len());
                    mutated[place] ^= flip;
                },
            }
            if mutated != value {
                prop_assert!(seal.open("scope", "name", belief(0), mutated).is_err());
            }
        }
    }
}
