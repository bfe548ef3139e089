//! What a run is asked to write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{LinkageProjectSpec, LinkageRunSpec, ResultType};

/// How an object of a result is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ResultFormat {
    /// One JSON document, as the REST service's contract has it.
    #[default]
    #[serde(rename = "JSON")]
    Json,
    /// A table of comma-separated values with a header line, as RFC 4180 has it.
    #[serde(rename = "CSV")]
    Csv,
    /// A JSON document a line.
    #[serde(rename = "NDJSON")]
    Ndjson,
    /// An Apache Parquet file.
    Parquet,
    /// What PyPI's `anonlink.serialization.load_candidate_pairs` reads. It is there of similarity scores alone, and in any
    /// case, as clients that fetch them from the store load them so.
    Anonlink,
}

impl ResultFormat {
    /// All that a run may ask for: what is written unless it says otherwise.
    pub const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Ndjson, Self::Parquet];

    /// What the names of such objects and files end in, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
            Self::Anonlink => "pairs",
        }
    }

    /// The format of files whose names end so, if a run may ask for it.
    pub fn of_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.extension() == extension)
    }
}

/// What may be written beside a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdditionalResult {
    /// All pairs at or above the threshold, with their scores.
    SimilarityScores,
}

impl AdditionalResult {
    /// Why a run of this project cannot have the additional results that it asks for; none if it can.
    pub fn refusal(project: &LinkageProjectSpec, run: &LinkageRunSpec) -> Option<String> {
        let gives_away = project.result_type == ResultType::Permutations
            && run.additional_results.contains(&Self::SimilarityScores);
        gives_away.then(|| {
            "spec.additionalResults asks for SimilarityScores, which would tell which records match; runs of a project with \
             Permutations have none, so create a run without"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn similarity_scores_never_lie_beside_permutations() {
        let refusal = |result_type: &str, additional: serde_json::Value| {
            let project = json!({"resultType": result_type, "parties": []});
            let run = json!({"projectRef": {"name": "p"}, "threshold": 0.8, "additionalResults": additional});
            AdditionalResult::refusal(
                &serde_json::from_value(project).unwrap(),
                &serde_json::from_value(run).unwrap(),
            )
        };
        assert!(refusal("Permutations", json!(["SimilarityScores"])).is_some());
        assert_eq!(refusal("Permutations", json!([])), None);
        assert_eq!(refusal("Groups", json!(["SimilarityScores"])), None);
    }

    #[test]
    fn files_end_in_the_name_of_their_format() {
        for format in ResultFormat::ALL {
            assert_eq!(ResultFormat::of_extension(format.extension()), Some(format));
        }
        assert_eq!(ResultFormat::of_extension("exe"), None);
    }
}
