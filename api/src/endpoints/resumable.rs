//! Resumable uploads over HTTP: the tus protocol 1.0 with creation, expiration and termination, below a project's `uploads`;
//! and what became of an upload, for those who ask.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as JsonAnswer;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use crds::LinkageProject;
use crds::tokens::Role;
use futures::TryStreamExt;
use metrics::{counter, gauge};
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, Project, ProjectPath, Target};
use crate::access::audit::Action;
use crate::access::caller;
use crate::access::identity::Reading;
use crate::access::who::Uploader;
use crate::content::text;
use crate::document::problems::{BodyProblems, ServiceProblems, TokenProblems, UploadProblems};
use crate::document::resumable::{Beginning, GoingOn, ResumableProblems, Spoken, UploadPath};
use crate::document::values::{Bytes, Token};
use crate::endpoints::claims::{self, Place};
use crate::endpoints::uploads;
use crate::error::Error;
use crate::limits::body::{LimitedBody, expect_media_type};
use crate::limits::places;
use crate::resumable::description::Description;
use crate::resumable::intake;
use crate::resumable::outcome::{self, Outcome, Verdict};
use crate::resumable::pieces::{Progress, Upload};
use crate::resumable::protocol::{
    MEDIA_TYPE, METADATA, Standing, UPLOAD_LENGTH, UPLOAD_OFFSET, expect_plain, expect_version, number,
};

/// How many uploads of a party may be unfinished.
const MAX_UNFINISHED: usize = 4;
/// For how long a request that completes an upload waits for what becomes of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Characters of an upload's id.
const ID_LENGTH: usize = 48;

/// What becomes of an upload.
#[derive(Debug, Serialize, ToSchema)]
pub struct Resumable {
    upload_id: String,
    state: UploadState,
    /// How many of its bytes are there.
    offset: u64,
    /// How many it has.
    length: u64,
    /// `Upload-Metadata` as it was begun with.
    metadata: String,
    /// Once it is taken in. With permutations it opens the party's own permutation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Token, nullable = false, required = false)]
    receipt_token: Option<String>,
    /// It is taken in, but cannot be linked: why. The party must upload again, with the same token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warning: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<String>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum UploadState {
    /// More of it is to come.
    Receiving,
    /// All of it is there, and is being checked.
    TakingIn,
    /// It is the party's contribution, or counts as an attempt whose encodings cannot be linked: the warning says so.
    TakenIn,
    /// It was refused; the token may be used again.
    Refused,
}

/// Begins a resumable upload, by the tus protocol 1.0.
///
/// What is in the body is its beginning, if there is a body. The upload expires a day after its last bytes came.
#[utoipa::path(post, path = "/projects/{project_id}/uploads", tag = "uploads", operation_id = "begin_upload",
    params(ProjectPath, Spoken, Beginning), security(("update_token" = [])),
    request_body(content = inline(Bytes), content_type = "application/offset+octet-stream", example = json!("16 bytes, in all")),
    responses(TokenProblems, BodyProblems, ServiceProblems, UploadProblems, ResumableProblems,
        (status = 201, description = "It has begun", headers(
            ("Location" = String, description = "Its address, relative to that of the request"),
            ("Upload-Offset" = u64, description = "How many of its bytes are there"),
            ("Upload-Expires" = String, description = "When it expires")))))]
