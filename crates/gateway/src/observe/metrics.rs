//! What the gateway counts. Every label is from a closed set: endpoints, slugs, statuses, names of
//! callers and upstreams from the configuration. Nothing of a request is ever a label.
//!
//! There are never more than [`SERIES_MAX`] series, however many callers and upstreams there are: what
//! is beyond the bound is counted under the name `other`.

mod bound;
mod brownouts;
mod calls;
mod lists;
pub(crate) mod read;
mod replicas;
mod scrape;
pub(crate) mod shadow;
mod system;
mod table;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::ledger;
use domain::legacy::{Endpoint, Notes, UNTRANSLATED};
use domain::loss::Status;
use domain::names::unmapped::Unmapped;
use domain::params::NearMiss;
use domain::upstream::Dialect;
use limits::{Delay, Shed};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use transport::client::LookupFailure;
use transport::server::{ERRNOS, Rejection};

use crate::error::SLUGS;
use crate::observe::account::{Account, Source};
use crate::observe::tally::{self, Attempts, Tally, outcome_of};
use bound::Bound;
pub use bound::SERIES_MAX;
use brownouts::Brownouts;
use calls::Calls;
use lists::Lists;
use replicas::Replicas;
pub(crate) use scrape::Snapshot;
use scrape::set;
pub(crate) use system::{open_files_max, resident_bytes};
pub use table::{Kind, METRICS, Metric};

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
    calls: Calls,
    notes: IntCounterVec,
    unmapped: Unmapped,
    ignored: IntCounterVec,
    near_misses: IntCounterVec,
    wrong_keys: IntCounterVec,
    untranslated: IntCounterVec,
    filters: IntCounterVec,
    brownouts: Brownouts,
    upstream_requests: IntCounterVec,
    lists: Lists,
    answers: IntCounterVec,
    lookups: IntCounterVec,
    no_more_repeats: IntCounterVec,
    dns_failures: IntCounterVec,
    new_fields: IntCounterVec,
    losses: IntCounterVec,
    callers: IntGaugeVec,
    refused: IntGaugeVec,
    roster: IntGaugeVec,
    breakers: IntGaugeVec,
    shed: IntCounterVec,
    queue: IntGaugeVec,
    overload: IntGaugeVec,
    reloads: IntCounterVec,
    certificate: IntGaugeVec,
    panics: IntCounterVec,
    log_lost: IntCounterVec,
    resident: IntGaugeVec,
    open_files: IntGaugeVec,
    connections: IntGauge,
    rejected: IntCounterVec,
    accept_errors: IntCounterVec,
    shadow: shadow::Shadow,
    replicas: Replicas,
    /// Requests without a known caller.
    nobody: Tally,
    /// Counters of each endpoint, for all callers together.
    endpoints: Vec<tally::Shared>,
    /// Names of callers, in every metric that has them.
    caller_names: Bound,
    upstream_names: Bound,
    /// Gauges are set anew for each scrape, so one at a time.
    scrape: Mutex<()>,
}

const SECONDS_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0];

/// Whose budget for repeats has an end, and how looking up a name fails.
const BUDGETS: [&str; 2] = ["caller", "upstream"];
const DNS_FAILURES: [&str; 3] = ["failed", "refused", "silent"];

/// What becomes of another configuration.
const RELOADS: [&str; 2] = ["applied", "refused"];

/// What stands in the place of a caller's name.
const NOBODY: &str = "none";

