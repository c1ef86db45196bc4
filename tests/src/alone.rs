//! A test in a process of its own, for what a process has only once: its memory and its open files.
//!
//! The other tests of a program run in the same process at the same time, and would be counted.

use std::env;
use std::process::{Command, Stdio};

/// Set in the process that was started for one test.
const ALONE: &str = "TIELINE_TEST_ALONE";

/// The arguments with which this program runs one test and no other. `module` is the test's
/// `module_path!()`.
pub fn arguments(module: &str, test: &str) -> [String; 4] {
    let below = module.split_once("::").map_or(String::new(), |(_, below)| format!("{below}::"));
    let name = format!("{below}{test}");
    ["--exact".to_owned(), name, "--nocapture".to_owned(), "--test-threads=1".to_owned()]
}

/// Whether this process runs the test alone. If it does not, another process does it now, and the test
/// fails here if it fails there.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub fn is_alone(module: &str, test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let program = env::current_exe().expect("a test program has a path");
    let mut command = Command::new(program);
    command.args(arguments(module, test)).env(ALONE, "1").stdin(Stdio::null());
    let output = command.output().expect("a test program starts");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    // A name that no test has would pass as well.
    let has_passed = output.status.success() && out.contains(" 1 passed;");
    assert!(has_passed, "{test} alone: {}\n{out}\n{err}", output.status);
    false
}
