//! Requests that are looked for among all of a merchant's: by whose they are, by model, provider, ending, time, or a word
//! of their ids. One index is gone through backwards from the cursor, and the rest is looked for in what stands there; a
//! page gives up after so many rows, so that it takes as long anywhere, and says where the next one goes on.

use diesel::connection::SimpleConnection as _;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::sql_query;
use diesel::sql_types::{Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::StorageError;
use super::super::page::{Page, PageRequest};
use super::super::search::Search;
use super::row::StoredRequest;
use super::{IN_ORDER_OF_AN_INDEX, RequestFilter, RequestRow};
use crate::domain::cursor::Cursor;
use crate::domain::ids::{CustomerId, MerchantId, MeterId, RequestId, SpendKeyId};
use crate::domain::request::{Outcome, UsageSource};

/// How many rows a page looks through at most.
pub const LOOKED_THROUGH: i64 = 20_000;

/// How requests ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Outcome(Outcome),
    /// An HTTP status, from the first to the last of these.
    Status(u16, u16),
}

/// Which requests; what is `None` lets all pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RequestSearch {
    pub filter: RequestFilter,
    pub model: Option<String>,
    pub provider: Option<String>,
    pub ending: Option<Ending>,
    pub usage_source: Option<UsageSource>,
    /// When requests were made, in unix milliseconds; both inclusive.
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
    /// The beginning of an id, or a whole id that the caller or OpenAI's responses gave it.
    pub search: Search,
}

/// A page of the requests that are looked for, newest first. With `next` there may be more, also where the page is not
/// full: it looked through [`LOOKED_THROUGH`] rows.
pub fn search(
    connection: &mut PgConnection,
    merchant: MerchantId,
    search: &RequestSearch,
    page: PageRequest,
) -> Result<Page<RequestRow>, StorageError> {
    let range = Range::of(search, page);
    connection.transaction(|connection| {
        if search.filter.metadata.is_none() {
            connection.batch_execute(IN_ORDER_OF_AN_INDEX)?;
        }
        let statement = Statement::of(search);
        let bind = |text: String| bound(sql_query(text).into_boxed(), (merchant, search, range));
        let rows: Vec<StoredRequest> = bind(statement.rows(page.fetch_count())).load(connection)?;
        let rows: Result<Vec<_>, _> = rows.into_iter().map(RequestRow::try_from).collect();
        let mut found = Page::cut(rows?, page, |row| row.id.bits());
        if found.next.is_none() {
            let end: Option<Id> = bind(statement.end()).get_result(connection).optional()?;
            found.next = end.map(|end| Cursor(end.id.as_u128()));
        }
        Ok(found)
    })
}

type Bound = BoxedSqlQuery<'static, Pg, SqlQuery>;

fn bound(query: Bound, (merchant, search, range): (MerchantId, &RequestSearch, Range)) -> Bound {
    let (filter, id) = (&search.filter, &search.search);
    let word = Some(id.text()).filter(|_| is_word(search));
    let (lowest, highest) = match search.ending {
        Some(Ending::Status(lowest, highest)) => (Some(i32::from(lowest)), Some(i32::from(highest))),
        None | Some(Ending::Outcome(_)) => (None, None),
    };
    let outcome = match search.ending {
        Some(Ending::Outcome(outcome)) => Some(outcome.name()),
        None | Some(Ending::Status(..)) => None,
    };
    query
        .bind::<SqlUuid, _>(merchant.uuid())
        .bind::<SqlUuid, _>(range.before)
        .bind::<SqlUuid, _>(range.first)
        .bind::<Nullable<SqlUuid>, _>(filter.spend_key_id.map(SpendKeyId::uuid))
        .bind::<Nullable<SqlUuid>, _>(filter.customer_id.map(CustomerId::uuid))
        .bind::<Nullable<SqlUuid>, _>(filter.meter_id.map(MeterId::uuid))
        .bind::<Nullable<Jsonb>, _>(filter.metadata.clone())
        .bind::<Nullable<Text>, _>(search.model.clone())
        .bind::<Nullable<Text>, _>(search.provider.clone())
        .bind::<Nullable<Text>, _>(outcome)
        .bind::<Nullable<Integer>, _>(lowest)
        .bind::<Nullable<Integer>, _>(highest)
        .bind::<Nullable<Text>, _>(search.usage_source.map(UsageSource::name))
        .bind::<Nullable<Text>, _>(word.map(str::to_owned))
}

/// Between which ids requests are looked for: ids begin with their time.
#[derive(Clone, Copy)]
struct Range {
    first: Uuid,
    /// All are below this one.
    before: Uuid,
}

impl Range {
    fn of(search: &RequestSearch, page: PageRequest) -> Self {
        let at = |ms: i64| u128::from(u64::try_from(ms).unwrap_or(0).min((1 << 48) - 1)) << 80;
        let (mut first, mut before) = (search.from_ms.map_or(0, at), page.before().as_u128());
        if let Some(to_ms) = search.to_ms {
            before = before.min(at(to_ms.saturating_add(1)));
        }
        if let Some((lowest, highest)) = RequestId::beginning(search.search.text()) {
            first = first.max(lowest.bits());
            before = before.min(highest.bits().saturating_add(1));
        }
        Self {
            first: Uuid::from_u128(first),
            before: Uuid::from_u128(before),
        }
    }
}

