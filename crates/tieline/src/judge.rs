//! Compares the answers of both sides to live requests, with the causes of `tieline validate`. It must never
//! ask a side anything itself.

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
        let timezone = question.timezone.map(str::to_owned);
        knowledge.defaults.insert("timezone".to_owned(), timezone);
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::quirks::Quirks;

    /// The causes of the differences that a judge finds.
    #[derive(Default)]
    struct Heard(Vec<Option<Cause>>);

    impl Listener for Heard {
        fn found(&mut self, one: Difference) {
            self.0.push(one.cause);
        }

        fn goes_on(&self) -> bool {
            true
        }
    }

    #[test]
    fn over_vonage_the_configured_zone_is_a_loss_and_another_constant_zone_is_none() {
        let of = |configured: Option<&str>, zones: &[&str], shown: &str| {
            let list = |zone: &dyn Fn(usize) -> String| {
                let rows = (0..zones.len()).map(|id| json!({ "id": id, "timezone": zone(id) }));
                Reply::json(200, json!(rows.collect::<Vec<_>>()).to_string().into())
            };
            let control = list(&|id| zones[id].to_owned());
            let candidate = list(&|_| shown.to_owned());
            let question = Question {
                endpoint: "v1_users",
                dialect: "vonage-v4",
                filters: &["id"],
                is_narrowed: false,
                timezone: configured,
                quirks: &Quirks::default(),
            };
            let mut heard = Heard::default();
            Parity::default().judge(&question, &control, &candidate, &mut heard);
            heard.0
        };
        let (loss, london) = (Some(Cause::DeclaredLoss), Some("Europe/London"));
        assert_eq!(of(london, &["Paris"], "London"), [loss]);
        assert_eq!(of(london, &["Paris", "Rome"], "London"), [loss; 2]);
        for configured in [london, None] {
            assert_eq!(of(configured, &["Paris", "Rome"], "Oslo"), [None; 2]);
        }
    }
}
