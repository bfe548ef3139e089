//! Runs that say how groups are formed. The figures are those of anonlink and SciPy, as scorer/tests/solver.rs tells.

use serde_json::{Value, json};
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};

async fn upload(here: &Installation, rest: &Rest, project: &str, parties: &[&str]) -> Story {
    for party in parties {
        let token = here.token(project, &format!("update-{party}")).await?;
        let body = Body::document(data::read(&format!("three-parties/{party}.json"))?);
        rest.post(&format!("projects/{project}/clks"), &token, body).await?.expect(201)?;
    }
    Ok(())
}

fn run(name: &str, project: &str, threshold: f64, more: &str) -> String {
    format!(
        "{{apiVersion: pprl.dev/v1alpha1, kind: LinkageRun, metadata: {{name: {name}}}, \
         spec: {{projectRef: {{name: {project}}}, threshold: {threshold}, {more}}}}}"
    )
}

async fn apply(here: &Installation, manifest: &str) -> Story {
    let applied = here.namespace.apply(manifest).await?;
    anyhow::ensure!(applied.succeeded, "{}", applied.text);
    Ok(())
}

/// How many groups there are of 2 and of 3 records.
fn twos_and_threes(result: &Value) -> [usize; 2] {
    let groups = result["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
    [2, 3].map(|size| groups.iter().filter(|group| group.as_array().map(Vec::len) == Some(size)).count())
}

#[tokio::test]
async fn groups_merge_by_the_share_of_the_pairs_between_them() -> Story {
    Installation::tell("merge-threshold", |here| async move {
        let rest = here.rest().await?;
        here.namespace.apply_example("merge-threshold").await?;
        upload(&here, &rest, "merge-threshold", &["north", "south", "west"]).await?;
        here.namespace.wait_complete("merge-threshold-at-80").await?;
        let token = here.token("merge-threshold", "result").await?;
        let result = rest.result("merge-threshold", "merge-threshold-at-80", &token).await?;
        assert_eq!(twos_and_threes(&result), [331, 446]);

        // the same pairs once more, as anonlink's greedy solver takes them, over REST
        let wanted =
            json!({"threshold": 0.8, "from_run": "merge-threshold-at-80", "solver": {"merge_threshold": 1}});
        let path = "projects/merge-threshold/runs";
        let created = rest.post(path, &token, Body::json(&wanted)).await?.expect(201)?;
        assert_eq!(created["solver"], json!({"algorithm": "greedy", "merge_threshold": 1.0}));
        let id = created["run_id"].as_str().unwrap_or_default();
        rest.wait_completed("merge-threshold", id, &token).await?;
        assert_eq!(twos_and_threes(&rest.result("merge-threshold", id, &token).await?), [374, 403]);

        // there are three parties
        let wanted = Body::json(&json!({"threshold": 0.8, "solver": {"algorithm": "optimal"}}));
        assert_eq!(rest.post(path, &token, wanted).await?.status, 400);
        apply(&here, &run("optimal", "merge-threshold", 0.8, "solver: {algorithm: Optimal}")).await?;
        let message = here.namespace.wait_reason("lrun/optimal", "InvalidInput").await?;
        assert!(message.contains("exactly two parties, and the project has 3"), "{message}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn two_parties_are_matched_with_the_greatest_sum_of_scores() -> Story {
    Installation::tell("optimal", |here| async move {
        let rest = here.rest().await?;
        here.namespace.apply_example("optimal").await?;
        upload(&here, &rest, "optimal", &["north", "south"]).await?;
        let optimal = here.namespace.wait_complete("optimal-at-70").await?;
        let status = &optimal["status"];
        assert_eq!((&status["pairs"], &status["groups"]), (&json!(814), &json!(633)));
        let solving = json!({"components": 555, "largestComponentRecords": 43,
            "greedyComponents": 0, "greedyRecords": 0, "greedyPairs": 0});
        assert_eq!(status["solving"], solving);
        assert_eq!(status["message"], "814 pairs at or above 0.7");

        // several shards, and the same pairs with other solvers: all by a Job that solves alone
        let more = "shards: 3, solver: {algorithm: Optimal}";
        apply(&here, &run("sharded", "optimal", 0.7, more)).await?;
        let more = "fromRun: {name: optimal-at-70}, solver: {algorithm: Optimal, maxComponentRecords: 42}";
        apply(&here, &run("bounded", "optimal", 0.7, more)).await?;
        apply(&here, &run("greedy", "optimal", 0.7, "fromRun: {name: optimal-at-70}")).await?;
        let token = here.token("optimal", "result").await?;
        let expected = rest.result("optimal", "optimal-at-70", &token).await?;
        here.namespace.wait_complete("sharded").await?;
        assert_eq!(rest.result("optimal", "sharded", &token).await?, expected);
        let greedy = here.namespace.wait_complete("greedy").await?;
        assert_eq!((&greedy["status"]["groups"], &greedy["status"]["solving"]), (&json!(630), &Value::Null));
        let bounded = here.namespace.wait_complete("bounded").await?;
        assert_eq!(bounded["status"]["solving"]["greedyRecords"], 43);
        let message = bounded["status"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("1 of the components, with 43 records"), "{message}");
        Ok(())
    })
    .await
}
