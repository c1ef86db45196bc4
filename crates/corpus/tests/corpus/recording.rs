//! Writes a corpus, reads it, cuts it and edits it. All people are made up.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use corpus::ask::{Ask, KeyPlace, Reply};
use corpus::node::Node;
use corpus::pseudonym::Pseudonyms;
use corpus::relay::{Exchange, Replies};
use corpus::source::{Answering, Silence, Source};
use corpus::{ByPart, Corpus, CorpusError, Header, Recording, Replay, Summary, Writer};
use sha2::{Digest, Sha256};

const V1: &str = "/api/user_management/v1/users";
const KEY: &[u8] = b"a key for tests, 32 bytes long..";

/// A folder for one test; it is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("tieline-corpus-{}-{next}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("a.corpus")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::with_key(KEY).unwrap()
}

fn header() -> Header {
    Header {
        version: "0.1.0".to_owned(),
        dialect: "voiso-v4".to_owned(),
        recorded_at: "2026-01-02T03:04:05Z".to_owned(),
        what: "a test".to_owned(),
        settings: [("legacy.v1_users.envelope".to_owned(), "array".to_owned())].into(),
    }
}

fn writer(folder: &Folder) -> Writer {
    Writer::new(&folder.file(), &header(), pseudonyms()).unwrap()
}

fn ask(path: &str, query: &[(&str, &str)]) -> Ask {
    let query = query.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Ask { path: path.to_owned(), query, key: KeyPlace::Bearer, written: Default::default() }
}

fn reply(status: u16, body: &str) -> Reply {
    let headers = vec![
        ("content-type".to_owned(), "application/json".to_owned()),
        ("set-cookie".to_owned(), "session=canary".to_owned()),
    ];
    Reply { status, headers, body: Bytes::from(body.to_owned()) }
}

fn exchange(target: &str, reply: Reply) -> Exchange {
    Exchange { method: "GET".to_owned(), target: target.to_owned(), reply }
}

const USER: &str = r#"[{"id":1,"name":"Jane Doe","email":"jane@example.com"}]"#;
const PAGE: &str = r#"{"users":[{"id":"1","name":"Jane Doe"}],"metadata":{"total":1}}"#;

/// A small corpus of two questions.
fn record(folder: &Folder) -> Summary {
    let writer = writer(folder);
    writer.at(0);
    writer.legacy(&ask(V1, &[]), &reply(200, USER)).unwrap();
    writer
        .upstream("ams", &exchange("/api/v4/users?limit=100&offset=0", reply(200, PAGE)))
        .unwrap();
    writer.at(1);
    writer.legacy(&ask(V1, &[("name", "Jane Doe")]), &reply(200, USER)).unwrap();
    let target = "/api/v4/users?limit=100&offset=0&name=Jane%20Doe";
    writer.upstream("ams", &exchange(target, reply(200, PAGE))).unwrap();
    writer.finish().unwrap()
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).unwrap()
}

