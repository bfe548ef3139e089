use std::path::PathBuf;

use clap::Args;

use crate::paillier::PublicKey;
use crate::plan::{FORMAT_VERSION, IngestPlan, ResultType, RunPlan};
use crate::solve::Solver;
use crate::store::StoreArgs;

/// Settings that all Jobs share.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Job")]
pub struct JobArgs {
    /// Address on which to serve /progress, /metrics and /healthz
    #[arg(long, env = "LISTEN", value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    pub listen: String,

    /// Directory for temporary files [default: the system's]
    #[arg(long, env = "SCRATCH_DIR", value_name = "DIR")]
    pub scratch: Option<PathBuf>,

    /// File for the last words: what was done, or why not, as JSON
    #[arg(long, env = "TERMINATION_LOG", value_name = "FILE", default_value = super::outcome::TERMINATION_LOG)]
    pub termination_log: PathBuf,

    /// Where the objects are.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `scorer ingest`
#[derive(Args, Clone, Debug)]
pub struct IngestArgs {
    /// What to do, as JSON
    #[arg(long, env = "INGEST_PLAN", value_name = "JSON", hide_env_values = true, value_parser = ingest_plan)]
    pub plan: IngestPlan,

    /// What all Jobs need.
    #[command(flatten)]
    pub job: JobArgs,
}

/// `scorer score`
#[derive(Args, Clone, Debug)]
pub struct ScoreArgs {
    /// What to do, as JSON
    #[arg(long, env = "RUN_PLAN", value_name = "JSON", hide_env_values = true, value_parser = score_plan)]
    pub plan: RunPlan,

    /// Which part of the comparisons to do, from 0
    #[arg(long, env = "JOB_COMPLETION_INDEX", value_name = "NUMBER", default_value_t = 0)]
    pub shard: u32,

    /// Memory to use in all, in bytes [default: what the plan says]
    #[arg(long, env = "MEMORY_LIMIT", value_name = "BYTES")]
    pub memory_limit: Option<u64>,

    /// What all Jobs need.
    #[command(flatten)]
    pub job: JobArgs,
}

/// `scorer solve`
#[derive(Args, Clone, Debug)]
pub struct SolveArgs {
    /// What to do, as JSON
    #[arg(long, env = "RUN_PLAN", value_name = "JSON", hide_env_values = true, value_parser = run_plan)]
    pub plan: RunPlan,

    /// Memory to use in all, in bytes [default: what the plan says]
    #[arg(long, env = "MEMORY_LIMIT", value_name = "BYTES")]
    pub memory_limit: Option<u64>,

    /// What all Jobs need.
    #[command(flatten)]
    pub job: JobArgs,
}

fn ingest_plan(text: &str) -> Result<IngestPlan, String> {
    let plan: IngestPlan = serde_json::from_str(text).map_err(|error| error.to_string())?;
    check_version(plan.version)?;
    check_prefix(&plan.output)?;
    Ok(plan)
}

fn score_plan(text: &str) -> Result<RunPlan, String> {
    let plan = run_plan(text)?;
    match &plan.pairs_from {
        None => Ok(plan),
        Some(_) => {
            Err("the plan takes its pairs from an earlier run: there is nothing to score, only to solve"
                .into())
        }
    }
}

fn run_plan(text: &str) -> Result<RunPlan, String> {
    let plan: RunPlan = serde_json::from_str(text).map_err(|error| error.to_string())?;
    check_version(plan.version)?;
    check_prefix(&plan.output)?;
    if let Some(earlier) = &plan.pairs_from {
        check_prefix(&earlier.output)?;
        if earlier.output == plan.output {
            return Err("the plan takes its pairs from the run itself".into());
        }
    }
    if let Some(key) = &plan.mask_key {
        PublicKey::of_modulus(key).map_err(|error| error.to_string())?;
        if plan.result_type != ResultType::Permutations {
            return Err("the plan has a key for a mask, but its result has no mask".into());
        }
    }
    if let Some(solver) = &plan.solver {
        check_solver(solver, &plan)?;
    }
    if plan.formats.is_empty() {
        return Err("the plan must have one format or more".into());
    }
    if plan.with_similarity_scores && plan.result_type == ResultType::Permutations {
        return Err(
            "the plan asks for similarity scores beside permutations, which they would give away".into()
        );
    }
    if plan.inputs.len() < 2 {
        return Err("the plan must have two inputs or more".into());
    }
    if plan.shards == 0 {
        return Err("the plan must have one shard or more".into());
    }
    if plan.blocking && plan.inputs.iter().any(|input| input.blocks.is_none()) {
        return Err("the plan uses blocking, but some input has no blocks".into());
    }
    Ok(plan)
}

fn check_solver(solver: &Solver, plan: &RunPlan) -> Result<(), String> {
    match plan.result_type {
        ResultType::SimilarityScores => Err("the plan has a solver, but its result has no groups".into()),
        ResultType::Permutations if solver.repeats_parties() => {
            Err("the plan allows several records of a party in a group, which have no permutation".into())
        }
        _ => solver.check(plan.inputs.len()).map_err(|error| error.to_string()),
    }
}

fn check_version(version: u32) -> Result<(), String> {
    match version {
        FORMAT_VERSION => Ok(()),
        other => Err(format!(
            "the plan has version {other}, this program understands {FORMAT_VERSION}: use the image of the operator's version"
        )),
    }
}

fn check_prefix(output: &str) -> Result<(), String> {
    if output.ends_with('/') { Ok(()) } else { Err("the plan's output must end in '/'".into()) }
}
