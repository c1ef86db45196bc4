//! Finished spans to a collector, in batches, as OTLP over gRPC. Never waits for the collector: what does
//! not fit its queue, or cannot be delivered, is dropped.

use std::sync::Arc;
use std::time::Duration;

use gateway::spans::{Kind, Span, Spans, Value};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};

use crate::failure::Failure;

/// How long the last spans may take to go out when the process ends.
const SHUTDOWN_WAIT: Duration = Duration::from_millis(500);
/// How often spans go out.
const INTERVAL: Duration = Duration::from_secs(1);

/// The way to a collector.
#[derive(Debug)]
pub(crate) struct Otlp {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
}

impl Otlp {
    /// Must be called within the runtime. Connects when the first spans go out, and again whenever
    /// the collector has been away.
    pub(crate) fn new(endpoint: &str) -> Result<Arc<Otlp>, Failure> {
        let exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).build();
        let exporter = exporter.map_err(|error| {
            Failure::configuration(format_args!("traces.otlp_endpoint: {error}"))
        })?;
        let version = env!("CARGO_PKG_VERSION");
        let config = BatchConfigBuilder::default().with_scheduled_delay(INTERVAL).build();
        let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        // The standard's variables count: OTEL_RESOURCE_ATTRIBUTES is read by the builder.
        let service = std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "tieline".to_owned());
        let resource = Resource::builder()
            .with_service_name(service)
            .with_attribute(KeyValue::new("service.version", version))
            .build();
        processor.set_resource(&resource);
        let scope = InstrumentationScope::builder("tieline").with_version(version).build();
        Ok(Arc::new(Otlp { processor, scope }))
    }

    /// Sends what is left, for a moment.
    pub(crate) async fn shutdown(self: Arc<Self>) {
        let flush = tokio::task::spawn_blocking(move || {
            self.processor.shutdown_with_timeout(SHUTDOWN_WAIT)
        });
        // Spans are no reason to end later, or with another exit code.
        let _ = tokio::time::timeout(SHUTDOWN_WAIT, flush).await;
    }
}

impl Spans for Otlp {
    fn ended(&self, span: Span) {
        let id = |id: u64| SpanId::from_bytes(id.to_be_bytes());
        let attributes = span.attributes.into_iter().map(|(name, value)| match value {
            Value::Text(text) => KeyValue::new(name, text),
            Value::Number(number) => KeyValue::new(name, number),
        });
        self.processor.on_end(SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(span.trace.to_be_bytes()),
                id(span.id),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: span.parent.map_or(SpanId::INVALID, |parent| id(parent.id)),
            parent_span_is_remote: span.parent.is_some_and(|parent| parent.is_remote),
            span_kind: match span.kind {
                Kind::Server => SpanKind::Server,
                Kind::Client => SpanKind::Client,
            },
            name: span.name.into(),
            start_time: span.began,
            end_time: span.ended,
            attributes: attributes.collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match span.is_error {
                true => Status::error(""),
                false => Status::Unset,
            },
            instrumentation_scope: self.scope.clone(),
        });
    }
}
