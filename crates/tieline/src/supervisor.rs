//! Tells systemd how the gateway is, by its protocol `sd_notify`: ready, reloading, reload refused, stopping.
//!
//! Without NOTIFY_SOCKET nobody asks, and this does nothing. It must never fail a start: what cannot be told is a warning.
//! It never tells a value of the configuration or a key; an error comes with the text that the log has, too.

use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where systemd listens. One datagram is one message.
const SOCKET: &str = "NOTIFY_SOCKET";

/// More than this of an error is in the log only: systemd takes 4,096 bytes of a message.
const STATUS_CHARS_MAX: usize = 1_000;

/// The program that started this one, if it wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    socket: Option<OsString>,
    /// From then on nothing else is told: a reload may still be under way.
    is_stopping: Arc<AtomicBool>,
}

impl Supervisor {
    /// The one of the environment.
    pub(crate) fn of_environment() -> Supervisor {
        let socket = std::env::var_os(SOCKET).filter(|name| !name.is_empty());
        Supervisor { socket, is_stopping: Arc::default() }
    }

    /// Requests are answered, with a configuration of so many callers.
    pub(crate) fn serving(&self, callers: usize) {
        self.tell(&ready(format_args!("serving; callers: {callers}")));
    }

    /// The configuration is being read again. `serving` or `refused` must follow, or `systemctl reload` waits.
    pub(crate) fn reloading(&self) {
        // systemd wants the time of the monotonic clock, to tell this reload from an earlier one.
        let time =
            monotonic_micros().map_or(String::new(), |time| format!("MONOTONIC_USEC={time}\n"));
        self.tell(&format!("RELOADING=1\n{time}STATUS=reading the configuration again\n"));
    }

    /// The configuration was read again and cannot be used; requests are answered with the old one.
    pub(crate) fn refused(&self, error: impl Display) {
        self.tell(&ready(format_args!("reload refused, the old configuration serves: {error}")));
    }

    /// Requests in flight finish; then the process ends.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=draining\n");
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    fn tell(&self, message: &str) {
        if !self.is_stopping.load(Ordering::Relaxed) {
            self.say(message);
        }
    }

    fn say(&self, message: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = send(socket, message) {
            tracing::warn!(%error, "the service manager cannot be told how the gateway is");
        }
    }
}

/// That requests are answered. A status is one line, and has no line end but the last.
fn ready(status: impl Display) -> String {
    let status = status.to_string();
    let line = status.lines().next().unwrap_or_default();
    let line: String = line.chars().take(STATUS_CHARS_MAX).collect();
    format!("READY=1\nSTATUS={line}\n")
}

#[cfg(target_os = "linux")]
fn monotonic_micros() -> Option<u64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
    seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000)
}

#[cfg(not(target_os = "linux"))]
fn monotonic_micros() -> Option<u64> {
    None
}

/// Sends one message. `socket` is a path, or `@` and an abstract name.
#[cfg(target_os = "linux")]
fn send(socket: &std::ffi::OsStr, message: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let sender = UnixDatagram::unbound()?;
    // Messages wait here only if systemd does not read any more.
    sender.set_write_timeout(Some(std::time::Duration::from_secs(1)))?;
    let sent = sender.send_to_addr(message.as_bytes(), &address)?;
    if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// systemd runs on Linux only.
#[cfg(not(target_os = "linux"))]
fn send(_: &std::ffi::OsStr, _: &str) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ready;

    #[test]
    fn a_status_is_one_short_line() {
        assert_eq!(ready("one\ntwo\n"), "READY=1\nSTATUS=one\n");
        assert_eq!(ready(""), "READY=1\nSTATUS=\n");
        assert!(ready("é".repeat(3_000)).len() < 2_100);
    }
}
