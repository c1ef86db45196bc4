//! Translation bugs in the fields of v1 users: each answers as a gateway would that has just this bug.

use corpus::node::Node;
use simulator::Simulator;
use tests::mutate::Change;
use tests::mutate::edit::{each, field, id, inside, list, members, of_users, parts, set, text};

use crate::case::{Case, V1, bug};

pub(crate) fn number(number: u64) -> Node {
    Node::Number(number.into())
}

/// UTF-8 that was read as Latin-1.
fn mojibake(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// Every field gets what its row has in another one.
fn copied(to: &'static str, from: &'static str) -> Change {
    set(to, move |row, _| row.get(from).cloned())
}

/// Nothing becomes an empty text.
fn emptied(name: &'static str) -> Change {
    field(name, |value, _| {
        if *value == Node::Null {
            *value = Node::from("");
        }
    })
}

/// An empty text becomes nothing.
fn nulled(name: &'static str) -> Change {
    field(name, |value, _| {
        if value.text() == Some("") {
            *value = Node::Null;
        }
    })
}

/// Texts of digits become numbers.
fn numbered(name: &'static str) -> Change {
    field(name, |value, _| {
        if let Some(digits) = value.text().and_then(|text| text.parse().ok()) {
            *value = number(digits);
        }
    })
}

/// Texts.
pub(crate) fn texts() -> Vec<Case> {
    let of = |name, planted, plant| bug(name, V1, planted, plant);
    vec![
        of("names are trimmed", &["name"], |_| text("name", |name| name.trim().to_owned())),
        of("names end after 255 characters", &["name"], |_| {
            text("name", |name| name.chars().take(255).collect())
        }),
        of("accents are composed", &["name"], |_| {
            text("name", |name| name.replace("e\u{301}", "é"))
        }),
        of("UTF-8 is read as Latin-1", &["name"], |_| text("name", mojibake)),
        of("names are escaped for HTML", &["name"], |_| {
            text("name", |name| name.replace('&', "&amp;").replace('<', "&lt;"))
        }),
        of("backslashes are escaped twice", &["name"], |_| {
            text("name", |name| name.replace('\\', "\\\\"))
        }),
        of("characters above the basic plane become question marks", &["name"], |_| {
            text("name", |name| {
                name.chars().map(|c| if u32::from(c) > 0xFFFF { '?' } else { c }).collect()
            })
        }),
        of("each user has the name of the next one", &["name"], |vendor| {
            let names = of_users(vendor, |user| Some(user.name.to_string()));
            set("name", move |row, _| {
                let next = names.range(id(row) + 1..).next();
                next.map(|(_, name)| Node::from(name.as_str()))
            })
        }),
        of("addresses are in capitals", &["email"], |_| {
            text("email", |email| email.to_uppercase())
        }),
        of("no SIP account is an empty one", &["sip_account"], |_| emptied("sip_account")),
        of("SIP accounts have a scheme", &["sip_account"], |_| {
            text("sip_account", |account| format!("sip:{account}"))
        }),
        of("extensions are numbers", &["extension"], |_| numbered("extension")),
        of("extensions lose a zero in front", &["extension"], |_| {
            text("extension", |extension| extension.trim_start_matches('0').to_owned())
        }),
        of("an empty extension is none", &["extension"], |_| nulled("extension")),
        of("the employee's id stands for the extension", &["extension"], |_| {
            copied("extension", "employee_id")
        }),
        of("an employee's id of digits is a number", &["employee_id"], |_| numbered("employee_id")),
        of("an employee's id ends at a comma", &["employee_id"], |_| {
            text("employee_id", |id| id.split(',').next().unwrap_or_default().to_owned())
        }),
        of("nobody has a ringtone", &["webrtc_ringtone"], |_| {
            field("webrtc_ringtone", |value, _| *value = Node::Null)
        }),
    ]
}

/// Groups, numbers and zones.
pub(crate) fn dictionaries() -> Vec<Case> {
    let of = |name, planted, plant| bug(name, V1, planted, plant);
    vec![
        of("groups are their ids", &["sag"], |vendor| {
            let ids = of_users(vendor, |user| Some(user.security_access_group.as_ref()?.id));
            set("sag", move |row, _| ids.get(&id(row)).map(|group| number(*group)))
        }),
        of("groups are whole objects", &["sag"], |_| {
            field("sag", |value, _| {
                let name = std::mem::replace(value, Node::Null);
                *value = Node::Object(vec![("name".to_owned(), name)]);
            })
        }),
        of("every third user has the default group", &["sag"], |_| {
            set("sag", |row, _| (id(row).is_multiple_of(3)).then(|| Node::from("Default")))
        }),
        of("numbers lose their last digit", &["caller_id"], |_| {
            text("caller_id", |number| {
                number.chars().take(number.chars().count().saturating_sub(1)).collect()
            })
        }),
        of("numbers are numbers", &["caller_id"], |_| numbered("caller_id")),
        of("each user has the number of the next one", &["caller_id"], |vendor| {
            let numbers = of_users(vendor, |user| user.caller_id.clone());
            set("caller_id", move |row, _| {
                let next = numbers.range(id(row) + 1..).next();
                next.map(|(_, number)| Node::from(&**number))
            })
        }),
        of("zones are as the new API has them", &["timezone"], |vendor| {
            let zones = of_users(vendor, |user| user.timezone.clone());
            set("timezone", move |row, _| zones.get(&id(row)).map(|zone| Node::from(&**zone)))
        }),
        of("one zone has the name of its neighbour", &["timezone"], |_| {
            text("timezone", |zone| zone.replace("Istanbul", "Moscow"))
        }),
        of("one zone has another of its names", &["timezone"], |_| {
            text("timezone", |zone| zone.replace("London", "Edinburgh"))
        }),
        of("no zone is UTC", &["timezone"], |_| {
            field("timezone", |value, _| {
                if *value == Node::Null {
                    *value = Node::from("UTC");
                }
            })
        }),
    ]
}

/// What a user supervises, by id.
fn supervised(vendor: &Simulator) -> std::collections::BTreeMap<u64, String> {
    of_users(vendor, |user| {
        let ids: Vec<String> =
            user.supervised_teams.iter().map(|team| team.id.to_string()).collect();
        Some(ids.join(", "))
    })
}

/// Joined lists.
pub(crate) fn joined() -> Vec<Case> {
    let of = |name, planted, plant| bug(name, V1, planted, plant);
    vec![
        of("teams are joined without a space", &["assigned_teams"], |_| {
            text("assigned_teams", |teams| teams.replace(", ", ","))
        }),
        of("the last team is lost", &["assigned_teams"], |_| {
            parts("assigned_teams", |teams| {
                if teams.len() > 1 {
                    teams.pop();
                }
            })
        }),
        of("the first team stands twice", &["assigned_teams"], |_| {
            parts("assigned_teams", |teams| {
                let first = teams.first().cloned().unwrap_or_default();
                if !first.is_empty() {
                    teams.push(first);
                }
            })
        }),
        of("teams are those the user supervises", &["assigned_teams"], |vendor| {
            let supervised = supervised(vendor);
            set("assigned_teams", move |row, _| {
                supervised.get(&id(row)).map(|teams| Node::from(teams.as_str()))
            })
        }),
        of("teams are an array", &["assigned_teams"], |_| {
            field("assigned_teams", |value, _| {
                let teams: Vec<Node> =
                    value.text().unwrap_or_default().split(", ").map(Node::from).collect();
                *value = Node::List(teams);
            })
        }),
        of("teams are names where ids are configured", &["assigned_teams"], |vendor| {
            let names = of_users(vendor, |user| {
                let names: Vec<&str> = user.teams.iter().map(|team| &*team.name).collect();
                Some(names.join(", "))
            });
            set("assigned_teams", move |row, _| {
                names.get(&id(row)).map(|teams| Node::from(teams.as_str()))
            })
        }),
        of("supervised teams are those the user is in", &["supervisor_in_teams"], |_| {
            copied("supervisor_in_teams", "assigned_teams")
        }),
        of("no supervised team is null", &["supervisor_in_teams"], |_| {
            nulled("supervisor_in_teams")
        }),
        of("queues are their ids", &["assigned_queues"], |vendor| {
            let ids = of_users(vendor, |user| {
                let ids: Vec<String> =
                    user.queues.iter().map(|queue| queue.id.to_string()).collect();
                Some(ids.join(", "))
            });
            set("assigned_queues", move |row, _| {
                ids.get(&id(row)).map(|queues| Node::from(queues.as_str()))
            })
        }),
        of("a comma within a queue's name ends it", &["assigned_queues"], |vendor| {
            let queues = of_users(vendor, |user| {
                let first = |name: &str| name.split(',').next().unwrap_or_default().to_owned();
                let names: Vec<String> =
                    user.queues.iter().map(|queue| first(&queue.name)).collect();
                Some(names.join(", "))
            });
            set("assigned_queues", move |row, _| {
                queues.get(&id(row)).map(|queues| Node::from(queues.as_str()))
            })
        }),
        of("tabs within a queue's name are spaces", &["assigned_queues"], |_| {
            text("assigned_queues", |queues| queues.replace('\t', " "))
        }),
    ]
}

/// Skills and channels.
pub(crate) fn nested() -> Vec<Case> {
    let of = |name, planted, plant| bug(name, V1, planted, plant);
    vec![
        of("levels are texts", &["assigned_skills"], |_| {
            inside("assigned_skills", "value", |value| *value = Node::Text(value.to_json()))
        }),
        of("levels are floating-point numbers", &["assigned_skills"], |_| {
            inside("assigned_skills", "value", |value| {
                *value = Node::parse(format!("{}.0", value.to_json()).as_bytes()).unwrap();
            })
        }),
        of("the last skill is lost", &["assigned_skills"], |_| {
            list("assigned_skills", |skills| {
                skills.pop();
            })
        }),
        of("skills have no level", &["assigned_skills"], |_| {
            list("assigned_skills", |skills| {
                for members in skills.iter_mut().filter_map(members) {
                    members.retain(|(name, _)| name != "value");
                }
            })
        }),
        of("skills show an id as well", &["assigned_skills"], |_| {
            list("assigned_skills", |skills| {
                for members in skills.iter_mut().filter_map(members) {
                    members.push(("id".to_owned(), number(1)));
                }
            })
        }),
        of("a skill's level stands twice, the second time wrong", &["assigned_skills"], |_| {
            list("assigned_skills", |skills| {
                for members in skills.iter_mut().filter_map(members) {
                    members.push(("value".to_owned(), number(0)));
                }
            })
        }),
        of("channels show the slug", &["assigned_channels"], |_| {
            inside("assigned_channels", "type", |value| {
                let slug = value.text().unwrap_or_default().to_lowercase();
                *value = Node::Text(slug);
            })
        }),
        of("channels' numbers are texts", &["assigned_channels"], |_| {
            inside("assigned_channels", "value", |value| {
                if matches!(value, Node::Number(_)) {
                    *value = Node::Text(value.to_json());
                }
            })
        }),
        of("channels without a number have 0", &["assigned_channels"], |_| {
            inside("assigned_channels", "value", |value| {
                if *value == Node::Null {
                    *value = number(0);
                }
            })
        }),
        of("long numbers are rounded", &["assigned_channels"], |_| {
            inside("assigned_channels", "value", |value| {
                if let Node::Number(digits) = value {
                    *value = number(digits.as_u64().unwrap_or(0) / 1000 * 1000);
                }
            })
        }),
        of("the number in a channel's name is left out", &["assigned_channels"], |_| {
            inside("assigned_channels", "name", without_number)
        }),
        of("the field for channels is missing", &["assigned_channels"], |_| {
            each(|row| {
                if let Some(members) = members(row) {
                    members.retain(|(name, _)| name != "assigned_channels");
                }
            })
        }),
    ]
}

/// Takes the number in brackets off the end of a name.
pub(crate) fn without_number(value: &mut Node) {
    if let Node::Text(name) = value
        && let Some((short, number)) = name.rsplit_once(" (")
        && number.trim_end_matches(')').bytes().all(|byte| byte.is_ascii_digit())
    {
        *name = short.to_owned();
    }
}
