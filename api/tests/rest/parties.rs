//! What a party sees by its own tokens: the project that it takes part in, its own data, its runs.

use crds::tokens::Role;
use serde_json::{Value, json};

use crate::service::{Created, Service, clks};

async fn invitation(service: &Service, project: &Created, token: &str) -> Value {
    let answer = service.get(&format!("/projects/{}/invitation", project.id), token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

#[tokio::test]
async fn both_tokens_of_a_party_open_its_invitation_whatever_the_result_type() {
    let service = Service::new();
    for result_type in ["groups", "similarity_scores", "permutations"] {
        let wanted = json!({"schema": {"clkConfig": {"l": 512}}, "result_type": result_type, "name": "n", "notes": "m"});
        let project = service.create(wanted).await;
        let receipt = service.token(&project.id, Role::Receipt("party-2"));
        for token in [&project.update[1], &receipt] {
            let told = invitation(&service, &project, token).await;
            let expected = json!({
                "project_id": project.id, "name": "n", "notes": "m", "schema": {"clkConfig": {"l": 512}},
                "result_type": result_type, "uses_blocking": false, "encoding_bits": 512,
                "party": {"name": "party-2", "state": "waiting", "warnings": []}
            });
            for (field, value) in expected.as_object().unwrap() {
                assert_eq!(told[field], *value, "{field}");
            }
            assert!(told["use_of_data"].as_str().unwrap().contains("deleted with the project"));
        }
    }
}

#[tokio::test]
async fn a_party_is_told_a_schema_that_is_too_large_for_the_resource_too() {
    let service = Service::new();
    let schema = json!({"clkConfig": {"l": 512}, "large": "x".repeat(200_000)});
    let project = service.create(json!({"schema": schema, "result_type": "groups"})).await;
    assert_eq!(invitation(&service, &project, &project.update[0]).await["schema"], schema);
}

#[tokio::test]
async fn an_invitation_is_for_the_projects_own_parties_alone() {
    let service = Service::new();
    let (project, other) = (service.create_of_type("groups").await, service.create_of_type("groups").await);
    let path = format!("/projects/{}/invitation", project.id);
    let kubernetes = "Bearer kubernetes.token.of-ann";
    for token in [&project.result, &other.update[0], "wrong", "", kubernetes] {
        service.get(&path, token).await.problem(403);
    }
    service.call("GET", &path, None, Value::Null).await.problem(400);
    service.get("/projects/nothing/invitation", &project.update[0]).await.problem(403);
}

#[tokio::test]
async fn a_party_sees_how_its_own_data_was_checked() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let token = &project.update[0];
    assert_eq!(service.upload(&project.id, token, "{\"clks\": [\"?\"]}").await.status, 400);
    let refused = invitation(&service, &project, token).await["party"].clone();
    assert_eq!(refused["state"], "waiting");
    assert!(refused["reason"].is_string() && refused["message"].is_string(), "{refused}");

    let uploaded = service.upload(&project.id, token, clks(3, 64)).await;
    assert_eq!(uploaded.status, 201);
    let stored: Vec<u8> = (1..=3).flat_map(|n| vec![n; 64]).collect();
    let receipt = uploaded.body["receipt_token"].as_str().unwrap();
    let accepted = invitation(&service, &project, receipt).await["party"].clone();
    assert_eq!((&accepted["state"], &accepted["records"]), (&json!("contributed"), &json!(3)));
    assert_eq!(accepted["encoding_bytes"], 64);
    assert_eq!(accepted["blake3"], blake3::hash(&stored).to_hex().as_str());
    assert!(accepted["time_contributed"].is_string());
    assert_eq!((accepted.get("reason"), accepted.get("message")), (None, None));

    let other = invitation(&service, &project, &project.update[1]).await;
    assert_eq!(other["party"], json!({"name": "party-2", "state": "waiting", "warnings": []}));
}

#[tokio::test]
async fn a_party_whose_encodings_have_another_size_learns_nothing_of_whose_came_first() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    assert_eq!(service.upload(&project.id, &project.update[0], clks(3, 128)).await.status, 201);
    assert_eq!(service.upload(&project.id, &project.update[1], clks(3, 64)).await.status, 201);
    let told = invitation(&service, &project, &project.update[1]).await["party"].clone();
    assert_eq!((&told["state"], &told["reason"]), (&json!("rejected"), &json!("EncodingSizeMismatch")));
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("512 bits") && message.contains("same schema"), "{message}");
    assert!(!message.contains("party-1") && !message.contains("1024"), "{message}");
}

