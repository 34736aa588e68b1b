//! The pool: a statement that does not end gives its connection back, and says that the database is busy.

use std::time::Duration;

use caldera::storage::StorageError;
use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::sql_types::BigInt;
use diesel::{RunQueryDsl as _, select};

use super::fixtures::Storage;

#[test]
fn a_statement_that_does_not_end_is_ended_before_the_request_gives_up() {
    let storage = Storage::new();
    let system = actix_rt::System::new();
    let limit = system.block_on(storage.database.run(|connection| {
        let limit = sql::<BigInt>("setting::bigint FROM pg_settings WHERE name = 'statement_timeout'");
        Ok(select(limit).get_result::<i64>(connection)?)
    }));
    let limit = Duration::from_millis(limit.unwrap().unsigned_abs());
    assert!(limit > Duration::ZERO && limit < Duration::from_secs(10), "{limit:?}");
    let slept = system.block_on(storage.database.run(|connection| {
        connection.batch_execute("SET statement_timeout = 20")?;
        Ok(connection.batch_execute("SELECT pg_sleep(5)")?)
    }));
    assert!(matches!(slept, Err(StorageError::Unavailable(_))), "{slept:?}");
}
