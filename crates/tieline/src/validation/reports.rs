//! Where the reports of a validation go: a folder, each file written whole or not at all.

use std::io::ErrorKind::{NotADirectory, NotFound};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use corpus::owner_only;
use report::Report;
use report::draw::{html, json, junit, terminal};

use crate::failure::Failure;

/// The memory of a run that was interrupted.
pub(crate) const PROGRESS: &str = "progress.jsonl";

/// Makes the folder.
pub(crate) fn folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| cannot("make", path, &error))
}

/// A report's name, and how it is drawn.
type File = (&'static str, fn(&Report) -> String);

const FILES: [File; 3] =
    [("report.html", html), ("report.json", json), ("report.junit.xml", junit)];

/// Takes away the reports of an earlier run: whatever becomes of this one, they are not its own.
pub(crate) fn clear(folder: &Path) -> Result<(), Failure> {
    for (name, _) in FILES {
        let path = folder.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if !matches!(error.kind(), NotFound | NotADirectory) => {
                return Err(cannot("remove", &path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes every report that can be written; gives back where they are, and what went wrong first.
pub(crate) fn write(folder: &Path, report: &Report) -> (Vec<PathBuf>, Result<(), Failure>) {
    let (mut written, mut failed) = (Vec::new(), self::folder(folder));
    if failed.is_err() {
        return (written, failed);
    }
    for (name, draw) in FILES {
        let path = folder.join(name);
        let part = folder.join(format!("{name}.part"));
        // Of an earlier run that was cut off.
        let _ = std::fs::remove_file(&part);
        // Only the owner may read a report: it shows what an account holds.
        let done = owner_only()
            .create_new(true)
            .open(&part)
            .and_then(|mut file| file.write_all(draw(report).as_bytes()))
            .and_then(|()| std::fs::rename(&part, &path));
        match done {
            Ok(()) => written.push(path),
            Err(error) => {
                let _ = std::fs::remove_file(&part);
                failed = failed.and(Err(cannot("write", &path, &error)));
            }
        }
    }
    (written, failed)
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format_args!("cannot {what} {}: {error}", path.display()))
}

/// What standard output shows.
pub(crate) fn summary(report: &Report) -> String {
    let out = std::io::stdout();
    let is_terminal = out.is_terminal();
    let width = if is_terminal { console_width() } else { WIDTH };
    let colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    terminal(report, width, colours)
}

/// The width where it is not a terminal's.
const WIDTH: usize = 100;

/// The terminal's own, as the shell tells it.
fn console_width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns.unwrap_or(WIDTH).clamp(60, 200)
}
