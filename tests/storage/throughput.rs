//! How fast the writer is; run by hand: `cargo test --release throughput -- --ignored --nocapture`.

use std::time::Instant;

use caldera::engine::ports::BatchSink;
use caldera::storage::writer::PgSink;
use caldera::storage::{lease, replica};

use super::fixtures::{Storage, batch, settled};
use super::size::processor_time;

#[test]
#[ignore = "a measurement"]
fn the_writer_keeps_up_with_twenty_thousand_rows_a_second() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let keys: Vec<_> = (0..10_000).map(|_| storage.spend_key(tenant).settings.id).collect();
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let mut next = keys.iter().cycle();
    let batches: Vec<_> = (0..100)
        .map(|_| {
            batch(
                next.by_ref()
                    .take(1_000)
                    .map(|key| settled(tenant, Some(*key), 7))
                    .collect(),
            )
        })
        .collect();
    let started = Instant::now();
    for batch in &batches {
        sink.write(batch).unwrap();
    }
    println!(
        "{} rows in {:?}; {:.1?} of a processor in the database",
        batches.len() * 1_000,
        started.elapsed(),
        processor_time(&mut storage)
    );
    let started = Instant::now();
    let replica = replica::load(&mut storage.connection).unwrap();
    println!("{} keys loaded in {:?}", replica.spend_keys.len(), started.elapsed());
    assert_eq!(storage.number("SELECT sum(balance) FROM wallets"), -700_000);
}
