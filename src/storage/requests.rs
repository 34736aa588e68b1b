//! Rows of usage, as the billing writer wrote them: one an admitted request, never changed. A request that is still
//! running has no row yet, and is not found.

mod row;
mod search;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde_json::Value;

use super::StorageError;
use super::page::{Page, PageRequest};
use crate::domain::ids::{CustomerId, MerchantId, MeterId, RequestId, SpendKeyId};
pub use row::RequestRow;
use row::StoredRequest;
pub use search::{Ending, LOOKED_THROUGH, RequestSearch, search};

/// Which requests; what is `None` lets all pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestFilter {
    pub spend_key_id: Option<SpendKeyId>,
    pub customer_id: Option<CustomerId>,
    pub meter_id: Option<MeterId>,
    /// A JSON object: requests whose metadata has all of these pairs.
    pub metadata: Option<Value>,
}

impl RequestFilter {
    fn has_metadata(&self) -> bool {
        self.metadata.is_some()
    }
}

pub fn find(connection: &mut PgConnection, merchant: MerchantId, id: RequestId) -> Result<RequestRow, StorageError> {
    sql_query("SELECT * FROM requests WHERE merchant_id = $1 AND id = $2")
        .bind::<SqlUuid, _>(merchant.uuid())
        .bind::<SqlUuid, _>(id.uuid())
        .get_result::<StoredRequest>(connection)?
        .try_into()
}

/// All attempts of the call whose first attempt has this id, the first one first; most calls have one.
pub fn attempts(
    connection: &mut PgConnection,
    merchant: MerchantId,
    first: RequestId,
) -> Result<Vec<RequestRow>, StorageError> {
    let rows: Vec<StoredRequest> = sql_query(
        "SELECT * FROM (SELECT * FROM requests WHERE id = $2 UNION ALL SELECT * FROM requests WHERE attempt_of = $2) r \
         WHERE merchant_id = $1 ORDER BY id LIMIT 100",
    )
    .bind::<SqlUuid, _>(merchant.uuid())
    .bind::<SqlUuid, _>(first.uuid())
    .load(connection)?;
    rows.into_iter().map(RequestRow::try_from).collect()
}

/// The request that the merchant reported under this id of his.
pub fn find_reported(
    connection: &mut PgConnection,
    merchant: MerchantId,
    caller_id: &str,
) -> Result<RequestRow, StorageError> {
    sql_query("SELECT * FROM requests WHERE merchant_id = $1 AND caller_id = $2")
        .bind::<SqlUuid, _>(merchant.uuid())
        .bind::<Text, _>(caller_id)
        .get_result::<StoredRequest>(connection)?
        .try_into()
}

/// Whether the merchant got this answer of OpenAI's responses.
pub fn answered(connection: &mut PgConnection, merchant: MerchantId, response_id: &str) -> Result<bool, StorageError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Bool)]
        found: bool,
    }
    let found: Found = sql_query(
        "SELECT EXISTS (SELECT 1 FROM requests WHERE merchant_id = $1 AND response_id = $2 \
         AND response_id LIKE 'resp\\_%') AS found",
    )
    .bind::<SqlUuid, _>(merchant.uuid())
    .bind::<Text, _>(response_id)
    .get_result(connection)?;
    Ok(found.found)
}

/// A merchant's requests, newest first. The index of whom they are of is gone through backwards from the cursor, so that a
/// page takes as long anywhere; only what is chosen by metadata, or by a spend key besides another, may have to be looked
/// for among the others.
pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    filter: &RequestFilter,
    page: PageRequest,
) -> Result<Page<RequestRow>, StorageError> {
    let rows: Vec<StoredRequest> = connection.transaction(|connection| {
        if filter.metadata.is_none() {
            connection.batch_execute(IN_ORDER_OF_AN_INDEX)?;
        }
        sql_query(list_statement(filter))
            .bind::<SqlUuid, _>(merchant.uuid())
            .bind::<SqlUuid, _>(page.before())
            .bind::<Nullable<SqlUuid>, _>(filter.spend_key_id.map(SpendKeyId::uuid))
            .bind::<Nullable<SqlUuid>, _>(filter.customer_id.map(CustomerId::uuid))
            .bind::<Nullable<SqlUuid>, _>(filter.meter_id.map(MeterId::uuid))
            .bind::<Nullable<Jsonb>, _>(filter.metadata.as_ref())
            .bind::<BigInt, _>(page.fetch_count())
            .load(connection)
    })?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(RequestRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.id.bits()))
}

/// The planner guesses from shares of the whole table, and may take another index, or sort, for a customer whose requests
/// are all old.
const IN_ORDER_OF_AN_INDEX: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off; \
    SET LOCAL enable_bitmapscan = off; SET LOCAL max_parallel_workers_per_gather = 0";

/// The columns that a filter may name, and the parameters that hold their values.
const PLACES: [(&str, &str); 4] = [
    ("merchant_id", "$1"),
    ("spend_key_id", "$3"),
    ("customer_id", "$4"),
    ("meter_id", "$5"),
];

/// The columns of the index come as bounds, not as equalities: an equality would let every index on the id serve.
fn list_statement(filter: &RequestFilter) -> String {
    let index: &[&str] = match (filter.customer_id, filter.meter_id, filter.spend_key_id) {
        (Some(_), Some(_), _) => &["customer_id", "meter_id"],
        (Some(_), None, _) => &["customer_id"],
        (None, _, Some(_)) => &["spend_key_id"],
        (None, Some(_), None) => &["meter_id"],
        (None, None, None) => &["merchant_id"],
    };
    let (indexed, others): (Vec<_>, Vec<_>) = PLACES.iter().partition(|(column, _)| index.contains(column));
    let joined = |form: fn(&(&str, &str)) -> String, joint: &str| {
        let parts: Vec<String> = indexed.iter().copied().map(form).collect();
        parts.join(joint)
    };
    let columns = joined(|(column, _)| (*column).to_owned(), ", ");
    let values = joined(|(_, value)| (*value).to_owned(), ", ");
    let is_there = joined(|(column, _)| format!("{column} IS NOT NULL"), " AND ");
    let order = joined(|(column, _)| format!("{column} DESC"), ", ");
    let others: Vec<String> = others
        .into_iter()
        .map(|(column, value)| format!("({value} IS NULL OR {column} = {value})"))
        .collect();
    let others = others.join(" AND ");
    format!(
        "SELECT * FROM requests WHERE ({columns}, id) < ({values}, $2) AND ({columns}) >= ({values}) AND {is_there} \
         AND {others} AND ($6 IS NULL OR metadata @> $6) ORDER BY {order}, id DESC LIMIT $7"
    )
}
