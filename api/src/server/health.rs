//! What Kubernetes and Prometheus ask, on a port of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::App;

/// For how long it is taken as known whether Kubernetes and the store can be reached.
const AGE: Duration = Duration::from_secs(2);
/// How long each may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// What the health endpoints need.
pub struct Health {
    app: Arc<App>,
    metrics: PrometheusHandle,
    stopping: AtomicBool,
    checked: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Health {
    /// Health of a service, with the metrics that it records.
    pub fn new(app: Arc<App>, metrics: PrometheusHandle) -> Arc<Self> {
        Arc::new(Self { app, metrics, stopping: AtomicBool::new(false), checked: Mutex::default() })
    }

    /// From now on it is not ready: no new requests are to come.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Keeps memory bounded; to be called every few seconds.
    pub fn upkeep(&self) {
        self.metrics.run_upkeep();
        self.app.throttle.tidy();
    }

    async fn ready(&self) -> Result<(), String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Err("stopping".into());
        }
        let mut checked = self.checked.lock().await;
        if let Some((when, result)) = &*checked
            && when.elapsed() < AGE
        {
            return result.clone();
        }
        let result = self.check().await;
        if let Err(why) = &result {
            tracing::warn!(why, "not ready");
        }
        *checked = Some((Instant::now(), result.clone()));
        result
    }

    async fn check(&self) -> Result<(), String> {
        let kubernetes = tokio::time::timeout(PATIENCE, self.app.cluster.check());
        let store = tokio::time::timeout(PATIENCE, self.app.store.check());
        let (kubernetes, store) = tokio::join!(kubernetes, store);
        kubernetes
            .map_err(|_| "Kubernetes does not answer".to_owned())?
            .map_err(|error| error.to_string())?;
        store.map_err(|_| "the store does not answer".to_owned())?.map_err(|error| error.to_string())
    }
}

/// `/healthz`: the process answers. `/readyz`: Kubernetes and the store do so too. `/metrics`: for Prometheus.
pub fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    match health.ready().await {
        Ok(()) => (StatusCode::OK, "ok\n".into()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(health): State<Arc<Health>>) -> String {
    health.metrics.render()
}
