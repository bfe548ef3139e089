//! As much of the Kubernetes API as the service uses, in memory; it can be made to fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use kube::Client;
use serde_json::{Value, json};

/// The one namespace.
pub const NAMESPACE: &str = "linkage";

/// A handle on the API; clones share what is in it.
#[derive(Clone, Default)]
pub struct Kubernetes(Arc<Mutex<Objects>>);

/// What happens just before a status is written.
type BeforeWrite = Box<dyn FnMut(&mut Objects) + Send>;
/// What happens just after one is written.
type AfterWrite = Box<dyn FnOnce(&mut Objects) + Send>;

#[derive(Default)]
pub struct Objects {
    /// By plural and name.
    pub resources: BTreeMap<(String, String), Value>,
    pub events: Vec<Value>,
    versions: u64,
    /// All requests fail.
    pub away: bool,
    /// All requests are refused, as of a service without rights.
    pub refuses: bool,
    /// So many writes of a status are done, but answered with an error.
    pub lost_answers: u32,
    pub before_write: Option<BeforeWrite>,
    pub after_write: Option<AfterWrite>,
    /// What the one user may do, as `verb resource subresource`.
    pub allowed: Vec<String>,
}

impl Kubernetes {
    pub fn client(&self) -> Client {
        let this = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let this = this.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                let (status, answer) = this.objects().answer(&parts.method, parts.uri.path(), &body);
                let response = Response::builder().status(status).body(Body::from(answer.to_string()));
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(response?)
            }
        });
        Client::new(service, NAMESPACE)
    }

    pub fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.lock().unwrap()
    }

    pub fn project(&self, name: &str) -> Value {
        self.objects().resources[&("linkageprojects".into(), name.into())].clone()
    }

    /// Changes a resource as somebody else would.
    pub fn change(&self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.objects().change(plural, name, change);
    }
}

impl Objects {
    pub fn change(&mut self, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let version = self.next_version();
        let resource = self.resources.get_mut(&(plural.into(), name.into())).unwrap();
        change(resource);
        resource["metadata"]["resourceVersion"] = version;
    }

    pub fn create(&mut self, plural: &str, mut resource: Value) -> Value {
        let name = resource["metadata"]["name"].as_str().unwrap().to_owned();
        let version = self.next_version();
        let metadata = resource["metadata"].as_object_mut().unwrap();
        metadata.insert("uid".into(), json!(format!("uid-{}", self.versions)));
        metadata.insert("namespace".into(), json!(NAMESPACE));
        metadata.insert(
            "creationTimestamp".into(),
            json!(format!("2030-01-01T00:00:{:02}Z", self.versions % 60)),
        );
        metadata.insert("resourceVersion".into(), version);
        self.resources.insert((plural.into(), name), resource.clone());
        resource
    }

    fn next_version(&mut self) -> Value {
        self.versions += 1;
        json!(self.versions.to_string())
    }

    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        if self.away {
            return failure(503, "away");
        }
        if self.refuses {
            return failure(403, "forbidden");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match segments.last() {
            Some(&"tokenreviews") => return (StatusCode::CREATED, Self::review_token(&body)),
            Some(&"subjectaccessreviews") => return (StatusCode::CREATED, self.review_access(&body)),
            _ => {}
        }
        match (method.as_str(), &segments[5..]) {
            ("POST", ["events"]) => {
                self.events.push(body.clone());
                (StatusCode::CREATED, body)
            }
            ("POST", [plural]) => (StatusCode::CREATED, self.create(plural, body)),
            ("GET", [plural]) => (StatusCode::OK, self.list(plural)),
            ("GET", [plural, name]) => self.get(plural, name),
            ("PUT", [plural, name, "status"]) => self.replace_status(plural, name, &body),
            ("PATCH", [plural, name]) if *plural != "events" => self.merge(plural, name, &body),
            ("DELETE", [plural, name]) => self.delete(plural, name, &body),
            ("PATCH", ["events", _]) => (StatusCode::OK, body),
            _ => failure(405, path),
        }
    }

