//! A pretend upstream that writes exactly the bytes a test wants, and a client that does the same:
//! for everything a well-behaved server or client cannot say.
//!
//! It speaks on loopback only, and its requests, their heads and its waits are bounded.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use crate::wire::Head;
use crate::wire::{Far, LOOPBACK, Wire};

/// The longest wait for an answer, and the most bytes of it.
const SILENCE_MAX: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 1 << 20;
const HEADS_MAX: usize = 10_000;

/// What a request is answered with.
#[derive(Debug, Clone)]
pub struct Reply {
    bytes: Vec<u8>,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Open,
    Close,
    Reset,
}

impl Reply {
    /// These bytes; the connection stays open for more.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply { bytes: bytes.into(), end: End::Open }
    }

    /// A JSON answer with its length.
    pub fn json(status: u16, body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        Reply::bytes([head.as_bytes(), body].concat())
    }

    /// The page of a list of ids that this request's `limit` and `offset` ask for.
    pub fn page_of(ids: &[u64], head: &Head) -> Reply {
        let window = ids.iter().skip(head.number_of("offset")).take(head.number_of("limit"));
        let rows: Vec<String> = window.map(|id| user(*id)).collect();
        Reply::json(200, page(&rows, ids.len()))
    }

    /// The first `bytes` bytes only, and then the end of the connection.
    pub fn cut_at(mut self, bytes: usize) -> Reply {
        self.bytes.truncate(bytes);
        self.closed()
    }

    /// The answer says that it is the connection's last, and it is.
    pub fn last(mut self) -> Reply {
        let line = self.bytes.windows(2).position(|two| two == b"\r\n").map_or(0, |at| at + 2);
        self.bytes.splice(line..line, *b"connection: close\r\n");
        self.closed()
    }

    /// The connection is closed behind the answer.
    pub fn closed(self) -> Reply {
        Reply { end: End::Close, ..self }
    }

    /// The connection is reset behind the answer.
    pub fn reset(self) -> Reply {
        Reply { end: End::Reset, ..self }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl AsRef<[u8]> for Reply {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A v4 user with as little as a user may have.
pub fn user(id: u64) -> String {
    format!(
        "{{\"id\":\"{id}\",\"name\":\"User {id}\",\"email\":null,\"teams\":[],\"supervised_teams\":[],\
         \"queues\":[],\"channel_profiles\":[],\"skills\":[]}}"
    )
}

/// A v4 page of these rows.
pub fn page(rows: &[String], total: usize) -> String {
    format!("{{\"users\":[{}],\"metadata\":{{\"total\":{total}}}}}", rows.join(","))
}

/// An upstream that follows a script.
#[derive(Debug)]
pub struct Raw {
    /// Where it listens.
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<Head>>>,
    far: Far,
}

impl Raw {
    /// Starts an upstream that answers each request as `script` says.
    pub async fn start(script: impl Fn(&Head) -> Reply + Send + Sync + 'static) -> Raw {
        Raw::start_at(LOOPBACK, script).await
    }

    /// The same at an address; its port may be 0.
    pub async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Head) -> Reply + Send + Sync + 'static,
    ) -> Raw {
        let heads = Arc::<Mutex<Vec<Head>>>::default();
        let (seen, script) = (Arc::clone(&heads), Arc::new(script));
        let far = Far::start_at(address, move |wire| {
            let (seen, script) = (Arc::clone(&seen), Arc::clone(&script));
            async move { converse(wire, &seen, &*script).await }
        })
        .await;
        Raw { address: far.address, heads, far }
    }

    /// Every request so far.
    pub fn heads(&self) -> Vec<Head> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections there were so far.
    pub fn connections(&self) -> usize {
        self.far.connections()
    }

    /// How many requests there were so far.
    pub fn asked(&self) -> usize {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// Answers the requests of one connection, until either side closes it.
async fn converse(
    mut wire: Wire,
    heads: &Mutex<Vec<Head>>,
    script: &(dyn Fn(&Head) -> Reply + Send + Sync),
) -> Option<()> {
    loop {
        let asked = wire.asked().await?;
        let head = {
            let mut heads = heads.lock().unwrap_or_else(PoisonError::into_inner);
            let head = Head { number: heads.len(), ..asked };
            if head.number >= HEADS_MAX {
                return None;
            }
            heads.push(head.clone());
            head
        };
        let reply = script(&head);
        wire.say(&reply).await?;
        match reply.end {
            End::Open => {}
            End::Close => return None,
            End::Reset => return wire.reset().await,
        }
    }
}

/// Writes these bytes to a server and reads all it has to say, until it closes the connection.
#[expect(clippy::expect_used, reason = "a test's world either stands or fails the test")]
pub async fn say(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.expect("a connection");
    // The server may close before it has read all of it. Its answer is there all the same.
    let _ = stream.write_all(bytes).await;
    let mut heard = Vec::new();
    let reading = async {
        while heard.len() < ANSWER_BYTES_MAX {
            match stream.read_buf(&mut heard).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
    };
    timeout(SILENCE_MAX, reading).await.expect("the server closes the connection");
    String::from_utf8_lossy(&heard).into_owned()
}
