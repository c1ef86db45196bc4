//! The fingerprint of a caller's answers: a digest of everything that shapes them, so that what was read under another
//! configuration or by another version has another name and is never taken. It is the same in every process with the
//! same configuration. Must never leave a setting out unless no byte of an answer depends on it, and must never take in
//! an order or a number that differs between two processes.

use domain::id::IdPolicy;
use domain::upstream::Rules;
use settings::{Caller, Config, Upstream};

/// The version of what is stored. It goes up with every change of a stored form, a lease's too: replicas of two builds
/// must not take each other's.
const FORMAT: u32 = 2;

/// See the module.
pub(super) fn of(config: &Config, caller: &Caller, upstream: &Upstream) -> [u8; 32] {
    let mut print = Print(String::new());
    print.add("format", FORMAT.to_string());
    // Another version may read or render in another way.
    print.add("version", env!("CARGO_PKG_VERSION"));
    of_upstream(&mut print, upstream);
    // What a caller may do beside reading shapes nothing that it reads.
    let Caller {
        name: _,
        digest: _,
        upstream: _,
        key: _,
        sees,
        explain: _,
        control_percent: _,
        effects: _,
    } = caller;
    print.add("sees", format!("{sees:?}"));
    for (endpoint, quirks) in &config.quirks {
        print.add("endpoint", endpoint);
        print.add("quirks", serde_json::to_string(&**quirks).unwrap_or_default());
    }
    // With a roster users are read in another way, and deleted ones come from it.
    print.add("roster", config.roster.is_some().to_string());
    print.add("entries_max", config.lookups.entries_max.to_string());
    settings::digest(&print.0)
}

/// Named one by one, so that a new setting has to be thought of here.
fn of_upstream(print: &mut Print, upstream: &Upstream) {
    let Upstream {
        dialect,
        base_url,
        token,
        tls: _,
        page_rows_max,
        pages_in_flight_max: _,
        requests_in_flight_max: _,
        requests_per_minute_max: _,
        pace: _,
        connect_timeout: _,
        attempt_timeout: _,
        connection_age_max: _,
        allow_private_addresses: _,
        breaker_failures_min: _,
        breaker_open_for: _,
        attempts_max: _,
        retry_after_max: _,
        rows_max,
        page_bytes_max,
        double_read,
        shrunk_list,
        absent_fields,
        rules: Rules { ids, unnumbered, mapping, deleted_at },
        teams_from,
        teams_path,
        deleted_from,
        related,
    } = upstream;
    print.add("dialect", dialect.name());
    print.add("base_url", base_url);
    print.add("token", format!("{token:?}"));
    print.add("page_rows_max", page_rows_max.to_string());
    print.add("rows_max", rows_max.to_string());
    print.add("page_bytes_max", page_bytes_max.to_string());
    print.add("double_read", format!("{double_read:?}"));
    print.add("shrunk_list", format!("{shrunk_list:?}"));
    print.add("absent_fields", format!("{absent_fields:?}"));
    match ids {
        IdPolicy::Fail => print.add("ids", "fail"),
        IdPolicy::Hash => print.add("ids", "hash"),
        IdPolicy::DisplayId => print.add("ids", "display_id"),
        IdPolicy::Map(map) => {
            print.add("ids", "map");
            for (id, number) in map.pairs() {
                print.add("id", id);
                print.add("number", number.to_string());
            }
        }
    }
    print.add("unnumbered", format!("{unnumbered:?}"));
    print.add("mapping", format!("{mapping:?}"));
    print.add("deleted_at", format!("{deleted_at:?}"));
    print.add("teams_from", format!("{teams_from:?}"));
    print.add("teams_path", format!("{teams_path:?}"));
    print.add("deleted_from", format!("{deleted_from:?}"));
    print.add("lists_max", related.lists_max.to_string());
}

/// What is digested: parts, each with its length before it, so that none runs into the next.
struct Print(String);

