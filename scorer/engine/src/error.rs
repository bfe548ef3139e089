use std::io;

use thiserror::Error;

use crate::pairs;

/// Why records could not be matched.
#[derive(Debug, Error)]
pub enum Error {
    /// The threshold is out of range.
    #[error("the threshold {0} is not above 0 and at most 1")]
    Threshold(f64),
    /// Encodings of a size that is not supported.
    #[error("encodings of {0} bytes are not supported: the size must be a multiple of 8 from 8 to 1024")]
    EncodingSize(usize),
    /// The data is no whole number of encodings.
    #[error("{bytes} bytes are no whole number of encodings of {encoding_bytes} bytes")]
    Truncated {
        /// Bytes of the data.
        bytes: u64,
        /// Bytes of one encoding.
        encoding_bytes: usize,
    },
    /// A data set with more records than can be numbered.
    #[error("{0} records in one data set are not supported, at most 4294967295 are")]
    TooManyRecords(u64),
    /// Data sets whose encodings have different sizes cannot be compared.
    #[error("encodings of data set {dataset} have {actual} bytes, those of data set 0 have {expected}")]
    SizeMismatch {
        /// Which data set differs.
        dataset: usize,
        /// Bytes of its encodings.
        actual: usize,
        /// Bytes of the encodings of data set 0.
        expected: usize,
    },
    /// Fewer than two data sets: see [`super::Linkage::within`] for one.
    #[error("at least two data sets are needed, there are {0}")]
    TooFewDatasets(usize),
    /// A shard's number is not below the number of shards.
    #[error("there is no shard {index} of {shards}")]
    Shard {
        /// Number of the shard, from 0.
        index: u32,
        /// How many shards there are.
        shards: u32,
    },
    /// A block entry for a record that does not exist.
    #[error("a block names record {record} of data set {dataset}, which has {records} records")]
    NoSuchRecord {
        /// Which data set.
        dataset: usize,
        /// The record that is not there.
        record: u32,
        /// How many records there are.
        records: u32,
    },
    /// A block entry for a data set that does not exist.
    #[error("a block names data set {dataset}, there are {datasets}")]
    NoSuchDataset {
        /// Which data set.
        dataset: usize,
        /// How many there are.
        datasets: usize,
    },
    /// More block entries than can be numbered.
    #[error("more than 4294967295 block entries in one data set, or different blocks, are not supported")]
    TooManyBlocks,
    /// The blocks were made for other data sets.
    #[error("the blocks are of data sets of {blocks:?} records, the encodings of {encodings:?}")]
    BlocksMismatch {
        /// Records of each data set, by the blocks.
        blocks: Vec<u32>,
        /// Records of each data set, by the encodings.
        encodings: Vec<u32>,
    },
    /// More comparisons than a 64-bit number holds: they would take centuries.
    #[error("{0} comparisons are too many")]
    TooMuchWork(u128),
    /// Encodings could not be read.
    #[error("the encodings of data set {dataset} could not be read: {source}")]
    Read {
        /// Which data set.
        dataset: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The pairs that were found could not be stored.
    #[error(transparent)]
    Pairs(#[from] pairs::Error),
    /// The kernel that was asked for is not there.
    #[error("LINKAGE_KERNEL is {name:?}; this processor knows: {}", available.join(", "))]
    Kernel {
        /// What the environment variable says.
        name: String,
        /// What it may say.
        available: Vec<&'static str>,
    },
    /// There is no such plan.
    #[error("LINKAGE_PLAN is {0:?}; it may be auto, dense, pruned, indexed or projected")]
    Plan(String),
    /// [`super::Meter::cancel`] was called.
    #[error("cancelled")]
    Cancelled,
}
