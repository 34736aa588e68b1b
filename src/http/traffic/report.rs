//! A report of what went through in a period: totals, those of the period before, the course of it by hours or days, and the
//! same by model and by provider, with their times. Whoever shows it asks for it here. Callers name models as they like,
//! so there may be many: all of it is summed in one pass, on the thread that read it, and only what is shown is kept.

use std::collections::BTreeMap;

use actix_web::web;
use chrono::{DateTime, Utc};

use crate::domain::ids::MerchantId;
use crate::domain::traffic::{Timings, TrafficFigures};
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::storage::traffic::{self as rows, KeyPart, ModelTimings, Step, TopKeys, TrafficPart, TrafficPeriod};

/// What a report sums by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    Model,
    Provider,
}

/// How many models and providers are summed by themselves; those behind them are one group, without a name. Of none, no
/// group is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Most {
    pub models: usize,
    pub providers: usize,
}

/// What went through in a period.
#[derive(Clone, Debug)]
pub struct Report {
    pub period: TrafficPeriod,
    pub step: Step,
    /// When the steps begin, oldest first.
    pub steps: Vec<DateTime<Utc>>,
    pub totals: TrafficFigures,
    /// Of as many days just before.
    pub before: TrafficFigures,
    pub timings: Timings,
    /// One for each step.
    pub series: Vec<TrafficFigures>,
    /// The dearest first.
    pub models: Vec<Group>,
    /// The dearest first.
    pub providers: Vec<Group>,
}

/// What went to one model or provider.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Of a model, the one that has it; empty of those that are not shown by themselves.
    pub provider: String,
    /// `None` of a provider.
    pub model: Option<String>,
    pub totals: TrafficFigures,
    pub timings: Timings,
    /// One for each step.
    pub series: Vec<TrafficFigures>,
}

/// What spend keys used.
#[derive(Clone, Debug, Default)]
pub struct KeyReport {
    pub top: TopKeys,
    /// In no order; steps in which a key was not used are left out.
    pub parts: Vec<KeyPart>,
}

/// By hours for a day or two, else by days.
pub fn usual_step(period: TrafficPeriod) -> Step {
    if period.day_count() <= 2 { Step::Hour } else { Step::Day }
}

/// All but the keys.
pub async fn load(
    state: &web::Data<AppState>,
    merchant_id: MerchantId,
    (period, step): (TrafficPeriod, Step),
    most: Most,
) -> Result<Report, ApiError> {
    let work = state.database.run(move |connection| {
        let rows = Rows {
            steps: period.steps(step),
            parts: rows::parts(connection, merchant_id, period, step)?,
            times: rows::timings(connection, merchant_id, period)?,
        };
        let before = match period.before() {
            Some(before) => rows::totals(connection, merchant_id, before)?,
            None => TrafficFigures::default(),
        };
        let mut timings = Timings::default();
        rows.times.iter().for_each(|of| timings.add(&of.timings));
        let series = rows.series(&rows.parts);
        Ok(Report {
            period,
            step,
            totals: series.iter().fold(TrafficFigures::default(), |sum, of| sum.plus(*of)),
            before,
            timings,
            series,
            models: rows.groups(Dimension::Model, most.models),
            providers: rows.groups(Dimension::Provider, most.providers),
            steps: rows.steps,
        })
    });
    Ok(work.await?)
}

/// The keys that spent most, at most so many, and how their use went.
pub async fn load_keys(
    state: &web::Data<AppState>,
    merchant_id: MerchantId,
    (period, step): (TrafficPeriod, Step),
    most: u32,
) -> Result<KeyReport, ApiError> {
    let work = state.database.run(move |connection| {
        let top = rows::top_keys(connection, merchant_id, period, most)?;
        let ids: Vec<_> = top.keys.iter().map(|key| key.spend_key_id).collect();
        let parts = rows::key_series(connection, merchant_id, period, (&ids, step))?;
        Ok(KeyReport { top, parts })
    });
    Ok(work.await?)
}

/// What a report is made of.
struct Rows {
    steps: Vec<DateTime<Utc>>,
    parts: Vec<TrafficPart>,
    times: Vec<ModelTimings>,
}

/// What is found of one group.
#[derive(Default)]
struct Found<'r> {
    totals: TrafficFigures,
    timings: Timings,
    parts: Vec<&'r TrafficPart>,
}

