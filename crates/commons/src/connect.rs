//! How a connection to the server comes about: one primary, the primary that Sentinels name, or a cluster. Must
//! never send a password that stands in an address, and never connect without checking a certificate where the
//! address asks for TLS.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisFuture, TlsCertificates, Value,
};
use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::faults::Fault;
use crate::shapes::{BadSetup, Mode, Password, Setup};
use crate::stream::{Allowance, Stream, UNACKNOWLEDGED_MAX, trusting};

/// How long connecting may take, in the background; every server of a list has its own time.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// Within a cluster every try is short, because the one who waits has 20 ms.
const CLUSTER_TRY_MAX: Duration = Duration::from_millis(200);
/// The answers to what a connection begins with.
const FIRST_ANSWERS: usize = 64 << 10;
const SCHEMES: [&str; 4] = ["redis://", "valkey://", "rediss://", "valkeys://"];

/// A connection that requests share. It ends with its last clone, whatever is still under way.
#[derive(Clone)]
pub(crate) enum Connection {
    One { connection: MultiplexedConnection, allowance: Arc<Allowance>, _driver: Arc<Driver> },
    Cluster(ClusterConnection),
}

/// The task that reads and writes.
pub(crate) struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// Sends a command whose answer has at most so many bytes. Only a cluster may send more.
    pub(crate) fn send<'a>(
        &'a mut self,
        command: &'a Cmd,
        answer_max: usize,
    ) -> RedisFuture<'a, Value> {
        match self {
            Connection::One { connection, allowance, .. } => {
                allowance.ask(answer_max);
                connection.req_packed_command(command)
            }
            Connection::Cluster(connection) => connection.req_packed_command(command),
        }
    }
}

/// Where and how to connect.
pub(crate) struct Servers {
    addresses: Vec<ConnectionAddr>,
    mode: Mode,
    username: Option<String>,
    password: Option<Password>,
    authorities: Option<Vec<u8>>,
    tls: Arc<ClientConfig>,
    /// The most that a server may send at once.
    answers_max: usize,
}

impl Servers {
    /// The servers of one list of addresses.
    pub(crate) fn new(
        setup: &Setup,
        addresses: &[String],
        answers_max: usize,
    ) -> Result<Self, BadSetup> {
        let parsed: Result<Vec<ConnectionAddr>, BadSetup> =
            addresses.iter().map(|address| parsed(address)).collect();
        let addresses = parsed?;
        if addresses.is_empty() {
            return Err(BadSetup::NoAddress);
        }
        Ok(Servers {
            addresses,
            mode: setup.mode.clone(),
            username: setup.username.clone(),
            password: setup.password.clone(),
            authorities: setup.authorities.clone(),
            tls: trusting(setup.authorities.as_deref()).ok_or(BadSetup::Authorities)?,
            answers_max,
        })
    }

