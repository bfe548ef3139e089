//! The store is away: what does not need it is answered, the rest is told to try again, and the service stays reachable.

use api::server::health::{self, Health};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use crds::FINALIZER;
use metrics_exporter_prometheus::PrometheusBuilder;
use scorer::store::StoreError;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::s3::{FakeS3, Fault, in_child_with_credentials};
use crate::service::{Answer, Created, Service, clks};

const GROUPS: &[u8] = b"{\"groups\":[]}";

fn away() -> StoreError {
    StoreError::Unavailable { what: "a check".into(), why: "connection refused".into() }
}

/// A run with a result and a histogram.
async fn with_result(service: &Service) -> (Created, String) {
    let (project, run, _) = service.project_with_run("groups", "").await;
    service.kubernetes.change("linkageruns", &run, |run| {
        let blake3 = blake3::hash(GROUPS).to_hex().to_string();
        run["status"] = json!({
            "stage": "Complete",
            "results": [{"name": "groups", "key": "runs/r/groups.json", "bytes": GROUPS.len(), "blake3": blake3}],
            "scores": {"floor": 0.6, "binWidth": 0.2, "counts": [0, 2], "exactFrom": 0.8, "sampledShare": 0.02,
                "key": "runs/r/scores.json"},
        });
    });
    (project, run)
}

#[track_caller]
fn is_told_to_try_again(answer: &Answer) {
    let told = answer.problem(503);
    assert!(told.contains("store does not answer"), "{told}");
    assert_eq!(answer.headers["retry-after"], "5");
}

/// The answer of a check: its status, and what it says.
async fn check(health: &Router, path: &str) -> (u16, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (parts, body) = health.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 10_000).await.unwrap();
    (parts.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
}

fn health_of(service: &Service) -> Router {
    let recorder = PrometheusBuilder::new().build_recorder();
    health::router(Health::new(service.app.clone(), recorder.handle()))
}

#[tokio::test]
async fn what_does_not_need_the_store_is_answered_while_it_is_away() {
    let service = Service::new();
    let (project, run) = with_result(&service).await;
    service.app.surroundings.store_answered(Err(away()));

    for path in ["/status", "/version", "/projects"] {
        assert_eq!(service.call("GET", path, None, Value::Null).await.status, 200, "{path}");
    }
    let base = format!("/projects/{}", project.id);
    for path in ["", "/runs", &format!("/runs/{run}"), &format!("/runs/{run}/status")] {
        assert_eq!(service.get(&format!("{base}{path}"), &project.result).await.status, 200, "{path}");
    }
    let other = service.create_of_type("groups").await;
    let run = service.create_run(&other).await;
    for path in [format!("/projects/{}/runs/{run}", other.id), format!("/projects/{}", other.id)] {
        let answer = service.call("DELETE", &path, Some(&other.result), Value::Null).await;
        assert_eq!(answer.status, 204, "{path}");
    }
}

#[tokio::test]
async fn what_needs_the_store_is_told_to_try_again_while_it_is_away() {
    let service = Service::new();
    let (project, run) = with_result(&service).await;
    service.app.surroundings.store_answered(Err(away()));

    for path in ["result", "result.json", "histogram"] {
        let path = format!("/projects/{}/runs/{run}/{path}", project.id);
        is_told_to_try_again(&service.get(&path, &project.result).await);
        service.get(&path, "wrong").await.problem(403);
    }
    let token = &project.update[0];
    is_told_to_try_again(&service.upload(&project.id, token, clks(2, 8)).await);
    is_told_to_try_again(&service.upload_binary(&project.id, token, ["2", "8"], vec![1; 16]).await);
    assert_eq!(service.party(&project.id, 0), Value::Null, "the party is not told off for it");

    service.app.surroundings.store_answered(Ok(()));
    assert_eq!(service.upload(&project.id, token, clks(2, 8)).await.status, 201);
}

