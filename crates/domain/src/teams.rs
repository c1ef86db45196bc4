//! Teams, from the upstream's list of them, from its users, or from both.
//!
//! A narrowed caller sees the teams it is given and those of users it sees; nothing else lends a
//! team its name.

use std::collections::HashMap;

use crate::hub::{Id, Named, State, User};
use crate::id::{self, IdPolicy, Number, Unnumbered};
use crate::listing::Item;
use crate::upstream::Rules;
use crate::visibility::Visibility;

/// The legacy number of a team: its id where that is one, else by the id policy of users, but for
/// the table, in which only users stand.
pub fn number(id: &Id<'_>, rules: &Rules) -> Number {
    let text = match id {
        Id::Number(number) => return Number::Is(*number),
        Id::Text(text) => text,
    };
    match (&rules.ids, rules.unnumbered) {
        (IdPolicy::Hash, _) | (_, Unnumbered::Hash) => Number::Is(id::hash53(text)),
        (_, Unnumbered::Omit) => Number::LeftOut,
        (_, Unnumbered::Fail) => Number::Missing,
    }
}

/// The teams that users have, as far as a caller may know.
#[derive(Debug, Clone, Default)]
pub struct TeamsOfUsers(HashMap<Id<'static>, Named<'static>>);

impl TeamsOfUsers {
    /// Takes the teams of a user: all of one the caller sees, the listed ones of any other. A user
    /// who is gone is in no team.
    pub fn note(&mut self, user: &User<'_>, visibility: &Visibility) {
        if matches!(user.state, State::Deleted | State::Unlisted) {
            return;
        }
        let sees_user = visibility.sees(user);
        for team in user.teams.iter().chain(&user.supervised_teams) {
            let sees_team = sees_user
                || matches!(visibility, Visibility::Only(only) if only.lists_team(&team.id));
            if sees_team && !self.0.contains_key(&team.id) {
                let team = team.clone().into_owned();
                self.0.insert(team.id.clone(), team);
            }
        }
    }

    /// Adds those of another page.
    pub fn extend(&mut self, others: TeamsOfUsers) {
        self.0.extend(others.0);
    }

    /// All of them, by id: numbers first, then texts.
    pub fn sorted(self) -> Vec<Named<'static>> {
        let mut teams: Vec<_> = self.0.into_values().collect();
        teams.sort_by(|a, b| match (&a.id, &b.id) {
            (Id::Number(a), Id::Number(b)) => a.cmp(b),
            (Id::Text(a), Id::Text(b)) => a.cmp(b),
            (Id::Number(_), Id::Text(_)) => std::cmp::Ordering::Less,
            (Id::Text(_), Id::Number(_)) => std::cmp::Ordering::Greater,
        });
        teams
    }

    /// The rows of the upstream's list that the caller sees, in its order.
    pub fn pick(&self, list: Vec<Item<'static>>, visibility: &Visibility) -> Vec<Named<'static>> {
        let teams = list.into_iter().map(|item| item.shown);
        let is_seen = |team: &Named<'static>| match visibility {
            Visibility::Everything => true,
            Visibility::Only(only) => only.lists_team(&team.id) || self.0.contains_key(&team.id),
        };
        teams.filter(is_seen).collect()
    }
}
