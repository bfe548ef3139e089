//! Takes over the pairs of an earlier run of the same data, those at or above a higher or equal threshold.
//!
//! Afterwards the run is as if it had been scored: it has pairs and manifests of its own, so it can be solved, and be
//! taken over in its turn, whatever becomes of the earlier run.

use std::io::BufWriter;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};

use super::failure::{corrupt, from_io, internal};
use super::shard_pairs::{self, StoredPairs};
use super::{Work, write_json};
use crate::pairs::{Merge, PairWriter};
use crate::plan::PairsFrom;
use crate::store::{BlockingWriter, Written};
use crate::summary::{Failure, ShardManifest};

/// Pairs are handed to the store in pieces of this size.
const WRITE_BYTES: usize = 1 << 20;
/// Shards taken over at once: waiting for the store for one, another goes on.
const AT_ONCE: usize = 2;

/// Takes over all shards but those that have been before.
///
/// # Errors
/// When a shard is missing, is not what was written, or the store does not answer.
pub(super) async fn take_over(work: &Work, earlier: &PairsFrom) -> Result<(), Failure> {
    let start = Instant::now();
    let shards = stream::iter(0..work.plan.shards).map(|shard| take_over_shard(work, earlier, shard));
    let taken: Vec<u64> = shards.buffered(AT_ONCE).try_collect().await?;
    tracing::info!(
        run = work.plan.run,
        earlier = earlier.run,
        pairs = taken.iter().sum::<u64>(),
        seconds = start.elapsed().as_secs_f64(),
        "took the pairs over"
    );
    Ok(())
}

/// Tells how many pairs the shard has at or above the threshold.
async fn take_over_shard(work: &Work, earlier: &PairsFrom, shard: u32) -> Result<u64, Failure> {
    let key = work.manifest_key(shard);
    if let Some(manifest) = shard_pairs::done_before(work, shard).await? {
        return Ok(manifest.pairs);
    }
    let start = Instant::now();
    let found = shard_pairs::manifest(work, &earlier.output, &earlier.work, shard).await?;
    let manifest =
        found.ok_or_else(|| missing(earlier, &shard_pairs::manifest_key(&earlier.output, shard)))?;
    let pairs = StoredPairs::find(work, &earlier.output, &manifest).await?;
    let pairs = pairs.ok_or_else(|| missing(earlier, &shard_pairs::pairs_key(&earlier.output, shard)))?;
    let writer = BlockingWriter::new(work.store.writer(&work.pairs_key(shard)).await?);
    let threshold = work.plan.threshold;
    let copying = tokio::task::spawn_blocking(move || copy(pairs, threshold, writer));
    let (pairs, written) = copying.await.map_err(|error| internal(&error.to_string()))??;
    let seconds = start.elapsed().as_secs_f64();
    let digest = work.plan.work.clone();
    let Written { bytes, blake3 } = written;
    let taken = ShardManifest { work: digest, pairs, bytes, blake3, seconds, ..manifest };
    write_json(&work.store, &key, &taken).await?;
    Ok(pairs)
}

fn missing(earlier: &PairsFrom, key: &str) -> Failure {
    corrupt(key, &format!("the pairs of run {} were deleted; leave spec.fromRun out", earlier.run))
}

/// Copies the pairs at or above the threshold. They come first, but all are read: only the whole object has a checksum
/// to be compared with, and what is not known to be what was scored must not be handed on.
fn copy(pairs: StoredPairs, threshold: f64, writer: BlockingWriter) -> Result<(u64, Written), Failure> {
    let mut out = PairWriter::new(BufWriter::with_capacity(WRITE_BYTES, writer))?;
    // a merge of one stream: it sees to the order, and that no pair comes twice
    for pair in Merge::new(vec![pairs.open()?])? {
        let pair = pair?;
        if pair.score >= threshold {
            out.write(&pair)?;
        }
    }
    let pairs = out.pairs();
    let writer = out.finish()?.into_inner();
    let writer = writer.map_err(|error| from_io("the pairs could not be stored", error.into_error()))?;
    Ok((pairs, writer.finish()?))
}
