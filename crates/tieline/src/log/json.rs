//! A line of the log as one flat JSON object, written once and as it goes: time, level, the fields of an event or of the
//! access line, the target, the id of the request, and the version. Spans around it, which only other crates have, stand
//! in a list. Must never write a line that is no JSON, whatever a field holds.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::hex;
use gateway::access::Line;
use gateway::whose;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime as UtcTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The target of lines about requests, which filters and collectors go by; it does not move with any file.
pub(super) const TARGET: &str = "gateway::layers::trace";

/// Lines, see the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines;

/// The fields of a span as the inside of an object, each with a comma behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields;

thread_local! {
    /// Where a line is put together before it is handed on in one piece.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
    /// The last second written, since 1970, and its text up to the seconds.
    static SECOND: Cell<(u64, [u8; SECOND_BYTES])> = const { Cell::new((u64::MAX, [0; SECOND_BYTES])) };
}

/// As in `2026-01-31T12:00:00`.
const SECOND_BYTES: usize = 19;

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
        in_one_piece(|line| {
            write_line(context, line, event)?;
            to.write_str(line)
        })
    }
}

/// Puts a line together before it is handed on.
pub(super) fn in_one_piece<T>(write: impl FnOnce(&mut String) -> T) -> T {
    LINE.with(|line| {
        // A value that logs while it is written finds the line in use, and gets one of its own.
        let (mut kept, mut own) = (line.try_borrow_mut().ok(), String::new());
        let line = kept.as_deref_mut().unwrap_or(&mut own);
        line.clear();
        write(line)
    })
}

fn write_line<S, N>(
    context: &FmtContext<'_, S, N>,
    to: &mut String,
    event: &Event<'_>,
) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    begin(to, event.metadata().level().as_str())?;
    let mut object = Object { to: &mut *to, result: Ok(()) };
    event.record(&mut object);
    object.result?;
    to.push_str("\"target\":");
    text(to, event.metadata().target());
    to.push(',');
    if let Some(id) = whose::current() {
        to.push_str("\"request_id\":");
        text(to, &id);
        to.push(',');
    }
    let mut others = String::new();
    for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>().map_or("", |fields| &fields.fields);
        others.push_str(if others.is_empty() { "\"spans\":[{" } else { ",{" });
        others.push_str(fields);
        others.push_str("\"name\":");
        text(&mut others, span.name());
        others.push('}');
    }
    if !others.is_empty() {
        to.push_str(&others);
        to.push_str("],");
    }
    to.push_str(END);
    Ok(())
}

const END: &str = concat!("\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}\n");

/// As each line begins.
fn begin(to: &mut String, level: &str) -> fmt::Result {
    to.push_str("{\"timestamp\":\"");
    time(to)?;
    to.push_str("\",\"level\":\"");
    to.push_str(level);
    to.push_str("\",");
    Ok(())
}

/// The line about a request. Its members stand in the order of an event's: what is said, the target, the request.
pub(super) fn request(to: &mut String, line: &Line<'_>) -> fmt::Result {
    begin(to, "INFO")?;
    to.push_str("\"message\":\"answered\",\"method\":");
    word(to, line.method);
    to.push_str(",\"endpoint\":");
    word(to, line.endpoint);
    if let Some(path) = line.legacy_path {
        to.push_str(",\"legacy_path\":");
        text(to, path);
    }
    to.push_str(",\"caller\":");
    text(to, line.caller);
    to.push_str(",\"trace_id\":\"");
    hex::push(to, &line.trace_id.to_be_bytes());
    member(to, "\",\"status\":", line.status.into());
    to.push_str(",\"err\":");
    word(to, line.err);
    to.push_str(",\"answered_by\":");
    word(to, line.answered_by);
    member(to, ",\"rows\":", line.rows);
    member(to, ",\"pages\":", line.pages);
    member(to, ",\"seams_repaired\":", line.seams_repaired);
    member(to, ",\"read_again\":", line.read_again);
    if let Some(offset) = line.failed_offset {
        member(to, ",\"failed_offset\":", offset);
    }
    if let Some(rows) = line.failed_rows {
        member(to, ",\"failed_rows\":", rows);
    }
    to.push_str(",\"ignored\":\"");
    for (place, name) in line.ignored.iter().enumerate() {
        to.push_str(if place == 0 { "" } else { "," });
        escaped(to, name);
    }
    member(to, "\",\"bytes_out\":", line.bytes_out);
    to.push_str(",\"ms\":");
    milliseconds(to, line.took);
    member(to, ",\"epoch\":", line.epoch);
    if let Some(client) = line.client {
        to.push_str(",\"client\":");
        text(to, client);
    }
    if line.left_out > 0 {
        member(to, ",\"left_out\":", line.left_out);
    }
    to.push_str(",\"target\":");
    word(to, TARGET);
    to.push_str(",\"request_id\":");
    word(to, line.request_id);
    to.push(',');
    to.push_str(END);
    Ok(())
}

