//! The journal as a whole: written, tailed, replayed, torn, full.

use super::replay::{Replayed, replay};
use super::*;
use crate::domain::ids::{MerchantId, MovementId, RequestId, SpendKeyId, WalletId};
use crate::domain::money::Money;
use crate::domain::request::{
    AccountRef, Movement, MovementKind, OpenRequest, Outcome, ProviderKeyType, Settlement, UsageSource,
};
use crate::domain::spend::Admission;
use crate::domain::usage::Usage;
use crate::engine::ports::{Batch, BatchSink, LaneMark, SinkError};
use std::collections::BTreeMap;

/// Keeps what it is given, once each, as a database does.
#[derive(Default)]
struct Kept {
    rows: BTreeMap<u128, Settlement>,
    movements: BTreeMap<u128, Movement>,
    marks: BTreeMap<i32, i64>,
}

impl BatchSink for Kept {
    fn write(&mut self, batch: &Batch) -> Result<(), SinkError> {
        for (_, settlement) in &batch.settled {
            self.rows
                .entry(settlement.id.bits())
                .or_insert_with(|| settlement.clone());
        }
        for movement in &batch.movements {
            self.movements
                .entry(movement.id.bits())
                .or_insert_with(|| movement.clone());
        }
        for mark in &batch.marks {
            let known = self.marks.entry(mark.lane).or_default();
            *known = mark.sequence.max(*known);
        }
        Ok(())
    }
}

impl Kept {
    fn marks(&self) -> Vec<LaneMark> {
        self.marks
            .iter()
            .map(|(lane, sequence)| LaneMark {
                lane: *lane,
                sequence: *sequence,
            })
            .collect()
    }
}

fn options() -> JournalOptions {
    JournalOptions {
        segment_size_mb: 1,
        max_size_mb: 64,
        fsync_interval_ms: 1,
        ..JournalOptions::default()
    }
}

fn open_request(id: u128) -> OpenRequest {
    OpenRequest {
        id: RequestId::from_bits(id),
        attempt_of: None,
        merchant_id: MerchantId::from_bits(2),
        wallet_id: WalletId::from_bits(4),
        spend_key_id: Some(SpendKeyId::from_bits(6)),
        admission: Admission::default(),
        admitted_at_ms: 1,
        hold: Money::from_nanos(1_000),
        price_version: 1,
        provider_key_type: ProviderKeyType::Managed,
        streaming: false,
        simulated: false,
        input_estimate: Money::from_nanos(100),
        output_nanos_per_million: 1_000_000,
        provider: "openai".into(),
        model: Some("gpt-4o-mini".into()),
        endpoint: "POST https://api.openai.com/v1/chat/completions".into(),
        metadata: String::new(),
        metered: None,
    }
}

fn settlement(id: u128, nanos: i64) -> Settlement {
    Settlement {
        id: RequestId::from_bits(id),
        outcome: Outcome::Completed,
        usage_source: UsageSource::Provider,
        http_status: 200,
        usage: Usage::default(),
        cost: Money::from_nanos(nanos),
        input_cost: Money::ZERO,
        output_cost: Money::ZERO,
        finished_at_ms: 2,
        first_token_ms: None,
        response_id: "chatcmpl-1".into(),
        charge: None,
    }
}

fn movement(id: u128) -> Movement {
    Movement {
        id: MovementId::from_bits(id),
        merchant_id: MerchantId::from_bits(2),
        account: AccountRef::Wallet(WalletId::from_bits(4)),
        kind: MovementKind::Funding,
        amount: Money::from_nanos(5),
        quantity: 0,
        at_ms: 3,
        note: String::new(),
    }
}

fn reopen(path: &Path, kept: &mut Kept) -> (Journal, Replayed) {
    let directory = JournalDirectory::lock(path).unwrap();
    let marks = kept.marks();
    let replayed = replay(&directory, kept, &marks, 9).unwrap();
    let journal = Journal::open(directory, &options(), &replayed.last_sequences, 2).unwrap();
    (journal, replayed)
}

/// Reads what is on the disk into the sink until nothing of the journal is left to write.
fn drain(journal: &Journal, tail: &mut Tail, kept: &mut Kept) {
    while journal.backlog() > 0 {
        let batch = tail.next_batch(100).unwrap();
        kept.write(&batch).unwrap();
        tail.commit().unwrap();
    }
}

#[test]
fn carries_every_record_to_the_sink_once_and_deletes_what_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept = Kept::default();
    let (journal, _) = reopen(directory.path(), &mut kept);
    let (lanes, mut tail) = ([journal.lane(0).unwrap(), journal.lane(1).unwrap()], journal.tail());
    for id in 1..=20_000u128 {
        let lane = &lanes[(id % 2) as usize];
        lane.write_open(&open_request(id)).unwrap();
        lane.write_settle(&settlement(id, 3));
        if id % 1000 == 0 {
            lane.write_movement(&movement(id)).unwrap();
            drain(&journal, &mut tail, &mut kept);
        }
    }
    drain(&journal, &mut tail, &mut kept);
    assert_eq!((kept.rows.len(), kept.movements.len()), (20_000, 20));
    assert_eq!(tail.open_calls(), 0);
    // Only the segment that is being written is left of each lane.
    assert_eq!(journal.size_bytes(), 2 << 20);
}

