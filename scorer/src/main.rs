//! The scorer: what runs in the Jobs, and `scorer run` and `scorer deduplicate` for a laptop.

mod run;

use std::future::Future;
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
    Deduplicate(run::DeduplicateArgs),
    Advise(run::AdviseArgs),
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
        Command::Run(arguments) => return locally(run::run(arguments)).await,
        Command::Deduplicate(arguments) => return locally(run::deduplicate(arguments)).await,
        Command::Advise(arguments) => return locally(async move { run::advise(&arguments) }).await,
        Command::Ingest(arguments) => Task::Ingest(arguments),
        Command::Score(arguments) => Task::Score(arguments),
        Command::Solve(arguments) => Task::Solve(arguments),
    };
    telemetry::init();
    job::execute(task).await
}

/// Does work for the person at the terminal, and tells what was wrong.
async fn locally(work: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    telemetry::init_with("warn");
    match work.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(EXIT_TROUBLE)
        }
    }
}
