//! A look at the database before replicas use it: what it is, how fast, and which rights are missing. Must change
//! nothing there, and never say an address, a user or a password.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config};

use crate::error::RosterError;
use crate::postgres::addresses;
use crate::postgres::faults::Fault;
use crate::postgres::link::Hosts;
use crate::postgres::rows;
use crate::postgres::schema;
use crate::postgres::setup::{BadPostgres, CONNECT_MAX, PostgresSetup};

/// So often a small question is timed.
const TIMES: usize = 20;
/// The most bytes of the server's word for its version.
const WORDS_MAX: usize = 64;
/// The oldest server that has what the tables need.
const OLDEST: i32 = 13;

/// What one host of the setup was found to be.
#[derive(Debug, Clone, Default)]
pub struct Database {
    /// As the server says it.
    pub version: Option<String>,
    pub is_encrypted: bool,
    /// A standby, or a server that was told to take no writes; the roster uses it once it takes some.
    pub is_read_only: bool,
    /// Whether the connection ends at something else than the server, such as PgBouncer.
    pub has_pooler: bool,
    /// The middle of the times that a small question took.
    pub takes: Option<Duration>,
    /// The number of the tables' layout; the tables are made at the first start.
    pub schema: Option<i64>,
    /// Rights that the roster needs and the user lacks, as SQL says them.
    pub missing_rights: Vec<String>,
    /// What else is wrong.
    pub wrong: Option<String>,
}

impl Database {
    /// Whether a roster can be kept there, now or once it takes writes.
    pub fn is_good(&self) -> bool {
        self.wrong.is_none() && self.missing_rights.is_empty()
    }
}

/// Looks at every host, in the order in which they stand.
///
/// # Errors
///
/// If the setup cannot be meant.
pub async fn examine(setup: &PostgresSetup) -> Result<Vec<Database>, BadPostgres> {
    let hosts = Hosts::new(setup)?;
    let mut all = Vec::new();
    for config in &hosts.configs {
        let mut found = Database::default();
        let looked = timeout(CONNECT_MAX * 3, look(&hosts, config, &mut found)).await;
        let fault = looked.unwrap_or_else(|_| Err(RosterError::Slow.into()));
        found.wrong = fault.err().map(|fault| fault.error.to_string()).or(found.wrong.take());
        all.push(found);
    }
    Ok(all)
}

async fn look(hosts: &Hosts, config: &Config, found: &mut Database) -> Result<(), Fault> {
    let config = hosts.with_password(config).await;
    let (client, own_port) = connected(hosts, &config).await?;
    found.is_encrypted = config.get_ssl_mode() == tokio_postgres::config::SslMode::Require;
    let statement = "SELECT current_setting('server_version'),
                            current_setting('server_version_num')::int / 10000, inet_client_port()";
    let row = client.query_typed_one(statement, &[]).await?;
    let version: String = row.try_get(0)?;
    found.version = Some(version.chars().filter(|it| !it.is_control()).take(WORDS_MAX).collect());
    // Where the server sees another port than we have, somebody in between has a connection of its own.
    let seen: Option<i32> = row.try_get(2)?;
    found.has_pooler = own_port.is_some_and(|own| seen != Some(i32::from(own)));
    if row.try_get::<_, i32>(1)? < OLDEST {
        found.wrong = Some(format!("the server is too old; from {OLDEST} on it can be used"));
        return Ok(());
    }
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let began = Instant::now();
        match rows::time(&client).await {
            Ok(_) => times.push(began.elapsed()),
            Err(fault) if fault.error == RosterError::ReadOnly => found.is_read_only = true,
            Err(fault) => return Err(fault),
        }
    }
    times.sort_unstable();
    found.takes = times.get(times.len() / 2).copied();
    found.schema = schema::found(&client).await?;
    if let Some(newer) = found.schema.filter(|schema| *schema > schema::SCHEMA) {
        return Err(RosterError::NewerSchema { found: newer, known: schema::SCHEMA }.into());
    }
    found.missing_rights = missing(&client, found.schema.is_some()).await?;
    let is_older = found.schema.is_some_and(|schema| schema < schema::SCHEMA);
    if is_older && !schema::may_change(&client).await? {
        return Err(RosterError::NotOwner.into());
    }
    Ok(())
}

/// A connection, and its port here, where it has one.
async fn connected(hosts: &Hosts, config: &Config) -> Result<(Client, Option<u16>), Fault> {
    let unreachable = |_| Fault::from(RosterError::Unreachable);
    let (Some(Host::Tcp(host)), Some(port)) =
        (config.get_hosts().first(), config.get_ports().first())
    else {
        let (client, connection) = config.connect(hosts.tls.clone()).await?;
        tokio::spawn(async { drop(connection.await) });
        return Ok((client, None));
    };
    let addresses = addresses::of(host, *port).await.map_err(unreachable)?;
    let connect = |address| async move {
        let stream = TcpStream::connect((address, *port)).await.map_err(unreachable)?;
        let own = stream.local_addr().map_err(unreachable)?.port();
        let mut tls = hosts.tls.clone();
        let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, host);
        let tls = tls.map_err(|_| Fault::from(RosterError::Tls))?;
        let (client, connection) = config.connect_raw(stream, tls).await?;
        Ok((client, connection, own))
    };
    let connected = addresses::first(addresses, connect).await;
    let (client, connection, own) = connected
        .map_err(|fault: Option<Fault>| fault.unwrap_or(RosterError::Unreachable.into()))?;
    tokio::spawn(async { drop(connection.await) });
    Ok((client, Some(own)))
}

/// The rights that are missing: on the tables, or to make them.
async fn missing(client: &Client, has_tables: bool) -> Result<Vec<String>, Fault> {
    let statement = match has_tables {
        true => {
            "SELECT p || ' ON ' || t FROM (VALUES
                 ('tieline_roster', 'SELECT'),
                 ('tieline_roster_scopes', 'SELECT'), ('tieline_roster_scopes', 'INSERT'),
                 ('tieline_roster_scopes', 'UPDATE'),
                 ('tieline_roster_users', 'SELECT'), ('tieline_roster_users', 'INSERT'),
                 ('tieline_roster_users', 'UPDATE'),
                 ('tieline_roster_imported', 'SELECT'), ('tieline_roster_imported', 'INSERT'),
                 ('tieline_roster_imported', 'UPDATE')) AS needed (t, p)
             WHERE NOT has_table_privilege(t, p)"
        }
        false => {
            "SELECT 'CREATE ON SCHEMA ' || coalesce(current_schema(), 'public')
             WHERE current_schema() IS NULL OR NOT has_schema_privilege(current_schema(), 'CREATE')"
        }
    };
    let rows = client.query_typed(statement, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}
