//! Files that only their owner may read. Recordings, reports and maps of ids are about people.

use std::fs::OpenOptions;

/// Options that write, and under which a new file gets the mode 0600.
pub fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
