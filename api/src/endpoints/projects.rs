//! Projects: listed, created, described, deleted.

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use crds::tokens::Role;
use crds::{
    Blocking, Encoding, FINALIZER, LinkageProject, LinkageProjectSpec, Party, PartyState, PartyStatus,
    ResultType, labels,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, Project, ProjectPath};
use crate::access::audit::{self, Action, Actor};
use crate::access::auth::ReadRight;
use crate::access::who::{Owner, Reader, Who};
use crate::content::text::{self, time};
use crate::document::parameters::Packed;
use crate::document::problems::{BodyProblems, ServiceProblems, TokenProblems};
use crate::document::values::{Name, Token};
use crate::endpoints::mask_key::{self, PaillierContext, PaillierKey};
use crate::error::Error;
use crate::limits::body::Json;

/// Most parties of a project, as the resource allows it.
const MAX_PARTIES: i64 = 64;
/// Bits that `spec.encoding.bits` may have, as the resource allows it; in steps of 64.
const BITS: std::ops::RangeInclusive<i64> = 64..=8192;

/// What a project hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultKind {
    /// Groups of records that belong to one person.
    Groups,
    /// All pairs at or above the threshold, with their scores.
    SimilarityScores,
    /// A permutation per party, and a mask.
    Permutations,
}

impl From<ResultType> for ResultKind {
    fn from(result_type: ResultType) -> Self {
        match result_type {
            ResultType::Groups => Self::Groups,
            ResultType::SimilarityScores => Self::SimilarityScores,
            ResultType::Permutations => Self::Permutations,
        }
    }
}

impl From<ResultKind> for ResultType {
    fn from(kind: ResultKind) -> Self {
        match kind {
            ResultKind::Groups => Self::Groups,
            ResultKind::SimilarityScores => Self::SimilarityScores,
            ResultKind::Permutations => Self::Permutations,
        }
    }
}

/// One project of the list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedProject {
    #[schema(value_type = Name)]
    project_id: String,
    /// When it was created: ISO 8601, UTC.
    #[schema(value_type = String, format = DateTime)]
    time_added: Option<String>,
}

/// A project to create.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({"schema": {"clkConfig": {"l": 1024}}, "result_type": "groups", "name": "two hospitals"})))]
pub struct NewProject {
    /// The linkage schema by which all parties encode; `clkConfig.l` fixes the bits of an encoding.
    schema: Map<String, Value>,
    result_type: ResultKind,
    /// 2 unless given; more than 2 only for groups.
    #[serde(default, deserialize_with = "text::whole_number")]
    #[schema(minimum = 2, maximum = 64, default = 2)]
    number_parties: Option<i64>,
    /// Whether only records that share a block are compared. Then every party uploads blocks.
    #[schema(default = false)]
    uses_blocking: Option<bool>,
    /// For permutations: the mask is then handed out encrypted under this key, to the parties too.
    #[schema(nullable)]
    public_key: Option<PaillierKey>,
    /// How numbers are encoded before they are encrypted: may be left out, as it can only be this.
    #[schema(nullable)]
    paillier_context: Option<PaillierContext>,
    /// What people call it.
    #[schema(max_length = 1024, default = "")]
    name: Option<String>,
    /// What else is to be known of it.
    #[schema(max_length = 10240, default = "")]
    notes: Option<String>,
}

/// A project that was created. The tokens are shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedProject {
    #[schema(value_type = Name)]
    project_id: String,
    /// One per party, in the order of the parties.
    #[schema(value_type = Vec<Token>, min_items = 2, max_items = 64)]
    update_tokens: Vec<String>,
    /// For creating runs, reading results, and deleting the project.
    #[schema(value_type = Token)]
    result_token: String,
}

/// A project.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProjectDescription {
    #[schema(value_type = Name)]
    project_id: String,
    #[schema(max_length = 1024)]
    name: String,
    #[schema(max_length = 10240)]
    notes: String,
    /// The linkage schema by which all parties encode; empty if none is given.
    schema: Map<String, Value>,
    result_type: ResultKind,
    #[schema(minimum = 2, maximum = 64)]
    number_parties: usize,
    /// How many parties have uploaded data that can be linked.
    #[schema(minimum = 0, maximum = 64)]
    parties_contributed: usize,
    /// Whether some party's data cannot be linked, so that it must contribute again.
    error: bool,
    /// With an error: whose data cannot be linked, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<String>,
    /// Whether only records that share a block are compared.
    uses_blocking: bool,
    /// Who contributes, in the order of the parties.
    #[schema(min_items = 2, max_items = 64)]
    parties: Vec<PartyDescription>,
    /// The key under which the mask is encrypted, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    public_key: Option<PaillierKey>,
}