    pub(crate) fn are_cluster(&self) -> bool {
        self.mode == Mode::Cluster
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Fault> {
        let password = self.password().await?;
        let password = password.as_ref();
        if self.are_cluster() {
            return self.cluster(password).await.map(Connection::Cluster);
        }
        let mut fault = Fault::Unreachable;
        for address in &self.addresses {
            let primary = match &self.mode {
                Mode::Sentinel { primary } => self.named_by(address, primary).await,
                _ => Ok(address.clone()),
            };
            let found = match primary {
                Ok(primary) => self.primary_at(&primary, password).await,
                Err(found) => Err(found),
            };
            match found {
                Ok(connection) => return Ok(connection),
                Err(found) => fault = found,
            }
        }
        Err(fault)
    }

    /// A connection to the first server that there is, whatever it says it is; where Sentinels name one, to that.
    pub(crate) async fn one(&self) -> Result<Connection, Fault> {
        let password = self.password().await?;
        let mut fault = Fault::Unreachable;
        for address in &self.addresses {
            let named = match &self.mode {
                Mode::Sentinel { primary } => self.named_by(address, primary).await,
                _ => Ok(address.clone()),
            };
            let opened = match named {
                Ok(address) => self.open(&address, self.user(password.as_ref())).await,
                Err(found) => Err(found),
            };
            match opened {
                Ok(connection) => return Ok(connection),
                Err(found) => fault = found,
            }
        }
        Err(fault)
    }

    /// A connection to a server that says it is a primary.
    async fn primary_at(
        &self,
        address: &ConnectionAddr,
        password: Option<&Zeroizing<String>>,
    ) -> Result<Connection, Fault> {
        let mut connection = self.open(address, self.user(password)).await?;
        // Who may not ask for the role finds out with the first write.
        match asked(&mut connection, redis::cmd("ROLE")).await {
            Ok(Value::Array(role)) if !is_word(role.first(), b"master") => return Err(Fault::Away),
            Err(fault) if fault != Fault::Right => return Err(fault),
            _ => {}
        }
        let about = asked(&mut connection, redis::cmd("INFO").arg("server").clone()).await;
        if let Ok(Value::BulkString(about)) = about
            && is_too_old(&String::from_utf8_lossy(&about))
        {
            return Err(Fault::Version);
        }
        Ok(connection)
    }

    /// Where the primary is, as a Sentinel says. Sentinels have no user and no password here.
    async fn named_by(
        &self,
        sentinel: &ConnectionAddr,
        primary: &str,
    ) -> Result<ConnectionAddr, Fault> {
        let mut connection =
            self.open(sentinel, RedisConnectionInfo::default().set_skip_set_lib_name()).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(primary);
        let answer = asked(&mut connection, question).await?;
        let answer: Option<(String, u16)> =
            redis::from_redis_value(answer).map_err(|_| Fault::Answer)?;
        let (host, port) = answer.ok_or(Fault::Mode)?;
        Ok(match sentinel {
            ConnectionAddr::TcpTls { .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
            }
            _ => ConnectionAddr::Tcp(host, port),
        })
    }

    async fn cluster(
        &self,
        password: Option<&Zeroizing<String>>,
    ) -> Result<ClusterConnection, Fault> {
        let nodes: Result<Vec<ConnectionInfo>, RedisError> =
            self.addresses.iter().map(|address| self.info(address.clone(), password)).collect();
        let mut builder = ClusterClient::builder(nodes.map_err(|error| Fault::of(&error))?)
            .retries(1)
            .min_retry_wait(1)
            .max_retry_wait(5)
            .connection_timeout(CLUSTER_TRY_MAX)
            .response_timeout(CLUSTER_TRY_MAX)
            .tcp_settings(tcp());
        if let Some(authorities) = &self.authorities
            && matches!(self.addresses.first(), Some(ConnectionAddr::TcpTls { .. }))
        {
            builder = builder.certs(certificates(authorities));
        }
        let client = builder.build().map_err(|error| Fault::of(&error))?;
        let connecting = timeout(3 * CONNECT_MAX, client.get_async_connection());
        connecting.await.map_err(|_| Fault::Timeout)?.map_err(|error| Fault::of(&error))
    }

    async fn open(
        &self,
        address: &ConnectionAddr,
        user: RedisConnectionInfo,
    ) -> Result<Connection, Fault> {
        let allowance = Allowance::new(self.answers_max.max(FIRST_ANSWERS));
        allowance.ask(FIRST_ANSWERS);
        let stream =
            timeout(CONNECT_MAX, Stream::connect(address, &self.tls, Arc::clone(&allowance)));
        let stream = stream.await.map_err(|_| Fault::Timeout)?.map_err(|_| Fault::Unreachable)?;
        // Every call has a budget of its own.
        let limits = AsyncConnectionConfig::new().set_response_timeout(None);
        let opening = MultiplexedConnection::new_with_config(&user, stream, limits);
        let opened = timeout(CONNECT_MAX, opening).await.map_err(|_| Fault::Timeout)?;
        let (connection, driver) = opened.map_err(|error| Fault::of(&error))?;
        let _driver = Arc::new(Driver(tokio::spawn(driver)));
        Ok(Connection::One { connection, allowance, _driver })
    }

    fn info(
        &self,
        address: ConnectionAddr,
        password: Option<&Zeroizing<String>>,
    ) -> Result<ConnectionInfo, RedisError> {
        let info = address.into_connection_info()?;
        Ok(info.set_redis_settings(self.user(password)).set_tcp_settings(tcp()))
    }

    fn user(&self, password: Option<&Zeroizing<String>>) -> RedisConnectionInfo {
        let mut user = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(username) = &self.username {
            user = user.set_username(username);
        }
        if let Some(password) = password {
            user = user.set_password(password.as_str());
        }
        user
    }

    async fn password(&self) -> Result<Option<Zeroizing<String>>, Fault> {
        match &self.password {
            None => Ok(None),
            Some(Password::Text(text)) => Ok(Some(text.clone())),
            Some(Password::File(path)) => {
                let text = tokio::fs::read_to_string(path).await.map_err(|_| Fault::Denied)?;
                let text = Zeroizing::new(text);
                Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())))
            }
        }
    }
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true).set_user_timeout(UNACKNOWLEDGED_MAX)
}

