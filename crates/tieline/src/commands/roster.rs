//! `tieline roster`: puts the legacy API's own list of deleted agents into the roster while it still
//! answers, takes out again what cannot be had a second time, and moves all of it between a file and a database.
//!
//! An import is whole or nothing. A key comes from a variable or a file, never as an argument, and
//! goes to the given URL and nowhere else: no redirect is followed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Subcommand};
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode};
use roster::{Roster, Scope};
use serde_json::Value;
use settings::{Config, RosterPlace};
use tower::ServiceExt;
use transport::body;
use transport::client::{Client, ClientSettings};
use transport::tls::ClientTls;

use crate::configuration::{CONFIG, load};
use crate::failure::Failure;
use crate::{output, runtime};

/// A list of a million deleted users is about 50 MB.
const BYTES_MAX: usize = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline roster import --config tieline.toml --caller crm --key-env LEGACY_KEY \\
      https://cc-ams03.voiso.com/api/v2/cdr/deleted_agents
  tieline roster export --config tieline.toml --caller crm > deleted.json")]
pub(crate) struct RosterCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Remember the deleted users of a legacy answer: a JSON array of objects with id and name
    #[command(after_help = "\
Example:
  tieline roster import --config tieline.toml --caller crm --key-env LEGACY_KEY \\
      https://cc-ams03.voiso.com/api/v2/cdr/deleted_agents
  tieline roster import --config tieline.toml --caller crm deleted.json

The gateway may run meanwhile. Importing the same list again changes nothing.")]
    Import(Import),
    /// Print who vanished or was imported, as a JSON array that can be imported again
    #[command(after_help = "\
Example:
  tieline roster export --config tieline.toml --caller crm > deleted.json")]
    Export(Which),
    /// Copy everything from a file to the database of the configuration, or back
    #[command(after_help = "\
Example:
  tieline roster move --config tieline.toml --from-file /var/lib/tieline/roster.sqlite
  tieline roster move --config tieline.toml --to-file /var/lib/tieline/roster.sqlite

Stop every gateway that uses the roster first: what it remembers meanwhile would be missing. The
copy is whole or nothing, goes to an empty roster only, and leaves the source as it is.")]
    Move(Move),
}

#[derive(Debug, Args)]
struct Which {
    /// The configuration; its `roster.file` or `roster.postgres` is the roster
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
    /// Whose users; may be left out where the configuration has one caller
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
}

#[derive(Debug, Args)]
struct Move {
    /// The configuration; its `roster.postgres` is the database
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
    /// The roster to copy to the database
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with = "to_file",
        required_unless_present = "to_file"
    )]
    from_file: Option<PathBuf>,
    /// The file to copy the database's roster to; it is made, or empty
    #[arg(long, value_name = "PATH")]
    to_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Import {
    #[command(flatten)]
    which: Which,
    /// The variable that holds the legacy key for the URL
    #[arg(long, value_name = "NAME", conflicts_with = "key_file")]
    key_env: Option<String>,
    /// The file that holds the legacy key for the URL
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// The list: an http or https URL, or a file
    #[arg(value_name = "URL|FILE")]
    source: String,
}

impl RosterCommand {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Import(import) => import.run(),
            Command::Export(which) => which.export(),
            Command::Move(way) => way.run(),
        }
    }
}

impl Which {
    /// The roster and whose part of it is meant.
    fn open(&self) -> Result<(Roster, Scope), Failure> {
        let config = load(&self.config)?;
        let scope = self.scope(&config)?;
        let Some(place) = &config.roster else {
            return Err(Failure::new(format_args!(
                "there is no roster: set roster.file or roster.postgres in {}",
                self.config.display()
            )));
        };
        Ok((opened(place)?, scope))
    }

    fn scope(&self, config: &Config) -> Result<Scope, Failure> {
        let found = match &self.caller {
            Some(name) => config.callers.iter().find(|caller| caller.name == *name),
            None if config.callers.len() == 1 => config.callers.first(),
            None => None,
        };
        let Some(caller) = found else {
            let names: Vec<_> = config.callers.iter().map(|caller| caller.name.as_str()).collect();
            return Err(Failure::new(format_args!(
                "say which caller with --caller; {} has: {}",
                self.config.display(),
                names.join(", ")
            )));
        };
        Ok(Scope { caller: caller.name.clone(), upstream: caller.upstream.clone() })
    }

