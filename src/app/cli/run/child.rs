//! The tool as a process: it has our terminal, our streams and our environment but for its key, and gets the signals that
//! come to us. None of them ends us before the tool, for its key must be revoked after it.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::cli::failure::Failure;

/// What manages is not the tool's to have.
const MANAGEMENT_VARIABLES: [&str; 3] = ["CALDERA_SECRET_KEY", "LAVA_SECRET_KEY", "CALDERA_BOOTSTRAP_SECRET_KEY"];
/// As shells say it.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// What is to be run.
pub struct Program<'a> {
    pub program: &'a OsStr,
    pub arguments: Vec<OsString>,
    pub variables: &'a [(&'a str, &'a str)],
    pub without: &'a [&'a str],
}

/// The signals that would end us; while this is there, and ever after, none does.
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    quit: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    pub fn watch() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Runs a program to its end and answers with its status, as a shell would.
    pub async fn run(mut self, wanted: &Program<'_>) -> Result<ExitCode, Failure> {
        let mut command = Command::new(wanted.program);
        command.args(&wanted.arguments).envs(wanted.variables.iter().copied());
        for name in wanted.without.iter().chain(&MANAGEMENT_VARIABLES) {
            command.env_remove(name);
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Ok(not_started(wanted.program, &error)),
        };
        let process = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        loop {
            tokio::select! {
                ended = child.wait() => return ended.map(status_of).map_err(Failure::failed),
                _ = self.interrupt.recv() => pass_on_from_others(process, Signal::INT),
                _ = self.quit.recv() => pass_on_from_others(process, Signal::QUIT),
                _ = self.terminate.recv() => pass_on(process, Signal::TERM),
                _ = self.hangup.recv() => pass_on(process, Signal::HUP),
            }
        }
    }
}

fn not_started(program: &OsStr, error: &std::io::Error) -> ExitCode {
    eprintln!("caldera: {} cannot be started: {error}", program.to_string_lossy());
    match error.kind() {
        std::io::ErrorKind::NotFound => ExitCode::from(NOT_FOUND),
        _ => ExitCode::from(NOT_STARTED),
    }
}

/// A terminal sends what is typed to the tool as well; twice would mean something else to it.
fn pass_on_from_others(process: Option<Pid>, signal: Signal) {
    let typed = tcgetpgrp(std::io::stdin()).is_ok_and(|group| group == getpgrp());
    if !typed {
        pass_on(process, signal);
    }
}

fn pass_on(process: Option<Pid>, signal: Signal) {
    if let Some(process) = process
        && let Err(error) = kill_process(process, signal)
    {
        eprintln!("caldera: a signal was not passed on: {error}");
    }
}

fn status_of(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
