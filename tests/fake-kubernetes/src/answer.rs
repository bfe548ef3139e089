//! From a request to its answer.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};
use tower::BoxError;

use crate::Shared;
use crate::call::{Call, Verb};
use crate::fault::{Misbehaviour, strike};
use crate::objects::Objects;
use crate::refusal::Refusal;
use crate::selector::Selection;
use crate::watch;

type HttpRequest = axum::http::Request<kube::client::Body>;

/// Answers a request, or lets a fault do so.
pub(crate) async fn answer(shared: Arc<Shared>, request: HttpRequest) -> Result<Response<Body>, BoxError> {
    let (parts, body) = request.into_parts();
    let body = body.collect_bytes().await?;
    let Some(call) = Call::read(&parts, &body) else {
        return refuse(&Refusal::new(404, "NotFound", "the server could not find the requested resource"));
    };
    let misbehaviour = shared.with(|state| {
        state.requests.push(call.request.clone());
        strike(&mut state.faults, &call.request)
    });
    match misbehaviour {
        Some(Misbehaviour::Refuses(refusal)) => return refuse(&refusal),
        Some(Misbehaviour::Hangs) => std::future::pending().await,
        Some(Misbehaviour::RefusesConnection) => {
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
        }
        Some(Misbehaviour::LosesAnswer) => {
            let _ = perform(&shared, &call);
            return Err(io::Error::from(io::ErrorKind::ConnectionReset).into());
        }
        None => {}
    }
    match perform(&shared, &call) {
        Ok(response) => Ok(response),
        Err(refusal) => refuse(&refusal),
    }
}

fn perform(shared: &Arc<Shared>, call: &Call) -> Result<Response<Body>, Refusal> {
    if call.request.verb == Verb::Watch {
        let body = watch::begin(shared, call)?;
        return Ok(response(StatusCode::OK, body));
    }
    let (status, answer) = shared.with(|state| objects(&mut state.objects, call))?;
    let answer = shown(&answer, call.metadata_only).to_string();
    Ok(response(status, Body::from(answer)))
}

fn objects(objects: &mut Objects, call: &Call) -> Result<(StatusCode, Value), Refusal> {
    let (resource, name) = (&call.resource, call.name());
    let subresource = call.request.subresource.as_deref();
    let answer = match call.request.verb {
        Verb::Get => objects.find(resource, name)?.clone(),
        Verb::List | Verb::Watch => list(objects, call)?,
        Verb::Create => {
            return Ok((StatusCode::CREATED, objects.create(resource, call.body.clone(), false)?));
        }
        Verb::Update => {
            let is_ours = resource.group == "pprl.dev";
            if is_ours && call.body["metadata"]["resourceVersion"].is_null() {
                let causes =
                    [("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")];
                return Err(Refusal::invalid(&resource.qualified(), name, &causes));
            }
            objects.update(resource, name, subresource, call.body.clone())?
        }
        Verb::Patch => return patch(objects, call),
        Verb::Delete => objects.delete(resource, name, &call.body)?,
    };
    Ok((StatusCode::OK, answer))
}

fn list(objects: &Objects, call: &Call) -> Result<Value, Refusal> {
    let selection = Selection::of(call)?;
    let limit = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
    let from = call.query.get("continue").map(String::as_str).unwrap_or_default();
    let mut found = objects
        .all(&call.resource)
        .filter(|(key, object)| key.name.as_str() > from && selection.contains(key, object));
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let mut metadata = json!({"resourceVersion": objects.version().to_string()});
    if let (Some((last, _)), Some(_)) = (page.last(), found.next()) {
        metadata["continue"] = json!(last.name);
    }
    let items: Vec<_> = page.iter().map(|(_, object)| shown(object, call.metadata_only)).collect();
    Ok(json!({"apiVersion": "v1", "kind": "List", "metadata": metadata, "items": items}))
}

fn patch(objects: &mut Objects, call: &Call) -> Result<(StatusCode, Value), Refusal> {
    let (resource, name) = (&call.resource, call.name());
    let subresource = call.request.subresource.as_deref();
    let applies = call.content_type == "application/apply-patch+yaml";
    if applies && subresource.is_none() && objects.find(resource, name).is_err() {
        let mut object = call.body.clone();
        object["metadata"]["name"] = json!(name);
        return Ok((StatusCode::CREATED, objects.create(resource, object, false)?));
    }
    let mut object = objects.find(resource, name)?.clone();
    match call.content_type.as_str() {
        "application/merge-patch+json" | "application/apply-patch+yaml" => {
            json_patch::merge(&mut object, &call.body);
        }
        "application/json-patch+json" => {
            let refused = |error: &dyn std::fmt::Display| Refusal::new(422, "Invalid", &error.to_string());
            let patch: json_patch::Patch =
                serde_json::from_value(call.body.clone()).map_err(|error| refused(&error))?;
            json_patch::patch(&mut object, &patch).map_err(|error| refused(&error))?;
        }
        other => {
            let message =
                format!("the body of the request was in an unknown format: {other} is not played here");
            return Err(Refusal::new(415, "UnsupportedMediaType", &message));
        }
    }
    Ok((StatusCode::OK, objects.update(resource, name, subresource, object)?))
}

/// An object as it is shown to whoever asks for metadata alone, or for all of it.
pub(crate) fn shown(object: &Value, metadata_only: bool) -> Cow<'_, Value> {
    match object["kind"].as_str() {
        _ if !metadata_only => Cow::Borrowed(object),
        Some("Status") => Cow::Borrowed(object),
        Some("List") => {
            let mut list = object.clone();
            list["apiVersion"] = json!("meta.k8s.io/v1");
            list["kind"] = json!("PartialObjectMetadataList");
            Cow::Owned(list)
        }
        _ => Cow::Owned(json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": object["metadata"]})),
    }
}

fn refuse(refusal: &Refusal) -> Result<Response<Body>, BoxError> {
    let mut response = response(refusal.code(), Body::from(refusal.body().to_string()));
    let seconds = &refusal.body()["details"]["retryAfterSeconds"];
    if !seconds.is_null() {
        response.headers_mut().insert(RETRY_AFTER, seconds.to_string().parse()?);
    }
    Ok(response)
}

fn response(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, axum::http::HeaderValue::from_static("application/json"));
    response
}
