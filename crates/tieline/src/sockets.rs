//! Takes listening sockets from the service manager: `LISTEN_FDS`, as systemd sets it for a service with sockets. Must
//! never take a socket that was meant for another process, nor guess which port one is for.

use gateway::Listeners;
use listenfd::ListenFd;

use crate::failure::Failure;

/// For which process the sockets are; a child that only inherits the variables has none.
const PID: &str = "LISTEN_PID";
/// How many there are.
const COUNT: &str = "LISTEN_FDS";
/// Their names, in order, with a colon between them.
const NAMES: &str = "LISTEN_FDNAMES";

/// The sockets of the environment. It must be called before any other thread runs, because it takes the variables out.
///
/// # Errors
/// Exit code 78 if their number cannot be read, if a socket has another name than those of the ports, if two have one
/// name, or if one is no socket of TCP that listens.
pub(crate) fn of_environment() -> Result<Listeners, Failure> {
    let mut listeners = Listeners::default();
    let is_ours = std::env::var(PID).is_ok_and(|pid| pid == std::process::id().to_string());
    if !is_ours {
        return Ok(listeners);
    }
    let count = std::env::var(COUNT).unwrap_or_default();
    if count.parse::<u16>().is_err() {
        // Otherwise the sockets would take connections that nobody answers.
        let why = format_args!("error: LISTEN_FDS is no number of sockets");
        return Err(Failure::configuration(why));
    }
    let names = std::env::var(NAMES).unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = ListenFd::from_env();
    for index in 0..sockets.len() {
        let refused = |why: &str| {
            let which = index + 1;
            Failure::configuration(format_args!("error: socket {which} of LISTEN_FDS {why}"))
        };
        let place = match names.next() {
            Some("server") => &mut listeners.server,
            Some("admin") => &mut listeners.admin,
            _ => {
                return Err(refused("needs FileDescriptorName=server or FileDescriptorName=admin"));
            }
        };
        let taken = sockets.take_tcp_listener(index).ok().flatten();
        let taken = taken.ok_or_else(|| refused("is no socket of TCP"))?;
        if !rustix::net::sockopt::socket_acceptconn(&taken).unwrap_or(false) {
            return Err(refused("does not listen"));
        }
        if place.replace(taken).is_some() {
            return Err(refused("has the name of another one"));
        }
    }
    Ok(listeners)
}
