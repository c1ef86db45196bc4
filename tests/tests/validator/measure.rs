//! What a validation said of each case, whether it was right, and the page about it.

use std::collections::BTreeSet;
use std::fmt::Write;

use report::Cause;

use crate::baselines::{by_position, by_set};
use crate::case::{Case, Side, Vendor};
use crate::world::Outcome;

/// What was said of a case.
pub(crate) struct Verdict {
    case: Case,
    /// The causes of all findings.
    causes: BTreeSet<Cause>,
    /// Where something is called a bug.
    alarms: BTreeSet<(String, String)>,
    /// Places with any finding, for a message.
    places: BTreeSet<String>,
    is_planted: bool,
    by_position: bool,
    by_set: bool,
}

impl Verdict {
    pub(crate) fn of(case: &Case, outcome: &Outcome) -> Verdict {
        let findings = &outcome.report.findings;
        let bugs = findings.iter().filter(|finding| finding.cause == Cause::Bug);
        let told = |one: &report::Finding| {
            format!("{}.{} {}: {}", one.endpoint, one.field, one.cause.as_str(), one.why)
        };
        let undecided = outcome.report.scenarios.iter().filter_map(|one| {
            one.undecided_because.as_ref().map(|because| format!("{} undecided {because}", one.id))
        });
        Verdict {
            case: case.clone(),
            causes: findings.iter().map(|finding| finding.cause).collect(),
            alarms: bugs.map(|bug| (bug.endpoint.clone(), bug.field.clone())).collect(),
            places: findings.iter().map(told).chain(undecided).collect(),
            is_planted: outcome.changed.is_none_or(|changed| changed > 0) && !findings.is_empty(),
            by_position: by_position(&outcome.pairs),
            by_set: by_set(&outcome.pairs),
        }
    }

    /// Whether a place is one at which something was planted.
    fn is_at(&self, (endpoint, field): &(String, String)) -> bool {
        let top = field.split('[').next().unwrap_or(field);
        *endpoint == self.case.endpoint
            && self.case.planted.iter().any(|planted| {
                *planted == field.as_str()
                    || *planted == top
                    || planted.split('[').next() == Some(top)
            })
    }

    fn true_alarms(&self) -> usize {
        match self.case.is_bug() {
            true => self.alarms.iter().filter(|place| self.is_at(place)).count(),
            false => 0,
        }
    }

    fn is_found(&self) -> bool {
        self.true_alarms() > 0
    }

    fn is_cause_right(&self) -> bool {
        self.causes == self.case.causes.iter().copied().collect()
    }

    fn is_right(&self) -> bool {
        self.is_cause_right()
            && self.is_planted
            && self.is_found() == self.case.is_bug()
            && self.true_alarms() == self.alarms.len()
    }
}

/// Everything that was measured.
pub(crate) struct Measured {
    all: Vec<Verdict>,
}

/// How one way of comparing did.
struct Row {
    name: &'static str,
    found: usize,
    false_alarms: usize,
    alarms: usize,
    causes: Option<usize>,
}

impl Measured {
    pub(crate) fn of(all: Vec<Verdict>) -> Measured {
        Measured { all }
    }

    fn bugs(&self) -> impl Iterator<Item = &Verdict> {
        self.all.iter().filter(|one| one.case.is_bug())
    }

    fn harmless(&self) -> impl Iterator<Item = &Verdict> {
        self.all.iter().filter(|one| !one.case.is_bug())
    }

    fn rows(&self) -> [Row; 3] {
        let baseline = |name, differs: &dyn Fn(&Verdict) -> bool| {
            let found = self.bugs().filter(|one| differs(one)).count();
            let false_alarms = self.harmless().filter(|one| differs(one)).count();
            Row { name, found, false_alarms, alarms: found + false_alarms, causes: None }
        };
        let alarms: usize = self.all.iter().map(|one| one.alarms.len()).sum();
        let true_alarms: usize = self.all.iter().map(Verdict::true_alarms).sum();
        [
            Row {
                name: "`tieline validate`",
                found: self.bugs().filter(|one| one.is_found()).count(),
                false_alarms: alarms - true_alarms,
                alarms,
                causes: Some(self.all.iter().filter(|one| one.is_cause_right()).count()),
            },
            baseline("by position", &|one| one.by_position),
            baseline("arrays as sets", &|one| one.by_set),
        ]
    }

    /// The figures.
    pub(crate) fn table(&self) -> String {
        let (bugs, harmless) = (self.bugs().count(), self.harmless().count());
        let mut text = format!(
            "{bugs} bugs and {harmless} harmless differences were planted.\n\n\
             | compared | bugs found | recall | alarms | of these false | precision | causes right |\n\
             |---|---|---|---|---|---|---|\n"
        );
        for row in self.rows() {
            let causes = match row.causes {
                Some(right) => {
                    format!("{right} of {} ({})", self.all.len(), share(right, self.all.len()))
                }
                None => "tells none".to_owned(),
            };
            let _ = writeln!(
                text,
                "| {} | {} of {bugs} | {} | {} | {} | {} | {causes} |",
                row.name,
                row.found,
                share(row.found, bugs),
                row.alarms,
                row.false_alarms,
                share(row.alarms - row.false_alarms, row.alarms),
            );
        }
        text
    }

