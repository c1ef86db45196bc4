//! From a `userId` back to the user.
//!
//! A UUID is a digest, so it can only be found again by making those of all users. That is done
//! once for each user and kept; an id never changes hands.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::record::User;
use crate::vonage::identity::vonage_user_id;

/// The UUIDs made so far.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_uuid: HashMap<String, u64>,
    known: HashSet<u64>,
}

impl Index {
    /// The id of the user with this UUID, whether or not it is still there.
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
