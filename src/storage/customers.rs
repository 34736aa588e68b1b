//! Customers' rows, changed by the management calls. A deleted customer's row stays, for the rows of usage that name
//! him, but no query here finds it. Wherever a customer is named, both his id and the merchant's reference id are good,
//! and only among the merchant's own.

use std::collections::HashMap;

use diesel::dsl;
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::page::{Page, PageRequest};
use super::schema::customers;
use super::search::Search;
use super::{StorageError, column};
use crate::domain::customer::CustomerFields;
use crate::domain::ids::{CustomerId, MerchantId};
use crate::engine::customers::{CustomerRef, Customers};

/// The unique index on reference ids, as a conflict names it.
pub const REFERENCE_KEY: &str = "customers_reference_id_key";

/// How often a creation begins anew, where the customer who had its reference id is deleted under its hands.
const ATTEMPTS: usize = 3;

/// A customer who is not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerRow {
    pub id: CustomerId,
    pub merchant_id: MerchantId,
    pub fields: CustomerFields,
    pub created_at_ms: i64,
}

impl CustomerRow {
    /// As every call knows him.
    pub fn reference(&self) -> CustomerRef {
        CustomerRef {
            id: self.id,
            merchant_id: self.merchant_id,
            reference_id: self.fields.reference_id.as_deref().map(Box::from),
        }
    }
}

/// What a creation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creation {
    Made(CustomerRow),
    /// There is one with this reference id already; he is as he was.
    Existing(CustomerRow),
}

/// Stores a new customer, unless his reference id is taken; his `created_at_ms` is the time in his id.
pub fn create(connection: &mut PgConnection, new: CustomerRow) -> Result<Creation, StorageError> {
    let stored = StoredCustomer::from(&new);
    for _ in 0..ATTEMPTS {
        let inserted = diesel::insert_into(customers::table)
            .values(&stored)
            .on_conflict_do_nothing()
            .execute(connection)?;
        if inserted == 1 {
            return Ok(Creation::Made(new));
        }
        let reference = new.fields.reference_id.as_deref().unwrap_or_default();
        match find_by_reference(connection, new.merchant_id, reference) {
            Err(StorageError::NotFound) => {}
            found => return found.map(Creation::Existing),
        }
    }
    Err(StorageError::Conflict {
        constraint: REFERENCE_KEY.to_owned(),
    })
}

/// The merchant's customer of this id or of this reference id.
pub fn find(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id_or_reference: &str,
) -> Result<CustomerRow, StorageError> {
    match id_or_reference.parse::<CustomerId>() {
        Ok(id) => customers::table
            .find(id.uuid())
            .filter(living(merchant))
            .select(StoredCustomer::as_select())
            .first(connection)?
            .try_into(),
        Err(_) => find_by_reference(connection, merchant, id_or_reference),
    }
}

/// Those of these customers who are there.
pub fn find_all(
    connection: &mut PgConnection,
    merchant: MerchantId,
    ids: &[CustomerId],
) -> Result<HashMap<CustomerId, CustomerRow>, StorageError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = customers::table
        .filter(living(merchant))
        .filter(customers::id.eq_any(ids))
        .select(StoredCustomer::as_select())
        .load(connection)?;
    let rows = rows.into_iter().map(CustomerRow::try_from);
    rows.map(|row| row.map(|row| (row.id, row))).collect()
}

pub fn list(
    connection: &mut PgConnection,
    merchant: MerchantId,
    page: PageRequest,
) -> Result<Page<CustomerRow>, StorageError> {
    search(connection, merchant, &Search::default(), page)
}

/// Those of the list that are looked for.
pub fn search(
    connection: &mut PgConnection,
    merchant: MerchantId,
    search: &Search,
    page: PageRequest,
) -> Result<Page<CustomerRow>, StorageError> {
    let (pattern, (first, last)) = (search.pattern(), search.ids(CustomerId::beginning));
    let rows = customers::table
        .filter(living(merchant))
        .filter(
            customers::name
                .ilike(pattern.clone())
                .or(customers::email.ilike(pattern.clone()))
                .or(customers::reference_id.ilike(pattern.clone()))
                .or(customers::id.between(first, last).nullable()),
        )
        .filter(customers::id.lt(page.before()))
        .order(customers::id.desc())
        .limit(page.fetch_count())
        .select(StoredCustomer::as_select())
        .load(connection)?;
    let rows: Result<Vec<_>, _> = rows.into_iter().map(CustomerRow::try_from).collect();
    Ok(Page::cut(rows?, page, |row| row.id.bits()))
}

