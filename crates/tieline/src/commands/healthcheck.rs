//! `tieline healthcheck`: whether a running gateway is ready, for images that have no `curl`.
//!
//! Must never read a configuration: it holds no key, and a file that is being changed makes no gateway ill.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::curl::called;
use crate::failure::Failure;
use crate::{output, runtime};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline healthcheck
  tieline healthcheck --admin 127.0.0.1:9090

It asks for /readyz and waits 2 s at most.
Exit codes: 0 ready, 1 not ready or no answer, 2 wrong usage.")]
pub(crate) struct Healthcheck {
    /// The gateway's admin port; of all addresses, such as 0.0.0.0, this machine's is asked
    #[arg(long, env = "TIELINE_ADMIN__LISTEN", hide_env_values = true, value_name = "ADDR")]
    #[arg(default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
}

/// The longest wait for the whole answer.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// More than the answer has, and little enough for whatever else may listen there.
const ANSWER_BYTES_MAX: u64 = 16 << 10;

impl Healthcheck {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let admin = called(self.admin);
        runtime::run(async move {
            let told = |why: &str| Failure::new(format_args!("http://{admin}/readyz: {why}"));
            match timeout(WAIT_MAX, status(admin)).await {
                Ok(Ok(Some(200))) => {
                    output::print("ready\n")?;
                    Ok(ExitCode::SUCCESS)
                }
                Ok(Ok(Some(status))) => Err(told(&format!("not ready: {status}"))),
                Ok(Ok(None)) => Err(told("the answer is no HTTP")),
                Ok(Err(error)) => Err(told(&error.to_string())),
                Err(_) => Err(told("no answer within 2 s")),
            }
        })
    }
}

/// The status of a whole answer; `None` for an answer in another protocol.
async fn status(admin: SocketAddr) -> io::Result<Option<u16>> {
    let mut stream = TcpStream::connect(admin).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(status_of(&answer))
}

fn status_of(answer: &[u8]) -> Option<u16> {
    let rest = answer.strip_prefix(b"HTTP/1.1 ")?;
    let (digits, behind) = rest.split_at_checked(3)?;
    let is_whole = behind.starts_with(b" ") || behind.starts_with(b"\r\n");
    if !is_whole || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
