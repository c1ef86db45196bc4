//! All that a roster holds, on its way to another one. Must never be shown: it is personal data.

use crate::shapes::{Scope, Sighting};
use crate::tally::{Marks, ScopeState};

/// Everything that a roster knows of one scope, to be moved to another roster. Only a roster reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeScope {
    pub(crate) scope: Scope,
    pub(crate) state: ScopeState,
    pub(crate) users: Vec<(Sighting, Marks)>,
    /// Ids and names of the imported baseline.
    pub(crate) imported: Vec<(u64, Option<String>)>,
}

impl WholeScope {
    /// Whose users they are.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// How many users are remembered, and how many imported.
    pub fn sizes(&self) -> (usize, usize) {
        (self.users.len(), self.imported.len())
    }
}
