//! A customer's credit as his page shows it: what is spent, held and left of what he had, what he used of each meter in
//! the cycle that runs, and what moved his credit beside his calls.

use actix_web::web;

use crate::domain::credit::{Bucket, CustomerCredit};
use crate::domain::customer_account::CustomerAccount;
use crate::domain::meter::TierType;
use crate::domain::money::Money;
use crate::engine::customer_accounts::Whose;
use crate::http::dashboard::shown::{Amount, Moment, grouped, thousandths};
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::http::time::iso_millis;
use crate::storage::customer_credit::{CreditMovement, latest_movements};
use crate::storage::meters;
use crate::storage::requests::RequestFilter;
use crate::storage::usage::{UsageFigures, UsagePeriod, by_day, last_ms_of_quarter};

/// Movements that are shown.
pub const MOVEMENTS: usize = 25;

/// The bar and what stands below it.
pub struct Credit {
    pub left: Amount,
    pub held: Amount,
    pub spent: Amount,
    /// What new calls may still use.
    pub available: Amount,
    pub overdraft: Option<Amount>,
    /// Whether there ever was something to spend in this cycle.
    pub has_bar: bool,
    /// Widths in thousandths of the bar.
    pub spent_width: u32,
    pub held_width: u32,
}

/// What was used in the cycle that runs.
pub struct Usage {
    pub meters: Vec<Used>,
    pub requests: String,
    pub cost: Amount,
    pub charge: Amount,
}

/// What was used of one meter.
pub struct Used {
    pub meter_id: String,
    pub name: String,
    pub quantity: String,
    pub requests: String,
    pub charge: Amount,
}

/// One movement of credit.
pub struct Movement {
    pub what: &'static str,
    pub bucket: &'static str,
    pub amount: Amount,
    pub moment: Option<Moment>,
}

impl Credit {
    /// Of what is left, and of what was charged in the cycle: both together are what there was to spend, wherever it came
    /// from.
    fn of(held: CustomerCredit, spent: Money) -> Self {
        let left = held.credit.total();
        let whole = left.or_zero().saturating_add(spent);
        let spent_width = thousandths(spent, whole);
        Self {
            left: Amount::of(left),
            held: Amount::of(held.held),
            spent: Amount::of(spent),
            available: Amount::of(held.available()),
            overdraft: (left < Money::ZERO).then(|| Amount::of(Money::ZERO.saturating_sub(left))),
            has_bar: whole > Money::ZERO,
            spent_width,
            held_width: thousandths(held.held, whole).min(1000 - spent_width),
        }
    }
}

/// What is left, what was used, and what moved the credit.
pub async fn read(
    state: &web::Data<AppState>,
    whose: Whose,
    account: CustomerAccount,
) -> Result<(Credit, Usage, Vec<Movement>), ApiError> {
    let held = account.credit;
    let now = state.now();
    let now_s = now.wall_s();
    let period = UsagePeriod {
        start_ms: account.period_start_s(now_s).saturating_mul(1000),
        end_ms: last_ms_of_quarter(now.wall_ms),
        utc_offset_s: 0,
    };
    let most = u32::try_from(MOVEMENTS).unwrap_or(u32::MAX);
    let work = state.database.run(move |connection| {
        let of = |meter_id| RequestFilter {
            customer_id: Some(whose.customer_id),
            meter_id,
            ..RequestFilter::default()
        };
        let mut used = Vec::new();
        for row in meters::load(connection, Some(whose.merchant_id))? {
            let quantity = account.tally(row.meter.id, now_s).quantity;
            if quantity > 0 {
                let sums = by_day(connection, whose.merchant_id, period, &of(Some(row.meter.id)))?;
                used.push((row.meter, quantity, sums.totals));
            }
        }
        let all = by_day(connection, whose.merchant_id, period, &of(None))?.totals;
        let moved = latest_movements(connection, whose.merchant_id, whose.customer_id, most)?;
        Ok((used, all, moved))
    });
    let (used, all, moved) = work.await?;
    let used = used.into_iter().map(|(meter, quantity, sums)| Used {
        meter_id: meter.id.to_string(),
        name: meter.name,
        quantity: counted(meter.tier_type, quantity),
        requests: grouped(sums.request_count),
        charge: Amount::of(sums.charge),
    });
    let movements = moved.iter().map(|moved| Movement::read(moved, now.wall_ms)).collect();
    Ok((Credit::of(held, all.charge), Usage::of(used.collect(), all), movements))
}

