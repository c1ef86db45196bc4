//! `tieline record`: legacy answers as a file that proves later what was compared, when the legacy
//! API is gone.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Args;
use corpus::beside::{BESIDE, Beside};
use corpus::pseudonym::Pseudonyms;
use corpus::relay::RelaySettings;
use corpus::source::{Live, Source};
use corpus::{ByPart, CorpusError, Recording, Writer};
use parity::run::state::State;
use parity::run::{Plan, Sides, validate};
use parity::scenario::Extent;
use report::Verdict;
use report::secrets::Secrets;
use settings::{Config, KeyInPath, PassthroughCredential};
use tokio_util::sync::CancellationToken;

use crate::configuration::{CONFIG, load};
use crate::failure::Failure;
use crate::signals::Signals;
use crate::validation::candidate::{InProcess, REMEMBERED_BYTES_MAX, caller_of};
use crate::validation::control::ControlArgs;
use crate::validation::key::KeySource;
use crate::validation::progress::Told;
use crate::validation::{knowledge, recorded, set_up};
use crate::{log, output, runtime};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline record --config tieline.toml --control https://cc-ams03.voiso.com \\
      --control-key env:LEGACY_KEY --out legacy.corpus
  tieline validate --config tieline.toml --control legacy.corpus

It asks the questions of `validate` and writes the answers of the legacy API, and those of the new
API to Tieline. Where a passthrough route has legacy = \"keep\", it also writes the answers of
legacy paths that only read and that Tieline does not translate. Pseudonyms replace the data of
people, always the same pseudonym for the same value. Keys are not written at all. The file replays without either API.
Exit codes: 0 recorded, and every difference has a known cause, 1 a difference has none, or a side
did not answer (the file has the other answers), 2 wrong usage, 78 bad configuration, 130 interrupted
(there is no file then).")]
pub(crate) struct Record {
    /// The configuration of the gateway whose questions to the new API are recorded
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
    /// Which caller of the configuration; without it the one that the key belongs to, or the only one
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    #[command(flatten)]
    control: ControlArgs,
    /// The file of the recording; it appears when it is complete
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The secret for pseudonyms: env:NAME or file:PATH, at least 16 characters. With the same secret
    /// two recordings have the same pseudonyms; default: a random one that is not kept
    #[arg(long, value_name = "KEY")]
    pseudonym_key: Option<KeySource>,
    /// Values of each filter, taken from the data
    #[arg(long, value_name = "N", default_value_t = 3)]
    values: usize,
    /// Ask no pairs of filters
    #[arg(long)]
    no_pairs: bool,
    /// Picks the values
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Record {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        let config = load(&self.config)?;
        set_up(Some(&config), log_format)?;
        runtime::run(async move {
            let mut signals = Signals::listen()?;
            let cancel = CancellationToken::new();
            let told = Told::new();
            let begun = OnceLock::new();
            let done = tokio::select! {
                done = self.work(&config, &told, &begun, &cancel) => done,
                () = signals.stop() => Err(Failure::interrupted("interrupted: nothing was recorded")),
            };
            if let (Err(_), Some(writer)) = (&done, begun.get()) {
                writer.discard();
            }
            done
        })
    }

