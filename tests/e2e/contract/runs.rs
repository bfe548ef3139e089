//! Creating, describing, listing and deleting runs, and how far they are.

use serde_json::{Value, json};
use tests::Story;

use super::{Service, assert_fields, assert_time, completed, text};

pub(super) async fn hold(service: &Service) -> Story {
    what_is_created_is_described(service).await?;
    thresholds_are_checked(service).await?;
    a_status_only_ever_advances(service, "groups", 3).await?;
    a_status_only_ever_advances(service, "similarity_scores", 2).await?;
    deleted_while_it_runs(service).await
}

async fn what_is_created_is_described(service: &Service) -> Story {
    let project = service.create(json!({})).await?;
    let path = format!("{}/runs", project.path);
    let request = json!({"threshold": 0.875, "name": "first", "notes": "a note"});
    let created = service.post(&path, &project.result_token, &request).await?.expect(201);
    for field in ["threshold", "name", "notes"] {
        assert_eq!(created[field], request[field], "{field}");
    }
    let run = text(&created["run_id"]);
    let described = service.get(&format!("{path}/{run}"), &project.result_token).await?.expect(200);
    assert_eq!(described, created);
    let list = service.get(&path, &project.result_token).await?.expect(200);
    assert_eq!((list.as_array().map(Vec::len), &list[0]["run_id"]), (Some(1), &json!(run)));
    assert_eq!(list[0]["state"], "created", "it waits for the parties");
    assert_time(&list[0]["time_added"]);
    Ok(())
}

async fn thresholds_are_checked(service: &Service) -> Story {
    let project = service.create(json!({})).await?;
    let path = format!("{}/runs", project.path);
    for request in [
        json!({"threshold": 0}),
        json!({"threshold": -0.5}),
        json!({"threshold": 1.000_000_1}),
        json!({"threshold": "0.5"}),
        json!({"threshold": null}),
        json!({}),
        json!([0.5]),
    ] {
        let answer = service.post(&path, &project.result_token, &request).await?;
        assert_eq!(answer.status, 400, "{request}");
        answer.expect(400);
    }
    service.post(&path, &project.result_token, &json!({"threshold": 1})).await?.expect(201);
    Ok(())
}

async fn a_status_only_ever_advances(service: &Service, result_type: &str, stages: u64) -> Story {
    let project = service.create(json!({"result_type": result_type})).await?;
    let run = service.create_run(&project, 0.8).await?;
    let path = format!("{}/runs/{run}/status", project.path);
    let status = service.get(&path, &project.result_token).await?.expect(200);
    assert_eq!((&status["state"], &status["stages"]), (&json!("created"), &json!(stages)));
    assert_time(&status["time_added"]);
    assert!(status.get("time_started").is_some_and(Value::is_null), "{status}");
    let progress =
        json!({"absolute": 0, "relative": 0.0, "description": "number of parties already contributed"});
    let waiting = json!({"number": 1, "description": "waiting for CLKs", "progress": progress});
    assert_eq!(status["current_stage"], waiting);

    service.fill(&project).await?;
    let mut furthest = (0, 0, 0);
    let status = loop {
        let status = service.get(&path, &project.result_token).await?.expect(200);
        let now = position(&status, stages);
        assert!(now >= furthest, "from {furthest:?} back to {now:?}: {status}");
        furthest = now;
        if status["state"] == "completed" {
            break status;
        }
    };
    assert_fields(&status, &["time_added", "time_completed", "total_number_comparisons"]);
    ["time_added", "time_completed"].iter().for_each(|field| assert_time(&status[field]));
    assert_eq!(status["total_number_comparisons"], 1_000_000);
    let last = &status["current_stage"];
    assert_eq!(last["number"], stages);
    let description = if stages == 3 { "compute output" } else { "compute similarity scores" };
    assert_eq!(last["description"], description);
    Ok(())
}

/// Checks what a status has to have at each state, and tells how far it is.
fn position(status: &Value, stages: u64) -> (usize, u64, u64) {
    const STATES: [&str; 4] = ["created", "queued", "running", "completed"];
    let state = STATES.iter().position(|state| status["state"] == *state).expect("a state of the contract");
    let stage = &status["current_stage"];
    let number = stage["number"].as_u64().expect("the stage's number");
    assert_eq!(status["stages"], stages);
    match STATES[state] {
        "created" => assert_eq!(number, 1, "{status}"),
        "queued" => assert_eq!(number, 2, "{status}"),
        "running" => assert!(number >= 2 && number <= stages, "{status}"),
        _ => assert_eq!(number, stages, "{status}"),
    }
    if STATES[state] != "completed" {
        assert_fields(status, &["time_added", "time_started"]);
    }
    if let Some(progress) = stage.get("progress") {
        let relative = progress["relative"].as_f64().expect("a share");
        assert!((0.0..=1.0).contains(&relative), "{status}");
        let words = ["number of parties already contributed", "number of already computed similarity scores"];
        assert!(words.contains(&progress["description"].as_str().unwrap_or_default()), "{status}");
    }
    (state, number, stage["progress"]["absolute"].as_u64().unwrap_or_default())
}

async fn deleted_while_it_runs(service: &Service) -> Story {
    let project = service.create(json!({})).await?;
    service.fill(&project).await?;
    let run = service.create_run(&project, 0.5).await?;
    let path = format!("{}/runs/{run}", project.path);
    assert_eq!(service.delete(&path, &project.result_token).await?.status, 204);
    service.delete(&path, &project.result_token).await?.expect(403);
    for rest in ["", "/status", "/result"] {
        service.get(&format!("{path}{rest}"), &project.result_token).await?.expect(403);
    }
    let list = service.get(&format!("{}/runs", project.path), &project.result_token).await?.expect(200);
    assert_eq!(list, json!([]));
    // another one of the same project is not disturbed
    let run = service.create_run(&project, 0.8).await?;
    assert_eq!(completed(service, &project, &run).await?["state"], "completed");
    Ok(())
}
