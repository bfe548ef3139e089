//! The kubelet of a node stops while pods of runs are on it, and comes back later.
//!
//! The node is one more of the local cluster, with a taint, so that no other story's pods are on it. On another cluster
//! there is nothing to be seen here: `away.rs` tells nearly the same with a node that is made up.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tests::{Installation, Story, data, local_cluster};

/// The label of nodes that the runs want.
const MARK: &str = "e2e-kubelet-stopped";
const SHORT: [&str; 2] = ["--set", "jobs.replaceLostPodsAfterSeconds=10"];
/// The control plane needs most of a minute to notice that a node is silent.
const LIMIT: Duration = Duration::from_secs(180);

#[tokio::test]
async fn pods_of_a_stopped_kubelet_are_told_of_and_replaced_and_none_is_left_when_it_is_back() -> Story {
    if !local_cluster::is_used() {
        eprintln!("not told: this cluster cannot stop a kubelet");
        return Ok(());
    }
    local_cluster::add_node().await?;
    let told = Installation::tell_with("kubelet-stopped", &SHORT, |here| async move {
        let told = the_kubelet_stops(&here).await;
        // what is on the node can end only then
        local_cluster::resume_kubelet().await?;
        told?;
        is_clean(&here).await
    })
    .await;
    local_cluster::remove_node().await?;
    told
}

async fn the_kubelet_stops(here: &Installation) -> Story {
    let rest = here.two_hospitals().await?;
    here.namespace.kubectl(&["label", "node", local_cluster::NODE, &format!("{MARK}=yes")]).await?;
    start(here, "moved", 2).await?;
    start(here, "deleted", 1).await?;
    // pods that wait for the store are at work for as long as the story likes
    here.scale_store(0).await?;
    for run in ["moved", "deleted"] {
        // as Kueue does when the Job's turn has come; for what comes later there is no queue
        patch(here, &format!("job/{run}-score"), json!({"spec": {"suspend": false}})).await?;
        patch(here, &format!("lrun/{run}"), json!({"spec": {"scheduling": {"queueName": null}}})).await?;
    }
    let run =
        |pod: &Value| pod["spec"]["nodeName"] == local_cluster::NODE && pod["status"]["phase"] == "Running";
    let three = |pods: &Value| {
        pods["items"].as_array().is_some_and(|pods| pods.iter().filter(|pod| run(pod)).count() == 3)
    };
    here.namespace.wait_for("pods", "three that run on the node", LIMIT, three).await?;
    let lost = here.namespace.names("pods", "pprl.dev/run=moved").await?;

    local_cluster::pause_kubelet().await?;
    here.namespace.kubectl(&["delete", "lrun/deleted", "--wait=false"]).await?;
    here.scale_store(1).await?;
    let names_it = |run: &Value| {
        let message = run["status"]["message"].as_str().unwrap_or_default();
        message.contains("2 pods are on a node that does not answer (node2)")
    };
    here.namespace.wait_for("lrun/moved", "told of the node", LIMIT, names_it).await?;
    for pod in &lost {
        here.namespace.kubectl(&["wait", pod, "--for=delete", "--timeout=120s"]).await?;
    }
    here.namespace.kubectl(&["wait", "lrun/deleted", "--for=delete", "--timeout=120s"]).await?;
    // the others find a node that answers
    here.namespace.kubectl(&["label", "node", "node0", &format!("{MARK}=yes"), "--overwrite"]).await?;
    here.namespace.wait_complete("moved").await?;
    here.namespace.kubectl(&["label", "node", "node0", &format!("{MARK}-")]).await?;
    let token = here.token("two-hospitals", "result").await?;
    let groups = rest.result("two-hospitals", "moved", &token).await?["groups"].as_array().map(Vec::len);
    assert_eq!(json!(groups), data::expected("thousand", "0.8")?["groups"]);
    Ok(())
}

/// A run whose Job is there, and waits for the story to let it start.
async fn start(here: &Installation, name: &str, shards: u32) -> Story {
    let scheduling = json!({
        "nodeSelector": {MARK: "yes"}, "tolerations": [{"key": local_cluster::TAINT, "operator": "Exists"}],
        "queueName": "the-story"
    });
    let spec = json!({"projectRef": {"name": "two-hospitals"}, "threshold": 0.8, "shards": shards, "scheduling": scheduling});
    let run = json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": name}, "spec": spec});
    let applied = here.namespace.apply(&run.to_string()).await?;
    ensure!(applied.succeeded, "{}", applied.text);
    let job = format!("job/{name}-score");
    here.namespace.wait_for(&job, "there", LIMIT, Value::is_object).await.map(drop)
}

async fn patch(here: &Installation, resource: &str, patch: Value) -> Story {
    let arguments = ["patch", resource, "--type=merge", "--patch", &patch.to_string()];
    here.namespace.kubectl(&arguments).await.map(drop)
}

/// The kubelet is back: it has ended what is not in the API any more, and the node is as good as before.
async fn is_clean(here: &Installation) -> Story {
    let node = format!("node/{}", local_cluster::NODE);
    here.namespace.kubectl(&["wait", &node, "--for=condition=Ready", "--timeout=120s"]).await?;
    let pods = format!("/api/v1/nodes/{}/proxy/pods", local_cluster::NODE);
    let mut left = Value::Null;
    for _ in 0..240 {
        let answer = here.namespace.kubectl(&["get", "--raw", &pods]).await?;
        left = serde_json::from_str::<Value>(&answer)?["items"].clone();
        if left.as_array().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    anyhow::bail!("the kubelet still has pods: {left:#}")
}
