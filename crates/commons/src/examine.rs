//! A look at the servers before replicas use them: what they are, how fast the pace is, and which rights are missing.
//! Must never leave a key behind, and never say an address, a user or a password.

use std::time::Duration;

use redis::{Cmd, Value};
use tokio::time::Instant;

use crate::connect::{Connection, Servers, asked};
use crate::faults::Fault;
use crate::names::{Names, hex};
use crate::scripts;
use crate::shapes::{BadSetup, Mode, Setup};

/// So often the pace script is timed.
const TIMES: usize = 20;
/// The most bytes of what a server says of itself.
const WORDS_MAX: usize = 128;

/// What was found at one set of servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// They hold everything but the pace.
    pub are_for_values: bool,
    /// `Redis` or `Valkey`.
    pub engine: Option<&'static str>,
    pub version: Option<String>,
    /// `standalone` or `cluster`, as the server says.
    pub mode: Option<String>,
    /// `master` or `slave`, as the server says.
    pub role: Option<String>,
    /// Half of the calls of the pace script took no longer than this.
    pub pace_takes: Option<Duration>,
    /// What the server does where its memory is full.
    pub eviction: Option<String>,
    /// There is no limit of its memory.
    pub has_no_memory_limit: bool,
    /// The commands that the user may not run.
    pub missing_rights: Vec<&'static str>,
    /// Why replicas cannot share by these servers, as far as it is no missing right.
    pub wrong: Vec<String>,
}

impl Examined {
    /// Whether replicas can share by these servers.
    pub fn is_good(&self) -> bool {
        self.missing_rights.is_empty() && self.wrong.is_empty()
    }
}

/// Looks at the servers of a setup: those of the pace, and those of values where they are others.
///
/// # Errors
///
/// If the setup cannot be meant.
pub async fn examine(setup: &Setup) -> Result<Vec<Examined>, BadSetup> {
    setup.check()?;
    let mut all = vec![servers(setup, &setup.addresses).await?];
    if !setup.values_at.is_empty() {
        let values = servers(setup, &setup.values_at).await?;
        all.push(Examined { are_for_values: true, ..values });
    }
    Ok(all)
}

async fn servers(setup: &Setup, addresses: &[String]) -> Result<Examined, BadSetup> {
    let servers = Servers::new(setup, addresses, 0)?;
    let mut found = Examined::default();
    // A node of a cluster speaks for itself; a Sentinel names the primary that does.
    match servers.one().await {
        Ok(mut server) => describe(&mut found, &mut server, &setup.mode).await,
        Err(fault) => found.wrong.push(fault.text().to_owned()),
    }
    if !found.wrong.is_empty() {
        return Ok(found);
    }
    match servers.connect().await {
        Ok(mut connection) => try_out(&mut found, &mut connection, setup).await,
        Err(fault) => found.wrong.push(fault.text().to_owned()),
    }
    Ok(found)
}

/// What a server says of itself.
async fn describe(found: &mut Examined, server: &mut Connection, mode: &Mode) {
    match asked(server, redis::cmd("ROLE")).await {
        Ok(Value::Array(role)) => found.role = role.first().and_then(words),
        Ok(_) => {}
        Err(Fault::Right) => found.missing_rights.push("ROLE"),
        Err(fault) => found.wrong.push(fault.text().to_owned()),
    }
    // What a client of a cluster asks each node before anything else.
    if *mode == Mode::Cluster {
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        for (right, command) in [("PING", redis::cmd("PING")), ("CLUSTER|SLOTS", slots)] {
            if asked(server, command).await == Err(Fault::Right) {
                found.missing_rights.push(right);
            }
        }
    }
    for section in ["server", "memory"] {
        let mut command = redis::cmd("INFO");
        command.arg(section);
        let about = match asked(server, command).await {
            Ok(Value::BulkString(about)) => String::from_utf8_lossy(&about).into_owned(),
            Err(Fault::Right) if section == "server" => {
                found.missing_rights.push("INFO");
                continue;
            }
            _ => continue,
        };
        let say = |name: &str| {
            let line = about.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.strip_prefix(':')).map(|value| short(value.trim()))
        };
        if section == "memory" {
            found.eviction = say("maxmemory_policy");
            found.has_no_memory_limit = say("maxmemory").as_deref() == Some("0");
            continue;
        }
        let valkey = say("valkey_version");
        found.engine = Some(if valkey.is_some() { "Valkey" } else { "Redis" });
        found.version = valkey.or_else(|| say("redis_version"));
        found.mode = say("redis_mode");
    }
    let is_cluster = found.mode.as_deref() == Some("cluster");
    if found.mode.is_some() && is_cluster != (*mode == Mode::Cluster) {
        found.wrong.push(Fault::Mode.text().to_owned());
    }
    if found.role.as_deref().is_some_and(|role| role != "master") && *mode != Mode::Cluster {
        found.wrong.push("the server is no primary".to_owned());
    }
    if found.eviction.as_deref() == Some("noeviction") && !found.has_no_memory_limit {
        found.wrong.push(
            "the server refuses writes once its memory is full; set maxmemory-policy allkeys-lru"
                .to_owned(),
        );
    }
}

