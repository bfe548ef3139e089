//! What a party is told of the project that it takes part in: all that concerns itself, and nothing of the others.

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::extract::State;
use crds::{Blocking, LinkageProject, PartyState, PartyStatus, ResultType, contribution};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, Project, ProjectPath};
use crate::access::who::Party;
use crate::content::schema;
use crate::content::text::time;
use crate::document::problems::{ServiceProblems, TokenProblems};
use crate::document::values::Name;
use crate::endpoints::projects::{DataState, ResultKind, party_status};
use crate::error::Error;

/// What a party is told of a project.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invitation {
    #[schema(value_type = Name)]
    project_id: String,
    #[schema(max_length = 1024)]
    name: String,
    #[schema(max_length = 10240)]
    notes: String,
    /// The linkage schema by which all parties encode; empty if none is given.
    #[schema(value_type = serde_json::Map<String, serde_json::Value>)]
    schema: Box<RawValue>,
    result_type: ResultKind,
    /// Whether every record needs blocks.
    uses_blocking: bool,
    /// Bits that each encoding must have, if that is fixed beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 64, maximum = 8192)]
    encoding_bits: Option<i32>,
    /// What happens with the data.
    use_of_data: String,
    /// When the project is deleted at the latest, with all its data: ISO 8601, UTC. Absent if it is deleted by hand alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    deleted_at: Option<String>,
    party: OwnData,
}

/// A party's own data, and what was found when it was checked.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnData {
    /// The party's name.
    #[schema(min_length = 1, max_length = 63)]
    name: String,
    state: DataState,
    /// Records that can be linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    records: Option<i64>,
    /// Bytes of one encoding.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 8, maximum = 1024)]
    encoding_bytes: Option<i32>,
    /// BLAKE3 of the encodings as they are stored, one after the other, in hex; `b3sum` prints the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9a-f]{64}$")]
    blake3: Option<String>,
    /// The same of the blocks as they are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^[0-9a-f]{64}$")]
    blocks_blake3: Option<String>,
    /// When the data was accepted: ISO 8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_contributed: Option<String>,
    /// What is odd about data that was accepted.
    warnings: Vec<String>,
    /// Why the data, or the last upload, was refused: a word in CamelCase.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// The same for people: what was wrong, where, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<String>,
}

