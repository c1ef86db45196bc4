//! TLS settings for both directions, with the aws-lc-rs provider named explicitly. Must never depend on a
//! process-wide default provider, and must never accept an unverified certificate.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::validity::not_after;

/// ALPN names, the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why TLS could not be set up. The operator sees it at the start; no caller does.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file is missing, unreadable or malformed.
    #[error("cannot read {what} from {path}", path = path.display())]
    Pem {
        /// The expected content of the file.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The PEM reader's error.
        source: pem::Error,
    },
    /// A file contains no certificate.
    #[error("no certificate in {path}", path = path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key is that of another certificate.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// The certificate, the key or a root was refused.
    #[error("the certificate or key was refused")]
    Refused(#[source] rustls::Error),
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InconsistentKeys(_) => Self::Mismatch,
            other => Self::Refused(other),
        }
    }
}

/// The server's certificate. Cheap to clone; clones share the certificate in use.
#[derive(Clone)]
pub struct ServerTls {
    shown: Arc<RwLock<Shown>>,
}

#[derive(Clone)]
struct Shown {
    config: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
}

impl ServerTls {
    /// Reads the certificate chain (leaf first) and the private key (PKCS#8, PKCS#1 or SEC1) from
    /// PEM files. Offers `h2`, then `http/1.1`, by ALPN; TLS 1.2 and 1.3.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if a file cannot be read or the two do not match.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let leaf = chain.first().cloned();
        let leaf = leaf.ok_or_else(|| TlsError::NoCertificate { path: certificate.into() })?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Pem {
            what: "a private key",
            path: key.into(),
            source,
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = alpn();
        // Every enabled cipher suite is strong; the server chooses the order.
        config.ignore_client_order = true;
        Ok(Self { shown: Arc::new(RwLock::new(Shown { config: Arc::new(config), leaf })) })
    }

    /// Uses the certificate of `other` for every new connection; open ones continue unchanged.
    pub fn show(&self, other: &ServerTls) {
        let shown = other.current();
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// When the certificate in use expires, in seconds since 1970; `None` if its date cannot be read.
    pub fn not_after(&self) -> Option<i64> {
        not_after(&self.current().leaf)
    }

    /// Whether both use the same certificate.
    pub fn is_same(&self, other: &ServerTls) -> bool {
        self.current().leaf == other.current().leaf
    }

    fn current(&self) -> Shown {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&shown.config))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// The roots that the client trusts. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// Trusts Mozilla's roots and, if a PEM file is given, the certificates in it as further roots.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if the file cannot be read or contains no usable certificate.
    pub fn new(extra_roots: Option<&Path>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = extra_roots {
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
        }
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn();
        Ok(Self { config: Arc::new(config) })
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The same, only for HTTP/1.1.
    pub(crate) fn http1_config(&self) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn alpn() -> Vec<Vec<u8>> {
    ALPN.iter().map(|name| name.to_vec()).collect()
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refused = |source| TlsError::Pem { what: "certificates", path: path.into(), source };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(refused)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.into() });
    }
    Ok(certificates)
}
