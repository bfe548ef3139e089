//! Projects: listed, created, described, deleted.

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::StatusCode;
use crds::tokens::Role;
use crds::{
    Blocking, FINALIZER, LinkageProject, LinkageProjectSpec, Party, PartyState, PartyStatus, ResultType,
    contribution, labels,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, Project, ProjectPath};
use crate::access::audit::{self, Action, Actor};
use crate::access::auth::ReadRight;
use crate::access::caller;
use crate::access::creation::Creator;
use crate::access::who::{Owner, Reader, Someone, Who};
use crate::content::pages::{Page, PageOf, Place};
use crate::content::schema::{self, Schema};
use crate::content::text::{self, time};
use crate::document::parameters::Packed;
use crate::document::problems::{BodyProblems, PageProblems, ServiceProblems, TokenProblems, UploadProblems};
use crate::document::values::{Name, Token};
use crate::endpoints::mask_key::{self, PaillierContext, PaillierKey};
use crate::endpoints::webhook;
use crate::error::Error;
use crate::kubernetes::cluster::Kind;
use crate::limits::body::Json;
use crate::limits::lifetimes::{self, Lifetimes};
use crate::limits::quotas::Wanted;

/// Most parties of a project, as the resource allows it.
const MAX_PARTIES: i64 = 64;

/// What a party is told when another's data cannot be linked.
const OTHER_REJECTED: &str = "another party's data cannot be linked; that party must contribute again";
/// What a party is told of its own data, where nothing else was said.
const OWN_REJECTED: &str = "this party's data cannot be linked; it must contribute again";

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
    #[schema(value_type = Map<String, Value>)]
    schema: Box<RawValue>,
    result_type: ResultKind,
    /// 2 unless given; exactly 2 for permutations.
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
    /// How many seconds after its creation the project is deleted by itself, with all its data, runs and results: 60 or
    /// more, or 0 for never. By default as the installation says; the answer tells.
    #[serde(default, deserialize_with = "text::whole_number")]
    #[schema(minimum = 0)]
    retention_seconds: Option<i64>,
    /// After how many seconds the tokens open nothing any more: 60 or more, or 0 for never.
    #[serde(default, deserialize_with = "text::whole_number")]
    #[schema(minimum = 0, default = 0)]
    token_lifetime_seconds: Option<i64>,
    /// What people call it.
    #[schema(max_length = 1024, default = "")]
    name: Option<String>,
    /// What else is to be known of it.
    #[schema(max_length = 10240, default = "")]
    notes: Option<String>,
    /// Where to send news: that a party has contributed, that a run has ended. It must be an address that the
    /// administrator allows.
    #[schema(max_length = 2048, nullable, format = "uri")]
    webhook_url: Option<String>,
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
    /// When the project is deleted by itself, with all its data, runs and results: ISO 8601, UTC. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_expires: Option<String>,
    /// From when on the tokens open nothing any more: ISO 8601, UTC. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_tokens_expire: Option<String>,
    /// By which what is sent to `webhook_url` is signed; `GET …/webhook` tells it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^whsec_[A-Za-z0-9+/]{43}=$")]
    webhook_secret: Option<String>,
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
    #[schema(value_type = Map<String, Value>)]
    schema: Box<RawValue>,
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
    /// Who contributes, in the order of the parties. The holder of a receipt token is told of its own party alone.
    #[schema(min_items = 1, max_items = 64)]
    parties: Vec<PartyDescription>,
    /// The key under which the mask is encrypted, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    public_key: Option<PaillierKey>,
    /// When the project is deleted by itself, with all its data, runs and results: ISO 8601, UTC. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_expires: Option<String>,
    /// From when on the tokens that may read this open nothing any more: ISO 8601, UTC. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_tokens_expire: Option<String>,
}

/// A party of a project, and how far its data is.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartyDescription {
    /// Unique in the project.
    #[schema(min_length = 1, max_length = 63)]
    name: String,
    state: DataState,
    /// Records that can be linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    records: Option<i64>,
    /// When its data was accepted: ISO 8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = DateTime)]
    time_contributed: Option<String>,
    /// Why its data, or its last upload, was refused; or what of its data was not used. The latter is told to the holder of a
    /// receipt token of its own party alone.
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