/// A party of a project, and how far its data is.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartyDescription {
    /// Unique in the project.
    #[schema(min_length = 1, max_length = 63)]
    name: String,
    state: DataState,
    /// Records that can be linked. To the holder of a receipt token only its own party's are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    records: Option<i64>,
    /// When its data was accepted: ISO 8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_contributed: Option<String>,
    /// Why its data, or its last upload, was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<String>,
}

/// How far a party's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataState {
    /// Nothing is there yet.
    Waiting,
    /// It is being read from the store.
    Ingesting,
    /// It can be linked.
    Contributed,
    /// It cannot be linked; the party may contribute again.
    Rejected,
}

impl From<PartyState> for DataState {
    fn from(state: PartyState) -> Self {
        match state {
            PartyState::Waiting => Self::Waiting,
            PartyState::Ingesting => Self::Ingesting,
            PartyState::Contributed => Self::Contributed,
            PartyState::Rejected => Self::Rejected,
        }
    }
}

/// All projects, oldest first.
#[utoipa::path(get, path = "/projects", tag = "projects", operation_id = "list_projects", responses(
    ServiceProblems,
    (status = 200, description = "All projects, oldest first", body = Vec<ListedProject>)))]
pub async fn list(State(app): State<Arc<App>>) -> Result<JsonAnswer<Vec<ListedProject>>, Error> {
    let projects = app.cluster.projects().await?;
    let listed = projects.into_iter().map(|project| ListedProject {
        project_id: project.name.unwrap_or_default(),
        time_added: project.creation_timestamp.as_ref().map(time),
    });
    Ok(JsonAnswer(listed.collect()))
}

/// Creates a project and its tokens.
#[utoipa::path(post, path = "/projects", tag = "projects", operation_id = "create_project",
    params(Packed), request_body = NewProject,
    responses(BodyProblems, ServiceProblems,
        (status = 201, description = "The project and its tokens, which are shown this once", body = CreatedProject,
            links(
                ("describe" = (operation_id = "describe_project", parameters(("project_id" = "$response.body#/project_id")))),
                ("list_runs" = (operation_id = "list_runs", parameters(("project_id" = "$response.body#/project_id")))),
                ("create_run" = (operation_id = "create_run", parameters(("project_id" = "$response.body#/project_id")))),
                ("upload" = (operation_id = "upload_json", parameters(("project_id" = "$response.body#/project_id")))),
                ("upload_binary" = (operation_id = "upload_binary", parameters(("project_id" = "$response.body#/project_id")))),
                ("delete" = (operation_id = "delete_project", parameters(("project_id" = "$response.body#/project_id"))))))))]
pub async fn create(
    State(app): State<Arc<App>>,
    Json(wanted): Json<NewProject>,
) -> Result<(StatusCode, JsonAnswer<CreatedProject>), Error> {
    let project = app.cluster.create_project(&wanted.into_resource()?).await?;
    audit::record(Actor::Anyone, Action::CreateProject, &project, None);
    let parties = project.spec.parties.iter();
    let created = CreatedProject {
        project_id: project.metadata.name.clone().unwrap_or_default(),
        update_tokens: parties.map(|party| app.judge.token(&project, Role::Update(&party.name))).collect(),
        result_token: app.judge.token(&project, Role::Result),
    };
    Ok((StatusCode::CREATED, JsonAnswer(created)))
}