    fn export(&self) -> Result<ExitCode, Failure> {
        let (roster, scope) = self.open()?;
        let former = waited(async { roster.former(&scope).await.map_err(Failure::new) })?;
        let mut text = String::from("[");
        for (row, user) in former.iter().enumerate() {
            text.push_str(if row == 0 { "\n" } else { ",\n" });
            let line = serde_json::json!({
                "id": user.id,
                "name": user.name,
                "vanished": user.is_vanished,
                "imported": user.is_imported,
            });
            text.push_str(&line.to_string());
        }
        text.push_str("\n]\n");
        output::print(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Move {
    fn run(self) -> Result<ExitCode, Failure> {
        let config = load(&self.config)?;
        let Some(place @ RosterPlace::Postgres(_)) = &config.roster else {
            return Err(Failure::new(format_args!(
                "there is no database: set roster.postgres in {}",
                self.config.display()
            )));
        };
        let file = match (&self.from_file, &self.to_file) {
            // Opening a file that is not there would make an empty one.
            (Some(file), _) if !file.exists() => {
                return Err(Failure::new(format_args!(
                    "{}: there is no such file",
                    file.display()
                )));
            }
            (Some(file), _) | (None, Some(file)) => file,
            (None, None) => return Err(Failure::new("say --from-file or --to-file")),
        };
        let database = opened(place)?;
        let named = |error| Failure::new(format_args!("{}: {error}", file.display()));
        let (from, to) = match self.from_file.is_some() {
            true => (Roster::open(file).map_err(named)?, database),
            false => (database, Roster::open(file).map_err(named)?),
        };
        let moved = waited(async {
            let all = from.whole().await.map_err(Failure::new)?;
            let sizes: Vec<_> = all
                .iter()
                .map(|one| {
                    let (Scope { caller, upstream }, (users, imported)) =
                        (one.scope(), one.sizes());
                    format!("{caller} ({upstream}): {users} users, {imported} imported\n")
                })
                .collect();
            to.fill(all).await.map_err(Failure::new)?;
            Ok(sizes)
        })?;
        output::print(&moved.concat())?;
        output::print("copied; the source is as it was\n")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The roster, with its tables where it is a database.
fn opened(place: &RosterPlace) -> Result<Roster, Failure> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::InvalidInput => Failure::configuration(error),
        _ => Failure::new(error),
    };
    if let RosterPlace::Postgres(_) = place {
        let roster = place.open().map_err(failed)?;
        waited(async { roster.prepare().await.map_err(|error| failed(place.failed(error))) })?;
    }
    // Another one: a connection ends with the runtime that it was made in.
    place.open().map_err(failed)
}

/// Waits for the roster on a runtime of its own.
fn waited<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut done = None;
    runtime::run(async {
        done = Some(work.await?);
        Ok(ExitCode::SUCCESS)
    })?;
    done.ok_or_else(|| Failure::new("the roster's work was interrupted"))
}

impl Import {
    fn run(self) -> Result<ExitCode, Failure> {
        let (roster, scope) = self.which.open()?;
        // Anything with a scheme is a URL, and is never repeated: a key may be in it.
        let is_url = self.source.contains("://");
        let key = self.key()?;
        if key.is_some() && !is_url {
            return Err(Failure::new("a key only goes with a URL; a file needs none"));
        }
        let body = if is_url {
            fetch(&self.source, key)?
        } else {
            let read = settings::read_text(Path::new(&self.source));
            let failed = |why| Failure::new(format_args!("{} {why}", self.source));
            Bytes::from(read.map_err(failed)?)
        };
        let rows = rows(&body)?;
        let counts = waited(async { roster.import(&scope, rows).await.map_err(Failure::new) })?;
        output::print(&format!(
            "{}: {} added, {} renamed, {} known already\n",
            scope.caller, counts.added, counts.updated, counts.unchanged
        ))?;
        Ok(ExitCode::SUCCESS)
    }

    /// `Bearer <key>`, from where it is said to be.
    fn key(&self) -> Result<Option<HeaderValue>, Failure> {
        let text = match (&self.key_env, &self.key_file) {
            (Some(name), _) => std::env::var(name)
                .map_err(|_| Failure::new("the variable that --key-env names is not set"))?,
            (None, Some(file)) => read_key(file)?,
            (None, None) => return Ok(None),
        };
        let wrong = |why| Failure::new(format_args!("the legacy key for the URL {why}"));
        let key = settings::key_text(&text).map_err(wrong)?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| Failure::new("the key holds characters that no header can carry"))?;
        bearer.set_sensitive(true);
        Ok(Some(bearer))
    }
}

fn read_key(file: &Path) -> Result<String, Failure> {
    settings::read_text(file).map_err(|why| Failure::new(format_args!("the key file {why}")))
}

/// The whole answer of one GET.
fn fetch(url: &str, key: Option<HeaderValue>) -> Result<Bytes, Failure> {
    // A URL may carry a key of its own, so it is never repeated.
    let mut request = Request::get(url).header(ACCEPT, "application/json");
    request = request.header(ACCEPT_ENCODING, "identity");
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, key);
    }
    let request = request.body(Bytes::new()).map_err(|_| Failure::new("this is no usable URL"))?;
    let tls = ClientTls::new(None).map_err(Failure::new)?;
    let settings = ClientSettings {
        connect_timeout: Duration::from_secs(10),
        pool_idle_timeout: Duration::from_secs(1),
        pool_idle_max: 1,
        tls,
    };
    let mut fetched = Bytes::new();
    runtime::run(async {
        let exchange = async {
            let failed =
                |error| Failure::new(format_args!("the legacy API cannot be asked: {error}"));
            let answer = Client::new(&settings).oneshot(request).await.map_err(failed)?;
            let status = answer.status();
            if status != StatusCode::OK {
                return Err(Failure::new(format_args!(
                    "the legacy API answered {status}; nothing was imported"
                )));
            }
            body::collect(answer.into_body(), BYTES_MAX, PATIENCE).await.map_err(Failure::new)
        };
        fetched = match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(body) => body?,
            Err(_) => return Err(Failure::new("the legacy API took too long")),
        };
        Ok(ExitCode::SUCCESS)
    })?;
    Ok(fetched)
}