/// The projects that the caller may see, oldest first: those that the token is for, or all for users of the cluster who may list
/// them. Without a token there are none, unless the administrator lets everybody see all.
#[utoipa::path(get, path = "/projects", tag = "projects", operation_id = "list_projects",
    security((), ("result_token" = []), ("update_token" = []), ("receipt_token" = [])), params(PageOf),
    responses(PageProblems, ServiceProblems,
        (status = 200, description = "The projects, oldest first", body = Vec<ListedProject>,
            headers(("Link" = String, description = "With `limit` or `cursor`: where the next page is, if there is one")))))]
pub async fn list(
    State(app): State<Arc<App>>,
    someone: Result<Someone, Error>,
    page: PageOf,
) -> Result<Page<ListedProject>, Error> {
    let projects = match someone {
        _ if app.lists_all_projects => app.cluster.projects().await?,
        Ok(someone) => seen_by(&app, someone).await?,
        Err(_) => Vec::new(),
    };
    let name = |project: &ObjectMeta| project.name.clone().unwrap_or_default();
    let place = |project: &ObjectMeta| Place::new(project.creation_timestamp.as_ref(), &name(project));
    page.of(&projects, place, |project| ListedProject {
        project_id: name(project),
        time_added: project.creation_timestamp.as_ref().map(time),
    })
}

/// The projects that the holder of a token may see.
async fn seen_by(app: &App, someone: Someone) -> Result<Vec<ObjectMeta>, Error> {
    if someone.may_list_projects(app).await? {
        return app.cluster.projects().await;
    }
    let judge = app.judge.clone();
    let _one_at_a_time = app.searches.lock().await;
    let seen = app.cluster.projects_where(move |project| judge.opens(project, someone.token())).await?;
    match seen.is_empty() {
        true => caller::refused(),
        false => caller::verified(),
    }
    Ok(seen)
}

/// Creates a project and its tokens. Who may do so, and how many there may be, is up to the administrator.
#[utoipa::path(post, path = "/projects", tag = "projects", operation_id = "create_project",
    params(Packed), request_body = NewProject,
    responses(TokenProblems, BodyProblems, ServiceProblems, UploadProblems,
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
    creator: Creator,
    Json(wanted): Json<NewProject>,
) -> Result<(StatusCode, JsonAnswer<CreatedProject>), Error> {
    let webhook = webhook::wanted(&app, wanted.webhook_url.as_deref())?;
    let (mut project, schema) = wanted.into_resource(&app.lifetimes)?;
    project.spec.webhook = webhook;
    let bytes = schema.bytes() + project.spec.title.len() + project.spec.notes.len();
    let address = caller::current().and_then(|caller| caller.address);
    let metadata = &mut project.metadata;
    app.ledger.enter(&app.cluster, Wanted { metadata, project: None, bytes, address }).await?;
    let name = project.metadata.name.clone().unwrap_or_default();
    let project =
        app.cluster.create_project(&project).await.inspect_err(|_| app.ledger.leave(Kind::Project, &name))?;
    if let Err(error) = schema.store(&app, &project).await {
        // nobody has its tokens
        app.cluster.delete_project(&project).await?;
        return Err(error);
    }
    audit::record(Actor::from(&creator), Action::CreateProject, &project, None);
    let parties = project.spec.parties.iter();
    let created = CreatedProject {
        project_id: project.metadata.name.clone().unwrap_or_default(),
        update_tokens: parties.map(|party| app.judge.token(&project, Role::Update(&party.name))).collect(),
        result_token: app.judge.token(&project, Role::Result),
        time_expires: time_expires(&project),
        time_tokens_expire: time_tokens_expire(&project, Role::Result),
        webhook_secret: webhook::secret(&app, &project),
    };
    Ok((StatusCode::CREATED, JsonAnswer(created)))
}

