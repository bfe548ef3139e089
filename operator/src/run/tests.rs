//! Runs, before a Kubernetes API in memory: what Kubernetes refuses, loses and forgets.

use fake_kubernetes::{Fault, Refusal, Verb};
use serde_json::{Value, json};

use crate::testing::{World, contributed_project, scorer, settings};

fn plan(job: &Value) -> Value {
    let environment = job["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let plan = environment.iter().find(|variable| variable["name"] == "RUN_PLAN").unwrap();
    serde_json::from_str(plan["value"].as_str().unwrap()).unwrap()
}

fn unschedulable() -> Value {
    json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/2 nodes are available: 2 Insufficient memory."}]})
}

#[tokio::test]
async fn what_a_run_works_on_is_written_down_before_its_job_is_made() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    let job = world.job("r-score").await;
    let status = world.run_says("r", "Queued").await;
    assert_eq!(plan(&job)["work"], status["pinned"]["digest"]);
    assert_eq!(plan(&job)["inputs"][0]["party"], "a");
    let requests = world.kubernetes.requests();
    let at = |verb, plural: &str| {
        requests.iter().position(|request| request.verb == verb && request.plural == plural).unwrap()
    };
    assert!(at(Verb::Update, "linkageruns") < at(Verb::Create, "jobs"));
}

#[tokio::test]
async fn that_a_run_begins_is_on_the_project_before_it_does_and_stays_there() {
    let world = World::new();
    world.contributed_project("p");
    world.project_says("p", "AllPartiesContributed").await;
    let before = world.kubernetes.requests().len();
    world.run("r", json!({}));
    world.job("r-score").await;
    let first_run =
        |world: &World| world.kubernetes.get("linkageprojects", "p").unwrap()["status"]["firstRun"].clone();
    assert_eq!(first_run(&world), "r");
    let requests = world.kubernetes.requests().split_off(before);
    let first = |plural: &str| {
        let is =
            |request: &fake_kubernetes::Request| request.verb == Verb::Update && request.plural == plural;
        requests.iter().position(is).unwrap()
    };
    assert!(first("linkageprojects") < first("linkageruns"));
    world.run("s", json!({}));
    world.job("s-score").await;
    assert_eq!(first_run(&world), "r");
    world.kubernetes.delete("linkageruns", "r");
    let gone = |kubernetes: &fake_kubernetes::FakeKubernetes| {
        kubernetes.get("linkageruns", "r").is_none().then_some(())
    };
    world.kubernetes.until("the run is gone", gone).await;
    assert_eq!(first_run(&world), "r");
}

#[tokio::test]
async fn a_run_never_begins_with_data_that_was_withdrawn_since_it_was_read() {
    let world = World::new();
    world.contributed_project("p");
    let read = || serde_json::from_value(world.kubernetes.get("linkageprojects", "p").unwrap()).unwrap();
    world.project_says("p", "AllPartiesContributed").await;
    let as_read: crds::LinkageProject = read();
    world.kubernetes.change("linkageprojects", "p", |project| {
        project["status"]["parties"][0] = json!({"name": "a", "state": "Waiting"});
    });
    let refused = crate::project::hold_data(&as_read, "r", &world.context).await.unwrap_err();
    assert_eq!(refused.trouble(), None, "it is tried again, with what is there then: {refused}");
    world.project_says("p", "WaitingForParties").await;
    assert_eq!(world.kubernetes.get("linkageprojects", "p").unwrap()["status"]["firstRun"], Value::Null);
    world.run("r", json!({}));
    world.run_says("r", "WaitingForParties").await;

    world.kubernetes.change("linkageprojects", "p", |project| {
        project["status"]["parties"] = contributed_project("p")["status"]["parties"].clone();
    });
    world.job("r-score").await;
    let held: crds::LinkageProject = read();
    assert_eq!(held.status.as_ref().unwrap().first_run.as_deref(), Some("r"));
    crate::project::hold_data(&held, "s", &world.context).await.unwrap();
}

#[tokio::test]
async fn a_project_that_others_write_at_the_same_time_keeps_no_run_from_beginning() {
    let world = World::new();
    world.contributed_project("p");
    world.project_says("p", "AllPartiesContributed").await;
    let conflict = Refusal::conflict("linkageprojects.pprl.dev", "p");
    world.kubernetes.fail(Fault::refuses(conflict).on(Verb::Update, "linkageprojects").times(3));
    world.run("r", json!({}));
    world.job("r-score").await;
}

