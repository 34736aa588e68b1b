//! Where the cluster's files and its socket are, and the making of both.
//! The cluster is `postgres` in the data directory. Where the server's user cannot come there, it is a directory under
//! `/var/lib/caldera-postgres`, and `postgres` a link to it. A cluster is made beside its place and renamed into it, so
//! that one half made is never taken for whole.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

use super::owner::ServerUser;
use super::programs::Programs;
use super::{EmbeddedError, NAME};

/// The port is only a part of the socket's name.
pub(super) const SOCKET_NAME: &str = ".s.PGSQL.5432";
/// The longest socket path that every system takes.
const SOCKET_PATH_BYTES: usize = 100;
const FALLBACK_PARENT: &str = "/var/lib/caldera-postgres";
/// Only who reaches the socket is let in, and only its owner reaches it.
const ACCESS_RULES: &str = "local all all trust\n";

/// The directories of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) cluster_dir: PathBuf,
    pub(super) socket_dir: PathBuf,
}

impl Place {
    /// Chooses the directories, makes what is missing of their parents, and refuses a place that the user cannot reach.
    pub(super) fn choose(data_dir: &Path, user: &ServerUser) -> Result<Self, EmbeddedError> {
        fs::create_dir_all(data_dir).map_err(|error| files("create", data_dir, &error))?;
        let data_dir = data_dir
            .canonicalize()
            .map_err(|error| files("open", data_dir, &error))?;
        let cluster_dir = cluster_dir(&data_dir, user)?;
        let parent = cluster_dir.parent().unwrap_or(&data_dir);
        if !user.can_enter(parent) {
            let error = io::Error::other(format!("{} may not enter it", user.name()));
            return Err(files("use", parent, &error));
        }
        let socket_dir = socket_dir(&cluster_dir, user)?;
        Ok(Self {
            cluster_dir,
            socket_dir,
        })
    }

    /// The major version of the cluster that is there.
    pub(super) fn version(&self) -> Option<u32> {
        version_in(&self.cluster_dir)
    }

    /// Makes the cluster.
    pub(super) fn create_cluster(&self, programs: &Programs, user: &ServerUser) -> Result<(), EmbeddedError> {
        let unfinished = self.cluster_dir.with_extension("new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(|error| files("remove", &unfinished, &error))?;
        }
        create_private_dir(&unfinished, user)?;
        let mut command = user.command(programs.path("initdb"));
        command.arg("--pgdata").arg(&unfinished);
        command.args([
            "--username",
            NAME,
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        ]);
        let output = command
            .stdout(Stdio::null())
            .output()
            .map_err(|error| EmbeddedError::Server {
                doing: "initialise",
                reason: error.to_string(),
            })?;
        if !output.status.success() {
            return Err(EmbeddedError::Server {
                doing: "initialise",
                reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            });
        }
        let rules = unfinished.join("pg_hba.conf");
        fs::write(&rules, ACCESS_RULES).map_err(|error| files("write", &rules, &error))?;
        // An empty directory in the way is taken over; one that holds something is an error.
        fs::rename(&unfinished, &self.cluster_dir).map_err(|error| files("make", &self.cluster_dir, &error))
    }
}

/// The major version of the cluster of this data directory, where there is one that may be read.
pub fn cluster_version(data_dir: &Path) -> Option<u32> {
    version_in(&data_dir.join("postgres"))
}

fn version_in(cluster_dir: &Path) -> Option<u32> {
    let text = fs::read_to_string(cluster_dir.join("PG_VERSION")).ok()?;
    text.trim().parse().ok()
}

pub(super) fn files(doing: &'static str, path: &Path, error: &io::Error) -> EmbeddedError {
    EmbeddedError::Files {
        doing,
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

fn cluster_dir(data_dir: &Path, user: &ServerUser) -> Result<PathBuf, EmbeddedError> {
    let usual = data_dir.join("postgres");
    if let Ok(elsewhere) = fs::read_link(&usual) {
        return Ok(elsewhere);
    }
    open_for(data_dir, user)?;
    if usual.exists() || user.can_enter(data_dir) {
        return Ok(usual);
    }
    let made_at = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let parent = Path::new(FALLBACK_PARENT);
    fs::create_dir_all(parent).map_err(|error| files("create", parent, &error))?;
    open_for(parent, user)?;
    let elsewhere = parent.join(format!("{}-{}", short_name(data_dir), made_at.as_nanos()));
    std::os::unix::fs::symlink(&elsewhere, &usual).map_err(|error| files("link", &usual, &error))?;
    Ok(elsewhere)
}

/// Lets the server's user pass through a directory of ours, without seeing what is in it.
fn open_for(directory: &Path, user: &ServerUser) -> Result<(), EmbeddedError> {
    let mode = fs::metadata(directory)
        .map_err(|error| files("open", directory, &error))?
        .mode();
    if user.can_enter(directory) {
        return Ok(());
    }
    let permissions = fs::Permissions::from_mode((mode & 0o7777) | 0o011);
    fs::set_permissions(directory, permissions).map_err(|error| files("open", directory, &error))
}

/// The cluster's own directory, or, where that makes the socket's path too long, one under `/tmp`.
fn socket_dir(cluster_dir: &Path, user: &ServerUser) -> Result<PathBuf, EmbeddedError> {
    if cluster_dir.as_os_str().len() + 1 + SOCKET_NAME.len() <= SOCKET_PATH_BYTES {
        return Ok(cluster_dir.to_owned());
    }
    let directory = PathBuf::from(format!("/tmp/caldera-{}-{}", user.id(), short_name(cluster_dir)));
    if !directory.exists() {
        create_private_dir(&directory, user)?;
    }
    let found = fs::symlink_metadata(&directory).map_err(|error| files("open", &directory, &error))?;
    if found.is_dir() && found.uid() == user.id() && found.mode() & 0o077 == 0 {
        return Ok(directory);
    }
    let error = io::Error::other("it is not a private directory of the server's user");
    Err(files("use", &directory, &error))
}

fn create_private_dir(directory: &Path, user: &ServerUser) -> Result<(), EmbeddedError> {
    let made = fs::DirBuilder::new().mode(0o700).create(directory);
    made.and_then(|()| user.own(directory))
        .map_err(|error| files("create", directory, &error))
}

fn short_name(path: &Path) -> String {
    format!("{:08x}", crc32fast::hash(path.as_os_str().as_encoded_bytes()))
}
