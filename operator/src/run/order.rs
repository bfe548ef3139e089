//! The Jobs of a run, and the plans they carry.

use crds::{
    LinkageProject, LinkageRun, PartyState, PartyStatus, ResultType, Solver, SolverAlgorithm, labels,
};
use kube::{Resource, ResourceExt};
use scorer::plan::{FORMAT_VERSION, PairsFrom, PartyInput, RunPlan};
use scorer::solve;
use sha2::{Digest, Sha256};

use super::outputs;
use super::progress::all_comparisons;
use crate::jobs::{JobOrder, Task, memory_limit};
use crate::settings::JobSettings;

/// The most shards that are chosen without being asked for.
const MAX_SHARDS: u64 = 1000;

/// Prefix of all objects of a run. The uid is never used again, unlike the name.
pub fn prefix(run: &LinkageRun) -> String {
    prefix_of(&run.uid().unwrap_or_default())
}

fn prefix_of(uid: &str) -> String {
    format!("runs/{uid}/")
}

/// Name of a run's Job.
pub fn job_name(run: &LinkageRun, task: Task) -> String {
    format!("{}-{}", run.name_any(), task.name())
}

/// Into how many shards the run is cut: as it says, or by the number of comparisons.
pub fn shards(run: &LinkageRun, project: &LinkageProject, settings: &JobSettings) -> u32 {
    if let Some(shards) = run.spec.shards {
        return u32::try_from(shards).unwrap_or(1).max(1);
    }
    let comparisons = all_comparisons(&super::records(project));
    let shards = comparisons.div_ceil(settings.comparisons_per_shard.max(1)).clamp(1, MAX_SHARDS);
    u32::try_from(shards).unwrap_or(1)
}

/// What the Job for a task is made of.
///
/// # Errors
/// Fails when the plan cannot be written as JSON, which does not happen.
pub fn job(
    run: &LinkageRun,
    project: &LinkageProject,
    task: Task,
    shards: u32,
    settings: &JobSettings,
) -> Result<JobOrder, serde_json::Error> {
    let plan = plan(run, project, shards, memory_limit(run.spec.resources.as_ref(), settings));
    Ok(JobOrder {
        name: job_name(run, task),
        task,
        plan: serde_json::to_string(&plan)?,
        completions: if task == Task::Score { i32::try_from(shards).unwrap_or(1) } else { 1 },
        labels: [(labels::RUN.into(), run.name_any()), (labels::PROJECT.into(), project.name_any())].into(),
        owner: run.controller_owner_ref(&()).unwrap_or_default(),
        resources: run.spec.resources.clone(),
        scheduling: run.spec.scheduling.clone().unwrap_or_default(),
    })
}

/// What tells the data of one run from another's: a checksum over all that the plans of both say of it.
pub fn data_sha256(project: &LinkageProject) -> String {
    let mut hash = Sha256::new();
    for input in inputs(project) {
        let PartyInput { party, encodings, blocks, records, encoding_bytes, blake3 } = input;
        // a key is never used again, so it tells blocks apart that have no checksum; none has a line break in it
        let blocks = blocks.unwrap_or_default();
        hash.update(format!("{party}\n{encodings}\n{blocks}\n{records}\n{encoding_bytes}\n{blake3}\n"));
    }
    hex::encode(hash.finalize())
}

pub(super) fn plan(
    run: &LinkageRun,
    project: &LinkageProject,
    shards: u32,
    memory_limit_bytes: u64,
) -> RunPlan {
    RunPlan {
        version: FORMAT_VERSION,
        run: run.name_any(),
        threshold: run.spec.threshold,
        result_type: match project.spec.result_type {
            ResultType::Groups => scorer::plan::ResultType::Groups,
            ResultType::SimilarityScores => scorer::plan::ResultType::SimilarityScores,
            ResultType::Permutations => scorer::plan::ResultType::Permutations,
        },
        formats: outputs::formats(run),
        with_similarity_scores: outputs::with_similarity_scores(run),
        blocking: project.spec.blocking == crds::Blocking::ByBlockId,
        inputs: inputs(project),
        output: prefix(run),
        shards,
        memory_limit_bytes,
        solver: run.spec.solver.as_ref().map(solver),
        mask_key: project.spec.paillier_public_key.as_ref().map(|key| key.modulus.clone()),
        pairs_from: run
            .status
            .as_ref()
            .and_then(|status| status.pairs_from_run.as_ref())
            .map(|earlier| PairsFrom { run: earlier.name.clone(), output: prefix_of(&earlier.uid) }),
    }
}

/// How groups are formed, in the words of the plan.
fn solver(solver: &Solver) -> solve::Solver {
    match solver.algorithm {
        SolverAlgorithm::Greedy => solve::Solver::greedy(solver.merge_threshold, solver.one_to_one),
        SolverAlgorithm::Optimal => {
            let most = solver.max_component_records.and_then(|most| u32::try_from(most).ok());
            solve::Solver::optimal(most)
        }
    }
}

/// What the parties have contributed, by data set.
fn inputs(project: &LinkageProject) -> Vec<PartyInput> {
    let parties = project.status.as_ref().map(|status| status.parties.as_slice()).unwrap_or_default();
    let contributed = parties.iter().filter(|party| party.state == PartyState::Contributed);
    let input = |party: &PartyStatus| PartyInput {
        party: party.name.clone(),
        encodings: party.encodings.clone().unwrap_or_default(),
        blocks: party.blocks.clone(),
        records: party.records.and_then(|records| u64::try_from(records).ok()).unwrap_or(0),
        encoding_bytes: party.encoding_bytes.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0),
        blake3: party.blake3.clone().unwrap_or_default(),
    };
    contributed.map(input).collect()
}
