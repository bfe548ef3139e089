//! What the pods of Jobs tell: how far they are, and why they failed.

use std::collections::BTreeSet;
use std::time::Duration;

use crds::labels;
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};
use kube::ResourceExt;
use scorer::progress::Progress;
use scorer::summary::Failure;

use crate::jobs::PROGRESS_PORT;

/// Pods asked at the same time for their progress.
const PARALLEL_REQUESTS: usize = 32;

/// One pod of a Job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodView {
    /// `ingest`, `score` or `solve`.
    pub component: String,
    /// What has become of it.
    pub phase: PodPhase,
    /// What it says of itself, while it runs.
    pub progress: Option<Progress>,
}

/// What has become of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PodPhase {
    /// Not started: no node, no image, no volume yet. The text says what it waits for, if it is known.
    #[default]
    Pending,
    /// Its container runs.
    Running,
    /// Its container has ended well.
    Succeeded,
    /// Its container has failed.
    Failed(PodFailure),
}

/// Why a pod failed.
#[derive(Clone, Debug, PartialEq)]
pub enum PodFailure {
    /// The scorer said why.
    Told(Failure),
    /// The kernel ended it for using more memory than its limit.
    OutOfMemory,
    /// It ended without a word.
    Exit {
        /// Exit code of the container, when there was one.
        code: Option<i32>,
        /// What Kubernetes says of it.
        reason: String,
    },
}

/// The pods of these Jobs, without their progress.
pub fn of_jobs(pods: &[Pod], jobs: &[&Job]) -> Vec<(PodView, Option<String>)> {
    let job_uids: BTreeSet<String> = jobs.iter().filter_map(|job| job.uid()).collect();
    pods.iter()
        .filter(|pod| {
            pod.labels().get("batch.kubernetes.io/controller-uid").is_some_and(|uid| job_uids.contains(uid))
        })
        .map(|pod| {
            let component = pod.labels().get(labels::COMPONENT).cloned().unwrap_or_default();
            let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
            (PodView { component, phase: phase(pod), progress: None }, address)
        })
        .collect()
}

/// Asks the running pods how far they are. A pod that does not answer has no progress: it may be starting or ending.
pub async fn ask(client: &reqwest::Client, pods: Vec<(PodView, Option<String>)>) -> Vec<PodView> {
    futures::stream::iter(pods)
        .map(|(pod, address)| async move {
            let progress = match (&pod.phase, address) {
                (PodPhase::Running, Some(address)) => progress(client, &address).await,
                _ => None,
            };
            PodView { progress, ..pod }
        })
        .buffered(PARALLEL_REQUESTS)
        .collect()
        .await
}

async fn progress(client: &reqwest::Client, address: &str) -> Option<Progress> {
    // an IPv6 address goes in brackets
    let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let request =
        client.get(format!("http://{host}:{PROGRESS_PORT}/progress")).timeout(Duration::from_secs(1));
    request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
}

fn phase(pod: &Pod) -> PodPhase {
    let Some(status) = &pod.status else { return PodPhase::Pending };
    let container = status.container_statuses.as_deref().unwrap_or_default().first();
    let state = container.and_then(|container| container.state.as_ref());
    if let Some(terminated) = state.and_then(|state| state.terminated.as_ref()) {
        return if terminated.exit_code == 0 {
            PodPhase::Succeeded
        } else {
            PodPhase::Failed(failure(terminated))
        };
    }
    match status.phase.as_deref() {
        Some("Succeeded") => PodPhase::Succeeded,
        Some("Failed") => PodPhase::Failed(PodFailure::Exit {
            code: None,
            reason: status.message.clone().or_else(|| status.reason.clone()).unwrap_or_default(),
        }),
        _ if state.is_some_and(|state| state.running.is_some()) => PodPhase::Running,
        _ => PodPhase::Pending,
    }
}

fn failure(terminated: &ContainerStateTerminated) -> PodFailure {
    let told = terminated.message.as_deref().and_then(|message| serde_json::from_str(message).ok());
    match (told, terminated.reason.as_deref()) {
        (Some(failure), _) => PodFailure::Told(failure),
        (None, Some("OOMKilled")) => PodFailure::OutOfMemory,
        (None, reason) => PodFailure::Exit {
            code: Some(terminated.exit_code),
            reason: reason.unwrap_or_default().to_owned(),
        },
    }
}

/// What became of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Its pods run or will run.
    Active,
    /// All its pods have succeeded.
    Complete,
    /// It will not be tried again; the text says why.
    Failed(String),
}

/// Reads a Job's conditions.
pub fn job_state(job: &Job) -> JobState {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let find = |types: [&str; 2]| {
        conditions
            .iter()
            .find(|condition| condition.status == "True" && types.contains(&condition.type_.as_str()))
    };
    // FailureTarget and SuccessCriteriaMet say the same a moment earlier, while the last pods end
    if let Some(condition) = find(["Failed", "FailureTarget"]) {
        let reason = condition.reason.as_deref().unwrap_or("JobFailed");
        return JobState::Failed(format!("{reason}: {}", condition.message.as_deref().unwrap_or_default()));
    }
    if find(["Complete", "SuccessCriteriaMet"]).is_some() { JobState::Complete } else { JobState::Active }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scorer::summary::FailureReason;
    use serde_json::json;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({ "metadata": {"name": "p"}, "status": status })).unwrap()
    }

    fn terminated(state: serde_json::Value) -> Pod {
        pod(json!({"phase": "Failed", "containerStatuses": [{
            "name": "scorer", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": state}
        }]}))
    }

    #[test]
    fn a_failed_pod_says_why() {
        let told = terminated(json!({"exitCode": 3, "reason": "Error",
            "message": "{\"reason\":\"CorruptObject\",\"message\":\"bad\"}"}));
        assert_eq!(
            phase(&told),
            PodPhase::Failed(PodFailure::Told(Failure {
                reason: FailureReason::CorruptObject,
                message: "bad".into()
            }))
        );
        let killed = terminated(json!({"exitCode": 137, "reason": "OOMKilled"}));
        assert_eq!(phase(&killed), PodPhase::Failed(PodFailure::OutOfMemory));
        let silent = terminated(json!({"exitCode": 1, "reason": "Error", "message": "not JSON"}));
        assert_eq!(
            phase(&silent),
            PodPhase::Failed(PodFailure::Exit { code: Some(1), reason: "Error".into() })
        );
        let evicted =
            pod(json!({"phase": "Failed", "reason": "Evicted", "message": "node was low on memory"}));
        assert_eq!(
            phase(&evicted),
            PodPhase::Failed(PodFailure::Exit { code: None, reason: "node was low on memory".into() })
        );
        assert_eq!(phase(&terminated(json!({"exitCode": 0}))), PodPhase::Succeeded);
        assert_eq!(phase(&pod(json!({"phase": "Pending"}))), PodPhase::Pending);
    }

    #[test]
    fn only_pods_of_the_given_jobs_count() {
        let job: Job = serde_json::from_value(json!({"metadata": {"uid": "1"}})).unwrap();
        let pod = |uid: &str| -> Pod {
            serde_json::from_value(
                json!({"metadata": {"labels": {"batch.kubernetes.io/controller-uid": uid}}}),
            )
            .unwrap()
        };
        assert_eq!(of_jobs(&[pod("1"), pod("2")], &[&job]).len(), 1);
    }
}
