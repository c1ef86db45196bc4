//! `tieline simulate`: the pretend vendor alone.

mod faults;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use simulator::{Churn, Order, Settings, Simulator};
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

OFFSETxTIMES is a page and how often the fault happens there, such as 198x1; without xTIMES it
happens always. GET /_simulator/stats tells what was asked so far.")]
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
    /// Serve GET /api/v4/teams too
    #[arg(long)]
    teams_list: bool,
    /// Serve GET /api/v4/security_access_groups too
    #[arg(long)]
    groups_list: bool,
    /// Insert or delete a user before every N-th page of users
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    churn_every: Option<u32>,
    /// Insert or delete so many users per second
    #[arg(long, value_name = "X", value_parser = rate, conflicts_with = "churn_every")]
    churn_per_second: Option<f64>,
    #[command(flatten, next_help_heading = "Faults of the v4 face")]
    faults: faults::FaultFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dialect {
    /// Voiso's v4 API and the legacy users API
    VoisoV4,
    /// Not available in this version
    VonageV4,
}

impl Simulate {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        if self.dialect == Dialect::VonageV4 {
            return Err(Failure::new(
                "the dialect vonage-v4 is not available in this version; use --dialect voiso-v4",
            ));
        }
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
        let text = welcome(&settings, address);
        let shutdown = CancellationToken::new();
        let stopped = shutdown.clone().cancelled_owned();
        let serving = tokio::spawn(Simulator::new(settings).serve(listener, stopped));
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
        Settings {
            users: self.users,
            seed: self.seed,
            v4_keys: self.v4_keys,
            legacy_keys: self.legacy_keys,
            order: self.order,
            faults: self.faults.into(),
            churn,
            latency: self.latency,
            teams_list: self.teams_list,
            groups_list: self.groups_list,
        }
    }
}

fn welcome(settings: &Settings, address: SocketAddr) -> String {
    let base = base_url(address);
    let mut lines = Lines::default();
    if let Some(key) = settings.v4_keys.first() {
        let page = format!("{base}/api/v4/users?limit=100&offset=0");
        lines.add("the v4 face: the first page", &["-H", &bearer(key), &page]);
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
    fn rates_are_above_zero() {
        for (text, expected) in
            [("0.5", Some(0.5)), ("0", None), ("-1", None), ("inf", None), ("NaN", None)]
        {
            assert_eq!(rate(text).ok(), expected, "{text:?}");
        }
    }
}
