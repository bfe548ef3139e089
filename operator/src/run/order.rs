//! What a run works on, and the Jobs that do it.

use std::collections::BTreeSet;

use crds::folders::Installation;
use crds::{
    LinkageProject, LinkageRun, LinkageRunStatus, PartyState, PartyStatus, PinnedWork, ResultType, Solver,
    SolverAlgorithm, labels,
};
use kube::{Resource, ResourceExt};
use scorer::plan::{FORMAT_VERSION, PairsFrom, PartyInput, RunPlan};
use scorer::solve;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::outputs;
use super::pinned::Pinned;
use super::progress::all_comparisons;
use crate::job_credentials::Access;
use crate::jobs::{JobOrder, Task, memory_limit};
use crate::settings::JobSettings;

/// The most shards that are chosen without being asked for.
const MAX_SHARDS: u64 = 1000;

/// Name of a run's Job.
pub fn job_name(run: &LinkageRun, task: Task) -> String {
    format!("{}-{}", run.name_any(), task.name())
}

/// Into how many shards the run is cut: as it says, or by the number of comparisons.
pub fn shards(run: &LinkageRun, project: &LinkageProject, settings: &JobSettings) -> u32 {
    if let Some(shards) = run.spec.shards {
        return u32::try_from(shards).unwrap_or(1).max(1);
    }
    let records: Vec<u64> = inputs(project).iter().map(|input| input.records).collect();
    let comparisons = all_comparisons(&records);
    let shards = comparisons.div_ceil(settings.comparisons_per_shard.max(1)).clamp(1, MAX_SHARDS);
    u32::try_from(shards).unwrap_or(1)
}

/// What the run works on from now on, whatever becomes of its spec, its project and the operator's settings. A run that
/// uses another's pairs has these in its status already.
pub fn pin(
    run: &LinkageRun,
    project: &LinkageProject,
    status: &LinkageRunStatus,
    settings: &JobSettings,
    installation: &Installation,
) -> PinnedWork {
    let shards = match &status.pairs_from_run {
        Some(_) => status.shards.and_then(|shards| u32::try_from(shards).ok()).unwrap_or(1),
        None => shards(run, project, settings),
    };
    let resources = run.spec.resources.clone().unwrap_or_else(|| settings.resources.clone());
    let plan = RunPlan {
        memory_limit_bytes: memory_limit(&resources),
        output: installation.run(&run.uid().unwrap_or_default()),
        pairs_from: status.pairs_from_run.as_ref().map(|earlier| PairsFrom {
            run: earlier.name.clone(),
            output: earlier.output.clone(),
            work: earlier.work.clone(),
        }),
        ..plan(run, project, shards)
    };
    let plan = plan.sealed();
    PinnedWork {
        digest: plan.work.clone(),
        plan: match serde_json::to_value(&plan) {
            Ok(Value::Object(plan)) => plan,
            // a struct of numbers, texts and lists is an object
            _ => serde_json::Map::new(),
        },
        resources: Some(resources),
    }
}

fn plan(run: &LinkageRun, project: &LinkageProject, shards: u32) -> RunPlan {
    RunPlan {
        version: FORMAT_VERSION,
        work: String::new(),
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
        output: String::new(),
        shards,
        memory_limit_bytes: 0,
        solver: run.spec.solver.as_ref().map(solver),
        mask_key: project.spec.paillier_public_key.as_ref().map(|key| key.modulus.clone()),
        pairs_from: None,
    }
}

/// What the Job for a task is made of: of what was pinned, and of where and when the spec wants its pods to run now.
///
/// # Errors
/// Fails when the plan cannot be written as JSON, which does not happen.
pub fn job(
    run: &LinkageRun,
    pinned: &PinnedWork,
    task: Task,
    shards: u32,
) -> Result<JobOrder, serde_json::Error> {
    let project = run.spec.project_ref.name.clone();
    Ok(JobOrder {
        name: job_name(run, task),
        task,
        plan: serde_json::to_string(&pinned.plan)?,
        work: Some(pinned.digest.clone()),
        completions: if task == Task::Score { i32::try_from(shards).unwrap_or(1) } else { 1 },
        labels: [(labels::RUN.into(), run.name_any()), (labels::PROJECT.into(), project)].into(),
        owner: run.controller_owner_ref(&()).unwrap_or_default(),
        resources: pinned.resources.clone().unwrap_or_default(),
        scheduling: run.spec.scheduling.clone().unwrap_or_default(),
        access: access(pinned)?,
    })
}

/// What a run's Jobs need of the store: the project's folder, the pairs of the earlier run that it uses, and its own folder.
///
/// # Errors
/// Fails when what was pinned is no plan.
pub fn access(pinned: &PinnedWork) -> Result<Access, serde_json::Error> {
    let pinned = Pinned::read(pinned)?;
    let folder = |key: &str| {
        // projects/<the project's own>/
        let end = key.match_indices('/').nth(1).map(|(slash, _)| slash + 1)?;
        Some(key[..end].to_owned())
    };
    let mut folders: BTreeSet<String> = pinned.inputs().filter_map(folder).collect();
    folders.extend(pinned.pairs_from.map(|earlier| format!("{}pairs/", earlier.output)));
    Ok(Access { objects: BTreeSet::new(), folders, output: pinned.output })
}

