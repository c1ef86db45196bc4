//! Recordings: what the command `record` writes besides answers, and how a recording is replayed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use corpus::pseudonym::Pseudonyms;
use corpus::relay::Behind;
use corpus::{Corpus, Header, Recorded, Replay};
use settings::Config;

use crate::failure::Failure;
use crate::utc;
use crate::validation::candidate::unpaced;

/// The dictionary that holds people's numbers.
const CALLER_IDS: &str = "caller_id_groups";

/// What a recording says of itself. Of the settings only the dictionary of caller ids is needed: its
/// numbers are replaced as those of the answers are.
pub(crate) fn header(config: &Config, dialect: &str, pseudonyms: &Pseudonyms) -> Header {
    let mut settings = BTreeMap::new();
    for (endpoint, quirks) in &config.quirks {
        if quirks.caller_id_groups.is_empty() {
            continue;
        }
        let replaced = |text: &String| pseudonyms.value("caller_id", text);
        let entries = quirks.caller_id_groups.iter();
        let entries: BTreeMap<String, String> =
            entries.map(|(number, group)| (replaced(number), replaced(group))).collect();
        let text = serde_json::to_string(&entries).unwrap_or_default();
        settings.insert(format!("legacy.{endpoint}.{CALLER_IDS}"), text);
    }
    Header {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        dialect: dialect.to_owned(),
        recorded_at: utc::shown(utc::now()),
        what: "legacy answers and the exchanges with the new API that belong to them".to_owned(),
        settings,
    }
}

/// A recording, ready to be replayed.
pub(crate) struct Played {
    pub(crate) corpus: Arc<Corpus>,
    pub(crate) control: Recorded,
    replay: Arc<Replay>,
    grants_tokens: bool,
}

impl Played {
    /// Opens a recording for a caller of a configuration, and puts its dictionaries into that.
    pub(crate) fn open(path: &Path, config: &mut Config, caller: &str) -> Result<Played, Failure> {
        let shown = path.display();
        let corpus = Corpus::open(path)
            .map_err(|error| Failure::new(format_args!("--control: {shown}: {error}")))?;
        let corpus = Arc::new(corpus);
        let name = config.callers.iter().find(|one| one.name == caller);
        let name = name.map(|caller| caller.upstream.clone()).unwrap_or_default();
        let upstream = config.upstreams.get(&name);
        let dialect = upstream.map_or("", |upstream| upstream.dialect.name());
        let recorded = &corpus.header().dialect;
        if recorded != dialect {
            return Err(Failure::new(format_args!(
                "--control: {shown} was recorded over {recorded}, and the caller's upstream is \
                 {dialect}"
            )));
        }
        let grants_tokens = upstream.is_some_and(|upstream| upstream.token.is_some());
        // A recording has one upstream; what it is called is the recorder's business.
        let recorded_as = corpus.upstreams().next().unwrap_or_default().to_owned();
        dictionaries(&corpus, config)?;
        unpaced(config, &name);
        let replay = Arc::new(Replay::new(Arc::clone(&corpus), &recorded_as));
        let control = Recorded::new(Arc::clone(&corpus), vec![Arc::clone(&replay)]);
        Ok(Played { corpus, control, replay, grants_tokens })
    }

    /// What answers in the place of the upstream.
    pub(crate) fn behind(&self) -> Behind {
        Behind::Replay { replies: self.replay.clone(), grants_tokens: self.grants_tokens }
    }
}

fn dictionaries(corpus: &Corpus, config: &mut Config) -> Result<(), Failure> {
    for (endpoint, quirks) in &mut config.quirks {
        let name = format!("legacy.{endpoint}.{CALLER_IDS}");
        let mut own = (**quirks).clone();
        own.caller_id_groups = match corpus.header().settings.get(&name) {
            Some(text) => serde_json::from_str(text).map_err(|_| {
                Failure::new("--control: the recording's own settings cannot be read")
            })?,
            None => BTreeMap::new(),
        };
        *quirks = Arc::new(own);
    }
    Ok(())
}
