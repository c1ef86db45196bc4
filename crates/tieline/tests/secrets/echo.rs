//! Vendors of the worst manners and ears on the wire: a server that repeats a caller's credential in
//! every place an answer has, and a tap that hears what two programs say to each other.
//!
//! Both are for canaries alone and speak on loopback; every read ends by itself.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::Duration;

const SILENCE_MAX: Duration = Duration::from_secs(60);
const REQUEST_BYTES_MAX: usize = 64 << 10;

/// What the echo answers, each under a path of its own; `@` is the credential and the body of the
/// request.
pub(crate) const ANSWERS: [&str; 18] = [
    "HTTP/1.1 401 @\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\n\r\n{\"error\":\"@\"}",
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"error\":\"@\"}",
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n@",
    "HTTP/1.1 302 Found\r\nlocation: https://@:@@localhost/@?@\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-type: @\r\ncontent-length: 2\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\ncontent-encoding: @\r\ncontent-length: 2\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\ncontent-length: @\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n@\r\n@\r\n",
    "HTTP/1.1 200 OK\r\n@\r\n\r\n{}",
    "@\r\n\r\n",
    "HTTP/1.1 429 Slow\r\nretry-after: @\r\nset-cookie: @\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 503 @\r\nwww-authenticate: @\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n[{\"id\":\"@\",\"name\":\"@\"}]",
    "HTTP/1.1 200 OK\r\n\r\n{\"access_token\":[\"@\"],\"users\":\"@\",\"meta\":{\"totalCount\":\"@\"}}",
    "HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"@ \",\"expires_in\":60}",
    "HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"x\",\"expires_in\":\"@\"}",
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{\"@\":\"@",
];

/// Starts the echo; returns `http://HOST:PORT`, below which `/N` is answer number N.
pub(crate) fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    spawn(move || {
        for stream in listener.incoming().flatten() {
            spawn(move || answer(stream));
        }
    });
    base
}

fn answer(mut stream: TcpStream) {
    stream.set_read_timeout(Some(SILENCE_MAX)).unwrap();
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    let (head, body) = loop {
        match stream.read(&mut piece) {
            Ok(count) if count > 0 && request.len() < REQUEST_BYTES_MAX => {
                request.extend(&piece[..count]);
            }
            _ => return,
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").and_then(|text| text.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break (head.to_owned(), body.to_owned());
        }
    };
    let number = head.split(['/', '?', ' ']).find_map(|part| part.parse::<usize>().ok());
    let template = number.and_then(|number| ANSWERS.get(number)).copied().unwrap_or_default();
    let said = format!("{}{body}", header(&head, "authorization").unwrap_or_default());
    let _ = stream.write_all(template.replace('@', &said).as_bytes());
    let _ = stream.shutdown(Shutdown::Both);
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// What was said over one tap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tap {
    sent: Arc<Mutex<Vec<u8>>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    /// Puts a tap before `base`; returns it and the base to use instead.
    pub(crate) fn before(base: &str) -> (Tap, String) {
        let to = base.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tapped = format!("http://{}", listener.local_addr().unwrap());
        let tap = Tap::default();
        let heard = tap.clone();
        spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(&to) else { continue };
                let ends = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let (sent, answered) = (Arc::clone(&heard.sent), Arc::clone(&heard.answered));
                spawn(move || copy(near, far, &sent));
                spawn(move || copy(ends.1, ends.0, &answered));
            }
        });
        (tap, tapped)
    }

    /// Every byte that went through to the vendor.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.sent.lock().unwrap().clone()
    }

    /// Every access token that came back.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let bytes = self.answered.lock().unwrap().clone();
        let text = String::from_utf8_lossy(&bytes);
        let starts = text.split("\"access_token\":\"").skip(1);
        starts.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, heard: &Mutex<Vec<u8>>) {
    let mut piece = [0; 16 << 10];
    while let Ok(count) = from.read(&mut piece) {
        // Recorded before it is passed on: once an answer is there, its bytes are here.
        heard.lock().unwrap().extend(&piece[..count]);
        if count == 0 || to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
