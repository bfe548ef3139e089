//! Runs of a project: listed, created, described, deleted.

#![allow(unused_qualifications, reason = "those in what utoipa's macros write")]

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use crds::{
    AdditionalResult, FINALIZER, LinkageProject, LinkageRun, LinkageRunSpec, ProjectReference, RunReference,
    Solver, labels,
};
use kube::{Resource, ResourceExt};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, ProjectPath, Run, RunPath, Runs};
use crate::access::audit::{self, Action};
use crate::access::auth::ReadRight;
use crate::access::caller;
use crate::access::who::{Analyst, Owner, Participant, Who};
use crate::content::pages::{Page, PageOf, Place};
use crate::content::text::{self, time};
use crate::document::parameters::Packed;
use crate::document::problems::{BodyProblems, ServiceProblems, TokenProblems};
use crate::document::values::Name;
use crate::endpoints::changes::{self, KnownStatus, Wait};
use crate::endpoints::from_run;
use crate::endpoints::outputs::{self, Additional, Format};
use crate::endpoints::projects;
use crate::endpoints::run_status::{self, RunState, RunStatus};
use crate::endpoints::solver::RunSolver;
use crate::error::{Error, Problem};
use crate::kubernetes::cluster::Kind;
use crate::limits::body::Json;
use crate::limits::lifetimes::Lifetimes;
use crate::limits::quotas::Wanted;

/// One run of the list.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedRun {
    #[schema(value_type = Name)]
    run_id: String,
    /// When it was created: ISO 8601, UTC.
    #[schema(value_type = String, format = DateTime)]
    time_added: Option<String>,
    state: RunState,
}

/// A run to create.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({"threshold": 0.8, "name": "two hospitals at .8"})))]
pub struct NewRun {
    /// Pairs with a Dice similarity at or above this are kept: above 0, at most 1.
    #[schema(exclusive_minimum = 0.0, maximum = 1.0)]
    threshold: f64,
    /// An earlier run of the same project, whose scored pairs are used again instead of comparing the records anew:
    /// its threshold must be this one's or lower.
    #[schema(value_type = Option<Name>)]
    from_run: Option<String>,
    /// How groups are formed; by default as anonlink forms them.
    solver: Option<RunSolver>,
    /// How the result is written; all formats, unless some are named. `json` is written in any case.
    #[schema(min_items = 1, max_items = 16)]
    formats: Option<Vec<Format>>,
    /// What is written beside the result, for `…/similarity-scores`. Never with result type `permutations`.
    #[serde(default)]
    #[schema(max_items = 16)]
    additional_results: Vec<Additional>,
    /// How many seconds after its end the run is deleted by itself, with its result: 60 or more, or 0 for never. By default as
    /// the installation says; the answer tells. With its project it goes in any case.
    #[serde(default, deserialize_with = "text::whole_number")]
    #[schema(minimum = 0)]
    ttl_seconds: Option<i64>,
    /// What people call it.
    #[schema(max_length = 1024, default = "")]
    name: Option<String>,
    /// What else is to be known of it.
    #[schema(max_length = 10240, default = "")]
    notes: Option<String>,
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunDescription {
    #[schema(value_type = Name)]
    run_id: String,
    /// Pairs with a Dice similarity at or above this are kept.
    #[schema(exclusive_minimum = 0.0, maximum = 1.0)]
    threshold: f64,
    /// The run whose scored pairs are used, if it is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Name>, nullable = false)]
    from_run: Option<String>,
    /// How groups are formed, if the run was created with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    solver: Option<RunSolver>,
    /// How its result is written, if it says so; else in all formats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    formats: Option<Vec<Format>>,
    /// What is written beside its result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    additional_results: Vec<Additional>,
    /// How many seconds after its end it is deleted by itself, with its result. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0)]
    ttl_seconds: Option<i64>,
    #[schema(max_length = 1024)]
    name: String,
    #[schema(max_length = 10240)]
    notes: String,
}

/// A project's runs, oldest first. A party sees those that link its data.
#[utoipa::path(get, path = "/projects/{project_id}/runs", tag = "runs", operation_id = "list_runs",
    params(ProjectPath, PageOf), security(("result_token" = []), ("update_token" = []), ("receipt_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 200, description = "The runs, oldest first", body = Vec<ListedRun>,
            headers(("Link" = String, description = "With `limit` or `cursor`: where the next page is, if there is one")))))]
