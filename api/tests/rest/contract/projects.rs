//! Projects: listed, created, described, deleted.

use std::time::Duration;

use axum::body::{Body, Bytes};
use crds::tokens::Role;
use futures::stream;
use serde_json::{Value, json};

use super::Transcript;
use crate::service::{Service, clks};

/// A body of which nothing ever comes.
pub fn silence() -> Body {
    Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>())
}

/// A service that does not wait long for a body.
pub fn impatient() -> Service {
    Service::with(|app, _| app.limits.read_timeout = Duration::from_millis(1))
}

/// The problems that any endpoint has that asks for a token.
pub async fn refusals(
    transcript: &mut Transcript,
    service: &Service,
    method: &'static str,
    path: &str,
    token: &str,
) {
    transcript.call("no token", method, path).of(service).await;
    transcript.call("a wrong token", method, path).token(&"0".repeat(48)).of(service).await;
    service.kubernetes.objects().away = true;
    transcript.call("Kubernetes is away", method, path).token(token).of(service).await;
    service.kubernetes.objects().away = false;
    service.kubernetes.objects().refuses = true;
    transcript.call("Kubernetes refuses", method, path).token(token).of(service).await;
    service.kubernetes.objects().refuses = false;
}

/// The problems that any document has that is sent.
pub async fn bad_documents(transcript: &mut Transcript, service: &Service, path: &str, token: Option<&str>) {
    let cases = [
        ("no JSON", "application/json", "{"),
        ("no object", "application/json", "[]"),
        ("another media type", "text/plain", "{}"),
    ];
    for (title, media_type, body) in cases {
        let call = transcript.call(title, "POST", path).header("content-type", media_type).body(body);
        with(call, token).of(service).await;
    }
    let call = transcript.call("packed in a way that is not known", "POST", path);
    let call = call.header("content-encoding", "br").json(&json!({}));
    with(call, token).of(service).await;
    let large = json!({"notes": "n".repeat(1 << 20)}).to_string();
    let call = transcript.call("too large", "POST", path).header("content-type", "application/json");
    with(call.body(large), token).of(service).await;
}

fn with<'t>(call: super::transcript::Call<'t>, token: Option<&str>) -> super::transcript::Call<'t> {
    match token {
        Some(token) => call.token(token),
        None => call,
    }
}

#[tokio::test]
async fn listing_projects() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    transcript.call("none", "GET", "/projects").of(&service).await;
    for _ in 0..2 {
        service.create_of_type("groups").await;
    }
    transcript.call("two", "GET", "/projects").of(&service).await;
    service.kubernetes.objects().away = true;
    transcript.call("Kubernetes is away", "GET", "/projects").of(&service).await;
    service.kubernetes.objects().away = false;
    service.kubernetes.objects().refuses = true;
    transcript.call("Kubernetes refuses", "GET", "/projects").of(&service).await;
    transcript.check("list_projects");
}

#[tokio::test]
async fn creating_a_project() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let least = json!({"schema": {}, "result_type": "groups"});
    transcript.call("the least", "POST", "/projects").json(&least).of(&service).await;
    let most = json!({
        "schema": {"clkConfig": {"l": 1024}}, "result_type": "groups", "number_parties": 3, "uses_blocking": true,
        "name": "n", "notes": "m"
    });
    transcript.call("three parties", "POST", "/projects").json(&most).of(&service).await;
    let wrong = [
        ("no result type", json!({"schema": {}})),
        ("no schema", json!({"result_type": "groups"})),
        ("a result type that does not exist", json!({"schema": {}, "result_type": "pairs"})),
        ("too few parties", json!({"schema": {}, "result_type": "groups", "number_parties": 1})),
        (
            "too many parties for the result type",
            json!({"schema": {}, "result_type": "permutations", "number_parties": 3}),
        ),
        ("too long a name", json!({"schema": {}, "result_type": "groups", "name": "n".repeat(1025)})),
        ("a key that is of no use", json!({"schema": {}, "result_type": "groups", "public_key": {}})),
    ];
    for (title, body) in wrong {
        transcript.call(title, "POST", "/projects").json(&body).of(&service).await;
    }
    bad_documents(&mut transcript, &service, "/projects", None).await;
    let call =
        transcript.call("nothing comes", "POST", "/projects").header("content-type", "application/json");
    call.body(silence()).of(&impatient()).await;
    service.kubernetes.objects().away = true;
    transcript.call("Kubernetes is away", "POST", "/projects").json(&least).of(&service).await;
    service.kubernetes.objects().away = false;
    service.kubernetes.objects().refuses = true;
    transcript.call("Kubernetes refuses", "POST", "/projects").json(&least).of(&service).await;
    transcript.check("create_project");
}

#[tokio::test]
async fn describing_a_project() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let project = service
        .create(json!({
            "schema": {"clkConfig": {"l": 512}}, "result_type": "permutations", "name": "n", "notes": "m"
        }))
        .await;
    transcript.name_project(&project);
    let path = format!("/projects/{}", project.id);
    transcript.call("nobody has contributed", "GET", &path).token(&project.result).of(&service).await;
    service.upload(&project.id, &project.update[0], clks(2, 64)).await;
    service.upload(&project.id, &project.update[1], clks(2, 8)).await;
    transcript
        .call("one party has contributed, one was rejected", "GET", &path)
        .token(&project.result)
        .of(&service)
        .await;
    let receipt = service.token(&project.id, Role::Receipt("party-2"));
    transcript.name(&receipt, "RECEIPT-TOKEN-2");
    transcript
        .call("what a receipt token of permutations sees", "GET", &path)
        .token(&receipt)
        .of(&service)
        .await;
    refusals(&mut transcript, &service, "GET", &path, &project.result).await;
    transcript.check("describe_project");
}

#[tokio::test]
async fn deleting_a_project() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    transcript.name_project(&project);
    let path = format!("/projects/{}", project.id);
    refusals(&mut transcript, &service, "DELETE", &path, &project.result).await;
    transcript.call("done", "DELETE", &path).token(&project.result).of(&service).await;
    transcript.call("once more", "DELETE", &path).token(&project.result).of(&service).await;
    transcript.check("delete_project");
    assert_ne!(service.kubernetes.project(&project.id)["metadata"]["finalizers"], Value::Null);
}
