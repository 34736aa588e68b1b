//! The load generator of Caldera, and the yardstick that it is measured against.
//! `pass-through` is the bare proxy, `run` is one load against one address, and `compare` does the whole comparison.
//! It only measures: nothing of the server is linked in, so every figure is taken from outside, over sockets and /proc.
//! Every run is bounded in time and in connections.

mod answer;
mod compare;
mod connection;
mod failure;
mod histogram;
mod load;
mod pass_through;
mod request;
mod run;
mod tally;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The same allocator as Caldera's, so that the comparison is fair.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "caldera-load-tests", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve as the bare pass-through: actix-web and awc, nothing else.
    PassThrough(pass_through::PassThroughArguments),
    /// Put one load on a server and print what came back.
    Run(run::RunArguments),
    /// Measure the simulated provider, the pass-through and Caldera in turn, then check the books.
    Compare(compare::CompareArguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::PassThrough(arguments) => pass_through::serve(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("caldera-load-tests: {failure}");
        ExitCode::from(2)
    })
}
