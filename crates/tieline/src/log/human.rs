//! Lines of the log for people: a request is one short line, and what went wrong is in it. All other events are
//! written as `tracing` writes them. Must never write what the JSON line of the same event would not.

use std::fmt::{self, Write};

use gateway::access::Line;
use gateway::whose;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime as UtcTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines, see the module.
#[derive(Debug)]
pub(super) struct Lines(Format<Full, Clock>);

impl Lines {
    pub(super) fn new(is_coloured: bool) -> Self {
        Lines(Format::default().with_timer(Clock).with_ansi(is_coloured))
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
        let Some(id) = whose::current() else { return self.0.format_event(context, to, event) };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        writeln!(to, "{} request_id={id}", line.trim_end_matches('\n'))
    }
}

/// The line about a request.
pub(super) fn request(to: &mut String, line: &Line<'_>, is_coloured: bool) -> fmt::Result {
    let (status, endpoint, err) = (line.status, line.endpoint, line.err);
    // A part of it was sent when it failed.
    let has_broken_off = status < 400 && !err.is_empty();
    let colour = match status {
        _ if !is_coloured => None,
        _ if has_broken_off => Some(31),
        ..400 => Some(32),
        400..500 => Some(33),
        _ => Some(31),
    };
    Clock.format_time(&mut Writer::new(to))?;
    match colour {
        Some(colour) => write!(to, " \u{1b}[{colour}m{status}\u{1b}[0m")?,
        None => write!(to, " {status}")?,
    }
    to.push(' ');
    visible(to, line.caller);
    write!(to, " {endpoint}")?;
    match endpoint {
        "none" | "passthrough" | "openapi" => write!(to, " {}", line.method)?,
        _ if err.is_empty() => write!(to, " {} rows", line.rows)?,
        _ => {}
    }
    if !err.is_empty() {
        write!(to, " {err}")?;
    } else if endpoint == "passthrough" {
        write!(to, " {} bytes", line.bytes_out)?;
    }
    if let Some(path) = line.legacy_path {
        write!(to, " {path}")?;
    }
    if let Some(client) = line.client {
        to.push_str(" client=");
        visible(to, client);
    }
    for (place, name) in line.ignored.iter().enumerate() {
        to.push_str(if place == 0 { " ignored: " } else { "," });
        visible(to, name);
    }
    if let Some(offset) = line.failed_offset {
        write!(to, " failed_offset={offset}")?;
    }
    if line.left_out > 0 {
        write!(to, " left_out={}", line.left_out)?;
    }
    match line.took.as_secs_f64() * 1e3 {
        ms @ ..9.95 => write!(to, " {ms:.1} ms")?,
        ms => write!(to, " {ms:.0} ms")?,
    }
    if matches!(status, 413 | 429 | 500..) || has_broken_off {
        // The id joins this line to the one that says why.
        write!(to, " request_id={}", line.request_id)?;
    }
    to.push('\n');
    Ok(())
}

/// A name that could move the cursor is written as Rust writes it in a source.
fn visible(to: &mut String, text: &str) {
    to.extend(text.chars().flat_map(|c| {
        let escaped = c.is_control().then(|| c.escape_default());
        let plain = escaped.is_none().then_some(c);
        escaped.into_iter().flatten().chain(plain)
    }));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::Kept;
    use super::*;

    fn lines(log: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .event_format(Lines::new(false))
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
    fn a_line_of_a_request_ends_with_its_id() {
        let found = lines(|| {
            whose::on_behalf(Some("0123".into()), || {
                tracing::warn!(err = "upstream_5xx", "request failed");
            });
            tracing::info!("listening");
        });
        assert_eq!(
            found,
            [
                "  WARN tieline::log::human::tests: request failed err=\"upstream_5xx\" request_id=0123",
                "  INFO tieline::log::human::tests: listening",
            ]
        );
    }

    #[test]
    fn a_request_is_one_short_line() {
        let micros = Duration::from_micros;
        let ignored = ["page".to_owned(), "x".to_owned()];
        let line =
            Line { request_id: "0123", method: "GET", endpoint: "v1_users", ..Line::default() };
        let line = Line { caller: "crm", status: 200, took: micros(15_300), ..line };
        let broken = Line { err: "upstream_timeout", took: micros(12_000), left_out: 3, ..line };
        let failed = Line { status: 502, err: "upstream_5xx", took: micros(1_040_260), ..line };
        let unknown = Line {
            endpoint: "none",
            caller: "a\u{1b}[2Jb",
            status: 404,
            took: micros(100),
            ..line
        };
        let passed = Line {
            endpoint: "passthrough",
            method: "POST",
            status: 201,
            took: micros(1_000),
            ..line
        };
        for (line, told) in [
            (Line { rows: 237, bytes_out: 9, ..line }, "200 crm v1_users 237 rows 15 ms"),
            (
                Line { ignored: &ignored, failed_offset: Some(99), ..failed },
                "502 crm v1_users upstream_5xx ignored: page,x failed_offset=99 1040 ms request_id=0123",
            ),
            (broken, "200 crm v1_users upstream_timeout left_out=3 12 ms request_id=0123"),
            (Line { took: micros(9_960), ..passed }, "201 crm passthrough POST 0 bytes 10 ms"),
            (Line { bytes_out: 2048, ..passed }, "201 crm passthrough POST 2048 bytes 1.0 ms"),
            (
                Line { err: "not_found", legacy_path: Some("/api/v2/cdr"), ..unknown },
                "404 a\\u{1b}[2Jb none GET not_found /api/v2/cdr 0.1 ms",
            ),
        ] {
            let (mut text, mut coloured) = (String::new(), String::new());
            request(&mut text, &line, false).unwrap();
            assert_eq!(text[9..], format!("{told}\n"));
            request(&mut coloured, &line, true).unwrap();
            assert!(
                coloured[9..].starts_with("\u{1b}[3") && !text.contains('\u{1b}'),
                "{coloured}"
            );
        }
    }
}
