//! A corpus behind a relay, in the place of an upstream.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Corpus;
use crate::ask::Reply;
use crate::relay::Replies;

/// One upstream of a corpus. It answers as that upstream did during one question.
pub struct Replay {
    corpus: Arc<Corpus>,
    name: String,
    question: AtomicU64,
}

impl Replay {
    /// The upstream of this name, as it was at the end.
    pub fn new(corpus: Arc<Corpus>, name: &str) -> Replay {
        Replay { corpus, name: name.to_owned(), question: AtomicU64::new(u64::MAX) }
    }

    /// From now on it answers as it did during this question.
    pub fn at(&self, question: u64) {
        self.question.store(question, Ordering::Relaxed);
    }
}

impl Replies for Replay {
    fn reply(&self, method: &str, target: &str) -> io::Result<Option<Reply>> {
        let question = self.question.load(Ordering::Relaxed);
        Ok(self.corpus.upstream(&self.name, method, target, question)?)
    }
}
