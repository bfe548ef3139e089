//! Everything that can go wrong with a request, and the answer that each gets: `application/problem+json`.

use std::io::ErrorKind;

use axum::http::header::{ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use scorer::store::StoreError;
use serde::Serialize;
use thiserror::Error;

/// Seconds after which a client may try again when something behind this service is away.
const RETRY_SECONDS: u64 = 5;
/// Seconds after which a client may try again when the store is full: somebody has to make room first.
const FULL_SECONDS: u64 = 60;

/// Why a request is not answered as asked. The text of each is what the client reads, but for
/// [`Error::Unavailable`] and [`Error::Internal`], whose details go to the log alone.
#[derive(Debug, Error)]
pub enum Error {
    /// A token is required, and there is none.
    #[error("the Authorization header is missing: it carries the bare token")]
    MissingToken,
    /// Wrong token, or unknown project or run: not told apart, so that nobody can probe for names.
    #[error("the token does not allow this, or there is no such project or run")]
    Forbidden,
    /// The party's place is taken.
    #[error("this party has already contributed its data")]
    AlreadyContributed,
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
    /// The body stopped coming.
    #[error("no data came for {seconds} seconds")]
    TooSlow {
        /// How long was waited.
        seconds: u64,
    },
    /// The body ended before its end, so most likely nobody reads this.
    #[error("the connection broke before the body was complete")]
    Aborted,
    /// A run cannot be created, because the data of some party cannot be linked.
    #[error("a party's data cannot be linked; it must contribute again first: {0}")]
    PartyRejected(String),
    /// A part of the contract that this installation does not offer.
    #[error("{0} is switched off in this installation")]
    SwitchedOff(&'static str),
    /// The client sends more requests than it may.
    #[error("too many requests in a short time; try again")]
    TooManyRequests,
    /// As many uploads are in progress as may be.
    #[error("too many uploads are in progress; try again")]
    TooManyUploads,
    /// The store takes no more data.
    #[error(
        "the store has no space left; the administrator must make room; nothing of this upload was kept, upload again \
         then"
    )]
    StoreFull,
    /// Kubernetes or the store does not answer. The client may try again.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of this program, or of its set-up.
    #[error("{0}")]
    Internal(String),
}

/// The body of an error (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    #[schema(pattern = "^about:blank$")]
    type_: &'static str,
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
    /// The status that it is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingToken | Self::Invalid(_) | Self::Aborted => StatusCode::BAD_REQUEST,
            Self::Forbidden
            | Self::AlreadyContributed
            | Self::BlocksMismatch(_)
            | Self::NotOwnObject
            | Self::NotOfRun => StatusCode::FORBIDDEN,
            Self::UnknownPath | Self::NoResultYet | Self::NoHistogram | Self::NoSimilarityScores => {
                StatusCode::NOT_FOUND
            }
            Self::NotAcceptable { .. } => StatusCode::NOT_ACCEPTABLE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) | Self::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            // by contract not 429: 503 is the one status that clients try again after
            Self::TooManyRequests | Self::TooManyUploads | Self::Unavailable(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::StoreFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::RunFailed | Self::PartyRejected(_) | Self::SwitchedOff(_) | Self::Internal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// What the client may read of it.
    fn detail(&self) -> String {
        match self {
            Self::Unavailable(_) => "the service cannot answer at the moment; try again".into(),
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
            Self::Unavailable(detail) => tracing::warn!(detail, "unavailable"),
            Self::StoreFull => tracing::warn!("an upload was refused: the store has no space left"),
            other => tracing::debug!(detail = %other, "refused"),
        }
        let hint = match &self {
            Self::TooManyRequests => Some((RETRY_AFTER, 1.into())),
            Self::TooManyUploads | Self::Unavailable(_) => Some((RETRY_AFTER, RETRY_SECONDS.into())),
            Self::StoreFull => Some((RETRY_AFTER, FULL_SECONDS.into())),
            Self::RangeNotSatisfiable { bytes } => {
                HeaderValue::try_from(format!("bytes */{bytes}")).ok().map(|range| (CONTENT_RANGE, range))
            }
            // RFC 7694
            Self::UnsupportedEncoding => Some((ACCEPT_ENCODING, HeaderValue::from_static("gzip"))),
            _ => None,
        };
        let mut response = problem(self.status(), self.detail());
        response.headers_mut().extend(hint);
        response
    }
}

/// An answer with a problem as its body.
pub fn problem(status: StatusCode, detail: String) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = Problem { type_: "about:blank", title, status: status.as_u16(), detail };
    let mut response = (status, axum::Json(body)).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        if is_full(&error) {
            Self::StoreFull
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
            "type": "about:blank", "title": "Bad Request", "status": 400, "detail": "threshold is 2"
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn details_of_faults_stay_in_the_log() {
        for error in [Error::Internal("secret".into()), Error::Unavailable("secret".into())] {
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
