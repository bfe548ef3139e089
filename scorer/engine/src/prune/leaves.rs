use std::ops::Range;
use std::{array, io};

use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::counting::Counting;
use super::plan::{Bounding, LeafPruning};
use super::projections::Projections;
use super::segments::Segments;
use super::tree;
use crate::EncodingSource;
use crate::chunk::Chunk;
use crate::kernel::Values;
use crate::threshold::Cutoffs;

/// Records of a leaf: as many as there are bytes in the widest register.
pub(crate) const LEAF: usize = 64;
/// Segments by which records are put into leaves. More of them would tell single pairs apart better, but not leaves:
/// each is halved fewer times.
pub(crate) const BOX_SEGMENTS: usize = 5;
/// The most segments by which single pairs are left out.
pub(crate) const MOST_SEGMENTS: usize = 48;
/// Segments by which more pairs are left out of those that remain.
pub(crate) const FINER_SEGMENTS: usize = 96;
/// The most slack of a record, so that the sum of two fits into a byte.
pub(crate) const MAX_SLACK: u32 = 127;

/// A byte for each record of a leaf.
pub(crate) type Lanes = [u8; LEAF];
/// The finer segment counts of a record, such that no register's load crosses a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(crate) struct FinerCounts(pub [u8; FINER_SEGMENTS]);

/// Up to 64 similar records.
#[derive(Clone, Debug)]
struct LeafCounts {
    /// By which the records have been put together: by segment, then by record.
    boxed: [Lanes; BOX_SEGMENTS],
    slacks: Lanes,
    /// For each record half of its slack and its segment counts, rounded up; modulo 256.
    halves: Lanes,
}

/// What tells of most pairs of leaves that no records match: in a place of its own, where it takes little memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranges {
    /// The least of each of the segment counts by which the records have been put together.
    pub least: [u8; BOX_SEGMENTS],
    /// The greatest.
    pub greatest: [u8; BOX_SEGMENTS],
    /// The greatest slack.
    pub greatest_slack: u8,
    /// Whether all slacks fit into a byte. If not, no count can be relied upon, and every pair is to be compared.
    pub bounded: bool,
}

impl Ranges {
    /// What holds the records of several leaves; None of no leaves.
    pub(super) fn around(leaves: &[Self]) -> Option<Self> {
        leaves.iter().copied().reduce(|a, b| Self {
            least: array::from_fn(|segment| a.least[segment].min(b.least[segment])),
            greatest: array::from_fn(|segment| a.greatest[segment].max(b.greatest[segment])),
            greatest_slack: a.greatest_slack.max(b.greatest_slack),
            bounded: a.bounded && b.bounded,
        })
    }

    /// Whether the counts are too far from those of another leaf for any records to match.
    pub(super) fn are_far_from(&self, other: &Self) -> bool {
        let mut distance = 0;
        for segment in 0..BOX_SEGMENTS {
            distance += u32::from(other.least[segment].saturating_sub(self.greatest[segment]));
            distance += u32::from(self.least[segment].saturating_sub(other.greatest[segment]));
        }
        distance > u32::from(self.greatest_slack) + u32::from(other.greatest_slack)
            && self.bounded
            && other.bounded
    }
}

/// A borrowed leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf<'a> {
    /// Between what its counts lie.
    pub ranges: &'a Ranges,
    /// Segment counts by which the records have been put together: by segment, then by record.
    pub boxed: &'a [Lanes; BOX_SEGMENTS],
    /// Slack of each record.
    pub slacks: &'a Lanes,
    /// By what single pairs are left out; of the same kind in all leaves.
    pub bounds: Bounds<'a>,
    /// The encodings.
    pub words: &'a [u64],
    /// Bits set in each encoding; as many as there are records.
    pub ones: &'a [u32],
}

/// What tells of most single pairs of records of two leaves that they do not match.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bounds<'a> {
    /// By the differences of segment counts.
    Counts(Counts<'a>),
    /// By the distances of projections.
    Projected(Projected<'a>),
}

/// The segment counts of a leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts<'a> {
    /// By segment, then by record.
    pub by_segment: &'a [Lanes],
    /// For each record half of its slack and its segment counts, rounded up; modulo 256.
    pub halves: &'a Lanes,
    /// Those of a finer division, by record. None where pairs are compared at once.
    pub finer: Option<&'a [FinerCounts; LEAF]>,
}

