//! `tieline losses`: the loss ledger for people, programs and the documentation.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use domain::ledger;
use domain::loss::Loss;

use crate::failure::Failure;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tieline losses
  tieline losses --format json")]
pub(crate) struct Losses {
    /// How the ledger is written
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Aligned columns
    Table,
    /// An array of objects
    Json,
    /// What docs/FIDELITY.md holds
    Markdown,
}

impl Losses {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let losses: Vec<Loss> = ledger::rows().collect();
        output::print(&match self.format {
            Format::Table => table(&losses),
            Format::Json => json(&losses)?,
            Format::Markdown => markdown(&losses),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

fn json(losses: &[Loss]) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(losses)
        .map_err(|error| Failure::new(format_args!("cannot write the ledger: {error}")))?;
    Ok(text + "\n")
}

/// The reason comes last, so that only it runs over the edge of a narrow terminal.
fn table(losses: &[Loss]) -> String {
    let rows: Vec<[&str; 5]> =
        std::iter::once(["ENDPOINT", "DIALECT", "FIELD", "STATUS", "REASON"])
            .chain(losses.iter().map(|loss| {
                [loss.endpoint, loss.dialect, loss.field, loss.status.as_str(), loss.reason]
            }))
            .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = [0, 1, 2, 3].map(|column| width(column).unwrap_or(0));
    let mut out = String::new();
    for [endpoint, dialect, field, status, reason] in &rows {
        let [a, b, c, d] = widths;
        // Writing to a String can't fail.
        let _ = writeln!(out, "{endpoint:a$}  {dialect:b$}  {field:c$}  {status:d$}  {reason}");
    }
    out
}

/// One table for each endpoint and dialect.
fn markdown(losses: &[Loss]) -> String {
    let mut out = String::new();
    let same = |a: &Loss, b: &Loss| (a.endpoint, a.dialect) == (b.endpoint, b.dialect);
    for table in losses.chunk_by(same) {
        let Some(Loss { endpoint, dialect, .. }) = table.first() else { continue };
        // Writing to a String can't fail.
        let gap = if out.is_empty() { "" } else { "\n" };
        let _ = write!(out, "{gap}## `{endpoint}` from `{dialect}`\n\n");
        out.push_str("| field | status | reason |\n|---|---|---|\n");
        for Loss { field, status, reason, .. } in table {
            let reason = reason.replace('|', "\\|");
            let _ = writeln!(out, "| `{field}` | {} | {reason} |", status.as_str());
        }
    }
    out
}