/// Tells a party of its project and of its own data.
#[utoipa::path(get, path = "/projects/{project_id}/invitation", tag = "projects", operation_id = "invitation",
    params(ProjectPath), security(("update_token" = []), ("receipt_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 200, description = "What concerns the party. Nothing tells of the other parties", body = Invitation)))]
pub async fn describe(
    State(app): State<Arc<App>>,
    Allowed { who: Party { name }, project, .. }: Allowed<Party, Project>,
) -> Result<JsonAnswer<Invitation>, Error> {
    let schema = schema::of(&app, &project).await?;
    Ok(JsonAnswer(invitation(&project, &name, schema)))
}

fn invitation(project: &LinkageProject, party: &str, schema: Box<RawValue>) -> Invitation {
    let spec = &project.spec;
    let deleted_at = deletion_time(project).as_ref().map(time);
    Invitation {
        project_id: project.metadata.name.clone().unwrap_or_default(),
        name: spec.title.clone(),
        notes: spec.notes.clone(),
        schema,
        result_type: spec.result_type.into(),
        uses_blocking: spec.blocking == Blocking::ByBlockId,
        encoding_bits: spec.encoding.as_ref().and_then(|encoding| encoding.bits),
        use_of_data: use_of_data(project, deleted_at.as_deref()),
        deleted_at,
        party: own_data(party, party_status(project, party)),
    }
}

fn own_data(party: &str, status: Option<&PartyStatus>) -> OwnData {
    let nothing = PartyStatus::default();
    let status = status.unwrap_or(&nothing);
    let accepted = (status.state == PartyState::Contributed).then_some(status);
    let refused = (status.state != PartyState::Contributed).then_some(status);
    OwnData {
        name: party.to_owned(),
        state: status.state.into(),
        records: accepted.and_then(|status| status.records),
        encoding_bytes: accepted.and_then(|status| status.encoding_bytes),
        blake3: accepted.and_then(|status| status.blake3.clone()),
        blocks_blake3: accepted.and_then(|status| status.blocks_blake3.clone()),
        time_contributed: accepted.and_then(|status| status.contributed_at.as_ref()).map(time),
        warnings: accepted.map(warnings).unwrap_or_default(),
        reason: refused.and_then(|status| status.reason.clone()),
        message: refused.and_then(contribution::message_to_party),
    }
}

fn warnings(status: &PartyStatus) -> Vec<String> {
    let without_block = status.records_without_block.filter(|count| *count > 0);
    let without_block = without_block.map(|count| {
        format!("{count} records are in no block, and are compared with no record of another party")
    });
    status.message.clone().into_iter().chain(without_block).collect()
}

fn deletion_time(project: &LinkageProject) -> Option<Time> {
    let seconds = project.spec.retention.as_ref()?.seconds_after_creation;
    let created = project.metadata.creation_timestamp.as_ref()?;
    // so late that no clock shows it: never
    created.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Time)
}

fn use_of_data(project: &LinkageProject, deleted_at: Option<&str>) -> String {
    let result = match project.spec.result_type {
        ResultType::Groups => {
            "Whoever holds the result token of the project receives groups of records that belong together, each record by \
             its party and its number."
        }
        ResultType::SimilarityScores => {
            "Whoever holds the result token of the project receives the pairs of similar records, each record by its party \
             and its number, with their similarity."
        }
        ResultType::Permutations if project.spec.paillier_public_key.is_some() => {
            "Each party receives a new order of its own records, and an encrypted mask of the places that match. Only who \
             has the private key can read the mask."
        }
        ResultType::Permutations => {
            "Each party receives a new order of its own records, and whoever holds the result token of the project a mask \
             that tells which places match."
        }
    };
    let end = match deleted_at {
        Some(time) => {
            format!(
                "All of it is deleted with the project: when whoever holds the result token does so, and at {time} at the latest."
            )
        }
        None => "All of it is deleted with the project, when whoever holds the result token does so.".into(),
    };
    format!(
        "The encodings are stored, and compared with those of the other parties. The service hands the encodings out to \
         nobody. {result} {end}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use serde_json::json;

    fn project(spec: Value, parties: Value) -> LinkageProject {
        let mut whole =
            json!({"resultType": "Groups", "parties": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
        whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject",
            "metadata": {"name": "p", "creationTimestamp": "2030-01-01T00:00:00Z"},
            "spec": whole, "status": {"parties": parties}
        }))
        .unwrap()
    }

    fn told(project: &LinkageProject, party: &str) -> Value {
        let schema = RawValue::from_string("{}".into()).unwrap();
        serde_json::to_value(invitation(project, party, schema)).unwrap()
    }

    #[test]
    fn the_time_of_deletion_is_told_if_there_is_one() {
        let kept = told(&project(json!({}), json!([])), "a");
        assert_eq!(kept.get("deleted_at"), None);
        assert!(kept["use_of_data"].as_str().unwrap().contains("deleted with the project"));
        let ends = told(&project(json!({"retention": {"secondsAfterCreation": 86_400}}), json!([])), "a");
        let time = ends["deleted_at"].as_str().unwrap();
        assert!(time.starts_with("2030-01-02T00:00:00"), "{time}");
        assert!(ends["use_of_data"].as_str().unwrap().contains(time));
        let never = project(json!({"retention": {"secondsAfterCreation": i64::MAX}}), json!([]));
        assert_eq!(told(&never, "a").get("deleted_at"), None);
    }

    #[test]
    fn each_result_type_says_what_happens_with_the_data() {
        for (spec, words) in [
            (json!({}), "groups"),
            (json!({"resultType": "SimilarityScores"}), "similarity"),
            (json!({"resultType": "Permutations"}), "a mask that tells"),
        ] {
            let told = told(&project(spec, json!([])), "a")["use_of_data"].clone();
            assert!(told.as_str().unwrap().contains(words), "{told}");
        }
    }

    #[test]
    fn nothing_of_another_party_is_told() {
        let parties = json!([
            {"name": "a", "state": "Contributed", "records": 77_001, "encodingBytes": 128, "blake3": "aa",
                "encodings": "projects/x/1/a/encodings"},
            {"name": "b", "state": "Rejected", "reason": "EncodingSizeMismatch", "message": "the encodings of party b have \
                512 bits, but those that party a contributed have 1024; encode with the same schema"},
            {"name": "c", "state": "Waiting", "reason": "MalformedJson", "message": "line 77002"},
        ]);
        let project = project(json!({}), parties);
        let [a, b, c] = ["a", "b", "c"].map(|party| told(&project, party));
        assert_eq!((&a["party"]["records"], &a["party"]["state"]), (&json!(77_001), &json!("contributed")));
        assert_eq!(
            (&b["party"]["reason"], &b["party"]["state"]),
            (&json!("EncodingSizeMismatch"), &json!("rejected"))
        );
        assert_eq!(c["party"]["message"], "line 77002");
        for (text, foreign) in [
            (a.to_string(), &["512", "77002", "party b", "party c"][..]),
            (b.to_string(), &["1024", "77001", "77002", "party a ", "\"aa\""]),
            (c.to_string(), &["512", "1024", "77001", "party a ", "party b"]),
        ] {
            for foreign in foreign {
                assert!(!text.contains(foreign), "{foreign} in {text}");
            }
            assert!(!text.contains("projects/x"), "no key of the store: {text}");
        }
    }
}
