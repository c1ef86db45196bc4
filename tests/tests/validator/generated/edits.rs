//! Edits of one row: texts, parts of joined fields, members of nested lists, and whole values.

use std::sync::Arc;

use corpus::node::Node;
use serde_json::Number;
use tests::mutate::edit::{id, member};

use super::dice::Dice;
use super::rules::{TextRule, texts};

/// Edits a row that it concerns.
pub(super) type Edit = Arc<dyn Fn(&mut Node) + Send + Sync>;

pub(super) const TEXTS: [&str; 9] = [
    "name",
    "email",
    "sip_account",
    "extension",
    "caller_id",
    "sag",
    "webrtc_ringtone",
    "employee_id",
    "timezone",
];
const NESTED: [(&str, &str); 3] =
    [("assigned_skills", "name"), ("assigned_channels", "name"), ("assigned_channels", "type")];

/// A row's edit: its words, the field, and whether it changes the form of a value only.
pub(super) struct Drawn {
    pub(super) name: String,
    pub(super) field: &'static str,
    pub(super) edit: Edit,
}

fn drawn(
    name: String,
    field: &'static str,
    edit: impl Fn(&mut Node) + Send + Sync + 'static,
) -> Drawn {
    Drawn { name: format!("{field} {name}"), field, edit: Arc::new(edit) }
}

fn number(text: &str) -> Option<Node> {
    Some(Node::Number(text.parse::<u64>().ok()?.into()))
}

