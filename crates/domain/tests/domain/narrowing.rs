//! A narrowed caller's answer equals the answer over data from which hidden rows were removed: hidden
//! rows do not show, match, count or lend a group its name.
//!
//! For the list of teams the data is cut down to the listed teams and those of visible users: a
//! listed team that exists is there even if the caller sees nobody in it.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::Call;
use domain::id::{IdMap, IdPolicy, Unnumbered};
use domain::legacy::{ENDPOINTS, Lists};
use domain::listing::{By, Listing, Owned, Which};
use domain::quirks::Quirks;
use domain::upstream::{Mapping, Rules, SupervisionSource, dialect_named};
use domain::visibility::{Only, Visibility};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A user in the words of no wire. There are few different values, so that filters and lists often
/// meet.
#[derive(Debug, Clone)]
struct Person {
    id: u64,
    name: u8,
    group: Option<usize>,
    teams: BTreeSet<u64>,
    supervised: BTreeSet<u64>,
    is_deleted: bool,
    is_agent: bool,
}

/// What an upstream holds.
#[derive(Debug, Clone)]
struct Data {
    people: Vec<Person>,
    /// The list of teams, or `None` where the upstream has none.
    teams: Option<BTreeSet<u64>>,
}

const TEAMS: u64 = 5;

fn person() -> impl Strategy<Value = Person> {
    let teams = || proptest::collection::btree_set(0..TEAMS, 0..3);
    let group = proptest::option::of(0..4_usize);
    let flags = (any::<bool>(), any::<bool>());
    (1..60_u64, 0..4_u8, group, teams(), teams(), flags).prop_map(
        |(id, name, group, teams, supervised, (is_deleted, is_agent))| Person {
            id,
            name,
            group,
            teams,
            supervised,
            is_deleted,
            is_agent,
        },
    )
}

fn people() -> impl Strategy<Value = Vec<Person>> {
    proptest::collection::vec(person(), 0..25).prop_map(|mut people| {
        people.sort_by_key(|person| person.id);
        people.dedup_by_key(|person| person.id);
        people
    })
}

fn sees(groups: &'static [&'static str]) -> impl Strategy<Value = Only> {
    (
        proptest::collection::vec(0..TEAMS, 0..3),
        proptest::collection::vec(proptest::sample::select(groups), 0..2),
        proptest::collection::vec(1..60_u64, 0..4),
    )
        .prop_map(|(teams, groups, users)| Only {
            teams: teams.into_iter().map(|id| id.to_string()).collect(),
            groups: groups.into_iter().map(str::to_owned).collect(),
            users,
        })
}

fn query() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        (1..60_u64).prop_map(|id| format!("id={id}")),
        (1..60_u64).prop_map(|id| format!("extension={id}")),
        (0..4_u8).prop_map(|name| format!("name=name%20{name}")),
        prop_oneof!["Agent", "Sales", "Admin", "None"].prop_map(|sag| format!("sag={sag}")),
        (0..4_u8).prop_map(|name| format!("sag=Sales&name=name%20{name}")),
    ]
}

/// One kind of upstream: how it sends the data, and a second statement of what `sees` means there.
trait World {
    fn dialect(&self) -> &'static str;
    fn rules(&self) -> Rules;
    /// Id and name of the groups that `Person::group` counts.
    fn group(&self, group: usize) -> (String, String);
    fn supervises(&self, person: &Person) -> BTreeSet<u64>;
    fn has_number(&self, person: &Person) -> bool;
    fn pages(&self, data: &Data, listing: &Listing) -> Option<Vec<Vec<u8>>>;
}

fn is_visible(world: &dyn World, person: &Person, only: &Only) -> bool {
    (world.has_number(person) && only.users.contains(&person.id))
        || person
            .group
            .map(|group| world.group(group))
            .is_some_and(|(id, name)| only.groups.contains(&id) || only.groups.contains(&name))
        || person
            .teams
            .union(&world.supervises(person))
            .any(|team| only.teams.contains(&team.to_string()))
}

/// The data without hidden rows; `teams_too` where the answer is about teams.
fn cut(world: &dyn World, data: &Data, only: &Only, teams_too: bool) -> Data {
    let people: Vec<Person> =
        data.people.iter().filter(|person| is_visible(world, person, only)).cloned().collect();
    let of_visible: BTreeSet<u64> = people
        .iter()
        .filter(|person| !person.is_deleted && world.has_number(person))
        .flat_map(|person| {
            person.teams.union(&world.supervises(person)).copied().collect::<Vec<_>>()
        })
        .collect();
    let is_seen = |team: &u64| only.teams.contains(&team.to_string()) || of_visible.contains(team);
    let teams = data.teams.clone().map(|teams| match teams_too {
        true => teams.into_iter().filter(is_seen).collect(),
        false => teams,
    });
    Data { people, teams }
}

