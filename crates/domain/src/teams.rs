//! Teams, from the upstream's list of them, from its users, or from both.
//!
//! A narrowed caller sees the teams that its `sees` lists and those of visible users. A team's name
//! comes from nowhere else.

use std::collections::HashMap;

use crate::asked::visibility::Visibility;
use crate::hub::{Id, Named, State, User};
use crate::id::{self, IdPolicy, Number, Unnumbered};
use crate::listing::Item;
use crate::upstream::Rules;

/// The legacy number of a team: its id where that is a number, else one by the id policy of users.
/// The operator's table does not count here, since it has users only.
pub fn number(id: &Id<'_>, rules: &Rules) -> Number {
    let text = match id {
        Id::Number(number) => return Number::Is(*number),
        Id::Text(text) => text,
    };
    match (id::decimal(text), &rules.ids, rules.unnumbered) {
        (Some(number), ..) => Number::Is(number),
        (None, IdPolicy::Hash, _) | (None, _, Unnumbered::Hash) => Number::Is(id::hash53(text)),
        (None, _, Unnumbered::Omit) => Number::LeftOut,
        (None, _, Unnumbered::Fail) => Number::Missing,
    }
}

/// The teams of users, as far as a caller may see them.
#[derive(Debug, Clone, Default)]
pub struct TeamsOfUsers(HashMap<Id<'static>, Named<'static>>);

impl TeamsOfUsers {
    /// Takes the teams of a user: all of them if the caller sees the user, else those that the
    /// caller's `sees` lists. A deleted user is in no team.
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

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of another page.
    pub fn extend(&mut self, others: TeamsOfUsers) {
        self.0.extend(others.0);
    }

    /// All teams by id: numbers first, then texts.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::visibility::Only;

    fn team(id: Id<'static>, name: &'static str) -> Named<'static> {
        Named { id, name: Some(name.into()) }
    }

    fn user(state: State, teams: Vec<Named<'static>>) -> User<'static> {
        User {
            key: 1,
            id: 1,
            name: None,
            email: None,
            sip_account: None,
            group: None,
            extension: None,
            caller_id: None,
            time_zone: None,
            ringtone: None,
            supervised_teams: vec![team(Id::Number(9), "led")],
            teams,
            skills: Vec::new(),
            queues: Vec::new(),
            employee_id: None,
            status: None,
            own_id: std::borrow::Cow::Borrowed(""),
            channels: Vec::new(),
            state,
        }
    }

    fn noted(state: State, visibility: &Visibility) -> Vec<Named<'static>> {
        let teams = vec![
            team(Id::Number(30), "n"),
            team(Id::Text("b".into()), "b"),
            team(Id::Number(4), "m"),
        ];
        let mut noted = TeamsOfUsers::default();
        noted.note(&user(state, teams), visibility);
        let mut other_page = TeamsOfUsers::default();
        let teams = vec![team(Id::Text("a".into()), "a"), team(Id::Number(30), "n")];
        other_page.note(&user(state, teams), visibility);
        noted.extend(other_page);
        noted.sorted()
    }

    fn only(teams: &[&str], users: &[u64]) -> Visibility {
        let teams = teams.iter().map(|team| (*team).to_owned()).collect();
        Visibility::Only(Only { teams, groups: Vec::new(), users: users.to_vec() })
    }

    #[test]
    fn teams_of_users_stand_once_numbers_before_texts() {
        let all = noted(State::Live, &Visibility::Everything);
        let names: Vec<_> = all.iter().filter_map(|team| team.name.as_deref()).collect();
        assert_eq!(names, ["m", "led", "n", "a", "b"]);
        assert_eq!(noted(State::LiveWithDeletionDate, &Visibility::Everything).len(), 5);
        assert!(noted(State::Deleted, &Visibility::Everything).is_empty());
        assert!(noted(State::Unlisted, &Visibility::Everything).is_empty());
    }

    #[test]
    fn a_caller_gets_the_listed_teams_and_those_of_visible_users() {
        assert_eq!(noted(State::Live, &only(&["4"], &[])).len(), 4, "of the page that has team 4");
        assert!(noted(State::Live, &only(&["5"], &[2])).is_empty());
        let mut of_users = TeamsOfUsers::default();
        of_users.note(&user(State::Live, Vec::new()), &only(&[], &[1]));
        let list = || {
            let ids = [30, 9, 4].into_iter();
            ids.map(|id| Item {
                key: id,
                id: id.to_string().into(),
                shown: team(Id::Number(id), "t"),
                message: None,
                level: None,
            })
            .collect()
        };
        let ids = |visibility: &Visibility| -> Vec<Id<'static>> {
            of_users.pick(list(), visibility).into_iter().map(|team| team.id).collect()
        };
        assert_eq!(ids(&only(&["30"], &[1])), [Id::Number(30), Id::Number(9)]);
        assert_eq!(ids(&only(&[], &[1])), [Id::Number(9)]);
        assert_eq!(ids(&Visibility::Everything).len(), 3);
    }

    #[test]
    fn a_team_has_its_own_number_or_one_by_the_policy() {
        let rules = |ids, unnumbered| Rules { ids, unnumbered, ..Rules::default() };
        let text = Id::Text("030".into());
        let hashed = Number::Is(id::hash53("030"));
        let cases = [
            (IdPolicy::Hash, Unnumbered::Fail, hashed),
            (IdPolicy::DisplayId, Unnumbered::Hash, hashed),
            (IdPolicy::DisplayId, Unnumbered::Omit, Number::LeftOut),
            (IdPolicy::Fail, Unnumbered::Fail, Number::Missing),
        ];
        for (ids, unnumbered, expected) in cases {
            let rules = rules(ids, unnumbered);
            assert_eq!(number(&text, &rules), expected);
            assert_eq!(number(&Id::Number(30), &rules), Number::Is(30));
            assert_eq!(number(&Id::Text("30".into()), &rules), Number::Is(30));
        }
    }
}
