//! Golden files: a legacy request and the upstream's pages give exactly these legacy bytes.
//!
//! `golden/<endpoint>/<dialect>__<case>/` holds `request.txt` (the request target), `page_*.json`,
//! optionally `quirks.json`, and what must come out: `upstream.txt` (the first page's target, or
//! `nobody`) and `legacy.json`. Inputs come from the vendor's pages. `UPDATE_EXPECT=1` rewrites what
//! must come out.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use std::fs;
use std::path::{Path, PathBuf};

use domain::hub::Id;
use domain::legacy::{ENDPOINTS, Planned, endpoint_at};
use domain::page::{Shape, read_groups, read_rows};
use domain::params::Params;
use domain::plan::Resolved;
use domain::quirks::Quirks;
use domain::sweep::Window;
use domain::upstream::{DIALECTS, Rules, dialect_named};
use domain::visibility::Visibility;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

fn pages(case: &Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(case)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("page_"))
        .collect();
    files.sort();
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The upstream target and the legacy body of one case.
fn translate(case: &Path) -> (String, String) {
    let name = case.file_name().unwrap().to_str().unwrap();
    let dialect = dialect_named(name.split("__").next().unwrap()).expect("a known dialect");
    let quirks: Quirks = match fs::read(case.join("quirks.json")) {
        Ok(json) => serde_json::from_slice(&json).unwrap(),
        Err(_) => Quirks::default(),
    };
    let request = fs::read_to_string(case.join("request.txt")).unwrap();
    let (path, query) = request.trim_end().split_once('?').unwrap_or((request.trim_end(), ""));
    let endpoint = endpoint_at(path).expect("a known endpoint");
    let nobody = |open_close: (String, String)| {
        ("nobody".to_owned(), format!("{}{}", open_close.0, open_close.1))
    };
    let Planned::Ask(plan) = endpoint.plan(Params::parse(query), &quirks) else {
        return nobody(endpoint.envelope(&quirks, 0));
    };
    let (rules, all) = (Rules::default(), Visibility::Everything);
    let pages = pages(case);
    let mut ids: Vec<Id<'static>> = Vec::new();
    if let Some(group) = plan.group() {
        for page in &pages {
            ids.extend(read_groups(dialect, page, &rules, &all).unwrap().1.ids(group));
        }
    }
    let Resolved::Ask(plan) = plan.resolve(ids) else {
        return nobody(endpoint.envelope(&quirks, 0));
    };
    let window = Window { offset: 0, limit: dialect.page_rows_max() };
    let target = dialect.page_request(Some(&plan.filter), window).target;
    let shape = Shape { endpoint, quirks: &quirks, filter: &plan.filter, visibility: &all };
    let mut body = Vec::new();
    for page in &pages {
        body.extend(read_rows(dialect, page, &rules, shape).unwrap().bytes);
    }
    let shown: Vec<serde_json::Value> = match body.is_empty() {
        true => Vec::new(),
        false => serde_json::from_str(&format!("[{}]", std::str::from_utf8(&body[1..]).unwrap()))
            .unwrap(),
    };
    let (open, close) = endpoint.envelope(&quirks, shown.len() as u64);
    let rows = String::from_utf8(body.get(1..).unwrap_or_default().to_vec()).unwrap();
    (target, format!("{open}{rows}{close}"))
}

fn check(case: &Path, file: &str, got: &str) {
    let path = case.join(file);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, format!("{got}\n")).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(expected.trim_end_matches('\n'), got, "{}", path.display());
}

#[test]
fn every_golden_case_comes_out_byte_for_byte() {
    let mut cases = 0;
    for endpoint in folders(&root()) {
        for case in folders(&endpoint) {
            let (target, legacy) = translate(&case);
            check(&case, "upstream.txt", &target);
            check(&case, "legacy.json", &legacy);
            cases += 1;
        }
    }
    assert!(cases >= 10, "only {cases} golden cases were found");
}

#[test]
fn every_endpoint_and_dialect_has_golden_cases() {
    for endpoint in ENDPOINTS {
        let cases = folders(&root().join(endpoint.name()));
        for dialect in DIALECTS {
            let prefix = format!("{}__", dialect.name());
            let has_case = cases
                .iter()
                .any(|case| case.file_name().unwrap().to_str().unwrap().starts_with(&prefix));
            assert!(has_case, "{} over {} has no golden case", endpoint.name(), dialect.name());
        }
    }
}

#[test]
fn every_field_of_every_endpoint_stands_in_the_ledger_for_every_dialect() {
    for endpoint in ENDPOINTS {
        for dialect in DIALECTS {
            let rows: Vec<_> = endpoint
                .losses()
                .iter()
                .filter(|loss| loss.dialect == dialect.name())
                .map(|loss| loss.field)
                .collect();
            assert_eq!(rows, endpoint.fields(), "{} over {}", endpoint.name(), dialect.name());
        }
        for loss in endpoint.losses() {
            assert_eq!(loss.endpoint, endpoint.name());
            assert!(loss.reason.ends_with('.'), "{}: a reason is a sentence", loss.field);
        }
    }
}

#[test]
fn records_show_the_documented_fields_in_the_documented_order() {
    let case = root().join("v1_users/voiso-v4__documented_user");
    let (_, legacy) = translate(&case);
    let mut at = 0;
    for field in ENDPOINTS[0].fields() {
        let found = legacy[at..].find(&format!("\"{field}\":")).expect(field);
        at += found;
    }
}