/// Changes a customer. A reference id that another has is a conflict with [`REFERENCE_KEY`].
pub fn update(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id_or_reference: &str,
    edit: impl FnOnce(&mut CustomerFields),
) -> Result<CustomerRow, StorageError> {
    connection.transaction(|connection| {
        let mut row = find(connection, merchant, id_or_reference)?;
        edit(&mut row.fields);
        let stored = StoredCustomer::from(&row);
        let changed = diesel::update(customers::table.find(stored.id).filter(living(merchant)))
            .set((
                customers::reference_id.eq(&stored.reference_id),
                customers::name.eq(&stored.name),
                customers::email.eq(&stored.email),
                customers::phone.eq(&stored.phone),
                customers::metadata.eq(&stored.metadata),
            ))
            .execute(connection)?;
        if changed == 1 {
            Ok(row)
        } else {
            Err(StorageError::NotFound)
        }
    })
}

/// Deletes a customer; what he was is returned.
pub fn delete(
    connection: &mut PgConnection,
    merchant: MerchantId,
    id_or_reference: &str,
) -> Result<CustomerRow, StorageError> {
    let row = find(connection, merchant, id_or_reference)?;
    let deleted = diesel::update(customers::table.find(row.id.uuid()).filter(living(merchant)))
        .set(customers::deleted_at.eq(dsl::now))
        .execute(connection)?;
    if deleted == 1 {
        Ok(row)
    } else {
        Err(StorageError::NotFound)
    }
}

/// Every customer of every merchant, for the start. The rows become what is held as they arrive.
pub(super) fn load_all(connection: &mut PgConnection) -> Result<Customers, StorageError> {
    type Row = (Uuid, Uuid, Option<String>);
    let rows = customers::table
        .filter(customers::deleted_at.is_null())
        .select((customers::id, customers::merchant_id, customers::reference_id))
        .load_iter::<Row, PgRowByRowLoadingMode>(connection)?;
    let held = Customers::default();
    for row in rows {
        let (id, merchant_id, reference_id) = row?;
        held.insert(CustomerRef {
            id: CustomerId::from_uuid(id),
            merchant_id: MerchantId::from_uuid(merchant_id),
            reference_id: reference_id.map(String::into_boxed_str),
        });
    }
    Ok(held)
}

/// The merchant's customer of this reference id.
pub fn find_by_reference(
    connection: &mut PgConnection,
    merchant: MerchantId,
    reference: &str,
) -> Result<CustomerRow, StorageError> {
    if reference.contains('\0') {
        return Err(StorageError::NotFound);
    }
    customers::table
        .filter(living(merchant))
        .filter(customers::reference_id.eq(reference))
        .select(StoredCustomer::as_select())
        .first(connection)?
        .try_into()
}

/// The merchant's customers that are not deleted.
fn living(merchant: MerchantId) -> dsl::And<dsl::Eq<customers::merchant_id, Uuid>, dsl::IsNull<customers::deleted_at>> {
    customers::merchant_id
        .eq(merchant.uuid())
        .and(customers::deleted_at.is_null())
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = customers, check_for_backend(diesel::pg::Pg))]
struct StoredCustomer {
    id: Uuid,
    merchant_id: Uuid,
    reference_id: Option<String>,
    name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    metadata: Option<Value>,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl From<&CustomerRow> for StoredCustomer {
    fn from(row: &CustomerRow) -> Self {
        let fields = row.fields.clone();
        Self {
            id: row.id.uuid(),
            merchant_id: row.merchant_id.uuid(),
            reference_id: fields.reference_id,
            name: fields.name,
            email: fields.email,
            phone: fields.phone,
            metadata: fields.metadata.map(Value::Object),
            created_at: column::instant(row.id.created_ms()),
        }
    }
}

impl TryFrom<StoredCustomer> for CustomerRow {
    type Error = StorageError;

    fn try_from(row: StoredCustomer) -> Result<Self, StorageError> {
        let metadata = match row.metadata {
            None => None,
            Some(Value::Object(fields)) => Some(fields),
            Some(_) => return Err(column::corrupt("customer", "metadata is not an object")),
        };
        Ok(Self {
            id: CustomerId::from_uuid(row.id),
            merchant_id: MerchantId::from_uuid(row.merchant_id),
            fields: CustomerFields {
                reference_id: row.reference_id,
                name: row.name,
                email: row.email,
                phone: row.phone,
                metadata,
            },
            created_at_ms: row.created_at.timestamp_millis(),
        })
    }
}
