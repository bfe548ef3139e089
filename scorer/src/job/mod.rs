//! What a Job's pod does: the subcommands `ingest`, `score` and `solve`.
//!
//! Each takes a plan, reads and writes the store, and says how it ended in three ways: by its exit code, by a
//! termination message, and by the object that it writes last. Everything may be cut off anywhere and started again:
//! a retried pod writes the same bytes under the same keys, and does nothing where all is done.
//!
//! Knows plans, the store and the engine; nothing of Kubernetes but the file for the termination message.

mod args;
mod encrypted;
mod failure;
mod histogram;
mod inputs;
mod memory;
mod outcome;
mod outputs;
mod pair_output;
mod plans;
mod score;
mod scored_pairs;
mod seed;
mod server;
mod shard_pairs;
mod solve;
mod state;
mod take_over;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ingest::{self, Expectations, UploadedObjects};
use crate::plan::{IngestPlan, RunPlan};
use crate::store::{Store, StoreError};
use crate::summary::{Contribution, Failure};

pub use args::{IngestArgs, JobArgs, ScoreArgs, SolveArgs};
pub use outcome::{EXIT_BAD_INPUT, EXIT_TERMINATED, EXIT_TROUBLE, Task, execute};
pub use score::score;
pub use solve::solve;
pub use state::JobState;

/// What a run's pod works with.
#[derive(Clone)]
pub struct Work {
    /// Where everything is.
    pub store: Store,
    /// What to do.
    pub plan: Arc<RunPlan>,
    /// A directory for files that may be lost.
    pub scratch: PathBuf,
    /// How far it is, for others to see.
    pub state: Arc<JobState>,
}

impl Work {
    fn key(&self, rest: impl std::fmt::Display) -> String {
        format!("{}{rest}", self.plan.output)
    }

    fn summary_key(&self) -> String {
        self.key("summary.json")
    }

    /// Each work has a seed of its own: permutations of one must not tell of another's.
    fn seed_key(&self) -> String {
        self.key(format_args!("seed-{}", self.plan.work))
    }

    fn manifest_key(&self, shard: u32) -> String {
        shard_pairs::manifest_key(&self.plan.output, shard)
    }

    fn pairs_key(&self, shard: u32) -> String {
        shard_pairs::pairs_key(&self.plan.output, shard)
    }

    /// Records of each data set.
    fn records(&self) -> Vec<u64> {
        self.plan.inputs.iter().map(|input| input.records).collect()
    }
}

/// Takes in the source objects of one party, unless that is done already.
///
/// # Errors
/// See [`ingest::IngestError`].
pub async fn ingest(store: &Store, plan: &IngestPlan) -> Result<Contribution, Failure> {
    let key = format!("{}contribution.json", plan.output);
    if let Some(contribution) = read_json(store, &key).await? {
        tracing::info!(party = plan.party, "the sources have been taken in before");
        return Ok(contribution);
    }
    let contribution = match plan.announced_max_bytes {
        None => ingest::from_store(store, plan).await?,
        Some(max_bytes) => announced(store, plan, max_bytes).await?,
    };
    write_json(store, &key, &contribution).await?;
    tracing::info!(
        project = plan.project,
        party = plan.party,
        records = contribution.records,
        encoding_bytes = contribution.encoding_bytes,
        records_without_block = contribution.records_without_block,
        "taken in"
    );
    Ok(contribution)
}

/// Takes in what a party has put into the store by itself. Its size is judged with that of the other parties.
async fn announced(
    store: &Store,
    plan: &IngestPlan,
    max_bytes: u64,
) -> Result<Contribution, ingest::IngestError> {
    let source = plan.source.clone();
    let objects = UploadedObjects { encodings: source.encodings, blocks: source.blocks, max_bytes };
    let expected =
        Expectations { blocking: plan.blocking, encoding_bytes: None, limits: plan.limits, memory: None };
    ingest::uploaded(&objects, &expected, store, &plan.output).await
}

/// Manifests and summaries are small.
const MAX_JSON_BYTES: u64 = 1 << 20;

async fn read_json<T: DeserializeOwned>(store: &Store, key: &str) -> Result<Option<T>, Failure> {
    read_json_of(store, key, MAX_JSON_BYTES).await
}

/// An object of at most so many bytes; None if it is not there.
async fn read_json_of<T: DeserializeOwned>(
    store: &Store,
    key: &str,
    max_bytes: u64,
) -> Result<Option<T>, Failure> {
    match store.read_small(key, max_bytes).await {
        Ok(content) => serde_json::from_slice(&content)
            .map(Some)
            .map_err(|error| failure::corrupt(key, &error.to_string())),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What an earlier pod has written last, once all was done; None where that is of no use here: it is of other work, of
/// another version, or not to be read. Then all is done anew, and it is replaced.
async fn read_done<T: DeserializeOwned>(
    store: &Store,
    key: &str,
    is_of_this_work: impl Fn(&T) -> bool,
) -> Result<Option<T>, Failure> {
    let content = match store.read_small(key, MAX_JSON_BYTES).await {
        Ok(content) => content,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let done = serde_json::from_slice(&content).ok().filter(is_of_this_work);
    if done.is_none() {
        tracing::warn!(key, "the object is of other work or of another version; the work is done anew");
    }
    Ok(done)
}

async fn write_json<T: Serialize>(store: &Store, key: &str, value: &T) -> Result<(), Failure> {
    let content = serde_json::to_vec(value).map_err(|error| failure::internal(&error.to_string()))?;
    Ok(store.put_small(key, Bytes::from(content), "application/json").await?)
}
