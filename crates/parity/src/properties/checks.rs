//! The properties one by one.

use std::collections::{BTreeSet, HashSet};

use corpus::ask::{Ask, KeyPlace};
use corpus::endpoint::Endpoint;
use corpus::node::Node;
use corpus::source::Silence;

use super::{Alone, Tries};
use crate::filter::predicted;
use crate::list::{self, KeyedBy};
use crate::run::Plan;
use crate::scenario::{Group, Scenario, questions};

/// The most groups that are asked for, to check that they divide the list.
const GROUPS_MAX: usize = 50;

pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) endpoint: &'static Endpoint,
    pub(super) says: &'static str,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    List,
    Fields,
    Repeated,
    OtherPath,
    Filters,
    Groups,
    Ids,
    Pairs,
    Nobody,
    Written,
    Keys,
    SameUsers,
    Teams,
    Deleted,
}

pub(super) fn all(plan: &Plan) -> Vec<Check> {
    use What::*;
    let mut all = Vec::new();
    let has = |name: &str| plan.endpoints.iter().any(|endpoint| endpoint.name == name);
    for endpoint in &plan.endpoints {
        let mut add = |name, says, what| all.push(Check { name, endpoint, says, what });
        let is_users = endpoint.lists_users();
        add("is_a_list", "The answer is a list whose records have an id each, none twice.", List);
        add(
            "records_are_as_documented",
            "Every record has just the documented fields, in their order and with their types.",
            Fields,
        );
        // Another status a moment later is no fault.
        if !endpoint.by_email {
            add("repeated_equals_itself", "The same question has the same answer.", Repeated);
        }
        add("bad_keys_get_no_list", "A wrong key and no key get an error, no list.", Keys);
        if !endpoint.by_email {
            add(
                "forms_agree",
                "Other spellings of the path, filters in a body or with an index, and a key beside \
                 Basic change nothing.",
                Written,
            );
        }
        if endpoint.other_path.is_some() {
            add("both_paths_agree", "Both paths have the same answer.", OtherPath);
        }
        if is_users {
            add(
                "filtered_is_part_of_all",
                "A filter lists those of the whole list that fit it, as they stand there.",
                Filters,
            );
            add("two_filters_intersect", "Two filters list whom each of them lists.", Pairs);
            add("unknown_lists_nobody", "A value that nobody has lists nobody.", Nobody);
            add(
                "groups_part_all",
                "Every user with a group is listed under just that group.",
                Groups,
            );
        }
        if endpoint.filters.contains(&"id") {
            add("id_lists_one", "A filter by id lists just that user.", Ids);
        }
        if endpoint.name == "v3_cdr_users" && has("v1_users") {
            add(
                "same_users_as_v1",
                "The same users as in v1, with the same values in the fields that both have.",
                SameUsers,
            );
        }
        if is_users && has("v2_cdr_teams") {
            add("teams_exist", "Every team that a user names is in the list of teams.", Teams);
        }
        if endpoint.name == "v2_cdr_deleted_agents" && has("v1_users") {
            add("deleted_are_not_listed", "Nobody is both deleted and listed.", Deleted);
        }
    }
    all
}

