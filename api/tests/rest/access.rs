//! Who may call what: what the document says of each endpoint holds.

use axum::body::Body;
use axum::http::Request;
use crds::tokens::Role;
use serde_json::{Value, json};

use crate::service::{Answer, Service};

/// The tokens of a project, by the names that the document gives them.
const TOKENS: [&str; 3] = ["result_token", "update_token", "receipt_token"];

/// An endpoint below a project, and the tokens that its description names.
struct Endpoint {
    method: String,
    path: String,
    tokens: Vec<String>,
}

fn endpoints() -> Vec<Endpoint> {
    let document: Value = serde_json::from_str(&api::router::document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let operations = item.as_object().unwrap().iter().filter(|(_, operation)| operation.is_object());
        // an answer to HEAD has no body that could be looked at
        let operations = operations.filter(|(method, _)| *method != "head");
        // where a token may be left out, it is not what lets a request through
        let asks = |operation: &Value| {
            operation["security"]
                .as_array()
                .is_some_and(|schemes| schemes.iter().all(|scheme| scheme != &json!({})))
        };
        for (method, operation) in operations.filter(|(_, operation)| asks(operation)) {
            let tokens = operation["security"].as_array().unwrap().iter();
            let tokens = tokens.flat_map(|scheme| scheme.as_object().unwrap().keys().cloned()).collect();
            let path = path.trim_start_matches("/api/v1").to_owned();
            found.push(Endpoint { method: method.to_uppercase(), path, tokens });
        }
    }
    assert!(found.len() >= 14, "{} endpoints ask for a token", found.len());
    found
}

/// Calls an endpoint of a fresh project with permutations and a complete run, by one of its tokens or by another.
async fn call(endpoint: &Endpoint, token: impl Fn(&Service, &str) -> Option<String>) -> Answer {
    let service = Service::new();
    let (project, run, _) = service.project_with_run("permutations", "result").await;
    let results = ["mask", "permutation-0"].map(
        |name| json!({"name": name, "key": format!("runs/{name}"), "bytes": 1, "blake3": "0a".repeat(32)}),
    );
    service.kubernetes.change("linkageruns", &run, |resource| {
        resource["status"] = json!({"stage": "Complete", "results": results});
    });
    let path = endpoint.path.replace("{project_id}", &project.id).replace("{run_id}", &run);
    let path = path.replace("{file}", "result.json");
    let path = if path.contains("{upload_id}") {
        let upload = begun(&service, &project.id, &project.update[0]).await;
        path.replace("{upload_id}", &upload)
    } else {
        path
    };
    assert!(!path.contains('{'), "{path}");
    let token = token(&service, &project.id);
    service.call(&endpoint.method, &path, token.as_deref(), json!({"threshold": 0.8})).await
}

/// The id of a resumable upload that was begun.
async fn begun(service: &Service, project: &str, token: &str) -> String {
    let request = Request::post(format!("/api/v1/projects/{project}/uploads"))
        .header("authorization", token)
        .header("tus-resumable", "1.0.0")
        .header("upload-length", "9")
        .header("upload-metadata", "form anNvbg==");
    let answer = service.send(request.body(Body::empty()).unwrap()).await;
    answer.headers["location"].to_str().unwrap().trim_start_matches("uploads/").to_owned()
}

fn of(service: &Service, project: &str, kind: &str) -> Option<String> {
    let role = match kind {
        "result_token" => Role::Result,
        "update_token" => Role::Update("party-1"),
        _ => Role::Receipt("party-1"),
    };
    Some(service.token(project, role))
}

#[tokio::test]
async fn each_endpoint_takes_the_tokens_that_its_description_names_and_no_others() {
    for endpoint in endpoints() {
        for kind in TOKENS {
            let answer = call(&endpoint, |service, project| of(service, project, kind)).await;
            let named = endpoint.tokens.iter().any(|token| token == kind);
            let Endpoint { method, path, .. } = &endpoint;
            assert_eq!(answer.status != 403, named, "{method} {path} with the {kind}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn no_endpoint_takes_a_token_of_another_project_or_none() {
    for endpoint in endpoints() {
        for kind in TOKENS {
            let others = async |service: &Service| service.create_of_type("permutations").await.id;
            let other = Service::new();
            // a project of the same installation: its uid is another's
            let (_, project) = (others(&other).await, others(&other).await);
            let token = of(&other, &project, kind);
            call(&endpoint, |_, _| token.clone()).await.problem(403);
        }
        for token in ["", "Bearer", "0", "\u{e4}"] {
            call(&endpoint, |_, _| Some(token.into())).await.problem(403);
        }
        call(&endpoint, |_, _| None).await.problem(400);
    }
}
