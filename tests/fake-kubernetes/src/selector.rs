//! Which objects a list or a watch is about: label selectors, and the fields that the API server knows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::call::{Call, Key, Resource};
use crate::refusal::Refusal;

/// The fields by which objects may be selected: the name, and of Events what they are about.
const FIELDS: [&str; 3] = ["metadata.name", "involvedObject.uid", "type"];

/// Which objects a list or a watch is about.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    resource: Resource,
    /// Paths and values.
    fields: Vec<(String, String)>,
    labels: Vec<Requirement>,
}

/// What a label must be.
#[derive(Clone, Debug)]
enum Requirement {
    Exists(String, bool),
    In(String, Vec<String>, bool),
}

impl Selection {
    pub fn of(call: &Call) -> Result<Self, Refusal> {
        let text = |name: &str| call.query.get(name).map(String::as_str).unwrap_or_default();
        let mut fields = Vec::new();
        for term in split(text("fieldSelector")) {
            match term.split_once('=') {
                Some((path, value)) if FIELDS.contains(&path) => {
                    fields.push((path.to_owned(), value.trim_start_matches('=').to_owned()));
                }
                _ => {
                    return Err(Refusal::new(
                        400,
                        "BadRequest",
                        &format!("field label not supported: {term}"),
                    ));
                }
            }
        }
        Ok(Self {
            resource: call.resource.clone(),
            fields,
            labels: split(text("labelSelector")).iter().map(|part| Requirement::read(part)).collect(),
        })
    }

    pub fn contains(&self, key: &Key, object: &Value) -> bool {
        let labels: BTreeMap<&str, &str> = object["metadata"]["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
            .collect();
        self.resource.contains(key)
            && self.fields.iter().all(|(path, value)| field(object, path) == Some(value.as_str()))
            && self.labels.iter().all(|requirement| requirement.is_met(&labels))
    }
}

/// The text at a path such as `metadata.name`.
fn field<'o>(object: &'o Value, path: &str) -> Option<&'o str> {
    path.split('.').try_fold(object, |value, name| value.get(name))?.as_str()
}

impl Requirement {
    fn read(text: &str) -> Self {
        let words: Vec<&str> = text.splitn(3, ' ').collect();
        if let [label, is, values] = words.as_slice()
            && ["in", "notin"].contains(is)
        {
            let values = values.trim_matches(['(', ')']).split(',').map(|value| value.trim().to_owned());
            return Self::In((*label).into(), values.collect(), *is == "in");
        }
        if let Some((label, value)) = text.split_once("!=") {
            return Self::In(label.into(), vec![value.into()], false);
        }
        match (text.split_once('='), text.strip_prefix('!')) {
            (Some((label, value)), _) => {
                Self::In(label.into(), vec![value.trim_start_matches('=').into()], true)
            }
            (None, Some(label)) => Self::Exists(label.into(), false),
            (None, None) => Self::Exists(text.into(), true),
        }
    }

    fn is_met(&self, labels: &BTreeMap<&str, &str>) -> bool {
        match self {
            Self::Exists(label, wanted) => labels.contains_key(label.as_str()) == *wanted,
            Self::In(label, values, wanted) => {
                let found = labels.get(label.as_str());
                found.is_some_and(|found| values.iter().any(|value| value == found)) == *wanted
            }
        }
    }
}

/// At the commas that are not between parentheses.
fn split(selector: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for character in selector.chars() {
        match character {
            ',' if depth == 0 => parts.push(String::new()),
            _ => {
                depth += i32::from(character == '(') - i32::from(character == ')');
                if let Some(part) = parts.last_mut() {
                    part.push(character);
                }
            }
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}
