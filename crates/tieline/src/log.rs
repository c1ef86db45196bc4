//! Sets up the log: lines on standard error, as JSON or for people.
//!
//! The fields of the spans around an event are kept, so that a line says which request it belongs
//! to. Secrets are kept out where the fields are written, not here. A line that nobody takes is lost
//! and counted: no answer ever waits for the log.

mod json;
mod sink;

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::filter::LevelFilter;

use crate::failure::Failure;
use sink::Sink;

static SINK: OnceLock<Sink> = OnceLock::new();

/// The variables that hold a filter, the first one that is set wins over the configured level.
const FILTER_VARIABLES: [&str; 2] = ["TIELINE_LOG", "RUST_LOG"];

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people on a terminal, JSON elsewhere
    Auto,
    /// One JSON object per line
    Json,
    /// Text for people, coloured on a terminal
    Human,
}

/// Starts logging; `level` is a level or a filter in the syntax of the variables.
pub(crate) fn set_up(level: &str, format: Format) -> Result<(), Failure> {
    let is_terminal = std::io::stderr().is_terminal();
    // The HTTP/2 library logs malformed paths whole at `debug`, and keys travel in queries.
    let no_paths: Directive = "h2::server=info"
        .parse()
        .map_err(|error| Failure::new(format_args!("cannot start the log: {error}")))?;
    let sink = Sink::start()
        .map_err(|error| Failure::new(format_args!("cannot start the log: {error}")))?;
    let sink = SINK.get_or_init(|| sink);
    let builder = tracing_subscriber::fmt()
        .with_writer(move || sink)
        .with_env_filter(filter(level)?.add_directive(no_paths))
        .with_ansi(is_terminal && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty()))
        // A log that cannot be written is lost; the subscriber's complaint would go to the same
        // place and panic there.
        .log_internal_errors(false);
    let set = match (format, is_terminal) {
        (Format::Json, _) | (Format::Auto, false) => builder
            .event_format(json::Lines)
            .fmt_fields(json::Fields)
            .try_init(),
        (Format::Human, _) | (Format::Auto, true) => builder.try_init(),
    };
    set.map_err(|error| Failure::new(format_args!("cannot start the log: {error}")))
}

/// Gives the lines of the log so far a moment to be written; the process ends next.
pub(crate) fn finish() {
    if let Some(sink) = SINK.get() {
        sink.finish();
    }
}

/// What to do about a filter that can't be read.
const FILTERS: &str = "use trace, debug, info, warn, error or off, or a list such as \
                       info,gateway=debug";

fn filter(level: &str) -> Result<EnvFilter, Failure> {
    for name in FILTER_VARIABLES {
        let Some(text) = std::env::var(name).ok().filter(|text| !text.is_empty()) else { continue };
        return EnvFilter::builder()
            .parse(text)
            .map_err(|error| Failure::new(format_args!("{name}: {error}; {FILTERS}")));
    }
    configured(level)
        .ok_or_else(|| Failure::configuration(format_args!("log.level: not a level; {FILTERS}")))
}

fn configured(level: &str) -> Option<EnvFilter> {
    // To the parser a single unknown word is the name of a module, which would mute all others.
    let is_level = !level.is_empty() && level.parse::<LevelFilter>().is_ok();
    if is_level || level.contains('=') { EnvFilter::builder().parse(level).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn d15_a_panic_is_told_by_its_place_and_without_its_text() {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        gateway::process::watch_panics();
        tracing::subscriber::with_default(subscriber, || {
            // The standard library quotes what it cannot cut.
            let request = String::from("k\u{e4}y=what-a-request-said");
            let cut = std::panic::catch_unwind(|| request[2..].len());
            assert!(cut.is_err());
        });
        let _ = std::panic::take_hook();
        let told = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(told.contains("panicked") && told.contains("log.rs"), "{told}");
        assert!(!told.contains("request-said"), "{told}");
    }

    #[test]
    fn a_level_or_a_list_is_a_filter_and_a_misspelt_level_is_not() {
        for (text, good) in [
            ("info", true),
            ("WARN", true),
            ("off", true),
            ("info,gateway=debug", true),
            ("inof", false),
            ("", false),
            ("gateway=loud", false),
        ] {
            assert_eq!(configured(text).is_some(), good, "{text:?}");
        }
    }
}
