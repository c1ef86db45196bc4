//! Draws one case: a rule, a field, a share of the users, a side, and harmless differences beside it.

use std::collections::BTreeSet;

use corpus::ask::Ask;
use corpus::endpoint::{Endpoint, endpoint};
use corpus::node::Node;
use parity::scenario::Scenario;
use report::Cause;
use tests::mutate::edit::{id, member};

use super::dice::Dice;
use super::edits::{Drawn, TEXTS, is_among, of_joined, of_nested, of_text, of_value};
use super::filters;
use super::world::{Change, World};

/// Which side is changed, and whether the new API can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// A gateway by its URL.
    Candidate,
    /// A gateway of this process.
    Seen,
    /// The legacy API.
    Control,
}

pub(super) struct Case {
    pub(super) name: String,
    pub(super) endpoint: &'static Endpoint,
    pub(super) place: Where,
    /// Where a finding is expected.
    pub(super) fields: Vec<&'static str>,
    /// The causes that are right, each by itself.
    pub(super) causes: Vec<Cause>,
    /// How many users of the whole list differ.
    pub(super) users: usize,
    pub(super) of: usize,
    pub(super) control: Vec<Change>,
    pub(super) candidate: Vec<Change>,
}

impl Case {
    pub(super) fn is_bug(&self) -> bool {
        self.causes.contains(&Cause::Bug)
    }
}

/// Shares of the users, in thousandths.
const SHARES: [u64; 8] = [1000, 1000, 1000, 1000, 500, 200, 60, 20];

/// The case of a seed; `None` where the data have nobody for its rule.
pub(super) async fn draw(seed: u64, world: &World<'_>) -> Option<Case> {
    let mut dice = Dice::new(seed);
    let dice = &mut dice;
    let endpoint = endpoint(if dice.below(5) == 0 { "v3_cdr_users" } else { "v1_users" })?;
    let rows = world.list(&Scenario::all(endpoint).ask).await;
    let mut case = match dice.below(20) {
        0..=12 => of_rows(dice, endpoint, &rows)?,
        13..=15 => filters::draw(dice, endpoint, &rows)?,
        16 => records(dice, endpoint, &rows)?,
        _ => harmless(dice, endpoint, &rows)?,
    };
    beside(dice, &mut case, &rows);
    Some(case)
}

fn of_rows(dice: &mut Dice, endpoint: &'static Endpoint, rows: &[Node]) -> Option<Case> {
    let joined = endpoint.joined;
    let Drawn { name, field, edit } = match dice.below(20) {
        0..=11 => of_text(dice, joined),
        12..=14 => of_value(dice),
        15..=17 => of_joined(dice, joined, rows),
        _ => of_nested(dice, rows),
    };
    let (share, salt) = (dice.pick(&SHARES), dice.next());
    let meant = move |row: &mut Node| {
        if is_among(row, salt, share) {
            edit(row);
        }
    };
    let changed = |row: &&Node| {
        let mut other = (*row).clone();
        meant(&mut other);
        other != **row
    };
    let differing: Vec<&Node> = rows.iter().filter(changed).collect();
    let users = differing.len();
    if users == 0 {
        return None;
    }
    let place = dice.pick(&[Where::Control, Where::Control, Where::Seen, Where::Candidate]);
    let is_form = differing.iter().any(|row| {
        let mut other = (*row).clone();
        meant(&mut other);
        let of = |row: &Node| row.get(field).map(Node::kind);
        // No data entered by a person end in half an emoji.
        let ends_within =
            other.get(field).and_then(Node::text).is_some_and(|text| text.ends_with('\u{fffd}'));
        of(row) != of(&other)
            || ends_within
            || field.starts_with("assigned_s")
            || field.starts_with("assigned_c")
    });
    let mut causes = match (place, users) {
        // One value may be the data's.
        (Where::Control, 1) if !is_form => vec![Cause::UpstreamData],
        (Where::Control, 1) => vec![Cause::UpstreamData, Cause::Bug],
        _ => vec![Cause::Bug],
    };
    if place == Where::Control {
        // Two users may lack a part in the data as well, or have another one, so two of them show no rule.
        let is_of_a_part = name.contains("lack") || name.contains("calls");
        if users < 3 && share < 1000 && is_of_a_part {
            causes.push(Cause::UpstreamData);
        }
        match field {
            // An entry of a dictionary may do the same.
            "caller_id" | "timezone" | "assigned_channels" => {
                causes.extend([Cause::Quirk, Cause::DeclaredLoss]);
            }
            "employee_id" if name.contains("is a number") => {
                causes = vec![Cause::Quirk, Cause::Bug]
            }
            _ => {}
        }
    }
    let change = Change {
        rows: Some(Box::new(move |_, _, rows| rows.iter_mut().for_each(&meant))),
        ..Change::default()
    };
    let mut fields = vec![field];
    if endpoint.filters.contains(&field) {
        fields.push("$records");
    }
    let name = format!("{name}, {share} of 1000");
    let case = case(name, endpoint, place, fields, causes, (users, rows.len()));
    Some(planted(case, change))
}