#[tokio::test]
async fn a_changed_project_changes_nothing_of_a_run_that_has_begun() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({"shards": 2}));
    let first = world.job("r-score").await;
    world.kubernetes.change("linkageprojects", "p", |project| {
        project["spec"]["parties"] = json!([{"name": "b"}, {"name": "a"}]);
        project["status"]["parties"][0]["encodings"] = json!("projects/x/other");
    });
    // also by another operator, with other settings
    let mut others = settings();
    others.resources = serde_json::from_value(json!({"limits": {"memory": "9Gi"}})).unwrap();
    let world = world.restarted(&others);
    world.complete("r-score");
    let second = world.job("r-solve").await;
    assert_eq!(plan(&second), plan(&first));
    let resources = |job: &Value| job["spec"]["template"]["spec"]["containers"][0]["resources"].clone();
    assert_eq!(resources(&second), resources(&first));
}

#[tokio::test]
async fn what_kubernetes_refuses_is_told_and_goes_on_when_it_no_longer_does() {
    for (refusal, words) in [
        (Refusal::quota_exceeded("jobs.batch", "r-score", "few", "count/jobs.batch"), "exceeded quota: few"),
        (
            Refusal::invalid(
                "Job.batch",
                "r-score",
                &[("spec.limits", "must be less than or equal to memory limit")],
            ),
            "memory limit",
        ),
        (
            Refusal::forbidden("jobs.batch", "r-score", "no PriorityClass with name x was found"),
            "no PriorityClass",
        ),
    ] {
        let world = World::new();
        world.kubernetes.fail(Fault::refuses(refusal).on(Verb::Create, "jobs"));
        world.contributed_project("p");
        world.run("r", json!({}));
        let status = world.run_says("r", "KubernetesRefused").await;
        let message = status["message"].as_str().unwrap();
        assert!(message.contains(words) && message.contains("create the Job r-score"), "{message}");
        assert!(
            message.ends_with("The operator keeps trying") || message.ends_with("keeps trying"),
            "{message}"
        );
        assert_eq!(status["stage"], "Queued");
        assert!(status["startTime"].is_string(), "the run has started");
        world.event("KubernetesRefused", words).await;
        world.kubernetes.heal();
        world.job("r-score").await;
        world.run_says("r", "Queued").await;
    }
}

#[tokio::test]
async fn trouble_is_told_once_however_often_it_is_met() {
    let world = World::new();
    let refusal = Refusal::quota_exceeded("jobs.batch", "r-score", "few", "count/jobs.batch");
    world.kubernetes.fail(Fault::refuses(refusal).on(Verb::Create, "jobs"));
    world.contributed_project("p");
    world.run("r", json!({}));
    let attempts = |kubernetes: &fake_kubernetes::FakeKubernetes| {
        kubernetes.requests().iter().filter(|it| it.verb == Verb::Create && it.plural == "jobs").count()
    };
    world.kubernetes.until("four attempts", |kubernetes| (attempts(kubernetes) >= 4).then_some(())).await;
    let told: Vec<Value> = world
        .kubernetes
        .events()
        .into_iter()
        .filter(|event| event["reason"] == "KubernetesRefused")
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0]["series"].is_null(), "{told:?}");
}

#[tokio::test]
async fn a_job_of_somebody_else_is_told_and_left_alone() {
    let world = World::new();
    let theirs = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "r-score"}, "spec": {"template": {}}});
    world.kubernetes.create("jobs", theirs);
    world.contributed_project("p");
    world.run("r", json!({}));
    let status = world.run_says("r", "NameTaken").await;
    assert!(status["message"].as_str().unwrap().contains("the Job r-score"), "{status}");
    world.event("NameTaken", "r-score").await;
    world.kubernetes.delete("linkageruns", "r");
    world
        .kubernetes
        .until("the run is gone", |kubernetes| kubernetes.get("linkageruns", "r").is_none().then_some(()))
        .await;
    assert!(world.kubernetes.get("jobs", "r-score").is_some());
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_nothing_twice() {
    for (verb, plural) in
        [(Verb::Create, "jobs"), (Verb::Update, "linkageruns"), (Verb::Patch, "linkageruns")]
    {
        let world = World::new();
        world.kubernetes.fail(Fault::loses_answer().on(verb, plural).once());
        world.contributed_project("p");
        world.run("r", json!({"shards": 2}));
        let job = world.job("r-score").await;
        world.run_says("r", "Queued").await;
        world.complete("r-score");
        world.job("r-solve").await;
        assert_eq!(world.kubernetes.all("jobs").len(), 2);
        assert_eq!(plan(&world.job("r-solve").await)["work"], plan(&job)["work"]);
    }
}

