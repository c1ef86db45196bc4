//! Differences that settings, the ledger or the new API's own data explain.

use corpus::node::Node;
use parity::zone;
use report::Cause;
use simulator::{Simulator, User};
use tests::mutate::Change;
use tests::mutate::edit::{field, filter_by, id, inside, of_users, rows, set, text};

use crate::bugs::{number, without_number};
use crate::bugs_answers::{error, insert_like_first, refusals};
use crate::case::{Case, DELETED, TEAMS, V1, V3, Vendor, harmless, upstream};

const QUIRK: &[Cause] = &[Cause::Quirk];
const LOSS: &[Cause] = &[Cause::DeclaredLoss];
const UPSTREAM: &[Cause] = &[Cause::UpstreamData];

/// A field told by the data behind both sides.
fn told(vendor: &Simulator, name: &'static str, tell: impl Fn(&User) -> Option<String>) -> Change {
    let told = of_users(vendor, tell);
    set(name, move |row, _| told.get(&id(row)).map(|text| Node::from(text.as_str())))
}

fn names(list: &[simulator::Named]) -> Option<String> {
    Some(list.iter().map(|one| &*one.name).collect::<Vec<_>>().join(", "))
}

fn numbered(name: &'static str) -> Change {
    field(name, |value, _| {
        let text = value.text().unwrap_or_default().to_owned();
        if let Some(digits) = text.parse::<u64>().ok().filter(|digits| digits.to_string() == text) {
            *value = number(digits);
        }
    })
}

/// A group for each number.
fn group_of(number: &str) -> String {
    match number.parse::<u64>() {
        Ok(digits) => format!("Group {}", digits % 5),
        Err(_) => number.to_owned(),
    }
}

/// Lists with something else around them, which depends on what is in them.
pub(crate) fn wrapped(wrap: fn(&[Node]) -> String) -> Change {
    Change::answer(move |_, reply| {
        if let Some(rows) = reply.rows() {
            reply.set_body(wrap(&rows));
        }
    })
}

/// As the setting `envelope = "users"` does.
pub(crate) fn as_users(rows: &[Node]) -> String {
    let (list, count) = (Node::List(rows.to_vec()).to_json(), rows.len());
    let counts = format!("{{\"total\":{count},\"page\":1,\"page_size\":{count}}}");
    format!("{{\"users\":{list},\"metadata\":{counts}}}")
}

/// As the setting `envelope = "sample"` does.
fn as_sample(rows: &[Node]) -> String {
    let value = match rows {
        [only] => only.to_json(),
        all => Node::List(all.to_vec()).to_json(),
    };
    let about = "\"summary\":\"Agents parameters\",\"description\":\"All of the user data\"";
    format!("{{{about},\"value\":{value}}}")
}

