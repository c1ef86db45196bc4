//! Runs the real program: starts it, reads it, asks it, stops it. Every wait has an end, and a
//! process that a failing test leaves behind is killed.
#![allow(dead_code, reason = "shared by two programs that use parts of it")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "test helpers")]

pub(crate) mod canary;
pub(crate) mod process;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{sleep, spawn};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

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
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that ends without reading closes the pipe, and the rest of the input is lost.
    let feeding = spawn(move || drop(stdin.write_all(&input)));
    let mut running = Running::new(child);
    let status = running.code();
    feeding.join().unwrap();
    let (out, err) = (running.rest_of_stdout(), running.rest_of_stderr());
    Output { status, stdout: out.into_bytes(), stderr: err.into_bytes() }
}

/// A started program.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    /// Starts the program.
    pub(crate) fn start(arguments: &[&str]) -> Running {
        Running::spawn(tieline(arguments))
    }

    /// Starts a command.
    pub(crate) fn spawn(mut command: Command) -> Running {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(command.spawn().unwrap())
    }

    /// Starts a command whose standard error is its own affair.
    pub(crate) fn mute(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        Running { child, stdout, stderr: lines(std::io::empty()) }
    }

    fn new(mut child: Child) -> Running {
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Running { child, stdout, stderr }
    }

    /// Its number in the system.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard output up to the first line for which `is_last` holds.
    pub(crate) fn stdout_until(&self, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        until(&self.stdout, is_last)
    }

    /// Standard error up to the first line for which `is_last` holds.
    pub(crate) fn stderr_until(&self, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        until(&self.stderr, is_last)
    }

    /// Everything not yet read, once the program has ended.
    pub(crate) fn rest_of_stdout(&self) -> String {
        self.stdout.iter().map(|line| line + "\n").collect()
    }

    /// Everything not yet read, once the program has ended.
    pub(crate) fn rest_of_stderr(&self) -> String {
        self.stderr.iter().map(|line| line + "\n").collect()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success(), "kill -s {name}");
    }

    /// Whether the program still runs after a moment.
    pub(crate) fn goes_on(&mut self) -> bool {
        sleep(10 * STEP);
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end.
    pub(crate) fn code(&mut self) -> std::process::ExitStatus {
        for _ in 0..WAIT.as_millis() / STEP.as_millis() {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            sleep(STEP);
        }
        panic!("the program does not end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn until(lines: &Receiver<String>, is_last: impl Fn(&str) -> bool) -> Vec<String> {
    let mut read = Vec::new();
    loop {
        let line = match lines.recv_timeout(WAIT) {
            Ok(line) => line,
            Err(error) => panic!("{error} after:\n{}", read.join("\n")),
        };
        let done = is_last(&line);
        read.push(line);
        if done {
            return read;
        }
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks `GET path` of `http://HOST:PORT` with a key.
pub(crate) fn get(base: &str, path: &str, key: &str) -> Answer {
    let host = base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_ascii_lowercase().contains("transfer-encoding"), "a whole list has a length");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, body: body.to_owned() }
}

/// The sum of a metric's series whose text has all of `labels`, from the admin page.
pub(crate) fn metric(admin: &str, name: &str, labels: &str) -> f64 {
    let page = get(admin, "/metrics", "").body;
    let of = |line: &&str| line.split(['{', ' ']).next() == Some(name) && line.contains(labels);
    let values = page.lines().filter(of).map(|line| line.rsplit_once(' ').unwrap().1);
    values.map(|value| value.parse::<f64>().unwrap()).sum()
}

/// Where a gateway listens and where its admin page is, from its log so far.
pub(crate) fn addresses(running: &Running) -> (String, String) {
    let lines = running.stderr_until(|line| line.contains("\"message\":\"listening\""));
    let event: serde_json::Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let base = |name: &str| format!("http://{}", event[name].as_str().unwrap());
    (base("address"), base("admin"))
}

/// Asks again and again, for up to half a minute.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..WAIT.as_millis() / STEP.as_millis() {
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

/// The text of a finished program's standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The text of a finished program's standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
