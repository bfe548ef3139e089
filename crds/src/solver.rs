//! How a run forms groups of pairs, and for which projects that makes sense.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{LinkageProjectSpec, LinkageRunSpec, ResultType};

/// How groups are formed of pairs.
#[derive(KubeSchema, Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    cel,
    validation = Rule::new("self.algorithm != 'Optimal' || !(has(self.mergeThreshold) || has(self.oneToOne))")
        .message("mergeThreshold and oneToOne are for algorithm Greedy; Optimal matches records one to one"),
    validation = Rule::new("self.algorithm != 'Greedy' || !has(self.maxComponentRecords)")
        .message("maxComponentRecords is for algorithm Optimal; leave it out"),
)]
pub struct Solver {
    /// Greedy takes pairs by descending score, and forms the groups that anonlink forms. Optimal, for exactly two
    /// parties, matches records one to one so that the sum of the scores of the matched pairs is the greatest there is.
    #[serde(default)]
    pub algorithm: SolverAlgorithm,

    /// For Greedy: two groups merge once this share of the pairs between them has come: above 0, at most 1. Below 1,
    /// records may get into one group that are no pair, if there is enough evidence from others. 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self > 0.0 && self <= 1.0")
        .message("mergeThreshold must be above 0 and at most 1, for example 0.75"))]
    pub merge_threshold: Option<f64>,

    /// For Greedy: whether a group holds at most one record of each party. True by default. When false, several records
    /// of a party get into one group if mergeThreshold, below 1, lets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub one_to_one: Option<bool>,

    /// For Optimal: records that are connected by pairs are solved together, unless there are more than this; those are
    /// solved greedily, and status.solving tells how many. 5000 by default. The time that a component takes may grow
    /// with the cube of its records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 100_000))]
    pub max_component_records: Option<i32>,
}

/// Which algorithm forms groups of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum SolverAlgorithm {
    /// Greedily by descending score, for any number of parties.
    #[default]
    Greedy,
    /// With the greatest sum of scores, for two parties.
    Optimal,
}

/// What algorithm Optimal has solved how: records that are connected by pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSolving {
    /// Components: records that are connected by pairs.
    pub components: i64,
    /// Records of the largest component.
    pub largest_component_records: i64,
    /// Components with more than maxComponentRecords, which were solved greedily.
    pub greedy_components: i64,
    /// Records in these.
    pub greedy_records: i64,
    /// Pairs in these.
    pub greedy_pairs: i64,
}

impl Solver {
    /// Why a run's `spec.solver` makes no sense for its project; none if it does, or there is none.
    pub fn refusal(project: &LinkageProjectSpec, run: &LinkageRunSpec) -> Option<String> {
        let solver = run.solver.as_ref()?;
        let parties = project.parties.len();
        match project.result_type {
            ResultType::SimilarityScores => Some(
                "spec.solver tells how groups are formed, but the project hands out SimilarityScores, of which none are; \
                 create a run without solver"
                    .into(),
            ),
            _ if solver.algorithm == SolverAlgorithm::Optimal && parties != 2 => Some(format!(
                "spec.solver.algorithm Optimal is for exactly two parties, and the project has {parties}; create a run with \
                 algorithm Greedy"
            )),
            ResultType::Permutations if solver.one_to_one == Some(false) => Some(
                "spec.solver.oneToOne is false, but the project hands out Permutations, by which a record matches one of \
                 the other party; create a run without oneToOne"
                    .into(),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn refusal(result_type: &str, parties: usize, solver: Value) -> Option<String> {
        let parties: Vec<Value> = (0..parties).map(|party| json!({"name": format!("p{party}")})).collect();
        let project = json!({"resultType": result_type, "parties": parties});
        let run = json!({"projectRef": {"name": "p"}, "threshold": 0.8, "solver": solver});
        Solver::refusal(&serde_json::from_value(project).unwrap(), &serde_json::from_value(run).unwrap())
    }

    #[test]
    fn what_makes_no_sense_for_a_project_is_refused() {
        for (result_type, parties, solver, why) in [
            ("SimilarityScores", 2, json!({}), "SimilarityScores"),
            ("SimilarityScores", 2, json!({"algorithm": "Optimal"}), "SimilarityScores"),
            ("Groups", 3, json!({"algorithm": "Optimal"}), "exactly two parties, and the project has 3"),
            ("Permutations", 2, json!({"oneToOne": false}), "Permutations"),
        ] {
            let told = refusal(result_type, parties, solver).unwrap();
            assert!(told.contains(why), "{why}: {told}");
        }
    }

    #[test]
    fn what_makes_sense_is_not() {
        for (result_type, parties, solver) in [
            ("SimilarityScores", 2, json!(null)),
            ("Groups", 3, json!({"mergeThreshold": 0.5, "oneToOne": false})),
            ("Groups", 2, json!({"algorithm": "Optimal", "maxComponentRecords": 10})),
            ("Permutations", 2, json!({"algorithm": "Optimal"})),
            ("Permutations", 2, json!({"mergeThreshold": 0.5, "oneToOne": true})),
        ] {
            assert_eq!(refusal(result_type, parties, solver), None);
        }
    }
}
