//! From the client's errors to ours, without request details, which hold credentials.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::S3Store;
use crate::store::StoreError;

/// Codes of stores that are full.
const FULL: [&str; 5] = [
    "XMinioStorageFull",
    "InsufficientStorage",
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
    "NoSpaceLeft",
];
/// Codes that mean trouble, whatever the status: a request that takes long is answered 200 before its outcome is known, and
/// expired credentials are renewed.
const TROUBLE: [&str; 9] = [
    "ExpiredToken",
    "TokenRefreshRequired",
    "InternalError",
    "ServiceUnavailable",
    "SlowDown",
    "RequestTimeout",
    "OperationAborted",
    "Throttling",
    "NoSuchBucket",
];

/// The HTTP status of a refusal.
pub(super) fn status<T, E>(answer: &Result<T, SdkError<E, HttpResponse>>) -> Option<u16> {
    match answer {
        Err(SdkError::ServiceError(refusal)) => Some(refusal.raw().status().as_u16()),
        _ => None,
    }
}

/// The code of a refusal, and its words; empty where there are none.
pub(super) fn code_and_message<T, E: ProvideErrorMetadata>(
    answer: &Result<T, SdkError<E, HttpResponse>>,
) -> (&str, &str) {
    match answer {
        Err(SdkError::ServiceError(refusal)) => {
            (refusal.err().code().unwrap_or_default(), refusal.err().message().unwrap_or_default())
        }
        _ => ("", ""),
    }
}

/// What an error says, with what its causes say.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

pub(super) trait S3Result<T>: Sized {
    /// `what` is tried; a 404 means that there is no object `key`.
    fn or_store_error(self, what: impl Fn() -> String, key: Option<&str>) -> Result<T, StoreError>;

    /// Writing `key` is tried.
    fn for_writing(self, key: &str) -> Result<T, StoreError>;

    fn for_key(self, _: &S3Store, doing: &str, key: &str) -> Result<T, StoreError> {
        self.or_store_error(|| format!("{doing} \"{key}\""), Some(key))
    }

    fn for_bucket(self, store: &S3Store, doing: &str) -> Result<T, StoreError> {
        self.or_store_error(|| format!("{doing} the bucket \"{}\"", store.bucket()), None)
    }
}

impl<T, E> S3Result<T> for Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn or_store_error(self, what: impl Fn() -> String, key: Option<&str>) -> Result<T, StoreError> {
        self.map_err(|error| {
            let SdkError::ServiceError(refusal) = &error else {
                return StoreError::Unavailable { what: what(), why: chain(&error) };
            };
            let status = refusal.raw().status().as_u16();
            let code = refusal.err().code().unwrap_or_default();
            let message = refusal.err().message().unwrap_or_default();
            let why = || match message {
                "" => format!("{status} {code}").trim_end().to_owned(),
                message => format!("{status} {code}: {message}"),
            };
            match (status, code, key) {
                _ if is_full(status, code, message) => StoreError::Full { what: what() },
                (_, code, _) if TROUBLE.contains(&code) => {
                    StoreError::Unavailable { what: what(), why: why() }
                }
                (404, _, Some(key)) => StoreError::NotFound { key: key.into() },
                (401 | 403, ..) => StoreError::Denied { what: what() },
                // 409: somebody else writes at this moment
                (408 | 409 | 429 | 500.., ..) => StoreError::Unavailable { what: what(), why: why() },
                _ => StoreError::Rejected { what: what(), why: why() },
            }
        })
    }

    fn for_writing(self, key: &str) -> Result<T, StoreError> {
        let what = || format!("writing \"{key}\"");
        match &self {
            Err(SdkError::ServiceError(refusal)) if refusal.err().code() == Some("NoSuchUpload") => {
                Err(StoreError::UploadLost { key: key.into() })
            }
            Err(SdkError::ServiceError(refusal)) if is_full_seaweed(refusal.raw(), refusal.err()) => {
                Err(StoreError::Full { what: what() })
            }
            _ => self.or_store_error(what, None),
        }
    }
}

fn is_full(status: u16, code: &str, message: &str) -> bool {
    status == 507
        || FULL.contains(&code)
        || message.contains("no free volumes left")
        || message.contains("No writable volumes")
}

/// SeaweedFS says no more than that there is an internal error when all of its volumes are full, or its disk is. It says
/// the same in the first seconds after its start, when it has no volumes yet.
fn is_full_seaweed(answer: &HttpResponse, error: &impl ProvideErrorMetadata) -> bool {
    let by = answer.headers().get("server").unwrap_or_default();
    by.starts_with("SeaweedFS") && error.code() == Some("InternalError")
}
