//! Uploads of encodings: streamed to the store, checked while they pass, then claimed for their party.
//!
//! An upload runs as a task of its own: when its connection breaks, the task sees the body end with an error and
//! removes what it stored. A refused upload leaves nothing behind, and its token usable.

use std::sync::Arc;

use axum::Json as JsonAnswer;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::WARNING;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use crds::conditions::PartyReason;
use crds::contribution::{self, PartyData, Refusal};
use crds::tokens::Role;
use crds::{AnnouncedObjects, Blocking, PartyState};
use futures::{StreamExt, stream};
use metrics::{counter, gauge};
use scorer::ingest::{self, Announced, Expectations, IngestError};
use scorer::store::{Store, StoreError};
use scorer::summary::Contribution;
use serde::Serialize;
use tracing::Instrument;
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, Project, ProjectPath};
use crate::access::audit::{self, Action};
use crate::access::caller;
use crate::access::who::{Uploader, Who};
use crate::content::text;
use crate::content::unpack::unpacked;
use crate::document::bodies::Upload;
use crate::document::parameters::{Packed, RawEncodings, Replacing};
use crate::document::problems::{
    BodyProblems, ChangeProblems, ServiceProblems, TokenProblems, UploadProblems,
};
use crate::document::values::{Bytes, Token};
use crate::endpoints::claims::{self, Claim, Place, Purpose};
use crate::endpoints::external::{self, ExternalUpload, Peeked};
use crate::endpoints::{projects, withdrawals};
use crate::error::{Error, Problem};
use crate::limits::body::{self, LimitedBody};
use crate::limits::underway::Turn;
use crate::limits::{memory, places};

/// Most bytes of an encoding that may be announced; whether they can be linked is another matter.
const MAX_HASH_SIZE: u32 = 1024;

/// The header by which a party asks that an upload takes the place of what it has contributed.
const REPLACE: &str = "Replace-Contribution";

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
    /// What of the data was not used: told in the header `Warning`.
    #[serde(skip)]
    ignored: Option<String>,
}

impl IntoResponse for Uploaded {
    fn into_response(self) -> Response {
        let ignored = self.ignored.as_deref().and_then(warning);
        let mut response = (StatusCode::CREATED, JsonAnswer(self)).into_response();
        response.headers_mut().extend(ignored.map(|warning| (WARNING, warning)));
        response
    }
}

/// A header's value (RFC 7234, 5.5): miscellaneous, and lasting.
fn warning(text: &str) -> Option<HeaderValue> {
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    HeaderValue::try_from(format!("299 - \"{quoted}\"")).ok()
}

/// Uploads a party's encodings as JSON.
///
/// `{"clks": [base64, …]}`, `{"clknblocks": [[base64, block, …], …]}`, or `{"encodings": …}` with optional `"blocks"`.
/// Of these, both may be in line, or both name objects that the party has put into the store. Data that is refused leaves
/// nothing behind, and the token may be used again.
///
/// The same content uploaded again is the same contribution, and gets the same answer: also when the first one was lost. Other
/// content is 403 then, unless `Replace-Contribution` asks that it takes the place of the first; from when on a run has begun, 409.
#[utoipa::path(post, path = "/projects/{project_id}/clks", tag = "uploads", operation_id = "upload_json",
    params(ProjectPath, Replacing, Packed), security(("update_token" = [])), request_body = Upload,
    responses(TokenProblems, BodyProblems, ServiceProblems, UploadProblems, ChangeProblems,
        (status = 201, description = "It is there. With a warning: but it cannot be linked", body = Uploaded)))]
pub async fn json(
    State(app): State<Arc<App>>,
    uploader: Allowed<Uploader, Project>,
    headers: HeaderMap,
    body: Body,
) -> Result<Uploaded, Error> {
    receive(app, Form::Json, uploader, headers, body).await
}

/// Uploads a party's encodings as raw bytes, one encoding after the other.
///
/// For a project without blocking. The body is `Hash-Count` times `Hash-Size` bytes long.
#[utoipa::path(post, path = "/projects/{project_id}/binaryclks", tag = "uploads", operation_id = "upload_binary",
    params(ProjectPath, RawEncodings, Replacing, Packed), security(("update_token" = [])),
    request_body(content = inline(Bytes), content_type = "application/octet-stream", example = json!("16 bytes, in all")),
    responses(TokenProblems, BodyProblems, ServiceProblems, UploadProblems, ChangeProblems,
        (status = 201, description = "It is there. With a warning: but it cannot be linked", body = Uploaded)))]
