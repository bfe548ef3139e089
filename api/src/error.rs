//! Everything that can go wrong with a request, and the answer that each gets: `application/problem+json`.

use std::io::ErrorKind;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use scorer::store::StoreError;
use serde::Serialize;
use thiserror::Error;

use crate::problem::ProblemKind;
use crate::resumable::protocol::{TUS_VERSION, VERSION};

/// Seconds after which a client may try again when something behind this service is away.
const RETRY_SECONDS: u64 = 5;
/// Seconds after which a client may try again when the store is full: somebody has to make room first.
const FULL_SECONDS: u64 = 60;

/// Why a request is not answered as asked. The text of each is what the client reads, but for
/// [`Error::Unavailable`], [`Error::StoreAway`] and [`Error::Internal`], whose details go to the log alone.
#[derive(Debug, Error)]
pub enum Error {
    /// A token is required, and there is none.
    #[error("the Authorization header is missing: it carries the bare token")]
    MissingToken,
    /// Wrong token, or unknown project or run: not told apart, so that nobody can probe for names.
    #[error("the token does not allow this, or there is no such project or run")]
    Forbidden,
    /// Creating projects is for others.
    #[error(
        "this does not allow creating a project here; the administrator says who may, and hands out what is needed for it"
    )]
    MayNotCreate,
    /// There is as much as may be.
    #[error(
        "there may be {most} {of_what}, and no more; delete projects and runs that are not needed any more"
    )]
    Quota {
        /// How many there may be.
        most: u64,
        /// Of what.
        of_what: &'static str,
    },
    /// The party's place is taken.
    #[error("this party has already contributed its data")]
    AlreadyContributed,
    /// A run has begun with the party's data.
    #[error(
        "a run has begun with this party's data, so that it can neither be withdrawn nor replaced; other data can be linked in \
         another project"
    )]
    RunHasBegun,
    /// The party's data was read from source objects.
    #[error(
        "this party's data was read from source objects, which the project names; they, and not an upload, would have to be \
         changed"
    )]
    FromSource,
    /// Another upload of the same party has not ended yet.
    #[error("another upload of this party is under way; wait for its answer, or try again once it has ended")]
    UploadUnderWay,
    /// The party began another upload while this one stood still.
    #[error("this upload stood still, and the party has begun another one meanwhile")]
    Superseded,
    /// Blocks that the project does not use, or no blocks although it does.
    #[error("{0}")]
    BlocksMismatch(String),
    /// An announced object that is not of the party's own part of the store.
    #[error(
        "the object is not below the path that authorize-external-upload told, in the bucket and at the endpoint \
         that it told"
    )]
    NotOwnObject,
    /// The request is malformed: what, where, and what to do.
    #[error("{0}")]
    Invalid(String),
    /// The uploaded data cannot be read: why, and where.
    #[error("{0}")]
    InvalidData(String),
    /// No such path.
    #[error("there is nothing at this path")]
    UnknownPath,
    /// The path is right, the method is not.
    #[error("this path does not take this method; the Allow header lists those that it takes")]
    MethodNotAllowed,
    /// The run is not complete yet.
    #[error("the run is not complete, so there is no result yet")]
    NoResultYet,
    /// The run was started with the data of other parties than the one that asks.
    #[error("the run links no data of this party, so there is no permutation for it")]
    NotOfRun,
    /// The project has no webhook.
    #[error("the project has no webhook")]
    NoWebhook,
    /// The run is complete, but has no histogram.
    #[error("the run has no histogram of scores: it is of a version that recorded none")]
    NoHistogram,
    /// The run is complete, but has no similarity scores.
    #[error(
        "the run has no similarity scores beside its result; create a run whose additional_results ask for \
         similarity_scores, with from_run so that nothing is compared anew"
    )]
    NoSimilarityScores,
    /// The result is there, but in none of the formats that the client takes.
    #[error("this result is not there in the format that is asked for; it is there as {available}")]
    NotAcceptable {
        /// The media types that there are.
        available: String,
    },
    /// The run has failed.
    #[error("the run has failed, so there is no result; the run's status says why")]
    RunFailed,
    /// The result ends before the range begins that is asked for.
    #[error("the result has {bytes} bytes, and ends before this range begins")]
    RangeNotSatisfiable {
        /// Its size.
        bytes: u64,
    },
    /// A body of another media type.
    #[error("the body must be {0}")]
    UnsupportedMediaType(&'static str),
    /// A body that is packed in a way that is not known.
    #[error("the body's Content-Encoding must be gzip, or none")]
    UnsupportedEncoding,
    /// A larger body than allowed.
    #[error("the body is larger than the {limit} bytes allowed here")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The body came too slowly.
    #[error("fewer than {bytes} bytes came within {seconds} seconds; send the body faster")]
    TooSlow {
        /// How much was to come.
        bytes: u64,
        /// How long was waited.
        seconds: u64,
    },
    /// The body ended before its end, so most likely nobody reads this.
    #[error("the connection broke before the body was complete")]
    Aborted,
    /// Another version of the tus protocol, or none.
    #[error("the header Tus-Resumable must be 1.0.0, the version of the tus protocol")]
    ProtocolVersion,
    /// A resumable upload stands elsewhere than its client believes.
    #[error(
        "the upload does not stand at this Upload-Offset, or another request has gone on from there; ask by HEAD how many \
         bytes are there"
    )]
    OffsetConflict,
    /// A resumable upload was left for too long.
    #[error("the upload has expired; begin another one")]
    UploadExpired,
    /// The data of a resumable upload was refused.
    #[error("{detail}")]
    UploadRefused {
        /// The status that this is answered with.
        status: u16,
        /// What was wrong, where, and what to do.
        detail: String,
    },
    /// A run cannot be created, because the data of some party cannot be linked.
    #[error("a party's data cannot be linked; it must contribute again first: {0}")]
    PartyRejected(String),
    /// A part of the contract that this installation does not offer.
    #[error("{0} is switched off in this installation")]
    SwitchedOff(&'static str),
    /// The client sends more requests than it may.
    #[error("too many requests in a short time; try again")]
    TooManyRequests,
    /// As many uploads are in progress as may be: whose.
    #[error("too many uploads are {0}; try again")]
    TooManyUploads(&'static str),
    /// Other requests hold what memory there is.
    #[error("too many large requests are being answered; try again")]
    Busy,
    /// As many requests wait for news as may.
    #[error("too many requests wait for something to change; ask without wait, or try again")]
    TooManyWaiting,
    /// The store takes no more data.
    #[error(
        "the store has no space left; the administrator must make room; nothing of this upload was kept, upload again \
         then"
    )]
    StoreFull,
    /// The store does not answer. What does not need it goes on.
    #[error("{0}")]
    StoreAway(String),
    /// Kubernetes, or something else that is needed, does not answer. The client may try again.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of this program, or of its set-up.
    #[error("{0}")]
    Internal(String),
}

