//! From an HTTP request to what it asks for.

use std::collections::BTreeMap;
use std::fmt;

use axum::extract::Query;
use axum::http;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;

/// What a request does, by Kubernetes' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads many.
    List,
    /// Follows the changes of many.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Verb {
    /// Whether it changes anything.
    pub fn is_write(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}", format!("{self:?}").to_lowercase())
    }
}

/// A request that a client has made. Its text reads like `update linkageruns/NAME/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it does.
    pub verb: Verb,
    /// Of which kind of object.
    pub plural: String,
    /// The object's name: none with list, watch, and a create that lets the server choose the name.
    pub name: Option<String>,
    /// Such as `status`.
    pub subresource: Option<String>,
}

impl fmt::Display for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{} {}", self.verb, self.plural)?;
        [&self.name, &self.subresource]
            .into_iter()
            .flatten()
            .try_for_each(|part| write!(formatter, "/{part}"))
    }
}

/// A kind of object in a namespace; the namespaces themselves are in none.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub group: String,
    pub namespace: String,
    pub plural: String,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub namespace: String,
    pub plural: String,
    pub name: String,
}

impl Resource {
    pub fn key(&self, name: &str) -> Key {
        let namespace = if self.plural == "namespaces" { "" } else { &self.namespace };
        Key { namespace: namespace.into(), plural: self.plural.clone(), name: name.into() }
    }

    pub fn contains(&self, key: &Key) -> bool {
        *key == self.key(&key.name)
    }

    /// As refusals call it: `jobs.batch`.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }
}

/// A request with all that its answer depends on.
pub(crate) struct Call {
    pub request: Request,
    pub resource: Resource,
    pub query: BTreeMap<String, String>,
    pub content_type: String,
    /// Whether only metadata is asked for.
    pub metadata_only: bool,
    pub body: Value,
}

impl Call {
    /// None where the path names nothing that is played here.
    pub fn read(parts: &http::request::Parts, body: &[u8]) -> Option<Self> {
        let segments: Vec<&str> = parts.uri.path().trim_matches('/').split('/').collect();
        let (group, path) = match segments.as_slice() {
            ["api", "v1", path @ ..] => ("", path),
            ["apis", group, _, path @ ..] => (*group, path),
            _ => return None,
        };
        let (namespace, plural, name, subresource) = match *path {
            ["namespaces"] => ("", "namespaces", None, None),
            ["namespaces", name] => ("", "namespaces", Some(name), None),
            ["namespaces", namespace, plural] => (namespace, plural, None, None),
            ["namespaces", namespace, plural, name] => (namespace, plural, Some(name), None),
            ["namespaces", namespace, plural, name, sub] => (namespace, plural, Some(name), Some(sub)),
            _ => return None,
        };
        let query = Query::<BTreeMap<String, String>>::try_from_uri(&parts.uri).ok()?.0;
        let watches = query.get("watch").is_some_and(|watch| ["1", "true"].contains(&watch.as_str()));
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let verb = match (parts.method.as_str(), name) {
            ("GET", Some(_)) => Verb::Get,
            ("GET", None) if watches => Verb::Watch,
            ("GET", None) => Verb::List,
            ("POST", None) => Verb::Create,
            ("PUT", Some(_)) => Verb::Update,
            ("PATCH", Some(_)) => Verb::Patch,
            ("DELETE", Some(_)) => Verb::Delete,
            _ => return None,
        };
        let created = body["metadata"]["name"].as_str().filter(|_| verb == Verb::Create);
        let header =
            |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        Some(Self {
            request: Request {
                verb,
                plural: plural.into(),
                name: name.or(created).map(str::to_owned),
                subresource: subresource.map(str::to_owned),
            },
            resource: Resource { group: group.into(), namespace: namespace.into(), plural: plural.into() },
            query,
            content_type: header(CONTENT_TYPE),
            metadata_only: header(ACCEPT).contains("as=PartialObjectMetadata"),
            body,
        })
    }

    /// The name in the path; empty where there is none.
    pub fn name(&self) -> &str {
        self.request.name.as_deref().unwrap_or("")
    }

    pub fn asks(&self, flag: &str) -> bool {
        self.query.get(flag).is_some_and(|value| value == "true")
    }
}
