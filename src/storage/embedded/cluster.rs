//! One cluster's server process: its start, its end, and whether it runs.
//! The process may be our child or one that a killed process of ours left behind; both are the same to the caller. A
//! file lock keeps two processes of ours from starting the same cluster at once.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use diesel::{Connection, PgConnection};

use super::owner::ServerUser;
use super::place::{Place, SOCKET_NAME, files};
use super::programs::Programs;
use super::{EmbeddedError, NAME, Which};

/// Recovery after a crash reads the log since the last checkpoint; this is far above what that takes.
const START_LIMIT: Duration = Duration::from_secs(600);
const STOP_LIMIT_S: &str = "60";
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// How long a server that was just started may take to write down its number, by which it is told to stop.
const NUMBER_LIMIT: Duration = Duration::from_secs(5);
const STOPPING: &str = "Caldera is stopping";
/// Above what any system numbers its processes with.
const NO_PROCESS_ID: i32 = i32::MAX - 1;

/// The settings that differ from the server's own defaults.
const SETTINGS: [(&str, &str); 17] = [
    ("listen_addresses", ""),
    ("port", "5432"),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "40"),
    ("shared_buffers", "64MB"),
    ("synchronous_commit", "on"),
    ("max_wal_size", "1GB"),
    ("checkpoint_timeout", "15min"),
    ("jit", "off"),
    ("autovacuum", "on"),
    ("log_timezone", "UTC"),
    ("logging_collector", "on"),
    ("log_directory", "log"),
    ("log_filename", "postgres-%a.log"),
    ("log_truncate_on_rotation", "on"),
    ("log_rotation_age", "1d"),
    ("log_rotation_size", "0"),
];

/// A cluster that is there, running or not.
pub(super) struct Cluster {
    place: Place,
    programs: Programs,
    user: ServerUser,
    lock_path: PathBuf,
    child: Mutex<Option<Child>>,
    is_stopping: Mutex<bool>,
    stop_begun: Condvar,
}

impl Cluster {
    /// Finds the programs, the user and the place, and makes the cluster where there is none.
    pub(super) fn prepare(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let user = ServerUser::choose()?;
        let place = Place::choose(data_dir, &user)?;
        let lock_path = data_dir.join("postgres.lock");
        let _lock = lock(&lock_path)?;
        let version = place.version();
        let programs = Programs::find(version)?;
        if version.is_none() {
            place.create_cluster(&programs, &user)?;
        }
        Ok(Self {
            place,
            programs,
            user,
            lock_path,
            child: Mutex::new(None),
            is_stopping: Mutex::new(false),
            stop_begun: Condvar::new(),
        })
    }

    /// The libpq address of a database in this cluster.
    pub(super) fn url_of(&self, database: &str) -> String {
        let host = self.place.socket_dir.display().to_string();
        let host = host.replace('\\', "\\\\").replace('\'', "\\'");
        format!("host='{host}' port=5432 user={NAME} dbname={database}")
    }

    /// Adopts the server that runs, or starts one; returns when it takes connections.
    pub(super) fn ensure_running(&self) -> Result<(), EmbeddedError> {
        let _lock = lock(&self.lock_path)?;
        if self.is_stopping() {
            return Err(start_failure(STOPPING.to_owned()));
        }
        if self.try_connection().is_ok() {
            return Ok(());
        }
        if self.process_id().is_none() {
            self.disown_lock_files()?;
            let child = self.spawn()?;
            *self.child() = Some(child);
        }
        self.wait_until_ready()
    }

    /// Whether the server's process is there. A server that hangs is there.
    pub(super) fn is_running(&self) -> bool {
        if let Some(child) = self.child().as_mut() {
            return matches!(child.try_wait(), Ok(None));
        }
        self.process_id().is_some()
    }

    /// From now on nothing is started, and a start under way gives up.
    pub(super) fn begin_stop(&self) {
        *self.stopping() = true;
        self.stop_begun.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping()
    }

