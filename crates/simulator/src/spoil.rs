//! Writes a users page and breaks it the way the faults ask.
//!
//! Only the fault that was asked for may be wrong with a page; everything around it stays exact.

use std::ops::Range;
use std::sync::Arc;

use crate::fault::{Faults, Plan};
use crate::record::User;

/// The body of a page of users. `first_row` is the place of its first row in the whole list.
pub(crate) fn users_page(rows: &[Arc<User>], first_row: u64, total: u64, plan: &Plan) -> Vec<u8> {
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
            write_row(&mut body, user);
            spoil_row(&mut body, start, user, k, first_row + k as u64, faults);
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
    body.extend_from_slice(b"\"metadata\":{");
    body.extend_from_slice(total_member(total, faults).as_bytes());
    body.extend_from_slice(b"}}");
    if faults.trailing_garbage {
        body.extend_from_slice(b"{\"users\":[]}");
    }
    body
}

fn write_row(body: &mut Vec<u8>, user: &User) {
    // Writing a struct of strings and numbers into memory has no way to fail.
    if let Err(error) = serde_json::to_writer(&mut *body, user) {
        tracing::error!(%error, "a user could not be written");
    }
}

fn total_member(total: u64, faults: &Faults) -> String {
    let total = total.saturating_add_signed(faults.total_delta);
    match (&faults.total_raw, faults.total_missing, faults.total_as_string) {
        (Some(raw), _, _) => format!("\"total\":{raw}"),
        (None, true, _) => String::new(),
        (None, false, true) => format!("\"total\":\"{total}\""),
        (None, false, false) => format!("\"total\":{total}"),
    }
}

/// Breaks the row that begins at `start`: the `k`-th of the page, the `row`-th of the list.
fn spoil_row(body: &mut Vec<u8>, start: usize, user: &User, k: usize, row: u64, faults: &Faults) {
    if faults.uuid_ids {
        let id = user.id;
        set_member(body, start, "id", &format!("\"0b97ce11-0000-4000-8000-{id:012x}\""));
    }
    if row == faults.bad_row {
        if let Some(text) = &faults.bad_id {
            let text = serde_json::Value::from(text.as_str()).to_string();
            set_member(body, start, "id", &text);
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
        // The member ends with the value, so the value's quote is found behind the key.
        let quote = start + span.start + "\"name\":\"".len();
        body.splice(quote..quote, name_prefix.iter().copied());
    }
    if faults.duplicate_key {
        let again = format!("\"id\":\"{}\",", user.id);
        body.splice(start + 1..start + 1, again.into_bytes());
    }
}

/// Puts `text` in place of the value of a member, or removes the member if `text` is empty.
fn set_member(body: &mut Vec<u8>, start: usize, key: &str, text: &str) {
    let Some(span) = member(&body[start..], key) else { return };
    let (from, mut to) = (start + span.start, start + span.end);
    if text.is_empty() {
        // No member that is ever removed stands alone, so one comma goes with it.
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

/// Where the member `"key":value` stands in a compact JSON object, without a comma.
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

/// Well-formed gzip without compression: the point is a `content-encoding` nobody asked for, and
/// a compressor would be a dependency for one fault.
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
