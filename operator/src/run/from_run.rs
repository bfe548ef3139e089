//! A run that uses the scored pairs of an earlier one (`spec.fromRun`): which run that may be, and how long it stays.
//!
//! The run takes the pairs over into its own part of the store when it solves. Until it has, the earlier run is kept
//! from being purged. For that the two have to agree on who needs whom, although anybody may delete the earlier run at
//! any moment: first the run records, in its status, the uid of the run whose pairs it is going to use; only when that
//! run is still there afterwards does it start. Whoever begins to delete the earlier run after that look finds the
//! record; and if the deleting began before, the record is taken back.

use std::time::Duration;

use crds::conditions::{COMPLETE, FAILED, FailedReason, PendingReason, is_true};
use crds::{LinkageProject, LinkageRun, LinkageRunStatus, PairsFromRun, RunStage};
use kube::ResourceExt;

use super::decide::{Action, Decision, fail, pending, watched};
use super::order;
use super::progress::{self, Told};
use super::view::RunView;
use crate::jobs::Task;
use crate::pods::PodPhase;

/// After the earlier run is recorded, it is looked for again this soon.
const SOON: Duration = Duration::from_millis(100);

/// Whom a changed run concerns beside itself: the runs that use its pairs, and the one whose pairs it uses.
pub fn concerned(run: &LinkageRun, runs: &[std::sync::Arc<LinkageRun>]) -> Vec<String> {
    let name = run.name_any();
    let uses = |run: &LinkageRun| run.spec.from_run.as_ref().map(|earlier| earlier.name.clone());
    let users = runs.iter().filter(|user| uses(user).as_ref() == Some(&name)).map(|user| user.name_any());
    users.chain(uses(run)).collect()
}

/// The names of the runs that still need the pairs of the run with this uid.
pub fn needed_by(uid: &str, runs: &[LinkageRun]) -> Vec<String> {
    let needs = |run: &&LinkageRun| {
        let Some(status) = &run.status else { return false };
        let has_ended = is_true(&status.conditions, COMPLETE) || is_true(&status.conditions, FAILED);
        run.metadata.deletion_timestamp.is_none()
            && !has_ended
            && status.pairs_from_run.as_ref().is_some_and(|earlier| earlier.uid == uid)
    };
    runs.iter().filter(needs).map(ResourceExt::name_any).collect()
}

/// Before the run starts: the status with the pairs it is going to use, once they are recorded; or what to do instead.
pub fn prepare(
    view: &RunView,
    project: &LinkageProject,
    mut status: LinkageRunStatus,
) -> Result<LinkageRunStatus, Box<Decision>> {
    match judge(view, project) {
        Earlier::NotYet(reason, message) => {
            status.pairs_from_run = None;
            Err(Box::new(pending(view, status, RunStage::WaitingForParties, reason, message)))
        }
        Earlier::Unusable(message) => {
            status.pairs_from_run = None;
            Err(Box::new(fail(view, status, FailedReason::InvalidInput, message)))
        }
        Earlier::Usable(earlier) => {
            let recorded = status.pairs_from_run.as_ref() == Some(&earlier.pairs);
            let message = starting(&earlier.pairs.name);
            earlier.record(&mut status, project);
            if recorded {
                return Ok(status);
            }
            let decision = pending(view, status, RunStage::Queued, PendingReason::Queued, message);
            Err(Box::new(Decision { look_again: SOON, ..decision }))
        }
    }
}

/// The run has started: create the solve Job, or watch it.
pub fn step(view: &RunView, status: LinkageRunStatus) -> Decision {
    let name = status.pairs_from_run.as_ref().map(|earlier| earlier.name.clone()).unwrap_or_default();
    if view.solve.is_none() {
        let decision = pending(view, status, RunStage::Queued, PendingReason::Queued, starting(&name));
        return Decision { action: Action::CreateSolveJob, ..decision };
    }
    watched(view, status, told(view, &name))
}

