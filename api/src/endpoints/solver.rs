//! How a run forms groups, as clients ask for it: an addition to the contract.

use crds::{Solver, SolverAlgorithm};
use scorer::solve::OptimalOptions;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::content::text;
use crate::error::Error;

/// How groups are formed of pairs; not for similarity scores, of which none are formed. `merge_threshold` and
/// `one_to_one` are for `greedy`, `max_component_records` is for `optimal`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({"algorithm": "greedy", "merge_threshold": 0.75})))]
pub struct RunSolver {
    #[serde(default)]
    #[schema(default = "greedy")]
    algorithm: Algorithm,
    /// Two groups merge once this share of the pairs between them has come: above 0, at most 1. Below 1, records may
    /// get into one group that are no pair. 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0.0, maximum = 1.0)]
    merge_threshold: Option<f64>,
    /// Whether a group holds at most one record of each party. True by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    one_to_one: Option<bool>,
    /// Records that are connected by pairs are solved greedily if there are more than this. 5000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "text::whole_number")]
    #[schema(value_type = Option<u32>, minimum = 2, maximum = 100_000)]
    max_component_records: Option<i64>,
}

/// Which algorithm forms groups of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Algorithm {
    /// By descending score, as anonlink does.
    #[default]
    Greedy,
    /// For exactly two parties: with the greatest sum of scores.
    Optimal,
}

impl RunSolver {
    /// As the resource holds it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a number is out of its range, or given for the other algorithm.
    pub fn into_resource(self) -> Result<Solver, Error> {
        let Self { algorithm, merge_threshold, one_to_one, max_component_records } = self;
        let refuse = |why: String| Err(Error::Invalid(why));
        if let Some(share) = merge_threshold.filter(|share| !(*share > 0.0 && *share <= 1.0)) {
            return refuse(format!("solver.merge_threshold is {share}; it must be above 0 and at most 1"));
        }
        let bounds = 2..=i64::from(OptimalOptions::MOST_RECORDS);
        if let Some(most) = max_component_records.filter(|most| !bounds.contains(most)) {
            let (least, greatest) = bounds.into_inner();
            return refuse(format!(
                "solver.max_component_records is {most}; it must be from {least} to {greatest}"
            ));
        }
        let algorithm = match algorithm {
            Algorithm::Greedy if max_component_records.is_some() => {
                return refuse("solver.max_component_records is for algorithm optimal; leave it out".into());
            }
            Algorithm::Optimal if merge_threshold.is_some() || one_to_one.is_some() => {
                return refuse(
                    "solver.merge_threshold and one_to_one are for algorithm greedy; leave them out".into(),
                );
            }
            Algorithm::Greedy => SolverAlgorithm::Greedy,
            Algorithm::Optimal => SolverAlgorithm::Optimal,
        };
        let max_component_records = max_component_records.and_then(|most| i32::try_from(most).ok());
        Ok(Solver { algorithm, merge_threshold, one_to_one, max_component_records })
    }
}

impl From<Solver> for RunSolver {
    fn from(solver: Solver) -> Self {
        Self {
            algorithm: match solver.algorithm {
                SolverAlgorithm::Greedy => Algorithm::Greedy,
                SolverAlgorithm::Optimal => Algorithm::Optimal,
            },
            merge_threshold: solver.merge_threshold,
            one_to_one: solver.one_to_one,
            max_component_records: solver.max_component_records.map(i64::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn resource(solver: Value) -> Result<Solver, String> {
        let solver: RunSolver = serde_json::from_value(solver).map_err(|error| error.to_string())?;
        solver.into_resource().map_err(|error| error.to_string())
    }

    #[test]
    fn a_solver_is_kept_as_it_came() {
        for solver in [
            json!({"algorithm": "greedy"}),
            json!({"algorithm": "greedy", "merge_threshold": 0.75, "one_to_one": false}),
            json!({"algorithm": "optimal", "max_component_records": 50}),
        ] {
            let kept = resource(solver.clone()).unwrap();
            assert_eq!(serde_json::to_value(RunSolver::from(kept)).unwrap(), solver);
        }
        assert_eq!(resource(json!({"max_component_records": null})).unwrap(), Solver::default());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (solver, why) in [
            (json!({"merge_threshold": 0}), "above 0 and at most 1"),
            (json!({"merge_threshold": 1.01}), "above 0 and at most 1"),
            (json!({"algorithm": "optimal", "max_component_records": 1}), "from 2 to 100000"),
            (json!({"algorithm": "optimal", "max_component_records": 100_001}), "from 2 to 100000"),
            (json!({"algorithm": "optimal", "max_component_records": 2.5}), "whole number"),
            (json!({"max_component_records": 50}), "for algorithm optimal"),
            (json!({"algorithm": "optimal", "one_to_one": true}), "for algorithm greedy"),
            (json!({"algorithm": "optimal", "merge_threshold": 1}), "for algorithm greedy"),
            (json!({"algorithm": "hungarian"}), "hungarian"),
            (json!({"algorithm": null}), "null"),
            (json!({"mergeThreshold": 0.5}), "mergeThreshold"),
            (json!({"one_to_one": "yes"}), "yes"),
        ] {
            let error = resource(solver).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
