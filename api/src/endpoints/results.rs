//! Results of complete runs, streamed from the store as they lie there, in whole or in part.

#![allow(unused_qualifications, reason = "those in what utoipa's macros write")]

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use crds::{LinkageProject, LinkageRun, ResultFormat, ResultStatus, ResultType};
use futures::{Stream, TryStreamExt};
use scorer::plan::SIMILARITY_SCORES;
use scorer::store::{ObjectReader, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::App;
use crate::access::allowed::{Allowed, RunPath, Target};
use crate::access::audit::{self, Action};
use crate::access::auth::ReadRight;
use crate::access::grants::{ObjectPlace, Right, TemporaryCredentials};
use crate::access::identity::Reading;
use crate::access::who::{Reader, Who};
use crate::content::formats;
use crate::content::ranges::{self, Part};
use crate::document::parameters::{ByAddress, Partly};
use crate::document::problems::{ResultProblems, ServiceProblems, TokenProblems};
use crate::document::results::{
    CsvTable, JsonLines, ParquetFile, PartAnswers, ResultFile, RunResult, ScoresResult,
};
use crate::endpoints::run_status::{self, RunState};
use crate::error::{Error, Problem};

/// With this header, whatever its value, similarity scores are answered with where to fetch them.
const RETURN_ADDRESS: HeaderName = HeaderName::from_static("return-object-store-address");

/// Where a result is in the store, and credentials for reading it there.
#[derive(Serialize, ToSchema)]
pub struct ResultAddress {
    credentials: TemporaryCredentials,
    object: ObjectPlace,
}

/// What is asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Its result, by the project's result type and the token.
    Result,
    /// Its similarity scores, which may lie beside groups.
    SimilarityScores,
}

/// The result of a complete run, in the format that is asked for by `Accept`.
///
/// Whether there is one is told to the holder of any of the project's tokens. JSON is sent unless another format is asked for. A download that
/// broke off goes on with `Range` and `If-Range`.
#[utoipa::path(get, path = "/projects/{project_id}/runs/{run_id}/result", tag = "runs", operation_id = "run_result",
    params(RunPath, ByAddress, Partly), security(("result_token" = []), ("receipt_token" = [])),
    responses(TokenProblems, ServiceProblems, ResultProblems, PartAnswers,
        (status = 200, description = "The result, by the project's result type", content(
            (RunResult = "application/json"), (CsvTable = "text/csv"), (JsonLines = "application/x-ndjson"),
            (ParquetFile = "application/vnd.apache.parquet"))),
        (status = 404, body = Problem, content_type = "application/problem+json",
            description = "The run is not complete")))]
pub async fn download(
    State(app): State<Arc<App>>,
    reader: Allowed<Reader, CompleteRun>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Error> {
    answer(&app, &reader, &method, &headers, (Asked::Result, None)).await
}

/// All pairs at or above a complete run's threshold with their scores, in the format that is asked for by `Accept`.
///
/// They are there for projects with result type `similarity_scores`, and for runs whose `additional_results` ask for them.
#[utoipa::path(get, path = "/projects/{project_id}/runs/{run_id}/similarity-scores", tag = "runs",
    operation_id = "run_similarity_scores", params(RunPath, ByAddress, Partly), security(("result_token" = [])),
    responses(TokenProblems, ServiceProblems, ResultProblems, PartAnswers,
        (status = 200, description = "The similarity scores", content(
            (ScoresResult = "application/json"), (CsvTable = "text/csv"), (JsonLines = "application/x-ndjson"),
            (ParquetFile = "application/vnd.apache.parquet"))),
        (status = 404, body = Problem, content_type = "application/problem+json",
            description = "The run is not complete, or has no similarity scores beside its result")))]
