//! A made-up validation with findings of every cause. It must never contain data of a person.

use std::collections::BTreeMap;

use report::{
    Cause, Example, FORMAT, FieldReport, Finding, LeftOut, Loss, Outcome, PropertyReport, Report,
    ScenarioReport, Side, Suggestion, Totals, V4Call, Verdict,
};

const V1: &str = "v1_users";
const V3: &str = "v3_cdr_users";
const TEAMS: &str = "v2_cdr_teams";
const DELETED: &str = "v2_cdr_deleted_agents";

/// Endpoint, path, fields, records in one answer.
const ENDPOINTS: [(&str, &str, &[&str], u64); 4] = [
    (V1, "/api/user_management/v1/users", &USER_FIELDS, 412),
    (V3, "/api/v3/cdr/users", &USER_FIELDS, 412),
    (TEAMS, "/api/v2/cdr/teams", &["id", "name"], 38),
    (DELETED, "/api/v2/cdr/deleted_agents", &["id", "name", "email", "deleted_at"], 57),
];
const USER_FIELDS: [&str; 15] = [
    "id",
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
const PARTS: [&str; 6] =
    ["$status", "$header.content-type", "$envelope", "$error", "$records", "$order"];

fn times(causes: &[(Cause, u64)]) -> BTreeMap<Cause, u64> {
    causes.iter().copied().collect()
}

/// A validation with findings of every cause.
pub(crate) fn rich() -> Report {
    let fields = fields();
    let scenarios = scenarios();
    let mut totals = Totals {
        scenarios: scenarios.len() as u64,
        control_requests: 321,
        control_requests_extra: 9,
        candidate_requests: 312,
        upstream_calls: Some(1_904),
        records: fields
            .iter()
            .filter(|field| field.field == "id")
            .map(|field| field.compared)
            .sum(),
        undecided: scenarios.iter().filter(|one| one.outcome == Outcome::Undecided).count() as u64,
        ..Totals::default()
    };
    for field in &fields {
        totals.compared += field.compared;
        totals.matched += field.matched;
        totals.ignored += field.ignored;
        for (cause, n) in &field.causes {
            *totals.causes.entry(*cause).or_default() += n;
        }
    }
    let mut report = Report {
        format: FORMAT,
        version: "0.1.0".to_owned(),
        verdict: Verdict::Differ,
        remarks: vec!["The server does not look like Tieline.".to_owned()],
        because: "14 values differ, and nothing known explains it.".to_owned(),
        started_at: "2026-01-31T08:15:00Z".to_owned(),
        seconds: 194.6,
        control: Some(Side {
            kind: "live".to_owned(),
            name: "https://cc-ams03.voiso.example".to_owned(),
        }),
        candidate: Side { kind: "in process".to_owned(), name: "tieline.toml".to_owned() },
        dialect: "voiso-v4".to_owned(),
        totals,
        fields,
        scenarios,
        findings: findings(),
        settings: settings(),
        properties: properties(),
        ledger: ledger(),
        calls: calls(),
        replayed: None,
        left_out: LeftOut {
            endpoints: vec!["v9_users".to_owned()],
            fields: vec!["v1_users.webrtc_ringtone".to_owned(), "v1_users.sga".to_owned()],
            fields_unseen: vec!["v1_users.sga".to_owned()],
            filtered: 3,
            values: 14,
            pairs: 1,
            noisy: Vec::new(),
        },
    };
    report.sort();
    report
}

fn fields() -> Vec<FieldReport> {
    let mut fields = Vec::new();
    for (endpoint, _, names, records) in ENDPOINTS {
        for field in names.iter().chain(&PARTS) {
            let compared = if field.starts_with('$') { 78 } else { records * 31 };
            let causes = times(field_causes(endpoint, field));
            let ignored = if *field == "webrtc_ringtone" { compared } else { 0 };
            let compared = if ignored > 0 { 0 } else { compared };
            fields.push(FieldReport {
                endpoint: endpoint.to_owned(),
                field: (*field).to_owned(),
                distinct: if compared > 0 && !field.starts_with('$') { records } else { compared },
                compared,
                matched: compared - causes.values().sum::<u64>(),
                ignored,
                causes,
            });
        }
    }
    fields
}

fn field_causes(endpoint: &str, field: &str) -> &'static [(Cause, u64)] {
    match (endpoint, field) {
        (V1, "assigned_teams") => &[(Cause::Bug, 12), (Cause::Order, 31)],
        (DELETED, "$error") => &[(Cause::Bug, 2)],
        (V1, "supervisor_in_teams") => &[(Cause::Quirk, 1_204)],
        (V1 | V3, "caller_id") => &[(Cause::Quirk, 3_811), (Cause::DeclaredLoss, 96)],
        (V1, "email") => &[(Cause::UpstreamData, 7), (Cause::Race, 1)],
        (V1, "extension") => &[(Cause::Race, 3)],
        (V3, "assigned_channels") => &[(Cause::DeclaredLoss, 412)],
        (TEAMS, "$order") => &[(Cause::Noise, 4)],
        (DELETED, "deleted_at") => &[(Cause::DeclaredLoss, 57)],
        _ => &[],
    }
}

