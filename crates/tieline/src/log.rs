//! Sets up the log: lines on standard error, as JSON or for people.
//!
//! A line says which request it belongs to. Secrets are kept out where the fields are written, not here. A line that
//! nobody takes is lost and counted: no answer ever waits for the log.

mod access;
mod filter;
mod human;
mod json;
mod sink;

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;
use access::{Access, Form};
use filter::Chosen;
use sink::Sink;

static SINK: OnceLock<Sink> = OnceLock::new();

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
    let Chosen { filter, warning } = filter::choose(|name| std::env::var(name).ok(), level)?;
    let sink = Sink::start()
        .map_err(|error| Failure::new(format_args!("cannot start the log: {error}")))?;
    let sink = SINK.get_or_init(|| sink);
    let is_coloured =
        is_terminal && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || sink)
        .with_ansi(is_coloured)
        // A log that cannot be written is lost; the subscriber's complaint would go to the same
        // place and panic there.
        .log_internal_errors(false);
    let log = tracing_subscriber::registry();
    let (form, set) = match (format, is_terminal) {
        (Format::Json, _) | (Format::Auto, false) => {
            let lines = lines.event_format(json::Lines).fmt_fields(json::Fields);
            (Form::Json, log.with(lines).with(filter).try_init())
        }
        (Format::Human, _) | (Format::Auto, true) => {
            let lines = lines.event_format(human::Lines::new(is_coloured));
            (Form::Human { is_coloured }, log.with(lines).with(filter).try_init())
        }
    };
    gateway::access::log_to(Box::new(Access { sink, form }));
    set.map_err(|error| Failure::new(format_args!("cannot start the log: {error}")))?;
    if let Some(warning) = warning {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Gives the lines of the log so far a moment to be written; the process ends next.
pub(crate) fn finish() {
    if let Some(sink) = SINK.get() {
        sink.finish();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// Keeps what is logged.
    #[derive(Clone, Default)]
    pub(super) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

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
        let told = kept.text();
        assert!(told.contains("panicked") && told.contains("log.rs"), "{told}");
        assert!(!told.contains("request-said"), "{told}");
    }
}
