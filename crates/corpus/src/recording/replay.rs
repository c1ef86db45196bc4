//! A corpus in the place of an upstream, behind a relay.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Corpus;
use crate::ask::Reply;
use crate::relay::Replies;

/// One upstream of a corpus. It answers as that upstream did during one question. A page that was not
/// recorded is made of the rows of other pages, where these leave no doubt.
pub struct Replay {
    corpus: Arc<Corpus>,
    name: String,
    question: AtomicU64,
    rebuilt: AtomicU64,
}

impl Replay {
    /// The upstream with this name, as it was at the end of the recording.
    pub fn new(corpus: Arc<Corpus>, name: &str) -> Replay {
        let (question, rebuilt) = (AtomicU64::new(u64::MAX), AtomicU64::new(0));
        Replay { corpus, name: name.to_owned(), question, rebuilt }
    }

    /// From now on it answers as the upstream did during this question.
    pub fn at(&self, question: u64) {
        self.question.store(question, Ordering::Relaxed);
    }

    /// How many answers were pages made of other pages.
    pub fn rebuilt(&self) -> u64 {
        self.rebuilt.load(Ordering::Relaxed)
    }
}

impl Replies for Replay {
    fn reply(&self, method: &str, target: &str) -> io::Result<Option<Reply>> {
        let question = self.question.load(Ordering::Relaxed);
        let recorded = self.corpus.upstream(&self.name, method, target, question)?;
        if recorded.is_some() || method != "GET" {
            return Ok(recorded);
        }
        let rebuilt = self.corpus.rebuilt(&self.name, target, question)?;
        self.rebuilt.fetch_add(u64::from(rebuilt.is_some()), Ordering::Relaxed);
        Ok(rebuilt)
    }
}
