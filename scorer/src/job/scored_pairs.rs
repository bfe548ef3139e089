use super::Work;
use super::failure::corrupt;
use super::shard_pairs::{ShardPairs, StoredPairs};
use crate::pairs::{Error, Merge};
use crate::store::BlockingReader;
use crate::summary::{Failure, ShardManifest};

/// The pairs of all shards of a run, to be read as often as needed.
pub(super) struct ScoredPairs(Vec<StoredPairs>);

impl ScoredPairs {
    /// The pairs that the manifests tell of.
    ///
    /// # Errors
    /// When those of a shard are not there, or more or fewer, or the store does not answer.
    pub async fn find(work: &Work, manifests: &[ShardManifest]) -> Result<Self, Failure> {
        let mut shards = Vec::new();
        for manifest in manifests {
            let found = StoredPairs::find(work, &work.plan.output, manifest).await?;
            let missing = || corrupt(&work.pairs_key(manifest.shard), "it is not there any more");
            shards.push(found.ok_or_else(missing)?);
        }
        Ok(Self(shards))
    }

    /// How many there are.
    pub fn number(&self) -> u64 {
        self.0.iter().map(StoredPairs::number).sum()
    }

    /// Begins to read, merged; within the runtime, on a thread that may block.
    pub fn open(&self) -> Result<Merge<ShardPairs<BlockingReader>>, Error> {
        Merge::new(self.0.iter().map(StoredPairs::open).collect::<Result<_, _>>()?)
    }
}
