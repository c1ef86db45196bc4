//! No key in a path leaves: canary keys stand in the paths of requests that go through with them, that are answered
//! from a list, and that place calls, at the finest log level.

use crate::common::canary::{Heard, Search, canary};
use crate::common::process::Gateway;
use crate::common::{much_memory, vendor_with};
use tests::folder::Folder;
use tests::plain::{ask, bearer, get, request, say};
use tests::{V1_USERS, config};

const TRACE: [(&str, &str); 1] = [("TIELINE_LOG", "trace")];

/// Paths with a key: those of documented endpoints, one that nobody documents, and other spellings.
const PATHS: [&str; 11] = [
    "/api/v1/@/agents_status",
    "/api/v1/@/agents_status.json",
    // These place calls, or fail to.
    "/api/v1/@/click2call?agent=AGENT&number=31201234567",
    "/api/v1/@/click2call.json?agent=AGENT&number=31201234567&get_call_id=1",
    "/api/v1/@/click2call?agent=nobody&number=31201234567",
    "/api/v1/@/click2call?agent=AGENT&number=none",
    "/api/v1/@/balance",
    "//api/v1//@/balance/",
    "/api/v1/@/nothing/documented",
    "/API/v1/@/balance",
    "/api/v1/@",
];

#[test]
fn no_key_in_a_path_is_logged_answered_or_shown() {
    let _turn = much_memory();
    let folder = Folder::new();
    let (known, unknown, v4) = (canary(300, 40), canary(301, 40), canary(302, 40));
    let secrets = [("known", &known), ("unknown", &unknown), ("v4", &v4)];
    let search = Search::new(&secrets.map(|(name, text)| (name.to_owned(), text.clone())));
    folder.file("v4.key", &v4);
    let keys =
        ["--v4-key", "printed", "--v4-key", &v4, "--legacy-key", "printed", "--legacy-key", &known];
    let (_vendor, base) = vendor_with(&keys, &[]);
    let status = get(&base, &format!("/api/v1/{known}/agents_status"), "").json();
    let is_free = |one: &&serde_json::Value| one["status"] == "available";
    let agent = status.as_array().unwrap().iter().find(is_free).unwrap();
    let agent = agent["email"].as_str().unwrap().replace('+', "%2B");
    let calls = || ask(&base, "/_simulator/stats").json()["calls"].as_u64().unwrap();
    let mut heard = Heard::default();
    for (number, rules) in ["key_in_path = \"refuse\"", "key_in_path = \"keep\""].iter().enumerate()
    {
        for format in ["json", "human"] {
            let caller = config::caller(
                "crm",
                "ams",
                &config::digest(&known),
                &config::file("v4.key"),
                "explain = true\neffects = [\"call\"]",
            );
            let text = config::ports("")
                + "[limits]\ndrain_delay = \"0s\"\n"
                + &config::voiso("ams", &base, "")
                + &caller
                + &format!("[passthrough]\nenabled = true\n{rules}\n");
            let file = folder.file(&format!("tieline{number}.toml"), text);
            let gateway = Gateway::start_with(&file, format, &TRACE);
            let before = calls();
            for path in PATHS {
                for key in [&known, &unknown] {
                    let target = path.replace('@', key).replace("AGENT", &agent);
                    for method in ["GET", "HEAD", "POST", "OPTIONS", "BREW"] {
                        let explain = "x-tieline-explain: 1\r\n";
                        let request = request(&format!("{method} {target}"), explain);
                        heard.add("an answer", say(gateway.address, request));
                    }
                    let beside = request(&format!("GET {target}"), &bearer(&known));
                    heard.add("beside a Bearer", say(gateway.address, beside));
                    let page = format!("referer: http://gateway{target}\r\n{}", bearer(&known));
                    let page = request(&format!("GET {V1_USERS}"), &page);
                    heard.add("from a page", say(gateway.address, page));
                }
            }
            assert_eq!(calls() - before, 4, "GET and POST of two paths, each without a Bearer");
            for page in ["/metrics", "/callers", "/losses"] {
                heard.add(page, say(gateway.admin, request(&format!("GET {page}"), "")));
            }
            gateway.process.stop();
            let log = gateway.process.stderr();
            assert!(log.len() > 10_000, "{} bytes at the finest level", log.len());
            heard.add(format!("the {format} log"), log);
            heard.add("standard output", gateway.process.stdout());
        }
    }
    let outcomes = heard.outcomes();
    for expected in [
        "200",
        "204",
        "key_in_path",
        "ambiguous_credential",
        "unknown_credential",
        "agent_not_found",
        "bad_number",
        "method_not_allowed",
    ] {
        assert!(outcomes.contains(expected), "nothing came to {expected}: {outcomes:?}");
    }
    heard.assert_clean(&search);
}
