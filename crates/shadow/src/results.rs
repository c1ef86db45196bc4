//! The results of comparisons: counts, and the last differences. It must never keep a value: both values of
//! a difference and the id of its record are kept as HMACs under a random key of the process, so they can
//! be compared and not read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::RngExt;
use report::Cause;
use serde_json::{Value, json};

use crate::findings::{Causes, Findings, Kept};
use crate::judge::{is_unexplained, word};
use crate::mask::Mask;

/// The most differences that are kept.
const DIFFERENCES_MAX: usize = 1000;
/// The most rows of one comparison among them.
const PER_COMPARISON_MAX: usize = 20;

/// How a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing differs.
    Equal,
    /// Every difference has a cause.
    Explained,
    /// Some difference is a bug, or undecided.
    Different,
    Failed,
}

impl Outcome {
    pub const ALL: [Outcome; 4] =
        [Outcome::Equal, Outcome::Explained, Outcome::Different, Outcome::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Equal => "equal",
            Outcome::Explained => "explained",
            Outcome::Different => "different",
            Outcome::Failed => "failed",
        }
    }

    fn of(causes: &Causes) -> Self {
        let found: Vec<Option<Cause>> = causes.counts().map(|(cause, _)| cause).collect();
        match found.iter().any(|cause| is_unexplained(*cause)) {
            true => Outcome::Different,
            false if found.is_empty() => Outcome::Equal,
            false => Outcome::Explained,
        }
    }
}

/// The result of one comparison, ready to be counted and kept.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    pub(crate) causes: Causes,
    rows: Vec<Arc<Value>>,
}

impl Told {
    /// Takes time for every finding, so it works before the lock.
    pub(crate) fn of(endpoint: &str, caller: &str, found: &Findings) -> Self {
        let rows = rows(endpoint, caller, found.kept());
        Told { outcome: Outcome::of(&found.causes), causes: found.causes, rows }
    }

    pub(crate) fn failed() -> Self {
        Told { outcome: Outcome::Failed, causes: Causes::default(), rows: Vec::new() }
    }
}

/// Lives as long as the process, through all configurations.
#[derive(Default)]
pub struct Results {
    pub(crate) mask: Arc<Mask>,
    now: Mutex<Now>,
    /// The report files that this process has written.
    files: Mutex<BTreeSet<PathBuf>>,
}

impl std::fmt::Debug for Results {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Results")
    }
}

#[derive(Debug, Default, Clone)]
struct Now {
    outcomes: BTreeMap<(&'static str, &'static str), u64>,
    causes: BTreeMap<&'static str, u64>,
    dropped: BTreeMap<&'static str, u64>,
    answers: BTreeMap<&'static str, u64>,
    /// Shared, so that showing them does not hold the lock.
    differences: VecDeque<Arc<Value>>,
    /// The number of notes, so that no report is written without news.
    noted: u64,
}

impl Results {
    /// Takes equally long for any result, because requests wait for the same lock.
    pub(crate) fn note(&self, endpoint: &'static str, told: Told) {
        let mut now = self.noting();
        *now.outcomes.entry((endpoint, told.outcome.as_str())).or_default() += 1;
        for (cause, count) in told.causes.counts() {
            *now.causes.entry(word(cause)).or_default() += count;
        }
        now.differences.extend(told.rows);
        let too_many = now.differences.len().saturating_sub(DIFFERENCES_MAX);
        now.differences.drain(..too_many);
    }

    pub(crate) fn note_dropped(&self, why: &'static str) {
        let mut now = self.noting();
        *now.dropped.entry(why).or_default() += 1;
    }

    /// Control was chosen to answer a request, and this side answered it.
    pub(crate) fn note_answer(&self, side: &'static str) {
        let mut now = self.noting();
        *now.answers.entry(side).or_default() += 1;
    }

    /// All results, the newest difference first.
    pub fn json(&self) -> Value {
        let now = self.now().clone();
        let mut comparisons: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for ((endpoint, outcome), count) in &now.outcomes {
            comparisons.entry(endpoint).or_default().insert(outcome, *count);
        }
        json!({
            "comparisons": comparisons,
            "causes": now.causes,
            "dropped": now.dropped,
            "answered_by": now.answers,
            "differences": now.differences.iter().rev().map(AsRef::as_ref).collect::<Vec<&Value>>(),
        })
    }

    /// The number of notes so far.
    pub(crate) fn noted(&self) -> u64 {
        self.now().noted
    }

    /// Writes the results to a file, completely or not at all. A file of another process is kept with `.1`
    /// behind its name. It waits for the disk.
    pub(crate) fn write(&self, file: &Path) -> io::Result<()> {
        let mut aside = file.as_os_str().to_owned();
        aside.push(format!(".{}-{:08x}", std::process::id(), rand::rng().random::<u32>()));
        let bytes = serde_json::to_vec_pretty(&self.json()).map_err(io::Error::other)?;
        let written = private(Path::new(&aside), &bytes);
        let done = written.and_then(|()| self.keep_others(file));
        let done = done.and_then(|()| std::fs::rename(&aside, file));
        if done.is_ok() {
            self.files().insert(file.to_owned());
        }
        if done.is_err() {
            // It is a part that has no reader. The error that counts is the one before.
            let _ = std::fs::remove_file(&aside);
        }
        done
    }

