//! A started program whose output goes to files: nothing it writes is lost, and no full pipe stops it.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;

use super::{STEP, WAIT, tieline};
use tests::folder::Folder;

/// A started program.
pub(crate) struct Process {
    child: RefCell<Child>,
    stdout: Said,
    stderr: Said,
}

impl Process {
    /// Starts the program.
    pub(crate) fn start(arguments: &[&str]) -> Process {
        Process::spawn(tieline(arguments))
    }

    /// Starts the program in an environment.
    pub(crate) fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Process {
        let mut command = tieline(arguments);
        command.envs(environment.iter().copied());
        Process::spawn(command)
    }

    /// Starts a command.
    pub(crate) fn spawn(mut command: Command) -> Process {
        let (stderr, file) = Said::new();
        command.stderr(file);
        Process::spawn_with(command, stderr)
    }

    /// Starts a command whose standard error is its own affair.
    pub(crate) fn mute(command: Command) -> Process {
        Process::spawn_with(command, Said::new().0)
    }

    fn spawn_with(mut command: Command, stderr: Said) -> Process {
        let (stdout, file) = Said::new();
        let child = RefCell::new(command.stdout(file).spawn().unwrap());
        Process { child, stdout, stderr }
    }

    /// Its number in the system.
    pub(crate) fn id(&self) -> u32 {
        self.child.borrow().id()
    }

    /// Everything on standard output so far.
    pub(crate) fn stdout(&self) -> Vec<u8> {
        self.stdout.all()
    }

    /// Everything on standard error so far.
    pub(crate) fn stderr(&self) -> Vec<u8> {
        self.stderr.all()
    }

    /// Standard output up to the first line for which `is_last` holds.
    pub(crate) fn stdout_until(&self, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        self.until(&self.stdout, is_last)
    }

    /// Standard error up to the first line for which `is_last` holds.
    pub(crate) fn stderr_until(&self, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        self.until(&self.stderr, is_last)
    }

    /// Everything not yet read, once the program has ended.
    pub(crate) fn rest_of_stdout(&self) -> String {
        self.stdout.rest()
    }

    /// Everything not yet read, once the program has ended.
    pub(crate) fn rest_of_stderr(&self) -> String {
        self.stderr.rest()
    }

    fn until(&self, said: &Said, is_last: impl Fn(&str) -> bool) -> Vec<String> {
        let mut read = Vec::new();
        for _ in 0..WAIT.as_millis() / STEP.as_millis() {
            let has_ended = self.status().is_some();
            while let Some(line) = said.line() {
                let is_found = is_last(&line);
                read.push(line);
                if is_found {
                    return read;
                }
            }
            assert!(!has_ended, "the program ended after:\n{}", read.join("\n"));
            sleep(STEP);
        }
        panic!("the program says no more after:\n{}", read.join("\n"));
    }

    fn status(&self) -> Option<ExitStatus> {
        self.child.borrow_mut().try_wait().unwrap()
    }

    /// What the kernel says about the process under this name, in KiB.
    pub(crate) fn status_kib(&self, name: &str) -> u64 {
        assert_eq!(self.status(), None, "the program ended by itself");
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(sent.success(), "kill -s {name}");
    }

    /// Whether the program still runs after a moment.
    pub(crate) fn goes_on(&self) -> bool {
        sleep(10 * STEP);
        self.status().is_none()
    }

    /// Waits for the end.
    pub(crate) fn code(&self) -> ExitStatus {
        for _ in 0..WAIT.as_millis() / STEP.as_millis() {
            if let Some(status) = self.status() {
                return status;
            }
            sleep(STEP);
        }
        panic!("the program does not end");
    }

    /// Asks the program to stop, and waits for its end.
    pub(crate) fn stop(&self) -> ExitStatus {
        self.signal("TERM");
        self.code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// One output of a program, in a file without a name.
struct Said(RefCell<Reading>);

struct Reading {
    file: BufReader<File>,
    /// A line that has not ended yet.
    line: Vec<u8>,
}

impl Said {
    /// The output, and the file to write it to.
    fn new() -> (Said, File) {
        let folder = Folder::new();
        let path = folder.path("output");
        // The folder and its name are gone at the end of this function, the file stays.
        let written = File::create(&path).unwrap();
        let file = BufReader::new(File::open(&path).unwrap());
        (Said(RefCell::new(Reading { file, line: Vec::new() })), written)
    }

    /// The next whole line, if there is one.
    fn line(&self) -> Option<String> {
        let Reading { file, line } = &mut *self.0.borrow_mut();
        file.read_until(b'\n', line).unwrap();
        line.pop_if(|last| *last == b'\n')?;
        Some(String::from_utf8_lossy(&std::mem::take(line)).into_owned())
    }

    /// Every line that is not yet read.
    fn rest(&self) -> String {
        std::iter::from_fn(|| self.line()).map(|line| line + "\n").collect()
    }

    fn all(&self) -> Vec<u8> {
        let reading = self.0.borrow();
        let file = reading.file.get_ref();
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }
}

/// A gateway at work.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// What the log said until it listened.
    pub(crate) start: String,
}

impl Gateway {
    /// Starts a gateway with the configuration in a file.
    pub(crate) fn start(file: &str) -> Gateway {
        Gateway::start_with(file, "json", &[])
    }

    /// The same with a format of its log and an environment.
    pub(crate) fn start_with(file: &str, format: &str, environment: &[(&str, &str)]) -> Gateway {
        let arguments = ["serve", "--config", file, "--log-format", format];
        Gateway::of(Process::start_with(&arguments, environment))
    }

    /// A gateway that was started already.
    pub(crate) fn of(process: Process) -> Gateway {
        let lines =
            process.stderr_until(|line| line.contains("listening") && line.contains("admin"));
        let line = lines.last().unwrap();
        let mut addresses = line.match_indices("127.0.0.1:").map(|(at, _)| {
            let rest = &line[at..];
            let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
            rest[..end.unwrap_or(rest.len())].parse().unwrap()
        });
        let (address, admin) = (addresses.next().unwrap(), addresses.next().unwrap());
        Gateway { address, admin, start: lines.join("\n"), process }
    }
}
