//! Faults of the vendor, as plain values that a command line can set.
//!
//! Faults concern only the new API. The gateway is compared with the legacy face, so that stays right.
//! `spoil` makes the broken pages.

pub(crate) mod spoil;

use std::ops::Range;
use std::str::FromStr;

use crate::people::data::Dice;

/// A place in the list and how often the fault happens there. Vonage counts pages, so there the
/// offset is `(page - 1) * limit` of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The `offset` parameter of the affected request.
    pub offset: u64,
    /// How many times; `None` is always.
    pub times: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail {
    /// Only requests for users with this `offset`; `None` is every request to the new API.
    pub at_offset: Option<u64>,
    /// The status, e.g. 500 or 429.
    pub status: u16,
    /// How many times; `None` is always.
    pub times: Option<u32>,
    /// The value of a `Retry-After` header, unchanged.
    pub retry_after: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Limits the faults below that have no place to the requests for users with this offset;
    /// `None` is all of them.
    pub only_at: Option<At>,
    /// Limits the faults to requests whose path begins with this. Requests for a Vonage token have only
    /// their own faults unless this names their path.
    pub only_under: Option<String>,
    /// `offset` has no effect: every page is the first one.
    pub ignore_offset: bool,
    /// After the end, the last full page is repeated for ever.
    pub repeat_last_page_forever: bool,
    /// Added to `metadata.total`; the result stays at 0 or above.
    pub total_delta: i64,
    /// `"total":"100"`.
    pub total_as_string: bool,
    /// No total at all.
    pub total_missing: bool,
    /// JSON text in place of the total, e.g. `1.5`, `-1` or `null`.
    pub total_raw: Option<String>,
    /// No member `users`.
    pub users_missing: bool,
    /// JSON text in place of the array of users, e.g. `null` or `{}`.
    pub users_raw: Option<String>,
    /// Rows beyond the limit.
    pub page_extra_rows: u64,
    /// A lower limit, applied silently.
    pub page_cap: Option<u64>,
    /// This page has half of its rows.
    pub short_page_at: Option<At>,
    /// This page has no rows.
    pub empty_page_at: Option<At>,
    /// The last row of this page repeats its first one, and its own user is missing.
    pub repeat_user_at: Option<At>,
    pub fail: Option<Fail>,
    /// How many of 1,000 requests fail, by a seeded sequence.
    pub random_fail_permille: u32,
    /// The status they fail with; 0 is 500.
    pub random_fail_status: u16,
    /// The connection is cut in the middle of this page, below the promised `content-length`.
    pub truncate_body_at: Option<At>,
    /// 200 with a text that is not JSON, although its type says so.
    pub not_json: bool,
    /// 200 with the HTML of a login page.
    pub html_login_page: bool,
    /// 200 with the body of a 401.
    pub error_in_200: bool,
    /// The first name begins with the byte FF.
    pub invalid_utf8: bool,
    /// The first name begins with an escaped half of a surrogate pair.
    pub lone_surrogate: bool,
    /// The first row has its id twice.
    pub duplicate_key: bool,
    /// An unknown member with this many nested arrays; 0 is none.
    pub deep_nesting: u32,
    /// Every id is a UUID; at Vonage they always are.
    pub uuid_ids: bool,
    /// The id of one row as a JSON string with this text.
    pub bad_id: Option<String>,
    /// JSON text for any field of that row: `(field, text)`. An empty text removes the field.
    pub bad_field: Option<(String, String)>,
    /// The row of `bad_id` and `bad_field`, counted from the start of the list.
    pub bad_row: u64,
    /// 302 to the login page.
    pub redirect: bool,
    /// Well-formed gzip, whatever the request accepts.
    pub gzip_unasked: bool,
    /// Keys that are known but may not read users: 403. `*` is every key. At Vonage these are
    /// clients, and the answer is to their tokens.
    pub keys_forbidden: Vec<String>,
    /// Voiso: keys without the scope `users.teams.read`: 403 for the list of teams. `*` is every key.
    pub keys_without_teams: Vec<String>,
    /// Keys that were revoked: 401. `*` is every key.
    pub keys_unauthorized: Vec<String>,
    /// No answer ever comes.
    pub stall: bool,
    /// With tags: the tag is of the request, not of the page, and so stays when the page changes.
    pub tag_lies: bool,
    /// Another JSON value follows the body.
    pub trailing_garbage: bool,
    /// The body begins with a byte order mark.
    pub bom: bool,
    /// Error bodies repeat the `Authorization` header, and the form of a request for a token.
    pub echo_key_in_error: bool,
    /// Vonage: a `limit` above the maximum is cut to it silently, not refused.
    pub limit_cut: bool,
    /// Vonage: the users come as a bare array of flat records, whatever `Accept` says.
    pub bare_array: bool,
    /// Vonage: all tokens expire, once, after this many accepted requests.
    pub expire_tokens_after: Option<u64>,
    /// Vonage: a text in place of the complete answer to a valid request for a token.
    pub token_raw: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The faults that apply here; the others are off.
    pub(crate) faults: Faults,
    pub(crate) fail: Option<Fail>,
    pub(crate) short: bool,
    pub(crate) empty: bool,
    pub(crate) repeat: bool,
    pub(crate) truncate: bool,
}

impl Plan {
    /// No fault, except that errors may repeat the key.
    fn echoing(echo_key_in_error: bool) -> Plan {
        let faults = Faults { echo_key_in_error, ..Faults::default() };
        Plan { faults, ..Plan::default() }
    }

