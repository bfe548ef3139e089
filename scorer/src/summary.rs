//! What a Job has done, or why it could not: plain data, read by the operator and the REST service.

use std::fmt;

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
    /// BLAKE3 of the blocks object, in hex; None without blocks, and in documents of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks_blake3: Option<String>,
    /// How many records are in no block, so that they are compared with none; None without blocking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_without_block: Option<u64>,
    /// What of the data was not used, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// One shard's sorted pairs are complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardManifest {
    /// [`crate::plan::FORMAT_VERSION`].
    pub version: u32,
    /// The digest of the work that this came of ([`crate::plan::RunPlan::work`]): for any other it is of no use. Empty in
    /// documents of earlier versions.
    #[serde(default)]
    pub work: String,
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
    /// The digest of the work that this came of ([`crate::plan::RunPlan::work`]): for any other it is of no use. Empty in
    /// documents of earlier versions.
    #[serde(default)]
    pub work: String,
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

/// Declares the reasons once, so that none can be missing from a list.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident = $wire:literal,)+) => {
        /// The closed list of reasons for which a Job fails. Their names on the wire are part of the API, and stay when one
        /// here is renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum FailureReason {
            $($(#[doc = $doc])+ #[serde(rename = $wire)] $reason,)+
        }

        impl FailureReason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$reason,)+];

            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$reason => $wire,)+
                }
            }
        }
    };
}

reasons! {
    /// An object named as a source is not in the store.
    SourceNotFound = "SourceNotFound",
    /// A JSON document is not well-formed, or not of the documented shape.
    MalformedJson = "MalformedJson",
    /// The data is packed, or JSON where raw encodings are expected.
    UnsupportedForm = "UnsupportedForm",
    /// An encoding is no valid base64.
    InvalidBase64 = "InvalidBase64",
    /// There is no record in the data.
    EmptyData = "EmptyData",
    /// The data ends in the middle of an encoding, or is not as long as announced.
    TruncatedData = "TruncatedData",
    /// Encodings of a size that is not supported, not the expected one, or not the same throughout.
    EncodingSizeMismatch = "EncodingSizeMismatch",
    /// Blocks are missing, not expected, or name records that do not exist.
    InvalidBlocks = "InvalidBlocks",
    /// A stored object is not what its manifest says.
    CorruptObject = "CorruptObject",
    /// The plan is of another version, or says what this scorer does not know.
    UnsupportedPlan = "UnsupportedPlan",
    /// The object store does not answer, or refuses.
    StoreUnavailable = "StoreUnavailable",
    /// The object store has no space left.
    StoreFull = "StoreFull",
    /// The disk for temporary files is full.
    ScratchFull = "ScratchFull",
    /// The work does not fit the memory it was given.
    OutOfMemory = "OutOfMemory",
    /// Anything else: a fault of the program or the machine.
    Internal = "Internal",
}

impl FailureReason {
    /// Whether the input or the plan is at fault, so that trying again cannot help.
    pub fn is_permanent(self) -> bool {
        !matches!(self, Self::StoreUnavailable | Self::StoreFull | Self::ScratchFull | Self::Internal)
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_keep_their_names_on_the_wire() {
        let names: Vec<&str> = FailureReason::ALL.iter().map(|reason| reason.as_str()).collect();
        let permanent = [
            "SourceNotFound",
            "MalformedJson",
            "UnsupportedForm",
            "InvalidBase64",
            "EmptyData",
            "TruncatedData",
            "EncodingSizeMismatch",
            "InvalidBlocks",
            "CorruptObject",
            "UnsupportedPlan",
        ];
        let passing = ["StoreUnavailable", "StoreFull", "ScratchFull"];
        assert_eq!(names, [&permanent[..], &passing, &["OutOfMemory", "Internal"]].concat());
        for &reason in FailureReason::ALL {
            assert_eq!(serde_json::json!(reason), reason.as_str());
            assert_eq!(serde_json::from_value::<FailureReason>(reason.as_str().into()).unwrap(), reason);
            assert_eq!(reason.to_string(), reason.as_str());
            let is_permanent = permanent.contains(&reason.as_str()) || reason == FailureReason::OutOfMemory;
            assert_eq!(reason.is_permanent(), is_permanent, "{reason}");
        }
    }
}