pub async fn begin(
    State(app): State<Arc<App>>,
    uploader: Allowed<Uploader, Project>,
    request: Request,
) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    expect_version(&parts.headers)?;
    expect_plain(&parts.headers)?;
    app.fullness.check()?;
    uploads::check(&uploader)?;
    let description = Description::of(&parts.headers, app.limits.max_upload_bytes)?;
    intake::check_form(&uploader, description.form)?;
    let has_data = parts.headers.contains_key(CONTENT_TYPE) && !body.is_end_stream();
    if has_data {
        expect_media_type(&parts.headers, MEDIA_TYPE)?;
    }
    let folder = Folder::of(&app, &uploader);
    if intake::unfinished(&app, &folder.unfinished()).await? >= MAX_UNFINISHED {
        return Err(Error::Invalid(format!(
            "this party has {MAX_UNFINISHED} unfinished uploads: finish one, delete one, or wait until one expires"
        )));
    }
    let id = text::fresh_id();
    let upload = Upload::begin(&app.store, folder.upload(&id), description).await;
    app.fullness.note(&upload);
    let upload = upload?;
    uploads::record(&uploader, Action::BeginUpload);
    let progress = upload.progress().await?;
    let mut standing = upload.standing(&progress, app.limits.upload_expiry);
    if has_data {
        let going_on = GoesOn { uploader, id: id.clone(), upload: upload.clone(), progress };
        let expiry = app.limits.upload_expiry;
        standing = match receive(app, going_on, parts.headers, body).await {
            Err(error @ (Error::UploadRefused { .. } | Error::Forbidden)) => return Err(error),
            // it has begun all the same, and its client goes on with it
            Err(_) => upload.standing(&upload.progress().await?, expiry),
            Ok(standing) => standing,
        };
    }
    // relative, so that it is right behind a proxy that adds to the path
    let location = HeaderValue::try_from(format!("uploads/{id}"));
    let location = location.map_err(|error| Error::Internal(error.to_string()))?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], standing.headers()).into_response())
}

/// Lists the party's resumable uploads that are not ended.
#[utoipa::path(get, path = "/projects/{project_id}/uploads", tag = "uploads", operation_id = "list_uploads",
    params(ProjectPath), security(("update_token" = [])),
    responses(TokenProblems, ServiceProblems, (status = 200, description = "Those that are there", body = Vec<Resumable>)))]
pub async fn list(
    State(app): State<Arc<App>>,
    uploader: Allowed<Uploader, Project>,
) -> Result<Response, Error> {
    let folder = Folder::of(&app, &uploader).unfinished();
    let ids: Vec<String> = app.store.folders(&folder).try_collect().await?;
    let mut uploads = Vec::new();
    for id in ids {
        match find(&app, &uploader, &id).await {
            Ok(Found::Begun(upload, progress)) => uploads.push(begun(id, &upload, &progress)),
            // it ended since they were listed
            Ok(Found::Ended(_)) | Err(Error::Forbidden | Error::UploadExpired) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(([(CACHE_CONTROL, "no-store")], JsonAnswer(uploads)).into_response())
}

/// Tells how many bytes of an upload are there.
#[utoipa::path(head, path = "/projects/{project_id}/uploads/{upload_id}", tag = "uploads",
    operation_id = "upload_offset", params(UploadPath, Spoken), security(("update_token" = [])),
    responses(TokenProblems, ServiceProblems, ResumableProblems,
        (status = 200, description = "So many", headers(
            ("Upload-Offset" = u64, description = "How many of its bytes are there"),
            ("Upload-Length" = u64, description = "How many it has"),
            ("Upload-Metadata" = String, description = "As it was begun with"),
            ("Upload-Expires" = String, description = "When it expires, unless it is complete")))))]
pub async fn offset(
    State(app): State<Arc<App>>,
    Allowed { who, project, on: UploadId(id) }: Allowed<Uploader, UploadId>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let uploader = Allowed { who, project, on: Project };
    expect_version(&headers)?;
    let (description, standing) = match find(&app, &uploader, &id).await? {
        Found::Begun(upload, progress) => {
            let description = upload.description.clone();
            let standing = upload.standing(&progress, app.limits.upload_expiry);
            take_up(&app, uploader, id, upload, &progress);
            (description, standing)
        }
        Found::Ended(Outcome { upload, verdict: Verdict::TakenIn { .. } }) => {
            let standing = Standing { offset: upload.bytes, expires: None };
            (upload, standing)
        }
        // what is all there counts as uploaded to clients that ask only how much is
        Found::Ended(Outcome { verdict: Verdict::Refused { detail, .. }, .. }) => {
            return Err(Error::UploadRefused { status: StatusCode::GONE.as_u16(), detail });
        }
    };
    let mut headers = standing.headers();
    headers.insert(UPLOAD_LENGTH, description.bytes.into());
    if !description.metadata.is_empty()
        && let Ok(metadata) = HeaderValue::try_from(description.metadata)
    {
        headers.insert(METADATA, metadata);
    }
    Ok((StatusCode::OK, headers).into_response())
}

