//! Solving again without scoring again.

use serde_json::{Value, json};
use tests::rest::Body;
use tests::{Installation, Story, data};

fn run(name: &str, threshold: f64, from: Option<&str>) -> String {
    let from = from.map(|earlier| format!(", fromRun: {{name: {earlier}}}")).unwrap_or_default();
    let shards = if from.is_empty() { ", shards: 2" } else { "" };
    format!(
        "{{apiVersion: pprl.dev/v1alpha1, kind: LinkageRun, metadata: {{name: {name}}}, \
         spec: {{projectRef: {{name: two-hospitals}}, threshold: {threshold}{shards}{from}}}}}"
    )
}

async fn apply(here: &Installation, manifest: &str) -> Story {
    let applied = here.namespace.apply(manifest).await?;
    anyhow::ensure!(applied.succeeded, "{}", applied.text);
    Ok(())
}

#[tokio::test]
async fn a_higher_threshold_needs_no_scoring_and_the_earlier_run_may_go() -> Story {
    Installation::tell("from-run", |here| async move {
        let (rest, objects) = (here.rest().await?, here.objects().await?);
        here.namespace.apply_example("two-hospitals").await?;
        // applied before the run that it names: it waits
        apply(&here, &run("second", 0.8, Some("first"))).await?;
        for party in ["hospital-a", "hospital-b"] {
            let token = here.token("two-hospitals", &format!("update-{party}")).await?;
            let body = Body::document(data::read(&format!("thousand/{party}.json"))?);
            rest.post("projects/two-hospitals/clks", &token, body).await?.expect(201)?;
        }
        let message = here.namespace.wait_reason("lrun/second", "RunNotFound").await?;
        assert!(message.contains("first"), "{message}");
        apply(&here, &run("first", 0.6, None)).await?;
        here.namespace.wait_complete("first").await?;
        let second = here.namespace.wait_complete("second").await?;

        // as if it had been scored
        let scored = here.namespace.wait_complete("two-hospitals-at-80").await?;
        for field in ["pairs", "groups", "progress"] {
            assert_eq!(second["status"][field], scored["status"][field], "{field}");
        }
        assert_eq!(second["status"]["pairsFromRun"]["name"], "first");
        assert_eq!(second["status"]["shards"], 2);
        assert!(here.namespace.get("job/second-score").await?.is_none(), "nothing is scored");
        let token = here.token("two-hospitals", "result").await?;
        let expected = rest.result("two-hospitals", "two-hospitals-at-80", &token).await?;
        assert_eq!(rest.result("two-hospitals", "second", &token).await?, expected);

        // the first run goes while a third, over REST, is about to use its pairs or waits for it in vain no more
        let wanted = Body::json(&json!({"threshold": 0.8, "from_run": "first"}));
        let third = rest.post("projects/two-hospitals/runs", &token, wanted).await?.expect(201)?;
        let third = third["run_id"].as_str().unwrap_or_default().to_owned();
        let started = |run: &Value| !run["status"]["startTime"].is_null();
        let limit = std::time::Duration::from_secs(60);
        here.namespace.wait_for(&format!("lrun/{third}"), "started", limit, started).await?;
        let first = here.namespace.get("lrun/first").await?.unwrap_or_default();
        let folder = first["status"]["results"][0]["key"].as_str().unwrap_or_default();
        let folder: String = folder.split_inclusive('/').take(2).collect();
        assert!(!objects.keys(&folder).await?.is_empty(), "{first:#}");
        here.namespace.kubectl(&["delete", "lrun/first", "--timeout=120s"]).await?;
        rest.wait_completed("two-hospitals", &third, &token).await?;
        assert_eq!(rest.result("two-hospitals", &third, &token).await?, expected);
        let left = objects.keys(&folder).await?;
        assert!(left.is_empty(), "{left:?}");

        // a fourth takes its pairs from the second, which has its own by now
        apply(&here, &run("fourth", 0.8, Some("second"))).await?;
        here.namespace.wait_complete("fourth").await?;
        assert_eq!(rest.result("two-hospitals", "fourth", &token).await?, expected);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn pairs_that_cannot_be_used_fail_the_run_in_words() -> Story {
    Installation::tell("from-run-refused", |here| async move {
        let rest = here.rest().await?;
        here.namespace.apply_example("two-hospitals").await?;
        for party in ["hospital-a", "hospital-b"] {
            let token = here.token("two-hospitals", &format!("update-{party}")).await?;
            let body = Body::document(data::read(&format!("thousand/{party}.json"))?);
            rest.post("projects/two-hospitals/clks", &token, body).await?.expect(201)?;
        }
        apply(&here, &run("lower", 0.7, Some("two-hospitals-at-80"))).await?;
        let message = here.namespace.wait_reason("lrun/lower", "InvalidInput").await?;
        assert!(message.contains("at or above 0.8 only"), "{message}");
        let token = here.token("two-hospitals", "result").await?;
        for from_run in ["two-hospitals-at-90", "lower"] {
            let wanted = Body::json(&json!({"threshold": 0.9, "from_run": from_run}));
            assert_eq!(rest.post("projects/two-hospitals/runs", &token, wanted).await?.status, 400);
        }
        Ok(())
    })
    .await
}
