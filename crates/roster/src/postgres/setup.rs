//! Where the database is and how to reach it, as the configuration says. Must never show a password, and never allow a
//! connection that falls back to one without TLS.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use zeroize::Zeroizing;

use crate::postgres::tls;

/// How long connecting to one host may take: looking up its addresses, trying them, TLS and the password.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long bytes may stay unacknowledged before a connection is given up.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
/// What may stand behind the question mark of an address.
const PARAMETERS: [&str; 3] = ["sslmode", "target_session_attrs", "application_name"];

/// Where the password comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// A file, read again for every connection, so that a password may change.
    File(PathBuf),
    /// The password itself.
    Text(Zeroizing<String>),
}

/// The password in a text of a file or a variable, without the line ends behind it. Blanks and quotes are part of it.
///
/// # Errors
///
/// The fault of the text, in words that come behind its name and show no part of it.
pub fn password_text(text: &str) -> Result<&str, &'static str> {
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err("is empty");
    }
    if password.starts_with('\u{feff}') {
        return Err("begins with a byte order mark; save the password as UTF-8 without one");
    }
    if password.contains(['\r', '\n']) {
        return Err("has a second line; give the password alone, on one line");
    }
    if password.contains('\0') {
        return Err("has a zero byte, which no password may have");
    }
    Ok(password)
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::File(path) => f.debug_tuple("File").field(path).finish(),
            Password::Text(_) => f.write_str("[redacted]"),
        }
    }
}

/// Everything that a roster in a database needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSetup {
    /// `postgresql://USER@HOST[:PORT][,HOST[:PORT]..]/DATABASE`, without a password.
    pub address: String,
    pub password: Option<Password>,
    /// PEM of the authorities to trust; without it the public ones that the program carries.
    pub authorities: Option<Vec<u8>>,
    /// A whole list in which nothing is new is recorded once in so long.
    pub record_every: Duration,
}

/// Why a setup cannot be meant. Never shows a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPostgres {
    #[error("must be postgresql://USER@HOST/DATABASE; several hosts stand between commas")]
    Address,
    #[error("must not hold a password; use roster.password")]
    PasswordInAddress,
    #[error("may have only the parameters sslmode, target_session_attrs and application_name")]
    Parameter,
    #[error(
        "must not have sslmode allow or prefer, which fall back to plain text; use disable, or verify-full"
    )]
    SslMode,
    #[error("must have target_session_attrs read-write: a standby may be behind")]
    Standby,
    #[error("holds no certificate authority in PEM")]
    Authorities,
}

/// Whether a connection is encrypted. If it is, the server's certificate and name are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    Required,
    Disabled,
}

impl PostgresSetup {
    /// Whether it can be meant. Nothing is connected.
    ///
    /// # Errors
    ///
    /// The first thing that cannot be meant.
    pub fn check(&self) -> Result<(), BadPostgres> {
        self.hosts()?;
        tls::trusting(self.authorities.as_deref()).map(drop).ok_or(BadPostgres::Authorities)
    }

