//! Compares what live requests were answered by both sides, the same way as `tieline validate` does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use corpus::ask;
use corpus::node::Node;
use domain::loss::Coded;
use parity::compare;
use parity::knowledge::Knowledge;
use parity::single;
use serde_json::json;
use shadow::{Cause, Difference, Judge, Listener, Question, Reply};

/// The judge of `[shadow]`.
#[derive(Debug, Default)]
pub(crate) struct Parity {
    /// What is known by dialect; the settings change with each question.
    known: Mutex<HashMap<&'static str, Knowledge>>,
}

impl Parity {
    fn knowledge(&self, question: &Question<'_>) -> Knowledge {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_dialect = known.entry(question.dialect).or_insert_with(|| {
            let ledger: Vec<Coded> = domain::ledger::coded().collect();
            let all = json!({ "dialect": question.dialect, "ledger": ledger });
            serde_json::from_value(all).unwrap_or_default()
        });
        let mut knowledge = of_dialect.clone();
        let settings = serde_json::from_value(json!(question.quirks)).unwrap_or_default();
        knowledge.settings.insert(question.endpoint.to_owned(), settings);
        knowledge
    }
}

impl Judge for Parity {
    fn judge(
        &self,
        question: &Question<'_>,
        control: &Reply,
        candidate: &Reply,
        listener: &mut dyn Listener,
    ) {
        let knowledge = self.knowledge(question);
        let both = (&reply(control), &reply(candidate));
        // Both closures speak to the listener, one at a time.
        let listener = RefCell::new(listener);
        let goes_on = || listener.borrow().goes_on();
        let asked = single::Question {
            endpoint: question.endpoint,
            is_whole: question.filters.is_empty() && !question.is_narrowed,
            is_filtered: question.filters.iter().any(|filter| *filter != "id"),
        };
        single::judge(asked, &knowledge, both, &goes_on, &mut |one, cause| {
            listener.borrow_mut().found(difference(one, cause));
        });
    }
}

fn reply(reply: &Reply) -> ask::Reply {
    let headers = reply.headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    ask::Reply { status: reply.status, headers: headers.collect(), body: reply.body.clone() }
}

fn difference(found: compare::Difference, cause: Option<Cause>) -> Difference {
    let bytes =
        |node: Option<Node>| node.map(|node| node.to_json().into_bytes()).unwrap_or_default();
    Difference {
        field: found.path,
        kind: found.kind.as_str(),
        cause,
        control: bytes(found.control),
        candidate: bytes(found.candidate),
        record: found.record,
    }
}
