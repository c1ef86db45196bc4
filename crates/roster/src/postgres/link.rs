//! Connections to the database: made, lent, given up, and looked for again. Must never lend a connection on which a call
//! was given up, because its answer may still come.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Connect, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
    Runtime, TimeoutType, Timeouts,
};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use crate::error::RosterError;
use crate::postgres::addresses;
use crate::postgres::faults::Fault;
use crate::postgres::setup::{BadPostgres, CONNECT_MAX, Password, PostgresSetup, password_text};
use crate::postgres::tls;

/// The most connections of one process. A call takes one for milliseconds.
const CONNECTIONS_MAX: usize = 8;
/// How long a call waits for a connection while all are in use.
const SLOT_MAX: Duration = Duration::from_secs(2);
/// How long a whole transaction may take, beside the limits of its statements.
const TRANSACTION_MAX: Duration = Duration::from_secs(45);
/// How long a call may take that reads one row.
const QUICK_MAX: Duration = Duration::from_secs(1);
/// How often a database that is away is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The connections of one roster.
pub(crate) struct Link {
    pool: Pool,
    /// How long connecting may take, with every host.
    connect_max: Duration,
    slot_max: Duration,
    pub(super) transaction_max: Duration,
    /// Why the database is away. Meanwhile calls fail at once; only [`look_for`] tries.
    away: Mutex<Option<RosterError>>,
}

impl Link {
    /// Connects nothing yet.
    pub(crate) fn new(setup: &PostgresSetup) -> Result<Arc<Self>, BadPostgres> {
        let hosts = Hosts::new(setup)?;
        let rooms = u32::try_from(hosts.configs.len()).unwrap_or(1);
        let manager = Manager::from_connect(
            Config::new(),
            hosts,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool =
            Pool::builder(manager).max_size(CONNECTIONS_MAX).runtime(Runtime::Tokio1).build();
        Ok(Arc::new(Link {
            pool: pool.map_err(|_| BadPostgres::Address)?,
            connect_max: CONNECT_MAX * rooms + CONNECT_MAX / 10,
            slot_max: SLOT_MAX,
            transaction_max: TRANSACTION_MAX,
            away: Mutex::new(None),
        }))
    }

    /// A connection to a server that takes writes. While none was found, this fails at once.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Lent, Fault> {
        self.is_here().map_err(|error| Fault { error, is_of_connection: false })?;
        let lent = self.connect().await;
        if let Err(fault) = &lent
            && self.means_away(fault.error)
        {
            self.is_away(fault.error);
        }
        lent
    }

    /// Fails with the reason while the database is away.
    pub(crate) fn is_here(&self) -> Result<(), RosterError> {
        let away = *self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.map_or(Ok(()), Err)
    }

    /// Whether a database from which no connection was had is away. It is not while all connections are in use, nor
    /// while it only takes no further one: those that are open are good.
    fn means_away(&self, error: RosterError) -> bool {
        match error {
            RosterError::Busy => false,
            RosterError::Full | RosterError::Denied => self.pool.status().size == 0,
            _ => true,
        }
    }

    async fn connect(&self) -> Result<Lent, Fault> {
        let (wait, create) = (Some(self.slot_max), Some(self.connect_max));
        match self.pool.timeout_get(&Timeouts { wait, create, recycle: None }).await {
            Ok(object) => Ok(Lent(Some(object))),
            Err(PoolError::Backend(error)) => Err(error.into()),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(RosterError::Busy.into()),
            Err(_) => Err(RosterError::Unreachable.into()),
        }
    }

    /// Waits for a call that reads one row. A database that does not answer it is away.
    pub(crate) async fn quick<T>(
        self: &Arc<Self>,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        self.within(QUICK_MAX, call).await
    }

    /// Waits for a whole transaction. A database in which one does not end is away.
    pub(crate) async fn transaction<T>(
        self: &Arc<Self>,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        self.within(self.transaction_max, call).await
    }

    async fn within<T>(
        self: &Arc<Self>,
        limit: Duration,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        timeout(limit, call).await.unwrap_or_else(|_| {
            self.is_away(RosterError::Slow);
            Err(RosterError::Slow.into())
        })
    }

