//! One attempt: a place among the upstream's requests, one HTTP exchange, the whole body.
//!
//! Never follows a redirect. Once it has its place, it never takes longer than an attempt may.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, IF_NONE_MATCH, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use transport::alarm::within;
use transport::body;
use transport::client::Client;

use super::pause::Pause;
use super::upstream::Upstream;
use crate::error::Error;
use crate::layer::call::{Attempt, Authorized};
use crate::layer::{Answering, Around};
use crate::observe::metrics::Metrics;
use crate::observe::spans::{Exchange, Exporter};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("tieline/", env!("CARGO_PKG_VERSION")));

/// Room for the headers of a request, the host among them.
const HEADERS: usize = 12;

/// The bottom of a caller's line.
pub(crate) struct Sending {
    pub(crate) upstream: Arc<Upstream>,
    /// A connection pool of this caller's own: an upstream that loses step on a connection can only
    /// confuse a caller with itself.
    pub(crate) client: Client,
    /// How many of the upstream's places this caller may have at the same time.
    pub(crate) places: Arc<Semaphore>,
    pub(crate) pause: Arc<Pause>,
    pub(crate) metrics: Metrics,
    pub(crate) exporter: Exporter,
}

impl Around<(), Authorized> for Sending {
    type Response = Response<Bytes>;

    fn call<'a>(&'a self, (): &'a (), authorized: Authorized) -> Answering<'a, Response<Bytes>> {
        Box::pin(self.attempted(authorized))
    }
}

impl Sending {
    async fn attempted(&self, authorized: Authorized) -> Result<Response<Bytes>, Error> {
        let attempt = &authorized.attempt;
        // First of the caller's own, so that those it may not use yet do not stand in others' way.
        let _place = self.places.acquire().await.map_err(|_| Error::Overloaded)?;
        let _permit = self.permit(attempt).await?;
        attempt.behalf.account.note_upstream_call();
        let span = Exchange::begin(&self.exporter, attempt.behalf.origin.as_deref(), "GET");
        let began = Instant::now();
        let answer = {
            let exchange = pin!(self.exchange(&authorized, span.as_ref()));
            within(began + self.upstream.settings.attempt_timeout, exchange).await
        };
        let answer = answer.unwrap_or(Err(Error::UpstreamTimeout));
        if let Some(span) = span {
            let outcome = answer.as_ref().map(|answer| answer.status().as_u16());
            span.end(&self.upstream.name, outcome.map_err(Error::slug), began.elapsed());
        }
        match &answer {
            Ok(answer) => self.metrics.attempt(&self.upstream.attempts, answer.status().as_str()),
            Err(error) => self.metrics.attempt(&self.upstream.attempts, error.slug()),
        }
        answer
    }
}

impl Sending {
    /// A place among the upstream's requests. A pause that began while this attempt waited for its place
    /// is waited out without one, so that the places stay free for other callers.
    async fn permit(&self, attempt: &Attempt) -> Result<SemaphorePermit<'_>, Error> {
        loop {
            // The semaphore is never closed; were it, nothing could be sent.
            let permit = self.upstream.permits.acquire().await.map_err(|_| Error::Overloaded)?;
            if !self.pause.is_on() {
                return Ok(permit);
            }
            drop(permit);
            if attempt.behalf.is_background {
                return Err(Error::Overloaded);
            }
            self.pause.wait(attempt.deadline).await.map_err(Error::limited)?;
        }
    }

    async fn exchange(
        &self,
        authorized: &Authorized,
        span: Option<&Exchange<'_>>,
    ) -> Result<Response<Bytes>, Error> {
        let request = self.request(authorized, span)?;
        let answer = self.client.send(request).await.map_err(Error::Exchange)?;
        let (head, body) = answer.into_parts();
        if let Some(encoding) = head.headers.get(CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(Error::BadEncoding);
        }
        let settings = &self.upstream.settings;
        let body = body::collect(body, settings.page_bytes_max, settings.attempt_timeout)
            .await
            .map_err(Error::Body)?;
        Ok(Response::from_parts(head, body))
    }

    fn request(
        &self,
        authorized: &Authorized,
        span: Option<&Exchange<'_>>,
    ) -> Result<Request<Bytes>, Error> {
        let Authorized { attempt, authorization } = authorized;
        let base = self.upstream.base.as_ref().ok_or(Error::Internal)?;
        // Behind a base with a path it may be too long for a URI.
        let uri = base.uri(&attempt.target).ok_or(Error::BadFilter)?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        *headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(AUTHORIZATION, authorization.clone());
        headers.insert(ACCEPT, HeaderValue::from_static(attempt.accept));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(USER_AGENT, AGENT);
        if let Some(tag) = &attempt.if_none_match {
            headers.insert(IF_NONE_MATCH, tag.clone());
        }
        if let Some(origin) = &attempt.behalf.origin {
            origin.pass_on(span.map_or(&origin.trace, Exchange::trace), request.headers_mut());
        }
        Ok(request)
    }
}
