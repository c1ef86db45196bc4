//! The files a configuration was read from, as they were just before they were read, so that no
//! change of one can go unnoticed.
//!
//! Must never open a file: a named pipe would keep the program waiting.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files, and the mark by which each is known to have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// The mark of a file. It differs once the file was written or replaced, or once its rights or its owner changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    identity: Identity,
    /// `None` for a folder, in which files come and go.
    content: Option<Content>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    length: u64,
    modified: Option<SystemTime>,
    /// Also differs after a change of rights that no other field shows, such as an access list.
    changed: (i64, i64),
}

impl Files {
    /// Adds a file that is about to be read.
    pub(crate) fn add(&mut self, path: &Path) {
        self.0.push((path.to_owned(), stamp(path)));
    }

    /// Adds the paths that decide whether a file can be written: the file itself and its folder.
    pub(crate) fn add_with_folder(&mut self, path: &Path) {
        self.add(path);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        self.add(folder.unwrap_or(Path::new(".")));
    }

    /// The same files as they are now.
    #[must_use]
    pub fn now(&self) -> Files {
        Files(self.0.iter().map(|(path, _)| (path.clone(), stamp(path))).collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    let content = Content {
        length: metadata.len(),
        modified: metadata.modified().ok(),
        changed: changed(&metadata),
    };
    let content = (!metadata.is_dir()).then_some(content);
    Some(Stamp { identity: identity(&metadata), content })
}

/// Device, number, rights, owner, group.
type Identity = (u64, u64, u32, u32, u32);

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino(), metadata.mode(), metadata.uid(), metadata.gid())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {
    Identity::default()
}

#[cfg(unix)]
fn changed(metadata: &Metadata) -> (i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> (i64, i64) {
    (0, 0)
}