pub async fn binary(
    State(app): State<Arc<App>>,
    uploader: Allowed<Uploader, Project>,
    headers: HeaderMap,
    body: Body,
) -> Result<Uploaded, Error> {
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
    app.surroundings.store_is_needed()?;
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
) -> Result<Uploaded, Error> {
    app.surroundings.store_is_needed()?;
    let places = take_places(&app, &uploader)?;
    app.fullness.check()?;
    let upload = {
        let app = app.clone();
        async move {
            let _places = places;
            gauge!("linkage_api_uploads_in_progress").increment(1);
            let answer = take_in(&app, form, &uploader, &headers, body).await;
            gauge!("linkage_api_uploads_in_progress").decrement(1);
            answer
        }
    };
    let task = app.uploads.spawn(caller::along(upload.in_current_span()));
    task.await.map_err(|error| Error::Internal(format!("an upload failed: {error}")))?
}

async fn take_in(
    app: &App,
    form: Form,
    uploader: &Allowed<Uploader, Project>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Uploaded, Error> {
    let uid = uploader.project.metadata.uid.as_deref().unwrap_or_default();
    let turn = app.underway.begin(uid, uploader.who.party)?;
    let mut body = LimitedBody::new(headers, body, app.limits.max_upload_bytes, app.limits.read_timeout);
    let place = Place::new(uploader);
    let answer = store_and_claim(app, form, headers, (uploader, &place, &turn), &mut body).await;
    counter!("linkage_api_uploaded_bytes_total").increment(body.received());
    app.fullness.note(&answer);
    match answer {
        Err(error) => Err(claims::explain(app, &place, error).await),
        taken => taken,
    }
}

/// Places for the upload: blocks are an object of their own.
pub fn take_places(app: &App, uploader: &Allowed<Uploader, Project>) -> Result<places::Taken, Error> {
    let Allowed { who, project, .. } = uploader;
    let address = caller::current().and_then(|caller| caller.address);
    let objects = if project.spec.blocking == Blocking::ByBlockId { 2 } else { 1 };
    app.places.take(address, project.metadata.uid.as_deref().unwrap_or_default(), who.party, objects)
}

async fn store_and_claim(
    app: &App,
    form: Form,
    headers: &HeaderMap,
    (uploader, place, turn): (&Allowed<Uploader, Project>, &Place, &Turn),
    body: &mut LimitedBody,
) -> Result<Uploaded, Error> {
    let purpose = purpose(app, uploader, headers).await?;
    let prefix = fresh_prefix(app, uploader);
    // what is only compared is not kept, not even for a moment
    let kept_in = if purpose == Purpose::Compare { app.store.discarding() } else { app.store.clone() };
    let other = |error| match purpose {
        Purpose::Compare if is_of_the_data(&error) => already_contributed(headers),
        _ => error,
    };
    let taken = store(app, form, headers, (uploader, turn), body, (&kept_in, &prefix)).await;
    let (warning, ignored) = match taken.map_err(other)? {
        // what was announced is read later: until then nobody knows whether it is what is there
        Taken::Announced { .. } if purpose != Purpose::Contribute => {
            return Err(already_contributed(headers));
        }
        Taken::Announced { objects, ignored } => {
            claims::announce(app, place, &objects).await?;
            tracing::info!(encodings = objects.encodings, "noted an announcement");
            record(uploader, Action::AnnounceContribution);
            (None, ignored)
        }
        Taken::Data(Ok(contribution)) => {
            let ignored = contribution.warning.clone();
            let claimed = claim(app, uploader, place, (&prefix, purpose), contribution).await;
            let claimed = claimed.map_err(|error| match error {
                Error::AlreadyContributed => already_contributed(headers),
                error => error,
            });
            match claimed? {
                None => (None, ignored),
                refused => (refused, None),
            }
        }
        Taken::Data(Err(broken)) if purpose == Purpose::Compare => {
            return Err(of_the_request(broken).unwrap_or_else(|_| already_contributed(headers)));
        }
        Taken::Data(Err(broken)) => (reject(app, uploader, place, broken).await?, None),
    };
    let receipt_token = app.judge.token(&uploader.project, Role::Receipt(place.party()));
    Ok(Uploaded { message: "Updated", receipt_token, warning, ignored })
}

/// What an upload is for. That of a party that has contributed is read all the same: it may be the same content.
async fn purpose(
    app: &App,
    uploader: &Allowed<Uploader, Project>,
    headers: &HeaderMap,
) -> Result<Purpose, Error> {
    match projects::party_status(&uploader.project, &uploader.who.name) {
        Some(status) if status.state == PartyState::Contributed => {}
        _ => return Ok(Purpose::Contribute),
    }
    if !replaces(headers) {
        return Ok(Purpose::Compare);
    }
    match withdrawals::refuse_if_begun(app, &uploader.project).await {
        Ok(()) => Ok(Purpose::Replace),
        Err(Error::RunHasBegun) => Ok(Purpose::Compare),
        Err(error) => Err(error),
    }
}

/// Whether the upload is to take the place of what the party has contributed.
fn replaces(headers: &HeaderMap) -> bool {
    headers.get(REPLACE).is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"true"))
}

