//! Pods whose node does not answer: after a set time they are marked as failed and deleted by force, so that their Job makes
//! others. Deleting alone does not do: the Job keeps a pod, by a finalizer, until it has ended, and nobody but its kubelet
//! would say that it has. The mark says, too, that the pod was disrupted, which costs its Job no retry.
//!
//! Such a pod may still be at work behind a broken network. That does no harm: a shard is written under its own name, the
//! same bytes whoever writes it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;
use tracing::warn;

use crate::context::{Context, unless_gone};
use crate::error::Error;
use crate::pods;

/// The condition by which Kubernetes tells a disrupted pod from one that failed by itself.
const DISRUPTED: &str = "DisruptionTarget";
/// A pod that has not been seen lost for so long is forgotten.
const FORGET: Duration = Duration::from_secs(3600);

/// Since when pods are lost, by uid, by a clock that never jumps.
#[derive(Default)]
pub struct LostPods(Mutex<HashMap<String, Instant>>);

impl LostPods {
    /// For how long the pod has been lost.
    fn lost_for(&self, uid: &str, now: Instant) -> Duration {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|_, first| now.saturating_duration_since(*first) < FORGET);
        now.saturating_duration_since(*since.entry(uid.to_owned()).or_insert(now))
    }

    fn is_back(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Deletes those of the pods by force that have been lost for as long as is set.
pub async fn replace(context: &Context, pods: &[impl AsRef<Pod> + Sync]) -> Result<(), Error> {
    let after = Duration::from_secs(context.jobs.replace_lost_pods_after_seconds);
    for pod in pods {
        let pod = pod.as_ref();
        let uid = pod.uid().unwrap_or_default();
        let Some(node) = pods::view(pod, Timestamp::now()).lost_on else {
            context.lost_pods.is_back(&uid);
            continue;
        };
        if context.lost_pods.lost_for(&uid, Instant::now()) < after {
            continue;
        }
        let name = pod.name_any();
        if !is_marked(pod) {
            warn!(
                pod = name,
                node, "the node does not answer; the pod is taken for failed, and deleted by force"
            );
            let marked =
                context.api::<Pod>().patch_status(&name, &PatchParams::default(), &mark(pod, &node)).await;
            unless_gone(marked.map(drop))
                .map_err(Error::refused(format!("mark the pod {name} as failed")))?;
        }
        let this_very_one = Preconditions { uid: Some(uid), resource_version: None };
        let by_force = DeleteParams::background().grace_period(0).preconditions(this_very_one);
        let deleted = context.api::<Pod>().delete(&name, &by_force).await;
        unless_gone(deleted.map(drop))
            .map_err(Error::refused(format!("delete the pod {name} on node {node}")))?;
        metrics::counter!("linkage_operator_lost_pods_replaced_total").increment(1);
    }
    Ok(())
}

fn is_marked(pod: &Pod) -> bool {
    pod.status.as_ref().and_then(|status| status.reason.as_deref()) == Some(pods::NODE_LOST)
}

/// What Kubernetes' own pod collector writes for pods of nodes that are gone.
fn mark(pod: &Pod, node: &str) -> Patch<serde_json::Value> {
    let message = format!("the node {node} does not answer; the pod is replaced");
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut conditions: Vec<PodCondition> =
        conditions.filter(|condition| condition.type_ != DISRUPTED).cloned().collect();
    conditions.push(PodCondition {
        type_: DISRUPTED.into(),
        status: "True".into(),
        reason: Some(pods::NODE_LOST.into()),
        message: Some(message.clone()),
        last_transition_time: Some(Time(Timestamp::now())),
        ..PodCondition::default()
    });
    // of the version that was read: a pod that has ended meanwhile has an end of its own
    Patch::Merge(json!({
        "metadata": {"uid": pod.uid(), "resourceVersion": pod.resource_version()},
        "status": {"phase": "Failed", "reason": pods::NODE_LOST, "message": message, "conditions": conditions},
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_lost_since_it_was_first_seen_so_and_no_longer_when_it_is_back() {
        let (lost, start) = (LostPods::default(), Instant::now());
        let at = |second| lost.lost_for("1", start + Duration::from_secs(second)).as_secs();
        assert_eq!((at(0), at(90)), (0, 90));
        lost.is_back("1");
        assert_eq!((at(100), at(110)), (0, 10));
    }
}
