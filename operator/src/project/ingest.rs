//! The Jobs that read parties' source objects: one for each version of the objects.

use crds::{LinkageProject, Scheduling, Source, labels};
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Resource, ResourceExt};
use scorer::plan::{FORMAT_VERSION, IngestPlan, Limits};
use scorer::store::StoreError;
use scorer::summary::{Failure, FailureReason};
use sha2::{Digest, Sha256};

use super::view::{IngestState, SourceState};
use crate::context::{Context, Error};
use crate::jobs::{JobOrder, Task};
use crate::pods::{self, JobState, PodFailure, PodPhase};

/// Characters of the part of a Job's name that tells the version of the objects.
const VERSION_DIGITS: usize = 7;

/// Looks whether a party's source objects are there, and in which version.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn source_state(source: &Source, context: &Context) -> Result<SourceState, StoreError> {
    let mut version = Sha256::new();
    for key in [Some(&source.encodings), source.blocks.as_ref()].into_iter().flatten() {
        // listing, where asking for the object would do, because the operator may not read encodings. Keys come in
        // order, so this one is the first that begins with it
        let listed = context.store.list(key).next().await.transpose()?;
        let Some(object) = listed.filter(|object| object.key == *key) else {
            return Ok(SourceState::Absent(key.clone()));
        };
        version.update(format!("{key}\n{}\n{}\n", object.bytes, object.etag));
    }
    Ok(SourceState::Present(hex::encode(version.finalize())))
}

/// Prefix of the stored form of one version of a party's source objects.
pub fn prefix(project: &LinkageProject, party: &str, version: &str) -> String {
    format!("{}parties/{}/source-{version}/", super::prefix(project), dataset(project, party))
}

/// What the Job for one version of a party's source objects is made of.
///
/// # Errors
/// Fails when the plan cannot be written as JSON, which does not happen.
pub fn job(
    project: &LinkageProject,
    party: &str,
    version: &str,
    limits: Limits,
) -> Result<JobOrder, serde_json::Error> {
    let source =
        project.spec.parties.iter().find(|known| known.name == party).and_then(|known| known.source.clone());
    let bits = project.spec.encoding.as_ref().and_then(|encoding| encoding.bits);
    let plan = IngestPlan {
        version: FORMAT_VERSION,
        project: project.name_any(),
        party: party.to_owned(),
        source: scorer::plan::Source {
            encodings: source.as_ref().map(|source| source.encodings.clone()).unwrap_or_default(),
            blocks: source.and_then(|source| source.blocks),
            encoding_bytes: bits.and_then(|bits| u32::try_from(bits / 8).ok()),
        },
        blocking: project.spec.blocking == crds::Blocking::ByBlockId,
        output: prefix(project, party, version),
        limits,
    };
    Ok(JobOrder {
        name: job_name(project, party, version),
        task: Task::Ingest,
        plan: serde_json::to_string(&plan)?,
        completions: 1,
        labels: [(labels::PROJECT.into(), project.name_any())].into(),
        owner: project.controller_owner_ref(&()).unwrap_or_default(),
        resources: None,
        scheduling: Scheduling::default(),
    })
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
    let uid = project.uid();
    let name = job_name(project, party, version);
    let job = context.api::<Job>().get_opt(&name).await?;
    let Some(job) =
        job.filter(|job| job.owner_references().iter().any(|owner| Some(&owner.uid) == uid.as_ref()))
    else {
        return Ok(None);
    };
    Ok(Some(match pods::job_state(&job) {
        JobState::Active => IngestState::Active,
        JobState::Failed(why) => IngestState::Failed(failure(&job, why, context).await?),
        JobState::Complete => {
            const MAX_BYTES: u64 = 1 << 16;
            let key = format!("{}contribution.json", prefix(project, party, version));
            IngestState::Done(serde_json::from_slice(&context.store.read_small(&key, MAX_BYTES).await?)?)
        }
    }))
}

/// What the Job's pods said, the last one's word counting.
async fn failure(job: &Job, job_message: String, context: &Context) -> Result<Failure, Error> {
    let selector = format!("batch.kubernetes.io/controller-uid={}", job.uid().unwrap_or_default());
    let found = context.api::<Pod>().list(&ListParams::default().labels(&selector)).await?.items;
    let said = pods::of_jobs(&found, &[job]).into_iter().rev().find_map(|(pod, _)| match pod.phase {
        PodPhase::Failed(PodFailure::Told(failure)) => Some(failure),
        PodPhase::Failed(PodFailure::OutOfMemory) => Some(Failure {
            reason: FailureReason::OutOfMemory,
            message:
                "reading the source used more memory than the pod's limit; raise the chart's jobs.resources"
                    .into(),
        }),
        _ => None,
    });
    Ok(said.unwrap_or(Failure { reason: FailureReason::Internal, message: job_message }))
}

fn job_name(project: &LinkageProject, party: &str, version: &str) -> String {
    let version = version.get(..VERSION_DIGITS).unwrap_or(version);
    format!("{}-in{}-{version}", project.name_any(), dataset(project, party))
}

fn dataset(project: &LinkageProject, party: &str) -> usize {
    project.spec.parties.iter().position(|known| known.name == party).unwrap_or(0)
}