/// The answer to other data than the party has contributed.
fn already_contributed(headers: &HeaderMap) -> Error {
    if replaces(headers) { Error::RunHasBegun } else { Error::AlreadyContributed }
}

/// Whether a request is refused for what it carries.
fn is_of_the_data(error: &Error) -> bool {
    matches!(
        error,
        Error::Invalid(_)
            | Error::BlocksMismatch(_)
            | Error::NotOwnObject
            | Error::UnsupportedMediaType(_)
            | Error::UnsupportedEncoding
    )
}

/// Claims for a party what was stored, or makes known why it was not. Gives why it cannot be linked, if it cannot.
///
/// # Errors
/// Fails when the data was refused, or something is away that is needed.
pub async fn settle(
    app: &App,
    uploader: &Allowed<Uploader, Project>,
    place: &Place,
    prefix: &str,
    outcome: Result<Contribution, IngestError>,
) -> Result<Option<String>, Error> {
    match outcome {
        Ok(contribution) => claim(app, uploader, place, (prefix, Purpose::Contribute), contribution).await,
        Err(broken) => reject(app, uploader, place, broken).await,
    }
}

/// What the data of an upload must be like.
pub fn expectations(app: &App, uploader: &Allowed<Uploader, Project>) -> Expectations {
    Expectations {
        blocking: uploader.project.spec.blocking == Blocking::ByBlockId,
        // the claim judges the size: it knows those of the other parties as well
        encoding_bytes: None,
        limits: ingest::Limits {
            min_encoding_bytes: app.limits.min_encoding_bytes,
            max_encoding_bytes: app.limits.max_encoding_bytes,
            ..ingest::Limits::default()
        },
        memory: Some(&memory::WAITING_RECORDS),
    }
}

/// Refuses at once what will be refused in the end.
pub fn check(uploader: &Allowed<Uploader, Project>) -> Result<(), Error> {
    match projects::party_status(&uploader.project, &uploader.who.name) {
        Some(status) if status.state == PartyState::Contributed => Err(Error::AlreadyContributed),
        _ => Ok(()),
    }
}

/// Refuses data while objects that the party has announced are being read.
fn check_nothing_is_read(uploader: &Allowed<Uploader, Project>) -> Result<(), Error> {
    match projects::party_status(&uploader.project, &uploader.who.name) {
        Some(status) if contribution::is_being_read(status) => Err(Error::UploadUnderWay),
        _ => Ok(()),
    }
}

/// Where an upload is stored until it is claimed, and after.
pub fn fresh_prefix(app: &App, uploader: &Allowed<Uploader, Project>) -> String {
    let uid = uploader.project.metadata.uid.as_deref().unwrap_or_default();
    format!("{}parties/{}/{}/", app.installation.project(uid), uploader.who.party, text::fresh_id())
}

/// What an upload turned out to be.
enum Taken {
    /// The data itself, stored or not.
    Data(Result<Contribution, IngestError>),
    /// Objects that the party has put into the store by itself, and what of their announcement was not read.
    Announced { objects: AnnouncedObjects, ignored: Option<String> },
}

