//! Holds the roster in a database to account against real servers: what tests/outside/roster_postgres.sh runs. Each
//! command ends with an error where something is not as it should be. Must never start or end a server; the script
//! does.
//!
//! ```text
//! roster_check prepare               makes the tables, or says why not
//! roster_check histories COUNT       two replicas in turn are like one file
//! roster_check quiet                 an unchanged list is recorded once a minute, a changed one at once
//! roster_check clocks                overlapping sweeps of replicas whose clocks differ count as one
//! roster_check stamp                 the time of a sweep that was recorded now
//! roster_check killed                cut off before and after each message: all or nothing
//! roster_check many USERS            four replicas at once; says how long lists wait
//! roster_check full                  a disk that fills up
//! roster_check same FILE FILE        two files hold the same
//! ```
//!
//! The database is `ROSTER_ADDRESS`, with the password of the file `ROSTER_PASSWORD` and, where it is set, the
//! authorities of the file `ROSTER_AUTHORITIES`. Files are made in `ROSTER_FOLDER`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    reason = "a check says what it saw, and ends at once where it cannot go on"
)]

mod clocks;
mod histories;
mod killed;
mod many;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use roster::{FileRoster, Password, PostgresRoster, PostgresSetup, Roster, Scope, Sighting};

/// The end of a command: what was seen, or what is wrong.
type Seen = Result<String, String>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let seen = match words[..] {
        ["prepare"] => {
            replica(0).prepare().await.map(|()| "prepared".to_owned()).map_err(|it| it.to_string())
        }
        ["histories", count] => histories::check(number(count)).await,
        ["quiet"] => clocks::quiet().await,
        ["clocks"] => clocks::check().await,
        ["stamp"] => clocks::stamp().await,
        ["killed"] => killed::check().await,
        ["many", users] => many::check(number(users)).await,
        ["full"] => many::full().await,
        ["same", one, other] => same(one, other),
        _ => Err("no such command; see the head of main.rs".to_owned()),
    };
    match seen {
        Ok(seen) => {
            println!("{seen}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

/// The setup of the environment.
fn setup(record_every: u64) -> PostgresSetup {
    let authorities = std::env::var("ROSTER_AUTHORITIES").ok();
    PostgresSetup {
        address: std::env::var("ROSTER_ADDRESS").expect("ROSTER_ADDRESS"),
        password: std::env::var("ROSTER_PASSWORD").ok().map(|it| Password::File(it.into())),
        authorities: authorities.map(|file| std::fs::read(file).expect("the authorities")),
        record_every: Duration::from_secs(record_every),
    }
}

/// A replica of its own.
fn replica(record_every: u64) -> Roster {
    Roster::postgres(&setup(record_every)).expect("a setup that can be meant")
}

/// The same, for sweeps whose times are given.
fn postgres(setup: &PostgresSetup) -> PostgresRoster {
    match Roster::postgres(setup).expect("a setup that can be meant") {
        Roster::Postgres(roster) => roster,
        Roster::File(_) => unreachable!("it was made for a database"),
    }
}

/// A file that is not there yet.
fn file(name: &str) -> PathBuf {
    let folder = std::env::var("ROSTER_FOLDER").expect("ROSTER_FOLDER");
    PathBuf::from(folder).join(format!("{name}-{}.sqlite", std::process::id()))
}

fn scope(caller: &str) -> Scope {
    Scope { caller: caller.to_owned(), upstream: "ams".to_owned() }
}

fn user(id: u64) -> Sighting {
    Sighting {
        id,
        name: Some(format!("User {id}")),
        group: Some(("3".to_owned(), Some("Sales".to_owned()))),
        teams: vec!["7".to_owned(), "a \"quoted\" team".to_owned()],
        supervised_teams: Vec::new(),
        is_deleted: false,
    }
}

fn users(ids: impl IntoIterator<Item = u64>) -> Vec<Sighting> {
    ids.into_iter().map(user).collect()
}

/// Fails with the text, unless it holds.
fn holds(is_so: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(wrong()) }
}

fn failed(error: roster::RosterError) -> String {
    format!("the roster failed: {error}")
}

fn same(one: &str, other: &str) -> Seen {
    let whole = |file: &str| FileRoster::open(file).and_then(|it| it.whole()).map_err(failed);
    let (one, other) = (whole(one)?, whole(other)?);
    holds(!one.is_empty() && one == other, || "the two files differ, or are empty".to_owned())?;
    Ok(format!("{} scopes are the same", one.len()))
}
