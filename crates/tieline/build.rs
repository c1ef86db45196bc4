//! Tells the program the revision it is built from: `TIELINE_REVISION` of the environment, or the commit of the
//! checkout, or "unknown".
//!
//! Must never use the time, the machine or the state of uncommitted files: one commit has to give one binary.

use std::process::Command;

const VARIABLE: &str = "TIELINE_REVISION";

/// Enough digits to find a commit.
const DIGITS: usize = 12;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    let given = std::env::var(VARIABLE).unwrap_or_default();
    let revision = match given.is_empty() {
        true => commit().unwrap_or_else(|| "unknown".to_owned()),
        false => given,
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    assert!(
        revision.chars().all(is_plain) && revision.len() <= 64,
        "{VARIABLE} has a character that a revision has not, or is too long"
    );
    println!("cargo:rustc-env={VARIABLE}={revision}");
}

/// The commit that is checked out here. Another repository around this folder does not count.
fn commit() -> Option<String> {
    git(&["ls-files", "--error-unmatch", "build.rs"])?;
    // The file that names the branch, and the one that names its commit.
    let head = git(&["rev-parse", "--git-path", "HEAD"])?;
    println!("cargo:rerun-if-changed={head}");
    let branch = git(&["symbolic-ref", "--quiet", "HEAD"]);
    if let Some(file) = branch.and_then(|branch| git(&["rev-parse", "--git-path", &branch])) {
        // A packed branch has no file of its own until the next commit; git then writes HEAD's log.
        let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
        let file = if std::path::Path::new(&file).exists() { file } else { log };
        println!("cargo:rerun-if-changed={file}");
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    commit.get(..DIGITS).map(str::to_owned)
}

/// What git says; nothing where it is missing or fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