/// Goes on with an upload.
///
/// Whatever arrives is kept, also when the connection breaks. The request that brings the last bytes waits for a while for what
/// becomes of them: data that is refused is told so here, and by `GET`.
#[utoipa::path(patch, path = "/projects/{project_id}/uploads/{upload_id}", tag = "uploads",
    operation_id = "go_on_with_upload", params(UploadPath, Spoken, GoingOn), security(("update_token" = [])),
    request_body(content = inline(Bytes), content_type = "application/offset+octet-stream",
        example = json!("16 bytes, in all")),
    responses(TokenProblems, BodyProblems, ServiceProblems, UploadProblems, ResumableProblems,
        (status = 204, description = "It is there", headers(
            ("Upload-Offset" = u64, description = "How many of the upload's bytes are there"),
            ("Upload-Expires" = String, description = "When it expires, unless it is complete")))))]
pub async fn go_on(
    State(app): State<Arc<App>>,
    Allowed { who, project, on: UploadId(id) }: Allowed<Uploader, UploadId>,
    request: Request,
) -> Result<Response, Error> {
    let uploader = Allowed { who, project, on: Project };
    let (parts, body) = request.into_parts();
    expect_version(&parts.headers)?;
    expect_media_type(&parts.headers, MEDIA_TYPE)?;
    expect_plain(&parts.headers)?;
    let offset = number(&parts.headers, UPLOAD_OFFSET)?;
    app.fullness.check()?;
    let standing = match find(&app, &uploader, &id).await? {
        Found::Begun(upload, progress) => {
            if offset != progress.offset {
                return Err(Error::OffsetConflict);
            }
            if !upload.is_complete(&progress) {
                uploads::check(&uploader)?;
            }
            let going_on = GoesOn { uploader, id, upload, progress };
            receive(app, going_on, parts.headers, body).await?
        }
        Found::Ended(outcome) => {
            if offset != outcome.upload.bytes {
                return Err(Error::OffsetConflict);
            }
            let bytes = outcome.upload.bytes;
            answer(outcome)?;
            Standing { offset: bytes, expires: None }
        }
    };
    Ok((StatusCode::NO_CONTENT, standing.headers()).into_response())
}

/// Tells what becomes of an upload.
#[utoipa::path(get, path = "/projects/{project_id}/uploads/{upload_id}", tag = "uploads",
    operation_id = "describe_upload", params(UploadPath), security(("update_token" = [])),
    responses(TokenProblems, ServiceProblems, ResumableProblems,
        (status = 200, description = "How far it is, and what became of it", body = Resumable)))]
pub async fn describe(
    State(app): State<Arc<App>>,
    Allowed { who, project, on: UploadId(id) }: Allowed<Uploader, UploadId>,
) -> Result<Response, Error> {
    let uploader = Allowed { who, project, on: Project };
    let described = match find(&app, &uploader, &id).await? {
        Found::Begun(upload, progress) => {
            let described = begun(id.clone(), &upload, &progress);
            take_up(&app, uploader, id, upload, &progress);
            described
        }
        Found::Ended(Outcome { upload, verdict: Verdict::TakenIn { warning } }) => {
            let receipt = app.judge.token(&uploader.project, Role::Receipt(&uploader.who.name));
            let described = plain(id, UploadState::TakenIn, upload.bytes, upload);
            Resumable { receipt_token: Some(receipt), warning, ..described }
        }
        Found::Ended(Outcome { upload, verdict: Verdict::Refused { detail, .. } }) => {
            Resumable { problem: Some(detail), ..plain(id, UploadState::Refused, upload.bytes, upload) }
        }
    };
    Ok(([(CACHE_CONTROL, "no-store")], JsonAnswer(described)).into_response())
}

