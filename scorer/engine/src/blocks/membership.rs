use std::cmp::Ordering;
use std::ops::Range;

use crate::{Error, kernel};

/// The records of one data set by block, and its blocks by record.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// Where each block's part of `members` starts; the last one's end.
    block_starts: Vec<u32>,
    /// How many of each block's members have no block before it.
    firsts: Vec<u32>,
    /// The records of each block: those that have no block before it, then the others; both ascending.
    members: Vec<u32>,
    /// Where each record's part of `blocks` starts; the last one's end.
    record_starts: Vec<u32>,
    /// The blocks of each record, ascending.
    blocks: Vec<u32>,
}

impl Membership {
    /// Out of (record, block) entries, sorted and unique.
    pub(super) fn new(records: u32, blocks: u32, entries: &[(u32, u32)]) -> Result<Self, Error> {
        if u32::try_from(entries.len()).is_err() {
            return Err(Error::TooManyBlocks);
        }
        let record_starts = starts(records, entries.iter().map(|&(record, _)| record));
        let block_starts = starts(blocks, entries.iter().map(|&(_, block)| block));

        let mut members = vec![0; entries.len()];
        let mut firsts = vec![0; blocks as usize];
        let mut free: Vec<u32> = block_starts[..blocks as usize].to_vec();
        let is_first = |i: usize| i == 0 || entries[i - 1].0 != entries[i].0;
        for first in [true, false] {
            for (i, &(record, block)) in entries.iter().enumerate().filter(|&(i, _)| is_first(i) == first) {
                let place = &mut free[block as usize];
                members[*place as usize] = record;
                *place += 1;
                firsts[block as usize] += u32::from(is_first(i));
            }
        }
        let blocks = entries.iter().map(|&(_, block)| block).collect();
        Ok(Self { block_starts, firsts, members, record_starts, blocks })
    }

    /// How many records the data set has, in blocks or not.
    pub(super) fn records(&self) -> u32 {
        (self.record_starts.len() - 1) as u32
    }

    /// The records of a block: first those that have no block before it, then the others.
    pub(crate) fn members(&self, block: u32) -> &[u32] {
        part(&self.members, &self.block_starts, block)
    }

    /// The records of several blocks.
    pub(crate) fn members_of(&self, blocks: Range<u32>) -> &[u32] {
        let place = |block: u32| self.block_starts[block as usize] as usize;
        &self.members[place(blocks.start)..place(blocks.end)]
    }

    /// How many of the members of a block have no block before it.
    pub(crate) fn firsts(&self, block: u32) -> u32 {
        self.firsts[block as usize]
    }

    /// Lets the processor fetch the blocks of those members of some blocks that have an earlier one, as
    /// [`kernel::Records::fetch`] does their encodings.
    pub(crate) fn fetch_blocks_of_others(&self, blocks: Range<u32>) {
        for block in blocks {
            for &record in &self.members(block)[self.firsts(block) as usize..] {
                kernel::fetch(&self.blocks[self.record_starts[record as usize] as usize]);
            }
        }
    }

    /// The blocks of a record, ascending.
    pub(crate) fn blocks(&self, record: u32) -> &[u32] {
        part(&self.blocks, &self.record_starts, record)
    }
}

/// So few pairs are rather looked at one by one.
const FEW_PAIRS: usize = if cfg!(test) { 4 } else { 64 };

/// Counts pairs of records that share an earlier block.
#[derive(Debug, Default)]
pub(crate) struct SharedBefore {
    /// Columns by their earlier blocks.
    columns: Vec<(u32, u32)>,
}

impl SharedBefore {
    /// How many pairs of a row and a column share a block before this one. The rows are records of one data set, the
    /// columns of another.
    pub(crate) fn count(
        &mut self,
        block: u32,
        [(of_rows, rows), (of_columns, columns)]: [(&Membership, &[u32]); 2],
    ) -> u64 {
        if rows.len() * columns.len() <= FEW_PAIRS {
            let mut shared = 0;
            for row in rows.iter().map(|&row| of_rows.blocks(row)) {
                for column in columns.iter().map(|&column| of_columns.blocks(column)) {
                    shared += u64::from(!first_shared_is(block, row, column));
                }
            }
            return shared;
        }
        self.columns.clear();
        for &column in columns {
            let earlier = of_columns.blocks(column).iter().take_while(|&&earlier| earlier < block);
            self.columns.extend(earlier.map(|&earlier| (earlier, column)));
        }
        self.columns.sort_unstable();
        let mut shared = 0;
        for blocks in rows.iter().map(|&row| of_rows.blocks(row)) {
            for &earlier in blocks.iter().take_while(|&&earlier| earlier < block) {
                let start = self.columns.partition_point(|&(other, _)| other < earlier);
                let sharing = self.columns[start..].iter().take_while(|&&(other, _)| other == earlier);
                // those that share several are counted at the first one
                shared += sharing
                    .filter(|&&(_, column)| first_shared_is(earlier, blocks, of_columns.blocks(column)))
                    .count() as u64;
            }
        }
        shared
    }
}

/// Whether two ascending lists of blocks have none in common below `block`.
pub(crate) fn first_shared_is(block: u32, a: &[u32], b: &[u32]) -> bool {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some(&&x), Some(&&y)) = (a.peek(), b.peek()) {
        match x.cmp(&y) {
            Ordering::Equal => return x >= block,
            _ if x.max(y) >= block => return true,
            Ordering::Less => _ = a.next(),
            Ordering::Greater => _ = b.next(),
        }
    }
    true
}

fn part<'a>(items: &'a [u32], starts: &[u32], i: u32) -> &'a [u32] {
    &items[starts[i as usize] as usize..starts[i as usize + 1] as usize]
}

/// Where the items of each of `count` keys start, were they sorted by key; and where the last ones end.
fn starts(count: u32, keys: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut starts = vec![0; count as usize + 1];
    for key in keys {
        starts[key as usize + 1] += 1;
    }
    for i in 1..starts.len() {
        starts[i] += starts[i - 1];
    }
    starts
}