/// Marks an answer that refuses its request's token: it is counted, and told in the audit log.
#[derive(Clone, Copy, Debug)]
pub struct TokenRefused;

/// Marks any other refusal that the audit log tells.
#[derive(Clone, Copy, Debug)]
pub struct Refused;

/// The body of an error (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: ProblemKind,
    /// The status in words.
    #[schema(example = "Bad Request")]
    title: &'static str,
    /// The status.
    #[schema(minimum = 400, maximum = 599, example = 400)]
    status: u16,
    /// What was wrong, where, and what to do.
    #[schema(example = "threshold is 2; it must be above 0 and at most 1")]
    detail: String,
}

impl Error {
    /// What kind of problem it is. The kind decides the status.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::MissingToken => ProblemKind::MissingToken,
            Self::Forbidden => ProblemKind::Forbidden,
            Self::MayNotCreate => ProblemKind::MayNotCreate,
            Self::Quota { .. } => ProblemKind::QuotaExceeded,
            Self::RunHasBegun => ProblemKind::RunHasBegun,
            Self::FromSource => ProblemKind::FromSource,
            Self::UploadUnderWay => ProblemKind::UploadUnderWay,
            Self::ProtocolVersion => ProblemKind::ProtocolVersion,
            Self::OffsetConflict => ProblemKind::OffsetConflict,
            Self::UploadExpired => ProblemKind::UploadExpired,
            Self::UploadRefused { .. } => ProblemKind::UploadRefused,
            Self::Superseded => ProblemKind::Superseded,
            Self::AlreadyContributed => ProblemKind::AlreadyContributed,
            Self::BlocksMismatch(_) => ProblemKind::BlocksMismatch,
            Self::NotOwnObject => ProblemKind::NotOwnObject,
            Self::Invalid(_) => ProblemKind::InvalidRequest,
            Self::InvalidData(_) => ProblemKind::InvalidData,
            Self::UnknownPath => ProblemKind::UnknownPath,
            Self::MethodNotAllowed => ProblemKind::MethodNotAllowed,
            Self::NoResultYet => ProblemKind::NoResultYet,
            Self::NotOfRun => ProblemKind::NotOfRun,
            Self::NoWebhook => ProblemKind::NoWebhook,
            Self::NoHistogram => ProblemKind::NoHistogram,
            Self::NoSimilarityScores => ProblemKind::NoSimilarityScores,
            Self::NotAcceptable { .. } => ProblemKind::NotAcceptable,
            Self::RunFailed => ProblemKind::RunFailed,
            Self::RangeNotSatisfiable { .. } => ProblemKind::RangeNotSatisfiable,
            Self::UnsupportedMediaType(_) => ProblemKind::UnsupportedMediaType,
            Self::UnsupportedEncoding => ProblemKind::UnsupportedEncoding,
            Self::TooLarge { .. } => ProblemKind::TooLarge,
            Self::TooSlow { .. } => ProblemKind::TooSlow,
            Self::Aborted => ProblemKind::Aborted,
            Self::PartyRejected(_) => ProblemKind::PartyRejected,
            Self::SwitchedOff(_) => ProblemKind::SwitchedOff,
            // by contract not 429: 503 is the one status that clients try again after
            Self::TooManyRequests => ProblemKind::TooManyRequests,
            Self::TooManyUploads(_) => ProblemKind::TooManyUploads,
            Self::Busy => ProblemKind::Busy,
            Self::TooManyWaiting => ProblemKind::TooManyWaiting,
            Self::StoreFull => ProblemKind::StoreFull,
            Self::Unavailable(_) | Self::StoreAway(_) => ProblemKind::Unavailable,
            Self::Internal(_) => ProblemKind::Internal,
        }
    }

    /// The status that it is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UploadRefused { status, .. } => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST)
            }
            _ => self.kind().status(),
        }
    }

    /// What the client may read of it.
    fn detail(&self) -> String {
        match self {
            Self::Unavailable(_) => "the service cannot answer at the moment; try again".into(),
            Self::StoreAway(_) => {
                "the object store does not answer at the moment, so that data can neither be taken in nor \
                handed out; projects, runs and their status can be asked for; try again"
                    .into()
            }
            Self::Internal(_) => {
                "the service failed; its log tells more under the X-Request-Id of this answer".into()
            }
            other => other.to_string(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match &self {
            Self::Internal(detail) => tracing::error!(detail, "internal error"),
            Self::StoreAway(detail) | Self::Unavailable(detail) => tracing::warn!(detail, "unavailable"),
            Self::StoreFull => tracing::warn!("an upload was refused: the store has no space left"),
            other => tracing::debug!(detail = %other, "refused"),
        }
        let hint = match &self {
            Self::TooManyRequests => Some((RETRY_AFTER, 1.into())),
            Self::TooManyUploads(_)
            | Self::TooManyWaiting
            | Self::Busy
            | Self::StoreAway(_)
            | Self::Unavailable(_) => Some((RETRY_AFTER, RETRY_SECONDS.into())),
            Self::StoreFull => Some((RETRY_AFTER, FULL_SECONDS.into())),
            Self::RangeNotSatisfiable { bytes } => {
                HeaderValue::try_from(format!("bytes */{bytes}")).ok().map(|range| (CONTENT_RANGE, range))
            }
            Self::ProtocolVersion => Some((TUS_VERSION, VERSION)),
            // RFC 7694
            Self::UnsupportedEncoding => Some((ACCEPT_ENCODING, HeaderValue::from_static("gzip"))),
            _ => None,
        };
        let mut response = problem(self.status(), self.kind(), self.detail());
        response.headers_mut().extend(hint);
        if matches!(self, Self::Forbidden | Self::MayNotCreate) {
            response.extensions_mut().insert(TokenRefused);
        }
        if matches!(self, Self::MissingToken | Self::NotOwnObject | Self::Quota { .. }) {
            response.extensions_mut().insert(Refused);
        }
        response
    }
}

/// An answer with a problem as its body.
fn problem(status: StatusCode, kind: ProblemKind, detail: String) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = Problem { kind, title, status: status.as_u16(), detail };
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        if is_full(&error) {
            Self::StoreFull
        } else if matches!(error, StoreError::Unavailable { .. }) {
            Self::StoreAway(error.to_string())
        } else if error.is_transient() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.to_string())
        }
    }
}