fn begun(id: String, upload: &Upload, progress: &Progress) -> Resumable {
    let state = if upload.is_complete(progress) { UploadState::TakingIn } else { UploadState::Receiving };
    plain(id, state, progress.offset, upload.description.clone())
}

fn plain(upload_id: String, state: UploadState, offset: u64, upload: Description) -> Resumable {
    let Description { bytes: length, metadata, .. } = upload;
    Resumable {
        upload_id,
        state,
        offset,
        length,
        metadata,
        receipt_token: None,
        warning: None,
        problem: None,
    }
}

/// Ends an upload: what has arrived of it is removed. What was taken in stays.
#[utoipa::path(delete, path = "/projects/{project_id}/uploads/{upload_id}", tag = "uploads",
    operation_id = "end_upload", params(UploadPath, Spoken), security(("update_token" = [])),
    responses(TokenProblems, ServiceProblems, ResumableProblems,
        (status = 204, description = "It is gone")))]
pub async fn end(
    State(app): State<Arc<App>>,
    Allowed { who, project, on: UploadId(id) }: Allowed<Uploader, UploadId>,
    headers: HeaderMap,
) -> Result<StatusCode, Error> {
    let uploader = Allowed { who, project, on: Project };
    expect_version(&headers)?;
    let folder = Folder::of(&app, &uploader);
    match find(&app, &uploader, &id).await {
        Ok(_) | Err(Error::UploadExpired) => {}
        Err(error) => return Err(error),
    }
    app.store.delete_prefix(&folder.upload(&id)).await?;
    app.store.delete(&folder.outcome(&id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a party's uploads are in the store.
struct Folder(String);

impl Folder {
    fn of(app: &App, uploader: &Allowed<Uploader, Project>) -> Self {
        let uid = uploader.project.metadata.uid.as_deref().unwrap_or_default();
        Self(format!("{}resumable/{}/", app.installation.project(uid), uploader.who.party))
    }

    /// All that are not ended.
    fn unfinished(&self) -> String {
        format!("{}unfinished/", self.0)
    }

    fn upload(&self, id: &str) -> String {
        format!("{}unfinished/{id}/", self.0)
    }

    fn outcome(&self, id: &str) -> String {
        format!("{}outcomes/{id}.json", self.0)
    }
}

/// A resumable upload, by its id. Whether there is one, the store tells.
#[derive(Clone, Debug)]
pub struct UploadId(String);

impl Target for UploadId {
    type Path = UploadPath;

    fn project(path: &UploadPath) -> &str {
        &path.project_id
    }

    fn reading(path: &UploadPath) -> Reading<'_> {
        Reading::Project(&path.project_id)
    }

    async fn find(_: &App, _: &LinkageProject, path: &UploadPath) -> Result<Self, Error> {
        let id = &path.upload_id;
        let is_id = id.len() == ID_LENGTH && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_id { Ok(Self(id.clone())) } else { Err(Error::Forbidden) }
    }
}

/// What there is of an upload.
enum Found {
    Begun(Upload, Progress),
    Ended(Outcome),
}

async fn find(app: &App, uploader: &Allowed<Uploader, Project>, id: &str) -> Result<Found, Error> {
    let folder = Folder::of(app, uploader);
    // before the pieces, which go when it is there
    if let Some(outcome) = outcome::read(&app.store, &folder.outcome(id)).await? {
        return Ok(Found::Ended(outcome));
    }
    let upload = Upload::open(&app.store, folder.upload(id)).await?.ok_or(Error::Forbidden)?;
    let progress = upload.progress().await?;
    if upload.is_expired(&progress, app.limits.upload_expiry) {
        return Err(Error::UploadExpired);
    }
    Ok(Found::Begun(upload, progress))
}

/// An upload, and where it goes on.
struct GoesOn {
    uploader: Allowed<Uploader, Project>,
    id: String,
    upload: Upload,
    progress: Progress,
}

/// Takes what comes, as a task of its own: when the connection breaks, what has arrived is still stored.
async fn receive(app: Arc<App>, going_on: GoesOn, headers: HeaderMap, body: Body) -> Result<Standing, Error> {
    let place = uploads::take_places(&app, &going_on.uploader)?;
    let task = {
        let app = app.clone();
        async move {
            gauge!("linkage_api_uploads_in_progress").increment(1);
            let standing = append(&app, going_on, &headers, body, place).await;
            gauge!("linkage_api_uploads_in_progress").decrement(1);
            app.fullness.note(&standing);
            standing
        }
    };
    let task = app.uploads.spawn(caller::along(task.in_current_span()));
    task.await.map_err(|error| Error::Internal(format!("an upload failed: {error}")))?
}

async fn append(
    app: &Arc<App>,
    going_on: GoesOn,
    headers: &HeaderMap,
    body: Body,
    place: places::Taken,
) -> Result<Standing, Error> {
    let GoesOn { uploader, id, upload, progress } = going_on;
    let left = upload.description.bytes - progress.offset.min(upload.description.bytes);
    let mut body = LimitedBody::new(headers, body, left, app.limits.read_timeout);
    let (progress, ended) = upload.append(progress, &mut body).await;
    counter!("linkage_api_uploaded_bytes_total").increment(body.received());
    if matches!(claims::is_gone(app, &Place::new(&uploader)).await, Ok(true)) {
        // what was written after the purge would stay
        uploads::remove(app, upload.folder()).await;
        return Err(Error::Forbidden);
    }
    ended?;
    let standing = upload.standing(&progress, app.limits.upload_expiry);
    if upload.is_complete(&progress) {
        let taking_in = take_in(app, uploader, id, upload, place);
        if let Ok(taken) = tokio::time::timeout(PATIENCE, taking_in).await {
            let taken = taken.map_err(|error| Error::Internal(format!("taking in failed: {error}")))?;
            taken?.map_or(Ok(()), answer)?;
        }
    }
    Ok(standing)
}

/// Takes in what is complete, behind the request.
fn take_in(
    app: &Arc<App>,
    uploader: Allowed<Uploader, Project>,
    id: String,
    upload: Upload,
    place: places::Taken,
) -> tokio::task::JoinHandle<Result<Option<Outcome>, Error>> {
    let owned = app.clone();
    let task = async move {
        let key = Folder::of(&owned, &uploader).outcome(&id);
        let taken = intake::take_in(&owned, &uploader, &upload, &key).await;
        if let Err(error) = &taken {
            tracing::warn!(%error, "an upload that is complete could not be taken in; it will be when it is asked for");
        }
        drop(place);
        taken
    };
    app.uploads.spawn(caller::along(task.in_current_span()))
}

/// Takes in what is complete, and what a replica that has ended has left.
fn take_up(
    app: &Arc<App>,
    uploader: Allowed<Uploader, Project>,
    id: String,
    upload: Upload,
    progress: &Progress,
) {
    if upload.is_complete(progress)
        && let Ok(place) = uploads::take_places(app, &uploader)
    {
        drop(take_in(app, uploader, id, upload, place));
    }
}

/// What the request is answered that has completed an upload.
fn answer(outcome: Outcome) -> Result<(), Error> {
    match outcome.verdict {
        Verdict::TakenIn { .. } => Ok(()),
        Verdict::Refused { status, detail } => Err(Error::UploadRefused { status, detail }),
    }
}
