//! A server for tests that says of PostgreSQL's protocol what a recording needs, and stalls or refuses when told. Must
//! never be taken for a proof about PostgreSQL: tests/outside/roster_postgres.sh runs a real one.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::postgres::schema::SCHEMA;
use crate::postgres::setup::PostgresSetup;

/// Longer than a test waits for anything.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// PostgreSQL's numbers of types.
const BOOL: i32 = 16;
const INT8: i32 = 20;
const INT2: i32 = 21;
const INT4: i32 = 23;
const TEXT: i32 = 25;

/// A value of a row and its type.
type Cell = (i32, Option<Vec<u8>>);

#[derive(Default)]
struct Seen {
    connections: usize,
    statements: Vec<String>,
    /// Statements with one of these get no answer.
    held: Vec<&'static str>,
    refuses: bool,
}

/// A server on the loopback.
pub(crate) struct Fake {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    news: watch::Sender<()>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fake = Fake { port, seen: Arc::default(), news: watch::Sender::new(()) };
        let (seen, news) = (Arc::clone(&fake.seen), fake.news.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(served(client, Arc::clone(&seen), news.clone()));
            }
        });
        fake
    }

    pub(crate) fn setup(&self) -> PostgresSetup {
        PostgresSetup {
            address: format!("postgresql://u@127.0.0.1:{}/d?sslmode=disable", self.port),
            password: None,
            authorities: None,
            record_every: Duration::ZERO,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Answers no statement with one of these words from now on.
    pub(crate) fn hold(&self, words: &[&'static str]) {
        self.seen.lock().unwrap().held = words.to_vec();
    }

    /// Answers all.
    pub(crate) fn release(&self) {
        self.hold(&[]);
        self.news.send_replace(());
    }

    /// Takes no further connection.
    pub(crate) fn refuse(&self) {
        self.seen.lock().unwrap().refuses = true;
    }

    pub(crate) fn statements(&self) -> Vec<String> {
        self.seen.lock().unwrap().statements.clone()
    }

    /// How many connections were ever made.
    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// Waits until so many statements with this word have come.
    pub(crate) async fn saw(&self, word: &str, count: usize) {
        let mut news = self.news.subscribe();
        let all = async {
            while self.statements().iter().filter(|it| it.contains(word)).count() < count {
                news.changed().await.unwrap();
            }
        };
        timeout(WAIT_MAX, all).await.expect("the statement does not come");
    }
}

async fn served(
    mut client: TcpStream,
    seen: Arc<Mutex<Seen>>,
    news: watch::Sender<()>,
) -> std::io::Result<()> {
    let length = client.read_u32().await?;
    read(&mut client, length).await?;
    let refuses = {
        let mut seen = seen.lock().unwrap();
        seen.connections += 1;
        seen.refuses
    };
    if refuses {
        let refusal = message(b'E', b"SFATAL\0C53300\0Mtoo many\0\0");
        return client.write_all(&refusal).await;
    }
    let ready = message(b'Z', b"I");
    client.write_all(&[message(b'R', &[0; 4]), ready.clone()].concat()).await?;
    let mut statement = String::new();
    loop {
        let kind = client.read_u8().await?;
        let length = client.read_u32().await?;
        let body = read(&mut client, length).await?;
        let is_simple = kind == b'Q';
        match kind {
            // A statement that is prepared has a name in front, here always the empty one.
            b'P' => statement = text(&body[1..]),
            b'Q' => statement = text(&body),
            _ => {}
        }
        if !matches!(kind, b'Q' | b'S') {
            continue;
        }
        let mut changes = news.subscribe();
        seen.lock().unwrap().statements.push(statement.clone());
        news.send_replace(());
        while seen.lock().unwrap().held.iter().any(|word| statement.contains(word)) {
            changes.changed().await.map_err(std::io::Error::other)?;
        }
        let mut answer = Vec::new();
        if !is_simple {
            answer.extend([message(b'1', b""), message(b'2', b"")].concat());
        }
        match row(&statement) {
            None if is_simple => {}
            None => answer.extend(message(b'n', b"")),
            Some(cells) => answer.extend(told(&cells, is_simple)),
        }
        answer.extend(message(b'C', b"INSERT 0 1\0"));
        answer.extend(&ready);
        client.write_all(&answer).await?;
    }
}

/// The one row that a statement is answered with.
fn row(statement: &str) -> Option<Vec<Cell>> {
    let number = |number: i64| (INT8, Some(number.to_be_bytes().to_vec()));
    let truth = |is_so: bool| (BOOL, Some(vec![u8::from(is_so)]));
    let text = |text: &str| (TEXT, Some(text.as_bytes().to_vec()));
    let int4 = |number: i32| (INT4, Some(number.to_be_bytes().to_vec()));
    let has = |word| statement.contains(word);
    if has("SHOW transaction_read_only") {
        Some(vec![text("off")])
    } else if has("pg_catalog.pg_class") {
        Some(vec![truth(true), truth(true), int4(3)])
    } else if has("SELECT schema FROM tieline_roster") {
        Some(vec![int4(i32::try_from(SCHEMA).unwrap())])
    } else if has("FROM tieline_roster_scopes WHERE caller") {
        let (never, doubts) = ((INT8, None), (INT2, Some(vec![0, 0])));
        let (id, version, now) = (number(1), text("one"), number(1000));
        Some(vec![id, version, never.clone(), never, doubts, now, truth(false)])
    } else if has("RETURNING scopes.version") {
        Some(vec![text("two")])
    } else if has("SELECT (pg_is_in_recovery()") {
        Some(vec![truth(false)])
    } else {
        None
    }
}

/// The description of a row, and the row.
fn told(cells: &[Cell], is_text: bool) -> Vec<u8> {
    let count = i16::try_from(cells.len()).unwrap().to_be_bytes();
    let (mut columns, mut values) = (count.to_vec(), count.to_vec());
    for (kind, value) in cells {
        columns.extend(b"c\0\0\0\0\0\0\0");
        columns.extend(kind.to_be_bytes());
        columns.extend((-1_i16).to_be_bytes());
        columns.extend((-1_i32).to_be_bytes());
        columns.extend(i16::from(!is_text).to_be_bytes());
        let length = value.as_ref().map_or(-1, |value| i32::try_from(value.len()).unwrap());
        values.extend(length.to_be_bytes());
        values.extend(value.iter().flatten());
    }
    [message(b'T', &columns), message(b'D', &values)].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

/// The rest of a message whose length was read.
async fn read(client: &mut TcpStream, length: u32) -> std::io::Result<Vec<u8>> {
    let mut body = vec![0; length as usize - 4];
    client.read_exact(&mut body).await?;
    Ok(body)
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
}