impl Rows {
    /// The dearest first; those behind the first so many are the last one's, which has no name.
    fn groups(&self, dimension: Dimension, most: usize) -> Vec<Group> {
        if most == 0 {
            return Vec::new();
        }
        let mut found: Vec<((&str, Option<&str>), Found<'_>)> = self.found(dimension).into_iter().collect();
        found.sort_by(|(_, one), (_, other)| {
            let rank = |of: &Found<'_>| (of.totals.cost, of.totals.request_count);
            rank(other).cmp(&rank(one))
        });
        let rest = found.split_off(most.min(found.len()));
        let group = |((provider, model), of): ((&str, Option<&str>), Found<'_>)| Group {
            provider: provider.to_owned(),
            model: model.map(str::to_owned),
            totals: of.totals,
            timings: of.timings,
            series: self.series(of.parts),
        };
        let mut groups: Vec<Group> = found.into_iter().map(group).collect();
        if !rest.is_empty() {
            let mut other = Found::default();
            for (_, of) in rest {
                other.totals = other.totals.plus(of.totals);
                other.timings.add(&of.timings);
                other.parts.extend(of.parts);
            }
            groups.push(group((("", None), other)));
        }
        groups
    }

    /// By the names of groups. What took time without having been counted came in between the two readings.
    fn found(&self, dimension: Dimension) -> BTreeMap<(&str, Option<&str>), Found<'_>> {
        let mut found: BTreeMap<_, Found<'_>> = BTreeMap::new();
        for part in &self.parts {
            let of = found.entry(dimension.name(&part.provider, &part.model)).or_default();
            of.totals = of.totals.plus(part.figures);
            of.parts.push(part);
        }
        for times in &self.times {
            if let Some(of) = found.get_mut(&dimension.name(&times.provider, &times.model)) {
                of.timings.add(&times.timings);
            }
        }
        found
    }

    fn series<'r>(&self, parts: impl IntoIterator<Item = &'r TrafficPart>) -> Vec<TrafficFigures> {
        let mut series = vec![TrafficFigures::default(); self.steps.len()];
        for part in parts {
            if let Ok(place) = self.steps.binary_search(&part.at) {
                series[place] = series[place].plus(part.figures);
            }
        }
        series
    }
}

impl Dimension {
    fn name<'r>(self, provider: &'r str, model: &'r str) -> (&'r str, Option<&'r str>) {
        match self {
            Self::Model => (provider, Some(model)),
            Self::Provider => (provider, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;

    /// Twenty thousand models of two providers, each dearer than the one before, one call to each.
    fn rows() -> Rows {
        let at = DateTime::<Utc>::UNIX_EPOCH;
        let part = |number: usize| TrafficPart {
            at,
            provider: ["anthropic", "openai"][number % 2].to_owned(),
            model: format!("invented-{number}"),
            figures: TrafficFigures {
                request_count: 1,
                cost: Money::from_nanos(number as i64),
                ..TrafficFigures::default()
            },
        };
        let parts: Vec<TrafficPart> = (0..20_000).map(part).collect();
        let times = |part: &TrafficPart| {
            let mut timings = Timings::default();
            timings.latency.count(1);
            ModelTimings {
                provider: part.provider.clone(),
                model: part.model.clone(),
                timings,
            }
        };
        Rows {
            steps: vec![at],
            times: parts.iter().map(times).collect(),
            parts,
        }
    }

    #[test]
    fn what_is_not_shown_by_itself_is_one_group_with_its_times() {
        let rows = rows();
        let groups = rows.groups(Dimension::Model, 2);
        let models: Vec<Option<&str>> = groups.iter().map(|group| group.model.as_deref()).collect();
        assert_eq!(models, [Some("invented-19999"), Some("invented-19998"), None]);
        let counts = |group: &Group| {
            let series: u64 = group.series.iter().map(|of| of.request_count).sum();
            (group.totals.request_count, group.timings.latency.total(), series)
        };
        assert_eq!(
            groups.iter().map(counts).collect::<Vec<_>>(),
            [(1, 1, 1), (1, 1, 1), (19_998, 19_998, 19_998)]
        );
        let providers = rows.groups(Dimension::Provider, 2);
        assert_eq!(
            providers.iter().map(counts).collect::<Vec<_>>(),
            [(10_000, 10_000, 10_000); 2]
        );
        assert!(rows.groups(Dimension::Provider, 0).is_empty());
    }
}
