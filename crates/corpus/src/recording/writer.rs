//! Writes a corpus. It must never write a body before its people were replaced, and must never leave an
//! incomplete file under the name of the corpus.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::line::{self, Asked, Body, BodyId, End, First, Last, Line};
use super::{CorpusError, FORMAT, Header, UNFINISHED};
use crate::ask::{Ask, Reply};
use crate::beside::Beside;
use crate::endpoint::Endpoint;
use crate::hex::hex;
use crate::owner_only::owner_only;
use crate::pseudonym::{Document, Pseudonyms};
use crate::relay::{Exchange, Recorder};

/// Paths of the new API that are recorded.
const UPSTREAM: &[&str] = &["/api/v4/", "/useradmin/"];

/// A corpus that is being written. Clones write the same corpus.
///
/// The file has `.part` behind its name until [`Writer::finish`] renames it. A process that is killed
/// leaves that file.
#[derive(Clone)]
pub struct Writer(Arc<Shared>);

struct Shared {
    pseudonyms: Pseudonyms,
    open: Mutex<Open>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub legacy: u64,
    /// Exchanges with the new API, without those that only repeat the one before.
    pub upstream: u64,
    pub bodies: u64,
    /// Exchanges that were left out because their path is not recorded.
    pub left_out: u64,
    /// Bodies that were left out because they are not JSON, so that people in them cannot be replaced.
    pub bodies_left_out: u64,
    /// Questions that control did not answer.
    pub unanswered: u64,
}

struct Open {
    /// `None` after the end.
    file: Option<BufWriter<File>>,
    part: PathBuf,
    path: PathBuf,
    digest: Sha256,
    question: u64,
    /// The part of a value that the question asks for, and its pseudonym.
    slice: Option<(String, String)>,
    /// Digests of bodies, by the digest before people were replaced.
    raw: HashMap<BodyId, BodyId>,
    written: HashSet<BodyId>,
    /// The last answer to each request, by digests of both.
    last: HashMap<BodyId, BodyId>,
    summary: Summary,
    failure: Option<CorpusError>,
}

