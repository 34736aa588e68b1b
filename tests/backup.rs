//! A backup brings everything back on another machine, as docs/operations.md says: the database and the two key files
//! while the server works, or the whole data directory of one that has ended.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use caldera::storage::embedded::Programs;
use caldera::storage::proof;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::house::{House, chat, nanos, settings};
use crate::support::postgres::{TestDatabase, database};
use crate::support::server::{Server, eventually};

/// A database with the server that was started on it.
struct Restored {
    server: Server,
    database: TestDatabase,
    _directory: TempDir,
}

fn run(program: &str, arguments: &[&str]) {
    // The clients stand beside the server, or where the shell finds them.
    let beside = Programs::find(None).unwrap().path(program);
    let program = if beside.is_file() { beside } else { program.into() };
    let output = Command::new(&program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", program.display());
}

fn dump(database: &TestDatabase, file: &Path) {
    run(
        "pg_dump",
        &[
            "--format=custom",
            "--file",
            file.to_str().unwrap(),
            "--dbname",
            &database.url,
        ],
    );
}

/// Another database and another server, from a dump and what was kept of the data directory.
fn restore(house: &House, kept: TempDir) -> Restored {
    let database = database();
    let dump = kept.path().join("dump");
    let arguments = [
        "--no-owner",
        "--exit-on-error",
        "--dbname",
        &database.url,
        dump.to_str().unwrap(),
    ];
    run("pg_restore", &arguments);
    let server = settings(&database.url, &house.simulator)
        .variable("CALDERA_DATA_DIR", kept.path().join("data").display())
        .start();
    Restored {
        server,
        database,
        _directory: kept,
    }
}

impl Restored {
    fn prove(&self) {
        let invariants = proof::read(&mut self.database.connect(), None).unwrap();
        let broken: Vec<_> = invariants.iter().filter(|side| side.left != side.right).collect();
        assert!(broken.is_empty(), "{broken:?}");
    }

    fn call(&self, key: &str) -> Value {
        let client = self.server.client_with(key);
        client
            .post("/v1/chat/completions", &chat("output_tokens=3"))
            .expect_status(200)
            .json()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{}", from.display());
}

/// Merchants' own credentials are sealed, so that they show whether the seal key is the right one.
fn store_credential(house: &House) {
    let body = json!({ "provider": "anthropic", "key": "sealed" });
    let stored = house.server.client().post("/v1/provider_keys", &body);
    assert!(matches!(stored.status, 200 | 201), "{}", stored.text());
}

#[test]
fn a_dump_under_load_and_the_two_key_files_bring_a_server_back() {
    let house = House::new();
    let (id, key) = house.mint(json!({ "name": "kept" }));
    store_credential(&house);
    let call = || {
        let caller = house.caller(&key);
        caller
            .post("/v1/chat/completions", &chat("output_tokens=3"))
            .expect_status(200)
    };
    let before = house.row(&call());
    let (kept, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    call();
                }
            });
        }
        eventually("calls are written", || {
            house.database.number("SELECT count(*) FROM requests") > 20
        });
        dump(&house.database, &kept.path().join("dump"));
        stop.store(true, Ordering::SeqCst);
    });
    for file in ["pepper", "seal-key"] {
        copy(
            &house.server.data_dir().join(file),
            &kept.path().join("data").join(file),
        );
    }
    let restored = restore(&house, kept);
    restored.prove();
    let path = format!("/v1/requests/{}", before["request_id"].as_str().unwrap());
    assert_eq!(restored.server.client().get(&path).expect_status(200).json(), before);
    restored.call(&key);
    let number = |query: &str| restored.database.number(query);
    let spent = || number("SELECT sum(cost)::bigint FROM requests");
    eventually("the new call is written", || {
        let shown = restored.server.client().get(&format!("/v1/spend_keys/{id}")).json();
        nanos(&shown["total_spend"]) == spent()
    });
    assert!(number("SELECT count(*) FROM requests") > 20);
    restored.prove();
    let stored = restored
        .server
        .client()
        .get("/v1/provider_keys")
        .expect_status(200)
        .json();
    assert_eq!(stored["data"].as_array().unwrap().len(), 1);
}

#[test]
fn the_data_directory_of_a_killed_server_and_a_dump_lose_no_answered_call() {
    let mut house = House::new();
    let (id, key) = house.mint(json!({ "name": "moved" }));
    let mut answered = 0;
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let call = |_| {
                        house
                            .caller(&key)
                            .post("/v1/chat/completions", &chat("output_tokens=3"))
                    };
                    (0..25).map(call).filter(|answer| answer.status == 200).count()
                })
            })
            .collect();
        answered = callers.into_iter().map(|caller| caller.join().unwrap()).sum();
    });
    house.server.kill();
    let kept = tempfile::tempdir().unwrap();
    copy(&house.server.data_dir(), &kept.path().join("data"));
    dump(&house.database, &kept.path().join("dump"));
    let restored = restore(&house, kept);
    assert_eq!(
        restored.database.number("SELECT count(*) FROM requests"),
        answered as i64
    );
    restored.prove();
    restored.call(&key);
    let shown = || restored.server.client().get(&format!("/v1/spend_keys/{id}")).json();
    eventually("the new call is counted", || shown()["total_requests"] == answered + 1);
}

#[test]
fn a_database_without_its_pepper_is_refused_by_name() {
    let house = House::new();
    let kept = tempfile::tempdir().unwrap();
    dump(&house.database, &kept.path().join("dump"));
    let database = database();
    let file = kept.path().join("dump");
    run(
        "pg_restore",
        &["--no-owner", "--dbname", &database.url, file.to_str().unwrap()],
    );
    let mut server = settings(&database.url, &house.simulator).start_unready();
    assert!(!server.wait_for_exit().success());
    assert!(server.stderr().contains("pepper"), "{}", server.stderr());
}
