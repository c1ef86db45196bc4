//! A report must be true: it says why a difference is a bug, and the evidence of a lost team.

use corpus::endpoint::endpoint;
use parity::run::Plan;
use report::{Cause, Finding, Report};
use tests::mutate::Change;
use tests::mutate::edit::{edit_rows, rows};

use crate::case::{TEAMS, V1, Vendor};
use crate::world::{Both, Planted, USERS};

async fn report(of: Vendor, users: usize, asked: &str, planted: Planted) -> Report {
    let both = Both::start(of, users, |_| planted).await;
    let plan = Plan { endpoints: endpoint(asked).into_iter().collect(), ..Plan::default() };
    both.validate(&plan, 4).await.report
}

fn listed(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.field == "$records").collect()
}

/// The whole list lacks a record that a question for it alone still finds.
fn whole_list(edit: fn(&mut Vec<corpus::node::Node>)) -> Change {
    Change::answer(edit_rows(move |asked, rows| {
        if asked.is_whole() && rows.len() > 30 {
            edit(rows);
        }
    }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_side_with_equal_answers_is_not_reported_as_inconsistent() {
    let lost = whole_list(|rows| {
        rows.remove(30);
    });
    let twice = whole_list(|rows| rows.insert(30, rows[3].clone()));
    let (candidate, control) = (Planted::default(), Planted::default());
    for planted in [
        Planted { candidate: Some(lost), ..candidate },
        Planted { control: Some(twice), ..control },
    ] {
        let report = report(Vendor::Voiso, USERS, V1, planted).await;
        let found = listed(&report);
        assert!(found.iter().any(|finding| finding.cause == Cause::Bug), "{found:?}");
        assert!(found.iter().all(|finding| !finding.why.contains("two ways")), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_is_a_loss_only_where_the_new_api_has_no_list_of_teams() {
    // No other question has read the users, who name their teams.
    for users in [USERS, 0] {
        let report = report(Vendor::VoisoWithoutTeams, users, TEAMS, Planted::default()).await;
        let found = listed(&report);
        assert!(!found.is_empty(), "{users}");
        let is_loss = |finding: &&Finding| finding.cause == Cause::DeclaredLoss;
        assert!(found.iter().all(is_loss), "{users}: {found:?}");
    }
    for vendor in [Vendor::Voiso, Vendor::VoisoUnseen] {
        let lost = Planted { candidate: Some(rows(|_, rows| rows.clear())), ..Planted::default() };
        let report = report(vendor, USERS, TEAMS, lost).await;
        let found = listed(&report);
        assert!(!found.is_empty() && found.iter().all(|one| one.cause == Cause::Bug), "{found:?}");
    }
}
