//! Finds the user of a `userId`.
//!
//! A UUID is a digest, so finding it means computing the UUIDs of all users. That is done once per user
//! and kept, because an id never belongs to another user.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::people::record::User;
use crate::vonage::identity::vonage_user_id;

/// The UUIDs made so far.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_uuid: HashMap<String, u64>,
    known: HashSet<u64>,
}

impl Index {
    /// The id of the user with this UUID, even if the user was deleted.
    pub(crate) fn id_of(&mut self, users: &[Arc<User>], uuid: &str) -> Option<u64> {
        if let Some(id) = self.by_uuid.get(uuid) {
            return Some(*id);
        }
        for user in users {
            if self.known.insert(user.id) {
                self.by_uuid.insert(vonage_user_id(user.id), user.id);
            }
        }
        self.by_uuid.get(uuid).copied()
    }
}
