//! Asks the admin port of a gateway that runs. Must never follow where an answer leads, or read more of it than its
//! caller has room for.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::curl::bearer;

/// The longest wait for the whole answer.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Status and body of a page, asked for with `admin.key` if one is given; the error is a sentence without the address.
pub(crate) async fn page(
    admin: SocketAddr,
    path: &str,
    key: Option<&str>,
    bytes_max: u64,
) -> Result<(u16, Vec<u8>), String> {
    let whole = match timeout(WAIT_MAX, whole(admin, path, key, bytes_max)).await {
        Ok(whole) => whole.map_err(|error| error.to_string())?,
        Err(_) => return Err("no answer within 2 s".to_owned()),
    };
    let status = status_of(&whole).ok_or("the answer is no HTTP")?;
    let end = whole.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let body = end.and_then(|end| whole.get(end + 4..)).unwrap_or_default();
    Ok((status, body.to_vec()))
}

async fn whole(
    admin: SocketAddr,
    path: &str,
    key: Option<&str>,
    bytes_max: u64,
) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(admin).await?;
    let key = key.map(|key| format!("{}\r\n", bearer(key))).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {admin}\r\n{key}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(bytes_max).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The status of an answer; `None` for an answer in another protocol.
fn status_of(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.1 ")?;
    let (digits, behind) = rest.split_at_checked(3)?;
    let is_whole = behind.starts_with(b" ") || behind.starts_with(b"\r\n");
    if !is_whole || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
