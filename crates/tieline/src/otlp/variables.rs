//! The environment variables of the OpenTelemetry specification that count here. Must never put a
//! value or a name of a header into the log: they are secrets.

use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use percent_encoding::percent_decode_str;

/// How long the collector may take for a request where no variable says so.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Headers that say how a request is to be read; no variable may change them.
const OWN_HEADERS: [HeaderName; 9] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What the variables say.
pub(super) struct Variables {
    /// How long the collector may take for a request.
    pub(super) timeout: Duration,
    /// All headers of a request but those of its framing.
    pub(super) headers: HeaderMap,
    /// Attributes of the resource, with the service's name among them.
    pub(super) resource: Vec<(String, String)>,
}

impl Variables {
    /// What cannot be used is told in the log and counts as not there.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Variables {
        let set = |name: &str| variable(name).filter(|text| !text.is_empty());
        // A variable for traces alone goes before the one for all signals.
        let either = |name: &str| {
            let names =
                [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
            names.into_iter().find_map(|name| Some((set(&name)?, name)))
        };
        if let Some((_, name)) = either("COMPRESSION").filter(|(text, _)| text != "none") {
            tracing::warn!("{name}: spans are sent without compression");
        }
        let timeout = either("TIMEOUT").and_then(|(text, name)| {
            let timeout = text.trim().parse().ok().filter(|milliseconds| *milliseconds > 0);
            if timeout.is_none() {
                tracing::warn!("{name}: not a number of milliseconds; it is ignored");
            }
            timeout.map(Duration::from_millis)
        });
        Variables {
            timeout: timeout.unwrap_or(TIMEOUT),
            headers: either("HEADERS")
                .map_or_else(HeaderMap::new, |(text, name)| headers(&text, &name)),
            resource: resource(set("OTEL_SERVICE_NAME"), set("OTEL_RESOURCE_ATTRIBUTES")),
        }
    }
}

/// `NAME=VALUE` with commas between, values percent-encoded.
fn headers(text: &str, name: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (place, entry) in text.split(',').enumerate().filter(|(_, entry)| !entry.trim().is_empty())
    {
        match header(entry) {
            Some((name, value)) => _ = headers.append(name, value),
            None => tracing::warn!("{name}: entry {} is not a header that can be sent", place + 1),
        }
    }
    headers
}

fn header(entry: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = entry.split_once('=')?;
    let name = name.trim().parse().ok().filter(|name| !OWN_HEADERS.contains(name))?;
    let value = value.trim();
    let decoded = percent_decode_str(value).decode_utf8();
    let mut value = HeaderValue::from_str(decoded.as_deref().unwrap_or(value)).ok()?;
    value.set_sensitive(true);
    (!value.is_empty()).then_some((name, value))
}

/// `service.name` and the attributes, of which one that comes twice has its last value.
fn resource(service: Option<String>, attributes: Option<String>) -> Vec<(String, String)> {
    let attributes = attributes.map_or_else(|| Some(Vec::new()), |text| pairs(&text));
    let mut resource = attributes.unwrap_or_else(|| {
        tracing::warn!("OTEL_RESOURCE_ATTRIBUTES: not a list of KEY=VALUE; it is ignored");
        Vec::new()
    });
    let is_named = resource.iter().any(|(key, _)| key == "service.name");
    let default = (!is_named).then(|| "tieline".to_owned());
    resource.extend(service.or(default).map(|name| ("service.name".to_owned(), name)));
    let last = |(place, (key, _)): &(usize, &(String, String))| {
        resource[place + 1..].iter().all(|(later, _)| later != key)
    };
    resource.iter().enumerate().filter(last).map(|(_, pair)| pair.clone()).collect()
}

/// Keys and values, both percent-encoded; nothing where one of them is wrong, as the specification
/// has it.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let decoded =
        |text: &str| Some(percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned());
    let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
    let pair = |entry: &str| {
        let (key, value) = entry.split_once('=')?;
        Some((decoded(key).filter(|key| !key.is_empty())?, decoded(value)?))
    };
    entries.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Variables {
        Variables::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    fn resource_of(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        read(variables).resource
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_service_is_named_by_its_variable_then_by_the_attributes_then_by_the_product() {
        let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment=test");
        let expected = owned(&[("deployment.environment", "test"), ("service.name", "b")]);
        assert_eq!(resource_of(&[attributes, ("OTEL_SERVICE_NAME", "b")]), expected);
        let expected = owned(&[("service.name", "a"), ("deployment.environment", "test")]);
        assert_eq!(resource_of(&[attributes, ("OTEL_SERVICE_NAME", "")]), expected);
        assert_eq!(resource_of(&[]), owned(&[("service.name", "tieline")]));
    }

    #[test]
    fn attributes_are_percent_decoded_and_a_list_that_is_wrong_counts_not_at_all() {
        let attributes = |text: &str| resource_of(&[("OTEL_RESOURCE_ATTRIBUTES", text)]);
        let name = ("service.name", "tieline");
        assert_eq!(
            attributes(" a = x%2Cy%3Dz+1 ,b%3D=%C3%A4,c=,a=last,"),
            owned(&[("b=", "\u{e4}"), ("c", ""), ("a", "last"), name])
        );
        for wrong in ["a", "a=1,b", "=1", "a=%FF", "a=1,%FF=2"] {
            assert_eq!(attributes(wrong), owned(&[name]), "{wrong}");
        }
    }

    #[test]
    fn headers_are_those_of_traces_or_else_those_of_all_signals() {
        let all = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=all");
        let own = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key=own");
        assert_eq!(read(&[all]).headers["api-key"], "all");
        assert_eq!(read(&[all, own]).headers["api-key"], "own");
        assert_eq!(read(&[all, (own.0, "")]).headers["api-key"], "all");
        assert!(read(&[all]).headers["api-key"].is_sensitive());
    }

    #[test]
    fn a_header_is_decoded_and_one_that_cannot_be_sent_is_left_out() {
        let headers = |text: &str| read(&[("OTEL_EXPORTER_OTLP_HEADERS", text)]).headers;
        let good = headers(" Authorization = Basic%20dXNlcg== , x-a=1%2C2,x-b=100%zz,x-b=2,,");
        assert_eq!(good.len(), 4);
        assert_eq!(good["authorization"], "Basic dXNlcg==");
        assert_eq!(good["x-a"], "1,2");
        assert_eq!(good.get_all("x-b").iter().collect::<Vec<_>>(), ["100%zz", "2"]);
        for bad in [
            "no-value",
            "a b=1",
            "=1",
            "x=",
            "x=a%0D%0Ab:c",
            "Content-Length=5",
            "content-type=text/plain",
            "host=elsewhere",
            "transfer-encoding=chunked",
        ] {
            assert!(headers(bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn a_timeout_is_a_number_of_milliseconds_or_the_default() {
        let (all, own) = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
        for (variables, milliseconds) in [
            (&[(all, "700")][..], 700),
            (&[(all, "700"), (own, "300")], 300),
            (&[(all, "0")], 10_000),
            (&[(all, "soon")], 10_000),
            (&[], 10_000),
        ] {
            assert_eq!(read(variables).timeout, Duration::from_millis(milliseconds));
        }
    }
}
