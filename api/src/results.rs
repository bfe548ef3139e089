//! Results of complete runs, streamed from the store as they lie there.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use crds::{LinkageRun, ResultType};
use scorer::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::audit::{self, Action};
use crate::auth::{self, ReadRight, Token};
use crate::body::JSON;
use crate::document::parameters::ByAddress;
use crate::document::problems::{ServiceProblems, TokenProblems};
use crate::document::results::RunResult;
use crate::error::{Error, Problem};
use crate::grants::{ObjectPlace, Right, TemporaryCredentials};
use crate::identity::Reading;
use crate::run_status::{self, RunState};
use crate::runs::RunPath;

/// With this header, whatever its value, similarity scores are answered with where to fetch them.
const RETURN_ADDRESS: HeaderName = HeaderName::from_static("return-object-store-address");

/// Where a result is in the store, and credentials for reading it there.
#[derive(Serialize, ToSchema)]
pub struct ResultAddress {
    credentials: TemporaryCredentials,
    object: ObjectPlace,
}

/// The result of a complete run.
///
/// Whether there is one is told before the token is judged.
#[utoipa::path(get, path = "/projects/{project_id}/runs/{run_id}/result", tag = "runs", operation_id = "run_result",
    params(RunPath, ByAddress), security(("result_token" = []), ("receipt_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 200, description = "The result, by the project's result type", body = RunResult),
        (status = 404, body = Problem, content_type = "application/problem+json",
            description = "The run is not complete"),
        (status = 500, body = Problem, content_type = "application/problem+json",
            description = "The run has failed; or the address was asked for, and handing it out is switched off in this \
                           installation; or the service failed")))]
pub async fn download(
    State(app): State<Arc<App>>,
    token: Token,
    headers: HeaderMap,
    path: RunPath,
) -> Result<Response, Error> {
    let project = app.cluster.project(&path.project_id).await?.ok_or(Error::Forbidden)?;
    let run = app.cluster.run(&project, &path.run_id).await?.ok_or(Error::Forbidden)?;
    // by contract the state is told before the token is judged
    match run_status::state(&run) {
        RunState::Completed => {}
        RunState::Error => return Err(Error::RunFailed),
        RunState::Created | RunState::Queued | RunState::Running => return Err(Error::NoResultYet),
    }
    let right = auth::read_right(&app, &project, &token, Reading::RunResult(&path.run_id)).await?;
    let key = key(&run, &object_name(project.spec.result_type, &right))?;
    let by_address =
        project.spec.result_type == ResultType::SimilarityScores && headers.contains_key(RETURN_ADDRESS);
    let (answer, action) = if by_address {
        (address(&app, &run, key).await?, Action::AuthorizeResult)
    } else {
        (stream(&app, key).await?, Action::ReadResult)
    };
    audit::record(right.actor(&project), action, &project, Some(&path.run_id));
    Ok(answer)
}

async fn address(app: &App, run: &LinkageRun, key: &str) -> Result<Response, Error> {
    let grants = app.grants.as_ref().ok_or(Error::SwitchedOff("fetching results from the object store"))?;
    let name = run.metadata.uid.as_deref().unwrap_or_default();
    let credentials = grants.grant(Right::Get(key), &format!("result-{name}")).await?;
    let address = ResultAddress { credentials, object: grants.place(key) };
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(address)).into_response())
}

/// The name of the object that a right opens.
fn object_name(result_type: ResultType, right: &ReadRight) -> String {
    match (result_type, right) {
        (ResultType::Groups, _) => "groups".into(),
        (ResultType::SimilarityScores, _) => "similarity_scores".into(),
        (ResultType::Permutations, ReadRight::Result | ReadRight::User(_)) => "mask".into(),
        (ResultType::Permutations, ReadRight::Receipt(party)) => format!("permutation-{party}"),
    }
}

fn key<'r>(run: &'r LinkageRun, name: &str) -> Result<&'r str, Error> {
    let results = run.status.iter().flat_map(|status| &status.results);
    let found = results.into_iter().find(|result| result.name == name);
    let missing = || Error::Internal(format!("the complete run has no result object {name}"));
    found.map(|result| result.key.as_str()).ok_or_else(missing)
}

async fn stream(app: &App, key: &str) -> Result<Response, Error> {
    let (info, reader) = app.store.get(key).await?;
    let headers = [(CONTENT_TYPE, JSON.to_owned()), (CONTENT_LENGTH, info.bytes.to_string())];
    Ok((headers, Body::from_stream(reader)).into_response())
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_opens_one_object() {
        let names = [
            (ResultType::Groups, ReadRight::Result, "groups"),
            (ResultType::SimilarityScores, ReadRight::Result, "similarity_scores"),
            (ResultType::Permutations, ReadRight::Result, "mask"),
            (ResultType::Permutations, ReadRight::Receipt(1), "permutation-1"),
        ];
        for (result_type, right, name) in names {
            assert_eq!(object_name(result_type, &right), name);
        }
    }
}
