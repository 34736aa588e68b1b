//! A certificate authority of the suite's own, and the certificates that it gave to the simulated provider.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// Files in PEM form.
pub struct Certificates {
    directory: TempDir,
}

/// A certificate and its key.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// Those of this run.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Certificates> = OnceLock::new();
        SHARED.get_or_init(Self::make)
    }

    /// The certificate of the authority itself.
    pub fn authority(&self) -> PathBuf {
        self.directory.path().join("authority.pem")
    }

    /// The identity of 127.0.0.1.
    pub fn loopback(&self) -> Identity {
        self.identity("loopback")
    }

    /// The identity of another host, signed by the same authority.
    pub fn elsewhere(&self) -> Identity {
        self.identity("elsewhere")
    }

    fn make() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(parameters, key).expect("it signs itself");
        let write = |path: &Path, text: String| std::fs::write(path, text).expect("the directory is ours");
        write(&directory.path().join("authority.pem"), issuer.pem());
        for (name, host) in [("loopback", "127.0.0.1"), ("elsewhere", "provider.example")] {
            let key = KeyPair::generate().expect("a key can be made");
            let parameters = CertificateParams::new(vec![host.to_owned()]).expect("it is a name");
            let certificate = parameters.signed_by(&key, &issuer).expect("the authority signs");
            write(&directory.path().join(format!("{name}.pem")), certificate.pem());
            write(&directory.path().join(format!("{name}.key")), key.serialize_pem());
        }
        Self { directory }
    }

    fn identity(&self, name: &str) -> Identity {
        Identity {
            certificate: self.directory.path().join(format!("{name}.pem")),
            key: self.directory.path().join(format!("{name}.key")),
        }
    }
}
