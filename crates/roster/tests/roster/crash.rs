//! Tests processes that are killed while they write, and logs that are cut off anywhere. Acknowledged
//! data must survive, and nothing may be there in part. Every loop must be bounded, and every child
//! waited for.

use std::env;
use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use roster::{Changes, FileRoster as Roster, Sighting, Sweep};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::{Folder, scope, user};

/// Set for the child: the file to write to.
const CHILD: &str = "ROSTER_CRASH_FILE";
const CHILD_TEST: &str = "crash::a_child_writes_until_it_is_killed";

const KILLS: u64 = 200;
/// Kills per file. Then the next file is created, so that kills also hit files being created.
const KILLS_PER_FILE: u64 = 8;
const DELAY_MAX: Duration = Duration::from_millis(60);
const SWEEPS_MAX: u64 = 10_000;

/// The sweep with this number. In each, half of the users change, a seventh is missing for the first,
/// second or third time, and a fourteenth returns.
fn numbered(number: u64, users: u64) -> (Sweep, Vec<Sighting>) {
    let seen = (0..users).filter(|id| !(id + number / 3).is_multiple_of(7)).map(|id| {
        let mut user = user(id);
        user.name = Some(format!("User {id}, version {}", (id + number) / 2));
        user
    });
    (Sweep { started: number * 10, ended: number * 10 + 5 }, seen.collect())
}

fn record(roster: &Roster, number: u64, users: u64) -> Changes {
    let (sweep, seen) = numbered(number, users);
    roster.record(&scope("acme"), &sweep, &seen).unwrap()
}

/// The number of the last sweep in the roster; 0 for none.
fn last_number(roster: &Roster) -> u64 {
    roster.counts(&scope("acme")).unwrap().last_sweep_ended.map_or(0, |ended| ended / 10)
}

/// A digest of every value in every row.
fn state(file: &Path) -> u64 {
    let connection = Connection::open(file).unwrap();
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for table in ["scopes", "users", "imported"] {
        let select = format!("SELECT * FROM {table} ORDER BY 1, 2");
        let mut statement = connection.prepare(&select).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        rows.extend(statement.query_map((), row).unwrap().map(Result::unwrap));
    }
    BuildHasherDefault::<DefaultHasher>::default().hash_one(format!("{rows:?}"))
}