/// A column, and the parameter that holds its value.
type Place = (&'static str, &'static str);

const OWNERS: [Place; 3] = [("spend_key_id", "$4"), ("customer_id", "$5"), ("meter_id", "$6")];
const MODEL: Place = ("left(model, 128)", "left($8, 128)");

struct Statement {
    /// The rows of the index, backwards.
    source: String,
}

impl Statement {
    fn of(search: &RequestSearch) -> Self {
        if is_word(search) {
            return Self {
                source: OF_WORD.to_owned(),
            };
        }
        let (places, also) = places(search);
        let joined = |form: fn(&Place) -> String, joint: &str| places.iter().map(form).collect::<Vec<_>>().join(joint);
        let columns = joined(|(column, _)| (*column).to_owned(), ", ");
        let values = joined(|(_, value)| (*value).to_owned(), ", ");
        let order = joined(|(column, _)| format!("{column} DESC"), ", ");
        let is_there = joined(
            |(column, _)| format!("{} IS NOT NULL", column.replace("left(model, 128)", "model")),
            " AND ",
        );
        // Bounds, not equalities: an equality would let every index on the id serve.
        let source = format!(
            "FROM requests WHERE ({columns}, id) < ({values}, $2) AND ({columns}, id) >= ({values}, $3) AND {is_there}{also} \
             ORDER BY {order}, id DESC"
        );
        Self { source }
    }

    fn rows(&self, count: i64) -> String {
        format!(
            "SELECT * FROM (SELECT * {} LIMIT {LOOKED_THROUGH}) AS r WHERE merchant_id = $1 AND id < $2 AND id >= $3 \
             AND ($4 IS NULL OR spend_key_id = $4) AND ($5 IS NULL OR customer_id = $5) \
             AND ($6 IS NULL OR meter_id = $6) AND ($7 IS NULL OR metadata @> $7) AND ($8 IS NULL OR model = $8) \
             AND ($9 IS NULL OR provider = $9) AND ($10 IS NULL OR status = $10) \
             AND ($11 IS NULL OR http_status BETWEEN $11 AND $12) AND ($13 IS NULL OR usage_source = $13) \
             AND ($14 IS NULL OR caller_id = $14 OR response_id = $14) LIMIT {count}",
            self.source
        )
    }

    /// The last row that was looked through, where that may not be all there is.
    fn end(&self) -> String {
        format!("SELECT id {} OFFSET {} LIMIT 1", self.source, LOOKED_THROUGH - 1)
    }
}

/// The columns of the index that is gone through, and what else holds of all of its rows.
fn places(search: &RequestSearch) -> (Vec<Place>, &'static str) {
    let [key, customer, meter] = OWNERS;
    let merchant = ("merchant_id", "$1");
    let filter = &search.filter;
    let is_error = match search.ending {
        Some(Ending::Outcome(Outcome::Error)) => true,
        // Every status that says so is that of an error.
        Some(Ending::Status(lowest, _)) => lowest >= 400,
        None | Some(Ending::Outcome(Outcome::Completed)) => false,
    };
    match (filter.customer_id, filter.meter_id, filter.spend_key_id) {
        _ if filter.has_metadata() => (vec![merchant], " AND metadata @> $7"),
        (Some(_), Some(_), _) => (vec![customer, meter], ""),
        (Some(_), None, _) => (vec![customer], ""),
        (None, _, Some(_)) => (vec![key], ""),
        (None, Some(_), None) => (vec![meter], ""),
        (None, None, None) if is_error => (vec![merchant], " AND status = 'error'"),
        (None, None, None) if search.model.is_some() => (vec![merchant, MODEL], ""),
        (None, None, None) => (vec![merchant], ""),
    }
}

/// Whether a whole id is looked for, which is not one of ours.
fn is_word(search: &RequestSearch) -> bool {
    !search.search.is_empty() && RequestId::beginning(search.search.text()).is_none()
}

/// The few requests that have this id.
const OF_WORD: &str = "FROM requests WHERE merchant_id = $1 AND id < $2 AND id >= $3 AND id = ANY (ARRAY( \
    SELECT id FROM requests WHERE merchant_id = $1 AND caller_id = $14 UNION ALL \
    SELECT id FROM requests WHERE merchant_id = $1 AND response_id = $14 AND response_id LIKE 'resp\\_%')) \
    ORDER BY id DESC";

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_the_beginning_of_an_id_bound_what_is_looked_through() {
        let page = PageRequest { after: None, limit: 1 };
        let range = |search: &RequestSearch| {
            let range = Range::of(search, page);
            (range.first.as_u128(), range.before.as_u128())
        };
        assert_eq!(range(&RequestSearch::default()), (0, u128::MAX));
        let between = RequestSearch {
            from_ms: Some(5),
            to_ms: Some(6),
            ..RequestSearch::default()
        };
        assert_eq!(range(&between), (5 << 80, 7 << 80));
        let never = RequestSearch {
            from_ms: Some(i64::MAX),
            to_ms: Some(i64::MIN),
            ..RequestSearch::default()
        };
        assert_eq!(range(&never), (((1 << 48) - 1) << 80, 0));
        let id = RequestId::from_bits(77 << 80);
        let one = RequestSearch {
            search: Search::new(&id.to_string()),
            ..RequestSearch::default()
        };
        assert_eq!(range(&one), (id.bits(), id.bits() + 1));
    }
}
