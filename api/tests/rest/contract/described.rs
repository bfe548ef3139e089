//! Whether an answer is as the document says: its status, its headers, its type, and its body by the schema.
//!
//! Much that the document describes is never a Rust value of the service: results and histograms are streamed from the
//! store, uploads are parsed as they pass. This ties the types that stand for those to what really comes.

use std::sync::LazyLock;

use axum::http::Method;
use serde_json::{Value, json};

use super::transcript::Answered;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&api::router::document()).unwrap());

/// The document in which no object may have members that it does not name: an answer with more is not described.
static CLOSED: LazyLock<Value> = LazyLock::new(|| {
    let mut document = DOCUMENT.clone();
    close(&mut document["components"]["schemas"]);
    document
});

fn close(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(close),
        Value::Object(members) => {
            if members.get("properties").is_some_and(Value::is_object) {
                members.entry("additionalProperties").or_insert(json!(false));
            }
            members.values_mut().for_each(close);
        }
        _ => {}
    }
}

/// The paths of the document that an address is of, and what it says of the method; none if it says nothing.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap_or_default();
    let method = if *method == Method::HEAD { "get".into() } else { method.as_str().to_lowercase() };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // a path without parameters is meant before one with
    let mut fitting: Vec<_> = paths.keys().filter(|template| fits(template, path)).collect();
    fitting.sort_by_key(|template| template.matches('{').count());
    DOCUMENT["paths"][fitting.first()?].get(method)
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template
            .iter()
            .zip(&path)
            .all(|(template, segment)| template.starts_with('{') || template == segment)
}

/// The id of the operation that an address calls.
pub fn operation_id(method: &str, path: &str) -> Option<&'static str> {
    operation(&method.parse().unwrap(), path)?["operationId"].as_str()
}

/// Which statuses each operation may be answered with, by the document.
pub fn statuses() -> Vec<(String, String)> {
    let operations =
        DOCUMENT["paths"].as_object().unwrap().values().flat_map(|item| item.as_object().unwrap().values());
    let operations = operations.filter_map(|operation| Some((operation.get("operationId")?, operation)));
    let mut found = Vec::new();
    for (id, operation) in operations {
        for status in operation["responses"].as_object().unwrap().keys() {
            found.push((id.as_str().unwrap().to_owned(), status.clone()));
        }
    }
    found
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}

/// Asserts that an answer is as the document says. What is not in the document, such as pages, may be anything.
pub fn check(method: &Method, path: &str, answered: &Answered) {
    let Some(operation) = operation(method, path) else { return };
    let status = answered.status.as_u16();
    let name = format!("{method} {path}: {status}");
    let described = operation["responses"].get(status.to_string());
    let described = resolved(described.unwrap_or_else(|| panic!("{name} is not in the document")));
    for header in described["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let may_be_absent = match header.as_str() {
            // a body of another media type is refused without it
            "Accept-Encoding" => true,
            // where there is another page
            "Link" => true,
            // where a status is waited for
            "ETag" => id == "run_status",
            _ => false,
        };
        assert!(may_be_absent || answered.headers.contains_key(header), "{name}: no {header}");
    }
    // a part of a result is of any type that the whole may have
    if answered.body.is_empty() || status == 206 {
        return;
    }
    let media_type = answered.headers["content-type"].to_str().unwrap().split(';').next().unwrap().trim();
    let content = described["content"].get(media_type);
    let content = content.unwrap_or_else(|| panic!("{name}: {media_type} is not in the document"));
    if status < 300 && !media_type.ends_with("/json") {
        return;
    }
    conforms(&name, &content["schema"], &answered.json());
}

/// Asserts that a value is by a schema of the document.
fn conforms(name: &str, schema: &Value, value: &Value) {
    let mut schema = schema.clone();
    close(&mut schema);
    if let Err(why) = judged(schema, &CLOSED["components"], value) {
        panic!("{name} is not as the document says: {why}\n{value:#}");
    }
}

/// Whether the document says that an operation takes a body.
pub fn takes(operation_id: &str, body: &Value) -> bool {
    let items = DOCUMENT["paths"].as_object().unwrap().values();
    let mut operations = items.flat_map(|item| item.as_object().unwrap().values());
    let operation = operations.find(|operation| operation["operationId"] == operation_id).unwrap();
    let schema = operation["requestBody"]["content"]["application/json"]["schema"].clone();
    judged(schema, &DOCUMENT["components"], body).is_ok()
}

/// Judges a value by a schema, which refers to components.
fn judged(mut schema: Value, components: &Value, value: &Value) -> Result<(), String> {
    const ADDRESS: &str = "http://document.example/schema.json";
    schema.as_object_mut().unwrap().insert("components".into(), components.clone());
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.set_default_draft(boon::Draft::V2020_12);
    compiler.add_resource(ADDRESS, schema).unwrap();
    let schema = compiler.compile(ADDRESS, &mut schemas).unwrap();
    schemas.validate(value, schema).map_err(|error| format!("{error:#}"))
}