fn certificates(authorities: &[u8]) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: Some(authorities.to_vec()) }
}

impl Setup {
    /// Whether it can be meant. Nothing is connected.
    ///
    /// # Errors
    ///
    /// What cannot be meant; the first such thing.
    pub fn check(&self) -> Result<(), BadSetup> {
        let is_named =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(is_named) {
            return Err(BadSetup::Name);
        }
        if self.addresses.is_empty() {
            return Err(BadSetup::NoAddress);
        }
        for (addresses, bad) in
            [(&self.addresses, BadSetup::Address), (&self.values_at, BadSetup::ValuesAddress)]
        {
            if addresses.iter().any(|address| parsed(address).is_err()) {
                return Err(bad);
            }
        }
        trusting(self.authorities.as_deref()).map(drop).ok_or(BadSetup::Authorities)
    }
}

/// An address with a host and a port and nothing else: no user, password, database or way around TLS.
fn parsed(address: &str) -> Result<ConnectionAddr, BadSetup> {
    let rest = SCHEMES.iter().find_map(|scheme| address.strip_prefix(scheme));
    let rest = rest.ok_or(BadSetup::Address)?;
    if rest.contains(['@', '/', '?', '#', ' ']) || !rest.contains(':') {
        return Err(BadSetup::Address);
    }
    let info = address.into_connection_info().map_err(|_| BadSetup::Address)?;
    Ok(info.addr().clone())
}

/// The answer to one of the commands that a connection begins with.
pub(crate) async fn asked(connection: &mut Connection, command: Cmd) -> Result<Value, Fault> {
    let answer = timeout(CONNECT_MAX, connection.send(&command, FIRST_ANSWERS));
    match answer.await.map_err(|_| Fault::Timeout)? {
        Ok(Value::ServerError(error)) => Err(Fault::of(&error.into())),
        Ok(value) => Ok(value),
        Err(error) => Err(Fault::of(&error)),
    }
}

fn is_word(value: Option<&Value>, word: &[u8]) -> bool {
    match value {
        Some(Value::BulkString(bytes)) => bytes == word,
        Some(Value::SimpleString(text)) => text.as_bytes() == word,
        _ => false,
    }
}

/// Whether a server's words about itself name a version below 6.2.
fn is_too_old(about: &str) -> bool {
    let version = about.lines().find_map(|line| line.strip_prefix("redis_version:"));
    let mut numbers =
        version.unwrap_or_default().split('.').map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major, minor) < (6, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port_and_nothing_else() {
        for good in ["redis://a:1", "valkey://[::1]:6379", "rediss://a.b:2", "valkeys://10.0.0.1:3"]
        {
            assert!(parsed(good).is_ok(), "{good}");
        }
        for bad in [
            "a:1",
            "http://a:1",
            "redis://a",
            "redis://u:p@a:1",
            "redis://a:1/2",
            "rediss://a:1/#insecure",
            "rediss://a:1#insecure",
            "redis://a:1?protocol=3",
            "redis://:1",
            "unix://a:1",
            "redis://a:99999",
        ] {
            assert_eq!(parsed(bad), Err(BadSetup::Address), "{bad}");
        }
        assert!(matches!(
            parsed("valkeys://a:1"),
            Ok(ConnectionAddr::TcpTls { insecure: false, .. })
        ));
    }

    #[test]
    fn servers_before_6_2_are_too_old() {
        assert!(is_too_old("# Server\r\nredis_version:6.0.16\r\nx:1"));
        for version in ["6.2.0", "7.0.15", "10.0.1", "", "unknown"] {
            assert!(!is_too_old(&format!("redis_version:{version}\r\n")), "{version}");
        }
    }
}
