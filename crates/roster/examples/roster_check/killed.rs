//! A replica that is cut off before or after each message it sends: what it was recording is there whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use roster::{PostgresRoster, Roster, RosterError, Scope, Sweep};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::{Seen, failed, holds, postgres, scope, setup, users};

/// More messages than any call sends.
const MESSAGES_MAX: u64 = 60;

/// A relay in front of the server that lets so many messages of clients through, and then ends everything.
struct Relay {
    port: u16,
    left: Arc<AtomicU64>,
    /// Whether the last message reaches the server although nobody will hear its answer.
    passes_last: Arc<AtomicBool>,
    was_cut: Arc<AtomicBool>,
}

impl Relay {
    async fn before(server: (String, u16)) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let relay = Relay {
            port: listener.local_addr()?.port(),
            left: Arc::default(),
            passes_last: Arc::default(),
            was_cut: Arc::default(),
        };
        let (left, passes_last, was_cut) =
            (Arc::clone(&relay.left), Arc::clone(&relay.passes_last), Arc::clone(&relay.was_cut));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(upstream) = TcpStream::connect((server.0.as_str(), server.1)).await else {
                    continue;
                };
                let (left, passes_last, was_cut) =
                    (Arc::clone(&left), Arc::clone(&passes_last), Arc::clone(&was_cut));
                tokio::spawn(relayed(client, upstream, left, passes_last, was_cut));
            }
        });
        Ok(relay)
    }

    fn allow(&self, messages: u64, passes_last: bool) {
        self.passes_last.store(passes_last, Ordering::SeqCst);
        self.was_cut.store(false, Ordering::SeqCst);
        self.left.store(messages, Ordering::SeqCst);
    }
}

/// Passes whole messages of a client and all that the server says, until no message is left.
async fn relayed(
    client: TcpStream,
    upstream: TcpStream,
    left: Arc<AtomicU64>,
    passes_last: Arc<AtomicBool>,
    was_cut: Arc<AtomicBool>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = upstream.into_split();
    let is_mute = Arc::new(AtomicBool::new(false));
    let mute = Arc::clone(&is_mute);
    let mut back = tokio::spawn(async move {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
            let is_lost = mute.load(Ordering::SeqCst);
            if !is_lost && to_client.write_all(&bytes[..read]).await.is_err() {
                break;
            }
        }
    });
    let mut has_begun = false;
    loop {
        // The first message has no letter in front of its length.
        let mut message = vec![0; if has_begun { 5 } else { 4 }];
        if from_client.read_exact(&mut message).await.is_err() {
            break;
        }
        let length: [u8; 4] = message[message.len() - 4..].try_into().expect("four bytes");
        let head = message.len();
        message.resize(head - 4 + u32::from_be_bytes(length) as usize, 0);
        if from_client.read_exact(&mut message[head..]).await.is_err() {
            break;
        }
        has_begun = true;
        let took =
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if took.is_err() {
            // Everything after the last message is cut; and before that the last one may still pass.
            if passes_last.swap(false, Ordering::SeqCst) {
                is_mute.store(true, Ordering::SeqCst);
                _ = to_server.write_all(&message).await;
                _ = to_server.shutdown().await;
                // The server does what it was told, and ends.
                _ = timeout(Duration::from_secs(5), &mut back).await;
            }
            was_cut.store(true, Ordering::SeqCst);
            break;
        }
        if to_server.write_all(&message).await.is_err() {
            break;
        }
    }
    back.abort();
}

#[derive(Debug, Clone, Copy)]
enum Work {
    First,
    Next,
    Import,
}

const FIRST: Sweep = Sweep { started: 10_000, ended: 10_010 };
const NEXT: Sweep = Sweep { started: 20_000, ended: 20_010 };

impl Work {
    async fn prepare(self, roster: &PostgresRoster, scope: &Scope) -> Result<(), RosterError> {
        match self {
            Work::First => {}
            Work::Next | Work::Import => {
                roster.record_as(scope, FIRST, users(0..40)).await?;
            }
        }
        Ok(())
    }

    async fn run(self, roster: &PostgresRoster, scope: &Scope) -> Result<(), RosterError> {
        let rows = (100..130).map(|id| (id, Some(format!("Gone {id}")))).collect();
        match self {
            Work::First => roster.record_as(scope, FIRST, users(0..40)).await.map(drop),
            Work::Next => roster.record_as(scope, NEXT, users(5..50)).await.map(drop),
            Work::Import => Roster::Postgres(roster.clone()).import(scope, rows).await.map(drop),
        }
    }
}

/// Everything that is known of a scope, without its name.
async fn told(roster: &PostgresRoster, scope: &Scope) -> Result<String, String> {
    let told = roster.whole_of(scope).await.map_err(failed)?;
    Ok(told.map(|one| format!("{one:?}").replace(&scope.caller, "")).unwrap_or_default())
}

pub(crate) async fn check() -> Seen {
    let direct_setup = setup(0);
    let address = &direct_setup.address;
    let (front, behind) = address.split_once('@').ok_or("no user in the address")?;
    let (host, rest) = behind.split_once('/').ok_or("no database in the address")?;
    let (name, port) = host.split_once(':').ok_or("no port in the address")?;
    let port = port.parse().map_err(|_| "no port in the address")?;
    let relay = Relay::before((name.to_owned(), port)).await.map_err(|it| it.to_string())?;
    let mut relayed_setup = direct_setup.clone();
    relayed_setup.address = format!("{front}@127.0.0.1:{}/{rest}", relay.port);
    let direct = postgres(&direct_setup);
    let (mut cuts, mut whole_after_a_cut) = (0, 0);
    for work in [Work::First, Work::Next, Work::Import] {
        let model = scope(&format!("model {work:?}"));
        work.prepare(&direct, &model).await.map_err(failed)?;
        let before = told(&direct, &model).await?;
        work.run(&direct, &model).await.map_err(failed)?;
        let after = told(&direct, &model).await?;
        holds(before != after, || "the work changes nothing".to_owned())?;
        for passes_last in [false, true] {
            let mut messages = 0;
            loop {
                let scope = scope(&format!("{work:?} {passes_last} {messages}"));
                work.prepare(&direct, &scope).await.map_err(failed)?;
                let at = format!("{work:?}, {messages} messages, {passes_last}");
                relay.allow(messages, passes_last);
                let roster = postgres(&relayed_setup);
                let done = timeout(Duration::from_secs(20), work.run(&roster, &scope)).await;
                let done = done.map_err(|_| format!("{at}: no end"))?;
                let was_cut = relay.was_cut.load(Ordering::SeqCst);
                let left = told(&direct, &scope).await?;
                holds(left == before || left == after, || {
                    format!("{at}: a part is there: {left}")
                })?;
                holds(done.is_err() || left == after, || format!("{at}: said to be done"))?;
                cuts += u64::from(was_cut);
                whole_after_a_cut += u64::from(was_cut && left == after);
                // No lock is left behind, and the same work can be done again.
                work.run(&direct, &scope).await.map_err(failed)?;
                if !was_cut {
                    holds(done.is_ok(), || format!("{at}: failed without a cut: {done:?}"))?;
                    break;
                }
                messages += 1;
                holds(messages < MESSAGES_MAX, || "no end of messages".to_owned())?;
            }
        }
    }
    // A commit whose answer is lost is whole; if none was, the relay cuts nothing of worth.
    holds(whole_after_a_cut >= 3, || "no commit was cut off from its answer".to_owned())?;
    Ok(format!("{cuts} cuts: all or nothing, {whole_after_a_cut} times all"))
}
