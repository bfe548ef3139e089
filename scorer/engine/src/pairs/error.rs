use std::io;

use thiserror::Error;

/// Why pairs could not be read, written or merged. Positions count pairs from 0.
#[derive(Debug, Error)]
pub enum Error {
    /// Reading or writing a stream failed.
    #[error("{stream}: {source}")]
    Io {
        /// Which stream.
        stream: String,
        /// What the system said.
        source: io::Error,
    },
    /// The first four bytes are no header of a pairs file.
    #[error("{stream}: not a pairs file: {what}")]
    Header {
        /// Which stream.
        stream: String,
        /// What is wrong with the header.
        what: String,
    },
    /// The stream ends in the middle of a pair.
    #[error("{stream}: truncated: it ends in the middle of pair {position}")]
    Truncated {
        /// Which stream.
        stream: String,
        /// The pair that is not complete.
        position: u64,
    },
    /// A pair's fields make no sense.
    #[error("{stream}: pair {position} is corrupt: {what}")]
    Corrupt {
        /// Which stream.
        stream: String,
        /// The pair at fault.
        position: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A pair comes after one that it should precede.
    #[error("{stream}: not sorted: pair {position} belongs before the pair ahead of it")]
    Unsorted {
        /// Which stream.
        stream: String,
        /// The pair that comes too late.
        position: u64,
    },
    /// The same pair was seen before, in the same stream or in another one.
    #[error("{stream}: pair {position} has been seen before")]
    Duplicate {
        /// Which stream.
        stream: String,
        /// The second of the two equal pairs.
        position: u64,
    },
}

impl Error {
    /// An I/O error of the stream with this name.
    pub(super) fn io(stream: impl Into<String>, source: io::Error) -> Self {
        Self::Io { stream: stream.into(), source }
    }
}
