//! The operator runs as a program beside the cluster, so that its ways to Kubernetes and to the store can be cut or changed
//! without touching anyone else's. All else, the Jobs and their pods, is in the cluster.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tests::objects::decoded;
use tests::picky_store::PickyStore;
use tests::{Installation, Story};
use tokio::process::{Child, Command};

use crate::disruption::{check_result, long_project, wait_scoring};
use crate::kubernetes_away::{free_address, over_a_relay};

/// Longer than it takes until whoever tries again does so as rarely as ever.
const ABSENCE: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn kubernetes_is_away_for_the_operator_while_a_run_is_at_work() -> Story {
    Installation::tell("operator-beside", |here| async move {
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        let relay = over_a_relay(&kubeconfig).await?;
        let store = here.objects_as("operator").await?;
        let mut operator = start(&here, folder.path(), &kubeconfig, &store.address()).await?;
        let rest = here.rest().await?;
        let (project, token) = long_project(&rest).await?;
        let run = rest.create_run(&project, &token, 0.9).await?;
        wait_scoring(&here, &run).await?;

        relay.cut();
        let began = tokio::time::Instant::now();
        let later = rest.create_run(&project, &token, 0.95).await?;
        // pods need no operator to go on
        let job = format!("job/{run}-score");
        here.namespace.kubectl(&["wait", &job, "--for=condition=Complete", "--timeout=240s"]).await?;
        // the promise is about the time of absence: what is waited for is the time itself
        tokio::time::sleep_until(began + ABSENCE).await;
        let before = here.namespace.get(&format!("lrun/{run}")).await?.unwrap_or_default();
        assert_eq!(before["status"]["stage"], "Scoring", "the operator is not away");

        relay.mend();
        for run in [&run, &later] {
            rest.wait_completed(&project, run, &token).await?;
            check_result(&rest, &project, run, &token).await?;
        }
        ensure!(operator.try_wait()?.is_none(), "the operator has ended");
        let pods = here.namespace.names("pods", &format!("pprl.dev/run={run}")).await?;
        assert_eq!(pods.len(), 1, "something was done twice: {pods:?}");
        // while there is an operator
        here.namespace.kubectl(&["delete", "lproj", "--all", "--timeout=120s"]).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_store_that_wants_a_checksum_with_requests_to_delete_many_objects_is_emptied_one_by_one() -> Story {
    Installation::tell("picky-store", |here| async move {
        let folder = tempfile::tempdir()?;
        let kubeconfig = folder.path().join("kubeconfig");
        let _whole = over_a_relay(&kubeconfig).await?;
        let store = here.objects_as("operator").await?;
        let picky = PickyStore::before(store.address()).await?;
        let _operator = start(&here, folder.path(), &kubeconfig, &picky.address).await?;
        here.two_hospitals().await?;
        here.namespace.apply_example("two-hospitals/run.yaml").await?;
        here.namespace.wait_complete("two-hospitals-at-80").await?;
        assert!(!store.keys("runs/").await?.is_empty());

        here.namespace.kubectl(&["delete", "lrun/two-hospitals-at-80", "--timeout=60s"]).await?;
        assert_eq!(store.keys("runs/").await?, Vec::<String>::new());
        here.namespace.kubectl(&["delete", "lproj/two-hospitals", "--timeout=60s"]).await?;
        assert_eq!(store.keys("projects/").await?, Vec::<String>::new());
        assert!(picky.refused() > 0, "nobody has asked to delete many objects at once");
        Ok(())
    })
    .await
}

/// Starts the operator with the settings of the installation's own, which goes. It is ended when this is dropped.
async fn start(here: &Installation, folder: &Path, kubeconfig: &Path, store: &str) -> anyhow::Result<Child> {
    let deployment =
        here.namespace.get("deployment/linkage-operator-operator").await?.context("no operator")?;
    here.scale_operator(0).await?;
    let program = std::env::var_os("OPERATOR_PROGRAM").context("use tests/e2e/run")?;
    let settings = here.namespace.get("configmap/linkage-operator-jobs").await?.unwrap_or_default();
    let jobs = folder.join("jobs.yaml");
    std::fs::write(&jobs, settings["data"]["jobs.yaml"].as_str().context("no settings of Jobs")?)?;
    let secret = here.namespace.get("secret/linkage-operator-master-key").await?.unwrap_or_default();
    let key = folder.join("key");
    std::fs::write(&key, decoded(&secret, "key").await?)?;
    let mut command = Command::new(program);
    command.envs(environment(here, &deployment["spec"]["template"]["spec"]["containers"][0]).await?);
    let address = free_address()?;
    let child = command
        .env("KUBECONFIG", kubeconfig)
        .env("NAMESPACE", &here.namespace.0)
        .env("MASTER_KEY_FILE", &key)
        .env("JOB_SETTINGS", &jobs)
        .env("STORE_ENDPOINT", format!("http://{store}"))
        .env("LISTEN", &address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log"))?)
        .kill_on_drop(true)
        .spawn()?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let began = tokio::time::Instant::now();
    loop {
        let answer = client.get(format!("http://{address}/readyz")).send().await;
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            return Ok(child);
        }
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        ensure!(began.elapsed() < LIMIT, "the operator does not become ready: {}", log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The variables of a container: those that are written down, and those from Secrets.
async fn environment(here: &Installation, container: &Value) -> anyhow::Result<Vec<(String, String)>> {
    let mut environment = Vec::new();
    for variable in container["env"].as_array().into_iter().flatten() {
        if let (Some(name), Some(value)) = (variable["name"].as_str(), variable["value"].as_str()) {
            environment.push((name.to_owned(), value.to_owned()));
        }
    }
    for source in container["envFrom"].as_array().into_iter().flatten() {
        let Some(name) = source["secretRef"]["name"].as_str() else { continue };
        let secret = here.namespace.get(&format!("secret/{name}")).await?.unwrap_or(json!({}));
        for name in secret["data"].as_object().into_iter().flatten().map(|(name, _)| name) {
            environment.push((name.clone(), decoded(&secret, name).await?));
        }
    }
    Ok(environment)
}
