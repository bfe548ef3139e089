//! A node does not answer any more while a run's pods are on it.
//!
//! The node is one that there never was: an object in the API, for which the story plays the kubelet until it falls
//! silent. All else is real, and no other story's pods are on it. What the control plane then does takes it most of a
//! minute.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tests::cluster::Namespace;
use tests::{Installation, Story};

/// The label of nodes that the run wants, and the taint that keeps all others away from the node of this story.
const MARK: &str = "e2e-away";
/// The label of the node of this story alone.
const MADE_UP: &str = "e2e-away-made-up";
const SHORT: [&str; 2] = ["--set", "jobs.replaceLostPodsAfterSeconds=10"];

#[tokio::test]
async fn pods_on_a_node_that_is_away_are_told_of_and_replaced() -> Story {
    let cluster = Namespace("default".into());
    clean_up(&cluster).await?;
    let told = Installation::tell_with("away", &SHORT, |here| async move {
        let told = shards_are_lost_and_replaced(&here).await;
        // what is bound to the node can end only when it is gone
        delete_node(&here.namespace).await?;
        told
    })
    .await;
    clean_up(&cluster).await?;
    told
}

async fn shards_are_lost_and_replaced(here: &Installation) -> Story {
    here.two_hospitals().await?;
    let away = make_node(here).await?;
    let scheduling =
        json!({"nodeSelector": {MARK: "yes"}, "tolerations": [{"key": MARK, "operator": "Exists"}]});
    let spec = json!({"projectRef": {"name": "two-hospitals"}, "threshold": 0.8, "shards": 2, "scheduling": scheduling});
    let run = json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": "moved"}, "spec": spec});
    let applied = here.namespace.apply(&run.to_string()).await?;
    ensure!(applied.succeeded, "{}", applied.text);
    let lost = start_pods(here, &away).await?;
    let says = |part: String| {
        move |run: &Value| run["status"]["message"].as_str().is_some_and(|message| message.contains(&part))
    };
    let limit = Duration::from_secs(60);
    here.namespace.wait_for("lrun/moved", "at work", limit, says("0 of 2 shards are done".into())).await?;

    // from now on nobody says that the node lives
    let names_it = says(format!("2 pods are on a node that does not answer ({away})"));
    here.namespace.wait_for("lrun/moved", "told of the node", Duration::from_secs(120), names_it).await?;
    for pod in &lost {
        here.namespace.kubectl(&["wait", pod, "--for=delete", "--timeout=60s"]).await?;
    }
    // the others find a node that is there: the operator's
    let pods = here.namespace.get("pods").await?.unwrap_or_default();
    let pods = pods["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let operator =
        pods.iter().find(|pod| pod["metadata"]["labels"]["app.kubernetes.io/component"] == "operator");
    let node = operator.and_then(|pod| pod["spec"]["nodeName"].as_str()).context("no operator")?;
    let node = format!("node/{node}");
    here.namespace.kubectl(&["label", &node, &format!("{MARK}=yes")]).await?;
    here.namespace.wait_complete("moved").await.map(drop)
}

/// A node that is ready, for the pods of this story alone. Its name is new, as the control plane remembers a node's health
/// for a while after it was deleted.
async fn make_node(here: &Installation) -> anyhow::Result<String> {
    let name = format!("{MADE_UP}-{}", std::process::id());
    let room = json!({"cpu": "4", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "10"});
    let ready =
        json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "by the story"});
    let node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {MARK: "yes", MADE_UP: "yes"}},
        "spec": {"taints": [{"key": MARK, "effect": "NoSchedule"}]},
        "status": {"capacity": room, "allocatable": room, "conditions": [ready]}
    });
    let made = here.namespace.apply(&node.to_string()).await?;
    ensure!(made.succeeded, "{}", made.text);
    Ok(name)
}

/// Plays the kubelet: the run's pods, once they are bound to the node, run. Gives their names.
async fn start_pods(here: &Installation, node: &str) -> anyhow::Result<Vec<String>> {
    let both = |pods: &Value| {
        let pods = pods["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let bound = |pod: &&Value| {
            pod["metadata"]["labels"]["pprl.dev/run"] == "moved" && pod["spec"]["nodeName"] == node
        };
        pods.iter().filter(bound).count() == 2
    };
    here.namespace.wait_for("pods", "two that are bound to the node", Duration::from_secs(60), both).await?;
    let pods = here.namespace.names("pods", "pprl.dev/run=moved").await?;
    let container = json!({
        "name": "scorer", "image": "x", "imageID": "x", "containerID": "x://x", "ready": true, "restartCount": 0,
        "started": true, "state": {"running": {"startedAt": "2025-01-01T00:00:00Z"}}
    });
    for pod in &pods {
        let ready = json!({"type": "Ready", "status": "True"});
        let status = json!({"phase": "Running", "conditions": [ready], "containerStatuses": [container]});
        patch_status(here, pod, status).await?;
    }
    Ok(pods)
}

async fn patch_status(here: &Installation, resource: &str, status: Value) -> Story {
    let patch = json!({ "status": status }).to_string();
    let arguments = ["patch", resource, "--subresource=status", "--type=strategic", "--patch", &patch];
    here.namespace.kubectl(&arguments).await.map(drop)
}

/// Nothing of this story stays in the cluster, also of one that was killed.
async fn clean_up(cluster: &Namespace) -> Story {
    delete_node(cluster).await?;
    cluster.kubectl(&["label", "nodes", "--selector", MARK, &format!("{MARK}-")]).await?;
    Ok(())
}

async fn delete_node(cluster: &Namespace) -> Story {
    cluster.kubectl(&["delete", "nodes", "--selector", MADE_UP]).await.map(drop)
}
