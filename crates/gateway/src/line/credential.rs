//! What one caller shows its upstream: its key, or an access token had with it.
//!
//! A token is fetched once per caller, replaced before it expires, and once more when the upstream
//! refuses it: tokens may die early. Id and secret go to the configured URL and nowhere else, and
//! no redirect is followed.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode};
use serde::{Deserialize, Serialize};
use settings::{TokenAuth, UpstreamKey, bearer};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use transport::client::Client;
use transport::{body, retry_after};
use zeroize::Zeroizing;

use super::key::{Key, KeyState};
use super::upstream::Upstream;
use super::values::{Stored, Values, Wanted};
use crate::error::{Error, RETRY_AFTER_DEFAULT};
use crate::layer::call::Behalf;
use crate::observe::metrics::Metrics;

/// A token that lives shorter than this before its end is replaced.
const MARGIN_MAX: Duration = Duration::from_secs(60);
const TOKEN_BYTES_MAX: usize = 64 << 10;
const LIFETIME_MAX: u64 = 30 * 24 * 3600;
/// Replicas share a token no longer than this from its fetch on.
const SHARED_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a fetch that failed stands for those who waited for it.
const TOKEN_FAILURE_KEPT_FOR: Duration = Duration::from_millis(200);

/// See the module.
pub(crate) struct Credential {
    pub(crate) shows: UpstreamKey,
    pub(crate) upstream: Arc<Upstream>,
    /// The caller's own connections, for its tokens as well.
    pub(crate) client: Client,
    pub(crate) key: Arc<Key>,
    pub(crate) metrics: Metrics,
    /// Tokens that other replicas have fetched, where there are some.
    pub(crate) values: Option<Arc<Values>>,
    /// Held while a new one is fetched, so that there is one fetch at a time. A fetch that is dropped lets the
    /// next one begin.
    pub(crate) tokens: Mutex<Tokens>,
    /// Why no token could be had, and when.
    pub(crate) failed: std::sync::Mutex<Option<(Error, Instant)>>,
}

/// What is known of a caller's access tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// The one in use.
    token: Option<Token>,
    /// The last one that the upstream refused; another replica may still offer it.
    refused: Option<HeaderValue>,
}

/// An access token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// `Bearer <token>`, marked sensitive.
    authorization: HeaderValue,
    /// From then on it is not used any more.
    good_until: Instant,
}

impl Credential {
    /// The caller's key, where it shows that; there is no other one where the upstream refuses it.
    pub(crate) fn at_hand(&self) -> Option<HeaderValue> {
        match &self.shows {
            UpstreamKey::Bearer(key) => Some(key.clone()),
            UpstreamKey::Client { .. } => None,
        }
    }

    /// How long the token in use is still used. `None` without one, and while one is fetched.
    pub(crate) fn token_lasts(&self) -> Option<Duration> {
        let good_until = self.tokens.try_lock().ok()?.token.as_ref()?.good_until;
        Some(good_until.saturating_duration_since(Instant::now()))
    }

    /// What the caller shows its upstream: its key, or its token. There is a new one where there is none,
    /// its end is near, or it was `refused`.
    pub(crate) async fn get(
        &self,
        behalf: &Behalf,
        deadline: Instant,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Error> {
        let (id, secret) = match &self.shows {
            UpstreamKey::Bearer(key) => return Ok(key.clone()),
            UpstreamKey::Client { id, secret } => (id, secret),
        };
        let kept = timeout_at(deadline, self.tokens.lock()).await;
        let mut kept = kept.map_err(|_| Error::UpstreamTimeout)?;
        if let Some(token) = &kept.token
            && Instant::now() < token.good_until
            && refused != Some(&token.authorization)
        {
            return Ok(token.authorization.clone());
        }
        // A request that waited for a fetch that failed does not fetch again.
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let scope = self.upstream.dialect.facts().scope;
        let form = Form { id: id.expose(), secret: secret.expose(), scope };
        if let Some(refused) = refused {
            kept.refused = Some(refused.clone());
        }
        // Who looks whether a token can be had must fetch one.
        let values = self.values.as_ref().filter(|_| !behalf.wants_failed_rows);
        let fetched = match values {
            None => Box::pin(self.fetched(behalf, &form)).await,
            Some(values) => {
                let refused = kept.refused.as_ref();
                Box::pin(self.shared(values, behalf, &form, deadline, refused)).await
            }
        };
        if let Err(error) = &fetched {
            let failed = Some((error.clone(), Instant::now()));
            // Plain data, valid after any panic.
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        }
        let token = fetched?;
        let authorization = token.authorization.clone();
        kept.token = Some(token);
        Ok(authorization)
    }

    /// The upstream refused this access token: the next request is to have another one.
    pub(crate) async fn forget(&self, refused: &HeaderValue) {
        let mut kept = self.tokens.lock().await;
        if kept.token.as_ref().is_some_and(|token| token.authorization == *refused) {
            *kept = Tokens { token: None, refused: Some(refused.clone()) };
        }
    }

    /// The token that another replica has fetched, unless it is the refused one; else one that is fetched for all.
    /// The token that follows a refused one has a name by it, so that all replicas find the same.
    async fn shared(
        &self,
        values: &Values,
        behalf: &Behalf,
        form: &Form<'_>,
        deadline: Instant,
        refused: Option<&HeaderValue>,
    ) -> Result<Token, Error> {
        let digest = refused.and_then(|refused| refused.to_str().ok()).map(settings::digest);
        let words = digest.as_ref().map_or(&[][..], |digest| &digest[..]);
        let (fresh_for, keep_for) = (SHARED_FOR, Duration::MAX);
        let wanted = Wanted { kind: "token", words, fresh_for, keep_for, deadline };
        let had = values.read(wanted, self.fetched(behalf, form)).await?;
        let token = had.value;
        if had.elsewhere.is_none() {
            if refused.is_some() {
                // Those who never had the refused one ask without its name.
                values.replace(Wanted { words: &[], ..wanted }, &token).await;
            }
            return Ok(token);
        }
        let is_good = Instant::now() < token.good_until && refused != Some(&token.authorization);
        if is_good { Ok(token) } else { self.fetched(behalf, form).await }
    }

    /// A new token, in the time of one attempt.
    async fn fetched(&self, behalf: &Behalf, form: &Form<'_>) -> Result<Token, Error> {
        behalf.account.note_upstream_call();
        let fetched = timeout(self.upstream.settings.attempt_timeout, self.fetch(behalf, form));
        let fetched = fetched.await.unwrap_or(Err(Error::UpstreamTimeout));
        let outcome = fetched.as_ref().map_or_else(Error::slug, |_| "token");
        self.metrics.attempt(&self.upstream.attempts, outcome);
        fetched
    }

    /// Why no token could be had a moment ago.
    fn failure(&self) -> Option<Error> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (error, at) = failed.as_ref()?;
        (at.elapsed() < TOKEN_FAILURE_KEPT_FOR).then(|| error.clone())
    }

