//! From scored pairs to groups of records that belong to one person.
//!
//! [`GreedySolver`] takes pairs by descending score and forms the same groups as anonlink's `greedy_solve`, between
//! parties or within the data of a single one. Between two parties memory is proportional to the records, whatever the
//! number of pairs. [`solve_optimally`] finds those groups of two parties whose scores have the greatest sum.

mod edges;
mod greedy;
mod groups;
mod optimal;
mod options;
mod records;
mod scores;

pub use greedy::GreedySolver;
pub use groups::{Groups, Member};
pub use optimal::{BYTES_PER_RECORD, OptimalOptions, Solving, solve_optimally};
pub use options::{GreedyOptions, Solver};
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
    /// What the solver is told cannot be of use.
    #[error("the groups cannot be formed so: {what}")]
    Options {
        /// What is wrong, and what to do.
        what: String,
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
    /// A connected component of pairs does not fit the memory.
    #[error(
        "{records} records that are connected by {pairs} pairs do not fit the memory: solving them takes {} MiB; lower \
         maxComponentRecords, so that they are solved greedily, or raise the memory limit",
        needed_bytes.div_ceil(1 << 20)
    )]
    Memory {
        /// Records of the component.
        records: u32,
        /// Its pairs.
        pairs: u64,
        /// Memory that solving it takes.
        needed_bytes: u64,
    },
    /// Reading the pairs again gave others.
    #[error("the pairs are not those that were read before")]
    Changed,
}
