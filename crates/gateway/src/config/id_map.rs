//! The file of `id_map`: `upstream id,legacy id` a line.
//!
//! A first line of words is a heading; empty lines and lines with `#` are passed over. An id that
//! stands twice on either side is refused: two users under one number are worse than none.

use std::collections::HashMap;
use std::path::Path;

/// Reads the map, or says what is wrong with it.
pub(super) fn read(file: &Path) -> Result<HashMap<String, u64>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot be read: {}", error.kind()))?;
    let mut map = HashMap::new();
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
        if map.insert(upstream.trim().to_owned(), id).is_some() {
            return Err(format!("line {number}: this upstream id stands twice"));
        }
        if let Some(before) = taken.insert(id, number) {
            return Err(format!("line {number}: legacy id of line {before} again"));
        }
    }
    Ok(map)
}
