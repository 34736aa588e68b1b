//! The real binary, as a user starts it: with an environment, a data directory and ports of its own.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::http::Client;
use super::process::{signal, wait_for_exit, wait_until};

const BINARY: &str = env!("CARGO_BIN_EXE_caldera");
const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(150);

/// What of our own environment the server gets; nothing else, so that no credential of the machine changes a test.
const KEPT_VARIABLES: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "RUST_BACKTRACE"];

/// How a server is to be started.
#[derive(Clone, Default)]
pub struct ServerSettings {
    database_url: Option<String>,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
}

impl ServerSettings {
    /// With this database; without one, the server makes a private cluster.
    pub fn database(mut self, url: &str) -> Self {
        self.database_url = Some(url.to_owned());
        self
    }

    pub fn variable(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    /// What a variable was set to last.
    pub fn value(&self, name: &str) -> Option<String> {
        let set = self.variables.iter().rev().find(|(known, _)| known == name);
        set.map(|(_, value)| value.clone())
    }

    /// An argument after `serve`, such as `--demo`.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts the server and waits until it is ready.
    pub fn start(self) -> Server {
        let server = self.start_unready();
        server.wait_ready();
        server
    }

    /// Starts the server without waiting.
    pub fn start_unready(self) -> Server {
        let mut server = Server {
            settings: self,
            port: free_port(),
            operator_port: free_port(),
            directory: tempfile::tempdir().expect("a temporary directory can be made"),
            child: None,
        };
        server.start_again_unready();
        server
    }
}

/// A running server, and all that a restart of it needs.
pub struct Server {
    settings: ServerSettings,
    pub port: u16,
    pub operator_port: u16,
    directory: TempDir,
    child: Option<Child>,
}

impl Server {
    /// A client with the first merchant's secret key.
    pub fn client(&self) -> Client {
        Client::new(&self.url()).with_key(secret_key())
    }

    /// A client with this key.
    pub fn client_with(&self, key: &str) -> Client {
        Client::new(&self.url()).with_key(key)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn operator_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.operator_port)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn process_id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub fn wait_ready(&self) {
        let client = Client::new(&self.url());
        let what = || format!("the server is ready; it said:\n{}", self.stderr());
        let deadline = Instant::now() + READY_LIMIT;
        while client.try_get("/readyz").is_none_or(|answer| answer.status != 200) {
            assert!(Instant::now() < deadline, "not in {READY_LIMIT:?}: {}", what());
            assert!(self.is_running(), "it ended instead: {}", what());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends the process at once, as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it is our child");
            child.wait().expect("it is our child");
        }
    }

    /// Asks for a stop (SIGTERM) without waiting for it.
    pub fn begin_stop(&self) {
        signal(self.process_id(), "TERM");
    }

    /// Asks for a stop and waits for it.
    pub fn stop(&mut self) -> ExitStatus {
        self.begin_stop();
        self.wait_for_exit()
    }

    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        wait_for_exit(&mut child, STOP_LIMIT)
    }

    /// Starts it again with the same settings, ports and data, and waits until it is ready.
    pub fn start_again(&mut self) {
        self.start_again_unready();
        self.wait_ready();
    }

    pub fn start_again_unready(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let mut command = self.command(&["serve"]);
        command
            .args(&self.settings.arguments)
            .stdout(self.output("stdout"))
            .stderr(self.output("stderr"));
        self.child = Some(command.spawn().expect("the binary starts"));
    }

    /// Runs another command of the binary with the server's settings, such as `keys create`.
    pub fn run(&self, arguments: &[&str]) -> std::process::Output {
        self.command(arguments).output().expect("the binary starts")
    }

    /// What another command of the binary answers as JSON.
    pub fn ask(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {why}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error} in {output:?}"))
    }

    /// All that it wrote to standard output, over all its starts.
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.directory.path().join("stdout")).unwrap_or_default()
    }

    /// All that it wrote to standard error, over all its starts.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }

    fn is_running(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process_id())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    }

    /// Another command of the binary with the server's settings, to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).env_clear().stdin(Stdio::null());
        for name in KEPT_VARIABLES {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command
            .env("HOME", self.directory.path())
            .env("HOST", "127.0.0.1")
            .env("PORT", self.port.to_string());
        command.env("CALDERA__OPERATOR__PORT", self.operator_port.to_string());
        command
            .env("CALDERA__SERVER__WORKERS", "2")
            .env("CALDERA_DATA_DIR", self.data_dir());
        command.env("CALDERA__MANAGEMENT__REQUESTS_PER_MINUTE", "1000000");
        command.env("CALDERA_BOOTSTRAP_SECRET_KEY", secret_key());
        command.envs(self.settings.database_url.as_ref().map(|url| ("DATABASE_URL", url)));
        command.envs(self.settings.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn output(&self, name: &str) -> File {
        let path = self.directory.path().join(name);
        File::options()
            .create(true)
            .append(true)
            .open(path)
            .expect("the directory is ours")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A private cluster outlives a kill; a stop takes it along.
        if self.data_dir().join("postgres").exists()
            && let Some(child) = self.child.as_mut()
        {
            signal(child.id(), "TERM");
            let deadline = Instant::now() + Duration::from_secs(20);
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.kill();
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.stderr());
        }
    }
}

/// The secret key of the first merchant in every test: its last six characters are the checksum of the rest.
pub fn secret_key() -> &'static str {
    static KEY: OnceLock<String> = OnceLock::new();
    KEY.get_or_init(|| with_checksum("aks_live_0123456789abcdefghijABCDEFGHIJ01"))
}

/// The text with the checksum that our keys end with: CRC32 in six base62 digits.
pub fn with_checksum(text: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = u64::from(crc32fast::hash(text.as_bytes()));
    let mut check = [0; 6];
    for digit in check.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    format!("{text}{}", String::from_utf8_lossy(&check))
}

/// A port that nobody listens on, never given twice.
pub fn free_port() -> u16 {
    static GIVEN: OnceLock<Mutex<HashSet<u16>>> = OnceLock::new();
    let mut given = GIVEN
        .get_or_init(Mutex::default)
        .lock()
        .expect("no test panics with it");
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it is bound").port();
        if given.insert(port) {
            return port;
        }
    }
}

/// Waits until what the server shows satisfies the test, for at most ten seconds.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    wait_until(what, Duration::from_secs(10), condition);
}
