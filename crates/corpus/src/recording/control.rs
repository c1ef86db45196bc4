//! Control while it is recorded, and control that is a recording.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Corpus, CorpusError, Replay, Writer};
use crate::ask::{Ask, Reply};
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

    fn ask_first<'a>(
        &'a self,
        ask: &'a Ask,
        whole: Option<&'a str>,
    ) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(async move {
            let reply = self.control.ask(ask).await.inspect_err(|_| {
                self.numbers().unanswered.insert(ask.clone());
            })?;
            self.note(ask, whole, &reply);
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
