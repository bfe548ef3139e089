use std::fs::File;
use std::io::{BufWriter, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::slice::ParallelSliceMut;

use super::format::BLOCK_PAIRS;
use super::{Error, Merge, Pair, PairReader, PairStream, PairWriter};

/// How many sorted runs are merged at a time: bounds open files and read buffers.
const FAN_IN: usize = 64;
/// The buffer never holds fewer pairs than this, however low the limit.
const MIN_BUFFERED: usize = 16;

/// Sorts any number of pairs within a given memory.
///
/// It buffers up to a limit, sorts what it has buffered on all cores, and spills it as a sorted run to a
/// nameless temporary file in the scratch directory (gone when the process ends, however it ends). A merge of
/// the runs yields the sorted stream. Besides the buffer it needs 64 KiB a run, for at most 64 runs a level.
///
/// Pushing the same pair twice is found at the latest while the sorted stream is read: [`Error::Duplicate`].
///
/// ```
/// use linkage_engine::pairs::{Pair, PairSorter};
///
/// # fn main() -> Result<(), linkage_engine::pairs::Error> {
/// let mut sorter = PairSorter::new(1 << 20, std::env::temp_dir());
/// for record in 0..100u32 {
///     sorter.push(Pair { score: f64::from(record) / 100.0, dataset0: 0, dataset1: 1, record0: 0, record1: record })?;
/// }
/// let sorted = sorter.finish()?;
/// assert_eq!(sorted.len(), 100);
/// assert_eq!(sorted.map(|pair| Ok(pair?.record1)).collect::<Result<Vec<_>, linkage_engine::pairs::Error>>()?[0], 99);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PairSorter {
    scratch: PathBuf,
    /// Pairs that are buffered before a run is spilled.
    limit: usize,
    buffer: Vec<Pair>,
    /// Sorted runs; those of level n + 1 are merged out of [`FAN_IN`] runs of level n.
    levels: Vec<Vec<Run>>,
    spilled: u64,
}

/// Sorted pairs out of a [`PairSorter`], as an iterator.
#[derive(Debug)]
pub struct SortedPairs {
    merge: Merge<OpenRun>,
    len: u64,
    /// What is merged, to be merged once more.
    runs: Vec<Run>,
    scratch: PathBuf,
}

impl PairSorter {
    /// Buffers up to `limit_bytes` of pairs; makes its files in the directory `scratch`.
    pub fn new(limit_bytes: usize, scratch: impl AsRef<Path>) -> Self {
        Self {
            scratch: scratch.as_ref().to_owned(),
            limit: (limit_bytes / size_of::<Pair>()).max(MIN_BUFFERED),
            buffer: Vec::new(),
            levels: Vec::new(),
            spilled: 0,
        }
    }

    /// Takes one pair.
    pub fn push(&mut self, pair: Pair) -> Result<(), Error> {
        self.extend(&[pair])
    }

    /// Takes many pairs.
    pub fn extend(&mut self, mut pairs: &[Pair]) -> Result<(), Error> {
        while !pairs.is_empty() {
            let (fitting, rest) = pairs.split_at(pairs.len().min(self.limit - self.buffer.len()));
            self.reserve(fitting.len());
            self.buffer.extend_from_slice(fitting);
            pairs = rest;
            if self.buffer.len() == self.limit {
                self.spill()?;
            }
        }
        Ok(())
    }

    /// Pairs taken so far.
    pub fn len(&self) -> u64 {
        self.spilled + self.buffer.len() as u64
    }

    /// Whether no pair was taken so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sorts what is left; yields all pairs in their order.
    pub fn finish(mut self) -> Result<SortedPairs, Error> {
        let len = self.len();
        self.buffer.par_sort_unstable();
        let mut runs: Vec<Run> = Vec::new();
        for level in std::mem::take(&mut self.levels) {
            // The small runs of the low levels first, so that the large ones are copied least.
            runs.extend(level);
            if runs.len() >= FAN_IN {
                runs = vec![merge_runs(&self.scratch, runs)?];
            }
        }
        runs.push(Run::Memory(Arc::new(self.buffer)));
        Ok(SortedPairs { merge: merge(&self.scratch, &runs)?, len, runs, scratch: self.scratch })
    }

