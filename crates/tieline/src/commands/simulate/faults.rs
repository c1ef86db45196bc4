//! Every fault of the simulator as a flag.
//!
//! The conversion names each field of `simulator::Faults`: a fault without a flag does not compile.

use clap::Args;
use simulator::{At, Fail, Faults};

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FaultFlags {
    /// Limit the faults without a place of their own to this page
    #[arg(long, value_name = "OFFSETxTIMES")]
    only_at: Option<At>,
    /// Limit the faults to requests whose path begins with this, such as /useradmin/groups; a
    /// token's path is spared unless it is named here
    #[arg(long, value_name = "PATH")]
    only_under: Option<String>,
    /// `offset` has no effect: every page is the first one
    #[arg(long)]
    ignore_offset: bool,
    /// Past the end the last full page comes again, for ever
    #[arg(long)]
    repeat_last_page_forever: bool,
    /// Add this to the total
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    total_delta: i64,
    /// The total is a JSON string
    #[arg(long)]
    total_as_string: bool,
    /// The metadata has no total
    #[arg(long)]
    total_missing: bool,
    /// JSON text in place of the total, such as 1.5, -1 or null
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    total_raw: Option<String>,
    /// The answer has no member `users`
    #[arg(long)]
    users_missing: bool,
    /// JSON text in place of the array of users, such as null or {}
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    users_raw: Option<String>,
    /// Rows beyond the limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    page_extra_rows: u64,
    /// A lower limit, applied silently
    #[arg(long, value_name = "N")]
    page_cap: Option<u64>,
    /// This page has half of its rows
    #[arg(long, value_name = "OFFSETxTIMES")]
    short_page_at: Option<At>,
    /// This page has no rows
    #[arg(long, value_name = "OFFSETxTIMES")]
    empty_page_at: Option<At>,
    /// The last row of this page is its first one again
    #[arg(long, value_name = "OFFSETxTIMES")]
    repeat_user_at: Option<At>,
    /// An error answer, such as 500, 500@693x1 or 429@0x2,2 (the last is Retry-After)
    #[arg(long, value_name = "STATUS[@OFFSET][xTIMES][,RETRY-AFTER]")]
    fail: Option<Fail>,
    /// So many of a thousand requests fail
    #[arg(long, value_name = "N", default_value_t = 0)]
    random_fail_permille: u32,
    /// The status they fail with
    #[arg(long, value_name = "STATUS", default_value_t = 500)]
    random_fail_status: u16,
    /// The connection is cut in the middle of this page
    #[arg(long, value_name = "OFFSETxTIMES")]
    truncate_body_at: Option<At>,
    /// 200 with a text that is not JSON, though it says so
    #[arg(long)]
    not_json: bool,
    /// 200 with the HTML of a login page
    #[arg(long)]
    html_login_page: bool,
    /// 200 with the body of a 401
    #[arg(long)]
    error_in_200: bool,
    /// The first name begins with the byte FF
    #[arg(long)]
    invalid_utf8: bool,
    /// The first name begins with an escaped half of a surrogate pair
    #[arg(long)]
    lone_surrogate: bool,
    /// The first row has its id twice
    #[arg(long)]
    duplicate_key: bool,
    /// An unknown member with so many nested arrays
    #[arg(long, value_name = "DEPTH", default_value_t = 0)]
    deep_nesting: u32,
    /// Every id is a UUID
    #[arg(long)]
    uuid_ids: bool,
    /// The id of one row (see --bad-row) as a JSON string with this text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    bad_id: Option<String>,
    /// JSON text for a field of that row; nothing after the = removes the field
    #[arg(long, value_name = "FIELD=JSON", value_parser = field)]
    bad_field: Option<(String, String)>,
    /// The row of --bad-id and --bad-field, counted from the start of the list
    #[arg(long, value_name = "ROW", default_value_t = 0)]
    bad_row: u64,
    /// 302 to the login page
    #[arg(long)]
    redirect: bool,
    /// Well-formed gzip, whatever the request accepts
    #[arg(long)]
    gzip_unasked: bool,
    /// A known key, or a client of Vonage, that may not read users: 403; * is every one; may be
    /// repeated
    #[arg(long, value_name = "KEY")]
    keys_forbidden: Vec<String>,
    /// Voiso: a known key without the scope users.teams.read: 403 for the list of teams; * is every one;
    /// may be repeated
    #[arg(long, value_name = "KEY")]
    keys_without_teams: Vec<String>,
    /// A key that was revoked, or a client of Vonage: 401; * is every one; may be repeated
    #[arg(long, value_name = "KEY")]
    keys_unauthorized: Vec<String>,
    /// No answer ever comes
    #[arg(long)]
    stall: bool,
    /// With --tags: a page keeps its tag when it changes
    #[arg(long)]
    tag_lies: bool,
    /// Another JSON value follows the body
    #[arg(long)]
    trailing_garbage: bool,
    /// A byte order mark stands before the body
    #[arg(long)]
    bom: bool,
    /// Error bodies repeat the Authorization header
    #[arg(long)]
    echo_key_in_error: bool,
    /// Vonage: a limit above the maximum is cut silently, not refused
    #[arg(long)]
    limit_cut: bool,
    /// Vonage: the users come as a bare array, whatever Accept says
    #[arg(long)]
    bare_array: bool,
    /// Vonage: all tokens die, once, when so many requests were let in
    #[arg(long, value_name = "N")]
    expire_tokens_after: Option<u64>,
    /// Vonage: a text in place of the whole answer to a good request for a token
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    token_raw: Option<String>,
}

