//! Whole answers that replicas share: one reading for equal questions, and answers that another replica keeps. Must
//! never share an answer that depends on more than the caller, the question and the fingerprint.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::legacy::Lists;
use domain::listing::{Listing, Which};
use domain::plan::{GroupName, Plan, Resolved};
use domain::sweep::Story;
use domain::upstream::Shortcut;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Stored, Values, Wanted, Writer};
use crate::cache::whole::Whole;
use crate::error::Error;
use crate::layer::call::Call;
use crate::layer::rope::Rope;
use crate::line::upstream::Upstream;

/// See the module.
#[derive(Debug)]
pub(crate) struct SharedAnswers {
    pub(crate) values: Arc<Values>,
    pub(crate) upstream: Arc<Upstream>,
    /// How old an answer may be that another replica has read.
    pub(crate) fresh_for: Duration,
    /// Lists of deleted users come from a file of this machine.
    pub(crate) has_roster: bool,
}

/// One question, on its way to the other replicas.
#[derive(Debug)]
pub(crate) struct Asked {
    values: Arc<Values>,
    words: String,
    fresh_for: Duration,
    keep_for: Duration,
}

impl SharedAnswers {
    /// What is asked of the others before a call; `None` where it is not shared. A look-up that costs the upstream
    /// one request costs no more when it is made again: asking the others would only add to it.
    pub(crate) fn ask(&self, call: &Call) -> Option<Box<Asked>> {
        let behalf = &call.behalf;
        // Who waits to be told which rows fail must read them.
        if behalf.is_background || behalf.wants_failed_rows {
            return None;
        }
        if self.has_roster && matches!(call.endpoint.lists(), Lists::DeletedUsers(_)) {
            return None;
        }
        if !self.is_list(call) {
            return None;
        }
        let kept_for = self.kept_for(call);
        let fresh_for = if call.wants_fresh { Duration::ZERO } else { kept_for };
        Some(Box::new(Asked {
            values: Arc::clone(&self.values),
            words: words(call.endpoint.name(), &call.plan),
            fresh_for,
            keep_for: kept_for,
        }))
    }

    /// How old another replica's answer to a call may be; some endpoints have a freshness of their own.
    fn kept_for(&self, call: &Call) -> Duration {
        call.quirks.fresh_for.map_or(self.fresh_for, |own| own.0)
    }

    /// Whether others take kept answers to a call that this one does not want. Where nobody takes them, an equal
    /// request has only joined a reading that was under way, as this one would.
    pub(crate) fn others_take_kept(&self, call: &Call) -> bool {
        call.wants_fresh && !self.kept_for(call).is_zero()
    }

    /// Whether the upstream is asked for more than what one user costs.
    fn is_list(&self, call: &Call) -> bool {
        if call.plan.filter.is_everyone() || call.plan.group().is_some() {
            return true;
        }
        let Resolved::Ask(plan) = call.plan.clone().resolve(Vec::new()) else { return false };
        let (dialect, users) = (self.upstream.dialect, Listing::Users(Which::Live));
        dialect.shortcut(&plan.filter, &self.upstream.rules) == Shortcut::None
            && !dialect.is_filtered(&users, &plan.filter)
    }
}

/// The words that tell a question from every other one.
fn words(endpoint: &str, plan: &Plan<GroupName>) -> String {
    let Plan { filter, slice, .. } = plan;
    format!("{endpoint} {filter:?} {slice:?}")
}

impl Asked {
    /// The answer that another replica has, or the one that is read here for all.
    pub(crate) async fn read(
        &self,
        deadline: Instant,
        read: impl Future<Output = Result<Whole, Error>>,
    ) -> Result<Whole, Error> {
        let &Asked { fresh_for, keep_for, .. } = self;
        let words = self.words.as_bytes();
        let wanted = Wanted { kind: "answer", words, fresh_for, keep_for, deadline };
        Ok(self.values.read(wanted, read).await?.value)
    }
}

/// What is stored before an answer's bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    rows: u64,
    joined_pages: u64,
    story: Story,
}

/// Writes an answer.
#[derive(Debug)]
pub(crate) struct WholeWriter {
    head: Head,
    bytes: Rope,
    bytes_max: usize,
}