#[tokio::test]
async fn a_party_sees_its_runs_and_how_far_they_are_but_no_counts() {
    let service = Service::new();
    let project = service.create(json!({"schema": {}, "result_type": "groups", "number_parties": 3})).await;
    let run = service.create_run(&project).await;
    let receipt = service.token(&project.id, Role::Receipt("party-3"));
    let runs = format!("/projects/{}/runs", project.id);
    let progress = json!({"comparisons": 777_777, "totalComparisons": 888_888, "percent": "87%"});
    for (stage, state, number) in [
        ("WaitingForParties", "created", 1),
        ("Queued", "queued", 2),
        ("Scoring", "running", 2),
        ("Solving", "running", 3),
        ("Complete", "completed", 3),
        ("Failed", "error", 2),
    ] {
        service.kubernetes.change("linkageruns", &run, |resource| {
            resource["status"] = json!({"stage": stage, "progress": progress, "startTime": "2030-01-01T00:00:00Z",
                "completionTime": "2030-01-01T00:00:09Z", "pairs": 999_999, "message": "party-1 has 666666 records"});
        });
        for token in [&project.update[1], &receipt] {
            let listed = service.get(&runs, token).await;
            assert_eq!((listed.status.as_u16(), &listed.body[0]["state"]), (200, &json!(state)));
            assert_eq!(listed.body[0]["run_id"], run);
            let status = service.get(&format!("{runs}/{run}/status"), token).await;
            assert_eq!(status.status, 200);
            assert_eq!(
                (&status.body["state"], &status.body["current_stage"]["number"]),
                (&json!(state), &json!(number))
            );
            assert_eq!(status.body["current_stage"].get("progress"), None, "{stage}");
            let text = status.body.to_string();
            for count in ["777777", "888888", "999999", "666666", "party-1"] {
                assert!(!text.contains(count), "{count} in {text}");
            }
        }
    }
}

#[tokio::test]
async fn runs_that_link_no_data_of_a_party_are_not_its_runs() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let run = service.create_run(&project).await;
    service.kubernetes.change("linkageruns", &run, |resource| {
        resource["status"] = json!({"stage": "Scoring", "pinned": {"digest": "d", "plan": {"inputs": [{"party": "party-1"}]}}});
    });
    let runs = format!("/projects/{}/runs", project.id);
    for (party, expected) in [(0, 1), (1, 0)] {
        let listed = service.get(&runs, &project.update[party]).await.body;
        assert_eq!(listed.as_array().unwrap().len(), expected);
    }
    assert_eq!(service.get(&format!("{runs}/{run}/status"), &project.update[0]).await.status, 200);
    service.get(&format!("{runs}/{run}/status"), &project.update[1]).await.problem(403);
}

#[tokio::test]
async fn a_partys_tokens_open_nothing_else() {
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    let run = service.create_run(&project).await;
    service
        .kubernetes
        .change("linkageruns", &run, |resource| resource["status"] = json!({"stage": "Complete"}));
    let receipt = service.token(&project.id, Role::Receipt("party-1"));
    let path = format!("/projects/{}", project.id);
    for token in [&project.update[0], &receipt] {
        for (method, rest) in [
            ("GET", String::new()),
            ("GET", "/webhook".into()),
            ("GET", format!("/runs/{run}")),
            ("GET", format!("/runs/{run}/result")),
            ("GET", format!("/runs/{run}/histogram")),
            ("DELETE", format!("/runs/{run}")),
            ("DELETE", String::new()),
        ] {
            let answer = service.call(method, &format!("{path}{rest}"), Some(token), Value::Null).await;
            answer.problem(403);
        }
        service
            .call("POST", &format!("{path}/runs"), Some(token), json!({"threshold": 0.8}))
            .await
            .problem(403);
    }
}
