//! Traces, received by a collector as far as this needs one.

use std::time::Duration;

use api::server::traces::Traces;
use axum::body::Body;
use axum::http::Request;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tracing::instrument::WithSubscriber;
use tracing_subscriber::layer::SubscriberExt;

use crate::service::Service;

const TRACE: [u8; 16] =
    [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];

#[tokio::test]
async fn a_request_goes_on_with_its_callers_trace() {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().unwrap());
    let service = Service::new();
    let token = "0123456789abcdef0123456789abcdef0123456789abcdef";
    let request = || {
        Request::get("/api/v1/projects/some-project")
            .header("traceparent", format!("00-{}-00f067aa0ba902b7-01", hex::encode(TRACE)))
            .header("authorization", token)
            .body(Body::empty())
            .unwrap()
    };
    // Makes the spans known: a subscriber that comes just while another test's first request does that hears of none.
    service.send(request()).await.problem(403);

    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build().unwrap();
    let traces = Traces::with(exporter);
    let subscriber = tracing_subscriber::registry().with(traces.layer());
    service.send(request()).with_subscriber(subscriber).await.problem(403);

    let sent = tokio::task::spawn_blocking(move || traces.shut_down());
    let received = tokio::time::timeout(Duration::from_secs(20), receive(collector)).await.unwrap();
    sent.await.unwrap();
    let holds = |part: &[u8]| received.windows(part.len()).any(|window| window == part);
    assert!(holds(b"POST /v1/traces") && holds(&TRACE));
    assert!(holds(b"GET /api/v1/projects/{project_id}") && holds(b"http.response.status_code"));
    assert!(holds(b"linkage-api"));
    assert!(!holds(token.as_bytes()));
}

/// One request to the collector, which accepts it.
async fn receive(collector: TcpListener) -> Vec<u8> {
    let (mut stream, _) = collector.accept().await.unwrap();
    let mut received = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&received).to_lowercase();
        let length: Option<usize> =
            text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        let head = received.windows(4).position(|window| window == b"\r\n\r\n");
        if let (Some(length), Some(head)) = (length, head)
            && received.len() >= head + 4 + length
        {
            break;
        }
        assert!(stream.read_buf(&mut received).await.unwrap() > 0);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    received
}
