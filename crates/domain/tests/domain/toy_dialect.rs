//! A third dialect is one file and one line: `toy.rs` speaks a wire of its own, and the endpoints, the
//! filters, the ledger and the answers take it as it is.
#![expect(clippy::unwrap_used, reason = "a test may")]

mod toy;

use crate::support::{Answer, Call};
use domain::ledger;
use domain::legacy::endpoint_at;
use domain::listing::Listing;
use domain::quirks::Quirks;
use domain::upstream::{Dialect, Rules};
use domain::visibility::Visibility;

/// The one line.
static TOY: &dyn Dialect = &toy::Toy;

const PAGE: &str = r#"{
    "people": [
        {"no": 7, "called": "Ann", "mail": "ann@toy.example", "desk": "12", "crews": [[4, "Night"]]},
        {"no": 8, "called": "Bob", "crews": []}
    ],
    "count": 2
}"#;

fn answer(target: &str, page: &str) -> Answer {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let call = Call {
        dialect: TOY,
        endpoint: endpoint_at(path).unwrap(),
        query,
        quirks: &Quirks::default(),
        rules: &Rules::default(),
        visibility: &Visibility::Everything,
    };
    call.answer(&|listing| match listing {
        Listing::Users(_) => Some(vec![page.as_bytes().to_vec()]),
        _ => None,
    })
}

const ANN: &str = "{\"id\":7,\"name\":\"Ann\",\"email\":\"ann@toy.example\",\"sip_account\":null,\
    \"sag\":null,\"extension\":\"12\",\"caller_id\":null,\"timezone\":null,\"webrtc_ringtone\":null,\
    \"assigned_teams\":\"4\",\"supervisor_in_teams\":\"\",\"assigned_skills\":[],\
    \"assigned_queues\":\"\",\"employee_id\":null,\"assigned_channels\":[]}";

const BOB: &str = "{\"id\":8,\"name\":\"Bob\",\"email\":null,\"sip_account\":null,\"sag\":null,\
    \"extension\":null,\"caller_id\":null,\"timezone\":null,\"webrtc_ringtone\":null,\
    \"assigned_teams\":\"\",\"supervisor_in_teams\":\"\",\"assigned_skills\":[],\
    \"assigned_queues\":\"\",\"employee_id\":null,\"assigned_channels\":[]}";

#[test]
fn the_toy_answers_every_legacy_list() {
    let users = answer("/api/user_management/v1/users", PAGE);
    assert_eq!(users.targets, ["/toy/people?skip=0&take=50"]);
    assert_eq!(users.body.unwrap(), format!("[{ANN},{BOB}]"));
    let users = answer("/api/v3/cdr/users", PAGE).body.unwrap();
    assert_eq!(users, format!("[{ANN},{BOB}]").replace("assigned_teams", "agent_in_teams"));
    let teams = answer("/api/v2/cdr/teams", PAGE).body.unwrap();
    assert_eq!(teams, r#"[{"name":"Night","id":4}]"#);
    assert_eq!(answer("/api/v2/cdr/deleted_agents", PAGE).body.unwrap(), "[]");
}

#[test]
fn filters_decide_though_the_toy_has_none() {
    let found = answer("/api/user_management/v1/users?extension=12", PAGE);
    assert_eq!(found.targets, ["/toy/people?skip=0&take=50"]);
    assert_eq!(found.body.unwrap(), format!("[{ANN}]"));
    let found = answer("/api/user_management/v1/users?sag=Sales", PAGE);
    assert_eq!(found.targets.last().unwrap(), "nobody");
    assert_eq!(found.body.unwrap(), "[]");
}

#[test]
fn another_wire_is_an_error_that_quotes_nothing() {
    for page in ["[]", "{}", r#"{"people":[{"called":"Ann"}],"count":1}"#, "secret"] {
        let error = answer("/api/user_management/v1/users", page).body.unwrap_err();
        assert_eq!(error.to_string(), "unexpected shape at .", "{page}");
    }
}

#[test]
fn the_ledger_has_a_row_for_every_field_over_the_toy() {
    for endpoint in domain::legacy::ENDPOINTS {
        let rows: Vec<_> = ledger::of(endpoint, TOY).collect();
        let refused = endpoint.places_calls().then_some("stopcall");
        assert!(endpoint.fields().chain(refused).eq(rows.iter().map(|row| row.field)));
        assert!(rows.iter().all(|row| row.dialect == "toy-v1" && row.endpoint == endpoint.name()));
    }
}
