//! The Postgres of the suite: one cluster for the whole test process with a fresh database a test, and clusters of
//! their own for tests that stop theirs.
//! Each runs under a shell that reads a pipe from this process: when this process ends, even by a kill, the pipe closes,
//! and the shell stops the server and removes its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use std::os::unix::process::CommandExt;

use caldera::storage::embedded::{Programs, ServerUser};
use diesel::prelude::*;

use super::process::{children_of, signal, wait_until};

const START_LIMIT: Duration = Duration::from_secs(30);

/// Starts the server ($1) on $2/data, waits for the end of the pipe, stops it, and removes $2 unless $2/keep is there.
const GUARD: &str = r#"
"$1" -D "$2/data" -k "$2" -c listen_addresses= -c port=5432 -c fsync=off -c full_page_writes=off -c jit=off \
    -c max_connections=300 -c shared_buffers=64MB -c autovacuum_naptime=10min >"$2/server.log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -CONT $server 2>/dev/null
kill -INT $server 2>/dev/null
wait $server
[ -e "$2/keep" ] || rm -rf "$2"
"#;

/// A database of one test; dropped with this value.
pub struct TestDatabase {
    pub url: String,
    name: Option<String>,
}

impl TestDatabase {
    pub fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url).expect("the test's database is there")
    }

    /// Where its cluster's socket is.
    pub fn socket_directory(&self) -> &Path {
        let host = self.url.strip_prefix("host=").and_then(|url| url.split(' ').next());
        Path::new(host.expect("an address of ours begins with the host"))
    }

    /// The address of the same database by a socket in another directory.
    pub fn url_through(&self, directory: &Path) -> String {
        let (_, rest) = self.url.split_once(' ').expect("an address of ours has several parts");
        format!("host={} {rest}", directory.display())
    }

    /// The one number that this query gives, such as `SELECT count(*) FROM requests`.
    pub fn number(&self, query: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            value: i64,
        }
        let row: Row = diesel::sql_query(format!("SELECT ({query}) AS value"))
            .get_result(&mut self.connect())
            .expect(query);
        row.value
    }

    /// The numbers of an array, read in one statement.
    pub fn numbers(&self, query: &str) -> Vec<i64> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Array<diesel::sql_types::BigInt>)]
            numbers: Vec<i64>,
        }
        let row: Row = diesel::sql_query(query).get_result(&mut self.connect()).expect(query);
        row.numbers
    }

    pub fn execute(&self, statement: &str) -> usize {
        diesel::sql_query(statement)
            .execute(&mut self.connect())
            .expect(statement)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else {
            return;
        };
        // A database that stays is removed with its cluster.
        if let Ok(mut connection) = PgConnection::establish(&shared().url("postgres")) {
            let _ = diesel::sql_query(format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut connection);
        }
    }
}

/// A fresh, empty database in the cluster that all tests share.
pub fn database() -> TestDatabase {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let cluster = shared();
    cluster.create_database(&name);
    TestDatabase {
        url: cluster.url(&name),
        name: Some(name),
    }
}

fn shared() -> &'static OwnCluster {
    static SHARED: OnceLock<OwnCluster> = OnceLock::new();
    SHARED.get_or_init(OwnCluster::start)
}

/// A cluster that one test stops, pauses and starts as it likes.
pub struct OwnCluster {
    directory: PathBuf,
    user: ServerUser,
    programs: Programs,
    guard: Option<Guard>,
}

struct Guard {
    shell: Child,
    /// Open as long as the server is to run.
    pipe: ChildStdin,
}