fn starting(name: &str) -> String {
    format!("the pairs of run {name} are used; waiting for the pod to start")
}

fn told(view: &RunView, name: &str) -> Told {
    let mut pods = view.pods.iter().filter(|pod| pod.component == Task::Solve.name());
    let told = if pods.all(|pod| matches!(pod.phase, PodPhase::Pending(_))) {
        Told {
            stage: RunStage::Queued,
            reason: PendingReason::Queued,
            message: starting(name),
            warning: None,
        }
    } else {
        let note = progress::mask_note(&view.pods);
        let message = format!("the pairs of run {name} are being solved and the result written{note}");
        Told { stage: RunStage::Solving, reason: PendingReason::Solving, message, warning: None }
    };
    progress::with_trouble(told, view)
}

/// What the run that `spec.fromRun` names is good for.
enum Earlier {
    /// Nothing yet.
    NotYet(PendingReason, String),
    /// Nothing ever.
    Unusable(String),
    /// Its pairs can be used.
    Usable(Usable),
}

struct Usable {
    pairs: PairsFromRun,
    shards: Option<i32>,
    comparisons: u64,
}

impl Usable {
    fn record(self, status: &mut LinkageRunStatus, project: &LinkageProject) {
        status.pairs_from_run = Some(self.pairs);
        status.shards = self.shards;
        status.data_sha256 = Some(order::data_sha256(project));
        // all comparisons have been done, by the earlier run
        status.progress = Some(progress::finished(self.comparisons));
    }
}

fn judge(view: &RunView, project: &LinkageProject) -> Earlier {
    let reference = view.run.spec.from_run.as_ref();
    let name = reference.map(|earlier| earlier.name.as_str()).unwrap_or_default();
    let there = view.earlier.as_ref().filter(|earlier| earlier.metadata.deletion_timestamp.is_none());
    let Some(earlier) = there else {
        let message = format!(
            "there is no LinkageRun {name} in this namespace; the run starts when it is there and complete"
        );
        return Earlier::NotYet(PendingReason::RunNotFound, message);
    };
    let (ours, theirs) = (view.run.spec.threshold, earlier.spec.threshold);
    if earlier.spec.project_ref != view.run.spec.project_ref {
        return Earlier::Unusable(format!(
            "run {name} is of project {}, this one is of {}; its pairs are of other data",
            earlier.spec.project_ref.name, view.run.spec.project_ref.name
        ));
    }
    if ours < theirs {
        return Earlier::Unusable(format!(
            "run {name} kept the pairs at or above {theirs} only, so none can be had from it for the lower threshold \
             {ours}; create a run without fromRun"
        ));
    }
    let status = earlier.status.clone().unwrap_or_default();
    if is_true(&status.conditions, FAILED) {
        return Earlier::Unusable(format!("run {name} has failed; create a run without fromRun"));
    }
    if !is_true(&status.conditions, COMPLETE) {
        let message = format!("waiting for run {name} to be complete, whose pairs are used");
        return Earlier::NotYet(PendingReason::WaitingForRun, message);
    }
    if status.data_sha256 != Some(order::data_sha256(project)) {
        return Earlier::Unusable(format!(
            "run {name} has linked other data than project {} holds now; create a run without fromRun",
            view.run.spec.project_ref.name
        ));
    }
    let Some(pinned) = status.pinned else {
        return Earlier::Unusable(format!(
            "run {name} was made by an earlier version, which did not write down what it worked on; create a run without fromRun"
        ));
    };
    let output = pinned.plan.get("output").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let comparisons = status.progress.map_or(0, |progress| progress.total_comparisons);
    Earlier::Usable(Usable {
        pairs: PairsFromRun {
            name: name.into(),
            uid: earlier.metadata.uid.clone().unwrap_or_default(),
            threshold: theirs,
            work: pinned.digest,
            output,
        },
        shards: status.shards,
        comparisons: u64::try_from(comparisons).unwrap_or(0),
    })
}

#[cfg(test)]
#[path = "from_run_tests.rs"]
mod tests;
