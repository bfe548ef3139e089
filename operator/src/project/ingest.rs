//! The Jobs that read parties' source objects: one for each version of the objects.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crds::contribution::SOURCE_FOLDER;
use crds::{LinkageProject, Party, Scheduling, Source, labels};
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt};
use scorer::plan::{FORMAT_VERSION, IngestPlan};
use scorer::store::StoreError;
use scorer::summary::{Contribution, Failure, FailureReason};
use sha2::{Digest, Sha256};

use super::view::{IngestState, SourceState};
use crate::caches::{is_owned, named};
use crate::context::Context;
use crate::error::Error;
use crate::job_credentials::{self, Access};
use crate::jobs::{self, JobOrder, JobState, Task};
use crate::pods::{self, PodFailure, PodPhase, PodView};
use crate::{held_pods, lost_pods, removal, times};

/// Characters of the part of a Job's name that tells the version of the objects.
const VERSION_DIGITS: usize = 7;

/// The objects that a party's data is read from, if there are any: those that it has announced, else those that the project
/// names.
pub fn source<'p>(project: &'p LinkageProject, party: &'p Party) -> Option<PartySource<'p>> {
    let status = project.status.iter().flat_map(|status| &status.parties);
    let announced =
        status.filter(|entry| entry.name == party.name).find_map(|entry| entry.announced.as_ref());
    let named = |source: &'p Source| PartySource {
        encodings: &source.encodings,
        blocks: source.blocks.as_deref(),
        is_announced: false,
    };
    match announced {
        Some(announced) => Some(PartySource {
            encodings: &announced.encodings,
            blocks: announced.blocks.as_deref(),
            is_announced: true,
        }),
        None => party.source.as_ref().map(named),
    }
}

/// Where a party's data is read from.
#[derive(Clone, Copy, Debug)]
pub struct PartySource<'p> {
    /// Key of the encodings.
    pub encodings: &'p str,
    /// Key of the blocks.
    pub blocks: Option<&'p str>,
    /// Whether the party has put them there by itself.
    pub is_announced: bool,
}

/// Below which prefix a party puts what it announces, whatever the generation of its token.
pub fn uploads(project: &LinkageProject, context: &Context) -> String {
    format!("{}uploads/", super::folder(project, context))
}

/// Removes what a party has put there, once it is taken in.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn tidy(project: &LinkageProject, party: &str, context: &Context) -> Result<(), StoreError> {
    let (uploads, dataset) = (uploads(project, context), dataset(project, party));
    for generation in 1..=project.spec.token_generation {
        context.store.delete_prefix(&format!("{uploads}{generation}/{dataset}/")).await?;
    }
    Ok(())
}

/// Looks whether a party's source objects are there, and in which version.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn source_state(
    project: &LinkageProject,
    source: PartySource<'_>,
    context: &Context,
) -> Result<SourceState, StoreError> {
    let mut version = Sha256::new();
    let allowed = match source.is_announced {
        true => vec![uploads(project, context)],
        false => context.jobs.source_prefixes(&context.namespace, &project.name_any()),
    };
    for key in [Some(source.encodings), source.blocks].into_iter().flatten() {
        if !allowed.iter().any(|prefix| key.starts_with(prefix.as_str())) {
            return Ok(SourceState::NotAllowed(key.to_owned(), allowed.join(", ")));
        }
        // listing, where asking for the object would do, because the operator may not read encodings. Keys come in
        // order, so this one is the first that begins with it
        let listed = context.store.list(key).next().await.transpose()?;
        let Some(object) = listed.filter(|object| object.key == key) else {
            return Ok(SourceState::Absent(key.to_owned()));
        };
        version.update(format!("{key}\n{}\n{}\n", object.bytes, object.etag));
    }
    Ok(SourceState::Present(hex::encode(version.finalize())))
}

/// Prefix of the stored form of one version of a party's source objects.
pub fn prefix(project: &LinkageProject, party: &str, version: &str, context: &Context) -> String {
    let party = dataset(project, party);
    format!("{}parties/{party}/{SOURCE_FOLDER}{version}/", super::folder(project, context))
}