pub async fn list(
    State(app): State<Arc<App>>,
    Allowed { who, project, .. }: Allowed<Participant, Runs>,
    page: PageOf,
) -> Result<Page<ListedRun>, Error> {
    let mut runs = app.cluster.runs_of(&project).await?;
    runs.retain(|run| concerns(run, &who.right));
    let place = |run: &Arc<LinkageRun>| Place::new(run.meta().creation_timestamp.as_ref(), &run.name_any());
    page.of(&runs, place, |run| ListedRun {
        run_id: run.name_any(),
        time_added: run.meta().creation_timestamp.as_ref().map(time),
        state: run_status::state_in(&project, run),
    })
}

/// Creates a run. It waits until all parties have contributed.
#[utoipa::path(post, path = "/projects/{project_id}/runs", tag = "runs", operation_id = "create_run",
    params(ProjectPath, Packed), security(("result_token" = [])), request_body = NewRun,
    responses(TokenProblems, BodyProblems, ServiceProblems,
        (status = 201, description = "The run", body = RunDescription, links(
            ("describe" = (operation_id = "describe_run", parameters(
                ("project_id" = "$request.path.project_id"), ("run_id" = "$response.body#/run_id")))),
            ("status" = (operation_id = "run_status", parameters(
                ("project_id" = "$request.path.project_id"), ("run_id" = "$response.body#/run_id")))),
            ("result" = (operation_id = "run_result", parameters(
                ("project_id" = "$request.path.project_id"), ("run_id" = "$response.body#/run_id")))),
            ("similarity_scores" = (operation_id = "run_similarity_scores", parameters(
                ("project_id" = "$request.path.project_id"), ("run_id" = "$response.body#/run_id")))),
            ("delete" = (operation_id = "delete_run", parameters(
                ("project_id" = "$request.path.project_id"), ("run_id" = "$response.body#/run_id")))))),
        (status = 500, body = Problem, content_type = "application/problem+json",
            description = "A party's data cannot be linked, and it must contribute again first; or the service failed")))]
pub async fn create(
    State(app): State<Arc<App>>,
    Allowed { who, project, .. }: Allowed<Owner, Runs>,
    Json(wanted): Json<NewRun>,
) -> Result<(StatusCode, JsonAnswer<RunDescription>), Error> {
    let mut run = wanted.into_resource(&project, &app.lifetimes)?;
    check(&project, &run.spec)?;
    from_run::check(&app, &project, &run).await?;
    if let Some(why) = projects::rejection(&project) {
        return Err(Error::PartyRejected(why));
    }
    let bytes = run.spec.title.len() + run.spec.notes.len();
    let address = caller::current().and_then(|caller| caller.address);
    let wanted =
        Wanted { metadata: &mut run.metadata, project: project.metadata.name.as_deref(), bytes, address };
    app.ledger.enter(&app.cluster, wanted).await?;
    let name = run.name_any();
    let run = app.cluster.create_run(&run).await.inspect_err(|_| app.ledger.leave(Kind::Run, &name))?;
    audit::record(who.actor(), Action::CreateRun, &project, run.metadata.name.as_deref());
    Ok((StatusCode::CREATED, JsonAnswer(description(&run))))
}

/// Describes a run.
#[utoipa::path(get, path = "/projects/{project_id}/runs/{run_id}", tag = "runs", operation_id = "describe_run",
    params(RunPath), security(("result_token" = [])),
    responses(TokenProblems, ServiceProblems, (status = 200, description = "The run", body = RunDescription)))]
pub async fn describe(
    State(app): State<Arc<App>>,
    Allowed { project, on: Run(run), .. }: Allowed<Analyst, Run>,
) -> Result<JsonAnswer<RunDescription>, Error> {
    // the copies that are read elsewhere lack the texts
    let run = app.cluster.latest_run(&project, &run.name_any()).await?.ok_or(Error::Forbidden)?;
    Ok(JsonAnswer(description(&run)))
}

