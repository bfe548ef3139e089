//! A run whose pods fill more scratch space than they may: it fails, and says so.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};
use tests::cluster::is_true;
use tests::{Installation, Story};

use crate::disruption::long_project;

const LITTLE: [&str; 2] = ["--set", "jobs.scratchSize=1Mi"];
/// The kubelet looks now and then how full volumes are, and the Job pauses before it tries again.
const LIMIT: Duration = Duration::from_secs(240);

#[tokio::test]
async fn a_pod_that_is_evicted_for_its_scratch_space_is_told_as_such() -> Story {
    Installation::tell_with("scratch-full", &LITTLE, |here| async move {
        let rest = here.rest().await?;
        let (project, _) = long_project(&rest).await?;
        // little of the processor, so that the data is on the disk for long enough for the kubelet to see it
        let resources = json!({"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "100m", "memory": "1Gi"}});
        let spec = json!({"projectRef": {"name": project}, "threshold": 0.9, "resources": resources});
        let run = json!({"apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": "large"}, "spec": spec});
        let applied = here.namespace.apply(&run.to_string()).await?;
        ensure!(applied.succeeded, "{}", applied.text);

        let first = |run: &Value| {
            let message = run["status"]["message"].as_str().unwrap_or_default();
            message.contains("filled its scratch space")
        };
        here.namespace.wait_for("lrun/large", "told of its scratch space", LIMIT, first).await?;
        let failed = |run: &Value| is_true(run, "Failed");
        let run = here.namespace.wait_for("lrun/large", "failed", LIMIT, failed).await?;
        assert_eq!(run["status"]["reason"], "ScratchFull", "{:#}", run["status"]);
        here.namespace.wait_told("lrun/large", "ScratchFull", "raise the chart's jobs.scratchSize").await
    })
    .await
}
