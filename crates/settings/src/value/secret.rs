//! A secret: held, sent, never shown.

use std::fmt;

use zeroize::Zeroizing;

/// Text that prints as `[redacted]` and is wiped from memory when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: String) -> Self {
        Secret(Zeroizing::new(text))
    }

    /// The secret itself; only for sending it where it belongs, or digesting it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_redacted() {
        let secret = Secret::new("canary".to_owned());
        assert_eq!(
            format!("{secret} {secret:?} {:#?}", Some(&secret)).matches("canary").count(),
            0
        );
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }
}
