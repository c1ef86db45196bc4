//! Reports in every form: the verdict comes first, nothing is lost, and hostile text is only shown.
//! tests/outside/report_browser.sh checks the look of the page.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::collections::BTreeSet;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus};
use report::draw;
use report::{Cause, LeftOut, Outcome, Report, Verdict};

/// Every report to draw, by name.
fn all() -> [(&'static str, Report); 5] {
    [
        ("rich", crate::support::rich()),
        ("agreeing", crate::support::agreeing()),
        ("empty", Report::default()),
        ("crowded", crate::support::crowded()),
        ("hostile", crate::support::hostile()),
    ]
}

/// A report in every form without colours.
fn drawings(report: &Report) -> [(&'static str, String); 4] {
    [
        ("html", draw::html(report)),
        ("junit", draw::junit(report)),
        ("json", draw::json(report)),
        ("terminal", draw::terminal(report, 80, false)),
    ]
}

/// The elements of a page in the order in which they open. It fails where the page is not well-formed: an
/// element that is not closed, an attribute without quotes, a bare `<` or `&`.
#[track_caller]
fn elements(page: &str) -> Vec<String> {
    const VOID: [&str; 1] = ["meta"];
    let page = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let (head, rest) = page.split_once("<style>").unwrap();
    let (_, rest) = rest.split_once("</style>").unwrap();
    let page = format!("{head}{rest}");
    let (mut found, mut open) = (Vec::new(), Vec::new());
    for piece in page.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("no end: {piece}"));
        for after in text.split('&').skip(1) {
            let (entity, _) = after.split_once(';').unwrap_or_else(|| panic!("bare &: {text}"));
            assert!(entity.chars().all(|c| c.is_ascii_alphanumeric() || c == '#'), "{entity}");
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed in the wrong order");
            continue;
        }
        let (tag, closed) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let name = tag.split(' ').next().unwrap_or_default().to_owned();
        let attributes = tag.strip_prefix(&name).unwrap();
        let quotes = attributes.matches('"').count();
        assert_eq!(quotes, 2 * attributes.matches("=\"").count(), "attributes: {tag}");
        found.push(name.clone());
        if !closed && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new(), "never closed");
    found
}

/// A text as a page contains it.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;");
    text.replace('"', "&#34;").replace('\'', "&#39;")
}

#[test]
fn the_verdict_comes_first() {
    let cases = [
        (Verdict::Agree, crate::support::agreeing(), "You may switch"),
        // Clients see these differences until the setting is set.
        (
            Verdict::Agree,
            crate::support::rich(),
            "You may switch, with other settings and other data, as far as asked",
        ),
        (Verdict::Agree, with(&[Cause::Quirk]), "You may switch, with other settings"),
        // Clients see these differences until the data is corrected.
        (Verdict::Agree, with(&[Cause::UpstreamData]), "You may switch, with other data"),
        (Verdict::Agree, partly(), "You may switch, as far as asked"),
        (
            Verdict::Agree,
            alone(),
            "Nothing contradicts itself, nothing was compared with the legacy API",
        ),
        (Verdict::Differ, alone(), "Do not switch yet"),
        (Verdict::Differ, crate::support::rich(), "Do not switch yet"),
        (Verdict::Undecided, crate::support::rich(), "Undecided"),
    ];
    for (verdict, report, title) in cases {
        let report = Report { verdict, because: "So it is.".to_owned(), ..report };
        let text = draw::terminal(&report, 80, false);
        assert_eq!(text.starts_with("YOU MAY SWITCH\n"), title == "You may switch");
        assert!(text.starts_with(&format!("{}\nSo it is.\n", title.to_uppercase())), "{text}");
        let page = draw::html(&report);
        let heading = page.split_once("<h1").unwrap().1;
        assert!(heading.starts_with(&format!(" id=\"verdict\">{title}</h1>")));
        assert!(page.find("<h1") < page.find("<h2") && page.matches("<h1").count() == 1);
        assert!(page.contains(&format!("<title>{title} · Tieline validation</title>")));
    }
}

/// A report that agrees, with differences of these causes.
fn with(causes: &[Cause]) -> Report {
    let mut report = crate::support::agreeing();
    report.totals.causes.extend(causes.iter().map(|cause| (*cause, 1)));
    report
}

/// A report that agrees, without some of the default questions.
fn partly() -> Report {
    let left_out = LeftOut { pairs: 1, ..LeftOut::default() };
    Report { left_out, ..crate::support::agreeing() }
}

/// A report without control.
fn alone() -> Report {
    Report { control: None, ..crate::support::agreeing() }
}

