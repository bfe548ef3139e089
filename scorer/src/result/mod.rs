//! Results as the REST service hands them out: streaming writers of JSON, CSV, NDJSON and Parquet.
//!
//! Each writes exactly the body of one REST answer to any [`std::io::Write`]; give them buffered ones. The same result
//! makes the same bytes, so that a retry may replace them. JSON is by the REST contract; all else is tables
//! ([`table`]), but for groups in NDJSON, which are one line each.

mod encrypted_mask;
mod groups;
mod mask_writer;
mod permutations;
mod similarity_scores;
pub mod table;

pub use encrypted_mask::encrypt_mask;
pub use groups::{write_groups, write_groups_as};
pub use mask_writer::EncryptedMaskWriter;
pub use permutations::{Permutations, Seed};
pub use similarity_scores::{SimilarityScoresWriter, write_similarity_scores};

use thiserror::Error;

use crate::plan::ResultFormat;
use table::TableFormat;

/// The kind of table that a format is; None for JSON.
fn table_format(format: ResultFormat) -> Option<TableFormat> {
    match format {
        ResultFormat::Json | ResultFormat::Anonlink => None,
        ResultFormat::Csv => Some(TableFormat::Csv),
        ResultFormat::Ndjson => Some(TableFormat::Ndjson),
        ResultFormat::Parquet => Some(TableFormat::Parquet),
    }
}

/// The name of a data set's party.
fn party(parties: &[String], dataset: u32) -> Result<&str, Error> {
    let name = parties.get(dataset as usize).map(String::as_str);
    name.ok_or_else(|| Error::Row(format!("there is no party for data set {dataset}")))
}

/// Why a result could not be written.
#[derive(Debug, Error)]
pub enum Error {
    /// Writing failed.
    #[error("the result could not be written: {0}")]
    Write(#[from] std::io::Error),
    /// The pairs could not be read.
    #[error(transparent)]
    Pairs(#[from] crate::pairs::Error),
    /// A row is not what its table is of.
    #[error("the table cannot be written: {0}")]
    Row(String),
    /// Permutations are only defined between two parties.
    #[error("permutations need exactly two parties, there are {parties}")]
    NotTwoParties {
        /// How many there are.
        parties: usize,
    },
}

#[cfg(test)]
mod tests;
