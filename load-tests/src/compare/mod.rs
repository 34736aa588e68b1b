//! The `compare` command: starts everything, measures every scenario, checks the books, and reports as text, JSON and a chart.
//! It exits with 1 when one of the four figures of the books is not zero; missed targets are reported and do not fail it.

mod arena;
mod books;
mod chart;
mod idle;
mod lane;
mod management;
mod money;
mod process;
mod report;
mod scenario;
mod secret;
mod server;
mod table;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use clap::Args;

use crate::failure::{Doing, Failure};
use arena::Arena;
use idle::IdleStreams;
use lane::Lane;
use report::{Machine, Report};
use scenario::{Plan, Scenario, SentCount};

/// Arguments of `compare`.
#[derive(Args)]
pub struct CompareArguments {
    /// Caldera's program; by default the one beside this program.
    #[arg(long)]
    caldera: Option<PathBuf>,
    /// The program that serves as the simulated provider; by default Caldera's.
    #[arg(long)]
    simulator: Option<PathBuf>,
    /// Measure only the simulated provider and the pass-through.
    #[arg(long)]
    skip_caldera: bool,
    /// About a minute instead of about five.
    #[arg(long)]
    quick: bool,
    /// How many rounds; by default 5, quick 3.
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each round is; by default 3000, quick 800.
    #[arg(long)]
    round_ms: Option<u64>,
    /// How many spend keys.
    #[arg(long, default_value_t = 10_000)]
    keys: usize,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Requests a second at the constant rate.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// How many idle streams.
    #[arg(long, default_value_t = 2000)]
    idle_streams: usize,
    /// Write everything that was measured to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write a chart to this file, as SVG.
    #[arg(long)]
    svg: Option<PathBuf>,
}

impl CompareArguments {
    fn caldera_program(&self) -> Result<PathBuf, Failure> {
        if let Some(program) = &self.caldera {
            return Ok(program.clone());
        }
        let here = std::env::current_exe().doing("finding this program")?;
        Ok(here.with_file_name("caldera"))
    }

    fn simulator_program(&self) -> Result<PathBuf, Failure> {
        self.simulator.clone().map_or_else(|| self.caldera_program(), Ok)
    }

    fn plan(&self) -> Plan {
        let (rounds, round_ms, warm_up_ms) = if self.quick { (3, 800, 300) } else { (5, 3000, 1000) };
        Plan {
            rounds: self.rounds.unwrap_or(rounds).max(1),
            round: Duration::from_millis(self.round_ms.unwrap_or(round_ms)),
            warm_up: Duration::from_millis(warm_up_ms),
            rate_per_second: self.rate,
            connection_count: self.connections,
        }
    }
}

/// Runs the comparison and prints it.
pub fn compare(arguments: &CompareArguments) -> Result<ExitCode, Failure> {
    if arguments.keys == 0 || arguments.connections == 0 {
        return Err(Failure::new("--keys and --connections must be at least 1"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("starting")?;
    let report = runtime.block_on(measure(arguments))?;
    println!("{}", table::write(&report));
    if let Some(file) = &arguments.json {
        let text = serde_json::to_string_pretty(&report).doing("writing JSON")?;
        fs::write(file, text + "\n").doing("writing the JSON file")?;
    }
    if let Some(file) = &arguments.svg {
        fs::write(file, chart::draw(&report)).doing("writing the chart")?;
    }
    let wrong = report.books.as_ref().is_some_and(|books| !books.balance());
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(arguments: &CompareArguments) -> Result<Report, Failure> {
    let plan = arguments.plan();
    let started_at = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    eprintln!("starting the servers and minting {} keys", arguments.keys);
    let mut arena = Arena::start(arguments).await?;
    let mut sent = SentCount::default();
    let mut scenarios = Vec::new();
    for group in Scenario::GROUPS {
        let titles: Vec<&str> = group.iter().map(|scenario| scenario.title()).collect();
        eprintln!("measuring: {}", titles.join("; "));
        scenarios.extend(scenario::measure(&arena, group, &plan, &mut sent).await?);
    }
    let books = if arguments.skip_caldera {
        None
    } else {
        eprintln!(
            "checking the books ({} calls of Caldera ended in an error)",
            sent.errors
        );
        Some(books::check(&arena, sent.answered).await?)
    };
    let idle_streams = measure_idle_streams(&mut arena, arguments.idle_streams).await?;
    let mut report = Report {
        started_at,
        machine: Machine::here(),
        key_count: arguments.keys,
        rounds: plan.rounds,
        round_ms: u64::try_from(plan.round.as_millis()).unwrap_or(u64::MAX),
        connection_count: plan.connection_count,
        rate_per_second: plan.rate_per_second,
        scenarios,
        idle_streams,
        targets: Vec::new(),
        books,
    };
    report.judge();
    Ok(report)
}

async fn measure_idle_streams(arena: &mut Arena, stream_count: usize) -> Result<Vec<IdleStreams>, Failure> {
    eprintln!("measuring: {stream_count} idle streams");
    arena.restart().await?;
    let mut measured = Vec::new();
    for lane in arena.lanes().into_iter().filter(|lane| *lane != Lane::Direct) {
        measured.push(idle::measure(arena, lane, stream_count).await?);
    }
    Ok(measured)
}
