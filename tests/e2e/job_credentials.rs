//! What a Job's pods can reach in the store.

use anyhow::{Context, ensure};
use serde_json::Value;
use tests::cluster::Namespace;
use tests::objects::{Objects, decoded};
use tests::{Installation, Story};

#[tokio::test]
async fn a_jobs_credentials_open_its_own_project_and_run_alone() -> Story {
    Installation::tell("job-credentials", |here| async move {
        let everyone = here.objects().await?;
        here.two_hospitals().await?;
        here.namespace.apply_example("two-hospitals/run.yaml").await?;
        here.namespace.wait_complete("two-hospitals-at-80").await?;
        let own = objects_of_job(&here, "pprl.dev/run=two-hospitals-at-80").await?;

        let project = folder(&here.namespace, "lproj/two-hospitals", "projects").await?;
        let run = folder(&here.namespace, "lrun/two-hospitals-at-80", "runs").await?;
        for key in everyone.keys("").await? {
            let is_own = key.starts_with(&project) || key.starts_with(&run);
            ensure!(own.get(&key).await.is_ok() == is_own, "{key}: own is {project} and {run}");
        }
        own.put(&format!("{run}pairs/more"), vec![1]).await?;
        for foreign in [&*format!("{project}more"), "sources/two-hospitals/more", "runs/more", "more"] {
            ensure!(own.put(foreign, vec![1]).await.is_err(), "{foreign} can be written");
        }

        // what the pods have is this, and nothing else
        let selector = "--selector=pprl.dev/run=two-hospitals-at-80";
        let pods = here.namespace.kubectl(&["get", "pods", selector, "--output=json"]).await?;
        ensure!(!pods.contains("envFrom") && !pods.contains("secretKeyRef"), "{pods}");
        here.namespace.kubectl(&["delete", "job/two-hospitals-at-80-score", "--timeout=60s"]).await?;
        here.namespace.kubectl(&["wait", "secret", selector, "--for=delete", "--timeout=60s"]).await?;
        Ok(())
    })
    .await
}

/// The store, as the pods of the Job that has these labels see it.
async fn objects_of_job(here: &Installation, selector: &str) -> anyhow::Result<Objects> {
    let secrets = here.namespace.names("secrets", selector).await?;
    ensure!(secrets.len() == 1, "one Secret for one Job: {secrets:?}");
    let secret = here.namespace.get(&secrets[0]).await?.context("no Secret")?;
    let credentials: Value = serde_json::from_str(&decoded(&secret, "credentials.json").await?)?;
    let part = |name: &str| credentials[name].as_str().unwrap_or_default().to_owned();
    let keys = [part("AccessKeyId"), part("SecretAccessKey"), part("SessionToken")];
    Objects::connect_by(&here.namespace, "linkage-operator-store", keys).await
}

/// The folder of a project or run in the store.
async fn folder(namespace: &Namespace, resource: &str, root: &str) -> anyhow::Result<String> {
    let object = namespace.get(resource).await?.context("no such resource")?;
    let status = &object["status"];
    let key = match root {
        "runs" => &status["pinned"]["plan"]["output"],
        _ => &status["parties"][0]["encodings"],
    };
    let key = key.as_str().context("no key in the status")?;
    let end = key.match_indices('/').nth(1).context("no folder")?.0;
    Ok(key[..=end].to_owned())
}
