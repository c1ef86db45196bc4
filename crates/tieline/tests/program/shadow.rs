//! `[shadow]` with the judge that the binary has: live requests are compared as `tieline validate`
//! compares, and a difference has the cause that it has there.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::common::process::{Folder, Gateway, LIST, say, vendor};
use crate::common::{eventually, much_memory, run, stdout};
use serde_json::Value;

/// A gateway over a vendor that is control as well, with more TOML.
fn gateway(folder: &Folder, base: &str, more: &str) -> Gateway {
    beside(folder, base, base, more)
}

/// The same with another control.
fn beside(folder: &Folder, base: &str, control: &str, more: &str) -> Gateway {
    let digest = stdout(&run(&["key", "digest"], b"legacy-demo-key"));
    folder.file("v4.key", "v4-demo-key");
    let key = folder.path("v4.key");
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\ndrain_delay = \"0s\"\n\
         [upstream.ams]\ndialect = \"voiso-v4\"\nbase_url = \"{base}\"\n\
         [[caller]]\nname = \"crm\"\nlegacy_key = {{ digest = \"{}\" }}\nupstream = \"ams\"\n\
         upstream_key = {{ file = {key:?} }}\nsees = \"everything\"\n\
         [shadow]\ncontrol = \"{control}\"\nsample = 1\nrequests_per_second_max = 1000\n{more}\n",
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
        let all = outcomes.filter_map(|(_, counts)| counts.as_object());
        let counts = all.chain(last["dropped"].as_object()).flatten();
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

/// A control that always says this.
fn control(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
            while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(count) if count > 0 => head.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n"
            );
            // Whoever leaves has heard enough.
            let _ =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    format!("http://{address}")
}

#[test]
fn what_comparing_takes_grows_with_the_answers_and_not_many_times_as_much() {
    let _turn = much_memory();
    let noughts = format!("[0{}]", ",0".repeat(1 << 19));
    // Nobody of these is one of candidate's, so each of them is a difference.
    let names = [
        "name",
        "email",
        "sip_account",
        "sag",
        "extension",
        "caller_id",
        "timezone",
        "webrtc_ringtone",
        "assigned_teams",
        "supervisor_in_teams",
        "assigned_skills",
        "assigned_queues",
        "employee_id",
        "assigned_channels",
    ];
    let members: String = names.iter().map(|name| format!(",\"{name}\":\"\"")).collect();
    let strangers: Vec<String> =
        (0..20_000).map(|id| format!("{{\"id\":{}{members}}}", 5_000_000 + id)).collect();
    let strangers = format!("[{}]", strangers.join(","));
    for (name, body, is_compared) in [("noughts", noughts, false), ("strangers", strangers, true)] {
        let folder = Folder::new(&format!("shadow_memory_{name}"));
        let (_vendor, base) = vendor(&folder, "vendor", &["--users", "120"], &[]);
        let bytes = body.len() as u64;
        let mut gateway = beside(&folder, &base, &control(body), "");
        let before = gateway.process.status_kib("VmHWM:");
        assert!(get(gateway.address, LIST).starts_with("HTTP/1.1 200 "));
        let told = told(&gateway, 1);
        let (different, too_large) =
            (&told["comparisons"]["v1_users"]["different"], &told["dropped"]["too_large"]);
        let all = if is_compared { (1.into(), Value::Null) } else { (Value::Null, 1.into()) };
        assert_eq!((different, too_large), (&all.0, &all.1), "{name}: {told}");
        let grown = gateway.process.status_kib("VmHWM:").saturating_sub(before);
        assert!(grown << 10 < 12 * bytes, "{name}: {grown} KiB more, for {bytes} bytes");
    }
}
