//! Stores the pairs of a shard. They are costly to find, and cheap to write: what the store loses of them is written again.

use std::io::{self, BufWriter};

use tokio::runtime::Handle;

use super::Work;
use super::failure::{from_io, is_full, scratch_full};
use crate::pairs::{self, PairSorter, PairWriter, SortedPairs};
use crate::store::{BlockingWriter, StoreError, Written};
use crate::summary::{Failure, FailureReason};

/// Pairs are handed to the store in pieces of this size.
const WRITE_BYTES: usize = 1 << 20;
/// A store that loses them so often is no store.
const ATTEMPTS: u32 = 5;

/// Sorts the pairs, and stores them; on a thread that may block, within the runtime.
pub(super) fn store(work: &Work, shard: u32, sorter: PairSorter) -> Result<Written, Failure> {
    let key = work.pairs_key(shard);
    let mut sorted = sorter.finish().map_err(in_scratch)?;
    let mut attempt = 1;
    loop {
        match write(work, &key, &mut sorted) {
            Ok(written) => return Ok(written),
            Err(Unwritten::Lost(error)) if attempt < ATTEMPTS => {
                tracing::warn!(key, attempt, %error, "writing the pairs again");
                attempt += 1;
                sorted = sorted.again().map_err(in_scratch)?;
            }
            Err(Unwritten::Lost(error)) => return Err(error.into()),
            Err(Unwritten::Failed(failure)) => return Err(failure),
        }
    }
}

/// Why the pairs are not stored.
enum Unwritten {
    /// The store has lost what was written.
    Lost(StoreError),
    Failed(Failure),
}

fn write(work: &Work, key: &str, sorted: &mut SortedPairs) -> Result<Written, Unwritten> {
    let writer = Handle::current().block_on(work.store.writer(key))?;
    let writer = BufWriter::with_capacity(WRITE_BYTES, BlockingWriter::new(writer));
    let mut pairs = PairWriter::new(writer)?;
    for pair in sorted {
        pairs.write(&pair.map_err(in_scratch)?)?;
    }
    let writer = pairs.finish()?.into_inner().map_err(|error| of_io(error.into_error()))?;
    Ok(writer.finish()?)
}

/// Whatever is wrong with temporary files is no fault of the data.
fn in_scratch(error: pairs::Error) -> Failure {
    match error {
        pairs::Error::Io { stream, source } if is_full(&source) => scratch_full(&stream),
        error => Failure { reason: FailureReason::Internal, message: error.to_string() },
    }
}

fn of_io(error: io::Error) -> Unwritten {
    match error.downcast::<StoreError>() {
        Ok(error) => error.into(),
        Err(error) => Unwritten::Failed(from_io("the pairs could not be stored", error)),
    }
}

impl From<StoreError> for Unwritten {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UploadLost { .. } => Self::Lost(error),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<pairs::Error> for Unwritten {
    fn from(error: pairs::Error) -> Self {
        match error {
            pairs::Error::Io { source, .. } => of_io(source),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<Failure> for Unwritten {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}