pub async fn download_similarity_scores(
    State(app): State<Arc<App>>,
    reader: Allowed<Reader, CompleteRun>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Error> {
    answer(&app, &reader, &method, &headers, (Asked::SimilarityScores, None)).await
}

/// The same by a name that ends in the format: for links, and for programs that send no `Accept`.
#[utoipa::path(get, path = "/projects/{project_id}/runs/{run_id}/{file}", tag = "runs", operation_id = "run_result_file",
    params(RunPath, FilePath, ByAddress, Partly), security(("result_token" = []), ("receipt_token" = [])),
    responses(TokenProblems, ServiceProblems, ResultProblems, PartAnswers,
        (status = 200, description = "The result, or the similarity scores", content(
            (RunResult = "application/json"), (CsvTable = "text/csv"), (JsonLines = "application/x-ndjson"),
            (ParquetFile = "application/vnd.apache.parquet"))),
        (status = 404, body = Problem, content_type = "application/problem+json",
            description = "The run is not complete, has no similarity scores, or there is no such file")))]
pub async fn download_file(
    State(app): State<Arc<App>>,
    File(asked, format): File,
    reader: Allowed<Reader, CompleteRun>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Error> {
    answer(&app, &reader, &method, &headers, (asked, Some(format))).await
}

/// The file of a run that a path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct FilePath {
    /// What is asked for, and in which format.
    #[param(value_type = ResultFile, inline)]
    file: String,
}

/// What a file of a run holds, by its name. There are no others, whoever asks.
#[derive(Clone, Copy, Debug)]
pub struct File(Asked, ResultFormat);

impl File {
    fn of(path: &FilePath) -> Option<Self> {
        let (name, ending) = path.file.split_once('.')?;
        let asked = match name {
            "result" => Asked::Result,
            "similarity-scores" => Asked::SimilarityScores,
            _ => return None,
        };
        Some(Self(asked, ResultFormat::of_extension(ending)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for File {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let path = Path::<FilePath>::from_request_parts(parts, state).await;
        path.ok().and_then(|Path(path)| Self::of(&path)).ok_or(Error::UnknownPath)
    }
}

/// A run that is complete. When it is not, by contract that is told before it is judged what the token is for; but only to those
/// who hold one of the project's tokens, so that nobody else learns which projects and runs there are.
#[derive(Clone, Debug)]
pub struct CompleteRun(pub Arc<LinkageRun>);

impl Target for CompleteRun {
    type Path = RunPath;
    const BEFORE_RIGHT: bool = true;

    fn project(path: &RunPath) -> &str {
        &path.project_id
    }

    fn reading(path: &RunPath) -> Reading<'_> {
        Reading::RunResult(&path.run_id)
    }

    async fn find(app: &App, project: &LinkageProject, path: &RunPath) -> Result<Self, Error> {
        let run = app.cluster.run(project, &path.run_id).await?.ok_or(Error::Forbidden)?;
        match run_status::state(&run) {
            RunState::Completed => Ok(Self(run)),
            RunState::Error => Err(Error::RunFailed),
            RunState::Created | RunState::Queued | RunState::Running => Err(Error::NoResultYet),
        }
    }
}

/// Sends what is asked for in the format that the path names, or else the headers.
async fn answer(
    app: &App,
    Allowed { who, project, on: CompleteRun(run) }: &Allowed<Reader, CompleteRun>,
    method: &Method,
    headers: &HeaderMap,
    (asked, format): (Asked, Option<ResultFormat>),
) -> Result<Response, Error> {
    let name = object_name(asked, project, run, &who.0)?;
    let by_address = name == SIMILARITY_SCORES && headers.contains_key(RETURN_ADDRESS);
    // existing clients load what is at the address by anonlink
    let preferred = by_address.then_some(ResultFormat::Anonlink);
    let result = chosen(&written(run, asked, &name)?, headers, format, preferred)?;
    let id = run.metadata.name.as_deref().unwrap_or_default();
    let (answer, action) = if by_address {
        (address(app, run, &result.key).await?, Action::AuthorizeResult)
    } else {
        let vary = if format.is_some() { "Authorization" } else { "Accept, Authorization" };
        (send(app, method, headers, result, id, vary).await?, Action::ReadResult)
    };
    if method == Method::GET && answer.status().is_success() {
        audit::record(who.actor(), action, project, Some(id));
    }
    Ok(answer)
}

async fn address(app: &App, run: &LinkageRun, key: &str) -> Result<Response, Error> {
    let grants = app.grants.as_ref().ok_or(Error::SwitchedOff("fetching results from the object store"))?;
    let name = run.metadata.uid.as_deref().unwrap_or_default();
    app.surroundings.store_is_needed()?;
    let credentials = grants.grant(Right::Get(key), &format!("result-{name}")).await?;
    let address = ResultAddress { credentials, object: grants.place(key) };
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(address)).into_response())
}