/// Control answers by another value of a setting.
pub(crate) fn quirks() -> Vec<Case> {
    let of = |name, planted, plant| harmless(QUIRK, name, V1, planted, plant);
    let unseen =
        |name, planted, plant| harmless(QUIRK, name, V1, planted, plant).over(Vendor::VoisoUnseen);
    vec![
        of("lists are wrapped as users", &["$envelope"], |_| wrapped(as_users)),
        of("lists are wrapped as in the sample", &["$envelope"], |_| wrapped(as_sample)),
        of("teams are names", &["assigned_teams"], |vendor| {
            told(vendor, "assigned_teams", |user| names(&user.teams))
        }),
        of("supervised teams are names", &["supervisor_in_teams"], |vendor| {
            told(vendor, "supervisor_in_teams", |user| names(&user.supervised_teams))
        }),
        of("employees' ids of digits are numbers", &["employee_id"], |_| numbered("employee_id")),
        of("zones are as the new API has them", &["timezone"], |vendor| {
            told(vendor, "timezone", |user| Some(user.timezone.as_ref()?.to_string()))
        }),
        of("zones are ids", &["timezone"], |_| text("timezone", |name| zone::id(name).to_owned())),
        of("a zone has another of its names", &["timezone"], |_| {
            text("timezone", |name| match name {
                "London" => "Edinburgh".to_owned(),
                "Mumbai" | "Kolkata" => "Chennai".to_owned(),
                name => name.to_owned(),
            })
        }),
        of("a zone has a name that no other zone has", &["timezone"], |_| {
            text("timezone", |name| name.replace("Istanbul", "Ankara time"))
        }),
        of("numbers are caller-id groups", &["caller_id"], |_| text("caller_id", group_of)),
        of("channels are spelled in another way", &["assigned_channels[].type"], |_| {
            inside("assigned_channels", "type", |value| {
                if value.text() == Some("Viber") {
                    *value = Node::from("Viber Business");
                }
            })
        }),
        of("a wrong key is 403", &["$status"], |_| {
            refusals(|reply| error(reply, 403, "Forbidden"))
        }),
        of("a wrong key has the other documented text", &["$error"], |_| {
            refusals(|reply| error(reply, 401, "Invalid api_key"))
        }),
        of("groups are found in any case", &["$records"], |_| {
            filter_by("sag", |value, wanted| value.to_lowercase() == wanted.to_lowercase())
        }),
        of("names are found by a part", &["$records"], |_| {
            filter_by("name", |value, wanted| value.to_lowercase().contains(&wanted.to_lowercase()))
        }),
        of("addresses are found in any case", &["$records"], |_| {
            filter_by("email", |value, wanted| value.eq_ignore_ascii_case(wanted))
        }),
        harmless(QUIRK, "control ignores filters in bodies", V1, &["$records"], |_| {
            Change::asked(|asked| asked.body = None)
        }),
        harmless(QUIRK, "control ignores a filter with an index", V1, &["$records"], |_| {
            Change::asked(|asked| asked.query.retain(|(name, _)| name != "name[0]"))
        }),
        harmless(QUIRK, "numbers are groups in v3", V3, &["caller_id"], |_| {
            text("caller_id", group_of)
        }),
        upstream(QUIRK, "caller ids are names of their own", V1, &["caller_id"], |vendor| {
            // Each of control's names stands beside one of the new API's.
            for user in vendor.records().iter().filter(|user| user.caller_id.is_some()) {
                let desk = user.id % 3;
                vendor.edit_user(user.id, |user| {
                    user.caller_id = Some(format!("Main office, desk {desk}").into());
                });
            }
            set("caller_id", |row, _| {
                let name = row.get("caller_id")?.text()?;
                Some(Node::Text(format!("Desk {}", id(row) % 3))).filter(|_| !name.is_empty())
            })
        }),
        unseen("employees' ids are numbers, new API unseen", &["employee_id"], |_| {
            numbered("employee_id")
        }),
        unseen("numbers are groups, new API unseen", &["caller_id"], |_| {
            text("caller_id", group_of)
        }),
        unseen("zones are ids, new API unseen", &["timezone"], |_| {
            text("timezone", |name| zone::id(name).to_owned())
        }),
    ]
}

/// The ledger says so.
pub(crate) fn losses() -> Vec<Case> {
    let of = |name, planted, plant| harmless(LOSS, name, V1, planted, plant);
    let nothing = |_: &Simulator| Change::nothing();
    let vonage = |name, endpoint, planted| {
        harmless(LOSS, name, endpoint, planted, nothing).over(Vendor::VonageMapped)
    };
    vec![
        of("a number belongs to several caller-id groups", &["caller_id"], |_| {
            set("caller_id", |row, _| {
                let is_shared = row.get("caller_id").and_then(Node::text) == Some("378");
                is_shared.then(|| Node::Text(format!("Group {}", id(row) % 2)))
            })
        }),
        of("channels' names have no number", &["assigned_channels"], |_| {
            inside("assigned_channels", "name", without_number)
        }),
        of("a channel has a number where the new API has a handle", &["assigned_channels"], |_| {
            inside("assigned_channels", "value", |value| {
                if *value == Node::Null {
                    *value = number(5);
                }
            })
        }),
        harmless(LOSS, "a team without members", TEAMS, &["$records"], nothing)
            .over(Vendor::VoisoWithoutTeams),
        upstream(LOSS, "deleted users are forgotten", DELETED, &["$records"], |vendor| {
            for user in vendor.records().iter().filter(|user| user.deleted_at.is_some()) {
                vendor.delete_user(user.id);
            }
            Change::nothing()
        }),
        vonage("SIP accounts over Vonage", V1, &["sip_account"]),
        vonage("ringtones over Vonage", V1, &["webrtc_ringtone"]),
        vonage("queues over Vonage", V1, &["assigned_queues"]),
        vonage("channels over Vonage", V1, &["assigned_channels"]),
        vonage("time zones over Vonage", V1, &["timezone"]),
        vonage("SIP accounts over Vonage in v3", V3, &["sip_account"]),
        Case { causes: QUIRK, ..vonage("ids over Vonage", V1, &["id"]).over(Vendor::Vonage) },
        vonage("roles in place of groups over Vonage", V1, &["sag"]),
        vonage("SIP accounts over Vonage, ids hashed", V1, &["sip_account"]).over(Vendor::Vonage),
    ]
}