#[tokio::test]
async fn an_api_server_that_is_away_is_waited_for() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    world.job("r-score").await;
    world.kubernetes.fail(Fault::refuses_connection());
    world.write_summary("r").await;
    world.complete("r-score");
    world.kubernetes.heal();
    world.run_says("r", "Complete").await;
}

#[tokio::test]
async fn shards_that_are_in_the_store_are_not_scored_anew_after_the_operator_was_away() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({"shards": 2}));
    world.job("r-score").await;
    let status = world.run_says("r", "Queued").await;
    let output = status["pinned"]["plan"]["output"].as_str().unwrap().to_owned();
    for shard in 0..2 {
        world.put(&format!("{output}pairs/{shard}.json"), "{}").await;
    }
    // the Job ends, and is removed when its time is over, all while there is no operator
    let quota = Refusal::quota_exceeded("jobs.batch", "r-score", "few", "count/jobs.batch");
    world.kubernetes.fail(Fault::refuses(quota).on(Verb::Create, "jobs").named("r-score"));
    world.kubernetes.delete("jobs", "r-score");
    let world = world.restarted(&settings());
    world.job("r-solve").await;
    assert!(world.kubernetes.get("jobs", "r-score").is_none());
}

#[tokio::test]
async fn a_result_that_is_there_counts_though_its_jobs_are_gone() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({"activeDeadlineSeconds": 1}));
    world.job("r-score").await;
    world.run_says("r", "Queued").await;
    world.write_summary("r").await;
    world.kubernetes.delete("jobs", "r-score");
    world.run_says("r", "Complete").await;
    assert!(world.kubernetes.get("jobs", "r-score").is_none());
}

#[tokio::test]
async fn a_summary_of_other_work_is_no_result() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    world.job("r-score").await;
    let status = world.run_says("r", "Queued").await;
    let output = status["pinned"]["plan"]["output"].as_str().unwrap();
    let summary = json!({"version": 2, "work": "other", "records": [], "comparisons": 0, "pairs": 0,
        "scoringSeconds": 0.0, "solvingSeconds": 0.0, "results": []});
    world.put(&format!("{output}summary.json"), &summary.to_string()).await;
    world.complete("r-score");
    world.run_says("r", "JobFailed").await;
}

#[tokio::test]
async fn jobs_of_an_earlier_version_which_did_not_pin_their_work_are_replaced() {
    let world = World::new();
    world.contributed_project("p");
    let made = world.run("r", json!({}));
    world.job("r-score").await;
    world.kubernetes.change("jobs", "r-score", |job| {
        job["metadata"]["annotations"] = json!({});
        job["metadata"]["labels"]["of"] = json!("before");
    });
    let anew = |job: Value| job["metadata"]["labels"]["of"].is_null().then_some(job);
    let job = world
        .kubernetes
        .until("the Job is made anew", |kubernetes| kubernetes.get("jobs", "r-score").and_then(anew))
        .await;
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], made["metadata"]["uid"]);
}

#[tokio::test]
async fn pods_that_cannot_be_placed_are_told_with_an_event() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    let job = world.job("r-score").await;
    world.pod(&job, "r-score-0", unschedulable());
    world.event("Queued", "2 Insufficient memory").await;
    let status = world.run_says("r", "Queued").await;
    assert!(status["message"].as_str().unwrap().contains("no node fits the pod"), "{status}");
}

#[tokio::test]
async fn a_job_that_cannot_make_pods_says_what_kubernetes_says() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    let job = world.job("r-score").await;
    world.kubernetes.create("events", json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "type": "Warning", "reason": "FailedCreate",
        "involvedObject": {"uid": job["metadata"]["uid"]},
        "message": "Error creating: pods \"r-score-0-x\" is forbidden: exceeded quota: pods",
    }));
    world.kubernetes.change("jobs", "r-score", |job| {
        job["metadata"]["creationTimestamp"] = json!("2020-01-01T00:00:00Z")
    });
    world.event("Queued", "exceeded quota: pods").await;
}

