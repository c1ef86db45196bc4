//! The console: one page for people, and all that it shows as JSON. Reads what is counted anyway; only the last
//! requests are kept for it. Must never show a key, a query, a value of an answer, or a person.

pub(crate) mod attempt;
mod attention;
mod brownouts;
mod callers;
mod configuration;
mod endpoints;
mod fidelity;
mod html;
mod openapi;
mod others;
mod overview;
mod panel;
mod query;
mod requests;
mod upstreams;
mod usage;

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::admin::replicas;
use crate::observe::metrics::read::Counted;
use crate::state::State;
pub(crate) use callers::sees;
pub(crate) use others::shadow_json;
use panel::{Cell, Panel};
use query::Query;

/// What a path of the console answers.
pub(crate) enum Page {
    /// The page for people, and the policy under which a browser runs it.
    Html(String, &'static str),
    Json(Value),
    /// What is written as JSON without becoming values first: the page asks for it every few seconds.
    View(View),
}

/// The answer of a path; `None` where the console has no such path.
pub(crate) async fn answer(state: &State, path: &str, query: Option<&str>) -> Option<Page> {
    let query = Query::of(query);
    if path == "/" {
        let configuration = configuration(state, query.clone()).await;
        let tries = state.config.admin.try_requests;
        let html = html::page(&view(state, &query), &configured(state, &configuration), tries);
        return Some(Page::Html(html, html::policy()));
    }
    let route = path.strip_prefix("/api/v1/")?;
    let counted = || state.metrics.counted();
    if route == "view" {
        return Some(Page::View(view(state, &query)));
    }
    Some(Page::Json(match route {
        "openapi.json" => openapi::document(),
        "overview" => {
            let counted = counted();
            overview::json(state, &counted, &overview::attention(state, &counted))
        }
        "callers" => callers::json(state, &query),
        "upstreams" => upstreams::json(state, &counted()),
        "endpoints" => endpoints::json(&counted()),
        "cache" => endpoints::cache_json(&counted()),
        "fidelity" => fidelity::json(state, &counted()),
        "usage" => usage::json(&counted()),
        "brownouts" => brownouts::json(state, &counted(), overview::now()),
        "shadow" => others::shadow_json(state),
        "config" => configuration(state, query).await,
        "requests" => requests::json(state, &query),
        "replicas" => replicas::json(state),
        _ => return None,
    }))
}

/// What the page shows, and shows again every few seconds.
#[derive(Debug, serde::Serialize)]
pub(crate) struct View {
    head: Vec<Cell>,
    panels: Vec<Panel>,
}

fn view(state: &State, query: &Query) -> View {
    let counted: Counted = state.metrics.counted();
    let attention = overview::attention(state, &counted);
    let overview = overview::json(state, &counted, &attention);
    let usage = usage::json(&counted);
    let panels = vec![
        attention::panel(&attention),
        callers::panel(state, query),
        upstreams::panel(&upstreams::json(state, &counted)),
        endpoints::panel(&endpoints::json(&counted)),
        endpoints::cache_panel(&endpoints::cache_json(&counted)),
        usage::unanswered_panel(&usage),
        brownouts::panel(&brownouts::json(state, &counted, overview::now())),
        fidelity::panel(&fidelity::json(state, &counted)),
        usage::filters_panel(&usage),
        others::shadow_panel(&others::shadow_json(state)),
        requests::panel(&state.past.requests.since(0)),
        others::replicas_panel(&replicas::json(state)),
    ];
    View { head: overview::head(&overview), panels }
}

/// The panels that are drawn once: they take a while.
fn configured(state: &State, configuration: &Value) -> [Panel; 3] {
    [
        configuration::difference_panel(configuration),
        configuration::panel(configuration),
        configuration::history_panel(&state.past),
    ]
}

/// One at a time: the configuration of thousands of callers takes memory and time.
static READING: Semaphore = Semaphore::const_new(1);

/// On a thread that may wait for the disk.
async fn configuration(state: &State, query: Query) -> Value {
    let Ok(_turn) = READING.acquire().await else { return Value::Null };
    let (config, past) = (Arc::clone(&state.config), Arc::clone(&state.past));
    let read = move || configuration::json(&config, &past, &query);
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::Surroundings;
    use crate::admin::reload::InForce;
    use crate::observe::account::Account;
    use crate::observe::lately::LATELY;

    const CONFIG: &str = r#"
[upstream."</script><b>"]
dialect = "voiso-v4"
base_url = "http://127.0.0.1:9"
[[caller]]
name = "crm"
legacy_key = { env = "LEGACY" }
upstream = "</script><b>"
upstream_key = { env = "V4" }
sees = { groups = ["<img src=x onerror=alert(1)>"] }
"#;

    fn state() -> State {
        let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-canary-key")));
        let config = settings::Config::parse(CONFIG, "t.toml", &env).unwrap();
        State::new(config, Surroundings::default()).unwrap()
    }

    /// What the description says of a path, and what the path answers: the same members.
    #[tokio::test]
    async fn every_path_is_described_and_answers_what_its_description_says() {
        let state = state();
        let document = openapi::document();
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.len() >= 12, "{}", paths.len());
        for (path, described) in paths {
            let (method, value) = match answer(&state, path, None).await {
                Some(Page::Json(value)) => ("get", value),
                Some(Page::View(view)) => ("get", json!(view)),
                _ => ("post", tried(path).await),
            };
            let answers = &described[method]["responses"];
            let schema = &answers["200"]["content"]["application/json"]["schema"];
            let names = |value: &Value| -> Vec<String> {
                value.as_object().unwrap().keys().cloned().collect()
            };
            assert_eq!(names(&schema["properties"]), names(&value), "{path}");
        }
        assert!(answer(&state, "/api/v1/none", None).await.is_none());
        assert!(answer(&state, "/api/v2/overview", None).await.is_none());
    }

