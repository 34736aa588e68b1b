//! The `run` command: one load against one address, and its figures as text or as JSON.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::failure::{Doing, Failure};
use crate::load::{self, End, Load, Pace};
use crate::request::{Delivery, Prompt, Target, Template};
use crate::tally::{Quantiles, Summary};

/// How requests are paced.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    Closed,
    Open,
}

/// Arguments of `run`.
#[derive(Args)]
pub struct RunArguments {
    /// The server, such as http://127.0.0.1:8787 (plain http only).
    #[arg(long)]
    url: String,
    #[arg(long, default_value = "/v1/chat/completions")]
    path: String,
    /// Closed: as fast as the answers come. Open: at a constant rate, latency from the intended sending.
    #[arg(long, value_enum, default_value_t = Mode::Closed)]
    mode: Mode,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Requests a second, in open mode.
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    #[arg(long, default_value_t = 10)]
    duration_seconds: u64,
    /// End after so many requests instead of after a time.
    #[arg(long)]
    count: Option<u64>,
    /// Ask for streams.
    #[arg(long)]
    stream: bool,
    /// A file with one key a line, used in turn.
    #[arg(long, conflicts_with = "key")]
    keys: Option<PathBuf>,
    /// The one key to use.
    #[arg(long, default_value = "sim")]
    key: String,
    /// About how long a request's body is.
    #[arg(long, default_value_t = 500)]
    prompt_bytes: usize,
    #[arg(long, default_value = "gpt-4o-mini")]
    model: String,
    /// What the simulated provider is told, in the words of its own directives.
    #[arg(long, default_value = "output_tokens=16")]
    directive: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the load; the exit code is 1 when anything but a 2xx came back.
pub fn run(arguments: &RunArguments) -> Result<ExitCode, Failure> {
    let load = plan(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .doing("starting")?;
    let summary = runtime.block_on(load::run(&load))?.summary();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&summary).doing("writing JSON")?);
    } else {
        print_summary(&summary);
    }
    Ok(if summary.error_count == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn plan(arguments: &RunArguments) -> Result<Load, Failure> {
    if arguments.connections == 0 {
        return Err(Failure::new("--connections must be at least 1"));
    }
    let address = address_of(&arguments.url)?;
    let delivery = if arguments.stream {
        Delivery::Streamed
    } else {
        Delivery::Whole
    };
    let prompt = Prompt {
        model: arguments.model.clone(),
        prompt_bytes: arguments.prompt_bytes,
        delivery,
        directive: arguments.directive.clone(),
    };
    let target = Target {
        address,
        method: "POST",
        path: &arguments.path,
    };
    let duration = End::After(Duration::from_secs(arguments.duration_seconds));
    Ok(Load {
        address,
        pace: match arguments.mode {
            Mode::Closed => Pace::Closed,
            Mode::Open => Pace::Open {
                rate_per_second: arguments.rate,
            },
        },
        end: arguments.count.map_or(duration, End::Count),
        connection_count: arguments.connections,
        template: Template::new(target, &prompt.body()),
        keys: keys_of(arguments)?.into(),
    })
}

fn address_of(url: &str) -> Result<SocketAddr, Failure> {
    let host = url
        .strip_prefix("http://")
        .ok_or_else(|| Failure::new("--url must begin with http://"))?;
    let mut found = host
        .trim_end_matches('/')
        .to_socket_addrs()
        .doing("finding the server's address")?;
    found
        .next()
        .ok_or_else(|| Failure::new("the server's name has no address"))
}

fn keys_of(arguments: &RunArguments) -> Result<Vec<String>, Failure> {
    let Some(file) = &arguments.keys else {
        return Ok(vec![arguments.key.clone()]);
    };
    let text = std::fs::read_to_string(file).doing("reading the keys")?;
    let keys: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if keys.is_empty() {
        return Err(Failure::new("the file of keys is empty"));
    }
    Ok(keys)
}

fn print_summary(summary: &Summary) {
    println!("requests a second  {}", summary.requests_per_second);
    println!(
        "answered           {} in {} ms",
        summary.answered_count, summary.elapsed_ms
    );
    for (status, count) in &summary.statuses {
        println!("status {status}         {count}");
    }
    println!("failed             {}", summary.failed_count);
    println!("unfinished         {}", summary.unfinished_count);
    print_quantiles("latency    ", summary.latency);
    print_quantiles("first byte ", summary.first_byte);
}

fn print_quantiles(name: &str, quantiles: Quantiles) {
    let [p50, p99, p999] = quantiles.nanos().map(|nanos| nanos / 1000);
    println!("{name}        p50 {p50} us, p99 {p99} us, p99.9 {p999} us");
}
