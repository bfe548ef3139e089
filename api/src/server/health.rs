//! What Kubernetes and Prometheus ask, on a port of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::App;

/// What the health endpoints need.
pub struct Health {
    app: Arc<App>,
    metrics: PrometheusHandle,
    starting: AtomicBool,
    stopping: AtomicBool,
}

impl Health {
    /// Health of a service, with the metrics that it records.
    pub fn new(app: Arc<App>, metrics: PrometheusHandle) -> Arc<Self> {
        let (starting, stopping) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { app, metrics, starting, stopping })
    }

    /// Whether it has just been started, and is not ready yet.
    pub fn set_starting(&self, starting: bool) {
        self.starting.store(starting, Ordering::Relaxed);
    }

    /// From now on it is not ready: no new requests are to come, and none waits for news any more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.app.stopping.cancel();
    }

    /// Keeps memory bounded; to be called every few seconds.
    pub fn upkeep(&self) {
        self.metrics.run_upkeep();
        self.app.throttle.tidy();
    }
}

/// `/healthz`: the process answers. `/readyz`: it takes requests. `/dependencies`: whether the store and Kubernetes answer,
/// which is no reason to send requests elsewhere, as they are the same for all replicas. `/metrics`: for Prometheus.
pub fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/dependencies", get(dependencies))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, &'static str) {
    if health.stopping.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if health.starting.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "starting\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

async fn dependencies(State(health): State<Arc<Health>>) -> (StatusCode, String) {
    let (all, told) = health.app.surroundings.told();
    (if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, told)
}

async fn metrics(State(health): State<Arc<Health>>) -> String {
    health.metrics.render()
}
