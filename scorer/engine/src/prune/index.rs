//! Looks up pairs that agree in all bits of some part: see [`super::parts`].
//!
//! For each part the records of either side are put into buckets by a hash of their bits in it, and only records of the
//! same bucket are compared: first their segment counts, which lie side by side in the buckets, then, of the few that are
//! left, the encodings. A pair is reported in the first part in which it agrees.

use std::ops::Range;

use super::buckets::{BEFORE, Buckets, INDEX_SEGMENTS, Indexed, parts_at_once};
use super::parts::{MOST_PARTS, Parts};
use super::plan::Plan;
use super::sample::{Sample, SampledPair};
use super::segments::{Effort, Segments};
use super::tasks::Tasks;
use crate::dense::{self, Pass};
use crate::executor::{Done, Executor};
use crate::kernel::{Entries, Wanted};
use crate::linkage::{Linkage, Matcher};
use crate::threshold::{Cutoffs, score};
use crate::{Error, work};

/// Pairs from which parts are learnt.
const PAIRS: usize = 4000;

/// What is learnt for looking pairs up.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub(super) parts: Parts,
    /// Whose counts tell apart records that agree in a part.
    pub(super) segments: Segments,
}

impl Lookup {
    /// From a sample, and pairs of it that were drawn at random.
    pub(super) fn learn(
        linkage: &Linkage<'_>,
        sample: &Sample<'_>,
        random: &[SampledPair<'_>],
        cutoffs: &Cutoffs,
    ) -> (Plan, Self) {
        let width = linkage.encoding_bytes() / 8;
        let needed = sample.slack_sums(MOST_PARTS);
        let parts = Parts::learn(&sample.likely_to_agree(PAIRS, needed.len()), &needed, width);
        let segments = Segments::learn(INDEX_SEGMENTS, random, width, cutoffs, Effort::FULL);
        let (looked_up, candidates) = sample.looked_up(&parts, &segments);
        let records = records_for_each_pair(linkage);
        (Plan::Indexed { parts: parts.len(), records, looked_up, candidates }, Self { parts, segments })
    }

    /// What the plan would be if whether two records agree in one bit told nothing of the others. More are looked up.
    pub(super) fn at_best(linkage: &Linkage<'_>, sample: &Sample<'_>, random: &[SampledPair<'_>]) -> Plan {
        let needed = sample.slack_sums(MOST_PARTS);
        // most pairs need about as many parts as half of them need
        let parts = needed.iter().filter(|&&share| share >= 0.5).count();
        let looked_up = parts as f64 * agreement(random).powf(1.0 / parts as f64);
        // all that may need yet more parts are looked up in the last one
        let in_last = needed.get(MOST_PARTS - 1).copied().unwrap_or(0.0);
        let records = records_for_each_pair(linkage);
        Plan::Indexed { parts, records, looked_up: looked_up + in_last, candidates: 0.0 }
    }
}

/// How likely it is that two records agree in all bits, if one bit told nothing of the others.
fn agreement(pairs: &[SampledPair<'_>]) -> f64 {
    let width = pairs.first().map_or(0, |(a, _)| a.len());
    let agree = |bit: usize| {
        let agree = |(a, b): &&SampledPair<'_>| (a[bit / 64] ^ b[bit / 64]) >> (bit % 64) & 1 == 0;
        pairs.iter().filter(agree).count().max(1) as f64 / pairs.len() as f64
    };
    (0..width * 64).map(agree).product()
}

/// Records that are gone through in each part, for each pair of the linkage's shard.
fn records_for_each_pair(linkage: &Linkage<'_>) -> f64 {
    let chunk = linkage.chunk_records(Indexed::record_bytes(linkage.encoding_bytes()));
    let (mut records, mut pairs) = (0.0, 0.0);
    for rectangle in work::slice(&linkage.records, linkage.shard) {
        let (rows, columns) = (rectangle.records0.len() as u32, rectangle.records1.len() as u32);
        let passes = f64::from(rows.div_ceil(chunk)) * f64::from(columns.div_ceil(chunk));
        records += passes * f64::from(rows.min(chunk) + columns.min(chunk));
        // a triangle has half of the passes, and half of the pairs
        pairs += f64::from(rows) * f64::from(columns);
    }
    records / f64::max(pairs, 1.0)
}

/// Finds the pairs of everything with everything, within the linkage's shard, by looking them up.
pub(crate) fn run_lookup(
    linkage: &Linkage<'_>,
    matcher: &Matcher,
    lookup: &Lookup,
    executor: &mut Executor<'_>,
) -> Result<(), Error> {
    let mut buckets = (Buckets::default(), Buckets::default());
    dense::for_each_pair_of_chunks(
        linkage,
        Indexed::record_bytes(linkage.encoding_bytes()),
        |indexed: &mut Indexed, dataset, records| {
            let loaded = indexed.load(linkage.sources[dataset], records, &lookup.segments, &matcher.cutoffs);
            loaded.map_err(|source| Error::Read { dataset, source })
        },
        |pass, rows, columns| look_up(pass, rows, columns, matcher, lookup, &mut buckets, executor),
    )
}

/// Looks up the pairs of two chunks, each with the place of its first record.
fn look_up(
    pass: &Pass,
    (rows, first_row): (&Indexed, u32),
    (columns, first_column): (&Indexed, u32),
    matcher: &Matcher,
    lookup: &Lookup,
    (row_buckets, column_buckets): &mut (Buckets, Buckets),
    executor: &mut Executor<'_>,
) -> Result<(), Error> {
    let same = pass.is_same(first_row, first_column);
    let comparisons = work::comparisons(same, rows.len() as u32, columns.len() as u32) as u64;
    let all_parts = lookup.parts.len();
    for first in (0..all_parts).step_by(parts_at_once()) {
        let parts = first..all_parts.min(first + parts_at_once());
        rayon::join(
            || row_buckets.fill(rows, columns, &lookup.parts, parts.clone()),
            || {
                if !same {
                    column_buckets.fill(columns, rows, &lookup.parts, parts.clone());
                }
            },
        );
        let column_buckets = if same { &*row_buckets } else { &*column_buckets };
        let mut tasks = Tasks::default();
        for place in 0..parts.len() {
            tasks.add(place, row_buckets.of_part(place), column_buckets.of_part(place));
        }
        let comparisons = share(comparisons, parts.clone(), all_parts);
        executor.run(tasks.len(), |task, candidates: &mut Vec<(u32, u32)>, pairs| {
            let (group, piece) = tasks.get(task);
            let part = parts.start + group.part;
            let wanted =
                Wanted { least_slacks: part as u32, parts_before: part.min(BEFORE) as u32, later: same };
            let sides = (row_buckets.of_part(group.part), column_buckets.of_part(group.part));
            candidates.clear();
            for bucket in group.buckets.clone() {
                let (row_range, column_range) =
                    group.piece(piece, sides.0.range(bucket), sides.1.range(bucket));
                let rows = Entries { all: sides.0.entries(), range: row_range };
                let columns = Entries { all: sides.1.entries(), range: column_range };
                matcher.kernel.find_candidates(rows, columns, wanted, candidates);
            }
            let (row_tile, column_tile) = (rows.tile(), columns.tile());
            matcher.kernel.score_candidates(row_tile, column_tile, candidates, &matcher.cutoffs, |hit| {
                if lookup.parts.agree_in_none_before(part, rows.words(hit.row), columns.words(hit.column)) {
                    let sum = row_tile.counts[hit.row as usize] + column_tile.counts[hit.column as usize];
                    let row = first_row + rows.place(hit.row);
                    let column = first_column + columns.place(hit.column);
                    pairs.push(pass.pair(row, column, score(hit.intersection, sum)));
                }
            });
            let comparisons = share(comparisons, task..task + 1, tasks.len());
            Ok(Done { planned: comparisons, comparisons })
        })?;
    }
    Ok(())
}

/// What falls to some of so many.
fn share(all: u64, some: Range<usize>, of: usize) -> u64 {
    let before = |end: usize| (u128::from(all) * end as u128 / of as u128) as u64;
    before(some.end) - before(some.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Threshold;
    use crate::tests::{as_sources, encodings};
    use rand::rngs::ChaCha20Rng;
    use rand::{RngExt, SeedableRng};

    /// What looking up would come to for random encodings of 1024 bits.
    fn at_best(threshold: f64) -> f64 {
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let words: [Vec<u64>; 2] = std::array::from_fn(|_| (0..16 * 300).map(|_| random.random()).collect());
        let sets = encodings(words.to_vec(), 16);
        let linkage = Linkage::new(&as_sources(&sets), Threshold::new(threshold).unwrap()).unwrap();
        let cutoffs = Cutoffs::new(linkage.threshold, 128);
        let sample = Sample::read(&linkage, &cutoffs).unwrap();
        match Lookup::at_best(&linkage, &sample, &sample.random_pairs(1000)) {
            Plan::Indexed { looked_up, .. } => looked_up,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn how_many_pairs_are_looked_up_at_best_is_known_beforehand() {
        // 51 parts of 20 bits, a million values each
        assert!((30e-6..200e-6).contains(&at_best(0.95)), "{}", at_best(0.95));
        // 102 of 10, of a thousand values
        assert!((0.07..0.14).contains(&at_best(0.9)), "{}", at_best(0.9));
        // more parts would be needed than there can be
        assert!(at_best(0.8) > 1.0 && at_best(0.5) > 1.0);
    }

    #[test]
    fn shares_come_to_the_whole() {
        for all in [0, 1, 7, 100, u64::MAX] {
            let shares = (0..9).map(|one| share(all, one..one + 1, 9));
            assert_eq!(shares.sum::<u64>(), all);
            assert_eq!(share(all, 0..4, 9) + share(all, 4..9, 9), all);
        }
    }
}
