//! What a user record shows that the user's own row does not say, read beforehand from other
//! listings and joined by the user.
//!
//! Some upstreams list the members of a team but not the teams of a user. The dialect names the
//! listings to read, round by round ([`crate::upstream::Dialect::follow_up`]); here they are put
//! together. Nothing here guesses: what was not read is not there.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::hub::{Named, Skill};
use crate::listing::{Item, Listing, Owned};

/// What must be joined to the rows of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Needs {
    /// Everything a whole record shows.
    pub records: bool,
    /// The teams of each user, whether or not they are shown.
    pub teams: bool,
}

impl Needs {
    /// Whether nothing must be joined.
    pub fn is_nothing(self) -> bool {
        !self.records && !self.teams
    }
}

/// Listings read so far, and what they say of each user.
#[derive(Debug, Default)]
pub struct Related {
    answers: HashMap<Listing, Vec<Item<'static>>>,
    lacking: HashSet<Listing>,
    teams_of: HashMap<u64, Vec<Named<'static>>>,
    supervised_teams_of: HashMap<u64, Vec<Named<'static>>>,
    queues_of: HashMap<u64, Vec<Named<'static>>>,
    skills_of: HashMap<u64, Vec<Skill<'static>>>,
    caller_ids: HashMap<String, Named<'static>>,
}

impl Related {
    /// Adds a listing that was read whole. A row that two pages showed is taken once.
    pub fn add(&mut self, listing: Listing, mut items: Vec<Item<'static>>) {
        let mut seen = HashSet::with_capacity(items.len());
        items.retain(|item| seen.insert(item.key));
        self.answers.insert(listing, items);
    }

    /// Notes that the upstream has no such listing.
    pub fn add_lacking(&mut self, listing: Listing) {
        self.lacking.insert(listing);
    }

    /// Whether a listing was read, or found not to be there.
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

    /// Joins what was read by user, and drops the rest. The parts of each user stand in the order
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
