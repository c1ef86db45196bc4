//! What `tieline check` finds at the roster's database, and how it is printed. Must never print an address, a user or a
//! password.

use std::fmt;

use roster::{Database, PostgresSetup};

/// The hosts of `roster.postgres`, in their order.
#[derive(Debug)]
pub(super) struct Databases(Vec<Database>);

impl Databases {
    /// Looks at them.
    ///
    /// # Errors
    ///
    /// If the setup cannot be meant.
    pub(super) async fn of(setup: &PostgresSetup) -> std::io::Result<Self> {
        roster::examine(setup).await.map(Databases).map_err(std::io::Error::other)
    }

    /// Whether every host can be used, and one of them takes writes now.
    pub(super) fn is_good(&self) -> bool {
        self.0.iter().all(Database::is_good) && self.0.iter().any(|one| !one.is_read_only)
    }
}

impl fmt::Display for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (row, found) in self.0.iter().enumerate() {
            match self.0.len() {
                1 => writeln!(f, "roster")?,
                _ => writeln!(f, "roster (host {})", row + 1)?,
            }
            if let Some(version) = &found.version {
                let tls = if found.is_encrypted { "with TLS" } else { "without TLS" };
                writeln!(f, "  database      PostgreSQL {version}, {tls}")?;
                let between = match found.has_pooler {
                    true => "a pooler such as PgBouncer, or another proxy",
                    false => "nothing",
                };
                writeln!(f, "  in between    {between}")?;
            }
            if let Some(takes) = found.takes {
                let takes = takes.as_secs_f64() * 1000.0;
                writeln!(f, "  round trip    {takes:.2} ms for half of the calls")?;
            }
            match found.schema {
                Some(schema) => writeln!(f, "  tables        schema {schema}")?,
                None if found.version.is_some() => {
                    writeln!(f, "  tables        none yet; the first start makes them")?;
                }
                None => {}
            }
            if found.is_read_only {
                let failed = if self.0.iter().all(|one| one.is_read_only) { "FAILED" } else { "" };
                writeln!(f, "  {failed:<13} a standby, or told to take no writes")?;
            }
            for right in &found.missing_rights {
                writeln!(f, "  FAILED        the user lacks the right {right}")?;
            }
            if let Some(wrong) = &found.wrong {
                writeln!(f, "  FAILED        {wrong}")?;
            }
        }
        Ok(())
    }
}