fn assert_integrity(file: &Path) {
    let connection = Connection::open(file).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

/// The file's state after each number of sweeps, without any crash.
struct Reference {
    folder: Folder,
    roster: Roster,
    states: Vec<u64>,
    users: u64,
}

impl Reference {
    fn new(users: u64) -> Self {
        let folder = Folder::new();
        let roster = folder.roster();
        let states = vec![state(&folder.file())];
        Self { folder, roster, states, users }
    }

    fn state_after(&mut self, number: u64) -> u64 {
        for next in self.states.len() as u64..=number {
            record(&self.roster, next, self.users);
            self.states.push(state(&self.folder.file()));
        }
        self.states[number as usize]
    }
}

const USERS: u64 = 2000;

/// Does nothing unless the test below has started it as its child.
#[test]
fn a_child_writes_until_it_is_killed() {
    let Some(file) = env::var_os(CHILD) else { return };
    let roster = Roster::open(file).unwrap();
    let before = last_number(&roster);
    for number in before + 1..=before + SWEEPS_MAX {
        record(&roster, number, USERS);
        // Fails when the parent no longer listens, which ends the child.
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {number}").unwrap();
        out.flush().unwrap();
    }
}

/// When to kill a child.
#[derive(Clone, Copy)]
enum Moment {
    /// This long after its start: while it creates or opens the file, or later.
    AfterStart(Duration),
    /// This long after its first answer: while it writes.
    AfterAnswer(Duration),
}

/// Starts a child, kills it, and returns the last number it acknowledged; 0 for none.
fn write_and_be_killed(file: &Path, moment: Moment) -> u64 {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", CHILD_TEST, "--nocapture", "--test-threads=1"])
        .env(CHILD, file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut answers = said.by_ref().filter_map(|line| {
        let number = line.strip_prefix("acknowledged ")?;
        number.parse::<u64>().ok()
    });
    let (first, delay) = match moment {
        Moment::AfterStart(delay) => (0, delay),
        Moment::AfterAnswer(delay) => (answers.next().unwrap_or(0), delay),
    };
    thread::sleep(delay);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "the child ended by itself");
    answers.last().unwrap_or(first)
}

#[test]
fn a_killed_writer_loses_nothing_acknowledged_and_leaves_nothing_in_part() {
    let random = RandomState::new();
    let mut reference = Reference::new(USERS);
    let (mut worked, mut unanswered, mut unborn, mut sweeps) = (0, 0, 0, 0);
    let mut folder = Folder::new();
    let mut before = 0;
    for kill in 0..KILLS {
        if kill % KILLS_PER_FILE == 0 {
            folder = Folder::new();
            before = 0;
        }
        let micros = random.hash_one(kill) % DELAY_MAX.as_micros() as u64;
        let delay = Duration::from_micros(micros);
        let moment = match kill % KILLS_PER_FILE {
            // While the file is created.
            0 => Moment::AfterStart(delay / 2),
            1 | 2 => Moment::AfterStart(delay),
            _ => Moment::AfterAnswer(delay),
        };
        let said = write_and_be_killed(&folder.file(), moment);
        unborn += u32::from(!folder.file().exists());
        let roster = folder.roster();
        let acknowledged = said.max(before);
        let number = last_number(&roster);
        assert!(
            number == acknowledged || number == acknowledged + 1,
            "kill {kill}: the file holds {number} sweeps, {acknowledged} were acknowledged"
        );
        assert_integrity(&folder.file());
        let expected = reference.state_after(number);
        assert_eq!(state(&folder.file()), expected, "kill {kill}: not the state after {number}");
        worked += u32::from(said > 0);
        unanswered += u32::from(number > acknowledged);
        sweeps += number - before;
        before = number;
    }
    println!(
        "{KILLS} kills: {worked} after a commit, {unanswered} between a commit and its answer, \
         {unborn} before there was a file; {sweeps} sweeps"
    );
    assert!(worked > KILLS as u32 / 2, "only {worked} children got to work before their kill");
}

/// A roster with twelve sweeps, all of them still in its log.
struct Logged {
    folder: Folder,
    _roster: Roster,
    main: Vec<u8>,
    log: Vec<u8>,
}

const FEW: u64 = 200;
const LOGGED: u64 = 12;

fn log_of(file: &Path) -> PathBuf {
    file.with_extension("sqlite-wal")
}

fn logged() -> Logged {
    let folder = Folder::new();
    let roster = folder.roster();
    for number in 1..=LOGGED {
        assert!(record(&roster, number, FEW).counted);
    }
    let main = fs::read(folder.file()).unwrap();
    let log = fs::read(log_of(&folder.file())).unwrap();
    Logged { folder, _roster: roster, main, log }
}

/// The number of sweeps in a roster made of these files. It must open, be sound, and hold only these.
fn reopened(main: &[u8], log: &[u8], reference: &mut Reference) -> u64 {
    let copy = Folder::new();
    fs::write(copy.file(), main).unwrap();
    fs::write(log_of(&copy.file()), log).unwrap();
    let roster = copy.roster();
    let number = last_number(&roster);
    assert_integrity(&copy.file());
    assert_eq!(state(&copy.file()), reference.state_after(number));
    number
}

#[test]
fn a_log_cut_off_anywhere_is_a_whole_number_of_sweeps() {
    let logged = logged();
    let mut reference = Reference::new(FEW);
    let mut held = Vec::new();
    let steps = 75;
    for step in 0..=steps {
        let log = &logged.log[..logged.log.len() * step / steps];
        held.push(reopened(&logged.main, log, &mut reference));
        held.push(reopened(&logged.main, &[log, &[0xa5; 5000]].concat(), &mut reference));
    }
    assert!(held.is_sorted(), "a longer log holds less: {held:?}");
    held.dedup();
    assert_eq!(held, (0..=LOGGED).collect::<Vec<u64>>());
}

#[test]
fn a_log_moved_partly_into_the_file_is_read_completely() {
    const PAGE: usize = 4096;
    let logged = logged();
    let mut reference = Reference::new(FEW);
    let other = Connection::open(logged.folder.file()).unwrap();
    other.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())).unwrap();
    let moved = fs::read(logged.folder.file()).unwrap();
    assert!(moved.len() > logged.main.len(), "the move made the file longer");
    for pages in 0..=moved.len() / PAGE {
        let mut main = logged.main.clone();
        let end = pages * PAGE;
        main.resize(main.len().max(end), 0);
        main[..end].copy_from_slice(&moved[..end]);
        assert_eq!(reopened(&main, &logged.log, &mut reference), LOGGED, "{pages} pages");
    }
}

#[test]
fn a_file_cut_off_during_creation_is_created_again() {
    let folder = Folder::new();
    let journal = |file: &Path| file.with_extension("sqlite-journal");
    let mut maker = Connection::open(folder.file()).unwrap();
    let transaction = maker.transaction().unwrap();
    transaction.execute_batch("CREATE TABLE half (made)").unwrap();
    transaction.cache_flush().unwrap();
    let copy = Folder::new();
    fs::copy(folder.file(), copy.file()).unwrap();
    fs::copy(journal(&folder.file()), journal(&copy.file())).unwrap();
    assert!(copy.file().metadata().unwrap().len() > 0);
    let roster = copy.roster();
    assert_eq!(record(&roster, 1, FEW).added, roster.counts(&scope("acme")).unwrap().remembered);
    assert_integrity(&copy.file());
}
