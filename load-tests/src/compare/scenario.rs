//! The loads of the comparison, and the measuring of one: every lane in turn, round after round, so that noise of the machine
//! falls on all alike; then medians. The processor time of a round is read only when the lane's processes have become quiet,
//! so that work which Caldera does after the answer is counted too.

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::arena::Arena;
use super::lane::{Figures, Lane};
use super::process;
use crate::failure::Failure;
use crate::load::{self, End, Load, Pace};
use crate::request::{Delivery, Prompt, Target, Template};
use crate::tally::Tally;

/// How long an answer is, so that every lane serves the same.
pub const DIRECTIVE: &str = "output_tokens=16";
pub const PATH: &str = "/v1/chat/completions";
const QUIET_STEP: Duration = Duration::from_millis(150);
const QUIET_LIMIT: Duration = Duration::from_secs(5);
/// A process that uses less than this in a step is quiet.
const QUIET_NANOS: u64 = 20_000_000;

/// Which load is put on each lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    ManyKeys,
    OneHotKey,
    ConstantRate,
    Streams,
    LongPrompts,
}

/// How long and how often.
#[derive(Clone, Copy)]
pub struct Plan {
    pub rounds: usize,
    pub round: Duration,
    pub warm_up: Duration,
    pub rate_per_second: u32,
    pub connection_count: usize,
}

/// What one lane did in one scenario.
#[derive(Serialize)]
pub struct Row {
    pub lane: Lane,
    pub median: Figures,
    pub rounds: Vec<Figures>,
}

/// What all lanes did in one scenario.
#[derive(Serialize)]
pub struct ScenarioResult {
    pub scenario: Scenario,
    pub title: &'static str,
    pub rows: Vec<Row>,
}

/// What Caldera was sent so far, and what did not end well.
#[derive(Default)]
pub struct SentCount {
    pub answered: u64,
    pub errors: u64,
}

impl Scenario {
    /// Every scenario, in the order in which they run. Those of one group take turns round by round: one hot key is held against
    /// many keys, so both must meet the same noise.
    pub const GROUPS: [&[Self]; 4] = [
        &[Self::ManyKeys, Self::OneHotKey],
        &[Self::ConstantRate],
        &[Self::Streams],
        &[Self::LongPrompts],
    ];

    /// The name as it is printed.
    pub fn title(self) -> &'static str {
        match self {
            Self::ManyKeys => "0.5 kB, all keys",
            Self::OneHotKey => "0.5 kB, one hot key",
            Self::ConstantRate => "0.5 kB, constant rate",
            Self::Streams => "streams, 0.5 kB",
            Self::LongPrompts => "100 kB prompts",
        }
    }

    fn prompt(self, lane: Lane) -> Prompt {
        let (prompt_bytes, delivery) = match self {
            Self::ManyKeys | Self::OneHotKey | Self::ConstantRate => (500, Delivery::Whole),
            Self::Streams => (500, Delivery::Streamed),
            Self::LongPrompts => (100_000, Delivery::Whole),
        };
        Prompt {
            model: lane.model().to_owned(),
            prompt_bytes,
            delivery,
            directive: DIRECTIVE.to_owned(),
        }
    }

    fn pace(self, plan: &Plan) -> Pace {
        match self {
            Self::ManyKeys | Self::OneHotKey | Self::Streams | Self::LongPrompts => Pace::Closed,
            Self::ConstantRate => Pace::Open {
                rate_per_second: plan.rate_per_second,
            },
        }
    }

    fn keys(self, arena: &Arena) -> Rc<[String]> {
        match self {
            Self::OneHotKey => Rc::from(&arena.keys[..1]),
            Self::ManyKeys | Self::ConstantRate | Self::Streams | Self::LongPrompts => Rc::clone(&arena.keys),
        }
    }
}