/// The projections of a leaf: see [`super::projections`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Projected<'a> {
    /// By record.
    pub values: &'a [Values; LEAF],
}

/// Some records of a data set, in memory, in leaves. Reused: it keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct Leaves {
    chunk: Chunk,
    /// The records' places in the range that was loaded, in the order of the leaves.
    places: Vec<u32>,
    ranges: Vec<Ranges>,
    leaves: Vec<LeafCounts>,
    /// Of all leaves, `segments` each.
    counts: Vec<Lanes>,
    segments: usize,
    /// Of all leaves, by record. None unless there is a finer division.
    finer: Vec<[FinerCounts; LEAF]>,
    /// Of all leaves. None unless records are projected.
    values: Vec<[Values; LEAF]>,
}

impl Leaves {
    /// Bytes that a record takes: encoding and count, place, segment counts, and by what single pairs are left out.
    pub(super) fn record_bytes(encoding_bytes: usize, bounding: &Bounding) -> usize {
        Chunk::record_bytes(encoding_bytes)
            + 4
            + (size_of::<Ranges>() + size_of::<LeafCounts>()).div_ceil(LEAF)
            + BOX_SEGMENTS
            + match bounding {
                Bounding::Counts(segments, finer) => {
                    segments.segments + finer.as_ref().map_or(0, |finer| finer.segments)
                }
                Bounding::Projections(_) => size_of::<Values>(),
            }
    }

    /// Holds a range of records, and nothing else.
    pub(super) fn load(
        &mut self,
        source: &dyn EncodingSource,
        records: Range<u32>,
        pruning: &LeafPruning,
        cutoffs: &Cutoffs,
    ) -> io::Result<()> {
        self.chunk.load(source, records)?;
        let boxes = Counting::<1>::new(&pruning.boxes);
        let width = self.chunk.width();
        let boxed = |words: &[u64]| {
            let [counts] = boxes.count(words);
            array::from_fn(|segment| counts[segment])
        };
        let boxed: Vec<[u8; BOX_SEGMENTS]> = self.chunk.words().par_chunks_exact(width).map(boxed).collect();
        let fits = |&place: &u32| cutoffs.slack(self.chunk.count(place)) <= MAX_SLACK;
        let (mut places, unbounded): (Vec<u32>, Vec<u32>) = (0..boxed.len() as u32).partition(fits);
        tree::order(&boxed, &mut places);
        places.extend(unbounded);
        self.places = places;
        self.chunk.reorder(&self.places);
        self.fill_leaves(&boxed, cutoffs);
        self.values.clear();
        self.finer.clear();
        match &pruning.bounding {
            Bounding::Projections(projections) => self.project(projections, cutoffs),
            Bounding::Counts(segments, finer) => {
                match segments.segments {
                    12 | 16 => self.count::<2>(segments),
                    24 => self.count::<3>(segments),
                    32 => self.count::<4>(segments),
                    48 => self.count::<6>(segments),
                    other => unreachable!("no plan has {other} segments"),
                }
                finer.iter().for_each(|finer| self.count_finer(finer));
            }
        }
        Ok(())
    }

    /// How many leaves there are.
    pub(super) fn len(&self) -> usize {
        self.leaves.len()
    }

    /// How many records there are in some leaves.
    pub(super) fn records(&self, leaves: Range<usize>) -> usize {
        (leaves.end * LEAF).min(self.chunk.len()) - leaves.start * LEAF
    }

