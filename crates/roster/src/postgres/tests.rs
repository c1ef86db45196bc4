//! Recordings in a database that stalls. Must never need a real server.

use std::sync::Arc;
use std::time::Duration;

use crate::error::RosterError;
use crate::postgres::PostgresRoster;
use crate::postgres::fake::Fake;
use crate::shapes::{Changes, Scope, Sighting, Started};

/// Longer than any answer of the server here takes.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);
const START: Started = Started(Some(1));
/// The last statement before the commit.
const STATE: &str = "RETURNING scopes.version";

fn scope() -> Scope {
    Scope { caller: "crm".to_owned(), upstream: "ams".to_owned() }
}

fn users() -> Vec<Sighting> {
    let (name, group, teams) = (None, None, Vec::new());
    vec![Sighting { id: 1, name, group, teams, supervised_teams: Vec::new(), is_deleted: false }]
}

#[tokio::test]
async fn r09_a_recording_that_takes_long_holds_up_nobody_and_is_made_all_the_same() {
    let fake = Fake::start().await;
    let roster = PostgresRoster::new(&fake.setup()).unwrap();
    fake.hold(&[STATE]);
    let told = roster.record(&scope(), START, users(), Some(SHORT)).await;
    assert_eq!(told, Err(RosterError::Slow));
    fake.saw(STATE, 1).await;
    // The next list of the same users is neither recorded nor queued.
    let before = fake.statements();
    let told = roster.record(&scope(), START, users(), Some(LONG)).await;
    assert_eq!(told, Ok(Changes::default()));
    assert_eq!(fake.statements(), before);
    assert_eq!(fake.connections(), 1);
    // One who must know waits for the turn.
    let waiting = roster.clone();
    let waiting = tokio::spawn(async move { waiting.record(&scope(), START, users(), None).await });
    fake.release();
    assert_eq!(waiting.await.unwrap().unwrap().added, 1);
    fake.saw("COMMIT", 2).await;
}

#[tokio::test]
async fn r09_a_recording_goes_on_if_the_one_who_waits_for_it_leaves() {
    let fake = Fake::start().await;
    let roster = PostgresRoster::new(&fake.setup()).unwrap();
    fake.hold(&[STATE]);
    let leaving = roster.clone();
    let leaving = tokio::spawn(async move { leaving.record(&scope(), START, users(), None).await });
    fake.saw(STATE, 1).await;
    leaving.abort();
    assert!(leaving.await.unwrap_err().is_cancelled());
    fake.release();
    fake.saw("COMMIT", 1).await;
}

#[tokio::test]
async fn r09_a_database_in_which_a_transaction_does_not_end_is_away() {
    let fake = Fake::start().await;
    let mut roster = PostgresRoster::new(&fake.setup()).unwrap();
    let inner = Arc::get_mut(&mut roster.inner).unwrap();
    Arc::get_mut(&mut inner.link).unwrap().transaction_max = Duration::from_millis(500);
    // And it is not found again.
    fake.hold(&[STATE, "SELECT 1"]);
    let told = roster.record(&scope(), START, users(), None).await;
    assert_eq!(told, Err(RosterError::Slow));
    let connections = fake.connections();
    assert_eq!(roster.former(&scope()).await, Err(RosterError::Slow));
    assert!(fake.connections() <= connections + 1, "only one may look for it");
    assert!(!fake.statements().iter().any(|it| it.contains("vanished_at IS NOT NULL")));
}
