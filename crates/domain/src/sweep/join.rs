//! Joining pages at rows they share.
//!
//! Two pages are never put side by side because their offsets say so: offsets shift while a list
//! changes, shared rows do not.

use std::collections::HashMap;
use std::ops::Range;

use super::Slot;

/// Pages that join from the first to the last.
#[derive(Debug)]
pub(super) struct Chain {
    /// Slot and the rows of it that count, in order; no row is in two parts.
    pub(super) parts: Vec<(usize, Range<usize>)>,
    /// The slot the list ends in.
    pub(super) last: usize,
}

impl Chain {
    pub(super) fn rows(&self) -> u64 {
        self.parts.iter().map(|(_, rows)| rows.len() as u64).sum()
    }
}

/// Joins all slots, or says after which slots the seam is broken.
pub(super) fn chain(slots: &[Slot]) -> Result<Chain, Vec<usize>> {
    let mut parts = Vec::new();
    let mut broken = Vec::new();
    let (mut left, mut start) = (0, 0);
    for right in 1..slots.len() {
        let (keys, next) = (slots[left].keys(), slots[right].keys());
        if next.is_empty() && slots[left].is_short() {
            // Beyond the end, which the page before has seen.
            continue;
        }
        match joint(keys, start, next) {
            Some((end, next_start)) => {
                parts.push((left, start..end));
                start = next_start;
            }
            None => {
                broken.push(right - 1);
                start = 0;
            }
        }
        left = right;
    }
    if !broken.is_empty() {
        return Err(broken);
    }
    parts.push((left, start..slots[left].keys().len()));
    Ok(Chain { parts, last: left })
}

/// The last row of `left` that `right` holds, too: where the left part ends and the right one
/// starts. Rows of `left` before `start` are the previous joint's, of which only the joint row
/// itself may serve again.
pub(super) fn joint(left: &[u64], start: usize, right: &[u64]) -> Option<(usize, usize)> {
    if let (Some(last), Some(first)) = (left.last(), right.first())
        && last == first
    {
        return Some((left.len(), 1));
    }
    let places: HashMap<u64, usize> =
        right.iter().enumerate().map(|(place, key)| (*key, place)).collect();
    let from = start.saturating_sub(1);
    let row = (from..left.len()).rev().find(|row| places.contains_key(&left[*row]))?;
    Some(((row + 1).max(start), places[&left[row]] + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Rows, Window};

    fn slots(pages: &[&[u64]]) -> Vec<Slot> {
        let limit = pages.iter().map(|page| page.len()).max().unwrap_or(0) as u32;
        pages
            .iter()
            .map(|page| {
                let mut slot = Slot::new(Window { offset: 0, limit });
                slot.rows = Some(Rows { keys: page.to_vec(), ..Rows::default() }.into());
                slot
            })
            .collect()
    }

    fn joined(pages: &[&[u64]]) -> Result<Vec<u64>, Vec<usize>> {
        let slots = slots(pages);
        let chain = chain(&slots)?;
        Ok(chain
            .parts
            .iter()
            .flat_map(|(slot, rows)| slots[*slot].keys()[rows.clone()].to_vec())
            .collect())
    }

    #[test]
    fn pages_join_at_a_shared_row_wherever_it_stands() {
        assert_eq!(joined(&[&[1, 2, 3], &[3, 4, 5]]), Ok(vec![1, 2, 3, 4, 5]));
        // A row was inserted in front: the next page shows two old rows.
        assert_eq!(joined(&[&[1, 2, 3], &[2, 3, 4]]), Ok(vec![1, 2, 3, 4]));
        // The joint row itself was deleted; the one before it serves.
        assert_eq!(joined(&[&[1, 2, 3], &[2, 4, 5]]), Ok(vec![1, 2, 4, 5]));
    }

    #[test]
    fn pages_that_share_no_row_do_not_join() {
        assert_eq!(joined(&[&[1, 2, 3], &[4, 5, 6]]), Err(vec![0]));
        assert_eq!(joined(&[&[1, 2, 3], &[4, 5, 6], &[7, 8, 9]]), Err(vec![0, 1]));
    }

    #[test]
    fn empty_pages_count_only_behind_a_seen_end() {
        assert_eq!(joined(&[&[1, 2, 3], &[3, 4], &[], &[]]), Ok(vec![1, 2, 3, 4]));
        assert_eq!(joined(&[&[1, 2, 3], &[3, 4, 5], &[]]), Err(vec![1]));
    }

    #[test]
    fn a_bridge_that_overlaps_both_sides_adds_each_row_once() {
        let pages: &[&[u64]] = &[&[1, 2, 3, 4], &[3, 4, 5, 6], &[5, 6, 7]];
        assert_eq!(joined(pages), Ok(vec![1, 2, 3, 4, 5, 6, 7]));
    }
}
