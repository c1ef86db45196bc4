//! `tieline validate`: is what the gateway answers what the legacy API answers?

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use corpus::endpoint::endpoint;
use corpus::relay::RelaySettings;
use corpus::source::{Live, Source};
use parity::knowledge::Knowledge;
use parity::properties::properties;
use parity::run::state::{State, Unusable};
use parity::run::{Behind, Plan, Sides, validate};
use parity::scenario::{Extent, recorded};
use report::secrets::Secrets;
use report::{Report, Side, Verdict};
use settings::Config;
use tokio_util::sync::CancellationToken;

use crate::configuration::{CONFIG, load};
use crate::failure::{Failure, INTERRUPTED};
use crate::signals::Signals;
use crate::validation::alone::{Paced, announced};
use crate::validation::candidate::{InProcess, REMEMBERED_BYTES_MAX, caller_of, client, manners};
use crate::validation::control::{ControlArgs, base_url, is_one_address};
use crate::validation::key::KeySource;
use crate::validation::progress::Told;
use crate::validation::recorded::Played;
use crate::validation::{knowledge, reports, set_up};
use crate::{log, output, runtime, utc};

/// The kind of control, and the keys that were given.
enum ControlIs {
    Nothing(Option<Keys>),
    Live(Keys),
    Recorded(PathBuf),
}

/// The key of the contact center, and a user's where it is another.
type Keys = (String, Option<String>);

impl ControlIs {
    fn keys(&self) -> Option<&Keys> {
        match self {
            ControlIs::Nothing(keys) => keys.as_ref(),
            ControlIs::Live(keys) => Some(keys),
            ControlIs::Recorded(_) => None,
        }
    }
}

/// Both sides, started.
struct Prepared {
    caller: Option<String>,
    knowledge: Knowledge,
    here: Option<InProcess>,
    elsewhere: Option<Live>,
    live: Option<Live>,
    played: Option<Played>,
    /// Keys that no text may hold.
    secrets: Secrets,
}

impl Prepared {
    fn candidate(&self) -> Result<&dyn Source, Failure> {
        match (&self.elsewhere, &self.here) {
            (Some(elsewhere), _) => Ok(elsewhere),
            (None, Some(here)) => Ok(&here.gateway),
            (None, None) => Err(Failure::usage("--config or --candidate is needed")),
        }
    }

