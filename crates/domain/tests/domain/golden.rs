//! Golden files: a legacy request and the upstream's pages give exactly these legacy bytes.
//!
//! `golden/<endpoint>/<dialect>__<case>/` holds the request and what the upstream sends:
//!
//! - `request.txt`: the request target.
//! - `page_1.json`, `page_2.json`...: the list of users; `user.json`: one user, asked for alone.
//! - `messages.json`: the list of messages; `answer.json`: the answer to a call.
//! - Listings that are joined to users, where the dialect has them: `teams.json`,
//!   `team_members_<id>.json`, `skills.json`, `skill_members_<id>.json`, `caller_ids.json`,
//!   `skills_of_<id>.json`, `supervised_teams_of_<id>.json`, `queues_of_<id>.json`. A file that is
//!   not there is a 404.
//! - `rules.json`, `quirks.json`, `sees.json`: settings of the upstream, of the endpoint, and what
//!   the caller sees.
//!
//! The expected results: `upstream.txt` (the target of every request, in order; `nobody` where no row
//! can fit, `not offered` where the vendor has nothing of the kind, `Contradiction` where a parameter
//! has two values) and `legacy.json`, or `error.txt` where the list cannot be answered. Inputs come
//! from the vendor's pages. `UPDATE_EXPECT=1` rewrites the expected results.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::{Answer, Call, NOT_OFFERED};
use domain::call::WantedCall;
use domain::id::{IdMap, IdPolicy, Unnumbered};
use domain::ledger;
use domain::legacy::{ENDPOINTS, Planned, endpoint_at};
use domain::listing::{Listing, Owned};
use domain::params::Params;
use domain::quirks::Quirks;
use domain::upstream::{
    CallAnswer, DIALECTS, DeletionDate, Dialect, Mapping, Rules, dialect_named,
};
use domain::visibility::{Only, Visibility};
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn entries(path: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found: Vec<_> = read.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn folders(path: &Path) -> Vec<PathBuf> {
    entries(path).into_iter().filter(|path| path.is_dir()).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn settings<T: DeserializeOwned>(case: &Path, file: &str) -> Option<T> {
    let json = fs::read(case.join(file)).ok()?;
    let read = serde_json::from_slice(&json);
    Some(read.unwrap_or_else(|error| panic!("{}/{file}: {error}", case.display())))
}

/// Settings of an upstream, spelled as in the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    id_policy: String,
    #[serde(default)]
    id_map: BTreeMap<String, u64>,
    #[serde(default)]
    unnumbered: Unnumbered,
    #[serde(default)]
    mapping: Mapping,
    #[serde(default)]
    deleted_at: DeletionDate,
}

fn rules(case: &Path, dialect: &str) -> Rules {
    let Some(file) = settings::<RulesFile>(case, "rules.json") else {
        // The defaults of the configuration.
        let ids = if dialect == "vonage-v4" { IdPolicy::Hash } else { IdPolicy::Fail };
        return Rules { ids, ..Rules::default() };
    };
    let mut table = IdMap::default();
    for (id, number) in &file.id_map {
        assert!(table.add(id, *number), "{id} stands in the table twice");
    }
    let ids = match &*file.id_policy {
        "fail" => IdPolicy::Fail,
        "hash" => IdPolicy::Hash,
        "map" => IdPolicy::Map(Arc::new(table)),
        "agent_display_id" => IdPolicy::DisplayId,
        other => panic!("{}: no id policy {other}", case.display()),
    };
    let RulesFile { unnumbered, mapping, deleted_at, .. } = file;
    Rules { ids, unnumbered, mapping: Arc::new(mapping), deleted_at }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SeesFile {
    teams: Vec<u64>,
    groups: Vec<String>,
    users: Vec<u64>,
}

fn sees(case: &Path) -> Visibility {
    let Some(SeesFile { teams, groups, users }) = settings(case, "sees.json") else {
        return Visibility::Everything;
    };
    let teams = teams.iter().map(u64::to_string).collect();
    Visibility::Only(Only { teams, groups, users })
}

/// The file that holds a listing, but for the list of users.
fn file_of(listing: &Listing) -> String {
    let plain = |id: &str| id.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
    match listing {
        Listing::Users(_) | Listing::Owners(_) => unreachable!("pages of users have numbers"),
        Listing::User(_) => "user.json".to_owned(),
        Listing::Teams => "teams.json".to_owned(),
        Listing::Messages => "messages.json".to_owned(),
        Listing::Skills => "skills.json".to_owned(),
        Listing::CallerIds => "caller_ids.json".to_owned(),
        Listing::TeamMembers(id) => format!("team_members_{}.json", plain(id)),
        Listing::SkillMembers(id) => format!("skill_members_{}.json", plain(id)),
        Listing::OfUser(Owned::Skills, id) => format!("skills_of_{}.json", plain(id)),
        Listing::OfUser(Owned::SupervisedTeams, id) => {
            format!("supervised_teams_of_{}.json", plain(id))
        }
        Listing::OfUser(Owned::Queues, id) => format!("queues_of_{}.json", plain(id)),
    }
}

fn translate(case: &Path) -> Answer {
    let dialect = name(case).split("__").next().unwrap();
    let request = fs::read_to_string(case.join("request.txt")).unwrap();
    let (path, query) = request.trim_end().split_once('?').unwrap_or((request.trim_end(), ""));
    let endpoint = endpoint_at(path).expect("a known endpoint");
    if endpoint.places_calls() {
        return called(case, dialect_named(dialect).expect("a known dialect"), query);
    }
    let call = Call {
        dialect: dialect_named(dialect).expect("a known dialect"),
        endpoint,
        query,
        quirks: &settings(case, "quirks.json").unwrap_or_else(Quirks::default),
        rules: &rules(case, dialect),
        visibility: &sees(case),
    };
    if endpoint.plan(Params::parse(query), call.quirks) == Planned::Unclear {
        return Answer { targets: vec!["Contradiction".to_owned()], body: Ok(String::new()) };
    }
    let used = RefCell::new(BTreeSet::new());
    let read = |path: &Path| {
        used.borrow_mut().insert(path.to_owned());
        fs::read(path).ok()
    };
    let answer = call.answer(&|listing| match listing {
        Listing::Users(_) | Listing::Owners(_) => {
            let files = entries(case).into_iter().filter(|path| name(path).starts_with("page_"));
            Some(files.map(|path| read(&path).unwrap()).collect())
        }
        listing => read(&case.join(file_of(listing))).map(|body| vec![body]),
    });
    let is_known = |path: &Path| {
        let others = ["quirks.json", "rules.json", "sees.json", "legacy.json", "error.txt"];
        used.borrow().contains(path)
            || others.contains(&name(path))
            || ["request.txt", "upstream.txt"].contains(&name(path))
            // Where no user can fit, nothing is asked for.
            || answer.targets == ["nobody"]
    };
    for path in entries(case) {
        assert!(is_known(&path), "{} is not asked for", path.display());
    }
    answer
}

/// A call of the user with the id 1234: what is sent, and what `answer.json` is to the client.
fn called(case: &Path, dialect: &dyn Dialect, query: &str) -> Answer {
    let not_offered = || Answer { targets: vec![NOT_OFFERED.to_owned()], body: Ok(String::new()) };
    let wanted = match WantedCall::of(Params::parse(query).without_keys()) {
        Ok(wanted) => wanted,
        Err(unfit) => {
            return Answer { targets: vec![format!("{unfit:?}")], body: Ok(String::new()) };
        }
    };
    let Some(request) = dialect.call_request("1234", &wanted) else { return not_offered() };
    let answer = dialect.call_answer(&fs::read(case.join("answer.json")).unwrap());
    let CallAnswer::Placed(id) = answer else { panic!("{answer:?}") };
    let id = id.filter(|_| wanted.wants_id);
    let body = id.map(|id| format!("{{\"call_id\":\"{id}\"}}")).unwrap_or_default();
    Answer { targets: vec![format!("POST {}", request.target), request.body], body: Ok(body) }
}

/// Compares a file with the result; without a result there must be no file.
fn check(case: &Path, file: &str, got: Option<&str>) {
    let path = case.join(file);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        match got {
            Some(got) => fs::write(&path, format!("{got}\n")).unwrap(),
            None => _ = fs::remove_file(&path),
        }
    }
    let expected = fs::read_to_string(&path).ok();
    let expected = expected.as_deref().map(|text| text.trim_end_matches('\n'));
    assert_eq!(expected, got, "{}", path.display());
}

#[test]
fn every_golden_case_comes_out_byte_for_byte() {
    let mut cases = 0;
    for endpoint in folders(&root()) {
        for case in folders(&endpoint) {
            let answer = translate(&case);
            let error = answer.body.as_ref().err().map(ToString::to_string);
            check(&case, "upstream.txt", Some(&answer.targets.join("\n")));
            let is_offered = answer.targets != [NOT_OFFERED];
            check(
                &case,
                "legacy.json",
                answer.body.as_deref().ok().filter(|body| is_offered && !body.is_empty()),
            );
            check(&case, "error.txt", error.as_deref());
            cases += 1;
        }
    }
    assert!(cases >= 100, "only {cases} golden cases were found");
}

#[test]
fn every_endpoint_and_dialect_has_golden_cases() {
    for endpoint in ENDPOINTS {
        let cases = folders(&root().join(endpoint.name()));
        for dialect in DIALECTS {
            let prefix = format!("{}__", dialect.name());
            let has_case = cases.iter().any(|case| name(case).starts_with(&prefix));
            assert!(has_case, "{} over {} has no golden case", endpoint.name(), dialect.name());
        }
    }
}

#[test]
fn every_field_of_every_endpoint_stands_in_the_ledger_for_every_dialect() {
    for endpoint in ENDPOINTS {
        for dialect in DIALECTS {
            let rows: Vec<_> = ledger::rows()
                .filter(|loss| loss.endpoint == endpoint.name() && loss.dialect == dialect.name())
                .collect();
            let fields: Vec<_> = rows.iter().map(|loss| loss.field).collect();
            // A part of a request that is refused has a row behind the fields.
            let refused = endpoint.places_calls().then_some("stopcall");
            let all = endpoint.fields().chain(refused);
            assert!(all.eq(fields), "{} over {}", endpoint.name(), dialect.name());
            for loss in rows {
                assert!(loss.reason.ends_with('.'), "{}: a reason is a sentence", loss.field);
            }
        }
    }
    for loss in ledger::rows() {
        let is_endpoint = ENDPOINTS.iter().any(|endpoint| endpoint.name() == loss.endpoint);
        assert!(is_endpoint, "{}: no such endpoint", loss.endpoint);
        assert!(dialect_named(loss.dialect).is_some(), "{}: no such dialect", loss.dialect);
    }
}

#[test]
fn records_show_the_documented_fields_in_the_documented_order() {
    for endpoint in ENDPOINTS.iter().filter(|endpoint| !endpoint.places_calls()) {
        for dialect in DIALECTS {
            let mut records = 0;
            for case in folders(&root().join(endpoint.name())) {
                let legacy = fs::read_to_string(case.join("legacy.json")).unwrap_or_default();
                let begins = if endpoint.has_pages() { "{\"templates\":[{" } else { "[{" };
                if !name(&case).starts_with(dialect.name()) || !legacy.starts_with(begins) {
                    continue;
                }
                let mut at = 0;
                for field in endpoint.fields() {
                    let found = legacy[at..].find(&format!("\"{field}\":"));
                    at += found.unwrap_or_else(|| panic!("{}: {field}", case.display()));
                }
                records += 1;
            }
            let is_offered = dialect.has(&Listing::Messages) || !endpoint.has_pages();
            assert_eq!(
                records > 0,
                is_offered,
                "{} over {} shows nothing",
                endpoint.name(),
                dialect.name()
            );
        }
    }
}
