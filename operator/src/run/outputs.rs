//! What a run asks to be written.

use std::collections::BTreeSet;

use crds::{AdditionalResult, LinkageRun, ResultFormat};

/// How the run's result is to be written. JSON in any case, as the REST service's contract needs it.
pub fn formats(run: &LinkageRun) -> BTreeSet<ResultFormat> {
    let asked = run.spec.formats.as_deref().unwrap_or(&ResultFormat::ALL);
    asked.iter().copied().chain([ResultFormat::Json]).collect()
}

/// Whether similarity scores are to be written beside the result.
pub fn with_similarity_scores(run: &LinkageRun) -> bool {
    run.spec.additional_results.contains(&AdditionalResult::SimilarityScores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::decide::tests::run;
    use serde_json::json;

    #[test]
    fn all_formats_are_written_unless_the_run_says_otherwise_and_json_always() {
        let of = |spec| formats(&run(spec)).into_iter().collect::<Vec<_>>();
        assert_eq!(of(json!({})), ResultFormat::ALL);
        assert_eq!(of(json!({"formats": ["JSON"]})), [ResultFormat::Json]);
        assert_eq!(
            of(json!({"formats": ["Parquet", "CSV"]})),
            [ResultFormat::Json, ResultFormat::Csv, ResultFormat::Parquet]
        );
    }
}