#[test]
fn a_verdict_says_what_it_covers() {
    for (report, advice) in [
        (with(&[Cause::UpstreamData]), "Switch when the data is corrected, or accepted."),
        (with(&[Cause::Quirk]), "Switch when the settings are set."),
        (partly(), "Ask the rest before you switch."),
        (alone(), "Compare it with the legacy API."),
    ] {
        let page = draw::html(&report);
        assert!(page.contains(advice) && !page.contains("Switch when you like."), "{advice}");
    }
    let told = [
        "The server does not look like Tieline.",
        "Not asked at all: v9_users.",
        "Not compared: v1_users.webrtc_ringtone, v1_users.sga.",
        "Not asked: 3 filters by a field that is not compared.",
        "Not asked: 14 filters by other values.",
        "Not asked: 1 filter by two fields.",
        "Warning: no answer has the fields to leave out: v1_users.sga.",
    ];
    let report = crate::support::rich();
    for (form, text) in drawings(&report).into_iter().filter(|(form, _)| *form != "json") {
        for says in told {
            assert!(text.contains(says), "{form}: {says}: {text}");
        }
    }
    let names = |report: &Report| -> Vec<String> {
        let junit = read(report);
        cases(&junit).map(|case| case.name.as_str().to_owned()).collect()
    };
    assert!(names(&partly()).contains(&"you may switch".to_owned()));
    assert!(!names(&alone()).contains(&"you may switch".to_owned()));
    assert!(draw::junit(&partly()).contains("You may switch, as far as asked"));
}

#[test]
fn every_page_is_well_formed_and_loads_nothing() {
    for (name, report) in all() {
        let page = draw::html(&report);
        let elements: BTreeSet<String> = elements(&page).into_iter().collect();
        for foreign in ["script", "img", "link", "iframe", "form", "base", "b"] {
            assert!(!elements.contains(foreign), "{name}: {foreign}");
        }
        assert!(page.contains("content=\"default-src &#39;none&#39;; style-src &#39;sha256-"));
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        assert!(!style.contains("url(") && !style.contains("@import"));
        for (_, link) in
            page.match_indices("href=\"").map(|(at, link)| (at, &page[at + link.len()..]))
        {
            assert!(link.starts_with('#'), "{name}: {}", &link[..40]);
        }
    }
}

#[test]
fn hostile_text_is_only_shown() {
    let report = crate::support::hostile();
    let rich: BTreeSet<String> =
        elements(&draw::html(&crate::support::rich())).into_iter().collect();
    let hostile: BTreeSet<String> = elements(&draw::html(&report)).into_iter().collect();
    assert_eq!(hostile, rich, "the same elements as without");
    for (form, text) in drawings(&report) {
        let hidden = |c: &char| {
            (c.is_control() && *c != '\n')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
                || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{10ffff}' | '\u{e0041}')
        };
        assert_eq!(text.chars().find(hidden), None, "{form}");
        assert!(text.contains("\\u202e"), "{form}: a hidden character is shown as its number");
    }
    let page = draw::html(&report);
    assert!(page.contains(&escaped(crate::support::HOSTILE[0])), "shown as it is");
    assert!(page.len() < 600_000, "{} bytes: long text is cut", page.len());
}

#[test]
fn a_page_leaves_nothing_out() {
    let report = crate::support::rich();
    let page = draw::html(&report);
    let mut texts = vec![&report.because, &report.version, &report.started_at];
    texts.extend(report.scenarios.iter().flat_map(|one| [&one.id, &one.shape, &one.group]));
    texts.extend(report.scenarios.iter().filter_map(|one| one.undecided_because.as_ref()));
    texts.extend(report.fields.iter().flat_map(|one| [&one.endpoint, &one.field]));
    texts.extend(report.findings.iter().flat_map(|one| [&one.field, &one.kind, &one.why]));
    texts.extend(report.findings.iter().flat_map(|one| &one.examples).flat_map(|one| &one.part));
    texts.extend(report.settings.iter().flat_map(|one| [&one.table, &one.line]));
    texts.extend(report.properties.iter().flat_map(|one| [&one.name, &one.says]));
    texts.extend(report.properties.iter().flat_map(|one| &one.seen));
    texts.extend(report.ledger.iter().flat_map(|one| [&one.field, &one.status, &one.reason]));
    texts.extend(report.calls.iter().flat_map(|one| [&one.legacy, &one.v4]));
    for text in texts {
        assert!(page.contains(&escaped(text)), "{text}");
    }
    for cause in Cause::ALL {
        assert!(page.contains(&escaped(cause.meaning())), "{}", cause.title());
    }
    for says in [
        "0 of 412 differ (95 % confident: under 0.73 %)",
        "43 of 12,772 differ (0.34 %)",
        "321",
        "9 (2.9 % more than a single pass)",
        "<mark>, 3718</mark>",
    ] {
        assert!(page.contains(says), "{says}");
    }
}

