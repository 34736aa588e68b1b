//! The end of old rows. Requests go in small batches by the index of their admission; what the books are proved by, and
//! that an id of the caller's was used, is carried forward in the very statement that deletes them, so that a kill at any
//! point leaves both or neither. No row is locked that the billing writer touches. It fails closed: a sum that does not
//! fit keeps its rows.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};

use super::{StorageError, column};
use crate::domain::ids::MerchantId;
use crate::engine::retention::Age;

/// Which requests of a merchant go next.
#[derive(Clone, Copy, Debug)]
pub struct RequestPurge {
    pub merchant: MerchantId,
    /// Those that were admitted longer ago than this.
    pub age: Age,
    /// Where the batch before ended, so that its dead rows need not be gone through again.
    pub from: Option<DateTime<Utc>>,
    /// Rows at most.
    pub most: i64,
}

/// What a batch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurgedBatch {
    pub count: u64,
    /// When the last of them was admitted.
    pub until: Option<DateTime<Utc>>,
}

/// The clock of the database counts too: a clock that has run ahead on either side purges nothing before its time.
const PURGE_REQUESTS: &str = "WITH old AS MATERIALIZED ( \
        SELECT id FROM requests WHERE merchant_id = $1 \
        AND admitted_at >= coalesce($4, '-infinity'::timestamptz) \
        AND admitted_at < least($2, now()) - $3 * interval '1 day' \
        ORDER BY admitted_at LIMIT $5), \
    gone AS (DELETE FROM requests WHERE id = ANY (ARRAY(SELECT id FROM old)) \
        RETURNING merchant_id, spend_key_id, customer_id, caller_id, attempt_of, provider_key_type, cost, charge, \
        charge_detail, admitted_at), \
    summed AS (INSERT INTO purged_requests AS p (merchant_id, spend_key_id, request_count, call_count, report_count, \
        cost, managed_cost, charge, customer_charge, quantity) \
        SELECT merchant_id, coalesce(spend_key_id, '00000000-0000-0000-0000-000000000000'), count(*), \
        count(*) FILTER (WHERE attempt_of IS NULL), count(caller_id), sum(cost), \
        coalesce(sum(cost) FILTER (WHERE provider_key_type = 'managed'), 0), sum(charge), \
        coalesce(sum(charge) FILTER (WHERE customer_id IS NOT NULL), 0), \
        coalesce(sum((charge_detail->>'quantity')::numeric), 0) \
        FROM gone GROUP BY 1, 2 ORDER BY 1, 2 \
        ON CONFLICT (merchant_id, spend_key_id) DO UPDATE SET \
        request_count = p.request_count + excluded.request_count, call_count = p.call_count + excluded.call_count, \
        report_count = p.report_count + excluded.report_count, cost = p.cost + excluded.cost, \
        managed_cost = p.managed_cost + excluded.managed_cost, charge = p.charge + excluded.charge, \
        customer_charge = p.customer_charge + excluded.customer_charge, quantity = p.quantity + excluded.quantity), \
    reported AS (INSERT INTO purged_reports (merchant_id, caller_id_hash) \
        SELECT merchant_id, sha256(convert_to(caller_id, 'UTF8')) FROM gone WHERE caller_id IS NOT NULL) \
    SELECT count(*) AS count, max(admitted_at) AS until FROM gone";

/// Deletes the oldest requests of a merchant that are of this age, and keeps their sums. A batch with fewer than `most`
/// was the last.
pub fn purge_requests(connection: &mut PgConnection, purge: RequestPurge) -> Result<PurgedBatch, StorageError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
        #[diesel(sql_type = Nullable<Timestamptz>)]
        until: Option<DateTime<Utc>>,
    }
    let row: Row = sql_query(PURGE_REQUESTS)
        .bind::<SqlUuid, _>(purge.merchant.uuid())
        .bind::<Timestamptz, _>(column::instant(purge.age.now_ms))
        .bind::<Integer, _>(purge.age.days())
        .bind::<Nullable<Timestamptz>, _>(purge.from)
        .bind::<BigInt, _>(purge.most)
        .get_result(connection)?;
    Ok(PurgedBatch {
        count: row.count.unsigned_abs(),
        until: row.until,
    })
}

/// Deletes entries of the audit log of this age, at most so many; how many it deleted. None where there is no such log
/// (it comes with migration 0022).
pub fn purge_audit(connection: &mut PgConnection, age: Age, most: i64) -> Result<u64, StorageError> {
    if !has_audit_log(connection)? {
        return Ok(0);
    }
    let deleted = sql_query(
        "DELETE FROM audit_events WHERE id IN (SELECT id FROM audit_events \
         WHERE at < least($1, now()) - $2 * interval '1 day' ORDER BY at LIMIT $3)",
    )
    .bind::<Timestamptz, _>(column::instant(age.now_ms))
    .bind::<Integer, _>(age.days())
    .bind::<BigInt, _>(most)
    .execute(connection)?;
    Ok(deleted as u64)
}

/// Deletes refusals of this age, at most so many; how many it deleted.
pub fn purge_refusals(connection: &mut PgConnection, age: Age, most: i64) -> Result<u64, StorageError> {
    let deleted = sql_query(
        "DELETE FROM refusals WHERE ctid = ANY (ARRAY(SELECT ctid FROM refusals \
         WHERE hour < least($1, now()) - $2 * interval '1 day' - interval '1 hour' LIMIT $3))",
    )
    .bind::<Timestamptz, _>(column::instant(age.now_ms))
    .bind::<Integer, _>(age.days())
    .bind::<BigInt, _>(most)
    .execute(connection)?;
    Ok(deleted as u64)
}

fn has_audit_log(connection: &mut PgConnection) -> Result<bool, StorageError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        found: bool,
    }
    let row: Row = sql_query("SELECT to_regclass('audit_events') IS NOT NULL AS found").get_result(connection)?;
    Ok(row.found)
}

/// Whether the merchant reported a request under this id of his that has been purged since.
pub fn was_reported(
    connection: &mut PgConnection,
    merchant: MerchantId,
    caller_id: &str,
) -> Result<bool, StorageError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        found: bool,
    }
    let row: Row = sql_query(
        "SELECT EXISTS (SELECT 1 FROM purged_reports \
         WHERE merchant_id = $1 AND caller_id_hash = sha256(convert_to($2, 'UTF8'))) AS found",
    )
    .bind::<SqlUuid, _>(merchant.uuid())
    .bind::<Text, _>(caller_id)
    .get_result(connection)?;
    Ok(row.found)
}

/// How many requests have ever been purged.
pub fn purged_count(connection: &mut PgConnection) -> Result<u64, StorageError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let row: Row = sql_query("SELECT coalesce(sum(request_count), 0)::bigint AS count FROM purged_requests")
        .get_result(connection)?;
    Ok(row.count.unsigned_abs())
}
