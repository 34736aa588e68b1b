//! The books proved: both sides of each invariant, read in one statement and so in one snapshot of the database. One side
//! is summed from the rows of requests and movements and what was kept of purged ones, the other is what the writer kept:
//! balances, counters, ledger. Nothing is written.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Integer, Nullable, Uuid as SqlUuid};

use super::StorageError;
use crate::domain::ids::MerchantId;
use crate::domain::money::Money;

/// What the sides of an invariant count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nano-dollars.
    Money,
    Count,
}

/// Both sides of an invariant; they are equal, or something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    pub name: &'static str,
    pub unit: Unit,
    pub left: i64,
    pub right: i64,
}

struct Question {
    name: &'static str,
    unit: Unit,
    /// Gives `left_side` and `right_side`; `$1` is the merchant, null for all.
    sql: &'static str,
}

const fn money(name: &'static str, sql: &'static str) -> Question {
    Question {
        name,
        unit: Unit::Money,
        sql,
    }
}

const fn count(name: &'static str, sql: &'static str) -> Question {
    Question {
        name,
        unit: Unit::Count,
        sql,
    }
}

macro_rules! sides {
    ($left:expr, $right:expr) => {
        concat!(
            "SELECT coalesce((",
            $left,
            "), 0)::bigint AS left_side, coalesce((",
            $right,
            "), 0)::bigint AS right_side"
        )
    };
}

/// A sum over requests, with that of what was purged of them.
macro_rules! with_purged {
    ($sum:literal, $requests:literal, $purged_sum:literal, $purged:literal) => {
        concat!(
            "SELECT coalesce(",
            $sum,
            ", 0) + (SELECT coalesce(sum(",
            $purged_sum,
            "), 0) FROM purged_requests WHERE ",
            $purged,
            " AND ($1 IS NULL OR merchant_id = $1)) FROM requests WHERE ",
            $requests,
            " AND ($1 IS NULL OR merchant_id = $1)"
        )
    };
}

