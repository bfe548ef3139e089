//! What the pods of Jobs tell: how far they are, what they wait for, and why they failed.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use scorer::progress::Progress;
use scorer::summary::Failure;

use crate::jobs::CONTAINER;

/// The reason of pods that are marked as failed because their node does not answer.
pub const NODE_LOST: &str = "NodeLost";

/// One pod of a Job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodView {
    /// `ingest`, `score` or `solve`.
    pub component: String,
    /// What has become of it.
    pub phase: PodPhase,
    /// What it says of itself, while it runs.
    pub progress: Option<Progress>,
    /// The node that does not answer any more for this pod, if that is so.
    pub lost_on: Option<String>,
    /// Which of the Job's pods it is, from 0.
    pub index: u32,
    /// Whether the scorer has ended, and what others have put beside it has not: then the pod goes on for ever.
    pub is_held: bool,
}

/// What has become of a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum PodPhase {
    /// Not started. The text says what it waits for, if that is known.
    Pending(Option<String>),
    /// Its container runs.
    Running,
    /// Its container has ended well.
    Succeeded,
    /// Its container has failed.
    Failed(PodFailure),
}

impl Default for PodPhase {
    fn default() -> Self {
        Self::Pending(None)
    }
}

/// Why a pod failed.
#[derive(Clone, Debug, PartialEq)]
pub enum PodFailure {
    /// The scorer said why.
    Told(Failure),
    /// The kernel ended it for using more memory than its limit.
    OutOfMemory,
    /// The kubelet ended it for filling its scratch space.
    ScratchFull(String),
    /// It ended without a word.
    Exit {
        /// Exit code of the container, when there was one.
        code: Option<i32>,
        /// What Kubernetes says of it.
        reason: String,
    },
}

impl std::fmt::Display for PodFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Told(failure) => f.write_str(&failure.message),
            Self::OutOfMemory => f.write_str("it used more memory than its limit"),
            Self::ScratchFull(message) => write!(f, "it filled its scratch space ({message})"),
            Self::Exit { code: Some(code), reason } => write!(f, "it ended with code {code} ({reason})"),
            Self::Exit { code: None, reason } => write!(f, "it was ended: {reason}"),
        }
    }
}

/// What is known of a pod without asking it.
pub fn view(pod: &Pod, now: Timestamp) -> PodView {
    PodView {
        component: pod.labels().get(crds::labels::COMPONENT).cloned().unwrap_or_default(),
        phase: phase(pod),
        progress: None,
        lost_on: lost_on(pod, now),
        index: index(pod),
        is_held: is_held(pod),
    }
}

/// How many of a Job's pods have done their work, each counted once.
pub fn succeeded<'a>(pods: impl Iterator<Item = &'a PodView>) -> u32 {
    let done = pods.filter(|pod| pod.phase == PodPhase::Succeeded);
    let indexes: std::collections::BTreeSet<u32> = done.map(|pod| pod.index).collect();
    u32::try_from(indexes.len()).unwrap_or(u32::MAX)
}