    async fn work(
        &self,
        config: &settings::Config,
        told: &Told,
        begun: &OnceLock<Writer>,
        cancel: &CancellationToken,
    ) -> Result<ExitCode, Failure> {
        let (key, user_key) = self.control.live_keys()?;
        let caller = caller_of(config, self.caller.as_deref(), Some(&key))?;
        let keys = user_key.iter().chain([&key]).cloned();
        let secrets = Secrets::new(keys.chain(config.upstream_keys()));
        let control = self.control.live(key, user_key)?;
        let knowledge = knowledge::of(config, &caller)?;
        let mut pseudonyms = self.pseudonyms()?;
        for invalid_key in config.quirks.values().filter_map(|quirks| quirks.invalid_key.as_ref()) {
            pseudonyms = pseudonyms.keeping_sentence(&invalid_key.text);
        }
        let upstream = config.upstreams.get(&knowledge.upstream);
        let fields = upstream.map(|one| one.dialect.fields_of_number(&one.rules.ids));
        for field in fields.unwrap_or_default() {
            pseudonyms = pseudonyms.keeping(field);
        }
        let header = recorded::header(config, &knowledge.dialect, &pseudonyms);
        let out = self.out.display();
        let cannot = |error| Failure::new(format_args!("--out: {out}: {error}"));
        if self.out.is_dir() {
            return Err(Failure::usage(format_args!("--out: {out} is a folder: name a file")));
        }
        let writer = Writer::new(&self.out, &header, pseudonyms).map_err(cannot)?;
        let writer = begun.get_or_init(|| writer);
        let settings = RelaySettings {
            recorder: Some(writer.recorder(&knowledge.upstream)),
            // Suggested settings are tried on what is recorded.
            memory_bytes_max: REMEMBERED_BYTES_MAX,
            ..RelaySettings::default()
        };
        let here = InProcess::start(config, &caller, settings, None).await?;
        let filters = knowledge.settings.iter().flat_map(|(endpoint, settings)| {
            let filters = settings.filters.iter().filter(|(_, mode)| *mode == "contains");
            filters.map(|(filter, _)| (endpoint.clone(), filter.clone()))
        });
        let by_part: ByPart = filters.collect();
        let recording = Recording::new(&control, writer.clone(), by_part);
        let plan = Plan {
            extent: Extent { values_per_filter: self.values, pairs: !self.no_pairs },
            seed: self.seed,
            secrets: secrets.clone(),
            ..Plan::default()
        };
        let sides = Sides {
            control: &recording,
            candidate: &here.gateway,
            behind: Some(&here),
            knowledge: &knowledge,
        };
        let report = validate(&sides, &plan, &mut State::none(), told, cancel).await;
        told.end();
        let report = report.map_err(|unable| Failure::new(secrets.hide(&unable.to_string())))?;
        let beside = self.beside(config, &control, writer).await.map_err(cannot)?;
        recording.failure().map_or(Ok(()), |error| Err(cannot(error)))?;
        writer.left_unanswered(recording.unanswered());
        let summary = writer.finish().map_err(cannot)?;
        output::print(&format!(
            "{out}: {} legacy answers, {} exchanges with the new API, {} bodies\n{}: {}\n",
            summary.legacy,
            summary.upstream,
            summary.bodies,
            report.verdict.as_str(),
            report.because
        ))?;
        if beside > 0 {
            output::print(&format!(
                "{beside} of the legacy answers are of paths that Tieline does not translate (legacy = \"keep\")\n"
            ))?;
        }
        if recording.left_out() > 0 {
            output::print(&format!(
                "{} questions are not in it: their answers follow from parts of values, which pseudonyms do \
                 not share\n",
                recording.left_out()
            ))?;
        }
        let is_good = report.verdict == Verdict::Agree;
        Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Records control's answers at documented paths that pass through to the legacy API with the client's own
    /// credential; how many there are. A path that control does not answer is no failure: nothing is compared.
    async fn beside(
        &self,
        config: &Config,
        control: &Live,
        writer: &Writer,
    ) -> Result<u64, CorpusError> {
        let Some(rules) = &config.passthrough else { return Ok(0) };
        let is_kept = |one: &&Beside| {
            rules.route(one.path).is_some_and(|route| {
                route.is_allowed
                    && route.credential == PassthroughCredential::Keep
                    && (!one.has_key_in_path() || route.key_in_path == KeyInPath::Keep)
            })
        };
        let mut recorded = 0;
        for one in BESIDE.iter().filter(is_kept) {
            let ask = one.ask();
            if let Ok(reply) = control.ask(&ask).await {
                writer.legacy(&ask, &reply)?;
                recorded += 1;
            }
        }
        Ok(recorded)
    }

    fn pseudonyms(&self) -> Result<Pseudonyms, Failure> {
        let Some(key) = &self.pseudonym_key else { return Ok(Pseudonyms::random()) };
        let key = key.read("--pseudonym-key")?;
        Pseudonyms::with_key(key.as_bytes())
            .map_err(|error| Failure::usage(format_args!("--pseudonym-key: {error}")))
    }
}