    /// One leaf.
    pub(crate) fn leaf(&self, number: usize) -> Leaf<'_> {
        let first = number * LEAF;
        let tile = self.chunk.tile(first..(first + LEAF).min(self.chunk.len()));
        let leaf = &self.leaves[number];
        Leaf {
            boxed: &leaf.boxed,
            ranges: &self.ranges[number],
            slacks: &leaf.slacks,
            bounds: self.bounds(number),
            words: tile.words,
            ones: tile.counts,
        }
    }

    /// Between what the counts of each leaf lie.
    pub(super) fn ranges(&self) -> &[Ranges] {
        &self.ranges
    }

    /// Where a record of a leaf is in the range that was loaded.
    pub(super) fn place(&self, leaf: usize, record: u32) -> u32 {
        self.places[leaf * LEAF + record as usize]
    }

    fn bounds(&self, leaf: usize) -> Bounds<'_> {
        if let Some(values) = self.values.get(leaf) {
            Bounds::Projected(Projected { values })
        } else {
            let by_segment = &self.counts[leaf * self.segments..][..self.segments];
            let halves = &self.leaves[leaf].halves;
            Bounds::Counts(Counts { by_segment, halves, finer: self.finer.get(leaf) })
        }
    }

    fn fill_leaves(&mut self, boxed: &[[u8; BOX_SEGMENTS]], cutoffs: &Cutoffs) {
        let chunk = &self.chunk;
        self.places
            .par_chunks(LEAF)
            .enumerate()
            .map(|(number, places)| LeafCounts::new(number, places, boxed, chunk, cutoffs))
            .unzip_into_vecs(&mut self.ranges, &mut self.leaves);
    }

    fn count<const WORDS: usize>(&mut self, segments: &Segments) {
        self.segments = segments.segments;
        let counting = Counting::<WORDS>::new(segments);
        let width = self.chunk.width();
        self.counts.clear();
        self.counts.resize(self.leaves.len() * self.segments, [0; LEAF]);
        let words = self.chunk.words().par_chunks(width * LEAF);
        let leaves = self.counts.par_chunks_exact_mut(self.segments).zip(self.leaves.par_chunks_exact_mut(1));
        leaves.zip(words).for_each(|((counts, leaf), words)| {
            for (record, words) in words.chunks_exact(width).enumerate() {
                let mut sum = 0;
                for (lanes, count) in counts.iter_mut().zip(counting.count(words).into_iter().flatten()) {
                    lanes[record] = count;
                    sum += u32::from(count);
                }
                leaf[0].halves[record] = (sum + u32::from(leaf[0].slacks[record])).div_ceil(2) as u8;
            }
        });
    }

    fn count_finer(&mut self, finer: &Segments) {
        let counting = Counting::<{ FINER_SEGMENTS / 8 }>::new(finer);
        let width = self.chunk.width();
        self.finer.resize(self.leaves.len(), [FinerCounts([0; FINER_SEGMENTS]); LEAF]);
        let words = self.chunk.words().par_chunks(width * LEAF);
        self.finer.par_iter_mut().zip(words).for_each(|(records, words)| {
            for (counts, words) in records.iter_mut().zip(words.chunks_exact(width)) {
                counts.0.as_chunks_mut().0.copy_from_slice(&counting.count(words));
            }
        });
    }

    fn project(&mut self, projections: &Projections, cutoffs: &Cutoffs) {
        let width = self.chunk.width();
        self.values.resize(self.leaves.len(), [Values::NONE; LEAF]);
        let words = self.chunk.words().par_chunks(width * LEAF);
        self.values.par_iter_mut().zip(words).enumerate().for_each(|(leaf, (values, words))| {
            for (record, (values, words)) in values.iter_mut().zip(words.chunks_exact(width)).enumerate() {
                let slack = cutoffs.slack(self.chunk.count((leaf * LEAF + record) as u32));
                *values = projections.project(words, slack);
            }
        });
    }
}

impl LeafCounts {
    fn new(
        number: usize,
        places: &[u32],
        boxed: &[[u8; BOX_SEGMENTS]],
        chunk: &Chunk,
        cutoffs: &Cutoffs,
    ) -> (Ranges, Self) {
        let mut ranges = Ranges {
            least: [u8::MAX; BOX_SEGMENTS],
            greatest: [0; BOX_SEGMENTS],
            greatest_slack: 0,
            bounded: true,
        };
        let mut leaf = Self { boxed: [[0; LEAF]; BOX_SEGMENTS], slacks: [0; LEAF], halves: [0; LEAF] };
        for (record, &place) in places.iter().enumerate() {
            for (segment, &count) in boxed[place as usize].iter().enumerate() {
                leaf.boxed[segment][record] = count;
                ranges.least[segment] = ranges.least[segment].min(count);
                ranges.greatest[segment] = ranges.greatest[segment].max(count);
            }
            let slack = cutoffs.slack(chunk.count((number * LEAF + record) as u32));
            ranges.bounded &= slack <= MAX_SLACK;
            leaf.slacks[record] = slack.min(MAX_SLACK) as u8;
            ranges.greatest_slack = ranges.greatest_slack.max(leaf.slacks[record]);
        }
        (ranges, leaf)
    }
}
