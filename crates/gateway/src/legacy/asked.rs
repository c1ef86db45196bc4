//! A legacy request, taken apart once. `endpoint_at` has decided by its path whose it is.

use std::sync::Arc;

use domain::legacy::Endpoint;
use domain::params::Params;
use domain::quirks::Quirks;
use http::{Method, Request, Version};
use shadow::{Target, Trail};
use tokio::time::Instant;
use transport::body::Body;

use crate::layer::call::Behalf;
use crate::request::conditional::Conditional;
use crate::request::credential::Credential;

/// See the module.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) endpoint: &'static Endpoint,
    pub(crate) quirks: Arc<Quirks>,
    pub(crate) credential: Credential,
    /// The query without the key; what the body says is put over it.
    pub(crate) params: Params,
    /// Path and query as they came.
    pub(crate) target: Target,
    /// By which gateways it has come.
    pub(crate) trail: Trail,
    pub(crate) conditional: Conditional,
    /// Whether only the head of the answer is wanted.
    pub(crate) is_head: bool,
    /// Whether an answer may come in chunks. Without them a client could take a part of one for the whole.
    pub(crate) takes_chunks: bool,
    pub(crate) deadline: Instant,
    pub(crate) behalf: Behalf,
}

impl Asked {
    /// Takes a request apart whose key was found; its body is left.
    pub(crate) fn of(
        endpoint: &'static Endpoint,
        quirks: Arc<Quirks>,
        request: &Request<Body>,
        credential: Credential,
        deadline: Instant,
        behalf: Behalf,
    ) -> Self {
        let (uri, headers) = (request.uri(), request.headers());
        Asked {
            endpoint,
            quirks,
            credential,
            params: Params::parse(uri.query().unwrap_or_default()).without_keys(),
            target: Target::of(uri),
            trail: Trail::of(headers),
            conditional: Conditional::of(headers),
            is_head: *request.method() == Method::HEAD,
            takes_chunks: request.version() > Version::HTTP_10,
            deadline,
            behalf,
        }
    }
}
