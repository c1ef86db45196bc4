//! A vendor in the test's own process whose legacy face may be made to answer otherwise, and the
//! commands that compare. It writes down what was asked of control, without keys.

#![expect(clippy::unwrap_used, reason = "a test may")]

use std::collections::HashMap;
use std::net::TcpListener;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use corpus::spelling::plain_path;
use http::{Request, Response};
use report::Report;
use serde_json::Value;
use simulator::{Body, Settings, Simulator};
use tower::ServiceExt;
use transport::body;

use crate::common::{configuration, run, stderr, stdout};
use tests::folder::Folder;

const BYTES_MAX: usize = 16 << 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// One legacy request, without its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// The parameters, wherever they were.
    pub(crate) query: Vec<(String, String)>,
    /// What tells it from the same request in another form.
    pub(crate) form: String,
    /// How many legacy requests there were before.
    pub(crate) number: usize,
}

impl Asked {
    /// Whether the whole list of users is asked for.
    pub(crate) fn is_users(&self) -> bool {
        plain_path(&self.path).ends_with("/users")
    }

    /// The value of a filter.
    pub(crate) fn filter(&self, name: &str) -> Option<&str> {
        let spelled = [format!("filter[{name}]"), format!("{name}[0]"), format!("{name}[]")];
        let names = [&[name.to_owned()][..], &spelled].concat();
        let mut pairs = self.query.iter();
        pairs.find(|(is, _)| names.contains(is)).map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status, headers: vec![("content-type", kind.to_owned())], body: body.into() }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Reply {
        Reply::new(status, "application/json; charset=utf-8", in_order(body))
    }

    /// Changes each row of a list; nothing else is touched.
    pub(crate) fn each(mut self, mut change: impl FnMut(&mut Value)) -> Reply {
        if let Ok(Value::Array(mut rows)) = serde_json::from_slice(&self.body) {
            rows.iter_mut().for_each(&mut change);
            self.body = in_order(&Value::Array(rows)).into_bytes();
        }
        self
    }
}

/// The place of a field among those of a v1 user.
fn of_user(field: &str) -> Option<usize> {
    tests::V1_FIELDS.iter().position(|known| *known == field)
}