    async fn fetch(&self, behalf: &Behalf, form: &Form<'_>) -> Result<Token, Error> {
        let settings = &self.upstream.settings;
        let Some(token) = &settings.token else { return Err(Error::Internal) };
        let asked_at = Instant::now();
        let mut request = request(&token.url, token.auth, form)?;
        if let Some(origin) = &behalf.origin {
            origin.pass_on(&origin.trace, request.headers_mut());
        }
        let answer = self.client.send(request).await.map_err(Error::Exchange)?;
        let (head, body) = answer.into_parts();
        let told = retry_after(&head.headers).unwrap_or(RETRY_AFTER_DEFAULT);
        let body = body::collect(body, TOKEN_BYTES_MAX, settings.attempt_timeout).await;
        match head.status {
            StatusCode::OK => {}
            // The words differ by vendor and version; all say that this client gets no token.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                self.key.note_refusal(KeyState::Refused);
                return Err(Error::MappedKeyRefused);
            }
            StatusCode::TOO_MANY_REQUESTS => return Err(Error::RateLimited { retry_after: told }),
            StatusCode::SERVICE_UNAVAILABLE => {
                return Err(Error::Unavailable { retry_after: told });
            }
            status if status.is_redirection() => return Err(Error::Redirect),
            status if status.is_server_error() => {
                return Err(Error::UpstreamFailed { status: status.as_u16() });
            }
            status => return Err(Error::RefusedCall { status: status.as_u16() }),
        }
        read(&body.map_err(Error::Body)?, asked_at)
    }
}

/// A token as replicas share it; sealed, like everything that they share.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    authorization: Cow<'a, str>,
    /// From when it was written down.
    good_for_ms: u64,
}

impl Stored for Token {
    type Writer = Option<Vec<u8>>;

    fn writer(&self, _: usize) -> Self::Writer {
        let authorization = Cow::Borrowed(self.authorization.to_str().ok()?);
        let good_for_ms = u64::try_from(self.lasts().as_millis()).ok()?;
        serde_json::to_vec(&Written { authorization, good_for_ms }).ok()
    }

    fn read(body: Vec<u8>, age: Duration) -> Option<Self> {
        let body = Zeroizing::new(body);
        let Written { authorization, good_for_ms } = serde_json::from_slice(&body).ok()?;
        let authorization = Zeroizing::new(authorization.into_owned());
        let mut authorization = HeaderValue::from_str(&authorization).ok()?;
        authorization.set_sensitive(true);
        // The age counts from before it was fetched, so that it ends rather too early.
        let good_for = Duration::from_millis(good_for_ms).checked_sub(age)?;
        Some(Token { authorization, good_until: Instant::now().checked_add(good_for)? })
    }

    /// A token service that is busy or fails at one replica may answer another; a key that it refuses stays refused.
    fn tells(error: &Error) -> bool {
        matches!(error, Error::MappedKeyRefused | Error::BadToken)
    }

    fn lasts(&self) -> Duration {
        self.good_until.saturating_duration_since(Instant::now())
    }
}

/// An OAuth client's id and secret, on their way.
struct Form<'a> {
    id: &'a str,
    secret: &'a str,
    scope: &'static str,
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
    // A token without a time to live is used until it is refused. No service means zero: every request
    // would need a token of its own.
    told.filter(|seconds| *seconds > 0).unwrap_or(LIFETIME_MAX).min(LIFETIME_MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_token_of_another_replica_ends_when_it_does_there() {
        tokio::time::advance(2 * HOUR).await;
        let authorization = bearer("canary-token").unwrap();
        let token = Token { authorization, good_until: Instant::now() + HOUR };
        assert_eq!(token.lasts(), HOUR);
        let body = token.writer(1 << 20).unwrap();
        let again = <Token as Stored>::read(body.clone(), HOUR / 4).unwrap();
        assert_eq!(again.authorization, token.authorization);
        assert_eq!(again.good_until, Instant::now() + HOUR / 4 * 3);
        assert!(again.authorization.is_sensitive() && !format!("{again:?}").contains("canary"));
        assert!(<Token as Stored>::read(body, 2 * HOUR).is_none(), "it has ended");
        assert!(<Token as Stored>::read(b"{}".to_vec(), HOUR).is_none());
    }
}
