//! A start that is told to stop, or that fails: it ends, and leaves no Postgres of its own behind. What one makes is for
//! its owner alone.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::support::postgres::database;
use crate::support::process::{signal, wait_until};
use crate::support::server::{Server, ServerSettings};

/// What a private Postgres is known by, for as long as it runs.
fn is_postgres_there(server: &Server) -> bool {
    server.data_dir().join("postgres/postmaster.pid").exists()
}

/// A server with a Postgres of its own, stopped in good order.
fn stopped() -> Server {
    let mut server = ServerSettings::default().start();
    assert!(server.stop().success());
    assert!(!is_postgres_there(&server));
    server
}

#[test]
fn a_stop_during_the_start_is_obeyed_and_takes_the_private_postgres_along() {
    let mut server = stopped();
    // The start waits for whoever has the journal, behind a Postgres that runs.
    let journal = File::create(server.data_dir().join("journal/lock")).unwrap();
    journal.lock().unwrap();
    for name in ["TERM", "INT"] {
        server.start_again_unready();
        wait_until("its Postgres runs", Duration::from_secs(60), || {
            is_postgres_there(&server)
        });
        signal(server.process_id(), name);
        assert!(server.wait_for_exit().success(), "{name}: {}", server.stderr());
        assert!(!is_postgres_there(&server), "{name}: {}", server.stderr());
    }
    drop(journal);
    server.start_again();
}

#[test]
fn a_database_that_refuses_the_connection_for_good_ends_the_start_and_is_not_waited_for() {
    let database = database();
    let name = database.url.split("dbname=").nth(1).unwrap();
    for url in [
        database.url.replace(name, "nobody_made_this_one"),
        database.url.replace("user=", "user=nobody_made_"),
    ] {
        assert_ne!(url, database.url);
        let mut server = ServerSettings::default().database(&url).start_unready();
        assert!(!server.wait_for_exit().success(), "{url}");
        let why = server.stderr();
        assert!(
            why.contains("the database of DATABASE_URL cannot be used") && why.contains("does not exist"),
            "{why}"
        );
    }
}

#[test]
fn what_is_in_the_data_directory_is_for_its_owner_alone() {
    let database = database();
    let server = ServerSettings::default().database(&database.url).start();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let journal = server.data_dir().join("journal");
    assert_eq!((mode(&server.data_dir()), mode(&journal)), (0o700, 0o700));
    let files: Vec<_> = fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() > 2, "{files:?}");
    for path in files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "journal"))
    {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_start_that_fails_takes_the_private_postgres_along() {
    let mut server = stopped();
    let pepper = server.data_dir().join("pepper");
    let kept = fs::read(&pepper).unwrap();
    fs::write(&pepper, [7; 32]).unwrap();
    server.start_again_unready();
    assert!(!server.wait_for_exit().success());
    assert!(server.stderr().contains("pepper") && !is_postgres_there(&server));
    fs::write(&pepper, kept).unwrap();
    // What is read only when the database is ready.
    let settings = server.data_dir().join("prices.json");
    fs::write(&settings, "{").unwrap();
    let mut command = server.command(&["serve"]);
    let refused = command.env("CALDERA__FILES__MORE_PRICES", &settings).output().unwrap();
    assert!(!refused.status.success() && !is_postgres_there(&server));
}
