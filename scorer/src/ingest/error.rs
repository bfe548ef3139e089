use thiserror::Error;

use super::{BodyError, Form};
use crate::store::StoreError;
use crate::summary::{Failure, FailureReason};

/// Why data was not taken in. Messages say what is wrong, where, and what to do; they never hold encodings.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IngestError {
    /// The body broke off or could not be read.
    #[error("the data could not be read to its end: {0}; send it again")]
    Body(#[source] BodyError),
    /// No well-formed JSON, or not of the documented shape.
    #[error("{0}")]
    Malformed(String),
    /// The data is in a form that is not read.
    #[error("{0}")]
    Form(Form),
    /// An encoding is no base64.
    #[error(
        "record {record} (byte {byte}): the encoding is not valid base64; use the standard alphabet with padding"
    )]
    InvalidBase64 {
        /// The record's index.
        record: u32,
        /// Where its encoding ends in the document, from 0.
        byte: u64,
    },
    /// There is no record.
    #[error("there are no encodings in the data; send at least one record")]
    Empty,
    /// Raw data of another length than announced.
    #[error("{0}")]
    Length(String),
    /// The data is well-formed, but its encodings are not of a size that can be used, or not all of one size.
    #[error("{0}")]
    EncodingSize(String),
    /// The project uses blocking, and there are no blocks in the data.
    #[error(
        "the project uses blocking, but there are no blocks in the data; \
         send clknblocks, or encodings with blocks"
    )]
    BlocksMissing,
    /// The project uses no blocking, and there are blocks in the data.
    #[error("the project does not use blocking, but there are blocks in the data; send them without blocks")]
    BlocksUnexpected,
    /// Blocks that are of no use, such as those of records that do not exist.
    #[error("{0}")]
    InvalidBlocks(String),
    /// The document names objects in a store instead of holding the data.
    #[error("\"{0}\" names objects in a store, which is not supported here; send the data itself")]
    ExternalObjects(&'static str),
    /// More than is accepted.
    #[error("{0}")]
    TooLarge(String),
    /// Other uploads hold what memory there is for records that come out of order.
    #[error(
        "too many uploads send their records out of order at the moment; try again, or send them by ascending index"
    )]
    Busy,
    /// A source object is not there.
    #[error("{0}")]
    SourceNotFound(String),
    /// The store does not take or give the data.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IngestError {
    /// The reason under which this shows on a resource.
    pub fn reason(&self) -> FailureReason {
        match self {
            Self::Malformed(_) | Self::ExternalObjects(_) | Self::TooLarge(_) => FailureReason::MalformedJson,
            Self::Form(Form::Utf16 | Form::Utf32) => FailureReason::MalformedJson,
            Self::Form(_) => FailureReason::UnsupportedForm,
            Self::InvalidBase64 { .. } => FailureReason::InvalidBase64,
            Self::Empty => FailureReason::EmptyData,
            Self::Length(_) => FailureReason::TruncatedData,
            Self::EncodingSize(_) => FailureReason::EncodingSizeMismatch,
            Self::BlocksMissing | Self::BlocksUnexpected | Self::InvalidBlocks(_) => {
                FailureReason::InvalidBlocks
            }
            Self::SourceNotFound(_) => FailureReason::SourceNotFound,
            Self::Store(StoreError::Full { .. }) => FailureReason::StoreFull,
            Self::Body(_) | Self::Store(_) | Self::Busy => FailureReason::StoreUnavailable,
        }
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        Self { reason: error.reason(), message: error.to_string() }
    }
}
