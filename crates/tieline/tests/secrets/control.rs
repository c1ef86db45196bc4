//! No secret leaves by way of the other side: canary keys and values go through a gateway that asks a
//! control over HTTP/1 and one over TLS and HTTP/2, at the finest log level.

use crate::common::canary::{Heard, Search, canary};
use crate::common::process::Gateway;
use crate::common::vendor_with;
use tests::folder::Folder;
use tests::plain::{bearer, request, say};
use tests::{TEAMS, V1_USERS, config};

const TRACE: [(&str, &str); 1] = [("TIELINE_LOG", "trace")];

/// A caller known by this key.
fn caller(name: &str, legacy: &str, more: &str) -> String {
    config::caller(name, "ams", &config::digest(legacy), &config::file("v4.key"), more)
}

#[test]
fn l04_no_key_and_no_value_leaves_by_way_of_control() {
    let folder = Folder::new();
    let (known, unknown, v4) = (canary(200, 40), canary(201, 40), canary(202, 40));
    let value = canary(203, 32);
    let secrets = [("known", &known), ("unknown", &unknown), ("v4", &v4), ("value", &value)];
    let secrets = secrets.map(|(name, text)| (name.to_owned(), text.clone()));
    let search = Search::new(&secrets);
    folder.file("v4.key", &v4);
    // The first keys of a vendor are printed, for pasting; no secret is one of them.
    let keys =
        ["--v4-key", "printed", "--v4-key", &v4, "--legacy-key", "printed", "--legacy-key", &known];
    let (_vendor, base) = vendor_with(&keys, &[]);
    // Another gateway is as good a control, and speaks HTTP/2.
    let certificate = folder.certificate("control");
    let text = config::ports(&certificate.server_line())
        + &config::voiso("ams", &base, "")
        + &caller("a", &known, "");
    let control = Gateway::start(&folder.file("control.toml", text));
    let over_tls = format!("https://localhost:{}", control.address.port());
    let report = folder.path("report.json");
    let mut heard = Heard::default();
    for (number, control) in [base.clone(), over_tls].iter().enumerate() {
        // The second caller's key is one that control does not know.
        let text = config::ports("")
            + "[limits]\ndrain_delay = \"0s\"\n"
            + &config::voiso("ams", &base, "")
            + &caller("known", &known, "control_percent = 50\nexplain = true")
            + &caller("unknown", &unknown, "control_percent = 50\nexplain = true");
        let tls = if number == 1 { certificate.ca_line() } else { String::new() };
        let text = format!(
            "{text}[shadow]\ncontrol = \"{control}\"\nsample = 1\nrequests_per_second_max = 1000\n\
             report_file = {report:?}\n{tls}\n"
        );
        let file = folder.file(&format!("tieline{number}.toml"), text);
        let gateway = Gateway::start_with(&file, "json", &TRACE);
        let mut from_control = 0;
        for _ in 0..10 {
            for key in [&known, &unknown] {
                for (target, header) in [
                    (format!("{V1_USERS}?name={value}"), bearer(key)),
                    (format!("{TEAMS}?{value}=1&key={key}"), String::new()),
                ] {
                    let headers = format!("x-tieline-explain: 1\r\n{header}");
                    let request = request(&format!("GET {target}"), &headers);
                    let answer = say(gateway.address, request);
                    let text = String::from_utf8_lossy(&answer);
                    assert!(text.starts_with("HTTP/1.1 200 "), "{} bytes", answer.len());
                    let by_control = text.contains("x-tieline-answered-by: control\r\n");
                    from_control += usize::from(by_control);
                    heard.add("an answer", answer);
                }
            }
        }
        assert!(from_control >= 5, "{from_control} from control {number}");
        for page in ["/shadow", "/metrics", "/callers", "/losses"] {
            heard.add(page, say(gateway.admin, request(&format!("GET {page}"), "")));
        }
        gateway.process.stop();
        let log = gateway.process.stderr();
        assert!(log.len() > 10_000, "{} bytes at the finest level", log.len());
        heard.add(format!("the log beside control {number}"), log);
        heard.add("standard output", gateway.process.stdout());
        heard.add("the report", std::fs::read(&report).unwrap());
    }
    heard.assert_clean(&search);
}
