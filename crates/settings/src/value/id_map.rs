//! The file of `id_map`: `upstream id,legacy id` a line. Where the upstream has UUIDs, a sign-in name
//! or an e-mail address may stand for the user as well.
//!
//! A first line of words is a heading; empty lines and lines with `#` are passed over. An id that
//! stands twice on either side is refused: two users under one number are worse than none.

use std::collections::HashMap;
use std::path::Path;

use domain::id::IdMap;

use super::text;

/// Reads the map, or names its fault.
pub(crate) fn read(file: &Path) -> Result<IdMap, String> {
    let text = text::read(file)?;
    let mut map = IdMap::default();
    let mut taken = HashMap::new();
    // Spreadsheets begin a file with a mark that is no part of the first id.
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((upstream, legacy)) = line.split_once(',') else {
            return Err(format!("line {number}: two columns are needed"));
        };
        let (upstream, legacy) = (upstream.trim(), legacy.trim());
        let Some(id) = domain::id::decimal(legacy) else {
            // A heading has words in both columns.
            let is_heading = number == 1 && !legacy.bytes().any(|byte| byte.is_ascii_digit());
            if is_heading {
                continue;
            }
            return Err(format!("line {number}: the legacy id is no number"));
        };
        if let Some(before) = taken.insert(id, number) {
            return Err(format!("line {number}: legacy id of line {before} again"));
        }
        if upstream.is_empty() {
            return Err(format!("line {number}: the upstream id is empty"));
        }
        if !map.add(upstream, id) {
            return Err(format!("line {number}: this upstream id stands twice"));
        }
    }
    if map.is_empty() { Err("holds no pair of ids".to_owned()) } else { Ok(map) }
}
