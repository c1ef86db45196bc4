//! What the check names of the legacy paths that callers of a running gateway ask for.

use super::*;
use crate::common::gateway;
use crate::common::process::Gateway;
use tests::plain::{bearer, request, say};

/// The report of the gateway's own configuration, with the page `/callers` of this address.
fn checked(folder: &Folder, running: &str) -> std::process::Output {
    let file = folder.path("tieline.toml");
    let file = file.to_str().unwrap();
    tieline(&["check", "--config", file, "--running", running]).output().unwrap()
}

fn untranslated(folder: &Folder, gateway: &Gateway) -> Vec<String> {
    let output = checked(folder, &gateway.admin.to_string());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = stdout(&output);
    assert!(!report.contains(LEGACY_KEY), "{report}");
    let lines = report.lines().filter_map(|line| line.strip_prefix("  untranslated  "));
    lines.map(str::to_owned).collect()
}

#[test]
fn legacy_paths_that_callers_ask_for_and_nothing_translates_are_named() {
    let (_vendor, base) = vendor("");
    let folder = Folder::new();
    let gateway = gateway(&folder, "", &base, "");
    assert_eq!(untranslated(&folder, &gateway), ["no such legacy path was asked for"]);
    let balance = format!("GET /api/v1/{LEGACY_KEY}/balance");
    let cdr = "GET /api/v2/cdr?disposition=answered";
    for (target, headers) in
        [(balance.as_str(), String::new()), (cdr, bearer(LEGACY_KEY)), (cdr, bearer(LEGACY_KEY))]
    {
        say(gateway.address, request(target, &headers));
    }
    let end = "it goes when the legacy API goes, unless it passes through";
    assert_eq!(
        untranslated(&folder, &gateway),
        [
            format!("/api/v1/{{key}}/balance was asked for once; {end}"),
            format!("/api/v2/cdr was asked for 2 times; {end}"),
        ]
    );
    // Without the flag nothing runs that could be asked.
    let file = folder.path("tieline.toml");
    let output = tieline(&["check", "--config", file.to_str().unwrap()]).output().unwrap();
    assert!(!stdout(&output).contains("untranslated"), "{}", stdout(&output));
}

#[test]
fn a_page_that_is_no_gateways_shows_nothing_of_itself() {
    let (_vendor, base) = vendor("");
    let folder = Folder::new();
    let gateway = gateway(&folder, "", &base, "");
    let vendor = base.trim_start_matches("http://");
    for (running, why) in [
        (vendor.to_owned(), "/callers: it answers 404"),
        (gateway.address.to_string(), "/callers: it answers 404"),
        ("127.0.0.1:9".to_owned(), "/callers: "),
    ] {
        let output = checked(&folder, &running);
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        let told = stderr(&output);
        assert!(told.contains("--running: http://") && told.contains(why), "{told}");
    }
}
