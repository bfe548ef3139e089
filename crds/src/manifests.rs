//! Reads the two manifests from one YAML file and judges them as the API server would.

use kube::core::cel::{ValidationErrors, validate_cel};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{GROUP, LinkageProject, LinkageRun};

/// Why manifests cannot be used.
#[derive(Debug)]
pub enum ManifestError {
    /// A document is no YAML, or lacks or mistypes a field.
    Malformed {
        /// Number of the document in the file, from 1.
        document: usize,
        /// What the parser said.
        why: String,
    },
    /// A document is of another kind, or of another version.
    UnknownKind {
        /// Number of the document in the file, from 1.
        document: usize,
        /// Its apiVersion and kind.
        what: String,
    },
    /// A document has a field that does not exist: most likely a typing error.
    UnknownField {
        /// Kind and name of the resource.
        resource: String,
        /// Path of the field.
        field: String,
    },
    /// A rule of the resource's schema is broken.
    Invalid {
        /// Kind and name of the resource.
        resource: String,
        /// One sentence a broken rule.
        why: String,
    },
    /// There is not exactly one project and one run, or the run is of another project.
    Mismatch(String),
}

impl std::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed { document, why } => write!(f, "document {document} cannot be read: {why}"),
            Self::UnknownKind { document, what } => write!(
                f,
                "document {document} is a {what}; expected LinkageProject or LinkageRun of {GROUP}/v1alpha1"
            ),
            Self::UnknownField { resource, field } => write!(f, "{resource}: unknown field \"{field}\""),
            Self::Invalid { resource, why } => write!(f, "{resource}: {why}"),
            Self::Mismatch(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ManifestError {}

/// Reads a file that holds one LinkageProject and one LinkageRun of it.
///
/// # Errors
/// Fails when a document is malformed, has unknown fields or breaks a rule of the resource's schema, or when there
/// is not exactly one of each.
pub fn read(yaml: &str) -> Result<(LinkageProject, LinkageRun), ManifestError> {
    let (mut projects, mut runs) = (Vec::new(), Vec::new());
    for (index, document) in serde_yaml::Deserializer::from_str(yaml).enumerate() {
        let document_number = index + 1;
        let value = Value::deserialize(document)
            .map_err(|e| ManifestError::Malformed { document: document_number, why: e.to_string() })?;
        if value.is_null() {
            continue;
        }
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("(none)").to_owned();
        match (text("apiVersion").as_str(), text("kind").as_str()) {
            ("pprl.dev/v1alpha1", "LinkageProject") => projects.push(typed(document_number, value)?),
            ("pprl.dev/v1alpha1", "LinkageRun") => runs.push(typed(document_number, value)?),
            (version, kind) => {
                let what = format!("{kind} of {version}");
                return Err(ManifestError::UnknownKind { document: document_number, what });
            }
        }
    }
    let [project]: [LinkageProject; 1] = exactly_one(projects, "LinkageProject")?;
    let [run]: [LinkageRun; 1] = exactly_one(runs, "LinkageRun")?;
    check(&project, "LinkageProject", project.metadata.name.as_deref())?;
    check(&run, "LinkageRun", run.metadata.name.as_deref())?;
    let names: Vec<_> = project.spec.parties.iter().map(|party| &party.name).collect();
    if let Some(name) =
        names.iter().enumerate().find_map(|(i, name)| names[..i].contains(name).then_some(name))
    {
        let resource = format!("LinkageProject {}", project.metadata.name.as_deref().unwrap_or_default());
        return Err(ManifestError::Invalid { resource, why: format!("two parties are named \"{name}\"") });
    }
    if project.metadata.name.as_ref() != Some(&run.spec.project_ref.name) {
        return Err(ManifestError::Mismatch(format!(
            "the run's projectRef names \"{}\", but the project in the file is \"{}\"",
            run.spec.project_ref.name,
            project.metadata.name.as_deref().unwrap_or_default()
        )));
    }
    Ok((project, run))
}

fn exactly_one<T>(found: Vec<T>, kind: &str) -> Result<[T; 1], ManifestError> {
    let count = found.len();
    found
        .try_into()
        .map_err(|_| ManifestError::Mismatch(format!("the file must hold exactly one {kind}, not {count}")))
}

fn typed<T: DeserializeOwned + Serialize>(document: usize, value: Value) -> Result<T, ManifestError> {
    let malformed = |e: serde_json::Error| ManifestError::Malformed { document, why: e.to_string() };
    let resource: T = T::deserialize(&value).map_err(malformed)?;
    // what does not survive the way through the type has no field there
    let kept = serde_json::to_value(&resource).map_err(malformed)?;
    match lost_field(&value["spec"], &kept["spec"]) {
        None => Ok(resource),
        Some(path) => Err(ManifestError::UnknownField {
            resource: format!(
                "{} {}",
                value["kind"].as_str().unwrap_or_default(),
                value["metadata"]["name"].as_str().unwrap_or_default()
            ),
            field: format!("spec{path}"),
        }),
    }
}

fn lost_field(given: &Value, kept: &Value) -> Option<String> {
    match (given, kept) {
        (Value::Object(given), kept) => {
            given.iter().filter(|(_, value)| !is_empty(value)).find_map(|(key, value)| match kept.get(key) {
                None => Some(format!(".{key}")),
                Some(kept) => lost_field(value, kept).map(|rest| format!(".{key}{rest}")),
            })
        }
        (Value::Array(given), Value::Array(kept)) => {
            given.iter().zip(kept).enumerate().find_map(|(index, (given, kept))| {
                lost_field(given, kept).map(|rest| format!("[{index}]{rest}"))
            })
        }
        _ => None,
    }
}

/// Empty values may be left out when a resource is written again.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn check<T>(resource: &T, kind: &str, name: Option<&str>) -> Result<(), ManifestError>
where
    T: kube::CustomResourceExt + Serialize,
{
    let resource_name = format!("{kind} {}", name.unwrap_or("(without metadata.name)"));
    let invalid = |why: String| ManifestError::Invalid { resource: resource_name.clone(), why };
    if name.is_none_or(str::is_empty) {
        return Err(invalid("metadata.name is missing".into()));
    }
    validate_cel(resource).map_err(|errors: ValidationErrors| invalid(errors.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
apiVersion: pprl.dev/v1alpha1
kind: LinkageProject
metadata: {name: hospitals}
spec:
  resultType: Groups
  parties: [{name: a, source: {encodings: a.json}}, {name: b, source: {encodings: b.json}}]
---
apiVersion: pprl.dev/v1alpha1
kind: LinkageRun
metadata: {name: first}
spec: {projectRef: {name: hospitals}, threshold: 0.8}
";

    fn refused(from: &str, to: &str) -> String {
        let changed = GOOD.replace(from, to);
        assert_ne!(changed, GOOD);
        read(&changed).unwrap_err().to_string()
    }

    #[test]
    fn reads_both() {
        let (project, run) = read(GOOD).unwrap();
        assert_eq!(project.spec.parties.len(), 2);
        assert_eq!(run.spec.threshold, 0.8);
    }

    #[test]
    fn refuses_with_a_reason() {
        let cases = [
            ("threshold: 0.8", "threshold: 0", "threshold must be above 0"),
            ("threshold: 0.8", "threshold: 1.5", "at most 1"),
            ("threshold: 0.8", "treshold: 0.8", "threshold"),
            ("threshold: 0.8", "threshold: 0.8, suspnd: true", "unknown field \"spec.suspnd\""),
            ("threshold: 0.8", "threshold: 0.8, fromRun: {name: first}", "fromRun names the run itself"),
            (
                "threshold: 0.8",
                "threshold: 0.8, shards: 2, fromRun: {name: x}",
                "shards cannot be given with",
            ),
            (
                "threshold: 0.8",
                "threshold: 0.8, solver: {mergeThreshold: 0}",
                "mergeThreshold must be above 0",
            ),
            ("threshold: 0.8", "threshold: 0.8, solver: {mergeThreshold: 1.1}", "at most 1"),
            (
                "threshold: 0.8",
                "threshold: 0.8, solver: {algorithm: Optimal, oneToOne: true}",
                "oneToOne are for algorithm Greedy",
            ),
            (
                "threshold: 0.8",
                "threshold: 0.8, solver: {maxComponentRecords: 9}",
                "maxComponentRecords is for algorithm Optimal",
            ),
            ("threshold: 0.8", "threshold: 0.8, solver: {algorithm: Hungarian}", "Hungarian"),
            ("threshold: 0.8", "threshold: 0.8, solver: {merge: 0.5}", "unknown field \"spec.solver.merge\""),
            ("{encodings: b.json}", "{encodings: b.json, block: c}", "spec.parties[1].source.block"),
            ("name: b,", "name: a,", "two parties are named \"a\""),
            ("name: b,", "name: B b,", "lower-case"),
            (", {name: b, source: {encodings: b.json}}", "", "two parties or more"),
            ("encodings: b.json", "encodings: runs/x", "must not lie below"),
            ("name: hospitals}, threshold", "name: hotels}, threshold", "names \"hotels\""),
            ("kind: LinkageRun", "kind: Linkagerun", "document 2 is a Linkagerun"),
            ("metadata: {name: first}", "metadata: {}", "metadata.name is missing"),
        ];
        for (from, to, expected) in cases {
            let message = refused(from, to);
            assert!(message.contains(expected), "{to}: {message}");
        }
        let pairs_only = GOOD.replace("Groups", "SimilarityScores");
        assert!(read(&pairs_only).is_ok());
        let three = pairs_only.replace("[{name: a,", "[{name: c}, {name: a,");
        assert!(read(&three).is_ok());
        let three = three.replace("SimilarityScores", "Permutations");
        assert!(read(&three).unwrap_err().to_string().contains("exactly two parties"));
    }
}