/// What the Job for one version of a party's source objects is made of.
///
/// # Errors
/// Fails when the plan cannot be written as JSON, which does not happen.
pub fn job(
    project: &LinkageProject,
    party: &str,
    version: &str,
    context: &Context,
) -> Result<JobOrder, serde_json::Error> {
    let source = source_of(project, party);
    let bits = project.spec.encoding.as_ref().and_then(|encoding| encoding.bits);
    let plan = IngestPlan {
        version: FORMAT_VERSION,
        project: project.name_any(),
        party: party.to_owned(),
        source: scorer::plan::Source {
            encodings: source.map(|source| source.encodings.to_owned()).unwrap_or_default(),
            blocks: source.and_then(|source| source.blocks.map(str::to_owned)),
            encoding_bytes: bits.and_then(|bits| u32::try_from(bits / 8).ok()),
        },
        blocking: project.spec.blocking == crds::Blocking::ByBlockId,
        output: prefix(project, party, version, context),
        announced_max_bytes: source
            .filter(|source| source.is_announced)
            .map(|_| context.jobs.max_upload_bytes),
        limits: context.jobs.limits,
    };
    Ok(JobOrder {
        name: job_name(project, party, version),
        task: Task::Ingest,
        plan: serde_json::to_string(&plan)?,
        work: None,
        completions: 1,
        labels: [(labels::PROJECT.into(), project.name_any())].into(),
        owner: project.controller_owner_ref(&()).unwrap_or_default(),
        resources: context.jobs.resources.clone(),
        scheduling: Scheduling::default(),
        access: access(project, party, version, context),
    })
}

fn source_of<'p>(project: &'p LinkageProject, party: &str) -> Option<PartySource<'p>> {
    source(project, project.spec.parties.iter().find(|known| known.name == party)?)
}

/// What the Job needs of the store: the party's source objects, and the folder for their stored form.
fn access(project: &LinkageProject, party: &str, version: &str, context: &Context) -> Access {
    let source = source_of(project, party);
    let objects = source.into_iter().flat_map(|source| [Some(source.encodings), source.blocks]).flatten();
    let objects = objects.map(str::to_owned);
    Access {
        objects: objects.collect(),
        folders: BTreeSet::new(),
        output: prefix(project, party, version, context),
    }
}

/// How far the Job for one version of a party's source objects is; none when it was never created.
///
/// # Errors
/// Fails when Kubernetes or the store do not answer.
pub async fn state(
    project: &LinkageProject,
    party: &str,
    version: &str,
    context: &Context,
) -> Result<Option<IngestState>, Error> {
    let uid = project.uid().unwrap_or_default();
    let name = job_name(project, party, version);
    let Some(job) = named(&context.caches.jobs, &context.namespace, &name)
        .filter(|job| is_owned(&**job, &uid) && job.metadata.deletion_timestamp.is_none())
    else {
        // its Job may have ended and been removed long ago
        return Ok(contribution(project, party, version, context).await?.map(IngestState::Done));
    };
    let now = Timestamp::now();
    let is_at_work = matches!(jobs::state(&job), JobState::Active | JobState::Queued);
    if is_at_work {
        job_credentials::keep(context, &job, &access(project, party, version, context), now).await?;
    }
    let pods = pods_of(&job, context);
    lost_pods::replace(context, &pods).await?;
    held_pods::end_failed(context, &pods).await?;
    let views: Vec<PodView> = pods.iter().map(|pod| pods::view(pod, now)).collect();
    Ok(Some(match held_pods::state(jobs::state(&job), &views, 1) {
        JobState::Active | JobState::Queued => IngestState::Active(waits_for(&views)),
        JobState::Failed(why) => judge(failure(&views, why), &job, context, now),
        JobState::Complete => match contribution(project, party, version, context).await? {
            Some(contribution) => {
                if views.iter().any(|pod| pod.is_held) {
                    // nobody looks at it again
                    removal::delete_jobs(context, &[name], &uid).await?;
                }
                IngestState::Done(contribution)
            }
            None => judge(vanished(), &job, context, now),
        },
    }))
}

