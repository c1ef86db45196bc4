//! The digest by which a legacy key is known. The key itself is never kept, and a digest cannot be aimed: how long it
//! takes to look one up says nothing about a key.

use domain::hex;
use sha2::{Digest, Sha256};

/// SHA-256 of a legacy key.
pub type KeyDigest = [u8; 32];

/// Digest of a key, in the form the configuration holds: `sha256:<hex>`.
pub fn key_digest(key: &str) -> String {
    let mut text = "sha256:".to_owned();
    hex::push(&mut text, &digest(key));
    text
}

/// Digest of a key.
pub fn digest(key: &str) -> KeyDigest {
    Sha256::digest(key.as_bytes()).into()
}

/// Reads the form [`key_digest`] writes.
pub(crate) fn parse_digest(text: &str) -> Option<KeyDigest> {
    let hex = text.strip_prefix("sha256:").filter(|hex| hex.len() == 64)?;
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (place, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(digest)
}