fn check(world: &dyn World, data: &Data, only: &Only, query: &str) -> Result<(), TestCaseError> {
    let (quirks, rules) = (Quirks::default(), world.rules());
    let dialect = dialect_named(world.dialect()).unwrap();
    // Messages and calls are no lists of users; other tests show how they are narrowed.
    for endpoint in ENDPOINTS.iter().copied().filter(|it| !it.has_pages() && !it.places_calls()) {
        let teams_too = matches!(endpoint.lists(), Lists::Teams(_));
        let answer = |data: &Data, visibility: &Visibility| {
            let call =
                Call { dialect, endpoint, query, quirks: &quirks, rules: &rules, visibility };
            let answer = call.answer(&|listing| world.pages(data, listing));
            for target in &answer.targets {
                // Users: for the groups, for the rows, each time for the supervisors, once for agents.
                let asked = answer.targets.iter().filter(|other| *other == target).count();
                assert!(asked <= 5, "{target} was asked for {asked} times");
            }
            // The last target shows the groups that a name was found to stand for.
            let last = answer.targets.last().cloned().filter(|_| !teams_too);
            (answer.body.unwrap(), last)
        };
        let narrowed = answer(data, &Visibility::Only(only.clone()));
        let whole = answer(&cut(world, data, only, teams_too), &Visibility::Everything);
        prop_assert_eq!(narrowed, whole, "{} over {}", endpoint.name(), world.dialect());
    }
    Ok(())
}

fn bytes(page: &Value) -> Option<Vec<Vec<u8>>> {
    Some(vec![serde_json::to_vec(page).unwrap()])
}

/// Every user's row says everything.
#[derive(Debug)]
struct Voiso;

const VOISO_GROUPS: [(u64, &str); 4] = [(1, "Agent"), (2, "Sales"), (3, "Sales"), (4, "Admin")];

impl World for Voiso {
    fn dialect(&self) -> &'static str {
        "voiso-v4"
    }

    fn rules(&self) -> Rules {
        Rules::default()
    }

    fn group(&self, group: usize) -> (String, String) {
        let (id, name) = VOISO_GROUPS[group];
        (id.to_string(), name.to_owned())
    }

    fn supervises(&self, person: &Person) -> BTreeSet<u64> {
        person.supervised.clone()
    }

    fn has_number(&self, _: &Person) -> bool {
        true
    }

    fn pages(&self, data: &Data, listing: &Listing) -> Option<Vec<Vec<u8>>> {
        let named = |teams: &BTreeSet<u64>| -> Vec<Value> {
            teams.iter().map(|id| json!({"id": id, "name": format!("team {id}")})).collect()
        };
        if *listing == Listing::Teams {
            let teams = data.teams.as_ref()?;
            return bytes(&json!({"teams": named(teams), "metadata": {"total": teams.len()}}));
        }
        let users: Vec<Value> = data
            .people
            .iter()
            .map(|person| {
                json!({
                    "id": person.id.to_string(), "name": format!("name {}", person.name),
                    "extension": person.is_agent.then(|| person.id.to_string()),
                    "security_access_group": person.group.map(|group| VOISO_GROUPS[group])
                        .map(|(id, name)| json!({"id": id, "name": name})),
                    "teams": named(&person.teams), "supervised_teams": named(&person.supervised),
                    "queues": [], "channel_profiles": [], "skills": [], "status": "offline",
                    "deleted_at": person.is_deleted.then_some("2025-11-11T12:00:00.216Z"),
                })
            })
            .collect();
        bytes(&json!({"users": users, "metadata": {"total": users.len()}}))
    }
}

/// Teams list their members, roles stand for groups, and some users may have no number.
#[derive(Debug)]
struct Vonage {
    policy: Policy,
    asks_supervisors: bool,
}

#[derive(Debug, Clone, Copy)]
enum Policy {
    /// Every user's id stands in the operator's table.
    Map,
    /// Agents have a display id; others are left out.
    DisplayId,
}

/// Two roles of one name, as `mapping.sag` may have it.
const ROLES: [(&str, &str); 4] =
    [("Agent", "Agent"), ("Supervisor", "Sales"), ("Wallboard", "Sales"), ("Admin", "Admin")];

fn uuid(id: u64) -> String {
    format!("8e22b1fe-d2ea-403d-8c03-{id:012x}")
}

fn number(uuid: &str) -> u64 {
    u64::from_str_radix(&uuid[24..], 16).unwrap()
}

impl Vonage {
    fn user(&self, person: &Person) -> Value {
        let agent = json!({"agentDisplayId": person.id.to_string()});
        json!({
            "userId": uuid(person.id), "name": format!("name {}", person.name),
            "active": !person.is_deleted,
            "userAccountConfiguration": {
                "role": person.group.map(|group| ROLES[group].0),
                "agentConfiguration": person.is_agent.then_some(agent),
            },
        })
    }

