//! The real program with its output in files: nothing it writes is lost, and no full pipe stops it.
//! Every wait has an end, and a process that a failing test leaves behind is killed.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use super::{base_after, run, stdout, tieline};

const WAIT: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(20);

/// The legacy list.
pub(crate) const LIST: &str = "/api/user_management/v1/users";

/// A folder of its own for each test, gone when the test is over.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(test: &str) -> Folder {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let file = self.path(name);
        std::fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A started program.
pub(crate) struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    pub(crate) fn start(
        folder: &Folder,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Process {
        let (stdout, stderr) =
            (folder.path(&format!("{name}.stdout")), folder.path(&format!("{name}.stderr")));
        let child = tieline(arguments)
            .envs(environment.iter().copied())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap())
            .spawn()
            .unwrap();
        Process { child, stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdout(&self) -> Vec<u8> {
        std::fs::read(&self.stdout).unwrap()
    }

    pub(crate) fn stderr(&self) -> Vec<u8> {
        std::fs::read(&self.stderr).unwrap()
    }

    /// What the kernel says about the process under this name, in KiB.
    pub(crate) fn status_kib(&mut self, name: &str) -> u64 {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the program ended by itself: {status}");
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Asks the process to stop, and waits for its end.
    pub(crate) fn stop(&mut self) {
        let id = self.id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", "TERM", &id]).status().unwrap();
        assert!(sent.success(), "kill -s TERM");
        for _ in 0..WAIT.as_millis() / STEP.as_millis() {
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
            sleep(STEP);
        }
        panic!("the program does not end");
    }

    /// Waits until one of the outputs has a line with all of these words, and returns it.
    fn line_with(&mut self, words: &[&str]) -> String {
        for _ in 0..WAIT.as_millis() / STEP.as_millis() {
            let has_ended = self.child.try_wait().unwrap().is_some();
            for bytes in [self.stdout(), self.stderr()] {
                let text = String::from_utf8_lossy(&bytes);
                let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
                if let Some(line) = lines.find(|line| words.iter().all(|word| line.contains(word)))
                {
                    return line.to_owned();
                }
            }
            assert!(!has_ended, "the program ended before it said {words:?}");
            sleep(STEP);
        }
        panic!("the program does not say {words:?}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pretend vendor and where it is, as `http://HOST:PORT`.
pub(crate) fn vendor(
    folder: &Folder,
    name: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (Process, String) {
    let all = [&["simulate", "--listen", "127.0.0.1:0"], arguments].concat();
    let mut process = Process::start(folder, name, &all, environment);
    let base = base_after(&process.line_with(&["is at http://"]), "is at ");
    (process, base)
}

/// A gateway at work.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Gateway {
    pub(crate) fn start(
        folder: &Folder,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Gateway {
        let mut process =
            Process::start(folder, name, &[&["serve"], arguments].concat(), environment);
        let line = process.line_with(&["listening", "admin"]);
        let mut addresses = line.match_indices("127.0.0.1:").map(|(at, _)| {
            let rest = &line[at..];
            let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
            rest[..end.unwrap_or(rest.len())].parse().unwrap()
        });
        let (address, admin) = (addresses.next().unwrap(), addresses.next().unwrap());
        drop(addresses);
        Gateway { process, address, admin }
    }
}

/// A good configuration for one caller, `crm`, with the keys of the demo; `tls` stands in
/// `[server]`, `upstream` in its upstream's table.
pub(crate) fn configuration(folder: &Folder, tls: &str, vendor: &str, upstream: &str) -> String {
    let key = folder.file("key", "v4-demo-key\n");
    let digest = stdout(&run(&["key", "digest"], b"legacy-demo-key"));
    let digest = digest.trim_end();
    let text = format!(
        r#"[server]
listen = "127.0.0.1:0"
{tls}
[admin]
listen = "127.0.0.1:0"
[limits]
request_deadline = "60s"
[upstream.ams]
dialect = "voiso-v4"
base_url = "{vendor}"
{upstream}
[[caller]]
name = "crm"
legacy_key = {{ digest = "{digest}" }}
upstream = "ams"
upstream_key = {{ file = "{key}" }}
sees = "everything"
"#
    );
    folder.file("tieline.toml", &text)
}

/// Writes these bytes to a server and reads all it has to say, until it closes the connection.
pub(crate) fn say(to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    // The server may close before it has read all of it; then what it said is there all the same.
    let _ = stream.write_all(bytes);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    heard
}

/// The answer to a `GET` with the key of the demo.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The ids of a list, in order.
    pub(crate) fn ids(&self) -> Vec<u64> {
        let users: Vec<serde_json::Value> = serde_json::from_slice(&self.body).unwrap();
        users.iter().map(|user| user["id"].as_u64().unwrap()).collect()
    }
}

/// Asks `GET target` with the key of the demo.
pub(crate) fn ask(to: SocketAddr, target: &str) -> Answer {
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: {to}\r\nauthorization: Bearer legacy-demo-key\r\n\
         connection: close\r\n\r\n"
    );
    let mut bytes = say(to, request.as_bytes());
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, body }
}

/// The socket address of `http://HOST:PORT`.
pub(crate) fn address_of(base: &str) -> SocketAddr {
    base.strip_prefix("http://").unwrap().parse().unwrap()
}

/// Makes a certificate for `localhost` that signs itself; returns the files of it and of its key.
pub(crate) fn certificate(folder: &Folder, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = (folder.path(&format!("{name}.pem")), folder.path(&format!("{name}.key")));
    std::fs::write(&files.0, made.cert.pem()).unwrap();
    std::fs::write(&files.1, made.signing_key.serialize_pem()).unwrap();
    files
}

/// The line of `[server]` for a certificate.
pub(crate) fn tls_line((certificate, key): &(PathBuf, PathBuf)) -> String {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    format!("tls = {{ cert = \"{}\", key = \"{}\" }}", text(certificate), text(key))
}