    /// Drops all connections that are not lent.
    pub(crate) fn drop_connections(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Lets calls fail at once until the database is found again.
    fn is_away(self: &Arc<Self>, error: RosterError) {
        let before = self.away.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
        self.drop_connections();
        if before.is_none() {
            tokio::spawn(look_for(Arc::downgrade(self)));
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}

/// Looks for a database that is away until it answers, or until the roster is dropped. So no client pays for a try.
async fn look_for(link: Weak<Link>) {
    loop {
        sleep(LOOK_INTERVAL).await;
        let Some(link) = link.upgrade() else { return };
        let found = async {
            let lent = link.connect().await?;
            let asked = timeout(QUICK_MAX, lent.simple_query("SELECT 1")).await;
            asked.map_err(|_| Fault::from(RosterError::Slow))??;
            lent.done();
            Ok::<_, Fault>(())
        };
        let found = found.await;
        let mut away = link.away.lock().unwrap_or_else(PoisonError::into_inner);
        match found {
            Ok(()) => {
                *away = None;
                return;
            }
            Err(fault) => *away = Some(fault.error),
        }
    }
}

/// A connection that is used. If it is not [`Lent::done`], it is closed.
pub(crate) struct Lent(Option<Object>);

impl Lent {
    /// Gives the connection back, after the last answer has been read.
    pub(crate) fn done(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

impl Deref for Lent {
    type Target = ClientWrapper;

    #[expect(clippy::expect_used, reason = "only `done` and `drop` take it, and both end this")]
    fn deref(&self) -> &ClientWrapper {
        self.0.as_ref().expect("a connection that is lent")
    }
}

/// What moves the messages of a client.
type Connected = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Connects to the first host that takes writes. Each has its own time, so that one that is silent hides no other; nor does
/// a silent address of a host hide its others.
pub(crate) struct Hosts {
    pub(crate) configs: Vec<Config>,
    password: Option<Password>,
    pub(crate) tls: MakeRustlsConnect,
}

impl Hosts {
    pub(crate) fn new(setup: &PostgresSetup) -> Result<Self, BadPostgres> {
        let tls = tls::trusting(setup.authorities.as_deref()).ok_or(BadPostgres::Authorities)?;
        Ok(Hosts { configs: setup.hosts()?, password: setup.password.clone(), tls })
    }

    /// The configuration with the password as it is now.
    pub(crate) async fn with_password(&self, config: &Config) -> Config {
        let mut config = config.clone();
        match &self.password {
            None => {}
            Some(Password::Text(text)) => _ = config.password(text.as_bytes()),
            Some(Password::File(path)) => {
                // Without the file, or with one that holds no password, the server says that one is missing.
                if let Ok(text) = tokio::fs::read_to_string(path).await.map(Zeroizing::new)
                    && let Ok(password) = password_text(&text)
                {
                    config.password(password.as_bytes());
                }
            }
        }
        config
    }

    async fn first(&self) -> Result<(Client, JoinHandle<()>), Error> {
        let mut failed = None;
        for config in &self.configs {
            let config = self.with_password(config).await;
            match timeout(CONNECT_MAX, self.connected(&config)).await {
                Ok(Ok((client, connection))) => {
                    // The calls on it fail when it ends, and say why.
                    return Ok((client, tokio::spawn(async { drop(connection.await) })));
                }
                Ok(Err(error)) => failed = Some(error),
                Err(_) => {}
            }
        }
        match failed {
            Some(error) => Err(error),
            // The client has no error for it; the one who waits has a limit of its own.
            None => std::future::pending().await,
        }
    }

    /// Connects to one host, at whichever of its addresses takes writes first.
    async fn connected(&self, config: &Config) -> Result<(Client, Connected), Error> {
        let addresses = match (config.get_hosts(), config.get_ports()) {
            ([Host::Tcp(name)], [port]) => addresses::of(name, *port).await.unwrap_or_default(),
            _ => Vec::new(),
        };
        match self.connected_to(config, addresses).await {
            Err(Some(error)) => Err(error),
            // A name that leads nowhere, about which the client has the words; or a socket of the file system.
            Err(None) => config.connect(self.tls.clone()).await,
            Ok(connected) => Ok(connected),
        }
    }

    /// The same at one of these addresses; the last error, where there were any.
    async fn connected_to(
        &self,
        config: &Config,
        addresses: Vec<IpAddr>,
    ) -> Result<(Client, Connected), Option<Error>> {
        let connect = |address| {
            // The name stays, for the server's certificate.
            let mut config = config.clone();
            config.hostaddr(address);
            let tls = self.tls.clone();
            async move { config.connect(tls).await }
        };
        addresses::first(addresses, connect).await
    }
}

impl Connect for Hosts {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(self.first())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::postgres::fake::Fake;

    /// Longer than anything here takes.
    const LONG: Duration = Duration::from_secs(20);

    fn error(lent: Result<Lent, Fault>) -> Option<RosterError> {
        lent.err().map(|fault| fault.error)
    }

    #[tokio::test]
    async fn r09_a_database_whose_connections_are_all_in_use_is_not_away() {
        let fake = Fake::start().await;
        let mut link = Link::new(&fake.setup()).unwrap();
        Arc::get_mut(&mut link).unwrap().slot_max = Duration::from_millis(10);
        let mut lent = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            lent.push(link.connection().await.unwrap());
        }
        assert_eq!(error(link.connection().await), Some(RosterError::Busy));
        assert_eq!(link.is_here(), Ok(()));
        lent.pop().unwrap().done();
        assert!(link.connection().await.is_ok());
    }

    #[tokio::test]
    async fn r09_one_connection_too_many_costs_no_open_one() {
        let fake = Fake::start().await;
        let link = Link::new(&fake.setup()).unwrap();
        let first = link.connection().await.unwrap();
        fake.refuse();
        assert_eq!(error(link.connection().await), Some(RosterError::Full));
        assert_eq!(link.is_here(), Ok(()));
        first.done();
        let again = link.connection().await.unwrap();
        // It is closed, because it is not given back.
        drop(again);
        assert_eq!(error(link.connection().await), Some(RosterError::Full));
        assert_eq!(link.is_here(), Err(RosterError::Full), "none is open");
    }

    #[tokio::test]
    async fn r04_silent_addresses_of_a_host_do_not_hide_a_good_one() {
        let fake = Fake::start().await;
        let good = IpAddr::from([127, 0, 0, 1]);
        // They take connections and say nothing. The system fills their queue; nobody accepts.
        let silent = [IpAddr::from([127, 0, 0, 2]), IpAddr::from([127, 0, 0, 3])];
        let mut held = Vec::new();
        for address in silent {
            held.push(TcpListener::bind((address, fake.port())).await.unwrap());
        }
        // Nobody listens here, so connecting to it fails at once.
        let closed = IpAddr::from([127, 0, 0, 4]);
        let hosts = Hosts::new(&fake.setup()).unwrap();
        let config = hosts.with_password(&hosts.configs[0]).await;
        for addresses in [
            vec![silent[0], good],
            vec![silent[0], silent[1], good],
            vec![closed, silent[0], closed, good],
            vec![good, silent[0]],
        ] {
            let before = fake.connections();
            let connected = timeout(LONG, hosts.connected_to(&config, addresses.clone()));
            let (client, connection) = connected.await.expect("no answer").unwrap();
            let connection = tokio::spawn(connection);
            client.simple_query("SELECT 1").await.unwrap();
            assert_eq!(fake.connections(), before + 1, "{addresses:?}");
            drop(client);
            connection.await.unwrap().unwrap();
        }
        assert!(matches!(hosts.connected_to(&config, vec![closed]).await, Err(Some(_))));
        assert!(matches!(hosts.connected_to(&config, Vec::new()).await, Err(None)));
        let only_silent = hosts.connected_to(&config, silent.to_vec());
        assert!(timeout(Duration::from_millis(300), only_silent).await.is_err());
    }

    #[tokio::test]
    async fn a_password_is_read_from_its_file_as_at_the_start() {
        let file = std::env::temp_dir().join(format!("roster-password-{}", std::process::id()));
        let mut setup = Fake::start().await.setup();
        setup.password = Some(Password::File(file.clone()));
        let hosts = Hosts::new(&setup).unwrap();
        for (text, expected) in [
            ("it's \"two words\" \r\n", Some("it's \"two words\" ")),
            ("one\n", Some("one")),
            ("one\ntwo\n", None),
            ("\n", None),
        ] {
            std::fs::write(&file, text).unwrap();
            let config = hosts.with_password(&hosts.configs[0]).await;
            assert_eq!(config.get_password(), expected.map(str::as_bytes), "{text:?}");
        }
        std::fs::remove_file(file).unwrap();
    }
}
