//! No secret leaves by way of the other side: canary keys and values go through a gateway that asks a
//! control over HTTP/1 and one over TLS and HTTP/2, at the finest log level.

use std::fmt::Write;

use crate::common::canary::{Heard, Search, canary};
use crate::common::process::{Folder, Gateway, LIST, certificate, say, tls_line, vendor};
use crate::common::{run, stdout};

const TRACE: [(&str, &str); 1] = [("TIELINE_LOG", "trace")];

/// A caller that answers with this key, and is known by that one.
fn caller(folder: &Folder, name: &str, legacy: &str, more: &str) -> String {
    let digest = stdout(&run(&["key", "digest"], legacy.as_bytes()));
    let file = folder.path("v4.key");
    format!(
        "[[caller]]\nname = \"{name}\"\nlegacy_key = {{ digest = \"{}\" }}\nupstream = \"ams\"\n\
         upstream_key = {{ file = {file:?} }}\nsees = \"everything\"\n{more}\n",
        digest.trim_end()
    )
}

fn head(server: &str, upstream: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n{server}\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [limits]\ndrain_delay = \"0s\"\n\
         [upstream.ams]\ndialect = \"voiso-v4\"\nbase_url = \"{upstream}\"\n"
    )
}

#[test]
fn l04_no_key_and_no_value_leaves_by_way_of_control() {
    let folder = Folder::new("secrets_shadow");
    let (known, unknown, v4) = (canary(200, 40), canary(201, 40), canary(202, 40));
    let value = canary(203, 32);
    let secrets = [("known", &known), ("unknown", &unknown), ("v4", &v4), ("value", &value)];
    let secrets = secrets.map(|(name, text)| (name.to_owned(), text.clone()));
    let search = Search::new(&secrets);
    folder.file("v4.key", &v4);
    // The first keys of a vendor are printed, for pasting; no secret is one of them.
    let keys =
        ["--v4-key", "printed", "--v4-key", &v4, "--legacy-key", "printed", "--legacy-key", &known];
    let (_vendor, base) = vendor(&folder, "vendor", &keys, &[]);
    // Another gateway is as good a control, and speaks HTTP/2.
    let files = certificate(&folder, "control");
    let text = head(&tls_line(&files), &base) + &caller(&folder, "a", &known, "");
    let file = folder.file("control.toml", &text);
    let control = Gateway::start(&folder, "control", &["--config", &file], &[]);
    let over_tls = format!("https://localhost:{}", control.address.port());
    let report = folder.path("report.json");
    let mut heard = Heard::default();
    for (number, control) in [base.clone(), over_tls].iter().enumerate() {
        // The second caller's key is one that control does not know.
        let mut text = head("", &base);
        text += &caller(&folder, "known", &known, "control_percent = 50\nexplain = true");
        text += &caller(&folder, "unknown", &unknown, "control_percent = 50\nexplain = true");
        let tls = if number == 1 { format!("ca_file = {:?}\n", files.0) } else { String::new() };
        write!(
            text,
            "[shadow]\ncontrol = \"{control}\"\nsample = 1\nrequests_per_second_max = 1000\n\
             report_file = {report:?}\n{tls}"
        )
        .unwrap();
        let file = folder.file(&format!("tieline{number}.toml"), &text);
        let arguments = ["--config", &file, "--log-format", "json"];
        let name = format!("gateway{number}");
        let mut gateway = Gateway::start(&folder, &name, &arguments, &TRACE);
        let mut from_control = 0;
        for _ in 0..10 {
            for key in [&known, &unknown] {
                for (target, header) in [
                    (format!("{LIST}?name={value}"), format!("authorization: Bearer {key}\r\n")),
                    (format!("/api/v2/cdr/teams?{value}=1&key={key}"), String::new()),
                ] {
                    let request = format!(
                        "GET {target} HTTP/1.1\r\nhost: x\r\nx-tieline-explain: 1\r\n{header}\
                         connection: close\r\n\r\n"
                    );
                    let answer = say(gateway.address, request.as_bytes());
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
            let request = format!("GET {page} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            heard.add(page, say(gateway.admin, request.as_bytes()));
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
