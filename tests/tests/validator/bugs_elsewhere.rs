//! Translation bugs of the other endpoints, and where less is known of the new API.

use std::collections::BTreeSet;

use corpus::node::Node;
use tests::mutate::Change;
use tests::mutate::edit::{
    each, field, id, member, members, of_users, parts, rows, set, text, without_filter,
};

use crate::bugs::number;
use crate::bugs_answers::{around, error, refusals};
use crate::case::{Case, DELETED, TEAMS, V1, V3, Vendor, bug};

/// The other endpoints.
pub(crate) fn elsewhere() -> Vec<Case> {
    vec![
        bug("names are in capitals", V3, &["name"], |_| text("name", |name| name.to_uppercase())),
        bug(
            "teams have the name they have in v1",
            V3,
            &["agent_in_teams", "assigned_teams"],
            |_| {
                each(|row| {
                    for (name, _) in members(row).into_iter().flatten() {
                        if name == "agent_in_teams" {
                            *name = "assigned_teams".to_owned();
                        }
                    }
                })
            },
        ),
        bug("no group is an empty text", V3, &["sag"], |_| {
            field("sag", |value, _| {
                if *value == Node::Null {
                    *value = Node::from("");
                }
            })
        }),
        bug("the last queue is lost", V3, &["assigned_queues"], |_| {
            parts("assigned_queues", |queues| {
                if queues.len() > 1 {
                    queues.pop();
                }
            })
        }),
        bug("the filter email is ignored", V3, &["$records"], |_| without_filter("email")),
        bug("a wrong key is 404", V3, &["$status"], |_| {
            refusals(|reply| error(reply, 404, "Not found"))
        }),
        bug("lists are wrapped as agents", V3, &["$envelope"], |_| around("{\"agents\":", "}")),
        bug("names of teams are escaped twice", TEAMS, &["name"], |_| {
            text("name", |name| name.replace('"', "\\\""))
        }),
        bug("a team that users name is lost", TEAMS, &["$records"], |_| {
            rows(|_, rows| {
                if !rows.is_empty() {
                    rows.remove(0);
                }
            })
        }),
        bug("a team without members is lost", TEAMS, &["$records"], |vendor| {
            let users = vendor.records();
            let of_users =
                users.iter().flat_map(|user| user.teams.iter().chain(&user.supervised_teams));
            let named: BTreeSet<u64> = of_users.map(|team| team.id).collect();
            rows(move |_, rows| rows.retain(|row| named.contains(&id(row))))
        }),
        bug("a team that nobody has is listed", TEAMS, &["$records"], |_| {
            rows(|_, rows| {
                if let Some(mut like) = rows.first().cloned() {
                    if let Some(id) = member(&mut like, "id") {
                        *id = number(1);
                    }
                    rows.push(like);
                }
            })
        }),
        bug("a team is listed twice", TEAMS, &["$records"], |_| {
            rows(|_, rows| rows.extend(rows.first().cloned()))
        }),
        bug("a deleted user is lost", DELETED, &["$records"], |_| {
            rows(|_, rows| {
                rows.pop();
            })
        }),
        bug("a live user is among the deleted", DELETED, &["$records"], |vendor| {
            let live = vendor.records()[0].id;
            rows(move |_, rows| {
                let name = ("name".to_owned(), Node::from("somebody"));
                rows.push(Node::Object(vec![("id".to_owned(), number(live)), name]));
            })
        }),
        bug("a deleted user has no name", DELETED, &["name"], |_| {
            field("name", |value, _| *value = Node::Null)
        }),
        bug("deleted users show an address", DELETED, &["email"], |_| {
            each(|row| {
                if let Some(members) = members(row) {
                    members.push(("email".to_owned(), Node::from("gone@cc1.example.com")));
                }
            })
        }),
        bug("deleted users are not found", DELETED, &["$status"], |_| {
            Change::answer(|_, reply| {
                if reply.rows().is_some() {
                    error(reply, 404, "Not found");
                }
            })
        }),
    ]
}

/// Where the new API cannot be asked, or is another vendor's.
pub(crate) fn less_known() -> Vec<Case> {
    let unseen = |name, planted, plant| bug(name, V1, planted, plant).over(Vendor::VoisoUnseen);
    let vonage = |name, planted, plant| bug(name, V1, planted, plant).over(Vendor::VonageMapped);
    vec![
        unseen("names are trimmed, new API unseen", &["name"], |_| {
            text("name", |name| name.trim().to_owned())
        }),
        unseen("a zone is another one, new API unseen", &["timezone"], |_| {
            text("timezone", |zone| zone.replace("Istanbul", "Moscow"))
        }),
        unseen("zones are ids, new API unseen", &["timezone"], |_| {
            text("timezone", |zone| parity::zone::id(zone).to_owned())
        }),
        unseen("a row is lost, new API unseen", &["$records"], |_| {
            rows(|_, rows| {
                if rows.len() > 30 {
                    rows.remove(30);
                }
            })
        }),
        unseen("teams are names, new API unseen", &["supervisor_in_teams"], |vendor| {
            let names = of_users(vendor, |user| {
                let names: Vec<&str> =
                    user.supervised_teams.iter().map(|team| &*team.name).collect();
                Some(names.join(", "))
            });
            set("supervisor_in_teams", move |row, _| {
                names.get(&id(row)).map(|teams| Node::from(teams.as_str()))
            })
        }),
        unseen("numbers lose their last digit, new API unseen", &["caller_id"], |_| {
            text("caller_id", |number| {
                number.chars().take(number.chars().count().saturating_sub(1)).collect()
            })
        }),
        vonage("names are trimmed, over Vonage", &["name"], |_| {
            text("name", |name| name.trim().to_owned())
        }),
        vonage("a SIP account is made up, over Vonage", &["sip_account"], |_| {
            field("sip_account", |value, _| *value = Node::from("made-up@sip.example.com"))
        }),
        vonage("no SIP account is an empty text, over Vonage", &["sip_account"], |_| {
            field("sip_account", |value, _| *value = Node::from(""))
        }),
        vonage("no channels are null, over Vonage", &["assigned_channels"], |_| {
            field("assigned_channels", |value, _| *value = Node::Null)
        }),
        vonage("everybody is on Mars, over Vonage", &["timezone"], |_| {
            field("timezone", |value, _| *value = Node::from("Mars"))
        }),
        vonage("the employee's id is lost, over Vonage", &["employee_id"], |_| {
            field("employee_id", |value, _| *value = Node::Null)
        }),
        vonage("the role is made up, over Vonage", &["sag"], |_| {
            field("sag", |value, _| *value = Node::from("Owner"))
        }),
    ]
}
