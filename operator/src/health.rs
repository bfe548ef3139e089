//! Health and metrics over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

/// Serves /healthz, /readyz and /metrics until the process ends.
///
/// # Errors
/// Fails when the address cannot be listened on.
pub async fn serve(
    address: SocketAddr,
    ready: Arc<AtomicBool>,
    metrics: PrometheusHandle,
) -> std::io::Result<()> {
    let is_ready = move || {
        let ready = ready.load(Ordering::Relaxed);
        async move {
            if ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "starting\n") }
        }
    };
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(is_ready))
        .route("/metrics", get(move || async move { metrics.render() }));
    axum::serve(tokio::net::TcpListener::bind(address).await?, routes).await
}
