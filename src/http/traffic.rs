//! `/v1/traffic`: what went through in a period of whole days of UTC, by hours or days, in all and by model, provider or
//! spend key: requests, errors by kind, tokens, cost, and how long calls took. It is answered from sums that are kept, so
//! it takes as long after a year as after a day.

pub mod report;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Datelike as _, Duration, NaiveDate, Utc};
use serde_json::{Value, json};

use crate::domain::traffic::{Failure, Spread, Timings, TrafficFigures};
use crate::storage::traffic::{KeyFigures, Step, TrafficPeriod};

use self::report::{Group, KeyReport, Most, Report, load, load_keys, usual_step};
use super::auth::SecretKeyAuth;
use super::csv::{self, Format};
use super::error::ApiError;
use super::query::Query;
use super::state::AppState;
use super::time::iso_seconds;

/// How many days a period has where nothing is said, and at most, by days and by hours.
const USUAL_DAYS: i64 = 7;
const MOST_DAYS: i64 = 366;
const MOST_DAYS_BY_HOURS: i64 = 31;
/// Days are added to a period's last one, and the calendar has an end.
const LAST_YEAR: i32 = 9999;
/// How many groups are shown by themselves, where nothing is said and at most.
const USUAL_TOP: u32 = 10;
const MOST_TOP: u32 = 100;
/// How many points the groups of an answer have together, at most.
const MOST_POINTS: usize = 10_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GroupBy {
    Model,
    Provider,
    SpendKey,
}

impl GroupBy {
    const ALL: [Self; 3] = [Self::Model, Self::Provider, Self::SpendKey];

    const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Provider => "provider",
            Self::SpendKey => "spend_key",
        }
    }
}

/// GET. `from` and `to` are days of UTC, both inclusive (the last seven where neither is there); `interval` is `hour` or `day`
/// (`hour` for a day or two); `group_by` is `model` (the default), `provider` or `spend_key`; `top` says how many groups
/// are shown by themselves, dearest first (10, at most 100, and no more than come to 10,000 points of series): the others
/// are summed as `other`. `format=csv` gives a row for
/// each group and step.
///
/// Answers `{from, to, interval, group_by, totals, previous, series: [{start, ...}], groups: [{..., series}], other}`.
/// Amounts are decimal strings, times milliseconds, shares thousandths.
pub async fn retrieve(auth: SecretKeyAuth, state: web::Data<AppState>, query: Query) -> Result<HttpResponse, ApiError> {
    let period = read_period(&query, state.now().wall_ms)?;
    let step = read_step(&query, period)?;
    let group_by = query
        .one_of("group_by", &GroupBy::ALL, GroupBy::name)?
        .unwrap_or(GroupBy::Model);
    let (top, format) = (read_top(&query, period.step_count(step))?, Format::read(&query)?);
    let merchant_id = auth.merchant_id();
    let most = usize::try_from(top).unwrap_or(usize::MAX);
    let most = match group_by {
        GroupBy::Model => Most {
            models: most,
            providers: 0,
        },
        GroupBy::Provider => Most {
            models: 0,
            providers: most,
        },
        GroupBy::SpendKey => Most::default(),
    };
    let report = load(&state, merchant_id, (period, step), most).await?;
    let groups = match group_by {
        GroupBy::Model => model_groups(&report, &report.models, most.models),
        GroupBy::Provider => model_groups(&report, &report.providers, most.providers),
        GroupBy::SpendKey => {
            let keys = load_keys(&state, merchant_id, (period, step), top).await?;
            key_groups(&report, &keys)
        }
    };
    match format {
        Format::Json => Ok(HttpResponse::Ok().json(show(&report, group_by, groups))),
        Format::Csv => table(group_by, &groups.shown),
    }
}

/// The days that a query names.
pub fn read_period(query: &Query, now_ms: i64) -> Result<TrafficPeriod, ApiError> {
    let today = DateTime::<Utc>::from_timestamp_millis(now_ms)
        .unwrap_or_default()
        .date_naive();
    let last = query.day("to")?.unwrap_or(today);
    let first = query
        .day("from")?
        .or_else(|| last.checked_sub_signed(Duration::days(USUAL_DAYS - 1)))
        .unwrap_or(last);
    let earliest = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default();
    if first < earliest {
        return Err(ApiError::invalid("from", "must not be before 2000-01-01"));
    }
    if last.year() > LAST_YEAR {
        return Err(ApiError::invalid(
            "to",
            format!("must not be after the year {LAST_YEAR}"),
        ));
    }
    if last < first {
        return Err(ApiError::invalid("to", "must not be before `from`"));
    }
    let period = TrafficPeriod { first, last };
    if period.day_count() > MOST_DAYS {
        return Err(ApiError::invalid(
            "from",
            format!("must be at most {MOST_DAYS} days before `to`"),
        ));
    }
    Ok(period)
}

