//! What a Job is told to do: plain data, written by the operator (or by `scorer run`), read by the scorer.
//!
//! All keys are relative to the store's URL. Datasets are numbered by the position of their party.

use std::collections::BTreeSet;

pub use crds::ResultFormat;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::solve::Solver;

/// The version of the plans and summaries in this module's format.
pub const FORMAT_VERSION: u32 = 2;

/// The name of the similarity scores, which may be a result or lie beside one.
pub const SIMILARITY_SCORES: &str = "similarity_scores";

/// What a run hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultType {
    /// Groups of records that belong to one person.
    Groups,
    /// Every pair at or above the threshold, with its score.
    SimilarityScores,
    /// A random permutation per party, and a mask that tells which positions match.
    Permutations,
}

impl ResultType {
    /// The names of the objects that a result consists of, the main one first; with similarity scores beside it, or without.
    pub fn object_names(self, with_similarity_scores: bool) -> Vec<&'static str> {
        let mut names = match self {
            Self::Groups => vec!["groups"],
            Self::SimilarityScores => vec![SIMILARITY_SCORES],
            Self::Permutations => vec!["mask", "permutation-0", "permutation-1"],
        };
        if with_similarity_scores && self != Self::SimilarityScores {
            names.push(SIMILARITY_SCORES);
        }
        names
    }
}

fn json_alone() -> BTreeSet<ResultFormat> {
    [ResultFormat::Json].into()
}

/// One run: score all pairs of records of different parties, or of a single one, then solve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunPlan {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// The digest of all the rest, 64 lower-case hex digits: see [`RunPlan::sealed`]. What a pod leaves in the store names
    /// it, and is of use to pods with the same digest alone.
    pub work: String,
    /// The run's name, for logs only.
    pub run: String,
    /// Pairs with a Dice similarity at or above this are kept; in (0, 1].
    pub threshold: f64,
    /// What is written as the result.
    pub result_type: ResultType,
    /// How each object of the result is written; at least one.
    #[serde(default = "json_alone")]
    pub formats: BTreeSet<ResultFormat>,
    /// Whether similarity scores are written beside groups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_similarity_scores: bool,
    /// Whether only records that share a block are compared.
    pub blocking: bool,
    /// The parties' data, by dataset index; at least two in a Job's plan. A single one is compared with itself.
    pub inputs: Vec<PartyInput>,
    /// Key prefix of everything the run writes, ending in `/`: `runs/<installation>-<uid>/`.
    pub output: String,
    /// Into how many shards the comparisons are cut; at least 1.
    pub shards: u32,
    /// How much memory a pod may use in all, in bytes.
    pub memory_limit_bytes: u64,
    /// An earlier run of the same data and as many shards, whose pairs are taken over instead of scoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs_from: Option<PairsFrom>,
    /// For permutations: the modulus n, in base64url, of the Paillier public key under which the mask is encrypted.
    /// Without one it is written in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_key: Option<String>,
    /// How groups are formed; by default greedily. Similarity scores have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solver: Option<Solver>,
}

impl RunPlan {
    /// Whether similarity scores are the result, or lie beside it.
    pub fn has_similarity_scores(&self) -> bool {
        self.with_similarity_scores || self.result_type == ResultType::SimilarityScores
    }

    /// The plan under the digest of what it says: to be called last, when nothing in it changes any more.
    pub fn sealed(mut self) -> Self {
        self.work = String::new();
        // Maps and sets of a plan are sorted, so that one plan has one text.
        let text = serde_json::json!(self).to_string();
        self.work = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        self
    }
}

/// The run whose pairs are taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairsFrom {
    /// Its name, for messages.
    pub run: String,
    /// Key prefix of everything that it wrote, ending in `/`.
    pub output: String,
    /// The digest of its work, which its pairs must name.
    pub work: String,
}

/// One party's contributed data, as [`crate::summary::Contribution`] describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartyInput {
    /// The party's name, for messages.
    pub party: String,
    /// Key of the raw encodings, back to back.
    pub encodings: String,
    /// Key of the blocks, when the project uses blocking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<String>,
    /// Number of records.
    pub records: u64,
    /// Bytes of one encoding, a multiple of 8.
    pub encoding_bytes: u32,
    /// BLAKE3 of the encodings object, 64 lower-case hex digits.
    pub blake3: String,
    /// BLAKE3 of the blocks object; None without blocks, and where an earlier version took them in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks_blake3: Option<String>,
}

