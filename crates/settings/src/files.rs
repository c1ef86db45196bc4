//! The files a configuration was read from, as they were just before they were read, so that no
//! change of one can go unnoticed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files and how each is told from what it was: length, time of change, and which file it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(Vec<(PathBuf, Option<Stamp>)>);

type Stamp = (u64, Option<SystemTime>, u64);

impl Files {
    /// Adds a file that is about to be read.
    pub(crate) fn add(&mut self, path: &Path) {
        self.0.push((path.to_owned(), stamp(path)));
    }

    /// The same files as they are now.
    #[must_use]
    pub fn now(&self) -> Files {
        Files(self.0.iter().map(|(path, _)| (path.clone(), stamp(path))).collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok(), inode(&metadata)))
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}
