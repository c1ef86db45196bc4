//! Control while it is recorded, and control that is a recording.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Corpus, CorpusError, Replay, Writer};
use crate::ask::{Ask, KeyPlace, Reply};
use crate::endpoint::ENDPOINTS;
use crate::scenario::{Group, Scenario};
use crate::source::{Answering, Silence, Source};

/// A live control whose answers are written down.
pub struct Recording<'a> {
    control: &'a dyn Source,
    writer: Writer,
    numbers: Mutex<Numbers>,
}

#[derive(Default)]
struct Numbers {
    /// The place of each question among all; asked again, it keeps its place.
    of: HashMap<Ask, u64>,
    /// The whole value of questions that ask for a part of one; asked again, they are the same.
    wholes: HashMap<Ask, String>,
    unanswered: HashSet<Ask>,
    failure: Option<CorpusError>,
}

impl<'a> Recording<'a> {
    /// Writes down what `control` answers.
    pub fn new(control: &'a dyn Source, writer: Writer) -> Recording<'a> {
        Recording { control, writer, numbers: Mutex::default() }
    }

    /// Why an answer could not be written, if one could not.
    pub fn failure(&self) -> Option<CorpusError> {
        self.numbers().failure
    }

    /// Questions of the run that control has not answered.
    pub fn unanswered(&self) -> u64 {
        self.numbers().unanswered.len() as u64
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an answer; what candidate asks next belongs to the same question.
    fn note(&self, ask: &Ask, whole: Option<&str>, reply: &Reply) {
        let mut numbers = self.numbers();
        numbers.unanswered.remove(ask);
        let next = numbers.of.len() as u64;
        let number = *numbers.of.entry(ask.clone()).or_insert(next);
        self.writer.at(number);
        if let Some(whole) = whole {
            numbers.wholes.insert(ask.clone(), whole.to_owned());
        }
        let whole = numbers.wholes.get(ask);
        let written = match whole.and_then(|whole| self.part(ask, whole)) {
            Some(part) => {
                if let ([(_, text)], [(_, pseudonym)]) = (&ask.query[..], &part.query[..]) {
                    self.writer.asks_for_part(text, pseudonym);
                }
                self.writer.legacy_as(&part, reply)
            }
            None => self.writer.legacy(ask, reply),
        };
        if let Err(error) = written {
            numbers.failure.get_or_insert(error);
        }
    }

    /// A question for the beginning of a value asks for the beginning of its pseudonym.
    fn part(&self, ask: &Ask, whole: &str) -> Option<Ask> {
        let [(name, value)] = &ask.query[..] else { return None };
        let pseudonyms = self.writer.pseudonyms();
        let part = pseudonyms.slice(name, whole, 0..value.len())?;
        Some(Ask { query: vec![(name.clone(), part)], ..ask.clone() })
    }
}

impl Source for Recording<'_> {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(async move {
            let reply = self.control.ask(ask).await?;
            self.note(ask, None, &reply);
            Ok(reply)
        })
    }

    fn ask_for<'a>(&'a self, scenario: &'a Scenario) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(async move {
            let reply = self.control.ask(&scenario.ask).await.inspect_err(|_| {
                self.numbers().unanswered.insert(scenario.ask.clone());
            })?;
            self.note(&scenario.ask, scenario.whole.as_deref(), &reply);
            Ok(reply)
        })
    }
}

/// A control that was recorded.
pub struct Recorded {
    corpus: Arc<Corpus>,
    replays: Vec<Arc<Replay>>,
}

impl Recorded {
    /// A recording, and its upstreams, which are set to the same question each time one is asked.
    pub fn new(corpus: Arc<Corpus>, replays: Vec<Arc<Replay>>) -> Recorded {
        Recorded { corpus, replays }
    }
}

impl Source for Recorded {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(async move {
            let place = self.corpus.asks().iter().position(|known| known == ask);
            let place = place.ok_or(Silence::NotRecorded)? as u64;
            for replay in &self.replays {
                replay.at(place);
            }
            let (corpus, ask) = (Arc::clone(&self.corpus), ask.clone());
            let read = tokio::task::spawn_blocking(move || corpus.legacy(&ask)).await;
            match read {
                Ok(Ok(Some(reply))) => Ok(reply),
                Ok(Ok(None)) => Err(Silence::NotRecorded),
                Ok(Err(_)) | Err(_) => Err(Silence::Body),
            }
        })
    }
}

/// The questions of a recording but for the whole lists, which are asked in any case.
pub fn questions(corpus: &Corpus) -> Vec<Scenario> {
    let mut all = Vec::new();
    for (number, ask) in corpus.asks().iter().enumerate() {
        let endpoint = ENDPOINTS.iter().find(|endpoint| {
            endpoint.path == ask.path || endpoint.other_path == Some(ask.path.as_str())
        });
        let Some(endpoint) = endpoint else { continue };
        let mut scenario = Scenario::all(endpoint);
        if scenario.ask == *ask {
            continue;
        }
        let plain = |name: &str| {
            let inner = name.strip_prefix("filter[").and_then(|rest| rest.strip_suffix(']'));
            inner.unwrap_or(name).to_owned()
        };
        let filters = ask.query.iter().map(|(name, value)| (plain(name), value.clone()));
        let known = filters
            .filter(|(name, value)| endpoint.filters.contains(&name.as_str()) && !value.is_empty());
        scenario.filters = known.collect();
        scenario.group = match (ask.key, scenario.filters.len(), ask.query.len()) {
            (KeyPlace::Missing | KeyPlace::WrongBearer | KeyPlace::WrongQuery, _, _) => {
                Group::BadKey
            }
            (_, 0, 0) => Group::All,
            (_, 0, _) => Group::Ignored,
            (_, 1, _) => Group::Filter,
            _ => Group::Pair,
        };
        scenario.id = format!("{}/recorded/{number}", endpoint.name);
        scenario.ask = ask.clone();
        all.push(scenario);
    }
    all
}
