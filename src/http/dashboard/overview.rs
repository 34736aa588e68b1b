//! Overview: what costs most, over time, by model, provider and key; and how calls fare: errors, caches, times. All of it is
//! read from kept sums, in two questions at once.

mod ranking;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use askama::Template;
use chrono::{DateTime, Duration, Utc};

use crate::domain::money::Money;
use crate::domain::traffic::{Failure, Spread, TrafficFigures};
use crate::http::error::ApiError;
use crate::http::plain;
use crate::http::query::Query;
use crate::http::traffic::report::{KeyReport, Most, Report, load, load_keys, usual_step};
use crate::http::traffic::retrieve;
use crate::storage::traffic::{Step, TrafficPeriod};

use super::chart::{self, Bars};
use super::shell::{self, Place, Shell};
use super::shown::{Amount, compact, grouped, length, percent};
use super::visit::Visit;
use ranking::{Ranking, rankings};

/// How many models, providers and keys are shown by themselves.
const TOP: usize = 8;

/// The periods that can be chosen: days, with today among them.
const PERIODS: [(i64, &str); 4] = [(1, "Today"), (7, "7 days"), (30, "30 days"), (90, "90 days")];
const USUAL_DAYS: i64 = 7;

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(plain("/overview").route(web::get().to(show)))
        .service(plain("/overview/table").route(web::get().to(table)));
}

#[derive(Template)]
#[template(path = "dashboard/overview.html")]
struct Page {
    shell: Shell,
    periods: Vec<Period>,
    days: i64,
    from: String,
    to: String,
    step: &'static str,
    is_empty: bool,
    spend: Amount,
    before: String,
    stats: Vec<Stat>,
    spend_chart: String,
    request_chart: String,
    points: Vec<Point>,
    errors: Vec<(&'static str, String)>,
    groups: Vec<Ranking>,
}

struct Period {
    days: i64,
    label: &'static str,
    is_chosen: bool,
}

/// A figure with what stands below it.
struct Stat {
    label: &'static str,
    figure: String,
    below: String,
    /// The class of its state; empty where it has none.
    class: &'static str,
}

/// A step, as the table beside the charts has it.
struct Point {
    label: String,
    spend: Amount,
    requests: String,
    errors: String,
    tokens: String,
}

/// GET of the page.
async fn show(visit: Visit) -> Result<HttpResponse, ApiError> {
    let days = read_days(&Query::parse(visit.request.query_string()))?;
    let period = period_of(&visit, days);
    let (step, merchant_id) = (usual_step(period), visit.merchant_id());
    let most = u32::try_from(TOP).unwrap_or(u32::MAX);
    let shown = Most {
        models: TOP,
        providers: TOP,
    };
    let (report, keys) = futures_util::future::try_join(
        load(&visit.state, merchant_id, (period, step), shown),
        load_keys(&visit.state, merchant_id, (period, step), most),
    )
    .await?;
    let page = Page::of(visit.shell(Place::Overview), days, &report, &keys)?;
    shell::page(StatusCode::OK, &page)
}

/// GET of the same as a table.
async fn table(visit: Visit) -> Result<HttpResponse, ApiError> {
    let query = Query::parse(visit.request.query_string());
    let period = period_of(&visit, read_days(&query)?);
    let by = query.text("group_by")?.unwrap_or("model");
    let asked = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("from", &period.first.to_string())
        .append_pair("to", &period.last.to_string())
        .append_pair("group_by", by)
        .append_pair("top", "100")
        .append_pair("format", "csv")
        .finish();
    retrieve(visit.auth()?, visit.state.clone(), Query::parse(&asked)).await
}

/// So many days, today among them.
fn period_of(visit: &Visit, days: i64) -> TrafficPeriod {
    let now = DateTime::<Utc>::from_timestamp_millis(visit.now_ms()).unwrap_or_default();
    let last = now.date_naive();
    let first = last.checked_sub_signed(Duration::days(days - 1)).unwrap_or(last);
    TrafficPeriod { first, last }
}

fn read_days(query: &Query) -> Result<i64, ApiError> {
    let Some(text) = query.text("days")? else {
        return Ok(USUAL_DAYS);
    };
    let found = PERIODS.iter().find(|(days, _)| days.to_string() == text);
    found
        .map(|(days, _)| *days)
        .ok_or_else(|| ApiError::invalid("days", "must be one of 1, 7, 30, 90"))
}

impl Page {
    fn of(shell: Shell, days: i64, report: &Report, keys: &KeyReport) -> Result<Self, ApiError> {
        let (totals, series) = (&report.totals, &report.series);
        let labels: Vec<String> = report.steps.iter().map(|at| label(*at, report.step)).collect();
        let (step, summary) = match report.step {
            Step::Hour => ("hour", ["Spend by hour", "Requests by hour, errors among them"]),
            Step::Day => ("day", ["Spend by day", "Requests by day, errors among them"]),
        };
        let figures = |of: fn(&TrafficFigures) -> u64| series.iter().map(of).collect::<Vec<u64>>();
        let draw = |summary: &str, heights: &[u64], marked: &[u64], scale: fn(u64) -> String| {
            chart::draw(&Bars {
                summary,
                heights,
                marked,
                labels: &labels,
                scale,
            })
        };
        let spends = figures(|figures| figures.cost.nanos().unsigned_abs());
        let counts = figures(|figures| figures.request_count);
        let errors = figures(TrafficFigures::error_count);
        Ok(Self {
            periods: PERIODS
                .iter()
                .map(|(of, label)| Period {
                    days: *of,
                    label,
                    is_chosen: *of == days,
                })
                .collect(),
            days,
            from: report.period.first.format("%-d %b %Y").to_string(),
            to: report.period.last.format("%-d %b %Y").to_string(),
            step,
            is_empty: totals.request_count == 0,
            spend: Amount::of(totals.cost),
            before: before(report.before.cost, days),
            stats: stats(report),
            spend_chart: draw(summary[0], &spends, &[], dollars)?,
            request_chart: draw(summary[1], &counts, &errors, compact)?,
            points: labels
                .iter()
                .zip(series)
                .map(|(label, of)| Point::of(label, of))
                .collect(),
            errors: failures(totals),
            groups: rankings(report, keys),
            shell,
        })
    }
}

fn label(at: DateTime<Utc>, step: Step) -> String {
    match step {
        Step::Hour => at.format("%H:00").to_string(),
        Step::Day => at.format("%-d %b").to_string(),
    }
}

/// Nano-dollars at an axis.
fn dollars(nanos: u64) -> String {
    Amount::of(Money::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))).text()
}

