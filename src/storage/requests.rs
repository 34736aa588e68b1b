//! Rows of usage, as the billing writer wrote them: one an admitted request, never changed. A request that is still
//! running has no row yet, and is not found.

mod row;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Jsonb, Nullable, Text, Uuid as SqlUuid};
use serde_json::Value;

use super::StorageError;
use super::page::{Page, PageRequest};
use crate::domain::ids::{CustomerId, MerchantId, MeterId, RequestId, SpendKeyId};
pub use row::RequestRow;
use row::StoredRequest;

/// Which requests; what is `None` lets all pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestFilter {
    pub spend_key_id: Option<SpendKeyId>,
    pub customer_id: Option<CustomerId>,
    pub meter_id: Option<MeterId>,
    /// A JSON object: requests whose metadata has all of these pairs.
    pub metadata: Option<Value>,
}

pub fn find(connection: &mut PgConnection, merchant: MerchantId, id: RequestId) -> Result<RequestRow, StorageError> {
    sql_query("SELECT * FROM requests WHERE merchant_id = $1 AND id = $2")
        .bind::<SqlUuid, _>(merchant.uuid())
        .bind::<SqlUuid, _>(id.uuid())
        .get_result::<StoredRequest>(connection)?
        .try_into()
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

/// A merchant's requests, newest first.
pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    filter: &RequestFilter,
    page: PageRequest,
) -> Result<Page<RequestRow>, StorageError> {
    let rows: Vec<StoredRequest> = sql_query(
        "SELECT * FROM requests WHERE merchant_id = $1 AND id < $2 \
         AND ($3 IS NULL OR spend_key_id = $3) AND ($4 IS NULL OR customer_id = $4) \
         AND ($5 IS NULL OR meter_id = $5) AND ($6 IS NULL OR metadata @> $6) \
         ORDER BY id DESC LIMIT $7",
    )
    .bind::<SqlUuid, _>(merchant.uuid())
    .bind::<SqlUuid, _>(page.before())
    .bind::<Nullable<SqlUuid>, _>(filter.spend_key_id.map(SpendKeyId::uuid))
    .bind::<Nullable<SqlUuid>, _>(filter.customer_id.map(CustomerId::uuid))
    .bind::<Nullable<SqlUuid>, _>(filter.meter_id.map(MeterId::uuid))
    .bind::<Nullable<Jsonb>, _>(filter.metadata.as_ref())
    .bind::<BigInt, _>(page.fetch_count())
    .load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(RequestRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.id.bits()))
}
