//! The scored pairs of one shard, read back from the store: nothing is taken for granted.

use std::io::Read;
use std::sync::Arc;

use super::failure::corrupt;
use super::{Work, memory, read_json};
use crate::pairs::{Error, HEADER_BYTES, PAIR_BYTES, Pair, PairReader, PairStream};
use crate::plan::FORMAT_VERSION;
use crate::store::{BlockingReader, Written};
use crate::summary::{Failure, ShardManifest};

/// Where a shard's manifest is, of the run whose objects have this prefix.
pub(super) fn manifest_key(output: &str, shard: u32) -> String {
    format!("{output}pairs/{shard}.json")
}

/// Where a shard's pairs are.
pub(super) fn pairs_key(output: &str, shard: u32) -> String {
    format!("{output}pairs/{shard}.pairs")
}

/// What was written last of a shard; None if it has not been scored.
///
/// # Errors
/// When it is not a manifest of this shard.
pub(super) async fn manifest(
    work: &Work,
    output: &str,
    shard: u32,
) -> Result<Option<ShardManifest>, Failure> {
    let key = manifest_key(output, shard);
    let Some(manifest) = read_json::<ShardManifest>(&work.store, &key).await? else { return Ok(None) };
    if manifest.version != FORMAT_VERSION || manifest.shard != shard || manifest.shards != work.plan.shards {
        return Err(corrupt(&key, "it is of another run, or of another version"));
    }
    if manifest.pairs.checked_mul(PAIR_BYTES) != manifest.bytes.checked_sub(HEADER_BYTES) {
        let why = format!("{} bytes are not those of {} pairs", manifest.bytes, manifest.pairs);
        return Err(corrupt(&key, &why));
    }
    Ok(Some(manifest))
}

/// A shard's pairs in the store, not read yet.
pub(super) struct StoredPairs {
    key: String,
    reader: BlockingReader,
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
        let expected = Written { bytes: manifest.bytes, sha256: manifest.sha256.clone() };
        let piece = memory::piece_bytes(work.plan.memory_limit_bytes, work.plan.shards);
        let reader = BlockingReader::new(&work.store, &key, expected, piece);
        Ok(Some(Self { key, reader, records: work.records().into(), pairs: manifest.pairs }))
    }

    /// Begins to read; on a thread that may block.
    pub fn open(self) -> Result<ShardPairs<BlockingReader>, Error> {
        Ok(ShardPairs::new(PairReader::new(self.key, self.reader)?, self.records, self.pairs))
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

    fn check(&self, pair: &Pair) -> Result<(), Error> {
        let &Pair { dataset0, dataset1, record0, record1, .. } = pair;
        let is_there = |dataset: u32, record: u32| {
            self.records.get(dataset as usize).is_some_and(|&records| u64::from(record) < records)
        };
        for (dataset, record) in [(dataset0, record0), (dataset1, record1)] {
            if !is_there(dataset, record) {
                return Err(self.corrupt(format!("there is no record {record} in data set {dataset}")));
            }
        }
        let is_ordered = match self.records.len() {
            1 => record0 < record1,
            _ => dataset0 < dataset1,
        };
        if !is_ordered {
            return Err(self.corrupt(format!(
                "record {record0} of data set {dataset0} and record {record1} of data set {dataset1} are no pair"
            )));
        }
        Ok(())
    }

    fn corrupt(&self, what: String) -> Error {
        Error::Corrupt { stream: self.pairs.name().into(), position: self.read, what }
    }
}

impl<R: Read> Iterator for ShardPairs<R> {
    type Item = Result<Pair, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.pairs.next() {
            Some(Ok(pair)) => {
                let checked = self.check(&pair).map(|()| pair);
                self.read += 1;
                Some(checked)
            }
            None if self.read != self.expected => {
                let error = self.corrupt(format!("it is the end, but {} pairs were written", self.expected));
                self.read = self.expected;
                Some(Err(error))
            }
            other => other,
        }
    }
}

impl<R: Read> PairStream for ShardPairs<R> {
    fn name(&self) -> &str {
        self.pairs.name()
    }
}
