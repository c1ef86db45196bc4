//! `tieline check` as a process, over both dialects and real `tieline simulate` processes. The report agrees with the
//! vendor's data and contains no personal data. If something is wrong, the report says so and the exit code is 1.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod teams;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use crate::common::process::Process;
use crate::common::{stderr, stdout, tieline, vendor};
use serde_json::Value;
use tests::folder::Folder;
use tests::plain::{ask, get};
use tests::raw::{Raw, Reply, page, user};
use tests::{CLIENT, DELETED, LEGACY_KEY, TEAMS, V1_USERS, V4_KEY, config};

const EVERYTHING: &str = "sees = \"everything\"";

/// A vendor and the folder of its output.
struct World {
    folder: Folder,
    _process: Process,
    base: String,
    is_vonage: bool,
}

/// Runs the check of one caller; `upstream` is the upstream's table, and `caller` ends the caller's.
fn check_of(folder: &Folder, key: &str, upstream: &str, caller: &str, more: &str) -> Checked {
    let text = format!(
        "[limits]\nrequest_deadline = \"20s\"\n{more}\n\
         [[caller]]\nname = \"crm\"\nlegacy_key = {{ env = \"CHECK_LEGACY\" }}\n\
         upstream = \"up\"\nupstream_key = {{ env = \"CHECK_KEY\" }}\n{caller}\n{upstream}"
    );
    let file = folder.file("tieline.toml", text);
    let mut command = tieline(&["check", "--config", &file]);
    let output = command.envs([("CHECK_KEY", key), ("CHECK_LEGACY", LEGACY_KEY)]).output().unwrap();
    let report = stdout(&output);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
    let is_good = output.status.success();
    assert_eq!(report.lines().last(), Some(if is_good { "ok" } else { "NOT OK" }), "{report}");
    assert_eq!(report.contains("FAILED"), !is_good, "{report}");
    Checked { report, is_good }
}

impl World {
    fn new(dialect: &str, arguments: &str) -> World {
        let (process, base) = vendor(&format!("--dialect {dialect} {arguments}"));
        let is_vonage = dialect == "vonage-v4";
        World { folder: Folder::new(), _process: process, base, is_vonage }
    }

    fn voiso(arguments: &str) -> World {
        World::new("voiso-v4", arguments)
    }

    fn vonage(arguments: &str) -> World {
        World::new("vonage-v4", arguments)
    }

    /// Runs the check with a right key; `upstream` and `caller` stand at the end of their tables.
    fn check(&self, upstream: &str, caller: &str) -> Checked {
        let key = if self.is_vonage { CLIENT } else { V4_KEY };
        self.check_with(key, upstream, caller, "")
    }

    fn check_with(&self, key: &str, upstream: &str, caller: &str, more: &str) -> Checked {
        let upstream = match self.is_vonage {
            true => config::vonage("up", &self.base, upstream),
            false => config::voiso("up", &self.base, upstream),
        };
        check_of(&self.folder, key, &upstream, caller, more)
    }

    fn stats(&self) -> Value {
        ask(&self.base, "/_simulator/stats").json()
    }

    /// What the legacy face itself answers.
    fn legacy(&self, path: &str) -> Vec<Value> {
        let answer = ask(&self.base, path);
        assert_eq!(answer.status, 200);
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// How many users are live and how many deleted, by the legacy face.
    fn counts(&self) -> (usize, usize) {
        (self.legacy(V1_USERS).len(), self.legacy(DELETED).len())
    }

    /// Every row of the v4 face.
    fn v4_rows(&self) -> Vec<Value> {
        let mut rows = Vec::new();
        loop {
            let path = format!("/api/v4/users?limit=100&offset={}", rows.len());
            let mut page = get(&self.base, &path, V4_KEY).json();
            let Value::Array(users) = page["users"].take() else { return rows };
            if users.is_empty() {
                return rows;
            }
            rows.extend(users);
        }
    }

    /// Nothing of any user stands in a report. Short texts stand in any text by chance.
    fn assert_impersonal(&self, report: &str) {
        let deleted = self.legacy(DELETED);
        let mut searched = 0;
        for user in self.legacy(V1_USERS).iter().chain(&deleted) {
            for field in ["id", "name", "email", "sip_account", "extension", "caller_id"] {
                let text = match &user[field] {
                    Value::String(text) => text.clone(),
                    Value::Number(number) => number.to_string(),
                    _ => continue,
                };
                if text.chars().count() >= 5 {
                    assert!(!report.contains(&text), "{field} {text:?} in:\n{report}");
                    searched += 1;
                }
            }
        }
        assert!(searched > 500, "{searched} texts searched for");
        assert!(!report.contains('@'), "{report}");
        for secret in [LEGACY_KEY, V4_KEY, "demo-client", "demo-secret"] {
            assert!(!report.contains(secret), "{secret} in:\n{report}");
        }
    }
}

struct Checked {
    report: String,
    is_good: bool,
}

impl Checked {
    /// What stands behind each label of this name.
    fn lines(&self, label: &str) -> Vec<&str> {
        let lines = self.report.lines().filter_map(|line| line.strip_prefix("  "));
        lines.filter(|line| line.starts_with(label)).map(|line| line[14..].trim_end()).collect()
    }