impl OwnCluster {
    pub fn start() -> Self {
        let user = ServerUser::choose().expect("there is a user to run Postgres as");
        let programs = Programs::find(None).expect("PostgreSQL is installed");
        let directory = tempfile::Builder::new().prefix("caldera-test-").tempdir_in("/tmp");
        let directory = directory.expect("/tmp is writable").keep();
        user.own(&directory).expect("a directory of ours can be handed over");
        let mut initdb = user.command(programs.path("initdb"));
        initdb.arg("--pgdata").arg(directory.join("data"));
        initdb.args([
            "--username",
            "caldera",
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ]);
        let output = initdb.output().expect("initdb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut cluster = Self {
            directory,
            user,
            programs,
            guard: None,
        };
        cluster.start_again();
        cluster
    }

    /// A database of this cluster; it lives as long as the cluster.
    pub fn database(&self, name: &str) -> TestDatabase {
        self.create_database(name);
        TestDatabase {
            url: self.url(name),
            name: None,
        }
    }

    /// Starts the server after `stop`.
    pub fn start_again(&mut self) {
        assert!(self.guard.is_none(), "it runs");
        let _ = fs::remove_file(self.directory.join("keep"));
        let mut command = self.user.command("/bin/sh");
        command
            .args(["-c", GUARD, "sh"])
            .arg(self.programs.path("postgres"))
            .arg(&self.directory);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut shell = command.spawn().expect("a shell is there");
        let pipe = shell.stdin.take().expect("it was piped");
        self.guard = Some(Guard { shell, pipe });
        let url = self.url("postgres");
        wait_until(
            &format!("Postgres takes connections:\n{}", self.log()),
            START_LIMIT,
            || PgConnection::establish(&url).is_ok(),
        );
    }

    /// Stops the server; its data stays.
    pub fn stop(&mut self) {
        fs::write(self.directory.join("keep"), "").expect("the directory is ours");
        self.end();
    }

    /// Freezes the server: connections stay open, and nothing answers.
    pub fn pause(&self) {
        let server = self.process_id();
        signal(server, "STOP");
        children_of(server).into_iter().for_each(|child| signal(child, "STOP"));
    }

    /// Lets a frozen server go on.
    pub fn resume(&self) {
        let server = self.process_id();
        children_of(server).into_iter().for_each(|child| signal(child, "CONT"));
        signal(server, "CONT");
    }

    fn end(&mut self) {
        if let Some(Guard { mut shell, pipe }) = self.guard.take() {
            drop(pipe);
            shell.wait().expect("it is our child");
        }
    }

    fn create_database(&self, name: &str) {
        let mut connection = PgConnection::establish(&self.url("postgres")).expect("the cluster runs");
        let statement = format!("CREATE DATABASE {name} TEMPLATE template0");
        diesel::sql_query(statement)
            .execute(&mut connection)
            .expect("a database can be made");
    }

    fn url(&self, database: &str) -> String {
        format!(
            "host={} port=5432 user=caldera dbname={database}",
            self.directory.display()
        )
    }

    fn process_id(&self) -> u32 {
        let text = read(&self.directory.join("data/postmaster.pid"));
        text.lines()
            .next()
            .and_then(|line| line.trim().parse().ok())
            .expect("the server runs")
    }

    fn log(&self) -> String {
        read(&self.directory.join("server.log"))
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        if self.guard.is_some() {
            self.resume();
            self.end();
        } else {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn databases_are_apart_and_a_paused_cluster_goes_on() {
    let (first, second) = (database(), database());
    assert_ne!(first.url, second.url);
    first.execute("CREATE TABLE one AS SELECT 7::bigint AS value");
    assert_eq!(first.number("SELECT value FROM one"), 7);
    assert_eq!(
        second.number("SELECT count(*) AS value FROM pg_tables WHERE tablename = 'one'"),
        0
    );

    let mut own = OwnCluster::start();
    let database = own.database("kept");
    database.execute("CREATE TABLE one AS SELECT 7::bigint AS value");
    own.pause();
    own.resume();
    assert_eq!(database.number("SELECT value FROM one"), 7);
    own.stop();
    assert!(PgConnection::establish(&database.url).is_err());
    own.start_again();
    assert_eq!(database.number("SELECT value FROM one"), 7);
}
