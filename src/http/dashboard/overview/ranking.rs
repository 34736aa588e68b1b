//! What used most: models, keys and providers, the dearest first, with their shares.

use crate::domain::money::Money;
use crate::domain::traffic::{Spread, per_mille};
use crate::http::dashboard::shown::{Amount, compact, grouped, length, percent, thousandths};
use crate::http::traffic::report::{Group, KeyReport, Report};

/// What used most, of one kind.
pub struct Ranking {
    pub id: &'static str,
    pub title: &'static str,
    pub head: &'static str,
    pub has_times: bool,
    pub rows: Vec<Ranked>,
}

pub struct Ranked {
    pub name: String,
    /// Below the name.
    pub of: String,
    /// Where it leads; empty where nowhere.
    pub path: String,
    pub spend: Amount,
    /// Of all that was spent, in thousandths.
    pub width: u32,
    pub share: String,
    pub requests: String,
    pub tokens: String,
    pub errors: String,
    pub latency: String,
    pub first_token: String,
}

/// By model, key and provider.
pub fn rankings(report: &Report, keys: &KeyReport) -> Vec<Ranking> {
    let all = report.totals.cost;
    let by = |groups: &[Group]| groups.iter().map(|group| Ranked::of(group, all)).collect();
    let of_keys = keys.top.keys.iter().map(|key| {
        let totals = key.totals;
        Ranked {
            name: key.name.clone(),
            path: format!("/dashboard/spend_keys/{}", key.spend_key_id),
            errors: errors(totals.error_count, totals.request_count),
            requests: grouped(totals.request_count),
            tokens: compact(totals.tokens),
            ..Ranked::blank(totals.cost, all)
        }
    });
    let mut of_keys: Vec<Ranked> = of_keys.collect();
    let shown = keys
        .top
        .keys
        .iter()
        .fold(Money::ZERO, |sum, key| sum.saturating_add(key.totals.cost));
    let count = |of: u64, shown: fn(&crate::storage::traffic::KeyTotals) -> u64| {
        keys.top
            .keys
            .iter()
            .fold(of, |rest, key| rest.saturating_sub(shown(&key.totals)))
    };
    let requests = count(report.totals.request_count, |totals| totals.request_count);
    if requests > 0 {
        let others = keys.top.key_count.saturating_sub(keys.top.keys.len() as u64);
        of_keys.push(Ranked {
            name: "Other".to_owned(),
            of: format!("{} keys, and calls without one", grouped(others)),
            requests: grouped(requests),
            tokens: compact(count(report.totals.tokens(), |totals| totals.tokens)),
            errors: errors(
                count(report.totals.error_count(), |totals| totals.error_count),
                requests,
            ),
            ..Ranked::blank(all.saturating_sub(shown).or_zero(), all)
        });
    }
    let ranking = |id, title, head, rows: Vec<Ranked>| Ranking {
        id,
        title,
        head,
        has_times: id != "spend_key",
        rows,
    };
    vec![
        ranking("model", "By model", "Model", by(&report.models)),
        ranking("spend_key", "By key", "Key", of_keys),
        ranking("provider", "By provider", "Provider", by(&report.providers)),
    ]
}

fn errors(count: u64, of: u64) -> String {
    match per_mille(count, of) {
        Some(share) if count > 0 => percent(share),
        Some(_) | None => "–".to_owned(),
    }
}

impl Ranked {
    fn of(group: &Group, all: Money) -> Self {
        let totals = &group.totals;
        let time = |spread: &Spread| spread.quantile_ms(500).map_or_else(|| "–".to_owned(), length);
        let asked = |pairs: &[(&str, &str)]| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            pairs.iter().for_each(|(name, value)| {
                query.append_pair(name, value);
            });
            format!("/dashboard/requests?{}", query.finish())
        };
        let provider = group.provider.as_str();
        let (name, of, path) = match group.model.as_deref() {
            _ if provider.is_empty() => ("Other".to_owned(), String::new(), String::new()),
            Some("") => ("Unnamed".to_owned(), provider.to_owned(), String::new()),
            Some(model) => (
                model.to_owned(),
                provider.to_owned(),
                asked(&[("model", model), ("provider", provider)]),
            ),
            None => (provider.to_owned(), String::new(), asked(&[("provider", provider)])),
        };
        Self {
            name,
            of,
            path,
            requests: grouped(totals.request_count),
            tokens: compact(totals.tokens()),
            errors: errors(totals.error_count(), totals.request_count),
            latency: time(&group.timings.latency),
            first_token: time(&group.timings.first_token),
            ..Self::blank(totals.cost, all)
        }
    }

    /// Nothing but what it cost, of all that was spent.
    fn blank(cost: Money, all: Money) -> Self {
        let (part, whole) = (cost.nanos().unsigned_abs(), all.nanos().unsigned_abs());
        Self {
            name: String::new(),
            of: String::new(),
            path: String::new(),
            spend: Amount::of(cost),
            width: thousandths(cost, all),
            share: per_mille(part, whole).map_or_else(|| "–".to_owned(), percent),
            requests: String::new(),
            tokens: String::new(),
            errors: String::new(),
            latency: String::new(),
            first_token: String::new(),
        }
    }
}