impl Alone<'_> {
    pub(super) async fn check(&mut self, check: &Check) -> Result<Tries, Silence> {
        let mut tries = Tries::default();
        let endpoint = check.endpoint;
        match check.what {
            What::List => self.is_list(endpoint, &mut tries),
            What::Fields => self.fields(endpoint, &mut tries),
            What::Repeated | What::OtherPath => {
                let mut ask = Scenario::all(endpoint).ask;
                let why = match check.what {
                    What::OtherPath => {
                        endpoint.other_path.unwrap_or_default().clone_into(&mut ask.path);
                        "the other path has another answer"
                    }
                    _ => "the second answer is another one",
                };
                let (_, body) = self.ask(&ask).await?;
                let is_same = self.whole(endpoint).is_some_and(|whole| whole.body == body);
                tries.holds(is_same, || why.to_owned());
            }
            What::Written => self.asked_as(endpoint, Group::Written, &mut tries).await?,
            What::Keys => self.keys(endpoint, &mut tries).await?,
            What::Filters => self.asked_as(endpoint, Group::Filter, &mut tries).await?,
            What::Pairs => self.asked_as(endpoint, Group::Pair, &mut tries).await?,
            What::Nobody => {
                self.asked_as(endpoint, Group::Unknown, &mut tries).await?;
                self.asked_as(endpoint, Group::Odd, &mut tries).await?;
            }
            What::Groups => self.groups(endpoint, &mut tries).await?,
            What::Ids => self.ids(endpoint, &mut tries).await?,
            What::SameUsers => self.same_users(endpoint, &mut tries),
            What::Teams => self.teams(endpoint, &mut tries),
            What::Deleted => self.deleted(endpoint, &mut tries),
        }
        Ok(tries)
    }

    fn is_list(&self, endpoint: &Endpoint, tries: &mut Tries) {
        let by = KeyedBy::own(endpoint);
        let list = self.whole(endpoint).map(|whole| list::List::read(&whole.body, by));
        let Some(Ok(list)) = list else {
            return tries.holds(false, || "the answer is no list".to_owned());
        };
        let has_ids = list.keys.iter().all(|key| !key.starts_with('#'));
        tries.holds(has_ids, || "a record has no id".to_owned());
        let repeated = list.repeated.len();
        tries.holds(repeated == 0, || format!("{repeated} ids stand more than once"));
    }

    async fn keys(
        &mut self,
        endpoint: &'static Endpoint,
        tries: &mut Tries,
    ) -> Result<(), Silence> {
        // A path without its key is another path.
        let missing = (endpoint.key != KeyPlace::Path).then_some(KeyPlace::Missing);
        for key in missing.into_iter().chain([endpoint.key.wrong()]) {
            let ask = Ask { key, ..Scenario::all(endpoint).ask };
            let (status, body) = self.ask(&ask).await?;
            let error = Node::parse(&body).ok();
            let error = error.as_ref().and_then(|body| body.get("error")).and_then(Node::text);
            let is_error = (400..500).contains(&status) && error.is_some();
            tries.holds(is_error, || format!("it answers {status}"));
        }
        Ok(())
    }

    /// Asks the questions of a comparison. The whole list predicts their answers.
    async fn asked_as(
        &mut self,
        endpoint: &'static Endpoint,
        group: Group,
        tries: &mut Tries,
    ) -> Result<(), Silence> {
        let Some(whole) = self.whole(endpoint) else { return Ok(()) };
        let all = questions(endpoint, &whole.index, self.plan.extent, self.plan.seed);
        for scenario in all.into_iter().filter(|scenario| scenario.group == group) {
            let settings = self.knowledge.settings(endpoint.name);
            let listed = self.listed(endpoint, &scenario.ask).await?;
            let Some(listed) = listed else {
                tries.holds(false, || format!("{}: no list", scenario.id));
                continue;
            };
            let Some(whole) = self.whole(endpoint) else { return Ok(()) };
            let wanted = predicted(endpoint, &whole.index, &scenario.filters, &settings);
            let found: HashSet<&str> = listed.iter().map(|(key, _)| key.as_str()).collect();
            let extra = found.difference(&wanted).count();
            let missing = wanted.difference(&found).count();
            tries.holds(extra == 0 && missing == 0, || {
                format!("{}: {extra} too many, {missing} missing", scenario.id)
            });
            let is_other = |(key, record): &&(String, Node)| {
                whole.records.get(key).is_some_and(|known| known != record)
            };
            let other = listed.iter().filter(is_other).count();
            tries.holds(other == 0, || {
                format!("{}: {other} records look otherwise than in the whole list", scenario.id)
            });
        }
        Ok(())
    }

    async fn groups(
        &mut self,
        endpoint: &'static Endpoint,
        tries: &mut Tries,
    ) -> Result<(), Silence> {
        let of = |record: &Node| record.get("sag").and_then(Node::text).map(str::to_owned);
        let Some(whole) = self.whole(endpoint) else { return Ok(()) };
        let groups: BTreeSet<String> = whole.records.values().filter_map(of).collect();
        let is_all = groups.len() <= GROUPS_MAX;
        let grouped = whole.records.values().filter(|record| of(record).is_some()).count();
        let mut found = HashSet::new();
        let mut twice = 0_usize;
        for group in groups.into_iter().filter(|group| !group.is_empty()).take(GROUPS_MAX) {
            let filters = [("sag".to_owned(), group.clone())];
            let listed = self.filtered(endpoint, &filters).await?.unwrap_or_default();
            let others = listed.iter().filter(|(_, one)| of(one).as_ref() != Some(&group)).count();
            let is_exact = self.knowledge.settings(endpoint.name).mode("sag") == "exact";
            tries.holds(others == 0 || !is_exact, || {
                format!("{others} users of another group are listed under a group")
            });
            twice += listed.into_iter().filter(|(key, _)| !found.insert(key.clone())).count();
        }
        if is_all && self.knowledge.settings(endpoint.name).mode("sag") == "exact" {
            tries.holds(twice == 0, || format!("{twice} users are listed under two groups"));
            let rest = grouped.abs_diff(found.len());
            tries.holds(rest == 0, || {
                format!("{rest} users are listed under no group, or too many")
            });
        }
        Ok(())
    }

    async fn ids(&mut self, endpoint: &'static Endpoint, tries: &mut Tries) -> Result<(), Silence> {
        let Some(whole) = self.whole(endpoint) else { return Ok(()) };
        let mut ids: Vec<String> = whole.records.keys().cloned().collect();
        ids.sort();
        let last = ids.len().saturating_sub(1);
        for place in [0, last / 3, last / 2, last] {
            let Some(id) = ids.get(place) else { continue };
            let listed = self.filtered(endpoint, &[("id".to_owned(), id.clone())]).await?;
            let known = self.whole(endpoint).and_then(|whole| whole.records.get(id)).cloned();
            let listed = listed.unwrap_or_default();
            let is_it = matches!(&listed[..], [(_, record)] if known.as_ref() == Some(record));
            let count = listed.len();
            tries.holds(is_it, || format!("a filter by an id lists {count} users, or another one"));
        }
        Ok(())
    }

    fn same_users(&self, endpoint: &Endpoint, tries: &mut Tries) {
        let (Some(v1), Some(v3)) = (self.wholes.get("v1_users"), self.whole(endpoint)) else {
            return;
        };
        let missing = v1.records.keys().filter(|key| !v3.records.contains_key(*key)).count();
        let extra = v3.records.keys().filter(|key| !v1.records.contains_key(*key)).count();
        tries.holds(missing == 0 && extra == 0, || {
            format!("{missing} users of v1 are missing, {extra} are not in v1")
        });
        let mut fields = BTreeSet::new();
        for (key, record) in &v3.records {
            let (Some(one), Node::Object(other)) = (v1.records.get(key), record) else { continue };
            let is_other =
                |(name, value): &&(String, Node)| one.get(name).is_some_and(|known| known != value);
            fields.extend(other.iter().filter(is_other).map(|(name, _)| name.clone()));
        }
        let settings = |name| self.knowledge.settings(name);
        let is_set_alike = settings("v1_users") == settings("v3_cdr_users");
        tries.holds(fields.is_empty() || !is_set_alike, || {
            format!("fields that differ: {}", fields.into_iter().collect::<Vec<_>>().join(", "))
        });
    }

    fn teams(&self, endpoint: &Endpoint, tries: &mut Tries) {
        let (teams, users) = (self.wholes.get("v2_cdr_teams"), self.whole(endpoint));
        let (Some(teams), Some(users)) = (teams, users) else { return };
        let settings = self.knowledge.settings(endpoint.name);
        for (field, shows) in [
            ("assigned_teams", &settings.assigned_teams),
            ("agent_in_teams", &settings.assigned_teams),
            ("supervisor_in_teams", &settings.supervisor_in_teams),
        ] {
            // A name may contain the separator, so only ids can be split safely.
            if shows != "ids" || !users.records.values().any(|one| one.get(field).is_some()) {
                continue;
            }
            let named = users.records.values().filter_map(|one| one.get(field)?.text());
            let named = named.flat_map(|text| text.split(", ")).filter(|id| !id.is_empty());
            let unknown: HashSet<&str> =
                named.filter(|id| !teams.records.contains_key(*id)).collect();
            tries.holds(unknown.is_empty(), || {
                format!("{field} names {} teams that are not listed", unknown.len())
            });
        }
    }

    fn deleted(&self, endpoint: &Endpoint, tries: &mut Tries) {
        let (v1, deleted) = (self.wholes.get("v1_users"), self.whole(endpoint));
        let (Some(v1), Some(deleted)) = (v1, deleted) else { return };
        let both = deleted.records.keys().filter(|key| v1.records.contains_key(*key)).count();
        tries.holds(both == 0, || format!("{both} users are both deleted and listed"));
    }
}