#[tokio::test]
async fn a_pod_on_a_node_that_does_not_answer_is_told_and_replaced() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    let job = world.job("r-score").await;
    let mut status = scorer("Running", json!({"running": {}}));
    status["conditions"] = json!([{"type": "Ready", "status": "False"}]);
    world.pod(&job, "r-score-0", status);
    // by a finalizer the Job keeps a pod that has not ended
    world.kubernetes.change("pods", "r-score-0", |pod| {
        pod["metadata"]["finalizers"] = json!(["batch.kubernetes.io/job-tracking"]);
    });
    let ended = |pod: Value| {
        let is_marked =
            pod["status"]["phase"] == "Failed" && pod["metadata"]["deletionTimestamp"].is_string();
        is_marked.then(|| pod["status"]["conditions"].clone())
    };
    let conditions = world
        .kubernetes
        .until("the pod is marked", |kubernetes| kubernetes.get("pods", "r-score-0").and_then(ended))
        .await;
    assert_eq!(conditions[1]["type"], "DisruptionTarget", "it costs the Job no retry: {conditions}");
    world.kubernetes.change("pods", "r-score-0", |pod| pod["metadata"]["finalizers"] = json!([]));
    world
        .kubernetes
        .until("the pod is gone", |kubernetes| kubernetes.get("pods", "r-score-0").is_none().then_some(()))
        .await;
}

/// The status of a pod whose scorer has ended, and in which another container, which comes first, runs on.
fn held(exit_code: i32, message: &str) -> Value {
    let mut status =
        scorer("Running", json!({"terminated": {"exitCode": exit_code, "message": message, "reason": "x"}}));
    let proxy = json!({"name": "a-proxy", "image": "", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {}}});
    status["containerStatuses"].as_array_mut().unwrap().insert(0, proxy);
    status
}

#[tokio::test]
async fn shards_are_done_when_their_scorers_are_though_another_container_keeps_the_pods() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({"shards": 2}));
    let job = world.job("r-score").await;
    for index in ["0", "1"] {
        let name = format!("r-score-{index}");
        world.pod(&job, &name, held(0, ""));
        world.kubernetes.change("pods", &name, |pod| {
            pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] = json!(index)
        });
    }
    let solve = world.job("r-solve").await;
    world.write_summary("r").await;
    world.pod(&solve, "r-solve-0", held(0, ""));
    world.run_says("r", "Complete").await;
    // the other container would go on for ever
    for name in ["r-score", "r-solve"] {
        world.kubernetes.until(name, |kubernetes| kubernetes.get("jobs", name).is_none().then_some(())).await;
    }
}

#[tokio::test]
async fn a_pod_whose_scorer_has_failed_ends_though_another_container_runs_on() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    let job = world.job("r-score").await;
    world.pod(&job, "r-score-0", held(1, ""));
    // then its Job decides whether it is tried again
    world
        .kubernetes
        .until("the pod is deleted", |kubernetes| kubernetes.get("pods", "r-score-0").is_none().then_some(()))
        .await;
    assert!(world.kubernetes.get("jobs", "r-score").is_some());
}

#[tokio::test]
async fn deleting_waits_for_pods_and_says_so_and_then_nothing_is_left() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    let job = world.job("r-score").await;
    let status = world.run_says("r", "Queued").await;
    let output = status["pinned"]["plan"]["output"].as_str().unwrap().to_owned();
    world.put(&format!("{output}pairs/0.pairs"), "x").await;
    let pod = world.pod(&job, "r-score-0", scorer("Running", json!({"running": {}})));
    world.kubernetes.change("pods", "r-score-0", |pod| {
        pod["metadata"]["finalizers"] = json!(["example.org/slow"]);
        pod["metadata"]["ownerReferences"] = json!([]);
    });
    world.kubernetes.delete("linkageruns", "r");
    let waiting = world.run_says("r", "Deleting").await;
    assert!(waiting["message"].as_str().unwrap().contains("r-score-0"), "{waiting}");
    assert!(!world.keys(&output).await.is_empty(), "a pod that still runs could write more");
    assert_eq!(pod["metadata"]["name"], "r-score-0");
    world.kubernetes.delete("pods", "r-score-0");
    world.kubernetes.change("pods", "r-score-0", |pod| pod["metadata"]["finalizers"] = json!([]));
    world
        .kubernetes
        .until("the run is gone", |kubernetes| kubernetes.get("linkageruns", "r").is_none().then_some(()))
        .await;
    assert_eq!(world.keys("runs/").await, Vec::<String>::new());
    assert!(world.kubernetes.get("jobs", "r-score").is_none());
}

#[tokio::test]
async fn finalizers_that_others_have_set_stay() {
    let world = World::new();
    world.contributed_project("p");
    let mut run = crate::testing::run("r", json!({}));
    run["metadata"]["finalizers"] = json!(["example.org/backup"]);
    world.kubernetes.create("linkageruns", run);
    world.job("r-score").await;
    world.kubernetes.delete("linkageruns", "r");
    let left = |run: Value| (run["metadata"]["finalizers"] == json!(["example.org/backup"])).then_some(());
    world
        .kubernetes
        .until("only the other one is left", |kubernetes| kubernetes.get("linkageruns", "r").and_then(left))
        .await;
    assert!(world.kubernetes.get("jobs", "r-score").is_none());
}