    fn line(&self, label: &str) -> &str {
        let lines = self.lines(label);
        assert_eq!(lines.len(), 1, "lines {label:?} in:\n{}", self.report);
        lines[0]
    }

    fn good(self) -> Checked {
        assert!(self.is_good, "{}", self.report);
        self
    }

    /// That the check failed for this reason and no other.
    fn failed(self, reason: &str) -> Checked {
        assert!(!self.is_good, "{}", self.report);
        assert_eq!(self.line("FAILED"), reason, "{}", self.report);
        self
    }

    /// The calls of a full list, and how many of them are for what is joined.
    fn calls(&self) -> (u64, u64) {
        let line = self.line("a full list");
        let joined = line.split_once("; ").map_or("0", |(_, joined)| joined);
        let number = |text: &str| text.split(' ').next().unwrap().parse().unwrap();
        (number(line), number(joined))
    }
}

const NO_LIST: &str = "from the users, since the upstream has no list of them; a team without members \
                       will be missing";

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_no_page_shows_and_fields_that_no_user_has_are_named() {
    let raw = Raw::start(|head| {
        if !head.target().starts_with("/api/v4/users?") {
            return Reply::json(404, "{}");
        }
        let (offset, limit) = (head.number_of("offset"), head.number_of("limit"));
        let ids = (1..=250).skip(offset).take(limit).filter(|id| *id != 7 && *id != 120);
        Reply::json(200, page(&ids.map(user).collect::<Vec<_>>(), 250))
    })
    .await;
    let upstream = config::voiso("up", format!("http://{}", raw.address), "");
    let checked = check_of(&Folder::new(), V4_KEY, &upstream, EVERYTHING, "").good();
    assert_eq!(checked.line("count"), "the upstream's total does not fit its own pages, twice");
    let report = &checked.report;
    assert!(report.contains("it counts 2 users whom no page shows"), "{report}");
    assert_eq!(
        checked.line("schema"),
        "no user has sip_account, extension, caller_id, employee_id, timezone, \
         security_access_group, webrtc_ringtone, status, deleted_at, not even as null"
    );
}

#[test]
fn over_voiso_the_report_says_what_the_vendor_holds() {
    let world = World::voiso("--users 400");
    let checked = world.check("", EVERYTHING).good();
    let report = &checked.report;
    assert!(report.starts_with("caller crm (upstream up, voiso-v4)\n"), "{report}");
    assert_eq!(checked.line("v4 key"), "accepted, scope users.read");
    let (live, deleted) = world.counts();
    assert!(deleted > 0);
    let users = format!("{live} visible, 0 hidden by sees, {deleted} deleted");
    assert_eq!(checked.line("users"), users);
    let stats = world.stats();
    assert_eq!(checked.calls(), (stats["users_pages"].as_u64().unwrap(), 0));
    assert_eq!(checked.line("teams"), NO_LIST);
    assert_eq!(
        checked.line("group name"),
        "\"Agent\" is shared by ids 1, 12; a filter gives their union"
    );
    // Counted once more, in the vendor's own rows of users whom the legacy face lists.
    let listed: BTreeSet<u64> =
        world.legacy(V1_USERS).iter().map(|user| user["id"].as_u64().unwrap()).collect();
    let rows = world.v4_rows();
    let rows = rows.iter().filter(|row| {
        let id = row["id"].as_str().map(|text| text.parse().unwrap());
        listed.contains(&id.or(row["id"].as_u64()).unwrap())
    });
    let (mut zones, mut channels, mut dated) = (BTreeMap::new(), BTreeMap::new(), 0);
    for row in rows {
        dated += u64::from(!row["deleted_at"].is_null());
        if let Some(zone @ ("Africa/Lome" | "Antarctica/Troll")) = row["timezone"].as_str() {
            *zones.entry(zone.to_owned()).or_insert(0) += 1;
        }
        for profile in row["channel_profiles"].as_array().unwrap() {
            if let Some(kind @ ("WhatsApp" | "apple_business" | "rcs")) =
                profile["channel"].as_str()
            {
                *channels.entry(kind.to_owned()).or_insert(0) += 1;
            }
        }
    }
    assert_eq!(
        checked.line("deleted_at"),
        format!("{dated} live users carry a deletion date (setting deleted_at)")
    );
    let told = |all: &BTreeMap<String, u64>, unit: &str, setting: &str| {
        let line = |(name, count): (&String, &u64)| {
            format!(
                "{name:?} has no legacy name ({count} {unit}), shown as it is (setting {setting})"
            )
        };
        all.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!((zones.len(), channels.len()), (2, 3));
    assert_eq!(checked.lines("time zone"), told(&zones, "users", "timezone_names"));
    assert_eq!(checked.lines("channel"), told(&channels, "times", "channel_types"));
    world.assert_impersonal(report);
    // Names that the dictionaries give are no longer missing.
    let named = "[legacy.v1_users]\ntimezone_names = { \"Africa/Lome\" = \"Lome\" }\n\
                 channel_types = { rcs = \"RCS\" }";
    let checked = world.check_with(V4_KEY, "", EVERYTHING, named).good();
    assert_eq!(checked.lines("time zone").len(), 1);
    assert!(!checked.report.contains("Lome") && !checked.report.contains("rcs"));
}

#[test]
fn over_vonage_the_calls_are_those_that_the_vendor_counts() {
    let token = |world: &World| world.stats()["token_requests"].as_u64().unwrap();
    for (arguments, upstream) in [
        ("", ""),
        ("--page-limit-max 100", "page_rows_max = 100"),
        ("--no-skills-list", ""),
        ("--expire-tokens-after 20", "token_auth = \"basic\""),
    ] {
        let world = World::vonage(arguments);
        // With teams from users nothing is asked beside the full list.
        let checked = world.check(&format!("teams_from = \"users\"\n{upstream}"), EVERYTHING);
        let checked = checked.good();
        let stats = world.stats();
        let number = |name: &str| stats[name].as_u64().unwrap();
        let (calls, joined) = checked.calls();
        let again = stats["statuses"]["401"].as_u64().unwrap_or(0);
        assert_eq!(
            calls + again,
            number("users_pages") + number("useradmin_requests"),
            "{arguments}"
        );
        // One for each group and each skill or agent, and the lists of them.
        assert!(joined > 40 && joined < calls, "{arguments}: {joined} of {calls}");
        let expires = arguments.starts_with("--expire");
        assert_eq!(expires, again > 0 && token(&world) == 2, "{arguments}");
        assert_eq!(checked.line("teams"), "from the users (setting teams_from)");
        let (live, deleted) = world.counts();
        let users = format!("{live} visible, 0 hidden by sees, {deleted} deleted");
        assert_eq!(checked.line("users"), users);
        world.assert_impersonal(&checked.report);
    }
}

#[test]
fn over_vonage_the_report_names_roles_teams_zones_and_ids() {
    let world = World::vonage("");
    let checked = world.check("", EVERYTHING).good();
    assert!(checked.report.starts_with("caller crm (upstream up, vonage-v4)\n"));
    assert_eq!(checked.line("client"), "accepted, scope users:read");
    let teams = world.legacy(TEAMS).len();
    assert_eq!(checked.line("teams"), format!("{teams}, from the upstream's list"));
    let odd =
        |count: usize| format!("{count} are no decimal numbers; by id_policy each is shown as one");
    let (live, deleted) = world.counts();
    assert_eq!(checked.line("ids"), odd(live + deleted));
    assert!(checked.lines("group name").is_empty() && checked.lines("channel").is_empty());
    world.assert_impersonal(&checked.report);

    let mapping = "[upstream.up.mapping]\ntimezone = \"Mars/Olympus\"\n\
                   sag = { Admin = \"Staff\", Supervisor = \"Staff\" }";
    let checked = world.check(mapping, EVERYTHING).good();
    assert_eq!(
        checked.line("group name"),
        "\"Staff\" is shared by ids Admin, Supervisor; a filter gives their union"
    );
    assert!(
        checked
            .line("time zone")
            .starts_with(&format!("\"Mars/Olympus\" has no legacy name ({live} users)"))
    );
    world.assert_impersonal(&checked.report);

    // Users without a display id are left out, and none of them is shown by a number.
    let policy = "id_policy = \"agent_display_id\"\nid_unlisted = \"omit\"";
    let checked = world.check(policy, EVERYTHING).good();
    let [left_out, shown] = checked.lines("ids")[..] else { panic!("{}", checked.report) };
    let (left_out, reason) = left_out.split_once(' ').unwrap();
    assert_eq!(reason, "users have no legacy id and are left out");
    assert_eq!(shown, odd(live + deleted - left_out.parse::<usize>().unwrap()));

    // Whom a narrowed caller does not see is told.
    let checked = world.check("", "sees = { groups = [\"Admin\"] }").good();
    assert!(!checked.line("users").contains(" 0 hidden"), "{}", checked.report);
}

#[test]
fn a_list_that_is_read_twice_costs_twice_and_the_report_shows_the_pace() {
    let world = World::voiso("--order name --teams-list");
    let paced = "requests_per_minute_max = 6000";
    let checked = world.check(paced, EVERYTHING).good();
    let pages = world.stats()["users_pages"].as_u64().unwrap();
    assert_eq!((checked.calls(), pages), ((6, 0), 6));
    assert!(checked.line("a full list").ends_with(" (at most 6000 a minute)"));
    let teams = world.legacy(TEAMS).len();
    assert_eq!(checked.line("teams"), format!("{teams}, from the upstream's list"));
    let checked = world.check("teams_from = \"users\"", EVERYTHING).good();
    assert_eq!(checked.line("teams"), "from the users (setting teams_from)");
}

#[test]
fn an_engine_that_is_not_there_is_told_and_no_address_of_it() {
    let world = World::voiso("");
    let seal_key = world.folder.file("seal_key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    // Nothing listens on the lowest port.
    let commons = config::commons("127.0.0.1:1", seal_key.as_ref(), 4);
    let checked = world.check_with(V4_KEY, "", EVERYTHING, &commons);
    assert!(!checked.is_good);
    assert!(checked.report.contains("\ncommons\n  FAILED        the server cannot be reached\n"));
    assert!(!checked.report.contains("127.0.0.1:1\n"), "{}", checked.report);
}

const REFUSED: &str = "REFUSED: it is not accepted; make a new one";
const KEY_REFUSED: &str = "the upstream refused this caller's upstream_key (mapped_key_refused)";
const MAY_NOT: &str = "this caller's upstream_key may not read this; add the scope";

#[test]
fn a_wrong_key_or_a_missing_scope_is_named_and_fails() {
    let world = World::voiso("");
    let checked = world.check_with("v4-wrong-key", "", EVERYTHING, "").failed(KEY_REFUSED);
    assert_eq!(checked.line("v4 key"), REFUSED);
    let world = World::vonage("");
    for wrong in ["demo-client:demo-wrong", "wrong-client:demo-secret"] {
        for auth in ["form", "basic"] {
            let auth = format!("token_auth = \"{auth}\"");
            let checked = world.check_with(wrong, &auth, EVERYTHING, "").failed(KEY_REFUSED);
            assert_eq!(checked.line("client"), REFUSED);
        }
    }
    assert_eq!(world.stats()["users_pages"], 0);
    let world = World::vonage("--keys-unauthorized *");
    assert_eq!(world.check("", EVERYTHING).failed(KEY_REFUSED).line("client"), REFUSED);
    let world = World::voiso("--keys-forbidden *");
    let lacks = format!("{MAY_NOT} users.read (upstream_forbidden)");
    let checked = world.check("", EVERYTHING).failed(&lacks);
    assert_eq!(checked.line("v4 key"), "accepted, but lacks the scope users.read (403)");
    // All of the listings or one that could be done without: either way it is the scope.
    for arguments in [
        "--keys-forbidden *",
        "--fail 403 --only-under /useradmin/skills",
        "--fail 403 --only-under /useradmin/callbackNumbers",
        "--fail 403 --only-under /useradmin/users",
    ] {
        let lacks = format!("{MAY_NOT} users:read (upstream_forbidden)");
        let checked = World::vonage(arguments).check("", EVERYTHING).failed(&lacks);
        assert_eq!(checked.line("client"), "accepted, but lacks the scope users:read (403)");
    }
}

#[test]
fn ids_that_are_no_numbers_fail_where_the_policy_says_so() {
    let reason = |count: usize| {
        format!(
            "{count} ids are no decimal numbers; lists will fail until id_policy is map or hash"
        )
    };
    let world = World::voiso("--uuid-ids");
    world.check("id_policy = \"fail\"", EVERYTHING).failed(&reason(250));
    world.check("", EVERYTHING).failed(&reason(250));
    let checked = world.check("id_policy = \"hash\"", EVERYTHING).good();
    assert!(checked.line("ids").starts_with("250 are no decimal numbers"));
    let world = World::voiso("--bad-id 0123 --bad-row 120");
    let checked = world.check("", EVERYTHING).failed(&reason(1));
    assert!(!checked.report.contains("0123"));
    let world = World::vonage("--users 120");
    let checked = world.check("id_policy = \"fail\"", EVERYTHING).failed(&reason(120));
    world.assert_impersonal(&checked.report);
    world.folder.file("ids.csv", "8e22b1fe-d2ea-403d-8c03-50eb21188e79,1\n");
    let map = "id_policy = \"map\"\nid_map = \"ids.csv\"";
    let fails = world.check(&format!("{map}\nid_unlisted = \"fail\""), EVERYTHING);
    assert!(fails.line("FAILED").ends_with("(upstream_bad_id)"), "{}", fails.report);
    world.check(map, EVERYTHING).good();
}

#[test]
fn a_page_that_fails_for_good_is_named_by_its_offset() {
    for offset in [0, 99, 198] {
        let world = World::voiso(&format!("--fail 500@{offset}"));
        let before = world.stats()["requests"].as_u64().unwrap();
        let checked = world.check("attempts_max = 1", EVERYTHING);
        assert!(checked.line("FAILED").ends_with("(upstream_5xx)"), "{}", checked.report);
        let row = format!("the row at offset {offset} cannot be read; ask the vendor about it");
        assert_eq!(checked.line("failing page"), row, "{}", checked.report);
        // The pages of the list until one failed, and at most eight to find the row.
        let asked = world.stats()["requests"].as_u64().unwrap() - before;
        assert!((2..=3 + 8 + 1).contains(&asked), "{offset}: {asked} requests");
    }
    // Everything fails: no row is to blame, and the page alone is told.
    let world = World::voiso("--fail 500");
    let checked = world.check("attempts_max = 1", EVERYTHING);
    let page = "offset 0, 100 rows, cannot be read; ask the vendor about it";
    assert_eq!(checked.line("failing page"), page, "{}", checked.report);
    // A refused key is no page's fault.
    let world = World::voiso("--users 120");
    let checked = world.check_with("wrong-key", "", EVERYTHING, "");
    assert!(checked.lines("failing page").is_empty(), "{}", checked.report);
}

#[test]
fn ids_that_a_double_cannot_hold_are_counted_and_are_no_failure() {
    let world = World::voiso("--users 120");
    let live: Vec<u64> =
        world.legacy(V1_USERS).iter().map(|user| user["id"].as_u64().unwrap()).collect();
    let last_exact = (1_u64 << 53) - 1;
    let map = "id_policy = \"map\"\nid_map = \"ids.csv\"";
    for (first, second, told) in
        [(last_exact, 7, 0), (last_exact, last_exact + 1, 1), (1 << 62, (1 << 62) + 1, 2)]
    {
        world.folder.file("ids.csv", format!("{},{first}\n{},{second}\n", live[0], live[1]));
        let checked = world.check(map, EVERYTHING).good();
        match told {
            0 => assert!(checked.lines("ids").is_empty(), "{}", checked.report),
            _ => assert!(
                checked.line("ids").starts_with(&format!("{told} are above 2^53 - 1")),
                "{}",
                checked.report
            ),
        }
        assert!(!checked.report.contains(&first.to_string()), "{}", checked.report);
    }
}

#[test]
fn a_narrowing_that_fits_no_user_fails() {
    let reason = "sees fits no user; teams and users are listed by id";
    for world in [World::voiso(""), World::vonage("")] {
        let (live, deleted) = world.counts();
        for nobody in ["teams = [\"Support\"]", "users = [7]", "groups = [\"no such group\"]"] {
            let checked = world.check("", &format!("sees = {{ {nobody} }}")).failed(reason);
            let users = format!("0 visible, {} hidden by sees, 0 deleted", live + deleted);
            assert_eq!(checked.line("users"), users);
            world.assert_impersonal(&checked.report);
        }
        // 2408 is the team `Support`, and its id is what counts.
        let checked = world.check("", "sees = { teams = [2408] }").good();
        assert!(!checked.line("users").starts_with("0 visible"));
    }
}

#[test]
fn a_check_makes_no_roster() {
    let world = World::voiso("--users 20");
    let file = world.folder.path("roster.sqlite");
    let roster = format!("[roster]\nfile = {file:?}");
    world.check_with(V4_KEY, "", EVERYTHING, &roster).good();
    assert!(!file.exists());
}
