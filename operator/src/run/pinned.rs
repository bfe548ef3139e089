//! What a run works on, as it was pinned when the run started.

use crds::{LinkageRunStatus, PinnedWork};
use serde::Deserialize;
use serde_json::Value;

/// What the operator itself needs of a pinned plan. Fields that it does not know are the scorer's business: a plan may be
/// of another version of this program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pinned {
    /// Into how many shards the comparisons are cut.
    pub shards: u32,
    /// Whether records are compared only within blocks.
    pub blocking: bool,
    /// Where the run's objects are in the store, ending in `/`.
    pub output: String,
    /// The run whose pairs are used instead of comparing.
    pub pairs_from: Option<PairsFrom>,
    inputs: Vec<Input>,
}

/// The earlier run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PairsFrom {
    /// Where its objects are in the store, ending in `/`.
    pub output: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Input {
    records: u64,
    encodings: String,
}

impl Pinned {
    /// Reads what a run has pinned; none before it has started.
    ///
    /// # Errors
    /// Fails when the plan is none.
    pub fn of(status: Option<&LinkageRunStatus>) -> Result<Option<Self>, serde_json::Error> {
        let pinned = status.and_then(|status| status.pinned.as_ref());
        pinned.map(Self::read).transpose()
    }

    /// Reads what was pinned.
    ///
    /// # Errors
    /// Fails when the plan is none.
    pub fn read(pinned: &PinnedWork) -> Result<Self, serde_json::Error> {
        serde_json::from_value(Value::Object(pinned.plan.clone()))
    }

    /// The keys of all parties' encodings.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|input| input.encodings.as_str())
    }

    /// Records of each party, by data set.
    pub fn records(&self) -> Vec<u64> {
        self.inputs.iter().map(|input| input.records).collect()
    }
}
