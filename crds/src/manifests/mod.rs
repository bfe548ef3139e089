//! Reads the two manifests from one YAML file and judges them as the API server would.

mod documents;
mod metadata;
mod scalars;
mod schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use kube::CustomResourceExt;
use kube::core::cel::{ValidationErrors, validate_cel};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{GROUP, LinkageProject, LinkageRun};
use documents::Document;

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

/// Reads a file that holds one LinkageProject and one LinkageRun of it, and gives the verdict that `kubectl apply` would
/// give on it.
///
/// # Errors
/// Fails when a document is malformed, has unknown fields or breaks a rule of the resource's schema, or when there
/// is not exactly one of each.
pub fn read(yaml: &str) -> Result<(LinkageProject, LinkageRun), ManifestError> {
    let (mut projects, mut runs) = (Vec::new(), Vec::new());
    for (index, document) in documents::read(yaml).enumerate() {
        let number = index + 1;
        let document = document.map_err(|why| ManifestError::Malformed { document: number, why })?;
        if document.value.is_null() {
            continue;
        }
        let text = |key: &str| document.value.get(key).and_then(Value::as_str).unwrap_or("(none)").to_owned();
        match (text("apiVersion").as_str(), text("kind").as_str()) {
            ("pprl.dev/v1alpha1", "LinkageProject") => projects.push(typed(number, document)?),
            ("pprl.dev/v1alpha1", "LinkageRun") => runs.push(typed(number, document)?),
            (version, kind) => {
                let what = format!("{kind} of {version}");
                return Err(ManifestError::UnknownKind { document: number, what });
            }
        }
    }
    let [project]: [LinkageProject; 1] = exactly_one(projects, "LinkageProject")?;
    let [run]: [LinkageRun; 1] = exactly_one(runs, "LinkageRun")?;
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

/// The resource of a document, if the API server would take it.
fn typed<T>(number: usize, mut document: Document) -> Result<T, ManifestError>
where
    T: CustomResourceExt + DeserializeOwned + Serialize,
{
    let resource = format!(
        "{} {}",
        document.value["kind"].as_str().unwrap_or_default(),
        document.value["metadata"]["name"].as_str().unwrap_or("(without metadata.name)")
    );
    judge::<T>(&resource, &mut document)?;
    // a rule that also looks at the resource before it, which cannot be evaluated here
    if document.value["metadata"]["name"].as_str().is_some_and(|name| name.contains('.')) {
        let why = "metadata.name must not contain a dot, because pods are named after it".into();
        return Err(ManifestError::Invalid { resource, why });
    }
    let malformed =
        |error: serde_json::Error| ManifestError::Malformed { document: number, why: error.to_string() };
    let typed: T = T::deserialize(document.value).map_err(malformed)?;
    let rules = validate_cel(&typed).map_err(|broken: ValidationErrors| broken.to_string());
    rules.map_err(|why| ManifestError::Invalid { resource, why })?;
    Ok(typed)
}

/// Judges what the schema says, rules aside. Unknown fields come first, as with the API server.
fn judge<T: CustomResourceExt>(resource: &str, document: &mut Document) -> Result<(), ManifestError> {
    let Some(fields) = document.value.as_object_mut() else { return Ok(()) };
    // the status is written by the operator alone; the API server passes over it
    fields.remove("status");
    let crd = T::crd();
    let schema = crd.spec.versions.into_iter().next().and_then(|version| version.schema?.open_api_v3_schema);
    let mut metadata = fields.remove("metadata").unwrap_or_default();
    metadata::fill(&mut metadata);
    let mut schema = schema.unwrap_or_default();
    for known in ["apiVersion", "kind"] {
        let text = JSONSchemaProps { type_: Some("string".into()), ..JSONSchemaProps::default() };
        schema.properties.get_or_insert_default().insert(known.into(), text);
    }
    let findings = schema::judge("", &mut document.value, &schema, &document.plain);
    let unknown = metadata::unknown_field(&metadata).into_iter().chain(findings.unknown).next();
    let faults = metadata::faults(&metadata, |path| document.plain.get(path).cloned());
    document.value["metadata"] = metadata;
    if let Some(field) = unknown {
        return Err(ManifestError::UnknownField { resource: resource.into(), field });
    }
    let faults: Vec<_> = faults.into_iter().chain(findings.faults).collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(ManifestError::Invalid { resource: resource.into(), why: faults.join("; ") })
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
            ("threshold: 0.8", "treshold: 0.8", "unknown field \"spec.treshold\""),
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
            ("name: b,", "name: a,", "spec.parties[1] repeats \"a\""),
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
