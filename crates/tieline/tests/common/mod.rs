//! Runs the real program: starts it, reads it, stops it. Every wait has an end, and a process that a
//! failing test leaves behind is killed.
#![allow(dead_code, reason = "shared by two programs that use parts of it")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "test helpers")]

pub(crate) mod canary;
pub(crate) mod process;

use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use process::{Gateway, Process};
use tests::folder::Folder;
use tests::plain::get;
use tests::{LEGACY_KEY, V4_KEY, config};

pub(crate) const WAIT: Duration = Duration::from_secs(60);
pub(crate) const STEP: Duration = Duration::from_millis(20);

/// Waits until no other test needs much memory. All tests that run at once, and every process that they
/// start, share 256 MiB (`.ci/run`); a test that needs more than a quarter of it holds this to its end.
pub(crate) fn much_memory() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The program with these arguments and none of the variables that change what it does.
pub(crate) fn tieline(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
    command.args(arguments).env_remove("TIELINE_LOG").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs the program to its end, with `input` on standard input.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    finish(tieline(arguments), input)
}

/// Runs a line in a POSIX shell.
pub(crate) fn shell(line: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    finish(command, b"")
}

fn finish(mut command: Command, input: &[u8]) -> Output {
    let folder = Folder::new();
    let input = std::fs::File::open(folder.file("input", input)).unwrap();
    command.stdin(input);
    let process = Process::spawn(command);
    let status = process.code();
    Output { status, stdout: process.stdout(), stderr: process.stderr() }
}

/// The text of a finished program's standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The text of a finished program's standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The words of a command line in which no word has a space.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A pretend vendor and where it is, as `http://HOST:PORT`. `arguments` are words.
pub(crate) fn vendor(arguments: &str) -> (Process, String) {
    vendor_with(&words(arguments), &[])
}

/// The same with any arguments and an environment.
pub(crate) fn vendor_with(arguments: &[&str], environment: &[(&str, &str)]) -> (Process, String) {
    let all = [&["simulate", "--listen", "127.0.0.1:0"], arguments].concat();
    let process = Process::start_with(&all, environment);
    let said = process.stdout_until(|line| line.contains("_simulator/stats")).join("\n");
    let base = base_after(&said, "is at ");
    (process, base)
}

/// The text of a configuration for one caller, `crm`, with the keys of the demo, over a vendor at this
/// URL. `server` is TOML in `[server]`, `upstream` in the upstream's table, `rest` behind everything.
pub(crate) fn configured(server: &str, vendor: &str, upstream: &str, rest: &str) -> String {
    let file = config::file("v4.key");
    let caller = config::caller("crm", "ams", &config::digest(LEGACY_KEY), &file, rest);
    config::ports(server) + &config::voiso("ams", vendor, upstream) + &caller
}

/// A folder with that configuration and the key that it names.
pub(crate) fn configuration(folder: &Folder, server: &str, vendor: &str, upstream: &str) -> String {
    folder.file("v4.key", V4_KEY);
    let rest = "[limits]\nrequest_deadline = \"60s\"";
    folder.file("tieline.toml", configured(server, vendor, upstream, rest))
}

/// A gateway over a vendor with that configuration; `rest` is TOML behind everything.
pub(crate) fn gateway(folder: &Folder, server: &str, vendor: &str, rest: &str) -> Gateway {
    folder.file("v4.key", V4_KEY);
    Gateway::start(&folder.file("tieline.toml", configured(server, vendor, "", rest)))
}

/// The sum of a metric's series whose text has all of `labels`, from the admin page.
pub(crate) fn metric(admin: impl std::fmt::Display, name: &str, labels: &str) -> f64 {
    let page = get(admin, "/metrics", "").text();
    let of = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(labels);
    let values = page.lines().filter(of).map(|line| line.rsplit_once(' ').unwrap().1);
    values.map(|value| value.parse::<f64>().unwrap()).sum()
}

/// Asks again and again, for up to half a minute.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..WAIT.as_millis() / 2 / STEP.as_millis() {
        if holds() {
            return;
        }
        sleep(STEP);
    }
    panic!("not within half a minute: {what}");
}

/// The first `http://HOST:PORT` of a text after `mark`.
pub(crate) fn base_after(text: &str, mark: &str) -> String {
    let at = text.find(mark).unwrap_or_else(|| panic!("no {mark:?} in:\n{text}")) + mark.len();
    let url = &text[at + text[at..].find("http://").unwrap()..];
    let end = url[7..].find(|c: char| !(c.is_ascii_digit() || ".:".contains(c))).unwrap() + 7;
    url[..end].trim_end_matches(['.', ':']).to_owned()
}
