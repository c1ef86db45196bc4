//! Tells the program the revision it is built from: `TIELINE_REVISION` of the environment, or the commit of the
//! checkout, or "unknown". Tells the linker which functions to put together, if the build is one to be shipped.
//!
//! Must never use the time, the machine or the state of uncommitted files: one commit has to give one binary.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const VARIABLE: &str = "TIELINE_REVISION";

/// The functions, a line each; tests/bench/order.py writes the file.
const ORDER: &str = "order.txt";

/// `no` leaves the order to the linker, for one that does not know `INSERT`. Anything else than `yes` is a mistake.
const IN_ORDER: &str = "TIELINE_FUNCTIONS_IN_ORDER";

/// Enough digits to find a commit.
const DIGITS: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
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
    println!("cargo:rerun-if-changed={ORDER}");
    println!("cargo:rerun-if-env-changed={IN_ORDER}");
    let is = |name, value| std::env::var(name).is_ok_and(|given| given == value);
    let in_order = std::env::var(IN_ORDER).unwrap_or_default();
    assert!(["", "yes", "no"].contains(&&*in_order), "{IN_ORDER} must be `yes` or `no`");
    // Other systems have other linkers. Of the profiles only `dist` has this level.
    if is("OPT_LEVEL", "3") && is("CARGO_CFG_TARGET_OS", "linux") && in_order != "no" {
        put_in_order()?;
    }
    Ok(())
}

/// The functions that a start and common requests run lie between all others, and the system maps sixteen pages of a
/// program where one is needed: so they take three times their bytes of memory. Next to each other they take little
/// more than their bytes. `INSERT` adds a section to the linker's own layout; GNU ld and lld know it.
fn put_in_order() -> Result<(), Box<dyn Error>> {
    let names = std::fs::read_to_string(ORDER).map_err(|error| format!("{ORDER}: {error}"))?;
    let mut script =
        format!("/* {IN_ORDER}=no builds without this file. */\nSECTIONS {{ .text.ordered : {{\n");
    for name in names.lines().filter(|line| !line.starts_with('#')) {
        // Functions that are often or seldom called have sections of their own, and optimization adds to some names.
        let more = if name.ends_with('*') { &[""][..] } else { &["", ".llvm.*"] };
        script.push_str("*(");
        for section in ["text", "text.hot", "text.unlikely"] {
            for more in more {
                let _ = write!(script, " .{section}.{name}{more}");
            }
        }
        script.push_str(")\n");
    }
    script.push_str("} } INSERT AFTER .text;\n");
    let folder = std::env::var("OUT_DIR")?;
    let path = Path::new(&folder).join("order.ld");
    std::fs::write(&path, script)?;
    println!("cargo:rustc-link-arg-bins=-T{}", path.display());
    Ok(())
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
        let file = if Path::new(&file).exists() { file } else { log };
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
