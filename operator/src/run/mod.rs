//! Reconciles a `LinkageRun`: read what is there, decide, write.

mod advice;
mod decide;
mod failure;
mod from_run;
mod keep;
mod order;
mod outputs;
mod pinned;
mod progress;
mod read;
mod remove;
mod view;

use std::sync::Arc;
use std::time::Instant;

use crds::conditions::PendingReason;
use crds::{FINALIZER, LinkageProject, LinkageRun, LinkageRunStatus, PinnedWork};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::runtime::controller::Action as Requeue;
use kube::{Resource, ResourceExt};
use tracing::info;

use self::decide::{Action, Decision, decide, is_only_progress, is_worth_writing};
use self::view::RunView;
use crate::context::{Context, unless_gone};
use crate::error::Error;
use crate::events::Notice;
use crate::freshness;
use crate::job_credentials;
use crate::jobs::{self, JobState, Task};
use crate::project::hold_data;
use crate::removal;
use crate::watching::isolated;

pub use from_run::concerned;

/// Brings one run a step further. What keeps it from that is told on the run.
///
/// # Errors
/// What went wrong, for the pause before the next attempt.
pub async fn reconcile(run: Arc<LinkageRun>, context: Arc<Context>) -> Result<Requeue, Error> {
    let outcome = isolated(step(run.clone(), context.clone())).await;
    match &outcome {
        Ok(_) => context.retries.succeeded(&format!("LinkageRun {}", run.name_any())),
        Err(error) => tell(&run, error, &context).await,
    }
    outcome
}

async fn step(run: Arc<LinkageRun>, context: Arc<Context>) -> Result<Requeue, Error> {
    if run.metadata.deletion_timestamp.is_some() {
        if !run.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(Requeue::await_change());
        }
        return remove::step(&run, &context).await;
    }
    if context.freshness.is_behind(&*run) {
        return Ok(Requeue::requeue(freshness::SOON));
    }
    let project = project_of(&run, &context).await?;
    let run = removal::hold(&context, Arc::unwrap_or_clone(run), project.as_deref()).await?;
    let view = read::view(run, project, &context).await?;
    let decision = decide(&view, &|project, status| {
        order::pin(&view.run, project, status, &context.jobs, &context.installation)
    })?;
    write(view, decision, &context).await
}

/// The project of a run. One that the watch has not told of may just have been created: Kubernetes itself has to say that it
/// is not there.
async fn project_of(run: &LinkageRun, context: &Context) -> Result<Option<Arc<LinkageProject>>, Error> {
    let name = &run.spec.project_ref.name;
    match context.project(name) {
        Some(project) => Ok(Some(project)),
        None => Ok(context.api::<LinkageProject>().get_opt(name).await?.map(Arc::new)),
    }
}

/// Whom a changed project concerns: the runs that name it and have not ended.
pub fn of_project(project: &LinkageProject, runs: &[Arc<LinkageRun>]) -> Vec<String> {
    let name = project.name_any();
    let waits = |run: &LinkageRun| !run.status.as_ref().is_some_and(decide::has_ended);
    let concerned = runs.iter().filter(|run| run.spec.project_ref.name == name && waits(run));
    concerned.map(|run| run.name_any()).collect()
}

async fn write(view: RunView, decision: Decision, context: &Context) -> Result<Requeue, Error> {
    let (mut run, mut before) = (view.run, LinkageRunStatus::default());
    if let Some(status) = &run.status {
        before.clone_from(status);
    }
    if before.pinned.is_none() && decision.status.pinned.is_some() {
        if let Some(project) = &view.project {
            hold_data(project, &run.name_any(), context).await?;
        }
        // what a run works on is written down before anything works on it. This run may have been deleted and made anew
        // since it was read: then the version is another, and nothing is written
        let Some(written) = write_status(&run, &decision.status, context).await? else {
            return Ok(Requeue::await_change());
        };
        publish(&run, &before, &decision, context).await;
        before.clone_from(&decision.status);
        run = written;
    }
    if act(&run, &decision, context).await?.is_gone() {
        return Ok(Requeue::await_change());
    }
    let uid = run.uid().unwrap_or_default();
    if decision.status != before {
        let may_write = !is_only_progress(&before, &decision.status)
            || (is_worth_writing(&before, &decision.status)
                && context.status_writes.may_write_progress(&uid, Instant::now()));
        if may_write {
            write_status(&run, &decision.status, context).await?;
            publish(&run, &before, &decision, context).await;
        }
    }
    if decide::has_ended(&decision.status) {
        context.work_time.forget(&uid);
        context.status_writes.forget(&uid);
    } else {
        keep_credentials(&run, &decision.status, context).await?;
    }
    Ok(Requeue::requeue(decision.look_again))
}

/// Whether the run is still there after an action.
enum Acted {
    Still,
    Gone,
}

impl Acted {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Gone)
    }
}

