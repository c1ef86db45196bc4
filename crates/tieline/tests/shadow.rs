//! `[shadow]` with the judge that the binary has: live requests are compared as `tieline validate`
//! compares, and a difference has the cause that it has there.

mod common;

use common::process::{Folder, Gateway, LIST, say, vendor};
use common::{eventually, run, stdout};
use serde_json::Value;

/// A gateway over a vendor that is control as well, with more TOML.
fn gateway(folder: &Folder, base: &str, more: &str) -> Gateway {
    let digest = stdout(&run(&["key", "digest"], b"legacy-demo-key"));
    folder.file("v4.key", "v4-demo-key");
    let key = folder.path("v4.key");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\ndrain_delay = \"0s\"\n\
         [upstream.ams]\ndialect = \"voiso-v4\"\nbase_url = \"{base}\"\n\
         [[caller]]\nname = \"crm\"\nlegacy_key = {{ digest = \"{}\" }}\nupstream = \"ams\"\n\
         upstream_key = {{ file = {key:?} }}\nsees = \"everything\"\n\
         [shadow]\ncontrol = \"{base}\"\nsample = 1\nrequests_per_second_max = 1000\n{more}\n",
        digest.trim_end()
    );
    let file = folder.file("tieline.toml", &text);
    Gateway::start(folder, "gateway", &["--config", &file], &[])
}

fn get(address: std::net::SocketAddr, target: &str) -> String {
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer legacy-demo-key\r\n\
         connection: close\r\n\r\n"
    );
    String::from_utf8_lossy(&say(address, request.as_bytes())).into_owned()
}

/// What `/shadow` says once so many answers were compared.
fn told(gateway: &Gateway, compared: u64) -> Value {
    let mut last = Value::Null;
    eventually("every answer is compared", || {
        let page = get(gateway.admin, "/shadow");
        let body = page.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        last = serde_json::from_str(body).unwrap_or_default();
        let outcomes = last["comparisons"].as_object().into_iter().flatten();
        let counts = outcomes.flat_map(|(_, outcomes)| outcomes.as_object().into_iter().flatten());
        counts.filter_map(|(_, count)| count.as_u64()).sum::<u64>() >= compared
    });
    last
}

#[test]
fn l05_equal_answers_are_equal_under_every_filter() {
    let folder = Folder::new("shadow_equal");
    let (_vendor, base) = vendor(&folder, "vendor", &["--users", "120"], &[]);
    let gateway = gateway(&folder, &base, "");
    let targets = [
        LIST.to_owned(),
        format!("{LIST}?sag=Agent"),
        format!("{LIST}?timezone=Istanbul"),
        format!("{LIST}?name=nobody"),
        "/api/v3/cdr/users".to_owned(),
    ];
    for target in &targets {
        assert!(get(gateway.address, target).starts_with("HTTP/1.1 200 "), "{target}");
    }
    let told = told(&gateway, targets.len() as u64);
    assert_eq!(told["comparisons"]["v1_users"]["equal"], 4, "{told}");
    assert_eq!(told["comparisons"]["v3_cdr_users"]["equal"], 1, "{told}");
    assert_eq!(told["differences"], Value::Array(Vec::new()), "{told}");
}

#[test]
fn l05_the_form_of_a_value_is_a_cause_and_no_fault() {
    let folder = Folder::new("shadow_explained");
    let (_vendor, base) = vendor(&folder, "vendor", &["--users", "120"], &[]);
    let quirks = "[legacy.v1_users]\nemployee_id = \"number\"\nenvelope = \"users\"\n\
                  timezone = \"upstream\"";
    let gateway = gateway(&folder, &base, quirks);
    assert!(get(gateway.address, LIST).starts_with("HTTP/1.1 200 "));
    let told = told(&gateway, 1);
    assert_eq!(told["comparisons"]["v1_users"]["explained"], 1, "{told}");
    let causes = told["causes"].to_string();
    assert!(causes.contains("quirk") && !causes.contains("bug"), "{told}");
}
