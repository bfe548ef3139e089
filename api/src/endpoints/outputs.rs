//! What a run is asked to write, in the words of the REST service and in those of the resource.

use std::collections::BTreeSet;

use crds::{AdditionalResult, ResultFormat};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::Error;

/// A format of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As the contract has it. It is always written.
    Json,
    /// A table, for spreadsheets and statistics programs.
    Csv,
    /// A JSON document a line.
    Ndjson,
    /// A table, for data science.
    Parquet,
}

/// What may be written beside the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Additional {
    /// All pairs at or above the threshold with their scores, beside groups.
    SimilarityScores,
}

/// The formats as the resource has them: a set, which is not empty. None where none are asked for.
///
/// # Errors
/// When the list is empty.
pub fn formats(asked: Option<Vec<Format>>) -> Result<Option<Vec<ResultFormat>>, Error> {
    let Some(asked) = asked else { return Ok(None) };
    if asked.is_empty() {
        return Err(Error::Invalid("formats is empty; leave it out to have all".into()));
    }
    let asked: BTreeSet<Format> = asked.into_iter().collect();
    Ok(Some(asked.into_iter().map(resource_format).collect()))
}

/// What is written beside the result, as the resource has it: a set.
pub fn additional(asked: &[Additional]) -> Vec<AdditionalResult> {
    let scores = asked.contains(&Additional::SimilarityScores);
    scores.then_some(AdditionalResult::SimilarityScores).into_iter().collect()
}

/// The formats of a run, where it names any.
pub fn described(formats: Option<&[ResultFormat]>) -> Option<Vec<Format>> {
    let named = |format: &ResultFormat| match format {
        // which no run may ask for
        ResultFormat::Anonlink => None,
        ResultFormat::Json => Some(Format::Json),
        ResultFormat::Csv => Some(Format::Csv),
        ResultFormat::Ndjson => Some(Format::Ndjson),
        ResultFormat::Parquet => Some(Format::Parquet),
    };
    // JSON is written in any case
    let formats: BTreeSet<Format> = formats?.iter().filter_map(named).chain([Format::Json]).collect();
    Some(formats.into_iter().collect())
}

fn resource_format(format: Format) -> ResultFormat {
    match format {
        Format::Json => ResultFormat::Json,
        Format::Csv => ResultFormat::Csv,
        Format::Ndjson => ResultFormat::Ndjson,
        Format::Parquet => ResultFormat::Parquet,
    }
}
