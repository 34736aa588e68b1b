//! Whom the gateway believes when it dials a provider: the certificate authorities of the web, and those that the
//! operator adds for his own network. It fails closed: a provider that neither vouches for is unreachable. HTTP/1.1 is
//! all that is offered, one call a connection at a time, so that no call waits behind another's stream.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Added certificates that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error("there is no certificate in PEM form")]
    Empty,
    #[error("a certificate cannot be read: {0}")]
    Unreadable(String),
}

/// What a TLS connection to a provider is checked against. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// The authorities of the web, and those of a PEM text where one is given.
    pub fn new(added: Option<&[u8]>) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        if let Some(pem) = added {
            add(&mut roots, pem)?;
        }
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// What a client's connection is made with.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }
}

fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), TrustError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TrustError::Unreadable(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| TrustError::Unreadable(error.to_string()))?;
    }
    if roots.len() == before {
        Err(TrustError::Empty)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_text_that_holds_no_certificate() {
        assert!(Trust::new(None).is_ok());
        assert_eq!(Trust::new(Some(b"nothing")).unwrap_err(), TrustError::Empty);
        let junk = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Trust::new(Some(junk)), Err(TrustError::Unreadable(_))));
    }
}
