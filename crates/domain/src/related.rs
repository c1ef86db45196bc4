//! Data that a user record shows and the user's own row lacks, read beforehand from other listings and
//! joined by user.
//!
//! Some upstreams list the members of a team but not the teams of a user. The dialect names the
//! listings to read, round by round ([`crate::upstream::Dialect::follow_up`]); this module puts them
//! together. It never guesses: a listing that was not read joins nothing.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::hub::{Named, Skill};
use crate::listing::{Item, Listing, Owned};

/// The data to join to the rows of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Needs {
    /// All that a whole record shows.
    pub records: bool,
    /// The teams of each user, whether or not they are shown.
    pub teams: bool,
}

/// The listings read so far, and their data by user. Written down, it is what was joined, and nothing that was not.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Related {
    #[serde(skip)]
    answers: HashMap<Listing, Vec<Item<'static>>>,
    #[serde(skip)]
    lacking: HashSet<Listing>,
    teams_of: HashMap<u64, Vec<Named<'static>>>,
    supervised_teams_of: HashMap<u64, Vec<Named<'static>>>,
    queues_of: HashMap<u64, Vec<Named<'static>>>,
    skills_of: HashMap<u64, Vec<Skill<'static>>>,
    caller_ids: HashMap<String, Named<'static>>,
}

impl Related {
    /// Whether nothing is joined.
    pub fn is_empty(&self) -> bool {
        let Related {
            answers,
            lacking,
            teams_of,
            supervised_teams_of,
            queues_of,
            skills_of,
            caller_ids,
        } = self;
        answers.is_empty()
            && lacking.is_empty()
            && teams_of.is_empty()
            && supervised_teams_of.is_empty()
            && queues_of.is_empty()
            && skills_of.is_empty()
            && caller_ids.is_empty()
    }

    /// Adds a listing that was read whole.
    pub fn add(&mut self, listing: Listing, items: Vec<Item<'static>>) {
        self.answers.insert(listing, items);
    }

    /// Notes that the upstream has no such listing.
    pub fn add_lacking(&mut self, listing: Listing) {
        self.lacking.insert(listing);
    }

    /// Whether a listing was read or found to be lacking.
    pub fn knows(&self, listing: &Listing) -> bool {
        self.answers.contains_key(listing) || self.lacking.contains(listing)
    }

    /// Whether the upstream has no such listing.
    pub fn lacks(&self, listing: &Listing) -> bool {
        self.lacking.contains(listing)
    }

    /// The rows of a listing that was read.
    pub fn items(&self, listing: &Listing) -> &[Item<'static>] {
        self.answers.get(listing).map_or(&[], Vec::as_slice)
    }

    /// Joins the listings by user, and drops the rest. The parts of each user stand in the order
    /// of their own listing.
    pub fn joined(mut self) -> Related {
        for team in take(&mut self.answers, &Listing::Teams) {
            let members = Listing::TeamMembers(Arc::from(&*team.id));
            for member in take(&mut self.answers, &members) {
                self.teams_of.entry(member.key).or_default().push(team.shown.clone());
            }
        }
        for skill in take(&mut self.answers, &Listing::Skills) {
            let members = Listing::SkillMembers(Arc::from(&*skill.id));
            for member in take(&mut self.answers, &members) {
                let skill = Skill { name: skill.shown.name.clone(), level: member.level };
                self.skills_of.entry(member.key).or_default().push(skill);
            }
        }
        for owned in [Owned::Skills, Owned::SupervisedTeams, Owned::Queues] {
            for owner in take(&mut self.answers, &Listing::Owners(owned)) {
                let things =
                    take(&mut self.answers, &Listing::OfUser(owned, Arc::from(&*owner.id)));
                self.own(owned, owner.key, things);
            }
        }
        for caller_id in take(&mut self.answers, &Listing::CallerIds) {
            self.caller_ids.insert(caller_id.id.into_owned(), caller_id.shown);
        }
        self.answers = HashMap::new();
        self
    }

