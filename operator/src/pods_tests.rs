use super::*;
use scorer::summary::FailureReason;
use serde_json::{Value, json};

fn pod(status: Value) -> Pod {
    serde_json::from_value(
        json!({ "metadata": {"name": "p"}, "spec": {"containers": [], "nodeName": "n1"}, "status": status }),
    )
    .unwrap()
}

fn container(name: &str, state: Value) -> Value {
    json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

fn terminated(state: Value) -> Pod {
    pod(json!({"phase": "Failed", "containerStatuses": [container("scorer", json!({"terminated": state}))]}))
}

fn now() -> Timestamp {
    "2030-01-01T00:10:00Z".parse().unwrap()
}

#[test]
fn a_failed_pod_says_why() {
    let told = terminated(json!({"exitCode": 3, "reason": "Error",
        "message": "{\"reason\":\"CorruptObject\",\"message\":\"bad\"}"}));
    let failure = Failure { reason: FailureReason::CorruptObject, message: "bad".into() };
    assert_eq!(phase(&told), PodPhase::Failed(PodFailure::Told(failure)));
    let killed = terminated(json!({"exitCode": 137, "reason": "OOMKilled"}));
    assert_eq!(phase(&killed), PodPhase::Failed(PodFailure::OutOfMemory));
    let silent = terminated(json!({"exitCode": 1, "reason": "Error", "message": "not JSON"}));
    assert_eq!(phase(&silent), PodPhase::Failed(PodFailure::Exit { code: Some(1), reason: "Error".into() }));
    let evicted = pod(json!({"phase": "Failed", "reason": "Evicted", "message": "node was low on memory"}));
    assert_eq!(
        phase(&evicted),
        PodPhase::Failed(PodFailure::Exit { code: None, reason: "node was low on memory".into() })
    );
    assert_eq!(phase(&terminated(json!({"exitCode": 0}))), PodPhase::Succeeded);
    assert_eq!(phase(&pod(json!({"phase": "Pending"}))), PodPhase::Pending(None));
}

#[test]
fn a_pod_that_filled_its_scratch_space_is_told_from_other_evictions() {
    let message = "Usage of EmptyDir volume \"scratch\" exceeds the limit \"10Gi\"";
    // as the kubelet says it
    let mut status = json!({"phase": "Failed", "reason": "Evicted", "message": format!("{message}. ")});
    assert_eq!(phase(&pod(status.clone())), PodPhase::Failed(PodFailure::ScratchFull(message.into())));
    status["containerStatuses"] =
        json!([container("scorer", json!({"terminated": {"exitCode": 137, "reason": "Error"}}))]);
    assert_eq!(phase(&pod(status)), PodPhase::Failed(PodFailure::ScratchFull(message.into())));
}

#[test]
fn it_is_the_scorer_that_counts_whatever_runs_beside_it() {
    let beside = |scorer: Value, sidecar: Value| {
        pod(
            json!({"phase": "Running", "containerStatuses": [container("a-proxy", sidecar), container("scorer", scorer)]}),
        )
    };
    let told = json!({"terminated": {"exitCode": 3, "message": "{\"reason\":\"CorruptObject\",\"message\":\"bad\"}"}});
    let running = json!({"running": {}});
    assert!(matches!(phase(&beside(told, running.clone())), PodPhase::Failed(PodFailure::Told(_))));
    let done = json!({"terminated": {"exitCode": 0}});
    assert_eq!(phase(&beside(done.clone(), running.clone())), PodPhase::Succeeded);
    assert_eq!(phase(&beside(running, done)), PodPhase::Running);
}

#[test]
fn a_pod_that_does_not_start_says_what_it_waits_for() {
    let scheduled = |reason: &str, message: &str| {
        pod(json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}]}))
    };
    let waiting = |reason: &str, message: &str| {
        let state = json!({"waiting": {"reason": reason, "message": message}});
        pod(json!({"phase": "Pending", "containerStatuses": [container("scorer", state)]}))
    };
    for (pod, words) in [
        (
            scheduled("Unschedulable", "0/2 nodes are available: 2 Insufficient memory."),
            "no node fits the pod: 0/2 nodes",
        ),
        (scheduled("SchedulingGated", "by x"), "scheduling gate"),
        (
            waiting("ImagePullBackOff", "manifest unknown"),
            "cannot be pulled (ImagePullBackOff): manifest unknown",
        ),
        (
            waiting("CreateContainerConfigError", "secret \"s\" not found"),
            "(CreateContainerConfigError): secret \"s\"",
        ),
    ] {
        let PodPhase::Pending(Some(why)) = phase(&pod) else { panic!("{pod:?}") };
        assert!(why.contains(words), "{why}");
    }
    assert_eq!(phase(&waiting("ContainerCreating", "")), PodPhase::Pending(None));
}

#[test]
fn a_pod_whose_node_does_not_answer_is_lost() {
    let running = |ready: &str| {
        let mut scorer = container("scorer", json!({"running": {}}));
        scorer["ready"] = json!(true);
        json!({"phase": "Running", "conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [scorer]})
    };
    assert_eq!(view(&pod(running("True")), now()).lost_on, None);
    assert_eq!(view(&pod(running("False")), now()).lost_on.as_deref(), Some("n1"));
    // a container that somebody has put beside it is not ready: its kubelet says so
    let mut with_sidecar = running("False");
    with_sidecar["containerStatuses"]
        .as_array_mut()
        .unwrap()
        .push(container("a-proxy", json!({"running": {}})));
    assert_eq!(view(&pod(with_sidecar), now()).lost_on, None);
    let mut gated = running("False");
    gated["conditions"][0]["reason"] = json!("ReadinessGatesNotReady");
    assert_eq!(view(&pod(gated), now()).lost_on, None);
    // its kubelet should have ended it by now
    let ending = |at: &str| {
        let mut pod = pod(running("True"));
        pod.metadata.deletion_timestamp = Some(serde_json::from_value(json!(at)).unwrap());
        view(&pod, now()).lost_on
    };
    assert_eq!(ending("2030-01-01T00:10:20Z"), None);
    assert_eq!(ending("2030-01-01T00:09:00Z").as_deref(), Some("n1"));
    let ended = terminated(json!({"exitCode": 1}));
    assert_eq!(view(&ended, now()).lost_on, None);
    // marked already
    let marked = pod(json!({"phase": "Failed", "reason": "NodeLost", "message": "gone"}));
    assert_eq!(view(&marked, now()).lost_on.as_deref(), Some("n1"));
}

#[test]
fn a_pod_is_held_while_something_beside_its_ended_scorer_runs_on() {
    let with = |scorer: Value, beside: Value| {
        let containers = [container("a-proxy", beside), container("scorer", scorer)];
        view(&pod(json!({"phase": "Running", "containerStatuses": containers})), now()).is_held
    };
    let (running, ended) = (json!({"running": {}}), json!({"terminated": {"exitCode": 0}}));
    assert!(with(ended.clone(), running.clone()));
    assert!(!with(running.clone(), running), "the scorer is at work");
    assert!(!with(ended.clone(), ended), "all have ended");
}
