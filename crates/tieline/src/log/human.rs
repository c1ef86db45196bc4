//! Lines of the log for people: a request is one short line, and what went wrong is in it. All other events are
//! written as `tracing` writes them. Must never write what the JSON line of the same event would not.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime as UtcTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The target of access lines.
const ACCESS: &str = "gateway::layers::trace";

/// Lines, see the module.
#[derive(Debug)]
pub(super) struct Lines(Format<Full, Clock>);

impl Default for Lines {
    fn default() -> Self {
        Lines(Format::default().with_timer(Clock))
    }
}

/// The time of day, in UTC: `11:31:35`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        let mut whole = String::with_capacity(32);
        UtcTime.format_time(&mut Writer::new(&mut whole))?;
        // As in `2026-01-31T12:00:00.000000Z`.
        to.write_str(whole.get(11..19).ok_or(fmt::Error)?)
    }
}

impl<S> FormatEvent<S, DefaultFields> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    DefaultFields: for<'a> FormatFields<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != ACCESS {
            return self.0.format_event(context, to, event);
        }
        let mut request = Request::default();
        event.record(&mut request);
        Clock.format_time(&mut to)?;
        request.write(&mut to)?;
        if request.has_a_cause() {
            // The id joins this line to the one that says why.
            for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
                if let Some(fields) = span.extensions().get::<FormattedFields<DefaultFields>>() {
                    write!(to, " {}", fields.fields)?;
                }
            }
        }
        to.write_char('\n')
    }
}

/// What a line says of a request.
#[derive(Debug, Default)]
struct Request {
    method: String,
    endpoint: String,
    legacy_path: String,
    caller: String,
    err: String,
    ignored: String,
    client: String,
    status: u64,
    rows: u64,
    bytes: u64,
    ms: f64,
    failed_offset: Option<u64>,
    left_out: Option<u64>,
}

impl Request {
    /// Whether a line before it says why it failed.
    fn has_a_cause(&self) -> bool {
        matches!(self.status, 413 | 429 | 500..) || self.has_broken_off()
    }

    /// Whether a part of it was sent when it failed.
    fn has_broken_off(&self) -> bool {
        self.status < 400 && !self.err.is_empty()
    }

    fn write(&self, to: &mut Writer<'_>) -> fmt::Result {
        let Request { method, endpoint, legacy_path, caller, err, ignored, client, .. } = self;
        let Request { status, rows, bytes, ms, failed_offset, left_out, .. } = self;
        let colour = match status {
            _ if !to.has_ansi_escapes() => None,
            _ if self.has_broken_off() => Some(31),
            ..400 => Some(32),
            400..500 => Some(33),
            _ => Some(31),
        };
        match colour {
            Some(colour) => write!(to, " \u{1b}[{colour}m{status}\u{1b}[0m")?,
            None => write!(to, " {status}")?,
        }
        write!(to, " {caller} {endpoint}")?;
        match endpoint.as_str() {
            "none" | "passthrough" | "openapi" => write!(to, " {method}")?,
            _ if err.is_empty() => write!(to, " {rows} rows")?,
            _ => {}
        }
        if !err.is_empty() {
            write!(to, " {err}")?;
        } else if endpoint == "passthrough" {
            write!(to, " {bytes} bytes")?;
        }
        if !legacy_path.is_empty() {
            write!(to, " {legacy_path}")?;
        }
        if !client.is_empty() {
            write!(to, " client={client}")?;
        }
        if !ignored.is_empty() {
            write!(to, " ignored: {ignored}")?;
        }
        if let Some(offset) = failed_offset {
            write!(to, " failed_offset={offset}")?;
        }
        if let Some(count) = left_out {
            write!(to, " left_out={count}")?;
        }
        match ms {
            ..10.0 => write!(to, " {ms:.1} ms"),
            _ => write!(to, " {ms:.0} ms"),
        }
    }
}

impl Visit for Request {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = match field.name() {
            "method" => &mut self.method,
            "endpoint" => &mut self.endpoint,
            "legacy_path" => &mut self.legacy_path,
            "caller" => &mut self.caller,
            "err" => &mut self.err,
            "ignored" => &mut self.ignored,
            "client" => &mut self.client,
            _ => return,
        };
        // A name that could move the cursor is written as Rust writes it in a source.
        text.extend(value.chars().flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        }));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "status" => self.status = value,
            "rows" => self.rows = value,
            "bytes_out" => self.bytes = value,
            "failed_offset" => self.failed_offset = Some(value),
            "left_out" => self.left_out = Some(value),
            _ => {}
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "ms" {
            self.ms = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Kept;
    use super::*;

    fn lines(log: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(Lines::default())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let text = kept.text();
        text.lines()
            .map(|line| {
                let (time, rest) = line.split_at(8);
                let is_time = time.bytes().enumerate().all(|(place, byte)| match place {
                    2 | 5 => byte == b':',
                    _ => byte.is_ascii_digit(),
                });
                assert!(is_time, "{line}");
                rest.to_owned()
            })
            .collect()
    }

    #[test]
    fn a_request_is_one_short_line() {
        let found = lines(|| {
            let span = tracing::info_span!("request", request_id = %"0123");
            let _inside = span.enter();
            macro_rules! answered {
                ($($fields:tt)*) => {
                    tracing::info!(target: "gateway::layers::trace", message = "answered", $($fields)*)
                };
            }
            answered!(method = "GET", endpoint = "v1_users", caller = "crm", status = 200_u64,
                err = "", rows = 237_u64, bytes_out = 9_u64, ms = 15.3, ignored = %"");
            answered!(method = "GET", endpoint = "v1_users", caller = "crm", status = 502_u64,
                err = "upstream_5xx", rows = 0_u64, ms = 1040.26, ignored = %"page", failed_offset = 99_u64);
            answered!(
                method = "GET",
                endpoint = "v1_users",
                caller = "crm",
                status = 200_u64,
                err = "upstream_timeout",
                rows = 7_u64,
                ms = 12.0,
                left_out = 3_u64
            );
            answered!(
                method = "POST",
                endpoint = "passthrough",
                caller = "crm",
                status = 201_u64,
                err = "",
                rows = 0_u64,
                bytes_out = 2048_u64,
                ms = 1.0
            );
            answered!(
                method = "GET",
                endpoint = "none",
                caller = "a\u{1b}[2Jb",
                status = 404_u64,
                err = "not_found",
                legacy_path = Some("/api/v2/cdr"),
                ms = 0.1
            );
            tracing::warn!(err = "upstream_5xx", "request failed");
        });
        assert_eq!(
            found,
            [
                " 200 crm v1_users 237 rows 15 ms",
                " 502 crm v1_users upstream_5xx ignored: page failed_offset=99 1040 ms request_id=0123",
                " 200 crm v1_users upstream_timeout left_out=3 12 ms request_id=0123",
                " 201 crm passthrough POST 2048 bytes 1.0 ms",
                " 404 a\\u{1b}[2Jb none GET not_found /api/v2/cdr 0.1 ms",
                "  WARN request{request_id=0123}: tieline::log::human::tests: request failed err=\"upstream_5xx\"",
            ]
        );
    }
}