fn read_step(query: &Query, period: TrafficPeriod) -> Result<Step, ApiError> {
    let step = query
        .one_of("interval", &[Step::Hour, Step::Day], Step::name)?
        .unwrap_or_else(|| usual_step(period));
    if step == Step::Hour && period.day_count() > MOST_DAYS_BY_HOURS {
        let what = format!("must be `day` for more than {MOST_DAYS_BY_HOURS} days");
        return Err(ApiError::invalid("interval", what));
    }
    Ok(step)
}

/// Fewer groups the more steps there are, for each has a point for every step.
fn read_top(query: &Query, step_count: usize) -> Result<u32, ApiError> {
    let Some(text) = query.text("top")? else {
        return Ok(USUAL_TOP);
    };
    let fit = u32::try_from(MOST_POINTS / step_count.max(1)).unwrap_or(MOST_TOP);
    let most = fit.clamp(USUAL_TOP, MOST_TOP);
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| {
        let what = match most {
            MOST_TOP => format!("must be an integer from 1 to {MOST_TOP}"),
            fewer => format!("must be an integer from 1 to {fewer}, for there are {step_count} steps"),
        };
        ApiError::invalid("top", what)
    })
}

/// What is shown of the groups.
struct Groups {
    shown: Vec<Value>,
    other: Value,
}

fn model_groups(report: &Report, groups: &[Group], most: usize) -> Groups {
    let (groups, other) = groups.split_at(most.min(groups.len()));
    let show = |group: &Group| {
        let mut shown = with_times(&group.totals, &group.timings);
        shown["provider"] = Value::from(group.provider.as_str());
        if let Some(model) = &group.model {
            shown["model"] = Some(model.as_str()).filter(|model| !model.is_empty()).into();
        }
        shown["series"] = series(report, &group.series);
        shown
    };
    Groups {
        shown: groups.iter().map(show).collect(),
        other: other.first().map_or(Value::Null, |group| {
            let mut shown = show(group);
            if let Some(fields) = shown.as_object_mut() {
                fields.retain(|name, _| name != "provider");
            }
            shown
        }),
    }
}

/// What is not of the keys that are shown is of other keys, or of none.
fn key_groups(report: &Report, keys: &KeyReport) -> Groups {
    let show = |key: &KeyFigures| {
        let totals = key.totals;
        let own = keys.parts.iter().filter(|part| part.spend_key_id == key.spend_key_id);
        let mut steps: Vec<Value> = report
            .steps
            .iter()
            .map(|at| json!({ "start": iso_seconds(at.timestamp()), "total_requests": 0, "total_tokens": 0, "total_cost": "0.00" }))
            .collect();
        for part in own {
            if let Ok(place) = report.steps.binary_search(&part.at) {
                steps[place]["total_requests"] = part.request_count.into();
                steps[place]["total_tokens"] = part.tokens.into();
                steps[place]["total_cost"] = part.cost.to_string().into();
            }
        }
        json!({
            "spend_key_id": key.spend_key_id,
            "name": key.name,
            "total_requests": totals.request_count,
            "total_errors": totals.error_count,
            "total_tokens": totals.tokens,
            "total_cost": totals.cost,
            "series": steps,
        })
    };
    let sum = |of: fn(&KeyFigures) -> u64| keys.top.keys.iter().map(of).fold(0, u64::saturating_add);
    let totals = &report.totals;
    let cost = keys
        .top
        .keys
        .iter()
        .fold(totals.cost, |rest, key| rest.saturating_sub(key.totals.cost));
    let requests = totals.request_count.saturating_sub(sum(|key| key.totals.request_count));
    let other = json!({
        "total_requests": requests,
        "total_errors": totals.error_count().saturating_sub(sum(|key| key.totals.error_count)),
        "total_tokens": totals.tokens().saturating_sub(sum(|key| key.totals.tokens)),
        "total_cost": cost.or_zero(),
    });
    Groups {
        shown: keys.top.keys.iter().map(show).collect(),
        other: if requests > 0 { other } else { Value::Null },
    }
}

fn show(report: &Report, group_by: GroupBy, groups: Groups) -> Value {
    json!({
        "from": report.period.first.to_string(),
        "to": report.period.last.to_string(),
        "interval": report.step.name(),
        "group_by": group_by.name(),
        "totals": with_times(&report.totals, &report.timings),
        "previous": figures(&report.before),
        "series": series(report, &report.series),
        "groups": groups.shown,
        "other": groups.other,
    })
}

fn series(report: &Report, series: &[TrafficFigures]) -> Value {
    let point = |(at, of): (&DateTime<Utc>, &TrafficFigures)| {
        let mut shown = figures(of);
        shown["start"] = Value::from(iso_seconds(at.timestamp()));
        shown
    };
    Value::Array(report.steps.iter().zip(series).map(point).collect())
}

