//! Webhooks as clients ask for them. What is sent is the operator's part.

use crds::webhook::AllowedUrls;
use serde_json::{Value, json};

use crate::service::Service;

fn service() -> Service {
    Service::with(|app, _| {
        app.webhook_urls = AllowedUrls::new(["https://hooks.example.org/linkage/"]).unwrap()
    })
}

fn wanted(url: &str) -> Value {
    json!({"schema": {}, "result_type": "groups", "webhook_url": url})
}

#[tokio::test]
async fn a_webhook_is_told_with_its_secret_to_who_creates_the_project_and_to_the_result_token() {
    let service = service();
    let url = "https://hooks.example.org/linkage/a?key=1";
    let created = service.call("POST", "/projects", None, wanted(url)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.body["project_id"].as_str().unwrap();
    assert_eq!(service.kubernetes.project(id)["spec"]["webhook"], json!({ "url": url }));
    let secret = created.body["webhook_secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");

    let path = format!("/projects/{id}/webhook");
    let result = created.body["result_token"].as_str().unwrap();
    let told = service.get(&path, result).await;
    assert_eq!(told.body, json!({"url": url, "secret": secret}));
    service.kubernetes.change("linkageprojects", id, |project| {
        project["status"] =
            json!({"webhook": {"lastDeliveryTime": "2030-01-01T00:00:00Z", "message": "it answers 500"}});
        project["spec"]["tokenGeneration"] = json!(2);
    });
    service.get(&path, result).await.problem(403);
    let told = service.get(&path, &service.token(id, crds::tokens::Role::Result)).await.body;
    assert_eq!(told["message"], "it answers 500");
    assert!(told["last_delivery"].as_str().unwrap().starts_with("2030-01-01T00:00:00"));
    assert_ne!(told["secret"], secret, "it is rotated with the tokens");
    service.get(&path, created.body["update_tokens"][0].as_str().unwrap()).await.problem(403);
}

#[tokio::test]
async fn an_address_that_the_administrator_does_not_allow_is_refused_without_telling_which_are() {
    for url in [
        "https://evil.example/",
        "https://hooks.example.org/",
        "http://hooks.example.org/linkage/",
        "https://user:word@hooks.example.org/linkage/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "",
        &format!("https://hooks.example.org/linkage/{}", "a".repeat(3000)),
    ] {
        let detail = service().call("POST", "/projects", None, wanted(url)).await.problem(400);
        assert!(detail.contains("webhook_url") && !detail.contains("hooks.example.org"), "{detail}");
    }
    let switched_off =
        Service::new().call("POST", "/projects", None, wanted("https://hooks.example.org/")).await;
    switched_off.problem(400);
}

#[tokio::test]
async fn a_project_without_a_webhook_has_none() {
    let service = service();
    let project = service.create_of_type("groups").await;
    let answer = service.get(&format!("/projects/{}/webhook", project.id), &project.result).await;
    answer.problem(404);
    assert_eq!(answer.body["type"], "/api/v1/problems#no-webhook");
}
