//! The data set: users in list order. Edits keep ids unique for ever.
//!
//! An id is never used twice, as in a real database. The store knows no HTTP and no JSON.

pub(crate) mod churn;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use crate::fault::BadSetting;
use crate::people::data::{self, Dice, FIRST_ID};
use crate::people::record::{Named, Text, User};

/// The order of the users in both faces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Ascending by id; new users come last.
    #[default]
    Id,
    /// Descending by id; new users come first.
    IdDescending,
    /// By name and then id; a rename moves a user.
    Name,
    /// A new order for each v4 request. The legacy face has no pages and is ordered by id.
    Random,
}

impl FromStr for Order {
    type Err = BadSetting;

    /// `id`, `id-descending`, `name` or `random`.
    fn from_str(text: &str) -> Result<Order, BadSetting> {
        match text {
            "id" => Ok(Order::Id),
            "id-descending" => Ok(Order::IdDescending),
            "name" => Ok(Order::Name),
            "random" => Ok(Order::Random),
            _ => Err(BadSetting::new("an order", text)),
        }
    }
}

/// What can happen to a user while a client reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Insert,
    Delete,
    Rename,
}

#[derive(Debug)]
pub(crate) struct Store {
    seed: u64,
    order: Order,
    /// Always in list order (`Random`: by id).
    pub(crate) users: Vec<Arc<User>>,
    pub(crate) groups: Vec<Named>,
    pub(crate) teams: Vec<Named>,
    /// Ids of deleted users, which must not be used again.
    retired: HashSet<u64>,
    largest_id: u64,
    /// How many users were ever made, which is the index of the next one.
    made: u64,
    shuffles: u64,
}

impl Store {
    pub(crate) fn new(seed: u64, count: usize, order: Order) -> Store {
        let mut users: Vec<_> = data::users(seed, count).into_iter().map(Arc::new).collect();
        let largest_id = users.last().map_or(FIRST_ID - 1, |user| user.id);
        users.sort_by(|a, b| compare(order, a, b));
        Store {
            seed,
            order,
            users,
            groups: data::groups(),
            teams: data::teams(),
            retired: HashSet::new(),
            largest_id,
            made: count as u64,
            shuffles: 0,
        }
    }

    /// Cuts a page. `window` gets the number of users that pass `wanted` and returns the range of the
    /// page. Returns that number and the page.
    pub(crate) fn page(
        &mut self,
        wanted: Option<&dyn Fn(&User) -> bool>,
        window: impl FnOnce(usize) -> Range<usize>,
    ) -> (usize, Vec<Arc<User>>) {
        if wanted.is_none() && self.order != Order::Random {
            // The usual case must not visit every user for every page.
            let rows = &self.users;
            return (rows.len(), rows.get(window(rows.len())).unwrap_or_default().to_vec());
        }
        let wanted = wanted.unwrap_or(&|_| true);
        let mut rows: Vec<_> = self.users.iter().filter(|user| wanted(user)).cloned().collect();
        if self.order == Order::Random {
            self.shuffles += 1;
            let mut dice = Dice::new(self.seed, self.shuffles.wrapping_add(0x5EED));
            for i in (1..rows.len()).rev() {
                rows.swap(i, dice.below(i as u64 + 1) as usize);
            }
        }
        (rows.len(), rows.get(window(rows.len())).unwrap_or_default().to_vec())
    }

    /// Adds a generated user, changed by `edit`. The new id is the largest so far plus one, unless `edit`
    /// sets another one that was never used.
    pub(crate) fn insert(&mut self, edit: impl FnOnce(&mut User)) -> u64 {
        let id = self.largest_id + 1;
        self.insert_as(id, edit)
    }

    /// Adds a user with a free id between the others, if one of a few random places has a gap; otherwise
    /// at the end.
    pub(crate) fn insert_in_gap(&mut self, dice: &mut Dice) -> u64 {
        for _ in 0..16 {
            let Some(user) = self.users.get(dice.below(self.users.len() as u64) as usize) else {
                break;
            };
            let id = user.id + 1;
            if self.is_free(id) {
                return self.insert_as(id, |_| ());
            }
        }
        self.insert(|_| ())
    }

    fn insert_as(&mut self, id: u64, edit: impl FnOnce(&mut User)) -> u64 {
        let mut user = data::user(self.seed, self.made, id);
        self.made += 1;
        edit(&mut user);
        if user.id != id && !self.is_free(user.id) {
            user.id = id;
        }
        let id = user.id;
        self.largest_id = self.largest_id.max(id);
        self.put(Arc::new(user));
        id
    }

    fn is_free(&self, id: u64) -> bool {
        !self.retired.contains(&id) && !self.users.iter().any(|user| user.id == id)
    }

    fn put(&mut self, user: Arc<User>) {
        let order = self.order;
        let at = self.users.partition_point(|other| compare(order, other, &user) == Ordering::Less);
        self.users.insert(at, user);
    }

    /// Removes the row. Only its id is remembered, so that it is never used again.
    pub(crate) fn delete(&mut self, id: u64) -> bool {
        let Some(at) = self.users.iter().position(|user| user.id == id) else {
            return false;
        };
        self.users.remove(at);
        self.retired.insert(id);
        true
    }

    /// Changes a user and moves it to its place in the order. The id stays.
    pub(crate) fn edit(&mut self, id: u64, edit: impl FnOnce(&mut User)) -> bool {
        let Some(at) = self.users.iter().position(|user| user.id == id) else {
            return false;
        };
        let mut user = User::clone(&self.users.remove(at));
        edit(&mut user);
        user.id = id;
        self.put(Arc::new(user));
        true
    }

    /// Renames a group everywhere; false if there is no such group.
    pub(crate) fn rename_group(&mut self, id: u64, name: &str) -> bool {
        let Some(group) = self.groups.iter_mut().find(|group| group.id == id) else {
            return false;
        };
        group.name = Text::from(name.to_owned());
        for user in &mut self.users {
            if user.security_access_group.as_ref().is_some_and(|group| group.id == id) {
                let group = Named { id, name: Text::from(name.to_owned()) };
                Arc::make_mut(user).security_access_group = Some(group);
            }
        }
        true
    }

    pub(crate) fn change(&mut self, change: Change, in_gaps: bool, dice: &mut Dice) {
        let somebody = self.users.get(dice.below(self.users.len() as u64) as usize);
        let somebody = somebody.map(|user| user.id);
        match (change, somebody) {
            (Change::Insert, _) if in_gaps => drop(self.insert_in_gap(dice)),
            (Change::Insert, _) => drop(self.insert(|_| ())),
            (Change::Delete, Some(id)) => drop(self.delete(id)),
            (Change::Rename, Some(id)) => {
                let name = data::user(dice.next(), 0, 0).name;
                self.edit(id, |user| user.name = name);
            }
            (Change::Delete | Change::Rename, None) => (),
        }
    }
}

fn compare(order: Order, a: &User, b: &User) -> Ordering {
    match order {
        Order::Id | Order::Random => a.id.cmp(&b.id),
        Order::IdDescending => b.id.cmp(&a.id),
        Order::Name => a.name.cmp(&b.name).then(a.id.cmp(&b.id)),
    }
}
