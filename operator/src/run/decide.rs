//! What to do next for a run: a pure function from what is known to actions and a new status.

use std::time::Duration;

use crds::conditions::{
    COMPLETE, COMPLETED, FAILED, FailedReason, PendingReason, SUSPENDED, Verdict, is_true, set,
};
use crds::{
    AdditionalResult, LinkageProject, LinkageRun, LinkageRunStatus, PinnedWork, ResultStatus, RunSolving,
    RunStage, Solver, contribution,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use scorer::solve::Solving;
use scorer::summary::RunSummary;

use super::advice;
use super::failure::{self, Meaning};
use super::from_run;
use super::order;
use super::pinned::Pinned;
use super::progress;
use super::view::{RunView, Summary};
use crate::error::{Trouble, TroubleKind};
use crate::jobs::JobState;
use crate::project::key;
use crate::times;

/// How often a running Job's pods are asked for their progress.
pub const POLL: Duration = Duration::from_secs(2);
/// How often anything else is looked at again, should an event have been missed.
const RESYNC: Duration = Duration::from_secs(300);
/// How often a run writes down for how long it has been at work.
const WORK_TIME_SECONDS: i64 = 30;

/// What to do, and the status to write afterwards.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What to do first.
    pub action: Action,
    /// The status to write.
    pub status: LinkageRunStatus,
    /// What somebody should look at, though the reason has not changed.
    pub warning: Option<String>,
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

/// Writes down what a run works on, when it starts.
pub type Pin<'a> = &'a dyn Fn(&LinkageProject, &LinkageRunStatus) -> PinnedWork;

/// Whether a run has become complete or failed.
pub fn has_ended(status: &LinkageRunStatus) -> bool {
    is_true(&status.conditions, COMPLETE) || is_true(&status.conditions, FAILED)
}

/// Decides what to do next for a run that is not being deleted.
///
/// # Errors
/// Fails when what the run has pinned cannot be read.
pub fn decide(view: &RunView, pin: Pin<'_>) -> Result<Decision, serde_json::Error> {
    let status = view.run.status.clone().unwrap_or_default();
    if has_ended(&status) {
        return Ok(after_the_end(view, status));
    }
    let pinned = Pinned::of(Some(&status))?;
    // a result that is there counts, whatever else is wrong by now
    if let (Some(_), Summary::Present(summary)) = (&pinned, &view.summary) {
        return Ok(complete(view, status, summary));
    }
    if view.run.spec.suspend {
        return Ok(suspend(view, status));
    }
    if let Some(seconds) = overdue(view) {
        let message =
            format!("the run was not complete after {seconds} s at work (spec.activeDeadlineSeconds)");
        return Ok(fail(view, status, FailedReason::DeadlineExceeded, message));
    }
    match pinned {
        Some(pinned) => Ok(work(view, &pinned, status)),
        None => begin(view, status, pin),
    }
}

/// Starts the run as soon as all parties have contributed.
fn begin(view: &RunView, mut status: LinkageRunStatus, pin: Pin<'_>) -> Result<Decision, serde_json::Error> {
    let waiting = RunStage::WaitingForParties;
    let name = &view.run.spec.project_ref.name;
    let without =
        |message: String| pending(view, status.clone(), waiting, PendingReason::ProjectNotFound, message);
    let project = match &view.project {
        None => {
            let message = "in this namespace; the run starts when it is there";
            return Ok(without(format!("there is no LinkageProject {name} {message}")));
        }
        Some(project) if project.metadata.deletion_timestamp.is_some() => {
            return Ok(without(format!(
                "the LinkageProject {name} is being deleted, and the run goes with it"
            )));
        }
        Some(project) => project,
    };
    let refusal = key::refusal(&project.spec)
        .or_else(|| AdditionalResult::refusal(&project.spec, &view.run.spec))
        .or_else(|| Solver::refusal(&project.spec, &view.run.spec));
    if let Some(why) = refusal {
        return Ok(fail(view, status, FailedReason::InvalidInput, why));
    }
    if let Some((reason, message)) = missing_contribution(project) {
        return Ok(pending(view, status, waiting, reason, message));
    }
    if view.run.spec.from_run.is_some() {
        match from_run::prepare(view, project, status) {
            Ok(prepared) => status = prepared,
            Err(decision) => return Ok(*decision),
        }
    }
    let work = pin(project, &status);
    status.start_time = Some(Time(view.now));
    status.data_sha256 = Some(order::data_sha256(project));
    status.pinned = Some(work);
    let pinned = Pinned::of(Some(&status))?.unwrap_or_default();
    status.shards = i32::try_from(pinned.shards).ok();
    status.progress = status.progress.or_else(|| progress::at_start(&pinned));
    Ok(work_on(view, &pinned, status))
}

/// The run has started: watch its Jobs, and make those that are missing.
fn work(view: &RunView, pinned: &Pinned, mut status: LinkageRunStatus) -> Decision {
    status.active_seconds = seconds_at_work(view);
    if view.has_other_jobs {
        let message = "the Jobs that an earlier version of the operator has made are replaced".to_owned();
        let decision = pending(view, status, RunStage::Queued, PendingReason::Queued, message);
        return Decision { action: Action::DeleteJobs, look_again: POLL, ..decision };
    }
    if let Summary::Unavailable(why) = &view.summary {
        let stage = status.stage.unwrap_or(RunStage::Queued);
        let message = format!("the object store cannot be used ({why}); the operator keeps trying");
        return pending(view, status, stage, PendingReason::StoreUnavailable, message);
    }
    let meaning = [&view.score, &view.solve].into_iter().flatten().find_map(|state| match state {
        JobState::Failed(why) => Some(failure::explain(&view.pods, why)),
        _ => failure::of_running_job(&view.pods),
    });
    match meaning {
        Some(Meaning::Final(reason, message)) => fail(view, status, reason, message),
        Some(Meaning::Passing(trouble)) => {
            let stage = status.stage.unwrap_or(RunStage::Queued);
            let decision = pending(view, status, stage, trouble.kind.of_run(), trouble.message);
            Decision { action: Action::DeleteJobs, ..decision }
        }
        None => work_on(view, pinned, status),
    }
}

fn work_on(view: &RunView, pinned: &Pinned, mut status: LinkageRunStatus) -> Decision {
    let solves_alone = view.run.spec.from_run.is_some();
    let shards = pinned.shards.max(1);
    let last_job = if shards == 1 && !solves_alone { &view.score } else { &view.solve };
    if is_vanished(last_job, &view.summary) {
        let message =
            "the Job has completed, but its summary is not in the store: somebody has deleted the run's \
                       objects; create the run again"
                .to_owned();
        return fail(view, status, FailedReason::JobFailed, message);
    }
    if solves_alone {
        return from_run::step(view, status);
    }
    let all_stored = view.stored_shards.is_some_and(|stored| stored >= shards);
    match (&view.score, &view.solve) {
        // what the store says counts: a Job that has ended is removed after a while
        (None | Some(JobState::Complete), None) if shards > 1 && (all_stored || view.score.is_some()) => {
            let message = "all records are compared; the pairs are being solved".to_owned();
            let decision = pending(view, status, RunStage::Solving, PendingReason::Solving, message);
            Decision { action: Action::CreateSolveJob, ..decision }
        }
        (None, None) => {
            let message = progress::waiting_for_pods(shards);
            let decision = pending(view, status, RunStage::Queued, PendingReason::Queued, message);
            Decision { action: Action::CreateScoreJob, ..decision }
        }
        _ => {
            let told = progress::update(view, pinned, &mut status);
            watched(view, status, told)
        }
    }
}

/// The status of a run whose Job is there.
pub(super) fn watched(view: &RunView, status: LinkageRunStatus, told: progress::Told) -> Decision {
    let warning = told.warning.clone();
    let decision = pending(view, status, told.stage, told.reason, told.message);
    Decision { warning, ..decision }
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
    if let Some((party, why)) = contribution::rejected(&status) {
        return Some((PendingReason::PartyRejected, format!("party {party}: {why}")));
    }
    let missing = contribution::missing(&project.spec, &status);
    Some((PendingReason::WaitingForParties, format!("waiting for the data of: {}", missing.join(", "))))
}

/// For how long pods have been at work; absent before any was.
fn seconds_at_work(view: &RunView) -> Option<i64> {
    i64::try_from(view.at_work.as_secs()).ok().filter(|seconds| *seconds > 0)
}

/// Seconds of the deadline, if it has passed.
fn overdue(view: &RunView) -> Option<i64> {
    let deadline = view.run.spec.active_deadline_seconds?;
    times::has_passed(view.at_work, deadline).then_some(deadline)
}

fn after_the_end(view: &RunView, mut status: LinkageRunStatus) -> Decision {
    let generation = view.run.metadata.generation;
    if status.observed_generation != generation {
        status.observed_generation = generation;
        for condition in &mut status.conditions {
            condition.observed_generation = generation;
        }
    }
    let left = status
        .completion_time
        .as_ref()
        .zip(view.run.spec.ttl_seconds_after_finished)
        .map(|(end, seconds)| times::left(end.0, seconds, view.now));
    // a failed run's pods have nothing left to do; a complete run's are about to end
    let has_failed = is_true(&status.conditions, FAILED);
    let runs = [&view.score, &view.solve].into_iter().flatten().any(is_unfinished);
    let (action, look_again) = match left {
        Some(Duration::ZERO) => (Action::DeleteRun, RESYNC),
        left => {
            let action = if runs && has_failed { Action::DeleteJobs } else { Action::None };
            (action, left.unwrap_or(RESYNC).min(RESYNC))
        }
    };
    Decision { action, status, warning: None, look_again }
}

fn is_unfinished(state: &JobState) -> bool {
    matches!(state, JobState::Active | JobState::Queued)
}

/// Suspending deletes the Jobs: shards that are finished stay in the store, and are not computed again.
fn suspend(view: &RunView, mut status: LinkageRunStatus) -> Decision {
    let running = view.score.is_some() || view.solve.is_some();
    status.active_seconds = seconds_at_work(view);
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
    let reason = never_back(&status, reason);
    // whoever watches never sees an earlier stage again
    status.stage = status.stage.max(Some(stage));
    conclude(&view.run, view.now, &mut status, COMPLETE, false, reason.as_str(), message);
    let polling = view.score.is_some() || view.solve.is_some() || reason == PendingReason::StoreUnavailable;
    Decision { action: Action::None, status, warning: None, look_again: if polling { POLL } else { RESYNC } }
}

/// A run that was seen solving is not seen scoring again: a pod that is restarted loads and checks what it has scored.
fn never_back(status: &LinkageRunStatus, reason: PendingReason) -> PendingReason {
    use PendingReason::{Queued, Scoring, Solving};
    let at_work = [Queued, Scoring, Solving];
    let place = |text: &str| at_work.iter().position(|reason| reason.as_str() == text);
    let before = status.reason.as_deref().and_then(place);
    match (before, place(reason.as_str())) {
        (Some(before), Some(now)) if now < before => at_work[before],
        _ => reason,
    }
}

/// The status of a run that a step could not be finished for; none where nothing is to be told.
pub fn troubled(run: &LinkageRun, trouble: &Trouble, now: Timestamp) -> Option<LinkageRunStatus> {
    let mut status = run.status.clone().unwrap_or_default();
    if has_ended(&status) {
        return None;
    }
    status.stage = status.stage.max(Some(RunStage::WaitingForParties));
    let is_unavailable = trouble.kind == TroubleKind::KubernetesUnavailable;
    if is_unavailable && status.reason.as_deref() == Some(trouble.kind.of_run().as_str()) {
        return None; // every attempt says it a little differently
    }
    conclude(run, now, &mut status, COMPLETE, false, trouble.kind.of_run().as_str(), trouble.message.clone());
    Some(status)
}

/// The status of a run that is being deleted, and of what that waits for.
pub fn deleting(run: &LinkageRun, message: String, now: Timestamp) -> LinkageRunStatus {
    let mut status = run.status.clone().unwrap_or_default();
    status.reason = Some(PendingReason::Deleting.to_string());
    status.message = Some(message.clone());
    if !is_true(&status.conditions, COMPLETE) {
        let verdict =
            Verdict { type_: COMPLETE, status: false, reason: PendingReason::Deleting.to_string(), message };
        set(&mut status.conditions, verdict, run.metadata.generation, now);
    }
    status
}

/// Whether a status differs from the one before in nothing but how far the run is.
pub fn is_only_progress(before: &LinkageRunStatus, after: &LinkageRunStatus) -> bool {
    let mut same = after.clone();
    same.progress.clone_from(&before.progress);
    same.pairs = before.pairs;
    same.message.clone_from(&before.message);
    same.active_seconds = before.active_seconds;
    for condition in &mut same.conditions {
        if let Some(known) = before.conditions.iter().find(|known| known.type_ == condition.type_) {
            condition.message.clone_from(&known.message);
        }
    }
    same == *before
}

/// Whether somebody would see the difference of two statuses that differ in progress alone.
pub fn is_worth_writing(before: &LinkageRunStatus, after: &LinkageRunStatus) -> bool {
    let percent =
        |status: &LinkageRunStatus| status.progress.as_ref().map(|progress| progress.percent.clone());
    let worked = |status: &LinkageRunStatus| status.active_seconds.unwrap_or(0);
    percent(before) != percent(after)
        || before.message != after.message
        || worked(after) - worked(before) >= WORK_TIME_SECONDS
}

fn complete(view: &RunView, mut status: LinkageRunStatus, summary: &RunSummary) -> Decision {
    let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    status.stage = Some(RunStage::Complete);
    status.completion_time = Some(Time(view.now));
    status.progress = Some(progress::finished(summary.comparisons));
    status.pairs = Some(count(summary.pairs));
    status.groups = summary.groups.map(count);
    status.active_seconds = seconds_at_work(view);
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
    no_longer_suspended(view, &mut status);
    conclude(&view.run, view.now, &mut status, COMPLETE, true, COMPLETED, message);
    // pods are about to end, unless something beside the scorer keeps them
    let is_held = view.pods.iter().any(|pod| pod.is_held);
    let action = if is_held { Action::DeleteJobs } else { Action::None };
    Decision { action, status, warning: None, look_again: RESYNC }
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
    no_longer_suspended(view, &mut status);
    let pending = PendingReason::Failed.as_str();
    conclude(&view.run, view.now, &mut status, COMPLETE, false, pending, message.clone());
    conclude(&view.run, view.now, &mut status, FAILED, true, reason.as_str(), message);
    let running = [&view.score, &view.solve].into_iter().flatten().any(is_unfinished);
    let action = if running { Action::DeleteJobs } else { Action::None };
    Decision { action, status, warning: None, look_again: RESYNC }
}

/// Sets the condition that matters most, which the reason and message of the status repeat.
fn conclude(
    run: &LinkageRun,
    now: Timestamp,
    status: &mut LinkageRunStatus,
    type_: &'static str,
    value: bool,
    reason: &str,
    message: String,
) {
    let generation = run.metadata.generation;
    status.observed_generation = generation;
    status.reason = Some(reason.to_owned());
    status.message = Some(message.clone());
    let verdict = Verdict { type_, status: value, reason: reason.to_owned(), message };
    set(&mut status.conditions, verdict, generation, now);
}

fn set_suspended(view: &RunView, status: &mut LinkageRunStatus, suspended: bool, message: &str) {
    let reason = if suspended { "Suspended" } else { "Resumed" }.into();
    let verdict = Verdict { type_: SUSPENDED, status: suspended, reason, message: message.into() };
    set(&mut status.conditions, verdict, view.run.metadata.generation, view.now);
}

/// A run that has ended is not suspended, whatever its spec says.
fn no_longer_suspended(view: &RunView, status: &mut LinkageRunStatus) {
    if is_true(&status.conditions, SUSPENDED) {
        set_suspended(view, status, false, "the run has ended");
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
pub(super) mod tests;
