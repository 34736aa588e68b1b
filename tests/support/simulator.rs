//! The simulated provider as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::http::Client;

/// A running simulated provider.
pub struct Simulator {
    pub port: u16,
    child: Child,
}

impl Simulator {
    pub fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_caldera"));
        command
            .args(["simulate-provider", "--port", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stdout = child.stdout.take().expect("it was piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once("listening on ")?.1.to_owned()));
        let port = address.and_then(|address| address.trim().rsplit_once(':')?.1.parse().ok());
        Self {
            port: port.expect("it says where it listens"),
            child,
        }
    }

    /// The address without a path.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What `OPENAI_BASE_URL` is set to.
    pub fn openai_url(&self) -> String {
        format!("{}/v1", self.url())
    }

    /// Its own count of what it served.
    pub fn ledger(&self) -> serde_json::Value {
        Client::new(&self.url()).get("/_sim/ledger").json()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