/// Brings one party's own objects (JSON or raw encodings) into the stored form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngestPlan {
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// The project's name, for logs only.
    pub project: String,
    /// The party's name, for messages.
    pub party: String,
    /// The objects to read.
    pub source: Source,
    /// Whether the project uses blocking: then blocks are needed, else they are refused.
    pub blocking: bool,
    /// Key prefix of what is written, ending in `/`: `projects/<installation>-<uid>/parties/<dataset>/<upload id>/`.
    pub output: String,
    /// Whether a party has put the objects into the store by itself: then their metadata says how many records of which size
    /// they hold, and they have at most so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_max_bytes: Option<u64>,
    /// What is taken in at all.
    #[serde(default)]
    pub limits: Limits,
}

/// What is taken in at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Fewest bytes of an encoding; encodings are always multiples of 8 bytes.
    pub min_encoding_bytes: u32,
    /// Most bytes of an encoding.
    pub max_encoding_bytes: u32,
    /// Most records of a party.
    pub max_records: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min_encoding_bytes: 8, max_encoding_bytes: 1024, max_records: 200_000_000 }
    }
}

/// A party's own objects in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// Key of the encodings. A name ending in `.json` holds a JSON upload document
    /// (`clks`, `clknblocks`, or `encodings` with optional `blocks`), any other raw encodings.
    pub encodings: String,
    /// Key of the blocks, a JSON document `{"blocks": {"0": ["a"], …}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<String>,
    /// Bytes of one encoding: needed for raw encodings, checked for JSON when given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding_bytes: Option<u32>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn plan() -> Value {
        let input = json!({"party": "a", "encodings": "e", "records": 2, "encodingBytes": 128, "blake3": "",
            "blocks": "b", "blocksBlake3": "0"});
        json!({"version": FORMAT_VERSION, "work": "", "run": "r", "threshold": 0.8, "resultType": "groups",
            "formats": ["JSON"], "blocking": false, "inputs": [input, input], "output": "runs/r/", "shards": 2,
            "memoryLimitBytes": 1 << 28, "solver": {"algorithm": "greedy", "mergeThreshold": 0.5},
            "pairsFrom": {"run": "q", "output": "runs/q/", "work": "0"}})
    }

    fn work_of(plan: Value) -> String {
        serde_json::from_value::<RunPlan>(plan).unwrap().sealed().work
    }

    #[test]
    fn the_digest_is_of_all_that_a_plan_says_and_of_nothing_else() {
        let work = work_of(plan());
        assert!(
            work.len() == 64 && work.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')),
            "{work}"
        );
        let again = serde_json::from_value::<RunPlan>(plan()).unwrap().sealed().sealed();
        assert_eq!(again.work, work);
        for (pointer, other) in [
            ("/version", json!(1)),
            ("/run", json!("s")),
            ("/threshold", json!(0.8_f64.next_up())),
            ("/resultType", json!("permutations")),
            ("/formats", json!(["CSV"])),
            ("/blocking", json!(true)),
            ("/inputs/0/party", json!("b")),
            ("/inputs/1/blake3", json!("1")),
            ("/inputs/1/blocksBlake3", json!("1")),
            ("/output", json!("runs/s/")),
            ("/shards", json!(3)),
            ("/memoryLimitBytes", json!(1)),
            ("/solver/mergeThreshold", json!(0.6)),
            ("/pairsFrom/work", json!("1")),
        ] {
            let mut changed = plan();
            *changed.pointer_mut(pointer).unwrap() = other;
            assert_ne!(work_of(changed), work, "{pointer}");
        }
    }

    #[test]
    fn a_field_that_is_not_known_is_refused_at_every_level() {
        for place in ["", "/inputs/1", "/pairsFrom", "/solver"] {
            let mut changed = plan();
            changed.pointer_mut(place).unwrap()["later"] = json!(1);
            let refused = serde_json::from_value::<RunPlan>(changed).unwrap_err().to_string();
            assert!(refused.contains("unknown field `later`"), "{place}: {refused}");
        }
        let ingest = json!({"version": FORMAT_VERSION, "project": "p", "party": "a", "source": {"encodings": "e"},
            "blocking": false, "output": "o/", "limits": {}});
        for place in ["", "/source", "/limits"] {
            let mut changed = ingest.clone();
            changed.pointer_mut(place).unwrap()["later"] = json!(1);
            let refused = serde_json::from_value::<IngestPlan>(changed).unwrap_err().to_string();
            assert!(refused.contains("unknown field `later`"), "{place}: {refused}");
        }
        let optimal = json!({"algorithm": "optimal", "later": 1});
        assert!(serde_json::from_value::<Solver>(optimal).is_err());
    }

    proptest! {
        /// serde_json reads some numbers of 17 digits one unit in the last place off, unless it is told not to.
        #[test]
        fn a_threshold_is_what_was_written_to_the_last_bit(threshold in 0.0..=1.0f64) {
            let read: f64 = serde_json::from_str(&threshold.to_string()).unwrap();
            prop_assert_eq!(read.to_bits(), threshold.to_bits());
        }
    }
}