/// Deletes a run with its result, also while it runs.
#[utoipa::path(delete, path = "/projects/{project_id}/runs/{run_id}", tag = "runs", operation_id = "delete_run",
    params(RunPath), security(("result_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 204, description = "It is being deleted. From now on all about it is 403")))]
pub async fn delete(
    State(app): State<Arc<App>>,
    Allowed { who, project, on: Run(run) }: Allowed<Owner, Run>,
) -> Result<StatusCode, Error> {
    if !app.cluster.delete_run(&run).await? {
        return Err(Error::Forbidden);
    }
    audit::record(who.actor(), Action::DeleteRun, &project, run.metadata.name.as_deref());
    Ok(StatusCode::NO_CONTENT)
}

/// How far a run is.
#[utoipa::path(get, path = "/projects/{project_id}/runs/{run_id}/status", tag = "runs", operation_id = "run_status",
    params(RunPath, Wait, KnownStatus),
    security(("result_token" = []), ("update_token" = []), ("receipt_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 200, description = "How far it is. No answer shows less than one before", body = RunStatus,
            headers(("ETag" = String, description = "With `wait`: for `If-None-Match` of the next request"))),
        (status = 304, description = "With `wait` and `If-None-Match`: it is still what the client knows")))]
pub async fn status(
    State(app): State<Arc<App>>,
    Allowed { who, project, on: Run(run) }: Allowed<Participant, Run>,
    wait: Wait,
    headers: HeaderMap,
) -> Result<Response, Error> {
    if !concerns(&run, &who.right) {
        return Err(Error::Forbidden);
    }
    match wait.time()? {
        None => Ok(JsonAnswer(run_status::describe(&project, &run, &who.right)).into_response()),
        Some(wait) => changes::status_when_changed(&app, &who, project, run, wait, &headers).await,
    }
}

/// Whether a run is any of the reader's business: to a party it is unless it links the data of others alone.
fn concerns(run: &LinkageRun, right: &ReadRight) -> bool {
    let ReadRight::Receipt(party) = right else { return true };
    let pinned = run.status.as_ref().and_then(|status| status.pinned.as_ref());
    pinned.is_none_or(|work| work.parties().contains(&party.as_str()))
}

/// Refuses a run that makes no sense for the project. It would fail in the operator too; but a client learns of it at once.
fn check(project: &LinkageProject, run: &LinkageRunSpec) -> Result<(), Error> {
    let refusals = [
        ("solver", Solver::refusal(&project.spec, run)),
        ("additional_results", AdditionalResult::refusal(&project.spec, run)),
    ];
    match refusals.into_iter().find_map(|(field, why)| Some((field, why?))) {
        None => Ok(()),
        Some((field, why)) => Err(Error::Invalid(format!("{field} cannot be used: {why}"))),
    }
}

fn description(run: &LinkageRun) -> RunDescription {
    RunDescription {
        run_id: run.name_any(),
        threshold: run.spec.threshold,
        from_run: run.spec.from_run.as_ref().map(|earlier| earlier.name.clone()),
        solver: run.spec.solver.map(RunSolver::from),
        formats: outputs::described(run.spec.formats.as_deref()),
        additional_results: run
            .spec
            .additional_results
            .iter()
            .map(|_| Additional::SimilarityScores)
            .collect(),
        ttl_seconds: run.spec.ttl_seconds_after_finished,
        name: run.spec.title.clone(),
        notes: run.spec.notes.clone(),
    }
}

impl NewRun {
    /// The resource, which goes when its project goes.
    fn into_resource(self, project: &LinkageProject, lifetimes: &Lifetimes) -> Result<LinkageRun, Error> {
        let threshold = self.threshold;
        if !(threshold > 0.0 && threshold <= 1.0) {
            return Err(Error::Invalid(format!(
                "threshold is {threshold}; it must be above 0 and at most 1"
            )));
        }
        let spec = LinkageRunSpec {
            project_ref: ProjectReference { name: project.name_any() },
            threshold,
            from_run: self.from_run.map(|name| RunReference { name }),
            solver: self.solver.map(RunSolver::into_resource).transpose()?,
            formats: outputs::formats(self.formats)?,
            additional_results: outputs::additional(&self.additional_results),
            title: text::name(self.name)?,
            notes: text::notes(self.notes)?,
            suspend: false,
            shards: None,
            resources: None,
            scheduling: None,
            active_deadline_seconds: None,
            ttl_seconds_after_finished: lifetimes.after_end(self.ttl_seconds)?,
        };
        let mut run = LinkageRun::new(&text::fresh_id(), spec);
        run.metadata.finalizers = Some(vec![FINALIZER.into()]);
        run.metadata.owner_references = project.owner_ref(&()).map(|owner| vec![owner]);
        run.metadata.labels = Some(
            [
                (labels::MANAGED_BY.to_owned(), labels::API.to_owned()),
                (labels::PROJECT.to_owned(), project.name_any()),
            ]
            .into(),
        );
        Ok(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn project() -> LinkageProject {
        serde_json::from_value(json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject",
            "metadata": {"name": "p", "uid": "u"},
            "spec": {"resultType": "Groups", "parties": [{"name": "a"}, {"name": "b"}]}
        }))
        .unwrap()
    }

