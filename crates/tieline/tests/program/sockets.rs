//! Listening sockets that the service manager hands over: connections that came before the start are answered, and
//! nothing is guessed.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::configured;
use tests::folder::Folder;
use tests::plain::{connect, request};
use tests::{Answer, V4_KEY};

/// As systemd does it: sockets are numbered from 3, and the variable names the process that they are for.
const HAND_OVER: &str = "exec 3<&0 4<&1 </dev/null >/dev/null\n\
                         export LISTEN_FDS LISTEN_FDNAMES LISTEN_PID=${FOR:-$$}\n\
                         exec \"$0\" serve --config \"$1\" --log-format json";

/// The program, which ends with its test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program with these two sockets, and names for as many as are handed over.
fn start(file: &str, server: &TcpListener, admin: &TcpListener, more: &[(&str, &str)]) -> Started {
    let socket = |listener: &TcpListener| Stdio::from(OwnedFd::from(listener.try_clone().unwrap()));
    let mut command = Command::new("sh");
    command.args(["-c", HAND_OVER, env!("CARGO_BIN_EXE_tieline"), file]);
    command.env_remove("TIELINE_LOG").env_remove("RUST_LOG").envs(more.iter().copied());
    command.stdin(socket(server)).stdout(socket(admin)).stderr(Stdio::piped());
    Started(command.spawn().unwrap())
}

/// Exit code and standard error of a program that ends by itself.
fn ended(mut started: Started) -> (Option<i32>, String) {
    let mut told = String::new();
    started.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    (started.0.wait().unwrap().code(), told)
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A configuration that listens on these addresses.
fn configuration(folder: &Folder, server: SocketAddr, admin: SocketAddr) -> String {
    folder.file("v4.key", V4_KEY);
    let any = "listen = \"127.0.0.1:0\"";
    let text = configured("", "http://127.0.0.1:9", "", "[limits]\ndrain_delay = \"0s\"");
    let text = text.replacen(any, &format!("listen = \"{server}\""), 1);
    folder.file("t.toml", text.replacen(any, &format!("listen = \"{admin}\""), 1))
}

fn ask(stream: &mut TcpStream, target: &str) {
    stream.write_all(request(&format!("GET {target}"), "").as_bytes()).unwrap();
}

fn heard(mut stream: TcpStream) -> u16 {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    Answer::heard(&bytes).status.as_u16()
}

const BOTH: [(&str, &str); 2] = [("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "server:admin")];

#[test]
fn connections_made_before_the_start_and_between_two_processes_are_answered() {
    let folder = Folder::new();
    let ((server, address), (admin, admin_address)) = (listener(), listener());
    let file = configuration(&folder, address, admin_address);
    let (mut early, mut probe) = (connect(address), connect(admin_address));
    ask(&mut early, "/openapi.json");
    ask(&mut probe, "/readyz");
    let first = start(&file, &server, &admin, &BOTH);
    assert_eq!((heard(early), heard(probe)), (200, 200));
    let mut open = connect(address);
    ask(&mut open, "/openapi.json");
    assert_eq!(heard(open), 200);
    // The socket outlives the process, so a restart refuses no connection.
    let pid = first.0.id().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().unwrap().success());
    assert_eq!(ended(first).0, Some(0));
    let mut between = connect(address);
    ask(&mut between, "/openapi.json");
    let _second = start(&file, &server, &admin, &BOTH);
    assert_eq!(heard(between), 200);
}

#[test]
fn one_socket_alone_is_taken_and_the_other_port_is_bound_here() {
    let folder = Folder::new();
    let ((server, address), (unused, _)) = (listener(), listener());
    // A port that was free a moment ago.
    let admin = listener().1;
    let file = configuration(&folder, address, admin);
    let mut early = connect(address);
    ask(&mut early, "/openapi.json");
    let one = [("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "server")];
    let _started = start(&file, &server, &unused, &one);
    assert_eq!(heard(early), 200);
    let mut probe = connect(admin);
    ask(&mut probe, "/readyz");
    assert_eq!(heard(probe), 200);
}

#[test]
fn a_socket_that_contradicts_the_configuration_or_has_no_name_is_refused() {
    let folder = Folder::new();
    let ((server, address), (admin, admin_address)) = (listener(), listener());
    let file = configuration(&folder, address, admin_address);
    let turned = configuration(&folder, admin_address, address);
    assert_eq!(file, turned);
    let (code, told) = ended(start(&turned, &server, &admin, &BOTH));
    let at = format!("{turned}:2: server.listen: ");
    let why = format!("the service manager's socket listens on {address}; say the same address");
    assert_eq!(code, Some(78), "{told}");
    assert!(told.lines().count() == 1 && told.starts_with(&at) && told.contains(&why), "{told}");
    for (names, why) in [
        ("server", "socket 2 of LISTEN_FDS needs FileDescriptorName=server or"),
        ("tieline.socket:admin", "socket 1 of LISTEN_FDS needs FileDescriptorName=server or"),
        ("admin:admin", "socket 2 of LISTEN_FDS has the name of another one"),
    ] {
        let named = [("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", names)];
        let (code, told) = ended(start(&file, &server, &admin, &named));
        assert_eq!(code, Some(78), "{names}: {told}");
        assert!(told.lines().count() == 1 && told.contains(why), "{names}: {told}");
    }
    // Number 5 is open to nothing.
    let three = [("LISTEN_FDS", "3"), ("LISTEN_FDNAMES", "server:admin:server")];
    let (code, told) = ended(start(&file, &server, &admin, &three));
    assert_eq!(
        (code, told.contains("socket 3 of LISTEN_FDS is no socket of TCP")),
        (Some(78), true)
    );
}

#[test]
fn a_socket_that_does_not_listen_and_a_number_that_is_none_are_refused() {
    let folder = Folder::new();
    let ((server, address), (admin, admin_address)) = (listener(), listener());
    let file = configuration(&folder, address, admin_address);
    // A connection is of TCP, too.
    let connected = TcpListener::from(OwnedFd::from(TcpStream::connect(admin_address).unwrap()));
    let (code, told) = ended(start(&file, &server, &connected, &BOTH));
    assert_eq!(code, Some(78), "{told}");
    assert!(told.contains("socket 2 of LISTEN_FDS does not listen"), "{told}");
    for count in ["", "two", "-1", "4294967297"] {
        let named = [("LISTEN_FDS", count), ("LISTEN_FDNAMES", "server:admin")];
        let (code, told) = ended(start(&file, &server, &admin, &named));
        assert_eq!(code, Some(78), "{count}: {told}");
        assert!(told.contains("LISTEN_FDS is no number of sockets"), "{count}: {told}");
    }
}

#[test]
fn sockets_of_another_process_are_left_alone() {
    let folder = Folder::new();
    let ((server, address), (admin, _)) = (listener(), listener());
    let own = listener().1;
    let file = configuration(&folder, own, listener().1);
    let mut early = connect(address);
    early.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    ask(&mut early, "/openapi.json");
    let more = [BOTH[0], BOTH[1], ("FOR", "1")];
    let _started = start(&file, &server, &admin, &more);
    crate::common::eventually("listening", || TcpStream::connect(own).is_ok());
    let mut asked = connect(own);
    ask(&mut asked, "/openapi.json");
    assert_eq!(heard(asked), 200);
    assert!(early.read(&mut [0]).is_err(), "nobody took the other socket");
}
