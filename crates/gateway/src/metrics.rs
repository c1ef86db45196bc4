//! What the gateway counts. Every label is from a closed set: endpoints, slugs, statuses, names of
//! callers and upstreams from the configuration. Nothing of a request is ever a label.

use std::sync::Arc;
use std::time::Duration;

use domain::legacy::Notes;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};

use crate::call::Account;

/// The counters of one gateway. Each gateway has its own registry, so two in a process do not mix.
/// Every layer of every request holds them, so a clone is one pointer.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    registry: Registry,
    requests: IntCounterVec,
    errors: IntCounterVec,
    seconds: HistogramVec,
    rows: IntCounterVec,
    notes: IntCounterVec,
    ignored: IntCounterVec,
    upstream_requests: IntCounterVec,
    lists: IntCounterVec,
    answers: IntCounterVec,
    lookups: IntCounterVec,
    losses: IntCounterVec,
}

const SECONDS_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0];

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let seconds = HistogramVec::new(
            HistogramOpts::new("tieline_request_seconds", "Time from request to answer.")
                .buckets(SECONDS_BUCKETS.to_vec()),
            &["endpoint"],
        )?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Metrics(Arc::new(Counters {
            requests: counter(
                "tieline_requests_total",
                "Requests answered.",
                &["endpoint", "status", "caller"],
            )?,
            errors: counter("tieline_errors_total", "Errors by slug.", &["slug"])?,
            rows: counter("tieline_rows_total", "Legacy records answered.", &["endpoint"])?,
            notes: counter(
                "tieline_fidelity_notes_total",
                "Values that could only be shown imperfectly, by kind.",
                &["endpoint", "note"],
            )?,
            ignored: counter(
                "tieline_ignored_parameters_total",
                "Empty or unknown parameters.",
                &["endpoint"],
            )?,
            upstream_requests: counter(
                "tieline_upstream_requests_total",
                "Attempts sent upstream, by outcome.",
                &["upstream", "outcome"],
            )?,
            lists: counter(
                "tieline_list_events_total",
                "Pages read, seams repaired, lists read again, counts that were wrong.",
                &["event"],
            )?,
            answers: counter(
                "tieline_answers_total",
                "Lists answered, by where they came from: read, shared, hit, stale.",
                &["source"],
            )?,
            lookups: counter(
                "tieline_lookups_total",
                "Group look-ups by outcome, and readings of what is joined to rows.",
                &["outcome"],
            )?,
            losses: counter(
                "tieline_field_losses_total",
                "Answers with records, times fields that are not exact or renamed.",
                &["endpoint", "dialect", "status"],
            )?,
            seconds,
            registry,
        })))
    }

    pub(crate) fn request(&self, account: &Account, status: u16, took: Duration) {
        let endpoint = account.endpoint.unwrap_or("none");
        let caller = account.caller.as_deref().unwrap_or("none");
        let status = itoa(status);
        self.0.requests.with_label_values(&[endpoint, status.as_str(), caller]).inc();
        self.0.seconds.with_label_values(&[endpoint]).observe(took.as_secs_f64());
        if let Some(slug) = account.error {
            self.0.errors.with_label_values(&[slug]).inc();
        }
        if account.rows > 0 {
            self.0.rows.with_label_values(&[endpoint]).inc_by(account.rows);
        }
        self.notes(endpoint, &account.story.notes);
        if !account.ignored.is_empty() {
            self.0.ignored.with_label_values(&[endpoint]).inc_by(account.ignored.len() as u64);
        }
    }

    fn notes(&self, endpoint: &str, notes: &Notes) {
        for (note, count) in notes.iter().filter(|(_, count)| *count > 0) {
            self.0.notes.with_label_values(&[endpoint, note]).inc_by(count);
        }
    }

    /// Counts what the ledger says about every answer with records.
    pub(crate) fn answered(&self, endpoint: &dyn domain::legacy::Endpoint, dialect: &str) {
        use domain::loss::Status;
        for loss in endpoint.losses().iter().filter(|loss| loss.dialect == dialect) {
            if !matches!(loss.status, Status::Exact | Status::Renamed) {
                let labels = [endpoint.name(), dialect, loss.status.as_str()];
                self.0.losses.with_label_values(&labels).inc();
            }
        }
    }

    pub(crate) fn attempt(&self, upstream: &str, outcome: &str) {
        self.0.upstream_requests.with_label_values(&[upstream, outcome]).inc();
    }

    pub(crate) fn list(&self, story: &domain::sweep::Story) {
        let events = [
            ("page", story.pages),
            ("seam_repaired", story.seams_repaired),
            ("read_again", story.restarts),
            ("total_mismatch", u64::from(story.total_mismatch)),
        ];
        for (event, count) in events.into_iter().filter(|(_, count)| *count > 0) {
            self.0.lists.with_label_values(&[event]).inc_by(count);
        }
    }

    /// Where an answer came from.
    pub(crate) fn answer(&self, source: crate::answers::Source) {
        use crate::answers::Source;
        let source = match source {
            Source::Read => "read",
            Source::Shared => "shared",
            Source::Kept => "hit",
            Source::Stale => "stale",
        };
        self.0.answers.with_label_values(&[source]).inc();
    }

    /// A reading of what is joined to user rows begins.
    pub(crate) fn related(&self) {
        self.0.lookups.with_label_values(&["related"]).inc();
    }

    /// What was seen could not be remembered.
    pub(crate) fn roster_failed(&self) {
        self.0.errors.with_label_values(&["roster_failed"]).inc();
    }

    pub(crate) fn lookup(&self, outcome: &str) {
        self.0.lookups.with_label_values(&[outcome]).inc();
    }

    /// Prometheus text format.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Only fails for a family without metrics, which the registry leaves out itself.
        let _ = TextEncoder::new().encode(&self.0.registry.gather(), &mut text);
        text
    }
}

fn itoa(status: u16) -> String {
    status.to_string()
}
