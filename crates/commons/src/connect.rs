//! How a connection to the server comes about: one primary, the primary that Sentinels name, or a cluster. Must
//! never send a password that stands in an address, and never connect without checking a certificate where the
//! address asks for TLS.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisFuture, TlsCertificates, Value,
};
use zeroize::Zeroizing;

use crate::faults::Fault;
use crate::shapes::{BadSetup, Mode, Password, Setup};

/// How long connecting may take, in the background; every server of a list has its own time.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// After so long without an acknowledgement the kernel ends the connection.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(2);
/// Within a cluster every try is short, because the one who waits has 20 ms.
const CLUSTER_TRY_MAX: Duration = Duration::from_millis(200);
const SCHEMES: [&str; 4] = ["redis://", "valkey://", "rediss://", "valkeys://"];

/// A connection that requests share.
#[derive(Clone)]
pub(crate) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(crate) fn send<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        use redis::aio::ConnectionLike;
        match self {
            Connection::One(connection) => connection.req_packed_command(command),
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
}

impl Servers {
    /// The servers of one list of addresses.
    pub(crate) fn new(setup: &Setup, addresses: &[String]) -> Result<Self, BadSetup> {
        let parsed: Result<Vec<ConnectionAddr>, BadSetup> =
            addresses.iter().map(|address| parsed(address)).collect();
        let servers = Servers {
            addresses: parsed?,
            mode: setup.mode.clone(),
            username: setup.username.clone(),
            password: setup.password.clone(),
            authorities: setup.authorities.clone(),
        };
        let first = servers.addresses.first().ok_or(BadSetup::NoAddress)?;
        let info = servers.info(first.clone(), None).map_err(|_| BadSetup::Address)?;
        servers.client(info).map_err(|_| BadSetup::Authorities)?;
        Ok(servers)
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Fault> {
        let password = self.password().await?;
        match &self.mode {
            Mode::One => {
                self.primary_of(&self.addresses, password.as_ref()).await.map(Connection::One)
            }
            Mode::Sentinel { primary } => self.by_sentinel(primary, password.as_ref()).await,
            Mode::Cluster => self.cluster(password.as_ref()).await.map(Connection::Cluster),
        }
    }

    /// The first of the addresses that is a primary.
    async fn primary_of(
        &self,
        addresses: &[ConnectionAddr],
        password: Option<&Zeroizing<String>>,
    ) -> Result<MultiplexedConnection, Fault> {
        let mut fault = Fault::Unreachable;
        for address in addresses {
            match self.primary_at(address.clone(), password).await {
                Ok(connection) => return Ok(connection),
                Err(found) => fault = found,
            }
        }
        Err(fault)
    }

    async fn primary_at(
        &self,
        address: ConnectionAddr,
        password: Option<&Zeroizing<String>>,
    ) -> Result<MultiplexedConnection, Fault> {
        let mut connection = self.open(address, password).await?;
        // Who may not ask for the role finds out with the first write.
        match redis::cmd("ROLE").query_async(&mut connection).await {
            Ok(Value::Array(role)) if !is_word(role.first(), b"master") => return Err(Fault::Away),
            Err(error) if Fault::of(&error) != Fault::Right => return Err(Fault::of(&error)),
            _ => {}
        }
        let about = redis::cmd("INFO").arg("server").query_async::<String>(&mut connection).await;
        if about.is_ok_and(|about| is_too_old(&about)) {
            return Err(Fault::Version);
        }
        Ok(connection)
    }

    /// The primary that the first answering Sentinel names. Sentinels have no user and no password here.
    async fn by_sentinel(
        &self,
        primary: &str,
        password: Option<&Zeroizing<String>>,
    ) -> Result<Connection, Fault> {
        let mut fault = Fault::Unreachable;
        for address in &self.addresses {
            let found = match self.named_by(address, primary).await {
                Ok(found) => self.primary_at(found, password).await,
                Err(found) => Err(found),
            };
            match found {
                Ok(connection) => return Ok(Connection::One(connection)),
                Err(found) => fault = found,
            }
        }
        Err(fault)
    }

    async fn named_by(
        &self,
        sentinel: &ConnectionAddr,
        primary: &str,
    ) -> Result<ConnectionAddr, Fault> {
        let info = ConnectionInfo::clone(&self.plain(sentinel.clone())?);
        let mut connection = self.opened(info).await?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(primary);
        let answer: Option<(String, u16)> =
            question.query_async(&mut connection).await.map_err(|error| Fault::of(&error))?;
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
        let connecting = tokio::time::timeout(3 * CONNECT_MAX, client.get_async_connection());
        connecting.await.map_err(|_| Fault::Timeout)?.map_err(|error| Fault::of(&error))
    }

    async fn open(
        &self,
        address: ConnectionAddr,
        password: Option<&Zeroizing<String>>,
    ) -> Result<MultiplexedConnection, Fault> {
        let info = self.info(address, password).map_err(|error| Fault::of(&error))?;
        self.opened(info).await
    }

    async fn opened(&self, info: ConnectionInfo) -> Result<MultiplexedConnection, Fault> {
        let client = self.client(info).map_err(|error| Fault::of(&error))?;
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_MAX))
            .set_response_timeout(Some(CONNECT_MAX));
        let opening = client.get_multiplexed_async_connection_with_config(&limits);
        // The limit of the library leaves out TLS and the first commands.
        let opened =
            tokio::time::timeout(2 * CONNECT_MAX, opening).await.map_err(|_| Fault::Timeout)?;
        opened.map_err(|error| Fault::of(&error))
    }

    fn client(&self, info: ConnectionInfo) -> Result<Client, RedisError> {
        match (&self.authorities, info.addr()) {
            (Some(authorities), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, certificates(authorities))
            }
            _ => Client::open(info),
        }
    }

    fn info(
        &self,
        address: ConnectionAddr,
        password: Option<&Zeroizing<String>>,
    ) -> Result<ConnectionInfo, RedisError> {
        let mut user = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some(username) = &self.username {
            user = user.set_username(username);
        }
        if let Some(password) = password {
            user = user.set_password(password.as_str());
        }
        Ok(address.into_connection_info()?.set_redis_settings(user).set_tcp_settings(tcp()))
    }

    fn plain(&self, address: ConnectionAddr) -> Result<ConnectionInfo, Fault> {
        let info = address.into_connection_info().map_err(|error| Fault::of(&error))?;
        let user = RedisConnectionInfo::default().set_skip_set_lib_name();
        Ok(info.set_redis_settings(user).set_tcp_settings(tcp()))
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
