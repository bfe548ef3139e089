//! Data goes when its resource goes, whatever comes in between.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::json;
use tests::objects::Objects;
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};

/// Seconds instead of hours.
const SWEEPS: [&str; 2] = [
    "--set-json",
    r#"operator.extraEnv=[{"name":"SWEEP_ORPHAN_AGE_SECONDS","value":"5"},{"name":"SWEEP_INTERVAL_SECONDS","value":"1"}]"#,
];

#[tokio::test]
async fn what_is_uploaded_and_deleted_at_once_leaves_nothing_with_the_operator_there_or_away() -> Story {
    Installation::tell("gone", |here| async move {
        let (rest, objects) = (here.rest().await?, here.objects().await?);
        for seed in 0..15 {
            let (project, token) = filled(&rest, seed).await?;
            rest.delete(&format!("projects/{project}"), &token).await?.expect(204)?;
        }
        become_empty(&here, &objects).await?;

        here.scale_operator(0).await?;
        for seed in 0..15 {
            let (project, token) = filled(&rest, seed).await?;
            rest.delete(&format!("projects/{project}"), &token).await?.expect(204)?;
        }
        // one more, whose finalizer is stripped by hand: nobody purges what is of it
        let (stripped, token) = filled(&rest, 15).await?;
        rest.delete(&format!("projects/{stripped}"), &token).await?.expect(204)?;
        let project = here.namespace.get(&format!("lproj/{stripped}")).await?.unwrap_or_default();
        let uid = project["metadata"]["uid"].as_str().unwrap_or("no uid").to_owned();
        let patch = json!({"metadata": {"finalizers": null}}).to_string();
        let stripped = format!("lproj/{stripped}");
        here.namespace.kubectl(&["patch", &stripped, "--type=merge", "--patch", &patch]).await?;
        assert_eq!(objects.keys("projects/").await?.len(), 16, "without the operator nothing goes");

        here.scale_operator(1).await?;
        let orphans = |keys: &[String]| keys.len() == 1 && keys[0].contains(&uid);
        become_so(&here, &objects, orphans).await?;
        here.upgrade(&SWEEPS).await?;
        become_empty(&here, &objects).await
    })
    .await
}

/// A project to which one party has contributed; gives its id and its result token.
async fn filled(rest: &Rest, seed: u64) -> anyhow::Result<(String, String)> {
    let request = json!({"schema": {}, "result_type": "groups"});
    let (project, tokens, result_token) = rest.create_project(request).await?;
    let body = Body::binary(data::random_encodings(100, seed), 100);
    rest.post(&format!("projects/{project}/binaryclks"), &tokens[0], body).await?.expect(201)?;
    Ok((project, result_token))
}

async fn become_empty(here: &Installation, objects: &Objects) -> Story {
    become_so(here, objects, |keys| keys.is_empty()).await
}

/// Waits until all projects are gone, and of their objects there are only those that there may be.
async fn become_so(here: &Installation, objects: &Objects, is_so: impl Fn(&[String]) -> bool) -> Story {
    let began = Instant::now();
    loop {
        let (projects, keys) = (here.namespace.names("lproj", "").await?, objects.keys("projects/").await?);
        if projects.is_empty() && is_so(&keys) {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(60) {
            bail!("still there: {projects:?} {keys:?}");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test]
async fn a_namespace_with_everything_in_it_is_deleted_within_two_minutes() -> Story {
    Installation::tell("gone-namespace", |here| async move {
        here.two_hospitals().await?;
        here.namespace.apply_example("two-hospitals/run.yaml").await?;
        here.namespace.wait_complete("two-hospitals-at-80").await?;
        here.namespace.apply_example("permutations").await?;
        here.namespace.wait_reason("lrun/permutations-at-80", "WaitingForParties").await?;
        here.namespace.kubectl(&["delete", "namespace", &here.namespace.0, "--timeout=120s"]).await?;
        Ok(())
    })
    .await
}