    /// The rows of `total` that are on the page at `offset`.
    pub(crate) fn window(&self, offset: u64, limit: u64, total: usize) -> Range<usize> {
        let total = total as u64;
        let mut offset = if self.faults.ignore_offset { 0 } else { offset.min(total) };
        if self.faults.repeat_last_page_forever {
            offset = offset.min(total.saturating_sub(limit));
        }
        let mut count = limit.saturating_add(self.faults.page_extra_rows).min(total - offset);
        if self.short {
            count /= 2;
        }
        if self.empty {
            count = 0;
        }
        offset as usize..(offset + count) as usize
    }
}

#[derive(Debug)]
pub(crate) struct Fates {
    set: Faults,
    /// `set` with `times` counted down.
    left: Faults,
    dice: Dice,
}

impl Fates {
    pub(crate) fn new(faults: Faults, seed: u64) -> Fates {
        Fates { left: faults.clone(), set: faults, dice: Dice::new(seed, 0x6661_7465) }
    }

    pub(crate) fn set(&mut self, faults: Faults) {
        self.left = faults.clone();
        self.set = faults;
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.set
    }

    /// Decides for one request; `offset` is `None` for lists other than users.
    pub(crate) fn plan(&mut self, path: &str, offset: Option<u64>) -> Plan {
        let left = &mut self.left;
        let echo_key_in_error = self.set.echo_key_in_error;
        if left.only_under.as_ref().is_some_and(|start| !path.starts_with(start)) {
            return Plan::echoing(echo_key_in_error);
        }
        let here = match (&mut left.only_at, offset) {
            (None, _) => true,
            (at, Some(offset)) => hits(at, offset),
            (Some(_), None) => false,
        };
        let mut plan = Plan::default();
        if let Some(offset) = offset {
            plan.short = hits(&mut left.short_page_at, offset);
            plan.empty = hits(&mut left.empty_page_at, offset);
            plan.repeat = hits(&mut left.repeat_user_at, offset);
            plan.truncate = hits(&mut left.truncate_body_at, offset);
        }
        plan.fail = failure(&mut left.fail, offset);
        if plan.fail.is_none() && self.dice.below(1000) < u64::from(left.random_fail_permille) {
            let status = if left.random_fail_status == 0 { 500 } else { left.random_fail_status };
            plan.fail = Some(Fail { at_offset: None, status, times: None, retry_after: None });
        }
        plan.faults = if here { self.set.clone() } else { Faults::default() };
        plan.faults.echo_key_in_error = echo_key_in_error;
        plan
    }

    /// Decides for one request for a token. Faults of lists do not affect it unless they are limited to
    /// its path.
    pub(crate) fn token_plan(&mut self, path: &str) -> Plan {
        if self.set.only_under.is_some() {
            return self.plan(path, None);
        }
        Plan::echoing(self.set.echo_key_in_error)
    }

    pub(crate) fn tokens_die(&mut self) -> bool {
        self.left.expire_tokens_after.take_if(|left| *left == 0).is_some()
    }

    /// Counts an accepted request.
    pub(crate) fn let_in(&mut self) {
        if let Some(left) = &mut self.left.expire_tokens_after {
            *left = left.saturating_sub(1);
        }
    }
}

fn hits(at: &mut Option<At>, offset: u64) -> bool {
    match at {
        Some(at) if at.offset == offset => spend(&mut at.times),
        _ => false,
    }
}

fn failure(fail: &mut Option<Fail>, offset: Option<u64>) -> Option<Fail> {
    let fail = fail.as_mut()?;
    if fail.at_offset.is_some() && fail.at_offset != offset {
        return None;
    }
    spend(&mut fail.times).then(|| fail.clone())
}

fn spend(times: &mut Option<u32>) -> bool {
    match times {
        None => true,
        Some(0) => false,
        Some(n) => {
            *n -= 1;
            true
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting(String);

impl BadSetting {
    pub(crate) fn new(wanted: &str, text: &str) -> BadSetting {
        BadSetting(format!("not {wanted}: {text:?}"))
    }
}

impl std::fmt::Display for BadSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadSetting {}

fn number<T: FromStr>(text: &str) -> Result<T, BadSetting> {
    text.parse().map_err(|_| BadSetting::new("a number", text))
}

fn times(text: &str) -> Result<(&str, Option<u32>), BadSetting> {
    match text.split_once('x') {
        Some((rest, n)) => Ok((rest, Some(number(n)?))),
        None => Ok((text, None)),
    }
}

impl FromStr for At {
    type Err = BadSetting;

    /// `OFFSET` or `OFFSETxTIMES`, e.g. `198x1`.
    fn from_str(text: &str) -> Result<At, BadSetting> {
        let (offset, times) = times(text)?;
        Ok(At { offset: number(offset)?, times })
    }
}

impl FromStr for Fail {
    type Err = BadSetting;

    /// `STATUS[@OFFSET][xTIMES][,RETRY-AFTER]`, e.g. `500`, `500@693x1` or `429@0x2,2`.
    fn from_str(text: &str) -> Result<Fail, BadSetting> {
        let (text, retry_after) = match text.split_once(',') {
            Some((rest, after)) => (rest, Some(after.trim().to_owned())),
            None => (text, None),
        };
        let (text, times) = times(text)?;
        let (status, at_offset) = match text.split_once('@') {
            Some((status, offset)) => (status, Some(number(offset)?)),
            None => (text, None),
        };
        Ok(Fail { at_offset, status: number(status)?, times, retry_after })
    }
}
