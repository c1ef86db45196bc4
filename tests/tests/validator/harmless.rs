//! Differences that are none of the gateway's doing: order, races, noise.

use std::sync::atomic::{AtomicU64, Ordering};

use corpus::node::Node;
use report::Cause;
use simulator::Simulator;
use tests::mutate::Change;
use tests::mutate::edit::{
    each, edit_rows, id, list, members, once_after, once_after_whole, parts, rows, set,
};

use crate::case::{Case, DELETED, Side, TEAMS, V1, V3, harmless};

const ORDER: &[Cause] = &[Cause::Order];
const RACE: &[Cause] = &[Cause::Race];
const NOISE: &[Cause] = &[Cause::Noise];

fn reversed() -> Change {
    rows(|_, rows| rows.reverse())
}

fn by_name() -> Change {
    rows(|_, rows| rows.sort_by_key(|row| row.get("name").map(Node::to_json)))
}

/// The same things in another order.
pub(crate) fn order() -> Vec<Case> {
    let of = |name, planted, plant| harmless(ORDER, name, V1, planted, plant);
    vec![
        of("rows are by name", &["$order"], |_| by_name()),
        of("rows are in another order each time", &["$order"], |_| {
            rows(|asked, rows| {
                let places = rows.len().max(1);
                rows.rotate_left(asked.nth as usize * 7 % places);
            })
        }),
        of("two rows at a seam are swapped", &["$order"], |_| {
            rows(|_, rows| {
                if rows.len() > 30 {
                    rows.swap(29, 30);
                }
            })
        }),
        of("teams are joined backwards", &["assigned_teams"], |_| {
            parts("assigned_teams", |teams| teams.reverse())
        }),
        of("supervised teams are joined by number", &["supervisor_in_teams"], |_| {
            parts("supervisor_in_teams", |teams| teams.sort())
        }),
        of("queues are joined by name", &["assigned_queues"], |vendor| {
            let queues = tests::mutate::edit::of_users(vendor, |user| {
                let mut names: Vec<&str> = user.queues.iter().map(|queue| &*queue.name).collect();
                names.sort_unstable();
                Some(names.join(", "))
            });
            set("assigned_queues", move |row, _| {
                queues.get(&id(row)).map(|queues| Node::from(queues.as_str()))
            })
        }),
        of("skills are listed backwards", &["assigned_skills"], |_| {
            list("assigned_skills", |skills| skills.reverse())
        }),
        of("channels are listed backwards", &["assigned_channels"], |_| {
            list("assigned_channels", |channels| channels.reverse())
        }),
        of("members stand in another order", &["$members"], |_| {
            each(|row| members(row).into_iter().for_each(|members| members.reverse()))
        }),
        of("members of skills stand in another order", &["assigned_skills"], |_| {
            list("assigned_skills", |skills| {
                skills.iter_mut().filter_map(members).for_each(|members| members.reverse());
            })
        }),
        harmless(ORDER, "teams are joined backwards in v3", V3, &["agent_in_teams"], |_| {
            parts("agent_in_teams", |teams| teams.reverse())
        }),
        harmless(ORDER, "teams are by name", TEAMS, &["$order"], |_| by_name()),
        harmless(ORDER, "deleted users are by descending id", DELETED, &["$order"], |_| reversed()),
        Case {
            side: Side::Candidate,
            ..of("the gateway's rows are by name", &["$order"], |_| by_name())
        },
    ]
}

/// The user at a place of the list.
fn user(vendor: &Simulator, place: usize) -> u64 {
    vendor.records()[place].id
}

/// Happens between the two readings of the whole list.
fn between(vendor: &Simulator, happens: impl Fn(&Simulator) + Send + Sync + 'static) -> Change {
    let vendor = vendor.clone();
    once_after_whole(1, move || happens(&vendor))
}

/// Happens between the two readings of a list under a filter.
fn under(
    vendor: &Simulator,
    filter: &'static str,
    happens: impl Fn(&Simulator) + Send + Sync + 'static,
) -> Change {
    let vendor = vendor.clone();
    once_after(
        move |asked| asked.filter(filter).is_some_and(|value| !value.is_empty()),
        1,
        move || happens(&vendor),
    )
}

