use serde::{Deserialize, Serialize};

use super::{add, pairs_of_parties};
use crate::advice::{Bins, Histogram, Neighbours};
use crate::engine::{
    Blocks, EncodingSource, Encodings, Error, FileEncodings, Linkage, Meter, PairSink, Shard, Threshold, dice,
};
use crate::pairs::{self, Pair};

/// So many comparisons cost next to nothing, whatever the run: a twentieth of a second.
const FREE_COMPARISONS: u64 = 50_000_000;
/// Where a sample would cost more than those, it is of at most so many records of a party, …
const RECORDS: u64 = 1000;
/// … and at most one in so many.
const ONE_IN: u64 = 50;
/// The same with blocks, where comparisons cost hundreds of times as much, as the records of each are read for it.
const FREE_COMPARISONS_IN_BLOCKS: u64 = 500_000;
const RECORDS_IN_BLOCKS: u64 = 20_000;
const ONE_IN_BLOCKS: u64 = 1000;
/// Records of the sample, or candidates, that are held in memory at once.
const HELD: usize = 1000;

/// What the sampled records of two parties have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::job) struct Sampled {
    /// Records of the smaller party that were drawn.
    records: u64,
    /// Their pairs by bin.
    pairs: Vec<u64>,
    /// How many of them have no pair at or above where each bin begins.
    none: Vec<u64>,
    /// How many have one.
    one: Vec<u64>,
}

impl Sampled {
    fn new(bins: usize) -> Self {
        Self { records: 0, pairs: vec![0; bins], none: vec![0; bins], one: vec![0; bins] }
    }

    pub(super) fn lengths(&self) -> [usize; 3] {
        [self.pairs.len(), self.none.len(), self.one.len()]
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.records += other.records;
        add(&mut self.pairs, &other.pairs);
        add(&mut self.none, &other.none);
        add(&mut self.one, &other.one);
    }

    /// Takes in one record's pairs by bin.
    fn add_record(&mut self, counts: &[u32]) {
        self.records += 1;
        let mut at_or_above = 0u64;
        for (bin, &count) in counts.iter().enumerate().rev() {
            at_or_above += u64::from(count);
            self.pairs[bin] += u64::from(count);
            self.none[bin] += u64::from(at_or_above == 0);
            self.one[bin] += u64::from(at_or_above == 1);
        }
    }

    /// Adds what these records tell of all `rows` of their party.
    pub(super) fn add_to(&self, neighbours: &mut Neighbours, rows: u64) {
        if self.records == 0 {
            return;
        }
        let weight = rows as f64 / self.records as f64;
        neighbours.records += self.records;
        neighbours.weight += rows as f64;
        for (sums, counts) in [(&mut neighbours.none, &self.none), (&mut neighbours.one, &self.one)] {
            for (sum, &count) in sums.iter_mut().zip(counts) {
                *sum += weight * count as f64;
            }
        }
    }

    /// What was counted from the threshold on, and below it what the sample makes expect.
    pub(super) fn histogram(
        &self,
        bins: &Bins,
        datasets: [u32; 2],
        exact: &[u64],
        rows: u64,
        within: bool,
    ) -> Histogram {
        let share = if rows == 0 { 1.0 } else { self.records as f64 / rows as f64 };
        // within one party's data each pair is met at both of its records
        let scale = if self.records == 0 { 0.0 } else { 1.0 / share / if within { 2.0 } else { 1.0 } };
        let first_exact = bins.first_exact();
        let below =
            self.pairs[..first_exact].iter().map(|&count| (count as f64 * scale * 10.0).round() / 10.0);
        let counts = below.chain(exact[first_exact..].iter().map(|&count| count as f64)).collect();
        // of all records, nothing is estimated
        let all = self.records == rows;
        let exact_from = if all { bins.floor() } else { bins.edges()[first_exact] };
        Histogram { datasets, counts, exact_from, sampled_share: (share * 1e6).round() / 1e6 }
    }
}

/// Draws this shard's part of the sample of each two parties, and compares it.
pub(in crate::job) fn sample(
    sources: &[FileEncodings],
    blocks: Option<&Blocks>,
    bins: &Bins,
    (shard, shards): (u32, u32),
    memory: usize,
) -> Result<Vec<Sampled>, Error> {
    let mut all = Vec::new();
    let pairs = pairs_of_parties(sources.len());
    for datasets in &pairs {
        let [first, second] = datasets.map(|dataset| dataset as usize);
        let (drawn, other) = if sources[first].records() <= sources[second].records() {
            (first, second)
        } else {
            (second, first)
        };
        let sizes = [drawn, other].map(|dataset| u64::from(sources[dataset].records()));
        let size = match blocks {
            None => sample_size(sizes, pairs.len() as u64),
            Some(blocks) => sample_size_in_blocks(sizes[0], blocks.comparisons()),
        };
        let records: Vec<u32> = draw(sizes[0], size).skip(shard as usize).step_by(shards as usize).collect();
        let mut sampled = Sampled::new(bins.edges().len());
        for records in records.chunks(HELD) {
            let counts = match blocks {
                None => compare(sources, drawn, other, records, bins, memory)?,
                Some(blocks) => compare_in_blocks(sources, drawn, other, records, bins, blocks)?,
            };
            for counts in counts.chunks(bins.edges().len()) {
                sampled.add_record(counts);
            }
        }
        all.push(sampled);
    }
    Ok(all)
}