/// Describes a project.
#[utoipa::path(get, path = "/projects/{project_id}", tag = "projects", operation_id = "describe_project",
    params(ProjectPath), security(("result_token" = []), ("receipt_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 200, description = "The project", body = ProjectDescription)))]
pub async fn describe(
    State(app): State<Arc<App>>,
    Allowed { who: Reader(right), project, .. }: Allowed<Reader, Project>,
) -> Result<JsonAnswer<ProjectDescription>, Error> {
    // the copies that are read elsewhere lack the texts
    let latest = app.cluster.latest_project(project.metadata.name.as_deref().unwrap_or_default()).await?;
    let latest =
        latest.filter(|latest| latest.metadata.uid == project.metadata.uid).ok_or(Error::Forbidden)?;
    let schema = schema::of(&app, &latest).await?;
    Ok(JsonAnswer(description(&latest, &right, schema)))
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

/// What a right may know of whose data cannot be linked, and why: a party learns nothing of another's.
pub fn rejection_for(project: &LinkageProject, right: &ReadRight) -> Option<String> {
    let ReadRight::Receipt(own) = right else { return rejection(project) };
    let own_entry = in_state(project, PartyState::Rejected).find(|entry| entry.name == *own);
    match own_entry {
        Some(entry) => Some(contribution::message_to_party(entry).unwrap_or_else(|| OWN_REJECTED.into())),
        None => rejection(project).map(|_| OTHER_REJECTED.into()),
    }
}

fn in_state(project: &LinkageProject, state: PartyState) -> impl Iterator<Item = &PartyStatus> {
    let parties = project.spec.parties.iter().filter_map(|party| party_status(project, &party.name));
    parties.filter(move |entry| entry.state == state)
}

fn description(project: &LinkageProject, right: &ReadRight, schema: Box<RawValue>) -> ProjectDescription {
    let message = rejection_for(project, right);
    // a party learns nothing of another's data
    let is_told = |party: &&Party| !matches!(right, ReadRight::Receipt(own) if *own != party.name);
    let parties = project.spec.parties.iter().filter(is_told);
    let parties = parties.map(|party| party_description(&party.name, party_status(project, &party.name)));
    ProjectDescription {
        number_parties: project.spec.parties.len(),
        parties_contributed: contributed(project),
        error: message.is_some(),
        message,
        project_id: project.metadata.name.clone().unwrap_or_default(),
        name: project.spec.title.clone(),
        notes: project.spec.notes.clone(),
        schema,
        result_type: project.spec.result_type.into(),
        uses_blocking: project.spec.blocking == Blocking::ByBlockId,
        parties: parties.collect(),
        public_key: project.spec.paillier_public_key.clone().map(PaillierKey::from),
        time_expires: time_expires(project),
        time_tokens_expire: time_tokens_expire(project, role(right)),
    }
}

/// The role of the token that a right comes of; that of a user of the cluster is the owner's.
fn role(right: &ReadRight) -> Role<'_> {
    match right {
        ReadRight::Receipt(party) => Role::Receipt(party),
        ReadRight::Result | ReadRight::User(_) => Role::Result,
    }
}

/// When a project is deleted by itself.
pub fn time_expires(project: &LinkageProject) -> Option<String> {
    let seconds = project.spec.retention.as_ref()?.seconds_after_creation;
    lifetimes::after(project.metadata.creation_timestamp.as_ref()?, seconds).as_ref().map(time)
}

/// From when on the token of a role opens nothing any more.
pub fn time_tokens_expire(project: &LinkageProject, role: Role<'_>) -> Option<String> {
    crds::tokens::expiry(&project.spec, role).map(Time).as_ref().map(time)
}

fn party_description(name: &str, status: Option<&PartyStatus>) -> PartyDescription {
    let contributed = status.filter(|status| status.state == PartyState::Contributed);
    PartyDescription {
        name: name.to_owned(),
        state: status.map_or(PartyState::Waiting, |status| status.state).into(),
        records: contributed.and_then(|status| status.records),
        time_contributed: contributed.and_then(|status| status.contributed_at.as_ref()).map(time),
        message: status.and_then(|status| status.message.clone()),
    }
}

impl NewProject {
    /// The resource and its schema; its parties are called `party-1`, `party-2`, …
    fn into_resource(self, lifetimes: &Lifetimes) -> Result<(LinkageProject, Schema), Error> {
        let parties = self.number_parties.unwrap_or(2);
        if !(2..=MAX_PARTIES).contains(&parties) {
            return Err(Error::Invalid(format!(
                "number_parties is {parties}; it must be 2 to {MAX_PARTIES}"
            )));
        }
        if parties != 2 && self.result_type == ResultKind::Permutations {
            return Err(Error::Invalid(format!(
                "number_parties is {parties}; permutations are for exactly 2 parties, so use result_type groups or \
                 similarity_scores for more"
            )));
        }
        let permutes = self.result_type == ResultKind::Permutations;
        let paillier_public_key = mask_key::resource(self.public_key, self.paillier_context, permutes)?;
        let schema = Schema::new(self.schema)?;
        let spec = LinkageProjectSpec {
            paillier_public_key,
            title: text::name(self.name)?,
            notes: text::notes(self.notes)?,
            result_type: self.result_type.into(),
            parties: (1..=parties).map(|n| Party::new(format!("party-{n}"))).collect(),
            blocking: if self.uses_blocking == Some(true) { Blocking::ByBlockId } else { Blocking::None },
            encoding: Some(schema.encoding()?),
            token_generation: 1,
            tokens_expire_at: lifetimes::expiry(self.token_lifetime_seconds)?,
            retention: lifetimes.retention(self.retention_seconds)?,
            webhook: None,
        };
        let mut project = LinkageProject::new(&text::fresh_id(), spec);
        project.metadata.labels = Some([(labels::MANAGED_BY.into(), labels::API.into())].into());
        // from the first moment on: data may come, and the project be deleted, before the operator has seen it
        project.metadata.finalizers = Some(vec![FINALIZER.into()]);
        Ok((project, schema))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn resource(body: Value) -> Result<LinkageProject, String> {
        let wanted: NewProject =
            serde_json::from_str(&body.to_string()).map_err(|error| error.to_string())?;
        let resource = wanted.into_resource(&Lifetimes::default());
        resource.map(|(project, _)| project).map_err(|error| error.to_string())
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
    fn groups_and_similarity_scores_are_for_any_number_of_parties() {
        for result_type in ["groups", "similarity_scores"] {
            for parties in [2, 3, 64] {
                let body = json!({"schema": {}, "result_type": result_type, "number_parties": parties});
                assert_eq!(resource(body).unwrap().spec.parties.len(), parties, "{result_type}");
            }
        }
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
            (json!({"schema": {}, "result_type": "permutations", "number_parties": 3}), "exactly 2"),
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
        let schema = || RawValue::from_string(r#"{"a":1}"#.into()).unwrap();
        let before = serde_json::from_str::<Value>(
            &serde_json::to_string(&description(&project, &ReadRight::Result, schema())).unwrap(),
        )
        .unwrap();
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
        let after = |right: &ReadRight| {
            serde_json::from_str::<Value>(
                &serde_json::to_string(&description(&project, right, schema())).unwrap(),
            )
            .unwrap()
        };
        let told = after(&ReadRight::Result);
        assert_eq!((&told["error"], &told["parties_contributed"]), (&json!(true), &json!(1)));
        assert_eq!(told["message"], "128 bits are too few");
        let other = after(&ReadRight::Receipt("party-1".into()));
        assert_eq!((&other["error"], &other["message"]), (&json!(true), &json!(OTHER_REJECTED)));
        assert_eq!(
            other["parties"],
            json!([{"name": "party-1", "state": "contributed", "message": "128 bits are too few"}])
        );
        let own = after(&ReadRight::Receipt("party-2".into()));
        assert_eq!(own["message"], "128 bits are too few");
    }
}
