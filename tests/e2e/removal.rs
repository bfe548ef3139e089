//! Deleting means that everything is gone.

use std::time::Duration;

use anyhow::bail;
use tests::rest::Body;
use tests::{Installation, Story, data};

#[tokio::test]
async fn deleting_removes_every_object_job_and_secret() -> Story {
    Installation::tell("removal", |here| async move {
        let objects = here.objects().await?;
        let rest = here.rest().await?;
        here.namespace.apply_example("two-hospitals").await?;
        for party in ["hospital-a", "hospital-b"] {
            let token = here.token("two-hospitals", &format!("update-{party}")).await?;
            let body = Body::document(data::read(&format!("thousand/{party}.json"))?);
            rest.post("projects/two-hospitals/clks", &token, body).await?.expect(201)?;
        }
        here.namespace.wait_complete("two-hospitals-at-80").await?;
        assert!(!objects.keys("projects/").await?.is_empty());
        assert!(!objects.keys("runs/").await?.is_empty());

        here.namespace.kubectl(&["delete", "lrun/two-hospitals-at-80", "--timeout=60s"]).await?;
        assert!(objects.keys("runs/").await?.is_empty(), "{:?}", objects.keys("runs/").await?);
        assert!(!objects.keys("projects/").await?.is_empty(), "the project's data is not the run's");
        let ours = "app.kubernetes.io/managed-by=linkage-operator";
        gone(&here, "jobs,pods", ours).await?;

        // a second run, over REST, is deleted with its project, while it may still be at work
        let token = here.token("two-hospitals", "result").await?;
        let run = rest.create_run("two-hospitals", &token, 0.9).await?;
        here.namespace.kubectl(&["delete", "lproj/two-hospitals", "--timeout=120s"]).await?;
        assert!(here.namespace.get(&format!("lrun/{run}")).await?.is_none());
        let (projects, runs) = (objects.keys("projects/").await?, objects.keys("runs/").await?);
        assert!(projects.is_empty() && runs.is_empty(), "{projects:?} {runs:?}");
        gone(&here, "jobs,pods,secrets", ours).await
    })
    .await
}

/// What belongs to a deleted resource is collected by Kubernetes, a moment later.
async fn gone(here: &Installation, kinds: &str, selector: &str) -> Story {
    let mut left = Vec::new();
    for _ in 0..120 {
        left = here.namespace.names(kinds, selector).await?;
        if left.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bail!("still there: {left:?}")
}
