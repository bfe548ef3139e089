//! What Prometheus reads.

use api::server::health::{self, Health};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tower::ServiceExt;

use crate::service::Service;

/// The metrics are those of the process: other tests add to them.
async fn value(health: &Router, metric: &str) -> f64 {
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let answer = health.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let text = String::from_utf8(to_bytes(answer.into_body(), 1 << 24).await.unwrap().to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn requests_and_uploads_and_what_was_refused_are_counted() {
    let recorder = PrometheusBuilder::new().install_recorder().unwrap();
    let service = Service::new();
    let health = health::router(Health::new(service.app.clone(), recorder));
    let metrics = [
        r#"linkage_api_requests_total{method="POST",route="/api/v1/projects/{project_id}/clks",status="400"}"#,
        r#"linkage_api_uploads_refused_total{reason="MalformedJson"}"#,
        r#"linkage_api_requests_total{method="POST",route="/api/v1/projects/{project_id}/clks",status="201"}"#,
        "linkage_api_uploaded_bytes_total",
    ];
    let mut before = Vec::new();
    for metric in metrics {
        before.push(value(&health, metric).await);
    }

    let project = service.create_of_type("groups").await;
    let broken = service.upload(&project.id, &project.update[0], r#"{"clks": ["#).await;
    assert_eq!(broken.status, 400, "{broken:?}");
    let clks = json!({"clks": ["AAAAAAAAAAE="]}).to_string();
    let bytes = clks.len() as f64;
    assert_eq!(service.upload(&project.id, &project.update[0], clks).await.status, 201);

    for ((metric, before), more) in metrics.into_iter().zip(before).zip([1.0, 1.0, 1.0, bytes]) {
        let after = value(&health, metric).await;
        assert!(after >= before + more, "{metric}: {before}, then {after}");
    }
}
