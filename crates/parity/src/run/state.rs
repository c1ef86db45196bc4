//! What one question brought, and the memory of a run that was interrupted: a file with one line for
//! each question that is done. It holds what the report holds, and no value.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use corpus::node::Node;
use report::{Cause, Example, FieldReport, Finding, ScenarioReport};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cause::{Judgement, Setting, SettingKey, Vote};
use crate::compare::{Compared, Difference};
use crate::mask::Mask;
use crate::scenario::Scenario;

/// What one question brought.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// How it went.
    pub scenario: ScenarioReport,
    /// By field.
    pub fields: Vec<FieldReport>,
    /// What was found.
    pub findings: Vec<Found>,
    /// Settings that would make it equal, and how many values.
    pub settings: Vec<(Setting, u64)>,
    /// Fields of records that are explained by settings, as long as these hold.
    pub resting: Vec<Resting>,
    /// What control's answer says of settings.
    pub votes: Vec<Vote>,
    /// Records that both sides listed.
    pub records: u64,
}

/// A finding, and the setting that its cause rests on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    /// The finding.
    pub finding: Finding,
    /// The setting.
    pub rests_on: Option<SettingKey>,
}

/// Fields of records that are counted under one cause, which rests on settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Resting {
    /// The field.
    pub field: String,
    /// What they are counted under.
    pub cause: Cause,
    /// On what that rests.
    pub on: BTreeSet<SettingKey>,
    /// How many.
    pub count: u64,
}

impl Finished {
    pub(super) fn of(scenario: &Scenario) -> Finished {
        Finished {
            scenario: ScenarioReport {
                id: scenario.id.clone(),
                endpoint: scenario.endpoint.name.to_owned(),
                shape: scenario.ask.shape(),
                group: scenario.group.as_str().to_owned(),
                ..ScenarioReport::default()
            },
            fields: Vec::new(),
            findings: Vec::new(),
            settings: Vec::new(),
            resting: Vec::new(),
            votes: Vec::new(),
            records: 0,
        }
    }

    pub(super) fn field(&mut self, name: &str) -> &mut FieldReport {
        let known = self.fields.iter().position(|field| field.field == name);
        let place = known.unwrap_or_else(|| {
            let endpoint = self.scenario.endpoint.clone();
            let field = name.to_owned();
            self.fields.push(FieldReport { endpoint, field, ..FieldReport::default() });
            self.fields.len() - 1
        });
        &mut self.fields[place]
    }

    /// Takes out what is not to be compared; it counts as ignored, never as matched.
    pub(super) fn ignore(
        &mut self,
        found: &mut Compared,
        ignored: &[(String, String)],
        mask: &Mask,
    ) {
        for (endpoint, field) in ignored {
            if *endpoint != self.scenario.endpoint {
                continue;
            }
            if let Some(tally) = found.tallies.remove(field) {
                self.field(&mask.name(field)).ignored += tally.compared;
            }
            found.differences.retain(|difference| difference.field != *field);
        }
    }

    /// Counts what was compared and why it differs.
    pub(super) fn count(&mut self, found: &Compared, judged: Vec<Judgement>, told: &Told<'_>) {
        self.records = found.common_records;
        for (name, tally) in &found.tallies {
            // Several names may look alike once they are masked.
            let field = self.field(&told.mask.name(name));
            field.compared += tally.compared;
            field.distinct += tally.compared;
            field.matched += tally.matched;
        }
        // A field of a record counts once, under the worst of its causes.
        let mut worst: HashMap<(Option<&str>, &str), Explained> = HashMap::new();
        for (difference, judgement) in found.differences.iter().zip(&judged) {
            let of = (difference.record.as_deref(), difference.field.as_str());
            let (cause, on) = worst.entry(of).or_insert((judgement.cause, BTreeSet::new()));
            *cause = judgement.cause.min(*cause);
            on.extend(judgement.setting.as_ref().map(|setting| setting.key.clone()));
        }
        let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
        let mut resting: BTreeMap<(&str, Cause, BTreeSet<SettingKey>), u64> = BTreeMap::new();
        for ((_, name), (cause, on)) in worst {
            *self.field(&told.mask.name(name)).causes.entry(cause).or_default() += 1;
            *causes.entry(cause).or_default() += 1;
            if !on.is_empty() {
                *resting.entry((name, cause, on)).or_default() += 1;
            }
        }
        let resting = resting.into_iter();
        let resting = resting.map(|((field, cause, on), count)| Resting {
            field: told.mask.name(field),
            cause,
            on,
            count,
        });
        self.resting = resting.collect();
        self.scenario.causes = causes;
        for (difference, judgement) in found.differences.iter().zip(judged) {
            self.find(difference, judgement, told);
        }
        self.hide(told.mask);
    }

    /// Whatever a side may have said is without keys.
    pub(super) fn hide(&mut self, mask: &Mask) {
        mask.secrets().hide_in_scenario(&mut self.scenario);
        for found in &mut self.findings {
            mask.secrets().hide_in_findings(std::slice::from_mut(&mut found.finding), &mut []);
        }
        for (setting, _) in &mut self.settings {
            setting.value = mask.secrets().hide(&setting.value);
        }
        for vote in &mut self.votes {
            vote.values = vote.values.iter().map(|value| mask.secrets().hide(value)).collect();
        }
    }

