//! What a Job has done, or why it could not: plain data, read by the operator and the REST service.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::advice::ScoresSummary;
use crate::plan::ResultFormat;
use crate::solve::Solving;

/// One party's data in its stored form; written last, beside the objects that it describes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contribution {
    /// Key of the raw encodings.
    pub encodings: String,
    /// Key of the blocks, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<String>,
    /// Number of records, at least 1.
    pub records: u64,
    /// Bytes of one encoding.
    pub encoding_bytes: u32,
    /// BLAKE3 of the encodings object, in hex.
    pub blake3: String,
}

/// One shard's sorted pairs are complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardManifest {
    /// [`crate::plan::FORMAT_VERSION`].
    pub version: u32,
    /// The shard's number, from 0.
    pub shard: u32,
    /// Into how many shards the run is cut.
    pub shards: u32,
    /// Pairs of records compared.
    pub comparisons: u64,
    /// Pairs kept.
    pub pairs: u64,
    /// Size of the pairs object in bytes.
    pub bytes: u64,
    /// BLAKE3 of the pairs object, in hex.
    pub blake3: String,
    /// Time spent scoring, loading included.
    pub seconds: f64,
}

/// A run is complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSummary {
    /// [`crate::plan::FORMAT_VERSION`].
    pub version: u32,
    /// Records of each party, by dataset index.
    pub records: Vec<u64>,
    /// Pairs of records compared.
    pub comparisons: u64,
    /// Pairs at or above the threshold.
    pub pairs: u64,
    /// Groups of two records or more; for permutations, matched positions.
    /// None for similarity scores, which form no groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<u64>,
    /// Seconds of scoring, added up over the shards.
    pub scoring_seconds: f64,
    /// Seconds of merging, solving and writing the result.
    pub solving_seconds: f64,
    /// What was solved how, if it was to be solved optimally.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solving: Option<Solving>,
    /// What was written, the main object first.
    pub results: Vec<ResultObject>,
    /// How similar the records are, and what to expect of thresholds. None where that was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Box<ScoresSummary>>,
}

/// One object of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultObject {
    /// `groups`, `similarity_scores`, `mask`, or `permutation-<dataset>`.
    pub name: String,
    /// How it is written.
    #[serde(default)]
    pub format: ResultFormat,
    /// Key of the object.
    pub key: String,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3, in hex.
    pub blake3: String,
}

/// Why a Job failed: its pod's termination message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct Failure {
    /// The kind of failure.
    pub reason: FailureReason,
    /// What was wrong, where, and what to do; one sentence or two, no secrets.
    pub message: String,
}

/// The closed list of reasons for which a Job fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureReason {
    /// An object named as a source is not in the store.
    SourceNotFound,
    /// A JSON document is not well-formed, or not of the documented shape.
    MalformedJson,
    /// An encoding is no valid base64.
    InvalidBase64,
    /// There is no record in the data.
    EmptyData,
    /// The data ends in the middle of an encoding, or is not as long as announced.
    TruncatedData,
    /// Encodings of a size that is not supported, not the expected one, or not the same throughout.
    EncodingSizeMismatch,
    /// Blocks are missing, not expected, or name records that do not exist.
    InvalidBlocks,
    /// A stored object is not what its manifest says.
    CorruptObject,
    /// The object store does not answer, or refuses.
    StoreUnavailable,
    /// The work does not fit the memory it was given.
    OutOfMemory,
    /// Anything else: a fault of the program or the machine.
    Internal,
}

impl FailureReason {
    /// Whether the input is at fault, so that trying again cannot help.
    pub fn is_permanent(self) -> bool {
        !matches!(self, Self::StoreUnavailable | Self::Internal)
    }
}
