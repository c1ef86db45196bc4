//! Tests the roster through its public interface and through the file itself. Must never write outside
//! the tests' own folders.

#![expect(clippy::unwrap_used, reason = "these are tests; a surprise in what they share must fail")]

mod absences;
mod clock;
mod crash;
mod guard;
mod history;
mod imports;
mod opening;
mod replaced;
mod sharing;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use roster::{FileRoster as Roster, Scope, Sighting, Sweep};

/// The folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tieline-roster-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // A killed process with the same number may have left it.
        _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("roster.sqlite")
    }

    fn roster(&self) -> Roster {
        Roster::open(self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn scope(caller: &str) -> Scope {
    Scope { caller: caller.to_owned(), upstream: "https://contact-center.example".to_owned() }
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

fn sweep(started: u64, ended: u64) -> Sweep {
    Sweep { started, ended }
}

/// The ids of the vanished users.
fn vanished(roster: &Roster, scope: &Scope) -> Vec<u64> {
    let former = roster.former(scope).unwrap();
    former.iter().filter(|user| user.is_vanished).map(|user| user.id).collect()
}

/// The bytes of every file in a folder, by name.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}