    /// One configuration for each host, in the order in which they stand, without the password.
    pub(crate) fn hosts(&self) -> Result<Vec<Config>, BadPostgres> {
        let (address, encryption) = self.without_ssl_mode()?;
        let config: Config = address.parse().map_err(|_| BadPostgres::Address)?;
        if config.get_password().is_some() {
            return Err(BadPostgres::PasswordInAddress);
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly {
            return Err(BadPostgres::Standby);
        }
        let (Some(user), Some(database)) = (config.get_user(), config.get_dbname()) else {
            return Err(BadPostgres::Address);
        };
        let hosts = config.get_hosts();
        let ports = config.get_ports();
        if hosts.is_empty() || (ports.len() > 1 && ports.len() != hosts.len()) {
            return Err(BadPostgres::Address);
        }
        let application = config.get_application_name().unwrap_or("tieline");
        let of = |(row, host): (usize, &Host)| {
            let mut one = Config::new();
            match host {
                Host::Tcp(name) => _ = one.host(name),
                Host::Unix(path) => _ = one.host_path(path),
            }
            // TLS is not spoken over a socket of the file system.
            let is_local = matches!(host, Host::Unix(_));
            one.port(ports.get(row).or(ports.first()).copied().unwrap_or(5432))
                .user(user)
                .dbname(database)
                .application_name(application)
                .ssl_mode(match encryption {
                    Encryption::Required if !is_local => SslMode::Require,
                    _ => SslMode::Disable,
                })
                .target_session_attrs(TargetSessionAttrs::ReadWrite)
                .connect_timeout(CONNECT_MAX)
                .tcp_user_timeout(UNACKNOWLEDGED_MAX)
                .keepalives_idle(Duration::from_secs(30));
            one
        };
        Ok(hosts.iter().enumerate().map(of).collect())
    }

    /// The address without `sslmode`, of which the client knows fewer words than users do.
    fn without_ssl_mode(&self) -> Result<(String, Encryption), BadPostgres> {
        let is_url = ["postgresql://", "postgres://"].iter().any(|it| self.address.starts_with(it));
        if !is_url {
            return Err(BadPostgres::Address);
        }
        let (address, parameters) = self.address.split_once('?').unwrap_or((&self.address, ""));
        let mut encryption = Encryption::Required;
        let mut others = Vec::new();
        for parameter in parameters.split('&').filter(|it| !it.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", "disable")) => encryption = Encryption::Disabled,
                Some(("sslmode", "require" | "verify-ca" | "verify-full")) => {
                    encryption = Encryption::Required;
                }
                Some(("sslmode", _)) => return Err(BadPostgres::SslMode),
                Some(("password", _)) => return Err(BadPostgres::PasswordInAddress),
                Some((name, _)) if PARAMETERS.contains(&name) => others.push(parameter),
                _ => return Err(BadPostgres::Parameter),
            }
        }
        match others.is_empty() {
            true => Ok((address.to_owned(), encryption)),
            false => Ok((format!("{address}?{}", others.join("&")), encryption)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(address: &str) -> PostgresSetup {
        PostgresSetup {
            address: address.to_owned(),
            password: None,
            authorities: None,
            record_every: Duration::ZERO,
        }
    }

    #[test]
    fn hosts_ports_and_encryption_are_as_the_address_says() {
        let hosts = setup("postgresql://tieline@a,b:6432/roster").hosts().unwrap();
        let ports: Vec<_> = hosts.iter().map(|host| host.get_ports().to_vec()).collect();
        assert_eq!(ports, [[5432], [6432]]);
        for (parameters, expected) in [
            ("", SslMode::Require),
            ("?sslmode=verify-full", SslMode::Require),
            ("?sslmode=verify-ca&application_name=x", SslMode::Require),
            ("?sslmode=disable&target_session_attrs=read-write", SslMode::Disable),
            ("?target_session_attrs=any", SslMode::Require),
        ] {
            let hosts = setup(&format!("postgres://u@h/d{parameters}")).hosts().unwrap();
            assert_eq!(hosts[0].get_ssl_mode(), expected, "{parameters}");
            assert_eq!(hosts[0].get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        }
        let local = setup("postgresql://u@%2Frun%2Fpostgresql/d").hosts().unwrap();
        assert_eq!(local[0].get_ssl_mode(), SslMode::Disable);
    }

    #[test]
    fn an_address_that_cannot_be_meant_is_refused_and_not_repeated() {
        for (address, expected) in [
            ("postgresql://u:hunter2@h/d", BadPostgres::PasswordInAddress),
            ("postgresql://u@h/d?password=hunter2", BadPostgres::PasswordInAddress),
            ("postgresql://u@h/d?sslmode=prefer", BadPostgres::SslMode),
            ("postgresql://u@h/d?sslmode=allow", BadPostgres::SslMode),
            ("postgresql://u@h/d?options=-csearch_path%3Dx", BadPostgres::Parameter),
            ("postgresql://u@h/d?x", BadPostgres::Parameter),
            ("postgresql://u@h/d?target_session_attrs=read-only", BadPostgres::Standby),
            ("postgresql://u@h", BadPostgres::Address),
            ("postgresql://h/d", BadPostgres::Address),
            ("postgresql:///d", BadPostgres::Address),
            ("host=h user=u dbname=d password=hunter2", BadPostgres::Address),
            ("mysql://u@h/d", BadPostgres::Address),
        ] {
            let bad = setup(address).hosts().unwrap_err();
            assert_eq!(bad, expected, "{address}");
            assert!(!bad.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn only_line_ends_behind_a_password_are_dropped() {
        for good in ["one", " two words ", "\"quoted\"", "Bearer x", "\ttab", "\u{fc}"] {
            for end in ["", "\n", "\r\n"] {
                assert_eq!(password_text(&format!("{good}{end}")), Ok(good));
            }
        }
        for (bad, told) in [
            ("", "empty"),
            ("\r\n", "empty"),
            ("\u{feff}one", "byte order mark"),
            ("one\ntwo", "second line"),
            ("one\0", "zero byte"),
        ] {
            assert!(password_text(bad).unwrap_err().contains(told), "{bad:?}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let mut setup = setup("postgresql://u@h/d");
        setup.password = Some(Password::Text(Zeroizing::new("hunter2".to_owned())));
        assert!(!format!("{setup:?}").contains("hunter2"));
    }
}
