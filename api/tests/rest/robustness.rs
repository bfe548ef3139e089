//! Odd requests, and surroundings that are away.

use axum::body::Body;
use axum::http::Request;
use futures::stream;
use serde_json::{Value, json};

use crate::service::{Service, clks};

#[tokio::test]
async fn runs_of_slashes_count_as_one() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    assert_eq!(service.call("GET", "//projects", None, Value::Null).await.status, 200);
    assert_eq!(service.get(&format!("///projects//{}", project.id), &project.result).await.status, 200);
}

#[tokio::test]
async fn errors_of_the_framework_are_problems_too() {
    let service = Service::new();
    service.call("GET", "/unknown", None, Value::Null).await.problem(404);
    service.call("GET", "/projects/", None, Value::Null).await.problem(404);
    service.send(Request::get("/nothing").body(Body::empty()).unwrap()).await.problem(404);
    let refused = service.call("PUT", "/projects", None, Value::Null).await;
    refused.problem(405);
    let allowed = refused.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    let text = Request::post("/api/v1/projects").body(Body::from("{}")).unwrap();
    service.send(text).await.problem(415);
    let large = json!({"schema": {"a": "x".repeat(2 << 20)}, "result_type": "groups"});
    service.call("POST", "/projects", None, large).await.problem(413);
    service.call("POST", "/projects", None, json!([])).await.problem(400);
}

#[tokio::test]
async fn problems_are_told_apart_by_a_type_that_is_listed_at_the_path_it_names() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let path = format!("/projects/{}", project.id);
    let run = format!("{path}/runs/{}", service.create_run(&project).await);
    let refused = json!({"schema": {}, "result_type": "groups", "number_parties": 1});
    let told = [
        (service.call("POST", "/projects", None, refused).await, "invalid-request"),
        (service.upload(&project.id, &project.update[0], "{\"clks\": [\"?\"]}").await, "invalid-data"),
        (service.call("GET", &path, None, Value::Null).await, "missing-token"),
        (service.get(&path, "wrong").await, "forbidden"),
        (service.get("/nothing", "").await, "unknown-path"),
        (service.call("PUT", "/projects", None, Value::Null).await, "method-not-allowed"),
        (service.get(&format!("{run}/result"), &project.result).await, "no-result-yet"),
    ];
    let listed = service.call("GET", "/problems", None, Value::Null).await.body;
    for (answer, name) in told {
        let (kind, status) = (format!("/api/v1/problems#{name}"), answer.status.as_u16());
        assert_eq!(answer.body["type"], kind, "{answer:?}");
        let row = listed.as_array().unwrap().iter().find(|row| row["type"] == kind);
        assert_eq!(row.unwrap_or_else(|| panic!("{kind} is not listed"))["status"], status);
    }
    service.kubernetes.objects().away = true;
    let away = service.get(&path, &project.result).await;
    assert_eq!(away.body["type"], "/api/v1/problems#unavailable");
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let service = Service::new();
    let fresh = service.call("GET", "/version", None, Value::Null).await;
    assert_eq!(fresh.headers["x-request-id"].len(), 16);
    let given = Request::get("/api/v1/nowhere").header("x-request-id", "abc-1").body(Body::empty()).unwrap();
    assert_eq!(service.send(given).await.headers["x-request-id"], "abc-1");
}

#[tokio::test]
async fn while_kubernetes_is_away_it_is_503_and_clients_may_try_again() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.kubernetes.objects().away = true;
    let path = format!("/projects/{}", project.id);
    let calls = [
        service.call("GET", "/status", None, Value::Null).await,
        service.get("/projects", &project.result).await,
        service.call("POST", "/projects", None, json!({"schema": {}, "result_type": "groups"})).await,
        service.get(&path, &project.result).await,
        service.upload(&project.id, &project.update[0], clks(2, 64)).await,
    ];
    for answer in calls {
        answer.problem(503);
        assert!(answer.headers.contains_key("retry-after"));
    }
    service.kubernetes.objects().away = false;
    assert_eq!(service.get(&path, &project.result).await.status, 200);
}

#[tokio::test]
async fn an_upload_that_cannot_be_claimed_leaves_nothing_and_may_be_tried_again() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let kubernetes = service.kubernetes.clone();
    let body = stream::once(async move {
        kubernetes.objects().away = true;
        Ok::<_, std::io::Error>(clks(2, 64))
    });
    service.upload(&project.id, &project.update[0], Body::from_stream(body)).await.problem(503);
    assert_eq!(service.objects(), [""; 0]);
    service.kubernetes.objects().away = false;
    assert_eq!(service.upload(&project.id, &project.update[0], clks(2, 64)).await.status, 201);
}

#[tokio::test]
async fn objects_that_may_have_been_claimed_stay() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.kubernetes.objects().before_write =
        Some(Box::new(|objects| (objects.away, objects.lost_answers) = (true, 1)));
    service.upload(&project.id, &project.update[0], clks(2, 64)).await.problem(503);
    service.kubernetes.objects().away = false;
    let key = service.party(&project.id, 0)["encodings"].as_str().unwrap().to_owned();
    assert!(service.store.path().join(key).exists());
    // the answer was lost, the contribution was not
    assert_eq!(service.upload(&project.id, &project.update[0], clks(2, 64)).await.status, 201);
    service.upload(&project.id, &project.update[0], clks(3, 64)).await.problem(403);
}

#[tokio::test]
async fn objects_that_may_have_been_claimed_stay_when_the_token_is_rotated_meanwhile() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let key = ("linkageprojects".to_owned(), project.id.clone());
    service.kubernetes.objects().before_write = Some(Box::new(move |objects| {
        objects.resources.get_mut(&key).unwrap()["spec"]["tokenGeneration"] = json!(2);
        objects.lost_answers = 1;
    }));
    service.upload(&project.id, &project.update[0], clks(2, 64)).await.problem(403);
    let key = service.party(&project.id, 0)["encodings"].as_str().unwrap().to_owned();
    assert!(service.store.path().join(key).exists());
}
