//! The scorer: what runs in the Jobs, and `scorer run` for a laptop.

mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use scorer::job::{self, EXIT_TROUBLE, IngestArgs, ScoreArgs, SolveArgs, Task};
use scorer::telemetry;

/// Links records that belong to one person, from their encodings alone
#[derive(Parser)]
#[command(name = "scorer", version, subcommand_required = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::RunArgs),
    /// Takes a party's objects in: checks them, and stores them in the form that scoring reads
    Ingest(IngestArgs),
    /// Compares one shard of the records; with a single shard, solves as well
    Score(ScoreArgs),
    /// Merges the pairs of all shards, and writes the result
    Solve(SolveArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let task = match Arguments::parse().command {
        Command::Run(arguments) => {
            telemetry::init_with("warn");
            return match run::run(arguments).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("error: {error:#}");
                    ExitCode::from(EXIT_TROUBLE)
                }
            };
        }
        Command::Ingest(arguments) => Task::Ingest(arguments),
        Command::Score(arguments) => Task::Score(arguments),
        Command::Solve(arguments) => Task::Solve(arguments),
    };
    telemetry::init();
    job::execute(task).await
}
