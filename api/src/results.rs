//! Results of complete runs, streamed from the store as they lie there, in whole or in part.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use crds::{LinkageRun, ResultStatus, ResultType};
use scorer::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::audit::{self, Action};
use crate::auth::{self, ReadRight, Token};
use crate::body::JSON;
use crate::document::parameters::{ByAddress, Partly};
use crate::document::problems::{ServiceProblems, TokenProblems};
use crate::document::results::RunResult;
use crate::error::{Error, Problem};
use crate::grants::{ObjectPlace, Right, TemporaryCredentials};
use crate::identity::Reading;
use crate::ranges::{self, Part};
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
/// Whether there is one is told before the token is judged. A download that broke off goes on with `Range` and `If-Range`.
#[utoipa::path(get, path = "/projects/{project_id}/runs/{run_id}/result", tag = "runs", operation_id = "run_result",
    params(RunPath, ByAddress, Partly), security(("result_token" = []), ("receipt_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 200, description = "The result, by the project's result type", body = RunResult),
        (status = 206, description = "The part of it that was asked for",
            headers(("Content-Range" = String, description = "Which bytes these are, and how many there are in all"))),
        (status = 304, description = "It still has the `ETag` that was named"),
        (status = 404, body = Problem, content_type = "application/problem+json",
            description = "The run is not complete"),
        (status = 416, body = Problem, content_type = "application/problem+json",
            description = "The result ends before the range begins",
            headers(("Content-Range" = String, description = "How many bytes there are"))),
        (status = 500, body = Problem, content_type = "application/problem+json",
            description = "The run has failed; or the address was asked for, and handing it out is switched off in this \
                           installation; or the service failed")))]
pub async fn download(
    State(app): State<Arc<App>>,
    token: Token,
    method: Method,
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
    let result = named(&run, &object_name(project.spec.result_type, &right))?;
    let by_address =
        project.spec.result_type == ResultType::SimilarityScores && headers.contains_key(RETURN_ADDRESS);
    let (answer, action) = if by_address {
        (address(&app, &run, &result.key).await?, Action::AuthorizeResult)
    } else {
        (send(&app, &method, &headers, result).await?, Action::ReadResult)
    };
    if method == Method::GET && answer.status().is_success() {
        audit::record(right.actor(&project), action, &project, Some(&path.run_id));
    }
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

fn named<'r>(run: &'r LinkageRun, name: &str) -> Result<&'r ResultStatus, Error> {
    let results = run.status.iter().flat_map(|status| &status.results);
    let found = results.into_iter().find(|result| result.name == name);
    found.ok_or_else(|| Error::Internal(format!("the complete run has no result object {name}")))
}

/// The result, or the part of it that the headers ask for.
async fn send(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    result: &ResultStatus,
) -> Result<Response, Error> {
    let etag = format!("\"{}\"", result.sha256);
    let bytes = u64::try_from(result.bytes).unwrap_or_default();
    let part = ranges::wanted(method, headers, &etag, bytes);
    let (status, range, body) = match part {
        Part::Unsatisfiable => return Err(Error::RangeNotSatisfiable { bytes }),
        Part::NotModified => (StatusCode::NOT_MODIFIED, None, Body::empty()),
        Part::Range(range) => {
            let reader = app.store.get_range(&result.key, range.clone()).await?;
            (StatusCode::PARTIAL_CONTENT, Some(range), Body::from_stream(reader))
        }
        Part::Whole if method == Method::HEAD => (StatusCode::OK, Some(0..bytes), Body::empty()),
        Part::Whole => (StatusCode::OK, Some(0..bytes), whole(app, result, bytes).await?),
    };
    // which result it is depends on the token; it may be kept by whoever asked, but is not to be used without asking
    let mut response =
        ([(ETAG, etag.as_str()), (CACHE_CONTROL, "private, no-cache"), (VARY, "Authorization")], body)
            .into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(range) = range {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {}-{}/{bytes}", range.start, range.end - 1);
            headers.insert(
                CONTENT_RANGE,
                HeaderValue::try_from(range).map_err(|error| Error::Internal(error.to_string()))?,
            );
        }
    }
    Ok(response)
}

async fn whole(app: &App, result: &ResultStatus, bytes: u64) -> Result<Body, Error> {
    let (info, reader) = app.store.get(&result.key).await?;
    if info.bytes != bytes {
        return Err(Error::Internal(format!(
            "{} has {} bytes, {bytes} were written",
            result.key, info.bytes
        )));
    }
    Ok(Body::from_stream(reader))
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