/// A text from a closed set, or an id, which have nothing to escape.
fn word(to: &mut String, text: &str) {
    debug_assert!(!domain::json::must_escape(text.as_bytes(), 0));
    to.push('"');
    to.push_str(text);
    to.push('"');
}

fn member(to: &mut String, name: &str, value: u64) {
    to.push_str(name);
    to.push_str(itoa::Buffer::new().format(value));
}

/// The time now, in UTC and to the microsecond. The text of a second is made once.
fn time(to: &mut String) -> fmt::Result {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut since = now();
    let (mut second, mut text) = SECOND.get();
    while second != since.as_secs() {
        let mut whole = String::with_capacity(SECOND_BYTES + 8);
        UtcTime.format_time(&mut Writer::new(&mut whole))?;
        text = *whole.as_bytes().first_chunk().ok_or(fmt::Error)?;
        // The text is of this second only if the clock shows it before and after.
        second = since.as_secs();
        since = now();
    }
    SECOND.set((second, text));
    to.push_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?);
    to.push('.');
    digits(to, since.subsec_micros(), 100_000);
    to.push('Z');
    Ok(())
}

/// The digits of a number, from the one at this `place` (such as 100 for three digits) to the last.
fn digits(to: &mut String, number: u32, mut place: u32) {
    while place > 0 {
        to.push(char::from(b'0' + (number / place % 10) as u8));
        place /= 10;
    }
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, mut to: Writer<'writer>, fields: R) -> fmt::Result {
        let mut members = String::with_capacity(64);
        let mut object = Object { to: &mut members, result: Ok(()) };
        fields.record(&mut object);
        object.result?;
        to.write_str(&members)
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
struct Object<'a> {
    to: &'a mut String,
    result: fmt::Result,
}

impl Object<'_> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut String) -> fmt::Result) {
        if self.result.is_ok() {
            // A name is made of Rust's identifiers, which hold nothing to escape.
            let name = field.name();
            self.to.reserve(name.len() + MEMBER_BYTES);
            self.to.push('"');
            self.to.push_str(name);
            self.to.push_str("\":");
            self.result = value(self.to);
            self.to.push(',');
        }
    }
}

/// What most members need beside their names.
const MEMBER_BYTES: usize = 48;

impl Visit for Object<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field, |to| {
            to.push('"');
            write!(Escaped(to), "{value:?}")?;
            to.push('"');
            Ok(())
        });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |to| {
            text(to, value);
            Ok(())
        });
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |to| {
            to.push_str(itoa::Buffer::new().format(value));
            Ok(())
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |to| {
            to.push_str(itoa::Buffer::new().format(value));
            Ok(())
        });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |to| {
            to.push_str(if value { "true" } else { "false" });
            Ok(())
        });
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        self.member(field, |to| match value.is_finite() {
            true => write!(to, "{value:?}"),
            false => to.write_str("null"),
        });
    }
}

/// To the nearest tenth.
fn milliseconds(to: &mut String, took: Duration) {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let tenths = micros / 100 + u64::from(micros % 100 >= 50);
    to.push_str(itoa::Buffer::new().format(tenths / 10));
    to.push('.');
    digits(to, (tenths % 10) as u32, 1);
}

fn text(to: &mut String, text: &str) {
    to.push('"');
    escaped(to, text);
    to.push('"');
}

/// Escapes what may not stand in a JSON text.
fn escaped(to: &mut String, text: &str) {
    let start = to.len();
    to.push_str(text);
    if domain::json::must_escape(to.as_bytes(), start) {
        to.truncate(start);
        escaped_one_by_one(to, text);
    }
}

/// A function of its own, so that the usual way stays small.
#[cold]
#[inline(never)]
fn escaped_one_by_one(to: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            c if c < ' ' => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let code = c as usize;
                to.push_str("\\u00");
                to.push(char::from(DIGITS[code >> 4]));
                to.push(char::from(DIGITS[code & 15]));
            }
            c => to.push(c),
        }
    }
}