/// Changes a user of the new API alone.
fn edited(vendor: &Simulator, place: usize, edit: impl FnOnce(&mut User)) -> Change {
    let of = vendor.records()[place].id;
    assert!(vendor.edit_user(of, edit));
    Change::nothing()
}

/// The new API holds something else.
pub(crate) fn upstream_data() -> Vec<Case> {
    let of = |name, planted, plant| upstream(UPSTREAM, name, V1, planted, plant);
    vec![
        of("a name", &["name"], |vendor| {
            edited(vendor, 2, |user| user.name = "Another Name".into())
        }),
        of("the names of some", &["name", "$records"], |vendor| {
            for user in vendor.records().iter().step_by(9) {
                vendor.edit_user(user.id, |user| user.name = format!("{}.", user.name).into());
            }
            Change::nothing()
        }),
        of("the numbers of some", &["caller_id", "$records"], |vendor| {
            // A group's name beside a number is a loss, whatever the number.
            let has_number = |user: &&std::sync::Arc<User>| {
                user.caller_id.as_deref().is_some_and(|id| id.parse::<u64>().is_ok())
            };
            for user in vendor.records().iter().filter(has_number).step_by(7) {
                vendor.edit_user(user.id, |user| user.caller_id = Some("15550001111".into()));
            }
            Change::nothing()
        }),
        of("the extensions of some", &["extension", "$records"], |vendor| {
            for (place, user) in vendor.records().iter().enumerate().step_by(9) {
                let other = format!("8{place:04}");
                vendor.edit_user(user.id, |user| user.extension = Some(other.into()));
            }
            Change::nothing()
        }),
        of("an address", &["email", "$records"], |vendor| {
            edited(vendor, 2, |user| user.email = "another@cc1.example.com".into())
        }),
        of("the zone of some", &["timezone", "$records"], |vendor| {
            for user in vendor.records().iter().step_by(9) {
                vendor.edit_user(user.id, |user| user.timezone = Some("Asia/Tokyo".into()));
            }
            Change::nothing()
        }),
        of("teams", &["assigned_teams"], |vendor| {
            edited(vendor, 2, |user| {
                user.teams.push(simulator::Named { id: 2401, name: "Multilingual Support".into() });
            })
        }),
        of("a skill's level", &["assigned_skills"], |vendor| {
            for user in vendor.records().iter().step_by(9) {
                vendor.edit_user(user.id, |user| {
                    for skill in &mut user.skills {
                        skill.value = 11 - skill.value;
                    }
                });
            }
            Change::nothing()
        }),
        of("an employee's id", &["employee_id"], |vendor| {
            edited(vendor, 2, |user| user.employee_id = Some("E-other".into()))
        }),
        of("a user who is not there", &["$records"], |vendor| {
            vendor.delete_user(vendor.records()[2].id);
            Change::nothing()
        }),
        harmless(UPSTREAM, "a user whom only control's whole list has", V1, &["$records"], |_| {
            rows(|asked, rows| insert_like_first(asked, rows, 99_999))
        }),
        of("a user who is marked as deleted", &["$records"], |vendor| {
            edited(vendor, 2, |user| {
                user.deleted_at = Some("2026-01-01T00:00:00.000Z".into());
                user.status = Some("offline".into());
            })
        }),
        upstream(UPSTREAM, "the name of a deleted user", DELETED, &["name"], |vendor| {
            edited(vendor, 9, |user| user.name = "Another Name".into())
        }),
    ]
}
