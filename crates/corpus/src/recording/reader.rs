//! Reads a corpus. Requests stay in memory, bodies in the file. It must never answer from a file that was
//! not read to its end and found unchanged.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::line::{self, Asked, Body, BodyId, End, First, Format, LINE_BYTES_MAX, Last, Line};
use super::rebuild::{Layout, PageOf};
use super::{CorpusError, FORMAT, Header};
use crate::ask::{Ask, Reply};
use crate::hex::hex;
use crate::pseudonym::canonical;

/// The replacement for a body that was not JSON.
const LEFT_OUT: &[u8] = b"(no JSON, left out of the recording)";

/// The most bytes of pages that are read to put one list together. 50,000 users take about 70 MiB.
const LIST_BYTES_MAX: usize = 256 << 20;

/// A corpus that was read to its end and found unchanged.
pub struct Corpus {
    file: File,
    header: Header,
    asks: Vec<Ask>,
    legacy: HashMap<Ask, Answer>,
    upstream: HashMap<Request, Vec<(u64, Answer)>>,
    names: BTreeSet<String>,
    bodies: HashMap<BodyId, Place>,
    unanswered: u64,
    /// The list that was put together last.
    laid: Mutex<Option<LastList>>,
    list_bytes_max: usize,
}

/// A list that was put together, or cannot be, by upstream, list and question.
struct LastList {
    name: String,
    list: String,
    question: u64,
    laid: Option<Layout>,
}

/// Upstream, method and target.
type Request = (String, String, String);

/// An answer without its body.
#[derive(Clone)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

/// Where a body is in the file.
#[derive(Clone, Copy)]
struct Place {
    line: u64,
    offset: u64,
    length: usize,
}

