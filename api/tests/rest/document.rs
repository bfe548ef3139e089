//! The contract as a document, and the page that shows it.

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use crate::service::Service;

/// An answer that need not be JSON.
async fn get(service: &Service, path: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (parts, body) = service.rest.clone().oneshot(request).await.unwrap().into_parts();
    (parts.status, parts.headers, to_bytes(body, 1 << 24).await.unwrap().to_vec())
}

fn document() -> Value {
    serde_json::from_str(&api::router::document()).unwrap()
}

/// The operations: method, path, and what is said of each.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if let Some(operation) = item.get(method) {
                found.push((method.to_owned(), path.clone(), operation));
            }
        }
    }
    found
}

/// Calls `each` with every value in a document.
fn walk<'v>(value: &'v Value, each: &mut impl FnMut(&'v Value)) {
    each(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, each)),
        Value::Object(members) => members.values().for_each(|member| walk(member, each)),
        _ => {}
    }
}

#[test]
fn the_checked_in_document_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == api::router::document(), "{path} is stale: run `make generate`");
}

#[tokio::test]
async fn the_service_hands_it_out() {
    let (status, headers, body) = get(&Service::new(), "/api/v1/openapi.json").await;
    assert_eq!((status.as_u16(), &headers["content-type"]), (200, &"application/json".parse().unwrap()));
    assert_eq!(String::from_utf8(body).unwrap(), api::router::document());
    assert_eq!(document()["openapi"], "3.1.0");
}

#[test]
fn every_endpoint_of_the_contract_is_in_it() {
    let document = document();
    let found: BTreeSet<_> =
        operations(&document).into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let contract = [
        "get /status",
        "get /version",
        "get /projects",
        "post /projects",
        "get /projects/{project_id}",
        "delete /projects/{project_id}",
        "get /projects/{project_id}/invitation",
        "post /projects/{project_id}/tokens/rotate",
        "delete /projects/{project_id}/clks",
        "get /projects/{project_id}/webhook",
        "get /projects/{project_id}/authorize-external-upload",
        "post /projects/{project_id}/clks",
        "post /projects/{project_id}/binaryclks",
        "get /projects/{project_id}/uploads",
        "post /projects/{project_id}/uploads",
        "get /projects/{project_id}/uploads/{upload_id}",
        "patch /projects/{project_id}/uploads/{upload_id}",
        "delete /projects/{project_id}/uploads/{upload_id}",
        "get /projects/{project_id}/runs",
        "post /projects/{project_id}/runs",
        "get /projects/{project_id}/runs/{run_id}",
        "delete /projects/{project_id}/runs/{run_id}",
        "get /projects/{project_id}/runs/{run_id}/status",
        "get /projects/{project_id}/runs/{run_id}/result",
        "get /projects/{project_id}/runs/{run_id}/similarity-scores",
        "get /projects/{project_id}/runs/{run_id}/{file}",
        "get /projects/{project_id}/runs/{run_id}/histogram",
    ];
    assert_eq!(found, contract.map(|endpoint| endpoint.replacen(' ', " /api/v1", 1)).into());
}

#[test]
fn every_endpoint_says_who_may_call_it_and_what_may_come_of_it() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{name}: its id is not its own");
        assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{name}");
        let answers: BTreeSet<_> =
            operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = BTreeSet::from(["500", "503"]);
        if path.contains("{project_id}") {
            let tokens: Vec<_> = operation["security"].as_array().unwrap().iter().collect();
            assert!(!tokens.is_empty(), "{name} asks for a token");
            expected.extend(["400", "403"]);
        } else {
            // what is listed depends on the token, if there is one
            let optional = operation["security"][0] == serde_json::json!({});
            assert!(optional || operation.get("security").is_none(), "{name} asks for no token");
        }
        if operation.get("requestBody").is_some() {
            expected.extend(["400", "408", "413", "415"]);
        }
        assert!(answers.is_superset(&expected), "{name}: {answers:?}");
        assert!(answers.iter().any(|status| status.starts_with('2')), "{name}: {answers:?}");
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = match answer["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap(),
                None => answer,
            };
            assert!(answer["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}: {status}");
            assert!(answer["headers"]["X-Request-Id"].is_object(), "{name}: {status}");
            if !status.starts_with('2') && status != "304" {
                let content: Vec<_> = answer["content"].as_object().unwrap().keys().collect();
                assert_eq!(content, ["application/problem+json"], "{name}: {status}");
            }
        }
    }
}

#[test]
fn references_lead_somewhere_and_everything_is_referred_to() {
    let document = document();
    let mut referred = BTreeSet::new();
    walk(&document, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
            referred.insert(reference.to_owned());
        }
    });
    for kind in ["schemas", "responses", "parameters", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(referred.contains(&reference), "{reference} is not used");
        }
    }
    let links = operations(&document).into_iter().map(|(_, _, operation)| operation["operationId"].clone());
    let ids: Vec<_> = links.collect();
    walk(&document, &mut |value| {
        for link in value.get("links").and_then(Value::as_object).into_iter().flat_map(|links| links.values())
        {
            assert!(ids.contains(&link["operationId"]), "{link}");
        }
    });
}

#[tokio::test]
async fn the_page_has_all_it_needs_and_reaches_nothing_else() {
    let service = Service::new();
    let (status, headers, _) = get(&service, "/api/v1/ui").await;
    assert_eq!((status.as_u16(), &headers["location"]), (308, &"ui/".parse().unwrap()));
    let (status, headers, page) = get(&service, "/api/v1/ui/").await;
    assert_eq!((status.as_u16(), &headers["content-type"]), (200, &"text/html".parse().unwrap()));
    let page = unpacked(&headers, page).await;
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for (start, _) in page.match_indices(attribute) {
            let name = page[start + attribute.len()..].split('"').next().unwrap();
            assert!(!name.contains("//") && !name.starts_with('/'), "{name} is elsewhere");
            let name = name.trim_start_matches("./");
            let (status, headers, body) = get(&service, &format!("/api/v1/ui/{name}")).await;
            assert_eq!(status, 200, "{name}");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert!(!body.is_empty(), "{name}");
            files += 1;
        }
    }
    assert!(files >= 5, "{page}");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe") && !policy.contains("http")
    );
    let (_, headers, settings) = get(&service, "/api/v1/ui/swagger-initializer.js").await;
    let settings = unpacked(&headers, settings).await;
    assert!(settings.contains("\"../openapi.json\""), "{settings}");
    assert!(!settings.contains("petstore") && !settings.contains("http"), "{settings}");
}

#[tokio::test]
async fn the_page_has_no_other_files() {
    let service = Service::new();
    for name in ["oauth2-redirect.html", "nothing", "..%2Fopenapi.json", "a/b", "swagger-ui.js"] {
        let (status, headers, _) = get(&service, &format!("/api/v1/ui/{name}")).await;
        assert_eq!(status, 404, "{name}");
        assert_eq!(headers["content-type"], "application/problem+json", "{name}");
    }
}

async fn unpacked(headers: &HeaderMap, body: Vec<u8>) -> String {
    use tokio::io::AsyncReadExt;
    let mut text = String::new();
    if headers.get("content-encoding").is_some_and(|packing| packing == "gzip") {
        let mut reader = async_compression::tokio::bufread::GzipDecoder::new(body.as_slice());
        reader.read_to_string(&mut text).await.unwrap();
    } else {
        text = String::from_utf8(body).unwrap();
    }
    text
}
