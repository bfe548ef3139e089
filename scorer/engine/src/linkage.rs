use super::blocked::run_blocked;
use super::dense::run_dense;
use super::encodings::check_encoding_bytes;
use super::executor::Executor;
use super::kernel::{self, Found, Kernel, LeafKernel, Records, Tile};
use super::prune::{self, Forced, Plan, Pruning, run_lookup, run_pruned};
use super::threshold::{Cutoffs, score};
use super::{Blocks, EncodingSource, Error, Meter, PairSink, Shard, Threshold, work};

/// Memory for encodings, unless said otherwise, in bytes.
const DEFAULT_MEMORY: usize = 256 << 20;

/// Finds the similar pairs between any number of data sets, or within one; or one shard of that work.
///
/// ```
/// # use linkage_engine::*;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let first = Encodings::new(vec![0b0111, 0b1110], 8)?;
/// let second = Encodings::new(vec![0b1110, 0b0111, 0b1111], 8)?;
/// let parties: [&dyn EncodingSource; 2] = [&first, &second];
///
/// // Only records that share a block are compared.
/// let mut blocks = BlocksBuilder::new(&[2, 3]);
/// blocks.add(0, 0, "north")?;
/// blocks.add(1, 1, "north")?;
/// blocks.add(1, 2, "north")?;
/// blocks.add(0, 1, "south")?;
/// let blocks = blocks.finish()?;
///
/// // In two shards, one after the other.
/// let mut pairs = Vec::new();
/// for shard in 0..2 {
///     let linkage = Linkage::new(&parties, Threshold::new(0.9)?)?.blocks(&blocks)?.shard(Shard::new(shard, 2)?);
///     assert_eq!(linkage.comparisons()?, 1);
///     linkage.run(&Meter::default(), &mut pairs)?;
/// }
/// assert_eq!(pairs.len(), 1);
/// assert_eq!((pairs[0].record0, pairs[0].record1, pairs[0].score), (0, 1, 1.0));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Linkage<'a> {
    pub(super) sources: Vec<&'a dyn EncodingSource>,
    pub(super) records: Vec<u32>,
    pub(super) threshold: Threshold,
    pub(super) blocks: Option<&'a Blocks>,
    pub(super) shard: Shard,
    pub(super) memory: usize,
}

/// What decides which pairs are kept.
pub(super) struct Matcher {
    pub(super) kernel: Kernel,
    pub(super) leaves: LeafKernel,
    pub(super) cutoffs: Cutoffs,
}

impl Matcher {
    /// Compares every row with every column; hands over the places of those at or above the threshold, and the score.
    pub(super) fn score_tile(
        &self,
        rows: Tile<'_>,
        columns: Tile<'_>,
        scratch: &mut kernel::Scratch,
        mut found: impl FnMut(u32, u32, f64),
    ) {
        scratch.hits.clear();
        self.kernel.score_tile(rows, columns, &self.cutoffs, scratch);
        for hit in &scratch.hits {
            let sum = rows.counts[hit.row as usize] + columns.counts[hit.column as usize];
            found(hit.row, hit.column, score(hit.intersection, sum));
        }
    }

    /// As [`Self::score_tile`], of records in memory, few of them on one side at least; hands over their numbers.
    pub(super) fn score_few(
        &self,
        rows: Records<'_>,
        columns: Records<'_>,
        mut found: impl FnMut(u32, u32, f64),
    ) {
        self.kernel.score_few(rows, columns, &self.cutoffs, |pair: Found| {
            found(pair.row, pair.column, score(pair.intersection, pair.sum));
        });
    }
}

/// What a linkage has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Pairs of records that were compared, or left out as they cannot match; exact, also with blocks.
    pub comparisons: u64,
    /// Pairs at or above the threshold.
    pub pairs: u64,
    /// How they were found.
    pub plan: Plan,
    /// The instructions by which they were: `avx512`, `avx2`, …
    pub kernel: &'static str,
}