    fn one(&self, data: &Data, by: &By) -> Option<Value> {
        let person = data.people.iter().find(|person| match by {
            By::Id(id) => uuid(person.id) == **id,
            By::DisplayId(id) => person.is_agent && person.id.to_string() == **id,
        })?;
        Some(self.user(person))
    }
}

impl World for Vonage {
    fn dialect(&self) -> &'static str {
        "vonage-v4"
    }

    fn rules(&self) -> Rules {
        let mut table = IdMap::default();
        for id in 1..60 {
            assert!(table.add(&uuid(id), id));
        }
        let (ids, unnumbered) = match self.policy {
            Policy::Map => (IdPolicy::Map(Arc::new(table)), Unnumbered::Fail),
            Policy::DisplayId => (IdPolicy::DisplayId, Unnumbered::Omit),
        };
        let sag = ROLES.iter().map(|(role, name)| ((*role).to_owned(), (*name).to_owned()));
        let supervisor_in_teams = match self.asks_supervisors {
            true => SupervisionSource::WritePermissions,
            false => SupervisionSource::None,
        };
        let mapping = Mapping { sag: sag.collect(), supervisor_in_teams, ..Mapping::default() };
        Rules { ids, unnumbered, mapping: Arc::new(mapping), ..Rules::default() }
    }

    fn group(&self, group: usize) -> (String, String) {
        (ROLES[group].0.to_owned(), ROLES[group].1.to_owned())
    }

    fn supervises(&self, person: &Person) -> BTreeSet<u64> {
        let is_supervisor = person.group.is_some_and(|group| ROLES[group].0 == "Supervisor");
        match self.asks_supervisors && is_supervisor {
            true => person.supervised.clone(),
            false => BTreeSet::new(),
        }
    }

    fn has_number(&self, person: &Person) -> bool {
        matches!(self.policy, Policy::Map) || person.is_agent
    }

    fn pages(&self, data: &Data, listing: &Listing) -> Option<Vec<Vec<u8>>> {
        let group = |id: u64| {
            json!({"groupId": uuid(id), "groupDisplayId": id.to_string(),
                   "groupName": format!("team {id}"), "groupPermission": "Write"})
        };
        let all = |which: &Which| -> Vec<Value> {
            let is_listed = |person: &&Person| {
                *which == Which::All
                || person.is_deleted == (*which == Which::Deleted)
                // No page says that archived users are never among the active ones.
                || person.name == 3
            };
            data.people.iter().filter(is_listed).map(|person| self.user(person)).collect()
        };
        let (key, rows): (&str, Vec<Value>) = match listing {
            Listing::Users(which) => ("users", all(which)),
            Listing::Owners(_) => ("users", all(&Which::All)),
            Listing::User(by) => return bytes(&self.one(data, by)?),
            Listing::Teams => {
                ("groups", data.teams.iter().flatten().map(|id| group(*id)).collect())
            }
            Listing::TeamMembers(team) => {
                let is_member = |person: &&Person| person.teams.contains(&number(team));
                let members = data.people.iter().filter(is_member);
                ("users", members.map(|person| json!({"userId": uuid(person.id)})).collect())
            }
            Listing::OfUser(Owned::SupervisedTeams, user) => {
                let person = data.people.iter().find(|person| uuid(person.id) == **user)?;
                ("groupPermissions", person.supervised.iter().map(|id| group(*id)).collect())
            }
            Listing::Skills | Listing::Messages => return None,
            Listing::CallerIds => ("callbackNumbers", Vec::new()),
            Listing::SkillMembers(_) | Listing::OfUser(..) => return None,
        };
        bytes(&json!({key: rows, "meta": {"totalCount": rows.len()}}))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn narrowing_over_voiso_answers_as_if_hidden_rows_were_not_there(
        people in people(),
        teams in proptest::option::of(proptest::collection::btree_set(0..TEAMS, 0..6)),
        only in sees(&["Agent", "Sales", "1", "3"]),
        query in query(),
    ) {
        check(&Voiso, &Data { people, teams }, &only, &query)?;
    }

    #[test]
    fn narrowing_over_vonage_answers_as_if_hidden_rows_were_not_there(
        people in people(),
        policy in prop_oneof![Just(Policy::Map), Just(Policy::DisplayId)],
        asks_supervisors in any::<bool>(),
        only in sees(&["Agent", "Sales", "Wallboard", "Admin"]),
        query in query(),
    ) {
        // Every team is listed: the members of one that is not listed are never asked for.
        let data = Data { people, teams: Some((0..TEAMS).collect()) };
        check(&Vonage { policy, asks_supervisors }, &data, &only, &query)?;
    }
}