impl From<FaultFlags> for Faults {
    fn from(flags: FaultFlags) -> Faults {
        Faults {
            only_at: flags.only_at,
            only_under: flags.only_under,
            ignore_offset: flags.ignore_offset,
            repeat_last_page_forever: flags.repeat_last_page_forever,
            total_delta: flags.total_delta,
            total_as_string: flags.total_as_string,
            total_missing: flags.total_missing,
            total_raw: flags.total_raw,
            users_missing: flags.users_missing,
            users_raw: flags.users_raw,
            page_extra_rows: flags.page_extra_rows,
            page_cap: flags.page_cap,
            short_page_at: flags.short_page_at,
            empty_page_at: flags.empty_page_at,
            repeat_user_at: flags.repeat_user_at,
            fail: flags.fail,
            random_fail_permille: flags.random_fail_permille,
            random_fail_status: flags.random_fail_status,
            truncate_body_at: flags.truncate_body_at,
            not_json: flags.not_json,
            html_login_page: flags.html_login_page,
            error_in_200: flags.error_in_200,
            invalid_utf8: flags.invalid_utf8,
            lone_surrogate: flags.lone_surrogate,
            duplicate_key: flags.duplicate_key,
            deep_nesting: flags.deep_nesting,
            uuid_ids: flags.uuid_ids,
            bad_id: flags.bad_id,
            bad_field: flags.bad_field,
            bad_row: flags.bad_row,
            redirect: flags.redirect,
            gzip_unasked: flags.gzip_unasked,
            keys_forbidden: flags.keys_forbidden,
            keys_without_teams: flags.keys_without_teams,
            keys_unauthorized: flags.keys_unauthorized,
            stall: flags.stall,
            tag_lies: flags.tag_lies,
            trailing_garbage: flags.trailing_garbage,
            bom: flags.bom,
            echo_key_in_error: flags.echo_key_in_error,
            limit_cut: flags.limit_cut,
            bare_array: flags.bare_array,
            expire_tokens_after: flags.expire_tokens_after,
            token_raw: flags.token_raw,
        }
    }
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((field, json)) if !field.is_empty() => Ok((field.to_owned(), json.to_owned())),
        _ => Err("write FIELD=JSON, such as name=null or email=".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        flags: FaultFlags,
    }

    fn faults(line: &str) -> Faults {
        Line::parse_from(std::iter::once("x").chain(line.split_whitespace())).flags.into()
    }

    #[test]
    fn without_a_flag_there_is_no_fault() {
        // 0 stands for 500 in the simulator; the flag says 500 so that its help does.
        assert_eq!(faults(""), Faults { random_fail_status: 500, ..Faults::default() });
    }

    #[test]
    fn flags_with_a_value_reach_their_fault() {
        let set = faults(
            "--only-at 99x1 --total-delta -3 --total-raw -1 --users-raw {} --page-cap 50 \
             --fail 429@0x2,2 --bad-id -x --bad-field name=null --keys-forbidden * \
             --keys-unauthorized a --keys-unauthorized b --keys-without-teams c --only-under /useradmin/groups \
             --repeat-user-at 0x1 --expire-tokens-after 3 --token-raw {} --bare-array",
        );
        let expected = Faults {
            only_at: Some(At { offset: 99, times: Some(1) }),
            total_delta: -3,
            total_raw: Some("-1".to_owned()),
            users_raw: Some("{}".to_owned()),
            page_cap: Some(50),
            fail: "429@0x2,2".parse().ok(),
            random_fail_status: 500,
            bad_id: Some("-x".to_owned()),
            bad_field: Some(("name".to_owned(), "null".to_owned())),
            keys_forbidden: vec!["*".to_owned()],
            keys_unauthorized: vec!["a".to_owned(), "b".to_owned()],
            keys_without_teams: vec!["c".to_owned()],
            only_under: Some("/useradmin/groups".to_owned()),
            repeat_user_at: Some(At { offset: 0, times: Some(1) }),
            expire_tokens_after: Some(3),
            token_raw: Some("{}".to_owned()),
            bare_array: true,
            ..Faults::default()
        };
        assert_eq!(set, expected);
    }
}