/// What tells the data of one run from another's: a checksum over all that the plans of both say of it.
pub fn data_sha256(project: &LinkageProject) -> String {
    let mut hash = Sha256::new();
    for input in inputs(project) {
        let PartyInput { party, encodings, blocks, records, encoding_bytes, blake3, blocks_blake3 } = input;
        // no key and no name has a line break in it
        let blocks = blocks.unwrap_or_default();
        hash.update(format!("{party}\n{encodings}\n{blocks}\n{records}\n{encoding_bytes}\n{blake3}\n"));
        // blocks that an earlier version took in have no hash, and count as they did there
        if let Some(blake3) = blocks_blake3 {
            hash.update(format!("{blake3}\n"));
        }
    }
    hex::encode(hash.finalize())
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
    let contributed = |name: &str| {
        parties.iter().find(|party| party.name == name && party.state == PartyState::Contributed)
    };
    let input = |party: &PartyStatus| PartyInput {
        party: party.name.clone(),
        encodings: party.encodings.clone().unwrap_or_default(),
        blocks: party.blocks.clone(),
        records: party.records.and_then(|records| u64::try_from(records).ok()).unwrap_or(0),
        encoding_bytes: party.encoding_bytes.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0),
        blake3: party.blake3.clone().unwrap_or_default(),
        blocks_blake3: party.blocks_blake3.clone(),
    };
    project.spec.parties.iter().filter_map(|party| contributed(&party.name)).map(input).collect()
}

#[cfg(test)]
mod tests {
    use super::super::decide::tests::{project, run, settings};
    use super::*;
    use crds::tokens::MasterKey;
    use serde_json::json;

    fn pinned(run: &LinkageRun, project: &LinkageProject) -> PinnedWork {
        let installation = Installation::of(&MasterKey::new(&[7; 32]).unwrap(), "linkage");
        pin(run, project, &LinkageRunStatus::default(), &settings(), &installation)
    }

    fn contributed() -> LinkageProject {
        project(["Contributed", "Contributed"])
    }

    #[test]
    fn the_plan_tells_how_groups_are_formed() {
        use scorer::solve::Solver;
        for (solver, planned) in [
            (json!(null), None),
            (json!({}), Some(Solver::default())),
            (json!({"mergeThreshold": 0.5, "oneToOne": false}), Some(Solver::greedy(Some(0.5), Some(false)))),
            (json!({"algorithm": "Optimal"}), Some(Solver::optimal(None))),
            (json!({"algorithm": "Optimal", "maxComponentRecords": 7}), Some(Solver::optimal(Some(7)))),
        ] {
            assert_eq!(plan(&run(json!({"solver": solver})), &contributed(), 1).solver, planned);
        }
    }

    #[test]
    fn parties_are_pinned_in_the_order_of_the_project_with_their_own_data() {
        let mut project = contributed();
        assert_eq!(pinned(&run(json!({})), &project).parties(), ["a", "b"]);
        // an older definition of the resource let the order change
        project.spec.parties.reverse();
        let work = pinned(&run(json!({})), &project);
        assert_eq!(work.parties(), ["b", "a"]);
        assert_ne!(work.digest, pinned(&run(json!({})), &contributed()).digest);
    }

    #[test]
    fn the_digest_is_of_all_that_a_job_works_on() {
        let base = pinned(&run(json!({})), &contributed());
        assert_eq!(base.digest.len(), 64);
        assert_eq!(base, pinned(&run(json!({})), &contributed()));
        for change in [
            json!({"threshold": 0.81}),
            json!({"solver": {"mergeThreshold": 0.5}}),
            json!({"formats": ["JSON"]}),
            json!({"shards": 2}),
            json!({"resources": {"limits": {"memory": "3Gi"}}}),
            json!({"additionalResults": ["SimilarityScores"]}),
        ] {
            assert_ne!(pinned(&run(change.clone()), &contributed()).digest, base.digest, "{change}");
        }
        let mut other_data = contributed();
        other_data.status.as_mut().unwrap().parties[1].blake3 = Some("ff".into());
        assert_ne!(pinned(&run(json!({})), &other_data).digest, base.digest);
    }

    #[test]
    fn a_job_carries_what_was_pinned_whatever_the_spec_says_now() {
        let first = run(json!({}));
        let work = pinned(&first, &contributed());
        let changed = run(json!({"threshold": 0.5, "resources": {"limits": {"memory": "9Gi"}}}));
        let order = job(&changed, &work, Task::Score, 1).unwrap();
        let plan: RunPlan = serde_json::from_str(&order.plan).unwrap();
        assert_eq!((plan.threshold, plan.work), (0.8, work.digest));
        assert_eq!(Some(order.resources), work.resources);
    }
}