#[tokio::test]
async fn readiness_is_the_services_own_and_the_rest_is_told_apart_from_it() {
    let service = Service::new();
    let recorder = PrometheusBuilder::new().build_recorder();
    let own = Health::new(service.app.clone(), recorder.handle());
    let health = health::router(own.clone());
    assert_eq!(check(&health, "/dependencies").await.0, 200);

    service.app.surroundings.store_answered(Err(away()));
    service.kubernetes.objects().away = true;
    for path in ["/readyz", "/healthz"] {
        assert_eq!(check(&health, path).await, (200, "ok\n".into()), "{path}");
    }
    let (status, told) = check(&health, "/dependencies").await;
    assert!(status == 503 && told.contains("store: away"), "{told}");

    own.stop();
    assert_eq!(check(&health, "/readyz").await, (503, "stopping\n".into()));
    assert_eq!(check(&health, "/healthz").await.0, 200, "it ends what it has begun");
}

#[tokio::test]
async fn whether_store_and_kubernetes_answer_is_found_out_in_the_background() {
    let service = Service::new();
    let health = health_of(&service);
    service.app.surroundings.look(&service.app).await;
    assert_eq!(check(&health, "/dependencies").await.0, 200);

    service.kubernetes.objects().away = true;
    service.app.surroundings.look(&service.app).await;
    let (status, told) = check(&health, "/dependencies").await;
    assert!(status == 503 && told.contains("kubernetes: away") && told.contains("store: answers"), "{told}");

    service.kubernetes.objects().away = false;
    service.app.surroundings.look(&service.app).await;
    assert_eq!(check(&health, "/dependencies").await.0, 200);
}

#[test]
fn a_store_that_goes_away_and_comes_back() {
    if !in_child_with_credentials("store_away::a_store_that_goes_away_and_comes_back") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fake = FakeS3::start().await;
        let store = fake.store().await;
        let service = Service::with(|app, _| app.store = store);
        let (project, run) = with_result(&service).await;
        fake.insert("runs/r/groups.json", GROUPS.to_vec());
        fake.insert("runs/r/scores.json", b"{}".to_vec());
        let result = format!("/projects/{}/runs/{run}/result", project.id);
        assert_eq!(service.get(&result, &project.result).await.status, 200);

        // not found out yet: the request that finds out is told the same
        fake.fail(|_| Some(Fault::Answer(503, "ServiceUnavailable", "come back later")));
        is_told_to_try_again(&service.get(&result, &project.result).await);
        // from now on nothing is asked of it
        service.app.surroundings.look(&service.app).await;
        let asked = fake.requests().len();
        is_told_to_try_again(&service.upload(&project.id, &project.update[0], clks(2, 8)).await);
        is_told_to_try_again(&service.get(&result, &project.result).await);
        assert_eq!(fake.requests().len(), asked);
        // status goes on
        let status = format!("/projects/{}/runs/{run}/status", project.id);
        assert_eq!(service.get(&status, &project.result).await.status, 200);

        fake.recover();
        service.app.surroundings.look(&service.app).await;
        assert_eq!(service.get(&result, &project.result).await.status, 200);
        assert_eq!(service.upload(&project.id, &project.update[0], clks(2, 8)).await.status, 201);
    });
}

#[tokio::test]
async fn a_project_and_a_run_have_the_finalizer_from_the_first_moment_on() {
    // else data that comes before the operator has seen the project would be left in the store when it is deleted
    let service = Service::new();
    let (project, run, _) = service.project_with_run("groups", "").await;
    let run = service.kubernetes.objects().resources[&("linkageruns".into(), run)].clone();
    for resource in [service.kubernetes.project(&project.id), run] {
        assert_eq!(resource["metadata"]["finalizers"], json!([FINALIZER]));
    }
    assert_eq!(service.upload(&project.id, &project.update[0], clks(2, 8)).await.status, 201);
    let path = format!("/projects/{}", project.id);
    assert_eq!(service.call("DELETE", &path, Some(&project.result), Value::Null).await.status, 204);
    let kept = service.kubernetes.project(&project.id);
    assert!(kept["metadata"]["deletionTimestamp"].is_string(), "it stays until its data is purged");
}
