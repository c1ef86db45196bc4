//! What a caller shows its upstream: its key, or an access token had with it.
//!
//! A token is fetched once per caller, replaced before it expires, and once more when the upstream
//! refuses it: tokens may die early. Id and secret go to the configured URL and nowhere else, and
//! no redirect is followed.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use serde::Deserialize;
use tokio::time::Instant;
use tower::{BoxError, Service, ServiceExt};
use transport::body;
use zeroize::Zeroizing;

use crate::call::{Attempt, Authorized};
use crate::caller::Token;
use crate::config::{TokenAuth, UpstreamKey, bearer};
use crate::error::Error;
use crate::metrics::Metrics;
use crate::retry_after::{RETRY_AFTER_DEFAULT, retry_after};

/// A token that lives shorter than this before its end is replaced.
const MARGIN_MAX: Duration = Duration::from_secs(60);
const TOKEN_BYTES_MAX: usize = 64 << 10;
const LIFETIME_MAX: u64 = 30 * 24 * 3600;
/// How long a fetch that failed stands for those who waited for it.
const TOKEN_FAILURE_KEPT_FOR: Duration = Duration::from_millis(200);

pub(crate) async fn authorize<S>(
    metrics: Metrics,
    inner: S,
    attempt: Attempt,
) -> Result<Response<Bytes>, BoxError>
where
    S: Service<Authorized, Response = Response<Bytes>, Error = BoxError> + Clone,
{
    let (id, secret) = match attempt.caller.key() {
        UpstreamKey::Bearer(key) => {
            let authorization = key.clone();
            return inner.oneshot(Authorized { attempt, authorization }).await;
        }
        UpstreamKey::Client { id, secret } => (id.clone(), secret.clone()),
    };
    let scope = attempt.caller.upstream.dialect.facts().scope;
    let form = Form { id: id.expose(), secret: secret.expose(), scope };
    let authorization = token(&metrics, &attempt, &form, None).await?;
    let first = Authorized { attempt: attempt.clone(), authorization: authorization.clone() };
    let answer = inner.clone().oneshot(first).await?;
    if answer.status() != StatusCode::UNAUTHORIZED {
        return Ok(answer);
    }
    let authorization = token(&metrics, &attempt, &form, Some(&authorization)).await?;
    inner.oneshot(Authorized { attempt, authorization }).await
}

struct Form<'a> {
    id: &'a str,
    secret: &'a str,
    scope: &'static str,
}

/// The caller's token; a new one where there is none, its end is near, or it was `refused`.
async fn token(
    metrics: &Metrics,
    attempt: &Attempt,
    form: &Form<'_>,
    refused: Option<&HeaderValue>,
) -> Result<HeaderValue, Error> {
    let caller = &attempt.caller;
    let mut kept = tokio::time::timeout_at(attempt.deadline, caller.token())
        .await
        .map_err(|_| Error::UpstreamTimeout)?;
    if let Some(token) = kept.as_ref()
        && Instant::now() < token.good_until
        && refused != Some(&token.authorization)
    {
        return Ok(token.authorization.clone());
    }
    // Whoever waited for a fetch that failed does not fetch once more: one of them was enough.
    if let Some(error) = caller.token_failure(TOKEN_FAILURE_KEPT_FOR) {
        return Err(error);
    }
    let timeout = caller.upstream.settings.attempt_timeout;
    attempt.account.note_upstream_call();
    let fetched = tokio::time::timeout(timeout, fetch(attempt, form)).await;
    let fetched = fetched.unwrap_or(Err(Error::UpstreamTimeout));
    match &fetched {
        Ok(_) => metrics.attempt(&caller.upstream.name, "token"),
        Err(error) => metrics.attempt(&caller.upstream.name, error.slug()),
    }
    if let Err(error) = &fetched {
        caller.note_token_failure(error.clone());
    }
    let token = fetched?;
    let authorization = token.authorization.clone();
    *kept = Some(token);
    Ok(authorization)
}

async fn fetch(attempt: &Attempt, form: &Form<'_>) -> Result<Token, Error> {
    let caller = &attempt.caller;
    let settings = &caller.upstream.settings;
    let Some(token) = &settings.token else { return Err(Error::Internal) };
    let asked_at = Instant::now();
    let mut request = request(&token.url, token.auth, form)?;
    if let Some(origin) = attempt.account.origin() {
        origin.pass_on(&origin.trace, request.headers_mut());
    }
    let answer = caller.client().oneshot(request).await.map_err(Error::Exchange)?;
    let (head, body) = answer.into_parts();
    let told = retry_after(&head.headers).unwrap_or(RETRY_AFTER_DEFAULT);
    let body = body::collect(body, TOKEN_BYTES_MAX, settings.attempt_timeout).await;
    match head.status {
        StatusCode::OK => {}
        // The words differ by vendor and version; all say that this client gets no token.
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            caller.note_refusal(crate::caller::KeyState::Refused);
            return Err(Error::MappedKeyRefused);
        }
        StatusCode::TOO_MANY_REQUESTS => return Err(Error::RateLimited { retry_after: told }),
        StatusCode::SERVICE_UNAVAILABLE => return Err(Error::Unavailable { retry_after: told }),
        status if status.is_redirection() => return Err(Error::Redirect),
        status if status.is_server_error() => {
            return Err(Error::UpstreamFailed { status: status.as_u16() });
        }
        status => return Err(Error::RefusedCall { status: status.as_u16() }),
    }
    read(&body.map_err(Error::Body)?, asked_at)
}

fn request(url: &str, auth: TokenAuth, form: &Form<'_>) -> Result<Request<Bytes>, Error> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.append_pair("grant_type", "client_credentials");
    if auth == TokenAuth::Form {
        body.append_pair("client_id", form.id).append_pair("client_secret", form.secret);
    }
    body.append_pair("scope", form.scope);
    let mut request = Request::post(url)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json");
    if auth == TokenAuth::Basic {
        let pair = Zeroizing::new(format!("{}:{}", form.id, form.secret));
        let basic = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
        let mut basic = HeaderValue::from_str(&basic).map_err(|_| Error::Internal)?;
        basic.set_sensitive(true);
        request = request.header(AUTHORIZATION, basic);
    }
    request.body(Bytes::from(body.finish())).map_err(|_| Error::Internal)
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// A number of seconds; some services spell it as text.
    expires_in: Option<serde_json::Value>,
}

/// The lifetime that an answer tells; one that cannot be read is as good as none.
fn lifetime(expires_in: Option<serde_json::Value>) -> u64 {
    let told = match expires_in {
        Some(serde_json::Value::Number(number)) => number.as_u64(),
        Some(serde_json::Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    // A token without a time to live is used until it is refused.
    told.unwrap_or(LIFETIME_MAX).min(LIFETIME_MAX)
}

/// An answer that is no token is told as such, never shown.
fn read(body: &[u8], asked_at: Instant) -> Result<Token, Error> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| Error::BadToken)?;
    let access_token = Zeroizing::new(answer.access_token);
    if access_token.is_empty() || access_token.contains(char::is_whitespace) {
        return Err(Error::BadToken);
    }
    let authorization = bearer(&access_token).ok_or(Error::BadToken)?;
    let lifetime = Duration::from_secs(lifetime(answer.expires_in));
    let good_until = asked_at + lifetime.saturating_sub(MARGIN_MAX.min(lifetime / 5));
    Ok(Token { authorization, good_until })
}
