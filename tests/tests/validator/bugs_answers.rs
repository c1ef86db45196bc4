//! Translation bugs in what is listed, around it, by which filter, and how often.

use corpus::node::Node;
use http::HeaderMap;
use tests::mutate::edit::{
    each, field, filter_by, filter_value, id, member, members, rows, set, without_filter,
};
use tests::mutate::{Asked, Change, Reply};

use crate::bugs::number;
use crate::case::{Case, V1, V3, bug};

const WRONG: &str = "no-such-key-0000";

fn is_bad(asked: &Asked) -> bool {
    let has_wrong = |text: Option<&str>| text.is_none_or(|text| text.ends_with(WRONG));
    has_wrong(asked.authorization.as_deref()) && has_wrong(asked.filter("key"))
}

/// Answers to a key that nobody has.
pub(crate) fn refusals(edit: impl Fn(&mut Reply) + Send + Sync + 'static) -> Change {
    Change::answer(move |asked, reply| {
        if is_bad(asked) {
            edit(reply);
        }
    })
}

/// A status with a JSON error.
pub(crate) fn error(reply: &mut Reply, status: u16, text: &str) {
    reply.status = status;
    reply.set_body(format!("{{\"error\":\"{text}\"}}"));
}

/// Lists with something else around them.
pub(crate) fn around(before: &'static str, after: &'static str) -> Change {
    Change::answer(move |_, reply| {
        if reply.rows().is_some() {
            let list = String::from_utf8_lossy(&reply.body).into_owned();
            reply.set_body(format!("{before}{list}{after}"));
        }
    })
}

/// Bugs in which users are listed.
pub(crate) fn listed() -> Vec<Case> {
    let of = |name, planted, plant| bug(name, V1, planted, plant);
    let mut all = vec![
        of("a row at a seam is lost", &["$records"], |_| {
            rows(|_, rows| {
                if rows.len() > 30 {
                    rows.remove(30);
                }
            })
        }),
        of("a row at a seam stands twice", &["$records"], |_| {
            rows(|_, rows| {
                if rows.len() > 30 {
                    rows.insert(30, rows[30].clone());
                }
            })
        }),
        of("only the first page is listed", &["$records"], |_| rows(|_, rows| rows.truncate(20))),
        of("a deleted user is listed", &["$records"], |vendor| {
            let gone = vendor
                .users()
                .into_iter()
                .find(|user| user["status"] == "offline" && !user["deleted_at"].is_null());
            let gone: u64 = gone.unwrap()["id"].as_str().unwrap().parse().unwrap();
            rows(move |asked, rows| insert_like_first(asked, rows, gone))
        }),
        of("a row of another caller is listed", &["$records"], |_| {
            rows(|asked, rows| insert_like_first(asked, rows, 99_999))
        }),
        of("users without a group are not listed", &["$records"], |_| {
            rows(|_, rows| rows.retain(|row| row.get("sag") != Some(&Node::Null)))
        }),
        of("nobody is listed", &["$records"], |_| rows(|_, rows| rows.clear())),
    ];
    all.extend([
        of("ids are texts", &["id"], |_| {
            field("id", |value, _| *value = Node::Text(value.to_json()))
        }),
        of("ids are floating-point numbers", &["id", "$records"], |_| {
            field("id", |value, _| {
                *value = Node::parse(format!("{}.0", value.to_json()).as_bytes()).unwrap();
            })
        }),
        of("ids are places in the list", &["id", "$records"], |_| {
            rows(|asked, rows| {
                let is_whole = asked.is_whole();
                for (place, row) in rows.iter_mut().enumerate() {
                    if let Some(id) = member(row, "id").filter(|_| is_whole) {
                        *id = number(place as u64 + 1);
                    }
                }
            })
        }),
        of("ids are missing", &["id", "$records"], |_| {
            each(|row| {
                if let Some(members) = members(row) {
                    members.retain(|(name, _)| name != "id");
                }
            })
        }),
        of("a field is missing", &["employee_id"], |_| {
            each(|row| {
                if let Some(members) = members(row) {
                    members.retain(|(name, _)| name != "employee_id");
                }
            })
        }),
        of("a field that is empty is missing", &["extension"], |_| {
            each(|row| {
                if let Some(members) = members(row) {
                    members.retain(|(name, value)| name != "extension" || *value != Node::Null);
                }
            })
        }),
        of("a field too much is shown", &["status"], |_| {
            each(|row| {
                if let Some(members) = members(row) {
                    members.push(("status".to_owned(), Node::from("available")));
                }
            })
        }),
        of("a field stands twice, the second time wrong", &["name"], |_| {
            each(|row| {
                if let Some(members) = members(row) {
                    members.push(("name".to_owned(), Node::from("somebody else")));
                }
            })
        }),
        of("a field has another name", &["sag", "security_access_group"], |_| {
            each(|row| {
                for (name, _) in members(row).into_iter().flatten() {
                    if name == "sag" {
                        *name = "security_access_group".to_owned();
                    }
                }
            })
        }),
    ]);
    all
}

