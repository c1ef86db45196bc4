//! `tieline demo`: a pretend vendor and the gateway in one process, with lines to paste.
//!
//! Nothing is read from files or from the environment but the log filter, so that it shows the same
//! on every machine. The keys are no secrets: they open nothing but this process.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use settings::Config;
use simulator::{Settings, Simulator};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::configuration::set_up_log;
use crate::curl::{Lines, base_url, bearer};
use crate::failure::Failure;
use crate::signals::Signals;
use crate::{log, output, runtime};

const V4_KEY: &str = "v4-demo-key";
const LEGACY_KEY: &str = "legacy-demo-key";
const LEGACY_PATH: &str = "/api/user_management/v1/users";
const LEGACY_PATH_SHORT: &str = "/user_management/v1/users";

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline demo
  tieline demo --users 5000 --listen 127.0.0.1:0 --admin 127.0.0.1:0

Port 0 takes a free one; the printed lines have the real one. Ctrl-C ends the demo.")]
pub(crate) struct Demo {
    /// How many users the pretend vendor has
    #[arg(long, value_name = "N", default_value_t = 250)]
    users: usize,
    /// Where the gateway listens
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where its admin page listens
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9090")]
    admin: SocketAddr,
}

impl Demo {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        runtime::run(self.serve(log_format))
    }

    async fn serve(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        let signals = Signals::listen()?;
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(vendor_failure)?;
        let vendor = listener.local_addr().map_err(vendor_failure)?;
        let config = self.config(vendor)?;
        set_up_log(&config, log_format)?;

        let shutdown = CancellationToken::new();
        let running = match gateway::start(config, shutdown.clone()).await {
            Ok(running) => running,
            Err(error) => return Err(self.listen_failure(&error).await),
        };
        let settings = Settings {
            users: self.users,
            v4_keys: vec![V4_KEY.to_owned()],
            legacy_keys: vec![LEGACY_KEY.to_owned()],
            teams_list: true,
            ..Settings::default()
        };
        let simulator = Simulator::new(settings);
        let stop_vendor = CancellationToken::new();
        let vendor_stopped = stop_vendor.clone().cancelled_owned();
        let serving = tokio::spawn(simulator.clone().serve(listener, vendor_stopped));
        output::print(&welcome(&simulator, running.address, running.admin, vendor))?;

        signals
            .drain(shutdown, async move {
                running.finished().await;
                // The vendor goes last: requests in flight still ask it.
                stop_vendor.cancel();
                let _ = serving.await;
            })
            .await?;
        Ok(ExitCode::SUCCESS)
    }

    fn config(&self, vendor: SocketAddr) -> Result<Config, Failure> {
        let (listen, admin) = (self.listen, self.admin);
        let digest = settings::key_digest(LEGACY_KEY);
        let text = format!(
            r#"
[server]
listen = "{listen}"
[admin]
listen = "{admin}"
[limits]
drain_delay = "0s"
[upstream.demo]
dialect = "voiso-v4"
base_url = "http://{vendor}"
[[caller]]
name = "demo"
legacy_key = {{ digest = "{digest}" }}
upstream = "demo"
upstream_key = {{ env = "DEMO_V4_KEY" }}
sees = "everything"
effects = ["call"]
"#
        );
        let environment = [("DEMO_V4_KEY".to_owned(), V4_KEY.to_owned())];
        Config::parse(&text, "demo", &environment).map_err(Failure::configuration)
    }

    /// Which flag to change. The addresses are tried only now, so that a good start binds once.
    async fn listen_failure(&self, error: &std::io::Error) -> Failure {
        for (flag, address) in [("--listen", self.listen), ("--admin", self.admin)] {
            if let Err(error) = TcpListener::bind(address).await {
                return Failure::new(format_args!(
                    "cannot listen on {address}: {error}; choose another address with {flag}, for \
                     example {flag} 127.0.0.1:0"
                ));
            }
        }
        Failure::new(format_args!(
            "cannot listen on {} and {}: {error}; choose other addresses with --listen and --admin",
            self.listen, self.admin
        ))
    }
}

fn vendor_failure(error: std::io::Error) -> Failure {
    Failure::new(format_args!(
        "the pretend vendor found no free port on 127.0.0.1: {error}; see that the loopback \
         interface is up"
    ))
}

