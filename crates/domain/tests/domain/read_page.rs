//! Reading a page of any listing always returns, whatever the upstream sends: rows, or a short error
//! that quotes nothing of the page.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::sync::Arc;

use domain::id::IdPolicy;
use domain::legacy::{ENDPOINTS, Planned};
use domain::listing::{By, Listing, Owned, Which};
use domain::page::{Page, View};
use domain::params::Params;
use domain::plan::Resolved;
use domain::quirks::Quirks;
use domain::related::Related;
use domain::upstream::{Context, PageError, Refusal, Rules, SchemaKind, dialect_named};
use domain::visibility::Visibility;
use proptest::prelude::*;

/// A listing of a dialect, and a good page of it.
struct Sample {
    dialect: &'static str,
    listing: Listing,
    /// The key of the rows; `None` where the page is one row.
    rows: Option<&'static str>,
    page: &'static str,
}

impl Sample {
    fn metadata(&self) -> (&'static str, &'static str) {
        match self.dialect {
            "voiso-v4" => ("metadata", "total"),
            _ => ("meta", "totalCount"),
        }
    }
}

macro_rules! golden {
    ($case:literal) => {
        include_str!(concat!("../../golden/", $case))
    };
}

const ODD_TEXTS: &str = golden!("v1_users/voiso-v4__odd_texts/page_1.json");

fn samples() -> Vec<Sample> {
    let id = || Arc::from("8e22b1fe-d2ea-403d-8c03-000000000001");
    let of =
        |dialect| move |listing, rows, page| Sample { dialect, listing, rows: Some(rows), page };
    let (voiso, vonage) = (of("voiso-v4"), of("vonage-v4"));
    let one = |by| Sample {
        dialect: "vonage-v4",
        listing: Listing::User(by),
        rows: None,
        page: golden!("v1_users/vonage-v4__filter_extension/user.json"),
    };
    vec![
        voiso(Listing::Users(Which::Live), "users", ODD_TEXTS),
        voiso(Listing::Teams, "teams", golden!("v2_cdr_teams/voiso-v4__list_of_teams/teams.json")),
        vonage(
            Listing::Users(Which::Live),
            "users",
            golden!("v1_users/vonage-v4__documented_user/page_1.json"),
        ),
        vonage(
            Listing::Users(Which::Deleted),
            "users",
            golden!("v2_cdr_deleted_agents/vonage-v4__archived_users/page_1.json"),
        ),
        vonage(
            Listing::Owners(Owned::SupervisedTeams),
            "users",
            golden!("v1_users/vonage-v4__mapping_supervisor_in_teams/page_1.json"),
        ),
        one(By::Id(id())),
        one(By::DisplayId(id())),
        vonage(Listing::Teams, "groups", golden!("v2_cdr_teams/vonage-v4__odd_ids/teams.json")),
        vonage(
            Listing::TeamMembers(id()),
            "users",
            golden!(
                "v1_users/vonage-v4__documented_user/\
                 team_members_0a1b2c3d-0000-4000-8000-000000000001.json"
            ),
        ),
        vonage(
            Listing::Skills,
            "skills",
            golden!("v1_users/vonage-v4__documented_user/skills.json"),
        ),
        vonage(
            Listing::SkillMembers(id()),
            "users",
            golden!(
                "v1_users/vonage-v4__skill_levels/\
                 skill_members_5c111ab1-0000-4000-8000-000000000001.json"
            ),
        ),
        vonage(
            Listing::CallerIds,
            "callbackNumbers",
            golden!("v1_users/vonage-v4__mapping_caller_id_number/caller_ids.json"),
        ),
        vonage(
            Listing::OfUser(Owned::Skills, id()),
            "agentSkills",
            golden!(
                "v1_users/vonage-v4__skills_lacking/\
                 skills_of_8e22b1fe-d2ea-403d-8c03-000000000001.json"
            ),
        ),
        vonage(
            Listing::OfUser(Owned::SupervisedTeams, id()),
            "groupPermissions",
            golden!(
                "v1_users/vonage-v4__mapping_supervisor_in_teams/\
                 supervised_teams_of_8e22b1fe-d2ea-403d-8c03-000000000001.json"
            ),
        ),
        vonage(
            Listing::OfUser(Owned::Queues, id()),
            "queues",
            golden!(
                "v1_users/vonage-v4__mapping_assigned_queues/\
                 queues_of_8e22b1fe-d2ea-403d-8c03-000000000001.json"
            ),
        ),
    ]
}

