//! `tieline simulate`: the pretend vendor alone.

mod faults;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use simulator::{Churn, Order, Settings, Simulator, VonageSettings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::curl::{Lines, base_url, bearer};
use crate::failure::Failure;
use crate::signals::Signals;
use crate::{log, output, runtime};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline simulate --users 1000 --latency 20ms
  tieline simulate --fail 500@693x1 --churn-every 5
  tieline simulate --dialect vonage-v4 --client me:secret --page-limit-max 100

OFFSETxTIMES is a page and how often the fault happens there, such as 198x1; without xTIMES it
happens always. Vonage counts pages: there OFFSET is (page - 1) * limit. GET /_simulator/stats tells what was asked so far.")]
pub(crate) struct Simulate {
    /// The vendor to pretend
    #[arg(long, value_enum, default_value = "voiso-v4")]
    dialect: Dialect,
    /// How many users there are at the start
    #[arg(long, value_name = "N", default_value_t = 250)]
    users: usize,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// The same seed makes the same users on every machine
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// A key of the v4 face; may be repeated
    #[arg(long = "v4-key", value_name = "KEY", default_value = "v4-demo-key")]
    v4_keys: Vec<String>,
    /// A key of the legacy face; may be repeated
    #[arg(long = "legacy-key", value_name = "KEY", default_value = "legacy-demo-key")]
    legacy_keys: Vec<String>,
    /// Order of the users: id, id-descending, name or random
    #[arg(long, value_name = "ORDER", default_value = "id")]
    order: Order,
    /// How long every answer takes at least, such as 20ms or 1s
    #[arg(long, value_name = "TIME", default_value = "0ms", value_parser = duration)]
    latency: Duration,
    /// Serve the list of teams too (scope users.teams.read)
    #[arg(long)]
    teams_list: bool,
    /// Where: users is /api/v4/users/teams, alone is /api/v4/teams
    #[arg(long, value_enum, default_value = "both", requires = "teams_list")]
    teams_at: TeamsAt,
    /// Serve GET /api/v4/security_access_groups too
    #[arg(long)]
    groups_list: bool,
    /// Tags of the v4 face, which answers 304 to a client that has the page: weak is what Rails sends
    #[arg(long, value_enum, default_value = "none")]
    tags: Tags,
    /// Insert or delete a user before every N-th page of users
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    churn_every: Option<u32>,
    /// Insert or delete so many users per second
    #[arg(long, value_name = "X", value_parser = rate, conflicts_with = "churn_every")]
    churn_per_second: Option<f64>,
    #[command(flatten, next_help_heading = "The Vonage face")]
    vonage: VonageFlags,
    #[command(flatten, next_help_heading = "Faults of the v4 face")]
    faults: faults::FaultFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// Voiso's v4 API and the legacy API
    VoisoV4,
    /// Vonage Contact Center's User Admin API and the legacy API
    VonageV4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TeamsAt {
    Both,
    Users,
    Alone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tags {
    None,
    Weak,
    Strong,
}

#[derive(Debug, Args)]
struct VonageFlags {
    /// Who may ask for a token; may be repeated
    #[arg(
        long = "client",
        value_name = "ID:SECRET",
        default_value = "demo-client:demo-secret",
        value_parser = client
    )]
    clients: Vec<(String, String)>,
    /// How long a token is good, such as 500ms or 7200s
    #[arg(long, value_name = "TIME", default_value = "7200s", value_parser = duration)]
    token_lifetime: Duration,
    /// The largest limit of a page
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5000,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    page_limit_max: u64,
    /// Do not serve GET /useradmin/skills
    #[arg(long)]
    no_skills_list: bool,
}

impl Simulate {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        log::set_up("info", log_format.unwrap_or(log::Format::Auto))?;
        runtime::run(self.serve())
    }

