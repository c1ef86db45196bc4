//! The validator's own translation of the new API's rows, beside the vendor's own legacy answers.

use std::collections::BTreeMap;

use corpus::endpoint::endpoint;
use corpus::node::Node;
use parity::knowledge::Settings;
use parity::witness::{expected, is_listed};
use serde_json::Value;
use simulator::Simulator;

const USERS: usize = 300;

#[test]
fn the_witness_and_the_legacy_api_agree_about_every_user() {
    let vendor =
        Simulator::new(simulator::Settings { users: USERS, ..simulator::Settings::default() });
    let v1 = endpoint("v1_users").unwrap();
    let settings = Settings::default();
    let legacy: BTreeMap<String, Value> = vendor
        .legacy_users(&[])
        .into_iter()
        .map(|record| (record["id"].to_string(), record))
        .collect();
    let mut listed = 0;
    for row in vendor.users() {
        let id = row["id"].as_str().unwrap().to_owned();
        let row = Node::parse(row.to_string().as_bytes()).unwrap();
        assert_eq!(is_listed(v1, &row, "unless_live"), legacy.contains_key(&id), "{id}");
        let Some(record) = legacy.get(&id) else { continue };
        listed += 1;
        for (field, value) in record.as_object().unwrap() {
            let told = expected(field, &row, &settings).unwrap();
            let told: Value = serde_json::from_str(&told.to_json()).unwrap();
            assert_eq!(told, *value, "{id} {field}");
        }
    }
    assert_eq!(listed, legacy.len());
    assert!((USERS - 30..USERS).contains(&listed), "{listed} of {USERS} are not deleted");
}
