//! Reconciles a `LinkageRun`: read what is there, decide, write once.

mod advice;
mod decide;
mod failure;
mod from_run;
mod keep;
mod order;
mod outputs;
mod progress;
mod view;

use std::sync::Arc;

use crds::{FINALIZER, LinkageProject, LinkageRun, LinkageRunStatus, labels};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::runtime::controller::Action as Requeue;
use kube::{Resource, ResourceExt};
use scorer::store::StoreError;
use tracing::info;

use self::decide::{Action, Decision, decide};
use self::view::{RunView, Summary};
use crate::context::{Context, Error, unless_gone};
use crate::jobs::{self, Task};
use crate::pods::{self, JobState, PodPhase};
use crate::removal;

/// Brings one run a step further.
pub async fn reconcile(run: Arc<LinkageRun>, context: Arc<Context>) -> Result<Requeue, Error> {
    let name = run.name_any();
    if run.metadata.deletion_timestamp.is_some() {
        if !run.finalizers().iter().any(|finalizer| finalizer == FINALIZER) {
            return Ok(Requeue::await_change());
        }
        if let Some(requeue) = keep::pairs(&run, &context).await? {
            return Ok(requeue);
        }
        return removal::purge(&context, &*run, &format!("{}={name}", labels::RUN), &order::prefix(&run))
            .await;
    }
    // the cache may be behind what this operator itself has written
    let Some(run) = context.api::<LinkageRun>().get_opt(&name).await? else {
        return Ok(Requeue::await_change());
    };
    let project = context.api::<LinkageProject>().get_opt(&run.spec.project_ref.name).await?;
    let run = removal::hold(&context, run, project.as_ref()).await?;
    let view = read(run, project, &context).await?;
    let decision = decide(&view, |project| order::shards(&view.run, project, &context.jobs));
    write(&view, decision, &context).await
}

pub use from_run::concerned;

/// Whom a changed project concerns: the runs that name it.
pub fn of_project(project: &LinkageProject, runs: &[Arc<LinkageRun>]) -> Vec<String> {
    let name = project.name_any();
    runs.iter().filter(|run| run.spec.project_ref.name == name).map(|run| run.name_any()).collect()
}

/// Records that each party of a project has contributed, by data set.
fn records(project: &LinkageProject) -> Vec<u64> {
    let parties = project.status.as_ref().map(|status| status.parties.as_slice()).unwrap_or_default();
    parties
        .iter()
        .map(|party| party.records.and_then(|records| u64::try_from(records).ok()).unwrap_or(0))
        .collect()
}

async fn read(run: LinkageRun, project: Option<LinkageProject>, context: &Context) -> Result<RunView, Error> {
    let uid = run.uid().unwrap_or_default();
    let labelled = ListParams::default().labels(&format!("{}={}", labels::RUN, run.name_any()));
    let jobs = context.api::<Job>().list(&labelled).await?.items;
    // a Job of an earlier run of the same name is none of ours
    let ours: Vec<&Job> = jobs
        .iter()
        .filter(|job| job.owner_references().iter().any(|owner| owner.uid == uid))
        .filter(|job| job.metadata.deletion_timestamp.is_none())
        .collect();
    let find = |task: Task| ours.iter().find(|job| job.name_any() == order::job_name(&run, task)).copied();
    let (score, solve) = (find(Task::Score), find(Task::Solve));
    let pods = match ours.is_empty() {
        true => Vec::new(),
        false => {
            let pods = context.api::<Pod>().list(&labelled).await?.items;
            pods::ask(&context.http, pods::of_jobs(&pods, &ours)).await
        }
    };
    let finished_shards = score.and_then(|job| job.status.as_ref()?.succeeded).unwrap_or(0);
    let (score, solve) = (score.map(pods::job_state), solve.map(pods::job_state));
    // the last pod writes the summary just before it ends, a second or two before its Job is marked complete
    let may_be_complete = pods.iter().any(|pod| pod.phase == PodPhase::Succeeded)
        || [&score, &solve].into_iter().flatten().any(|job| *job == JobState::Complete);
    let summary = if may_be_complete { read_summary(&run, context).await } else { Summary::NotRead };
    let earlier = match run.spec.from_run.as_ref() {
        Some(earlier) => context.api::<LinkageRun>().get_opt(&earlier.name).await?,
        None => None,
    };
    Ok(RunView {
        finished_shards: u32::try_from(finished_shards).unwrap_or(0),
        run,
        project,
        score,
        solve,
        pods,
        summary,
        earlier,
        now: Timestamp::now(),
    })
}

async fn read_summary(run: &LinkageRun, context: &Context) -> Summary {
    const MAX_BYTES: u64 = 1 << 20;
    let key = format!("{}summary.json", order::prefix(run));
    match context.store.read_small(&key, MAX_BYTES).await {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(summary) => Summary::Present(summary),
            Err(error) => Summary::Unavailable(format!("{key} cannot be understood: {error}")),
        },
        Err(StoreError::NotFound { .. }) => Summary::Absent,
        Err(error) => Summary::Unavailable(error.to_string()),
    }
}

async fn write(view: &RunView, decision: Decision, context: &Context) -> Result<Requeue, Error> {
    let run = &view.run;
    match decision.action {
        Action::None => {}
        Action::CreateScoreJob => create_job(view, &decision.status, Task::Score, context).await?,
        Action::CreateSolveJob => create_job(view, &decision.status, Task::Solve, context).await?,
        Action::DeleteJobs => {
            let names = [Task::Score, Task::Solve].map(|task| order::job_name(run, task));
            removal::delete_jobs(context, &names).await?;
        }
        Action::DeleteRun => {
            info!(run = run.name_any(), "deleting the run, as spec.ttlSecondsAfterFinished says");
            unless_gone(context.api::<LinkageRun>().delete(&run.name_any(), &DeleteParams::default()).await)?;
            return Ok(Requeue::await_change());
        }
    }
    let before = run.status.clone().unwrap_or_default();
    if decision.status != before {
        write_status(run, &decision.status, context).await?;
        publish(run, &before, &decision.status, context).await;
    }
    Ok(Requeue::requeue(decision.look_again))
}

async fn create_job(
    view: &RunView,
    status: &LinkageRunStatus,
    task: Task,
    context: &Context,
) -> Result<(), Error> {
    let Some(project) = &view.project else { return Ok(()) };
    let shards = u32::try_from(status.shards.unwrap_or(1)).unwrap_or(1);
    let job = jobs::build(order::job(&view.run, project, task, shards, &context.jobs)?, &context.jobs);
    context.api::<Job>().create(&PostParams::default(), &job).await?;
    info!(run = view.run.name_any(), job = job.name_any(), shards, "created Job");
    Ok(())
}

/// Replaces the status of the very version that was read.
async fn write_status(run: &LinkageRun, status: &LinkageRunStatus, context: &Context) -> Result<(), Error> {
    let run = LinkageRun { status: Some(status.clone()), ..run.clone() };
    unless_gone(
        context.api::<LinkageRun>().replace_status(&run.name_any(), &PostParams::default(), &run).await,
    )?;
    Ok(())
}

/// Tells of every new reason, once.
async fn publish(run: &LinkageRun, before: &LinkageRunStatus, after: &LinkageRunStatus, context: &Context) {
    let Some(reason) = after.reason.clone().filter(|_| before.reason != after.reason) else { return };
    let is_trouble = after.stage == Some(crds::RunStage::Failed)
        || ["PartyRejected", "StoreUnavailable"].contains(&reason.as_str());
    let note = after.message.clone().unwrap_or_default();
    context.publish(&run.object_ref(&()), is_trouble, reason, note).await;
}
