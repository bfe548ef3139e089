use super::failure::corrupt;
use super::{Work, memory};
use crate::pairs::{Merge, PairReader};
use crate::store::{BlockingReader, Written};
use crate::summary::{Failure, ShardManifest};

/// The pairs of all shards, merged as they are read.
pub(super) type Shards = Merge<PairReader<BlockingReader>>;

/// The pairs of all shards of a run, to be read as often as needed.
pub(super) struct ScoredPairs {
    work: Work,
    manifests: Vec<ShardManifest>,
}

impl ScoredPairs {
    /// Sees to it that the objects are there, with the sizes that were written.
    ///
    /// # Errors
    /// When one is missing or of another size, or the store does not answer.
    pub async fn find(work: &Work, manifests: &[ShardManifest]) -> Result<Self, Failure> {
        for manifest in manifests {
            let key = work.pairs_key(manifest.shard);
            let info =
                work.store.head(&key).await?.ok_or_else(|| corrupt(&key, "it is not there any more"))?;
            if info.bytes != manifest.bytes {
                let why = format!("it has {} bytes, {} were written", info.bytes, manifest.bytes);
                return Err(corrupt(&key, &why));
            }
        }
        Ok(Self { work: work.clone(), manifests: manifests.to_vec() })
    }

    /// How many there are.
    pub fn number(&self) -> u64 {
        self.manifests.iter().map(|manifest| manifest.pairs).sum()
    }

    /// Opens them; call it within the runtime, on a thread that may block. The last read of a shard fails unless its
    /// pairs are those that were scored.
    pub fn open(&self) -> Result<Shards, Failure> {
        let plan = &self.work.plan;
        let piece = memory::piece_bytes(plan.memory_limit_bytes, plan.shards);
        let open = |manifest: &ShardManifest| {
            let key = self.work.pairs_key(manifest.shard);
            let expected = Written { bytes: manifest.bytes, sha256: manifest.sha256.clone() };
            let reader = BlockingReader::new(&self.work.store, &key, expected, piece);
            PairReader::new(key, reader)
        };
        let readers = self.manifests.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Merge::new(readers)?)
    }
}
