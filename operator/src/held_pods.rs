//! Pods whose scorer has ended while something that others have put beside it runs on, such as the proxy of a service mesh.
//! Kubernetes does not take such a pod for ended, so its Job would neither try again nor be complete.
//!
//! What the scorer said counts. One that has failed is deleted: the pod has then ended, and its Job decides as ever. One that
//! has succeeded counts as it is, and goes with its Job, which is deleted once it is of no more use.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DeleteParams, Preconditions};
use tracing::info;

use crate::context::{Context, unless_gone};
use crate::error::Error;
use crate::jobs::JobState;
use crate::pods::{self, PodPhase, PodView};

/// Deletes those of the pods whose scorer has failed and that do not end.
pub async fn end_failed(context: &Context, pods: &[impl AsRef<Pod> + Sync]) -> Result<(), Error> {
    for pod in pods {
        let pod = pod.as_ref();
        let view = pods::view(pod, Timestamp::now());
        let is_failed = matches!(view.phase, PodPhase::Failed(_));
        if !(view.is_held && is_failed) || pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let name = pod.name_any();
        info!(pod = name, "the scorer has failed, and another container runs on; the pod is deleted");
        let this_very_one = Preconditions { uid: pod.uid(), resource_version: None };
        let parameters = DeleteParams::background().preconditions(this_very_one);
        let deleted = context.api::<Pod>().delete(&name, &parameters).await;
        unless_gone(deleted.map(drop)).map_err(Error::refused(format!("delete the pod {name}")))?;
    }
    Ok(())
}

/// What became of a Job of so many pods, by what their scorers say where Kubernetes does not say it yet.
pub fn state(by_kubernetes: JobState, pods: &[PodView], completions: u32) -> JobState {
    let is_done = || pods::succeeded(pods.iter()) >= completions;
    match by_kubernetes {
        JobState::Active if pods.iter().any(|pod| pod.is_held) && is_done() => JobState::Complete,
        state => state,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_complete_when_all_its_scorers_are_though_something_beside_them_runs_on() {
        let pod = |index, phase, is_held| PodView { index, phase, is_held, ..PodView::default() };
        let done = |index| pod(index, PodPhase::Succeeded, true);
        let active = |pods: &[PodView]| state(JobState::Active, pods, 2);
        assert_eq!(active(&[done(0), pod(1, PodPhase::Running, false)]), JobState::Active);
        assert_eq!(active(&[done(0), done(0)]), JobState::Active, "it is one shard, done twice");
        assert_eq!(active(&[done(0), done(1)]), JobState::Complete);
        // what ends by itself is left to Kubernetes
        let ended = |index| pod(index, PodPhase::Succeeded, false);
        assert_eq!(active(&[ended(0), ended(1)]), JobState::Active);
        assert_eq!(state(JobState::Failed("x".into()), &[done(0), done(1)], 2), JobState::Failed("x".into()));
    }
}
