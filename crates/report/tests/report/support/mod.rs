//! Reports to draw: a rich one, one that agrees, a crowded one, and one full of hostile text. They must
//! never contain data of a person: every value is made up, and masked as in a report.

mod rich;

use report::{Cause, LeftOut, Outcome, Report, Verdict};
pub(crate) use rich::rich;

/// The worst texts that may come from outside.
pub(crate) const HOSTILE: [&str; 8] = [
    "</script></style></title><script>document.body.id='owned'</script>",
    "\"><img src=x onerror=\"document.title='owned'\"><a href=javascript:alert(1)>x</a>",
    "esc \u{1b}[31mred\u{1b}]0;title\u{7} csi \u{9b}2J nul \0 del \u{7f}",
    "turned \u{202e}txt.exe\u{202c} \u{2066}isolated\u{2069} \u{200b}\u{feff}\u{2028}line",
    "two\r\nlines\tand ]]> <!-- --> &amp; &#x41; {{ name }} {% raw %}",
    "not a character \u{fffe}\u{ffff} \u{10ffff} tag \u{e0041} private \u{e000}",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{627}\u{644}\u{633} \u{65e5}\u{672c}\u{8a9e} \u{1f600} Z\u{351}\u{36b}\u{343}",
    "",
];

/// A validation with the verdict that one may switch.
pub(crate) fn agreeing() -> Report {
    let mut report = rich();
    let known = |cause: Cause| matches!(cause, Cause::DeclaredLoss | Cause::Order | Cause::Race);
    report.verdict = Verdict::Agree;
    report.because = "Every difference has a cause that is known.".to_owned();
    report.totals.causes.retain(|cause, _| known(*cause));
    report.totals.matched = report.totals.compared - report.totals.causes.values().sum::<u64>();
    report.totals.undecided = 0;
    report.totals.ignored = 0;
    report.remarks.clear();
    report.left_out = LeftOut::default();
    // The same suffix for all rows of an endpoint, so that they stay together; it gets into attributes.
    let endpoints = (report.fields.iter_mut().map(|one| &mut one.endpoint))
        .chain(report.scenarios.iter_mut().map(|one| &mut one.endpoint))
        .chain(report.findings.iter_mut().map(|one| &mut one.endpoint))
        .chain(report.properties.iter_mut().map(|one| &mut one.endpoint))
        .chain(report.ledger.iter_mut().map(|one| &mut one.endpoint));
    endpoints.for_each(|endpoint| endpoint.push_str(HOSTILE[1]));
    for field in &mut report.fields {
        field.causes.retain(|cause, _| known(*cause));
        field.matched = field.compared - field.causes.values().sum::<u64>();
        field.ignored = 0;
    }
    for scenario in &mut report.scenarios {
        scenario.causes.retain(|cause, _| known(*cause));
        let equal = scenario.causes.is_empty();
        scenario.outcome = if equal { Outcome::Equal } else { Outcome::Explained };
        scenario.undecided_because = None;
    }
    report.findings.retain(|finding| known(finding.cause));
    report.settings.clear();
    report.properties.retain(|property| property.failed == 0 && property.tried > 0);
    report
}

/// The rich report with hostile or very long text in every text.
pub(crate) fn hostile() -> Report {
    let mut report = rich();
    let long = "\u{202e}<b>x</b>".repeat(1_000);
    let mut next = 0;
    let mut evil = move |text: &mut String| {
        next += 1;
        let bad = if next % 9 == 0 { long.as_str() } else { HOSTILE[next % HOSTILE.len()] };
        *text = format!("{text}{bad}");
    };
    for text in [&mut report.because, &mut report.version, &mut report.dialect] {
        evil(text);
    }
    evil(&mut report.started_at);
    report.remarks.iter_mut().for_each(&mut evil);
    evil(&mut report.candidate.kind);
    evil(&mut report.candidate.name);
    if let Some(side) = &mut report.control {
        evil(&mut side.kind);
        evil(&mut side.name);
    }
    for field in &mut report.fields {
        evil(&mut field.field);
    }
    for scenario in &mut report.scenarios {
        evil(&mut scenario.id);
        evil(&mut scenario.shape);
        evil(&mut scenario.group);
        scenario.undecided_because.iter_mut().for_each(&mut evil);
        scenario.control_ms = f64::NAN;
        scenario.candidate_ms = -1.0;
    }
    for finding in &mut report.findings {
        evil(&mut finding.field);
        evil(&mut finding.kind);
        evil(&mut finding.why);
        for example in &mut finding.examples {
            evil(&mut example.scenario);
            example.record.iter_mut().chain(&mut example.part).for_each(&mut evil);
            evil(&mut example.control);
            evil(&mut example.candidate);
        }
    }
    for setting in &mut report.settings {
        evil(&mut setting.table);
        evil(&mut setting.line);
    }
    for property in &mut report.properties {
        evil(&mut property.name);
        evil(&mut property.says);
        property.seen.iter_mut().for_each(&mut evil);
    }
    for loss in &mut report.ledger {
        evil(&mut loss.field);
        evil(&mut loss.status);
        evil(&mut loss.reason);
        evil(&mut loss.dialect);
    }
    let left_out = &mut report.left_out;
    let names = [&mut left_out.endpoints, &mut left_out.fields, &mut left_out.fields_unseen];
    names.into_iter().flatten().for_each(&mut evil);
    for call in &mut report.calls {
        evil(&mut call.legacy);
        evil(&mut call.v4);
    }
    report
}

/// A report with many findings, like that of a broken translation.
pub(crate) fn crowded() -> Report {
    let mut report = rich();
    let some = report.findings.clone();
    report.findings = (0..200).map(|index| some[index % some.len()].clone()).collect();
    report.sort();
    report
}
