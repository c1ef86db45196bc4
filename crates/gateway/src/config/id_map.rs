//! The file of `id_map`: `upstream id,legacy id` a line. Where the upstream has UUIDs, a sign-in name
//! or an e-mail address may stand for the user as well.
//!
//! A first line of words is a heading; empty lines and lines with `#` are passed over. An id that
//! stands twice on either side is refused: two users under one number are worse than none.

use std::collections::HashMap;
use std::path::Path;

use domain::id::IdMap;

/// Reads the map, or says what is wrong with it.
pub(super) fn read(file: &Path) -> Result<IdMap, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot be read: {}", error.kind()))?;
    let mut map = IdMap::default();
    let mut taken = HashMap::new();
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((upstream, legacy)) = line.split_once(',') else {
            return Err(format!("line {number}: two columns are needed"));
        };
        let Some(id) = domain::id::decimal(legacy.trim()) else {
            if number == 1 {
                continue;
            }
            return Err(format!("line {number}: the legacy id is no number"));
        };
        if let Some(before) = taken.insert(id, number) {
            return Err(format!("line {number}: legacy id of line {before} again"));
        }
        if !map.add(&plain(upstream.trim()), id) {
            return Err(format!("line {number}: this upstream id stands twice"));
        }
    }
    Ok(map)
}

/// A UUID in lower case, since its spelling has no case; anything else as it is.
fn plain(id: &str) -> String {
    let is_uuid = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_uuid { id.to_ascii_lowercase() } else { id.to_owned() }
}
