//! From a run's summary to what its status says of scores and thresholds.

use crds::{RunScores, SuggestedThreshold, ThresholdAdvice, ThresholdEstimate};
use scorer::advice::{Estimate, ScoresSummary};

/// The histogram over all parties.
pub(super) fn scores(scores: &ScoresSummary) -> RunScores {
    RunScores {
        floor: scores.floor,
        bin_width: scores.bin_width,
        counts: scores.counts.iter().copied().map(count).collect(),
        exact_from: scores.exact_from,
        sampled_share: scores.sampled_share,
        key: scores.key.clone(),
    }
}

/// The advice, with few of the estimates.
pub(super) fn thresholds(scores: &ScoresSummary, threshold: f64) -> ThresholdAdvice {
    let advice = &scores.advice;
    let estimates = advice.few(threshold).map(|&Estimate { threshold, pairs, precision, recall }| {
        ThresholdEstimate { threshold, pairs: count(pairs), precision, recall }
    });
    let suggestion = advice.suggestion.as_ref().map(|suggestion| SuggestedThreshold {
        threshold: suggestion.threshold,
        precision: suggestion.precision,
        recall: suggestion.recall,
        reason: suggestion.reason.clone(),
    });
    ThresholdAdvice {
        estimates: estimates.collect(),
        suggestion,
        reason: advice.reason.clone(),
        method: advice.method.clone(),
    }
}

/// Out of bounds it is the nearest number that there is.
fn count(pairs: f64) -> i64 {
    pairs.round() as i64
}

#[cfg(test)]
mod tests {
    use scorer::advice::Advice;

    use super::*;

    #[test]
    fn the_status_has_few_estimates_the_runs_own_among_them() {
        let estimate = |at: u32| Estimate {
            threshold: f64::from(at) / 100.0,
            pairs: f64::from(at) + 0.4,
            precision: 0.9,
            recall: 0.8,
        };
        let advice = Advice { estimates: (60..100).map(estimate).collect(), ..Advice::default() };
        let summary = ScoresSummary {
            key: "runs/1/result/scores.json".into(),
            floor: 0.6,
            bin_width: 0.01,
            exact_from: 0.83,
            sampled_share: 0.02,
            counts: vec![1.6, 2.0, 1e300],
            advice,
        };
        let thresholds = thresholds(&summary, 0.83);
        assert!((10..=14).contains(&thresholds.estimates.len()), "{thresholds:?}");
        let own = thresholds.estimates.iter().find(|estimate| estimate.threshold == 0.83);
        assert_eq!(own.map(|estimate| estimate.pairs), Some(83));
        assert_eq!(scores(&summary).counts, [2, 2, i64::MAX]);
    }
}
