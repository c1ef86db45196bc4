//! Where a secret is found: in a variable, in a file, or nowhere but as a digest. Must never show any of it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use roster::password_text;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::ConfigError;
use crate::reader::{Field, Reader};
use crate::value::digest::{KeyDigest, digest, parse_digest};
use crate::value::key::key_text;
use crate::value::secret::Secret;
use crate::value::text;

/// Where a key is found; which of the three may stand where is decided a step later.
#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "{ env = \"NAME\" } or { file = \"PATH\" }, or { digest = \"sha256:..\" } of a legacy key"
)]
pub(crate) struct Key {
    pub(crate) digest: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) file: Option<PathBuf>,
}

impl Key {
    /// `env` as an error may show it: only what is sure to be a variable's name, such as
    /// `VOISO_V4_KEY`, and no key that stands where the name belongs.
    fn env_shown(&self) -> &str {
        let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let is_name = |name: &&str| name.contains('_') && name.chars().all(is_plain);
        self.env.as_deref().filter(is_name).unwrap_or("that env names")
    }
}

/// A path as an error may show it: only what is sure to be one, and no key that stands where the path belongs.
fn path_shown(typed: &Path, path: &Path) -> String {
    let text = typed.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    // A key that begins with a slash names no folder.
    let root = typed.components().take(2).collect::<PathBuf>();
    let is_whole = typed.components().count() > 2 && root.is_absolute() && root.is_dir();
    let is_ending = |ending: &OsStr| {
        let ending = ending.to_string_lossy();
        ending.len() <= 4 && ending.chars().all(|c| c.is_ascii_lowercase())
    };
    let is_name = typed.extension().is_some_and(is_ending) && text.len() <= 24;
    // Keys with dots and slashes are longer than the names that people give to files.
    let is_short = typed.components().all(|part| part.as_os_str().len() <= 40);
    if (is_whole || text.starts_with("./") || is_name) && is_short && text.chars().all(is_plain) {
        path.display().to_string()
    } else {
        "that file names".to_owned()
    }
}

/// A secret from the environment or a file, by the rules for keys.
pub(crate) fn secret(at: &Field, key: &Key, reader: &Reader<'_>) -> Result<Secret, ConfigError> {
    match key_text(&secret_text(at, key, reader)?) {
        Ok(key) => Ok(Secret::new(key.to_owned())),
        Err(why) => reader.refuse(at, why),
    }
}

/// The password for a server: its file, which is read again for every connection and must be there now all the same, or
/// its text. It may have blanks and quotes, which the rules for keys refuse.
pub(crate) fn password<P>(
    at: &Field,
    key: &Key,
    reader: &Reader<'_>,
    of_file: impl FnOnce(PathBuf) -> P,
    of_text: impl FnOnce(Zeroizing<String>) -> P,
) -> Result<P, ConfigError> {
    if key.digest.is_some() {
        return reader.refuse(at, "a digest cannot be sent; use env or file");
    }
    match (password_text(&secret_text(at, key, reader)?), &key.file) {
        (Err(why), _) => reader.refuse(at, why),
        (Ok(_), Some(file)) => Ok(of_file(reader.path(file))),
        (Ok(password), None) => Ok(of_text(Zeroizing::new(password.to_owned()))),
    }
}

/// The text of the environment or of a file in which a secret is, with everything around it.
pub(crate) fn secret_text(
    at: &Field,
    key: &Key,
    reader: &Reader<'_>,
) -> Result<Zeroizing<String>, ConfigError> {
    let found = match (&key.env, &key.file) {
        (Some(name), None) => match reader.env.iter().find(|(known, _)| known == name) {
            Some((_, value)) => value.clone(),
            None => {
                return reader.refuse(at, format!("the variable {} is not set", key.env_shown()));
            }
        },
        (None, Some(file)) => {
            let path = reader.file(file);
            match text::read(&path) {
                Ok(text) => text,
                Err(why) => {
                    return reader
                        .refuse(at, format!("the file {} {why}", path_shown(file, &path)));
                }
            }
        }
        (Some(_), Some(_)) => return reader.refuse(at, "needs one of env and file, not both"),
        (None, None) => return reader.refuse(at, "needs env = \"NAME\" or file = \"PATH\""),
    };
    Ok(Zeroizing::new(found))
}

/// The digest of a key that clients show: as it stands there, or of the secret that is found.
pub(crate) fn key_digest_of(
    at: &Field,
    key: &Key,
    reader: &Reader<'_>,
) -> Result<KeyDigest, ConfigError> {
    match &key.digest {
        Some(text) if key.env.is_none() && key.file.is_none() => match parse_digest(text) {
            Some(digest) => Ok(digest),
            None => reader.refuse(at, "digest must be sha256: and 64 hex digits"),
        },
        None => Ok(digest(secret(at, key, reader)?.expose())),
        Some(_) => reader.refuse(at, "needs one of digest, env and file, not several"),
    }
}
