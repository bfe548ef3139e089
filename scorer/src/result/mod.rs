//! Results as the REST service hands them out: streaming JSON writers.
//!
//! Each writes exactly the body of one REST answer to any [`std::io::Write`]; give them buffered ones.

mod encrypted_mask;
mod json;
mod permutations;

pub use encrypted_mask::{PAILLIER_CONTEXT, encrypt_mask};
pub use json::{write_groups, write_similarity_scores};
pub use permutations::{Permutations, Seed};

use thiserror::Error;

/// Why a result could not be written.
#[derive(Debug, Error)]
pub enum Error {
    /// Writing failed.
    #[error("the result could not be written: {0}")]
    Write(#[from] std::io::Error),
    /// The pairs could not be read.
    #[error(transparent)]
    Pairs(#[from] crate::pairs::Error),
    /// Permutations are only defined between two parties.
    #[error("permutations need exactly two parties, there are {parties}")]
    NotTwoParties {
        /// How many there are.
        parties: usize,
    },
}
