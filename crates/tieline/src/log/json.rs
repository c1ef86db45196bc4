//! A line of the log as one JSON object, written once and as it goes: time, level, the fields of the event,
//! its target, and the spans around it. Must never write a line that is no JSON, whatever a field holds.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines, see the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines;

/// The fields of a span as the inside of an object, each with a comma behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        to.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut to)?;
        write!(to, "\",\"level\":\"{}\",", event.metadata().level())?;
        let mut object = Object { to: &mut to, result: Ok(()) };
        event.record(&mut object);
        object.result?;
        to.write_str("\"target\":")?;
        text(&mut to, event.metadata().target())?;
        let mut opening = ",\"spans\":[";
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            to.write_str(opening)?;
            to.write_char('{')?;
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                to.write_str(&fields.fields)?;
            }
            to.write_str("\"name\":")?;
            text(&mut to, span.name())?;
            to.write_char('}')?;
            opening = ",";
        }
        to.write_str(if opening == "," { "]}\n" } else { "}\n" })
    }
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, mut to: Writer<'writer>, fields: R) -> fmt::Result {
        let mut object = Object { to: &mut to, result: Ok(()) };
        fields.record(&mut object);
        object.result
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &tracing::span::Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

/// Writes each field as a member, with a comma behind it.
struct Object<'a, 'w> {
    to: &'a mut Writer<'w>,
    result: fmt::Result,
}

impl Object<'_, '_> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let to = &mut *self.to;
        let write = || {
            text(to, field.name())?;
            to.write_char(':')?;
            value(to)?;
            to.write_char(',')
        };
        if self.result.is_ok() {
            self.result = write();
        }
    }
}

impl Visit for Object<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field, |to| {
            to.write_char('"')?;
            write!(Escaped(to), "{value:?}")?;
            to.write_char('"')
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |to| text(to, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |to| write!(to, "{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |to| write!(to, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |to| write!(to, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        self.member(field, |to| match value.is_finite() {
            true => write!(to, "{value:?}"),
            false => to.write_str("null"),
        });
    }
}

fn text(to: &mut dyn Write, text: &str) -> fmt::Result {
    to.write_char('"')?;
    Escaped(to).write_str(text)?;
    to.write_char('"')
}

/// Escapes what may not stand in a JSON text.
struct Escaped<'a, W: Write + ?Sized>(&'a mut W);

impl<W: Write + ?Sized> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let must_be_escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
        if !text.as_bytes().iter().any(must_be_escaped) {
            return self.0.write_str(text);
        }
        for c in text.chars() {
            match c {
                '"' => self.0.write_str("\\\"")?,
                '\\' => self.0.write_str("\\\\")?,
                '\n' => self.0.write_str("\\n")?,
                '\r' => self.0.write_str("\\r")?,
                '\t' => self.0.write_str("\\t")?,
                c if c < ' ' => write!(self.0, "\\u{:04x}", u32::from(c))?,
                c => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that are written, without their time.
    fn lines(log: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Lines)
            .fmt_fields(Fields)
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| {
                let whole: Value = serde_json::from_str(line).unwrap();
                let time = whole["timestamp"].as_str().unwrap();
                assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
                line.replace(time, "")
            })
            .collect()
    }

    #[test]
    fn a_line_is_flat_and_names_the_spans_around_it() {
        let found = lines(|| {
            let span = tracing::info_span!("request", id = %"0123", again = tracing::field::Empty);
            span.in_scope(|| {
                tracing::info!(
                    target: "gateway::layers::trace",
                    rows = 7_u64, ms = 1.5, slow = false, left = -1, err = "", who = %"crm", "answered"
                );
                span.record("again", 2);
                tracing::info_span!("inner").in_scope(|| tracing::warn!("within"));
            });
            tracing::error!(ms = f64::NAN, "outside");
        });
        assert_eq!(
            found,
            [
                r#"{"timestamp":"","level":"INFO","message":"answered","rows":7,"ms":1.5,"slow":false,"left":-1,"err":"","who":"crm","target":"gateway::layers::trace","spans":[{"id":"0123","name":"request"}]}"#,
                r#"{"timestamp":"","level":"WARN","message":"within","target":"tieline::log::json::tests","spans":[{"id":"0123","again":2,"name":"request"},{"name":"inner"}]}"#,
                r#"{"timestamp":"","level":"ERROR","message":"outside","ms":null,"target":"tieline::log::json::tests"}"#,
            ]
        );
    }

    #[test]
    fn whatever_a_field_holds_the_line_is_json() {
        let odd = "a\"b\\c\n\r\t\u{1}\u{7f}é\u{2028}";
        let found = lines(|| tracing::info!(odd, shown = %odd, debug = ?odd));
        let line: Value = serde_json::from_str(&found[0]).unwrap();
        assert_eq!((&line["odd"], &line["shown"]), (&odd.into(), &odd.into()));
        assert_eq!(line["debug"], format!("{odd:?}"));
    }
}
