//! The user that the server runs as: this process's own, or, since PostgreSQL refuses to run as root, an unprivileged
//! one. Programs started for it get a bare environment, so that no credential of ours is in theirs.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::EmbeddedError;

/// Variables that a program may need to find its libraries and its time zone.
const KEPT_VARIABLES: [&str; 5] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TZ", "TZDIR"];

/// Whom the server's programs run as, and who owns its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUser {
    name: String,
    user_id: u32,
    group_id: u32,
    switch: Switch,
}

/// Whether programs change to the user, or are of it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    Needed,
    Same,
}

impl ServerUser {
    /// This process's user; as root, `postgres` where it exists, else `nobody`.
    pub fn choose() -> Result<Self, EmbeddedError> {
        match effective_user_id() {
            Some(0) => ["postgres", "nobody"]
                .into_iter()
                .find_map(|name| Self::of_name(name, Switch::Needed))
                .ok_or(EmbeddedError::NoUser),
            Some(user_id) => Ok(Self {
                name: format!("user {user_id}"),
                user_id,
                group_id: numeric_id(&["-g"]).unwrap_or(user_id),
                switch: Switch::Same,
            }),
            None => Err(EmbeddedError::NoUser),
        }
    }

    fn of_name(name: &str, switch: Switch) -> Option<Self> {
        Some(Self {
            name: name.to_owned(),
            user_id: numeric_id(&["-u", name]).filter(|id| *id != 0)?,
            group_id: numeric_id(&["-g", name])?,
            switch,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn id(&self) -> u32 {
        self.user_id
    }

    /// A command that will run as this user, without our environment, at the root of the file system.
    /// Changing the user as root drops the supplementary groups too.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        for name in KEPT_VARIABLES {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.switch == Switch::Needed {
            command.uid(self.user_id).gid(self.group_id);
        }
        command
    }

    /// Hands a file or directory to this user.
    pub fn own(&self, path: &Path) -> std::io::Result<()> {
        match self.switch {
            Switch::Needed => std::os::unix::fs::chown(path, Some(self.user_id), Some(self.group_id)),
            Switch::Same => Ok(()),
        }
    }

    /// Whether this user may go into the directory, every parent included.
    pub fn can_enter(&self, directory: &Path) -> bool {
        let mut command = self.command("/bin/sh");
        command.args(["-c", "cd -- \"$1\"", "sh"]).arg(directory);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

/// The user that this process acts as; `None` where the system does not tell.
pub fn effective_user_id() -> Option<u32> {
    let from_files = || std::fs::metadata("/proc/self").ok().map(|files| files.uid());
    numeric_id(&["-u"]).or_else(from_files)
}

fn numeric_id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
