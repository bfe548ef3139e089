//! Judges a manifest's metadata as the API server would.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Fields of `metadata`.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
/// Longest name of a resource.
const MAX_NAME: usize = 253;
/// Longest value of a label, and longest name in a key.
const MAX_LABEL: usize = 63;

/// The first field that does not exist.
pub(super) fn unknown_field(metadata: &Value) -> Option<String> {
    let mut names = metadata.as_object()?.keys();
    names.find(|name| !FIELDS.contains(&name.as_str())).map(|name| format!("metadata.{name}"))
}

/// Labels and annotations that are null are empty texts.
pub(super) fn fill(metadata: &mut Value) {
    for map in ["labels", "annotations"] {
        let values =
            metadata.get_mut(map).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
        values.filter(|value| value.is_null()).for_each(|value| *value = "".into());
    }
}

/// What else is wrong, a sentence each.
pub(super) fn faults(metadata: &Value, plain: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let name = match metadata.get("name") {
        Some(Value::String(name)) if !name.is_empty() => name,
        None | Some(Value::Null | Value::String(_)) => return vec!["metadata.name is missing".into()],
        Some(other) => return vec![no_string("metadata.name", other, plain("metadata.name"))],
    };
    let mut faults = Vec::new();
    if !is_subdomain(name) {
        faults.push(format!(
            "metadata.name is \"{name}\"; it must consist of lower-case letters, digits, '-' and '.', and begin and end \
             with a letter or digit"
        ));
    }
    for map in ["labels", "annotations"] {
        for (key, value) in metadata.get(map).and_then(Value::as_object).into_iter().flat_map(Map::iter) {
            let path = format!("metadata.{map}.{key}");
            match value.as_str() {
                None => faults.push(no_string(&path, value, plain(&path))),
                Some(text) if map == "labels" && !is_label(text) => faults.push(format!(
                    "{path} is \"{text}\"; a label has at most {MAX_LABEL} letters, digits, '-', '_' and '.', and begins \
                     and ends with a letter or digit"
                )),
                Some(_) => {}
            }
            if !is_key(key) {
                faults.push(format!(
                    "{path}: \"{key}\" cannot be a key; it must look like name or example.org/name"
                ));
            }
        }
    }
    if faults.is_empty()
        && let Err(error) = ObjectMeta::deserialize(metadata)
    {
        faults.push(format!("metadata cannot be read: {error}"));
    }
    faults
}

fn no_string(path: &str, value: &Value, plain: Option<String>) -> String {
    match plain {
        Some(text) => {
            format!("{path} must be a string, but without quotes {text} is {value}; quote it: \"{text}\"")
        }
        None => format!("{path} must be a string, but is {value}"),
    }
}

fn is_subdomain(name: &str) -> bool {
    let part = |part: &str| {
        is_bounded(part, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), |c| c == b'-') && !part.is_empty()
    };
    name.len() <= MAX_NAME && name.split('.').all(part)
}

fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL
        && is_bounded(text, |c| c.is_ascii_alphanumeric(), |c| matches!(c, b'-' | b'_' | b'.'))
}

fn is_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label(name)
}

/// Whether a text consists of such characters, and none of the inner ones is at an end.
fn is_bounded(text: &str, outer: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|c| outer(*c) || inner(*c))
        && [bytes.first(), bytes.last()].into_iter().flatten().all(|c| outer(*c))
}
