//! Servers that answer badly, made here: each is a miss, and the process does not grow.

use std::time::Duration;

use commons::{Ask, Begun, Commons, Rate, SealKey, Setup, Taken, Wish};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep};

use crate::Seen;

/// What the server sends in place of an answer to a script.
#[derive(Clone, Copy)]
enum Bad {
    Silence,
    Ends,
    Text(&'static [u8]),
    HugeValue,
    EndlessLine,
    Endless(&'static [u8]),
}

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bad::Silence => f.write_str("silence"),
            Bad::Ends => f.write_str("an end"),
            Bad::Text(text) => write!(f, "{}", text.escape_ascii()),
            Bad::HugeValue => f.write_str("a value of 600 MiB"),
            Bad::EndlessLine => f.write_str("a line without an end"),
            Bad::Endless(text) => write!(f, "without an end {}", text.escape_ascii()),
        }
    }
}

const ALL: &[Bad] = &[
    Bad::Silence,
    Bad::Ends,
    Bad::Text(b"-ERR no\r\n"),
    Bad::Text(b"-MOVED 1 127.0.0.1:1\r\n"),
    Bad::Text(b"-NOAUTH Authentication required.\r\n"),
    Bad::Text(b"-READONLY You can't write against a read only replica.\r\n"),
    Bad::Text(b"-OOM command not allowed\r\n"),
    Bad::Text(b"+OK\r\n"),
    Bad::Text(b"$-1\r\n"),
    Bad::Text(b":7\r\n"),
    Bad::Text(b"*4\r\n:1\r\n:9223372036854775807\r\n:-1\r\n:0\r\n"),
    Bad::Text(b"*4\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n$1\r\nx\r\n"),
    Bad::Text(b"*-5\r\n"),
    Bad::Text(b"$-7\r\n"),
    Bad::Text(b"*1000000000\r\n"),
    Bad::Text(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
    // Shifted by one: an answer more than was asked for.
    Bad::Text(b":1\r\n*4\r\n:1\r\n:0\r\n:0\r\n:0\r\n"),
    Bad::HugeValue,
    Bad::EndlessLine,
    Bad::Endless(b"*1\r\n"),
    Bad::Endless(b"\0\xff\x16\x03"),
];

pub(crate) async fn all() -> Seen {
    let mut seen = Vec::new();
    for bad in ALL {
        let before = memory();
        let slowest = one(*bad).await.map_err(|wrong| format!("{bad}: {wrong}"))?;
        let grown = memory().saturating_sub(before);
        seen.push(grown);
        println!("hostile: {bad}: {grown} KiB more, slowest call {slowest:?}");
    }
    let most = seen.iter().max().copied().unwrap_or(0);
    let text =
        format!("hostile: {} kinds of answers, at most {most} KiB more at the peak", seen.len());
    if most > 24 << 10 { Err(text) } else { Ok(text) }
}

async fn one(bad: Bad) -> Result<Duration, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, bad));
        }
    });
    let setup = Setup::one(&format!("redis://{address}"), SealKey::new([7; 32]), 4);
    let commons = Commons::shared(&setup).map_err(|error| error.to_string())?;
    let pace = commons.pace(b"pace", Rate::sustained(60_000, Duration::ZERO));
    let question = commons.question(&commons.scope(b"scope"), &[b"question"]);
    sleep(Duration::from_millis(300)).await;
    let (start, mut slowest) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < Duration::from_millis(1200) {
        let before = Instant::now();
        let taken = commons.take(&pace, Ask::places(1, before + Duration::from_secs(10))).await;
        let after = Instant::now();
        slowest = slowest.max(after - before);
        if !matches!(&taken, Taken::Places(places) if places[0] < after + Duration::from_secs(5)) {
            return Err(format!("{taken:?}"));
        }
        let wish =
            Wish { fresh_for: Duration::from_secs(60), deadline: before + Duration::from_secs(1) };
        let begun = commons.begin(&question, wish).await;
        if !matches!(begun, Begun::Alone) {
            return Err(format!("{begun:?}"));
        }
        sleep(Duration::from_millis(10)).await;
    }
    serving.abort();
    Ok(slowest)
}

/// Answers what a connection begins with, then badly.
async fn serve(mut stream: TcpStream, bad: Bad) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length) = stream.read(&mut buffer).await {
        let asked = &buffer[..length];
        let is_script = asked.windows(4).any(|word| word == b"EVAL");
        let sent = if length == 0 {
            return;
        } else if !is_script && asked.windows(4).any(|word| word == b"ROLE") {
            stream.write_all(b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n").await
        } else if !is_script {
            stream.write_all(b"$23\r\nredis_version:7.0.15\r\nx\r\n").await
        } else {
            worse(&mut stream, bad).await
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn worse(stream: &mut TcpStream, bad: Bad) -> std::io::Result<()> {
    let piece = vec![b'7'; 64 << 10];
    match bad {
        Bad::Silence => return Ok(()),
        Bad::Ends => return Err(std::io::ErrorKind::Other.into()),
        Bad::Text(text) => return stream.write_all(text).await,
        Bad::HugeValue => stream.write_all(b"$629145600\r\n").await?,
        Bad::EndlessLine => stream.write_all(b"+").await?,
        Bad::Endless(text) => {
            let text = text.repeat(4096);
            loop {
                stream.write_all(&text).await?;
            }
        }
    }
    loop {
        stream.write_all(&piece).await?;
    }
}

/// The most memory that the process has had so far, in KiB; begun anew where the system allows it.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let peak = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    peak
}