impl<'a> Linkage<'a> {
    /// Every record of each data set against every record of each other one. At least two data sets, all with
    /// encodings of the same size.
    pub fn new(sources: &[&'a dyn EncodingSource], threshold: Threshold) -> Result<Self, Error> {
        let &[first, _, ..] = sources else { return Err(Error::TooFewDatasets(sources.len())) };
        let expected = first.encoding_bytes();
        let sizes = sources.iter().map(|source| source.encoding_bytes());
        if let Some((dataset, actual)) = sizes.enumerate().find(|&(_, size)| size != expected) {
            return Err(Error::SizeMismatch { dataset, actual, expected });
        }
        Self::of(sources.to_vec(), threshold)
    }

    /// Every record of one data set against every other one of it, each pair once: to find the records that are there
    /// several times. Shards, memory and blocks are as between data sets, n·(n−1)/2 comparisons in all.
    ///
    /// ```
    /// # use linkage_engine::*;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let party = Encodings::new(vec![0b0111, 0b1000, 0b1111, 0b0111], 8)?;
    /// let mut pairs = Vec::new();
    /// let outcome = Linkage::within(&party, Threshold::new(0.8)?)?.run(&Meter::default(), &mut pairs)?;
    /// assert_eq!(outcome.comparisons, 4 * 3 / 2);
    /// pairs.sort();
    /// let found: Vec<_> = pairs.iter().map(|pair| (pair.record0, pair.record1, pair.score)).collect();
    /// assert_eq!(found, [(0, 3, 1.0), (0, 2, 6.0 / 7.0), (2, 3, 6.0 / 7.0)]);
    /// assert!(pairs.iter().all(|pair| (pair.dataset0, pair.dataset1) == (0, 0)));
    /// # Ok(()) }
    /// ```
    #[doc(alias = "deduplicate")]
    pub fn within(source: &'a dyn EncodingSource, threshold: Threshold) -> Result<Self, Error> {
        Self::of(vec![source], threshold)
    }

    fn of(sources: Vec<&'a dyn EncodingSource>, threshold: Threshold) -> Result<Self, Error> {
        check_encoding_bytes(sources[0].encoding_bytes())?;
        let records = sources.iter().map(|source| source.records()).collect();
        Ok(Self { sources, records, threshold, blocks: None, shard: Shard::WHOLE, memory: DEFAULT_MEMORY })
    }

    /// Compares only records that share a block, each pair once however many blocks it shares. The blocks' data
    /// sets must be these.
    pub fn blocks(self, blocks: &'a Blocks) -> Result<Self, Error> {
        let of_blocks = blocks.records();
        if of_blocks != self.records {
            return Err(Error::BlocksMismatch { blocks: of_blocks, encodings: self.records });
        }
        Ok(Self { blocks: Some(blocks), ..self })
    }

    /// Does only one part of the work. Over all shards every pair is compared once.
    pub fn shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    /// How many bytes of encodings are held in memory at most, besides what the sources hold themselves. 256 MiB
    /// unless said otherwise. What does not fit is read several times; results are the same.
    pub fn memory(self, bytes: usize) -> Self {
        Self { memory: bytes, ..self }
    }

    /// Comparisons in this shard, known in advance; what [`Meter::comparisons`] reaches. With blocks a pair of
    /// records that share several counts once a block: an upper bound of [`Outcome::comparisons`].
    pub fn comparisons(&self) -> Result<u64, Error> {
        let comparisons = match self.blocks {
            Some(blocks) => blocks.units(self.shard).map(|unit| unit.comparisons()).sum(),
            None => {
                work::slice(&self.records, self.shard).iter().map(work::Rectangle::comparisons).sum::<u128>()
            }
        };
        u64::try_from(comparisons).map_err(|_| Error::TooMuchWork(comparisons))
    }

    /// Compares, and hands every pair at or above the threshold to the sink, in no order.
    ///
    /// Runs on the current rayon thread pool; returns when all is done, or at the first error.
    pub fn run(&self, meter: &Meter, sink: &mut dyn PairSink) -> Result<Outcome, Error> {
        self.run_as(prune::forced()?, meter, sink)
    }

    /// Runs by a plan that is decided already, if it is.
    pub(super) fn run_as(
        &self,
        forced: Option<Forced>,
        meter: &Meter,
        sink: &mut dyn PairSink,
    ) -> Result<Outcome, Error> {
        self.comparisons()?;
        let mut executor = Executor::new(meter, sink);
        let kernel = Kernel::chosen()?;
        let cutoffs = Cutoffs::new(self.threshold, self.encoding_bytes());
        let (plan, pruning) = match self.blocks {
            Some(_) => (Plan::Dense, None),
            None => prune::choose(self, kernel, &cutoffs, forced)?,
        };
        tracing::info!(kernel = kernel.name(), %plan, "comparing");
        meter.set_method(plan, kernel.name());
        let matcher = Matcher { kernel, leaves: LeafKernel::of(kernel), cutoffs };
        match (self.blocks, pruning) {
            (Some(blocks), _) => run_blocked(self, blocks, &matcher, &mut executor)?,
            (None, Some(Pruning::Leaves(pruning))) => run_pruned(self, &matcher, &pruning, &mut executor)?,
            (None, Some(Pruning::Index(lookup))) => run_lookup(self, &matcher, &lookup, &mut executor)?,
            (None, None) => run_dense(self, &matcher, &mut executor)?,
        }
        Ok(Outcome { plan, kernel: kernel.name(), ..executor.outcome })
    }

    /// Records of each of the two chunks that its memory has room for, if each takes so many bytes.
    pub(super) fn chunk_records(&self, record_bytes: usize) -> u32 {
        (self.memory / 2 / record_bytes).clamp(1, u32::MAX as usize) as u32
    }

    /// Bytes of one encoding, the same in all data sets.
    pub(super) fn encoding_bytes(&self) -> usize {
        self.sources[0].encoding_bytes()
    }
}
