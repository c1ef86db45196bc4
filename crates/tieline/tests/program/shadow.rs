//! `[shadow]` with the judge of the binary: the answers to live requests are compared, and each difference
//! has a cause of `tieline validate` or is undecided.

use std::thread::sleep;
use std::time::Duration;

use crate::common::process::Gateway;
use crate::common::{self, eventually, much_memory, vendor};
use serde_json::Value;
use simulator::Settings;
use tests::folder::Folder;
use tests::plain::ask;
use tests::raw::{Raw, Reply};
use tests::{V1_USERS, V3_USERS};

/// A gateway over a vendor that is control as well, with more TOML.
fn gateway(folder: &Folder, base: &str, more: &str) -> Gateway {
    beside(folder, base, base, more)
}

/// The same with another control.
fn beside(folder: &Folder, base: &str, control: &str, more: &str) -> Gateway {
    let rest = format!(
        "[limits]\ndrain_delay = \"0s\"\n[shadow]\ncontrol = \"{control}\"\nsample = 1\n\
         requests_per_second_max = 1000\n{more}"
    );
    common::gateway(folder, "", base, &rest)
}

/// Asks for a list and gets one.
fn get(gateway: &Gateway, target: &str) {
    assert_eq!(ask(gateway.address, target).status, 200, "{target}");
}

/// The page `/shadow` once this many answers were compared.
fn told(gateway: &Gateway, compared: u64) -> Value {
    let mut last = Value::Null;
    eventually("every answer is compared", || {
        last = ask(gateway.admin, "/shadow").json();
        let outcomes = last["comparisons"].as_object().into_iter().flatten();
        let all = outcomes.filter_map(|(_, counts)| counts.as_object());
        let counts = all.chain(last["dropped"].as_object()).flatten();
        counts.filter_map(|(_, count)| count.as_u64()).sum::<u64>() >= compared
    });
    last
}

/// The page `/shadow` when one answer was compared. While other tests need most of the memory that all share, nothing is
/// compared: then it asks again later.
fn compared_once(gateway: &Gateway) -> Value {
    let mut count = 0;
    loop {
        count += 1;
        get(gateway, V1_USERS);
        let told = told(gateway, count);
        if told["dropped"]["memory"] != count || count == 30 {
            return told;
        }
        sleep(Duration::from_secs(1));
    }
}

#[test]
fn l05_equal_answers_are_equal_under_every_filter() {
    let folder = Folder::new();
    let (_vendor, base) = vendor("--users 120");
    let gateway = gateway(&folder, &base, "");
    let targets = [
        V1_USERS.to_owned(),
        format!("{V1_USERS}?sag=Agent"),
        format!("{V1_USERS}?timezone=Istanbul"),
        format!("{V1_USERS}?name=nobody"),
        V3_USERS.to_owned(),
    ];
    for target in &targets {
        get(&gateway, target);
    }
    let told = told(&gateway, targets.len() as u64);
    assert_eq!(told["comparisons"]["v1_users"]["equal"], 4, "{told}");
    assert_eq!(told["comparisons"]["v3_cdr_users"]["equal"], 1, "{told}");
    assert_eq!(told["differences"], Value::Array(Vec::new()), "{told}");
}

#[test]
fn l05_the_form_of_a_value_is_a_cause_and_no_fault() {
    let folder = Folder::new();
    let (_vendor, base) = vendor("--users 120");
    let quirks = "[legacy.v1_users]\nemployee_id = \"number\"\nenvelope = \"users\"\n\
                  timezone = \"upstream\"";
    let gateway = gateway(&folder, &base, quirks);
    get(&gateway, V1_USERS);
    let told = told(&gateway, 1);
    assert_eq!(told["comparisons"]["v1_users"]["explained"], 1, "{told}");
    let causes = told["causes"].to_string();
    assert!(causes.contains("quirk") && !causes.contains("bug"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_data_and_noise_are_no_bugs_and_a_lost_field_is_one() {
    let folder = Folder::new();
    let (vendor, address, _guard) = tests::vendor(Settings::default()).await;
    let mut records = vendor.legacy_users(&[]);
    records[0]["name"] = "Another Name".into();
    records[1].as_object_mut().unwrap().remove("email");
    let control = Raw::start(move |head| {
        // A field of one user is another at each reading.
        let mut list = records.clone();
        list[2]["extension"] = head.number.to_string().into();
        Reply::json(200, serde_json::to_string(&list).unwrap())
    })
    .await;
    let control = format!("http://{}", control.address);
    let gateway = beside(&folder, &format!("http://{address}"), &control, "");
    get(&gateway, V1_USERS);
    let told = told(&gateway, 1);
    assert_eq!(told["comparisons"]["v1_users"]["different"], 1, "{told}");
    let rows = told["differences"].as_array().into_iter().flatten();
    let cause = |field: &str| {
        let mut of_field = rows.clone().filter(|row| row["field"] == field);
        of_field.next().map(|row| row["cause"].clone())
    };
    let causes = ["name", "email", "extension"].map(cause);
    assert_eq!(causes, ["undecided", "bug", "noise"].map(|word| Some(word.into())), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::await_holding_lock, reason = "no other task of this runtime takes it")]
async fn the_memory_for_a_comparison_grows_with_the_answers_and_not_many_times_as_much() {
    let _turn = much_memory();
    let noughts = format!("[0{}]", ",0".repeat(1 << 19));
    // Candidate has none of these users, so each of them is a difference.
    let fields = tests::V1_FIELDS.iter().filter(|name| **name != "id");
    let members: String = fields.map(|name| format!(",\"{name}\":\"\"")).collect();
    let strangers: Vec<String> =
        (0..20_000).map(|id| format!("{{\"id\":{}{members}}}", 5_000_000 + id)).collect();
    let strangers = format!("[{}]", strangers.join(","));
    // One user of control is missing in candidate. The others have a list that takes many times its bytes.
    let (vendor, address, _guard) = tests::vendor(Settings::default()).await;
    let mut users = vendor.legacy_users(&[]);
    for user in &mut users {
        user["odd"] = vec![0; 4 << 10].into();
    }
    users.push(serde_json::json!({ "id": 5_000_000 }));
    let missing = serde_json::to_string(&users).unwrap();
    for (name, body, is_compared) in
        [("noughts", noughts, false), ("strangers", strangers, true), ("missing", missing, true)]
    {
        let folder = Folder::new();
        let base = format!("http://{address}");
        let bytes = body.len() as u64;
        let control = Raw::start(move |_| Reply::json(200, &body).last()).await;
        let gateway = beside(&folder, &base, &format!("http://{}", control.address), "");
        let before = gateway.process.status_kib("VmHWM:");
        let told = compared_once(&gateway);
        let (different, too_large) =
            (&told["comparisons"]["v1_users"]["different"], &told["dropped"]["too_large"]);
        let all = if is_compared { (1.into(), Value::Null) } else { (Value::Null, 1.into()) };
        assert_eq!((different, too_large), (&all.0, &all.1), "{name}: {told}");
        let grown = gateway.process.status_kib("VmHWM:").saturating_sub(before);
        assert!(grown << 10 < 12 * bytes, "{name}: {grown} KiB more, for {bytes} bytes");
    }
}
