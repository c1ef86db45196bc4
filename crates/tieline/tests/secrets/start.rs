//! A start that is refused repeats no key, wherever the key stood: canary keys in every wrong place of
//! a configuration, of the environment and of standard input.
#![expect(clippy::unwrap_used, reason = "a test may")]

use crate::common::canary::{Heard, Search, canary};
use crate::common::{configured, run, tieline};
use tests::V4_KEY;
use tests::folder::Folder;

#[test]
fn no_key_is_repeated_by_a_refusal_to_start() {
    let folder = Folder::new();
    let key = canary(20, 40);
    let hex: String = canary(21, 20).bytes().map(|byte| format!("{byte:02x}")).collect();
    let large = hex.to_uppercase();
    let search = Search::new(&[
        ("key".to_owned(), key.clone()),
        ("hex key".to_owned(), hex.clone()),
        ("large hex key".to_owned(), large.clone()),
    ]);
    folder.file("v4.key", V4_KEY);
    let rest = "[limits]\nrequest_deadline = \"60s\"";
    let good = configured("", "http://127.0.0.1:9", "", rest);
    let line = |start: &str| good.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
    let mut heard = Heard::default();
    for key in [&key, &hex, &large] {
        for wrong in [
            format!("\"{key}\""),
            key.clone(),
            format!("\"{key}"),
            format!("'{key}"),
            format!("[\"{key}\"]"),
            format!("{{ digest = \"{key}\" }}"),
            format!("{{ digest = \"sha256:{key}\" }}"),
            format!("{{ digest = {key} }}"),
            format!("{{ env = \"{key}\" }}"),
            format!("{{ file = \"{key}\" }}"),
            format!("{{ key = \"{key}\" }}"),
            format!("{{ env = \"{key}\", file = \"{key}\" }}"),
        ] {
            for field in ["legacy_key", "upstream_key", "sees", "upstream"] {
                let bad =
                    good.replace(&line(&format!("{field} = ")), &format!("{field} = {wrong}"));
                refused(&folder, &bad, &[], &mut heard);
            }
        }
        for (field, wrong) in [
            ("dialect", key.clone()),
            ("base_url", key.clone()),
            ("base_url", format!("https://{key}@localhost/")),
            ("base_url", format!("https://localhost/?key={key}")),
            ("request_deadline", key.clone()),
            ("listen", key.clone()),
        ] {
            let bad =
                good.replace(&line(&format!("{field} = ")), &format!("{field} = \"{wrong}\""));
            refused(&folder, &bad, &[], &mut heard);
        }
        refused(&folder, &format!("[log]\nlevel = \"{key}\"\n{good}"), &[], &mut heard);
        for variable in ["TIELINE_SERVER__LISTEN", "TIELINE_LIMITS__REQUEST_DEADLINE"] {
            refused(&folder, &good, &[(variable, key)], &mut heard);
        }
        for input in [
            format!("{key} "),
            format!("{key}\n{key}"),
            format!("Bearer {key}"),
            format!("\"{key}\"\t"),
            key.repeat(300),
        ] {
            let output = run(&["key", "digest"], input.as_bytes());
            assert_eq!(output.status.code(), Some(1));
            heard.add("key digest", [output.stdout, output.stderr].concat());
        }
    }
    println!("{} refusals", heard.0.len());
    heard.assert_clean(&search);
}

/// Starts the gateway and the check with a configuration that neither may accept.
fn refused(folder: &Folder, text: &str, environment: &[(&str, &str)], heard: &mut Heard) {
    let file = folder.file("bad.toml", text);
    for command in ["serve", "check"] {
        let mut started = tieline(&[command, "--config", &file]);
        let output = started.envs(environment.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{} bytes of words", output.stderr.len());
        heard.add(
            format!("{command}: refusal {}", heard.0.len()),
            [output.stdout, output.stderr].concat(),
        );
    }
}