    /// What a request that is tried is told, here by an upstream that is not there.
    async fn tried(path: &str) -> Value {
        let text = format!("[admin]\ntry_requests = true\n{CONFIG}");
        let env = ["LEGACY", "V4"].map(|name| (name.to_owned(), format!("{name}-canary-key")));
        let config = settings::Config::parse(&text, "t.toml", &env).unwrap();
        let in_force = InForce::new(State::new(config, Surroundings::default()).unwrap());
        let asked = json!({"endpoint": "v1_users", "key": "LEGACY-canary-key"}).to_string();
        let request = http::Request::post(path)
            .header("x-tieline-console", "1")
            .header("content-type", "application/json")
            .body(transport::body::full(asked.into_bytes()));
        let answer = attempt::tried(&in_force, request.unwrap()).await;
        assert_eq!(answer.status(), 200, "{path}");
        let text =
            transport::body::collect(answer.into_body(), 1 << 16, Duration::from_secs(9)).await;
        serde_json::from_slice(&text.unwrap()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_only_counted_needs_no_attention_after_an_hour() {
        let state = state();
        let count = || {
            let account = Account { untranslated: Some(0), ..Account::default() };
            state.metrics.request(&account, 404, Duration::ZERO);
        };
        let told = || {
            let counted = state.metrics.counted();
            overview::attention(&state, &counted).iter().any(|one| one.what == "paths not answered")
        };
        assert!(!told());
        count();
        assert!(told() && told());
        tokio::time::sleep(LATELY).await;
        assert!(!told());
        count();
        assert!(told());
        let view = json!(view(&state, &Query::of(None)));
        assert!(view["panels"][0]["note"].as_str().unwrap().contains("an hour"), "{view}");
    }

    #[tokio::test]
    async fn the_page_has_no_markup_but_its_own_and_no_key() {
        let state = state();
        let Some(Page::Html(page, policy)) = answer(&state, "/", None).await else {
            panic!("no page")
        };
        assert_eq!(page.matches("</script").count(), 1, "the script's own end");
        assert!(!page.contains("<img") && !page.contains("<b>"));
        assert!(page.contains("&lt;/script&gt;&lt;b&gt;"));
        assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
        for secret in ["canary-key", "sha256:", &settings::key_digest("LEGACY-canary-key")[7..]] {
            assert!(!page.contains(secret), "{secret}");
        }
        assert!(policy.contains("script-src 'sha256-"));
    }
}
