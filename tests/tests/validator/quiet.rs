//! Quiet data cost one pass: nothing that is explained is asked again.

use corpus::node::Node;
use corpus::spelling::plain_path;
use parity::zone;
use report::{Cause, Verdict};
use tests::mutate::edit::{self, member};
use tests::mutate::{Asked, Change};

use crate::bugs_answers::error;
use crate::case::Vendor;
use crate::explained::as_users;
use crate::world::{Both, Outcome, Planted, USERS, whole_plan};

/// Quirks all over: every list differs, and most records.
fn systematic() -> Change {
    // A filter looks at the shown value.
    let is_group = |asked: &Asked| asked.filter("caller_id").is_some_and(|value| !value.is_empty());
    let without = move |asked: &mut Asked| {
        if is_group(asked) {
            asked.query.retain(|(name, _)| !name.contains("caller_id"));
        }
    };
    Change::asked(without).and(move |asked, reply| {
        let Some(mut rows) = reply.rows() else { return };
        for row in &mut rows {
            if let Some(Node::Text(zone)) = member(row, "timezone") {
                *zone = zone::id(zone).to_owned();
            }
            if let Some(Node::Text(number)) = member(row, "caller_id")
                && let Ok(digits) = number.parse::<u64>()
            {
                *number = format!("Group {}", digits % 5);
            }
            if let Some(Node::List(skills)) = member(row, "assigned_skills") {
                skills.reverse();
            }
        }
        if is_group(asked) {
            let wanted = asked.filter("caller_id");
            rows.retain(|row| row.get("caller_id").and_then(Node::text) == wanted);
        }
        rows.reverse();
        // The envelopes of the other lists are no setting.
        reply.set_body(match plain_path(&asked.path).ends_with("/users") {
            true => as_users(&rows),
            false => Node::List(rows).to_json(),
        });
    })
}

async fn validated(control: Option<Change>) -> Outcome {
    let both = Both::start(Vendor::VoisoWithoutTeams, USERS, |_| Planted {
        control,
        ..Planted::default()
    })
    .await;
    both.validate(&whole_plan(), usize::MAX).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_data_cost_one_pass() {
    for control in [None, Some(systematic())] {
        let is_planted = control.is_some();
        let outcome = validated(control).await;
        let report = &outcome.report;
        let totals = &report.totals;
        let bugs = report.findings.iter().filter(|finding| finding.cause == Cause::Bug);
        let bugs: Vec<_> = bugs.collect();
        assert!(bugs.is_empty(), "{bugs:#?}");
        let single = totals.control_requests - totals.control_requests_extra;
        assert_eq!(report.verdict, Verdict::Agree, "{}", report.because);
        assert_eq!(single, totals.scenarios, "each question is put to control once");
        assert!(
            totals.control_requests_extra * 100 <= single * 5,
            "{} extra requests on {single}",
            totals.control_requests_extra
        );
        let quirks = totals.causes.get(&Cause::Quirk).copied().unwrap_or(0);
        assert_eq!(quirks > 100, is_planted, "{quirks} quirks");
    }
}

/// One field of every record, and another one of some, is something else each time.
fn noisy() -> Change {
    edit::rows(|asked, rows| {
        for row in rows {
            let is_some = edit::id(row).is_multiple_of(5);
            for (name, is_meant) in [("webrtc_ringtone", true), ("employee_id", is_some)] {
                if let Some(value) = member(row, name).filter(|_| is_meant) {
                    *value = Node::Text(format!("{name} {}", asked.nth));
                }
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_costs_few_more_requests_and_limits_the_verdict() {
    let report = validated(Some(noisy())).await.report;
    let totals = &report.totals;
    let single = totals.control_requests - totals.control_requests_extra;
    assert!(
        totals.control_requests_extra * 100 <= single * 25,
        "{} extra requests on {single}",
        totals.control_requests_extra
    );
    let noisy = ["v1_users.webrtc_ringtone", "v3_cdr_users.webrtc_ringtone"];
    assert_eq!(report.left_out.noisy, noisy);
}

/// Another endpoint lists those who are deleted, which one setting would explain if it were asked alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_spoils_equal_answers_explains_nothing() {
    let both = Both::start(Vendor::Voiso, USERS, |vendor| {
        let deleted = edit::of_users(vendor, |user| user.deleted_at.as_ref().map(|_| ()));
        let control = edit::rows(move |asked, rows| {
            let like = rows.first().cloned().filter(|_| asked.is_whole());
            for id in deleted.keys() {
                let Some(mut row) = like.clone() else { return };
                if let Some(value) = member(&mut row, "id") {
                    *value = Node::Number((*id).into());
                }
                if !rows.iter().any(|row| edit::id(row) == *id) {
                    rows.push(row);
                }
            }
        });
        Planted { control: Some(control.only("/v3/cdr/users")), ..Planted::default() }
    })
    .await;
    let report = both.validate(&whole_plan(), usize::MAX).await.report;
    assert_eq!(report.verdict, Verdict::Differ, "{}", report.because);
    let believed = report.settings.iter().filter(|one| one.against == 0);
    assert_eq!(believed.count(), 0, "{:?}", report.settings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_control_refuses_is_no_finding() {
    let refused = Change::answer(|asked, reply| {
        let has_query = asked.raw_query.is_ascii() && asked.body.is_none();
        if asked.path != plain_path(&asked.path) || !has_query {
            error(reply, 404, "Not found");
        }
    });
    let report = validated(Some(refused)).await.report;
    assert_eq!(report.verdict, Verdict::Agree, "{}", report.because);
    let explained = report.scenarios.iter().filter(|one| one.id.contains("/written/"));
    let explained =
        explained.filter(|one| one.outcome == report::Outcome::Explained && one.causes.is_empty());
    // Four spellings of each path, two bodies and one query for each list of users.
    assert_eq!(explained.count(), 6 * 4 + 2 * 3);
}
