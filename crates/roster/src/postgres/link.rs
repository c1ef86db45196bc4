//! Connections to the database: made, lent, given up, and looked for again. Must never lend a connection on which a call
//! was given up, because its answer may still come.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Connect, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use crate::error::RosterError;
use crate::postgres::faults::Fault;
use crate::postgres::setup::{BadPostgres, CONNECT_MAX, Password, PostgresSetup};
use crate::postgres::tls;

/// The most connections of one process. A call takes one for milliseconds.
const CONNECTIONS_MAX: usize = 8;
/// How long a call may take that reads one row.
const QUICK_MAX: Duration = Duration::from_secs(1);
/// How often a database that is away is looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The connections of one roster.
pub(crate) struct Link {
    pool: Pool,
    /// How long connecting may take, with every host.
    connect_max: Duration,
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
        // Without time limits of its own it needs no runtime, and building it cannot fail.
        let pool = Pool::builder(manager).max_size(CONNECTIONS_MAX).build();
        Ok(Arc::new(Link {
            pool: pool.map_err(|_| BadPostgres::Address)?,
            connect_max: CONNECT_MAX * rooms + CONNECT_MAX / 10,
            away: Mutex::new(None),
        }))
    }

    /// A connection to a server that takes writes. While none was found, this fails at once.
    pub(crate) async fn connection(self: &Arc<Self>) -> Result<Lent, Fault> {
        let away = *self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = away {
            return Err(Fault { error, is_of_connection: false });
        }
        let lent = self.connect().await;
        if let Err(fault) = &lent {
            self.is_away(fault.error);
        }
        lent
    }

    async fn connect(&self) -> Result<Lent, Fault> {
        match timeout(self.connect_max, self.pool.get()).await {
            Ok(Ok(object)) => Ok(Lent(Some(object))),
            Ok(Err(PoolError::Backend(error))) => Err(error.into()),
            Ok(Err(_)) | Err(_) => Err(RosterError::Unreachable.into()),
        }
    }

    /// Waits for a call that reads one row. A database that does not answer it is away.
    pub(crate) async fn quick<T>(
        self: &Arc<Self>,
        call: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let answer = timeout(QUICK_MAX, call).await;
        answer.unwrap_or_else(|_| {
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

impl DerefMut for Lent {
    #[expect(clippy::expect_used, reason = "only `done` and `drop` take it, and both end this")]
    fn deref_mut(&mut self) -> &mut ClientWrapper {
        self.0.as_mut().expect("a connection that is lent")
    }
}

/// Connects to the first host that takes writes. Each has its own time, so that one that is silent hides no other.
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
                // Without the file the server says that a password is missing.
                if let Ok(text) = tokio::fs::read_to_string(path).await.map(Zeroizing::new) {
                    config.password(text.trim_end_matches(['\r', '\n']).as_bytes());
                }
            }
        }
        config
    }

    async fn first(&self) -> Result<(Client, JoinHandle<()>), Error> {
        let mut failed = None;
        for config in &self.configs {
            let config = self.with_password(config).await;
            match timeout(CONNECT_MAX, config.connect(self.tls.clone())).await {
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
}

impl Connect for Hosts {
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(self.first())
    }
}
