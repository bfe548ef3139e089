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
    let waiting = |name: &str| json!({"name": name, "state": "waiting"});
    let parties = ["party-1", "party-2", "party-3"].map(waiting);
    let expected = json!({
        "project_id": project.id, "name": "n", "notes": "m", "schema": schema, "result_type": "groups",
        "number_parties": 3, "parties_contributed": 0, "error": false, "uses_blocking": false,
        "parties": parties
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
async fn what_is_deleted_before_the_operator_has_seen_it_stays_for_the_operator_to_purge() {
    let service = Service::new();
    let (project, run, path) = service.project_with_run("groups", "").await;
    let uploaded = service.upload(&project.id, &project.update[0], crate::service::clks(2, 128)).await;
    assert_eq!(uploaded.status, 201);
    let project_path = format!("/projects/{}", project.id);
    for path in [path.trim_end_matches('/'), &project_path] {
        assert_eq!(service.call("DELETE", path, Some(&project.result), Value::Null).await.status, 204);
        service.call("DELETE", path, Some(&project.result), Value::Null).await.problem(403);
    }
    for (plural, name) in [("linkageruns", &run), ("linkageprojects", &project.id)] {
        service.kubernetes.change(plural, name, |resource| {
            assert!(resource["metadata"]["deletionTimestamp"].is_string(), "{resource}");
            assert_eq!(resource["metadata"]["finalizers"], json!([crds::FINALIZER]));
        });
    }
    let folder = service.folder(&project.id);
    assert!(service.objects().iter().all(|object| object.contains(&folder)), "{:?}", service.objects());
    assert_eq!(service.objects().len(), 1);
}

#[tokio::test]
async fn a_project_of_somebody_elses_making_is_deleted_as_kubernetes_does_it() {
    let service = Service::new();
    service.kubernetes.objects().create(
        "linkageprojects",
        json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject", "metadata": {"name": "patients"},
            "spec": {"resultType": "Groups", "parties": [{"name": "clinic"}, {"name": "lab"}]}
        }),
    );
    let token = service.token("patients", crds::tokens::Role::Result);
    let deleted = async || service.call("DELETE", "/projects/patients", Some(&token), Value::Null).await;
    assert_eq!(deleted().await.status, 204);
    deleted().await.problem(403);
    assert!(service.kubernetes.objects().resources.is_empty());
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
async fn a_project_tells_how_far_each_party_is() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let uploaded = service.upload(&project.id, &project.update[1], crate::service::clks(3, 64)).await;
    assert_eq!(uploaded.status, 201);
    service.kubernetes.change("linkageprojects", &project.id, |resource| {
        let parties = resource["status"]["parties"].as_array_mut().unwrap();
        let first = parties.iter_mut().find(|party| party["name"] == "party-1").unwrap();
        *first = json!({"name": "party-1", "state": "Rejected", "message": "too short", "records": 5});
    });
    let parties =
        service.get(&format!("/projects/{}", project.id), &project.result).await.body["parties"].clone();
    assert_eq!(parties[0], json!({"name": "party-1", "state": "rejected", "message": "too short"}));
    assert_eq!((&parties[1]["state"], &parties[1]["records"]), (&json!("contributed"), &json!(3)));
    assert!(parties[1]["time_contributed"].as_str().unwrap().ends_with('Z'), "{parties}");
}

#[tokio::test]
async fn a_receipt_token_tells_nothing_of_the_size_of_other_data() {
    let service = Service::new();
    let project = service.create_of_type("permutations").await;
    let mut receipts = Vec::new();
    for (token, records) in project.update.iter().zip([3, 4]) {
        let answer = service.upload(&project.id, token, crate::service::clks(records, 64)).await;
        receipts.push(answer.body["receipt_token"].as_str().unwrap().to_owned());
    }
    let records = async |token: &str| {
        let described = service.get(&format!("/projects/{}", project.id), token).await.body;
        [0, 1].map(|party| described["parties"][party]["records"].clone())
    };
    assert_eq!(records(&project.result).await, [json!(3), json!(4)]);
    assert_eq!(records(&receipts[0]).await, [json!(3), Value::Null]);
    assert_eq!(records(&receipts[1]).await, [Value::Null, json!(4)]);
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

#[tokio::test]
async fn a_projects_key_for_the_mask_is_kept_and_shown() {
    let service = Service::new();
    let n = base64_simd::URL_SAFE_NO_PAD.encode_to_string([0xff; 256]);
    let key = json!({"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": n});
    let wanted = |key: Value, result_type: &str| {
        json!({"schema": {}, "result_type": result_type, "public_key": key,
            "paillier_context": {"base": 2, "encoded": true}})
    };
    let project = service.create(wanted(key.clone(), "permutations")).await;
    let described = service.get(&format!("/projects/{}", project.id), &project.result).await;
    assert_eq!(described.body["public_key"], key);
    let mut kept = key.clone();
    kept["modulus"] = kept.as_object_mut().unwrap().remove("n").unwrap();
    assert_eq!(service.kubernetes.project(&project.id)["spec"]["paillierPublicKey"], kept);
    let mut short = key.clone();
    short["n"] = base64_simd::URL_SAFE_NO_PAD.encode_to_string([0xff; 128]).into();
    for (body, why) in [
        (wanted(short, "permutations"), "has 1024 bits; it must have at least 2048"),
        (wanted(key, "groups"), "result_type permutations"),
        (wanted(json!(null), "permutations"), "no public_key"),
        (wanted(json!("x"), "permutations"), "public_key"),
    ] {
        let detail = service.call("POST", "/projects", None, body).await.problem(400);
        assert!(detail.contains(why) || why == "public_key", "{why}: {detail}");
    }
}
