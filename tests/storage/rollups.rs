//! Usage that is kept by quarters says what the rows say, and lists come whole, whoever is asked for.

use caldera::domain::ids::{CustomerId, MeterId, Mode, RequestId, SpendKeyId, compose};
use caldera::domain::money::Money;
use caldera::domain::request::{Charge, Metered, OpenRequest, Settlement};
use caldera::engine::ports::BatchSink;
use caldera::storage::lease;
use caldera::storage::page::PageRequest;
use caldera::storage::requests::{self, RequestFilter};
use caldera::storage::usage::{self, UsagePeriod, UsageReport, last_ms_of_quarter};
use caldera::storage::writer::PgSink;
use serde_json::json;

use super::fixtures::{NOON_MS, Storage, Tenant, batch, bits, settled};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Who may be meant by a filter.
pub struct Crowd {
    pub keys: Vec<SpendKeyId>,
    pub customers: Vec<CustomerId>,
    pub meters: Vec<MeterId>,
}

impl Crowd {
    pub fn new(storage: &mut Storage, tenant: Tenant, counts: [usize; 3]) -> Self {
        let [keys, customers, meters] = counts;
        Self {
            keys: (0..keys).map(|_| storage.spend_key(tenant).settings.id).collect(),
            customers: (0..customers).map(|_| CustomerId::from_bits(bits())).collect(),
            meters: (0..meters).map(|_| MeterId::from_bits(bits())).collect(),
        }
    }
}

/// A request of this number: some are of a key, some of a meter, and some of these of a customer.
pub fn request(tenant: Tenant, crowd: &Crowd, number: usize, at_ms: i64) -> (OpenRequest, Settlement) {
    let some = |share: usize| number % 10 < share;
    let key = some(7).then(|| crowd.keys[number % crowd.keys.len()]);
    let (mut open, mut settlement) = settled(tenant, key, 1 + number as i64 % 100);
    let id = RequestId::from_bits(compose(Mode::Live, at_ms, (number as u128) << 1));
    (open.id, settlement.id, open.admitted_at_ms) = (id, id, at_ms);
    open.metadata = json!({ "user": format!("u-{}", number % 1000) }).to_string();
    if some(9) {
        let customer_id = some(8).then(|| crowd.customers[number * 7 % crowd.customers.len()]);
        open.metered = Some(Metered {
            meter_id: crowd.meters[number / 10 % crowd.meters.len()],
            customer_id,
            caller_id: String::new(),
            forecast: None,
        });
        settlement.charge = customer_id.map(|_| Charge {
            amount: Money::from_nanos(3),
            from_cycle: Money::ZERO,
            quantity: 1,
            period_start_s: 0,
            parts: Vec::new(),
        });
    }
    (open, settlement)
}

/// Everything that can be asked for of the first of each.
pub fn filters(crowd: &Crowd) -> Vec<RequestFilter> {
    let mut filters = Vec::new();
    for choice in 0..8u8 {
        filters.push(RequestFilter {
            spend_key_id: (choice & 1 != 0).then(|| crowd.keys[0]),
            customer_id: (choice & 2 != 0).then(|| crowd.customers[0]),
            meter_id: (choice & 4 != 0).then(|| crowd.meters[0]),
            metadata: None,
        });
    }
    filters
}

#[test]
fn what_is_kept_by_quarters_says_what_the_rows_say() {
    let mut storage = Storage::new();
    let (tenant, stranger) = (storage.tenant(), storage.tenant());
    let crowd = Crowd::new(&mut storage, tenant, [3, 5, 2]);
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    // Steps that meet quarters and days at their first and last millisecond, before and after.
    let at = |number: usize| match number % 4 {
        0 => NOON_MS + number as i64 * 7 * MINUTE_MS,
        1 => NOON_MS + number as i64 / 4 * 15 * MINUTE_MS,
        2 => NOON_MS + number as i64 / 4 * 15 * MINUTE_MS - 1,
        _ => NOON_MS - number as i64 * 13_337_331,
    };
    let mut records: Vec<_> = (0..600)
        .map(|number| request(tenant, &crowd, number, at(number)))
        .collect();
    let theirs = Crowd::new(&mut storage, stranger, [1, 1, 1]);
    records.extend((600..610).map(|number| request(stranger, &theirs, number, NOON_MS)));
    for part in records.chunks(97) {
        sink.write(&batch(part.to_vec())).unwrap();
        sink.write(&batch(part.to_vec())).unwrap();
    }
    let periods = [
        (NOON_MS - 40 * DAY_MS, NOON_MS + 40 * DAY_MS - 1, 0),
        (NOON_MS - DAY_MS, last_ms_of_quarter(NOON_MS), 3600),
        (NOON_MS - 3 * DAY_MS + 17, NOON_MS + DAY_MS + 123_456, 19_800),
        (NOON_MS - DAY_MS, NOON_MS + DAY_MS - 1000, 20_700),
        (NOON_MS, NOON_MS + 5 * MINUTE_MS, -34_200),
        (NOON_MS - DAY_MS, NOON_MS + DAY_MS, 1172),
        (0, 0, 0),
    ];
    for filter in filters(&crowd) {
        for (start_ms, end_ms, utc_offset_s) in periods {
            let period = UsagePeriod {
                start_ms,
                end_ms,
                utc_offset_s,
            };
            let mut ask = |filter: &RequestFilter| -> UsageReport {
                usage::by_day(&mut storage.connection, tenant.merchant, period, filter).unwrap()
            };
            // Every row has metadata, and what asks for metadata is read from the rows.
            let rows = RequestFilter {
                metadata: Some(json!({})),
                ..filter.clone()
            };
            assert_eq!(ask(&filter), ask(&rows), "{filter:?} {period:?}");
        }
    }
    let whole = "SELECT sum(request_count) FROM usage_quarters WHERE owner_id = merchant_id";
    assert_eq!(storage.number(whole), 610);
    backfilled_is_the_same(&mut storage);
}