#[test]
fn findings_that_need_attention_come_first() {
    let page = draw::html(&crate::support::rich());
    let scenarios = page.split_once("id=\"scenarios\"").unwrap().1;
    let place = |word: &str| scenarios.find(&format!("class=\"state {word}\"")).unwrap();
    let teams = scenarios.split_once("<h3>v2_cdr_teams</h3>").unwrap().1;
    assert!(place("different") < place("explained") && place("explained") < place("equal"));
    assert!(teams.find("state undecided").unwrap() < teams.find("state explained").unwrap());
    // The differences themselves stand before all tables, and bugs before the other causes.
    assert!(page.find("id=\"findings\"").unwrap() < page.find("id=\"causes\"").unwrap());
    assert!(page.find("id=\"findings\"").unwrap() < page.find("id=\"settings\"").unwrap());
    let fields = page.split_once("<h3>v1_users</h3>").unwrap().1;
    assert!(fields.find("<code>assigned_teams").unwrap() < fields.find("<code>id<").unwrap());
}

#[test]
fn the_worst_comes_first_in_every_form() {
    let mut report = crate::support::rich();
    report.findings.reverse();
    report.fields.reverse();
    report.scenarios.reverse();
    report.sort();
    assert_eq!(report.findings[0].cause, Cause::Bug);
    assert!(report.fields[0].causes.contains_key(&Cause::Bug));
    assert!(report.fields.last().unwrap().causes.is_empty());
    assert_eq!(report.scenarios[0].outcome, Outcome::Different);
    let json = draw::json(&report);
    assert!(json.find("\"findings\"") < json.find("\"fields\""));
    let text = draw::terminal(&report, 100, false);
    let place = |word: &str| text.find(&format!("\n{word}\n")).unwrap();
    assert!(place("Unexplained") < place("Causes") && place("Causes") < place("Fields"));
    let junit = read(&report);
    let suite = &junit.test_suites[1];
    assert!(is(&suite.test_cases[0], NonSuccessKind::Failure), "{}", suite.name.as_str());
}

#[test]
fn the_next_step_counts_the_users_to_correct() {
    let mut report = with(&[Cause::UpstreamData]);
    for (users, says) in
        [(0, "Correct 1 value in"), (1, "Correct this user"), (3, "Correct these 3 users")]
    {
        report.totals.users_with_other_data = users;
        let page = draw::html(&report);
        let how = escaped(" its data differ from the legacy API's.");
        assert!(page.contains(&format!("<strong>{says}")) && page.contains(&how), "{says}");
    }
}

#[test]
fn a_long_dictionary_is_folded_and_complete() {
    let mut report = crate::support::rich();
    let entry = |n: usize| report::Suggestion {
        table: "legacy.v1_users.timezone_names".to_owned(),
        line: format!("\"Zone/{n}\" = \"Name {n}\""),
        evidence: 3,
        against: 0,
    };
    report.settings = (0..40).map(entry).collect();
    let page = draw::html(&report);
    assert!(
        page.contains("<summary>[legacy.v1_users.timezone_names] 40 entries: 120 values become")
    );
    elements(&page);
    assert!((0..40).all(|n| page.contains(&escaped(&entry(n).line))));
    let text = draw::terminal(&report, 100, false);
    assert_eq!(text.matches("\"Zone/").count(), 5, "{text}");
    assert!(text.contains("# and 35 more lines: see the HTML report"), "{text}");
}

#[test]
fn two_hundred_findings_are_folded_and_complete() {
    let page = draw::html(&crate::support::crowded());
    assert_eq!(page.matches("<details class=\"finding\"").count(), 200);
    assert_eq!(page.matches("<details class=\"finding\" open").count(), 3);
    assert!(page.contains("<summary>20 more of the cause bug</summary>"));
}

#[test]
fn an_agreement_advises_to_switch_and_a_difference_never_does() {
    assert!(draw::html(&crate::support::agreeing()).contains("Switch when you like."));
    for report in [crate::support::rich(), Report::default()] {
        assert!(!draw::html(&report).contains("Switch when you like."));
    }
}

fn read(report: &Report) -> Junit {
    Junit::deserialize_from_str(&draw::junit(report)).unwrap()
}

fn cases(junit: &Junit) -> impl Iterator<Item = &TestCase> {
    junit.test_suites.iter().flat_map(|suite| &suite.test_cases)
}

fn is(case: &TestCase, wanted: NonSuccessKind) -> bool {
    matches!(case.status, TestCaseStatus::NonSuccess { kind, .. } if kind == wanted)
}

