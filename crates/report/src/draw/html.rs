//! The report as one HTML file that needs no network and no script. It must never contain markup that
//! does not come from its template.

#[expect(unreachable_pub, reason = "`filter_fn` makes public methods of them")]
mod filters;
mod rows;
mod steps;

use askama::Template;
use rows::{CauseRow, FieldRow, FindingGroup, Group, LossRow, PropertyRow, ScenarioRow, Tile};
use sha2::{Digest, Sha256};
use steps::Step;

use super::{numbers, settings, text, words};
use crate::{Outcome, Report, V4Call, Verdict};

/// The style sheet, which is part of the file.
const STYLE: &str = include_str!("../../templates/report.css");

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    style: &'static str,
    policy: String,
    title: String,
    version: String,
    started_at: String,
    verdict: String,
    verdict_class: &'static str,
    because: String,
    compared: String,
    remarks: Vec<String>,
    tiles: Vec<Tile>,
    steps: Vec<Step>,
    settings: Vec<settings::Table>,
    replayed: Option<String>,
    causes: Vec<CauseRow>,
    fields: Vec<Group<'a, FieldRow<'a>>>,
    findings: Vec<FindingGroup<'a>>,
    scenarios: Vec<Group<'a, ScenarioRow<'a>>>,
    properties: Vec<PropertyRow<'a>>,
    ledger: Vec<Group<'a, LossRow<'a>>>,
    calls: &'a [V4Call],
    measured: Vec<(&'static str, String)>,
}

/// The report as one HTML file: the verdict first, then the next steps, then the evidence. The policy in
/// its head forbids scripts and loading, so that no text of the report has an effect.
pub fn html(report: &Report) -> String {
    let page = Page {
        style: STYLE,
        policy: policy(STYLE),
        title: format!("{} · Tieline validation", words::verdict(report)),
        version: words::name(&report.version),
        started_at: words::name(&report.started_at),
        verdict: words::verdict(report),
        verdict_class: match report.verdict {
            Verdict::Agree if report.is_of_candidate_alone() => "undecided",
            Verdict::Agree => "agree",
            Verdict::Differ => "differ",
            Verdict::Undecided => "undecided",
        },
        because: words::because(report),
        compared: words::compared(report),
        remarks: [words::remarks(report), words::left_out(report)]
            .into_iter()
            .flatten()
            .chain(words::unseen(report))
            .collect(),
        tiles: rows::tiles(report),
        steps: steps::steps(report),
        settings: settings::tables(&report.settings),
        replayed: words::replayed(report),
        causes: rows::causes(report),
        fields: rows::fields(report),
        findings: rows::findings(report),
        scenarios: rows::scenarios(report),
        properties: rows::properties(report),
        ledger: rows::ledger(report),
        calls: &report.calls,
        measured: measured(report),
    };
    text::visible_lines(&page.render().unwrap_or_default())
}

/// A policy that allows this one style sheet and nothing else.
fn policy(style: &str) -> String {
    let digest = base64(&Sha256::digest(style.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}

/// Base64, the only form in which a policy takes a hash.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let three = chunk.iter().chain([&0, &0]).take(3);
        let bits = three.fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for place in 0..4 {
            let digit = char::from(DIGITS[bits >> (18 - 6 * place) & 63]);
            text.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

fn measured(report: &Report) -> Vec<(&'static str, String)> {
    let totals = &report.totals;
    let mut rows = vec![
        ("Began", words::name(&report.started_at)),
        ("Took", numbers::seconds(report.seconds)),
        ("Legacy API", report.control.as_ref().map_or("none".to_owned(), words::control)),
        ("Tieline", words::candidate(&report.candidate)),
        ("Requests to the legacy API", numbers::count(totals.control_requests)),
        (
            "Of these to ask again",
            format!(
                "{} ({} more than a single pass)",
                numbers::count(totals.control_requests_extra),
                numbers::share_of(
                    totals.control_requests_extra,
                    totals.control_requests.saturating_sub(totals.control_requests_extra)
                )
            ),
        ),
        ("Requests to Tieline", numbers::count(totals.candidate_requests)),
        ("Of these answered 429 or 503, and repeated", numbers::count(totals.candidate_busy)),
    ];
    if let Some(calls) = totals.upstream_calls {
        rows.push(("Calls to the new API", numbers::count(calls)));
    }
    rows.push(("Records that both sides listed", numbers::count(totals.records)));
    rows.push(("Values left out on request", numbers::count(totals.ignored)));
    let answered = || report.scenarios.iter().filter(|one| one.outcome != Outcome::Undecided);
    let mut time = |label, milliseconds: Option<(f64, f64)>| {
        if let Some((median, tail)) = milliseconds {
            let [median, tail] = [median, tail].map(|time| numbers::seconds(time / 1000.0));
            rows.push((label, format!("median {median}, 95th percentile {tail}")));
        }
    };
    time(
        "Answer of the legacy API",
        numbers::middle_and_tail(answered().map(|one| one.control_ms)),
    );
    time("Answer of Tieline", numbers::middle_and_tail(answered().map(|one| one.candidate_ms)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_in_base64() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("\u{7f}\u{7f}?", "f38/")];
        for (text, expect) in cases {
            assert_eq!(base64(text.as_bytes()), expect);
        }
        assert_eq!(base64(&Sha256::digest(b"")), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }

    #[test]
    fn the_page_contains_the_style_sheet_that_was_hashed() {
        let page = html(&Report::default());
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert_eq!(style, STYLE);
        assert!(page.contains(&base64(&Sha256::digest(style.as_bytes()))));
    }
}
