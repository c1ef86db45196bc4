//! Writes a page of users and applies the faults to it.
//!
//! Only the configured fault may be wrong with a page; everything else stays exact.

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use crate::fault::{Faults, Plan};
use crate::people::record::User;

/// How one face writes a page of users, before any fault.
pub(crate) trait UsersPage {
    /// The member of a row that holds the user's id.
    const ID: &'static str;

    /// The text in that member.
    fn id(&self, user: &User) -> String;

    /// Adds a user as a compact JSON object.
    fn write_row(&self, body: &mut Vec<u8>, user: &User);

    /// The member after the rows for this number of users; `text` is the number as JSON text.
    fn foot(&self, total: u64, text: Option<&str>) -> String;
}

/// The body of a page of users. `first_row` is the place of its first row in the whole list.
pub(crate) fn users_page<P: UsersPage>(
    page: &P,
    rows: &[Arc<User>],
    first_row: u64,
    total: u64,
    plan: &Plan,
) -> Vec<u8> {
    let faults = &plan.faults;
    let mut body = Vec::with_capacity(64 + 1400 * rows.len());
    if faults.bom {
        body.extend_from_slice(b"\xEF\xBB\xBF");
    }
    body.push(b'{');
    if let Some(raw) = &faults.users_raw {
        body.extend_from_slice(format!("\"users\":{raw},").as_bytes());
    } else if !faults.users_missing {
        body.extend_from_slice(b"\"users\":[");
        for (k, user) in rows.iter().enumerate() {
            if k > 0 {
                body.push(b',');
            }
            let start = body.len();
            let user = if plan.repeat && k + 1 == rows.len() { &rows[0] } else { user };
            page.write_row(&mut body, user);
            spoil_row(page, &mut body, start, user, (k, first_row + k as u64), faults);
        }
        body.extend_from_slice(b"],");
    }
    if faults.deep_nesting > 0 {
        let depth = faults.deep_nesting as usize;
        body.extend_from_slice(b"\"nested\":");
        body.extend(std::iter::repeat_n(b'[', depth));
        body.extend(std::iter::repeat_n(b']', depth));
        body.push(b',');
    }
    let total = total.saturating_add_signed(faults.total_delta);
    body.extend_from_slice(page.foot(total, total_text(total, faults).as_deref()).as_bytes());
    body.push(b'}');
    if faults.trailing_garbage {
        body.extend_from_slice(b"{\"users\":[]}");
    }
    body
}

/// Adds a value as JSON. Writing strings and numbers into memory cannot fail.
pub(crate) fn write<T: Serialize>(body: &mut Vec<u8>, value: &T) {
    if let Err(error) = serde_json::to_writer(&mut *body, value) {
        tracing::error!(%error, "a user could not be written");
    }
}

fn total_text(total: u64, faults: &Faults) -> Option<String> {
    match (&faults.total_raw, faults.total_missing, faults.total_as_string) {
        (Some(raw), _, _) => Some(raw.clone()),
        (None, true, _) => None,
        (None, false, true) => Some(format!("\"{total}\"")),
        (None, false, false) => Some(total.to_string()),
    }
}

/// Applies the faults to the row that begins at `start`: the `k`-th of the page, the `row`-th of the list.
fn spoil_row<P: UsersPage>(
    page: &P,
    body: &mut Vec<u8>,
    start: usize,
    user: &User,
    (k, row): (usize, u64),
    faults: &Faults,
) {
    if faults.uuid_ids {
        let id = user.id;
        set_member(body, start, "id", &format!("\"0b97ce11-0000-4000-8000-{id:012x}\""));
    }
    if row == faults.bad_row {
        if let Some(text) = &faults.bad_id {
            let text = serde_json::Value::from(text.as_str()).to_string();
            set_member(body, start, P::ID, &text);
        }
        if let Some((field, text)) = &faults.bad_field {
            set_member(body, start, field, text);
        }
    }
    if k > 0 {
        return;
    }
    let name_prefix: &[u8] = match (faults.invalid_utf8, faults.lone_surrogate) {
        (true, _) => b"\xFF",
        (false, true) => b"\\ud800",
        (false, false) => b"",
    };
    if !name_prefix.is_empty()
        && let Some(span) = member(&body[start..], "name")
    {
        // The span begins with the key, so the value's opening quote comes right after it.
        let quote = start + span.start + "\"name\":\"".len();
        body.splice(quote..quote, name_prefix.iter().copied());
    }
    if faults.duplicate_key {
        let again = format!("\"{}\":\"{}\",", P::ID, page.id(user));
        body.splice(start + 1..start + 1, again.into_bytes());
    }
}

/// Replaces the value of a member with `text`, or removes the member if `text` is empty.
fn set_member(body: &mut Vec<u8>, start: usize, key: &str, text: &str) {
    let Some(span) = member(&body[start..], key) else { return };
    let (from, mut to) = (start + span.start, start + span.end);
    if text.is_empty() {
        // A removed member is never the only one, so a comma is removed with it.
        if body.get(to) == Some(&b',') {
            to += 1;
            drop(body.splice(from..to, []));
        } else {
            drop(body.splice(from - 1..to, []));
        }
        return;
    }
    drop(body.splice(from..to, format!("\"{key}\":{text}").into_bytes()));
}

/// The range of the member `"key":value` in a compact JSON object, without a comma.
fn member(object: &[u8], key: &str) -> Option<Range<usize>> {
    let wanted = format!("\"{key}\":").into_bytes();
    let mut depth = 0usize;
    let mut in_text = false;
    let mut escaped = false;
    let mut member_start = 0;
    for (i, &byte) in object.iter().enumerate() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => (),
            }
            continue;
        }
        let member_ends = match byte {
            b'"' => {
                in_text = true;
                false
            }
            b'{' | b'[' => {
                depth += 1;
                if depth == 1 {
                    member_start = i + 1;
                }
                false
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                depth == 0
            }
            b',' => depth == 1,
            _ => false,
        };
        if member_ends {
            if object[member_start..].starts_with(&wanted) {
                return Some(member_start..i);
            }
            member_start = i + 1;
        }
    }
    None
}

/// Well-formed gzip without compression. Only the unrequested `content-encoding` matters, and a
/// compressor would be a dependency for one fault.
pub(crate) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
    let mut chunks = body.chunks(0xFFFF).peekable();
    if chunks.peek().is_none() {
        out.extend_from_slice(&[1, 0, 0, 0xFF, 0xFF]);
    }
    while let Some(chunk) = chunks.next() {
        let length = chunk.len() as u16;
        out.push(u8::from(chunks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.extend_from_slice(&crc32(body).to_le_bytes());
    out.extend_from_slice(&(body.len() as u32).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}
