//! A control that is being recorded, and a recording in the place of control.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Corpus, CorpusError, Replay, Writer};
use serde_json::value::RawValue;

use crate::ask::{Ask, Reply};
use crate::endpoint::Endpoint;
use crate::node::Node;
use crate::pseudonym::plain;
use crate::source::{Answering, Silence, Source};

/// A live control. Its answers are written into a corpus.
pub struct Recording<'a> {
    control: &'a dyn Source,
    writer: Writer,
    by_part: ByPart,
    numbers: Mutex<Numbers>,
}

/// Filters that find values by a part of them, by path and name.
pub type ByPart = BTreeSet<(String, String)>;

#[derive(Default)]
struct Numbers {
    /// The number of each question. A question that is asked again keeps its number.
    of: HashMap<Ask, u64>,
    /// The whole value of each question that asks for a part of one, for when it is asked again.
    wholes: HashMap<Ask, String>,
    unanswered: HashSet<Ask>,
    /// Questions that are not recorded.
    left_out: HashSet<Ask>,
    /// The values in whole lists that are found by a part, by field, and the pseudonym of each; both in small letters.
    values: HashMap<String, HashMap<String, String>>,
    failure: Option<CorpusError>,
}

impl<'a> Recording<'a> {
    /// A control whose answers are written. `by_part` are the filters with the mode `contains`.
    pub fn new(control: &'a dyn Source, writer: Writer, by_part: ByPart) -> Recording<'a> {
        Recording { control, writer, by_part, numbers: Mutex::default() }
    }

    /// How many questions are not recorded, because their answers follow from parts of values that the pseudonyms
    /// do not share.
    pub fn left_out(&self) -> u64 {
        self.numbers().left_out.len() as u64
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
        if let Some(whole) = whole {
            numbers.wholes.insert(ask.clone(), whole.to_owned());
        }
        if !self.is_kept_by_pseudonyms(&mut numbers, ask, reply) {
            numbers.left_out.insert(ask.clone());
            // The calls for it are not those of the question before.
            self.writer.at(numbers.of.len() as u64);
            return;
        }
        let next = numbers.of.len() as u64;
        let number = *numbers.of.entry(ask.clone()).or_insert(next);
        self.writer.at(number);
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

    /// Whether the pseudonyms of a filter's value and of the values in the data contain each other as the texts do.
    /// It matters only where control or candidate finds values by a part.
    fn is_kept_by_pseudonyms(&self, numbers: &mut Numbers, ask: &Ask, reply: &Reply) -> bool {
        let Some(endpoint) = Endpoint::at(&ask.path) else { return true };
        let pseudonym = |name: &str, text: &str| self.writer.pseudonyms().value(name, text);
        let is_by_part =
            |name: &str| self.by_part.contains(&(endpoint.name.to_owned(), name.to_owned()));
        if ask.query.is_empty() {
            for name in endpoint.filters.iter().filter(|name| is_by_part(name)) {
                let known = numbers.values.entry((*name).to_owned()).or_default();
                for value in values(reply, name) {
                    known.insert(value.to_lowercase(), pseudonym(name, &value).to_lowercase());
                }
            }
            return true;
        }
        let part = numbers.wholes.get(ask).and_then(|whole| self.part(ask, whole));
        ask.query.iter().enumerate().all(|(place, (written, wanted))| {
            let name = plain(written);
            let is_of_people = pseudonym(name, PROBE) != PROBE;
            if wanted.is_empty() || !is_of_people || !endpoint.filters.contains(&name) {
                return true;
            }
            let other = match &part {
                Some(part) => part.query[place].1.to_lowercase(),
                None => pseudonym(name, wanted).to_lowercase(),
            };
            let wanted = wanted.to_lowercase();
            let is_alike =
                |value: &str, shown: &str| value.contains(&wanted) == shown.contains(&other);
            if is_by_part(name) {
                let mut known = numbers.values.get(name).into_iter().flatten();
                return known.all(|(value, shown)| is_alike(value, shown));
            }
            // Control lists others than those with this value.
            values(reply, name).iter().all(|value| {
                let lower = value.to_lowercase();
                lower == wanted || is_alike(&lower, &pseudonym(name, value).to_lowercase())
            })
        })
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

/// A text that every field about people replaces.
const PROBE: &str = "Jane 1234567";

/// The texts of a field in a list of records, which are read one by one.
fn values(reply: &Reply, name: &str) -> Vec<String> {
    let list = serde_json::from_slice::<Vec<&RawValue>>(&reply.body).or_else(|_| {
        let members: HashMap<String, &RawValue> = serde_json::from_slice(&reply.body)?;
        let list = members.into_values().find(|value| value.get().starts_with('['));
        serde_json::from_str(list.map_or("[]", RawValue::get))
    });
    let text = |record: &&RawValue| match Node::parse(record.get().as_bytes()).ok()?.get(name)? {
        Node::Text(text) => Some(text.clone()),
        Node::Number(number) => Some(number.to_string()),
        _ => None,
    };
    list.unwrap_or_default().iter().filter_map(text).collect()
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
