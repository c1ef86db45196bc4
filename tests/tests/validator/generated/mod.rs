//! Differences that are drawn: a random rule on a random field of a random share of the users, on either
//! side, beside random harmless differences. So the validator is measured by kinds that its own tests do
//! not list one by one.
//!
//! A published figure is taken once, on seeds that nobody has run before. From then on these are for mending, too.

mod case;
mod dice;
mod edits;
mod filters;
mod rules;
mod world;

use std::collections::BTreeSet;

use parity::run::Plan;
use parity::scenario::Extent;
use report::{Cause, Report, Verdict};

use case::{Case, Where, draw};
use world::{World, both};

/// The first seed if none is named.
const FIRST: u64 = 1_000_000;
/// Seeds of the data.
const DATA: [(u64, usize); 3] = [(1, 60), (7, 150), (23, 400)];

/// What was said of one case.
struct Said {
    seed: u64,
    told: String,
    is_bug: bool,
    /// Whether the verdict or a finding tells of it.
    is_found: bool,
    has_right_cause: bool,
    alarms: usize,
    false_alarms: usize,
}

impl Said {
    fn of(seed: u64, case: &Case, report: &Report) -> Said {
        let is_at = |field: &str| {
            let top = field.split('[').next().unwrap_or(field);
            case.fields.contains(&top) || field == "$users"
        };
        let mut causes = BTreeSet::new();
        let (mut alarms, mut false_alarms) = (0, 0);
        for finding in &report.findings {
            let is_main = finding.field.split('[').next() == case.fields.first().copied();
            if is_main {
                causes.insert(finding.cause);
            }
            if finding.cause == Cause::Bug {
                alarms += 1;
                false_alarms += usize::from(!(is_at(&finding.field) && case.is_bug()));
            }
        }
        // The order of records beside a rule is not what was planted.
        let has_right_cause = match causes.len() {
            1 => causes.iter().all(|cause| case.causes.contains(cause)),
            _ => false,
        };
        let found: Vec<String> = report
            .findings
            .iter()
            .map(|one| format!("{} {} {} ({})", one.field, one.cause.as_str(), one.why, one.count))
            .collect();
        let told = format!(
            "{seed} {:?} {} {}: {} of {} users: {:?} {found:?} {}",
            case.place,
            case.endpoint.name,
            case.name,
            case.users,
            case.of,
            report.verdict,
            report.because
        );
        let is_found = report.verdict != Verdict::Agree;
        let is_bug = case.causes == [Cause::Bug] || case.place != Where::Control && case.is_bug();
        Said { seed, told, is_bug, is_found, has_right_cause, alarms, false_alarms }
    }
}

/// The share, and its 95 % interval by Wilson.
fn share(part: usize, of: usize) -> String {
    let (n, p, z) = (of.max(1) as f64, part as f64 / of.max(1) as f64, 1.96_f64);
    let middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / (1.0 + z * z / n);
    let percent = |x: f64| 100.0 * x.clamp(0.0, 1.0);
    format!(
        "{part} of {of} ({:.1} %, 95 % interval {:.1} to {:.1} %)",
        percent(p),
        percent(middle - half),
        percent(middle + half)
    )
}

fn plan(case: &Case) -> Plan {
    Plan {
        endpoints: vec![case.endpoint],
        extent: Extent { values_per_filter: 1, pairs: false },
        ..Plan::default()
    }
}

async fn measured(first: u64, cases: u64) -> Vec<Said> {
    let mut all = Vec::new();
    for (place, (data, users)) in DATA.into_iter().enumerate() {
        let both = both(data, users).await;
        let world = World::of(&both);
        let mut seed = first + place as u64 * 100_000;
        let end = all.len() as u64 + cases.div_ceil(DATA.len() as u64);
        while (all.len() as u64) < end {
            if let Some(case) = draw(seed, &world).await {
                let is_seen = case.place != Where::Candidate;
                let report =
                    world.validate(&plan(&case), &case.control, &case.candidate, is_seen).await;
                all.push(Said::of(seed, &case, &report));
            }
            seed += 1;
        }
    }
    all
}

/// The section of the page.
fn section(lines: &[String]) -> String {
    let mut text = SECTION.to_owned();
    for line in lines {
        text.push_str(&format!("- {line}\n"));
    }
    text
}

const SECTION: &str = "\
Each case has a random rule on a random field for a random share of the users, in the legacy API, in a gateway of
the same process or in one by its URL, beside random harmless differences. `recall` is the share of wrong answers
that do not get \"you may switch\". `precision` is the share of findings called a bug whose field has a planted
bug; its interval is too narrow, because a case can have several findings. Differences that may rightly have
another cause than a bug, such as a rule with a setting, do not count as wrong answers. Written by
`UPDATE_EXPECT=1 DRAWN_CASES=400 cargo test --workspace --test validator drawn`; `DRAWN_SEED` chooses other seeds.
A published figure is of seeds that were not run before.

";

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// `DRAWN_SEED` is the first seed and `DRAWN_CASES` the number of cases, for longer measurements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drawn_bugs_are_found_and_drawn_harmless_differences_are_explained() {
    let first = number("DRAWN_SEED", FIRST);
    let all = measured(first, number("DRAWN_CASES", 90)).await;
    let of = |is_it: &dyn Fn(&&Said) -> bool| all.iter().filter(is_it).count();
    let (bugs, found) = (of(&|one| one.is_bug), of(&|one| one.is_bug && one.is_found));
    let alarms: usize = all.iter().map(|one| one.alarms).sum();
    let false_alarms: usize = all.iter().map(|one| one.false_alarms).sum();
    let right = of(&|one| one.has_right_cause);
    let lines = [
        format!(
            "seeds from {first}: {bugs} wrong answers and {} other differences",
            all.len() - bugs
        ),
        format!("recall: {}", share(found, bugs)),
        format!("precision: {}", share(alarms - false_alarms, alarms)),
        format!("causes right: {}", share(right, all.len())),
    ];
    println!("{}", lines.join("\n"));
    // The page has the figures of a long run.
    if std::env::var_os("DRAWN_CASES").is_some() {
        crate::update_page(None, Some(&section(&lines)));
    }
    for one in &all {
        let is_missed = one.is_bug && !one.is_found;
        if is_missed || one.false_alarms > 0 || !one.has_right_cause {
            let kind = match (is_missed, one.false_alarms > 0) {
                (true, _) => "MISSED",
                (_, true) => "FALSE",
                _ => "CAUSE",
            };
            println!("{kind} {}", one.told);
        }
    }
    assert!(all.iter().all(|one| one.seed >= first));
    assert!(found * 100 >= bugs * 99, "recall");
    assert!((alarms - false_alarms) * 100 >= alarms * 99, "precision");
    assert!(right * 100 >= all.len() * 95, "causes");
}