/// What is written to it is escaped.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escaped(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::tests::Kept;
    use super::*;

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
        let text = kept.text();
        text.lines()
            .map(|line| {
                let whole: Value = serde_json::from_str(line).unwrap();
                let time = whole["timestamp"].as_str().unwrap();
                assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
                let version = concat!(",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");
                format!("{}}}", line.strip_suffix(version).unwrap().replace(time, ""))
            })
            .collect()
    }

    #[test]
    fn a_line_is_flat_and_has_the_fields_of_its_request() {
        let found = lines(|| {
            whose::on_behalf(Some("0123".into()), || {
                tracing::info!(
                    rows = 7_u64, ms = 1.5, slow = false, left = -1, err = "", who = %"crm", "done"
                );
                let span = tracing::info_span!("inner", of = 1, again = tracing::field::Empty);
                span.record("again", 2);
                span.in_scope(|| tracing::warn!("within"));
            });
            tracing::error!(ms = f64::NAN, "outside");
        });
        assert_eq!(
            found,
            [
                r#"{"timestamp":"","level":"INFO","message":"done","rows":7,"ms":1.5,"slow":false,"left":-1,"err":"","who":"crm","target":"tieline::log::json::tests","request_id":"0123"}"#,
                r#"{"timestamp":"","level":"WARN","message":"within","target":"tieline::log::json::tests","request_id":"0123","spans":[{"of":1,"again":2,"name":"inner"}]}"#,
                r#"{"timestamp":"","level":"ERROR","message":"outside","ms":null,"target":"tieline::log::json::tests"}"#,
            ]
        );
    }

    #[test]
    fn a_line_about_a_request_says_all_of_it_and_leaves_out_what_there_is_not() {
        let ignored = ["page".to_owned(), "a\"b".to_owned()];
        let whole = Line {
            request_id: "0123",
            method: "GET",
            endpoint: "v1_users",
            legacy_path: Some("/api/v2/cdr"),
            caller: "c\"rm",
            trace_id: 0xab,
            status: 502,
            err: "upstream_5xx",
            answered_by: "control",
            rows: 1,
            pages: 2,
            seams_repaired: 3,
            read_again: 4,
            failed_offset: Some(99),
            failed_rows: Some(100),
            ignored: &ignored,
            bytes_out: 5,
            took: Duration::from_micros(15_250),
            epoch: 6,
            client: Some("127.0.0.1"),
            left_out: 7,
        };
        let few = Line {
            legacy_path: None,
            failed_offset: None,
            failed_rows: None,
            ignored: &[],
            client: None,
            left_out: 0,
            ..whole
        };
        let of = |line: &Line<'_>| {
            let mut text = String::new();
            request(&mut text, line).unwrap();
            let json: Value = serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap();
            assert_eq!(json["timestamp"].as_str().unwrap().len(), 27);
            text[text.find("\"level\"").unwrap()..text.find("\"version\"").unwrap()].to_owned()
        };
        assert_eq!(
            of(&whole),
            r#""level":"INFO","message":"answered","method":"GET","endpoint":"v1_users","legacy_path":"/api/v2/cdr","caller":"c\"rm","trace_id":"000000000000000000000000000000ab","status":502,"err":"upstream_5xx","answered_by":"control","rows":1,"pages":2,"seams_repaired":3,"read_again":4,"failed_offset":99,"failed_rows":100,"ignored":"page,a\"b","bytes_out":5,"ms":15.3,"epoch":6,"client":"127.0.0.1","left_out":7,"target":"gateway::layers::trace","request_id":"0123","#
        );
        assert_eq!(
            of(&few),
            r#""level":"INFO","message":"answered","method":"GET","endpoint":"v1_users","caller":"c\"rm","trace_id":"000000000000000000000000000000ab","status":502,"err":"upstream_5xx","answered_by":"control","rows":1,"pages":2,"seams_repaired":3,"read_again":4,"ignored":"","bytes_out":5,"ms":15.3,"epoch":6,"target":"gateway::layers::trace","request_id":"0123","#
        );
    }

    #[test]
    fn a_time_is_written_to_the_nearest_tenth_of_a_millisecond() {
        for micros in (0..20_000).chain([999_949, 999_950, 86_400_000_000]) {
            let mut written = String::new();
            milliseconds(&mut written, Duration::from_micros(micros));
            assert_eq!(written, format!("{:.1}", ((micros + 50) / 100) as f64 / 10.0));
        }
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