/// Reads bytes as a page of a listing in every way there is; the number of rows.
fn read(dialect: &str, listing: &Listing, body: &[u8]) -> Result<usize, PageError> {
    let ids = if dialect == "vonage-v4" { IdPolicy::Hash } else { IdPolicy::Fail };
    let (rules, related) = (Rules { ids, ..Rules::default() }, Related::default());
    let context = Context { rules: &rules, related: &related, tells_keys: true };
    let page = Page {
        dialect: dialect_named(dialect).unwrap(),
        listing,
        body,
        record_bytes: None,
        context,
    };
    let (quirks, all) = (Quirks::default(), Visibility::Everything);
    let counted = page.read_items().map(|rows| rows.keys.len());
    for endpoint in ENDPOINTS {
        let Planned::Ask(plan) = endpoint.plan(Params::default(), &quirks) else { panic!() };
        let Resolved::Ask(plan) = plan.resolve(Vec::new()) else { panic!() };
        let (lists, filter) = (endpoint.lists(), &plan.filter);
        let view = View { lists, quirks: &quirks, filter, visibility: &all, unmapped: None };
        let rows = page.read_rows(&[Some(view)], &mut |_| {});
        let rows = rows.map(|rows| {
            if !rows.bytes.is_empty() {
                // Rows are whole JSON records.
                let text = std::str::from_utf8(&rows.bytes).unwrap();
                let _: Vec<serde_json::Value> =
                    serde_json::from_str(&format!("[{}]", &text[1..])).unwrap();
            }
            rows.keys.len()
        });
        assert_eq!(rows, counted, "{} of {dialect}", listing.name());
    }
    assert_eq!(page.read_groups(&all, &mut |_| {}).map(|(rows, _)| rows.keys.len()), counted);
    assert_eq!(page.read_users(&mut |_| {}).map(|rows| rows.keys.len()), counted);
    counted
}

/// Any bytes return, and an error has only our own words. `secret` stands in the page and must not
/// stand in an error.
fn check(sample: &Sample, body: &[u8], secret: &str) {
    if let Err(error) = read(sample.dialect, &sample.listing, body) {
        let (error, debug) = (error.to_string(), format!("{error:?}"));
        assert!(error.len() < 160, "{error}");
        for text in [&error, &debug] {
            assert!(secret.is_empty() || !text.contains(secret), "{text} quotes the page");
        }
    }
}

fn check_all(body: &[u8]) {
    for sample in samples() {
        check(&sample, body, "");
    }
}

fn kind(dialect: &str, listing: &Listing, body: &str) -> Option<SchemaKind> {
    match read(dialect, listing, body.as_bytes()) {
        Err(PageError::Schema(error)) => Some(error.kind),
        _ => None,
    }
}

fn voiso(body: &str) -> Option<SchemaKind> {
    kind("voiso-v4", &Listing::Users(Which::Live), body)
}

