//! What to do next for a run: a pure function from what is known to actions and a new status.

use std::time::Duration;

use crds::conditions::{COMPLETE, FAILED, FailedReason, PendingReason, SUSPENDED, Verdict, is_true, set};
use crds::{
    AdditionalResult, LinkageProject, LinkageRunStatus, PartyState, ResultStatus, RunSolving, RunStage,
    Solver, contribution,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;
use scorer::solve::Solving;
use scorer::summary::RunSummary;

use super::advice;
use super::failure;
use super::from_run;
use super::order;
use super::progress;
use super::view::{RunView, Summary};
use crate::pods::JobState;
use crate::project::key;

/// How often a running Job's pods are asked for their progress.
const POLL: Duration = Duration::from_secs(2);
/// How often anything else is looked at again, should an event have been missed.
const RESYNC: Duration = Duration::from_secs(300);

/// What to do, and the status to write afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to do first.
    pub action: Action,
    /// The status to write.
    pub status: LinkageRunStatus,
    /// When to look again, without an event.
    pub look_again: Duration,
}

/// What to do for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to write the status.
    None,
    /// Create the scoring Job.
    CreateScoreJob,
    /// Create the solve Job.
    CreateSolveJob,
    /// Delete the Jobs, with their pods.
    DeleteJobs,
    /// Delete the run itself: its time is over.
    DeleteRun,
}

/// Decides what to do next for a run that is not being deleted.
pub fn decide(view: &RunView, shards: impl Fn(&LinkageProject) -> u32) -> Decision {
    let status = view.run.status.clone().unwrap_or_default();
    if is_true(&status.conditions, COMPLETE) || is_true(&status.conditions, FAILED) {
        return after_the_end(view, status);
    }
    if let Some(seconds) = overdue(view, &status) {
        let message =
            format!("the run was not complete {seconds} s after its start (spec.activeDeadlineSeconds)");
        return fail(view, status, FailedReason::DeadlineExceeded, message);
    }
    if view.run.spec.suspend {
        return suspend(view, status);
    }
    let Some(project) = view.project.as_ref().filter(|project| project.metadata.deletion_timestamp.is_none())
    else {
        let name = &view.run.spec.project_ref.name;
        let message =
            format!("there is no LinkageProject {name} in this namespace; the run starts when it is there");
        return pending(view, status, RunStage::WaitingForParties, PendingReason::ProjectNotFound, message);
    };
    let refusal = key::refusal(&project.spec)
        .or_else(|| AdditionalResult::refusal(&project.spec, &view.run.spec))
        .or_else(|| Solver::refusal(&project.spec, &view.run.spec));
    if let Some(why) = refusal {
        return fail(view, status, FailedReason::InvalidInput, why);
    }
    if let Some((reason, message)) = missing_contribution(project) {
        return pending(view, status, RunStage::WaitingForParties, reason, message);
    }
    work(view, project, status, shards)
}

/// All parties have contributed: start, watch, and end the Jobs.
fn work(
    view: &RunView,
    project: &LinkageProject,
    mut status: LinkageRunStatus,
    shards: impl Fn(&LinkageProject) -> u32,
) -> Decision {
    match &view.summary {
        Summary::Present(summary) => return complete(view, status, summary),
        Summary::Unavailable(why) => {
            let stage = status.stage.unwrap_or(RunStage::Queued);
            let message = format!("the object store cannot be read ({why}); the operator keeps trying");
            return pending(view, status, stage, PendingReason::StoreUnavailable, message);
        }
        Summary::Absent | Summary::NotRead => {}
    }
    for state in [&view.score, &view.solve].into_iter().flatten() {
        if let JobState::Failed(why) = state {
            let (reason, message) = failure::explain(&view.pods, why);
            return fail(view, status, reason, message);
        }
    }
    let solves_alone = view.run.spec.from_run.is_some();
    if solves_alone && !is_vanished(&view.solve, &view.summary) {
        return from_run::step(view, project, status);
    }
    let shards =
        status.shards.map_or_else(|| shards(project), |shards| u32::try_from(shards).unwrap_or(1)).max(1);
    status.shards = i32::try_from(shards).ok();
    let last_job = if shards == 1 && !solves_alone { &view.score } else { &view.solve };
    if is_vanished(last_job, &view.summary) {
        let message =
            "the Job has completed, but its summary is not in the store: somebody has deleted the run's \
                       objects; create the run again"
                .to_owned();
        return fail(view, status, FailedReason::JobFailed, message);
    }
    if status.start_time.is_none() {
        status.start_time = Some(Time(view.now));
        status.data_sha256 = Some(order::data_sha256(project));
    }
    match (&view.score, &view.solve) {
        (None, _) => {
            let message = format!("starting {shards} pod{}", if shards == 1 { "" } else { "s" });
            let decision = pending(view, status, RunStage::Queued, PendingReason::Queued, message);
            Decision { action: Action::CreateScoreJob, ..decision }
        }
        (Some(JobState::Complete), None) if shards > 1 => {
            let message = "all records are compared; the pairs are being solved".to_owned();
            let decision = pending(view, status, RunStage::Solving, PendingReason::Solving, message);
            Decision { action: Action::CreateSolveJob, ..decision }
        }
        _ => {
            let (stage, reason, message) = progress::update(view, project, shards, &mut status);
            pending(view, status, stage, reason, message)
        }
    }
}