    async fn serve(self) -> Result<ExitCode, Failure> {
        let signals = Signals::listen()?;
        let failed = |error: std::io::Error| {
            Failure::new(format_args!(
                "cannot listen on {}: {error}; choose another address with --listen, for example \
                 --listen 127.0.0.1:0",
                self.listen
            ))
        };
        let listener = TcpListener::bind(self.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let settings = self.settings();
        let simulator = Simulator::new(settings.clone());
        let text = welcome(&settings, &simulator, address);
        let shutdown = CancellationToken::new();
        let stopped = shutdown.clone().cancelled_owned();
        let serving = tokio::spawn(simulator.serve(listener, stopped));
        output::print(&text)?;
        signals
            .drain(shutdown, async move {
                let _ = serving.await;
            })
            .await?;
        Ok(ExitCode::SUCCESS)
    }

    fn settings(self) -> Settings {
        let churns = self.churn_every.is_some() || self.churn_per_second.is_some();
        let churn = churns.then(|| Churn {
            every_requests: self.churn_every,
            per_second: self.churn_per_second,
            seed: self.seed,
            ..Churn::default()
        });
        let VonageFlags { clients, token_lifetime, page_limit_max, no_skills_list } = self.vonage;
        Settings {
            dialect: match self.dialect {
                Dialect::VoisoV4 => simulator::Dialect::VoisoV4,
                Dialect::VonageV4 => simulator::Dialect::VonageV4,
            },
            users: self.users,
            seed: self.seed,
            v4_keys: self.v4_keys,
            legacy_keys: self.legacy_keys,
            order: self.order,
            faults: self.faults.into(),
            churn,
            latency: self.latency,
            teams_list: self.teams_list,
            teams_at: match self.teams_at {
                TeamsAt::Both => simulator::TeamsAt::Both,
                TeamsAt::Users => simulator::TeamsAt::Users,
                TeamsAt::Alone => simulator::TeamsAt::Alone,
            },
            groups_list: self.groups_list,
            tags: match self.tags {
                Tags::None => simulator::Tags::None,
                Tags::Weak => simulator::Tags::Weak,
                Tags::Strong => simulator::Tags::Strong,
            },
            vonage: VonageSettings {
                clients,
                token_lifetime,
                page_limit_max,
                skills_list: !no_skills_list,
            },
        }
    }
}

fn welcome(settings: &Settings, simulator: &Simulator, address: SocketAddr) -> String {
    let base = base_url(address);
    let mut lines = Lines::default();
    match settings.dialect {
        simulator::Dialect::VoisoV4 => voiso_lines(&mut lines, settings, &base),
        simulator::Dialect::VonageV4 => vonage_lines(&mut lines, settings, simulator, &base),
    }
    if let Some(key) = settings.legacy_keys.first() {
        let list = format!("{base}/api/user_management/v1/users");
        lines.add("the legacy face: every user", &["-H", &bearer(key), &list]);
    }
    lines.add("what was asked so far", &[&format!("{base}/_simulator/stats")]);
    let Settings { users, seed, .. } = settings;
    format!(
        "The pretend vendor with {users} users (seed {seed}) is at {base}. Ctrl-C ends it. Lines \
         to paste:\n{}\n",
        lines.as_str()
    )
}

fn voiso_lines(lines: &mut Lines, settings: &Settings, base: &str) {
    if let Some(key) = settings.v4_keys.first() {
        let page = format!("{base}/api/v4/users?limit=100&offset=0");
        lines.add("the v4 face: the first page", &["-H", &bearer(key), &page]);
    }
}

fn vonage_lines(lines: &mut Lines, settings: &Settings, simulator: &Simulator, base: &str) {
    let VonageSettings { clients, token_lifetime, page_limit_max, .. } = &settings.vonage;
    let Some((id, secret)) = clients.first() else { return };
    let url = format!("{base}/Auth/connect/token");
    let form = ["-d", "grant_type=client_credentials", "-d", "scope=users:read", &url];
    let client = format!("{id}:{secret}");
    lines.add("a token", &[&["-u", &client], &form[..]].concat());
    let Some(token) = simulator.vonage_token(id) else { return };
    let limit = page_limit_max.min(&100);
    let page = format!("{base}/useradmin/users?include=All&limit={limit}&page=1");
    let shows =
        format!("the first page of users, with a token that is good for {token_lifetime:?}");
    let accept = "Accept: application/vnd.newvoicemedia.v4+json";
    lines.add(&shows, &["-H", &bearer(&token), "-H", accept, &page]);
}

/// An id, a colon and a secret, which may have colons of its own.
fn client(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((id, secret)) if !id.is_empty() && !secret.is_empty() => {
            Ok((id.to_owned(), secret.to_owned()))
        }
        _ => Err("write ID:SECRET, such as demo-client:demo-secret".to_owned()),
    }
}

/// A whole number and `ms` or `s`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a whole number and a unit, such as 20ms or 1s".to_owned();
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        _ => Err(wrong()),
    }
}

/// A number above 0.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("write a number above 0, such as 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, expected) in [
            ("20ms", Some(Duration::from_millis(20))),
            ("2s", Some(Duration::from_secs(2))),
            ("0ms", Some(Duration::ZERO)),
            ("20", None),
            ("ms", None),
            ("", None),
            ("1.5s", None),
            ("-1s", None),
            ("1h", None),
        ] {
            assert_eq!(duration(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_client_has_an_id_and_a_secret() {
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        for (text, expected) in [
            ("a:b", pair("a", "b")),
            ("a:b:c", pair("a", "b:c")),
            ("a:", None),
            (":b", None),
            ("a", None),
        ] {
            assert_eq!(client(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn rates_are_above_zero() {
        for (text, expected) in
            [("0.5", Some(0.5)), ("0", None), ("-1", None), ("inf", None), ("NaN", None)]
        {
            assert_eq!(rate(text).ok(), expected, "{text:?}");
        }
    }
}
