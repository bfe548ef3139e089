//! The service does what its OpenAPI document says: schemathesis makes requests up from the document, those that it
//! allows and those that it does not, follows its links, and compares every answer with it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tests::client::Folder;
use tests::rest::{Body, Rest};
use tests::{Installation, Story, data};
use tokio::process::Command;

use crate::store_uploads::SWITCHED_ON;

/// Both trials together take about a minute.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often each endpoint was seen to give which answer: `create_run 201`.
type Seen = BTreeMap<String, u64>;

#[tokio::test]
async fn the_service_does_what_its_document_says() -> Story {
    // schemathesis sends as fast as it can; what becomes of those who send too much is told in `crowd`
    let values = [
        &SWITCHED_ON[..],
        &[
            "--set",
            "api.limits.requestsPerSecond=0",
            "--set",
            "webhooks.allowedUrls={https://hooks.example.org/}",
        ],
    ]
    .concat();
    Installation::tell_with("openapi", &values, |here| async move {
        let rest = here.rest().await?;
        let folder = Folder::new("openapi")?;
        let projects = prepare(&rest).await?;
        let document = rest.get("openapi.json", "").await?.expect(200)?;

        let seen = attempt(&rest, &folder, &without_tokens(&projects)).await?;
        for (endpoint, _, takes_token) in endpoints(&document) {
            let let_through = seen.keys().any(|answer| answer.starts_with(&format!("{endpoint} 2")));
            assert_eq!(let_through, !takes_token, "{endpoint} without a token: {seen:#?}");
        }

        let seen = attempt(&rest, &folder, &projects).await?;
        for (endpoint, expected, takes_token) in endpoints(&document) {
            let mut expected = vec![expected];
            if takes_token {
                expected.extend(["400".to_owned(), "403".to_owned()]);
            }
            for status in expected {
                assert!(
                    seen.contains_key(&format!("{endpoint} {status}")),
                    "{endpoint}: no {status}: {seen:#?}"
                );
            }
        }
        let restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
        let selector = "app.kubernetes.io/component=api";
        let restarts =
            here.namespace.kubectl(&["get", "pods", "--selector", selector, "--output", restarts]).await?;
        assert_eq!(restarts.trim(), "0", "the service has gone on all the time");
        Ok(())
    })
    .await
}

/// The endpoints of a document: id, the answer when all is well, and whether a token is needed.
fn endpoints(document: &Value) -> Vec<(String, String, bool)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    // those are tried by their own clients: see resumable.rs
    let paths = paths.filter(|(path, _)| !path.contains("/uploads")).map(|(_, item)| item);
    let operations = paths.flat_map(|path| ["get", "post", "delete"].map(|method| &path[method]));
    let describe = |operation: &Value| {
        let id = operation["operationId"].as_str()?.to_owned();
        let answers = operation["responses"].as_object()?.keys();
        let success = answers.into_iter().find(|status| status.starts_with('2'))?.clone();
        // where a token may be left out, none is needed
        let needs_token =
            operation["security"].as_array().is_some_and(|schemes| !schemes.contains(&serde_json::json!({})));
        Some((id, success, needs_token))
    };
    let found: Vec<_> = operations.filter_map(describe).collect();
    assert_eq!(found.len(), 22, "{document}");
    found
}

/// Has schemathesis try the service, for which it is told of projects.
async fn attempt(rest: &Rest, folder: &Folder, projects: &Value) -> anyhow::Result<Seen> {
    let program = std::env::var("SCHEMATHESIS").context("run the tests by tests/e2e/run")?;
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/openapi");
    folder.write("projects.json", &projects.to_string())?;
    let mut command = Command::new(program);
    command
        .args(["--config-file", &format!("{here}/schemathesis.toml"), "run"])
        .arg(format!("{}/api/v1/openapi.json", rest.address().await))
        .env("SCHEMATHESIS_HOOKS", format!("{here}/hooks.py"))
        .env("LINKAGE_PROJECTS", folder.path("projects.json"))
        .env("LINKAGE_SEEN", folder.path("seen.json"))
        .env("NO_PROXY", "*")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path(""))
        .kill_on_drop(true);
    let output =
        tokio::time::timeout(PATIENCE, command.output()).await.context("schemathesis does not end")??;
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if !output.status.success() {
        bail!("schemathesis: {said}");
    }
    Ok(serde_json::from_value(folder.read_json("seen.json")?)?)
}

/// Projects for all that is to be tried: what they are for, by the ids of the endpoints, and their tokens.
async fn prepare(rest: &Rest) -> anyhow::Result<Value> {
    let mut projects = Vec::new();
    for result_type in ["groups", "similarity_scores", "permutations"] {
        projects.push(complete(rest, result_type).await?);
    }
    // each upload that is accepted takes up a party
    for blocking in [false, true] {
        let request =
            json!({"schema": {}, "result_type": "groups", "number_parties": 64, "uses_blocking": blocking});
        let (project, tokens, _) = rest.create_project(request).await?;
        let mut purposes = vec!["upload_json", "authorize_external_upload", "invitation"];
        if !blocking {
            purposes.push("upload_binary");
        }
        projects.push(
            json!({"id": project, "runs": [], "purposes": purposes, "tokens": {"update_token": tokens}}),
        );
    }
    // its runs wait for ever, and so cost nothing
    let (project, _, result) = rest.create_project(json!({"schema": {}, "result_type": "groups"})).await?;
    projects.push(json!({"id": project, "runs": [], "purposes": ["create_run", "list_runs"],
        "tokens": {"result_token": [result]}}));
    // nobody contributes, so that nothing is sent
    let request =
        json!({"schema": {}, "result_type": "groups", "webhook_url": "https://hooks.example.org/linkage"});
    let (project, _, result) = rest.create_project(request).await?;
    projects.push(json!({"id": project, "runs": [], "purposes": ["describe_webhook"], "tokens": {"result_token": [result]}}));
    Ok(projects.into())
}

/// A project whose run is complete.
async fn complete(rest: &Rest, result_type: &str) -> anyhow::Result<Value> {
    let (project, tokens, result) =
        rest.create_project(json!({"schema": {}, "result_type": result_type})).await?;
    let mut receipts = Vec::new();
    for (token, party) in tokens.iter().zip(["hospital-a", "hospital-b"]) {
        let body = Body::document(data::read(&format!("thousand/{party}.json"))?);
        let uploaded = rest.post(&format!("projects/{project}/clks"), token, body).await?.expect(201)?;
        receipts.push(uploaded["receipt_token"].clone());
    }
    let run = rest.create_run(&project, &result, 0.9).await?;
    rest.wait_completed(&project, &run, &result).await?;
    if result_type != "permutations" {
        receipts.clear();
    }
    Ok(json!({"id": project, "runs": [run],
        "purposes": ["describe_project", "list_runs", "describe_run", "run_status", "run_result", "run_result_file",
            "run_histogram", if result_type == "similarity_scores" { "run_similarity_scores" } else { "run_result" }],
        "tokens": {"result_token": [result], "receipt_token": receipts}}))
}

fn without_tokens(projects: &Value) -> Value {
    let mut projects = projects.clone();
    for project in projects.as_array_mut().into_iter().flatten() {
        project["tokens"] = json!({});
    }
    projects
}