/// Whether the last Job has done its work, and nothing is there to show for it.
fn is_vanished(last_job: &Option<JobState>, summary: &Summary) -> bool {
    *last_job == Some(JobState::Complete) && *summary == Summary::Absent
}

fn missing_contribution(project: &LinkageProject) -> Option<(PendingReason, String)> {
    let status = project.status.clone().unwrap_or_default();
    if contribution::is_complete(&project.spec, &status) {
        return None;
    }
    if let Some(rejected) = status.parties.iter().find(|party| party.state == PartyState::Rejected) {
        let why = rejected.message.as_deref().unwrap_or("its data cannot be used");
        return Some((PendingReason::PartyRejected, format!("party {}: {why}", rejected.name)));
    }
    let missing: Vec<&str> = project
        .spec
        .parties
        .iter()
        .map(|party| party.name.as_str())
        .filter(|name| {
            !status.parties.iter().any(|party| party.name == *name && party.state == PartyState::Contributed)
        })
        .collect();
    Some((PendingReason::WaitingForParties, format!("waiting for the data of: {}", missing.join(", "))))
}

/// Seconds of the deadline, if it has passed.
fn overdue(view: &RunView, status: &LinkageRunStatus) -> Option<i64> {
    let (deadline, start) = (view.run.spec.active_deadline_seconds?, status.start_time.as_ref()?);
    (view.now.duration_since(start.0) >= SignedDuration::from_secs(deadline)).then_some(deadline)
}

fn after_the_end(view: &RunView, status: LinkageRunStatus) -> Decision {
    let ends =
        status.completion_time.as_ref().zip(view.run.spec.ttl_seconds_after_finished).map(|(end, ttl)| {
            let left = SignedDuration::from_secs(ttl) - view.now.duration_since(end.0);
            Duration::try_from(left).unwrap_or(Duration::ZERO)
        });
    let (action, look_again) = match ends {
        Some(Duration::ZERO) => (Action::DeleteRun, RESYNC),
        Some(left) => (Action::None, left),
        None if view.score == Some(JobState::Active) || view.solve == Some(JobState::Active) => {
            // a failed run's pods have nothing left to do; a complete run's are about to end
            let failed = is_true(&status.conditions, FAILED);
            (if failed { Action::DeleteJobs } else { Action::None }, RESYNC)
        }
        None => (Action::None, RESYNC),
    };
    Decision { action, status, look_again }
}

/// Suspending deletes the Jobs: shards that are finished stay in the store, and are not computed again.
fn suspend(view: &RunView, mut status: LinkageRunStatus) -> Decision {
    let running = view.score.is_some() || view.solve.is_some();
    let message =
        if running { "the run's pods are being stopped" } else { "spec.suspend is set; no pod runs" };
    set_suspended(view, &mut status, !running, message);
    let stage = status.stage.unwrap_or(RunStage::WaitingForParties);
    let decision = pending_with(view, status, stage, PendingReason::Suspended, message.into());
    Decision { action: if running { Action::DeleteJobs } else { Action::None }, ..decision }
}

