//! Every metric there is: one table, from which they are made and to which pages and dashboards are
//! held.

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name; a histogram's series have `_bucket`, `_sum` and `_count` behind it.
    pub name: &'static str,
    /// What it counts or shows.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// A sentence about it.
    pub help: &'static str,
}

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Counts of values by size.
    Histogram,
}

const fn row(
    name: &'static str,
    kind: Kind,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, help }
}

/// The table.
pub const METRICS: &[Metric] = &[
    row(
        "tieline_requests_total",
        Kind::Counter,
        &["endpoint", "status", "caller"],
        "Requests answered.",
    ),
    row("tieline_request_seconds", Kind::Histogram, &["endpoint"], "Time from request to answer."),
    row("tieline_errors_total", Kind::Counter, &["slug"], "Errors by slug."),
    row("tieline_rows_total", Kind::Counter, &["endpoint"], "Legacy records answered."),
    row(
        "tieline_answers_total",
        Kind::Counter,
        &["source"],
        "Lists answered, by where they came from: read, shared, hit, stale.",
    ),
    row(
        "tieline_calls_total",
        Kind::Counter,
        &["outcome"],
        "Calls that callers wanted placed: placed, placed_without_id, not_placed, unknown.",
    ),
    row(
        "tieline_fidelity_notes_total",
        Kind::Counter,
        &["endpoint", "note"],
        "Values that could only be shown imperfectly, by kind.",
    ),
    row(
        "tieline_ignored_parameters_total",
        Kind::Counter,
        &["endpoint"],
        "Empty or unknown parameters.",
    ),
    row(
        "tieline_near_misses_total",
        Kind::Counter,
        &["caller", "kind"],
        "Ignored parameters that look like a filter, by how they miss it: case, brackets, spelling.",
    ),
    row(
        "tieline_wrong_keys_total",
        Kind::Counter,
        &["answer"],
        "Requests with a key that is no caller's, by how they were answered: at_once, delayed, no_room.",
    ),
    row(
        "tieline_untranslated_total",
        Kind::Counter,
        &["caller", "path", "endpoint"],
        "Requests for documented legacy paths that are not translated.",
    ),
    row(
        "tieline_filters_used_total",
        Kind::Counter,
        &["caller", "endpoint", "filter"],
        "Requests that filtered, by what.",
    ),
    row(
        "tieline_brownout_answers_total",
        Kind::Counter,
        &["caller", "endpoint"],
        "Requests that were answered with 503 in a brownout.",
    ),
    row(
        "tieline_brownout_start_seconds",
        Kind::Gauge,
        &["endpoint"],
        "When the brownout that is on began, or the next one begins, in seconds since 1970.",
    ),
    row(
        "tieline_brownout_end_seconds",
        Kind::Gauge,
        &["endpoint"],
        "When that brownout ends, in seconds since 1970.",
    ),
    row(
        "tieline_field_losses_total",
        Kind::Counter,
        &["caller", "endpoint", "dialect", "status"],
        "Answers with records, times fields that are not exact or renamed.",
    ),
    row(
        "tieline_upstream_requests_total",
        Kind::Counter,
        &["upstream", "outcome"],
        "Attempts sent upstream, by outcome.",
    ),
    row(
        "tieline_list_events_total",
        Kind::Counter,
        &["event"],
        "Pages read, pages that had not changed, seams repaired, lists read again, counts that were wrong.",
    ),
    row(
        "tieline_lookups_total",
        Kind::Counter,
        &["outcome"],
        "Group look-ups by outcome, and readings of what is joined to rows.",
    ),
    row(
        "tieline_retry_budget_exhausted_total",
        Kind::Counter,
        &["budget"],
        "Attempts that were not repeated, by whose budget for repeats had an end.",
    ),
    row(
        "tieline_dns_failures_total",
        Kind::Counter,
        &["kind"],
        "Look-ups of upstreams' names that gave no address: failed, refused, silent.",
    ),
    row(
        "tieline_breaker_state",
        Kind::Gauge,
        &["upstream"],
        "0 while an upstream is asked, 1 while one request tries, 2 while it is left alone.",
    ),
    row(
        "tieline_schema_new_fields_total",
        Kind::Counter,
        &["listing"],
        "Fields in an upstream's rows that are not documented, counted once an hour.",
    ),
    row(
        "tieline_callers",
        Kind::Gauge,
        &["upstream_key"],
        "Callers, by what the upstream last said to their key.",
    ),
    row(
        "tieline_caller_key_refused",
        Kind::Gauge,
        &["caller", "upstream_key"],
        "Callers whose key the upstream refuses.",
    ),
    row("tieline_connections", Kind::Gauge, &[], "Connections of clients now."),
    row(
        "tieline_conn_rejected_total",
        Kind::Counter,
        &["why"],
        "Connections rejected, or what came on them, by reason.",
    ),
    row(
        "tieline_accept_errors_total",
        Kind::Counter,
        &["errno"],
        "Connections that the system did not give, by its error.",
    ),
    row("tieline_roster_users", Kind::Gauge, &["state"], "Users in the roster, by state."),
    row(
        "tieline_shed_total",
        Kind::Counter,
        &["why"],
        "Requests not let in: memory, queue_full, queue_wait, tenant.",
    ),
    row("tieline_queue_depth", Kind::Gauge, &[], "Requests that wait for a place."),
    row(
        "tieline_overload_level",
        Kind::Gauge,
        &[],
        "How little memory is left: 0 enough, 1 tight, 2 nothing new.",
    ),
    row(
        "tieline_config_reload_total",
        Kind::Counter,
        &["result"],
        "Configurations that came while it ran: applied, refused.",
    ),
    row(
        "tieline_cert_not_after_seconds",
        Kind::Gauge,
        &[],
        "When the certificate that is shown ends, in seconds since 1970; 0 without one.",
    ),
    row(
        "tieline_shadow_total",
        Kind::Counter,
        &["endpoint", "outcome"],
        "Answers compared with the other side's: equal, explained, different, failed.",
    ),
    row(
        "tieline_shadow_differences_total",
        Kind::Counter,
        &["endpoint", "cause"],
        "What differed between the two sides, by cause.",
    ),
    row(
        "tieline_shadow_dropped_total",
        Kind::Counter,
        &["why"],
        "Answers of the sample that were not compared: busy, memory, paused, queue_full, timeout, too_large.",
    ),
    row(
        "tieline_control_requests_total",
        Kind::Counter,
        &["outcome"],
        "Requests sent to control, by how they ended.",
    ),
    row(
        "tieline_control_answers_total",
        Kind::Counter,
        &["outcome"],
        "Requests that control was to answer, by who did: control, fallback.",
    ),
    row(
        "tieline_commons_errors_total",
        Kind::Counter,
        &["kind"],
        "Failures of the servers that replicas share, by kind.",
    ),
    row(
        "tieline_commons_replicas",
        Kind::Gauge,
        &[],
        "Replicas that share: the highest count of the last five seconds of answers; at first replicas_max.",
    ),
    row(
        "tieline_commons_alone",
        Kind::Gauge,
        &[],
        "1 while this replica shares nothing and keeps to its own share.",
    ),
    row(
        "tieline_commons_configurations",
        Kind::Gauge,
        &[],
        "Different versions and configurations among the replicas.",
    ),
    row("tieline_panics_total", Kind::Counter, &[], "Panics, each a bug."),
    row(
        "tieline_log_dropped_total",
        Kind::Counter,
        &[],
        "Log lines lost because nobody took them.",
    ),
    row("tieline_build_info", Kind::Gauge, &["version"], "1, with the version that runs."),
    row(
        "tieline_process_start_time_seconds",
        Kind::Gauge,
        &[],
        "When the gateway started, in seconds since 1970.",
    ),
    row("tieline_process_resident_bytes", Kind::Gauge, &[], "Memory in use."),
    row("tieline_process_open_files", Kind::Gauge, &[], "Open files and sockets."),
];
