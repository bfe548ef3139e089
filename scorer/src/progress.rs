//! How far a Job is: plain data, served over HTTP by the scorer, read by the operator.

use serde::{Deserialize, Serialize};

/// How far one Job pod is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What the pod is doing now.
    pub stage: Stage,
    /// Pairs of records compared so far by this pod; never more than it has to compare in all.
    pub comparisons: u64,
    /// Pairs of records this pod has to compare in all; 0 while unknown.
    pub total_comparisons: u64,
    /// Pairs at or above the threshold so far.
    pub pairs: u64,
    /// Elements of the mask encrypted so far.
    #[serde(default)]
    pub mask_encrypted: u64,
    /// Elements of the mask to encrypt in all; 0 unless the mask is encrypted, and before that begins.
    #[serde(default)]
    pub mask_total: u64,
    /// What the pod waits for, since when, and when it goes on, as a sentence; None while it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// What a Job pod is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Reading its input.
    #[default]
    Loading,
    /// Comparing records.
    Scoring,
    /// Merging pairs, solving, writing the result.
    Solving,
    /// Done.
    Done,
}