/// What the Job has written last.
async fn contribution(
    project: &LinkageProject,
    party: &str,
    version: &str,
    context: &Context,
) -> Result<Option<Contribution>, Error> {
    const MAX_BYTES: u64 = 1 << 16;
    let key = format!("{}contribution.json", prefix(project, party, version, context));
    match context.store.read_small(&key, MAX_BYTES).await {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn pods_of(job: &Job, context: &Context) -> Vec<Arc<Pod>> {
    let uid = job.uid().unwrap_or_default();
    let mut pods = context.caches.pods.state_filter(|pod| {
        pod.labels().get("batch.kubernetes.io/controller-uid").is_some_and(|of| *of == uid)
    });
    pods.sort_by_cached_key(|pod| pod.creation_timestamp());
    pods
}

fn waits_for(pods: &[PodView]) -> Option<String> {
    let lost = pods.iter().find_map(|pod| pod.lost_on.as_ref());
    if let Some(node) = lost {
        return Some(format!("its node {node} does not answer; it is replaced if that stays so"));
    }
    pods.iter().find_map(|pod| match &pod.phase {
        PodPhase::Pending(why) => why.clone(),
        _ => None,
    })
}

/// What the Job's pods said, the last one's word counting.
fn failure(pods: &[PodView], job_message: String) -> Failure {
    let said = pods.iter().rev().find_map(|pod| match &pod.phase {
        PodPhase::Failed(PodFailure::Told(failure)) => Some(failure.clone()),
        PodPhase::Failed(PodFailure::OutOfMemory) => Some(Failure {
            reason: FailureReason::OutOfMemory,
            message:
                "reading the source used more memory than the pod's limit; raise the chart's jobs.resources"
                    .into(),
        }),
        PodPhase::Failed(PodFailure::ScratchFull(message)) => Some(Failure {
            reason: FailureReason::ScratchFull,
            message: format!(
                "the pod that reads the source filled its scratch space and was evicted ({message}); raise the chart's \
                 jobs.scratchSize"
            ),
        }),
        PodPhase::Failed(failure) => Some(Failure {
            reason: FailureReason::Internal,
            message: format!("reading the source failed: {failure}"),
        }),
        _ => None,
    });
    said.unwrap_or(Failure { reason: FailureReason::Internal, message: job_message })
}

fn vanished() -> Failure {
    let message =
        "the Job has read the source, but what it wrote is not in the store: somebody has deleted it";
    Failure { reason: FailureReason::Internal, message: message.into() }
}

/// Whether the data is at fault, or when the Job is tried again: at once when it has other memory by now.
fn judge(failure: Failure, job: &Job, context: &Context, now: Timestamp) -> IngestState {
    const SOON: i64 = 60;
    const LATER: i64 = 600;
    let pause = match failure.reason {
        FailureReason::OutOfMemory => LATER,
        reason if reason.is_permanent() => return IngestState::Failed(failure),
        _ => SOON,
    };
    let resources = job.spec.as_ref().and_then(|spec| {
        spec.template
            .spec
            .as_ref()?
            .containers
            .iter()
            .find(|container| container.name == jobs::CONTAINER)?
            .resources
            .as_ref()
    });
    if resources != Some(&context.jobs.resources) {
        return IngestState::Trouble(failure, Duration::ZERO);
    }
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ended = conditions
        .iter()
        .filter_map(|condition| condition.last_transition_time.as_ref())
        .max_by_key(|time| time.0);
    let ended = ended.or(job.metadata.creation_timestamp.as_ref()).map_or(now, |time| time.0);
    IngestState::Trouble(failure, times::left(ended, pause, now))
}

/// The name of the Job for one version of a party's source objects.
pub fn job_name(project: &LinkageProject, party: &str, version: &str) -> String {
    let version = version.get(..VERSION_DIGITS).unwrap_or(version);
    format!("{}-in{}-{version}", project.name_any(), dataset(project, party))
}

fn dataset(project: &LinkageProject, party: &str) -> usize {
    project.spec.parties.iter().position(|known| known.name == party).unwrap_or(0)
}
