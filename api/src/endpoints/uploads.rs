//! Uploads of encodings: streamed to the store, checked while they pass, then claimed for their party.
//!
//! An upload runs as a task of its own: when its connection breaks, the task sees the body end with an error and
//! removes what it stored. A refused upload leaves nothing behind, and its token usable.

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use crds::conditions::PartyReason;
use crds::contribution::{PartyData, Refusal};
use crds::tokens::Role;
use crds::{Blocking, PartyState};
use futures::{StreamExt, stream};
use metrics::{counter, gauge};
use scorer::ingest::{self, Announced, Expectations, IngestError};
use scorer::store::StoreError;
use scorer::summary::Contribution;
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, Project, ProjectPath};
use crate::access::audit::{self, Action};
use crate::access::who::{Uploader, Who};
use crate::content::text;
use crate::content::unpack::unpacked;
use crate::document::bodies::Upload;
use crate::document::parameters::{Packed, RawEncodings};
use crate::document::problems::{BodyProblems, ServiceProblems, TokenProblems, UploadProblems};
use crate::document::values::{Bytes, Token};
use crate::endpoints::claims::{self, Claim, Place};
use crate::endpoints::external::{self, ExternalUpload, Peeked};
use crate::endpoints::projects;
use crate::error::{Error, Problem};
use crate::limits::body::{self, LimitedBody};

/// Most bytes of an encoding that may be announced; whether they can be linked is another matter.
const MAX_HASH_SIZE: u32 = 1024;

/// An upload that was taken in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Uploaded {
    /// Always `Updated`.
    #[schema(pattern = "^Updated$")]
    message: &'static str,
    /// With permutations it opens the party's own permutation.
    #[schema(value_type = Token)]
    receipt_token: String,
    /// The encodings are of a size that cannot be linked: why. The party must upload again, with the same token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    warning: Option<String>,
}

/// Uploads a party's encodings as JSON.
///
/// `{"clks": [base64, …]}`, `{"clknblocks": [[base64, block, …], …]}`, or `{"encodings": …}` with optional `"blocks"`.
/// Of these, both may be in line, or both name objects that the party has put into the store. Data that is refused leaves
/// nothing behind, and the token may be used again.
#[utoipa::path(post, path = "/projects/{project_id}/clks", tag = "uploads", operation_id = "upload_json",
    params(ProjectPath, Packed), security(("update_token" = [])), request_body = Upload,
    responses(TokenProblems, BodyProblems, ServiceProblems, UploadProblems,
        (status = 201, description = "It is there. With a warning: but it cannot be linked", body = Uploaded)))]
pub async fn json(
    State(app): State<Arc<App>>,
    uploader: Allowed<Uploader, Project>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, JsonAnswer<Uploaded>), Error> {
    receive(app, Form::Json, uploader, headers, body).await
}

/// Uploads a party's encodings as raw bytes, one encoding after the other.
///
/// For a project without blocking. The body is `Hash-Count` times `Hash-Size` bytes long.
#[utoipa::path(post, path = "/projects/{project_id}/binaryclks", tag = "uploads", operation_id = "upload_binary",
    params(ProjectPath, RawEncodings, Packed), security(("update_token" = [])),
    request_body(content = inline(Bytes), content_type = "application/octet-stream", example = json!("16 bytes, in all")),
    responses(TokenProblems, BodyProblems, ServiceProblems, UploadProblems,
        (status = 201, description = "It is there. With a warning: but it cannot be linked", body = Uploaded)))]
pub async fn binary(
    State(app): State<Arc<App>>,
    uploader: Allowed<Uploader, Project>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, JsonAnswer<Uploaded>), Error> {
    receive(app, Form::Binary, uploader, headers, body).await
}

/// Hands out temporary credentials for putting objects into the store, below the path told.
///
/// The upload is announced with `POST …/clks` then.
#[utoipa::path(get, path = "/projects/{project_id}/authorize-external-upload", tag = "uploads",
    operation_id = "authorize_external_upload", params(ProjectPath), security(("update_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 201, description = "Credentials, and the place that they are for", body = ExternalUpload),
        (status = 500, body = Problem, content_type = "application/problem+json",
            description = "It is switched off in this installation; or the service failed")))]
pub async fn authorize_external(
    State(app): State<Arc<App>>,
    uploader: Allowed<Uploader, Project>,
) -> Result<ExternalUpload, Error> {
    check(&uploader)?;
    let authorized = external::authorize(&app, &uploader).await?;
    record(&uploader, Action::AuthorizeUpload);
    Ok(authorized)
}

/// How the encodings are written in the body.
#[derive(Clone, Copy, Debug)]
enum Form {
    Json,
    Binary,
}

