//! HMACs of values under a random key that ends with the process. They show whether two values are equal.
//! It must never show the key or a value.

use domain::hex;
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use sha2::Sha256;

pub(crate) struct Mask {
    key: [u8; 32],
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Default for Mask {
    fn default() -> Self {
        Mask { key: rand::rng().random() }
    }
}

impl Mask {
    pub(crate) fn hmac(&self, value: &[u8]) -> String {
        // A key of any length is fit.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        mac.update(value);
        hex::of(&mac.finalize().into_bytes()[..16])
    }
}