/// The name of the object that a right opens.
fn object_name(
    asked: Asked,
    project: &LinkageProject,
    run: &LinkageRun,
    right: &ReadRight,
) -> Result<String, Error> {
    Ok(match (asked, project.spec.result_type, right) {
        (Asked::SimilarityScores, _, ReadRight::Receipt(_)) => return Err(Error::Forbidden),
        (Asked::SimilarityScores, ..) => SIMILARITY_SCORES.into(),
        (Asked::Result, ResultType::Groups, _) => "groups".into(),
        (Asked::Result, ResultType::SimilarityScores, _) => SIMILARITY_SCORES.into(),
        (Asked::Result, ResultType::Permutations, ReadRight::Result | ReadRight::User(_)) => "mask".into(),
        (Asked::Result, ResultType::Permutations, ReadRight::Receipt(party)) => {
            format!("permutation-{}", data_set(project, run, party).ok_or(Error::NotOfRun)?)
        }
    })
}

/// The number of a party's data set in a run: as the run was started, whatever the project says now.
fn data_set(project: &LinkageProject, run: &LinkageRun, party: &str) -> Option<usize> {
    match run.status.as_ref().and_then(|status| status.pinned.as_ref()) {
        Some(pinned) => pinned.parties().into_iter().position(|name| name == party),
        // a run of an earlier version
        None => project.spec.parties.iter().position(|entry| entry.name == party),
    }
}

/// The objects of a name, one a format.
fn written<'r>(run: &'r LinkageRun, asked: Asked, name: &str) -> Result<Vec<&'r ResultStatus>, Error> {
    let results = run.status.iter().flat_map(|status| &status.results);
    let found: Vec<_> = results.filter(|result| result.name == name).collect();
    match (found.is_empty(), asked) {
        (false, _) => Ok(found),
        (true, Asked::SimilarityScores) => Err(Error::NoSimilarityScores),
        (true, Asked::Result) => {
            Err(Error::Internal(format!("the complete run has no result object {name}")))
        }
    }
}

/// The object in the format that the path names, or else the headers.
fn chosen<'r>(
    written: &[&'r ResultStatus],
    headers: &HeaderMap,
    format: Option<ResultFormat>,
    preferred: Option<ResultFormat>,
) -> Result<&'r ResultStatus, Error> {
    let available: Vec<ResultFormat> = written.iter().map(|result| result.format).collect();
    let format = format.or_else(|| formats::negotiated(headers, &available, preferred));
    let found = written.iter().find(|result| Some(result.format) == format);
    found.copied().ok_or_else(|| {
        let available = available.into_iter().map(formats::media_type).collect::<Vec<_>>();
        Error::NotAcceptable { available: available.join(", ") }
    })
}

/// The result, or the part of it that the headers ask for.
async fn send(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    result: &ResultStatus,
    run: &str,
    vary: &'static str,
) -> Result<Response, Error> {
    let etag = format!("\"{}\"", result.blake3);
    let bytes = u64::try_from(result.bytes).unwrap_or_default();
    let part = ranges::wanted(method, headers, &etag, bytes);
    let (status, range, body) = match part {
        Part::Unsatisfiable => return Err(Error::RangeNotSatisfiable { bytes }),
        Part::NotModified => (StatusCode::NOT_MODIFIED, None, Body::empty()),
        Part::Range(range) => {
            let reader = app.surroundings.of_store(app.store.get_range(&result.key, range.clone())).await?;
            // of a part no hash is known; who has put the parts together compares the whole with the ETag
            let reader = if range == (0..bytes) { reader.checked(&result.blake3) } else { reader };
            (StatusCode::PARTIAL_CONTENT, Some(range), Body::from_stream(told(reader)))
        }
        Part::Whole if method == Method::HEAD => (StatusCode::OK, Some(0..bytes), Body::empty()),
        Part::Whole => (StatusCode::OK, Some(0..bytes), whole(app, result, bytes).await?),
    };
    // which result it is depends on the token; it may be kept by whoever asked, but is not to be used without asking
    let mut response =
        ([(ETAG, etag.as_str()), (CACHE_CONTROL, "private, no-cache"), (VARY, vary)], body).into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Some(range) = range {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(formats::content_type(result.format)));
        headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
        let file = format!("attachment; filename=\"{run}-{}.{}\"", result.name, result.format.extension());
        headers.insert(CONTENT_DISPOSITION, header(file)?);
        if status == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {}-{}/{bytes}", range.start, range.end - 1);
            headers.insert(CONTENT_RANGE, header(range)?);
        }
    }
    Ok(response)
}

