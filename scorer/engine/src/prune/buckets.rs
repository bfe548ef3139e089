//! Records by hashes of their bits in some parts.
//!
//! Records are in order of their slacks, the greatest first, and so they are in each bucket: those that need no part as
//! late as this one are at the end.

use std::cmp::Reverse;
use std::io;
use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::counting::Counting;
use super::parts::Parts;
use super::segments::Segments;
use crate::EncodingSource;
use crate::chunk::Chunk;
use crate::kernel::{self, PADDING, Tile};
use crate::threshold::Cutoffs;

/// Segments whose counts tell apart records that agree in a part.
pub(super) const INDEX_SEGMENTS: usize = 15;
/// Words of their counts, and of a byte more.
pub(super) const INDEX_WORDS: usize = (INDEX_SEGMENTS + 1) / 8;
/// Bits of a hash of a part: a word has room for three.
pub(super) const HASH_BITS: u32 = 21;
/// Parts before the one that is looked up, whose hashes are kept.
pub(super) const BEFORE: usize = 2;
/// Parts whose hashes are made at the same time: for each time, all encodings are read.
const HASHED_AT_ONCE: usize = 4;
/// Records of a bucket, if all are filled evenly: fewer would leave out more pairs, but be filled more slowly.
const BUCKET_RECORDS: usize = if cfg!(test) { 4 } else { 16 };

/// The segment counts of a record, and what 255 is more than its slack; 0 if the slack is greater.
pub(crate) type Counts = [u8; INDEX_SEGMENTS + 1];
/// Hashes of a record: in the last parts before those that are looked up, then in these.
type Hashes = [u32; BEFORE + HASHED_AT_ONCE];

/// A record in a bucket.
///
/// Of a pair of entries, a row and a column, the last byte of the row counts as 0. If the pair reaches the threshold, the
/// differences of the segment counts come to at most `slack(row) + slack(column)`; with that of the last bytes, which is
/// `255 − slack(column)`, to at most `slack(row) + 255`, which does not depend on the column.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
pub(crate) struct Entry {
    pub counts: Counts,
    /// Hashes in this part and in the two before it, the nearest in the lower bits.
    hashes: u64,
    /// Its place among the records in order of slacks.
    pub record: u32,
}

impl Entry {
    /// Of a record with its hashes in some parts and in this one, which is the last.
    #[inline(always)]
    pub(crate) fn new(counts: Counts, hashes: &[u32], record: u32) -> Self {
        let hashes = hashes.iter().fold(0, |hashes, &hash| hashes << HASH_BITS | u64::from(hash));
        Self { counts, hashes, record }
    }

    /// The slack; of an entry that is not bounded a smaller number.
    #[inline(always)]
    pub(crate) fn slack(&self) -> u32 {
        u32::from(u8::MAX - self.counts[INDEX_SEGMENTS])
    }

    /// Whether the counts may tell that others are not near: they may not if the slack does not fit into a byte.
    #[inline(always)]
    pub(crate) fn is_bounded(&self) -> bool {
        self.counts[INDEX_SEGMENTS] != 0
    }

    /// The most by which the bytes of a column may differ from those of this row.
    #[inline(always)]
    pub(crate) fn most_distance(&self) -> u32 {
        self.slack() + u32::from(u8::MAX)
    }

    /// Whether the counts of a column differ from those of this row by at most their slacks. Both are bounded.
    #[inline(always)]
    pub(crate) fn is_near(&self, column: &Self) -> bool {
        let mut counts = self.counts;
        counts[INDEX_SEGMENTS] = 0;
        let distance: u32 = counts.iter().zip(&column.counts).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        distance <= self.most_distance()
    }

    /// Whether two records agree in this part, and in none of so many before it.
    #[inline(always)]
    pub(crate) fn agrees_anew_with(&self, other: &Self, parts_before: u32) -> bool {
        let differing = self.hashes ^ other.hashes;
        let agree = |before: u32| (differing >> (before * HASH_BITS)).trailing_zeros() >= HASH_BITS;
        agree(0) && !(1..=parts_before).any(agree)
    }
}

/// Some records of a data set, in memory, in order of slacks. Reused: it keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Indexed {
    chunk: Chunk,
    /// The records' places in the range that was loaded.
    places: Vec<u32>,
    slacks: Vec<u32>,
    counts: Vec<Counts>,
}

impl Indexed {
    /// Bytes that a record takes, those of its entries in buckets included.
    pub(super) fn record_bytes(encoding_bytes: usize) -> usize {
        let of_entries = size_of::<Entry>() + size_of::<u32>().div_ceil(BUCKET_RECORDS);
        Chunk::record_bytes(encoding_bytes)
            + 2 * size_of::<u32>()
            + size_of::<Counts>()
            + size_of::<Hashes>()
            + parts_at_once() * of_entries
    }

