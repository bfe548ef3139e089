//! Runs: listed, created, described, deleted, and how far they are.

use crds::tokens::Role;
use serde_json::{Value, json};

use super::Transcript;
use super::projects::{bad_documents, impatient, refusals, silence};
use crate::service::{Service, clks};

#[tokio::test]
async fn listing_runs() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    transcript.name_project(&project);
    let path = format!("/projects/{}/runs", project.id);
    transcript.call("none", "GET", &path).token(&project.result).of(&service).await;
    service.create_run(&project).await;
    transcript.call("one", "GET", &path).token(&project.result).of(&service).await;
    refusals(&mut transcript, &service, "GET", &path, &project.result).await;
    transcript.check("list_runs");
}

#[tokio::test]
async fn creating_a_run() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let project = service.create_of_type("groups").await;
    transcript.name_project(&project);
    let path = format!("/projects/{}/runs", project.id);
    let least = json!({"threshold": 0.8});
    transcript.call("the least", "POST", &path).token(&project.result).json(&least).of(&service).await;
    let most = json!({
        "threshold": 0.8, "name": "n", "notes": "m", "formats": ["json", "parquet"],
        "additional_results": ["similarity_scores"], "solver": {"algorithm": "greedy", "merge_threshold": 0.5}
    });
    transcript
        .call("all that can be asked for", "POST", &path)
        .token(&project.result)
        .json(&most)
        .of(&service)
        .await;
    let wrong = [
        ("no threshold", json!({})),
        ("a threshold that cannot be", json!({"threshold": 0})),
        ("a format that does not exist", json!({"threshold": 0.8, "formats": ["xml"]})),
        ("a run to start from that does not exist", json!({"threshold": 0.8, "from_run": "nothing"})),
    ];
    for (title, body) in wrong {
        transcript.call(title, "POST", &path).token(&project.result).json(&body).of(&service).await;
    }
    bad_documents(&mut transcript, &service, &path, Some(&project.result)).await;
    refusals(&mut transcript, &service, "POST", &path, &project.result).await;
    service.upload(&project.id, &project.update[0], clks(2, 9)).await;
    transcript
        .call("a party's data was rejected", "POST", &path)
        .token(&project.result)
        .json(&least)
        .of(&service)
        .await;

    let service = impatient();
    let project = service.create_of_type("groups").await;
    transcript.name_project(&project);
    let call = transcript.call("nothing comes", "POST", &format!("/projects/{}/runs", project.id));
    let call = call.token(&project.result).header("content-type", "application/json");
    call.body(silence()).of(&service).await;
    transcript.check("create_run");
}

#[tokio::test]
async fn describing_a_run() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let (project, run, _) = service.project_with_run("groups", "").await;
    transcript.name_project(&project);
    transcript.name(&run, "RUN");
    let path = format!("/projects/{}/runs/{run}", project.id);
    transcript.call("a run", "GET", &path).token(&project.result).of(&service).await;
    let unknown = format!("/projects/{}/runs/unknown", project.id);
    transcript.call("a run that does not exist", "GET", &unknown).token(&project.result).of(&service).await;
    refusals(&mut transcript, &service, "GET", &path, &project.result).await;
    transcript.check("describe_run");
}

#[tokio::test]
async fn deleting_a_run() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let (project, run, _) = service.project_with_run("groups", "").await;
    transcript.name_project(&project);
    transcript.name(&run, "RUN");
    let path = format!("/projects/{}/runs/{run}", project.id);
    refusals(&mut transcript, &service, "DELETE", &path, &project.result).await;
    transcript.call("done", "DELETE", &path).token(&project.result).of(&service).await;
    transcript.call("once more", "DELETE", &path).token(&project.result).of(&service).await;
    transcript.check("delete_run");
}

#[tokio::test]
async fn the_status_of_a_run() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let (project, run, path) = service.project_with_run("permutations", "status").await;
    transcript.name_project(&project);
    transcript.name(&run, "RUN");
    let receipt = service.token(&project.id, Role::Receipt("party-1"));
    transcript.name(&receipt, "RECEIPT-TOKEN-1");
    let started = json!("2030-01-01T00:01:00Z");
    let progress = |done: u64| json!({"comparisons": done, "totalComparisons": 9, "percent": "?"});
    let stages = [
        ("nobody has contributed", Value::Null),
        (
            "the operator waits for the store",
            json!({
            "stage": "WaitingForParties", "reason": "StoreUnavailable", "message": "the store is away"}),
        ),
        ("its pods have not started", json!({"stage": "Queued"})),
        ("it compares", json!({"stage": "Scoring", "startTime": started, "progress": progress(3)})),
        ("it writes the result", json!({"stage": "Solving", "startTime": started, "progress": progress(9)})),
        (
            "complete",
            json!({"stage": "Complete", "startTime": started, "completionTime": "2030-01-01T00:02:00Z",
            "progress": progress(9)}),
        ),
        (
            "failed",
            json!({"stage": "Failed", "startTime": started, "progress": progress(3),
            "message": "the pods ran out of memory"}),
        ),
    ];
    for (title, status) in stages {
        service.kubernetes.change("linkageruns", &run, |run| run["status"] = status);
        transcript.call(title, "GET", &path).token(&project.result).of(&service).await;
        let title = format!("{title}; what a receipt token sees");
        transcript.call(&title, "GET", &path).token(&receipt).of(&service).await;
    }
    refusals(&mut transcript, &service, "GET", &path, &project.result).await;
    transcript.check("run_status");
}