    /// Grows the buffer by doubling, but never past the limit.
    fn reserve(&mut self, additional: usize) {
        let needed = self.buffer.len() + additional;
        if needed > self.buffer.capacity() {
            let target = needed.max(2 * self.buffer.capacity()).min(self.limit);
            self.buffer.reserve_exact(target - self.buffer.len());
        }
    }

    fn spill(&mut self) -> Result<(), Error> {
        self.buffer.par_sort_unstable();
        self.spilled += self.buffer.len() as u64;
        let run = write_run(&self.scratch, self.buffer.drain(..).map(Ok))?;
        self.add_run(run)
    }

    fn add_run(&mut self, mut run: Run) -> Result<(), Error> {
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(run);
            if self.levels[level].len() < FAN_IN {
                break;
            }
            run = merge_runs(&self.scratch, std::mem::take(&mut self.levels[level]))?;
        }
        Ok(())
    }
}

impl SortedPairs {
    /// How many pairs there are in all.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no pair at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The same pairs from the first one on, however many have been taken.
    ///
    /// # Errors
    /// When a temporary file cannot be read.
    pub fn again(self) -> Result<Self, Error> {
        Ok(Self { merge: merge(&self.scratch, &self.runs)?, ..self })
    }
}

impl Iterator for SortedPairs {
    type Item = Result<Pair, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.merge.next()
    }
}

/// One sorted run.
#[derive(Debug)]
enum Run {
    Memory(Arc<Vec<Pair>>),
    File(File),
}

/// A run that is being read, one reader at a time: the readers of a file share their place in it.
#[derive(Debug)]
enum OpenRun {
    Memory { pairs: Arc<Vec<Pair>>, read: usize },
    File(PairReader<File>),
}

impl PairStream for OpenRun {
    fn name(&self) -> &str {
        match self {
            Self::Memory { .. } => "sorted pairs",
            Self::File(pairs) => pairs.name(),
        }
    }

    fn read_block(&mut self, block: &mut Vec<Pair>) -> Result<(), Error> {
        match self {
            Self::Memory { pairs, read } => {
                let rest = &pairs[*read..];
                block.clear();
                block.extend_from_slice(&rest[..rest.len().min(BLOCK_PAIRS)]);
                *read += block.len();
                Ok(())
            }
            Self::File(pairs) => pairs.read_block(block),
        }
    }
}

fn merge(scratch: &Path, runs: &[Run]) -> Result<Merge<OpenRun>, Error> {
    Merge::new(runs.iter().map(|run| open(scratch, run)).collect::<Result<_, _>>()?)
}

fn open(scratch: &Path, run: &Run) -> Result<OpenRun, Error> {
    match run {
        Run::Memory(pairs) => Ok(OpenRun::Memory { pairs: Arc::clone(pairs), read: 0 }),
        Run::File(file) => {
            let mut file = file.try_clone().map_err(|e| trouble(scratch, e))?;
            file.rewind().map_err(|e| trouble(scratch, e))?;
            Ok(OpenRun::File(PairReader::new("scratch file", file)?))
        }
    }
}

fn merge_runs(scratch: &Path, runs: Vec<Run>) -> Result<Run, Error> {
    write_run(scratch, merge(scratch, &runs)?)
}

fn write_run(scratch: &Path, pairs: impl Iterator<Item = Result<Pair, Error>>) -> Result<Run, Error> {
    let file = tempfile::tempfile_in(scratch).map_err(|e| trouble(scratch, e))?;
    let mut writer = PairWriter::new(BufWriter::with_capacity(1 << 16, file))?;
    for pair in pairs {
        writer.write(&pair?)?;
    }
    let file = writer.finish()?.into_inner().map_err(|e| trouble(scratch, e.into_error()))?;
    Ok(Run::File(file))
}

fn trouble(scratch: &Path, error: std::io::Error) -> Error {
    Error::io(format!("scratch file in {}", scratch.display()), error)
}

#[cfg(test)]
mod tests;