/// Whether the store has no space left: trying again helps once somebody has made room.
fn is_full(error: &StoreError) -> bool {
    match error {
        StoreError::Full { .. } => true,
        StoreError::File { source, .. } => {
            matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        }
        _ => false,
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                // what the resource's own rules refuse was asked for by the client
                400 | 413 | 422 => Self::Invalid(status.message),
                // 401: the credentials of a pod that was deleted by force are void before the pod has ended
                401 | 410 | 429 | 500.. => {
                    Self::Unavailable(format!("Kubernetes answered {}: {}", status.code, status.message))
                }
                _ => Self::Internal(format!("Kubernetes answered {}: {}", status.code, status.message)),
            },
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::Auth(_) => {
                Self::Unavailable(format!("Kubernetes cannot be reached: {error}"))
            }
            other => Self::Internal(format!("Kubernetes: {other}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    async fn answer(error: Error) -> (StatusCode, axum::http::HeaderMap, serde_json::Value) {
        let response = error.into_response();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 10_000).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn an_error_is_a_problem_document() {
        let (status, headers, body) = answer(Error::Invalid("threshold is 2".into())).await;
        assert_eq!(status, 400);
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
        let expected = serde_json::json!({
            "type": "/api/v1/problems#invalid-request", "title": "Bad Request", "status": 400, "detail": "threshold is 2"
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn details_of_faults_stay_in_the_log() {
        for error in [
            Error::Internal("secret".into()),
            Error::Unavailable("secret".into()),
            Error::StoreAway("secret".into()),
        ] {
            let (status, headers, body) = answer(error).await;
            assert!(!body.to_string().contains("secret"), "{body}");
            assert_eq!(headers.contains_key(RETRY_AFTER), status == 503);
        }
    }

    #[tokio::test]
    async fn a_full_store_is_told_as_full() {
        let of = |source: ErrorKind| StoreError::File { what: "a".into(), source: source.into() };
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            let (status, headers, body) = answer(of(kind).into()).await;
            assert_eq!((status.as_u16(), &headers[RETRY_AFTER]), (507, &HeaderValue::from(FULL_SECONDS)));
            assert_eq!(body["title"], "Insufficient Storage");
            assert!(body["detail"].as_str().unwrap().contains("make room"), "{body}");
        }
        assert_eq!(answer(of(ErrorKind::NotFound).into()).await.0, 500);
    }

    #[test]
    fn what_kubernetes_says_is_told_apart() {
        let of = |code: u16| {
            let status = kube::core::Status { code, message: "m".into(), ..Default::default() };
            Error::from(kube::Error::Api(status.boxed())).status().as_u16()
        };
        assert_eq!([422, 401, 403, 409, 429, 500, 503].map(of), [400, 503, 500, 500, 503, 503, 503]);
        assert_eq!(Error::from(kube::Error::Service("refused".into())).status(), 503);
    }
}