fn scenarios() -> Vec<ScenarioReport> {
    let mut scenarios = Vec::new();
    for (endpoint, path, names, records) in ENDPOINTS {
        for index in 0..78_u64 {
            let field = names[(index % names.len() as u64) as usize];
            let (group, shape) = match index % 7 {
                0 => ("all", format!("GET {path}")),
                1 | 2 => ("filter", format!("GET {path}?filter[{field}]=..")),
                3 => ("pair", format!("GET {path}?filter[sag]=..&filter[{field}]=..")),
                4 => ("unknown value", format!("GET {path}?{field}=..")),
                5 => ("odd characters", format!("GET {path}?{field}=..&key=..")),
                _ => ("bad key", format!("GET {path}?key=..")),
            };
            let (outcome, causes, why) = outcome(endpoint, index);
            let found = if group == "bad key" { 0 } else { records / (1 + index % 7) };
            scenarios.push(ScenarioReport {
                id: format!("{endpoint}/{}/{field}/{index}", group.replace(' ', "_")),
                endpoint: endpoint.to_owned(),
                shape,
                group: group.to_owned(),
                outcome,
                control_records: found,
                candidate_records: found,
                causes: times(causes),
                undecided_because: why.map(str::to_owned),
                control_ms: 84.0 + (index * 37 % 211) as f64,
                candidate_ms: 61.0 + (index * 53 % 97) as f64,
            });
        }
    }
    scenarios
}

type Went = (Outcome, &'static [(Cause, u64)], Option<&'static str>);

fn outcome(endpoint: &str, index: u64) -> Went {
    match (endpoint, index) {
        (V1, 8 | 15) => (Outcome::Different, &[(Cause::Bug, 6), (Cause::Quirk, 4)], None),
        (DELETED, 6) => (Outcome::Different, &[(Cause::Bug, 2)], None),
        (V3, 40) => (Outcome::Undecided, &[], Some("The legacy API answered 503 three times.")),
        (TEAMS, 12 | 19) => (Outcome::Undecided, &[], Some("The request budget was used up.")),
        (V1 | V3, n) if n % 9 == 0 => {
            (Outcome::Explained, &[(Cause::Quirk, 98), (Cause::DeclaredLoss, 3)], None)
        }
        (TEAMS, n) if n % 20 == 1 => (Outcome::Explained, &[(Cause::Noise, 1)], None),
        (V1, n) if n % 25 == 7 => {
            (Outcome::Explained, &[(Cause::Race, 1), (Cause::Order, 9)], None)
        }
        _ => (Outcome::Equal, &[], None),
    }
}

