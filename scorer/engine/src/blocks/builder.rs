use rayon::slice::ParallelSliceMut;

use super::interner::Interner;
use super::{Blocks, Membership};
use crate::Error;

/// Stands for a block without records to compare, and for a block of no single data set.
const NONE: u32 = u32::MAX;

/// Collects the blocks of all data sets, an entry at a time.
///
/// ```
/// use linkage_engine::BlocksBuilder;
///
/// # fn main() -> Result<(), linkage_engine::Error> {
/// let mut blocks = BlocksBuilder::new(&[2, 3]);
/// for (dataset, record, id) in [(0, 0, "1970"), (0, 1, "1970"), (1, 2, "1970"), (1, 0, "1971")] {
///     blocks.add(dataset, record, id)?;
/// }
/// let blocks = blocks.finish()?;
/// assert_eq!((blocks.len(), blocks.comparisons()), (1, 2));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct BlocksBuilder {
    records: Vec<u32>,
    ids: Interner,
    /// For each block the only party that has records in it, or [`NONE`] once there are two. A party is a data set, or
    /// a record of the only data set.
    only: Vec<u32>,
    /// For each data set: (record, block), in any order.
    entries: Vec<Vec<(u32, u32)>>,
}

impl BlocksBuilder {
    /// For data sets with these numbers of records.
    pub fn new(records: &[u32]) -> Self {
        let entries = records.iter().map(|_| Vec::new()).collect();
        Self { records: records.to_vec(), ids: Interner::default(), only: Vec::new(), entries }
    }

    /// Puts a record into a block. Ids are compared as bytes, over all data sets. Doing so twice changes nothing.
    pub fn add(&mut self, dataset: usize, record: u32, id: impl AsRef<[u8]>) -> Result<(), Error> {
        let datasets = self.records.len();
        let &records = self.records.get(dataset).ok_or(Error::NoSuchDataset { dataset, datasets })?;
        if record >= records {
            return Err(Error::NoSuchRecord { dataset, record, records });
        }
        let block = self.ids.number(id.as_ref()).ok_or(Error::TooManyBlocks)?;
        let party = if datasets == 1 { record } else { dataset as u32 };
        match self.only.get_mut(block as usize) {
            None => self.only.push(party),
            Some(only) if *only != party => *only = NONE,
            Some(_) => {}
        }
        self.entries[dataset].push((record, block));
        Ok(())
    }

    /// Sorts the entries.
    pub fn finish(self) -> Result<Blocks, Error> {
        let (numbers, blocks) = number_shared(&self.ids, &self.only, &self.entries);
        drop((self.ids, self.only));
        let datasets = self.records.iter().zip(self.entries).map(|(&records, mut entries)| {
            entries.retain_mut(|(_, block)| {
                *block = numbers[*block as usize];
                *block != NONE
            });
            entries.par_sort_unstable();
            entries.dedup();
            Membership::new(records, blocks, &entries)
        });
        Ok(Blocks::new(datasets.collect::<Result<_, _>>()?, blocks))
    }
}

/// New numbers for the blocks with records to compare, in the order of their first records, and of their ids where those
/// are the same; [`NONE`] for the others; and how many there are.
fn number_shared(ids: &Interner, only: &[u32], entries: &[Vec<(u32, u32)>]) -> (Vec<u32>, u32) {
    let mut firsts = vec![(u32::MAX, u32::MAX); only.len()];
    for (dataset, entries) in (0..).zip(entries) {
        for &(record, block) in entries {
            let first = &mut firsts[block as usize];
            *first = (dataset, record).min(*first);
        }
    }
    let mut shared: Vec<u32> = (0..ids.len()).filter(|&block| only[block as usize] == NONE).collect();
    shared.par_sort_unstable_by_key(|&block| (firsts[block as usize], ids.string(block)));
    let mut numbers = vec![NONE; only.len()];
    for (number, &block) in shared.iter().enumerate() {
        numbers[block as usize] = number as u32;
    }
    (numbers, shared.len() as u32)
}
