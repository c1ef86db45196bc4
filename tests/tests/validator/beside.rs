//! The lists beside those of users, teams and deleted users: agents' status, whose key is in its path and whose
//! records have no id, and templates, which come page by page.

use corpus::endpoint::{Endpoint, endpoint};
use corpus::node::Node;
use parity::run::Plan;
use parity::scenario::Extent;
use report::{Cause, Outcome, Report, Verdict};
use tests::LEGACY_KEY;
use tests::mutate::edit::{self, member};
use tests::mutate::{Change, Reply};

use crate::case::Vendor;
use crate::world::{Both, Planted, USERS};

const STATUS: &str = "v1_agents_status";
const TEMPLATES: &str = "v3_sms_templates";

fn plan() -> Plan {
    let endpoints: Vec<&'static Endpoint> =
        [STATUS, TEMPLATES].into_iter().filter_map(endpoint).collect();
    assert_eq!(endpoints.len(), 2);
    Plan { endpoints, extent: Extent::default(), ..Plan::default() }
}

async fn validated(of: Vendor, planted: Planted) -> Report {
    asked(of, planted, plan()).await
}

async fn asked(of: Vendor, planted: Planted, plan: Plan) -> Report {
    let both = Both::start(of, USERS, |_| planted).await;
    let outcome = both.validate(&plan, usize::MAX).await;
    for (ask, ..) in &outcome.pairs {
        assert!(!ask.path.contains("click2call") && !ask.path.contains(LEGACY_KEY), "{ask:?}");
    }
    outcome.report
}

/// The places of a report's bugs, each once.
fn bugs(report: &Report) -> Vec<String> {
    let bugs = report.findings.iter().filter(|one| one.cause == Cause::Bug);
    let mut places: Vec<String> =
        bugs.map(|one| format!("{}.{}", one.endpoint, one.field)).collect();
    places.dedup();
    places
}

/// Changes the templates of an answer.
fn templates(change: impl Fn(&mut Vec<Node>) + Send + Sync + 'static) -> Change {
    let change = move |reply: &mut Reply| {
        let Ok(mut body) = Node::parse(&reply.body) else { return };
        if let Some(Node::List(list)) = member(&mut body, "templates") {
            change(list);
            reply.set_body(body.to_json());
        }
    };
    Change::answer(move |_, reply| change(reply)).only("/sms/templates")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_lists_are_asked_for_in_every_form_and_agree() {
    let report = validated(Vendor::Voiso, Planted::default()).await;
    assert_eq!(report.verdict, Verdict::Agree, "{}", report.because);
    let ids: Vec<&str> = report.scenarios.iter().map(|one| one.id.as_str()).collect();
    for asked in
        ["all", "written/json behind", "written/escape", "written/key beside Basic", "key/wrong"]
    {
        for endpoint in [STATUS, TEMPLATES] {
            assert!(ids.contains(&format!("{endpoint}/{asked}").as_str()), "{asked}: {ids:?}");
        }
    }
    assert!(ids.contains(&"v3_sms_templates/page/third of seven"), "{ids:?}");
    assert!(
        !ids.contains(&"v1_agents_status/key/missing"),
        "a path without its key is another one"
    );
    let compared = |endpoint: &str, field: &str| {
        let of = report.fields.iter().find(|one| one.endpoint == endpoint && one.field == field);
        of.map_or(0, |one| one.compared)
    };
    for (endpoint, field) in
        [(STATUS, "ext"), (STATUS, "status"), (TEMPLATES, "body"), (TEMPLATES, "assigned_teams")]
    {
        assert!(compared(endpoint, field) > 40, "{endpoint}.{field}");
    }
    assert!(compared(TEMPLATES, "$envelope.metadata") > 5);
    let shapes: Vec<&str> = report.scenarios.iter().map(|one| one.shape.as_str()).collect();
    assert!(shapes.iter().all(|shape| !shape.contains(LEGACY_KEY)), "{shapes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_translation_of_either_is_a_bug_at_its_place() {
    let to_offline = edit::text("status", |word| match word {
        "available" => "offline".to_owned(),
        other => other.to_owned(),
    });
    let lost = templates(|list| _ = list.pop());
    let reworded = templates(|list| {
        for body in list.iter_mut().filter_map(|one| member(one, "body")) {
            *body = Node::from("another text");
        }
    });
    for (change, place) in [
        (to_offline.only("/agents_status"), "v1_agents_status.status"),
        (edit::text("ext", |ext| format!("0{ext}")).only("/agents_status"), "v1_agents_status.ext"),
        (lost, "v3_sms_templates.$records"),
        (reworded, "v3_sms_templates.body"),
    ] {
        let planted = Planted { candidate: Some(change), ..Planted::default() };
        let report = validated(Vendor::Voiso, planted).await;
        assert_eq!(report.verdict, Verdict::Differ, "{place}: {}", report.because);
        assert_eq!(bugs(&report), [place]);
    }
}

/// The legacy words are not those of v4.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_words_for_a_status_are_settings() {
    let words = edit::text("status", |word| match word {
        "dialer" => "on campaign".to_owned(),
        other => other.to_owned(),
    });
    let titles = edit::text("status", |word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or_default();
        first.to_uppercase() + rest
    });
    for (change, table, line) in [
        (words, "legacy.v1_agents_status.statuses", "\"dialer\" = \"on campaign\""),
        (titles, "legacy.v1_agents_status", "style = \"title\""),
    ] {
        let planted =
            Planted { control: Some(change.only("/agents_status")), ..Planted::default() };
        let report = validated(Vendor::Voiso, planted).await;
        let settings: Vec<_> =
            report.settings.iter().map(|one| (one.table.as_str(), one.line.as_str())).collect();
        assert_eq!(settings, [(table, line)], "{}: {:?}", report.because, bugs(&report));
        assert_eq!(report.verdict, Verdict::Agree, "{}", report.because);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_new_api_does_not_have_is_left_out_and_declared() {
    // Whose extension is whose display id is the data's business, as in the other lists of users.
    let ignored = vec![(STATUS.to_owned(), "ext".to_owned())];
    let report = asked(Vendor::Vonage, Planted::default(), Plan { ignored, ..plan() }).await;
    assert_eq!(bugs(&report), [""; 0], "{}", report.because);
    assert!(report.left_out.endpoints.contains(&TEMPLATES.to_owned()), "{:?}", report.left_out);
    let status = report.findings.iter().find(|one| one.field == "status").unwrap();
    assert_eq!((status.endpoint.as_str(), status.cause), (STATUS, Cause::DeclaredLoss));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_without_one_of_them_is_undecided_there_alone() {
    let gone = Change::answer(|_, reply| {
        reply.status = 404;
        reply.set_body("{\"error\":\"Not found\"}");
    });
    let planted = Planted { control: Some(gone.only("/sms/templates")), ..Planted::default() };
    let report = validated(Vendor::Voiso, planted).await;
    assert_eq!(report.verdict, Verdict::Undecided, "{}", report.because);
    let of = |endpoint: &str| {
        report.scenarios.iter().filter(|one| one.endpoint == endpoint).collect::<Vec<_>>()
    };
    let refused = of(TEMPLATES);
    assert_eq!(refused.len(), 1, "nothing more is asked");
    let why = refused[0].undecided_because.as_deref().unwrap_or_default();
    assert!(why.contains("answers 404") && why.contains("--endpoint"), "{why}");
    assert!(of(STATUS).iter().all(|one| one.outcome == Outcome::Equal));
}