    fn control(&self) -> Option<&dyn Source> {
        match (&self.live, &self.played) {
            (Some(live), _) => Some(live),
            (None, Some(played)) => Some(&played.control),
            (None, None) => None,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline validate --config tieline.toml --control https://cc-ams03.voiso.com \\
      --control-key env:LEGACY_KEY --report tieline-report

The legacy API (or a recording of it) and Tieline get the same questions. Tieline is this
configuration, started in this process, or a running gateway: --candidate URL. --rate and
--requests-max limit the requests to the legacy API. Ctrl-C writes a report of the questions so far,
and --resume continues the run.
Exit codes: 0 every difference has a known cause, 1 a difference has none, a question could not be
compared, or the new API holds other data for more than 1 % of the users, 2 wrong usage,
78 bad configuration, 130 interrupted.")]
pub(crate) struct Validate {
    /// The configuration of Tieline
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    #[arg(required_unless_present = "candidate")]
    config: Option<PathBuf>,
    /// A running gateway, instead of one in this process
    #[arg(long, value_name = "URL")]
    candidate: Option<String>,
    /// The key for the running gateway; default: the key of the legacy API
    #[arg(long, value_name = "KEY", requires = "candidate")]
    candidate_key: Option<KeySource>,
    /// Which caller of the configuration; without it the one that the key belongs to, or the only one
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    #[command(flatten)]
    control: ControlArgs,
    /// Only this endpoint; may be repeated
    #[arg(long = "endpoint", value_name = "NAME")]
    endpoints: Vec<String>,
    /// Values of each filter, taken from the data
    #[arg(long, value_name = "N", default_value_t = 3)]
    values: usize,
    /// Ask no pairs of filters
    #[arg(long)]
    no_pairs: bool,
    /// Picks the values
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Leave a field out: counted as ignored, never as equal; may be repeated
    #[arg(long = "ignore", value_name = "ENDPOINT.FIELD")]
    ignored: Vec<String>,
    /// Say how many questions would go to whom, and ask none
    #[arg(long)]
    dry_run: bool,
    /// Folder for the reports
    #[arg(long, value_name = "DIR", default_value = "tieline-report")]
    report: PathBuf,
    /// Continue the interrupted run in that folder
    #[arg(long)]
    resume: bool,
}

impl Validate {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        let plan = self.plan()?;
        self.check_sides()?;
        self.control.rate()?;
        if self.dry_run {
            let config = self.config.as_deref().map(load).transpose()?;
            output::print(&format!("{}\n", self.announced(&plan, config.as_ref())?))?;
            return Ok(ExitCode::SUCCESS);
        }
        let memory = self.report.join(reports::PROGRESS);
        if self.resume && !memory.exists() {
            return Err(unusable(&memory, &Unusable::Missing));
        }
        reports::clear(&self.report)?;
        let config = self.config.as_deref().map(load).transpose()?;
        set_up(config.as_ref(), log_format)?;
        runtime::run(async move {
            let mut signals = Signals::listen()?;
            let cancel = CancellationToken::new();
            let told = Told::new();
            let report = {
                let mut work = std::pin::pin!(self.work(config, plan, &told, &cancel));
                tokio::select! {
                    report = &mut work => report?,
                    () = signals.stop() => {
                        // Everything asked so far is reported.
                        cancel.cancel();
                        work.await?
                    }
                }
            };
            told.end();
            self.tell(&report, cancel.is_cancelled())
        })
    }

    /// How many questions go to whom.
    fn announced(&self, plan: &Plan, config: Option<&Config>) -> Result<String, Failure> {
        if let Some(url) = &self.candidate {
            let url = base_url("--candidate", url)?;
            return Ok(announced(plan, &self.control, Some(&url), None));
        }
        let Some(config) = config else { return Ok(announced(plan, &self.control, None, None)) };
        let key = self.control.keys_if_any()?;
        let key = key.as_ref().map(|(key, _)| key.as_str());
        let caller = caller_of(config, self.caller.as_deref(), key)?;
        Ok(announced(plan, &self.control, None, Some((config, &caller))))
    }

    /// Refuses to compare one server with itself.
    fn check_sides(&self) -> Result<(), Failure> {
        match (&self.control.control, &self.candidate) {
            (Some(control), Some(candidate)) if is_one_address(control, candidate) => {
                Err(Failure::usage(
                    "--control and --candidate are one address: a server always agrees with itself. \
                     --control is the legacy API, --candidate a Tieline gateway",
                ))
            }
            _ => Ok(()),
        }
    }

    fn plan(&self) -> Result<Plan, Failure> {
        let mut plan = Plan {
            extent: Extent { values_per_filter: self.values, pairs: !self.no_pairs },
            seed: self.seed,
            ..Plan::default()
        };
        if !self.endpoints.is_empty() {
            let known = |name: &String| {
                let all =
                    || plan.endpoints.iter().map(|one| one.name).collect::<Vec<_>>().join(", ");
                endpoint(name)
                    .ok_or_else(|| Failure::usage(format_args!("--endpoint: one of {}", all())))
            };
            let named: Vec<_> = self.endpoints.iter().map(known).collect::<Result<_, _>>()?;
            // In their own order, whatever order they were named in: teams are judged by the users.
            plan.endpoints.retain(|endpoint| named.iter().any(|one| one.name == endpoint.name));
        }
        for ignored in &self.ignored {
            let parts = ignored.split_once('.').filter(|(name, _)| endpoint(name).is_some());
            let Some((name, field)) = parts else {
                return Err(Failure::usage(
                    "--ignore: must be an endpoint, a dot and a field, such as v1_users.caller_id",
                ));
            };
            plan.ignored.push((name.to_owned(), field.to_owned()));
        }
        Ok(plan)
    }

    /// Asks both sides, or candidate alone where there is no control.
    async fn work(
        &self,
        config: Option<Config>,
        mut plan: Plan,
        told: &Told,
        cancel: &CancellationToken,
    ) -> Result<Report, Failure> {
        let started_at = utc::shown(utc::now());
        let served = config.as_ref().map(|config| self.served(config)).transpose()?;
        let announced = self.announced(&plan, config.as_ref())?;
        let sides = self.prepare(config).await?;
        let served = format!("{:?} {}", sides.caller, served.unwrap_or_default());
        plan.secrets = sides.secrets.clone();
        if let Some(played) = &sides.played {
            plan.questions = Some(recorded(&played.corpus));
            plan.questions_lost = played.corpus.unanswered();
        }
        let candidate = sides.candidate()?;
        let mut report = match sides.control() {
            Some(control) => {
                let behind = sides.here.as_ref().map(|here| here as &dyn Behind);
                let knowledge = &sides.knowledge;
                let both = Sides { control, candidate, behind, knowledge };
                self.compare(&both, &plan, &served, told, cancel).await?
            }
            None => {
                // The run fails early where no report can be written.
                reports::folder(&self.report)?;
                // Standard error may be closed.
                let _ = writeln!(std::io::stderr(), "{announced}");
                let candidate = &Paced::new(candidate, self.control.rate()?);
                properties(candidate, &sides.knowledge, &plan, told, cancel)
                    .await
                    .map_err(|why| format!("Tieline does not answer: {why}"))
                    .map_err(|why| Failure::new(sides.secrets.hide(&why)))?
            }
        };
        report.started_at = started_at;
        let kind = if sides.played.is_some() { "recording" } else { "live" }.to_owned();
        report.control = self.control.control.clone().map(|name| Side { kind, name });
        report.candidate = match &self.candidate {
            Some(url) => Side { kind: "gateway".to_owned(), name: url.clone() },
            None => {
                let name = sides.caller.clone().unwrap_or_default();
                Side { kind: "in process".to_owned(), name }
            }
        };
        sides.secrets.hide_in(&mut report);
        Ok(report)
    }

    /// Starts what has to be started.
    async fn prepare(&self, mut config: Option<Config>) -> Result<Prepared, Failure> {
        let control = match (&self.control.control, self.control.is_live()) {
            (None, _) => ControlIs::Nothing(self.control.keys_if_any()?),
            (Some(_), true) => ControlIs::Live(self.control.keys()?),
            (Some(_), false) => ControlIs::Recorded(self.control.file()?),
        };
        let key = control.keys().map(|(key, _)| key.as_str());
        let caller = match &config {
            Some(config) => Some(caller_of(config, self.caller.as_deref(), key)?),
            None => None,
        };
        let played = match (&control, &mut config, &caller) {
            (ControlIs::Recorded(file), Some(config), Some(caller)) if self.candidate.is_none() => {
                Some(Played::open(file, config, caller)?)
            }
            (ControlIs::Recorded(_), _, _) => {
                return Err(Failure::usage(
                    "--control: a recording can be compared with a configuration only: give --config, \
                     and no --candidate",
                ));
            }
            _ => None,
        };
        let knowledge = match (&config, &caller) {
            (Some(config), Some(caller)) => knowledge::of(config, caller)?,
            _ => knowledge::unconfigured()?,
        };
        let here = match (&self.candidate, &config, &caller) {
            (None, Some(config), Some(caller)) => {
                let behind = played.as_ref().map(Played::behind);
                let memory_bytes_max = REMEMBERED_BYTES_MAX;
                let settings = RelaySettings { memory_bytes_max, ..RelaySettings::default() };
                Some(InProcess::start(config, caller, settings, behind).await?)
            }
            _ => None,
        };
        let own = self.candidate_key.as_ref();
        let own = own.map(|key| key.read("--candidate-key")).transpose()?;
        let mut keys: Vec<String> = own.iter().cloned().collect();
        keys.extend(
            control.keys().into_iter().flat_map(|(key, user)| user.iter().chain([key])).cloned(),
        );
        if let (None, Some(config)) = (&played, &config) {
            keys.extend(config.upstream_keys());
        }
        let elsewhere = match &self.candidate {
            Some(url) => Some(Self::elsewhere(url, own, control.keys().cloned())?),
            None => None,
        };
        let live = match control {
            ControlIs::Live((key, user_key)) => Some(self.control.live(key, user_key)?),
            ControlIs::Nothing(_) | ControlIs::Recorded(_) => None,
        };
        let secrets = Secrets::new(keys);
        Ok(Prepared { caller, knowledge, here, elsewhere, live, played, secrets })
    }

    /// A gateway that runs elsewhere, asked with its own key or with control's.
    fn elsewhere(url: &str, own: Option<String>, keys: Option<Keys>) -> Result<Live, Failure> {
        let url = base_url("--candidate", url)?;
        let (key, user_key) = match (own, keys) {
            (Some(key), _) => (key, None),
            (None, Some(keys)) => keys,
            (None, None) => {
                return Err(Failure::usage(
                    "the gateway at --candidate needs a legacy key: --candidate-key env:NAME, or \
                     file:PATH",
                ));
            }
        };
        Ok(Live::new(client()?, &url, key, user_key, manners()))
    }

    async fn compare(
        &self,
        sides: &Sides<'_>,
        plan: &Plan,
        served: &str,
        told: &Told,
        cancel: &CancellationToken,
    ) -> Result<Report, Failure> {
        reports::folder(&self.report)?;
        let memory = self.report.join(reports::PROGRESS);
        // What was found under other settings is no answer under these.
        let (control, candidate) = (&self.control.control, &self.candidate);
        let known = sides.knowledge;
        let of = format!("{control:?} {candidate:?} {:?} {known:?} {served}", plan.ignored);
        let unusable = |why: Unusable| unusable(&memory, &why);
        let mut state = State::open(&memory, self.resume, &of).map_err(unusable)?;
        let report = validate(sides, plan, &mut state, told, cancel)
            .await
            .map_err(|unable| Failure::new(plan.secrets.hide(&unable.to_string())))?;
        if report.totals.undecided == 0 && !cancel.is_cancelled() {
            state.finish().map_err(|error| unusable(error.into()))?;
        }
        Ok(report)
    }

    /// What answers depend on beside what is known of the candidate: the file as it is, and what may
    /// be set from outside it. No key is in it, since none stands in a configuration.
    fn served(&self, config: &Config) -> Result<String, Failure> {
        let Some(file) = &self.config else { return Ok(String::new()) };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::new(format_args!("{}: {error}", file.display())))?;
        let urls: Vec<&String> = config.upstreams.values().map(|one| &one.base_url).collect();
        let version = env!("CARGO_PKG_VERSION");
        Ok(format!("{version} {urls:?} {text}"))
    }

    /// Reports, and the exit code.
    fn tell(&self, report: &Report, is_interrupted: bool) -> Result<ExitCode, Failure> {
        let (files, written) = reports::write(&self.report, report);
        let mut text = reports::summary(report);
        for file in files {
            text.push_str(&format!("{}\n", file.display()));
        }
        if is_interrupted {
            let can_go_on = self.report.join(reports::PROGRESS).exists();
            text.push_str(match can_go_on {
                true => "Interrupted. The same command with --resume continues the run.\n",
                false => "Interrupted.\n",
            });
        }
        output::print(&text)?;
        written?;
        Ok(match (is_interrupted, report.verdict) {
            (true, _) => ExitCode::from(INTERRUPTED),
            (false, Verdict::Agree) => ExitCode::SUCCESS,
            (false, Verdict::Differ | Verdict::Undecided) => ExitCode::FAILURE,
        })
    }
}

/// A memory that cannot be used. Only a wrong use of `--resume` is a mistake in what was typed.
fn unusable(memory: &Path, why: &Unusable) -> Failure {
    let memory = memory.display();
    match why {
        Unusable::Io(error) => {
            Failure::new(format_args!("cannot read and write {memory}: {error}"))
        }
        why => {
            Failure::usage(format_args!("--resume: {memory}: {why}; begin a run without --resume"))
        }
    }
}
