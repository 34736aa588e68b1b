//! The usage that is kept by quarters of an hour: whose it is, which quarters a period covers whole, and their sums. The
//! billing writer adds to it; a quarter that is asked for has every row of it, or none, as the requests themselves do.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Integer, Nullable, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::{StorageError, column};
use super::{RequestFilter, StoredDay, UsagePeriod};
use crate::domain::ids::{CustomerId, MerchantId, MeterId, SpendKeyId};

const QUARTER_MS: i64 = 900_000;
const QUARTER_S: i32 = 900;

/// Whose sums a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuarterScope {
    /// A merchant, for all that he uses, or his spend key, meter or customer.
    pub owner_id: Uuid,
    /// That of a customer's row; nil in the others.
    pub meter_id: Uuid,
}

/// The rows of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnerRows {
    owner_id: Uuid,
    /// `None` for all of a customer's meters.
    meter_id: Option<Uuid>,
}

impl QuarterScope {
    pub fn merchant(id: MerchantId) -> Self {
        Self::of(id.uuid())
    }

    pub fn spend_key(id: SpendKeyId) -> Self {
        Self::of(id.uuid())
    }

    pub fn meter(id: MeterId) -> Self {
        Self::of(id.uuid())
    }

    pub fn customer(id: CustomerId, meter: MeterId) -> Self {
        Self {
            owner_id: id.uuid(),
            meter_id: meter.uuid(),
        }
    }

    fn of(owner_id: Uuid) -> Self {
        Self {
            owner_id,
            meter_id: Uuid::nil(),
        }
    }
}

/// What is to be read for a filter; `None` where nothing is kept of what it asks for.
pub fn rows_of(merchant: MerchantId, filter: &RequestFilter) -> Option<OwnerRows> {
    if filter.metadata.is_some() {
        return None;
    }
    let (owner_id, meter_id) = match (filter.spend_key_id, filter.customer_id, filter.meter_id) {
        (None, None, None) => (merchant.uuid(), None),
        (Some(id), None, None) => (id.uuid(), None),
        (None, None, Some(id)) => (id.uuid(), None),
        (None, Some(id), meter) => (id.uuid(), meter.map(MeterId::uuid)),
        (Some(_), Some(_), _) | (Some(_), None, Some(_)) => return None,
    };
    Some(OwnerRows { owner_id, meter_id })
}

/// When the quarter of this instant begins; unix milliseconds.
pub fn quarter_start_ms(instant_ms: i64) -> i64 {
    instant_ms.saturating_sub(instant_ms.rem_euclid(QUARTER_MS))
}

/// The last millisecond of the quarter of this instant.
pub fn last_ms_of_quarter(instant_ms: i64) -> i64 {
    quarter_start_ms(instant_ms).saturating_add(QUARTER_MS - 1)
}

/// The part of a period that is whole quarters; `None` where there is none, or where its days begin within quarters.
pub fn whole_quarters(period: UsagePeriod) -> Option<UsagePeriod> {
    let start_ms = quarter_start_ms(period.start_ms.checked_add(QUARTER_MS - 1)?);
    let end_ms = quarter_start_ms(period.end_ms.checked_add(1)?).checked_sub(1)?;
    let is_whole = period.utc_offset_s % QUARTER_S == 0 && start_ms < end_ms;
    is_whole.then_some(UsagePeriod {
        start_ms,
        end_ms,
        ..period
    })
}

/// The sums of whole quarters, by day.
pub fn by_day(
    connection: &mut PgConnection,
    merchant: MerchantId,
    whole: UsagePeriod,
    of: OwnerRows,
) -> Result<Vec<StoredDay>, StorageError> {
    let days = sql_query(
        "SELECT (quarter AT TIME ZONE 'UTC' + $4 * interval '1 second')::date AS date, \
         sum(request_count)::bigint AS request_count, \
         least(sum(tokens), 9223372036854775807)::bigint AS tokens, \
         least(sum(cost), 9223372036854775807)::bigint AS cost, \
         least(sum(charge), 9223372036854775807)::bigint AS charge \
         FROM usage_quarters WHERE merchant_id = $1 AND quarter >= $2 AND quarter <= $3 \
         AND owner_id = $5 AND ($6 IS NULL OR meter_id = $6) \
         GROUP BY 1",
    )
    .bind::<SqlUuid, _>(merchant.uuid())
    .bind::<Timestamptz, _>(column::instant(whole.start_ms))
    .bind::<Timestamptz, _>(column::instant(whole.end_ms))
    .bind::<Integer, _>(whole.utc_offset_s)
    .bind::<SqlUuid, _>(of.owner_id)
    .bind::<Nullable<SqlUuid>, _>(of.meter_id)
    .load(connection)?;
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_periods_whole_quarters_leave_only_its_edges() {
        let whole = |start_ms, end_ms, utc_offset_s| {
            let period = UsagePeriod {
                start_ms,
                end_ms,
                utc_offset_s,
            };
            whole_quarters(period).map(|whole| (whole.start_ms, whole.end_ms))
        };
        let hour = 4 * QUARTER_MS;
        for (start_ms, end_ms, offset_s, expected) in [
            (0, hour - 1, 0, Some((0, hour - 1))),
            (1, hour - 1, 0, Some((QUARTER_MS, hour - 1))),
            (0, hour - 2, 0, Some((0, hour - QUARTER_MS - 1))),
            (-1, hour, 20_700, Some((0, hour - 1))),
            (0, hour - 1, -34_200, Some((0, hour - 1))),
            (0, hour - 1, 60, None),
            (1, QUARTER_MS, 0, None),
            (0, 0, 0, None),
            (i64::MAX - 1, i64::MAX, 0, None),
        ] {
            assert_eq!(
                whole(start_ms, end_ms, offset_s),
                expected,
                "{start_ms} {end_ms} {offset_s}"
            );
        }
        assert_eq!(
            (quarter_start_ms(-1), last_ms_of_quarter(QUARTER_MS)),
            (-QUARTER_MS, 2 * QUARTER_MS - 1)
        );
    }

    #[test]
    fn only_what_is_kept_is_read_from_what_is_kept() {
        let (key, customer, meter) = (
            SpendKeyId::from_bits(2),
            CustomerId::from_bits(4),
            MeterId::from_bits(6),
        );
        let is_kept = |spend_key_id: Option<SpendKeyId>, customer_id: Option<CustomerId>, meter_id: Option<MeterId>| {
            let filter = RequestFilter {
                spend_key_id,
                customer_id,
                meter_id,
                metadata: None,
            };
            rows_of(MerchantId::from_bits(8), &filter).is_some()
        };
        assert!(is_kept(None, None, None) && is_kept(Some(key), None, None) && is_kept(None, None, Some(meter)));
        assert!(is_kept(None, Some(customer), None) && is_kept(None, Some(customer), Some(meter)));
        assert!(!is_kept(Some(key), Some(customer), None) && !is_kept(Some(key), None, Some(meter)));
    }
}
