//! Who may do what: missing tokens are 400, all else that is wrong is 403.

use serde_json::{Value, json};

use crate::service::Service;

#[tokio::test]
async fn without_a_token_it_is_400_and_with_a_wrong_one_403() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let run = service.create_run(&project).await;
    let other = service.create_of_type("groups").await;
    let base = format!("/projects/{}", project.id);
    let result_only = [
        ("GET", base.clone()),
        ("DELETE", base.clone()),
        ("POST", format!("{base}/runs")),
        ("GET", format!("{base}/runs/{run}")),
        ("DELETE", format!("{base}/runs/{run}")),
    ];
    let any_token = [("GET", format!("{base}/runs")), ("GET", format!("{base}/runs/{run}/status"))];
    let update_only = [
        ("POST", format!("{base}/clks")),
        ("POST", format!("{base}/binaryclks")),
        ("GET", format!("{base}/authorize-external-upload")),
    ];
    let bearer = format!("Bearer {}", project.result);
    let wrong = ["", "x", "ä", &bearer, &other.result, &other.update[0], &"0".repeat(48)];
    let check = async |method: &str, path: &str, of_another_role: &str| {
        service.call(method, path, None, Value::Null).await.problem(400);
        for token in wrong.into_iter().chain([of_another_role]) {
            service.call(method, path, Some(token), Value::Null).await.problem(403);
        }
    };
    for (method, path) in &result_only {
        check(method, path, &project.update[0]).await;
    }
    for (method, path) in &any_token {
        check(method, path, &other.update[1]).await;
    }
    for (method, path) in &update_only {
        check(method, path, &project.result).await;
    }
}

#[tokio::test]
async fn an_unknown_project_or_run_is_403() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let other = service.create_of_type("groups").await;
    let run_of_other = service.create_run(&other).await;
    for path in [
        "/projects/unknown".to_owned(),
        "/projects/..%2F..%2Fsecrets".to_owned(),
        "/projects/%ff".to_owned(),
        format!("/projects/{}%2Fstatus", project.id),
        format!("/projects/{}/runs/unknown", project.id),
        format!("/projects/{}/runs/unknown/status", project.id),
        format!("/projects/{}/runs/unknown/result", project.id),
        format!("/projects/{}/runs/%ff", project.id),
        format!("/projects/{}/runs/%ff/status", project.id),
        format!("/projects/{}/runs/%ff/result", project.id),
        "/projects/%ff/runs/unknown/result".to_owned(),
        format!("/projects/{}/runs/{run_of_other}", project.id),
        format!("/projects/{}/runs/{run_of_other}/result", project.id),
    ] {
        service.get(&path, &project.result).await.problem(403);
        service.call("GET", &path, None, Value::Null).await.problem(400);
    }
}

#[tokio::test]
async fn rotated_tokens_are_useless() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    service.kubernetes.change("linkageprojects", &project.id, |resource| {
        resource["spec"]["tokenGeneration"] = json!(2);
    });
    service.get(&format!("/projects/{}", project.id), &project.result).await.problem(403);
    service.upload(&project.id, &project.update[0], crate::service::clks(2, 64)).await.problem(403);
}

#[tokio::test]
async fn uploading_by_way_of_the_store_is_switched_off() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let path = format!("/projects/{}/authorize-external-upload", project.id);
    assert!(service.get(&path, &project.update[0]).await.problem(500).contains("switched off"));
}
