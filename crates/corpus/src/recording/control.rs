//! A control that is being recorded, and a recording in the place of control.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Corpus, CorpusError, Replay, Writer};
use crate::ask::{Ask, Reply};
use crate::source::{Answering, Silence, Source};

/// A live control. Its answers are written into a corpus.
pub struct Recording<'a> {
    control: &'a dyn Source,
    writer: Writer,
    numbers: Mutex<Numbers>,
}

#[derive(Default)]
struct Numbers {
    /// The number of each question. A question that is asked again keeps its number.
    of: HashMap<Ask, u64>,
    /// The whole value of each question that asks for a part of one, for when it is asked again.
    wholes: HashMap<Ask, String>,
    unanswered: HashSet<Ask>,
    failure: Option<CorpusError>,
}

impl<'a> Recording<'a> {
    pub fn new(control: &'a dyn Source, writer: Writer) -> Recording<'a> {
        Recording { control, writer, numbers: Mutex::default() }
    }

    pub fn failure(&self) -> Option<CorpusError> {
        self.numbers().failure
    }

    /// How many questions of the run control has not answered.
    pub fn unanswered(&self) -> u64 {
        self.numbers().unanswered.len() as u64
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records an answer. The calls that candidate makes next belong to the same question.
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

    async fn answer(&self, ask: &Ask, whole: Option<&str>) -> Result<Reply, Silence> {
        let reply = self.control.ask(ask).await?;
        self.note(ask, whole, &reply);
        Ok(reply)
    }

    /// A question for the beginning of a value becomes one for the beginning of its pseudonym.
    fn part(&self, ask: &Ask, whole: &str) -> Option<Ask> {
        let [(name, value)] = &ask.query[..] else { return None };
        let pseudonyms = self.writer.pseudonyms();
        let part = pseudonyms.slice(name, whole, 0..value.len())?;
        Some(Ask { query: vec![(name.clone(), part)], ..ask.clone() })
    }
}

impl Source for Recording<'_> {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(self.answer(ask, None))
    }

    fn ask_first<'a>(
        &'a self,
        ask: &'a Ask,
        whole: Option<&'a str>,
    ) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(async move {
            self.answer(ask, whole).await.inspect_err(|_| {
                self.numbers().unanswered.insert(ask.clone());
            })
        })
    }
}

/// A recording in the place of control.
pub struct Recorded {
    corpus: Arc<Corpus>,
    replays: Vec<Arc<Replay>>,
}

impl Recorded {
    /// A corpus and the replays of its upstreams. Each question sets all of them to the same moment.
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
