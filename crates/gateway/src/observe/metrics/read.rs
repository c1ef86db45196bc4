//! The counters as the console reads them, so that its numbers are those of the metrics. Must never count
//! anything itself.

use prometheus::proto::{Metric, MetricFamily};

use super::Metrics;

/// All counters at one moment.
#[derive(Debug)]
pub(crate) struct Counted(Vec<MetricFamily>);

/// One series of a counter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series<'a>(&'a Metric);

impl Metrics {
    /// What was counted until now. Gauges are those of the last scrape.
    pub(crate) fn counted(&self) -> Counted {
        Counted(self.0.registry.gather())
    }

    /// Connections of clients now.
    pub(crate) fn connections_now(&self) -> i64 {
        self.0.connections.get()
    }
}

impl Counted {
    /// The series of a metric.
    pub(crate) fn series(&self, name: &str) -> impl Iterator<Item = Series<'_>> {
        let family = self.0.iter().find(move |family| family.name() == name);
        family.into_iter().flat_map(|family| family.get_metric()).map(Series)
    }

    /// All series of a metric together.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        self.series(name).map(|series| series.count()).sum()
    }
}

impl<'a> Series<'a> {
    /// The value of a label; empty where there is no such label.
    pub(crate) fn label(&self, name: &str) -> &'a str {
        let label = self.0.get_label().iter().find(|label| label.name() == name);
        label.map_or("", |label| label.value())
    }

    /// What it has counted.
    pub(crate) fn count(&self) -> u64 {
        self.0.get_counter().get_value() as u64
    }

    /// Of a histogram: the bound, in seconds, below which that part of all values lie; `None` where that is
    /// beyond the last one, or where there are no values.
    pub(crate) fn within(&self, part: f64) -> Option<f64> {
        let histogram = self.0.get_histogram();
        let wanted = (part * histogram.get_sample_count() as f64).ceil();
        let mut buckets = histogram.get_bucket().iter().filter(|_| wanted > 0.0);
        let found = buckets.find(|bucket| bucket.cumulative_count() as f64 >= wanted);
        found.map(|bucket| bucket.upper_bound()).filter(|bound| bound.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::account::Account;

    #[test]
    fn what_is_read_is_what_was_counted() {
        let metrics = Metrics::new().unwrap();
        for millis in [1, 20, 20, 20, 20, 20, 20, 20, 20, 400] {
            let account = Account { endpoint: Some("v1_users"), ..Account::default() };
            metrics.request(&account, 200, Duration::from_millis(millis));
        }
        let counted = metrics.counted();
        assert_eq!(counted.sum("tieline_requests_total"), 10);
        let series = counted.series("tieline_requests_total").next().unwrap();
        assert_eq!((series.label("status"), series.label("none"), series.count()), ("200", "", 10));
        let seconds = counted.series("tieline_request_seconds").next().unwrap();
        assert_eq!((seconds.within(0.5), seconds.within(0.95)), (Some(0.025), Some(0.5)));
        assert_eq!(counted.series("tieline_no_such").count(), 0);
        metrics.request(&Account::default(), 504, Duration::from_secs(60));
        let counted = metrics.counted();
        let mut slow = counted.series("tieline_request_seconds");
        let slow = slow.find(|series| series.label("endpoint") == "none").unwrap();
        assert_eq!(slow.within(0.5), None);
    }
}
