//! Reads all that is known of a run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::{LinkageProject, LinkageRun, labels};
use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use scorer::store::StoreError;
use scorer::summary::RunSummary;

use super::pinned::Pinned;
use super::view::{RunView, Summary};
use super::{order, pinned_work};
use crate::asking;
use crate::caches::{is_owned, named};
use crate::context::Context;
use crate::error::Error;
use crate::jobs::{self, JobState, Task};
use crate::pods::{self, PodPhase, PodView};
use crate::{held_pods, lost_pods, times};

/// A Job without pods is given this long before it is asked why.
const PATIENCE_SECONDS: i64 = 3;
/// A store that has not answered by then is away.
const STORE_TIMEOUT: Duration = Duration::from_secs(20);

/// All that is known of a run that is not being deleted.
///
/// # Errors
/// Fails when Kubernetes does not let the operator do what has to be done about pods, or a pinned plan cannot be read.
pub async fn view(
    run: LinkageRun,
    project: Option<Arc<LinkageProject>>,
    context: &Context,
) -> Result<RunView, Error> {
    let now = Timestamp::now();
    let uid = run.uid().unwrap_or_default();
    let work = pinned_work(&run).map(|work| work.digest.clone());
    let does_it = |job: &Arc<Job>| work.is_none() || job.annotations().get(labels::WORK) == work.as_ref();
    let found = (job(&run, Task::Score, context), job(&run, Task::Solve, context));
    let has_other_jobs = [&found.0, &found.1].into_iter().flatten().any(|job| !does_it(job));
    let (score_job, solve_job) = (found.0.filter(does_it), found.1.filter(does_it));
    let jobs: Vec<&Arc<Job>> = [&score_job, &solve_job].into_iter().flatten().collect();
    let pods = pods_of(&jobs, context);
    lost_pods::replace(context, &pods).await?;
    held_pods::end_failed(context, &pods).await?;
    let pods = asking::ask(&context.http, &pods, now).await;
    let finished = finished(score_job.as_deref(), &pods);
    let (score, solve) =
        (state(score_job.as_deref(), Task::Score, &pods), state(solve_job.as_deref(), Task::Solve, &pods));
    let no_pods = why_no_pods(&jobs, now, context).await;

    let is_at_work = pods.iter().any(|pod| pod.phase == PodPhase::Running && pod.lost_on.is_none());
    let known = run.status.as_ref().and_then(|status| status.active_seconds).unwrap_or(0);
    let at_work = context.work_time.look(&uid, known, is_at_work, Instant::now());

    let pinned = Pinned::of(run.status.as_ref())?;
    // the last pod writes the summary just before it ends, a second or two before its Job is marked complete; and a Job
    // that has ended may have been removed
    let may_be_complete = pods.iter().any(|pod| pod.phase == PodPhase::Succeeded)
        || [&score, &solve].into_iter().flatten().any(|state| *state == JobState::Complete)
        || (score.is_none() && solve.is_none());
    let mut summary = match &pinned {
        Some(pinned) if may_be_complete && !has_ended(&run) => read_summary(&run, pinned, context).await,
        _ => Summary::NotRead,
    };
    let mut stored_shards = None;
    if let Some(pinned) = pinned.filter(|pinned| pinned.shards > 1 && summary == Summary::Absent)
        && score.is_none()
        && solve.is_none()
    {
        match stored(&pinned, context).await {
            Ok(stored) => stored_shards = Some(stored),
            Err(error) => summary = Summary::Unavailable(error.to_string()),
        }
    }
    let earlier = run.spec.from_run.as_ref().and_then(|earlier| context.run(&earlier.name));
    Ok(RunView {
        finished_shards: finished,
        stored_shards,
        has_other_jobs,
        project: project.map(Arc::unwrap_or_clone),
        score,
        solve,
        pods,
        no_pods,
        summary,
        earlier: earlier.map(Arc::unwrap_or_clone),
        at_work,
        now,
        run,
    })
}

/// The run's Job for a task that is not being deleted. One of an earlier run of the same name is none of this one's.
pub fn job(run: &LinkageRun, task: Task, context: &Context) -> Option<Arc<Job>> {
    let job = named(&context.caches.jobs, &context.namespace, &order::job_name(run, task))?;
    let is_its_own = is_owned(&*job, &run.uid().unwrap_or_default());
    (is_its_own && job.metadata.deletion_timestamp.is_none()).then_some(job)
}