fn index(pod: &Pod) -> u32 {
    pod.labels()
        .get("batch.kubernetes.io/job-completion-index")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn is_held(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let state = |container: &ContainerStatus| container.state.clone().unwrap_or_default();
    scorer_container(status).is_some_and(|scorer| state(scorer).terminated.is_some())
        && status.container_statuses.iter().flatten().any(|container| state(container).running.is_some())
}

/// Where a running pod serves its progress.
pub fn address(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref()
}

fn phase(pod: &Pod) -> PodPhase {
    let Some(status) = &pod.status else { return PodPhase::Pending(None) };
    let container = scorer_container(status);
    let state = container.and_then(|container| container.state.as_ref());
    if let Some(terminated) = state.and_then(|state| state.terminated.as_ref()) {
        return match (terminated.exit_code, failed_by_kubelet(status)) {
            (0, _) => PodPhase::Succeeded,
            (_, Some(failure)) => PodPhase::Failed(failure),
            _ => PodPhase::Failed(failure(terminated)),
        };
    }
    match status.phase.as_deref() {
        Some("Succeeded") => PodPhase::Succeeded,
        Some("Failed") => PodPhase::Failed(failed_by_kubelet(status).unwrap_or_else(|| PodFailure::Exit {
            code: None,
            reason: status.message.clone().or_else(|| status.reason.clone()).unwrap_or_default(),
        })),
        _ if state.is_some_and(|state| state.running.is_some()) => PodPhase::Running,
        _ => PodPhase::Pending(waits_for(status, state)),
    }
}

/// The container that does the work. Others may have been put beside it, and their states come first in the list.
fn scorer_container(status: &PodStatus) -> Option<&ContainerStatus> {
    status.container_statuses.as_deref()?.iter().find(|container| container.name == CONTAINER)
}

fn failed_by_kubelet(status: &PodStatus) -> Option<PodFailure> {
    let message = status.message.as_deref().unwrap_or_default();
    let evicted = status.reason.as_deref() == Some("Evicted");
    (evicted && (message.contains("EmptyDir") || message.contains("ephemeral")))
        .then(|| PodFailure::ScratchFull(message.trim_end_matches([' ', '.']).to_owned()))
}

/// Why a pod has no running container yet, in the words of the scheduler or the kubelet.
fn waits_for(status: &PodStatus, state: Option<&ContainerState>) -> Option<String> {
    let scheduled = status.conditions.iter().flatten().find(|condition| condition.type_ == "PodScheduled");
    if let Some(condition) = scheduled.filter(|condition| condition.status == "False") {
        let message = condition.message.as_deref().unwrap_or("the scheduler does not say why");
        return Some(match condition.reason.as_deref() {
            Some("SchedulingGated") => format!("a scheduling gate holds the pod back: {message}"),
            _ => format!("no node fits the pod: {message}"),
        });
    }
    let waiting = state?.waiting.as_ref()?;
    let (reason, message) = (waiting.reason.as_deref()?, waiting.message.as_deref().unwrap_or_default());
    match reason {
        "ContainerCreating" | "PodInitializing" => None,
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "RegistryUnavailable" => Some(format!("the image cannot be pulled ({reason}): {message}")),
        _ => Some(format!("the container cannot be started ({reason}): {message}")),
    }
}

/// The node of a pod that is lost: the pod ran, and its kubelet does not answer any more. The control plane then says that
/// the pod is not ready, though all of its containers are, which a kubelet never says; or it has deleted the pod, and nobody
/// ends it.
fn lost_on(pod: &Pod, now: Timestamp) -> Option<String> {
    let node = pod.spec.as_ref()?.node_name.clone()?;
    let status = pod.status.as_ref()?;
    if status.reason.as_deref() == Some(NODE_LOST) {
        return Some(node); // marked, and to be deleted
    }
    if !matches!(status.phase.as_deref(), Some("Running" | "Pending")) {
        return None;
    }
    let runs = scorer_container(status)
        .and_then(|container| container.state.as_ref())
        .is_some_and(|state| state.running.is_some());
    let not_ready = status.conditions.iter().flatten().any(|condition| {
        // gates are others' conditions for traffic to the pod
        let by_gates = condition.reason.as_deref() == Some("ReadinessGatesNotReady");
        condition.type_ == "Ready" && condition.status == "False" && !by_gates
    });
    let all_ready = status.container_statuses.iter().flatten().all(|container| container.ready);
    // the time by which the pod should have ended is set when it is deleted
    let overdue = pod.metadata.deletion_timestamp.as_ref().is_some_and(|Time(end)| now > *end);
    (overdue || (runs && not_ready && all_ready)).then_some(node)
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

#[cfg(test)]
#[path = "pods_tests.rs"]
mod tests;
