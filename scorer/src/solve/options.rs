//! How a run forms groups: which algorithm, and what it is told.

use serde::{Deserialize, Serialize};

use super::{Error, OptimalOptions};

/// Which algorithm forms groups of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "snake_case")]
pub enum Solver {
    /// Greedily by descending score: [`super::GreedySolver`].
    Greedy(GreedyOptions),
    /// With the greatest sum of scores, for two parties: [`super::solve_optimally`].
    Optimal(OptimalOptions),
}

impl Default for Solver {
    fn default() -> Self {
        Self::Greedy(GreedyOptions::default())
    }
}

impl Solver {
    /// Greedy, with what is told; else with what is so by default.
    pub fn greedy(merge_threshold: Option<f64>, one_to_one: Option<bool>) -> Self {
        let default = GreedyOptions::default();
        let merge_threshold = merge_threshold.unwrap_or(default.merge_threshold);
        Self::Greedy(GreedyOptions { merge_threshold, one_to_one })
    }

    /// Optimal, with what is told; else with what is so by default.
    pub fn optimal(max_component_records: Option<u32>) -> Self {
        let default = OptimalOptions::default();
        let max_component_records = max_component_records.unwrap_or(default.max_component_records);
        Self::Optimal(OptimalOptions { max_component_records })
    }

    /// Refuses what cannot be of use to so many parties.
    ///
    /// # Errors
    /// [`Error::Options`].
    pub fn check(&self, parties: usize) -> Result<(), Error> {
        match self {
            Self::Greedy(options) => options.check(parties),
            Self::Optimal(options) => options.check(parties),
        }
    }

    /// Whether a group may hold several records of one of several parties.
    pub fn repeats_parties(&self) -> bool {
        matches!(self, Self::Greedy(options) if options.one_to_one == Some(false))
    }
}

/// When two groups merge.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct GreedyOptions {
    /// Which share of the pairs between two groups must have come for them to merge: above 0, at most 1. Below 1,
    /// records may get into one group that are no pair. 1 by default.
    pub merge_threshold: f64,
    /// Whether a group holds at most one record of each party: so by default between parties. Within the data of a
    /// single one it makes no sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_to_one: Option<bool>,
}

impl Default for GreedyOptions {
    fn default() -> Self {
        Self { merge_threshold: 1.0, one_to_one: None }
    }
}

impl GreedyOptions {
    /// Whether most pairs are held until the end, as any two groups may merge. Between parties these are few as long as
    /// groups are one-to-one, or every pair between two of them is needed.
    pub fn keeps_edges(&self, parties: usize) -> bool {
        parties == 1 || (self.one_to_one == Some(false) && self.merge_threshold < 1.0)
    }

    /// Refuses what cannot be of use to so many parties.
    ///
    /// # Errors
    /// [`Error::Options`].
    pub fn check(&self, parties: usize) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::Options { what });
        if !(self.merge_threshold > 0.0 && self.merge_threshold <= 1.0) {
            return refuse(format!(
                "mergeThreshold is {}; it must be above 0 and at most 1",
                self.merge_threshold
            ));
        }
        if parties == 1 && self.one_to_one == Some(true) {
            return refuse(
                "oneToOne allows one record of a party in a group, but there is a single party, of whose records groups \
                 are formed; leave it out"
                    .into(),
            );
        }
        Ok(())
    }
}
