//! The token endpoint: client credentials, as RFC 6749 and the vendor's pages describe them.
//!
//! A token is random, is stored with its end, and really expires. It is not valid at another simulator,
//! so that tests notice a gateway that mixes up two upstreams.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::fault::Plan;
use crate::locked::lock;
use crate::request::credential;
use crate::vonage::identity::uuid;
use crate::vonage::{TOKEN_PATH, json, message, simple};
use crate::{Body, Simulator, dress};

const FORM_BYTES_MAX: usize = 16 << 10;
const FORM_IDLE: Duration = Duration::from_secs(5);
/// Valid tokens at the same time. One more ends the token that would expire next.
const TOKENS_MAX: usize = 10_000;
/// The scopes of a token. Each allows reading users.
const SCOPES: [&str; 2] = ["users:read", "users:write"];

#[derive(Debug, Default)]
pub(crate) struct Tokens {
    live: HashMap<String, Token>,
    made: u64,
    /// Random for each simulator; it also seeds its tokens.
    salt: RandomState,
}

#[derive(Debug)]
struct Token {
    client: String,
    ends: Instant,
}

impl Tokens {
    pub(crate) fn issue(&mut self, client: &str, lifetime: Duration) -> String {
        let now = Instant::now();
        self.live.retain(|_, token| token.ends > now);
        if self.live.len() >= TOKENS_MAX {
            let next = self.live.iter().min_by_key(|(_, token)| token.ends);
            let next = next.map(|(name, _)| name.clone());
            next.and_then(|name| self.live.remove(&name));
        }
        self.made += 1;
        let (made, salt) = (self.made, self.salt.hash_one(self.made));
        let name = format!("{}{}", uuid(&format!("token:{made}:{salt}")), uuid(&salt.to_string()));
        let name = name.replace('-', "");
        // If the clock cannot represent the end, thirty years count as for ever.
        let ends = now.checked_add(lifetime).unwrap_or(now + Duration::from_secs(946_080_000));
        self.live.insert(name.clone(), Token { client: client.to_owned(), ends });
        name
    }

    /// The client of this token, if it is valid.
    pub(crate) fn client_of(&self, token: &str) -> Option<&str> {
        let token = self.live.get(token).filter(|token| token.ends > Instant::now())?;
        Some(&token.client)
    }

    pub(crate) fn clear(&mut self) {
        self.live.clear();
    }
}

/// Answers a request for a token. `None` means that no answer ever comes.
pub(crate) async fn answer(simulator: &Simulator, request: Request<Body>) -> Option<Answer> {
    simulator.counters().with(|stats| stats.token_requests += 1);
    let plan = lock(&simulator.0.fates).token_plan(TOKEN_PATH);
    if plan.faults.stall {
        return None;
    }
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return Some(message(405, "Method Not Allowed"));
    }
    let Ok(form) = transport::body::collect(body, FORM_BYTES_MAX, FORM_IDLE).await else {
        return Some(error(400, "invalid_request", None));
    };
    let answer = instead(&plan).unwrap_or_else(|| {
        grant(simulator, &parts.headers, &form).unwrap_or_else(|refused| refused)
    });
    let credential = credential(&parts.headers);
    let answer = match dress::told(&answer, credential, &plan) {
        Some(text) => {
            let text = format!("{text}, form: {}", String::from_utf8_lossy(&form));
            Answer { body: error(answer.status, "invalid_request", Some(&text)).body, ..answer }
        }
        None => answer,
    };
    let answer = answer.header(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(dress::pack(answer, &plan))
}

/// The answer that the faults put in place of a token.
fn instead(plan: &Plan) -> Option<Answer> {
    dress::failure(plan, simple)
        .or_else(|| dress::instead(&plan.faults, |status| error(status, "invalid_client", None)))
}

/// Checks the client first, then its request.
fn grant(simulator: &Simulator, headers: &HeaderMap, form: &[u8]) -> Result<Answer, Answer> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(error(400, "invalid_request", None));
    }
    let form: HashMap<String, String> = unique(form).ok_or(error(400, "invalid_request", None))?;
    let settings = &simulator.settings().vonage;
    let known = |id: &str, secret: &str| {
        settings.clients.iter().any(|client| client.0 == id && client.1 == secret)
    };
    let field = |name: &str| form.get(name).map(String::as_str);
    let client = match (credential(headers), field("client_id"), field("client_secret")) {
        // Either way is allowed, but not both.
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            return Err(error(400, "invalid_request", None));
        }
        (Some(credential), None, None) => {
            basic(credential).into_iter().find(|(id, secret)| known(id, secret)).map(|(id, _)| id)
        }
        (None, id, secret) => {
            let (id, secret) = (id.unwrap_or_default(), secret.unwrap_or_default());
            known(id, secret).then(|| id.to_owned())
        }
    };
    let Some(client) = client else {
        let refused = error(401, "invalid_client", None);
        return Err(refused.header(WWW_AUTHENTICATE, HeaderValue::from_static("Basic")));
    };
    if field("grant_type") != Some("client_credentials") {
        return Err(error(400, "unsupported_grant_type", Some("Invalid grant_type")));
    }
    let scope = field("scope").unwrap_or_default();
    let mut scopes = scope.split(' ').filter(|scope| !scope.is_empty()).peekable();
    if scopes.peek().is_none() || !scopes.all(|scope| SCOPES.contains(&scope)) {
        return Err(error(400, "invalid_scope", Some("You must specify a scope")));
    }
    if let Some(raw) = simulator.faults().token_raw {
        return Ok(json(200, raw));
    }
    let lifetime = settings.token_lifetime;
    let token = lock(&simulator.0.tokens).issue(&client, lifetime);
    let seconds = lifetime.as_secs();
    Ok(json(
        200,
        format!(
            "{{\"token_type\":\"bearer\",\"access_token\":\"{token}\",\"expires_in\":{seconds}}}"
        ),
    ))
}

/// The fields of a form; `None` if one occurs twice.
fn unique(form: &[u8]) -> Option<HashMap<String, String>> {
    let mut fields = HashMap::new();
    for (name, value) in form_urlencoded::parse(form).into_owned() {
        if fields.insert(name, value).is_some() {
            return None;
        }
    }
    Some(fields)
}

/// Id and secret of Basic authorization, unchanged and decoded as a form. The RFC requires the decoding,
/// but the vendor's samples do not encode.
fn basic(credential: &str) -> Vec<(String, String)> {
    let decoded = || {
        let (scheme, text) = credential.split_once(' ')?;
        let text = scheme.eq_ignore_ascii_case("basic").then_some(text)?;
        let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    };
    let Some((id, secret)) = decoded() else { return Vec::new() };
    let plain = |text: &str| {
        let whole = format!("x={}", text.replace('&', "%26"));
        let mut pairs = form_urlencoded::parse(whole.as_bytes());
        pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let twice = (plain(&id), plain(&secret));
    vec![(id, secret), twice]
}

/// An error as RFC 6749 writes it.
fn error(status: u16, code: &str, description: Option<&str>) -> Answer {
    let description = description.map_or(String::new(), |text| {
        format!(",\"error_description\":{}", serde_json::Value::from(text))
    });
    json(status, format!("{{\"error\":\"{code}\"{description}}}"))
}