    fn find(&mut self, difference: &Difference, judgement: Judgement, told: &Told<'_>) {
        let mask = told.mask;
        let path = mask.name(&difference.path);
        let kind = difference.kind.as_str();
        let rests_on = judgement.setting.as_ref().map(|setting| &setting.key);
        let known = self.findings.iter().position(|Found { finding, rests_on: on }| {
            finding.field == path
                && finding.kind == kind
                && finding.cause == judgement.cause
                && finding.why == judgement.why
                && on.as_ref() == rests_on
        });
        let place = known.unwrap_or_else(|| {
            let finding = Finding {
                endpoint: self.scenario.endpoint.clone(),
                field: path,
                kind: kind.to_owned(),
                cause: judgement.cause,
                why: judgement.why.clone(),
                count: 0,
                examples: Vec::new(),
            };
            self.findings.push(Found { finding, rests_on: rests_on.cloned() });
            self.findings.len() - 1
        });
        let finding = &mut self.findings[place].finding;
        finding.count += 1;
        if finding.examples.len() < told.examples_max {
            let key = difference.record.as_deref();
            let records = key.map(|key| (told.records)(key)).unwrap_or_default();
            let shown =
                |value: &Option<Node>| mask.show(&difference.path, value.as_ref(), &records);
            finding.examples.push(Example {
                scenario: self.scenario.id.clone(),
                record: key.map(|key| mask.record(key, &records)),
                control: shown(&difference.control),
                candidate: shown(&difference.candidate),
            });
        }
        let Some(setting) = judgement.setting else { return };
        match self.settings.iter_mut().find(|(known, _)| *known == setting) {
            Some((_, evidence)) => *evidence += 1,
            None => self.settings.push((setting, 1)),
        }
    }
}

/// The worst cause of a field, and the settings that its causes rest on.
type Explained = (Cause, BTreeSet<SettingKey>);

/// How differences are told.
pub(super) struct Told<'a> {
    /// Examples of each finding.
    pub(super) examples_max: usize,
    pub(super) mask: &'a Mask,
    /// The records of a key, of both sides.
    pub(super) records: &'a dyn Fn(&str) -> Vec<Node>,
}

/// What is done already, and where to note what gets done.
#[derive(Debug, Default)]
pub struct State {
    done: HashMap<String, Finished>,
    file: Option<File>,
    /// Where that file is.
    path: PathBuf,
    /// Digest of what is compared under which settings.
    of: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    of: String,
    fingerprint: String,
    finished: Finished,
}

impl State {
    /// No memory.
    pub fn none() -> State {
        State::default()
    }

    /// A file that is begun anew, or taken up again. A line that was not written whole is left out,
    /// and so is one of a run that compared something else: `of` names the sides, and all settings
    /// that an answer or its judgement depends on. Of that only a digest is written.
    ///
    /// # Errors
    /// Where the file cannot be read or written.
    pub fn open(path: &Path, resume: bool, of: &str) -> io::Result<State> {
        let digest = Sha256::digest(of);
        let of: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let mut done = HashMap::new();
        if resume && path.exists() {
            // In bytes: what a crash left there may be no text.
            for line in BufReader::new(File::open(path)?).split(b'\n') {
                let Ok(line) = serde_json::from_slice::<Line>(&line?) else { continue };
                if line.of == of {
                    done.insert(line.fingerprint, line.finished);
                }
            }
        }
        let mut options = OpenOptions::new();
        options.create(true).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match resume {
            true => options.append(true),
            false => options.truncate(true),
        };
        let mut file = options.open(path)?;
        if file.metadata()?.len() > 0 {
            // What was cut in the middle of a line ends there.
            file.write_all(b"\n")?;
        }
        Ok(State { done, file: Some(file), path: path.to_owned(), of })
    }

    /// Every question has an answer: who asks once more begins anew.
    ///
    /// # Errors
    /// Where the file cannot be removed.
    pub fn finish(self) -> io::Result<()> {
        if self.file.is_some() { fs::remove_file(&self.path) } else { Ok(()) }
    }

    /// Whether a question is done.
    pub fn has(&self, fingerprint: &str) -> bool {
        self.done.contains_key(fingerprint)
    }

    /// How many are done.
    pub fn len(&self) -> usize {
        self.done.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    pub(super) fn take(&mut self, fingerprint: &str) -> Option<Finished> {
        self.done.remove(fingerprint)
    }

    /// A line that cannot be written is asked again the next time.
    pub(super) fn note(&mut self, fingerprint: &str, finished: &Finished) {
        let Some(file) = &mut self.file else { return };
        let (of, fingerprint) = (self.of.clone(), fingerprint.to_owned());
        let line = Line { of, fingerprint, finished: finished.clone() };
        if let Ok(mut text) = serde_json::to_string(&line) {
            text.push('\n');
            let _ = file.write_all(text.as_bytes());
        }
    }
}
