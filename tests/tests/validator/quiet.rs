//! Quiet data cost one pass: nothing that is explained is asked again.

use corpus::node::Node;
use corpus::spelling::plain_path;
use parity::zone;
use report::{Cause, Verdict};
use tests::mutate::Change;
use tests::mutate::edit::member;

use crate::bugs_answers::error;
use crate::case::Vendor;
use crate::explained::as_users;
use crate::world::{Both, Outcome, Planted, USERS, whole_plan};

/// Quirks all over: every list differs, and most records.
fn systematic() -> Change {
    Change::answer(|asked, reply| {
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
        rows.reverse();
        // What stands around the other lists is no setting.
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
    assert_eq!(explained.count(), 4 * 4 + 2 * 3);
}