/// The text a demo begins with.
fn welcome(
    simulator: &Simulator,
    gateway: SocketAddr,
    admin: SocketAddr,
    vendor: SocketAddr,
) -> String {
    let (gateway, admin, vendor) = (base_url(gateway), base_url(admin), base_url(vendor));
    let mut lines = Lines::default();
    legacy_lines(&mut lines, simulator, &format!("{gateway}{LEGACY_PATH}"), &gateway);
    vendor_lines(&mut lines, &vendor);
    for (shows, path) in [
        ("the admin page: alive?", "/healthz"),
        ("figures for Prometheus", "/metrics"),
        ("how faithful every field is", "/losses"),
        ("who may call", "/callers"),
    ] {
        lines.add(shows, &[&format!("{admin}{path}")]);
    }
    let users = simulator.records().len();
    format!(
        "The gateway is at {gateway}, its admin page at {admin}. Behind it a pretend vendor with \
         {users} users\nis at {vendor}; it speaks v4, and legacy too, so that both answers can be \
         compared.\nCtrl-C ends the demo. Lines to paste:\n{}\n",
        lines.as_str()
    )
}

/// The whole list, filters, and the ways to show a key.
fn legacy_lines(lines: &mut Lines, simulator: &Simulator, list: &str, gateway: &str) {
    let auth = bearer(LEGACY_KEY);
    let find = |lines: &mut Lines, shows: &str, filter: &str| {
        lines.add(shows, &["-G", "-H", &auth, list, "--data-urlencode", filter]);
    };
    lines.add("every user, as the legacy v1 API answered", &["-H", &auth, list]);
    let short = format!("{gateway}{LEGACY_PATH_SHORT}");
    lines.add("the same under the short path", &["-H", &auth, &short]);
    let sample = Sample::of(simulator);
    if let Some(group) = &sample.group {
        find(lines, "one security access group", &format!("sag={group}"));
    }
    if let Some((name, email)) = &sample.user {
        find(lines, "one user by name", &format!("name={name}"));
        find(lines, "one user by e-mail", &format!("email={email}"));
    }
    find(lines, "a group that does not exist: nobody, never everybody", "sag=No such group");
    let keyed = format!("{list}?key={LEGACY_KEY}&timezone=Istanbul");
    lines.add("the key in the query, and a time zone", &[&keyed]);
    let older = |path: &str| format!("{gateway}{path}?key={LEGACY_KEY}");
    lines.add("v3 users, with its key in the query", &[&older("/api/v3/cdr/users")]);
    lines.add("teams", &[&older("/api/v2/cdr/teams")]);
    lines.add("deleted users", &[&older("/api/v2/cdr/deleted_agents")]);
    let templates = format!("{}&limit=2", older("/api/v3/messages/sms/templates"));
    lines.add("templates of text messages, a page of two", &[&templates]);
    let status = format!("{gateway}/api/v1/{LEGACY_KEY}/agents_status");
    lines.add("agents' status, with the key in the path", &[&status]);
    if let Some(agent) = &sample.agent {
        let call = format!("{gateway}/api/v1/{LEGACY_KEY}/click2call");
        let said = format!("agent={agent}&number=12025550123&get_call_id=true");
        let shows = "a call that an agent wants to make; the pretend vendor only counts it";
        lines.add(shows, &["-d", &said, &call]);
    }
    lines.add("a wrong key", &["-i", "-H", &bearer("wrong-key"), list]);
}

/// The same question to the vendor itself.
fn vendor_lines(lines: &mut Lines, vendor: &str) {
    lines.add(
        "the pretend vendor's v4 face: one page of what the gateway reads",
        &["-H", &bearer(V4_KEY), &format!("{vendor}/api/v4/users?limit=100&offset=0")],
    );
    lines.add(
        "its legacy face: byte by byte what the gateway answered to the first line",
        &["-H", &bearer(LEGACY_KEY), &format!("{vendor}{LEGACY_PATH}")],
    );
}

/// Values of the data set that a filter finds.
#[derive(Debug, Default)]
struct Sample {
    group: Option<String>,
    user: Option<(String, String)>,
    /// The extension of an agent who can make a call.
    agent: Option<String>,
}

impl Sample {
    fn of(simulator: &Simulator) -> Sample {
        let users = simulator.legacy_users(&[]);
        let texts = |field: &'static str| users.iter().filter_map(move |user| user[field].as_str());
        // A name that has to be encoded shows more than one that need not be.
        let is_hard = |name: &&str| name.contains('&');
        let group = texts("sag").find(is_hard).or_else(|| texts("sag").next());
        let user =
            users.iter().find_map(|user| Some((user["name"].as_str()?, user["email"].as_str()?)));
        let extensions: Vec<&str> = texts("extension").collect();
        let is_one = |own: &str| extensions.iter().filter(|other| **other == own).count() == 1;
        let agent = simulator.records().into_iter().find_map(|user| {
            let extension = user.extension.as_deref()?.to_owned();
            let is_free = user.status.as_deref() == Some("available");
            (is_free && is_one(&extension)).then_some(extension)
        });
        Sample {
            agent,
            group: group.map(str::to_owned),
            user: user.map(|(name, email)| (name.to_owned(), email.to_owned())),
        }
    }
}
