//! The scripts that run on the server, each with its digest. Every script touches the keys of one slot and gives
//! each key that it writes a time to live. Must never be loaded beforehand: a server that lost its scripts gets the
//! text again in the same attempt.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use redis::Cmd;

/// A script and the digest by which a server that has seen it knows it.
pub(crate) struct Script {
    /// Its text.
    pub(crate) text: &'static str,
    digest: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Script { text, digest: crate::names::hex(digest.as_ref()) }
    }

    /// The command that names the script by its digest, or that carries its text.
    pub(crate) fn command(&self, has_text: bool, keys: &[&str], args: &[&[u8]]) -> Cmd {
        let mut command = redis::cmd(if has_text { "EVAL" } else { "EVALSHA" });
        command.arg(if has_text { self.text } else { &self.digest });
        command.arg(keys.len());
        for key in keys {
            command.arg(*key);
        }
        for arg in args {
            command.arg(*arg);
        }
        command
    }
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $(pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!($file)));)*
    };
}

scripts! {
    TAKE = "scripts/take.lua";
    BEGIN = "scripts/begin.lua";
    FETCH = "scripts/fetch.lua";
    FINISH = "scripts/finish.lua";
    RELEASE = "scripts/release.lua";
    RENEW = "scripts/renew.lua";
    TELL = "scripts/tell.lua";
    NEWS = "scripts/news.lua";
    ROLL = "scripts/roll.lua";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_by_the_digest_that_servers_use() {
        // `printf 'return 1' | sha1sum`
        let script = Script::new("return 1");
        assert_eq!(script.digest, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
        let command = script.command(false, &["a"], &[b"b"]);
        let packed = String::from_utf8_lossy(&command.get_packed_command()).into_owned();
        assert!(packed.contains("EVALSHA") && packed.contains(&script.digest), "{packed}");
    }
}
