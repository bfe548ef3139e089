//! From the errors of the parts to the closed list of reasons.

use std::error::Error;
use std::io;

use crate::store::{ChangedContent, StoreError};
use crate::summary::{Failure, FailureReason};
use crate::{engine, pairs, result, solve};

pub(super) fn internal(message: &str) -> Failure {
    Failure { reason: FailureReason::Internal, message: format!("internal error: {message}") }
}

pub(super) fn corrupt(key: &str, why: &str) -> Failure {
    let message = format!(
        "the object \"{key}\" in the store is not what was written there: {why}; \
         contribute the data again, or create a new run"
    );
    Failure { reason: FailureReason::CorruptObject, message }
}

pub(super) fn out_of_memory(what: &str, needed_bytes: u64, limit_bytes: u64) -> Failure {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let message = format!(
        "{what} needs about {} MiB of memory, but the limit is {} MiB; \
         raise spec.resources.limits.memory of the run (--memory-limit for local use)",
        mib(needed_bytes),
        mib(limit_bytes)
    );
    Failure { reason: FailureReason::OutOfMemory, message }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let reason = match &error {
            StoreError::NotFound { .. } | StoreError::TooLarge { .. } => FailureReason::CorruptObject,
            StoreError::InvalidKey { .. } | StoreError::InvalidSettings { .. } | StoreError::File { .. } => {
                FailureReason::Internal
            }
            _ => FailureReason::StoreUnavailable,
        };
        Self { reason, message: error.to_string() }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        use engine::Error as E;
        let reason = match &error {
            E::EncodingSize(_) | E::SizeMismatch { .. } => FailureReason::EncodingSizeMismatch,
            E::Truncated { .. } => FailureReason::CorruptObject,
            E::NoSuchRecord { .. } | E::BlocksMismatch { .. } => FailureReason::InvalidBlocks,
            E::TooManyRecords(_) | E::TooManyBlocks | E::TooMuchWork(_) => FailureReason::OutOfMemory,
            _ => FailureReason::Internal,
        };
        match error {
            E::Pairs(error) => error.into(),
            error => Self { reason, message: error.to_string() },
        }
    }
}

impl From<pairs::Error> for Failure {
    fn from(error: pairs::Error) -> Self {
        match error {
            pairs::Error::Io { stream, source } => from_io(&stream, source),
            error => Self {
                reason: FailureReason::CorruptObject,
                message: format!("{error}; it is not what was written to the store: create a new run"),
            },
        }
    }
}

impl From<solve::Error> for Failure {
    fn from(error: solve::Error) -> Self {
        let reason = match &error {
            solve::Error::TooManyRecords { .. } => FailureReason::OutOfMemory,
            _ => FailureReason::CorruptObject,
        };
        Self { reason, message: error.to_string() }
    }
}

impl From<result::Error> for Failure {
    fn from(error: result::Error) -> Self {
        match error {
            result::Error::Write(source) => from_io("the result could not be written", source),
            result::Error::Pairs(error) => error.into(),
            error => internal(&error.to_string()),
        }
    }
}

/// Blocking readers and writers of objects wrap the store's errors.
pub(super) fn from_io(what: &str, error: io::Error) -> Failure {
    let message = format!("{what}: {error}");
    match error.into_inner().map(downcast) {
        Some(Ok(failure)) => failure,
        _ => internal(&message),
    }
}

fn downcast(inner: Box<dyn Error + Send + Sync>) -> Result<Failure, Box<dyn Error + Send + Sync>> {
    if inner.is::<ChangedContent>() {
        let message = format!("{inner}; contribute the data again, or create a new run");
        return Ok(Failure { reason: FailureReason::CorruptObject, message });
    }
    inner.downcast::<StoreError>().map(|error| (*error).into())
}