fn header(value: String) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(value).map_err(|error| Error::Internal(error.to_string()))
}

async fn whole(app: &App, result: &ResultStatus, bytes: u64) -> Result<Body, Error> {
    let (info, reader) = app.surroundings.of_store(app.store.get(&result.key)).await?;
    if info.bytes != bytes {
        return Err(Error::Internal(format!(
            "{} has {} bytes, {bytes} were written",
            result.key, info.bytes
        )));
    }
    Ok(Body::from_stream(told(reader.checked(&result.blake3))))
}

/// The bytes, and in the log why they end early: the client sees its connection break, and nothing else.
fn told(reader: ObjectReader) -> impl Stream<Item = Result<Bytes, StoreError>> {
    reader.inspect_err(|error| tracing::error!(%error, "a download was broken off"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn project(result_type: &str) -> LinkageProject {
        serde_json::from_value(json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject", "metadata": {"name": "p"},
            "spec": {"resultType": result_type, "parties": [{"name": "a"}, {"name": "b"}]}
        }))
        .unwrap()
    }

    fn run(pinned: Value) -> LinkageRun {
        serde_json::from_value(json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageRun", "metadata": {"name": "r"},
            "spec": {"projectRef": {"name": "p"}, "threshold": 0.8}, "status": {"pinned": pinned}
        }))
        .unwrap()
    }

    fn receipt(party: &str) -> ReadRight {
        ReadRight::Receipt(party.into())
    }

    #[test]
    fn a_right_opens_one_object() {
        let names = [
            (Asked::Result, "Groups", ReadRight::Result, "groups"),
            (Asked::Result, "SimilarityScores", ReadRight::Result, "similarity_scores"),
            (Asked::Result, "Permutations", ReadRight::Result, "mask"),
            (Asked::Result, "Permutations", receipt("b"), "permutation-1"),
            (Asked::SimilarityScores, "Groups", ReadRight::Result, "similarity_scores"),
        ];
        let of_an_earlier_version = run(json!(null));
        for (asked, result_type, right, name) in names {
            let found = object_name(asked, &project(result_type), &of_an_earlier_version, &right);
            assert_eq!(found.unwrap(), name);
        }
        let project = project("Permutations");
        let refused = object_name(Asked::SimilarityScores, &project, &of_an_earlier_version, &receipt("a"));
        assert!(matches!(refused, Err(Error::Forbidden)));
    }

    #[test]
    fn a_permutation_is_that_of_the_party_when_the_run_began() {
        let project = project("Permutations");
        let begun_with = |parties: &[&str]| {
            let inputs: Vec<_> = parties.iter().map(|party| json!({ "party": party })).collect();
            run(json!({"digest": "d", "plan": {"inputs": inputs}}))
        };
        let opens =
            |run: &LinkageRun, party: &str| object_name(Asked::Result, &project, run, &receipt(party));
        assert_eq!(opens(&begun_with(&["b", "a"]), "a").unwrap(), "permutation-1");
        assert_eq!(opens(&begun_with(&["b", "a"]), "b").unwrap(), "permutation-0");
        for others in [&["b", "c"][..], &[]] {
            assert!(matches!(opens(&begun_with(others), "a"), Err(Error::NotOfRun)));
        }
    }
}