async fn act(run: &LinkageRun, decision: &Decision, context: &Context) -> Result<Acted, Error> {
    match decision.action {
        Action::None => {}
        Action::CreateScoreJob => create_job(run, &decision.status, Task::Score, context).await?,
        Action::CreateSolveJob => create_job(run, &decision.status, Task::Solve, context).await?,
        Action::DeleteJobs => {
            let names = [Task::Score, Task::Solve].map(|task| order::job_name(run, task));
            removal::delete_jobs(context, &names, &run.uid().unwrap_or_default()).await?;
        }
        Action::DeleteRun => {
            info!(run = run.name_any(), "deleting the run, as spec.ttlSecondsAfterFinished says");
            // only as it was read: its time may have been prolonged since
            let as_read = Preconditions { uid: run.uid(), resource_version: run.resource_version() };
            let parameters = DeleteParams::background().preconditions(as_read);
            unless_gone(context.api::<LinkageRun>().delete(&run.name_any(), &parameters).await)?;
            return Ok(Acted::Gone);
        }
    }
    Ok(Acted::Still)
}

/// Renews the credentials of the run's Jobs. That this fails does no harm before they expire, so the run goes on; it is told
/// in an Event.
async fn keep_credentials(
    run: &LinkageRun,
    status: &LinkageRunStatus,
    context: &Context,
) -> Result<(), Error> {
    let Some(pinned) = &status.pinned else { return Ok(()) };
    let access = order::access(pinned)?;
    for task in [Task::Score, Task::Solve] {
        let Some(job) = read::job(run, task, context) else { continue };
        if !matches!(jobs::state(&job), JobState::Active | JobState::Queued) {
            continue;
        }
        let kept = job_credentials::keep(context, &job, &access, Timestamp::now()).await;
        if let Some(trouble) = kept.err().and_then(|error| error.trouble()) {
            let note =
                format!("the credentials of the Job {} are not renewed: {}", job.name_any(), trouble.message);
            let reason = trouble.kind.of_run().to_string();
            context.events.publish(&reference(run), Notice { is_trouble: true, reason, note }).await;
        }
    }
    Ok(())
}

async fn create_job(
    run: &LinkageRun,
    status: &LinkageRunStatus,
    task: Task,
    context: &Context,
) -> Result<(), Error> {
    let Some(pinned) = &status.pinned else { return Ok(()) };
    let shards = status.shards.and_then(|shards| u32::try_from(shards).ok()).unwrap_or(1);
    jobs::create(context, order::job(run, pinned, task, shards)?).await
}

/// Replaces the status of the very version that was read. None when the run is gone.
async fn write_status(
    run: &LinkageRun,
    status: &LinkageRunStatus,
    context: &Context,
) -> Result<Option<LinkageRun>, Error> {
    let changed = LinkageRun { status: Some(status.clone()), ..run.clone() };
    metrics::counter!("linkage_operator_status_writes_total", "kind" => "LinkageRun").increment(1);
    let api = context.api::<LinkageRun>();
    let written = unless_gone(api.replace_status(&run.name_any(), &PostParams::default(), &changed).await)?;
    if let Some(written) = &written {
        context.freshness.wrote(written);
    }
    Ok(written)
}

/// Tells of every new reason, and of every new warning, once.
async fn publish(run: &LinkageRun, before: &LinkageRunStatus, decision: &Decision, context: &Context) {
    let after = &decision.status;
    let Some(reason) = after.reason.clone() else { return };
    let knew = |text: &String| before.message.as_ref().is_some_and(|message| message.contains(text.as_str()));
    let note = match &decision.warning {
        _ if before.reason != after.reason => after.message.clone().unwrap_or_default(),
        Some(warning) if !knew(warning) => warning.clone(),
        _ => return,
    };
    let is_trouble = after.stage == Some(crds::RunStage::Failed)
        || decision.warning.is_some()
        || PendingReason::of(&reason).is_some_and(PendingReason::is_trouble);
    context.events.publish(&reference(run), Notice { is_trouble, reason, note }).await;
}

fn reference(run: &LinkageRun) -> ObjectReference {
    run.object_ref(&())
}

/// Tells on the run why a step could not be finished. That this cannot be written, either, must do no more harm.
async fn tell(run: &LinkageRun, error: &Error, context: &Context) {
    let Some(trouble) = error.trouble() else { return };
    // a step that was cut off may have written a newer one
    let run = context
        .run(&run.name_any())
        .filter(|latest| latest.uid() == run.uid())
        .unwrap_or_else(|| run.clone().into());
    let status = match run.metadata.deletion_timestamp {
        Some(_) => Some(decide::deleting(
            &run,
            format!("the run is being deleted; {}", trouble.message),
            Timestamp::now(),
        )),
        None => decide::troubled(&run, &trouble, Timestamp::now()),
    };
    let Some(status) = status.filter(|status| run.status.as_ref() != Some(status)) else { return };
    match write_status(&run, &status, context).await {
        Ok(_) => {
            let reason = status.reason.unwrap_or_default();
            let notice = Notice { is_trouble: true, reason, note: trouble.message };
            context.events.publish(&reference(&run), notice).await;
        }
        Err(error) => {
            info!(run = run.name_any(), %error, "what is wrong could not be written; it will be later")
        }
    }
}

/// What a run has pinned, if it has started.
fn pinned_work(run: &LinkageRun) -> Option<&PinnedWork> {
    run.status.as_ref()?.pinned.as_ref()
}

#[cfg(test)]
mod tests;