impl Print {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        for part in [name, value.as_ref()] {
            self.0.extend([&part.len().to_string(), ":", part]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const CONFIG: &str = r#"
[upstream.vcc]
dialect = "vonage-v4"
base_url = "http://127.0.0.1:9"
token_url = "http://127.0.0.1:9/token"
id_policy = "map"
id_map = "IDS"
[upstream.vcc.mapping]
sag = { Admin = "Boss", Agent = "Worker" }
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY" }
upstream = "vcc"
upstream_key = { env = "V4" }
sees = "everything"
[legacy.v1_users]
timezone_names = { "Asia/Tokyo" = "Tokyo", "Europe/Oslo" = "Oslo" }
"#;

    /// The fingerprint of a configuration in which one text stands in the place of another.
    fn print(from: &str, to: &str) -> [u8; 32] {
        assert!(CONFIG.contains(from), "{from}");
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let folder = format!("fingerprint-{}-{call}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let map = |name: &str, lines: &str| {
            let path = folder.join(name);
            std::fs::write(&path, lines).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let pairs: Vec<String> = (0..50).map(|n| format!("id-{n},{n}\n")).collect();
        let reversed: String = pairs.iter().rev().cloned().collect();
        let ids = map("ids.csv", &pairs.concat());
        let ids_reversed = map("reversed.csv", &reversed);
        let ids_other = map("other.csv", &pairs.concat().replace("id-7,7", "id-7,777"));
        let text = CONFIG.replacen(from, to, 1);
        let text = text.replace("IDS_REVERSED", &ids_reversed).replace("IDS_OTHER", &ids_other);
        let text = text.replace("IDS", &ids);
        let env = [("LEGACY", "legacy-key"), ("V4", "id:secret")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::parse(&text, "t.toml", &env).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let caller = &config.callers[0];
        of(&config, caller, &config.upstreams[&caller.upstream])
    }

    #[test]
    fn the_same_configuration_has_the_same_fingerprint_in_every_process() {
        let same = print("", "");
        // Hash maps have another order in each of them.
        for _ in 0..20 {
            assert_eq!(print("", ""), same);
        }
        assert_eq!(print("IDS", "IDS_REVERSED"), same, "the order of lines in the map");
        for (from, to) in [
            ("[upstream.vcc.mapping]", "attempts_max = 5\n[upstream.vcc.mapping]"),
            ("[upstream.vcc.mapping]", "related_fresh_for = \"1s\"\n[upstream.vcc.mapping]"),
            ("sees = \"everything\"", "sees = \"everything\"\nexplain = true"),
            ("[legacy.v1_users]", "[cache]\nfresh_for = \"9s\"\n[legacy.v1_users]"),
        ] {
            assert_eq!(print(from, to), same, "{to}");
        }
    }

    #[test]
    fn every_setting_that_shapes_answers_changes_the_fingerprint() {
        let upstream = "id_policy = \"map\"\n";
        let more = |line: &str| (upstream, format!("{upstream}{line}\n"));
        let instead = |from: &'static str, to: &str| (from, to.to_owned());
        let changes = [
            instead("http://127.0.0.1:9\"", "http://127.0.0.1:10\""),
            instead("9/token", "9/other"),
            more("token_auth = \"basic\""),
            more("page_rows_max = 50"),
            more("rows_max = 7"),
            more("page_bytes_max = \"1MiB\""),
            more("double_read = \"always\""),
            more("shrunk_list = \"refuse\""),
            more("deleted_at = \"never\""),
            more("id_unlisted = \"omit\""),
            more("teams_from = \"users\""),
            more("deleted_from = [\"vanished\"]"),
            more("related_lists_max = 9"),
            instead("id_map = \"IDS\"", "id_map = \"IDS_OTHER\""),
            instead("id_policy = \"map\"\nid_map = \"IDS\"", "id_policy = \"hash\""),
            instead("id_policy = \"map\"\nid_map = \"IDS\"", "id_policy = \"agent_display_id\""),
            instead("\"Boss\"", "\"Chief\""),
            instead("sag = {", "timezone = \"Asia/Tokyo\"\nsag = {"),
            instead("sag = {", "extension = \"telephony_extension\"\nsag = {"),
            instead("sag = {", "caller_id = \"number\"\nsag = {"),
            instead("sag = {", "supervisor_in_teams = \"write_permissions\"\nsag = {"),
            instead("sag = {", "assigned_queues = \"permissions\"\nsag = {"),
            instead("sag = {", "employee_id = \"agent_display_id\"\nsag = {"),
            instead("sees = \"everything\"", "sees = { teams = [\"1\"] }"),
            instead("sees = \"everything\"", "sees = { teams = [\"1\", \"2\"] }"),
            instead("sees = \"everything\"", "sees = { groups = [\"1\"] }"),
            instead("sees = \"everything\"", "sees = { users = [1] }"),
            instead("= \"Oslo\"", "= \"Bergen\""),
            instead("timezone_names", "envelope = \"users\"\ntimezone_names"),
            instead("timezone_names", "assigned_teams = \"names\"\ntimezone_names"),
            instead("timezone_names", "supervisor_in_teams = \"names\"\ntimezone_names"),
            instead("timezone_names", "employee_id = \"number\"\ntimezone_names"),
            instead("timezone_names", "timezone = \"upstream\"\ntimezone_names"),
            instead("timezone_names", "caller_id_groups = { \"1\" = \"x\" }\ntimezone_names"),
            instead("timezone_names", "channel_types = { a = \"b\" }\ntimezone_names"),
            instead("timezone_names", "separator_in_name = \"replace\"\ntimezone_names"),
            instead("timezone_names", "filters = { name = \"contains\" }\ntimezone_names"),
            instead("[legacy.v1_users]", "[lookups]\nentries_max = 3\n[legacy.v1_users]"),
            instead("[legacy.v1_users]", "[roster]\nfile = \"r.db\"\n[legacy.v1_users]"),
            instead("[legacy.v1_users]", "[legacy.v3_cdr_users]"),
        ];
        let mut seen = BTreeMap::from([(print("", ""), "none".to_owned())]);
        for (from, to) in changes {
            let before = seen.insert(print(from, &to), to.clone());
            assert_eq!(before, None, "{to}: the same fingerprint");
        }
    }
}