/// Text that no word of ours contains.
const SECRET: &str = "Xyzzy";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_bytes_return(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        check_all(&body);
    }

    #[test]
    fn any_json_like_text_returns(body in "[\\[\\]{}\",:0-9eE.+\\-a-z\\\\u ]{0,200}") {
        check_all(body.as_bytes());
    }

    #[test]
    fn a_page_with_some_bytes_changed_returns(
        sample in 0..15_usize,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let sample = &samples()[sample];
        let mut body = sample.page.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        check(sample, &body, "");
    }

    #[test]
    fn a_page_with_a_value_or_key_in_a_wrong_place_is_never_quoted(
        sample in 0..15_usize,
        at in any::<proptest::sample::Index>(),
        put in prop_oneof![
            Just(format!("\"{SECRET}\":")), Just(format!("\"{SECRET}\"")), Just(SECRET.to_owned()),
            Just(format!("{{\"{SECRET}\":1e400}}")), Just(format!("\"{SECRET}\":1e400,")),
            Just(format!("\"{SECRET}\":{{\"{SECRET}\":\"\\ud800\"}},")),
        ],
    ) {
        let sample = &samples()[sample];
        let places: Vec<usize> = sample.page.match_indices(['"', '{', '[']).map(|(at, _)| at).collect();
        let mut body = sample.page.to_owned();
        let at = places[at.index(places.len())];
        body.insert_str(at, &put);
        check(sample, body.as_bytes(), SECRET);
        // In the place of the old byte.
        let mut body = sample.page.to_owned();
        body.replace_range(at..=at, &put);
        check(sample, body.as_bytes(), SECRET);
    }

    #[test]
    fn a_page_that_breaks_off_is_never_a_list(
        sample in 0..15_usize,
        end in any::<proptest::sample::Index>(),
    ) {
        let sample = &samples()[sample];
        let end = end.index(sample.page.trim_end().len());
        let cut = &sample.page.as_bytes()[..end];
        prop_assert!(read(sample.dialect, &sample.listing, cut).is_err());
    }
}

#[test]
fn every_sample_is_read() {
    for sample in samples() {
        let rows = read(sample.dialect, &sample.listing, sample.page.as_bytes());
        assert!(rows.unwrap() > 0, "{} of {}", sample.listing.name(), sample.dialect);
    }
    assert_eq!(samples().len(), 15, "the properties choose among as many");
}

#[test]
fn other_shapes_are_refused_in_every_listing() {
    for sample in samples() {
        let (metadata, total) = sample.metadata();
        let rows = sample.rows.unwrap_or("users");
        let page = |rows_value: &str, total_value: &str| {
            format!("{{\"{rows}\":{rows_value},\"{metadata}\":{{\"{total}\":{total_value}}}}}")
        };
        let mut bad = vec![
            "[]".to_owned(),
            "null".to_owned(),
            "\"\"".to_owned(),
            "1".to_owned(),
            String::new(),
            format!("[{}]", sample.page),
            format!("{{\"items\":[],\"{metadata}\":{{\"{total}\":0}}}}"),
            "{\"message\":\"MESSAGE\"}".to_owned(),
            "{\"error\":\"any\"}".to_owned(),
            format!("{} {{}}", sample.page),
        ];
        if sample.rows.is_some() {
            let bad_rows = ["null", "{}", "\"\"", "[null]", "[1]", "[[]]", "[{}]", "[\"a\"]"];
            bad.extend(bad_rows.map(|value| page(value, "1")));
            let bad_totals =
                ["null", "\"0\"", "-1", "0.5", "1e400", "9223372036854775808", "1e2", "[]", "{}"];
            bad.extend(bad_totals.map(|value| page("[]", value)));
            bad.push("{}".to_owned());
            bad.push(format!("{{\"{rows}\":[]}}"));
            bad.push(format!("{{\"{rows}\":[],\"{metadata}\":{{}}}}"));
            bad.push(format!("{{\"{rows}\":[],\"{rows}\":[],\"{metadata}\":{{\"{total}\":0}}}}"));
            assert_eq!(read(sample.dialect, &sample.listing, page("[]", "0").as_bytes()), Ok(0));
        } else {
            bad.push(page("[]", "0"));
            bad.push("{\"userId\":null}".to_owned());
            bad.push("{\"username\":\"a\"}".to_owned());
            assert_eq!(read(sample.dialect, &sample.listing, b" {\n} "), Ok(0), "nobody");
        }
        for body in bad {
            let result = read(sample.dialect, &sample.listing, body.as_bytes());
            let is_refused = matches!(result, Err(PageError::Schema(_)));
            assert!(is_refused, "{} of {}: {body}", sample.listing.name(), sample.dialect);
            check(&sample, body.as_bytes(), "MESSAGE");
        }
    }
}

