//! Creating, describing, listing and deleting projects; and the service's own endpoints.

use api::access::creation::Creation;
use api::limits::quotas::{Ledger, Quotas};
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

    let listed = service.get("/projects", &project.result).await;
    assert_eq!(
        listed.body,
        json!([{"project_id": project.id, "time_added": "2030-01-01T00:00:01.000000+00:00"}])
    );

    let deleted = service.call("DELETE", &path, Some(&project.result), Value::Null).await;
    assert_eq!(deleted.status, 204);
    let again = service.call("DELETE", &path, Some(&project.result), Value::Null).await;
    again.problem(403);
    service.get(&path, &project.result).await.problem(403);
    service.get(&format!("{path}/runs"), &project.result).await.problem(403);
    service.upload(&project.id, &project.update[0], crate::service::clks(2, 128)).await.problem(403);
    assert_eq!(service.get("/projects", &project.result).await.body, json!([]));
}

#[tokio::test]
async fn a_caller_sees_the_projects_that_its_token_is_for() {
    let service = Service::new();
    let (ours, theirs) =
        (service.create_of_type("groups").await, service.create_of_type("permutations").await);
    let ids = async |service: &Service, token: Option<&str>| {
        let listed = service.call("GET", "/projects", token, Value::Null).await;
        let listed = listed.body.as_array().unwrap().clone();
        listed.iter().map(|project| project["project_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let receipt = service.token(&theirs.id, crds::tokens::Role::Receipt("party-1"));
    for (token, project) in
        [(&ours.result, &ours), (&ours.update[1], &ours), (&theirs.result, &theirs), (&receipt, &theirs)]
    {
        assert_eq!(ids(&service, Some(token)).await, std::slice::from_ref(&project.id));
    }
    for token in [None, Some("wrong"), Some("")] {
        assert!(ids(&service, token).await.is_empty(), "{token:?}");
    }
    let open = Service::with(|app, _| app.lists_all_projects = true);
    let project = open.create_of_type("groups").await;
    assert_eq!(ids(&open, None).await, [project.id]);
}

#[tokio::test]
async fn a_large_schema_is_in_the_store_and_is_handed_out_as_it_was_sent() {
    let service = Service::new();
    let schema = json!({"clkConfig": {"l": 512}, "large": "x".repeat(900_000)});
    let project = service.create(json!({"schema": schema, "result_type": "groups", "name": "n"})).await;
    let resource = service.kubernetes.project(&project.id);
    assert!(resource.to_string().len() < 2_000, "{}", resource.to_string().len());
    let stored = &resource["spec"]["encoding"]["storedSchema"];
    assert_eq!((&stored["key"], &stored["bytes"]), (&json!("schema.json"), &json!(schema.to_string().len())));
    assert_eq!(resource["spec"]["encoding"]["bits"], 512);
    // where the operator purges it with all else of the project
    let objects = service.objects();
    assert!(objects.len() == 1 && objects[0].contains(&service.folder(&project.id)), "{objects:?}");

    let path = format!("/projects/{}", project.id);
    let described = service.get(&path, &project.result).await;
    assert_eq!((&described.body["schema"], &described.body["name"]), (&schema, &json!("n")));
    std::fs::write(&objects[0], "x".repeat(schema.to_string().len())).unwrap();
    service.get(&path, &project.result).await.problem(500);
}

#[tokio::test]
async fn a_schema_that_is_nested_too_deeply_is_refused() {
    let service = Service::new();
    let deep = format!("{}1{}", "{\"a\":".repeat(60_000), "}".repeat(60_000));
    let body = format!("{{\"schema\": {deep}, \"result_type\": \"groups\"}}");
    let request = axum::http::Request::post("/api/v1/projects").header("content-type", "application/json");
    service.send(request.body(body.into()).unwrap()).await.problem(400);
    assert!(service.kubernetes.objects().resources.is_empty());
}

#[tokio::test]
async fn there_is_a_quota_of_projects_runs_and_bytes_and_the_answer_says_which() {
    let quotas =
        |quotas: Quotas| Service::with(|app, _| app.ledger = Ledger::new(quotas, app.judge.key().clone()));
    let body = |bytes: usize| json!({"schema": {}, "result_type": "groups", "notes": "x".repeat(bytes)});
    let create =
        async |service: &Service, bytes: usize| service.call("POST", "/projects", None, body(bytes)).await;

    let service = quotas(Quotas { projects: 2, runs_per_project: 1, ..Quotas::default() });
    let project = service.create_of_type("groups").await;
    assert_eq!(create(&service, 0).await.status, 201);
    let detail = create(&service, 0).await.problem(403);
    assert!(detail.contains("2 projects in this installation"), "{detail}");
    service.create_run(&project).await;
    let runs = format!("/projects/{}/runs", project.id);
    let detail =
        service.call("POST", &runs, Some(&project.result), json!({"threshold": 0.8})).await.problem(403);
    assert!(detail.contains("1 runs of one project"), "{detail}");
    let service = quotas(Quotas { bytes: 1_000, ..Quotas::default() });
    assert_eq!(create(&service, 900).await.status, 201);
    let detail = create(&service, 200).await.problem(403);
    assert!(detail.contains("1000 bytes of schemas, names and notes in this installation"), "{detail}");
    assert_eq!(create(&service, 50).await.status, 201);
}

#[tokio::test]
async fn only_holders_of_a_creation_token_create_where_it_is_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, "a-creation-token-of-ours\n").unwrap();
    let service = Service::with(|app, _| {
        app.creation = Creation::Tokens { file, key: app.judge.key().clone() };
    });
    let create = async |token: Option<&str>| {
        service.call("POST", "/projects", token, json!({"schema": {}, "result_type": "groups"})).await
    };
    create(None).await.problem(400);
    create(Some("another")).await.problem(403);
    assert!(service.kubernetes.objects().resources.is_empty());
    assert_eq!(create(Some("a-creation-token-of-ours")).await.status, 201);
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
    assert!(parties[1]["time_contributed"].as_str().unwrap().ends_with("+00:00"), "{parties}");
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
    assert_eq!(records(&receipts[1]).await, [json!(4), Value::Null]);
}

#[tokio::test]
async fn the_service_tells_its_state_and_version() {
    let service = Service::new();
    service.create_of_type("groups").await;
    let status = service.call("GET", "/status", None, Value::Null).await;
    assert_eq!(status.body, json!({"status": "ok", "project_count": 1, "rate": 1}));
    let version = service.call("GET", "/version", None, Value::Null).await.body;
    assert_eq!(version["entityservice"], "v1.15.1");
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