    fn own(&mut self, owned: Owned, user: u64, things: Vec<Item<'static>>) {
        match owned {
            Owned::Skills => {
                let skill =
                    |item: Item<'static>| Skill { name: item.shown.name, level: item.level };
                self.skills_of.insert(user, things.into_iter().map(skill).collect());
            }
            Owned::SupervisedTeams => {
                let shown = things.into_iter().map(|item| item.shown);
                self.supervised_teams_of.insert(user, shown.collect());
            }
            Owned::Queues => {
                // One queue name may stand in several plans; a list of names shows it once.
                let mut names: HashSet<Option<Cow<'static, str>>> = HashSet::new();
                let shown = things.into_iter().map(|item| item.shown);
                let once = shown.filter(|queue| names.insert(queue.name.clone()));
                self.queues_of.insert(user, once.collect());
            }
        }
    }

    /// The teams of a user, by key.
    pub fn teams_of(&self, user: u64) -> Vec<Named<'_>> {
        borrowed(&self.teams_of, user)
    }

    /// The teams a user supervises, by key.
    pub fn supervised_teams_of(&self, user: u64) -> Vec<Named<'_>> {
        borrowed(&self.supervised_teams_of, user)
    }

    /// The queues of a user, by key.
    pub fn queues_of(&self, user: u64) -> Vec<Named<'_>> {
        borrowed(&self.queues_of, user)
    }

    /// The skills of a user, by key.
    pub fn skills_of(&self, user: u64) -> Vec<Skill<'_>> {
        let skills = self.skills_of.get(&user).map_or(&[][..], Vec::as_slice);
        let borrowed = skills.iter().map(|skill| Skill {
            name: skill.name.as_deref().map(Cow::Borrowed),
            level: skill.level,
        });
        borrowed.collect()
    }

    /// The caller id an upstream id stands for.
    pub fn caller_id(&self, id: &str) -> Option<&Named<'static>> {
        self.caller_ids.get(id)
    }
}

fn take(
    answers: &mut HashMap<Listing, Vec<Item<'static>>>,
    listing: &Listing,
) -> Vec<Item<'static>> {
    answers.remove(listing).unwrap_or_default()
}