fn has_ended(run: &LinkageRun) -> bool {
    run.status.as_ref().is_some_and(super::decide::has_ended)
}

/// Those of the pods that are of a Job.
fn of_task(pods: &[PodView], task: Task) -> Vec<PodView> {
    pods.iter().filter(|pod| pod.component == task.name()).cloned().collect()
}

fn state(job: Option<&Job>, task: Task, pods: &[PodView]) -> Option<JobState> {
    let completions =
        job?.spec.as_ref()?.completions.and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    Some(held_pods::state(jobs::state(job?), &of_task(pods, task), completions))
}

/// How many shards the scoring Job has finished.
fn finished(job: Option<&Job>, pods: &[PodView]) -> u32 {
    let by_kubernetes = job.and_then(|job| job.status.as_ref()?.succeeded).unwrap_or(0);
    pods::succeeded(of_task(pods, Task::Score).iter()).max(u32::try_from(by_kubernetes).unwrap_or(0))
}

/// The pods of these Jobs, oldest first.
fn pods_of(jobs: &[&Arc<Job>], context: &Context) -> Vec<Arc<Pod>> {
    let uids: Vec<String> = jobs.iter().filter_map(|job| job.uid()).collect();
    let mut pods = context.caches.pods.state_filter(|pod| {
        pod.labels().get("batch.kubernetes.io/controller-uid").is_some_and(|uid| uids.contains(uid))
    });
    pods.sort_by_cached_key(|pod| (pod.creation_timestamp(), pod.name_any()));
    pods
}

/// Why a Job has fewer pods than it should have for some time, if Kubernetes has said so.
async fn why_no_pods(jobs: &[&Arc<Job>], now: Timestamp, context: &Context) -> Option<String> {
    for job in jobs {
        let (Some(spec), Some(created)) = (&job.spec, job.creation_timestamp()) else { continue };
        let status = job.status.clone().unwrap_or_default();
        let there = status.active.unwrap_or(0) + status.succeeded.unwrap_or(0);
        let is_old = times::left(created.0, PATIENCE_SECONDS, now).is_zero();
        if jobs::state(job) == JobState::Active && is_old && there < spec.completions.unwrap_or(1) {
            return context.job_events.why_no_pods(job, context).await;
        }
    }
    None
}

async fn read_summary(run: &LinkageRun, pinned: &Pinned, context: &Context) -> Summary {
    const MAX_BYTES: u64 = 1 << 20;
    let key = format!("{}summary.json", pinned.output);
    let digest = pinned_work(run).map(|work| work.digest.as_str()).unwrap_or_default();
    let read = tokio::time::timeout(STORE_TIMEOUT, context.store.read_small(&key, MAX_BYTES)).await;
    match read {
        Err(_) => {
            Summary::Unavailable(format!("reading {key}: no answer within {} s", STORE_TIMEOUT.as_secs()))
        }
        Ok(Ok(bytes)) => match serde_json::from_slice::<RunSummary>(&bytes) {
            // one of other work is none of this run's
            Ok(summary) if summary.work == digest => Summary::Present(summary),
            Ok(_) => Summary::Absent,
            Err(error) => Summary::Unavailable(format!("{key} cannot be understood: {error}")),
        },
        Ok(Err(StoreError::NotFound { .. })) => Summary::Absent,
        Ok(Err(error)) => Summary::Unavailable(error.to_string()),
    }
}

/// Shards whose manifests are in the store: they are finished, whatever has become of their Job.
async fn stored(pinned: &Pinned, context: &Context) -> Result<u32, StoreError> {
    let prefix = format!("{}pairs/", pinned.output);
    let is_manifest = |key: &str| {
        let shard = key.strip_prefix(&prefix).and_then(|name| name.strip_suffix(".json"));
        shard.and_then(|shard| shard.parse::<u32>().ok()).is_some_and(|shard| shard < pinned.shards)
    };
    let mut objects = context.store.list(&prefix);
    let mut stored = 0;
    while let Some(object) = objects.try_next().await? {
        stored += u32::from(is_manifest(&object.key));
    }
    Ok(stored)
}