impl Writer {
    /// Begins a corpus at `path`. A file that is already there is replaced at the end.
    pub fn new(
        path: &Path,
        header: &Header,
        pseudonyms: Pseudonyms,
    ) -> Result<Writer, CorpusError> {
        let mut part = path.as_os_str().to_owned();
        part.push(".");
        part.push(UNFINISHED);
        let part = PathBuf::from(part);
        if let Err(error) = fs::remove_file(&part)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error.into());
        }
        let file = owner_only().create_new(true).open(&part)?;
        let mut open = Open {
            file: Some(BufWriter::new(file)),
            part,
            path: path.to_owned(),
            digest: Sha256::new(),
            question: 0,
            slice: None,
            raw: HashMap::new(),
            written: HashSet::new(),
            last: HashMap::new(),
            summary: Summary::default(),
            failure: None,
        };
        let header = Cow::Borrowed(header);
        open.write(&line::line(&First { tieline_corpus: FORMAT, header }))?;
        Ok(Writer(Arc::new(Shared { pseudonyms, open: Mutex::new(open) })))
    }

    /// The pseudonyms of this corpus, for values that the replay needs, such as those of a dictionary.
    pub fn pseudonyms(&self) -> &Pseudonyms {
        &self.0.pseudonyms
    }

    /// Begins a question. A list may change during a recording; a replay of this question shows the list
    /// as it was then.
    pub fn at(&self, question: u64) {
        let mut open = self.open();
        open.question = question;
        open.slice = None;
    }

    /// Until the next question, requests to the new API may contain this part of a value, because
    /// candidate passes it on.
    pub fn asks_for_part(&self, text: &str, pseudonym: &str) {
        self.open().slice = Some((text.to_owned(), pseudonym.to_owned()));
    }

    /// Writes a legacy answer, with the values of the question replaced.
    ///
    /// # Errors
    /// Where the path belongs to no recorded endpoint, or writing has failed.
    pub fn legacy(&self, ask: &Ask, reply: &Reply) -> Result<(), CorpusError> {
        let pseudonyms = &self.0.pseudonyms;
        let pair = |(name, value): &(String, String)| {
            (pseudonyms.parameter(name), pseudonyms.value(name, value))
        };
        let replaced = Ask { query: ask.query.iter().map(pair).collect(), ..ask.clone() };
        self.legacy_as(&replaced, reply)
    }

    /// The same for a question whose values are pseudonyms already, such as one for a part of a name; see
    /// [`Pseudonyms::slice`].
    pub fn legacy_as(&self, ask: &Ask, reply: &Reply) -> Result<(), CorpusError> {
        if Endpoint::at(&ask.path).is_none() && Beside::at(&ask.path).is_none() {
            return Err(CorpusError::NoEndpoint);
        }
        let body = self.body(Document::of_path(&ask.path), &reply.body)?;
        let mut open = self.open();
        let line = self.parts(&open, Asked::Legacy(Cow::Borrowed(ask)), reply, &body);
        open.write(&line::line(&line))?;
        open.summary.legacy += 1;
        Ok(())
    }

    /// Writes an exchange with the new API, unless it repeats the last answer to the same request.
    pub fn upstream(&self, name: &str, exchange: &Exchange) -> Result<(), CorpusError> {
        let Exchange { method, target, reply } = exchange;
        if !UPSTREAM.iter().any(|prefix| target.starts_with(prefix)) {
            self.open().summary.left_out += 1;
            return Ok(());
        }
        let slice = self.open().slice.clone();
        let slice = slice.as_ref().map(|(text, pseudonym)| (text.as_str(), pseudonym.as_str()));
        let target = self.0.pseudonyms.target_with(target, slice);
        let body = self.body(Document::Other, &reply.body)?;
        let mut open = self.open();
        let asked = Asked::Upstream {
            name: Cow::Borrowed(name),
            method: Cow::Borrowed(method),
            target: Cow::Borrowed(&target),
        };
        let request = line::digest(&line::line(&asked));
        let mut line = self.parts(&open, asked, reply, &body);
        let question = std::mem::take(&mut line.question);
        let answer = line::digest(&line::line(&line));
        if open.last.insert(request, answer) != Some(answer) {
            open.write(&line::line(&Line { question, ..line }))?;
            open.summary.upstream += 1;
        }
        Ok(())
    }

    pub fn recorder(&self, name: &str) -> Arc<dyn Recorder> {
        Arc::new(ToWriter { writer: self.clone(), name: name.to_owned() })
    }

    /// Writes the last line, waits until everything is on disk, and renames the file.
    ///
    /// # Errors
    /// Where writing fails or has failed; only the unfinished file exists then.
    pub fn finish(&self) -> Result<Summary, CorpusError> {
        let mut open = self.open();
        if let Some(failure) = open.failure {
            return Err(failure);
        }
        let digest: BodyId = open.digest.clone().finalize().into();
        let Summary { legacy, upstream, bodies, unanswered, .. } = open.summary;
        let end = End { bodies, legacy, upstream, unanswered, sha256: hex(&digest) };
        open.write(&line::line(&Last { end }))?;
        let file = open.file.take().ok_or(CorpusError::Finished)?;
        let file = file.into_inner().map_err(|error| CorpusError::from(error.into_error()))?;
        file.sync_all()?;
        fs::rename(&open.part, &open.path)?;
        let folder = open.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(open.summary)
    }

    /// Notes how many questions have no answer. A replay reports them as undecided.
    pub fn left_unanswered(&self, questions: u64) {
        self.open().summary.unanswered = questions;
    }

    /// Removes the unfinished file. Nothing is written from now on.
    pub fn discard(&self) {
        let mut open = self.open();
        open.file = None;
        // A finished corpus has been renamed.
        let _ = fs::remove_file(&open.part);
    }

    pub fn summary(&self) -> Summary {
        self.open().summary
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a body unless it is written already. People are replaced before the file is locked.
    fn body(&self, document: Document, body: &Bytes) -> Result<Body, CorpusError> {
        if body.is_empty() {
            return Ok(Body::Empty);
        }
        let raw = line::digest(&[&[document as u8], &line::digest(body)[..]].concat());
        if let Some(id) = self.open().raw.get(&raw) {
            return Ok(Body::Is(*id));
        }
        let Ok(json) = self.0.pseudonyms.json(document, body) else {
            self.open().summary.bodies_left_out += 1;
            return Ok(Body::LeftOut);
        };
        let id = line::digest(&json);
        let mut open = self.open();
        if open.written.insert(id) {
            open.write_parts(&[&line::body_front(&id), &json, line::BODY_BACK])?;
            open.summary.bodies += 1;
        }
        open.raw.insert(raw, id);
        Ok(Body::Is(id))
    }

    fn parts<'a>(&self, open: &Open, asked: Asked<'a>, reply: &Reply, body: &Body) -> Line<'a> {
        Line {
            asked,
            question: open.question,
            status: reply.status,
            headers: line::recorded(reply.headers.iter().cloned()),
            body: if let Body::Is(id) = body { Some(hex(id)) } else { None },
            left_out: matches!(body, Body::LeftOut),
        }
    }
}

impl Open {
    /// Writes a whole line. After a failure nothing is written: an incomplete line must be the last.
    fn write(&mut self, line: &[u8]) -> Result<(), CorpusError> {
        self.write_parts(&[line])
    }

    fn write_parts(&mut self, parts: &[&[u8]]) -> Result<(), CorpusError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let file = self.file.as_mut().ok_or(CorpusError::Finished)?;
        for part in parts {
            if let Err(error) = file.write_all(part) {
                let failure = CorpusError::from(error);
                self.failure = Some(failure);
                return Err(failure);
            }
            self.digest.update(part);
        }
        Ok(())
    }
}

struct ToWriter {
    writer: Writer,
    name: String,
}

impl Recorder for ToWriter {
    fn record(&self, exchange: &Exchange) {
        // The writer keeps a failure, and `finish` returns it.
        let _ = self.writer.upstream(&self.name, exchange);
    }
}