impl Usage {
    fn of(meters: Vec<Used>, all: UsageFigures) -> Self {
        Self {
            meters,
            requests: grouped(all.request_count),
            cost: Amount::of(all.cost),
            charge: Amount::of(all.charge),
        }
    }
}

impl Movement {
    fn read(moved: &CreditMovement, now_ms: i64) -> Self {
        Self {
            what: match moved.kind.as_str() {
                "grant" => "Plan began",
                "renewal" => "Cycle began",
                "lapse" => "Lapsed",
                "bundle" => "Bundle bought",
                "top_up" => "Bundle bought by itself",
                "correction" => "Corrected",
                _ => "Moved",
            },
            bucket: match moved.bucket {
                Bucket::Cycle => "Cycle",
                Bucket::Bundle => "Bundles",
            },
            amount: Amount::of(moved.amount),
            moment: Moment::read(&iso_millis(moved.at_ms), now_ms),
        }
    }
}

/// A quantity with its unit; minutes are counted in seconds.
fn counted(what: TierType, quantity: u64) -> String {
    let plural = if quantity == 1 { "" } else { "s" };
    match what {
        TierType::Tokens => format!("{} token{plural}", grouped(quantity)),
        TierType::Characters => format!("{} character{plural}", grouped(quantity)),
        TierType::Requests => format!("{} request{plural}", grouped(quantity)),
        TierType::Minutes => format!("{} min {} s", grouped(quantity / 60), quantity % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credit::Credit as Balance;

    fn credit((cycle, bundle): (i64, i64), held: i64, spent: i64) -> Credit {
        let credit = Balance {
            cycle: Money::from_nanos(cycle),
            bundle: Money::from_nanos(bundle),
        };
        let held = CustomerCredit {
            credit,
            held: Money::from_nanos(held),
        };
        Credit::of(held, Money::from_nanos(spent))
    }

    #[test]
    fn what_is_spent_is_what_was_charged_wherever_the_credit_came_from() {
        // Of 10 included and 5 carried over, with a bundle of 5 beside them.
        let carried = credit((12_000_000_000, 5_000_000_000), 0, 3_000_000_000);
        assert_eq!((carried.spent.text(), carried.spent_width), ("$3.00".to_owned(), 150));
        let over = credit((-1_000_000_000, 0), 9_000, 11_000_000_000);
        assert_eq!((over.spent_width, over.held_width, over.has_bar), (1000, 0, true));
    }

    #[test]
    fn a_bar_is_there_only_where_there_is_something_to_spend_and_never_overflows() {
        let full = credit((0, 1000), 250, 0);
        assert_eq!((full.has_bar, full.spent_width, full.held_width), (true, 0, 250));
        assert!(!credit((0, 0), 0, 0).has_bar);
        let debt = credit((-500, 0), 9000, 0);
        assert_eq!(
            (debt.has_bar, debt.overdraft.unwrap().text()),
            (false, "$0.000001".to_owned())
        );
        assert_eq!(debt.left.text(), "−$0.000001");
    }

    #[test]
    fn quantities_have_their_unit() {
        assert_eq!(counted(TierType::Tokens, 1_234_567), "1,234,567 tokens");
        assert_eq!(counted(TierType::Requests, 1), "1 request");
        assert_eq!(counted(TierType::Minutes, 61), "1 min 1 s");
    }
}
