//! Which step of connecting failed. Holds a kind and no text.

/// The step of connecting that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectFailure {
    #[error("name look-up failed")]
    Dns,
    #[error("no TCP connection")]
    Tcp,
    #[error("the name has private addresses only")]
    AddressRefused,
    #[error("connecting took too long")]
    Timeout,
    #[error("the TLS handshake took too long")]
    TlsTimeout,
    #[error("TLS handshake failed")]
    Tls,
}