#[test]
fn an_error_beside_an_empty_list_is_an_error_and_not_nobody() {
    let read = |page: &str| read("voiso-v4", &Listing::Users(Which::Live), page.as_bytes());
    let page =
        |error: &str| format!("{{\"error\":{error},\"users\":[],\"metadata\":{{\"total\":0}}}}");
    let refused = Err(PageError::Refused(Refusal::Unauthorized));
    assert_eq!(read(&page("\"Unauthorized\"")), refused);
    assert_eq!(read("{\"error\":\"Unauthorized\"}"), refused);
    assert_eq!(read(&page("null")), Ok(0));
}

#[test]
fn a_repeated_key_is_read_only_by_vonage_and_only_if_it_says_the_same() {
    let keys = [
        ("userId", "x"),
        ("groupId", "x"),
        ("skillId", "x"),
        ("callbackNumberId", "x"),
        ("queueId", "x"),
        ("id", "1"),
        ("agentSkillLevel", "9"),
        ("role", "x"),
        ("agentDisplayId", "x"),
        ("name", "x"),
    ];
    let mut repeated = 0;
    for sample in samples() {
        for (key, other) in keys {
            let Some(at) = sample.page.find(&format!("\"{key}\":")) else { continue };
            let value = &sample.page[at + key.len() + 3..];
            let value = value[..value.find([',', '}', '\n']).unwrap()].trim();
            // Keys that the listing does not read are skipped, however often they stand there.
            let is_read = match &sample.listing {
                Listing::Users(_) | Listing::User(_) | Listing::Owners(_) => true,
                Listing::TeamMembers(_) | Listing::SkillMembers(_) => {
                    key == "userId" || key == "agentSkillLevel"
                }
                _ => {
                    sample.dialect == "voiso-v4"
                        || key.ends_with("Id") && key != "agentDisplayId" && key != "userId"
                        || key == "agentSkillLevel"
                }
            };
            let with = |value: &str| {
                let mut page = sample.page.to_owned();
                page.insert_str(at, &format!("\"{key}\": {value}, "));
                read(sample.dialect, &sample.listing, page.as_bytes())
            };
            let name = format!("{key} in {} of {}", sample.listing.name(), sample.dialect);
            let is_accepted = sample.dialect == "vonage-v4" || !is_read;
            assert_eq!(with(value).is_ok(), is_accepted, "{name}, the same: {:?}", with(value));
            let other =
                if value.starts_with('"') { format!("\"{other}\"") } else { "77".to_owned() };
            assert_eq!(with(&other).is_ok(), !is_read, "{name}, another: {:?}", with(&other));
            repeated += 1;
        }
    }
    assert!(repeated > 20, "only {repeated}");
}

#[test]
fn numbers_are_taken_where_text_is_meant_only_for_ids_and_never_cut() {
    let vonage = |listing: &Listing, page: String| kind("vonage-v4", listing, &page);
    let teams = |id: &str| {
        let group = format!("{{\"groupId\":\"a\",\"groupDisplayId\":{id}}}");
        let page = format!("{{\"groups\":[{group}],\"meta\":{{\"totalCount\":1}}}}");
        vonage(&Listing::Teams, page)
    };
    for good in ["0", "44587", "18446744073709551615", "\"18446744073709551616\"", "\"030\""] {
        assert_eq!(teams(good), None, "{good}");
    }
    for bad in ["-1", "1.5", "18446744073709551616", "1e400", "true", "null", "[]", "{}", "\"\""] {
        assert_eq!(teams(bad), Some(SchemaKind::BadSchema), "{bad}");
    }
    let level = |level: &str| {
        let member = format!("{{\"userId\":\"a\",\"agentSkillLevel\":{level}}}");
        let page = format!("{{\"users\":[{member}],\"meta\":{{\"totalCount\":1}}}}");
        vonage(&Listing::SkillMembers(Arc::from("s")), page)
    };
    for good in ["0", "6", "\"6\"", "\"\"", "null", "4294967295", "\"4294967295\""] {
        assert_eq!(level(good), None, "{good}");
    }
    for bad in ["-1", "6.0", "4294967296", "\"4294967296\"", "\"six\"", "\"+6\"", "\" 6\"", "true"]
    {
        assert_eq!(level(bad), Some(SchemaKind::BadSchema), "{bad}");
    }
}