    /// Kubernetes knows one user, who has these tokens: one for the API server, and one for the service.
    fn review_token(body: &Value) -> Value {
        let audience = match body["spec"]["token"].as_str() {
            Some("kubernetes.token.of-ann") => "kubernetes",
            Some("kubernetes.token.of-ann-for-linkage-operator") => "linkage-operator",
            _ => "",
        };
        let asked =
            body["spec"]["audiences"].as_array().cloned().unwrap_or_else(|| vec![json!("kubernetes")]);
        let status = if asked.contains(&json!(audience)) {
            json!({"authenticated": true, "audiences": [audience], "user": {"username": "ann", "groups": ["research"]}})
        } else {
            json!({"authenticated": false, "error": "invalid bearer token"})
        };
        json!({"metadata": {}, "spec": body["spec"], "status": status})
    }

    fn review_access(&self, body: &Value) -> Value {
        let attributes = &body["spec"]["resourceAttributes"];
        let text = |name: &str| attributes[name].as_str().unwrap_or("-").to_owned();
        let asked = ["verb", "resource", "subresource"].map(text).join(" ");
        let ours = attributes["group"] == "pprl.dev" && attributes["namespace"] == NAMESPACE;
        let allowed = ours && body["spec"]["user"] == "ann" && self.allowed.contains(&asked);
        json!({"metadata": {}, "spec": body["spec"], "status": {"allowed": allowed}})
    }

    fn list(&self, plural: &str) -> Value {
        let items: Vec<_> =
            self.resources.iter().filter(|(key, _)| key.0 == plural).map(|(_, item)| item).collect();
        json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
    }

    fn get(&self, plural: &str, name: &str) -> (StatusCode, Value) {
        match self.resources.get(&(plural.into(), name.into())) {
            Some(found) => (StatusCode::OK, found.clone()),
            None => failure(404, name),
        }
    }

    fn replace_status(&mut self, plural: &str, name: &str, body: &Value) -> (StatusCode, Value) {
        if let Some(mut hook) = self.before_write.take() {
            hook(self);
            self.before_write.get_or_insert(hook);
        }
        let (status, current) = self.get(plural, name);
        if status != StatusCode::OK {
            return (status, current);
        }
        if current["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
            return failure(409, "the object has been modified");
        }
        self.change(plural, name, |resource| resource["status"] = body["status"].clone());
        if let Some(hook) = self.after_write.take() {
            hook(self);
        }
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return failure(504, "lost");
        }
        self.get(plural, name)
    }

    /// A merge patch that names the version which it is of.
    fn merge(&mut self, plural: &str, name: &str, patch: &Value) -> (StatusCode, Value) {
        if let Some(mut hook) = self.before_write.take() {
            hook(self);
        }
        let (status, current) = self.get(plural, name);
        if status != StatusCode::OK {
            return (status, current);
        }
        if current["metadata"]["resourceVersion"] != patch["metadata"]["resourceVersion"] {
            return failure(409, "the object has been modified");
        }
        self.change(plural, name, |resource| merge(resource, patch));
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return failure(504, "lost");
        }
        self.get(plural, name)
    }

    /// With a finalizer the resource stays, marked as deleted; without one it is gone.
    fn delete(&mut self, plural: &str, name: &str, options: &Value) -> (StatusCode, Value) {
        let (status, current) = self.get(plural, name);
        if status == StatusCode::OK {
            assert_eq!(options["preconditions"]["uid"], current["metadata"]["uid"]);
            assert_eq!(options["propagationPolicy"], "Background");
            if current["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
                self.resources.remove(&(plural.into(), name.into()));
                return (status, current);
            }
            self.change(plural, name, |r| r["metadata"]["deletionTimestamp"] = json!("2030-01-01T00:00:00Z"));
        }
        self.get(plural, name)
    }
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

fn failure(code: u16, message: &str) -> (StatusCode, Value) {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        504 => "Timeout",
        _ => "ServiceUnavailable",
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": message, "reason": reason});
    (StatusCode::from_u16(code).unwrap(), body)
}
