//! The memory of a run that was interrupted: a file with one line for each question that is done. It
//! holds nothing that the report does not hold, and no unmasked value.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::finished::Finished;

/// Why a run cannot be resumed, or its memory not kept.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error(
        "there is no run to resume: an interrupted run leaves this file, and a completed one removes it"
    )]
    Missing,
    #[error("it is the memory of another run: the configuration, the sides or the options differ")]
    OfAnotherRun,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The questions that are done, and the file that notes them.
#[derive(Debug, Default)]
pub struct State {
    done: HashMap<String, Finished>,
    file: Option<File>,
    path: PathBuf,
    /// A digest of both sides and all settings.
    of: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    of: String,
    fingerprint: String,
    finished: Finished,
}

impl State {
    /// A run without a memory.
    pub fn none() -> State {
        State::default()
    }

    /// Opens a file, to resume its run or to begin a new one. Incomplete lines are skipped, and so are
    /// lines of a run with other sides or settings. `of` names the sides and all settings on which an
    /// answer or its judgement depends; only its digest is written.
    ///
    /// # Errors
    /// Where there is no run to resume, or the file has only lines of another run.
    pub fn open(path: &Path, resume: bool, of: &str) -> Result<State, Unusable> {
        let digest = Sha256::digest(of);
        let of = corpus::hex(&digest[..8]);
        let mut done = HashMap::new();
        if resume && !path.exists() {
            return Err(Unusable::Missing);
        }
        let mut is_of_another = false;
        if resume {
            // As bytes, because a crash may leave a line that is not text.
            for line in BufReader::new(File::open(path)?).split(b'\n') {
                let Ok(line) = serde_json::from_slice::<Line>(&line?) else { continue };
                if line.of == of {
                    done.insert(line.fingerprint, line.finished);
                } else {
                    is_of_another = true;
                }
            }
        }
        if is_of_another && done.is_empty() {
            return Err(Unusable::OfAnotherRun);
        }
        let mut options = corpus::owner_only();
        options.create(true);
        match resume {
            true => options.append(true),
            false => options.truncate(true),
        };
        let mut file = options.open(path)?;
        if file.metadata()?.len() > 0 {
            // An incomplete last line ends here.
            file.write_all(b"\n")?;
        }
        Ok(State { done, file: Some(file), path: path.to_owned(), of })
    }

    /// Removes the file, because every question has an answer.
    pub fn finish(self) -> io::Result<()> {
        if self.file.is_some() { fs::remove_file(&self.path) } else { Ok(()) }
    }

    pub fn has(&self, fingerprint: &str) -> bool {
        self.done.contains_key(fingerprint)
    }

    pub(super) fn take(&mut self, fingerprint: &str) -> Option<Finished> {
        self.done.remove(fingerprint)
    }

    /// Notes a question. If the line cannot be written, the next run asks the question again.
    pub(super) fn note(&mut self, fingerprint: &str, finished: &Finished) {
        let Some(file) = &mut self.file else { return };
        let (of, fingerprint) = (self.of.clone(), fingerprint.to_owned());
        let line = Line { of, fingerprint, finished: finished.clone() };
        if let Ok(mut text) = serde_json::to_string(&line) {
            text.push('\n');
            let _ = file.write_all(text.as_bytes());
        }
    }
}
