//! Reads plans. One that is not understood to the last field is refused, as a failure that trying again cannot mend: a
//! scorer that left out what it does not know would link other data than it was told to.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::paillier::PublicKey;
use crate::plan::{FORMAT_VERSION, IngestPlan, ResultFormat, ResultType, RunPlan};
use crate::solve::Solver;
use crate::summary::{Failure, FailureReason};

/// What `scorer ingest` is told.
pub(super) fn ingest(text: &str) -> Result<IngestPlan, Failure> {
    let plan: IngestPlan = read(text)?;
    check_prefix(&plan.output).map_err(|why| unusable(&why))?;
    Ok(plan)
}

/// What `scorer score` is told.
pub(super) fn score(text: &str) -> Result<RunPlan, Failure> {
    let plan = run(text)?;
    match &plan.pairs_from {
        None => Ok(plan),
        Some(_) => {
            Err(unusable("it takes its pairs from an earlier run: there is nothing to score, only to solve"))
        }
    }
}

/// What `scorer solve` is told.
pub(super) fn run(text: &str) -> Result<RunPlan, Failure> {
    let plan: RunPlan = read(text)?;
    check(&plan).map_err(|why| unusable(&why))?;
    Ok(plan)
}

/// The version first: a plan of another one may hold anything.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let not_read = |error: serde_json::Error| unsupported(&format!("cannot be read: {error}"));
    let Versioned { version } = serde_json::from_str(text).map_err(not_read)?;
    if version != FORMAT_VERSION {
        return Err(unsupported(&format!("is of version {version}")));
    }
    serde_json::from_str(text).map_err(not_read)
}

fn unsupported(what: &str) -> Failure {
    let message = format!(
        "this scorer (image version {}) understands plans of version {FORMAT_VERSION}, the plan {what}; let operator and \
         scorer be of one version (chart value image)",
        env!("CARGO_PKG_VERSION")
    );
    Failure { reason: FailureReason::UnsupportedPlan, message }
}

/// Operator and scorer disagree on what may be in a plan.
fn unusable(why: &str) -> Failure {
    unsupported(&format!("cannot be used: {why}"))
}

fn check(plan: &RunPlan) -> Result<(), String> {
    check_prefix(&plan.output)?;
    check_work(&plan.work, "work")?;
    if let Some(earlier) = &plan.pairs_from {
        check_prefix(&earlier.output)?;
        check_work(&earlier.work, "pairsFrom.work")?;
        if earlier.output == plan.output {
            return Err("it takes its pairs from the run itself".into());
        }
    }
    check_result(plan)?;
    if plan.inputs.len() < 2 {
        return Err("it must have two inputs or more".into());
    }
    if plan.shards == 0 {
        return Err("it must have one shard or more".into());
    }
    if plan.blocking && plan.inputs.iter().any(|input| input.blocks.is_none()) {
        return Err("it uses blocking, but some input has no blocks".into());
    }
    Ok(())
}

fn check_result(plan: &RunPlan) -> Result<(), String> {
    if let Some(key) = &plan.mask_key {
        PublicKey::of_modulus(key).map_err(|error| error.to_string())?;
        if plan.result_type != ResultType::Permutations {
            return Err("it has a key for a mask, but its result has no mask".into());
        }
    }
    if let Some(solver) = &plan.solver {
        check_solver(solver, plan)?;
    }
    if plan.formats.is_empty() || plan.formats.contains(&ResultFormat::Anonlink) {
        return Err("it must have one format or more, of those that a run may ask for".into());
    }
    if plan.with_similarity_scores && plan.result_type == ResultType::Permutations {
        return Err("it asks for similarity scores beside permutations, which they would give away".into());
    }
    Ok(())
}

fn check_solver(solver: &Solver, plan: &RunPlan) -> Result<(), String> {
    match plan.result_type {
        ResultType::SimilarityScores => Err("it has a solver, but its result has no groups".into()),
        ResultType::Permutations if solver.repeats_parties() => {
            Err("it allows several records of a party in a group, which have no permutation".into())
        }
        _ => solver.check(plan.inputs.len()).map_err(|error| error.to_string()),
    }
}

fn check_prefix(output: &str) -> Result<(), String> {
    if output.ends_with('/') { Ok(()) } else { Err("its output must end in '/'".into()) }
}

fn check_work(work: &str, field: &str) -> Result<(), String> {
    let is_digest = work.len() == 64 && work.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if is_digest { Ok(()) } else { Err(format!("its {field} must be a digest of 64 lower-case hex digits")) }
}