    fn resource(body: Value) -> Result<LinkageRun, String> {
        let wanted: NewRun = serde_json::from_value(body).map_err(|error| error.to_string())?;
        wanted.into_resource(&project(), &Lifetimes::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_run_belongs_to_its_project() {
        let run = resource(json!({"threshold": 1, "name": "n", "notes": "m"})).unwrap();
        assert_eq!(run.spec.project_ref.name, "p");
        assert_eq!(run.labels()[labels::PROJECT], "p");
        assert_eq!(run.labels()[labels::MANAGED_BY], labels::API);
        assert_eq!(run.finalizers(), [FINALIZER]);
        let owner = &run.owner_references()[0];
        assert_eq!((owner.kind.as_str(), owner.uid.as_str()), ("LinkageProject", "u"));
        let described = serde_json::to_value(description(&run)).unwrap();
        let expected = json!({"run_id": run.name_any(), "threshold": 1.0, "name": "n", "notes": "m"});
        assert_eq!(described, expected);
    }

    #[test]
    fn formats_and_what_else_is_written_are_taken_over() {
        let asked = json!({"threshold": 1, "formats": ["parquet", "csv", "csv"], "additional_results": ["similarity_scores"]});
        let run = resource(asked).unwrap();
        let spec = serde_json::to_value(&run.spec).unwrap();
        assert_eq!(spec["formats"], json!(["CSV", "Parquet"]));
        assert_eq!(spec["additionalResults"], json!(["SimilarityScores"]));
        let described = serde_json::to_value(description(&run)).unwrap();
        assert_eq!(described["formats"], json!(["json", "csv", "parquet"]));
        assert_eq!(described["additional_results"], json!(["similarity_scores"]));
        for refused in
            [json!({"formats": []}), json!({"formats": ["xml"]}), json!({"additional_results": ["groups"]})]
        {
            let mut body = json!({"threshold": 1});
            body.as_object_mut().unwrap().extend(refused.as_object().unwrap().clone());
            assert!(resource(body).is_err(), "{refused}");
        }
        let mut project = project();
        project.spec.result_type = crds::ResultType::Permutations;
        let wanted = json!({"threshold": 1, "additional_results": ["similarity_scores"]});
        let wanted: NewRun = serde_json::from_value(wanted).unwrap();
        let run = wanted.into_resource(&project, &Lifetimes::default()).unwrap();
        let refused = check(&project, &run.spec).unwrap_err().to_string();
        assert!(refused.starts_with("additional_results") && refused.contains("Permutations"), "{refused}");
    }

    #[test]
    fn a_threshold_is_taken_over_to_the_last_bit() {
        let text = "0.9073038322028689"; // which a hasty reader takes for …88
        let body: NewRun = serde_json::from_str(&format!("{{\"threshold\": {text}}}")).unwrap();
        assert_eq!(
            body.into_resource(&project(), &Lifetimes::default()).unwrap().spec.threshold.to_string(),
            text
        );
    }

    #[test]
    fn a_threshold_that_cannot_be_is_refused() {
        for threshold in [json!(0), json!(-0.0), json!(1.000001), json!(-1e300), json!(1e308)] {
            let error = resource(json!({ "threshold": threshold })).unwrap_err();
            assert!(error.contains("above 0 and at most 1"), "{threshold}: {error}");
        }
        for threshold in [json!("0.8"), json!(null), json!(true), json!([0.8])] {
            assert!(resource(json!({ "threshold": threshold })).is_err(), "{threshold}");
        }
        assert!(resource(json!({})).unwrap_err().contains("threshold"));
        assert!(serde_json::from_str::<NewRun>(r#"{"threshold": 1e999}"#).is_err());
    }
}