impl ScenarioResult {
    /// The medians of one lane.
    pub fn median(&self, lane: Lane) -> Option<&Figures> {
        self.rows.iter().find(|row| row.lane == lane).map(|row| &row.median)
    }
}

/// Measures a group of scenarios on every lane.
pub async fn measure(
    arena: &Arena,
    group: &[Scenario],
    plan: &Plan,
    sent: &mut SentCount,
) -> Result<Vec<ScenarioResult>, Failure> {
    let mut results: Vec<ScenarioResult> = group.iter().map(|scenario| empty(arena, *scenario)).collect();
    for result in &results {
        for row in &result.rows {
            put_load(arena, (result.scenario, row.lane), (plan, plan.warm_up), sent).await?;
        }
    }
    for _ in 0..plan.rounds {
        for result in &mut results {
            for row in &mut result.rows {
                let round = measure_round(arena, (result.scenario, row.lane), plan, sent).await?;
                row.rounds.push(round);
                row.median = Figures::median_of(&row.rounds);
            }
        }
    }
    Ok(results)
}

fn empty(arena: &Arena, scenario: Scenario) -> ScenarioResult {
    let rows = arena.lanes().into_iter().map(|lane| Row {
        lane,
        median: Figures::median_of(&[]),
        rounds: Vec::new(),
    });
    ScenarioResult {
        scenario,
        title: scenario.title(),
        rows: rows.collect(),
    }
}

async fn measure_round(
    arena: &Arena,
    what: (Scenario, Lane),
    plan: &Plan,
    sent: &mut SentCount,
) -> Result<Figures, Failure> {
    let lane = what.1;
    let pid = arena.server(lane).pid;
    wait_until_quiet(arena, lane).await;
    let (own_before, postgres_before) = (process::cpu_nanos(pid), arena.postgres_cpu_nanos(lane));
    let tally = put_load(arena, what, (plan, plan.round), sent).await?;
    wait_until_quiet(arena, lane).await;
    let (own_after, postgres_after) = (process::cpu_nanos(pid), arena.postgres_cpu_nanos(lane));
    let summary = tally.summary();
    let per_request = |nanos: u64| nanos / summary.answered_count.max(1);
    Ok(Figures {
        requests_per_second: summary.requests_per_second,
        cpu_nanos: per_request(own_after.saturating_sub(own_before)),
        postgres_cpu_nanos: per_request(postgres_after.saturating_sub(postgres_before)),
        latency: summary.latency,
        first_byte: summary.first_byte,
        resident_kib: process::resident_kib(pid),
        error_count: summary.error_count,
    })
}

async fn put_load(
    arena: &Arena,
    (scenario, lane): (Scenario, Lane),
    (plan, duration): (&Plan, Duration),
    sent: &mut SentCount,
) -> Result<Tally, Failure> {
    let address = arena.server(lane).address;
    let target = Target {
        address,
        method: "POST",
        path: PATH,
    };
    let load = Load {
        address,
        pace: scenario.pace(plan),
        end: End::After(duration),
        connection_count: plan.connection_count,
        template: Template::new(target, &scenario.prompt(lane).body()),
        keys: scenario.keys(arena),
    };
    let tally = load::run(&load).await?;
    if lane == Lane::Caldera {
        sent.answered += tally.answered_count();
        sent.errors += tally.error_count();
    }
    Ok(tally)
}

/// Waits, at most five seconds, until the lane's processes hardly use the processor.
pub async fn wait_until_quiet(arena: &Arena, lane: Lane) {
    let used = || process::cpu_nanos(arena.server(lane).pid) + arena.postgres_cpu_nanos(lane);
    let mut last = used();
    let mut waited = Duration::ZERO;
    while waited < QUIET_LIMIT {
        tokio::time::sleep(QUIET_STEP).await;
        waited += QUIET_STEP;
        let now = used();
        if now.saturating_sub(last) < QUIET_NANOS {
            return;
        }
        last = now;
    }
}
