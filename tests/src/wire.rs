//! Peers that speak byte by byte, at both ends of a gateway: upstreams given as a conversation, and
//! clients that write and read what a test wants, when it wants it.
//!
//! Every wait is bounded, and all of it is on loopback.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Front, LEGACY_KEY, pairs};

/// The longest wait for anything.
pub const WAIT: Duration = Duration::from_secs(30);

/// The most bytes of a head.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Any free port.
pub(crate) const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The head of one request, as it came.
#[derive(Debug, Clone)]
pub struct Head {
    /// How many requests came before this one.
    pub number: usize,
    /// Every byte of it.
    pub text: String,
}

impl Head {
    /// Path and query.
    pub fn target(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or_default()
    }

    /// Every value of a header, in order.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        values(&self.text, name)
    }

    /// A parameter of the query that is a number, 0 where there is none.
    pub fn number_of(&self, name: &str) -> usize {
        let query = self.target().split_once('?').map_or("", |(_, query)| query);
        let value = pairs(query).into_iter().find(|(given, _)| given == name);
        value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
    }
}

/// One end of a connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    /// Which connection of its upstream it is, from 0.
    pub number: usize,
}

impl Wire {
    /// A client's end.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub async fn to(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).await.expect("a connection");
        Wire { stream, read: Vec::new(), number: 0 }
    }

    /// The head of the next request.
    pub async fn asked(&mut self) -> Option<Head> {
        Some(Head { number: 0, text: self.head().await? })
    }

    /// Writes all of it; `None` when the other side does not take it.
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        timeout(WAIT, self.stream.write_all(bytes.as_ref())).await.ok()?.ok()
    }

    /// Writes an answer with so many bytes, piece by piece.
    pub async fn say_long(&mut self, bytes: usize) -> Option<()> {
        self.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n")).await?;
        let piece = vec![b'x'; 64 << 10];
        for _ in 0..bytes / piece.len() {
            self.say(&piece).await?;
        }
        Some(())
    }

    /// Everything up to and with a mark.
    pub async fn until(&mut self, mark: &str) -> Option<String> {
        self.within(mark, usize::MAX).await
    }

    /// The same; `None` where the mark is not among so many bytes.
    async fn within(&mut self, mark: &str, bytes_max: usize) -> Option<String> {
        let mark = mark.as_bytes();
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|part| part == mark) {
                let rest = self.read.split_off(at + mark.len());
                let found = std::mem::replace(&mut self.read, rest);
                return Some(String::from_utf8_lossy(&found).into_owned());
            }
            if self.read.len() > bytes_max {
                return None;
            }
            self.more().await?;
        }
    }

    /// A head, with the empty line behind it. `None` where it is longer than any real one.
    pub async fn head(&mut self) -> Option<String> {
        self.within("\r\n\r\n", HEAD_BYTES_MAX).await
    }

    /// The next bytes, this many.
    pub async fn exactly(&mut self, bytes: usize) -> Option<String> {
        while self.read.len() < bytes {
            self.more().await?;
        }
        let rest = self.read.split_off(bytes);
        let found = std::mem::replace(&mut self.read, rest);
        Some(String::from_utf8_lossy(&found).into_owned())
    }

    /// Everything until the peer closes, or breaks off.
    pub async fn rest(&mut self) -> String {
        while self.more().await.is_some() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Reads this many bytes without keeping them, and returns how many came.
    pub async fn skip(&mut self, bytes: usize) -> usize {
        let mut seen = self.read.len().min(bytes);
        self.read.drain(..seen);
        let mut buffer = vec![0; 64 << 10];
        while seen < bytes {
            let room = buffer.len().min(bytes - seen);
            match timeout(WAIT, self.stream.read(&mut buffer[..room])).await {
                Ok(Ok(0) | Err(_)) | Err(_) => break,
                Ok(Ok(read)) => seen += read,
            }
        }
        seen
    }

    /// Whether nothing comes for a while, and the other side does not close.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        self.read.is_empty() && timeout(time, self.stream.read_buf(&mut self.read)).await.is_err()
    }

    /// Says that no more is said, and goes on listening.
    pub async fn finish(&mut self) -> Option<()> {
        self.stream.shutdown().await.ok()
    }

    /// Resets the connection, once the written bytes are on their way.
    pub async fn reset(self) -> Option<()> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.stream.set_zero_linger().ok()
    }

    async fn more(&mut self) -> Option<()> {
        match timeout(WAIT, self.stream.read_buf(&mut self.read)).await {
            Ok(Ok(read)) if read > 0 => Some(()),
            _ => None,
        }
    }
}

/// An upstream that has a conversation on every connection.
#[derive(Debug)]
pub struct Far {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _guard: DropGuard,
}

impl Far {
    /// Starts an upstream; a conversation that ends closes its connection.
    pub async fn start<T, F>(converse: T) -> Far
    where
        T: Fn(Wire) -> F + Send + Sync + 'static,
        F: Future<Output = Option<()>> + Send + 'static,
    {
        Far::start_at(LOOPBACK, converse).await
    }

    /// The same at an address; its port may be 0.
    #[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
    pub async fn start_at<T, F>(address: SocketAddr, converse: T) -> Far
    where
        T: Fn(Wire) -> F + Send + Sync + 'static,
        F: Future<Output = Option<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let connections = Arc::new(AtomicUsize::new(0));
        let (stopped, count) = (stop.clone(), Arc::clone(&connections));
        tokio::spawn(async move {
            while let Some(Ok((stream, _))) = stopped.run_until_cancelled(listener.accept()).await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let talk = converse(Wire { stream, read: Vec::new(), number });
                let stopped = stopped.clone();
                tokio::spawn(async move { stopped.run_until_cancelled(talk).await });
            }
        });
        Far { address, connections, _guard: stop.drop_guard() }
    }

    /// An upstream that takes every request and never answers.
    pub async fn silent() -> Far {
        Far::start(|mut wire: Wire| async move {
            wire.head().await;
            std::future::pending().await
        })
        .await
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A gateway that passes through to an upstream. `rules` is TOML in `[passthrough]`, and behind it.
pub async fn passing(upstream: SocketAddr, rules: &str) -> Front {
    Front::over(upstream, "", &format!("[passthrough]\nenabled = true\n{rules}")).await
}

/// The head of a request of the one known caller, with these lines, and an end.
pub fn request(line: &str, headers: &[&str]) -> String {
    let mut text = format!("{line} HTTP/1.1\r\nhost: gateway.example\r\n");
    text.push_str(&format!("authorization: Bearer {LEGACY_KEY}\r\n"));
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    text + "\r\n"
}

/// Every value of a header in a head.
pub fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let same = lines.filter(|(given, _)| given.eq_ignore_ascii_case(name));
    same.map(|(_, value)| value.trim()).collect()
}
