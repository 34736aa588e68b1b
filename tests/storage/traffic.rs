//! What is kept by hours and by days says what the requests say, whatever was written how often.

use std::collections::BTreeMap;

use caldera::domain::ids::SpendKeyId;
use caldera::domain::request::{OpenRequest, Outcome, Settlement, UsageSource};
use caldera::domain::traffic::{Timings, TrafficFigures};
use caldera::engine::ports::BatchSink;
use caldera::storage::lease;
use caldera::storage::traffic::{self, Step, TrafficPeriod};
use caldera::storage::writer::PgSink;
use chrono::{DateTime, NaiveDate};

use super::fixtures::{NOON_MS, Storage, Tenant, batch, settled};

const HOUR_MS: i64 = 3_600_000;

/// A request of this number: of many providers, models and endings.
pub fn varied(tenant: Tenant, key: Option<SpendKeyId>, number: usize) -> (OpenRequest, Settlement) {
    let (mut open, mut settlement) = settled(tenant, key, 1 + number as i64 % 100);
    open.provider = ["openai", "anthropic", "google"][number % 3].to_owned();
    open.model = (!number.is_multiple_of(11)).then(|| format!("model-{}", number * number % 7));
    let took_ms = (number as i64 * 7919) % 100_000;
    settlement.finished_at_ms = open.admitted_at_ms + took_ms;
    settlement.first_token_ms = number.is_multiple_of(2).then_some(took_ms as u32 / 3);
    settlement.usage.cache_write_1h_tokens = number as u64 % 4;
    if number.is_multiple_of(5) {
        settlement.outcome = Outcome::Error;
        settlement.http_status = [0, 200, 400, 429, 500, 503, 504][number / 5 % 7];
        settlement.usage_source = [UsageSource::None, UsageSource::Estimated, UsageSource::CrashEstimate][number % 3];
    }
    if number.is_multiple_of(13) {
        settlement.usage_source = UsageSource::Reported;
    }
    (open, settlement)
}