    fn keep_others(&self, file: &Path) -> io::Result<()> {
        if self.files().contains(file) {
            return Ok(());
        }
        let mut kept = file.as_os_str().to_owned();
        kept.push(".1");
        match std::fs::rename(file, kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn files(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        // Plain data, valid after any panic.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more note.
    fn noting(&self) -> MutexGuard<'_, Now> {
        let mut now = self.now();
        now.noted += 1;
        now
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Plain data, valid after any panic.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The differences of one comparison as shown: equal ones in one row, bugs first, then undecided ones.
fn rows<'a>(
    endpoint: &str,
    caller: &str,
    found: impl Iterator<Item = &'a Kept>,
) -> Vec<Arc<Value>> {
    type Kind<'a> = (u8, &'a str, &'static str, &'static str);
    let mut alike: BTreeMap<Kind<'a>, (&Kept, u64)> = BTreeMap::new();
    for one in found {
        let rank = match one.cause {
            Some(Cause::Bug) => 0,
            None => 1,
            Some(_) => 2,
        };
        let kind = (rank, one.field.as_str(), one.kind, word(one.cause));
        alike.entry(kind).or_insert((one, 0)).1 += 1;
    }
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let row = |((_, field, kind, cause), (first, times)): (Kind<'_>, (&Kept, u64))| {
        json!({
            "at": at,
            "endpoint": endpoint,
            "caller": caller,
            "field": field,
            "kind": kind,
            "cause": cause,
            "times": times,
            "record": first.record,
            "control": first.control,
            "candidate": first.candidate,
        })
    };
    alike.into_iter().take(PER_COMPARISON_MAX).map(row).map(Arc::new).collect()
}

/// Writes a new file that only its owner may read.
fn private(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}

/// The shortest time between two reports.
pub(crate) const WRITTEN_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Takes;
    use crate::judge::Difference;

    fn difference(field: &str, cause: Option<Cause>, value: &str) -> Difference {
        let (control, candidate) = (value.as_bytes().to_vec(), b"other".to_vec());
        let (field, record) = (field.to_owned(), Some("person 9001".to_owned()));
        Difference { field, kind: "value", cause, control, candidate, record }
    }

    fn note(results: &Arc<Results>, found: Vec<Difference>) {
        let mut findings = Findings::of("v1_users", &results.mask);
        found.into_iter().for_each(|one| findings.take(one));
        results.note("v1_users", Told::of("v1_users", "crm", &findings));
    }

    #[test]
    fn l04_the_last_thousand_differences_are_kept_and_no_value() {
        let results = Arc::new(Results::default());
        for number in 0..1100 {
            note(&results, vec![difference("name", Some(Cause::Bug), &format!("canary {number}"))]);
        }
        let all = results.json();
        let rows = all["differences"].as_array().unwrap();
        assert_eq!(rows.len(), DIFFERENCES_MAX);
        let of = |number: u32| json!(results.mask.hmac(format!("canary {number}").as_bytes()));
        assert_eq!((&rows[0]["control"], &rows[999]["control"]), (&of(1099), &of(100)));
        assert_eq!(all["comparisons"]["v1_users"]["different"], 1100);
        assert!(!all.to_string().contains("canary") && !all.to_string().contains("person"));
        let hmac = |row: &Value, side: &str| row[side].as_str().unwrap().to_owned();
        assert_eq!(hmac(&rows[0], "control").len(), 32);
        assert_eq!(hmac(&rows[0], "candidate"), hmac(&rows[1], "candidate"), "one value, one HMAC");
        assert_ne!(hmac(&rows[0], "control"), hmac(&rows[0], "candidate"));
        let other = Results::default();
        assert_ne!(
            other.mask.hmac(b"canary"),
            results.mask.hmac(b"canary"),
            "another process, another key"
        );
    }

    #[test]
    fn differences_that_are_alike_are_one_row_and_unexplained_ones_come_first() {
        let results = Arc::new(Results::default());
        let mut found: Vec<Difference> =
            (0..50).map(|_| difference("name", Some(Cause::DeclaredLoss), "x")).collect();
        for cause in [Cause::Order, Cause::Noise] {
            let fields = domain::legacy::ENDPOINTS[0].fields();
            found.extend(fields.map(|field| difference(field, Some(cause), "x")));
        }
        found.push(difference("email", None, "x"));
        found.push(difference("timezone", Some(Cause::Bug), "x"));
        found.push(difference("a user's name \u{e9}", Some(Cause::Bug), "x"));
        note(&results, found);
        let all = results.json();
        let rows = all["differences"].as_array().unwrap();
        assert_eq!(rows.len(), PER_COMPARISON_MAX);
        let bugs = rows.iter().filter(|row| row["cause"] == "bug");
        let bugs: Vec<&Value> = bugs.map(|row| &row["field"]).collect();
        assert_eq!(bugs, ["timezone", "(unknown field)"]);
        assert!(rows.iter().any(|row| row["cause"] == "undecided"));
        let expected =
            json!({"bug": 2, "declared_loss": 50, "noise": 15, "order": 15, "undecided": 1});
        assert_eq!(all["causes"], expected);
    }

    #[test]
    fn the_file_is_written_whole_for_its_owner_alone() {
        let folder = std::env::temp_dir().join(format!("tieline-results-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (results, file) = (Arc::new(Results::default()), folder.join("shadow.json"));
        for _ in 0..2 {
            note(&results, Vec::new());
            results.write(&file).unwrap();
        }
        let read: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(read, results.json());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert!(results.write(&folder.join("no/such/folder")).is_err());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing is left beside it");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
