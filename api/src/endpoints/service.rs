//! The service itself: how it is, and which version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json as JsonAnswer;
use axum::extract::State;
use crds::{LinkageRun, RunStage};
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::App;
use crate::document::problems::ServiceProblems;
use crate::error::Error;

/// For how long a status is told again.
const STATUS_AGE: Duration = Duration::from_secs(30);
/// How many runs the rate is taken from: those that finished last.
const RUNS_RATED: usize = 10;

/// How the service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ServiceStatus {
    /// Always `ok`.
    #[schema(pattern = "^ok$")]
    status: &'static str,
    #[schema(minimum = 0)]
    project_count: usize,
    /// Comparisons per second of the runs that finished last; 1 while unknown.
    #[schema(minimum = 1)]
    rate: u64,
}

/// Versions. The first three are those that existing clients look for.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Version {
    /// The version of anonlink whose results the service's equal.
    anonlink: &'static str,
    /// The version of the contract.
    entityservice: &'static str,
    /// Always `none`.
    python: &'static str,
    /// The version of this service.
    #[serde(rename = "linkage-operator")]
    linkage_operator: &'static str,
}

/// The last status told, and when.
#[derive(Debug, Default)]
pub struct StatusCache(Mutex<Option<(Instant, ServiceStatus)>>);

/// How the service is; may be 30 seconds old.
#[utoipa::path(get, path = "/status", tag = "service", operation_id = "service_status", responses(
    ServiceProblems, (status = 200, description = "It works", body = ServiceStatus)))]
pub async fn status(State(app): State<Arc<App>>) -> Result<JsonAnswer<ServiceStatus>, Error> {
    // held while asking, so that many requests at once ask once
    let mut cached = app.status.0.lock().await;
    if let Some((asked, status)) = &*cached
        && asked.elapsed() < STATUS_AGE
    {
        return Ok(JsonAnswer(status.clone()));
    }
    let project_count = app.cluster.projects().await?.len();
    let finished = app.cluster.fold_runs(LastRuns::default(), |last, run| last.add(&run)).await?;
    let status = ServiceStatus { status: "ok", project_count, rate: finished.rate() };
    *cached = Some((Instant::now(), status.clone()));
    Ok(JsonAnswer(status))
}

/// Which version this is.
#[utoipa::path(get, path = "/version", tag = "service", operation_id = "service_version", responses(
    ServiceProblems, (status = 200, description = "The versions", body = Version)))]
pub async fn version() -> JsonAnswer<Version> {
    JsonAnswer(Version {
        anonlink: "0.15.3",
        entityservice: "v1.15.1",
        python: "none",
        linkage_operator: env!("CARGO_PKG_VERSION"),
    })
}

/// The runs that finished last: when each did, its comparisons, and the seconds that it took.
#[derive(Debug, Default)]
struct LastRuns(BTreeMap<Timestamp, (u64, u64)>);

impl LastRuns {
    fn add(&mut self, run: &LinkageRun) {
        let Some(status) = run.status.as_ref().filter(|status| status.stage == Some(RunStage::Complete))
        else {
            return;
        };
        let (Some(start), Some(end), Some(progress)) =
            (&status.start_time, &status.completion_time, &status.progress)
        else {
            return;
        };
        // times are whole seconds: a run that took less counts as one second
        let seconds = u64::try_from(end.0.as_second() - start.0.as_second()).unwrap_or(0).max(1);
        self.0.insert(end.0, (u64::try_from(progress.total_comparisons).unwrap_or(0), seconds));
        if self.0.len() > RUNS_RATED {
            self.0.pop_first();
        }
    }

    fn rate(&self) -> u64 {
        let runs = self.0.values();
        let (comparisons, seconds) = runs.fold((0u64, 0u64), |(comparisons, seconds), run| {
            (comparisons.saturating_add(run.0), seconds.saturating_add(run.1))
        });
        comparisons.checked_div(seconds).unwrap_or(1).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(stage: &str, start: u64, end: u64, comparisons: u64) -> LinkageRun {
        serde_json::from_value(json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": "r"},
            "spec": {"projectRef": {"name": "p"}, "threshold": 0.8},
            "status": {"stage": stage,
                "startTime": format!("2030-01-01T00:00:{start:02}Z"),
                "completionTime": format!("2030-01-01T00:00:{end:02}Z"),
                "progress": {"comparisons": comparisons, "totalComparisons": comparisons, "percent": "100%"}}
        }))
        .unwrap()
    }

    fn rate(runs: impl IntoIterator<Item = LinkageRun>) -> u64 {
        let mut last = LastRuns::default();
        runs.into_iter().for_each(|run| last.add(&run));
        last.rate()
    }

    #[test]
    fn the_rate_is_that_of_complete_runs() {
        assert_eq!(rate([]), 1);
        assert_eq!(rate([run("Failed", 0, 9, 5_000)]), 1);
        assert_eq!(rate([run("Complete", 0, 9, 0)]), 1);
        assert_eq!(rate([run("Complete", 5, 5, 700)]), 700);
        assert_eq!(rate([run("Complete", 0, 2, 3_000), run("Complete", 3, 5, 1_000)]), 1_000);
    }

    #[test]
    fn old_runs_do_not_count() {
        let old = (0..5).map(|n| run("Complete", n, n + 1, 9_000_000));
        let new = (10..20).map(|n| run("Complete", n, n + 1, 50));
        assert_eq!(rate(old.chain(new)), 50);
    }
}