#[test]
fn a_corpus_is_read_again_with_pseudonyms_for_people() {
    let folder = Folder::new();
    let summary = record(&folder);
    assert_eq!(summary, Summary { legacy: 2, upstream: 2, bodies: 2, ..Summary::default() });
    let corpus = Corpus::open(&folder.file()).unwrap();
    assert_eq!(corpus.header(), &header());
    assert_eq!(corpus.upstreams().collect::<Vec<_>>(), ["ams"]);
    let jane = pseudonyms().text("Jane Doe");
    assert_eq!(corpus.asks(), [ask(V1, &[]), ask(V1, &[("name", &jane)])]);
    let answer = corpus.legacy(&corpus.asks()[1]).unwrap().unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("set-cookie"), None);
    let email = pseudonyms().text("jane@example.com");
    assert_eq!(text(&answer), format!(r#"[{{"id":1,"name":"{jane}","email":"{email}"}}]"#));
    let target = format!("/api/v4/users?limit=100&offset=0&name={}", jane.replace(' ', "+"));
    let page = corpus.upstream("ams", "GET", &target, 1).unwrap().unwrap();
    assert_eq!(text(&page), PAGE.replace("Jane Doe", &jane));
    assert!(corpus.legacy(&ask(V1, &[("name", "Jane Doe")])).unwrap().is_none());
    for (name, method, target) in [
        ("vcc", "GET", target.as_str()),
        ("ams", "POST", &target),
        ("ams", "GET", "/api/v4/users?offset=0&limit=100"),
    ] {
        assert!(corpus.upstream(name, method, target, 1).unwrap().is_none(), "{name} {method}");
    }
}

#[test]
fn only_the_owner_can_read_the_file_and_it_contains_no_person() {
    let folder = Folder::new();
    record(&folder);
    assert_eq!(fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);
    let content = fs::read_to_string(folder.file()).unwrap();
    for canary in ["Jane", "Doe", "jane@example.com", "canary", "a key for tests"] {
        assert!(!content.contains(canary), "{canary}");
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_body_is_stored_once_and_a_repeated_answer_is_not_written_again() {
    let folder = Folder::new();
    let writer = writer(&folder);
    let target = "/api/v4/users?limit=100&offset=0";
    for question in 0..5 {
        writer.at(question);
        writer.upstream("ams", &exchange(target, reply(200, PAGE))).unwrap();
        writer.legacy(&ask(V1, &[]), &reply(200, USER)).unwrap();
    }
    let summary = writer.finish().unwrap();
    assert_eq!((summary.legacy, summary.upstream, summary.bodies), (5, 1, 2));
    let corpus = Corpus::open(&folder.file()).unwrap();
    assert_eq!(corpus.asks().len(), 1);
    assert!(corpus.upstream("ams", "GET", target, 4).unwrap().is_some());
}

#[test]
fn a_changed_list_is_shown_as_it_was_during_the_question() {
    let folder = Folder::new();
    let writer = writer(&folder);
    let target = "/api/v4/users?limit=1&offset=0";
    for (question, total) in [(1, 10), (1, 11), (2, 11), (4, 12), (4, 10)] {
        writer.at(question);
        let page = format!(r#"{{"metadata":{{"total":{total}}}}}"#);
        writer.upstream("ams", &exchange(target, reply(200, &page))).unwrap();
    }
    assert_eq!(writer.finish().unwrap().upstream, 4);
    let replay = Replay::new(Arc::new(Corpus::open(&folder.file()).unwrap()), "ams");
    let total = || {
        let page = replay.reply("GET", target).unwrap().unwrap();
        let page: serde_json::Value = serde_json::from_slice(&page.body).unwrap();
        page["metadata"]["total"].as_u64().unwrap()
    };
    assert_eq!(total(), 10, "the end");
    let seen = (0..6).map(|question| {
        replay.at(question);
        total()
    });
    assert_eq!(seen.collect::<Vec<_>>(), [10, 11, 11, 11, 10, 10]);
}

#[test]
fn pages_of_another_size_are_made_of_recorded_rows() {
    let folder = Folder::new();
    let writer = writer(&folder);
    for (offset, rows) in [(0, "1,2"), (1, "2,3")] {
        let page = format!(r#"{{"users":[{rows}],"metadata":{{"total":3}}}}"#);
        let target = format!("/api/v4/users?limit=2&offset={offset}");
        writer.upstream("ams", &exchange(&target, reply(200, &page))).unwrap();
    }
    writer.finish().unwrap();
    let replay = Replay::new(Arc::new(Corpus::open(&folder.file()).unwrap()), "ams");
    let page = |method, target: &str| replay.reply(method, target).unwrap().map(|page| text(&page));
    assert!(page("GET", "/api/v4/users?limit=2&offset=1").is_some());
    assert_eq!(replay.rebuilt(), 0, "recorded as it is");
    let all = r#"{"users":[1,2,3],"metadata":{"total":3}}"#;
    assert_eq!(page("GET", "/api/v4/users?offset=0&limit=50").as_deref(), Some(all));
    assert_eq!(replay.rebuilt(), 1);
    for (method, target) in [
        ("GET", "/api/v4/users?limit=50&offset=0&name=x"),
        ("GET", "/api/v4/teams?limit=50&offset=0"),
        ("POST", "/api/v4/users?limit=50&offset=0"),
    ] {
        assert_eq!(page(method, target), None, "{method} {target}");
    }
}

#[test]
fn exchanges_that_may_contain_a_key_or_cannot_be_read_are_left_out() {
    let folder = Folder::new();
    let writer = writer(&folder);
    let path = "/api/v1/canary-key/agents_status";
    assert_eq!(writer.legacy(&ask(path, &[]), &reply(200, "[]")), Err(CorpusError::NoEndpoint));
    writer.upstream("ams", &exchange(path, reply(200, "[]"))).unwrap();
    writer.legacy(&ask(V1, &[]), &reply(502, "<h1>canary</h1>")).unwrap();
    writer.legacy(&ask(V1, &[("sag", "x")]), &reply(204, "")).unwrap();
    let error = r#"{"error":"refused: Bearer canary-key-1"}"#;
    writer.upstream("ams", &exchange("/api/v4/users", reply(401, error))).unwrap();
    let summary = writer.finish().unwrap();
    assert_eq!((summary.left_out, summary.bodies_left_out), (1, 1));
    assert!(!fs::read_to_string(folder.file()).unwrap().contains("canary"));
    let corpus = Corpus::open(&folder.file()).unwrap();
    let page = corpus.legacy(&ask(V1, &[])).unwrap().unwrap();
    assert_eq!((page.status, text(&page).as_str()), (502, "(no JSON, left out of the recording)"));
    assert_eq!(corpus.legacy(&ask(V1, &[("sag", "x")])).unwrap().unwrap().body.len(), 0);
}

#[test]
fn an_interrupted_recording_leaves_a_part_that_is_no_corpus() {
    let folder = Folder::new();
    fs::write(folder.file(), "an older corpus").unwrap();
    let interrupted = writer(&folder);
    interrupted.legacy(&ask(V1, &[]), &reply(200, USER)).unwrap();
    drop(interrupted);
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), "an older corpus");
    let part = folder.0.join("a.corpus.part");
    assert_eq!(opened(&part), CorpusError::Unfinished);
    record(&folder);
    assert!(Corpus::open(&folder.file()).is_ok());
    assert!(!part.exists());
}

#[test]
fn a_finished_recording_accepts_nothing_more() {
    let folder = Folder::new();
    let writer = writer(&folder);
    writer.finish().unwrap();
    assert_eq!(writer.legacy(&ask(V1, &[]), &reply(200, "[]")), Err(CorpusError::Finished));
    assert_eq!(writer.finish(), Err(CorpusError::Finished));
    assert!(Corpus::open(&folder.file()).unwrap().asks().is_empty());
}

fn opened(path: &Path) -> CorpusError {
    Corpus::open(path).err().unwrap()
}

#[test]
fn a_changed_file_is_refused() {
    let folder = Folder::new();
    record(&folder);
    let whole = fs::read_to_string(folder.file()).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 8);
    let without = |left_out: usize| {
        let kept = lines.iter().enumerate().filter(|(k, _)| *k != left_out);
        kept.map(|(_, line)| *line).collect::<String>()
    };
    let jane = pseudonyms().text("Jane Doe");
    let edited = |line| CorpusError::Edited { line };
    let newer = whole.replacen("\"tieline_corpus\":1", "\"tieline_corpus\":2", 1);
    for (what, content, expected) in [
        ("empty", String::new(), CorpusError::Foreign),
        ("another JSON", "{\"users\":[]}\n".to_owned(), CorpusError::Foreign),
        ("no JSON", "PK\u{3}\u{4}".to_owned(), CorpusError::Foreign),
        ("newer", newer, CorpusError::Newer { found: 2 }),
        ("header without its fields", "{\"tieline_corpus\":1}\n".to_owned(), edited(1)),
        ("cut behind a line", lines[..5].concat(), CorpusError::Unfinished),
        ("cut in a line", whole[..whole.len() - 10].to_owned(), CorpusError::Unfinished),
        ("cut before the last line break", whole.trim_end().to_owned(), CorpusError::Unfinished),
        ("without an exchange", without(2), edited(7)),
        ("without a body", without(1), edited(2)),
        ("a body was edited", whole.replacen(&jane, "x", 1), edited(2)),
        ("a status was edited", whole.replacen("200", "201", 1), edited(8)),
        ("a line was added", whole.replacen('\n', "\n{}\n", 1), edited(2)),
        ("something behind the end", format!("{whole}\n"), edited(8)),
        ("twice", format!("{whole}{whole}"), edited(8)),
    ] {
        fs::write(folder.file(), content).unwrap();
        let error = opened(&folder.file());
        assert_eq!(error, expected, "{what}");
        assert!(!format!("{error} {error:?}").contains(&jane), "{what}");
    }
    assert_eq!(opened(&folder.0.join("none")), CorpusError::Io(std::io::ErrorKind::NotFound));
}

/// The same lines, with a last line that has their digest.
fn forged(content: &str) -> String {
    let (lines, last) = content.trim_end().rsplit_once('\n').unwrap();
    let lines = format!("{lines}\n");
    let digest: [u8; 32] = Sha256::digest(lines.as_bytes()).into();
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut last: serde_json::Value = serde_json::from_str(last).unwrap();
    last["end"]["sha256"] = digest.into();
    format!("{lines}{last}\n")
}

#[test]
fn headers_that_are_never_recorded_are_not_read_either() {
    let folder = Folder::new();
    record(&folder);
    let whole = fs::read_to_string(folder.file()).unwrap();
    let kept = r#"["content-type","application/json"]"#;
    let more =
        r#"["set-cookie","a=b"],["location","/x"],["Content-Type","x"],["content-type","x"]"#;
    let content = forged(&whole.replace(kept, &format!("{kept},{more}")));
    assert!(content.contains("set-cookie"));
    fs::write(folder.file(), content).unwrap();
    let corpus = Corpus::open(&folder.file()).unwrap();
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let legacy = corpus.legacy(&ask(V1, &[])).unwrap().unwrap();
    assert_eq!(legacy.headers, headers);
    let target = "/api/v4/users?limit=100&offset=0";
    let upstream = corpus.upstream("ams", "GET", target, 0).unwrap().unwrap();
    assert_eq!(upstream.headers, headers);
}

#[test]
fn a_file_that_changes_after_opening_gives_no_wrong_answer() {
    let folder = Folder::new();
    record(&folder);
    let corpus = Corpus::open(&folder.file()).unwrap();
    let whole = fs::read_to_string(folder.file()).unwrap();
    let jane = pseudonyms().text("Jane Doe");
    fs::write(folder.file(), whole.replace(&jane, &jane.to_uppercase())).unwrap();
    let error = corpus.legacy(&ask(V1, &[])).unwrap_err();
    assert_eq!(error, CorpusError::Edited { line: 2 });
}

#[test]
fn a_list_of_many_users_comes_back_whole() {
    let folder = Folder::new();
    let users: Vec<String> = (0..3000)
        .map(|n| format!(r#"{{"id":{n},"name":"Agent {n} é","email":"agent.{n}@example.com"}}"#))
        .collect();
    let body = format!("[{}]", users.join(","));
    let writer = writer(&folder);
    writer.legacy(&ask(V1, &[]), &reply(200, &body)).unwrap();
    writer.finish().unwrap();
    let corpus = Corpus::open(&folder.file()).unwrap();
    let read = corpus.legacy(&ask(V1, &[])).unwrap().unwrap();
    assert_eq!(read.body.len(), body.len());
    let list = Node::parse(&read.body).unwrap();
    let names = list.list().unwrap().iter().map(|user| user.get("name").unwrap().text().unwrap());
    let names: std::collections::HashSet<&str> = names.collect();
    assert_eq!(names.len(), 3000);
}

/// A control that answers only some requests.
struct Partly(Vec<(Ask, Reply)>);

impl Source for Partly {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Answering<'a, Result<Reply, Silence>> {
        let known = self.0.iter().find(|(known, _)| known == ask);
        Box::pin(async move { known.map(|(_, reply)| reply.clone()).ok_or(Silence::Budget) })
    }
}

#[tokio::test]
async fn questions_without_an_answer_are_counted_in_the_recording() {
    let folder = Folder::new();
    let writer = writer(&folder);
    let (all, teams) = (ask(V1, &[]), ask("/api/v2/cdr/teams", &[]));
    let control = Partly(vec![(all.clone(), reply(200, USER))]);
    let recording = Recording::new(&control, writer.clone(), ByPart::new());
    recording.ask_first(&all, None).await.unwrap();
    recording.ask_first(&teams, None).await.unwrap_err();
    // A repeated question counts once, and a request outside the questions does not count.
    recording.ask_first(&teams, None).await.unwrap_err();
    recording.ask(&ask("/elsewhere", &[])).await.unwrap_err();
    assert_eq!(recording.unanswered(), 1);
    writer.left_unanswered(recording.unanswered());
    writer.finish().unwrap();
    assert_eq!(Corpus::open(&folder.file()).unwrap().unanswered(), 1);
}
