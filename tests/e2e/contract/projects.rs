//! Creating, describing, listing and deleting projects.

use reqwest::Method;
use serde_json::{Value, json};
use tests::Story;

use super::{Project, Service, assert_fields, assert_time, assert_token};

pub(super) async fn hold(service: &Service) -> Story {
    what_is_created_is_described(service).await?;
    what_cannot_be_is_refused(service).await?;
    deleted_means_gone(service).await
}

async fn listed(service: &Service, project: &Project) -> anyhow::Result<Option<Value>> {
    let list = Service::send(service.request(Method::GET, "projects")).await?.expect(200);
    Ok(list.as_array().and_then(|all| all.iter().find(|one| one["project_id"] == project.id)).cloned())
}

async fn what_is_created_is_described(service: &Service) -> Story {
    // with a header that POST /projects ignores
    let request = json!({"schema": {"clkConfig": {"l": 1024}, "version": 3}, "result_type": "similarity_scores",
        "name": "näme", "notes": "of it", "uses_blocking": true});
    let created = service.post("projects", "nonsense", &request).await?.expect(201);
    assert_fields(&created, &["project_id", "update_tokens", "result_token"]);
    assert_token(&created["result_token"]);
    let tokens = created["update_tokens"].as_array().unwrap();
    tokens.iter().for_each(assert_token);
    assert_eq!(tokens.len(), 2, "the default of number_parties");
    assert_ne!(tokens[0], tokens[1]);

    let path = format!("projects/{}", super::text(&created["project_id"]));
    let described = service.get(&path, &super::text(&created["result_token"])).await?.expect(200);
    let expected = json!({"project_id": created["project_id"], "name": "näme", "notes": "of it",
        "schema": request["schema"], "result_type": "similarity_scores", "number_parties": 2,
        "parties_contributed": 0, "error": false, "uses_blocking": true});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&described[field], value, "{field}");
    }

    let plain = service.create(json!({"number_parties": 3})).await?;
    assert_eq!(plain.update_tokens.len(), 3);
    let described = service.get(&plain.path, &plain.result_token).await?.expect(200);
    assert_eq!((&described["name"], &described["notes"]), (&json!(""), &json!("")));
    assert_eq!((&described["uses_blocking"], &described["number_parties"]), (&json!(false), &json!(3)));
    let one = listed(service, &plain).await?.expect("it is listed");
    assert_time(&one["time_added"]);
    Ok(())
}

async fn what_cannot_be_is_refused(service: &Service) -> Story {
    for request in [
        json!({"result_type": "groups"}),
        json!({"schema": {}}),
        json!({"schema": [], "result_type": "groups"}),
        json!({"schema": {}, "result_type": "mapping"}),
        json!({"schema": {}, "result_type": "groups", "number_parties": 1}),
        json!({"schema": {}, "result_type": "groups", "number_parties": "2"}),
        json!({"schema": {}, "result_type": "permutations", "number_parties": 3}),
        json!({"schema": {}, "result_type": "groups", "uses_blocking": "yes"}),
        json!([]),
        json!(null),
    ] {
        let answer = service.post("projects", "", &request).await?;
        assert_eq!(answer.status, 400, "{request}");
        answer.expect(400);
    }
    for body in ["", "{", "{} {}", "nonsense"] {
        service.post_text("projects", "", body).await?.expect(400);
    }
    Ok(())
}

async fn deleted_means_gone(service: &Service) -> Story {
    let project = service.create(json!({})).await?;
    let receipts = service.fill(&project).await?;
    let run = service.create_run(&project, 0.9).await?;
    let answer = service.delete(&project.path, &project.result_token).await?;
    assert_eq!((answer.status.as_u16(), &answer.body), (204, &Value::Null));
    for rest in
        ["", "/runs", &format!("/runs/{run}"), &format!("/runs/{run}/status"), &format!("/runs/{run}/result")]
    {
        let path = format!("{}{rest}", project.path);
        service.get(&path, &project.result_token).await?.expect(403);
        service.get(&path, &receipts[0]).await?.expect(403);
    }
    service.delete(&project.path, &project.result_token).await?.expect(403);
    service.upload(&project, 0, &json!({"clks": ["AAAAAAAAAAA="]})).await?.expect(403);
    assert_eq!(listed(service, &project).await?, None, "a deleted project is not listed");
    Ok(())
}