fn moved(mut record: (OpenRequest, Settlement), at_ms: i64) -> (OpenRequest, Settlement) {
    let (open, settlement) = (&mut record.0, &mut record.1);
    settlement.finished_at_ms += at_ms - open.admitted_at_ms;
    open.admitted_at_ms = at_ms;
    record
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn what_is_kept_by_hours_and_days_says_what_the_requests_say() {
    let mut storage = Storage::new();
    let (tenant, stranger) = (storage.tenant(), storage.tenant());
    let keys: Vec<_> = (0..4).map(|_| storage.spend_key(tenant).settings.id).collect();
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let records: Vec<_> = (0..700usize)
        .map(|number| {
            let key = (!number.is_multiple_of(6)).then(|| keys[number % 4]);
            let at_ms = NOON_MS + (number as i64 % 50 - 25) * HOUR_MS - i64::from(number % 3 == 0);
            let owner = if number % 50 == 49 { stranger } else { tenant };
            moved(varied(owner, key.filter(|_| number % 50 != 49), number), at_ms)
        })
        .collect();
    // A batch may come again, whole or in other parts.
    for part in records.chunks(97).chain(records.chunks(300)) {
        sink.write(&batch(part.to_vec())).unwrap();
    }
    let period = TrafficPeriod {
        first: day("2026-11-20"),
        last: day("2026-11-22"),
    };
    let own = || records.iter().filter(|record| record.0.merchant_id == tenant.merchant);
    for (step, step_ms) in [(Step::Hour, HOUR_MS), (Step::Day, 24 * HOUR_MS)] {
        let mut expected: BTreeMap<_, TrafficFigures> = BTreeMap::new();
        for (open, settlement) in own() {
            let at_ms = open.admitted_at_ms - open.admitted_at_ms.rem_euclid(step_ms);
            let place = (at_ms, open.provider.clone(), open.model.clone().unwrap_or_default());
            let sums = expected.entry(place).or_default();
            *sums = sums.plus(TrafficFigures::of(settlement));
        }
        let found = traffic::parts(&mut storage.connection, tenant.merchant, period, step).unwrap();
        let found: BTreeMap<_, _> = found
            .into_iter()
            .map(|part| ((part.at.timestamp_millis(), part.provider, part.model), part.figures))
            .collect();
        assert_eq!(found, expected, "{step:?}");
        let total = expected
            .values()
            .fold(TrafficFigures::default(), |sum, one| sum.plus(*one));
        let totals = traffic::totals(&mut storage.connection, tenant.merchant, period).unwrap();
        assert_eq!(totals, total);
        assert!(total.failures.iter().all(|count| *count > 0), "{total:?}");
    }
    let mut times: BTreeMap<_, Timings> = BTreeMap::new();
    for (open, settlement) in own() {
        let place = (open.provider.clone(), open.model.clone().unwrap_or_default());
        times.entry(place).or_default().add(&Timings::of(open, settlement));
    }
    let found = traffic::timings(&mut storage.connection, tenant.merchant, period).unwrap();
    let found: BTreeMap<_, _> = found
        .into_iter()
        .map(|of| ((of.provider, of.model), of.timings))
        .collect();
    assert_eq!(found, times);
    keys_are_ranked(&mut storage, tenant, period, &records);
    backfilled_is_the_same(&mut storage);
}

fn keys_are_ranked(
    storage: &mut Storage,
    tenant: Tenant,
    period: TrafficPeriod,
    records: &[(OpenRequest, Settlement)],
) {
    let top = traffic::top_keys(&mut storage.connection, tenant.merchant, period, 3).unwrap();
    let cost = |key: SpendKeyId| {
        let of_key = records.iter().filter(|(open, _)| open.spend_key_id == Some(key));
        of_key.map(|(_, settlement)| settlement.cost.nanos()).sum::<i64>()
    };
    assert_eq!((top.keys.len(), top.key_count), (3, 4));
    assert!(top.keys.is_sorted_by(|one, other| one.totals.cost >= other.totals.cost));
    for step in [Step::Hour, Step::Day] {
        let ids: Vec<_> = top.keys.iter().map(|key| key.spend_key_id).collect();
        let series = traffic::key_series(&mut storage.connection, tenant.merchant, period, (&ids, step)).unwrap();
        for key in &top.keys {
            let own: Vec<_> = series
                .iter()
                .filter(|part| part.spend_key_id == key.spend_key_id)
                .collect();
            let (costs, counts): (Vec<_>, Vec<_>) =
                own.iter().map(|part| (part.cost.nanos(), part.request_count)).unzip();
            assert_eq!(costs.iter().sum::<i64>(), key.totals.cost.nanos(), "{step:?}");
            assert_eq!(counts.iter().sum::<u64>(), key.totals.request_count, "{step:?}");
            assert_eq!(key.totals.cost.nanos(), cost(key.spend_key_id));
            assert_eq!(key.name, "a key");
        }
    }
}

/// The migration's own statements make of the rows what the writer made; of earlier rows the first token is not known.
fn backfilled_is_the_same(storage: &mut Storage) {
    let spans: Vec<String> = traffic::span_columns()
        .filter(|name| name.starts_with("first"))
        .map(|name| format!("{name} = 0"))
        .collect();
    let forget = format!("UPDATE traffic_hours SET {}", spans.join(", "));
    diesel::RunQueryDsl::execute(diesel::sql_query(forget), &mut storage.connection).unwrap();
    let days_and_hours = include_str!("../../migrations/0023_traffic/up.sql");
    let weeks = include_str!("../../migrations/0026_key_weeks/up.sql");
    for (table, up) in [
        ("traffic_hours", days_and_hours),
        ("traffic_key_days", days_and_hours),
        ("traffic_key_weeks", weeks),
    ] {
        let begin = up.find(&format!("INSERT INTO {table}")).unwrap();
        let end = begin + up[begin..].find(';').unwrap();
        let made = up[begin..end].replacen(table, "made", 1);
        let create = format!("CREATE TEMPORARY TABLE made (LIKE {table} INCLUDING DEFAULTS)");
        for statement in [&create, &made] {
            diesel::RunQueryDsl::execute(diesel::sql_query(statement), &mut storage.connection).unwrap();
        }
        let differences = format!(
            "SELECT count(*) FROM ((TABLE made EXCEPT TABLE {table}) UNION ALL (TABLE {table} EXCEPT TABLE made)) AS d"
        );
        assert_eq!(storage.number(&differences), 0, "{table}");
        diesel::RunQueryDsl::execute(diesel::sql_query("DROP TABLE made"), &mut storage.connection).unwrap();
    }
}

#[test]
fn names_and_tokens_beyond_all_bounds_keep_no_request_from_being_written() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    for _ in 0..2 {
        let mut record = settled(tenant, None, 1);
        // Of four bytes each, and nothing that could be compressed.
        let name: String = (0..3000)
            .filter_map(|place| char::from_u32(0x10000 + place * 37))
            .collect();
        record.0.provider = format!("\0{name}");
        record.0.model = Some(name);
        record.1.usage.input_tokens = u64::MAX;
        record.1.usage.output_tokens = u64::MAX;
        sink.write(&batch(vec![record])).unwrap();
    }
    let at = DateTime::from_timestamp_millis(NOON_MS).unwrap().date_naive();
    let period = TrafficPeriod { first: at, last: at };
    let parts = traffic::parts(&mut storage.connection, tenant.merchant, period, Step::Day).unwrap();
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].model.chars().count(), 128);
    assert_eq!(parts[0].provider.chars().next(), Some('\u{fffd}'));
    let figures = parts[0].figures;
    assert_eq!(
        (figures.request_count, figures.input_tokens, figures.tokens()),
        (2, i64::MAX.unsigned_abs(), u64::MAX)
    );
}

#[test]
fn models_that_callers_invent_are_summed_without_a_name_when_an_hour_has_enough_of_them() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    let invented = |numbers: std::ops::Range<usize>, at_ms: i64| {
        let records = numbers.map(|number| {
            let mut record = moved(settled(tenant, None, 1), at_ms);
            record.0.model = Some(format!("invented-{number}"));
            record
        });
        batch(records.collect())
    };
    for numbers in [100..300, 250..400] {
        sink.write(&invented(numbers, NOON_MS)).unwrap();
    }
    sink.write(&invented(500..501, NOON_MS + HOUR_MS)).unwrap();
    let at = DateTime::from_timestamp_millis(NOON_MS).unwrap().date_naive();
    let period = TrafficPeriod { first: at, last: at };
    let parts = traffic::parts(&mut storage.connection, tenant.merchant, period, Step::Hour).unwrap();
    let count = |model: &str| {
        let found = parts.iter().find(|part| part.model == model);
        found.map(|part| part.figures.request_count)
    };
    assert_eq!(parts.len(), traffic::NAMED_MODELS + 2);
    // Those that have a name keep it, and the next hour has room again.
    assert_eq!((count("invented-299"), count("invented-349")), (Some(2), Some(1)));
    assert_eq!(
        (count("invented-350"), count(""), count("invented-500")),
        (None, Some(50), Some(1))
    );
}
