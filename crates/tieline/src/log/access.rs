//! Lines about requests on their way into the log, in the format of all others. Filters go by their target as by
//! that of an event. Must never make a request wait.

use std::io::Write;

use gateway::access::{AccessLog, Line};
use tracing::Level;

use super::human;
use super::json::{self, TARGET};
use super::sink::Sink;

/// How lines look.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Json,
    Human { is_coloured: bool },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) sink: &'static Sink,
    pub(super) form: Form,
}

impl AccessLog for Access {
    fn answered(&self, line: &Line<'_>) {
        if !tracing::enabled!(target: TARGET, Level::INFO) {
            return;
        }
        json::in_one_piece(|text| {
            let written = match self.form {
                Form::Json => json::request(text, line),
                Form::Human { is_coloured } => human::request(text, line, is_coloured),
            };
            // A text takes every line. The sink counts what it has no room for.
            if written.is_ok() {
                let mut sink = self.sink;
                let _ = sink.write(text.as_bytes());
            }
        });
    }
}