impl Writer for WholeWriter {
    fn written(self) -> Option<Vec<u8>> {
        let WholeWriter { head, bytes, bytes_max } = self;
        if bytes.len() > bytes_max {
            return None;
        }
        let head = serde_json::to_vec(&head).ok()?;
        let mut body = Vec::with_capacity(4 + head.len() + bytes.len());
        body.extend(u32::try_from(head.len()).ok()?.to_be_bytes());
        body.extend(head);
        for piece in bytes.pieces() {
            body.extend_from_slice(piece);
        }
        Some(body)
    }
}

impl Stored for Whole {
    type Writer = WholeWriter;

    fn writer(&self, bytes_max: usize) -> WholeWriter {
        let &Whole { rows, joined_pages, story, .. } = self;
        let head = Head { rows, joined_pages, story };
        WholeWriter { head, bytes: self.bytes.clone(), bytes_max }
    }

    fn read(body: Vec<u8>, age: Duration) -> Option<Self> {
        let (length, rest) = body.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let head: Head = serde_json::from_slice(rest.get(..length)?).ok()?;
        let bytes = Bytes::from(body).slice(4 + length..);
        let since = Instant::now().checked_sub(age)?;
        Whole::from_elsewhere(bytes, head.rows, head.story, head.joined_pages, since).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::legacy::Planned;
    use domain::legacy::endpoint_at;
    use domain::params::Params;
    use domain::quirks::Quirks;
    use domain::sweep::{List, Part};
    use settings::Config;

    use super::*;
    use crate::layer::call::{Behalf, Listed};
    use crate::line::common::Common;

    fn whole(rows: &[&str]) -> Whole {
        let parts = rows.iter().map(|row| Part::of(format!(",{row}").into_bytes())).collect();
        let story = Story { pages: 3, seams_repaired: 1, ..Story::default() };
        let list = List { parts, rows: rows.len() as u64, story, ..List::default() };
        let listed = Listed { list, joined_pages: 9, ..Listed::default() };
        let endpoint = endpoint_at("/api/user_management/v1/users").unwrap();
        Whole::of(endpoint, &Quirks::default(), listed, Instant::now()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_is_the_same_at_another_replica_and_as_old_as_it_is() {
        let long = format!("{{\"id\":2,\"name\":\"{}\"}}", "n".repeat(200 << 10));
        for rows in [&[][..], &[r#"{"id":1}"#], &[r#"{"id":1}"#, &long, &long]] {
            let whole = whole(rows);
            let body = whole.writer(1 << 20).written().unwrap();
            let again = <Whole as Stored>::read(body, Duration::from_secs(7)).unwrap();
            assert_eq!(again.bytes.joined(), whole.bytes.joined());
            assert_eq!((again.rows, &again.etag), (whole.rows, &whole.etag));
            assert_eq!((again.story, again.joined_pages), (whole.story, 9));
            assert!(again.is_from_elsewhere && !whole.is_from_elsewhere);
            assert!(again.since.elapsed() >= Duration::from_secs(7));
        }
        assert_eq!(whole(&[&long]).writer(100 << 10).written(), None, "too large to be shared");
        for bad in [&b""[..], b"\0\0\0\x09{}", b"\0\0\0\x02{}[]", &[255; 9]] {
            assert!(<Whole as Stored>::read(bad.to_vec(), Duration::ZERO).is_none());
        }
    }

    const CONFIG: &str = r#"
[upstream.one]
dialect = "DIALECT"
base_url = "http://127.0.0.1:9"
TOKEN
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY" }
upstream = "one"
upstream_key = { env = "V4" }
sees = "everything"
"#;

    fn answers(dialect: &str, token: &str, has_roster: bool) -> SharedAnswers {
        let text = CONFIG.replace("DIALECT", dialect).replace("TOKEN", token);
        let env = [("LEGACY", "legacy-key"), ("V4", "id:secret")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::parse(&text, "t.toml", &env).unwrap();
        let settings = &config.upstreams["one"];
        let (commons, caller) = (commons::Commons::one(), &config.callers[0]);
        let common = Common::of(&commons, caller, settings);
        let values = Values::of(&common, &config, caller, settings);
        let upstream = Arc::new(Upstream::new("one", settings));
        let fresh_for = Duration::from_secs(9);
        SharedAnswers { values: Arc::new(values), upstream, fresh_for, has_roster }
    }

    fn call(path: &str, query: &str) -> Call {
        let (endpoint, quirks) = (endpoint_at(path).unwrap(), Arc::<Quirks>::default());
        let Planned::Ask(plan) = endpoint.plan(Params::parse(query), &quirks) else {
            panic!("{query}");
        };
        let deadline = Instant::now() + Duration::from_secs(25);
        let behalf = Behalf::default();
        let (wants_fresh, oversize) = (false, None);
        Call { endpoint, quirks, plan, wants_fresh, oversize, deadline, behalf }
    }

    const USERS: &str = "/api/user_management/v1/users";

    #[tokio::test]
    async fn lists_are_shared_and_look_ups_that_cost_one_call_are_not() {
        let token = "token_url = \"http://127.0.0.1:9/token\"";
        let voiso = answers("voiso-v4", "", false);
        let vonage = answers("vonage-v4", token, false);
        for (query, is_shared_over_voiso, is_shared_over_vonage) in [
            ("", true, true),
            ("sag=Sales", true, true),
            ("timezone=Istanbul", true, false),
            ("id=7", true, false),
            ("extension=7", false, false),
            ("email=a@example.com", false, true),
            ("sip_account=a", false, false),
        ] {
            let is_shared = |answers: &SharedAnswers| answers.ask(&call(USERS, query)).is_some();
            assert_eq!(is_shared(&voiso), is_shared_over_voiso, "{query} over Voiso");
            assert_eq!(is_shared(&vonage), is_shared_over_vonage, "{query} over Vonage");
        }
        let fresh = Call { wants_fresh: true, ..call(USERS, "") };
        assert_eq!(voiso.ask(&fresh).unwrap().fresh_for, Duration::ZERO);
        assert_eq!(voiso.ask(&call(USERS, "")).unwrap().fresh_for, Duration::from_secs(9));
        let background = Call { behalf: Behalf::background(), ..call(USERS, "") };
        assert!(voiso.ask(&background).is_none());
    }

    #[tokio::test]
    async fn an_answer_is_read_once_more_only_where_others_take_kept_ones() {
        let mut answers = answers("voiso-v4", "", false);
        let fresh = Call { wants_fresh: true, ..call(USERS, "") };
        assert!(answers.others_take_kept(&fresh));
        assert!(!answers.others_take_kept(&call(USERS, "")));
        answers.fresh_for = Duration::ZERO;
        assert!(!answers.others_take_kept(&fresh));
        let own: Quirks = serde_json::from_str(r#"{ "fresh_for": "1s" }"#).unwrap();
        assert!(answers.others_take_kept(&Call { quirks: Arc::new(own), ..fresh }));
    }

    #[tokio::test]
    async fn lists_of_deleted_users_are_of_this_machine_where_they_come_from_its_roster() {
        let deleted = "/api/v2/cdr/deleted_agents";
        assert!(answers("voiso-v4", "", false).ask(&call(deleted, "")).is_some());
        assert!(answers("voiso-v4", "", true).ask(&call(deleted, "")).is_none());
        assert!(answers("voiso-v4", "", true).ask(&call(USERS, "")).is_some());
    }

    #[test]
    fn every_filter_and_every_endpoint_is_another_question() {
        let asked = [
            (USERS, ""),
            (USERS, "id=7"),
            (USERS, "sag=7"),
            (USERS, "name=7"),
            (USERS, "name=8"),
            (USERS, "name=7&name=8"),
            (USERS, "email=7"),
            ("/api/v3/cdr/users", ""),
            ("/api/v3/cdr/users", "name=7"),
            ("/api/v2/cdr/teams", ""),
            ("/api/v3/messages/sms/templates", ""),
            ("/api/v3/messages/sms/templates", "page=2"),
            ("/api/v3/messages/sms/templates", "page=2&limit=10"),
        ];
        let words = asked.map(|(path, query)| {
            let Call { endpoint, plan, .. } = call(path, query);
            words(endpoint.name(), &plan)
        });
        let different: std::collections::BTreeSet<_> = words.iter().collect();
        assert_eq!(different.len(), words.len(), "{words:?}");
    }
}
