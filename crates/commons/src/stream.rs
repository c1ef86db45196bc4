//! The bytes between us and one server: TCP or TLS, with a limit on what the server may send. Must never read more
//! than was asked for: a value of 256 MiB that nobody waits for any more would still be read to its end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use redis::ConnectionAddr;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// After so long without an acknowledgement the kernel ends the connection.
pub(crate) const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(2);

/// How many bytes a server may still send.
#[derive(Debug)]
pub(crate) struct Allowance {
    bytes: AtomicUsize,
    most: usize,
}

impl Allowance {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Allowance { bytes: AtomicUsize::new(0), most })
    }

    /// An answer of so many bytes is asked for. Smaller answers leave something over, but never more than the most.
    pub(crate) fn ask(&self, bytes: usize) {
        let more = |left: usize| Some(left.saturating_add(bytes).min(self.most));
        // The closure always gives a value.
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let less = |left: usize| left.checked_sub(bytes);
        let spent = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        spent.map(drop).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    }
}

/// Either kind of connection.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// See the module.
pub(crate) struct Stream {
    wire: Box<dyn Wire>,
    allowance: Arc<Allowance>,
}

impl Stream {
    /// Connects, with TLS where the address says so.
    pub(crate) async fn connect(
        address: &ConnectionAddr,
        tls: &Arc<ClientConfig>,
        allowance: Arc<Allowance>,
    ) -> io::Result<Self> {
        let (host, port, is_tls) = match address {
            ConnectionAddr::Tcp(host, port) => (host, *port, false),
            ConnectionAddr::TcpTls { host, port, .. } => (host, *port, true),
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let tcp = TcpStream::connect((host.as_str(), port)).await?;
        tcp.set_nodelay(true)?;
        socket2::SockRef::from(&tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX))?;
        let wire: Box<dyn Wire> = if is_tls {
            let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
            Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await?)
        } else {
            Box::new(tcp)
        };
        Ok(Stream { wire, allowance })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.wire).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = read {
            self.allowance.spend(buffer.filled().len() - before)?;
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

/// What TLS trusts: these authorities, or the public ones that the program carries. Nothing if they are no PEM.
pub(crate) fn trusting(authorities: Option<&[u8]>) -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                roots.add(certificate.ok()?).ok()?;
            }
        }
    }
    if roots.is_empty() {
        return None;
    }
    Some(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_send_what_was_asked_for_and_no_more() {
        let allowance = Allowance::new(1000);
        assert!(allowance.spend(1).is_err());
        allowance.ask(100);
        assert!(allowance.spend(60).is_ok());
        assert!(allowance.spend(41).is_err());
        assert!(allowance.spend(40).is_ok());
        for _ in 0..50 {
            allowance.ask(100);
        }
        assert!(allowance.spend(1001).is_err(), "what was left over grows without an end");
        assert!(allowance.spend(1000).is_ok());
    }

    #[test]
    fn authorities_must_be_pem() {
        assert!(trusting(None).is_some());
        assert!(trusting(Some(b"")).is_none());
        assert!(trusting(Some(b"no certificate")).is_none());
    }
}
