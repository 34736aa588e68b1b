//! The simulated provider's way in over TLS, with a certificate that whoever starts it brings along.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A bound socket and the certificate that is shown there.
pub struct TlsListener {
    pub(super) listener: TcpListener,
    pub(super) config: ServerConfig,
}

impl TlsListener {
    /// `certificate` and `key` are PEM files.
    ///
    /// # Errors
    /// A text that names the file where one cannot be used.
    pub fn new(listener: TcpListener, certificate: &Path, key: &Path) -> Result<Self, String> {
        let refused = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)
            .map_err(|error| refused(certificate, &error))?
            .collect();
        let chain = chain.map_err(|error| refused(certificate, &error))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refused(key, &error))?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| refused(certificate, &error))?;
        Ok(Self { listener, config })
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