#[test]
fn junit_has_a_case_for_each_scenario_and_property() {
    for (name, report) in all() {
        let junit = read(&report);
        let scenarios =
            |outcome| report.scenarios.iter().filter(|one| one.outcome == outcome).count();
        let failed = report.properties.iter().filter(|one| one.failed > 0).count();
        let verdict = |wanted| usize::from(report.verdict == wanted);
        let failures = scenarios(Outcome::Different) + failed + verdict(Verdict::Differ);
        let errors = scenarios(Outcome::Undecided) + verdict(Verdict::Undecided);
        assert_eq!(junit.tests, 1 + report.scenarios.len() + report.properties.len(), "{name}");
        assert_eq!((junit.failures, junit.errors), (failures, errors), "{name}");
        assert_eq!(
            cases(&junit).filter(|case| is(case, NonSuccessKind::Failure)).count(),
            failures
        );
        assert_eq!(cases(&junit).filter(|case| is(case, NonSuccessKind::Error)).count(), errors);
        let skipped = report.properties.iter().filter(|one| one.tried == 0).count();
        assert_eq!(junit.skipped, skipped, "{name}: what was never tried did not pass");
    }
}

#[test]
fn nothing_compared_is_not_green() {
    let junit = read(&Report::default());
    assert_eq!((junit.tests, junit.errors), (1, 1));
    let green = read(&crate::support::agreeing());
    assert_eq!((green.failures, green.errors), (0, 0));
}

#[test]
fn a_failing_case_says_what_differs() {
    let junit = read(&crate::support::rich());
    let case = |name: &str| cases(&junit).find(|case| case.name.as_str() == name).unwrap();
    let different = case("v1_users/filter/webrtc_ringtone/8");
    let TestCaseStatus::NonSuccess { message, description, .. } = &different.status else {
        panic!("not a failure");
    };
    assert_eq!(message.as_deref(), Some("bug 6, quirk 4"));
    let told = description.as_deref().unwrap();
    for part in ["GET /api/user_management/v1/users", "assigned_teams (value)", "28982", "3718"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("3801"), "the example of another scenario");
    let explained = case("v1_users/all/timezone/7");
    assert!(matches!(explained.status, TestCaseStatus::Success { .. }));
    assert!(explained.system_out.as_deref().unwrap().contains("differences: order 9, race 1"));
    let undecided = case("v3_cdr_users/odd_characters/supervisor_in_teams/40");
    let TestCaseStatus::NonSuccess { message, .. } = &undecided.status else { panic!("no error") };
    assert_eq!(message.as_deref(), Some("The legacy API answered 503 three times."));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for (name, report) in all() {
        for width in [40, 80, 132] {
            let text = draw::terminal(&report, width, false);
            let (text, _) = text.split_once("\nSettings to try").unwrap_or((&text, ""));
            let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap_or_default();
            assert!(widest.chars().count() <= width, "{name} in {width}: {widest}");
        }
    }
}

#[test]
fn colours_change_nothing_but_the_colour() {
    for (name, report) in all() {
        let (plain, coloured) =
            (draw::terminal(&report, 80, false), draw::terminal(&report, 80, true));
        assert!(!plain.contains('\u{1b}') && coloured.contains("\u{1b}[1;3"), "{name}");
        let mut stripped = String::new();
        for (index, piece) in coloured.split("\u{1b}[").enumerate() {
            let (code, text) =
                if index == 0 { ("", piece) } else { piece.split_once('m').unwrap() };
            assert!(code.chars().all(|c| c.is_ascii_digit() || c == ';'), "{name}: {code}");
            stripped.push_str(text);
        }
        assert_eq!(stripped, plain, "{name}");
    }
}

#[test]
fn the_terminal_shows_differences_and_settings_to_try() {
    let text = draw::terminal(&crate::support::rich(), 100, false);
    for part in [
        "  v1_users assigned_teams\n    43 of 12,772 differ (0.34 %): bug 12, order 31\n",
        "48 fields have no difference. Least tested: v2_cdr_teams id (38 comparisons).",
        "  1. v1_users assigned_teams, value, 3 users, in 12 answers\n",
        "       legacy API \"3623, 3640, 3702, 3718\"\n       Tieline    \"3623, 3640, 3702\"\n",
        "  2 questions: The request budget was used up.\n",
        "  v1_users teams_exist did not hold 1 of 412 times\n",
        "  [legacy.v1_users]\n  # 1,204 values become equal, none speaks against it\n  supervisor_in_teams = \"names\"\n",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
}

#[test]
fn reading_the_json_gives_the_same_report() {
    for (name, mut report) in all() {
        for scenario in &mut report.scenarios {
            // JSON cannot express a number that is not finite.
            (scenario.control_ms, scenario.candidate_ms) = (12.5, 1.0 / 3.0);
        }
        let json = draw::json(&report);
        let back: Report = serde_json::from_str(&json).unwrap();
        let value = |report: &Report| serde_json::to_value(report).unwrap();
        assert_eq!(value(&back), value(&report), "{name}");
        assert_eq!(draw::json(&back), json, "{name}: the same text");
    }
}