impl Corpus {
    /// Reads a corpus from beginning to end. This may take long, so it must not run on a thread that
    /// serves sockets.
    ///
    /// # Errors
    /// Where the file is not a corpus, has a later format, ends early or was edited.
    pub fn open(path: &Path) -> Result<Corpus, CorpusError> {
        let file = File::open(path)?;
        let mut lines = Lines::new(&file);
        let mut line = Vec::new();
        lines.next(&mut line)?;
        let header = first(&line)?;
        let mut corpus = Corpus {
            file: file.try_clone()?,
            header,
            asks: Vec::new(),
            legacy: HashMap::new(),
            upstream: HashMap::new(),
            names: BTreeSet::new(),
            bodies: HashMap::new(),
            unanswered: 0,
            laid: Mutex::default(),
            list_bytes_max: LIST_BYTES_MAX,
        };
        let (mut legacy, mut upstream) = (0, 0);
        loop {
            let before = lines.digest.clone();
            let offset = lines.offset;
            if lines.next(&mut line)? == 0 {
                return Err(CorpusError::Unfinished);
            }
            let (number, edited) = (lines.number, CorpusError::Edited { line: lines.number });
            if line.last() != Some(&b'\n') {
                return Err(CorpusError::Unfinished);
            }
            if line::is_body(&line) {
                let (id, range) = line::read_body(&line).ok_or(edited)?;
                let offset = offset + range.start as u64;
                corpus.bodies.insert(id, Place { line: number, offset, length: range.len() });
            } else if let Ok(last) = serde_json::from_slice::<Last>(&line) {
                let digest: BodyId = before.finalize().into();
                let bodies = corpus.bodies.len() as u64;
                let unanswered = last.end.unanswered;
                let sha256 = hex(&digest);
                let read = End { bodies, legacy, upstream, unanswered, sha256 };
                corpus.unanswered = unanswered;
                return match read == last.end && lines.next(&mut line)? == 0 {
                    true => Ok(corpus),
                    false => Err(edited),
                };
            } else {
                let exchange: Line<'_> = serde_json::from_slice(&line).map_err(|_| edited)?;
                match exchange.asked {
                    Asked::Legacy(_) => legacy += 1,
                    Asked::Upstream { .. } => upstream += 1,
                }
                corpus.take(exchange, number)?;
            }
        }
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many questions control did not answer. A replay cannot ask these.
    pub fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// The questions, each once, in the order in which they were first asked.
    pub fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// The names of the upstreams that were recorded.
    pub fn upstreams(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The legacy answer to a question, or the last of several answers. It reads the file.
    ///
    /// # Errors
    /// Where the file has changed since it was opened.
    pub fn legacy(&self, ask: &Ask) -> Result<Option<Reply>, CorpusError> {
        self.legacy.get(ask).map(|answer| self.reply(answer)).transpose()
    }

    /// The answer of an upstream during a question: the last one until then. Where there is none, it is the
    /// first answer after it, because a gateway remembers its readings. It reads the file.
    ///
    /// # Errors
    /// Where the file has changed since it was opened.
    pub fn upstream(
        &self,
        name: &str,
        method: &str,
        target: &str,
        question: u64,
    ) -> Result<Option<Reply>, CorpusError> {
        let answers = self.upstream.get(&(name.to_owned(), method.to_owned(), canonical(target)));
        let answer = answers.and_then(|answers| during(answers, question));
        answer.map(|answer| self.reply(answer)).transpose()
    }

    /// A page that was not recorded, of a list that was recorded in other pages. It is made of their
    /// rows, or is the refusal that all of them got. `None` where the other pages leave its content open.
    /// It reads the file.
    ///
    /// # Errors
    /// Where the file has changed since it was opened, or the pages of the list are too large.
    pub fn rebuilt(
        &self,
        name: &str,
        target: &str,
        question: u64,
    ) -> Result<Option<Reply>, CorpusError> {
        let Some(cut) = PageOf::of(&canonical(target)) else { return Ok(None) };
        if let Some(refusal) = self.refusal(name, &cut.list, question) {
            return self.reply(refusal).map(Some);
        }
        let mut laid = self.laid.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |known: &LastList| {
            known.name == name && known.list == cut.list && known.question == question
        };
        if !laid.as_ref().is_some_and(is_it) {
            let read = self.lay_out(name, &cut.list, question)?;
            let (name, list) = (name.to_owned(), cut.list.clone());
            *laid = Some(LastList { name, list, question, laid: read });
        }
        let page = laid.as_ref().and_then(|known| known.laid.as_ref()?.page(&cut));
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Ok(page.map(|body| Reply { status: 200, headers, body }))
    }

    /// The refusal of a list: every page of it was answered with 403 or 404.
    fn refusal(&self, name: &str, list: &str, question: u64) -> Option<&Answer> {
        let mut answers = self.pages(name, list, question).map(|(_, answer)| answer).peekable();
        let first = *answers.peek()?;
        answers.all(|answer| matches!(answer.status, 403 | 404)).then_some(first)
    }

    /// The pages of a list as they were during a question, and the answers with them.
    fn pages(
        &self,
        name: &str,
        list: &str,
        question: u64,
    ) -> impl Iterator<Item = (PageOf, &Answer)> {
        self.upstream.iter().filter_map(move |((of, method, target), answers)| {
            let is_it = of == name && method == "GET";
            let cut = PageOf::of(target).filter(|cut| is_it && cut.list == list)?;
            Some((cut, during(answers, question)?))
        })
    }

    /// Puts a list together page by page. Only the rows of each body are kept.
    fn lay_out(
        &self,
        name: &str,
        list: &str,
        question: u64,
    ) -> Result<Option<Layout>, CorpusError> {
        let (mut laid, mut bytes) = (None, 0);
        for (cut, answer) in
            self.pages(name, list, question).filter(|(_, answer)| answer.status == 200)
        {
            bytes += self.length(answer);
            if bytes > self.list_bytes_max {
                return Err(CorpusError::ListTooLong { bytes_max: self.list_bytes_max });
            }
            if Layout::lay(&mut laid, &cut, &self.reply(answer)?.body).is_none() {
                return Ok(None);
            }
        }
        Ok(laid)
    }

    /// The length of an answer's body in bytes.
    fn length(&self, answer: &Answer) -> usize {
        match answer.body {
            Body::Empty | Body::LeftOut => 0,
            Body::Is(id) => self.bodies.get(&id).map_or(0, |place| place.length),
        }
    }

    fn take(&mut self, exchange: Line<'_>, line: u64) -> Result<(), CorpusError> {
        let Line { asked, question, status, headers, body, left_out } = exchange;
        let body = match body {
            Some(text) => Body::Is(line::body_id(&text, line)?),
            None if left_out => Body::LeftOut,
            None => Body::Empty,
        };
        if let Body::Is(id) = body
            && !self.bodies.contains_key(&id)
        {
            return Err(CorpusError::Edited { line });
        }
        let headers = line::recorded(headers);
        let answer = Answer { status, headers, body };
        match asked {
            Asked::Legacy(ask) => {
                let ask = ask.into_owned();
                if self.legacy.insert(ask.clone(), answer).is_none() {
                    self.asks.push(ask);
                }
            }
            Asked::Upstream { name, method, target } => {
                self.names.insert(name.clone().into_owned());
                let request = (name.into_owned(), method.into_owned(), target.into_owned());
                self.upstream.entry(request).or_default().push((question, answer));
            }
        }
        Ok(())
    }

    fn reply(&self, answer: &Answer) -> Result<Reply, CorpusError> {
        let body = match answer.body {
            Body::Empty => Bytes::new(),
            Body::LeftOut => Bytes::from_static(LEFT_OUT),
            Body::Is(id) => self.body(&id)?,
        };
        Ok(Reply { status: answer.status, headers: answer.headers.clone(), body })
    }

    fn body(&self, id: &BodyId) -> Result<Bytes, CorpusError> {
        let place = self.bodies.get(id).ok_or(CorpusError::Unfinished)?;
        let mut body = vec![0; place.length];
        self.file.read_exact_at(&mut body, place.offset)?;
        match line::digest(&body) == *id {
            true => Ok(Bytes::from(body)),
            false => Err(CorpusError::Edited { line: place.line }),
        }
    }
}

/// The last answer until a question, or the first one after it.
fn during(answers: &[(u64, Answer)], question: u64) -> Option<&Answer> {
    let until = answers.iter().rev().find(|(at, _)| *at <= question);
    until.or(answers.iter().min_by_key(|(at, _)| *at)).map(|(_, answer)| answer)
}

/// The header, if this is the first line of a corpus that this version can read.
fn first(line: &[u8]) -> Result<Header, CorpusError> {
    let format: Format = serde_json::from_slice(line).map_err(|_| CorpusError::Foreign)?;
    match format.tieline_corpus {
        FORMAT => {}
        found if found > FORMAT => return Err(CorpusError::Newer { found }),
        _ => return Err(CorpusError::Foreign),
    }
    let edited = CorpusError::Edited { line: 1 };
    let first: First<'_> = serde_json::from_slice(line).map_err(|_| edited)?;
    Ok(Cow::into_owned(first.header))
}

/// The lines of a file, with their numbers, their offsets and the digest of all of them.
struct Lines<'f> {
    file: BufReader<&'f File>,
    number: u64,
    /// The offset behind the line that was read last.
    offset: u64,
    digest: Sha256,
}

impl<'f> Lines<'f> {
    fn new(file: &'f File) -> Lines<'f> {
        Lines { file: BufReader::new(file), number: 0, offset: 0, digest: Sha256::new() }
    }

    /// Reads the next line into `line` and returns its length, 0 at the end.
    fn next(&mut self, line: &mut Vec<u8>) -> Result<usize, CorpusError> {
        line.clear();
        let mut limited = (&mut self.file).take(LINE_BYTES_MAX + 1);
        let read = limited.read_until(b'\n', line)?;
        self.number += 1;
        if read as u64 > LINE_BYTES_MAX {
            return Err(CorpusError::TooLong { line: self.number, bytes_max: LINE_BYTES_MAX });
        }
        self.offset += read as u64;
        self.digest.update(&*line);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pseudonym::Pseudonyms;
    use crate::recording::Writer;
    use crate::relay::Exchange;

    #[test]
    fn pages_that_are_too_large_together_are_not_read() {
        let name = format!("tieline-corpus-pages-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let writer = Writer::new(&path, &Header::default(), Pseudonyms::random()).unwrap();
        let mut bytes = 0;
        for row in 0..10 {
            let body = format!(r#"{{"users":[{row}],"metadata":{{"total":10}}}}"#);
            bytes += body.len();
            let reply = Reply { status: 200, headers: Vec::new(), body: Bytes::from(body) };
            let target = format!("/api/v4/users?limit=1&offset={row}");
            let exchange = Exchange { method: "GET".to_owned(), target, reply };
            writer.upstream("ams", &exchange).unwrap();
        }
        writer.finish().unwrap();
        let mut corpus = Corpus::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let whole = "/api/v4/users?limit=10&offset=0";
        corpus.list_bytes_max = bytes - 1;
        let error = corpus.rebuilt("ams", whole, 0).unwrap_err();
        assert_eq!(error, CorpusError::ListTooLong { bytes_max: bytes - 1 });
        corpus.list_bytes_max = bytes;
        let page = corpus.rebuilt("ams", whole, 0).unwrap().unwrap();
        let expected = r#"{"users":[0,1,2,3,4,5,6,7,8,9],"metadata":{"total":10}}"#;
        assert_eq!(page.body, expected);
    }
}
