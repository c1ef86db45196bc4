//! Sends finished spans to a collector in batches, as OTLP over HTTP with bodies of JSON.
//!
//! Must never make a request wait: a span for which the queue has no room is dropped, and so is a
//! batch that the collector does not take. The log tells once when that begins and once when it ends.

mod collector;
mod message;
mod variables;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gateway::spans::{Span, Spans};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use collector::{Collector, Trouble};
use message::Resource;
use variables::Variables;

/// How many spans wait at most; further ones are dropped.
const QUEUE_MAX: usize = 2048;
/// How many spans a request has at most.
const BATCH_MAX: usize = 512;
/// How often spans go out. They do not wait so long once there are enough for a whole batch.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long the last spans may take to go out when the process ends.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(500);
/// Where collectors usually take OTLP over gRPC, and where they take it over HTTP.
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

/// The way to a collector.
#[derive(Debug)]
pub(crate) struct Otlp {
    queue: Arc<Queue>,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Otlp {
    /// Must be called within the runtime. Connects when the first spans go out, and again whenever
    /// the collector has been away.
    pub(crate) fn new(collector: &settings::Collector) -> Arc<Otlp> {
        if collector.url.port_u16() == Some(GRPC_PORT) {
            tracing::warn!(
                "traces.otlp_endpoint: port {GRPC_PORT} usually takes OTLP over gRPC; spans are \
                 sent over HTTP, which collectors usually take on port {HTTP_PORT}"
            );
        }
        let variables = Variables::read(|name| std::env::var(name).ok());
        let queue = Arc::<Queue>::default();
        let (stop, stopped) = (CancellationToken::new(), CancellationToken::new());
        let exporter = Exporter {
            queue: Arc::clone(&queue),
            resource: Resource::new(&variables.resource),
            collector: Collector::new(collector, variables),
            lost: 0,
            is_failing: false,
        };
        let (until, done) = (stop.clone(), stopped.clone().drop_guard());
        tokio::spawn(async move {
            exporter.run(until).await;
            drop(done);
        });
        Arc::new(Otlp { queue, stop, stopped })
    }

    /// Sends what is left, for a moment. Spans are no reason to end later, or with another exit code.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        if timeout(SHUTDOWN_WAIT, self.stopped.cancelled()).await.is_err() {
            tracing::info!("the last spans did not go out in time and are lost");
        }
    }
}

impl Spans for Otlp {
    fn ended(&self, span: Span) {
        self.queue.put(span);
    }
}

/// Spans on their way from requests to the exporter.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Told while there are spans for a whole batch.
    has_batch: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    spans: VecDeque<Span>,
    /// Spans for which there was no room, until the exporter has counted them.
    turned_away: usize,
}

impl Queue {
    fn put(&self, span: Span) {
        let mut waiting = self.waiting();
        if waiting.spans.len() >= QUEUE_MAX {
            waiting.turned_away += 1;
            return;
        }
        waiting.spans.push_back(span);
        let has_batch = waiting.spans.len() >= BATCH_MAX;
        drop(waiting);
        if has_batch {
            self.has_batch.notify_one();
        }
    }

    fn len(&self) -> usize {
        self.waiting().spans.len()
    }

    /// The oldest spans.
    fn take(&self, most: usize) -> Vec<Span> {
        let mut waiting = self.waiting();
        let count = waiting.spans.len().min(most);
        waiting.spans.drain(..count).collect()
    }

    /// How many spans were turned away since the last time.
    fn turned_away(&self) -> usize {
        std::mem::take(&mut self.waiting().turned_away)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empties the queue, in a task of its own.
#[derive(Debug)]
struct Exporter {
    queue: Arc<Queue>,
    resource: Resource,
    collector: Collector,
    /// How many spans were dropped since all was well.
    lost: usize,
    is_failing: bool,
}

impl Exporter {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.queue.has_batch.notified() => {}
                () = sleep(INTERVAL) => {}
                () = stop.cancelled() => {}
            }
            let is_last = stop.is_cancelled();
            // What comes meanwhile has time until the next round, so that batches get full.
            let mut due = self.queue.len();
            while due > 0 {
                let spans = self.queue.take(due.min(BATCH_MAX));
                due -= spans.len().max(1);
                self.send(spans).await;
            }
            if is_last {
                return;
            }
        }
    }

    async fn send(&mut self, spans: Vec<Span>) {
        let delivered = self.collector.deliver(message::export(&self.resource, &spans)).await;
        let turned_away = self.queue.turned_away();
        let trouble = match delivered {
            Ok(()) if turned_away > 0 => Some(Trouble::Slow),
            Ok(()) => None,
            Err(trouble) => {
                self.lost += spans.len();
                Some(trouble)
            }
        };
        self.lost += turned_away;
        match trouble {
            Some(why) if !self.is_failing => {
                self.is_failing = true;
                tracing::warn!(%why, "spans are dropped: the collector does not take them");
            }
            // Not while a queue that was full is being emptied: it may be full again at once.
            None if self.is_failing && self.queue.len() < BATCH_MAX => {
                self.is_failing = false;
                let dropped = std::mem::take(&mut self.lost);
                tracing::info!(
                    dropped,
                    "no more spans are dropped: the collector takes them again"
                );
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use gateway::spans::Kind;

    use super::*;

    fn span(id: u64) -> Span {
        Span {
            trace: 1,
            id,
            parent: None,
            kind: Kind::Server,
            name: String::new(),
            began: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH,
            attributes: Vec::new(),
            is_error: false,
        }
    }

    #[test]
    fn a_full_queue_keeps_what_it_has_and_counts_what_it_turns_away() {
        let queue = Queue::default();
        for id in 1..=QUEUE_MAX as u64 + 7 {
            queue.put(span(id));
        }
        assert_eq!((queue.len(), queue.turned_away(), queue.turned_away()), (QUEUE_MAX, 7, 0));
        let batch = queue.take(BATCH_MAX);
        assert_eq!((batch.len(), batch[0].id, batch[BATCH_MAX - 1].id), (BATCH_MAX, 1, 512));
        queue.put(span(9999));
        assert_eq!((queue.len(), queue.turned_away()), (QUEUE_MAX - BATCH_MAX + 1, 0));
    }

    #[tokio::test]
    async fn a_whole_batch_is_announced_at_once_and_a_smaller_one_is_not() {
        let queue = Queue::default();
        let batch_is_announced = || timeout(Duration::ZERO, queue.has_batch.notified());
        for id in 1..BATCH_MAX as u64 {
            queue.put(span(id));
        }
        assert!(batch_is_announced().await.is_err());
        queue.put(span(9999));
        assert!(batch_is_announced().await.is_ok());
    }
}
