//! What readers cost who ask for a long list and do not read it: the memory comes back when they go.

use std::io::Write;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use crate::common::{gateway, metric, much_memory, vendor};
use tests::V1_USERS;
use tests::folder::Folder;
use tests::plain::ask;
use tests::wire::request;

const READERS: usize = 40;
const STEP: Duration = Duration::from_millis(250);
/// How long the memory may take to come back.
const BACK_WITHIN: Duration = Duration::from_secs(15);
/// How long all readers may take to be served.
const SERVED_WITHIN: Duration = Duration::from_secs(120);

#[test]
fn memory_comes_back_after_readers_that_read_nothing() {
    let _turn = much_memory();
    let folder = Folder::new();
    let (_vendor, base) = vendor("--users 3600");
    let gateway = gateway(&folder, "", &base, "[limits]\nrequest_deadline = \"60s\"");

    let fresh = gateway.process.status_kib("VmRSS:");
    let answer = ask(gateway.address, V1_USERS);
    assert_eq!(answer.status, 200);
    let bytes = answer.body.len();
    assert!(bytes > 1_500_000, "the list has {bytes} bytes only");
    drop(answer);
    let first = gateway.process.status_kib("VmRSS:");

    let request = request(&format!("GET {V1_USERS}"), &[]);
    let readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut stream = TcpStream::connect(gateway.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    let mut peak = first;
    let mut served = 0;
    for _ in 0..SERVED_WITHIN.as_millis() / STEP.as_millis() {
        peak = peak.max(gateway.process.status_kib("VmRSS:"));
        served = metric(gateway.admin, "tieline_requests_total", "") as usize - 1;
        if served == READERS {
            break;
        }
        sleep(STEP);
    }
    assert_eq!(served, READERS, "not all readers were served");
    let held = gateway.process.status_kib("VmRSS:");
    drop(readers);

    let mut back = held;
    for _ in 0..BACK_WITHIN.as_millis() / STEP.as_millis() {
        back = gateway.process.status_kib("VmRSS:");
        if back * 2 <= first * 3 {
            break;
        }
        sleep(STEP);
    }
    let peak = peak.max(gateway.process.status_kib("VmHWM:"));
    let figures = format!(
        "KiB: {fresh} fresh, {first} after one list of {bytes} bytes, {held} with {READERS} \
         readers, {peak} at the peak, {back} after they left"
    );
    println!("{figures}");
    assert!(back * 2 <= first * 3, "{figures}");
}