/// The migration's own statement makes of the rows what the writer made.
fn backfilled_is_the_same(storage: &mut Storage) {
    let up = include_str!("../../migrations/0019_rollups/up.sql");
    let begin = up.find("INSERT INTO usage_quarters").unwrap();
    let end = begin + up[begin..].find(';').unwrap();
    let made = up[begin..end].replacen("usage_quarters", "made", 1);
    for statement in ["CREATE TEMPORARY TABLE made (LIKE usage_quarters)", &made] {
        diesel::RunQueryDsl::execute(diesel::sql_query(statement), &mut storage.connection).unwrap();
    }
    let differences = "SELECT count(*) FROM ((TABLE made EXCEPT TABLE usage_quarters) \
         UNION ALL (TABLE usage_quarters EXCEPT TABLE made)) AS d";
    assert_eq!(storage.number(differences), 0);
}

#[test]
fn tokens_beyond_all_bounds_keep_no_request_from_being_written() {
    let mut storage = Storage::new();
    let tenant = storage.tenant();
    let lease = lease::acquire(&storage.database).unwrap();
    let mut sink = PgSink::new(storage.database.clone(), lease.epoch());
    for _ in 0..2 {
        let mut record = settled(tenant, None, 1);
        record.1.usage.input_tokens = u64::MAX;
        sink.write(&batch(vec![record])).unwrap();
    }
    let period = UsagePeriod {
        start_ms: 0,
        end_ms: last_ms_of_quarter(NOON_MS),
        utc_offset_s: 0,
    };
    let report = usage::by_day(
        &mut storage.connection,
        tenant.merchant,
        period,
        &RequestFilter::default(),
    )
    .unwrap();
    assert_eq!(
        (report.totals.request_count, report.totals.tokens),
        (2, i64::MAX.unsigned_abs())
    );
}

#[test]
fn pages_of_every_choice_are_whole_and_newest_first() {
    let mut storage = Storage::new();
    let (tenant, stranger) = (storage.tenant(), storage.tenant());
    let crowd = Crowd::new(&mut storage, tenant, [3, 5, 2]);
    let lease = lease::acquire(&storage.database).unwrap();
    let records: Vec<_> = (0..200)
        .map(|number| {
            let owner = if number % 20 == 19 { stranger } else { tenant };
            request(owner, &crowd, number, NOON_MS + number as i64 * 40 % 700)
        })
        .collect();
    PgSink::new(storage.database.clone(), lease.epoch())
        .write(&batch(records.clone()))
        .unwrap();
    for filter in filters(&crowd) {
        for metadata in [None, Some(json!({ "user": "u-7" })), Some(json!({}))] {
            let filter = RequestFilter {
                metadata,
                ..filter.clone()
            };
            let chosen = |record: &&(OpenRequest, Settlement)| {
                let open = &record.0;
                let metered = open.metered.as_ref();
                let user = filter.metadata.as_ref().and_then(|pairs| pairs["user"].as_str());
                open.merchant_id == tenant.merchant
                    && filter.spend_key_id.is_none_or(|id| open.spend_key_id == Some(id))
                    && filter
                        .customer_id
                        .is_none_or(|id| metered.and_then(|of| of.customer_id) == Some(id))
                    && filter
                        .meter_id
                        .is_none_or(|id| metered.map(|of| of.meter_id) == Some(id))
                    && user.is_none_or(|user| open.metadata.contains(&format!("\"{user}\"")))
            };
            let mut expected: Vec<_> = records.iter().filter(chosen).map(|record| record.0.id).collect();
            expected.sort_by(|one, other| other.cmp(one));
            let mut found = Vec::new();
            let mut page = PageRequest { after: None, limit: 7 };
            loop {
                let listed = requests::list(&mut storage.connection, tenant.merchant, &filter, page).unwrap();
                found.extend(listed.rows.iter().map(|row| row.id));
                page.after = listed.next;
                if page.after.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{filter:?}");
        }
    }
}