#[test]
fn a_segment_is_read_only_after_the_one_before_it_whatever_reaches_the_disk_first() {
    let directory = tempfile::tempdir().unwrap();
    let limits = SpaceLimits {
        segment_size: 4_096,
        shed_above: 1 << 20,
        most: 1 << 20,
    };
    let space = Arc::new(Space::new(directory.path().to_owned(), limits, 1, 1));
    let shared = Arc::new(LaneShared::new(0, Durability::Os, 0));
    let lane = Lane::new(shared.clone(), space.clone(), 1).unwrap();
    let mut tail = Tail::new(vec![shared.clone()], space);
    let mut id = 0;
    while shared.segments().len() < 2 {
        id += 1;
        lane.write_open(&open_request(id)).unwrap();
        lane.write_settle(&settlement(id, 3));
    }
    shared.segments()[1].sync().unwrap();
    let early = tail.next_batch(1_000).unwrap();
    assert!(early.settled.is_empty() && early.marks.is_empty(), "{early:?}");
    shared.segments()[0].sync().unwrap();
    let batch = tail.next_batch(1_000).unwrap();
    assert_eq!(batch.settled.len() as u128, id);
    assert_eq!(batch.marks[0].sequence as u128, 2 * id);
}

#[test]
fn a_restart_writes_what_was_not_committed_and_settles_what_was_open() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept = Kept::default();
    let (journal, _) = reopen(directory.path(), &mut kept);
    let (lane, mut tail) = (journal.lane(0).unwrap(), journal.tail());
    lane.write_open(&open_request(1)).unwrap();
    lane.write_settle(&settlement(1, 3));
    drain(&journal, &mut tail, &mut kept);
    lane.write_open(&open_request(2)).unwrap();
    lane.write_open(&open_request(3)).unwrap();
    lane.write_open(&open_request(4)).unwrap();
    lane.write_settle(&settlement(2, 7));
    lane.write_progress(RequestId::from_bits(3), 50);
    lane.write_movement(&movement(5)).unwrap();
    drop((lane, tail, journal));

    let (journal, replayed) = reopen(directory.path(), &mut kept);
    assert_eq!(
        replayed,
        Replayed {
            settled: 1,
            movements: 1,
            estimated: 2,
            last_sequences: vec![8]
        }
    );
    let costs: Vec<i64> = kept.rows.values().map(|row| row.cost.nanos()).collect();
    assert_eq!(costs, [3, 7, 150, 100]);
    assert_eq!(kept.rows[&3].usage_source, UsageSource::CrashEstimate);
    drop(journal);
    let (_, again) = reopen(directory.path(), &mut kept);
    assert_eq!(
        again,
        Replayed {
            last_sequences: vec![8],
            ..Replayed::default()
        }
    );
}

#[test]
fn a_torn_end_is_cut_and_damage_before_it_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut kept = Kept::default();
    let (journal, _) = reopen(directory.path(), &mut kept);
    let lane = journal.lane(0).unwrap();
    // Enough for more than one segment.
    for id in 1..=5_000u128 {
        lane.write_open(&open_request(id)).unwrap();
        lane.write_settle(&settlement(id, 3));
    }
    drop((lane, journal));
    let files = segment::list(directory.path()).unwrap();
    let last = &files
        .iter()
        .rev()
        .find(|(_, path)| segment::read_header(&fs::read(path).unwrap()).is_some())
        .unwrap()
        .1;
    let mut bytes = fs::read(last).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end] ^= 1;
    fs::write(last, &bytes).unwrap();

    let locked = JournalDirectory::lock(directory.path()).unwrap();
    let copy = fs::read(&files[0].1).unwrap();
    let mut damaged = copy.clone();
    damaged[5_000] ^= 1;
    fs::write(&files[0].1, &damaged).unwrap();
    assert!(matches!(
        replay(&locked, &mut kept, &[], 9),
        Err(replay::ReplayError::Damaged { .. })
    ));

    fs::write(&files[0].1, &copy).unwrap();
    let replayed = replay(&locked, &mut kept, &[], 9).unwrap();
    assert_eq!((replayed.settled, replayed.estimated), (4_999, 1));
    assert_eq!(kept.rows.len(), 5_000);
}

#[test]
fn admission_stops_before_space_does_and_every_open_call_can_settle() {
    let directory = tempfile::tempdir().unwrap();
    let small = JournalOptions {
        max_size_mb: 2,
        shed_at_percent: 100,
        ..options()
    };
    let locked = JournalDirectory::lock(directory.path()).unwrap();
    let journal = Journal::open(locked, &small, &[], 1).unwrap();
    let (lane, mut tail) = (journal.lane(0).unwrap(), journal.tail());
    let mut admitted = 0u128;
    while lane.write_open(&open_request(admitted + 1)).is_ok() {
        admitted += 1;
    }
    assert!(admitted > 1_000);
    for id in 1..=admitted {
        lane.write_settle(&settlement(id, 1));
    }
    assert_eq!(lane.open_calls(), 0);
    let mut kept = Kept::default();
    drain(&journal, &mut tail, &mut kept);
    assert_eq!(kept.rows.len() as u128, admitted);
    assert_eq!(lane.write_open(&open_request(1)), Ok(()));
}

#[test]
fn a_directory_is_written_by_one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = JournalDirectory::lock(directory.path()).unwrap();
    assert!(JournalDirectory::lock(directory.path()).is_err());
    drop(first);
    assert!(JournalDirectory::lock(directory.path()).is_ok());
}