/// A record that looks like the first one, in the whole list.
pub(crate) fn insert_like_first(asked: &Asked, rows: &mut Vec<Node>, id: u64) {
    let Some(mut like) = rows.first().cloned().filter(|_| asked.is_whole()) else { return };
    if let Some(value) = member(&mut like, "id") {
        *value = number(id);
    }
    if let Some(value) = member(&mut like, "email") {
        *value = Node::from("leaked@cc2.example.com");
    }
    rows.push(like);
}

/// What stands around lists, statuses, headers and errors.
pub(crate) fn around_lists() -> Vec<Case> {
    let of = |name, planted, plant| bug(name, V1, planted, plant);
    vec![
        of("lists are wrapped as users", &["$envelope"], |_| {
            around("{\"users\":", ",\"metadata\":{\"total\":60}}")
        }),
        of("a list of one is an object", &["$envelope", "$records"], |_| {
            Change::answer(|_, reply| {
                if let Some([only]) = reply.rows().as_deref() {
                    reply.set_body(only.to_json());
                }
            })
        }),
        of("an empty list is null", &["$body"], |_| {
            Change::answer(|_, reply| {
                if reply.rows().is_some_and(|rows| rows.is_empty()) {
                    reply.set_body("null");
                }
            })
        }),
        of("the answer ends too early", &["$body"], |_| {
            Change::answer(|_, reply| {
                if reply.status == 200 && reply.body.len() > 1000 {
                    reply.body = reply.body.slice(..reply.body.len() - 100);
                }
            })
        }),
        of("quotes in texts are not escaped", &["$body"], |_| {
            Change::answer(|_, reply| {
                let text = String::from_utf8_lossy(&reply.body).replace("\\\"", "\"");
                reply.set_body(text);
            })
        }),
        of("the answer is in Latin-1", &["$body"], |_| {
            Change::answer(|_, reply| {
                let text = String::from_utf8_lossy(&reply.body).into_owned();
                let latin: Vec<u8> =
                    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
                reply.set_body(latin);
            })
        }),
        of("answers are text/plain", &["$header.content-type"], |_| {
            Change::answer(|_, reply| reply.set_header("content-type", "text/plain"))
        }),
        of("answers have no content type", &["$header.content-type"], |_| {
            Change::answer(|_, reply| {
                reply.headers = HeaderMap::new();
            })
        }),
        of("every key is good", &["$key"], |_| {
            Change::asked(|asked| {
                if is_bad(asked) {
                    asked.authorization = Some(format!("Bearer {}", tests::LEGACY_KEY));
                }
            })
        }),
        of("a wrong key is 403", &["$status"], |_| {
            refusals(|reply| error(reply, 403, "Invalid User API Key"))
        }),
        of("a wrong key gets the empty list", &["$status"], |_| {
            refusals(|reply| {
                reply.status = 200;
                reply.set_body("[]");
            })
        }),
        of("a wrong key leads to a page to sign in", &["$status", "$header.location"], |_| {
            refusals(|reply| {
                reply.status = 302;
                reply.set_header("location", "/login");
            })
        }),
        of("a wrong key gets another text", &["$error"], |_| {
            refusals(|reply| error(reply, 401, "Unauthorized"))
        }),
        of("an error shows a second member", &["$error"], |_| {
            refusals(|reply| {
                reply.set_body("{\"error\":\"Invalid User API Key\",\"code\":401}");
            })
        }),
        of("the other path is not known", &["$status"], |_| {
            Change::answer(|asked, reply| {
                if asked.path.starts_with("/user_management") {
                    error(reply, 404, "Not found");
                }
            })
        }),
        of("a filter that finds nobody is 404", &["$status"], |_| {
            Change::answer(|_, reply| {
                if reply.rows().is_some_and(|rows| rows.is_empty()) {
                    error(reply, 404, "Not found");
                }
            })
        }),
        of("an ampersand in a filter is 500", &["$status"], |_| {
            Change::answer(|asked, reply| {
                if asked.filter("name").is_some_and(|name| name.contains('&')) {
                    error(reply, 500, "Internal server error");
                }
            })
        }),
        of("an unknown parameter finds nobody", &["$records"], |_| {
            rows(|asked, rows| {
                if asked.filter("no_such_parameter").is_some() {
                    rows.clear();
                }
            })
        }),
        of("a filter without a value finds nobody", &["$records"], |_| {
            rows(|asked, rows| {
                if asked.filter("sag") == Some("") {
                    rows.clear();
                }
            })
        }),
        of("pages are counted", &["$records"], |_| {
            rows(|asked, rows| {
                if asked.filter("page").is_some() {
                    rows.truncate(1);
                }
            })
        }),
    ]
}

