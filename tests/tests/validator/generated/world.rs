//! One world for many cases: both sides answer from memory, and a change stands before one of them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use corpus::ask::{Ask, Reply};
use corpus::node::Node;
use corpus::source::{Answering, Silence, Source};
use parity::calibrate::Overlay;
use parity::run::state::State;
use parity::run::{Behind, Plan, Sides, Under, validate};
use report::Report;
use simulator::{Named, Simulator};
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use crate::case::Vendor;
use crate::world::{Both, Planted};

/// Another request in the place of one.
pub(super) type Asking = dyn Fn(&Ask) -> Option<Ask> + Send + Sync;
/// Changes the rows of a list; it gets the number of the request.
type Listing = dyn Fn(&Ask, u64, &mut Vec<Node>) + Send + Sync;

/// A change of what passes.
#[derive(Default)]
pub(super) struct Change {
    /// Another request in the place of one.
    pub(super) asked: Option<Box<Asking>>,
    /// The rows of a list, and the number of the request.
    pub(super) rows: Option<Box<Listing>>,
}

/// The answers of a side, each asked for once.
pub(super) struct Cached<'a> {
    source: &'a dyn Source,
    answers: Mutex<HashMap<Ask, Reply>>,
}

impl<'a> Cached<'a> {
    fn of(source: &'a dyn Source) -> Self {
        Cached { source, answers: Mutex::default() }
    }

    async fn reply(&self, ask: &Ask) -> Result<Reply, Silence> {
        let known = self.answers.lock().unwrap().get(ask).cloned();
        if let Some(reply) = known {
            return Ok(reply);
        }
        let reply = self.source.ask(ask).await?;
        self.answers.lock().unwrap().insert(ask.clone(), reply.clone());
        Ok(reply)
    }
}

/// A side with changes before it.
struct Changed<'a> {
    side: &'a Cached<'a>,
    changes: &'a [Change],
    asked: AtomicU64,
}

impl Source for Changed<'_> {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(async move {
            let nth = self.asked.fetch_add(1, Ordering::Relaxed);
            let before = self.changes.iter().filter_map(|change| change.asked.as_ref());
            let passed = before.fold(ask.clone(), |ask, change| change(&ask).unwrap_or(ask));
            let mut reply = self.side.reply(&passed).await?;
            for change in self.changes {
                let list = change.rows.as_ref().and_then(|edit| Some((edit, rows(&reply)?)));
                if let Some((edit, mut rows)) = list {
                    edit(ask, nth, &mut rows);
                    reply.body = Node::List(rows).to_json().into();
                }
            }
            Ok(reply)
        })
    }
}

/// The rows of a bare array.
pub(super) fn rows(reply: &Reply) -> Option<Vec<Node>> {
    match Node::parse(&reply.body) {
        Ok(Node::List(rows)) if reply.status == 200 => Some(rows),
        _ => None,
    }
}

/// The new API, each page asked for once.
struct CachedBehind<'a> {
    behind: &'a dyn Behind,
    pages: Mutex<HashMap<String, Option<Reply>>>,
}

impl Behind for CachedBehind<'_> {
    fn take_calls(&self) -> Vec<String> {
        Vec::new()
    }

    fn ask<'a>(&'a self, target: &'a str) -> Answering<'a, Option<Reply>> {
        Box::pin(async move {
            let known = self.pages.lock().unwrap().get(target).cloned();
            if let Some(reply) = known {
                return reply;
            }
            let reply = self.behind.ask(target).await;
            self.pages.lock().unwrap().insert(target.to_owned(), reply.clone());
            reply
        })
    }

    fn under<'a>(&'a self, overlay: &'a Overlay) -> Answering<'a, Option<Under>> {
        self.behind.under(overlay)
    }
}

pub(super) struct World<'a> {
    both: &'a Both,
    pub(super) control: Cached<'a>,
    candidate: Cached<'a>,
    behind: CachedBehind<'a>,
}

/// Starts both sides over data that has somebody for every rule.
pub(super) async fn both(seed: u64, users: usize) -> Both {
    Both::start_of(Vendor::Voiso, users, seed, |vendor| {
        enrich(vendor, seed);
        Planted::default()
    })
    .await
}

/// Values that the pretend vendor has not: tags in addresses, groups whose name begins another's,
/// extensions with several zeros, names with apostrophes.
fn enrich(vendor: &Simulator, seed: u64) {
    let mut dice = Dice::new(seed ^ 0xE4);
    for (place, user) in vendor.records().iter().enumerate() {
        let (number, kind) = (user.id, dice.below(12));
        vendor.edit_user(number, |user| match kind {
            0 => user.email = format!("agent.{number}+ops@cc1.example.com").into(),
            1 => user.email = format!("Agent.{number}@CC1.example.com").into(),
            2 => user.extension = Some(format!("00{}", number % 1000).into()),
            3 => user.name = format!("{} O'Neil & Co {place}", user.name).into(),
            4 => user.name = format!("{} 🎧 {place}", user.name).into(),
            5 => user.name = format!("Renée Šmit-{place}").into(),
            _ => {}
        });
        let group = match dice.below(25) {
            0 | 1 => Some((40, "Sales")),
            2 => Some((41, "Sales EU")),
            3 => Some((42, "Sales Europe")),
            _ => None,
        };
        if let Some((id, name)) = group {
            let group = Some(Named { id, name: name.into() });
            vendor.edit_user(number, |user| user.security_access_group = group);
        }
    }
}

impl<'a> World<'a> {
    pub(super) fn of(both: &'a Both) -> World<'a> {
        let behind = CachedBehind { behind: both.behind(), pages: Mutex::default() };
        World {
            both,
            control: Cached::of(both.control()),
            candidate: Cached::of(both.candidate()),
            behind,
        }
    }

    /// The rows of a whole list of control.
    pub(super) async fn list(&self, ask: &Ask) -> Vec<Node> {
        rows(&self.control.reply(ask).await.unwrap()).unwrap_or_default()
    }

    pub(super) async fn validate(
        &self,
        plan: &Plan,
        control: &[Change],
        candidate: &[Change],
        is_seen: bool,
    ) -> Report {
        let changed = |side, changes| Changed { side, changes, asked: AtomicU64::new(0) };
        let (control, candidate) =
            (changed(&self.control, control), changed(&self.candidate, candidate));
        let sides = Sides {
            control: &control,
            candidate: &candidate,
            behind: is_seen.then_some(&self.behind as &dyn Behind),
            knowledge: self.both.knowledge(),
        };
        let cancel = CancellationToken::new();
        validate(&sides, plan, &mut State::none(), &(), &cancel).await.unwrap()
    }
}