#[tokio::test]
async fn a_run_that_is_deleted_and_made_again_at_once_is_another() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    world.job("r-score").await;
    let first = world.run_says("r", "Queued").await["pinned"].clone();
    world.kubernetes.delete("linkageruns", "r");
    let gone = |kubernetes: &fake_kubernetes::FakeKubernetes| kubernetes.get("linkageruns", "r").is_none();
    world.kubernetes.until("the run is gone", |kubernetes| gone(kubernetes).then_some(())).await;
    let again = world.run("r", json!({}));
    let own = |job: Value| {
        (job["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"]).then_some(job)
    };
    let job = world
        .kubernetes
        .until("a Job of its own", |kubernetes| kubernetes.get("jobs", "r-score").and_then(own))
        .await;
    assert_ne!(plan(&job)["output"], first["plan"]["output"]);
}

#[tokio::test]
async fn owners_that_others_have_set_stay() {
    let world = World::new();
    let mut run = crate::testing::run("r", json!({}));
    run["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "w", "uid": "77"}]);
    world.kubernetes.create("linkageruns", run);
    world.contributed_project("p");
    world.job("r-score").await;
    let owners = world.kubernetes.get("linkageruns", "r").unwrap()["metadata"]["ownerReferences"].clone();
    let kinds: Vec<&str> =
        owners.as_array().unwrap().iter().map(|owner| owner["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Workflow", "LinkageProject"]);
}

#[tokio::test]
async fn times_that_no_clock_reaches_harm_nobody() {
    let world = World::new();
    world.contributed_project("p");
    let mut odd = crate::testing::run(
        "odd",
        json!({"ttlSecondsAfterFinished": i64::MAX, "activeDeadlineSeconds": i64::MAX}),
    );
    odd["status"] = json!({"completionTime": "9999-12-30T00:00:00Z", "stage": "Complete", "conditions": [
        {"type": "Complete", "status": "True", "reason": "Complete", "message": "", "lastTransitionTime": "9999-12-30T00:00:00Z"}]});
    world.kubernetes.create("linkageruns", odd);
    world.run("r", json!({}));
    world.job("r-score").await;
    assert!(world.kubernetes.get("linkageruns", "odd").is_some());
}

#[tokio::test]
async fn a_project_that_comes_later_starts_the_runs_that_wait_for_it() {
    let world = World::new();
    world.run("r", json!({}));
    world.run_says("r", "ProjectNotFound").await;
    let mut waiting = contributed_project("p");
    waiting["status"] = json!({});
    world.kubernetes.create("linkageprojects", waiting);
    world.run_says("r", "WaitingForParties").await;
    world.kubernetes.change("linkageprojects", "p", |project| {
        project["status"] = contributed_project("p")["status"].clone()
    });
    world.job("r-score").await;
}

#[tokio::test]
async fn a_failed_run_that_was_suspended_says_that_it_failed() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    let job = world.job("r-score").await;
    let message = r#"{"reason":"CorruptObject","message":"wrong checksum"}"#;
    world.pod(
        &job,
        "r-score-0",
        scorer("Failed", json!({"terminated": {"exitCode": 3, "message": message}})),
    );
    world.give_up("r-score");
    let status = world.run_says("r", "InvalidInput").await;
    assert_eq!(status["message"], "wrong checksum");
    world.event("InvalidInput", "wrong checksum").await;
}

#[tokio::test]
async fn a_run_is_reconciled_no_more_than_it_changes() {
    let world = World::new();
    world.contributed_project("p");
    world.run("r", json!({}));
    world.job("r-score").await;
    world.run_says("r", "Queued").await;
    world.write_summary("r").await;
    world.complete("r-score");
    world.run_says("r", "Complete").await;
    let requests = world.kubernetes.requests();
    let writes = requests.iter().filter(|request| {
        request.plural == "linkageruns" && matches!(request.verb, Verb::Update | Verb::Patch)
    });
    // its finalizer and owner, what it works on, and its end
    assert_eq!(writes.count(), 3, "{requests:#?}");
    let reads =
        world.kubernetes.requests().into_iter().filter(|request| {
            matches!(request.verb, Verb::Get | Verb::List) && request.plural == "linkageruns"
        });
    assert!(reads.count() <= 1, "what the watch tells is not asked for");
}