/// The second of two filters is lost where the first is there as well.
fn lost_beside(first: &'static str, second: &'static str) -> Change {
    Change::asked(move |asked| {
        if asked.filter(first).is_some() {
            asked.query.retain(|(key, _)| key != second);
        }
    })
}

/// Bugs in which users a filter finds.
pub(crate) fn filters() -> Vec<Case> {
    let of = |name, plant| bug(name, V1, &["$records"], plant);
    vec![
        of("the filter name is ignored", |_| without_filter("name")),
        of("names are found in any case", |_| {
            filter_by("name", |value, wanted| value.to_lowercase() == wanted.to_lowercase())
        }),
        of("groups are found by their beginning", |_| {
            filter_by("sag", |value, wanted| value.starts_with(wanted))
        }),
        of("extensions are found by their beginning", |_| {
            filter_by("extension", |value, wanted| value.starts_with(wanted))
        }),
        of("ids are found by their beginning", |_| {
            filter_by("id", |value, wanted| value.starts_with(&wanted[..wanted.len().min(4)]))
        }),
        of("a group that nobody has finds everybody", |_| {
            filter_by("sag", |value, wanted| value == wanted || wanted.starts_with("No such"))
        }),
        of("one group of two with one name is searched", |vendor| {
            let first = tests::mutate::edit::of_users(vendor, |user| {
                Some(user.security_access_group.as_ref()?.id != 12)
            });
            rows(move |asked, rows| {
                if asked.filter("sag").is_some() {
                    rows.retain(|row| first.get(&id(row)).copied().unwrap_or(true));
                }
            })
        }),
        of("the last one that is found is lost", |_| {
            rows(|asked, rows| {
                if asked.filter("timezone").is_some() {
                    rows.pop();
                }
            })
        }),
        Case {
            asks_everything: true,
            ..of("beside an e-mail address the group is ignored", |_| lost_beside("email", "sag"))
        },
        Case {
            asks_everything: true,
            ..of("beside a group the name is ignored", |_| lost_beside("sag", "name"))
        },
        of("an e-mail address is looked for without its domain", |_| {
            filter_value("email", |email| email.split('@').next().unwrap_or_default().to_owned())
        }),
    ]
}

/// What is wrong at times.
pub(crate) fn at_times() -> Vec<Case> {
    let all = vec![
        bug("every third answer has a wrong name", V1, &["name"], |_| {
            set("name", |row, asked| {
                (asked.nth.is_multiple_of(3) && id(row).is_multiple_of(7))
                    .then(|| Node::from("somebody else"))
            })
        }),
        bug("every second answer lacks a row", V1, &["$records"], |_| {
            rows(|asked, rows| {
                if asked.nth.is_multiple_of(2) && rows.len() > 5 {
                    rows.pop();
                }
            })
        }),
        bug("every fifth answer is 500", V1, &["$status"], |_| {
            Change::answer(|asked, reply| {
                if asked.nth.is_multiple_of(5) && reply.status == 200 {
                    error(reply, 500, "Internal server error");
                }
            })
        }),
        bug("a name is the one from before", V1, &["name"], |vendor| {
            let user = vendor.records()[12].clone();
            vendor.rename_user(user.id, "Renamed since then");
            set("name", move |row, _| (id(row) == user.id).then(|| Node::from(&*user.name)))
        }),
        bug("every fourth answer is the one before it", V3, &["extension"], |_| {
            set("extension", |row, asked| {
                (asked.nth % 4 == 1 && id(row).is_multiple_of(5)).then(|| Node::from("0000"))
            })
        }),
    ];
    all.into_iter().map(|case| Case { asks_everything: true, ..case }).collect()
}