const QUESTIONS: [Question; 22] = [
    money(
        "ledger_entries_sum_to_zero",
        sides!(
            "SELECT sum(amount) FROM ledger_entries WHERE $1 IS NULL OR merchant_id = $1",
            "0"
        ),
    ),
    money(
        "spend_of_keys",
        sides!(
            with_purged!(
                "sum(cost)",
                "spend_key_id IS NOT NULL",
                "cost",
                "spend_key_id <> '00000000-0000-0000-0000-000000000000'"
            ),
            "SELECT sum(c.total_spend) FROM spend_key_counters c JOIN spend_keys k ON k.id = c.key_id \
             WHERE $1 IS NULL OR k.merchant_id = $1"
        ),
    ),
    count(
        "keys_whose_spend_differs",
        sides!(
            "SELECT count(*) FROM (SELECT spend_key_id AS id, sum(cost) AS spent FROM ( \
                SELECT spend_key_id, sum(cost) AS cost FROM requests \
                WHERE spend_key_id IS NOT NULL AND ($1 IS NULL OR merchant_id = $1) GROUP BY spend_key_id \
                UNION ALL SELECT spend_key_id, cost FROM purged_requests \
                WHERE spend_key_id <> '00000000-0000-0000-0000-000000000000' \
                AND ($1 IS NULL OR merchant_id = $1)) s GROUP BY spend_key_id) r \
             LEFT JOIN spend_key_counters c ON c.key_id = r.id WHERE r.spent IS DISTINCT FROM c.total_spend",
            "0"
        ),
    ),
    money(
        "wallet_balances",
        sides!(
            "SELECT sum(balance) FROM wallets WHERE $1 IS NULL OR merchant_id = $1",
            "SELECT sum(amount) FROM ledger_entries WHERE account_kind = 'wallet' AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    money(
        "provider_cost",
        sides!(
            with_purged!("sum(cost)", "provider_key_type = 'managed'", "managed_cost", "true"),
            "SELECT sum(amount) FROM ledger_entries \
             WHERE account_kind = 'provider_cost' AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    money(
        "charges",
        sides!(
            with_purged!("sum(charge)", "true", "charge", "true"),
            "SELECT sum(amount) FROM ledger_entries WHERE account_kind = 'revenue' AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    money(
        "cycle_credit",
        sides!(
            "SELECT sum(cycle) FROM customer_credit WHERE $1 IS NULL OR merchant_id = $1",
            "SELECT sum(amount) FROM ledger_entries \
             WHERE account_kind = 'cycle_credit' AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    money(
        "bundle_credit",
        sides!(
            "SELECT sum(bundle) FROM customer_credit WHERE $1 IS NULL OR merchant_id = $1",
            "SELECT sum(amount) FROM ledger_entries \
             WHERE account_kind = 'bundle_credit' AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    money(
        "movements",
        sides!(
            "SELECT sum(amount) FROM movements WHERE $1 IS NULL OR merchant_id = $1",
            "SELECT -sum(amount) FROM ledger_entries WHERE account_kind NOT IN \
             ('wallet', 'cycle_credit', 'bundle_credit', 'provider_cost', 'revenue', \
             'card_money', 'card_sales', 'card_funding') \
             AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    count(
        "metered_quantities",
        sides!(
            with_purged!(
                "sum((charge_detail->>'quantity')::numeric)",
                "charge_detail IS NOT NULL",
                "quantity",
                "true"
            ),
            "SELECT sum(quantity) FROM meter_quantities WHERE $1 IS NULL OR merchant_id = $1"
        ),
    ),
    money(
        "usage_by_quarters",
        sides!(
            with_purged!("sum(cost)", "true", "cost", "true"),
            "SELECT sum(cost) FROM usage_quarters WHERE owner_id = merchant_id AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    count(
        "requests_by_quarters",
        sides!(
            with_purged!("count(*)", "true", "request_count", "true"),
            "SELECT sum(request_count) FROM usage_quarters \
             WHERE owner_id = merchant_id AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    money(
        "charges_by_quarters",
        sides!(
            with_purged!("sum(charge)", "customer_id IS NOT NULL", "customer_charge", "true"),
            "SELECT sum(charge) FROM usage_quarters WHERE ($1 IS NULL OR merchant_id = $1) \
             AND meter_id <> '00000000-0000-0000-0000-000000000000'"
        ),
    ),
    money(
        "traffic_by_hours",
        sides!(
            "SELECT sum(cost) FROM traffic_hours WHERE $1 IS NULL OR merchant_id = $1",
            "SELECT sum(cost) FROM usage_quarters WHERE owner_id = merchant_id AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    count(
        "requests_by_hours",
        sides!(
            "SELECT sum(request_count) FROM traffic_hours WHERE $1 IS NULL OR merchant_id = $1",
            "SELECT sum(request_count) FROM usage_quarters \
             WHERE owner_id = merchant_id AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    money(
        "spend_of_keys_by_days",
        sides!(
            "SELECT sum(cost) FROM traffic_key_days WHERE $1 IS NULL OR merchant_id = $1",
            "SELECT sum(c.total_spend) FROM spend_key_counters c JOIN spend_keys k ON k.id = c.key_id \
             WHERE $1 IS NULL OR k.merchant_id = $1"
        ),
    ),
    money(
        "spend_of_keys_by_weeks",
        sides!(
            "SELECT sum(cost) FROM traffic_key_weeks WHERE $1 IS NULL OR merchant_id = $1",
            "SELECT sum(cost) FROM traffic_key_days WHERE $1 IS NULL OR merchant_id = $1"
        ),
    ),
    count(
        "reports_by_id",
        sides!(
            with_purged!("count(caller_id)", "true", "report_count", "true"),
            "SELECT count(*) FROM (SELECT merchant_id, sha256(convert_to(caller_id, 'UTF8')) FROM requests \
             WHERE caller_id IS NOT NULL AND ($1 IS NULL OR merchant_id = $1) \
             UNION SELECT merchant_id, caller_id_hash FROM purged_reports \
             WHERE $1 IS NULL OR merchant_id = $1) d"
        ),
    ),
    money(
        "card_money",
        sides!(
            "SELECT sum(amount) FROM payments WHERE status = 'paid' AND ($1 IS NULL OR merchant_id = $1)",
            "SELECT sum(amount) FROM ledger_entries \
             WHERE account_kind = 'card_money' AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    count(
        "payments_whose_entries_differ",
        sides!(
            "SELECT count(*) FROM payments p \
             LEFT JOIN ledger_entries i ON i.batch_id = p.paid_batch_id AND i.account_kind = 'card_money' \
             LEFT JOIN ledger_entries o ON o.batch_id = p.refunded_batch_id AND o.account_kind = 'card_money' \
             WHERE ($1 IS NULL OR p.merchant_id = $1) AND status IN ('paid', 'refunded') \
             AND (i.amount, o.amount) IS DISTINCT FROM \
             (p.amount, CASE WHEN status = 'refunded' THEN -p.amount END)",
            "0"
        ),
    ),
    money(
        "wallets_funded",
        sides!(
            "SELECT sum(amount) FROM movements WHERE kind = 'funding' AND id IN (SELECT id FROM payments) \
             AND ($1 IS NULL OR merchant_id = $1)",
            "SELECT sum(amount) FROM payments WHERE status = 'paid' AND id IN (SELECT id FROM movements) \
             AND ($1 IS NULL OR merchant_id = $1)"
        ),
    ),
    count(
        "payments_that_gave",
        sides!(
            "SELECT sum(cardinality(recent_payments)) FROM subscriptions WHERE $1 IS NULL OR merchant_id = $1",
            "SELECT count(*) FROM payments WHERE status = 'paid' AND ($1 IS NULL OR merchant_id = $1) \
             AND id IN (SELECT unnest(recent_payments) FROM subscriptions)"
        ),
    ),
];

/// Those of them that read balances and the ledger only.
const CHEAP: [&str; 5] = [
    "ledger_entries_sum_to_zero",
    "wallet_balances",
    "cycle_credit",
    "bundle_credit",
    "card_money",
];

/// Both sides of every invariant of a merchant, or of all. It reads every row: see [`super::Database::run_long`].
pub fn read(connection: &mut PgConnection, merchant: Option<MerchantId>) -> Result<Vec<Invariant>, StorageError> {
    ask(connection, merchant, &QUESTIONS.iter().collect::<Vec<_>>())
}

/// Those invariants that need no row of a request, for whoever asks again and again.
pub fn read_cheap(connection: &mut PgConnection) -> Result<Vec<Invariant>, StorageError> {
    let cheap = QUESTIONS.iter().filter(|question| CHEAP.contains(&question.name));
    ask(connection, None, &cheap.collect::<Vec<_>>())
}

/// What the keys that are not revoked have spent in all.
pub fn spend_of_live_keys(connection: &mut PgConnection) -> Result<Money, StorageError> {
    #[derive(QueryableByName)]
    struct Sum {
        #[diesel(sql_type = BigInt)]
        nanos: i64,
    }
    let sum: Sum = sql_query(
        "SELECT coalesce(sum(c.total_spend), 0)::bigint AS nanos FROM spend_key_counters c \
         JOIN spend_keys k ON k.id = c.key_id WHERE k.revoked_at IS NULL",
    )
    .get_result(connection)?;
    Ok(Money::from_nanos(sum.nanos))
}

/// All of them in one statement, which one timeout bounds.
fn ask(
    connection: &mut PgConnection,
    merchant: Option<MerchantId>,
    questions: &[&Question],
) -> Result<Vec<Invariant>, StorageError> {
    #[derive(QueryableByName)]
    struct Sides {
        #[diesel(sql_type = Integer)]
        place: i32,
        #[diesel(sql_type = BigInt)]
        left_side: i64,
        #[diesel(sql_type = BigInt)]
        right_side: i64,
    }
    let numbered = questions.iter().zip(0i32..);
    let parts: Vec<String> = numbered
        .map(|(question, place)| format!("SELECT {place} AS place, q.* FROM ({}) AS q", question.sql))
        .collect();
    let mut sides: Vec<Sides> = sql_query(parts.join(" UNION ALL "))
        .bind::<Nullable<SqlUuid>, _>(merchant.map(MerchantId::uuid))
        .load(connection)?;
    sides.sort_by_key(|sides| sides.place);
    let invariant = |(question, sides): (&&Question, &Sides)| Invariant {
        name: question.name,
        unit: question.unit,
        left: sides.left_side,
        right: sides.right_side,
    };
    Ok(questions.iter().zip(&sides).map(invariant).collect())
}
