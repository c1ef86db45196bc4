//! What the questions hold that share the pages of a sweep, and what is left when some are refused.

use std::sync::Arc;

use super::Sweep;
use super::rows::{Rows, Shown};

impl Sweep {
    /// About how many bytes each of so many questions holds.
    pub fn held_by(&self, views: usize) -> Vec<u64> {
        let mut held = vec![0; views];
        for page in self.reading.slots.iter().filter_map(|slot| slot.rows.as_ref()) {
            for (view, bytes) in page.views_of(&(0..page.keys.len())) {
                if let Some(held) = held.get_mut(view as usize) {
                    *held += (bytes.len() + size_of::<Shown>()) as u64;
                }
            }
        }
        held
    }

    /// Drops what is shown to any other question than these. Returns about how many bytes are held then.
    pub fn keep_views(&mut self, is_kept: impl Fn(u32) -> bool) -> usize {
        let pages = self.reading.slots.iter_mut().filter_map(|slot| slot.rows.as_mut());
        let held = |page: &mut Arc<Rows>| {
            if page.shown.iter().any(|shown| !is_kept(shown.view)) {
                Arc::make_mut(page).keep_views(&is_kept);
            }
            page.held()
        };
        pages.map(held).sum()
    }
}