async fn receive(
    app: Arc<App>,
    form: Form,
    uploader: Allowed<Uploader, Project>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, JsonAnswer<Uploaded>), Error> {
    let slot = app.throttle.upload()?;
    app.fullness.check()?;
    let upload = {
        let app = app.clone();
        async move {
            let _slot = slot;
            gauge!("linkage_api_uploads_in_progress").increment(1);
            let answer = take_in(&app, form, &uploader, &headers, body).await;
            gauge!("linkage_api_uploads_in_progress").decrement(1);
            answer
        }
    };
    let task = app.uploads.spawn(upload.in_current_span());
    let uploaded = task.await.map_err(|error| Error::Internal(format!("an upload failed: {error}")))??;
    Ok((StatusCode::CREATED, JsonAnswer(uploaded)))
}

async fn take_in(
    app: &App,
    form: Form,
    uploader: &Allowed<Uploader, Project>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Uploaded, Error> {
    let mut body = LimitedBody::new(headers, body, app.limits.max_upload_bytes, app.limits.read_timeout);
    let place = Place::new(uploader);
    let answer = store_and_claim(app, form, headers, (uploader, &place), &mut body).await;
    counter!("linkage_api_uploaded_bytes_total").increment(body.received());
    app.fullness.note(&answer);
    match answer {
        Err(error) => Err(claims::explain(app, &place, error).await),
        taken => taken,
    }
}

async fn store_and_claim(
    app: &App,
    form: Form,
    headers: &HeaderMap,
    (uploader, place): (&Allowed<Uploader, Project>, &Place),
    body: &mut LimitedBody,
) -> Result<Uploaded, Error> {
    check(uploader)?;
    let prefix = fresh_prefix(app, uploader);
    let Taken { outcome, external } = store(app, form, headers, uploader, body, &prefix).await?;
    let warning = match outcome {
        Ok(contribution) => claim(app, uploader, place, &prefix, contribution).await?,
        Err(broken) => reject(app, uploader, place, broken).await?,
    };
    if external {
        remove(app, &format!("{}/", external::folder(app, uploader))).await;
    }
    let receipt_token = app.judge.token(&uploader.project, Role::Receipt(place.party()));
    Ok(Uploaded { message: "Updated", receipt_token, warning })
}

/// Refuses at once what will be refused in the end.
fn check(uploader: &Allowed<Uploader, Project>) -> Result<(), Error> {
    match projects::party_status(&uploader.project, &uploader.who.name) {
        Some(status) if status.state == PartyState::Contributed => Err(Error::AlreadyContributed),
        _ => Ok(()),
    }
}

fn fresh_prefix(app: &App, uploader: &Allowed<Uploader, Project>) -> String {
    let uid = uploader.project.metadata.uid.as_deref().unwrap_or_default();
    format!("{}parties/{}/{}/", app.installation.project(uid), uploader.who.party, text::fresh_id())
}

/// What became of the data of an upload.
struct Taken {
    outcome: Result<Contribution, IngestError>,
    /// The party had put it into the store by itself.
    external: bool,
}

/// Stores the encodings. The error is about the request; that about its data is within.
async fn store(
    app: &App,
    form: Form,
    headers: &HeaderMap,
    uploader: &Allowed<Uploader, Project>,
    body: &mut LimitedBody,
    prefix: &str,
) -> Result<Taken, Error> {
    let mut body = unpacked(headers, body)?;
    let expected = Expectations {
        blocking: uploader.project.spec.blocking == Blocking::ByBlockId,
        // the claim judges the size: it knows those of the other parties as well
        encoding_bytes: None,
        limits: ingest::Limits {
            min_encoding_bytes: app.limits.min_encoding_bytes,
            max_encoding_bytes: app.limits.max_encoding_bytes,
            ..ingest::Limits::default()
        },
    };
    let mut external = false;
    let outcome = match form {
        Form::Json => {
            body::expect_media_type(headers, body::JSON)?;
            match external::peek(&mut body).await? {
                Peeked::Announcement(announcement) => {
                    external = true;
                    let objects = external::objects(app, uploader, &announcement)?;
                    ingest::uploaded(&objects, &expected, &app.store, prefix).await
                }
                Peeked::Data(head) => {
                    let body = stream::iter(head.into_iter().map(Ok)).chain(body);
                    ingest::json(body, &expected, &app.store, prefix).await
                }
            }
        }
        Form::Binary => {
            body::expect_media_type(headers, body::BINARY)?;
            ingest::binary(body, announced(headers)?, &expected, &app.store, prefix).await
        }
    };
    Ok(Taken { outcome, external })
}

/// What the headers of a binary upload say.
fn announced(headers: &HeaderMap) -> Result<Announced, Error> {
    let number = |name: &str, range: std::ops::RangeInclusive<u64>| {
        let text = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let value = text.parse().ok().filter(|value| digits && range.contains(value));
        let expected = format!("{name} must be a whole number from {} to {}", range.start(), range.end());
        value.ok_or(Error::Invalid(expected))
    };
    let records = number("Hash-Count", 1..=u64::from(u32::MAX))?;
    let size = number("Hash-Size", 1..=u64::from(MAX_HASH_SIZE))?;
    Ok(Announced { records: Some(records), encoding_bytes: u32::try_from(size).unwrap_or(MAX_HASH_SIZE) })
}

/// Claims stored data; tells why it cannot be linked, if it cannot. What is not claimed is removed again.
async fn claim(
    app: &App,
    uploader: &Allowed<Uploader, Project>,
    place: &Place,
    prefix: &str,
    contribution: Contribution,
) -> Result<Option<String>, Error> {
    let Contribution { encodings, blocks, records, encoding_bytes, blake3, records_without_block } =
        contribution;
    let data = PartyData { records, encoding_bytes, encodings, blocks, blake3, records_without_block };
    let Claim { verdict, keeps_objects } = claims::claim(app, place, &data).await;
    if !keeps_objects {
        remove(app, prefix).await;
    }
    match verdict? {
        None => {
            tracing::info!(records, encoding_bytes, "took in encodings");
            record(uploader, Action::Contribute);
            Ok(None)
        }
        Some(refusal) => {
            record(uploader, Action::RejectContribution);
            Ok(Some(announce(app, uploader, place, refusal).await))
        }
    }
}

fn record(uploader: &Allowed<Uploader, Project>, action: Action) {
    audit::record(uploader.who.actor(), action, &uploader.project, None);
}

/// Removes what is not needed any more, as well as it can.
async fn remove(app: &App, prefix: &str) {
    if let Err(error) = app.store.delete_prefix(prefix).await {
        tracing::warn!(%error, prefix, "objects that are not needed any more are left in the store");
    }
}

/// Answers data that was not stored, and makes the reason known on the project.
async fn reject(
    app: &App,
    uploader: &Allowed<Uploader, Project>,
    place: &Place,
    broken: IngestError,
) -> Result<Option<String>, Error> {
    let refusal = Refusal { reason: format!("{:?}", broken.reason()), message: broken.to_string() };
    let error = match broken {
        IngestError::EncodingSize(_) => {
            let refusal = Refusal { reason: PartyReason::EncodingSizeMismatch.to_string(), ..refusal };
            claims::refuse(app, place, &refusal).await?;
            record(uploader, Action::RejectContribution);
            return Ok(Some(announce(app, uploader, place, refusal).await));
        }
        IngestError::Body(error) => {
            return Err(match error.downcast::<Error>() {
                Ok(error) => *error,
                Err(error) => error.downcast::<StoreError>().map_or(Error::Aborted, |error| (*error).into()),
            });
        }
        IngestError::Store(error) => return Err(error.into()),
        IngestError::BlocksMissing | IngestError::BlocksUnexpected => {
            Error::BlocksMismatch(refusal.message.clone())
        }
        _ => Error::Invalid(refusal.message.clone()),
    };
    claims::note(app, place, &refusal).await;
    announce(app, uploader, place, refusal).await;
    Err(error)
}

/// Makes it known why data was not accepted; gives the message.
async fn announce(
    app: &App,
    uploader: &Allowed<Uploader, Project>,
    place: &Place,
    refusal: Refusal,
) -> String {
    counter!("linkage_api_uploads_refused_total", "reason" => refusal.reason.clone()).increment(1);
    claims::warn(app, &uploader.project, place, &refusal).await;
    refusal.message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced_by(count: &str, size: &str) -> Result<Announced, Error> {
        let mut headers = HeaderMap::new();
        headers.insert("hash-count", count.parse().unwrap());
        headers.insert("hash-size", size.parse().unwrap());
        announced(&headers)
    }

    #[test]
    fn the_headers_of_a_binary_upload_are_numbers_in_range() {
        let expected = Announced { records: Some(5000), encoding_bytes: 128 };
        assert_eq!(announced_by("5000", " 128 ").unwrap(), expected);
        let refused = ["0", "-1", "+1", "1.5", "", "0x10", "1e3", "99999999999999999999999999"];
        for number in refused {
            assert!(matches!(announced_by(number, "128"), Err(Error::Invalid(_))), "{number}");
            assert!(matches!(announced_by("10", number), Err(Error::Invalid(_))), "{number}");
        }
        assert!(announced_by("10", "1025").unwrap_err().to_string().contains("Hash-Size"));
        assert!(announced_by("4294967296", "8").unwrap_err().to_string().contains("Hash-Count"));
        assert!(announced(&HeaderMap::new()).is_err());
    }
}