/// How many records of the smaller party are compared with all of the larger one.
fn sample_size([rows, columns]: [u64; 2], pairs_of_parties: u64) -> u64 {
    let free = FREE_COMPARISONS / pairs_of_parties.max(1) / columns.max(1);
    rows.min(free.max(RECORDS.min(rows / ONE_IN)))
}

fn sample_size_in_blocks(rows: u64, comparisons: u128) -> u64 {
    let free = u128::from(FREE_COMPARISONS_IN_BLOCKS) * u128::from(rows) / comparisons.max(1);
    let free = u64::try_from(free).unwrap_or(u64::MAX);
    rows.min(RECORDS_IN_BLOCKS).min(free.max(rows / ONE_IN_BLOCKS))
}

/// One of `rows` records from each of `size` equal parts, ascending, by numbers that look random and never change.
fn draw(rows: u64, size: u64) -> impl Iterator<Item = u32> {
    (0..size).map(move |part| {
        let bound = |part: u64| part * rows / size;
        let (start, end) = (bound(part), bound(part + 1));
        (start + mixed(part) % (end - start).max(1)) as u32
    })
}

/// SplitMix64 (Steele, Lea and Flood 2014): the number at this place of its sequence.
fn mixed(place: u64) -> u64 {
    let z = (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// For each of the records, its pairs with all of the other party, by bin.
fn compare(
    sources: &[FileEncodings],
    drawn: usize,
    other: usize,
    records: &[u32],
    bins: &Bins,
    memory: usize,
) -> Result<Vec<u32>, Error> {
    let encodings = gather(&sources[drawn], drawn, records)?;
    let mut rows = Rows::new(bins, records, drawn == other);
    Linkage::new(&[&encodings, &sources[other]], Threshold::new(bins.floor())?)?
        .shard(Shard::WHOLE)
        .memory(memory)
        .run(&Meter::default(), &mut rows)?;
    Ok(rows.counts)
}

/// The same with those of the other party that share a block.
fn compare_in_blocks(
    sources: &[FileEncodings],
    drawn: usize,
    other: usize,
    records: &[u32],
    bins: &Bins,
    blocks: &Blocks,
) -> Result<Vec<u32>, Error> {
    let encodings = gather(&sources[drawn], drawn, records)?;
    let mut rows = Rows::new(bins, records, drawn == other);
    let mut candidates = Vec::with_capacity(HELD);
    for (row, &record) in (0..).zip(records) {
        let mut all = blocks.candidates(drawn, record, other);
        loop {
            candidates.clear();
            candidates.extend(all.by_ref().take(HELD));
            if candidates.is_empty() {
                break;
            }
            let near = gather(&sources[other], other, &candidates)?;
            for (at, &candidate) in (0..).zip(&candidates) {
                rows.add(row, candidate, dice(encodings.record(row as u32), near.record(at)));
            }
        }
    }
    Ok(rows.counts)
}

fn gather(source: &FileEncodings, dataset: usize, records: &[u32]) -> Result<Encodings<'static>, Error> {
    let mut words = Vec::new();
    source.gather(records, &mut words).map_err(|source| Error::Read { dataset, source })?;
    Encodings::new(words, source.encoding_bytes())
}

/// Counts pairs by the drawn record and the bin.
struct Rows<'a> {
    bins: &'a Bins,
    records: &'a [u32],
    within: bool,
    counts: Vec<u32>,
}

impl<'a> Rows<'a> {
    fn new(bins: &'a Bins, records: &'a [u32], within: bool) -> Self {
        Self { bins, records, within, counts: vec![0; records.len() * bins.edges().len()] }
    }

    fn add(&mut self, row: usize, other: u32, score: f64) {
        // no record is its own neighbour
        if self.within && self.records[row] == other {
            return;
        }
        if let Some(bin) = self.bins.of_score(score) {
            self.counts[row * self.bins.edges().len() + bin] += 1;
        }
    }
}

impl PairSink for Rows<'_> {
    fn accept(&mut self, pairs: &[Pair]) -> Result<(), pairs::Error> {
        for pair in pairs {
            self.add(pair.record0 as usize, pair.record1, pair.score);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
