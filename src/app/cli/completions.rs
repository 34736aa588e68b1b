//! `caldera completions SHELL`: what a shell completes behind `caldera`, on standard output.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::failure::Outcome;
use super::output::write_line;

#[derive(Debug, Args)]
pub struct CompletionArguments {
    shell: Shell,
}

/// Writes the completions of this command line.
pub fn run<A: CommandFactory>(arguments: &CompletionArguments) -> Outcome {
    let mut script = Vec::new();
    generate(arguments.shell, &mut A::command(), "caldera", &mut script);
    write_line(&String::from_utf8_lossy(&script))
}
