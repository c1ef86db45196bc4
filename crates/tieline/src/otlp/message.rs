//! Spans as the JSON of OTLP, `ExportTraceServiceRequest`: keys in lowerCamelCase, ids in hex, 64-bit
//! integers as decimal text, enums as numbers, and nothing where a value is the default.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use domain::hex;
use gateway::spans::{Kind, Span, Value};
use serde::Serialize;

const NAME: &str = "tieline";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT`.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// Only recorded requests have spans: the flag `sampled` of W3C Trace Context.
const SAMPLED: u32 = 0x01;
/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` and `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK`.
const HAS_IS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// Who sends the spans.
#[derive(Debug, Serialize)]
pub(super) struct Resource {
    attributes: Vec<KeyValue<'static>>,
}

impl Resource {
    /// The attributes given, and above them those that are known here for certain.
    pub(super) fn new(given: &[(String, String)]) -> Resource {
        let own = [
            ("service.version", VERSION),
            // Not `opentelemetry`: that name is reserved for its own kits.
            ("telemetry.sdk.name", NAME),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", VERSION),
        ];
        let given = given.iter().filter(|(key, _)| own.iter().all(|(known, _)| known != key));
        let given = given.map(|(key, value)| (key.clone().into(), value.clone().into()));
        let own = own.map(|(key, value)| (key.into(), value.into()));
        let attribute = |(key, value)| KeyValue { key, value: AnyValue::StringValue(value) };
        Resource { attributes: given.chain(own).map(attribute).collect() }
    }
}

/// The body of a request with these spans.
pub(super) fn export(resource: &Resource, spans: &[Span]) -> Bytes {
    let scope = Scope { name: NAME, version: VERSION };
    let scope_spans = [ScopeSpans { scope, spans: spans.iter().map(written).collect() }];
    let message = Export { resource_spans: [ResourceSpans { resource, scope_spans }] };
    // Text, numbers and lists: none of it can fail.
    serde_json::to_vec(&message).unwrap_or_default().into()
}

fn written(span: &Span) -> SpanMessage<'_> {
    let is_remote = span.parent.is_some_and(|parent| parent.is_remote);
    SpanMessage {
        trace_id: hex::of(&span.trace.to_be_bytes()),
        span_id: hex::of(&span.id.to_be_bytes()),
        parent_span_id: span.parent.map(|parent| hex::of(&parent.id.to_be_bytes())),
        flags: SAMPLED | HAS_IS_REMOTE | if is_remote { IS_REMOTE } else { 0 },
        name: &span.name,
        kind: match span.kind {
            Kind::Server => SERVER,
            Kind::Client => CLIENT,
        },
        start_time_unix_nano: nanoseconds(span.began),
        end_time_unix_nano: nanoseconds(span.ended),
        attributes: span.attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        status: span.is_error.then_some(Status { code: ERROR }),
    }
}

fn attribute<'a>(key: &'static str, value: &'a Value) -> KeyValue<'a> {
    let value = match value {
        Value::Text(text) => AnyValue::StringValue(text.as_str().into()),
        Value::Number(number) => AnyValue::IntValue(number.to_string()),
    };
    KeyValue { key: key.into(), value }
}

/// Since 1970, as text; a clock before that counts as 1970.
fn nanoseconds(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).to_string()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: &'a Resource,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<SpanMessage<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanMessage<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    flags: u32,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
struct Status {
    code: u8,
}

#[derive(Debug, Serialize)]
struct KeyValue<'a> {
    key: Cow<'a, str>,
    value: AnyValue<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue<'a> {
    StringValue(Cow<'a, str>),
    IntValue(String),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway::spans::Parent;

    use super::*;

    #[test]
    fn a_span_is_written_as_the_specification_has_it() {
        let began = SystemTime::UNIX_EPOCH + Duration::new(1_544_712_660, 300_000_001);
        let child = Span {
            trace: 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c,
            id: 0x00ee_19b7_ec3c_1b17,
            parent: Some(Parent { id: 0xeee1_9b7e_c3c1_b174, is_remote: true }),
            kind: Kind::Server,
            name: "GET \"v1_users\"".to_owned(),
            began,
            ended: began + Duration::from_nanos(17),
            attributes: vec![
                ("tieline.caller", Value::Text("crm".to_owned())),
                ("tieline.rows", Value::Number(i64::MAX)),
            ],
            is_error: true,
        };
        let root = Span {
            parent: None,
            id: 1,
            kind: Kind::Client,
            attributes: Vec::new(),
            is_error: false,
            began: SystemTime::UNIX_EPOCH - Duration::from_secs(1),
            ..child.clone()
        };
        let local = Span { parent: Some(Parent { id: 1, is_remote: false }), ..root.clone() };
        let body = export(&Resource { attributes: Vec::new() }, &[child, root, local]);
        let expected = concat!(
            r#"{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[{"#,
            r#""scope":{"name":"tieline","version":""#,
            env!("CARGO_PKG_VERSION"),
            r#""},"spans":["#,
            r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"00ee19b7ec3c1b17","#,
            r#""parentSpanId":"eee19b7ec3c1b174","flags":769,"name":"GET \"v1_users\"","kind":2,"#,
            r#""startTimeUnixNano":"1544712660300000001","endTimeUnixNano":"1544712660300000018","#,
            r#""attributes":[{"key":"tieline.caller","value":{"stringValue":"crm"}},"#,
            r#"{"key":"tieline.rows","value":{"intValue":"9223372036854775807"}}],"#,
            r#""status":{"code":2}},"#,
            r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"0000000000000001","#,
            r#""flags":257,"name":"GET \"v1_users\"","kind":3,"startTimeUnixNano":"0","#,
            r#""endTimeUnixNano":"1544712660300000018","attributes":[]},"#,
            r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"0000000000000001","#,
            r#""parentSpanId":"0000000000000001","#,
            r#""flags":257,"name":"GET \"v1_users\"","kind":3,"startTimeUnixNano":"0","#,
            r#""endTimeUnixNano":"1544712660300000018","attributes":[]}]}]}]}"#,
        );
        assert_eq!(String::from_utf8(body.to_vec()).unwrap(), expected);
    }

    #[test]
    fn what_is_known_for_certain_goes_before_what_is_given() {
        let given = [("service.name", "tieline"), ("telemetry.sdk.name", "opentelemetry")];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let resource = serde_json::to_value(Resource::new(&given)).unwrap();
        let attributes: Vec<(&str, &str)> = resource["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                (one["key"].as_str().unwrap(), one["value"]["stringValue"].as_str().unwrap())
            })
            .collect();
        let expected = [
            ("service.name", "tieline"),
            ("service.version", VERSION),
            ("telemetry.sdk.name", "tieline"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", VERSION),
        ];
        assert_eq!(attributes, expected);
    }
}
