//! From the client's errors to ours, without request details, which hold credentials.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::S3Store;
use crate::store::StoreError;

/// The HTTP status of a refusal.
pub(super) fn status<T, E>(answer: &Result<T, SdkError<E, HttpResponse>>) -> Option<u16> {
    match answer {
        Err(SdkError::ServiceError(refusal)) => Some(refusal.raw().status().as_u16()),
        _ => None,
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
            let why = || match refusal.err().message() {
                Some(message) => format!("{status} {code}: {message}"),
                None => format!("{status} {code}").trim_end().to_owned(),
            };
            match (status, code, key) {
                (_, "NoSuchBucket", _) => StoreError::Unavailable { what: what(), why: why() },
                (404, _, Some(key)) => StoreError::NotFound { key: key.into() },
                (401 | 403, ..) => StoreError::Denied { what: what() },
                // 409: somebody else writes at this moment
                (408 | 409 | 429 | 500.., ..) => StoreError::Unavailable { what: what(), why: why() },
                _ => StoreError::Rejected { what: what(), why: why() },
            }
        })
    }
}
