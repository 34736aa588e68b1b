//! The simulated provider as a process of its own, over plain HTTP or over TLS.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::certificates::{Certificates, Identity};
use super::http::Client;

/// A running simulated provider.
pub struct Simulator {
    pub port: u16,
    /// Where calls go when they go over TLS.
    tls_port: Option<u16>,
    child: Child,
}

impl Simulator {
    /// With `CALDERA_TEST_TLS=1` calls reach it over TLS: the same tests are then the suite's leg over TLS.
    pub fn start() -> Self {
        if std::env::var_os("CALDERA_TEST_TLS").is_some() {
            Self::start_tls(&Certificates::shared().loopback())
        } else {
            Self::spawn(None)
        }
    }

    /// One that shows this certificate.
    pub fn start_tls(identity: &Identity) -> Self {
        Self::spawn(Some(identity))
    }

    fn spawn(identity: Option<&Identity>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_caldera"));
        command
            .args(["simulate-provider", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(identity) = identity {
            command
                .args(["--tls-port", "0", "--certificate"])
                .arg(&identity.certificate);
            command.arg("--certificate-key").arg(&identity.key);
        }
        let mut child = command.spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("it was piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let mut port_of = |words: &str| -> u16 {
            let address = lines.find_map(|line| Some(line.split_once(words)?.1.to_owned()));
            let port = address.and_then(|address| address.trim().rsplit_once(':')?.1.parse().ok());
            port.expect("it says where it listens")
        };
        Self {
            tls_port: identity.map(|_| port_of("listening for TLS on ")),
            port: port_of("listening on "),
            child,
        }
    }

    /// The address without a path.
    pub fn url(&self) -> String {
        match self.tls_port {
            Some(port) => format!("https://127.0.0.1:{port}"),
            None => self.plain_url(),
        }
    }

    /// What `OPENAI_BASE_URL` is set to.
    pub fn openai_url(&self) -> String {
        format!("{}/v1", self.url())
    }

    /// Its own count of what it served.
    pub fn ledger(&self) -> serde_json::Value {
        Client::new(&self.plain_url()).get("/_sim/ledger").json()
    }

    fn plain_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
