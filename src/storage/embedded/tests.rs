//! The private cluster, for real: each test has one of its own.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Instant;

use super::*;
use crate::storage::{Database, DatabaseOptions, migrations};

fn start(data_dir: &std::path::Path) -> EmbeddedCluster {
    let cluster = EmbeddedCluster::prepare(EmbeddedOptions {
        data_dir: data_dir.to_owned(),
    })
    .unwrap();
    cluster.start().unwrap();
    cluster
}

fn count(url: &str, query: &str) -> usize {
    let mut connection = PgConnection::establish(url).unwrap();
    diesel::sql_query(query).execute(&mut connection).unwrap()
}

fn server_process_id(data_dir: &std::path::Path) -> String {
    let text = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).unwrap();
    text.lines().next().unwrap().to_owned()
}

fn kill(process_id: &str) {
    assert!(
        Command::new("kill")
            .args(["-9", process_id])
            .status()
            .unwrap()
            .success()
    );
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_cluster_is_made_adopted_restarted_and_stopped_and_keeps_what_was_committed() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(directory.path());
    let url = first.url().to_owned();
    count(&url, "CREATE TABLE kept AS SELECT 1 AS one");
    let process_id = server_process_id(directory.path());

    drop(first);
    let second = start(directory.path());
    assert_eq!(
        server_process_id(directory.path()),
        process_id,
        "a running server is adopted"
    );

    second.watch().unwrap();
    kill(&process_id);
    wait_for("the watch starts the server again", || {
        PgConnection::establish(&url).is_ok()
    });
    assert_ne!(server_process_id(directory.path()), process_id);
    assert_eq!(count(&url, "SELECT one FROM kept"), 1);

    second.stop(Which::Any).unwrap();
    assert!(!directory.path().join("postgres/postmaster.pid").exists());
    assert!(PgConnection::establish(&url).is_err());

    let third = start(directory.path());
    assert_eq!(count(third.url(), "SELECT one FROM kept"), 1);
    third.stop(Which::Any).unwrap();
    third.stop(Which::Any).unwrap();
}

#[test]
fn what_another_process_started_is_left_alone_and_a_start_that_is_told_to_stop_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(directory.path());
    let second = start(directory.path());
    second.stop(Which::Own).unwrap();
    assert_eq!(count(first.url(), "SELECT 1"), 1);
    first.stop(Which::Own).unwrap();
    assert!(!directory.path().join("postgres/postmaster.pid").exists());

    let prepare = || {
        EmbeddedCluster::prepare(EmbeddedOptions {
            data_dir: directory.path().to_owned(),
        })
        .unwrap()
    };
    // At whatever point of the start the stop comes.
    for _ in 0..5 {
        let third = prepare();
        std::thread::scope(|scope| {
            let starting = scope.spawn(|| third.start());
            wait_for("it is being started", || {
                third.cluster.is_running() || starting.is_finished()
            });
            third.stop(Which::Own).unwrap();
            drop(starting.join());
        });
        assert!(!third.cluster.is_running());
        assert!(third.start().is_err(), "nothing is started after a stop");
    }
    assert!(!directory.path().join("postgres/postmaster.pid").exists());
}

#[test]
fn a_long_data_directory_has_its_socket_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory
        .path()
        .join("a-rather-long-name-of-a-directory-".repeat(3))
        .join("with 'quotes' and \\");
    let cluster = start(&long);
    assert!(cluster.url().contains("/tmp/caldera-"), "{}", cluster.url());
    assert_eq!(count(cluster.url(), "SELECT 1"), 1);
    cluster.stop(Which::Any).unwrap();
}

#[test]
fn a_closed_parent_moves_the_cluster_to_where_the_servers_user_can_go() {
    if effective_user_id() != Some(0) {
        return;
    }
    let parent = tempfile::tempdir().unwrap();
    std::fs::set_permissions(parent.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let data_dir = parent.path().join("data");
    let cluster = start(&data_dir);
    let elsewhere = std::fs::read_link(data_dir.join("postgres")).unwrap();
    assert!(elsewhere.starts_with("/var/lib/caldera-postgres"));
    cluster.stop(Which::Any).unwrap();
    let again = start(&data_dir);
    assert_eq!(std::fs::read_link(data_dir.join("postgres")).unwrap(), elsewhere);
    again.stop(Which::Any).unwrap();
    std::fs::remove_dir_all(elsewhere).unwrap();
}

#[test]
fn migrations_run_once_and_a_database_of_a_newer_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path());
    assert!(!migrations::migrate(cluster.url()).unwrap().is_empty());
    assert!(migrations::migrate(cluster.url()).unwrap().is_empty());
    count(
        cluster.url(),
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')",
    );
    let message = migrations::migrate(cluster.url()).unwrap_err().to_string();
    assert!(message.contains("9999"), "{message}");
    cluster.stop(Which::Any).unwrap();
}

#[test]
fn a_server_that_goes_away_is_unavailable_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = start(directory.path());
    let database = Database::connect(cluster.url(), &DatabaseOptions::default()).unwrap();
    let system = actix_rt::System::new();
    let ask = || system.block_on(database.run(|connection| Ok(diesel::sql_query("SELECT 1").execute(connection)?)));
    assert_eq!(ask().unwrap(), 1);
    let duplicate = system.block_on(database.run(|connection| {
        diesel::sql_query("CREATE TABLE once (id INT CONSTRAINT only_once UNIQUE)").execute(connection)?;
        Ok(diesel::sql_query("INSERT INTO once VALUES (1), (1)").execute(connection)?)
    }));
    let constraint = match duplicate {
        Err(crate::storage::StorageError::Conflict { constraint }) => constraint,
        other => format!("{other:?}"),
    };
    assert_eq!(constraint, "only_once");
    cluster.stop(Which::Any).unwrap();
    assert!(matches!(ask(), Err(crate::storage::StorageError::Unavailable(_))));
    let again = start(directory.path());
    wait_for("the pool finds the server again", || ask().is_ok());
    again.stop(Which::Any).unwrap();
}
