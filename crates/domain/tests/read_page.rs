//! Whatever an upstream sends, reading a page returns: rows, or an error that quotes nothing of it.
#![expect(clippy::unwrap_used, reason = "a test may")]

use domain::legacy::{ENDPOINTS, Planned};
use domain::page::{Shape, read_rows};
use domain::params::Params;
use domain::plan::Resolved;
use domain::quirks::Quirks;
use domain::sweep::Rows;
use domain::upstream::{DIALECTS, PageError, Rules, SchemaKind};
use domain::visibility::Visibility;
use proptest::prelude::*;

const SAMPLE: &str = include_str!("../golden/v1_users/voiso-v4__odd_texts/page_1.json");

/// Reads bytes with every dialect, for every endpoint.
fn read_all(body: &[u8]) -> Vec<Result<Rows, PageError>> {
    let (rules, quirks, all) = (Rules::default(), Quirks::default(), Visibility::Everything);
    let mut results = Vec::new();
    for endpoint in ENDPOINTS.iter().copied() {
        let Planned::Ask(plan) = endpoint.plan(Params::default(), &quirks) else { continue };
        let Resolved::Ask(plan) = plan.resolve(Vec::new()) else { continue };
        let filter = &plan.filter;
        let shape = Shape { endpoint, quirks: &quirks, filter, visibility: &all };
        results.extend(DIALECTS.iter().map(|dialect| read_rows(*dialect, body, &rules, shape)));
    }
    assert!(!results.is_empty());
    results
}

/// Rows are whole JSON records; errors are short and made of our own words.
fn check(body: &[u8]) {
    for result in read_all(body) {
        match result {
            Ok(rows) => {
                if !rows.bytes.is_empty() {
                    let text = std::str::from_utf8(&rows.bytes).unwrap();
                    let _: serde_json::Value =
                        serde_json::from_str(&format!("[{}]", &text[1..])).unwrap();
                }
            }
            Err(error) => assert!(error.to_string().len() < 160, "{error}"),
        }
    }
}

fn kind(body: &str) -> Option<SchemaKind> {
    match read_all(body.as_bytes()).remove(0) {
        Err(PageError::Schema(error)) => Some(error.kind),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_return(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&body);
    }

    #[test]
    fn any_json_like_text_returns(body in "[\\[\\]{}\",:0-9eE.+\\-a-z\\\\u ]{0,200}") {
        check(body.as_bytes());
    }

    #[test]
    fn a_page_with_some_bytes_changed_returns(
        changes in proptest::collection::vec((0..SAMPLE.len(), any::<u8>()), 1..6),
    ) {
        let mut body = SAMPLE.as_bytes().to_vec();
        for (at, byte) in changes {
            body[at] = byte;
        }
        check(&body);
    }

    #[test]
    fn a_page_that_breaks_off_is_never_a_list(end in 0..SAMPLE.trim_end().len()) {
        prop_assert!(read_all(&SAMPLE.as_bytes()[..end]).iter().all(Result::is_err));
    }
}

#[test]
fn bombs_of_nesting_are_refused_without_a_deep_stack() {
    for deep in [29, 33, 128, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let bomb = format!("{}1{}", open.repeat(deep), close.repeat(deep));
            let unread = format!("{{\"x\":{bomb},\"users\":[],\"metadata\":{{\"total\":0}}}}");
            let page = format!("{{\"users\":{bomb},\"metadata\":{{\"total\":0}}}}");
            assert!(matches!(kind(&unread), Some(SchemaKind::BadJson { .. })), "{deep} {open}");
            assert!(kind(&page).is_some(), "{deep} {open}");
            check(bomb.as_bytes());
        }
    }
    let shallow = format!("{}1{}", "[".repeat(28), "]".repeat(28));
    let page = format!("{{\"x\":{shallow},\"users\":[],\"metadata\":{{\"total\":0}}}}");
    assert_eq!(kind(&page), None);
}

#[test]
fn what_nobody_reads_is_read_strictly_all_the_same() {
    let page = |extra: &str| format!("{{\"users\":[],\"metadata\":{{\"total\":0}},\"x\":{extra}}}");
    assert_eq!(kind(&page("{\"new\":[1,2.5,null,true,\"\\ud83c\\udfa7\"]}")), None);
    for broken in ["\"\\ud800\"", "[1,]", "{\"\\ud800\":1}", "nul", "01", "'a'"] {
        assert!(matches!(kind(&page(broken)), Some(SchemaKind::BadJson { .. })), "{broken}");
    }
    assert_eq!(kind(&page("1e400")), Some(SchemaKind::BadSchema));
}

#[test]
fn an_error_tells_where_in_our_own_words() {
    let user = |change: &str, with: &str| SAMPLE.replacen(change, with, 1);
    let cases = [
        (user("\"value\": 10", "\"value\": 11"), "unexpected shape at users[0].skills[0].value"),
        (user("\"teams\": [", "\"teams\": {}, \"t\": ["), "unexpected shape at users[0].teams"),
        (user("\"id\": \"42\"", "\"id\": \"4x\""), "an id without a legacy number at users[0].id"),
        (user("\"total\": 1", "\"total\": \"1\""), "unexpected shape at metadata.total"),
        (user("\"users\"", "\"Users\""), "unexpected shape at users"),
    ];
    for (body, expected) in cases {
        assert_ne!(body, SAMPLE);
        let result = read_all(body.as_bytes()).remove(0);
        let text = result.unwrap_err().to_string();
        assert!(text.starts_with(expected), "wanted {expected}, got {text}");
    }
}
