//! Creating, describing, listing and deleting projects; and the service's own endpoints.

use serde_json::{Value, json};

use crate::service::Service;

#[tokio::test]
async fn a_project_is_created_described_listed_and_deleted() {
    let service = Service::new();
    let schema = json!({"clkConfig": {"l": 1024}, "version": 3});
    let project = service
        .create(json!({"schema": schema, "result_type": "groups", "number_parties": 3, "name": "n", "notes": "m"}))
        .await;
    assert_eq!(project.update.len(), 3);
    assert!(project.update.iter().chain([&project.result, &project.id]).all(|token| token.len() == 48));

    let path = format!("/projects/{}", project.id);
    let described = service.get(&path, &project.result).await;
    let expected = json!({
        "project_id": project.id, "name": "n", "notes": "m", "schema": schema, "result_type": "groups",
        "number_parties": 3, "parties_contributed": 0, "error": false, "uses_blocking": false
    });
    assert_eq!((described.status.as_u16(), described.body), (200, expected));
    let resource = service.kubernetes.project(&project.id);
    assert_eq!(resource["spec"]["encoding"]["bits"], 1024);

    let listed = service.call("GET", "/projects", None, Value::Null).await;
    assert_eq!(listed.body, json!([{"project_id": project.id, "time_added": "2030-01-01T00:00:01Z"}]));

    let deleted = service.call("DELETE", &path, Some(&project.result), Value::Null).await;
    assert_eq!(deleted.status, 204);
    let again = service.call("DELETE", &path, Some(&project.result), Value::Null).await;
    again.problem(403);
    service.get(&path, &project.result).await.problem(403);
    service.get(&format!("{path}/runs"), &project.result).await.problem(403);
    service.upload(&project.id, &project.update[0], crate::service::clks(2, 128)).await.problem(403);
    assert_eq!(service.call("GET", "/projects", None, Value::Null).await.body, json!([]));
}

#[tokio::test]
async fn creating_a_project_ignores_the_authorization_header() {
    let service = Service::new();
    let body = json!({"schema": {}, "result_type": "groups"});
    assert_eq!(service.call("POST", "/projects", Some("nonsense"), body).await.status, 201);
}

#[tokio::test]
async fn a_project_that_cannot_be_is_refused_with_a_reason() {
    let service = Service::new();
    let body = json!({"schema": {}, "result_type": "groups", "number_parties": 1});
    let detail = service.call("POST", "/projects", None, body).await.problem(400);
    assert!(detail.contains("number_parties is 1"), "{detail}");
    let detail = service.call("POST", "/projects", None, json!({"result_type": "groups"})).await.problem(400);
    assert!(detail.contains("schema"), "{detail}");
    assert!(service.kubernetes.objects().resources.is_empty());
}

#[tokio::test]
async fn a_project_made_with_kubectl_is_served_by_its_name() {
    let service = Service::new();
    service.kubernetes.objects().create(
        "linkageprojects",
        json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject", "metadata": {"name": "patients"},
            "spec": {"title": "t", "resultType": "Groups", "parties": [{"name": "clinic"}, {"name": "lab"}]}
        }),
    );
    let update = service.token("patients", crds::tokens::Role::Update("lab"));
    assert_eq!(service.upload("patients", &update, crate::service::clks(3, 64)).await.status, 201);
    assert_eq!(service.party("patients", 1)["records"], 3);
    let result = service.token("patients", crds::tokens::Role::Result);
    let described = service.get("/projects/patients", &result).await.body;
    assert_eq!((&described["name"], &described["schema"]), (&json!("t"), &json!({})));
    assert_eq!(described["parties_contributed"], 1);
}

#[tokio::test]
async fn the_service_tells_its_state_and_version() {
    let service = Service::new();
    service.create_of_type("groups").await;
    let status = service.call("GET", "/status", None, Value::Null).await;
    assert_eq!(status.body, json!({"status": "ok", "project_count": 1, "rate": 1}));
    let version = service.call("GET", "/version", None, Value::Null).await.body;
    for name in ["anonlink", "entityservice", "python", "linkage-operator"] {
        assert!(version[name].is_string(), "{version}");
    }
}