fn figures(figures: &TrafficFigures) -> Value {
    let mut errors = json!({ "total": figures.error_count() });
    for (kind, count) in Failure::ALL.into_iter().zip(figures.failures) {
        errors[kind.name()] = count.into();
    }
    json!({
        "total_requests": figures.request_count,
        "errors": errors,
        "error_per_mille": figures.error_per_mille(),
        "estimated_requests": figures.estimated_count,
        "total_tokens": figures.tokens(),
        "input_tokens": figures.total_input(),
        "cache_read_tokens": figures.cache_read_tokens,
        "cache_write_tokens": figures.cache_write_tokens,
        "output_tokens": figures.output_tokens,
        "cache_per_mille": figures.cache_per_mille(),
        "total_cost": figures.cost,
        "total_charge": figures.charge,
    })
}

fn with_times(of: &TrafficFigures, timings: &Timings) -> Value {
    let times = |spread: &Spread| {
        json!({
            "p50": spread.quantile_ms(500),
            "p95": spread.quantile_ms(950),
            "p99": spread.quantile_ms(990),
        })
    };
    let mut shown = figures(of);
    shown["latency_ms"] = times(&timings.latency);
    shown["first_token_ms"] = times(&timings.first_token);
    shown
}

fn table(group_by: GroupBy, groups: &[Value]) -> Result<HttpResponse, ApiError> {
    let names: &[csv::Column] = match group_by {
        GroupBy::Model => &[("provider", "/provider"), ("model", "/model")],
        GroupBy::Provider => &[("provider", "/provider")],
        GroupBy::SpendKey => &[("spend_key_id", "/spend_key_id"), ("name", "/name")],
    };
    let figures: &[csv::Column] = match group_by {
        GroupBy::Model | GroupBy::Provider => &[
            ("start", "/start"),
            ("total_requests", "/total_requests"),
            ("errors", "/errors/total"),
            ("input_tokens", "/input_tokens"),
            ("cache_read_tokens", "/cache_read_tokens"),
            ("output_tokens", "/output_tokens"),
            ("total_cost", "/total_cost"),
            ("total_charge", "/total_charge"),
        ],
        GroupBy::SpendKey => &[
            ("start", "/start"),
            ("total_requests", "/total_requests"),
            ("total_tokens", "/total_tokens"),
            ("total_cost", "/total_cost"),
        ],
    };
    let mut rows = Vec::new();
    for group in groups {
        let of_group = csv::cells(group, names);
        for point in group["series"].as_array().into_iter().flatten() {
            rows.push([of_group.clone(), csv::cells(point, figures)].concat());
        }
    }
    csv::whole("traffic", &csv::heads(&[names, figures].concat()), &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_whole_days_and_not_too_long() {
        // 2026-11-21T12:00:00Z
        let now_ms = 1_795_262_400_000;
        let read = |text: &str| read_period(&Query::parse(text), now_ms);
        let days = |text: &str| {
            let period = read(text).unwrap();
            format!("{} {}", period.first, period.last)
        };
        assert_eq!(days(""), "2026-11-15 2026-11-21");
        assert_eq!(days("from=2026-11-20"), "2026-11-20 2026-11-21");
        assert_eq!(days("from=2026-01-01&to=2026-01-01"), "2026-01-01 2026-01-01");
        let last = read("from=9999-12-31&to=9999-12-31").unwrap();
        assert_eq!(last.steps(Step::Hour).len(), 24);
        for (text, param) in [
            ("from=x", "from"),
            ("from=2026-11-22", "to"),
            ("from=2026-11-20T00:00:00Z", "from"),
            ("from=2025-01-01", "from"),
            ("from=1999-12-31&to=2000-01-05", "from"),
            ("to=1990-01-01", "from"),
            ("to=-262143-01-01", "from"),
            ("from=%2B262142-12-31&to=%2B262142-12-31", "to"),
            ("to=%2B10000-01-01", "to"),
        ] {
            assert_eq!(read(text).unwrap_err().extra()["param"], param, "{text}");
        }
        let year = Query::parse("from=2026-01-01&interval=hour");
        assert!(read_step(&year, read_period(&year, now_ms).unwrap()).is_err());
    }

    #[test]
    fn more_steps_leave_room_for_fewer_groups() {
        let top = |text: &str, step_count| read_top(&Query::parse(text), step_count).ok();
        for text in ["top=0", "top=101", "top=x"] {
            assert_eq!(top(text, 7), None, "{text}");
        }
        assert_eq!((top("top=100", 90), top("", 744)), (Some(100), Some(10)));
        assert_eq!((top("top=13", 744), top("top=14", 744)), (Some(13), None));
        let refusal = read_top(&Query::parse("top=100"), 744).unwrap_err();
        assert_eq!(refusal.extra()["param"], "top");
    }
}
