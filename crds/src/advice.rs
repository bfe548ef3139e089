//! What a run tells about scores and thresholds, in its status. It is for people and programs to read; nothing acts on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How similar the records are: pairs of records of all parties by score.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunScores {
    /// Where the first bin begins.
    pub floor: f64,
    /// How wide a bin is. The last one ends with 1.
    pub bin_width: f64,
    /// Pairs with a score of each bin.
    #[schemars(length(max = 101))]
    pub counts: Vec<i64>,
    /// From this score on all pairs are counted; below, the counts are estimated from a sample.
    pub exact_from: f64,
    /// The share of the records that is sampled: of any two parties the least one.
    pub sampled_share: f64,
    /// Key of the object with the histograms of each two parties.
    pub key: String,
}

/// What to expect of other thresholds, estimated from the scores without a known truth. Never applied by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdAdvice {
    /// Some thresholds, ascending, the run's own among them where it can be judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub estimates: Vec<ThresholdEstimate>,
    /// The threshold at which precision and recall are best balanced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<SuggestedThreshold>,
    /// Why there are no estimates, if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How this was estimated, and under which assumptions.
    pub method: String,
}

/// What to expect of one threshold, for pairs of records before groups are formed of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdEstimate {
    /// The threshold.
    pub threshold: f64,
    /// Pairs at or above it.
    pub pairs: i64,
    /// Which share of these are matches.
    pub precision: f64,
    /// Which share of the matches is at or above it.
    pub recall: f64,
}

/// A threshold that may be worth a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SuggestedThreshold {
    /// The threshold.
    pub threshold: f64,
    /// Which share of its pairs are matches.
    pub precision: f64,
    /// Which share of the matches is at or above it.
    pub recall: f64,
    /// Why this one.
    pub reason: String,
}
