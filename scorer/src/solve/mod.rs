//! From scored pairs to groups of records that belong to one person.
//!
//! [`GreedySolver`] takes pairs by descending score and forms the same groups as anonlink's
//! `greedy_solve`, between parties or within the data of a single one. Between two parties memory is proportional to
//! the records, whatever the number of pairs.

mod edges;
mod greedy;
mod groups;
mod records;
mod scores;

pub use greedy::GreedySolver;
pub use groups::{Groups, Member};
pub use scores::{ScoredGroup, ScoresWithin};

use thiserror::Error;

/// Why solving failed.
#[derive(Debug, Error)]
pub enum Error {
    /// There are more records than the solver can number: 2^32 - 1 over all data sets.
    #[error("{records} records are too many to be solved together: at most 4294967295 are supported")]
    TooManyRecords {
        /// Records of all data sets.
        records: u64,
    },
    /// A pair names a record that is not there, the same one twice, or two of one of several parties.
    #[error("pair {position} cannot be: {what}")]
    Pair {
        /// Which pair, counted from 0.
        position: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A pair has a higher score than the one before.
    #[error("pair {position} is not in order: pairs must come by descending score")]
    Unsorted {
        /// Which pair, counted from 0.
        position: u64,
    },
}
