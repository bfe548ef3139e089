//! Refusals as the real API server words them.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A `Status` that says why a request is refused. A resource is named as `jobs.batch`, a kind as `Job.batch`.
#[derive(Clone, Debug)]
pub struct Refusal {
    code: u16,
    body: Value,
}

impl Refusal {
    /// Any other refusal.
    pub fn new(code: u16, reason: &str, message: &str) -> Self {
        let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code});
        Self { code, body }
    }

    /// The same with details.
    pub fn with_details(mut self, details: Value) -> Self {
        self.body["details"] = details;
        self
    }

    /// A ResourceQuota is used up: `counted` is what it counts, such as `count/jobs.batch`.
    pub fn quota_exceeded(resource: &str, name: &str, quota: &str, counted: &str) -> Self {
        let why = format!(
            "exceeded quota: {quota}, requested: {counted}=1, used: {counted}=5, limited: {counted}=5"
        );
        Self::forbidden(resource, name, &why)
    }

    /// A quota, an admission plugin, or missing rights forbid it.
    pub fn forbidden(resource: &str, name: &str, why: &str) -> Self {
        Self::about(403, "Forbidden", resource, name, &format!("is forbidden: {why}"))
    }

    /// The object breaks rules; each cause is a field and what is wrong with it.
    pub fn invalid(kind: &str, name: &str, causes: &[(&str, &str)]) -> Self {
        let lines: Vec<String> = causes.iter().map(|(field, why)| format!("{field}: {why}")).collect();
        let all = if let [one] = lines.as_slice() { one.clone() } else { format!("[{}]", lines.join(", ")) };
        let causes: Vec<Value> = causes
            .iter()
            .map(|(field, why)| json!({"reason": "FieldValueInvalid", "message": why, "field": field}))
            .collect();
        let (kind, group) = kind.split_once('.').unwrap_or((kind, ""));
        let dot = if group.is_empty() { "" } else { "." };
        Self::new(422, "Invalid", &format!("{kind}{dot}{group} \"{name}\" is invalid: {all}"))
            .with_details(json!({"name": name, "group": group, "kind": kind, "causes": causes}))
    }

    /// Something within the API server fails, such as a webhook.
    pub fn internal_error(why: &str) -> Self {
        Self::new(500, "InternalError", &format!("Internal error occurred: {why}"))
            .with_details(json!({"causes": [{"message": why}]}))
    }

    /// The API server asks for patience.
    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        let message = "the server has received too many requests and has asked us to try again later";
        Self::new(429, "TooManyRequests", message)
            .with_details(json!({ "retryAfterSeconds": retry_after_seconds }))
    }

    /// The API server, or etcd behind it, takes too long.
    pub fn timeout() -> Self {
        let message =
            "Timeout: request did not complete within requested timeout - context deadline exceeded";
        Self::new(504, "Timeout", message).with_details(json!({}))
    }

    /// There is no such object.
    pub fn not_found(resource: &str, name: &str) -> Self {
        Self::about(404, "NotFound", resource, name, "not found")
    }

    /// There is such an object.
    pub fn already_exists(resource: &str, name: &str) -> Self {
        Self::about(409, "AlreadyExists", resource, name, "already exists")
    }

    /// Somebody else has changed the object meanwhile.
    pub fn conflict(resource: &str, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict_because(resource, name, why)
    }

    pub(crate) fn conflict_because(resource: &str, name: &str, why: &str) -> Self {
        let mut refusal = Self::about(409, "Conflict", resource, name, "");
        refusal.body["message"] =
            json!(format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}"));
        refusal
    }

    fn about(code: u16, reason: &str, resource: &str, name: &str, what: &str) -> Self {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        Self::new(code, reason, &format!("{resource} \"{name}\" {what}"))
            .with_details(json!({"name": name, "group": group, "kind": plural}))
    }

    /// What it says.
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or("")
    }

    pub(crate) fn code(&self) -> StatusCode {
        StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn body(&self) -> &Value {
        &self.body
    }
}