/// Ids and names; what is not understood is an error, since a part would pass for the whole.
fn rows(body: &[u8]) -> Result<Vec<(u64, Option<String>)>, Failure> {
    let not_a_list =
        || Failure::new("this is no JSON array of objects with id and name; nothing was imported");
    // Editors and spreadsheets begin a file with a mark that is no part of the list.
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let Ok(Value::Array(list)) = serde_json::from_slice(body) else { return Err(not_a_list()) };
    let row = |(row, value): (usize, &Value)| {
        let wrong = |what: &str| {
            Failure::new(format_args!("element {row} has no usable {what}; nothing was imported"))
        };
        let id =
            value["id"].as_u64().or_else(|| value["id"].as_str().and_then(domain::id::decimal));
        let id = id.filter(|id| *id <= domain::id::ID_MAX).ok_or_else(|| wrong("id"))?;
        match &value["name"] {
            Value::Null => Ok((id, None)),
            Value::String(name) => Ok((id, Some(name.clone()))),
            _ => Err(wrong("name")),
        }
    };
    list.iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_list_of_ids_and_names_is_taken() {
        let good = br#"[{"id":28982,"name":"Roberta Ride"},{"id":"7","name":null,"x":1},{"id":8}]"#;
        let expected = [(28982, Some("Roberta Ride".to_owned())), (7, None), (8, None)];
        assert_eq!(rows(good).unwrap(), expected);
        assert_eq!(rows(b"[]").unwrap(), []);
        let with_a_mark = ["\u{feff}".as_bytes(), good].concat();
        assert_eq!(rows(&with_a_mark).unwrap(), expected);
        for bad in [
            &b"{}"[..],
            b"",
            b"[1]",
            br#"[{"name":"x"}]"#,
            br#"[{"id":-1}]"#,
            br#"[{"id":1.5}]"#,
            br#"[{"id":"007"}]"#,
            br#"[{"id":1,"name":7}]"#,
            br#"[{"id":1}"#,
        ] {
            assert!(rows(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