/// What went before, beside what there is so far: today is not over, so that a share of the one in the other would say
/// less than there will be.
fn before(amount: Money, days: i64) -> String {
    let amount = match amount {
        Money::ZERO => "nothing".to_owned(),
        amount => Amount::of(amount).text(),
    };
    match days {
        1 => format!("so far; {amount} yesterday"),
        days => format!("so far; {amount} in the {days} days before"),
    }
}

fn stats(report: &Report) -> Vec<Stat> {
    let totals = &report.totals;
    let times = |spread: &Spread, label| {
        let at = |per_mille| spread.quantile_ms(per_mille).map_or_else(|| "–".to_owned(), length);
        Stat {
            label,
            figure: at(500),
            below: format!("p95 {}, p99 {}", at(950), at(990)),
            class: "",
        }
    };
    let errors = totals.error_count();
    let share = |share: Option<u64>| share.map_or_else(|| "–".to_owned(), percent);
    vec![
        Stat {
            label: "Requests",
            figure: compact(totals.request_count),
            below: format!("{} before", compact(report.before.request_count)),
            class: "",
        },
        Stat {
            label: "Tokens",
            figure: compact(totals.tokens()),
            below: format!(
                "{} in, {} out",
                compact(totals.total_input()),
                compact(totals.output_tokens)
            ),
            class: "",
        },
        Stat {
            label: "Input from caches",
            figure: share(totals.cache_per_mille()),
            below: format!("{} tokens", compact(totals.cache_read_tokens)),
            class: "",
        },
        Stat {
            label: "Errors",
            figure: share(totals.error_per_mille()),
            below: format!("{} requests", grouped(errors)),
            class: if totals.error_per_mille() >= Some(50) {
                "bad"
            } else {
                ""
            },
        },
        times(&report.timings.latency, "Latency, median"),
        times(&report.timings.first_token, "First token, median"),
    ]
}

fn failures(totals: &TrafficFigures) -> Vec<(&'static str, String)> {
    let word = |kind| match kind {
        Failure::Throttled => "Throttled by the provider (429)",
        Failure::Rejected => "Refused by the provider (other 4xx)",
        Failure::TimedOut => "Too slow (504)",
        Failure::Failed => "Failed (5xx)",
        Failure::Broken => "Broken off",
    };
    let kinds = Failure::ALL.into_iter().zip(totals.failures);
    kinds
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| (word(kind), grouped(count)))
        .collect()
}

impl Point {
    fn of(label: &str, figures: &TrafficFigures) -> Self {
        Self {
            label: label.to_owned(),
            spend: Amount::of(figures.cost),
            requests: grouped(figures.request_count),
            errors: grouped(figures.error_count()),
            tokens: compact(figures.tokens()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_is_not_over_is_not_measured_by_whole_ones() {
        let told = |nanos, days| before(Money::from_nanos(nanos), days);
        assert_eq!(told(1_500_000_000, 1), "so far; $1.50 yesterday");
        assert_eq!(told(1_500_000_000, 7), "so far; $1.50 in the 7 days before");
        assert_eq!(told(0, 30), "so far; nothing in the 30 days before");
    }
}
