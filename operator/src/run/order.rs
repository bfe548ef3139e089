//! The Jobs of a run, and the plans they carry.

use crds::{LinkageProject, LinkageRun, PartyState, ResultType, labels};
use kube::{Resource, ResourceExt};
use scorer::plan::{FORMAT_VERSION, PartyInput, RunPlan};

use super::progress::all_comparisons;
use crate::jobs::{JobOrder, Task, memory_limit};
use crate::settings::JobSettings;

/// The most shards that are chosen without being asked for.
const MAX_SHARDS: u64 = 1000;

/// Prefix of all objects of a run. The uid is never used again, unlike the name.
pub fn prefix(run: &LinkageRun) -> String {
    format!("runs/{}/", run.uid().unwrap_or_default())
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

fn plan(run: &LinkageRun, project: &LinkageProject, shards: u32, memory_limit_bytes: u64) -> RunPlan {
    let parties = project.status.as_ref().map(|status| status.parties.as_slice()).unwrap_or_default();
    RunPlan {
        version: FORMAT_VERSION,
        run: run.name_any(),
        threshold: run.spec.threshold,
        result_type: match project.spec.result_type {
            ResultType::Groups => scorer::plan::ResultType::Groups,
            ResultType::SimilarityScores => scorer::plan::ResultType::SimilarityScores,
            ResultType::Permutations => scorer::plan::ResultType::Permutations,
        },
        blocking: project.spec.blocking == crds::Blocking::ByBlockId,
        inputs: parties
            .iter()
            .filter(|party| party.state == PartyState::Contributed)
            .map(|party| PartyInput {
                party: party.name.clone(),
                encodings: party.encodings.clone().unwrap_or_default(),
                blocks: party.blocks.clone(),
                records: party.records.and_then(|records| u64::try_from(records).ok()).unwrap_or(0),
                encoding_bytes: party.encoding_bytes.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0),
                sha256: party.sha256.clone().unwrap_or_default(),
            })
            .collect(),
        output: prefix(run),
        shards,
        memory_limit_bytes,
    }
}
