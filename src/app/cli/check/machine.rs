//! What the machine must have for the server: a data directory of its own, the keys' secrets, room for the journal,
//! addresses that are free, and files enough for its connections.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};

use crate::app::cli::finding::Finding;
use crate::app::config::Config;
use crate::storage::embedded::{Programs, cluster_version};

const MEGABYTE: u64 = 1 << 20;
/// Files beside connections: the journal, the database's connections, the providers'.
const OTHER_FILES: u64 = 1_000;

pub fn look(config: &Config) -> Vec<Finding> {
    let directory = data_directory(&config.data.dir);
    let mut findings = vec![directory];
    findings.push(secret(config, ("pepper", &config.secrets.pepper_file)));
    findings.push(secret(config, ("seal-key", &config.secrets.seal_key_file)));
    findings.push(journal_room(config));
    findings.push(address("listener", &config.server.host, config.server.port));
    findings.push(address(
        "operator's listener",
        &config.operator.host,
        config.operator.port,
    ));
    findings.push(open_files(config));
    findings
}

/// Whether the private Postgres could be run.
pub fn private_postgres(config: &Config) -> Finding {
    match Programs::find(cluster_version(&config.data.dir)) {
        Ok(programs) => {
            let (program, directory) = (programs.path("postgres"), config.data.dir.display());
            Finding::ok(
                "database",
                format!("a private PostgreSQL ({}) for {directory}", program.display()),
            )
        }
        Err(error) => Finding::fail("database", error.to_string()).advise("or name a database by DATABASE_URL"),
    }
}

fn data_directory(path: &Path) -> Finding {
    let (place, what) = match nearest(path) {
        Some(there) if there == path => (there, "is there"),
        Some(there) => (there, "is made at the first start"),
        None => return Finding::fail("data directory", format!("{} cannot be made", path.display())),
    };
    let shown = path.display();
    if !place.is_dir() {
        return Finding::fail("data directory", format!("{} is no directory", place.display()));
    }
    match access(&place, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok("data directory", format!("{shown} {what}")),
        Err(error) => Finding::fail(
            "data directory",
            format!("{} cannot be written: {error}", place.display()),
        )
        .advise("set CALDERA_DATA_DIR, or give the directory to the user who runs the server"),
    }
}

/// The path itself, or the nearest directory above it that is there.
fn nearest(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|place| place.exists()).map(Path::to_owned)
}

fn secret(config: &Config, (name, given): (&'static str, &Path)) -> Finding {
    let path = if given.as_os_str().is_empty() {
        config.data.dir.join(name)
    } else {
        given.to_owned()
    };
    let shown = path.display();
    match fs::metadata(&path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Finding::warn(name, format!("{shown} may be read by others")).advise(format!("chmod 600 {shown}"))
        }
        Ok(_) => Finding::ok(name, format!("{shown} is there")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::ok(name, format!("{shown} is made at the first start of an empty database"))
        }
        Err(error) => Finding::fail(name, format!("{shown} cannot be read: {error}")),
    }
}

fn journal_room(config: &Config) -> Finding {
    let Some(found) = nearest(&config.data.dir).and_then(|place| statvfs(&place).ok()) else {
        return Finding::warn("journal", "it cannot be found out how much room the disk has");
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize) / MEGABYTE;
    let (most, segment) = (config.journal.max_size_mb, config.journal.segment_size_mb);
    let says = format!("{free} MB free, the journal may grow to {most} MB");
    if free < segment.saturating_mul(4) {
        Finding::fail("journal", says).advise("make room: without it no call is admitted")
    } else if free < most {
        Finding::warn("journal", says).advise("make room, or set journal.max_size_mb to what there is")
    } else {
        Finding::ok("journal", says)
    }
}

fn address(what: &'static str, host: &str, port: u16) -> Finding {
    match TcpListener::bind((host, port)) {
        Ok(_) => Finding::ok(what, format!("{host}:{port} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::warn(what, format!("{host}:{port} is in use"))
            .advise("by a Caldera that runs? Else set another port"),
        Err(error) => Finding::fail(what, format!("cannot listen on {host}:{port}: {error}")),
    }
}

fn open_files(config: &Config) -> Finding {
    let workers = match config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        count => count,
    };
    let wanted = (config.server.max_connections as u64)
        .saturating_mul(workers as u64)
        .saturating_add(config.gateway.in_flight_limit as u64)
        .saturating_add(OTHER_FILES);
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Finding::ok("open files", "no limit");
    };
    let says = format!("{limit} at most, {wanted} for every connection that the configuration allows");
    if limit < OTHER_FILES.saturating_mul(2) {
        Finding::warn("open files", says).advise("raise it by `ulimit -n`, or LimitNOFILE of the service")
    } else {
        Finding::ok("open files", says)
    }
}