/// Stores the encodings. The error is about the request; that about its data is within.
async fn store(
    app: &App,
    form: Form,
    headers: &HeaderMap,
    (uploader, turn): (&Allowed<Uploader, Project>, &Turn),
    body: &mut LimitedBody,
    (kept_in, prefix): (&Store, &str),
) -> Result<Taken, Error> {
    let is_empty = body.is_empty();
    let mut body = turn.watched(unpacked(headers, body)?);
    let expected = expectations(app, uploader);
    let outcome = match form {
        Form::Json => {
            body::expect_json(headers, is_empty)?;
            match external::peek(&mut body).await? {
                Peeked::Announcement { announcement, ignored } => {
                    let objects = external::objects(app, uploader, &announcement)?;
                    return Ok(Taken::Announced { objects, ignored });
                }
                Peeked::Data(head) => {
                    check_nothing_is_read(uploader)?;
                    let body = stream::iter(head.into_iter().map(Ok)).chain(body);
                    ingest::json(body, &expected, kept_in, prefix).await
                }
            }
        }
        Form::Binary => {
            // by contract 400, as of all that is wrong with the headers
            body::expect_media_type(headers, body::BINARY)
                .map_err(|error| Error::Invalid(error.to_string()))?;
            let announced = announced(headers)?;
            check_size(uploader, announced.encoding_bytes)?;
            check_nothing_is_read(uploader)?;
            ingest::binary(body, announced, &expected, kept_in, prefix).await
        }
    };
    Ok(Taken::Data(outcome))
}

/// Refuses raw encodings of another size than the project's schema fixes, before any of them is stored.
fn check_size(uploader: &Allowed<Uploader, Project>, encoding_bytes: u32) -> Result<(), Error> {
    let bits = uploader.project.spec.encoding.as_ref().and_then(|encoding| encoding.bits);
    match bits.map(i64::from) {
        Some(bits) if bits != i64::from(encoding_bytes) * 8 => Err(Error::Invalid(format!(
            "Hash-Size is {encoding_bytes}, but the project's schema asks for encodings of {bits} bits (clkConfig.l), {} bytes",
            bits / 8
        ))),
        _ => Ok(()),
    }
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
    (prefix, purpose): (&str, Purpose),
    contribution: Contribution,
) -> Result<Option<String>, Error> {
    let Contribution {
        encodings,
        blocks,
        records,
        encoding_bytes,
        blake3,
        blocks_blake3,
        records_without_block,
        warning,
    } = contribution;
    let data = PartyData {
        records,
        encoding_bytes,
        encodings,
        blocks,
        blake3,
        blocks_blake3,
        records_without_block,
        warning,
    };
    let Claim { verdict, keeps_objects, replaced } = claims::claim(app, place, &data, purpose).await;
    if !keeps_objects && purpose != Purpose::Compare {
        remove(app, prefix).await;
    }
    if let Some(replaced) = replaced {
        withdrawals::remove(app, &uploader.project, &replaced).await;
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

/// Writes a line to the audit log.
pub fn record(uploader: &Allowed<Uploader, Project>, action: Action) {
    audit::record(uploader.who.actor(), action, &uploader.project, None);
}

/// Removes what is not needed any more, as well as it can.
pub async fn remove(app: &App, prefix: &str) {
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
    let message = match &broken {
        IngestError::Form(form) => body::form_refusal(*form),
        broken => broken.to_string(),
    };
    let refusal = Refusal { reason: broken.reason().to_string(), message };
    let error = match broken {
        IngestError::EncodingSize(_) => {
            let refusal = Refusal { reason: PartyReason::EncodingSizeMismatch.to_string(), ..refusal };
            claims::refuse(app, place, &refusal).await?;
            record(uploader, Action::RejectContribution);
            return Ok(Some(announce(app, uploader, place, refusal).await));
        }
        broken @ (IngestError::Body(_) | IngestError::Store(_)) => {
            return Err(of_the_request(broken).unwrap_or(Error::Aborted));
        }
        IngestError::Busy => return Err(Error::TooManyUploads("sending records out of order")),
        IngestError::BlocksMissing | IngestError::BlocksUnexpected => {
            Error::BlocksMismatch(refusal.message.clone())
        }
        _ => Error::InvalidData(refusal.message.clone()),
    };
    claims::note(app, place, &refusal).await;
    announce(app, uploader, place, refusal).await;
    Err(error)
}

/// What went wrong with the request or the store, and not with the data.
fn of_the_request(broken: IngestError) -> Result<Error, IngestError> {
    match broken {
        IngestError::Body(error) => Ok(match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => error.downcast::<StoreError>().map_or(Error::Aborted, |error| (*error).into()),
        }),
        IngestError::Store(error) => Ok(error.into()),
        of_the_data => Err(of_the_data),
    }
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