fn finding(
    (endpoint, field, kind): (&str, &str, &str),
    cause: Cause,
    count: u64,
    why: &str,
    examples: &[(&str, &str, &str, &str)],
) -> Finding {
    let example = |(scenario, record, control, candidate): &(&str, &str, &str, &str)| Example {
        scenario: (*scenario).to_owned(),
        part: (*record == "28990").then(|| "only the legacy API has \"3801\"".to_owned()),
        record: (!record.is_empty()).then(|| (*record).to_owned()),
        control: (*control).to_owned(),
        candidate: (*candidate).to_owned(),
    };
    Finding {
        endpoint: endpoint.to_owned(),
        field: field.to_owned(),
        kind: kind.to_owned(),
        cause,
        why: why.to_owned(),
        count,
        records: if cause == Cause::Bug { count.div_ceil(4) } else { 0 },
        answers: if cause == Cause::Bug { count } else { 0 },
        examples: examples.iter().map(example).collect(),
    }
}

fn findings() -> Vec<Finding> {
    let teams = r#""3623, 3640, 3702, 3718""#;
    let channels = (
        r#"[{"type":"WhatsApp","name":"xxxxxx xx","value":31000000000}]"#,
        r#"[{"type":"whatsapp_business","name":"xxxxxx xx","value":31000000000}]"#,
    );
    vec![
        finding(
            (V1, "assigned_teams", "value"),
            Cause::Bug,
            12,
            "Tieline leaves out a team of users who are in more than three; no setting and no row of the ledger explains it.",
            &[
                ("v1_users/filter/webrtc_ringtone/8", "28982", teams, r#""3623, 3640, 3702""#),
                (
                    "v1_users/filter/id/15",
                    "28990",
                    r#""3623, 3702, 3718, 3801""#,
                    r#""3623, 3702, 3718""#,
                ),
            ],
        ),
        finding(
            (DELETED, "$error", "value"),
            Cause::Bug,
            2,
            "The body of the answer to a wrong key has another text.",
            &[(
                "v2_cdr_deleted_agents/bad_key/email/6",
                "",
                r#"{"error":"Invalid API key"}"#,
                r#"{"error":"invalid key"}"#,
            )],
        ),
        finding(
            (V1, "email", "value"),
            Cause::UpstreamData,
            7,
            "The new API has the value of Tieline; the legacy API has another value.",
            &[(
                "v1_users/all/id/0",
                "29011",
                r#""xxxx.xxxxx@xxxxxxx.example""#,
                r#""xxxx@xxxxxxx.example""#,
            )],
        ),
        finding(
            (V1, "supervisor_in_teams", "value"),
            Cause::Quirk,
            1_204,
            "Under supervisor_in_teams = \"names\" it would be equal.",
            &[("v1_users/all/id/0", "28982", r#""Xxxxx Xxxx, Xxxxxxx""#, r#""3623, 3640""#)],
        ),
        finding(
            (V1, "caller_id", "value"),
            Cause::Quirk,
            3_811,
            "A row of caller_id_groups would make it equal.",
            &[("v1_users/all/id/0", "28982", r#""Xxxxxxxxx""#, r#""31000000000""#)],
        ),
        finding(
            (V3, "assigned_channels[].type", "value"),
            Cause::DeclaredLoss,
            412,
            "The ledger calls it dictionary, and the slug has no entry.",
            &[("v3_cdr_users/all/id/0", "28982", channels.0, channels.1)],
        ),
        finding(
            (V3, "caller_id", "absent"),
            Cause::DeclaredLoss,
            96,
            "The ledger calls it dictionary.",
            &[("v3_cdr_users/all/id/0", "29044", r#""Xxxxxxxxx""#, "(absent)")],
        ),
        finding(
            (V1, "assigned_teams", "order"),
            Cause::Order,
            31,
            "The same names in another order.",
            &[("v1_users/all/id/0", "28983", r#""3640, 3623""#, r#""3623, 3640""#)],
        ),
        finding(
            (V1, "extension", "value"),
            Cause::Race,
            3,
            "Asked again, the legacy API gave the value of Tieline.",
            &[("v1_users/all/timezone/7", "28985", r#""1102""#, "null")],
        ),
        finding(
            (TEAMS, "$order", "order"),
            Cause::Noise,
            4,
            "The legacy API gave two orders.",
            &[],
        ),
    ]
}

fn settings() -> Vec<Suggestion> {
    let setting = |table: &str, line: &str, evidence, against| Suggestion {
        table: table.to_owned(),
        line: line.to_owned(),
        evidence,
        against,
    };
    vec![
        setting("legacy.v1_users", "supervisor_in_teams = \"names\"", 1_204, 0),
        setting("legacy.v1_users.caller_id_groups", "\"31000000000\" = \"Xxxxxxxxx\"", 2_114, 0),
        setting("legacy.v1_users.caller_id_groups", "\"31000000001\" = \"Xxxxxx\"", 1_697, 2),
        setting("legacy.v3_cdr_users", "agent_in_teams = \"names\"", 3, 9),
    ]
}

fn properties() -> Vec<PropertyReport> {
    let property = |name: &str, endpoint: &str, says: &str, tried, seen: &[&str]| PropertyReport {
        name: name.to_owned(),
        endpoint: endpoint.to_owned(),
        says: says.to_owned(),
        tried,
        failed: seen.len() as u64,
        seen: seen.iter().map(|seen| (*seen).to_owned()).collect(),
    };
    let mut all = vec![property(
        "teams_exist",
        V1,
        "Every team that a user names is listed by v2_cdr_teams.",
        412,
        &["Record 28990 names a team that is not listed."],
    )];
    for (endpoint, ..) in ENDPOINTS {
        all.push(property(
            "filtered_is_part_of_all",
            endpoint,
            "What a filter finds is listed without it too.",
            64,
            &[],
        ));
        all.push(property(
            "repeated",
            endpoint,
            "The same request gives the same answer.",
            12,
            &[],
        ));
    }
    all.push(property("groups_partition", V3, "Each user is in exactly one group.", 0, &[]));
    all
}

fn ledger() -> Vec<Loss> {
    let mut ledger = Vec::new();
    for (endpoint, _, names, _) in ENDPOINTS {
        for field in names {
            let (status, reason) = match *field {
                "id" => ("derived", "v4 sends a decimal string and v1 promised a number."),
                "sag" => ("renamed", "The name inside v4's security_access_group object."),
                "caller_id" => (
                    "dictionary",
                    "v1 named the caller-id group and v4 gives a number: the number is shown unless caller_id_groups has its group.",
                ),
                "deleted_at" => ("unavailable", "v4 does not tell when a user was deleted."),
                "assigned_channels" => {
                    ("dictionary", "v4's channel_profiles: the type by a dictionary of slugs.")
                }
                _ => ("exact", "The same text."),
            };
            ledger.push(Loss {
                endpoint: endpoint.to_owned(),
                field: (*field).to_owned(),
                dialect: "voiso-v4".to_owned(),
                status: status.to_owned(),
                code: String::new(),
                reason: reason.to_owned(),
            });
        }
    }
    ledger
}

fn calls() -> Vec<V4Call> {
    let call = |legacy: &str, v4: &str, calls| V4Call {
        legacy: legacy.to_owned(),
        v4: v4.to_owned(),
        calls,
    };
    vec![
        call("GET /api/user_management/v1/users", "GET /api/v4/users?limit=100&offset=0", 5),
        call(
            "GET /api/user_management/v1/users?filter[sag]=..",
            "GET /api/v4/security_access_groups?limit=100&offset=0",
            3,
        ),
        call(
            "GET /api/v3/cdr/users?filter[email]=..",
            "GET /api/v4/users?email=..&limit=100&offset=0",
            1,
        ),
        call("GET /api/v2/cdr/teams", "GET /api/v4/teams?limit=100&offset=0", 1),
        call(
            "GET /api/v2/cdr/deleted_agents",
            "GET /api/v4/users?include=archived&limit=100&offset=0",
            6,
        ),
    ]
}