fn borrowed<'a>(of: &'a HashMap<u64, Vec<Named<'static>>>, user: u64) -> Vec<Named<'a>> {
    of.get(&user).map_or(&[][..], Vec::as_slice).iter().map(Named::borrowed).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hub::Id;

    fn item(key: u64, id: &str, name: &str) -> Item<'static> {
        let shown = Named { id: Id::Number(key), name: Some(Cow::Owned(name.to_owned())) };
        Item { key, id: Cow::Owned(id.to_owned()), shown, level: None, message: None }
    }

    fn names(things: &[Named<'_>]) -> Vec<String> {
        things.iter().map(|thing| thing.name.clone().unwrap_or_default().into_owned()).collect()
    }

    #[test]
    fn parts_of_a_user_stand_in_the_order_of_their_own_listing() {
        let mut related = Related::default();
        let (late, early) = (item(9, "t9", "late"), item(1, "t1", "early"));
        // Members are added first: the order of reading does not matter.
        related.add(Listing::TeamMembers("t1".into()), vec![item(7, "u7", ""), item(8, "u8", "")]);
        related.add(Listing::TeamMembers("t9".into()), vec![item(8, "u8", ""), item(7, "u7", "")]);
        related.add(Listing::Teams, vec![late, early]);
        related.add(Listing::Skills, vec![item(2, "s2", "two"), item(1, "s1", "one")]);
        for (skill, level) in [("s1", Some(3)), ("s2", None)] {
            let member = Item { level, ..item(7, "u7", "") };
            related.add(Listing::SkillMembers(skill.into()), vec![member]);
        }
        let related = related.joined();
        assert_eq!(names(&related.teams_of(7)), ["late", "early"]);
        assert_eq!(names(&related.teams_of(8)), ["late", "early"]);
        let skills = related.skills_of(7);
        let shown: Vec<_> = skills.iter().map(|one| (one.name.as_deref(), one.level)).collect();
        assert_eq!(shown, [(Some("two"), None), (Some("one"), Some(3))]);
        assert!(related.teams_of(1).is_empty() && related.skills_of(8).is_empty());
    }

    #[test]
    fn a_listing_that_was_not_read_joins_nothing() {
        let mut related = Related::default();
        related.add(Listing::Teams, vec![item(1, "t1", "one")]);
        related.add_lacking(Listing::TeamMembers("t1".into()));
        // No listing has this team, so its members join nothing.
        related.add(Listing::TeamMembers("t2".into()), vec![item(7, "u7", "")]);
        related.add_lacking(Listing::Skills);
        assert!(related.knows(&Listing::Teams) && !related.lacks(&Listing::Teams));
        assert!(related.knows(&Listing::Skills) && related.lacks(&Listing::Skills));
        assert!(!related.knows(&Listing::CallerIds));
        let related = related.joined();
        assert!(related.teams_of(7).is_empty());
        assert_eq!(related.caller_id("c"), None);
    }

    #[test]
    fn things_that_users_own_are_joined_by_owner() {
        let mut related = Related::default();
        for owned in [Owned::Skills, Owned::SupervisedTeams, Owned::Queues] {
            related.add(Listing::Owners(owned), vec![item(7, "u7", ""), item(8, "u8", "")]);
            let things = vec![item(1, "a", "A"), item(2, "b", "B"), item(3, "c", "A")];
            related.add(Listing::OfUser(owned, "u7".into()), things);
        }
        related.add(Listing::CallerIds, vec![item(5, "c5", "Main")]);
        let related = related.joined();
        assert_eq!(related.skills_of(7).len(), 3);
        assert_eq!(names(&related.supervised_teams_of(7)), ["A", "B", "A"]);
        // One name in two plans is one name.
        assert_eq!(names(&related.queues_of(7)), ["A", "B"]);
        assert!(related.queues_of(8).is_empty());
        let shown = related.caller_id("c5").and_then(|shown| shown.name.as_deref());
        assert_eq!(shown, Some("Main"));
    }

    fn text() -> impl Strategy<Value = Option<String>> {
        prop::option::of(prop_oneof![".{0,12}", "[0-9]{1,20}", Just("\0\u{7f}\"\\".to_owned())])
    }

    fn named() -> impl Strategy<Value = Named<'static>> {
        let id = prop_oneof![
            any::<u64>().prop_map(Id::Number),
            ".{0,12}".prop_map(|text| Id::Text(Cow::Owned(text))),
        ];
        (id, text()).prop_map(|(id, name)| Named { id, name: name.map(Cow::Owned) })
    }

    fn by_user<T: std::fmt::Debug + 'static>(
        one: impl Strategy<Value = T> + 'static,
    ) -> impl Strategy<Value = HashMap<u64, Vec<T>>> {
        prop::collection::hash_map(any::<u64>(), prop::collection::vec(one, 0..4), 0..4)
    }

    proptest! {
        #[test]
        fn what_is_joined_is_the_same_when_it_was_written_down_and_read_again(
            teams_of in by_user(named()),
            supervised_teams_of in by_user(named()),
            queues_of in by_user(named()),
            skills_of in by_user((text(), any::<Option<u32>>()).prop_map(|(name, level)| {
                Skill { name: name.map(Cow::Owned), level }
            })),
            caller_ids in prop::collection::hash_map(".{0,12}", named(), 0..4),
        ) {
            let related = Related {
                teams_of,
                supervised_teams_of,
                queues_of,
                skills_of,
                caller_ids,
                ..Related::default()
            };
            let written = serde_json::to_vec(&related).unwrap();
            let again: Related = serde_json::from_slice(&written).unwrap();
            prop_assert_eq!(&again.teams_of, &related.teams_of);
            prop_assert_eq!(&again.supervised_teams_of, &related.supervised_teams_of);
            prop_assert_eq!(&again.queues_of, &related.queues_of);
            prop_assert_eq!(&again.skills_of, &related.skills_of);
            prop_assert_eq!(&again.caller_ids, &related.caller_ids);
        }
    }
}
