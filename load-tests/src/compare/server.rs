//! A server process that the comparison started: its address, its log, and its end.
//! It is stopped with SIGTERM and waited for; one that does not end in time is killed. Dropping it stops it too.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Doing, Failure};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);
const SPOKEN_ADDRESS: &str = "listening on ";

/// How a stop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Clean,
    Killed,
}

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub pid: u32,
    name: &'static str,
    child: Child,
    log: PathBuf,
}

/// A loopback address that nobody listened on a moment ago.
pub fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("looking for a free port")?;
    listener.local_addr().doing("reading the free port")
}

impl Server {
    /// Starts a server that is known to listen on `address`, and waits until it takes connections.
    pub fn start_on(name: &'static str, command: Command, address: SocketAddr, log: &Path) -> Result<Self, Failure> {
        let mut server = Self::spawn(name, command, address, log)?;
        server.wait_for(|_| TcpStream::connect(address).ok().map(|_| address))?;
        Ok(server)
    }

    /// Starts a server that chooses its port, and waits until it says `listening on ADDRESS`.
    pub fn start_and_ask(name: &'static str, command: Command, log: &Path) -> Result<Self, Failure> {
        let mut server = Self::spawn(name, command, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), log)?;
        server.address = server.wait_for(Self::spoken_address)?;
        Ok(server)
    }

    /// Ends the server: SIGTERM, then a wait, then SIGKILL.
    pub fn stop(&mut self) -> Stop {
        if let Ok(Some(_)) = self.child.try_wait() {
            return Stop::Clean;
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may have ended in between; then there is nobody to tell.
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return Stop::Clean;
            }
            std::thread::sleep(STEP);
        }
        eprintln!(
            "{} did not stop within {} seconds and is killed",
            self.name,
            STOP_LIMIT.as_secs()
        );
        let _ = self.child.kill();
        let _ = self.child.wait();
        Stop::Killed
    }

    fn spawn(name: &'static str, mut command: Command, address: SocketAddr, log: &Path) -> Result<Self, Failure> {
        let output = File::create(log).doing("creating a log")?;
        let errors = output.try_clone().doing("creating a log")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .doing(&format!("starting {name} ({})", command.get_program().display()))?;
        Ok(Self {
            address,
            pid: child.id(),
            name,
            child,
            log: log.to_owned(),
        })
    }

    fn wait_for<T>(&mut self, ready: impl Fn(&Self) -> Option<T>) -> Result<T, Failure> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(found) = ready(self) {
                return Ok(found);
            }
            let ended = self.child.try_wait().doing("waiting for a server")?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(self.not_started());
            }
            std::thread::sleep(STEP);
        }
    }

    fn spoken_address(&self) -> Option<SocketAddr> {
        let said = fs::read_to_string(&self.log).ok()?;
        let line = said.lines().find(|line| line.contains(SPOKEN_ADDRESS))?;
        line.split_once(SPOKEN_ADDRESS)?
            .1
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    }

    /// The failure of a server that is not ready, with the end of what it said.
    pub fn not_started(&self) -> Failure {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n  ");
        Failure::new(format!("{} did not become ready; it said last:\n  {last}", self.name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}