impl Metrics {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let options = |name: &str| {
            let metric = METRICS.iter().find(|metric| metric.name == name);
            let metric = metric.ok_or_else(|| prometheus::Error::Msg(format!("no row {name}")))?;
            Ok::<_, prometheus::Error>((Opts::new(name, metric.help), metric.labels))
        };
        let counter = |name: &str| {
            let (options, labels) = options(name)?;
            let counter = IntCounterVec::new(options, labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str| {
            let (options, labels) = options(name)?;
            let gauge = IntGaugeVec::new(options, labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let (options, labels) = options("tieline_request_seconds")?;
        let options = HistogramOpts { common_opts: options, buckets: SECONDS_BUCKETS.to_vec() };
        let seconds = HistogramVec::new(options, labels)?;
        registry.register(Box::new(seconds.clone()))?;
        let version = env!("CARGO_PKG_VERSION");
        gauge("tieline_build_info")?.with_label_values(&[version]).set(1);
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let started = i64::try_from(started.as_secs()).unwrap_or_default();
        set(&gauge("tieline_process_start_time_seconds")?, &[], Some(started));
        let errors = counter("tieline_errors_total")?;
        let lists = counter("tieline_list_events_total")?;
        let new_fields = counter("tieline_schema_new_fields_total")?;
        new_fields.with_label_values(&["users"]);
        // At 0 from the start: an alert sees growth only from a value that was there before.
        for slug in SLUGS {
            errors.with_label_values(&[*slug]);
        }
        let wrong_keys = counter("tieline_wrong_keys_total")?;
        for delay in Delay::ALL {
            wrong_keys.with_label_values(&[delay.as_str()]);
        }
        let rejected = counter("tieline_conn_rejected_total")?;
        let accept_errors = counter("tieline_accept_errors_total")?;
        let connections = gauge("tieline_connections")?;
        let connections = connections.with_label_values::<&str>(&[]);
        connections.set(0);
        for why in Rejection::WORDS {
            rejected.with_label_values(&[why]);
        }
        for errno in ERRNOS {
            accept_errors.with_label_values(&[errno]);
        }
        let lists = Lists::of(&lists);
        let no_more_repeats = counter("tieline_retry_budget_exhausted_total")?;
        let dns_failures = counter("tieline_dns_failures_total")?;
        for whose in BUDGETS {
            no_more_repeats.with_label_values(&[whose]);
        }
        for kind in DNS_FAILURES {
            dns_failures.with_label_values(&[kind]);
        }
        let (shed, reloads) =
            (counter("tieline_shed_total")?, counter("tieline_config_reload_total")?);
        for why in Shed::ALL {
            shed.with_label_values(&[why.as_str()]);
        }
        for result in RELOADS {
            reloads.with_label_values(&[result]);
        }
        Ok(Metrics(Arc::new(Counters {
            requests: counter("tieline_requests_total")?,
            errors,
            rows: counter("tieline_rows_total")?,
            calls: Calls::of(&counter("tieline_calls_total")?),
            notes: counter("tieline_fidelity_notes_total")?,
            unmapped: Unmapped::default(),
            ignored: counter("tieline_ignored_parameters_total")?,
            near_misses: counter("tieline_near_misses_total")?,
            wrong_keys,
            untranslated: counter("tieline_untranslated_total")?,
            filters: counter("tieline_filters_used_total")?,
            brownouts: Brownouts::new(counter, gauge)?,
            upstream_requests: counter("tieline_upstream_requests_total")?,
            lists,
            answers: counter("tieline_answers_total")?,
            lookups: counter("tieline_lookups_total")?,
            no_more_repeats,
            dns_failures,
            new_fields,
            losses: counter("tieline_field_losses_total")?,
            callers: gauge("tieline_callers")?,
            refused: gauge("tieline_caller_key_refused")?,
            roster: gauge("tieline_roster_users")?,
            breakers: gauge("tieline_breaker_state")?,
            shed,
            queue: gauge("tieline_queue_depth")?,
            overload: gauge("tieline_overload_level")?,
            reloads,
            certificate: gauge("tieline_cert_not_after_seconds")?,
            panics: counter("tieline_panics_total")?,
            log_lost: counter("tieline_log_dropped_total")?,
            resident: gauge("tieline_process_resident_bytes")?,
            open_files: gauge("tieline_process_open_files")?,
            connections,
            rejected,
            accept_errors,
            shadow: shadow::Shadow::new(counter)?,
            replicas: Replicas::new(counter, gauge)?,
            nobody: Tally::new(NOBODY),
            endpoints: tally::shared(),
            caller_names: bound::callers(),
            upstream_names: bound::upstreams(),
            scrape: Mutex::default(),
            seconds,
            registry,
        })))
    }

    pub(crate) fn request(&self, account: &Account, status: u16, took: Duration) {
        let counters = &*self.0;
        let endpoint = account.endpoint.unwrap_or("none");
        let place = tally::place(endpoint);
        let tally = account.caller.as_deref().unwrap_or(&counters.nobody);
        match tally.requests(place, status) {
            Some(kept) => kept.get_or_init(|| counters.requests_of(tally, endpoint, status)).inc(),
            None => counters.requests_of(tally, endpoint, status).inc(),
        }
        if let Some(shared) = counters.endpoints.get(place) {
            let seconds =
                shared.seconds.get_or_init(|| counters.seconds.with_label_values(&[endpoint]));
            seconds.observe(took.as_secs_f64());
            if account.rows > 0 {
                let rows = shared.rows.get_or_init(|| counters.rows.with_label_values(&[endpoint]));
                rows.inc_by(account.rows);
            }
        }
        if let Some(slug) = account.error {
            counters.errors.with_label_values(&[slug]).inc();
            if slug == brownouts::SLUG {
                let caller = counters.caller(tally, ["brownouts", endpoint, ""]);
                counters.brownouts.answered(caller, endpoint);
            }
        }
        self.notes(endpoint, &account.story.notes);
        if !account.ignored.is_empty() {
            let ignored = account.ignored.len() as u64;
            counters.ignored.with_label_values(&[endpoint]).inc_by(ignored);
        }
        for miss in &account.near_misses {
            tally.near_miss(*miss);
            counters.near_misses_of(tally, *miss).inc();
        }
        if let Some(place) = account.untranslated {
            tally.untranslated(place);
            counters.untranslated_of(tally, place, endpoint).inc();
        }
        for filter in &account.filters {
            if let Some(kept) = tally.filter(place, filter) {
                kept.get_or_init(|| counters.filters_of(tally, endpoint, filter)).inc();
            }
        }
    }

    fn notes(&self, endpoint: &str, notes: &Notes) {
        for (note, count) in notes.iter().filter(|(_, count)| *count > 0) {
            self.0.notes.with_label_values(&[endpoint, note]).inc_by(count);
        }
    }

    /// The names behind some of these notes, for the console. They are no labels: there may be many.
    pub(crate) fn unmapped(&self) -> &Unmapped {
        &self.0.unmapped
    }

    /// Counts what the ledger says about every answer with records.
    pub(crate) fn answered(
        &self,
        endpoint: &'static Endpoint,
        dialect: &'static dyn Dialect,
        tally: &Tally,
    ) {
        let Some(kept) = tally.losses(tally::place(endpoint.name())) else { return };
        let found = || {
            let is_lossy = |status| !matches!(status, Status::Exact | Status::Renamed);
            let lossy = ledger::of(endpoint, dialect).filter(|loss| is_lossy(loss.status));
            lossy
                .map(|loss| self.0.losses_of(tally, loss.endpoint, loss.dialect, loss.status))
                .collect()
        };
        let losses =
            kept.get_or_init(|| tally::Losses { dialect: dialect.name(), counters: found() });
        if losses.dialect == dialect.name() {
            losses.counters.iter().for_each(IntCounter::inc);
        } else {
            let others: Vec<IntCounter> = found();
            others.iter().for_each(IntCounter::inc);
        }
    }

    /// An attempt has ended: with a status, or the slug of what went wrong.
    pub(crate) fn attempt(&self, attempts: &Attempts, outcome: &str) {
        let counter = || {
            let outcome = outcome_of(outcome);
            let upstream = self.0.upstream_names.admit(&attempts.upstream, outcome);
            self.0.upstream_requests.with_label_values(&[upstream, outcome])
        };
        match outcome {
            "200" => attempts.good.get_or_init(counter).inc(),
            _ => counter().inc(),
        }
    }

    /// The server rejected a connection, or what came on it.
    pub(crate) fn connection_rejected(&self, why: &str) {
        self.0.rejected.with_label_values(&[why]).inc();
    }

    /// The system gave the server no connection.
    pub(crate) fn accept_failed(&self, errno: &str) {
        self.0.accept_errors.with_label_values(&[errno]).inc();
    }

    /// A client's connection began, or ended.
    pub(crate) fn connection(&self, has_begun: bool) {
        let change = if has_begun { 1 } else { -1 };
        self.0.connections.add(change);
    }

    /// A request was not let in.
    pub(crate) fn shed(&self, why: Shed) {
        self.0.shed.with_label_values(&[why.as_str()]).inc();
    }

    /// A wrong key was answered.
    pub(crate) fn wrong_key(&self, delay: Delay) {
        self.0.wrong_keys.with_label_values(&[delay.as_str()]).inc();
    }

    /// Another configuration came.
    pub(crate) fn reloaded(&self, is_applied: bool) {
        let [applied, refused] = RELOADS;
        self.0.reloads.with_label_values(&[if is_applied { applied } else { refused }]).inc();
    }

    /// Where an answer came from.
    pub(crate) fn answer(&self, source: Source) {
        self.0.answers.with_label_values(&[source.as_str()]).inc();
    }

    /// A reading of what is joined to user rows begins.
    pub(crate) fn related(&self) {
        self.0.lookups.with_label_values(&["related"]).inc();
    }

    /// What was seen could not be remembered.
    pub(crate) fn roster_failed(&self) {
        self.0.errors.with_label_values(&["roster_failed"]).inc();
    }

    /// An attempt is not repeated because the caller, or the upstream, has had its share of repeats.
    pub(crate) fn no_more_repeats(&self, whose: &'static str) {
        self.0.no_more_repeats.with_label_values(&[whose]).inc();
    }

    /// A name could not be looked up.
    pub(crate) fn dns_failed(&self, failure: LookupFailure) {
        let kind = match failure {
            LookupFailure::Failed => "failed",
            LookupFailure::Refused => "refused",
            LookupFailure::Silent => "silent",
        };
        self.0.dns_failures.with_label_values(&[kind]).inc();
    }

    /// Fields of a listing that no documentation has.
    pub(crate) fn new_fields(&self, listing: &str, fields: usize) {
        self.0.new_fields.with_label_values(&[listing]).inc_by(fields as u64);
    }

    pub(crate) fn lookup(&self, outcome: &str) {
        self.0.lookups.with_label_values(&[outcome]).inc();
    }

    /// What is counted of the other side.
    pub(crate) fn shadow(&self) -> &shadow::Shadow {
        &self.0.shadow
    }

    /// Prometheus text format.
    pub(crate) fn text(&self, snapshot: &Snapshot) -> Vec<u8> {
        let counters = &*self.0;
        let _one_at_a_time = counters.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        counters.look_at(snapshot);
        let mut text = Vec::new();
        // Only fails for a family without metrics, which the registry leaves out itself.
        let _ = TextEncoder::new().encode(&counters.registry.gather(), &mut text);
        text
    }
}

impl Counters {
    /// The caller's name, as far as the bound allows one more series with it.
    fn caller<'a>(&self, tally: &'a Tally, labels: [&str; 3]) -> &'a str {
        match tally.name() {
            NOBODY => NOBODY,
            name => self.caller_names.admit(name, labels),
        }
    }

    fn requests_of(&self, tally: &Tally, endpoint: &str, status: u16) -> IntCounter {
        let status = status.to_string();
        let caller = self.caller(tally, ["requests", endpoint, &status]);
        self.requests.with_label_values(&[endpoint, status.as_str(), caller])
    }

    fn filters_of(&self, tally: &Tally, endpoint: &str, filter: &str) -> IntCounter {
        let caller = self.caller(tally, ["filters", endpoint, filter]);
        self.filters.with_label_values(&[caller, endpoint, filter])
    }

    fn near_misses_of(&self, tally: &Tally, miss: NearMiss) -> IntCounter {
        let caller = self.caller(tally, ["near_misses", "", miss.as_str()]);
        self.near_misses.with_label_values(&[caller, miss.as_str()])
    }

    fn untranslated_of(&self, tally: &Tally, place: usize, endpoint: &str) -> IntCounter {
        let path = UNTRANSLATED.get(place).unwrap_or(&bound::OTHER);
        let caller = self.caller(tally, ["untranslated", path, endpoint]);
        self.untranslated.with_label_values(&[caller, path, endpoint])
    }

    fn losses_of(
        &self,
        tally: &Tally,
        endpoint: &str,
        dialect: &str,
        status: Status,
    ) -> IntCounter {
        let status = status.as_str();
        let caller = self.caller(tally, ["losses", endpoint, status]);
        self.losses.with_label_values(&[caller, endpoint, dialect, status])
    }
}

#[cfg(test)]
mod tests;
