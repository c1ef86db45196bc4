//! Files of text that people write: UTF-8, and the remedy where one is not.

use std::io::ErrorKind;
use std::path::Path;

/// The text of a file's bytes.
///
/// # Errors
/// The coding of the bytes, and the remedy. The words come behind a name: "`NAME` is UTF-16; ..".
pub fn utf_8(bytes: Vec<u8>) -> Result<String, &'static str> {
    // Windows PowerShell writes UTF-16 with its `>`. Plain text has a zero in each second byte then.
    let is_utf_16 = matches!(bytes.get(..2), Some([0xff, 0xfe] | [0xfe, 0xff] | [0, _] | [_, 0]));
    if is_utf_16 {
        return Err("is UTF-16; save it as UTF-8");
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8; save it as UTF-8")
}

/// Reads a file of text.
///
/// # Errors
/// As [`utf_8`], or "cannot be read" and why.
pub fn read(file: &Path) -> Result<String, String> {
    let bytes =
        std::fs::read(file).map_err(|error| format!("cannot be read: {}", reason(error.kind())))?;
    Ok(utf_8(bytes)?)
}

/// Why a file cannot be read, in plain words.
fn reason(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        ErrorKind::NotADirectory => "a part of its path is no folder".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf_8_are_named_by_their_coding() {
        for units in ["\u{feff}key", "key"] {
            let little = units.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big = units.encode_utf16().flat_map(u16::to_be_bytes).collect();
            for bytes in [little, big] {
                assert_eq!(utf_8(bytes), Err("is UTF-16; save it as UTF-8"));
            }
        }
        assert_eq!(utf_8(b"k\xffy".to_vec()), Err("is not UTF-8; save it as UTF-8"));
        assert_eq!(utf_8("k\u{e9}y\n".into()), Ok("k\u{e9}y\n".to_owned()));
        assert_eq!(utf_8(b"k".to_vec()), Ok("k".to_owned()));
        assert_eq!(utf_8(Vec::new()), Ok(String::new()));
    }
}
