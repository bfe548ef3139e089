//! The store goes away in the middle of a run and of an ingest: both go on when it is back, and nothing is done twice.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tests::cluster::{Namespace, is_true};
use tests::rest::Body;
use tests::{Installation, Story, data};

use crate::disruption::{check_result, long_project, wait_scoring};

/// The label of nodes on which pods may start, unless a run says otherwise.
const MARK: &str = "e2e-store-away";
const HELD_BACK: [&str; 2] = ["--set-string", "jobs.nodeSelector.e2e-store-away=yes"];
/// Longer than it takes until pods ask the store as rarely as they ever do.
const ABSENCE: Duration = Duration::from_secs(60);
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn the_store_is_away_for_a_minute() -> Story {
    let cluster = Namespace("default".into());
    unmark_nodes(&cluster).await?;
    let told = Installation::tell_with("store-away", &HELD_BACK, |here| async move {
        put_sources(&here).await?;
        here.namespace.apply_example("source-objects/project.yaml").await?;
        let two = |pods: &Value| ingests(pods).count() == 2;
        here.namespace.wait_for("pods", "two that are to read sources", LIMIT, two).await?;
        let rest = here.rest().await?;
        let (project, token) = long_project(&rest).await?;
        start(&here, &project).await?;
        wait_scoring(&here, "long").await?;

        here.scale_store(0).await?;
        let began = tokio::time::Instant::now();
        // the pods that read the sources may start now, and find no store
        here.namespace.kubectl(&["label", "nodes", "--all", "--overwrite", &format!("{MARK}=yes")]).await?;
        let upload = rest.create_project(json!({"schema": {}, "result_type": "groups"})).await?;
        let waits = |run: &Value| {
            let message = run["status"]["message"].as_str().unwrap_or_default();
            message.contains("1 pod waits: the object store is not available")
        };
        here.namespace.wait_for("lrun/long", "waiting for the store", LIMIT, waits).await?;
        let told = |project: &Value| project["status"]["conditions"][0]["reason"] == "StoreUnavailable";
        here.namespace.wait_for("lproj/source-objects", "told of the store", LIMIT, told).await?;
        let run = |pods: &Value| ingests(pods).filter(|pod| pod["status"]["phase"] == "Running").count() == 2;
        here.namespace.wait_for("pods", "two that read sources", LIMIT, run).await?;
        let at_work = pods(&here).await?;
        // the promise is about a minute of absence: what is waited for is the time itself
        tokio::time::sleep_until(began + ABSENCE).await;
        let unfinished = here.namespace.get("lrun/long").await?.unwrap_or_default();
        assert!(!is_true(&unfinished, "Failed"), "{unfinished:#}");

        here.scale_store(1).await?;
        rest.wait_completed(&project, "long", &token).await?;
        check_result(&rest, &project, "long", &token).await?;
        let ready = |project: &Value| is_true(project, "Ready");
        here.namespace.wait_for("lproj/source-objects", "ready", LIMIT, ready).await?;
        // the very pods that had compared or begun to read have gone on: nothing was done anew
        assert_eq!(pods(&here).await?, at_work);
        let body = Body::document(data::read("thousand/hospital-a.json")?);
        rest.post(&format!("projects/{}/clks", upload.0), &upload.1[0], body).await?.expect(201)?;
        Ok(())
    })
    .await;
    unmark_nodes(&cluster).await?;
    told
}

async fn put_sources(here: &Installation) -> Story {
    let objects = here.objects().await?;
    for file in ["hospital-a.json", "hospital-b.bin"] {
        objects.put(&format!("sources/source-objects/{file}"), data::read(file)?).await?;
    }
    Ok(())
}

/// A run whose pods are not held back.
async fn start(here: &Installation, project: &str) -> Story {
    let scheduling = json!({"nodeSelector": {"kubernetes.io/os": "linux"}});
    // high enough that no other encodings match, and not so high that pairs are looked up, which takes no time
    let spec = json!({"projectRef": {"name": project}, "threshold": 0.9, "scheduling": scheduling});
    let run = json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": "long"}, "spec": spec});
    let applied = here.namespace.apply(&run.to_string()).await?;
    ensure!(applied.succeeded, "{}", applied.text);
    Ok(())
}

fn ingests(pods: &Value) -> impl Iterator<Item = &Value> {
    let pods = pods["items"].as_array().into_iter().flatten();
    pods.filter(|pod| pod["metadata"]["labels"]["app.kubernetes.io/component"] == "ingest")
}

/// The names of all pods of Jobs.
async fn pods(here: &Installation) -> anyhow::Result<Vec<String>> {
    here.namespace.names("pods", "app.kubernetes.io/managed-by=linkage-operator").await
}

async fn unmark_nodes(cluster: &Namespace) -> Story {
    cluster.kubectl(&["label", "nodes", "--selector", MARK, &format!("{MARK}-")]).await.map(drop)
}