/// JSON whose members stand in the order in which the legacy API shows them, unknown ones last.
fn in_order(value: &Value) -> String {
    match value {
        Value::Array(all) => {
            format!("[{}]", all.iter().map(in_order).collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let of_list = ["users", "metadata", "total", "page", "page_size", "type"];
            let of_user = |name: &str| match name {
                "agent_in_teams" => of_user("assigned_teams"),
                // Of a skill, behind its name.
                "value" => of_user("email"),
                name => of_user(name),
            };
            let place = |name: &str| match of_list.iter().position(|known| *known == name) {
                Some(place) => (0, place),
                None => of_user(name).map_or((2, 0), |place| (1, place)),
            };
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| place(name));
            let members = members
                .iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), in_order(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

type Change = dyn Fn(&Simulator, &Asked, Reply) -> Reply + Send + Sync;

struct Shared {
    simulator: Simulator,
    change: Box<Change>,
    asked: Mutex<Vec<Asked>>,
    /// From this legacy request on none is answered.
    hold_at: AtomicUsize,
}

/// A vendor with both faces, and the files of its validation. Both are gone when it is dropped.
pub(crate) struct Sides {
    pub(crate) base: String,
    /// Where the configuration is, and where reports go.
    pub(crate) folder: Folder,
    /// The configuration of a gateway in front of it.
    pub(crate) config: String,
    /// The folder of the reports.
    pub(crate) out: String,
    /// The file of its recording.
    pub(crate) corpus: String,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Sides {
    /// With this many users and both faces unchanged.
    pub(crate) fn new(users: usize) -> Sides {
        Sides::changed(users, |_, _, reply| reply)
    }

    /// With a change to what the legacy face answers.
    pub(crate) fn changed(
        users: usize,
        change: impl Fn(&Simulator, &Asked, Reply) -> Reply + Send + Sync + 'static,
    ) -> Sides {
        let settings = Settings { users, teams_list: true, ..Settings::default() };
        Sides::with(settings, change)
    }

    /// With these settings.
    pub(crate) fn with(
        settings: Settings,
        change: impl Fn(&Simulator, &Asked, Reply) -> Reply + Send + Sync + 'static,
    ) -> Sides {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            simulator: Simulator::new(settings),
            change: Box::new(change),
            asked: Mutex::default(),
            hold_at: AtomicUsize::new(usize::MAX),
        });
        let of_service = Arc::clone(&shared);
        let service = tower::service_fn(move |request| answer(Arc::clone(&of_service), request));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let limits = transport::server::ServerLimits {
                connections_per_address_max: 0,
                ..transport::server::ServerLimits::default()
            };
            let never = std::future::pending();
            transport::server::serve(listener, None, limits, service, never, PATIENCE).await;
        });
        let folder = Folder::new();
        let config = configuration(&folder, "", &base, "");
        let (out, corpus) = (folder.name("report"), folder.name("legacy.corpus"));
        Sides { base, folder, config, out, corpus, shared, runtime: Some(runtime) }
    }

    /// `tieline validate` with few questions and the key of the demo.
    pub(crate) fn validate(&self, more: &[&str]) -> Output {
        self.validate_with(&self.config, more)
    }

    /// The same with another configuration.
    pub(crate) fn validate_with(&self, config: &str, more: &[&str]) -> Output {
        run(&[&self.validation(config, &self.base)[..], more].concat(), b"")
    }

    /// The arguments of [`Sides::validate_with`], for any control.
    pub(crate) fn validation<'a>(&'a self, config: &'a str, control: &'a str) -> Vec<&'a str> {
        let start = ["validate", "--config", config, "--control", control];
        [&start, &["--report", &self.out][..], &KEY, &FEW].concat()
    }

    /// The JSON report.
    pub(crate) fn report(&self) -> Report {
        serde_json::from_str(&self.written("report.json")).unwrap()
    }

    /// The text of a file among the reports.
    pub(crate) fn written(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path("report").join(name)).unwrap()
    }

    /// Ends the vendor; the files stay.
    pub(crate) fn stop(&mut self) {
        self.runtime = None;
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        &self.shared.simulator
    }

    /// The legacy requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// How often each legacy request came, from request number `from` on.
    pub(crate) fn counts(&self, from: usize) -> HashMap<(String, Vec<(String, String)>), usize> {
        let mut counts = HashMap::new();
        for asked in self.asked().split_off(from) {
            *counts.entry((asked.path + &asked.form, asked.query)).or_default() += 1;
        }
        counts
    }

    /// Legacy requests from this one on get no answer.
    pub(crate) fn hold_at(&self, number: usize) {
        self.shared.hold_at.store(number, Ordering::SeqCst);
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Body>,
) -> Result<Response<Body>, std::convert::Infallible> {
    let path = request.uri().path().to_owned();
    let is_legacy = [
        "/user_management/",
        "/api/user_management/",
        "/api/v1/",
        "/api/v2/",
        "/api/v3/",
        "/api/numbers/",
    ];
    if !is_legacy.iter().any(|start| plain_path(&path).starts_with(start)) {
        return shared.simulator.service().oneshot(request).await;
    }
    let (head, body) = request.into_parts();
    let body = body::collect(body, BYTES_MAX, PATIENCE).await.unwrap();
    let text = |name| head.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let (kind, raw) = (text("content-type"), head.uri.query().unwrap_or_default());
    let mut query = tests::pairs(raw);
    query.retain(|(name, _)| name != "key");
    if let Ok(Value::Object(members)) = serde_json::from_slice(&body) {
        query.extend(members.into_iter().map(|(name, one)| (name, one.as_str().unwrap().into())));
    } else {
        query.extend(tests::pairs(std::str::from_utf8(&body).unwrap()));
    }
    let is_basic = text("authorization").starts_with("Basic");
    let form = format!("{kind} {} {is_basic}", raw.is_ascii());
    let request = Request::from_parts(head, body::full(body));
    let asked = {
        let mut all = shared.asked.lock().unwrap();
        let path = path.replace(tests::LEGACY_KEY, "{key}");
        let asked = Asked { path, query, form, number: all.len() };
        all.push(asked.clone());
        asked
    };
    if asked.number >= shared.hold_at.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let answer = shared.simulator.service().oneshot(request).await?;
    let (head, body) = answer.into_parts();
    let body = body::collect(body, BYTES_MAX, PATIENCE).await.unwrap().to_vec();
    let kind = head.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
    let reply = Reply::new(head.status.as_u16(), kind, body);
    let reply = (shared.change)(&shared.simulator, &asked, reply);
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    Ok(response.body(body::full(reply.body)).unwrap())
}

/// The key of the demo, and as many requests a second as the machine can do.
pub(crate) const KEY: [&str; 4] = ["--control-key", "legacy-demo-key", "--rate", "100000"];
/// As few questions as there can be.
pub(crate) const FEW: [&str; 3] = ["--values", "1", "--no-pairs"];

/// Fails with everything that was said, unless the program ended with this code.
#[track_caller]
pub(crate) fn assert_code(output: &Output, code: i32) {
    let (out, err) = (stdout(output), stderr(output));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
}

/// The one line of standard error, of a program that said no more and ended with this code.
#[track_caller]
pub(crate) fn only_line(output: &Output, code: i32) -> String {
    assert_code(output, code);
    assert_eq!(stdout(output), "");
    let text = stderr(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    text.trim_end().to_owned()
}
