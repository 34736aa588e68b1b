//! `/v1/usage`: what a merchant used, by day. The offset of `start` says where the days begin; days without a request
//! are left out.

use actix_web::{HttpResponse, web};
use chrono::{FixedOffset, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, TimeZone as _};
use serde_json::{Map, Value, json};

use crate::domain::money::Money;
use crate::storage::usage::{UsageDay, UsageFigures, UsagePeriod, by_day, last_ms_of_quarter};

use super::auth::SecretKeyAuth;
use super::csv::{self, Format};
use super::error::ApiError;
use super::query::Query;
use super::requests::read_filter;
use super::state::AppState;

/// The columns of a table of days; older words for the same are left out.
const COLUMNS: [csv::Column; 7] = [
    ("date", "/date"),
    ("start", "/start"),
    ("end", "/end"),
    ("total_requests", "/total_requests"),
    ("total_usage_tokens", "/total_usage_tokens"),
    ("total_cost", "/total_cost"),
    ("total_charge", "/total_charge"),
];

/// GET; `format=csv` gives a row for each day.
pub async fn retrieve(auth: SecretKeyAuth, state: web::Data<AppState>, query: Query) -> Result<HttpResponse, ApiError> {
    let now_ms = state.now().wall_ms;
    let start = query
        .instant("start")?
        .ok_or_else(|| ApiError::invalid("start", "is required"))?;
    let end_ms = query.instant("end")?.map_or(now_ms, |end| end.timestamp_millis());
    // Nothing is later than now, so that a quarter that is not over may be asked for whole.
    let end_ms = if end_ms < now_ms {
        end_ms
    } else {
        last_ms_of_quarter(end_ms)
    };
    if end_ms < start.timestamp_millis() {
        return Err(ApiError::invalid("end", "must not be before `start`"));
    }
    let zone = *start.offset();
    let period = UsagePeriod {
        start_ms: start.timestamp_millis(),
        end_ms,
        utc_offset_s: zone.local_minus_utc(),
    };
    let format = Format::read(&query)?;
    let merchant_id = auth.merchant_id();
    let filter = read_filter(&query, &state, merchant_id)?;
    let report = state
        .database
        .run(move |connection| by_day(connection, merchant_id, period, &filter))
        .await?;
    let day = |day: &UsageDay| {
        let mut item = figures(&day.figures);
        item.extend(bounds(day.date, zone));
        Value::Object(item)
    };
    let items: Vec<Value> = report.days.iter().map(day).collect();
    match format {
        Format::Json => Ok(HttpResponse::Ok().json(json!({ "items": items, "totals": figures(&report.totals) }))),
        Format::Csv => {
            let rows: Vec<Vec<String>> = items.iter().map(|item| csv::cells(item, &COLUMNS)).collect();
            csv::whole("usage", &csv::heads(&COLUMNS), &rows)
        }
    }
}

fn figures(figures: &UsageFigures) -> Map<String, Value> {
    let amounts = [
        ("total_cost", figures.cost),
        ("total_charge", figures.charge),
        // The same in older words. The volume is what customers were charged, of which nobody takes a part.
        ("total_usage_cost", figures.cost),
        ("total_merchant_cost", figures.cost),
        ("total_fee_amount", figures.charge),
        ("total_wallet_cost", figures.charge),
        ("total_gross_volume", figures.charge),
        ("total_net_volume", figures.charge),
        ("total_service_charge_amount", Money::ZERO),
        ("total_request_cost", figures.cost.saturating_add(figures.charge)),
    ];
    let amounts = amounts.map(|(name, amount)| (name.to_owned(), Value::from(amount.to_string())));
    let counts = [
        ("total_requests".to_owned(), Value::from(figures.request_count)),
        ("total_usage_tokens".to_owned(), Value::from(figures.tokens)),
    ];
    Map::from_iter(counts.into_iter().chain(amounts))
}

/// The day's date, first and last second.
fn bounds(date: NaiveDate, zone: FixedOffset) -> [(String, Value); 3] {
    let show = |offset: TimeDelta| {
        let instant = zone.from_utc_datetime(&(date.and_time(NaiveTime::MIN) - zone_shift(zone) + offset));
        Value::from(instant.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    [
        ("date".to_owned(), Value::from(date.to_string())),
        ("start".to_owned(), show(TimeDelta::zero())),
        ("end".to_owned(), show(TimeDelta::seconds(86_399))),
    ]
}

fn zone_shift(zone: FixedOffset) -> TimeDelta {
    TimeDelta::seconds(i64::from(zone.local_minus_utc()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_bounds_in_the_zone_of_the_question() {
        let date = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let zone = FixedOffset::east_opt(2 * 3600).unwrap();
        let [date, start, end] = bounds(date, zone).map(|(_, value)| value);
        assert_eq!(
            (date, start, end),
            (
                "2026-11-21".into(),
                "2026-11-21T00:00:00+02:00".into(),
                "2026-11-21T23:59:59+02:00".into()
            )
        );
    }

    #[test]
    fn an_instant_may_have_lost_its_plus_and_nothing_else() {
        let good = Query::parse("start=2026-11-21T00:00:00+02:00");
        assert_eq!(good.instant("start").unwrap().unwrap().offset().local_minus_utc(), 7200);
        for text in [
            "start=yesterday",
            "start=2026-11-21",
            "start=1700000000",
            "start=2026-13-01T00:00:00Z",
        ] {
            assert!(Query::parse(text).instant("start").is_err(), "{text}");
        }
    }
}
