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

/// Whether a disk has no room left.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(super) fn scratch_full(what: &str) -> Failure {
    let message = format!(
        "the disk for temporary files is full ({what}); give the pods more (chart value jobs.scratchSize), make room on \
         their nodes, or let SCRATCH_DIR name a larger disk"
    );
    Failure { reason: FailureReason::ScratchFull, message }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let reason = match &error {
            StoreError::File { what, source } if is_full(source) => return scratch_full(what),
            StoreError::Full { .. } => FailureReason::StoreFull,
            StoreError::NotFound { .. } | StoreError::TooLarge { .. } | StoreError::Changed { .. } => {
                FailureReason::CorruptObject
            }
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
            solve::Error::TooManyRecords { .. } | solve::Error::Memory { .. } => FailureReason::OutOfMemory,
            solve::Error::Options { .. } => FailureReason::Internal,
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

/// Blocking readers and writers of objects wrap the store's errors; all others are of temporary files.
pub(super) fn from_io(what: &str, error: io::Error) -> Failure {
    if is_full(&error) {
        return scratch_full(what);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn a_full_disk_and_a_full_store_are_told_apart_and_named() {
        let spilling = pairs::Error::Io { stream: "scratch file in /tmp".into(), source: full() };
        let scratch: [Failure; 3] = [
            engine::Error::Pairs(spilling).into(),
            StoreError::File { what: "the file x cannot be written".into(), source: full() }.into(),
            from_io("x", io::ErrorKind::QuotaExceeded.into()),
        ];
        for failure in scratch {
            assert_eq!(failure.reason, FailureReason::ScratchFull, "{failure}");
            assert!(failure.message.contains("SCRATCH_DIR") && failure.message.contains("jobs.scratchSize"));
        }
        let store = || StoreError::Full { what: "writing \"a\"".into() };
        for failure in [store().into(), from_io("x", io::Error::other(store()))] {
            assert_eq!(failure.reason, FailureReason::StoreFull, "{failure}");
            assert!(failure.message.contains("make room or enlarge its volume"), "{failure}");
        }
    }
}