/// Describes a project.
#[utoipa::path(get, path = "/projects/{project_id}", tag = "projects", operation_id = "describe_project",
    params(ProjectPath), security(("result_token" = []), ("receipt_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 200, description = "The project", body = ProjectDescription)))]
pub async fn describe(
    Allowed { who: Reader(right), project, .. }: Allowed<Reader, Project>,
) -> JsonAnswer<ProjectDescription> {
    JsonAnswer(description(&project, &right))
}

/// Deletes a project with its runs and all its data.
#[utoipa::path(delete, path = "/projects/{project_id}", tag = "projects", operation_id = "delete_project",
    params(ProjectPath), security(("result_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 204, description = "It is being deleted. From now on all about it is 403")))]
pub async fn delete(
    State(app): State<Arc<App>>,
    Allowed { who, project, .. }: Allowed<Owner, Project>,
) -> Result<StatusCode, Error> {
    if !app.cluster.delete_project(&project).await? {
        return Err(Error::Forbidden);
    }
    audit::record(who.actor(), Action::DeleteProject, &project, None);
    Ok(StatusCode::NO_CONTENT)
}

/// What the status says of a party; none before anything is known of it.
pub fn party_status<'p>(project: &'p LinkageProject, party: &str) -> Option<&'p PartyStatus> {
    project.status.as_ref()?.parties.iter().find(|entry| entry.name == party)
}

/// How many parties have contributed.
pub fn contributed(project: &LinkageProject) -> usize {
    in_state(project, PartyState::Contributed).count()
}

/// Whose data cannot be linked, and why; none if there is no such party.
pub fn rejection(project: &LinkageProject) -> Option<String> {
    let why = |entry: &PartyStatus| entry.message.clone().unwrap_or_else(|| format!("party {}", entry.name));
    let reasons: Vec<_> = in_state(project, PartyState::Rejected).map(why).collect();
    if reasons.is_empty() { None } else { Some(reasons.join("; ")) }
}

fn in_state(project: &LinkageProject, state: PartyState) -> impl Iterator<Item = &PartyStatus> {
    let parties = project.spec.parties.iter().filter_map(|party| party_status(project, &party.name));
    parties.filter(move |entry| entry.state == state)
}

fn description(project: &LinkageProject, right: &ReadRight) -> ProjectDescription {
    let message = rejection(project);
    let parties = project.spec.parties.iter().map(|party| {
        // permutations tell a party nothing of another's data
        let knows_records = !matches!(right, ReadRight::Receipt(own) if *own != party.name);
        party_description(&party.name, party_status(project, &party.name), knows_records)
    });
    ProjectDescription {
        number_parties: project.spec.parties.len(),
        parties_contributed: contributed(project),
        error: message.is_some(),
        message,
        project_id: project.metadata.name.clone().unwrap_or_default(),
        name: project.spec.title.clone(),
        notes: project.spec.notes.clone(),
        schema: project.spec.encoding.as_ref().map(|encoding| encoding.schema.clone()).unwrap_or_default(),
        result_type: project.spec.result_type.into(),
        uses_blocking: project.spec.blocking == Blocking::ByBlockId,
        parties: parties.collect(),
        public_key: project.spec.paillier_public_key.clone().map(PaillierKey::from),
    }
}

fn party_description(name: &str, status: Option<&PartyStatus>, knows_records: bool) -> PartyDescription {
    let contributed = status.filter(|status| status.state == PartyState::Contributed);
    PartyDescription {
        name: name.to_owned(),
        state: status.map_or(PartyState::Waiting, |status| status.state).into(),
        records: contributed.and_then(|status| status.records).filter(|_| knows_records),
        time_contributed: contributed.and_then(|status| status.contributed_at.as_ref()).map(time),
        message: status.and_then(|status| status.message.clone()).filter(|_| contributed.is_none()),
    }
}

impl NewProject {
    /// The resource; its parties are called `party-1`, `party-2`, …
    fn into_resource(self) -> Result<LinkageProject, Error> {
        let parties = self.number_parties.unwrap_or(2);
        if !(2..=MAX_PARTIES).contains(&parties) {
            return Err(Error::Invalid(format!(
                "number_parties is {parties}; it must be 2 to {MAX_PARTIES}"
            )));
        }
        if parties != 2 && self.result_type != ResultKind::Groups {
            return Err(Error::Invalid(format!(
                "number_parties is {parties}; more than 2 are possible with result_type groups only"
            )));
        }
        let permutes = self.result_type == ResultKind::Permutations;
        let paillier_public_key = mask_key::resource(self.public_key, self.paillier_context, permutes)?;
        let spec = LinkageProjectSpec {
            paillier_public_key,
            title: text::name(self.name)?,
            notes: text::notes(self.notes)?,
            result_type: self.result_type.into(),
            parties: (1..=parties).map(|n| Party { name: format!("party-{n}"), source: None }).collect(),
            blocking: if self.uses_blocking == Some(true) { Blocking::ByBlockId } else { Blocking::None },
            encoding: Some(Encoding { bits: bits(&self.schema), schema: self.schema }),
            token_generation: 1,
            retention: None,
        };
        let mut project = LinkageProject::new(&text::fresh_id(), spec);
        project.metadata.labels = Some([(labels::MANAGED_BY.into(), labels::API.into())].into());
        // from the first moment on: data may come, and the project be deleted, before the operator has seen it
        project.metadata.finalizers = Some(vec![FINALIZER.into()]);
        Ok(project)
    }
}

/// The bits of an encoding by the linkage schema, if it gives a length that is possible.
fn bits(schema: &Map<String, Value>) -> Option<i32> {
    let bits = schema.get("clkConfig")?.get("l")?.as_i64()?;
    if !BITS.contains(&bits) || bits % 64 != 0 {
        return None;
    }
    i32::try_from(bits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn resource(body: Value) -> Result<LinkageProject, String> {
        let wanted: NewProject = serde_json::from_value(body).map_err(|error| error.to_string())?;
        wanted.into_resource().map_err(|error| error.to_string())
    }

    #[test]
    fn the_least_request_is_enough() {
        let project = resource(json!({"schema": {}, "result_type": "groups"})).unwrap();
        assert_eq!(project.metadata.name.as_ref().unwrap().len(), 48);
        assert_eq!(project.metadata.labels.unwrap()[labels::MANAGED_BY], labels::API);
        let names: Vec<_> = project.spec.parties.iter().map(|party| party.name.as_str()).collect();
        assert_eq!(names, ["party-1", "party-2"]);
        assert_eq!(project.spec.blocking, Blocking::None);
    }

    #[test]
    fn everything_asked_for_is_kept() {
        let body = json!({
            "schema": {"clkConfig": {"l": 1024}, "features": [null]}, "result_type": "groups",
            "number_parties": 3, "uses_blocking": true, "name": "n", "notes": null
        });
        let spec = resource(body.clone()).unwrap().spec;
        assert_eq!((spec.parties.len(), spec.blocking), (3, Blocking::ByBlockId));
        assert_eq!((spec.title.as_str(), spec.notes.as_str()), ("n", ""));
        let encoding = spec.encoding.unwrap();
        assert_eq!(encoding.bits, Some(1024));
        assert_eq!(Value::Object(encoding.schema), body["schema"]);
    }

    #[test]
    fn a_length_that_cannot_be_fixes_nothing() {
        for l in [json!(0), json!(-64), json!(100), json!(8256), json!("1024"), json!(64.5), json!(null)] {
            let project =
                resource(json!({"schema": {"clkConfig": {"l": l}}, "result_type": "groups"})).unwrap();
            assert_eq!(project.spec.encoding.unwrap().bits, None, "{l}");
        }
        assert_eq!(bits(json!({"clkConfig": [1]}).as_object().unwrap()), None);
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_reason() {
        let refused = [
            (json!({"result_type": "groups"}), "schema"),
            (json!({"schema": {}}), "result_type"),
            (json!({"schema": "x", "result_type": "groups"}), "map"),
            (json!({"schema": {}, "result_type": "mapping"}), "groups"),
            (json!({"schema": {}, "result_type": "groups", "number_parties": 1}), "number_parties is 1"),
            (json!({"schema": {}, "result_type": "groups", "number_parties": -5}), "number_parties"),
            (json!({"schema": {}, "result_type": "groups", "number_parties": 65}), "number_parties"),
            (json!({"schema": {}, "result_type": "groups", "number_parties": "2"}), "a whole number"),
            (json!({"schema": {}, "result_type": "groups", "number_parties": 2.5}), "a whole number"),
            (json!({"schema": {}, "result_type": "groups", "number_parties": 1e300}), "a whole number"),
            (json!({"schema": {}, "result_type": "permutations", "number_parties": 3}), "groups only"),
            (json!({"schema": {}, "result_type": "similarity_scores", "number_parties": 3}), "groups only"),
            (json!({"schema": {}, "result_type": "groups", "name": "x".repeat(1025)}), "name"),
            (json!({"schema": {}, "result_type": "groups", "notes": 5}), "string"),
            (json!([]), "expected"),
        ];
        for (body, reason) in refused {
            let error = resource(body.clone()).unwrap_err();
            assert!(error.contains(reason), "{body}: {error}");
        }
    }

    #[test]
    fn a_rejected_party_shows_as_an_error() {
        let mut project =
            resource(json!({"schema": {"a": 1}, "result_type": "groups", "name": "n"})).unwrap();
        let before = serde_json::to_value(description(&project, &ReadRight::Result)).unwrap();
        let waiting = |name| json!({"name": name, "state": "waiting"});
        let expected = json!({
            "project_id": project.metadata.name, "name": "n", "notes": "", "schema": {"a": 1},
            "result_type": "groups", "number_parties": 2, "parties_contributed": 0, "error": false,
            "uses_blocking": false,
            "parties": [waiting("party-1"), waiting("party-2")]
        });
        assert_eq!(before, expected);
        let party = |name: &str, state| PartyStatus {
            name: name.into(),
            state,
            message: Some("128 bits are too few".into()),
            ..PartyStatus::default()
        };
        project.status.get_or_insert_default().parties =
            vec![party("party-2", PartyState::Rejected), party("party-1", PartyState::Contributed)];
        let after = serde_json::to_value(description(&project, &ReadRight::Result)).unwrap();
        assert_eq!((&after["error"], &after["parties_contributed"]), (&json!(true), &json!(1)));
        assert_eq!(after["message"], "128 bits are too few");
    }
}
