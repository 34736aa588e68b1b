//! A report of what went through in a period: totals, those of the period before, the course of it by hours or days, and the
//! same by model and by provider, with their times. Whoever shows it asks for it here.

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
    parts: Vec<TrafficPart>,
    times: Vec<ModelTimings>,
}

/// What went to one model or provider.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Of a model, the one that has it.
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
    period: TrafficPeriod,
    step: Step,
) -> Result<Report, ApiError> {
    let work = state.database.run(move |connection| {
        let parts = rows::parts(connection, merchant_id, period, step)?;
        let times = rows::timings(connection, merchant_id, period)?;
        let before = match period.before() {
            Some(before) => rows::totals(connection, merchant_id, before)?,
            None => TrafficFigures::default(),
        };
        Ok((parts, times, before))
    });
    let (parts, times, before) = work.await?;
    let totals = parts
        .iter()
        .fold(TrafficFigures::default(), |sum, part| sum.plus(part.figures));
    let mut timings = Timings::default();
    times.iter().for_each(|of| timings.add(&of.timings));
    Ok(Report {
        period,
        step,
        steps: period.steps(step),
        totals,
        before,
        timings,
        parts,
        times,
    })
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

impl Report {
    /// One for each step.
    pub fn series(&self) -> Vec<TrafficFigures> {
        self.series_of(self.parts.iter())
    }

    /// By models or providers, the dearest first; those behind the first so many are the last one's, which has no name.
    pub fn groups(&self, dimension: Dimension, most: usize) -> Vec<Group> {
        type Sum<'a> = (TrafficFigures, Vec<&'a TrafficPart>);
        let mut groups: BTreeMap<(String, Option<String>), Sum<'_>> = BTreeMap::new();
        for part in &self.parts {
            let (sum, parts) = groups.entry(name(dimension, &part.provider, &part.model)).or_default();
            *sum = sum.plus(part.figures);
            parts.push(part);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by(|(_, (one, _)), (_, (other, _))| {
            let rank = |figures: &TrafficFigures| (figures.cost, figures.request_count);
            rank(other).cmp(&rank(one))
        });
        let rest = groups.split_off(most.min(groups.len()));
        let mut shown: Vec<Group> = groups
            .into_iter()
            .map(|(name, (totals, parts))| self.group(dimension, name, totals, &parts))
            .collect();
        if !rest.is_empty() {
            let mut other = Group::default();
            let mut parts = Vec::new();
            for (name, (totals, of)) in rest {
                other.totals = other.totals.plus(totals);
                other.timings.add(&self.times_of(dimension, &name));
                parts.extend(of);
            }
            other.series = self.series_of(parts.into_iter());
            shown.push(other);
        }
        shown
    }

    fn group(
        &self,
        dimension: Dimension,
        name: (String, Option<String>),
        totals: TrafficFigures,
        parts: &[&TrafficPart],
    ) -> Group {
        Group {
            timings: self.times_of(dimension, &name),
            provider: name.0,
            model: name.1,
            totals,
            series: self.series_of(parts.iter().copied()),
        }
    }

    fn times_of(&self, dimension: Dimension, of: &(String, Option<String>)) -> Timings {
        let mut timings = Timings::default();
        for times in &self.times {
            if name(dimension, &times.provider, &times.model) == *of {
                timings.add(&times.timings);
            }
        }
        timings
    }

    fn series_of<'a>(&self, parts: impl Iterator<Item = &'a TrafficPart>) -> Vec<TrafficFigures> {
        let mut series = vec![TrafficFigures::default(); self.steps.len()];
        for part in parts {
            if let Ok(place) = self.steps.binary_search(&part.at) {
                series[place] = series[place].plus(part.figures);
            }
        }
        series
    }
}

fn name(dimension: Dimension, provider: &str, model: &str) -> (String, Option<String>) {
    let model = match dimension {
        Dimension::Model => Some(model.to_owned()),
        Dimension::Provider => None,
    };
    (provider.to_owned(), model)
}