pub(super) fn pending(
    view: &RunView,
    mut status: LinkageRunStatus,
    stage: RunStage,
    reason: PendingReason,
    message: String,
) -> Decision {
    if status.conditions.iter().any(|condition| condition.type_ == SUSPENDED) {
        set_suspended(view, &mut status, false, "the run goes on");
    }
    pending_with(view, status, stage, reason, message)
}

fn pending_with(
    view: &RunView,
    mut status: LinkageRunStatus,
    stage: RunStage,
    reason: PendingReason,
    message: String,
) -> Decision {
    // whoever watches never sees an earlier stage again
    status.stage = status.stage.max(Some(stage));
    conclude(view, &mut status, COMPLETE, false, reason.to_string(), message);
    let polling = view.score.is_some() || view.solve.is_some() || reason == PendingReason::StoreUnavailable;
    Decision { action: Action::None, status, look_again: if polling { POLL } else { RESYNC } }
}

fn complete(view: &RunView, mut status: LinkageRunStatus, summary: &RunSummary) -> Decision {
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    status.stage = Some(RunStage::Complete);
    status.completion_time = Some(Time(view.now));
    status.progress = Some(progress::finished(summary.comparisons));
    status.pairs = Some(count(summary.pairs));
    status.groups = summary.groups.map(count);
    status.solving = summary.solving.as_ref().map(|solving| RunSolving {
        components: count(solving.components),
        largest_component_records: count(solving.largest_component_records),
        greedy_components: count(solving.greedy_components),
        greedy_records: count(solving.greedy_records),
        greedy_pairs: count(solving.greedy_pairs),
    });
    status.results = summary
        .results
        .iter()
        .map(|result| ResultStatus {
            name: result.name.clone(),
            format: result.format,
            key: result.key.clone(),
            bytes: count(result.bytes),
            blake3: result.blake3.clone(),
        })
        .collect();
    status.scores = summary.scores.as_deref().map(advice::scores);
    status.threshold_advice =
        summary.scores.as_deref().map(|scores| advice::thresholds(scores, view.run.spec.threshold));
    let mut message = format!("{} pairs at or above {}", summary.pairs, view.run.spec.threshold);
    message += &solved_greedily(summary);
    conclude(view, &mut status, COMPLETE, true, "Complete".into(), message);
    Decision { action: Action::None, status, look_again: RESYNC }
}

/// What was too large for algorithm Optimal, for the message; empty where nothing was.
fn solved_greedily(summary: &RunSummary) -> String {
    let Some(solving) = summary.solving.filter(|solving| solving.greedy_components > 0) else {
        return String::new();
    };
    let Solving { greedy_components, greedy_records, greedy_pairs, .. } = solving;
    format!(
        "; solved greedily, as they have more than maxComponentRecords: {greedy_components} of the components, with \
         {greedy_records} records and {greedy_pairs} pairs"
    )
}

pub(super) fn fail(
    view: &RunView,
    mut status: LinkageRunStatus,
    reason: FailedReason,
    message: String,
) -> Decision {
    status.stage = Some(RunStage::Failed);
    status.completion_time = Some(Time(view.now));
    conclude(view, &mut status, COMPLETE, false, PendingReason::Failed.to_string(), message.clone());
    conclude(view, &mut status, FAILED, true, reason.to_string(), message);
    let running = view.score == Some(JobState::Active) || view.solve == Some(JobState::Active);
    Decision { action: if running { Action::DeleteJobs } else { Action::None }, status, look_again: RESYNC }
}

/// Sets the condition that matters most, which the reason and message of the status repeat.
fn conclude(
    view: &RunView,
    status: &mut LinkageRunStatus,
    type_: &'static str,
    value: bool,
    reason: String,
    message: String,
) {
    let generation = view.run.metadata.generation;
    status.observed_generation = generation;
    status.reason = Some(reason.clone());
    status.message = Some(message.clone());
    set(&mut status.conditions, Verdict { type_, status: value, reason, message }, generation, view.now);
}

fn set_suspended(view: &RunView, status: &mut LinkageRunStatus, suspended: bool, message: &str) {
    let reason = if suspended { "Suspended" } else { "Resumed" }.into();
    let verdict = Verdict { type_: SUSPENDED, status: suspended, reason, message: message.into() };
    set(&mut status.conditions, verdict, view.run.metadata.generation, view.now);
}

#[cfg(test)]
#[path = "decide_tests.rs"]
pub(super) mod tests;
