//! What TLS to the database trusts. Must never connect to a server whose certificate or name was not checked.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

/// These authorities, or the public ones that the program carries. Nothing if they are no PEM.
pub(crate) fn trusting(authorities: Option<&[u8]>) -> Option<MakeRustlsConnect> {
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
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Some(MakeRustlsConnect::new(config))
}