    /// Waits this long for a stop to begin; whether it has.
    pub(super) fn wait_for_stop(&self, limit: Duration) -> bool {
        let waited = self
            .stop_begun
            .wait_timeout_while(self.stopping(), limit, |is_stopping| !*is_stopping);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Ends the server: connections are cut, what is committed is written out.
    pub(super) fn stop(&self, which: Which) -> Result<(), EmbeddedError> {
        let _lock = lock(&self.lock_path)?;
        if which == Which::Own && self.child().is_none() {
            return Ok(());
        }
        self.wait_for_its_number();
        if !self.is_running() {
            return Ok(());
        }
        let mut command = self.user.command(self.programs.path("pg_ctl"));
        command.arg("stop").arg("--pgdata").arg(&self.place.cluster_dir);
        command.args(["--mode", "fast", "--wait", "--silent", "--timeout", STOP_LIMIT_S]);
        let output = command
            .stdout(Stdio::null())
            .output()
            .map_err(|error| stop_failure(error.to_string()))?;
        if !output.status.success() {
            return Err(stop_failure(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        if let Some(mut child) = self.child().take() {
            child.wait().map_err(|error| stop_failure(error.to_string()))?;
        }
        if self.place.socket_dir != self.place.cluster_dir {
            // An empty directory that stays does no harm; the next start uses it again.
            let _ = fs::remove_dir(&self.place.socket_dir);
        }
        Ok(())
    }

    fn wait_for_its_number(&self) {
        let deadline = Instant::now() + NUMBER_LIMIT;
        while self.is_running() && self.process_id().is_none() && Instant::now() < deadline {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn spawn(&self) -> Result<Child, EmbeddedError> {
        let log_path = self.start_log_path();
        let log = File::create(&log_path).map_err(|error| files("write", &log_path, &error))?;
        self.user
            .own(&log_path)
            .map_err(|error| files("hand over", &log_path, &error))?;
        let mut command = self.user.command(self.programs.path("postgres"));
        command.arg("-D").arg(&self.place.cluster_dir);
        command.arg("-k").arg(&self.place.socket_dir);
        for (name, value) in SETTINGS {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        // A group of its own, so that an interrupt typed at our terminal reaches us alone.
        command.process_group(0).stdout(Stdio::null()).stderr(log);
        command.spawn().map_err(|error| start_failure(error.to_string()))
    }

    fn wait_until_ready(&self) -> Result<(), EmbeddedError> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let reason = match self.try_connection() {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            };
            if !self.is_running() {
                *self.child() = None;
                return Err(start_failure(self.start_log()));
            }
            if Instant::now() >= deadline {
                return Err(start_failure(reason));
            }
            if self.wait_for_stop(POLL_INTERVAL) {
                return Err(start_failure(STOPPING.to_owned()));
            }
        }
    }

    fn try_connection(&self) -> Result<(), String> {
        // The socket first: libpq says nothing quickly about a server that is not there yet.
        UnixStream::connect(self.socket_path()).map_err(|error| error.to_string())?;
        let url = format!("{} connect_timeout=5", self.url_of("postgres"));
        PgConnection::establish(&url)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    /// The process that the cluster's own file names, where it is a server's.
    fn process_id(&self) -> Option<u32> {
        let text = fs::read_to_string(self.process_file()).ok()?;
        let process_id = text.lines().next()?.trim().parse().ok()?;
        self.is_server_process(process_id).then_some(process_id)
    }

    /// Whether this process was started for this cluster; where the system does not tell, whether somebody listens.
    fn is_server_process(&self, process_id: u32) -> bool {
        if !Path::new("/proc/self/cmdline").exists() {
            return UnixStream::connect(self.socket_path()).is_ok();
        }
        let arguments = fs::read(format!("/proc/{process_id}/cmdline")).unwrap_or_default();
        let directory = self.place.cluster_dir.as_os_str().as_encoded_bytes();
        arguments.split(|byte| *byte == 0).any(|argument| argument == directory)
    }

    /// The server refuses to start while one of its two lock files names a process that is there, though it be a dead
    /// one that nobody reaped, or another program that got the number after a restart of the machine or of its
    /// container. The number is replaced by one that no process has; the rest of the file stays, for by it the server
    /// notices processes of its predecessor that still write.
    fn disown_lock_files(&self) -> Result<(), EmbeddedError> {
        let socket_lock = self.place.socket_dir.join(format!("{SOCKET_NAME}.lock"));
        for path in [self.process_file(), socket_lock] {
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
            let disowned = format!("{NO_PROCESS_ID}\n{rest}");
            fs::write(&path, disowned).map_err(|error| files("write", &path, &error))?;
        }
        Ok(())
    }

    fn socket_path(&self) -> PathBuf {
        self.place.socket_dir.join(SOCKET_NAME)
    }

    fn process_file(&self) -> PathBuf {
        self.place.cluster_dir.join("postmaster.pid")
    }

    fn start_log_path(&self) -> PathBuf {
        self.place.cluster_dir.join("start.log")
    }

    /// The last of what the server said, on one line: from its own log, or from what came before it had one.
    fn start_log(&self) -> String {
        let log_dir = self.place.cluster_dir.join("log");
        let entries = fs::read_dir(&log_dir).into_iter().flatten().filter_map(Result::ok);
        let newest = entries.map(|entry| entry.path()).max_by_key(|path| {
            let written = fs::metadata(path).and_then(|found| found.modified());
            written.unwrap_or(SystemTime::UNIX_EPOCH)
        });
        let early = fs::read_to_string(self.start_log_path()).unwrap_or_default();
        let late = newest.and_then(|path| fs::read_to_string(path).ok());
        let text = late.filter(|_| early.contains("log output")).unwrap_or(early);
        let mut lines: Vec<&str> = text.lines().rev().take(3).collect();
        lines.reverse();
        format!("{} (more in {})", lines.join("; "), log_dir.display())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> MutexGuard<'_, bool> {
        self.is_stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(path: &Path) -> Result<File, EmbeddedError> {
    let file = File::create(path).map_err(|error| files("create", path, &error))?;
    file.lock().map_err(|error| files("lock", path, &error))?;
    Ok(file)
}

fn start_failure(reason: String) -> EmbeddedError {
    EmbeddedError::Server { doing: "start", reason }
}

fn stop_failure(reason: String) -> EmbeddedError {
    EmbeddedError::Server { doing: "stop", reason }
}
