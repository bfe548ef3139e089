//! Takes over the pairs of an earlier run of the same data, those at or above a higher or equal threshold.
//!
//! Afterwards the run is as if it had been scored: it has pairs and manifests of its own, so it can be solved, and be
//! taken over in its turn, whatever becomes of the earlier run.

use std::io::BufWriter;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};

use super::failure::{corrupt, from_io, internal};
use super::{Work, memory, read_json, write_json};
use crate::pairs::{Merge, PairReader, PairWriter};
use crate::plan::{FORMAT_VERSION, PairsFrom};
use crate::store::{BlockingReader, BlockingWriter, Written};
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
    if let Some(manifest) = read_json::<ShardManifest>(&work.store, &key).await? {
        return Ok(manifest.pairs);
    }
    let start = Instant::now();
    let manifest = manifest_of(work, earlier, shard).await?;
    let pairs_key = format!("{}pairs/{shard}.pairs", earlier.output);
    let info = work.store.head(&pairs_key).await?.ok_or_else(|| missing(earlier, &pairs_key))?;
    if info.bytes != manifest.bytes {
        let why = format!("it has {} bytes, {} were written", info.bytes, manifest.bytes);
        return Err(corrupt(&pairs_key, &why));
    }
    let expected = Written { bytes: manifest.bytes, sha256: manifest.sha256.clone() };
    let piece = memory::piece_bytes(work.plan.memory_limit_bytes, work.plan.shards);
    let reader = BlockingReader::new(&work.store, &pairs_key, expected, piece);
    let writer = BlockingWriter::new(work.store.writer(&work.pairs_key(shard)).await?);
    let threshold = work.plan.threshold;
    let number = manifest.pairs;
    let copying = tokio::task::spawn_blocking(move || copy(pairs_key, reader, number, threshold, writer));
    let (pairs, written) = copying.await.map_err(|error| internal(&error.to_string()))??;
    let seconds = start.elapsed().as_secs_f64();
    let taken = ShardManifest { pairs, bytes: written.bytes, sha256: written.sha256, seconds, ..manifest };
    write_json(&work.store, &key, &taken).await?;
    Ok(pairs)
}

async fn manifest_of(work: &Work, earlier: &PairsFrom, shard: u32) -> Result<ShardManifest, Failure> {
    let key = format!("{}pairs/{shard}.json", earlier.output);
    let manifest: ShardManifest =
        read_json(&work.store, &key).await?.ok_or_else(|| missing(earlier, &key))?;
    if manifest.version != FORMAT_VERSION || manifest.shard != shard || manifest.shards != work.plan.shards {
        return Err(corrupt(&key, "it is of another run, or of another version"));
    }
    Ok(manifest)
}

fn missing(earlier: &PairsFrom, key: &str) -> Failure {
    corrupt(key, &format!("the pairs of run {} were deleted; leave spec.fromRun out", earlier.run))
}

/// Copies the pairs at or above the threshold. They come first, but all are read: only the whole object has a checksum
/// to be compared with, and what is not known to be what was scored must not be handed on.
fn copy(
    key: String,
    reader: BlockingReader,
    expected: u64,
    threshold: f64,
    writer: BlockingWriter,
) -> Result<(u64, Written), Failure> {
    let mut out = PairWriter::new(BufWriter::with_capacity(WRITE_BYTES, writer))?;
    let mut read = 0;
    // a merge of one stream: it sees to the order, and that no pair comes twice
    for pair in Merge::new(vec![PairReader::new(key.as_str(), reader)?])? {
        let pair = pair?;
        read += 1;
        if pair.score >= threshold {
            out.write(&pair)?;
        }
    }
    if read != expected {
        return Err(corrupt(&key, &format!("it has {read} pairs, {expected} were written")));
    }
    let pairs = out.pairs();
    let writer = out.finish()?.into_inner();
    let writer = writer.map_err(|error| from_io("the pairs could not be stored", error.into_error()))?;
    Ok((pairs, writer.finish()?))
}