/// Runs the pace script, and every command that the scripts use, on keys of its own.
async fn try_out(found: &mut Examined, connection: &mut Connection, setup: &Setup) {
    let names = Names::new(&setup.name, &rand::random::<[u8; 32]>());
    let tag = hex(&rand::random::<[u8; 16]>());
    let key = |of: &str| names.key(&tag, of);
    for (right, command) in [
        ("EVAL", eval("return 1", &key("n"), &[])),
        ("EVALSHA", scripts::TAKE.command(false, &[&key("n")], &[])),
    ] {
        if asked(connection, command).await == Err(Fault::Right) {
            found.missing_rights.push(right);
        }
    }
    if !found.missing_rights.contains(&"EVAL") {
        for (right, of, args) in RIGHTS {
            let call = "return redis.call(ARGV[1], unpack(ARGV, 2))";
            let call = if of.is_empty() {
                call
            } else {
                "return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))"
            };
            let all: Vec<&str> = std::iter::once(*right).chain(args.iter().copied()).collect();
            if asked(connection, eval(call, &key(of), &all)).await == Err(Fault::Right) {
                found.missing_rights.push(right);
            }
        }
    }
    if found.missing_rights.is_empty() {
        let mut times = Vec::new();
        for _ in 0..TIMES {
            // One place a microsecond, and nothing is waited for.
            let args = ["1", "0", "1", "1000000", "0", "0", "0", "0"].map(str::as_bytes);
            let command = scripts::TAKE.command(true, &[&key("n")], &args);
            let began = Instant::now();
            match asked(connection, command).await {
                Ok(_) => times.push(began.elapsed()),
                Err(fault) => return found.wrong.push(fault.text().to_owned()),
            }
        }
        times.sort_unstable();
        found.pace_takes = times.get(TIMES / 2).copied();
    }
    for of in ["n", "h", "z", "x"] {
        // Without the right to delete, they end by themselves as far as they were written.
        let _ = asked(connection, eval("return redis.call('DEL', KEYS[1])", &key(of), &[])).await;
    }
}

/// Every command that the scripts run, with the key that it is tried on, and what follows.
const RIGHTS: &[(&str, &str, &[&str])] = &[
    ("TIME", "", &[]),
    ("SET", "n", &["1", "PX", "10000"]),
    ("GET", "n", &[]),
    ("PTTL", "n", &[]),
    ("PEXPIRE", "n", &["10000"]),
    ("HSET", "h", &["t", "1"]),
    ("HGET", "h", &["t"]),
    ("HSTRLEN", "h", &["t"]),
    ("PEXPIRE", "h", &["10000"]),
    ("ZADD", "z", &["1", "a"]),
    ("ZCARD", "z", &[]),
    ("ZRANGE", "z", &["0", "9"]),
    ("ZREM", "z", &["b"]),
    ("ZREMRANGEBYSCORE", "z", &["0", "0"]),
    ("PEXPIRE", "z", &["10000"]),
    ("XADD", "x", &["*", "n", "1"]),
    ("XRANGE", "x", &["-", "+"]),
    ("XREVRANGE", "x", &["+", "-"]),
    ("PEXPIRE", "x", &["10000"]),
    ("DEL", "n", &[]),
];

fn eval(text: &str, key: &str, args: &[&str]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(text).arg(1).arg(key);
    for arg in args {
        command.arg(*arg);
    }
    command
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(short(&String::from_utf8_lossy(bytes))),
        Value::SimpleString(text) => Some(short(text)),
        _ => None,
    }
}

/// What a server says, as far as it can be printed.
fn short(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_graphic()).take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_of_every_script_is_tried() {
        let all = [
            &*scripts::TAKE,
            &*scripts::BEGIN,
            &*scripts::FETCH,
            &*scripts::FINISH,
            &*scripts::RELEASE,
            &*scripts::RENEW,
            &*scripts::TELL,
            &*scripts::NEWS,
            &*scripts::ROLL,
        ];
        let tried: BTreeSet<&str> = RIGHTS.iter().map(|(right, ..)| *right).collect();
        let mut used = BTreeSet::new();
        for text in all.map(|script| script.text) {
            for call in text.split("call('").skip(1) {
                used.insert(call.split('\'').next().unwrap());
            }
        }
        assert_eq!(tried, used);
    }
}
