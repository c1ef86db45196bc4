//! `tieline calibrate`: under which settings do the real answers agree?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use corpus::endpoint::ENDPOINTS;
use parity::calibrate::{Calibrated, Unable, calibrate};
use report::secrets::Secrets;
use tokio_util::sync::CancellationToken;

use crate::configuration::{CONFIG, load};
use crate::failure::Failure;
use crate::signals::Signals;
use crate::validation::candidate::{Trials, caller_of};
use crate::validation::control::ControlArgs;
use crate::validation::{knowledge, set_up};
use crate::{log, output, runtime};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline calibrate --config tieline.toml --control https://cc-ams03.voiso.com \\
      --control-key env:LEGACY_KEY > quirks.toml

It reads the legacy API once and the new API once, and tries every value of every setting on these
answers. It prints the settings under which the answers agree, as TOML to paste. Comments give the
evidence, and the settings that the data cannot decide. It changes no file and no running gateway.
Exit codes: 0 with the printed settings all whole lists, filters and answers to wrong keys are equal,
1 some still differ or a side did not answer, 2 wrong usage, 78 bad configuration, 130 interrupted.")]
pub(crate) struct Calibrate {
    /// The configuration to start from
    #[arg(short, long, env = CONFIG, hide_env_values = true, value_name = "FILE")]
    config: PathBuf,
    /// Which caller of the configuration; without it the one that the key belongs to, or the only one
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    #[command(flatten)]
    control: ControlArgs,
    /// Where to write the map of ids, if the two sides number users in different ways
    #[arg(long, value_name = "FILE")]
    id_map: Option<PathBuf>,
    /// Picks the values that filters are tried with
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Calibrate {
    pub(crate) fn run(self, log_format: Option<log::Format>) -> Result<ExitCode, Failure> {
        let config = load(&self.config)?;
        set_up(Some(&config), log_format)?;
        runtime::run(async move {
            let mut signals = Signals::listen()?;
            if let Some(path) = self.id_map.as_ref().filter(|path| path.exists()) {
                let path = path.display();
                return Err(Failure::usage(format_args!(
                    "--id-map: {path} exists and is not overwritten: name another file"
                )));
            }
            let (key, user_key) = self.control.live_keys()?;
            let caller = caller_of(&config, self.caller.as_deref(), Some(&key))?;
            let keys = user_key.iter().chain([&key]).cloned();
            let secrets = Secrets::new(keys.chain(config.upstream_keys()));
            let control = self.control.live(key, user_key)?;
            let knowledge = knowledge::of(&config, &caller)?;
            let trials = Trials::new(&config, &caller).await?;
            let cancel = CancellationToken::new();
            let endpoints: Vec<_> = ENDPOINTS.iter().filter(|one| !one.is_extra).collect();
            let found = {
                let work = calibrate(&control, &trials, &knowledge, &endpoints, self.seed, &cancel);
                tokio::select! {
                    found = work => found,
                    () = signals.stop() => Err(Unable::Interrupted),
                }
            };
            let found = found.map_err(|unable| match unable {
                Unable::Interrupted => Failure::interrupted(unable),
                other => Failure::new(secrets.hide(&other.to_string())),
            })?;
            let found = found.without(&secrets);
            output::print(&found.toml(&knowledge.upstream))?;
            self.write_id_map(&found)?;
            let is_equal = found.differing_after() == 0;
            Ok(if is_equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        })
    }

    /// The map holds e-mail addresses where the upstream has no numbers: only its owner may read it.
    fn write_id_map(&self, found: &Calibrated) -> Result<(), Failure> {
        let Some(path) = self.id_map.as_ref().filter(|_| !found.id_map.is_empty()) else {
            return Ok(());
        };
        let mut text = "upstream,legacy\n".to_owned();
        for (upstream, legacy) in &found.id_map {
            text.push_str(&format!("{upstream},{legacy}\n"));
        }
        let file = corpus::owner_only().create_new(true).open(path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| {
            Failure::new(format_args!("--id-map: cannot write {}: {error}", path.display()))
        })
    }
}