    /// Holds a range of records, and nothing else.
    pub(super) fn load(
        &mut self,
        source: &dyn EncodingSource,
        records: Range<u32>,
        segments: &Segments,
        cutoffs: &Cutoffs,
    ) -> io::Result<()> {
        self.chunk.load(source, records)?;
        let slack = |chunk: &Chunk, record| cutoffs.slack(chunk.count(record));
        self.places.clear();
        self.places.extend(0..self.chunk.len() as u32);
        self.places.par_sort_unstable_by_key(|&place| (Reverse(slack(&self.chunk, place)), place));
        self.chunk.reorder(&self.places);
        self.slacks.clear();
        self.slacks.extend((0..self.chunk.len() as u32).map(|record| slack(&self.chunk, record)));
        let counting = Counting::<INDEX_WORDS>::new(segments);
        let counts = |(words, &slack): (&[u64], &u32)| {
            let mut counts = Counts::default();
            counts.as_chunks_mut().0.copy_from_slice(&counting.count(words));
            counts[INDEX_SEGMENTS] = u8::MAX - slack.min(u32::from(u8::MAX)) as u8;
            counts
        };
        let words = self.chunk.words().par_chunks_exact(self.chunk.width());
        words.zip(&self.slacks).map(counts).collect_into_vec(&mut self.counts);
        Ok(())
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// All records.
    pub(super) fn tile(&self) -> Tile<'_> {
        self.chunk.tile(0..self.len())
    }

    /// One encoding.
    pub(super) fn words(&self, record: u32) -> &[u64] {
        self.chunk.tile(record as usize..record as usize + 1).words
    }

    /// Where a record is in the range that was loaded.
    pub(super) fn place(&self, record: u32) -> u32 {
        self.places[record as usize]
    }

    /// How many records may need a part, as no record of the other side has more slack than its first.
    fn needing(&self, part: usize, others: &Self) -> usize {
        let most = others.slacks.first().copied().unwrap_or(0);
        self.slacks.partition_point(|slack| slack + most >= part as u32)
    }
}

/// Parts whose buckets are in memory at the same time, so that all cores have something to do while they are filled. Those
/// of the two sides are filled at the same time, too.
pub(super) fn parts_at_once() -> usize {
    match rayon::current_num_threads() {
        ..4 => 1,
        4..8 => 2,
        8.. => HASHED_AT_ONCE,
    }
}

/// The buckets of one side in some parts. Reused: it keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// By record.
    hashes: Vec<Hashes>,
    by_part: Vec<PartBuckets>,
}

impl Buckets {
    /// Puts the records into buckets of some parts: those that may need the part. Parts come in order, [`parts_at_once`].
    pub(super) fn fill(&mut self, records: &Indexed, others: &Indexed, parts: &Parts, some: Range<usize>) {
        if some.start.is_multiple_of(HASHED_AT_ONCE) {
            self.hash(records, parts, some.start);
        }
        // the same on both sides
        let buckets = records.len().max(others.len()) / BUCKET_RECORDS;
        let bits = buckets.max(1).ilog2().min(HASH_BITS);
        self.by_part.resize_with(parts_at_once(), PartBuckets::default);
        self.by_part.par_iter_mut().zip(some).for_each(|(buckets, part)| {
            let needing = records.needing(part, others);
            let (counts, hashes) = (&records.counts[..needing], &self.hashes[..needing]);
            buckets.fill(counts, hashes, part % HASHED_AT_ONCE, bits);
        });
    }

    /// The buckets of one of the parts.
    pub(super) fn of_part(&self, place: usize) -> &PartBuckets {
        &self.by_part[place]
    }

    /// Makes the hashes in some parts, and keeps those in the last parts before.
    fn hash(&mut self, records: &Indexed, parts: &Parts, first: usize) {
        self.hashes.resize(records.len(), Hashes::default());
        let words = records.chunk.words().par_chunks_exact(records.chunk.width());
        self.hashes.par_iter_mut().zip(words).for_each(|(hashes, words)| {
            hashes.copy_within(HASHED_AT_ONCE.., 0);
            for (hash, part) in hashes[BEFORE..].iter_mut().zip(first..parts.len()) {
                *hash = parts.hash(part, words);
            }
        });
    }
}

/// Records by their hashes in one part. Reused: it keeps its memory.
#[derive(Debug, Default)]
pub(super) struct PartBuckets {
    /// Where each bucket ends.
    ends: Vec<u32>,
    /// After the last are some that mean nothing.
    entries: Vec<Entry>,
}

impl PartBuckets {
    /// By a counting sort, so that in each bucket records stay in order.
    fn fill(&mut self, counts: &[Counts], hashes: &[Hashes], place: usize, bits: u32) {
        let bucket = |hashes: &Hashes| (hashes[BEFORE + place] >> (HASH_BITS - bits)) as usize;
        self.ends.clear();
        self.ends.resize(1 << bits, 0);
        hashes.iter().for_each(|hashes| self.ends[bucket(hashes)] += 1);
        let mut start = 0;
        for end in &mut self.ends {
            start += std::mem::replace(end, start);
        }
        let len = counts.len() + PADDING;
        if self.entries.capacity() < len {
            self.entries = kernel::room(len);
        }
        self.entries.resize(len, Entry::default());
        for ((record, &counts), hashes) in (0..).zip(counts).zip(hashes) {
            let end = &mut self.ends[bucket(hashes)];
            self.entries[*end as usize] = Entry::new(counts, &hashes[place..=place + BEFORE], record);
            *end += 1;
        }
    }

    #[cfg(test)]
    pub(super) fn of_sizes(sizes: impl Iterator<Item = usize>) -> Self {
        let end = |end: &mut usize, size| {
            *end += size;
            Some(*end as u32)
        };
        Self { ends: sizes.scan(0, end).collect(), entries: Vec::new() }
    }

    /// How many buckets there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where the entries of a bucket are.
    pub(super) fn range(&self, bucket: usize) -> Range<usize> {
        let start = bucket.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[bucket] as usize
    }

    /// Those of all buckets, and as many after them as [`Entries`](crate::kernel::Entries) want.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