/// A rule for texts, at a place that has texts.
pub(super) fn of_text(dice: &mut Dice, joined: &[&'static str]) -> Drawn {
    let mut all = texts(dice);
    let (name, rule) = all.swap_remove(dice.below(all.len() as u64) as usize);
    match dice.below(10) {
        0..=6 => {
            let field = dice.pick(&TEXTS);
            drawn(name, field, move |row| in_text(member(row, field), &rule))
        }
        7 => {
            let field = dice.pick(joined);
            drawn(format!("(each part) {name}"), field, move |row| {
                if let Some(Node::Text(text)) = member(row, field) {
                    *text = text.split(", ").map(&rule).collect::<Vec<_>>().join(", ");
                }
            })
        }
        _ => {
            let (field, of) = dice.pick(&NESTED);
            drawn(format!("(its {of}) {name}"), field, move |row| {
                elements(row, field, |one| in_text(member(one, of), &rule));
            })
        }
    }
}

fn in_text(value: Option<&mut Node>, rule: &TextRule) {
    if let Some(Node::Text(text)) = value {
        *text = rule(text);
    }
}

fn elements(row: &mut Node, field: &str, edit: impl Fn(&mut Node)) {
    if let Some(Node::List(list)) = member(row, field) {
        list.iter_mut().for_each(edit);
    }
}

/// A value in another form, or filled from somewhere.
pub(super) fn of_value(dice: &mut Dice) -> Drawn {
    let field = dice.pick(&TEXTS);
    let other = dice.pick(&TEXTS);
    match dice.below(9) {
        0 => drawn("is an empty text where it is null".to_owned(), field, move |row| {
            replace(row, field, |value| (*value == Node::Null).then(|| Node::from("")));
        }),
        1 => drawn("is null where it is empty".to_owned(), field, move |row| {
            replace(row, field, |value| (value.text() == Some("")).then_some(Node::Null));
        }),
        2 => {
            let word = dice.pick(&["null", "None", "nil", "-"]);
            drawn(format!("is the text {word} where it is null"), field, move |row| {
                replace(row, field, |value| (*value == Node::Null).then(|| Node::from(word)));
            })
        }
        3 => drawn("is a number where it can be".to_owned(), field, move |row| {
            replace(row, field, |value| number(value.text()?));
        }),
        4 => drawn("is a word where it is null".to_owned(), field, move |row| {
            replace(row, field, |value| (*value == Node::Null).then(|| Node::from("Default")));
        }),
        5 => drawn(format!("is {other} where it is null"), field, move |row| {
            let from = row.get(other).cloned();
            replace(row, field, |value| from.filter(|_| *value == Node::Null));
        }),
        6 => drawn(format!("is {other}"), field, move |row| {
            let from = row.get(other).cloned();
            replace(row, field, |_| from.filter(|from| *from != Node::Null));
        }),
        7 => drawn("is the SIP user where it is null".to_owned(), "extension", move |row| {
            let account = row.get("sip_account").and_then(Node::text).map(str::to_owned);
            let user = account.and_then(|text| Some(Node::from(text.split('@').next()?)));
            replace(row, "extension", |value| user.filter(|_| *value == Node::Null));
        }),
        _ => drawn("is null".to_owned(), field, move |row| {
            replace(row, field, |_| Some(Node::Null));
        }),
    }
}

fn replace(row: &mut Node, field: &str, by: impl FnOnce(&Node) -> Option<Node>) {
    if let Some(value) = member(row, field)
        && let Some(other) = by(value)
    {
        *value = other;
    }
}

/// Joined fields, part by part. `seen` are parts that the data have.
pub(super) fn of_joined(dice: &mut Dice, joined: &[&'static str], rows: &[Node]) -> Drawn {
    let field = dice.pick(joined);
    let all = rows.iter().filter_map(|row| row.get(field)?.text());
    let beside: Vec<&str> = all.filter(|text| text.contains(", ")).collect();
    let text = beside[dice.below(beside.len() as u64) as usize];
    let parts: Vec<&str> = text.split(", ").collect();
    let part = parts[dice.below(parts.len() as u64) as usize].to_owned();
    let teams = joined[0];
    let edit = move |edit: fn(&mut Vec<String>, &str), part: String| {
        move |row: &mut Node| {
            if let Some(Node::Text(text)) = member(row, field) {
                let mut parts: Vec<String> = text.split(", ").map(str::to_owned).collect();
                edit(&mut parts, &part);
                *text = parts.join(", ");
            }
        }
    };
    let with = |separator: &'static str| {
        move |row: &mut Node| {
            if let Some(Node::Text(text)) = member(row, field) {
                *text = text.replace(", ", separator);
            }
        }
    };
    match dice.below(10) {
        0 | 1 => drawn(
            format!("lacks {part:?} beside others"),
            field,
            edit(
                |parts, part| {
                    if parts.len() > 1 {
                        parts.retain(|one| one != part);
                    }
                },
                part,
            ),
        ),
        2 => drawn(
            format!("lacks {part:?}"),
            field,
            edit(
                |parts, part| {
                    parts.retain(|one| one != part);
                },
                part,
            ),
        ),
        3 => drawn(
            format!("calls {part:?} another name"),
            field,
            edit(
                |parts, part| {
                    parts
                        .iter_mut()
                        .filter(|one| *one == part)
                        .for_each(|one| *one = format!("Q{}", one.len()));
                },
                part,
            ),
        ),
        4 => drawn(
            "lacks the last of several".to_owned(),
            field,
            edit(
                |parts, _| {
                    if parts.len() > 1 {
                        parts.pop();
                    }
                },
                part,
            ),
        ),
        5 => drawn(
            "has no more than two".to_owned(),
            field,
            edit(|parts, _| parts.truncate(2), part),
        ),
        6 => drawn(
            "has the first twice".to_owned(),
            field,
            edit(
                |parts, _| {
                    if !parts[0].is_empty() {
                        parts.push(parts[0].clone());
                    }
                },
                part,
            ),
        ),
        7 => drawn("is joined by commas".to_owned(), field, with(",")),
        8 => drawn("is joined by semicolons".to_owned(), field, with("; ")),
        _ => drawn("has their own teams too".to_owned(), "supervisor_in_teams", move |row| {
            let own = row.get(teams).and_then(Node::text).unwrap_or_default().to_owned();
            replace(row, "supervisor_in_teams", |value| {
                let text = value.text().filter(|text| !text.is_empty() && !own.is_empty())?;
                let mut parts: Vec<&str> = text.split(", ").collect();
                let more: Vec<&str> = own.split(", ").filter(|one| !parts.contains(one)).collect();
                parts.extend(more);
                Some(Node::from(parts.join(", ").as_str()))
            });
        }),
    }
}

/// Nested lists.
pub(super) fn of_nested(dice: &mut Dice, rows: &[Node]) -> Drawn {
    let names: Vec<String> = rows
        .iter()
        .flat_map(|row| row.get("assigned_skills").and_then(Node::list).unwrap_or_default())
        .filter_map(|skill| Some(skill.get("name")?.text()?.to_owned()))
        .collect();
    let skill = names[dice.below(names.len() as u64) as usize].clone();
    let most = 3 + dice.below(6);
    let level = |make: fn(u64) -> Node| {
        move |row: &mut Node| {
            elements(row, "assigned_skills", |one| {
                replace(one, "value", |value| match value {
                    Node::Number(level) => level.as_u64().map(make),
                    _ => None,
                });
            });
        }
    };
    let value = |make: fn(u64) -> Option<Node>| {
        move |row: &mut Node| {
            elements(row, "assigned_channels", |one| {
                replace(one, "value", |value| match value {
                    Node::Number(digits) => make(digits.as_u64()?),
                    _ => None,
                });
            });
        }
    };
    let skills = |edit: fn(&mut Vec<Node>, &str)| {
        move |row: &mut Node| {
            if let Some(Node::List(list)) = member(row, "assigned_skills") {
                edit(list, &skill);
            }
        }
    };
    match dice.below(11) {
        0 => drawn(
            "have levels as 5.0".to_owned(),
            "assigned_skills",
            level(|level| Number::from_f64(level as f64).map_or(Node::Null, Node::Number)),
        ),
        1 => drawn(
            "have levels as texts".to_owned(),
            "assigned_skills",
            level(|level| Node::Text(level.to_string())),
        ),
        2 => drawn(
            "have levels from 0".to_owned(),
            "assigned_skills",
            level(|level| Node::Number((level - 1).into())),
        ),
        3 => drawn(
            "have levels as percent".to_owned(),
            "assigned_skills",
            level(|level| Node::Number((level * 10).into())),
        ),
        4 => drawn(format!("have levels up to {most}"), "assigned_skills", move |row| {
            elements(row, "assigned_skills", |one| {
                replace(one, "value", |value| match value {
                    Node::Number(level) => Some(Node::Number(level.as_u64()?.min(most).into())),
                    _ => None,
                });
            });
        }),
        5 => drawn(
            "lack a skill beside others".to_owned(),
            "assigned_skills",
            skills(|list, name| {
                if list.len() > 1 {
                    list.retain(|one| one.get("name").and_then(Node::text) != Some(name));
                }
            }),
        ),
        6 => drawn(
            "call a skill another name".to_owned(),
            "assigned_skills",
            skills(|list, name| {
                let named = list
                    .iter_mut()
                    .filter(|one| one.get("name").and_then(Node::text) == Some(name));
                named.for_each(|one| replace(one, "name", |_| Some(Node::from("Renamed skill"))));
            }),
        ),
        7 => drawn(
            "have rounded numbers".to_owned(),
            "assigned_channels",
            value(|digits| {
                Some(Node::Number((digits as f64 as u64 / 10 * 10 + digits % 10 / 8).into()))
            }),
        ),
        8 => drawn(
            "have numbers as texts".to_owned(),
            "assigned_channels",
            value(|digits| Some(Node::Text(digits.to_string()))),
        ),
        9 => drawn(
            "have numbers without the last digit".to_owned(),
            "assigned_channels",
            value(|digits| Some(Node::Number((digits / 10).into()))),
        ),
        _ => drawn("have 0 for no number".to_owned(), "assigned_channels", |row| {
            elements(row, "assigned_channels", |one| {
                replace(one, "value", |value| {
                    (*value == Node::Null).then(|| Node::Number(0.into()))
                });
            });
        }),
    }
}

/// Whether a user is among those of a share, in thousandths.
pub(super) fn is_among(row: &Node, salt: u64, thousandths: u64) -> bool {
    Dice::new(id(row) ^ salt.rotate_left(20)).below(1000) < thousandths
}
