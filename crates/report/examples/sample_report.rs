//! Writes a made-up report in one of the forms, for tests of its look and for work on its look:
//! `cargo run -p report --example sample_report -- KIND FORM FILE`. It is not a validation: nothing is
//! asked and nothing compared.

#[path = "../tests/report/support/mod.rs"]
mod support;

use report::Report;
use report::draw;

const USAGE: &str =
    "usage: sample_report rich|agreeing|empty|crowded|hostile html|junit|json|text FILE";

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, form, file] = arguments.as_slice() else {
        return Err(USAGE.to_owned());
    };
    let report = match kind.as_str() {
        "rich" => support::rich(),
        "agreeing" => support::agreeing(),
        "empty" => Report::default(),
        "crowded" => support::crowded(),
        "hostile" => support::hostile(),
        _ => return Err(USAGE.to_owned()),
    };
    let text = match form.as_str() {
        "html" => draw::html(&report),
        "junit" => draw::junit(&report),
        "json" => draw::json(&report),
        "text" => draw::terminal(&report, 80, true),
        _ => return Err(USAGE.to_owned()),
    };
    std::fs::write(file, text).map_err(|error| format!("cannot write the report: {error}"))
}
