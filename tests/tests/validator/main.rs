//! The validator is itself measured: bugs and harmless differences are planted through the pretend
//! vendor and a proxy that changes what passes, and a real validation must tell them apart.
//!
//! An alarm is a place, an endpoint and a field, at which a case has at least one finding that is
//! called a bug. It is true where a bug was planted there, and false everywhere else: in a harmless
//! case, and at every other place of a bug's case.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod baselines;
mod beside;
mod bugs;
mod bugs_answers;
mod bugs_elsewhere;
mod bugs_legacy;
mod bugs_written;
mod case;
mod explained;
mod generated;
mod harmless;
mod measure;
mod quiet;
mod reasons;
mod witness;
mod world;

use std::path::Path;
use std::sync::Mutex;

use case::Case;
use futures_util::StreamExt;
use measure::{Measured, Verdict};

/// Cases at once.
const AT_ONCE: usize = 4;

fn catalogue() -> Vec<Case> {
    [
        bugs::texts(),
        bugs::dictionaries(),
        bugs::joined(),
        bugs::nested(),
        bugs_answers::listed(),
        bugs_answers::around_lists(),
        bugs_answers::filters(),
        bugs_answers::at_times(),
        bugs_elsewhere::elsewhere(),
        bugs_elsewhere::less_known(),
        bugs_legacy::values(),
        bugs_legacy::contradictions(),
        bugs_written::forms(),
        harmless::order(),
        harmless::races(),
        harmless::noise(),
        explained::quirks(),
        explained::losses(),
        explained::upstream_data(),
    ]
    .concat()
}

/// The heading before the figures of drawn differences.
const DRAWN: &str = "\n## Drawn differences\n\n";

/// Writes one of the two parts of the page anew, if `UPDATE_EXPECT` says so, and returns the first part.
fn update_page(catalogue: Option<&str>, drawn: Option<&str>) -> String {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/VALIDATION_MEASURED.md");
    let text = std::fs::read_to_string(&page).unwrap_or_default();
    let (before, behind) = text.split_once(DRAWN).unwrap_or((&text, ""));
    if std::env::var_os("UPDATE_EXPECT").is_none() {
        return before.to_owned();
    }
    let first = catalogue.unwrap_or(before);
    std::fs::write(&page, format!("{first}{DRAWN}{}", drawn.unwrap_or(behind))).unwrap();
    first.to_owned()
}

/// Measures the whole catalogue. `UPDATE_EXPECT=1` writes the page anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_bugs_are_found_and_harmless_differences_explained() {
    let only = std::env::var("ONLY_CASE").unwrap_or_default();
    let cases = catalogue();
    let wanted = cases.into_iter().filter(|case| case.name.contains(&only));
    let verdicts: Vec<Verdict> = futures_util::stream::iter(wanted)
        .map(|case| async move {
            let task = tokio::spawn(async move {
                let outcome = world::run(&case).await;
                Verdict::of(&case, &outcome)
            });
            task.await.unwrap()
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let measured = Measured::of(verdicts);
    println!("{}", measured.table());
    for wrong in measured.wrong() {
        println!("WRONG {wrong}");
    }
    measured.check();
    let found = update_page(Some(&measured.page()), None);
    assert!(
        found == measured.page(),
        "docs/VALIDATION_MEASURED.md is out of date; run with UPDATE_EXPECT=1"
    );
}
