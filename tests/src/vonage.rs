//! A world whose upstream is Vonage, and its expected legacy answers: the vendor's own legacy records,
//! except for the rows of the ledger.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::{Value, json};
use simulator::{Dialect, Settings, Simulator, User};

use crate::folder::File;
use crate::{CLIENT, Front, LEGACY_KEY, World, config, vendor};

/// A configuration for one caller `crm` over one Vonage upstream. `more` is TOML put into the
/// upstream's table, `rest` TOML behind everything.
pub fn config_text(upstream: impl Display, more: &str, rest: &str) -> String {
    let rest = format!("explain = true\n{rest}");
    let upstream = config::vonage("vcc", format!("http://{upstream}"), more);
    let caller =
        config::caller("crm", "vcc", &config::digest(LEGACY_KEY), &config::env("V4"), &rest);
    config::ports("") + &upstream + &caller
}

/// The environment of that configuration.
pub const ENV: [(&str, &str); 1] = [("V4", CLIENT)];

/// A pretend Vonage and a gateway in front of it.
pub async fn world(settings: Settings, more: &str, rest: &str) -> World {
    let settings = Settings { dialect: Dialect::VonageV4, ..settings };
    let (vendor, vendor_address, guard) = vendor(settings).await;
    let front = Front::start_with(&config_text(vendor_address, more, rest), &ENV).await;
    World { vendor, vendor_address, front, _guard: guard }
}

/// A world whose users keep their old numbers, by a table of all of them.
pub async fn mapped_world(settings: Settings, more: &str, rest: &str) -> World {
    let settings = Settings { dialect: Dialect::VonageV4, ..settings };
    let (vendor, vendor_address, guard) = vendor(settings).await;
    let (map, _file) = map_of(&vendor);
    let more = format!("{map}\n{more}");
    let front = Front::start_with(&config_text(vendor_address, &more, rest), &ENV).await;
    World { vendor, vendor_address, front, _guard: guard }
}

/// The settings for a table of all users, and its file, which is read once.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub fn map_of(vendor: &Simulator) -> (String, File) {
    let lines: Vec<String> = vendor
        .records()
        .iter()
        .map(|user| format!("{},{}\n", simulator::vonage_user_id(user.id), user.id))
        .collect();
    let file = File::new("ids.csv");
    // A table must have a pair. The vendor may have no user.
    std::fs::write(&file, format!("nobody,1\n{}", lines.concat())).expect("a temporary file");
    (format!("id_policy = \"map\"\nid_map = {:?}", file.display().to_string()), file)
}

/// What v1 users must answer over Vonage under default settings, by the old number: the legacy
/// records without what Vonage does not have. Lists are in order, since each side has its own.
pub fn expected(vendor: &Simulator) -> BTreeMap<u64, Value> {
    let records: BTreeMap<u64, _> =
        vendor.records().iter().map(|user| (user.id, user.clone())).collect();
    let legacy = vendor.legacy_users(&[]).into_iter().filter_map(|mut record| {
        let id = record["id"].as_u64()?;
        let user: &User = records.get(&id)?;
        for (field, value) in [
            ("sip_account", Value::Null),
            ("sag", json!(simulator::vonage_role(user))),
            ("extension", json!(simulator::vonage_agent_display_id(user))),
            ("timezone", Value::Null),
            ("webrtc_ringtone", Value::Null),
            ("supervisor_in_teams", json!("")),
            ("assigned_queues", json!("")),
            ("assigned_channels", json!([])),
        ] {
            record[field] = value;
        }
        // Without an extension there is no agent, so no callback number.
        if user.extension.as_deref().unwrap_or_default().is_empty() {
            record["caller_id"] = Value::Null;
        }
        Some((id, plain(record)))
    });
    legacy.collect()
}

/// A record with its lists in order and its empty texts null.
pub fn plain(mut record: Value) -> Value {
    for field in ["name", "email", "caller_id", "employee_id"] {
        if record[field] == "" {
            record[field] = Value::Null;
        }
    }
    let mut teams: Vec<String> = record["assigned_teams"]
        .as_str()
        .unwrap_or_default()
        .split(", ")
        .map(str::to_owned)
        .collect();
    teams.sort();
    record["assigned_teams"] = json!(teams.join(", "));
    if let Some(skills) = record["assigned_skills"].as_array_mut() {
        skills.sort_by_key(Value::to_string);
    }
    record
}
