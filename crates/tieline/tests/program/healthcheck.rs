//! `tieline healthcheck` over real gateways and listeners that are none.

use std::io::Write;
use std::net::TcpListener;
use std::process::Output;

use crate::common::process::Process;
use crate::common::{eventually, gateway, run, stderr, stdout, tieline};
use tests::folder::Folder;

const NOWHERE: &str = "http://127.0.0.1:9";

fn asked(admin: impl ToString) -> Output {
    run(&["healthcheck", "--admin", &admin.to_string()], b"")
}

#[track_caller]
fn is_ill(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(output), "");
    let told = stderr(output);
    assert!(told.starts_with("error: http://127.0.0.1:") && told.contains(why), "{told}");
}

#[test]
fn a_ready_gateway_is_code_0_and_a_draining_or_ended_one_is_code_1() {
    let folder = Folder::new();
    let gateway = gateway(&folder, "", NOWHERE, "[limits]\ndrain_delay = \"40s\"");
    // As in the image: the variable of the gateway, with an address that listens everywhere.
    let everywhere = format!("0.0.0.0:{}", gateway.admin.port());
    let by_variable =
        tieline(&["healthcheck"]).env("TIELINE_ADMIN__LISTEN", everywhere).output().unwrap();
    for output in [asked(gateway.admin), by_variable] {
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("ready\n", ""));
    }
    gateway.process.signal("TERM");
    eventually("the drain shows", || !asked(gateway.admin).status.success());
    is_ill(&asked(gateway.admin), "not ready: 503");
    // The second signal ends it at once.
    gateway.process.stop();
    is_ill(&asked(gateway.admin), "refused");
}

#[test]
fn a_listener_that_is_mute_or_no_gateway_is_code_1() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = listener.local_addr().unwrap();
    // The system takes the connection, and nobody reads it.
    is_ill(&asked(admin), "no answer within 2 s");
    for (answer, why) in [
        ("220 mail.example ESMTP\r\n", "no HTTP"),
        ("HTTP/1.1 2000\r\n\r\n", "no HTTP"),
        ("HTTP/1.1 204\r\n\r\n", "not ready: 204"),
        ("", "no HTTP"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap().to_string();
        let process = Process::start(&["healthcheck", "--admin", &admin]);
        let (mut stream, _) = listener.accept().unwrap();
        tests::plain::head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
        drop(stream);
        let status = process.code();
        let output = Output { status, stdout: process.stdout(), stderr: process.stderr() };
        is_ill(&output, why);
    }
}
