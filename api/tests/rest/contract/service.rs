//! The service itself, and what is the same everywhere.

use std::num::NonZeroU32;

use api::limits::throttle::{Rates, Throttle};
use serde_json::json;

use super::Transcript;
use crate::service::Service;

#[tokio::test]
async fn the_status_of_the_service() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    service.kubernetes.objects().away = true;
    transcript.call("Kubernetes is away", "GET", "/status").of(&service).await;
    service.kubernetes.objects().away = false;
    service.kubernetes.objects().refuses = true;
    transcript.call("Kubernetes refuses", "GET", "/status").of(&service).await;
    service.kubernetes.objects().refuses = false;
    service.create_of_type("groups").await;
    transcript.call("one project, no finished run", "GET", "/status").of(&service).await;
    transcript.check("service_status");
}

#[tokio::test]
async fn the_version_of_the_service() {
    let mut transcript = Transcript::new();
    transcript.name(env!("CARGO_PKG_VERSION"), "VERSION");
    let service = Service::new();
    transcript.call("always", "GET", "/version").of(&service).await;
    transcript.call("without its body", "HEAD", "/version").of(&service).await;
    let busy = Service::with(|app, _| {
        let rates = Rates { requests: Some(NonZeroU32::MIN), burst: NonZeroU32::MIN };
        app.throttle = Throttle::new(rates);
    });
    busy.call("GET", "/version", None, json!(null)).await;
    transcript.call("too many requests", "GET", "/version").of(&busy).await;
    transcript.check("service_version");
}

#[tokio::test]
async fn what_is_not_there() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    transcript.call("a path that does not exist", "GET", "/project").of(&service).await;
    transcript
        .call("a method that the path does not take", "PUT", "/projects")
        .json(&json!({}))
        .of(&service)
        .await;
    transcript.call("the page of the document, without the slash", "GET", "/ui").of(&service).await;
    transcript.check("anywhere");
}
