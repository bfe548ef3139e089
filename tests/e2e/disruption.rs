//! Pods are killed in the middle of a run: it completes all the same.

use std::time::Duration;

use serde_json::{Value, json};
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};

/// Records of each party: enough to be at work for some seconds, on the processor at hand.
fn enough_records() -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512vpopcntdq") {
        return 140_000;
    }
    60_000
}

/// A project of random encodings, of which the first hundred of both parties are equal; gives its id and result token.
pub async fn long_project(rest: &Rest) -> anyhow::Result<(String, String)> {
    let request = json!({"schema": {}, "result_type": "groups"});
    let (project, tokens, result_token) = rest.create_project(request).await?;
    let records = enough_records();
    let first = data::random_encodings(records, 1);
    let mut second = data::random_encodings(records, 2);
    second[..128 * 100].copy_from_slice(&first[..128 * 100]);
    for (token, encodings) in tokens.iter().zip([first, second]) {
        let body = Body::binary(encodings, records);
        rest.post(&format!("projects/{project}/binaryclks"), token, body).await?.expect(201)?;
    }
    Ok((project, result_token))
}

/// Such a project, and a run of it.
async fn long_run(rest: &Rest) -> anyhow::Result<(String, String, String)> {
    let (project, token) = long_project(rest).await?;
    // high enough that no other encodings match, and not so high that pairs are looked up, which takes no time
    let run = rest.create_run(&project, &token, 0.9).await?;
    Ok((project, run, token))
}

pub async fn check_result(rest: &Rest, project: &str, run: &str, token: &str) -> Story {
    let result = rest.result(project, run, token).await?;
    let groups = result["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 100);
    assert!(groups.iter().all(|group| group[0][1] == group[1][1]), "{result}");
    Ok(())
}

pub async fn wait_scoring(here: &Installation, run: &str) -> Story {
    let at_work = |run: &Value| run["status"]["stage"] == "Scoring";
    here.namespace
        .wait_for(&format!("lrun/{run}"), "scoring", Duration::from_secs(60), at_work)
        .await
        .map(drop)
}

#[tokio::test]
async fn operator_api_and_scorer_are_killed_in_the_middle_of_a_run() -> Story {
    Installation::tell("killed", |here| async move {
        let rest = here.rest().await?;
        let (project, run, token) = long_run(&rest).await?;
        wait_scoring(&here, &run).await?;
        let ours = "app.kubernetes.io/component in (operator,api)";
        here.namespace
            .kubectl(&["delete", "pods", "--selector", ours, "--grace-period=0", "--force", "--wait=false"])
            .await?;
        rest.wait_completed(&project, &run, &token).await?;
        check_result(&rest, &project, &run, &token).await?;

        let run = rest.create_run(&project, &token, 0.9).await?;
        wait_scoring(&here, &run).await?;
        let scorer = format!("pprl.dev/run={run}");
        here.namespace
            .kubectl(&[
                "delete",
                "pods",
                "--selector",
                &scorer,
                "--grace-period=0",
                "--force",
                "--wait=false",
            ])
            .await?;
        rest.wait_completed(&project, &run, &token).await?;
        check_result(&rest, &project, &run, &token).await
    })
    .await
}

#[tokio::test]
async fn a_run_is_suspended_and_goes_on() -> Story {
    Installation::tell("suspended", |here| async move {
        let rest = here.rest().await?;
        let (project, run, token) = long_run(&rest).await?;
        wait_scoring(&here, &run).await?;
        let lrun = format!("lrun/{run}");
        let suspend = |value: bool| format!(r#"{{"spec":{{"suspend":{value}}}}}"#);
        here.namespace.kubectl(&["patch", &lrun, "--type=merge", "--patch", &suspend(true)]).await?;
        here.namespace.kubectl(&["wait", &lrun, "--for=condition=Suspended", "--timeout=60s"]).await?;
        let pods = here.namespace.names("pods", &format!("pprl.dev/run={run}")).await?;
        let jobs = here.namespace.names("jobs", &format!("pprl.dev/run={run}")).await?;
        assert!(jobs.is_empty() && pods.len() <= 1, "{jobs:?} {pods:?}");
        here.namespace.kubectl(&["patch", &lrun, "--type=merge", "--patch", &suspend(false)]).await?;
        rest.wait_completed(&project, &run, &token).await?;
        check_result(&rest, &project, &run, &token).await
    })
    .await
}

/// The bundled store begins to write a log of its own a minute after its start: that must leave room for uploads.
#[tokio::test]
async fn the_first_upload_comes_minutes_after_the_installation() -> Story {
    Installation::tell("late-upload", |here| async move {
        let rest = here.rest().await?;
        tokio::time::sleep(Duration::from_secs(150)).await;
        let (project, run, token) = long_run(&rest).await?;
        rest.wait_completed(&project, &run, &token).await?;
        check_result(&rest, &project, &run, &token).await
    })
    .await
}
