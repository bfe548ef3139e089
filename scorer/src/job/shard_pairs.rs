//! The scored pairs of one shard, read back from the store: nothing is taken for granted.

use std::io::Read;
use std::sync::Arc;

use super::failure::corrupt;
use super::{Work, memory, read_done, read_json};
use crate::pairs::{Error, HEADER_BYTES, PAIR_BYTES, Pair, PairReader, PairStream};
use crate::plan::FORMAT_VERSION;
use crate::store::{BlockingReader, Store, Written};
use crate::summary::{Failure, ShardManifest};

/// Where a shard's manifest is, of the run whose objects have this prefix.
pub(super) fn manifest_key(output: &str, shard: u32) -> String {
    format!("{output}pairs/{shard}.json")
}

/// Where a shard's pairs are.
pub(super) fn pairs_key(output: &str, shard: u32) -> String {
    format!("{output}pairs/{shard}.pairs")
}

/// What an earlier pod has written last of a shard of this very work: then there is nothing left to do. None where there
/// is nothing, or what came of other work or of another version.
pub(super) async fn done_before(work: &Work, shard: u32) -> Result<Option<ShardManifest>, Failure> {
    let key = manifest_key(&work.plan.output, shard);
    read_done(&work.store, &key, |manifest| is_of(manifest, work, &work.plan.work, shard)).await
}

/// What was written last of a shard, by a run with these keys and this work; None if it has not been scored.
///
/// # Errors
/// When it is not a manifest of this shard and of that work.
pub(super) async fn manifest(
    work: &Work,
    output: &str,
    digest: &str,
    shard: u32,
) -> Result<Option<ShardManifest>, Failure> {
    let key = manifest_key(output, shard);
    let Some(manifest) = read_json::<ShardManifest>(&work.store, &key).await? else { return Ok(None) };
    if !is_of(&manifest, work, digest, shard) {
        return Err(corrupt(&key, "it is of another run, of other work, or of another version"));
    }
    if manifest.pairs.checked_mul(PAIR_BYTES) != manifest.bytes.checked_sub(HEADER_BYTES) {
        let why = format!("{} bytes are not those of {} pairs", manifest.bytes, manifest.pairs);
        return Err(corrupt(&key, &why));
    }
    Ok(Some(manifest))
}

fn is_of(manifest: &ShardManifest, work: &Work, digest: &str, shard: u32) -> bool {
    let ShardManifest { version, shards, .. } = *manifest;
    version == FORMAT_VERSION
        && manifest.work == digest
        && manifest.shard == shard
        && shards == work.plan.shards
}

/// A shard's pairs in the store, not read yet.
pub(super) struct StoredPairs {
    store: Store,
    key: String,
    expected: Written,
    piece_bytes: u64,
    records: Arc<[u64]>,
    pairs: u64,
}

impl StoredPairs {
    /// The pairs that a manifest tells of: the last read fails unless they are those that were scored. None if they are not
    /// there.
    ///
    /// # Errors
    /// When there are more or fewer.
    pub async fn find(work: &Work, output: &str, manifest: &ShardManifest) -> Result<Option<Self>, Failure> {
        let key = pairs_key(output, manifest.shard);
        let Some(info) = work.store.head(&key).await? else { return Ok(None) };
        if info.bytes != manifest.bytes {
            let why = format!("it has {} bytes, {} were written", info.bytes, manifest.bytes);
            return Err(corrupt(&key, &why));
        }
        Ok(Some(Self {
            store: work.store.clone(),
            key,
            expected: Written { bytes: manifest.bytes, blake3: manifest.blake3.clone() },
            piece_bytes: memory::piece_bytes(work.plan.memory_limit_bytes, work.plan.shards),
            records: work.records().into(),
            pairs: manifest.pairs,
        }))
    }

    /// How many there are.
    pub fn number(&self) -> u64 {
        self.pairs
    }

    /// Begins to read, as often as wanted; within the runtime, on a thread that may block.
    pub fn open(&self) -> Result<ShardPairs<BlockingReader>, Error> {
        let reader = BlockingReader::new(&self.store, &self.key, self.expected.clone(), self.piece_bytes);
        let pairs = PairReader::new(self.key.clone(), reader)?;
        Ok(ShardPairs::new(pairs, Arc::clone(&self.records), self.pairs))
    }
}

/// Pairs of a shard, of which each is checked to be of two records that there are. The last read fails unless there are as
/// many as there should be.
pub(super) struct ShardPairs<R: Read> {
    pairs: PairReader<R>,
    /// Records of each data set.
    records: Arc<[u64]>,
    read: u64,
    expected: u64,
}

impl<R: Read> ShardPairs<R> {
    pub fn new(pairs: PairReader<R>, records: Arc<[u64]>, expected: u64) -> Self {
        Self { pairs, records, read: 0, expected }
    }

    fn check(&self, block: &[Pair]) -> Result<(), Error> {
        let is_there = |dataset: u32, record: u32| {
            self.records.get(dataset as usize).is_some_and(|&records| u64::from(record) < records)
        };
        let is_ordered = |pair: &Pair| match self.records.len() {
            1 => pair.record0 < pair.record1,
            _ => pair.dataset0 < pair.dataset1,
        };
        for (&pair, position) in block.iter().zip(self.read..) {
            let Pair { dataset0, dataset1, record0, record1, .. } = pair;
            for (dataset, record) in [(dataset0, record0), (dataset1, record1)] {
                if !is_there(dataset, record) {
                    let what = format!("there is no record {record} in data set {dataset}");
                    return Err(self.corrupt(position, what));
                }
            }
            if !is_ordered(&pair) {
                let what = format!(
                    "record {record0} of data set {dataset0} and record {record1} of data set {dataset1} are no pair"
                );
                return Err(self.corrupt(position, what));
            }
        }
        Ok(())
    }

    fn corrupt(&self, position: u64, what: String) -> Error {
        Error::Corrupt { stream: self.pairs.name().into(), position, what }
    }
}

impl<R: Read> PairStream for ShardPairs<R> {
    fn name(&self) -> &str {
        self.pairs.name()
    }

    fn read_block(&mut self, block: &mut Vec<Pair>) -> Result<(), Error> {
        self.pairs.read_block(block)?;
        self.check(block)?;
        self.read += block.len() as u64;
        if block.is_empty() && self.read != self.expected {
            let what = format!("it is the end, but {} pairs were written", self.expected);
            return Err(self.corrupt(self.read, what));
        }
        Ok(())
    }
}