/// The data changed between the two readings.
pub(crate) fn races() -> Vec<Case> {
    let of = |name, planted, plant| harmless(RACE, name, V1, planted, plant);
    vec![
        of("a user is renamed", &["name"], |vendor| {
            let of = user(vendor, 2);
            between(vendor, move |vendor| assert!(vendor.rename_user(of, "Renamed")))
        }),
        of("a user is added", &["$records"], |vendor| {
            between(vendor, |vendor| {
                vendor.insert_user("Added");
            })
        }),
        of("a user is removed for good", &["$records"], |vendor| {
            let of = user(vendor, 3);
            between(vendor, move |vendor| assert!(vendor.delete_user(of)))
        }),
        of("a user is marked as deleted", &["$records"], |vendor| {
            let of = user(vendor, 3);
            between(vendor, move |vendor| {
                vendor.edit_user(of, |user| {
                    user.deleted_at = Some("2026-01-01T00:00:00.000Z".into());
                    user.status = Some("offline".into());
                });
            })
        }),
        of("extension and number of a user change", &["extension", "caller_id"], |vendor| {
            let of = user(vendor, 5);
            between(vendor, move |vendor| {
                vendor.edit_user(of, |user| {
                    user.extension = Some("7777".into());
                    user.caller_id = Some("15550001".into());
                });
            })
        }),
        of("a user leaves all teams", &["assigned_teams"], |vendor| {
            let has_teams = |user: &&std::sync::Arc<simulator::User>| {
                !user.teams.is_empty() && user.deleted_at.is_none()
            };
            let of = vendor.records().iter().find(has_teams).unwrap().id;
            between(vendor, move |vendor| {
                vendor.edit_user(of, |user| user.teams.clear());
            })
        }),
        of("half of the users change their zone", &["timezone"], |vendor| {
            between(vendor, |vendor| {
                for user in vendor.records().iter().step_by(2) {
                    vendor.edit_user(user.id, |user| user.timezone = Some("Asia/Tokyo".into()));
                }
            })
        }),
        of("a group is renamed", &["sag"], |vendor| {
            between(vendor, |vendor| assert!(vendor.rename_group(5, "Analysts")))
        }),
        of("a user joins the group that is asked for", &["$records"], |vendor| {
            under(vendor, "sag", |vendor| {
                for user in vendor.records().iter().take(8) {
                    let group = simulator::Named { id: 1, name: "Agent".into() };
                    vendor.edit_user(user.id, |user| user.security_access_group = Some(group));
                }
            })
        }),
        of("a user is removed who was asked for by number", &["$records"], |vendor| {
            under(vendor, "caller_id", |vendor| {
                for user in vendor.records().iter().filter(|user| user.caller_id.is_some()) {
                    vendor.delete_user(user.id);
                }
            })
        }),
        harmless(
            RACE,
            "a user is deleted and is not listed yet",
            DELETED,
            &["$records"],
            |vendor| {
                let of = user(vendor, 3);
                between(vendor, move |vendor| {
                    vendor.edit_user(of, |user| {
                        user.deleted_at = Some("2026-01-01T00:00:00.000Z".into());
                        user.status = Some("offline".into());
                    });
                })
            },
        ),
    ]
}

/// A value that is another one each time, in the rows that are meant.
fn another_each_time(
    name: &'static str,
    is_meant: fn(u64) -> bool,
    make: fn(u64) -> Node,
) -> Change {
    let times = AtomicU64::new(0);
    set(name, move |row, _| is_meant(id(row)).then(|| make(times.fetch_add(1, Ordering::SeqCst))))
}

/// Control does not answer the same twice.
pub(crate) fn noise() -> Vec<Case> {
    let of = |name, planted, plant| harmless(NOISE, name, V1, planted, plant);
    vec![
        of("one name is another each time", &["name"], |vendor| {
            let of = user(vendor, 4);
            let times = AtomicU64::new(0);
            set("name", move |row, _| {
                let time = times.fetch_add(1, Ordering::SeqCst);
                (id(row) == of).then(|| Node::Text(format!("Name {time}")))
            })
        }),
        of("employees' ids are others each time", &["employee_id"], |_| {
            another_each_time(
                "employee_id",
                |id| id.is_multiple_of(9),
                |k| Node::Text(format!("T-{k}")),
            )
        }),
        of("ringtones come and go", &["webrtc_ringtone"], |_| {
            set("webrtc_ringtone", |row, asked| {
                (id(row).is_multiple_of(11)).then(|| Node::Text(format!("Ring {}", asked.nth)))
            })
        }),
        of("numbers are others each time", &["caller_id"], |_| {
            another_each_time(
                "caller_id",
                |id| id.is_multiple_of(8),
                |k| Node::Text(format!("1999{k:04}")),
            )
        }),
        of("names of caller-id groups are others each time", &["caller_id"], |_| {
            another_each_time(
                "caller_id",
                |id| id.is_multiple_of(8),
                |k| Node::Text(format!("Group {k}")),
            )
        }),
        of("levels are others each time", &["assigned_skills"], |_| {
            rows(|asked, rows| {
                for row in rows.iter_mut().filter(|row| id(row).is_multiple_of(6)) {
                    let level = Node::Number((100 + asked.nth).into());
                    if let Some(Node::List(skills)) =
                        tests::mutate::edit::member(row, "assigned_skills")
                    {
                        for skill in skills {
                            if let Some(value) = tests::mutate::edit::member(skill, "value") {
                                value.clone_from(&level);
                            }
                        }
                    }
                }
            })
        }),
        harmless(NOISE, "a team's name is another each time", TEAMS, &["name"], |_| {
            Change::answer(edit_rows(|asked, rows| {
                if let Some(name) =
                    rows.first_mut().and_then(|row| tests::mutate::edit::member(row, "name"))
                {
                    *name = Node::Text(format!("Team {}", asked.nth));
                }
            }))
        }),
    ]
}
