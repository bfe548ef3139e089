//! What a run asks to be written, in the words of the resources and in those of plans and summaries.

use std::collections::BTreeSet;

use crds::{AdditionalResult, LinkageProject, LinkageRun, ResultFormat, ResultType};
use scorer::plan;

/// How the run's result is to be written. JSON in any case, as the REST service's contract needs it.
pub fn formats(run: &LinkageRun) -> BTreeSet<plan::ResultFormat> {
    let asked = run.spec.formats.as_deref().unwrap_or(&ResultFormat::ALL);
    let asked = asked.iter().map(|format| match format {
        ResultFormat::Json => plan::ResultFormat::Json,
        ResultFormat::Csv => plan::ResultFormat::Csv,
        ResultFormat::Ndjson => plan::ResultFormat::Ndjson,
        ResultFormat::Parquet => plan::ResultFormat::Parquet,
    });
    asked.chain([plan::ResultFormat::Json]).collect()
}

/// How an object was written, as a status tells it.
pub fn written(format: plan::ResultFormat) -> ResultFormat {
    match format {
        plan::ResultFormat::Json => ResultFormat::Json,
        plan::ResultFormat::Csv => ResultFormat::Csv,
        plan::ResultFormat::Ndjson => ResultFormat::Ndjson,
        plan::ResultFormat::Parquet => ResultFormat::Parquet,
    }
}

/// Whether similarity scores are to be written beside the result.
pub fn with_similarity_scores(run: &LinkageRun) -> bool {
    run.spec.additional_results.contains(&AdditionalResult::SimilarityScores)
}

/// Why the run's project cannot have what the run asks for; none if it can.
pub fn refusal(run: &LinkageRun, project: &LinkageProject) -> Option<String> {
    let gives_away = project.spec.result_type == ResultType::Permutations && with_similarity_scores(run);
    gives_away.then(|| {
        "spec.additionalResults asks for SimilarityScores, which would tell which records match; runs of a project with \
         Permutations have none, so create a new run without"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::decide::tests::{project, run};
    use serde_json::json;

    #[test]
    fn all_formats_are_written_unless_the_run_says_otherwise_and_json_always() {
        let of = |spec| formats(&run(spec)).into_iter().collect::<Vec<_>>();
        assert_eq!(of(json!({})), plan::ResultFormat::ALL);
        assert_eq!(of(json!({"formats": ["JSON"]})), [plan::ResultFormat::Json]);
        assert_eq!(
            of(json!({"formats": ["Parquet", "CSV"]})),
            [plan::ResultFormat::Json, plan::ResultFormat::Csv, plan::ResultFormat::Parquet]
        );
        for format in plan::ResultFormat::ALL {
            let name = serde_json::to_value(written(format)).unwrap();
            assert!(of(json!({ "formats": [name] })).contains(&format));
        }
    }

    #[test]
    fn scores_never_lie_beside_permutations() {
        let asking = run(json!({"additionalResults": ["SimilarityScores"]}));
        let mut project = project(["Contributed", "Contributed"]);
        assert!(with_similarity_scores(&asking) && !with_similarity_scores(&run(json!({}))));
        assert_eq!(refusal(&asking, &project), None);
        project.spec.result_type = ResultType::Permutations;
        assert!(refusal(&asking, &project).is_some());
        assert_eq!(refusal(&run(json!({})), &project), None);
    }
}
