//! Candidate alone: how many questions it is asked, in words, and no faster than somebody wants.

use std::time::Duration;

use corpus::ask::{Ask, Reply};
use corpus::source::{Answering, Silence, Source};
use parity::properties;
use parity::run::Plan;
use settings::Config;
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::validation::control::ControlArgs;

/// A side that is asked at a pace.
pub(crate) struct Paced<'a> {
    side: &'a dyn Source,
    turns: Mutex<Interval>,
}

impl<'a> Paced<'a> {
    /// At most so many questions in a second; the number is more than zero.
    pub(crate) fn new(side: &'a dyn Source, rate: f64) -> Paced<'a> {
        let mut turns = interval(Duration::from_secs_f64(1.0 / rate).max(Duration::from_micros(1)));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Paced { side, turns: Mutex::new(turns) }
    }
}

impl Source for Paced<'_> {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        Box::pin(async move {
            self.turns.lock().await.tick().await;
            self.side.ask(ask).await
        })
    }

    fn times_busy(&self) -> u64 {
        self.side.times_busy()
    }
}

/// How many questions a run asks whom. The values of filters are taken from data, so before the whole lists are read
/// nobody knows the exact number.
pub(crate) fn announced(
    plan: &Plan,
    control: &ControlArgs,
    candidate: Option<&str>,
    here: Option<(&Config, &str)>,
) -> String {
    let endpoints = plan.endpoints.len();
    let whom = match (candidate, here) {
        (Some(url), _) => format!("the gateway at {url}"),
        (None, Some((config, caller))) => {
            let found = config.callers.iter().find(|one| one.name == caller);
            let name = found.map_or("", |caller| &*caller.upstream);
            let url = config.upstreams.get(name).map_or("", |upstream| &*upstream.base_url);
            format!(
                "Tieline in this process, as caller {caller}, which asks upstream {name} at {url} for the pages"
            )
        }
        (None, None) => "Tieline".to_owned(),
    };
    let rate = control.rate;
    match &control.control {
        Some(url) => format!(
            "First {endpoints} whole lists, then the questions that the data of the legacy API give \
             (250 users: about 340), go to {url}, at most {rate} a second, and then to {whom}."
        ),
        None => format!(
            "{endpoints} whole lists, then {} checks with up to {} values of each filter (250 users: about 340 \
             questions), at most {rate} a second (--rate), go to {whom}. The legacy API is not asked: \
             there is no --control.",
            properties::planned(plan),
            plan.extent.values_per_filter,
        ),
    }
}