    /// Every case that was judged wrong, and what was said of it.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let wrong = self.all.iter().filter(|one| !one.is_right());
        let told = |one: &Verdict| {
            let planted = if one.is_planted { "" } else { " (nothing was planted)" };
            format!("{}{planted}: {:?} for {:?}", one.case.name, one.places, one.case.causes)
        };
        wrong.map(told).collect()
    }

    /// What must hold.
    pub(crate) fn check(&self) {
        let names: BTreeSet<_> = self
            .all
            .iter()
            .map(|one| (one.case.name, one.case.endpoint, one.case.is_bug()))
            .collect();
        assert_eq!(names.len(), self.all.len(), "two cases of one name");
        let unplanted: Vec<_> =
            self.all.iter().filter(|one| !one.is_planted).map(|one| one.case.name).collect();
        assert!(unplanted.is_empty(), "nothing came of {unplanted:?}");
        let (bugs, harmless) = (self.bugs().count(), self.harmless().count());
        assert!(bugs >= 60 && harmless >= 40, "{bugs} bugs, {harmless} harmless differences");
        let [row, ..] = self.rows();
        let missed: Vec<_> =
            self.bugs().filter(|one| !one.is_found()).map(|one| one.case.name).collect();
        assert!(missed.is_empty(), "missed: {missed:?}");
        let is_precise = (row.alarms - row.false_alarms) * 100 >= row.alarms * 99;
        assert!(is_precise, "{} false alarms of {}", row.false_alarms, row.alarms);
        let right = row.causes.unwrap_or(0);
        assert!(right * 100 >= self.all.len() * 95, "{right} causes right of {}", self.all.len());
    }

    /// The page of the documentation.
    pub(crate) fn page(&self) -> String {
        let mut text = format!("{INTRODUCTION}\n{}\n{READING}\n", self.table());
        for (title, is_bug) in [("Bugs", true), ("Harmless differences", false)] {
            let _ = write!(
                text,
                "## {title}\n\n| where | expected | found | by position | as sets | planted |\n\
                 |---|---|---|---|---|---|\n"
            );
            // One row for the cases that were judged alike.
            let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
            for one in self.all.iter().filter(|one| one.case.is_bug() == is_bug) {
                let said = |differs| if differs { "differs" } else { "equal" };
                let head = format!(
                    "| `{}`{} | {} | {} | {} | {} |",
                    one.case.endpoint,
                    place(&one.case),
                    titles(one.case.causes.iter().copied()),
                    titles(one.causes.iter().copied()),
                    said(one.by_position),
                    said(one.by_set),
                );
                match rows.iter_mut().find(|(known, _)| *known == head) {
                    Some((_, names)) => names.push(one.case.name),
                    None => rows.push((head, vec![one.case.name])),
                }
            }
            for (head, names) in rows {
                let _ = writeln!(text, "{head} {} |", names.join("; "));
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

fn titles(causes: impl Iterator<Item = Cause>) -> String {
    let titles: Vec<&str> = causes.map(Cause::title).collect();
    if titles.is_empty() { "nothing".to_owned() } else { titles.join(", ") }
}

/// Where it stands, and what else is special.
fn place(case: &Case) -> String {
    let side = match case.side {
        Side::Candidate => "",
        Side::Control => ", control",
        Side::Upstream => ", new API",
    };
    let vendor = match case.vendor {
        Vendor::Voiso => "",
        Vendor::VoisoWithoutTeams => ", no list of teams",
        Vendor::VoisoUnseen => ", new API unseen",
        Vendor::Vonage => ", Vonage",
        Vendor::VonageMapped => ", Vonage, ids mapped",
    };
    format!("{}{vendor}", if case.is_bug() { "" } else { side })
}

fn share(part: usize, of: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / of.max(1) as f64)
}

const INTRODUCTION: &str = "\
# The validator, measured

Bugs and harmless differences are planted one at a time: in the data of a pretend vendor, or by a proxy before
the gateway or the legacy API that changes answers. Then the endpoint is validated. Generated by
`UPDATE_EXPECT=1 cargo test -p tests --test validator`, which also fails if the figures get worse.
";

const READING: &str = "\
An alarm of the validator is an endpoint's field with a finding that is called a bug. It is false in a harmless
case, and at every field of a bug's case in which nothing was planted. The two simple methods name no field, so
their alarm is a case in which any answer differs. A cause is right if the findings have exactly the expected causes.

A difference in a field of every list gets the first eight questions only; a difference in who is listed or how a
request is refused gets all of them. One cause is known to be wrong, and it is no bug: a name of a caller-id group
that changes each time looks like an entry of the dictionary at first.

By position compares status and JSON, arrays element by element. As sets ignores the order and number of elements,
like `jd -set`. Both got the validator's answers, once each. Over Vonage the validator leaves out all fields but the
planted one; the simple methods see whole answers, so there every case differs for them.
";