#[test]
fn bombs_of_nesting_are_refused_without_a_deep_stack() {
    for deep in [29, 33, 128, 100_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let bomb = format!("{}1{}", open.repeat(deep), close.repeat(deep));
            for sample in samples() {
                check(&sample, bomb.as_bytes(), "");
                let (metadata, total) = sample.metadata();
                let Some(rows) = sample.rows else { continue };
                let tail = format!("\"{metadata}\":{{\"{total}\":0}}");
                let unread = format!("{{\"x\":{bomb},\"{rows}\":[],{tail}}}");
                let page = format!("{{\"{rows}\":{bomb},{tail}}}");
                let kind = |body: &str| kind(sample.dialect, &sample.listing, body);
                assert!(matches!(kind(&unread), Some(SchemaKind::BadJson { .. })), "{deep} {open}");
                assert!(kind(&page).is_some(), "{deep} {open}");
            }
        }
    }
    let shallow = format!("{}1{}", "[".repeat(28), "]".repeat(28));
    let page = format!("{{\"x\":{shallow},\"users\":[],\"metadata\":{{\"total\":0}}}}");
    assert_eq!(voiso(&page), None);
}

#[test]
fn unread_fields_are_checked_as_strictly_as_the_others() {
    let page = |extra: &str| format!("{{\"users\":[],\"metadata\":{{\"total\":0}},\"x\":{extra}}}");
    assert_eq!(voiso(&page("{\"new\":[1,2.5,null,true,\"\\ud83c\\udfa7\"]}")), None);
    for broken in ["\"\\ud800\"", "[1,]", "{\"\\ud800\":1}", "nul", "01", "'a'"] {
        assert!(matches!(voiso(&page(broken)), Some(SchemaKind::BadJson { .. })), "{broken}");
    }
    assert_eq!(voiso(&page("1e400")), Some(SchemaKind::BadSchema));
}

#[test]
fn an_error_names_its_place_in_our_own_words() {
    let check = |sample: &Sample, change: &str, with: &str, expected: &str| {
        let body = sample.page.replacen(change, with, 1);
        assert_ne!(body, sample.page);
        let error = read(sample.dialect, &sample.listing, body.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(expected), "wanted {expected}, got {error}");
    };
    let samples = samples();
    let voiso = &samples[0];
    check(voiso, "\"value\": 10", "\"value\": 11", "unexpected shape at users[0].skills[0].value");
    check(voiso, "\"teams\": [", "\"teams\": {}, \"t\": [", "unexpected shape at users[0].teams");
    check(
        voiso,
        "\"id\": \"42\"",
        "\"id\": \"4x\"",
        "an id without a legacy number at users[0].id",
    );
    check(voiso, "\"total\": 1", "\"total\": \"1\"", "unexpected shape at metadata.total");
    check(voiso, "\"users\"", "\"Users\"", "unexpected shape at users");
    check(voiso, "{", "{\"Janedoe\":1e400,", "unexpected shape at .?");
    let of = |listing: Listing| {
        samples.iter().find(|one| one.dialect == "vonage-v4" && one.listing == listing).unwrap()
    };
    let users = of(Listing::Users(Which::Live));
    let role = "unexpected shape at users[0].userAccountConfiguration.role";
    check(users, "\"role\": \"Wallboard\"", "\"role\": 5", role);
    check(users, "\"totalCount\": 1", "\"totalCount\": []", "unexpected shape at meta.totalCount");
    check(users, "\"meta\"", "\"metadata\"", "unexpected shape at meta");
    let number = "unexpected shape at callbackNumbers[0].callbackNumberId";
    check(of(Listing::CallerIds), "\"callbackNumberId\"", "\"Janedoe\"", number);
    let one = &samples[5];
    check(one, "\"userId\"", "\"id\"", "unexpected shape at userId");
    check(one, "\"active\": true", "\"active\": 1", "unexpected shape at active");
}
