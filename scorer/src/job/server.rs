//! What a working pod shows: `GET /progress`, `/metrics` and `/healthz`.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use tokio::net::TcpListener;

use super::JobState;
use crate::progress::{Progress, Stage};

struct Shown {
    job: Arc<JobState>,
    recorder: PrometheusRecorder,
}

/// Serves in the background. A pod that cannot be watched works all the same.
pub(super) async fn start(listen: &str, job: Arc<JobState>) {
    let listener = match TcpListener::bind(listen).await {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(listen, %error, "progress and metrics are not served");
            return;
        }
    };
    let router = router(job);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::warn!(%error, "progress and metrics are no longer served");
        }
    });
}

pub(super) fn router(job: Arc<JobState>) -> Router {
    let recorder = PrometheusBuilder::new().build_recorder();
    Router::new()
        .route("/progress", get(progress))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(Arc::new(Shown { job, recorder }))
}

async fn progress(State(shown): State<Arc<Shown>>) -> Json<Progress> {
    Json(shown.job.progress())
}

async fn metrics(State(shown): State<Arc<Shown>>) -> String {
    let Progress { stage, comparisons, total_comparisons, pairs, mask_encrypted, mask_total, waiting } =
        shown.job.progress();
    metrics::with_local_recorder(&shown.recorder, || {
        metrics::describe_counter!("linkage_comparisons_total", "Pairs of records compared by this pod");
        metrics::describe_counter!("linkage_pairs_total", "Pairs at or above the threshold");
        metrics::describe_gauge!(
            "linkage_comparisons_planned",
            "Pairs of records this pod has to compare in all"
        );
        metrics::describe_gauge!("linkage_stage", "1 for what the pod is doing");
        metrics::describe_gauge!(
            "linkage_method",
            "1 for how pairs are found: the plan, and the kernel's instructions"
        );
        if let Some((plan, kernel)) = shown.job.meter.method() {
            metrics::gauge!("linkage_method", "plan" => plan.name(), "kernel" => kernel).set(1.0);
        }
        metrics::describe_gauge!("linkage_store_waiting", "1 while the pod waits for the object store");
        metrics::gauge!("linkage_store_waiting").set(f64::from(u8::from(waiting.is_some())));
        metrics::counter!("linkage_comparisons_total").absolute(comparisons);
        metrics::counter!("linkage_pairs_total").absolute(pairs);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        metrics::gauge!("linkage_comparisons_planned").set(total_comparisons as f64);
        if mask_total > 0 {
            metrics::describe_counter!("linkage_mask_encrypted_total", "Elements of the mask encrypted");
            metrics::describe_gauge!("linkage_mask_planned", "Elements of the mask to encrypt in all");
            metrics::counter!("linkage_mask_encrypted_total").absolute(mask_encrypted);
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
            metrics::gauge!("linkage_mask_planned").set(mask_total as f64);
        }
        for (name, known) in [
            ("loading", Stage::Loading),
            ("scoring", Stage::Scoring),
            ("solving", Stage::Solving),
            ("done", Stage::Done),
        ] {
            metrics::gauge!("linkage_stage", "stage" => name).set(f64::from(u8::from(known == stage)));
        }
    });
    shown.recorder.handle().render()
}
