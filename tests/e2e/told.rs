//! What keeps a run or a project from going on is told on it, and it goes on as soon as that is out of the way.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tests::cluster::is_true;
use tests::{Installation, Story};

/// Seconds at work that some runs have. Each of them works for a second or two, and waits for longer than this.
const DEADLINE: u64 = 10;

const QUOTA: &str = r#"{apiVersion: v1, kind: ResourceQuota, metadata: {name: no-jobs}, spec: {hard: {count/jobs.batch: "0"}}}"#;

const JOB_OF_SOMEBODY_ELSE: &str = "{apiVersion: batch/v1, kind: Job, metadata: {name: mine-score}, spec: {suspend: true, \
     template: {spec: {restartPolicy: Never, containers: [{name: x, image: localhost/none}]}}}}";

const SECRET_OF_SOMEBODY_ELSE: &str = "{apiVersion: v1, kind: Secret, metadata: {name: payroll-tokens}, stringData: {result: of another program}}";

const PAYROLL: &str = "{apiVersion: pprl.dev/v1alpha1, kind: LinkageProject, metadata: {name: payroll}, \
     spec: {resultType: Groups, parties: [{name: a}, {name: b}]}}";

#[tokio::test]
async fn what_stands_in_the_way_is_told_and_when_it_is_gone_the_run_goes_on() -> Story {
    Installation::tell("told", |here| async move {
        here.two_hospitals().await?;
        // it stands in the way of all runs, so it goes first
        apply(&here, QUOTA).await?;
        let is_in_force = |quota: &Value| quota["status"]["hard"]["count/jobs.batch"] == "0";
        here.namespace.wait_for("quota/no-jobs", "in force", Duration::from_secs(30), is_in_force).await?;
        start(&here, "refused", json!({})).await?;
        here.namespace.wait_told("lrun/refused", "KubernetesRefused", "exceeded quota: no-jobs").await?;
        here.namespace.kubectl(&["delete", "quota/no-jobs"]).await?;
        tokio::try_join!(
            complete(&here, "refused"),
            values_that_kubernetes_refuses(&here),
            a_job_that_is_somebody_elses(&here),
            no_node_and_then_a_long_pause(&here),
            a_queue_that_nobody_serves(&here),
            a_secret_that_is_somebody_elses(&here),
            tokens_that_were_deleted(&here),
        )?;
        Ok(())
    })
    .await
}

async fn apply(here: &Installation, manifest: &str) -> Story {
    let applied = here.namespace.apply(manifest).await?;
    ensure!(applied.succeeded, "{manifest}: {}", applied.text);
    Ok(())
}

/// A run of two-hospitals with more in its spec than it needs.
async fn start(here: &Installation, name: &str, more: Value) -> Story {
    let mut spec = json!({"projectRef": {"name": "two-hospitals"}, "threshold": 0.8});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let run = json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": name}, "spec": spec});
    apply(here, &run.to_string()).await
}

async fn complete(here: &Installation, run: &str) -> Story {
    here.namespace.wait_complete(run).await.map(drop)
}

async fn patch(here: &Installation, resource: &str, patch: Value) -> Story {
    here.namespace
        .kubectl(&["patch", resource, "--type=merge", "--patch", &patch.to_string()])
        .await
        .map(drop)
}

async fn values_that_kubernetes_refuses(here: &Installation) -> Story {
    let too_much = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
    let no_quantity = json!({"limits": {"memory": "lots"}});
    for (name, resources, part) in [
        ("more-requested-than-allowed", too_much, "must be less than or equal to memory limit"),
        ("no-quantity", no_quantity, "quantities must match"),
    ] {
        start(here, name, json!({ "resources": resources })).await?;
        here.namespace.wait_told(&format!("lrun/{name}"), "KubernetesRefused", part).await?;
    }
    Ok(())
}

async fn a_job_that_is_somebody_elses(here: &Installation) -> Story {
    apply(here, JOB_OF_SOMEBODY_ELSE).await?;
    let is_settled = |job: &Value| is_true(job, "Suspended");
    let limit = Duration::from_secs(30);
    let before = here.namespace.wait_for("job/mine-score", "suspended", limit, is_settled).await?;
    start(here, "mine", json!({})).await?;
    here.namespace.wait_told("lrun/mine", "NameTaken", "mine-score").await?;
    assert_eq!(here.namespace.get("job/mine-score").await?, Some(before), "it was touched");
    here.namespace.kubectl(&["delete", "job/mine-score"]).await?;
    complete(here, "mine").await
}

async fn no_node_and_then_a_long_pause(here: &Installation) -> Story {
    let scheduling = json!({"nodeSelector": {"pool": "nowhere"}});
    start(here, "nowhere", json!({"activeDeadlineSeconds": DEADLINE, "scheduling": scheduling})).await?;
    let by_the_scheduler = "didn't match Pod's node affinity/selector";
    here.namespace.wait_told("lrun/nowhere", "Queued", by_the_scheduler).await?;
    let began = Instant::now();
    patch(here, "lrun/nowhere", json!({"spec": {"suspend": true}})).await?;
    here.namespace.kubectl(&["wait", "lrun/nowhere", "--for=condition=Suspended", "--timeout=60s"]).await?;
    outlast_the_deadline(began).await;
    patch(here, "lrun/nowhere", json!({"spec": {"suspend": false, "scheduling": null}})).await?;
    complete(here, "nowhere").await
}

async fn a_queue_that_nobody_serves(here: &Installation) -> Story {
    let scheduling = json!({"queueName": "nobody-serves-it"});
    start(here, "queued", json!({"activeDeadlineSeconds": DEADLINE, "scheduling": scheduling})).await?;
    let names_it = |run: &Value| {
        let message = run["status"]["message"].as_str().unwrap_or_default();
        run["status"]["reason"] == "Queued" && message.contains("queue nobody-serves-it")
    };
    let limit = Duration::from_secs(30);
    here.namespace.wait_for("lrun/queued", "telling of its queue", limit, names_it).await?;
    outlast_the_deadline(Instant::now()).await;
    // as Kueue does when the Job's turn has come
    patch(here, "job/queued-score", json!({"spec": {"suspend": false}})).await?;
    complete(here, "queued").await
}

/// The promise is about time that passes: what is waited for is the time itself.
async fn outlast_the_deadline(began: Instant) {
    let end = began + Duration::from_secs(DEADLINE + 2);
    tokio::time::sleep_until(end.into()).await;
}

async fn a_secret_that_is_somebody_elses(here: &Installation) -> Story {
    apply(here, SECRET_OF_SOMEBODY_ELSE).await?;
    let before = here.namespace.get("secret/payroll-tokens").await?;
    apply(here, PAYROLL).await?;
    here.namespace.wait_told("lproj/payroll", "NameTaken", "payroll-tokens").await?;
    here.namespace.kubectl(&["delete", "lproj/payroll", "--timeout=60s"]).await?;
    assert_eq!(here.namespace.get("secret/payroll-tokens").await?, before, "it was touched");
    Ok(())
}

async fn tokens_that_were_deleted(here: &Installation) -> Story {
    let secret = "secret/two-hospitals-tokens";
    let before = here.namespace.get(secret).await?.unwrap_or_default();
    here.namespace.kubectl(&["delete", secret]).await?;
    let is_back =
        |now: &Value| now["data"] == before["data"] && now["metadata"]["uid"] != before["metadata"]["uid"];
    here.namespace.wait_for(secret, "back", Duration::from_secs(10), is_back).await.map(drop)
}