pub(super) fn case(
    name: String,
    endpoint: &'static Endpoint,
    place: Where,
    fields: Vec<&'static str>,
    causes: Vec<Cause>,
    (users, of): (usize, usize),
) -> Case {
    let (control, candidate) = (Vec::new(), Vec::new());
    Case { name, endpoint, place, fields, causes, users, of, control, candidate }
}

pub(super) fn planted(mut case: Case, change: Change) -> Case {
    match case.place {
        Where::Control => case.control.push(change),
        Where::Candidate | Where::Seen => case.candidate.push(change),
    }
    case
}

/// Who is listed.
fn records(dice: &mut Dice, endpoint: &'static Endpoint, rows: &[Node]) -> Option<Case> {
    let place = dice.pick(&[Where::Control, Where::Seen, Where::Candidate]);
    let field = dice.pick(&["sag", "timezone", "webrtc_ringtone", "extension", "caller_id"]);
    let like = rows[dice.below(rows.len() as u64) as usize].get(field)?.clone();
    let hidden: BTreeSet<u64> =
        rows.iter().filter(|row| row.get(field) == Some(&like)).map(id).collect();
    let users = hidden.len();
    let causes = match (place, users) {
        (Where::Control, 1) => vec![Cause::UpstreamData, Cause::Bug],
        _ => vec![Cause::Bug],
    };
    let name = format!("nobody with one {field} is listed");
    let case = case(name, endpoint, place, vec!["$records"], causes, (users, rows.len()));
    let change = Change {
        rows: Some(Box::new(move |_, _, rows| rows.retain(|row| !hidden.contains(&id(row))))),
        ..Change::default()
    };
    Some(planted(case, change))
}

fn reversed() -> Change {
    Change { rows: Some(Box::new(|_, _, rows| rows.reverse())), ..Change::default() }
}

/// Values of single users, each another one.
fn single(dice: &mut Dice, field: &'static str, rows: &[Node], users: usize) -> Option<Change> {
    let with: Vec<u64> = rows
        .iter()
        .filter(|row| row.get(field).and_then(Node::text).is_some_and(|text| text.len() > 3))
        .map(id)
        .collect();
    let mut values: Vec<(u64, String)> = Vec::new();
    for _ in 0..users.min(with.len()) {
        let of = with[dice.below(with.len() as u64) as usize];
        let value = match field {
            "name" => format!("Person {:x}", dice.below(1 << 40)),
            "email" => format!("p{:x}@cc1.example.com", dice.below(1 << 40)),
            _ => format!("{}", 70_000 + dice.below(9_000)),
        };
        values.push((of, value));
    }
    let edit = move |_: &Ask, _: u64, rows: &mut Vec<Node>| {
        for row in rows {
            let own = id(row);
            let other = values.iter().find(|(of, _)| *of == own);
            if let (Some((_, other)), Some(value)) = (other, member(row, field)) {
                *value = Node::from(other.as_str());
            }
        }
    };
    Some(Change { rows: Some(Box::new(edit)), ..Change::default() })
}

fn noise(of: u64, field: &'static str) -> Change {
    let edit = move |_: &Ask, nth: u64, rows: &mut Vec<Node>| {
        let row = rows.iter_mut().find(|row| id(row) == of);
        if let Some(value) = row.and_then(|row| member(row, field)) {
            *value = Node::Text(format!("Value {nth}"));
        }
    };
    Change { rows: Some(Box::new(edit)), ..Change::default() }
}

/// A case without anything wrong.
fn harmless(dice: &mut Dice, endpoint: &'static Endpoint, rows: &[Node]) -> Option<Case> {
    let of_kind = dice.below(4);
    let field = dice.pick(&["name", "email", "extension"]);
    let (name, cause, place, change, users) = match of_kind {
        0 => ("rows in another order", Cause::Order, "$order", reversed(), 0),
        1 => ("another value of one", Cause::UpstreamData, field, single(dice, field, rows, 1)?, 1),
        2 => ("other values of some", Cause::UpstreamData, field, single(dice, field, rows, 4)?, 4),
        _ => {
            let of = id(&rows[dice.below(rows.len() as u64) as usize]);
            ("another value each time", Cause::Noise, field, noise(of, field), 1)
        }
    };
    let mut fields = vec![place];
    if endpoint.filters.contains(&place) {
        fields.push("$records");
    }
    let of = (users, rows.len());
    Some(planted(case(name.to_owned(), endpoint, Where::Control, fields, vec![cause], of), change))
}

/// Harmless differences in fields where nothing is planted.
fn beside(dice: &mut Dice, case: &mut Case, rows: &[Node]) {
    if dice.below(2) == 0 {
        return;
    }
    if !case.fields.contains(&"$order") && dice.below(2) == 0 {
        case.control.push(reversed());
    }
    let field = dice.pick(&TEXTS[..4]);
    if case.fields.contains(&field) || case.place == Where::Candidate {
        return;
    }
    if dice.below(2) == 0
        && let Some(change) = single(dice, field, rows, 1)
    {
        case.control.push(change);
    }
}
